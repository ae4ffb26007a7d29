"""The names of datasets, and what can be known of them from their folders alone."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from thresher.errors import InvalidName

ZONES = ("raw", "curated", "mart", "quarantine", "changes", "checks")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_COMMIT = re.compile(r"(\d{20})\.json")


def parse_name(name: str) -> tuple[str, str]:
    """A dataset's name as zone and name; raises InvalidName.

    >>> parse_name("curated.courses")
    ('curated', 'courses')
    """
    zone, dot, table = str(name).partition(".")
    if zone not in ZONES or not dot or not _NAME.fullmatch(table):
        raise InvalidName(
            f"dataset name {name!r} is not allowed; expected zone.name with a zone of {', '.join(ZONES)} and a name of "
            f"lower-case letters, digits and _ that begins with a letter (curated.courses), at most 100 characters"
        )
    return zone, table


def quarantine_of(name: str) -> str:
    """The dataset of what was refused on the way into another.

    >>> quarantine_of("raw.courses")
    'quarantine.raw_courses'
    """
    return "quarantine." + "_".join(parse_name(name))


def quarantined(name: str) -> str:
    """The dataset whose quarantine a dataset is.

    >>> quarantined("quarantine.raw_courses")
    'raw.courses'
    """
    return ".".join(parse_name(name)[1].split("_", 1))


def changes_of(name: str) -> str:
    """The dataset of the changes that are kept beside another, for those that come late.

    >>> changes_of("raw.orders")
    'changes.raw_orders'
    """
    return "changes." + "_".join(parse_name(name))


def checks_of(name: str) -> str:
    """The dataset of the rows of another that broke a rule of its checks.

    >>> checks_of("mart.fact_sale")
    'checks.mart_fact_sale'
    """
    return "checks." + "_".join(parse_name(name))


def surrogate_name(target: str) -> str:
    """The surrogate key column of a dimension.

    >>> surrogate_name("mart.dim_book")
    'book_key'
    """
    return target.partition(".")[2].removeprefix("dim_") + "_key"


def with_companions(names: Iterable[str]) -> list[str]:
    """Datasets, and those that a step which writes them may write beside them."""
    return [each for name in names for each in (name, quarantine_of(name), changes_of(name), checks_of(name))]


def is_companion(name: str) -> bool:
    """Whether a dataset is one that is kept beside another."""
    return name.partition(".")[0] in ("quarantine", "changes", "checks")


def is_table_name(name: str) -> bool:
    """Whether a folder of a zone may be a dataset."""
    return bool(_NAME.fullmatch(name))


def state(lake: Path, name: str) -> str:
    """The version of a dataset, and what tells it from another with that number; empty where there is none.

    A table that was deleted and made anew begins at version 0 again, with another commit.
    """
    zone, table = parse_name(name)
    log = lake / zone / table / "_delta_log"
    try:
        latest = max(match[1] for match in map(_COMMIT.fullmatch, (each.name for each in log.iterdir())) if match)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return ""
    return state_at(lake, name, int(latest))


def state_at(lake: Path, name: str, number: int) -> str:
    """The state that a dataset had at a version; empty where there is no such version, or no longer its log."""
    zone, table = parse_name(name)
    try:
        commit = (lake / zone / table / "_delta_log" / f"{number:020}.json").read_bytes()
        return f"{number}:{hashlib.sha256(commit).hexdigest()[:12]}"
    except (FileNotFoundError, NotADirectoryError):
        return ""


def version(found: str) -> str:
    """The version in a dataset's state, for a message.

    >>> version("12:0a1b2c"), version("")
    ('version 12', 'not there')
    """
    return f"version {found.partition(':')[0]}" if found else "not there"
