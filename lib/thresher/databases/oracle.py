"""Oracle by oracledb's thin mode, which needs no client libraries: Arrow frames, batch by batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import oracledb
import pyarrow as pa
import sqlalchemy as sa

from thresher.databases.columns import Column
from thresher.databases.source import CONNECT_TIMEOUT_S, Source
from thresher.errors import SqlError
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_NAMED = """select owner, object_name from all_objects where object_type in ('TABLE', 'VIEW', 'MATERIALIZED VIEW')
and oracle_maintained = 'N' order by 1, 2"""
_REFUSED = {"ORA-01017", "ORA-01031", "ORA-28000", "ORA-01045", "ORA-12514", "ORA-41900", "DPY-6001"}
_AS_SENT = {
    "DB_TYPE_BOOLEAN": pa.bool_(),
    "DB_TYPE_BINARY_FLOAT": pa.float32(),
    "DB_TYPE_BINARY_DOUBLE": pa.float64(),
    "DB_TYPE_VARCHAR": pa.string(),
    "DB_TYPE_NVARCHAR": pa.string(),
    "DB_TYPE_CHAR": pa.string(),
    "DB_TYPE_NCHAR": pa.string(),
    "DB_TYPE_CLOB": pa.string(),
    "DB_TYPE_NCLOB": pa.string(),
    "DB_TYPE_LONG": pa.string(),
    "DB_TYPE_RAW": pa.binary(),
    "DB_TYPE_LONG_RAW": pa.binary(),
    "DB_TYPE_BLOB": pa.binary(),
}
_NUMBER = "to_char({}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"
_TIME = "to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.FF6')"


class Oracle(Source):
    """An Oracle database: oracle://user:password@host:1521/service."""

    product = "Oracle"

    def __init__(self, url: sa.URL) -> None:
        super().__init__(url)
        service = url.database or str(url.query.get("service_name", ""))
        with self._errors():
            self._connection = oracledb.connect(
                user=url.username,
                password=url.password,
                dsn=f"{url.host or 'localhost'}:{url.port or 1521}/{service}",
                tcp_connect_timeout=CONNECT_TIMEOUT_S,
            )
            with self._connection.cursor() as cursor:
                cursor.execute("set transaction read only")

    def close(self) -> None:
        self._connection.close()

    def literal(self, value: object) -> str:
        if isinstance(value, datetime):
            text = value.replace(tzinfo=None).isoformat(" ")
            return f"timestamp '{text}{' +00:00' if value.tzinfo else ''}'"
        return super().literal(value)

    def _default_schema(self) -> str:
        return str(self._connection.current_schema or self._connection.username).upper()

    def _named(self) -> list[tuple[str, str]]:
        with self._errors(), self._connection.cursor() as cursor:
            return [(str(owner), str(name)) for owner, name in cursor.execute(_NAMED)]

    def _describe(self, source: str) -> list[Column]:
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(f"select * from {source} where 1 = 0")
            return [
                column(each.name, self.quoted(each.name), each.type_code.name, each.precision, each.scale)
                for each in cursor.description
            ]

    def _stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        with self._errors():
            for frame in self._connection.fetch_df_batches(query, size=rows, fetch_decimals=True):
                table = pa.table(frame)
                lower = [name.lower() for name in table.column_names]
                yield from table.rename_columns(lower).combine_chunks().to_batches()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except oracledb.Error as error:
            code = getattr(error.args[0], "full_code", "") if error.args else ""
            if code in _REFUSED:
                raise self.refused(error) from None
            if getattr(error.args[0] if error.args else None, "isrecoverable", False):
                raise self.lost(error) from None
            if code.startswith("DPY-6"):  # oracledb's own errors of the network
                raise self.unreachable(error) from None
            raise SqlError(f"{self.shown}: {self.without_password(error)}") from None


def column(name: str, value: str, kind: str, precision: int | None, scale: int | None) -> Column:
    """How a column of an Oracle type is read; numbers and times go through text, for Arrow's nanoseconds end in 2262.

    >>> column("PAID", '"PAID"', "DB_TYPE_NUMBER", 10, 2).type, column("N", '"N"', "DB_TYPE_NUMBER", 0, -127).type
    (Decimal128Type(decimal128(10, 2)), DataType(string))
    """
    if kind in _AS_SENT:
        return Column(name, _AS_SENT[kind], value)
    if kind == "DB_TYPE_NUMBER":
        return Column(name, _number(precision or 0, scale or 0), _NUMBER.format(value))
    if kind in ("DB_TYPE_DATE", "DB_TYPE_TIMESTAMP"):
        return _time(name, f"cast({value} as timestamp(9))", TIMESTAMP_NTZ)
    if kind in ("DB_TYPE_TIMESTAMP_TZ", "DB_TYPE_TIMESTAMP_LTZ"):
        return _time(name, f"sys_extract_utc(cast({value} as timestamp(9) with time zone))", TIMESTAMP, "Z")
    if kind == "DB_TYPE_XMLTYPE":
        return Column(name, pa.string(), f"xmlserialize(content {value} as clob)")
    if kind == "DB_TYPE_JSON":
        return Column(name, pa.string(), f"json_serialize({value} returning clob)")
    return Column(name, pa.string(), f"to_char({value})")


def _number(precision: int, scale: int) -> pa.DataType:
    if precision == 0:  # NUMBER alone: any number of digits on either side of the point
        return pa.string()
    digits = max(precision, scale) if scale >= 0 else precision - scale
    return pa.decimal128(digits, max(scale, 0)) if digits <= 38 else pa.string()


def _time(name: str, value: str, kind: pa.DataType, zone: str = "") -> Column:
    impossible = (
        f"{value} < timestamp '0001-01-01 00:00:00' or to_char({value}, 'FF9') not like '%000'"  # beyond microseconds
    )
    shown = f"to_char({value}, 'SYYYY-MM-DD HH24:MI:SS.FF9')"
    return Column(name, kind, f"{_TIME.format(value)} || '{zone}'" if zone else _TIME.format(value), impossible, shown)
