"""PostgreSQL by ADBC: binary COPY straight into Arrow."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import psycopg
import pyarrow as pa
import sqlalchemy as sa
from adbc_driver_manager import Error as AdbcError
from adbc_driver_postgresql import dbapi

from thresher.databases.columns import Column
from thresher.databases.source import CONNECT_TIMEOUT_S, Source
from thresher.errors import DataError, SqlError
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_DEFAULTS = {
    "connect_timeout": str(CONNECT_TIMEOUT_S),
    "tcp_user_timeout": "30000",  # a server that is cut off must not let a read hang for hours
    "keepalives_idle": "30",
    "application_name": "thresher",
    "client_encoding": "UTF8",
}
_BATCH_BYTES = 8 << 20
# What values look like as text does not depend on the server's settings.
_SESSION = (
    "set timezone = 'UTC'",
    "set datestyle = 'ISO, YMD'",
    "set intervalstyle = 'postgres'",
    "set standard_conforming_strings = on",
)
_SNAPSHOT = "begin isolation level repeatable read read only"
_AS_SENT = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "bytea": pa.binary(),
}
_DAYS = {
    "date": (pa.date32(), "date '0001-01-01'", "date '9999-12-31'"),
    "timestamp": (TIMESTAMP_NTZ, "timestamp '0001-01-01'", "timestamp '9999-12-31 23:59:59.999999'"),
    "timestamptz": (TIMESTAMP, "timestamptz '0001-01-01 00:00+00'", "timestamptz '9999-12-31 23:59:59.999999+00'"),
}
_NAMED = """select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
and n.nspname !~ '^pg_(toast|temp)' order by 1, 2"""
_TYPES = """select t.oid, t.typname, e.typname from pg_type t
left join pg_type e on e.oid = t.typelem and t.typcategory = 'A' where t.oid = any(%s)"""
_REFUSED = ("28", "3D", "42501")
_LOST = ("08", "57P", "53", "40")


class PostgreSQL(Source):
    """A PostgreSQL database. Its catalog is read by psycopg, which knows the precision of numbers in queries, too."""

    product = "PostgreSQL"

    def __init__(self, url: sa.URL) -> None:
        super().__init__(url)
        own = {name: value for name, value in _DEFAULTS.items() if name not in url.query}
        address = url.set(drivername="postgresql").update_query_dict(own).render_as_string(hide_password=False)
        try:
            self._catalog = psycopg.connect(address, autocommit=True)
        except psycopg.OperationalError as error:
            text = str(error)
            is_refused = "authentication failed" in text or "FATAL" in text and "starting up" not in text
            raise (self.refused if is_refused else self.unreachable)(error) from None
        try:
            with self._errors():
                self._reading = dbapi.connect(address, autocommit=True)
                for statement in (*_SESSION, _SNAPSHOT):
                    self._execute(statement)
        except BaseException:
            self._catalog.close()
            raise

    def close(self) -> None:
        self._catalog.close()
        self._reading.close()

    def literal(self, value: Any) -> str:
        if isinstance(value, datetime) and value.tzinfo:
            return f"timestamptz '{value.isoformat(' ')}'"
        return super().literal(value)

    def _execute(self, statement: str) -> None:
        with self._reading.cursor() as cursor:
            cursor.execute(statement)

    def _default_schema(self) -> str:
        return str(self._rows("select current_schema()")[0][0])

    def _named(self) -> list[tuple[str, str]]:
        return [(str(schema), str(table)) for schema, table in self._rows(_NAMED)]

    def _rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self._errors():
            return self._catalog.execute(query, parameters or None).fetchall()

    def _describe(self, source: str) -> list[Column]:
        with self._errors():
            found = self._catalog.execute(f"select * from {source} limit 0").description or []
        types = {oid: (name, element) for oid, name, element in self._rows(_TYPES, [each.type_code for each in found])}
        return [
            column(each.name, self.quoted(each.name), *types[each.type_code], each.precision, each.scale)
            for each in found
        ]

    def _stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        with self._errors():
            try:
                with self._reading.cursor() as cursor:
                    cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)})
                    cursor.execute(query)
                    yield from cursor.fetch_record_batch()
            except (AdbcError, pa.ArrowException, OSError):
                with suppress(AdbcError):  # a connection that is lost says so in the first error
                    self._execute("rollback")
                    self._execute(_SNAPSHOT)
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, AdbcError, pa.ArrowException, OSError) as error:
            state = getattr(error, "sqlstate", None) or ""
            if state.startswith(_REFUSED):
                raise self.refused(error) from None
            if state.startswith(_LOST) or not state:
                raise self.lost(error) from None
            if state.startswith("42"):
                raise SqlError(f"{self.shown}: {self.without_password(error)}") from None
            raise DataError(f"{self.shown}: the read failed: {self.without_password(error)}") from None


def column(name: str, value: str, kind: str, element: str | None, precision: int | None, scale: int | None) -> Column:
    """How a column of a PostgreSQL type is read; `element` is the type of an array's elements.

    >>> column("paid", '"paid"', "numeric", None, 10, 2)
    Column(name='paid', type=Decimal128Type(decimal128(10, 2)), value='"paid"::text',
           impossible='"paid" = \\'NaN\\'', shown='"paid"::text')
    """
    if element is not None:
        return _array(name, value, element, precision, scale)
    if kind in _AS_SENT:
        return Column(name, _AS_SENT[kind], value)
    if kind in _DAYS:
        type, first, last = _DAYS[kind]
        return Column(name, type, value, f"{value} < {first} or {value} > {last}", f"{value}::text")
    if kind == "oid":
        return Column(name, pa.int64(), f"{value}::int8")
    decimal = _decimal(precision, scale) if kind == "numeric" else None
    if decimal is not None:
        return Column(name, decimal, f"{value}::text", f"{value} = 'NaN'", f"{value}::text")
    return Column(name, pa.string(), f"{value}::text")


def _array(name: str, value: str, element: str, precision: int | None, scale: int | None) -> Column:
    is_nested, shown = f"array_ndims({value}) > 1", f"{value}::text"
    if element in _AS_SENT:
        return Column(name, _list(_AS_SENT[element]), value, is_nested, shown)
    decimal = _decimal(precision, scale) if element == "numeric" else None
    if decimal is not None:
        return Column(name, _list(decimal), f"{value}::text[]", f"{is_nested} or 'NaN' = any({value})", shown)
    return Column(name, _list(pa.string()), f"{value}::text[]", is_nested, shown)


def _list(element: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", element))


def _decimal(precision: int | None, scale: int | None) -> pa.DataType | None:
    """The shared type of numeric(precision, scale); none where it has no precision, or more than 38 digits."""
    if precision is None or scale is None:
        return None
    digits = max(precision, scale) if scale >= 0 else precision - scale
    return pa.decimal128(digits, max(scale, 0)) if digits <= 38 else None
