"""SQL Server by mssql-python: Arrow batches from Microsoft's own driver."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import mssql_python
import pyarrow as pa
import sqlalchemy as sa
from mssql_python.exceptions import ConnectionStringParseError

from thresher.databases.columns import Column
from thresher.databases.source import CONNECT_TIMEOUT_S, Source
from thresher.errors import SqlError, UsageError
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_NAMED = """select s.name, o.name from sys.objects o join sys.schemas s on s.schema_id = o.schema_id
where o.type in ('U', 'V') and o.is_ms_shipped = 0 order by 1, 2"""
_DESCRIBED = """select name, system_type_name, precision, scale, error_message
from sys.dm_exec_describe_first_result_set(?, null, 0) where coalesce(is_hidden, 0) = 0 order by column_ordinal"""
_LOGIN_TIMEOUT: dict[int, int | str | bytes] = {103: CONNECT_TIMEOUT_S}  # ODBC's SQL_ATTR_LOGIN_TIMEOUT
_REFUSED = re.compile(r"login failed|cannot open database|permission was denied|28000", re.IGNORECASE)
_LOST = re.compile(r"\b08S01\b|communication link|broken|forcibly closed|TCP Provider", re.IGNORECASE)
_AS_SENT = {
    "bit": pa.bool_(),
    "tinyint": pa.int16(),  # 0 to 255
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "float": pa.float64(),
    "date": pa.date32(),
    "char": pa.string(),
    "varchar": pa.string(),
    "nchar": pa.string(),
    "nvarchar": pa.string(),
    "text": pa.string(),
    "ntext": pa.string(),
    "binary": pa.binary(),
    "varbinary": pa.binary(),
    "image": pa.binary(),
    "timestamp": pa.binary(),  # a version of the row, not a time
}
_DECIMALS = {"money": (19, 4), "smallmoney": (10, 4)}


class SQLServer(Source):
    """A SQL Server database: mssql://user:password@host:1433/database?TrustServerCertificate=yes.

    Parameters of the URL go into the connection string. Reads see one moment where the database allows snapshot
    isolation; elsewhere each sees what is committed while it goes on.
    """

    product = "SQL Server"

    def __init__(self, url: sa.URL) -> None:
        super().__init__(url)
        with self._errors():
            self._connection = mssql_python.connect(
                connection_string(url), autocommit=True, attrs_before=_LOGIN_TIMEOUT
            )
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute("select snapshot_isolation_state from sys.databases where database_id = db_id()")
            if cursor.fetchone()[0] == 1:
                cursor.execute("set transaction isolation level snapshot")
                cursor.execute("begin transaction")

    def close(self) -> None:
        self._connection.close()

    def quoted(self, name: str) -> str:
        return "[" + name.replace("]", "]]") + "]"

    def literal(self, value: object) -> str:
        if hasattr(value, "isoformat"):
            return f"'{value.isoformat()}'"
        text = super().literal(value)
        return f"N{text}" if isinstance(value, str) else text

    def _default_schema(self) -> str:
        with self._errors(), self._connection.cursor() as cursor:
            return str(cursor.execute("select schema_name()").fetchone()[0])

    def _named(self) -> list[tuple[str, str]]:
        with self._errors(), self._connection.cursor() as cursor:
            return [(str(row[0]), str(row[1])) for row in cursor.execute(_NAMED).fetchall()]

    def _describe(self, source: str) -> list[Column]:
        with self._errors(), self._connection.cursor() as cursor:
            found = cursor.execute(_DESCRIBED, (f"select * from {source}",)).fetchall()
        if found and found[0][4]:
            raise SqlError(f"{self.shown}: {found[0][4]}")
        return [column(str(row[0]), self.quoted(str(row[0])), str(row[1]), int(row[2]), int(row[3])) for row in found]

    def _stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        with self._errors(), self._connection.cursor() as cursor:
            cursor.execute(query)
            yield from cursor.arrow_reader(batch_size=rows)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ConnectionStringParseError as error:
            raise UsageError(f"{self.shown}: the URL's parameters: {self.without_password(error)}") from None
        except (mssql_python.Error, RuntimeError) as error:
            text = str(error)
            if _REFUSED.search(text):
                raise self.refused(error) from None
            if "load the driver" in text:
                raise UsageError(
                    f"{self.shown}: the driver lacks libraries of the system ({self.without_password(error)}). "
                    f"On Debian: apt-get install libltdl7 libgssapi-krb5-2"
                ) from None
            if not hasattr(self, "_connection"):
                raise self.unreachable(error) from None
            if _LOST.search(text):
                raise self.lost(error) from None
            raise SqlError(f"{self.shown}: {self.without_password(error)}") from None


def connection_string(url: sa.URL) -> str:
    """The driver's words for a URL; values in braces, as they may hold anything.

    >>> connection_string(sa.make_url("mssql://etl:a;b@db.example/shop?Encrypt=no"))
    'Server={db.example,1433};Database={shop};UID={etl};PWD={a;b};Encrypt={no}'
    """
    words = {
        "Server": f"{url.host or 'localhost'},{url.port or 1433}",
        "Database": url.database,
        "UID": url.username,
        "PWD": url.password,
    }
    given = {name: value for name, value in (words | dict(url.query)).items() if value is not None}
    return ";".join(f"{name}={{{str(value).replace('}', '}}')}}}" for name, value in given.items())


def column(name: str, value: str, declared: str, precision: int, scale: int) -> Column:
    """How a column of a SQL Server type is read.

    >>> column("paid", "[paid]", "decimal(10,2)", 10, 2).type, column("at", "[at]", "datetimeoffset(7)", 34, 7).type
    (Decimal128Type(decimal128(10, 2)), TimestampType(timestamp[us, tz=UTC]))
    """
    kind = declared.partition("(")[0]
    if kind in _AS_SENT:
        return Column(name, _AS_SENT[kind], value)
    if kind in ("decimal", "numeric"):
        return Column(name, pa.decimal128(precision, scale), f"convert(varchar(60), {value})")
    if kind in _DECIMALS:  # as text, money would lose half of its digits
        digits, places = _DECIMALS[kind]
        return Column(
            name, pa.decimal128(digits, places), f"convert(varchar(60), cast({value} as decimal({digits}, {places})))"
        )
    if kind in ("datetime", "smalldatetime"):
        return Column(name, TIMESTAMP_NTZ, f"convert(varchar(40), {value}, 126)")
    if kind == "datetime2":
        return _time(name, value, TIMESTAMP_NTZ)
    if kind == "datetimeoffset":
        return _time(name, f"cast(switchoffset({value}, 0) as datetime2(7))", TIMESTAMP, "Z")
    return Column(name, pa.string(), f"convert(nvarchar(max), {value})")


def _time(name: str, value: str, kind: pa.DataType, zone: str = "") -> Column:
    """Times of 100 nanoseconds, of which microseconds are kept."""
    micros = f"cast({value} as datetime2(6))"
    text = f"convert(varchar(40), {micros}, 126)"
    return Column(
        name,
        kind,
        f"{text} + '{zone}'" if zone else text,
        f"{micros} <> {value}",
        f"convert(varchar(40), {value}, 126)",
    )
