"""Databases as sources: PostgreSQL, MySQL and MariaDB, SQLite, Oracle, SQL Server.

with databases.opened("postgresql://reader:…@db.example/shop") as source:
    source.tables("public")
    source.batches("public.orders", after={"updated_at": last})
"""

import importlib

import sqlalchemy as sa

from thresher.databases.columns import Impossible
from thresher.databases.relations import is_query
from thresher.databases.source import Source
from thresher.errors import UsageError

__all__ = ["Impossible", "Source", "is_database", "is_query", "opened"]

_PRODUCTS = {
    "mariadb": ("mysql", "MySQL"),
    "mssql": ("sqlserver", "SQLServer"),
    "mysql": ("mysql", "MySQL"),
    "oracle": ("oracle", "Oracle"),
    "postgres": ("postgresql", "PostgreSQL"),
    "postgresql": ("postgresql", "PostgreSQL"),
    "sqlite": ("sqlite", "SQLite"),
    "sqlserver": ("sqlserver", "SQLServer"),
}
_EXTRA = "pip install 'thresher[databases]'"


def is_database(source: str) -> bool:
    """Whether a source is the URL of a database.

    >>> is_database("postgresql://db.example/shop"), is_database("data/landing/*.csv")
    (True, False)
    """
    scheme, separator, _ = source.partition("://")
    return bool(separator) and scheme.lower().partition("+")[0] in _PRODUCTS


def opened(url: str) -> Source:
    """A database by its URL, to be used by `with`; special characters in user and password are percent-encoded.

    Raises UsageError for a URL that names no database, a driver that is missing, a user that is refused or a SQLite
    file that is not there; TransientError where no server answers.

    >>> opened("redis://cache.example")
    Traceback (most recent call last):
    ...
    thresher.errors.UsageError: 'redis://…' is no database that can be read; expected mariadb://, mssql://, mysql://,
    oracle://, postgres://, postgresql://, sqlite://, sqlserver://
    """
    if not is_database(url):
        shown = f"{url.partition('://')[0]}://…" if "://" in url else url
        expected = ", ".join(f"{name}://" for name in sorted(_PRODUCTS))
        raise UsageError(f"{shown!r} is no database that can be read; expected {expected}")
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(
            f"{url.partition('://')[0]}://…: the URL cannot be read; expected "
            "product://user:password@host:port/database, "
            "special characters in user and password percent-encoded (@ is %40)"
        ) from None
    module, name = _PRODUCTS[parsed.get_backend_name().lower()]
    try:
        product = getattr(importlib.import_module(f"thresher.databases.{module}"), name)
    except ImportError as error:
        shown = parsed.render_as_string(hide_password=True)
        raise UsageError(f"{shown}: no driver for this database ({error}). Install it: {_EXTRA}") from error
    return product(parsed)
