"""SQLite by Python's own reader. Its columns hold values of any type: what they are declared as is checked here."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from thresher.databases.columns import Column
from thresher.databases.source import Source
from thresher.errors import SqlError, TableNotFound, TransientError, UsageError
from thresher.types import TIMESTAMP_NTZ

BUSY_TIMEOUT_S = 30
_DECIMAL = re.compile(r"(?:decimal|numeric|number)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", re.IGNORECASE)
_NAMED = "select name from sqlite_master where type in ('table', 'view') and name not glob 'sqlite_*' order by 1"
_INT64 = pa.int64()
_OF_VALUES = {
    frozenset[str](): pa.string(),
    frozenset({"integer"}): _INT64,
    frozenset({"real"}): pa.float64(),
    frozenset({"text"}): pa.string(),
    frozenset({"blob"}): pa.binary(),
}


class SQLite(Source):
    """A SQLite file, opened for reading alone."""

    product = "SQLite"

    def __init__(self, url: sa.URL) -> None:
        super().__init__(url)
        file = Path(url.database or "")
        if not file.is_file():
            raise TableNotFound(
                f"{self.shown}: there is no file {file.absolute()}; expected sqlite:///relative/path or "
                f"sqlite:////absolute/path of a database"
            )
        with self._errors():
            self._connection = sqlite3.connect(
                f"{file.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,  # who takes the batches may have threads
            )
        self._connection.text_factory = bytes  # not every text is UTF-8; Arrow checks it
        try:
            self._rows("begin")
            self._rows("select count(*) from sqlite_master")  # the snapshot begins with the first read
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def literal(self, value: Any) -> str:
        if hasattr(value, "isoformat"):
            return f"'{value.isoformat(' ')}'" if hasattr(value, "hour") else f"'{value.isoformat()}'"
        return super().literal(value)

    def _default_schema(self) -> str:
        return "main"

    def _named(self) -> list[tuple[str, str]]:
        query = (
            "select name from sqlite_master where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\'"
        )
        return [("main", row[0].decode()) for row in self._rows(f"{query} order by 1")]

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._errors():
            return self._connection.execute(query).fetchall()

    def _describe(self, source: str) -> list[Column]:
        """Declared types by a view that lives in memory, as the declarations behind a query are known only so."""
        self._rows(f"create temp view described as select * from {source}")
        try:
            return [
                self._column(name.decode(), (declared or b"").decode(), source)
                for _, name, declared, *_ in self._rows("pragma temp.table_xinfo(described)")
            ]
        finally:
            self._connection.execute("drop view temp.described")

    def _column(self, name: str, declared: str, source: str) -> Column:
        value = self.quoted(name)
        found = declared_column(name, value, declared)
        if found:
            return found
        types = frozenset(row[0].decode() for row in self._rows(f"select distinct typeof({value}) from {source}"))
        kind = _OF_VALUES.get(types - {"null"}, pa.string())
        return Column(name, kind, f"cast({value} as text)" if kind == pa.string() else value)

    def _stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        with self._errors():
            cursor = self._connection.execute(query)
            names = [each[0] for each in cursor.description]
            while found := cursor.fetchmany(rows):
                yield pa.RecordBatch.from_arrays([pa.array(each) for each in zip(*found, strict=True)], names=names)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise TransientError(f"{self.shown}: another program has locked the file ({error})") from None
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                raise SqlError(f"{self.shown}: {error}") from None
            raise UsageError(f"{self.shown}: the file cannot be read as SQLite: {error}") from None


def declared_column(name: str, value: str, declared: str) -> Column | None:
    """How a column of a declared type is read; none where the declaration says nothing, so that its values decide.

    >>> declared_column("id", '"id"', "INTEGER")
    Column(name='id', type=DataType(int64), value='"id"', impossible='typeof("id") not in (\\'integer\\', \\'null\\')',
           shown='cast("id" as text)')
    """
    word, text = declared.lower(), f"cast({value} as text)"
    decimal = _DECIMAL.search(declared)
    if decimal and int(decimal[1]) <= 38:
        return _decimal(name, value, int(decimal[1]), int(decimal[2] or 0))
    if "bool" in word:
        return Column(name, pa.bool_(), value, f"typeof({value}) <> 'null' and {value} not in (0, 1)", text)
    if "datetime" in word or "timestamp" in word:
        return Column(name, TIMESTAMP_NTZ, text, _no_time(value), text)
    if word.startswith("date"):
        return Column(
            name, pa.date32(), text, f"typeof({value}) <> 'null' and date({value}, '+0 days') is not {value}", text
        )
    if "int" in word:
        return Column(name, _INT64, value, _unlike(value, "integer"), text)
    if any(part in word for part in ("char", "clob", "text")):
        return Column(name, pa.string(), value, _unlike(value, "text"), text)
    if any(part in word for part in ("real", "floa", "doub")):
        return Column(name, pa.float64(), value, _unlike(value, "real"), text)
    return Column(name, pa.binary(), value, _unlike(value, "blob"), text) if "blob" in word else None


def _unlike(value: str, kind: str) -> str:
    return f"typeof({value}) not in ('{kind}', 'null')"


def _decimal(name: str, value: str, precision: int, scale: int) -> Column:
    """A number with a fraction is kept as a float: it is the decimal that has this float, or it is none."""
    digits = f"printf('%.{scale}f', {value})"
    exact = f"typeof({value}) = 'integer' or typeof({value}) = 'real' and cast({digits} as real) = {value}"
    impossible = f"typeof({value}) <> 'null' and (not ({exact}) or abs({value}) >= 1e{precision - scale})"
    read = f"case typeof({value}) when 'integer' then cast({value} as text) else {digits} end"
    return Column(
        name,
        pa.decimal128(precision, scale),
        f"case when {value} is null then null else {read} end",
        impossible,
        f"cast({value} as text)",
    )


def _no_time(value: str) -> str:
    """Whether a value is no text like 2024-01-31 12:30:00.000000, with a T or without the time or the fraction."""
    whole = f"replace(substr({value}, 1, 19), 'T', ' ')"
    time = f"strftime('%Y-%m-%d %H:%M:%S', {whole}, '+0 days') is {whole}"
    fraction = f"(length({value}) = 19 or {value} glob '*.[0-9]*' and length({value}) <= 26 " + (
        f"and substr({value}, 21) not glob '*[^0-9]*')"
    )
    is_time = f"typeof({value}) = 'text' and (date({value}, '+0 days') is {value} or {time} and {fraction})"
    return f"typeof({value}) <> 'null' and not ({is_time})"
