"""MySQL and MariaDB by connectorx: a stream of Arrow batches.

connectorx cuts decimals to ten places, panics at dates with a zero in them and at times beyond a day, and takes
TIMESTAMP for the time of day of the session's zone: all of these are read as what it reads exactly.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import connectorx
import pyarrow as pa
import pymysql
import sqlalchemy as sa
from pymysql.constants import ER, FIELD_TYPE, FLAG

from thresher.databases.columns import Column
from thresher.databases.source import CONNECT_TIMEOUT_S, Source
from thresher.errors import DataError, SqlError
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_BINARY = 63
"""The character set of columns that hold bytes."""
_SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")
_NAMED = "select table_schema, table_name from information_schema.tables where table_schema not in %s order by 1, 2"
_INTEGERS = {
    FIELD_TYPE.TINY: (pa.int8(), pa.int16()),
    FIELD_TYPE.SHORT: (pa.int16(), pa.int32()),
    FIELD_TYPE.INT24: (pa.int32(), pa.int32()),
    FIELD_TYPE.LONG: (pa.int32(), pa.int64()),
    FIELD_TYPE.LONGLONG: (pa.int64(), pa.decimal128(20, 0)),
}
_TEXTS = {
    FIELD_TYPE.VARCHAR,
    FIELD_TYPE.VAR_STRING,
    FIELD_TYPE.STRING,
    FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.MEDIUM_BLOB,
    FIELD_TYPE.LONG_BLOB,
    FIELD_TYPE.BLOB,
}
_REFUSED = {
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ER.BAD_DB_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.HOST_NOT_PRIVILEGED,
}
_BROKEN = re.compile("IoError|CodecError|DriverError|timed out")
_LOST = {ER.SERVER_SHUTDOWN, ER.QUERY_INTERRUPTED, ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK}


class MySQL(Source):
    """A MySQL or MariaDB database. Its catalog is read by pymysql, the rows by connectorx."""

    product = "MySQL"

    def __init__(self, url: sa.URL) -> None:
        super().__init__(url)
        # What other programs add to the URL is not for connectorx, which would go to a socket for a server so near.
        address = url.set(drivername="mysql", host=url.host or "localhost", query={"prefer_socket": "false"})
        self._address = address.render_as_string(hide_password=False)
        try:
            self._catalog = pymysql.connect(
                host=url.host or "localhost",
                port=url.port or 3306,
                user=url.username,
                password=url.password or "",
                database=url.database,
                charset="utf8mb4",
                connect_timeout=CONNECT_TIMEOUT_S,
            )
        except pymysql.err.MySQLError as error:
            raise (self.refused if error.args[0] in _REFUSED else self.unreachable)(error) from None

    def close(self) -> None:
        if self._catalog.open:
            self._catalog.close()

    def quoted(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def literal(self, value: Any) -> str:
        if isinstance(value, str):  # whatever the server takes a backslash for
            return f"convert(x'{value.encode().hex()}' using utf8mb4)"
        return super().literal(value)

    def _greater(self, column: Column, limit: Any, operator: str) -> str:
        if column.type != TIMESTAMP:
            return super()._greater(column, limit, operator)
        # The server compares in the session's zone, where an hour of autumn comes twice; the first condition is for
        # its index.
        seconds = _epoch(limit)
        name = self.quoted(column.name)
        return f"{name} >= from_unixtime({seconds}) - interval 1 day and unix_timestamp({name}) {operator} {seconds}"

    def _default_schema(self) -> str:
        return str(self.url.database or "")

    def _named(self) -> list[tuple[str, str]]:
        with self._errors(), self._catalog.cursor() as cursor:
            cursor.execute(_NAMED, (_SYSTEM,))
            return [(str(schema), str(table)) for schema, table in cursor.fetchall()]

    def _describe(self, source: str) -> list[Column]:
        with self._errors(), self._catalog.cursor() as cursor:
            cursor.execute(f"select * from {source} limit 0")
            fields = cursor._result.fields  # its public description lacks the flags: unsigned, enum, set
        return [
            column(
                field.name,
                self.quoted(field.name),
                field.type_code,
                field.flags,
                field.length,
                field.scale,
                is_binary=field.charsetnr == _BINARY,
            )
            for field in fields
        ]

    def _stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        try:
            yield from connectorx.read_sql(self._address, query, return_type="arrow_stream", batch_size=rows)
        except BaseException as error:
            # Its errors are RuntimeError, or panics that are no Exception.
            if isinstance(error, GeneratorExit) or type(error).__name__ not in ("RuntimeError", "PanicException"):
                raise
            text = str(error).partition("Stack backtrace")[0]
            answered = re.search(r"ERROR (\d+)[^}]*", text)
            if (int(answered[1]) in _LOST) if answered else _BROKEN.search(text):
                raise self.lost(RuntimeError(text)) from None
            kind, said = (SqlError, answered[0]) if answered else (DataError, text)
            raise kind(f"{self.shown}: the read failed: {self.without_password(said)}") from None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except pymysql.err.MySQLError as error:
            if error.args[0] in _REFUSED:
                raise self.refused(error) from None
            # 0 and 2000 to 2999 come from the client: no server answered.
            if error.args[0] in _LOST or error.args[0] == 0 or 2000 <= error.args[0] < 3000:
                raise self.lost(error) from None
            raise SqlError(f"{self.shown}: {self.without_password(error)}") from None


def column(name: str, value: str, kind: int, flags: int, length: int, scale: int, *, is_binary: bool) -> Column:
    """How a column is read, by what the server says of it: its type, flags, length and scale.

    >>> column("paid", "`paid`", FIELD_TYPE.NEWDECIMAL, 0, 12, 2, is_binary=True)
    Column(name='paid', type=Decimal128Type(decimal128(10, 2)), value='cast(`paid` as char)', impossible=None, shown='')
    """
    text = f"cast({value} as char)"
    if kind in _INTEGERS:
        return Column(name, _INTEGERS[kind][bool(flags & FLAG.UNSIGNED)], value)
    if kind == FIELD_TYPE.YEAR:
        return Column(name, pa.int16(), value)
    if kind in (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE):
        return Column(name, pa.float32() if kind == FIELD_TYPE.FLOAT else pa.float64(), value)
    if kind in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
        precision = length - (scale > 0) - (not flags & FLAG.UNSIGNED)
        return Column(name, pa.decimal128(precision, scale) if precision <= 38 else pa.string(), text)
    if kind in (FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE):
        return Column(name, pa.date32(), value, _no_day(value), text)
    if kind == FIELD_TYPE.DATETIME:
        return Column(name, TIMESTAMP_NTZ, value, _no_day(value), text)
    if kind == FIELD_TYPE.TIMESTAMP:
        micros = f"cast(unix_timestamp({value}) * 1000000 as signed)"
        return Column(name, TIMESTAMP, micros, f"year({value}) = 0", text)
    if kind == FIELD_TYPE.BIT:
        if length == 1:
            return Column(name, pa.bool_(), f"{value} + 0")
        return Column(name, pa.string(), f"lpad(bin({value} + 0), {length}, '0')")
    if kind == FIELD_TYPE.GEOMETRY:
        return Column(name, pa.string(), f"st_astext({value})")
    if kind in _TEXTS and not flags & (FLAG.ENUM | FLAG.SET):
        return Column(name, pa.binary() if is_binary else pa.string(), value)
    return Column(name, pa.string(), text)


def _no_day(value: str) -> str:
    """Whether a date has a zero in it (0000-00-00, 2024-00-01), or is none of the calendar (2024-02-31)."""
    zero = " or ".join(f"{part}({value}) = 0" for part in ("year", "month", "dayofmonth"))
    return f"{zero} or dayofmonth({value}) > coalesce(dayofmonth(last_day({value})), 0)"


def _epoch(limit: datetime) -> Decimal:
    since = limit - datetime(1970, 1, 1, tzinfo=UTC)
    return Decimal(since // timedelta(microseconds=1)) / 1_000_000
