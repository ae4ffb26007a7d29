"""A database as a source: its tables and queries as Arrow batches in the shared types, read in one consistent snapshot.

Each product says how a column is read (`Column`): as the driver gives it where that is exact, else as text that is cast
back here. What a shared type cannot hold is found by the database itself, and never passes silently.
"""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import sqlalchemy as sa

from thresher.databases.columns import Column, Impossible, arrived, selected
from thresher.databases.relations import is_query, name_parts, statement
from thresher.errors import (
    MissingColumns,
    SchemaMismatch,
    TableNotFound,
    TransientError,
    UsageError,
)
from thresher.types import ddl

CONNECT_TIMEOUT_S = 10


class Source(ABC):
    """An open database. One read at a time; `close` ends its connections."""

    product: str
    """What the database is called in messages."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.shown = url.set(query={}).render_as_string(hide_password=True)
        given = [value for name, value in url.query.items() if "pass" in name.lower() or name.lower() == "pwd"]
        self._secrets = {
            text for each in [url.password, *given] if each for text in (str(each), quote(str(each), safe=""))
        }

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """End the connections; reads under way break off."""

    def tables(self, schema: str | None = None) -> list[str]:
        """Names of tables and views, `schema.table`, sorted; of one schema, or of all but the database's own."""
        found = self._named()
        if schema is not None and schema not in {one for one, _ in found}:
            near = difflib.get_close_matches(schema, sorted({one for one, _ in found}))
            raise TableNotFound(f"{self.shown}: schema {schema!r} has no tables that can be seen; close to it: {near}")
        return sorted(f"{one}.{table}" for one, table in found if schema in (None, one))

    def schema(self, relation: str) -> pa.Schema:
        """The columns of a table (`table`, `schema.table`, quoted where a name has dots) or of a SELECT query.

        Raises TableNotFound, SqlError, UsageError where reading is not allowed, TransientError without an answer.
        """
        return pa.schema([pa.field(each.name, each.type) for each in self._columns(relation)])

    def batches(
        self,
        relation: str,
        *,
        columns: Sequence[str] | None = None,
        after: Mapping[str, Any] | None = None,
        inclusive: bool = False,
        rows: int = 100_000,
        on_impossible: Callable[[Impossible], None] | None = None,
    ) -> pa.RecordBatchReader:
        """The rows of a table or query, in batches of at most `rows`, streamed in bounded memory.

        `after`: {column: last value seen}: only rows whose column is greater (or equal, if `inclusive`), in its order.
        Rows where it is null are not among them. A value that no shared type holds (a date of infinity, a NaN in a
        decimal column) raises DataError; with `on_impossible` it is reported to that and becomes null.

        Raises as `schema`; MissingColumns; while it is read, TransientError where the connection breaks off.
        """
        known = self._columns(relation)
        wanted = known if columns is None else [_named(known, name, relation) for name in columns]
        query = self._query(relation, wanted, known, after or {}, inclusive)
        arriving = self._stream(query, rows)
        schema = pa.schema([pa.field(each.name, each.type) for each in wanted])
        return pa.RecordBatchReader.from_batches(schema, arrived(arriving, wanted, relation, rows, on_impossible))

    def _columns(self, relation: str) -> list[Column]:
        found = self._describe(f"({statement(relation)}) q" if is_query(relation) else self._found(relation))
        names = [column.name.lower() for column in found]
        twice = sorted({column.name for column in found if names.count(column.name.lower()) > 1})
        if twice:
            raise SchemaMismatch(
                f"{relation}: columns {twice[:5]} share a name; names differ in more than case. "
                f"Read a query that gives them other names."
            )
        return found

    def _query(
        self, relation: str, wanted: list[Column], known: list[Column], after: Mapping[str, Any], inclusive: bool
    ) -> str:
        if len(after) > 1:
            raise UsageError(f"{relation}: after names {list(after)}; expected one column")
        source = f"({statement(relation)}) q" if is_query(relation) else self._found(relation)
        query = f"select {', '.join(selected(wanted))} from {source}"
        for name, value in after.items():
            column = _named(known, name, relation)
            limit = _typed(value, column, relation)
            query += f" where {self._greater(column, limit, '>=' if inclusive else '>')} order by {self.quoted(name)}"
        return query

    def _greater(self, column: Column, limit: Any, operator: str) -> str:
        return f"{self.quoted(column.name)} {operator} {self.literal(limit)}"

    def _found(self, relation: str) -> str:
        """The quoted name of a table as the catalog has it."""
        parts = name_parts(relation)
        known = self._named()
        for same in (str, str.lower):  # a name that differs in case alone is the table, if there is only one such
            found = [
                (schema, table)
                for schema, table in known
                if same(table) == same(parts[-1])
                and (same(schema) == same(parts[-2]) if len(parts) > 1 else schema == self._default_schema())
            ]
            if len(found) == 1:
                return ".".join(self.quoted(each) for each in found[0])
        own = self._default_schema()
        names = [table if schema == own and len(parts) == 1 else f"{schema}.{table}" for schema, table in known]
        near = difflib.get_close_matches(relation, names, n=3, cutoff=0.5)
        hint = f"Did you mean {', '.join(near)}?" if near else f"It has {len(known)} tables that this user can see."
        raise TableNotFound(f"{self.shown}: there is no table {relation}. {hint}")

    def quoted(self, name: str) -> str:
        """A name as SQL of this product has it, whatever is in it."""
        return '"' + name.replace('"', '""') + '"'

    def literal(self, value: Any) -> str:
        """A value as SQL of this product has it."""
        if isinstance(value, (int, Decimal)):
            return f"{value:f}" if isinstance(value, Decimal) else str(int(value))
        if isinstance(value, float):
            return repr(value)
        if isinstance(value, datetime):
            return f"timestamp '{value.replace(tzinfo=None).isoformat(' ')}'"
        if isinstance(value, date):
            return f"date '{value.isoformat()}'"
        return "'" + str(value).replace("'", "''") + "'"

    def without_password(self, text: object) -> str:
        """A driver's message on one line, without the password that some drivers repeat in it."""
        message = " ".join(str(text).split()).rstrip(".")
        for secret in self._secrets:
            message = message.replace(secret, "***")
        return message

    def lost(self, error: BaseException) -> TransientError:
        """What is raised where the connection breaks off."""
        return TransientError(
            f"{self.shown}: the connection to {self.product} broke off: {self.without_password(error)}. "
            f"Nothing of this read counts; read it again."
        )

    def unreachable(self, error: BaseException) -> TransientError:
        """What is raised where no server answers."""
        return TransientError(
            f"{self.shown}: {self.product} does not answer ({self.without_password(error)}). "
            f"Is it running, and can this machine reach host and port?"
        )

    def refused(self, error: BaseException) -> UsageError:
        """What is raised where the server does not let the user in, or not to what was asked."""
        return UsageError(
            f"{self.shown}: {self.product} refuses this user: {self.without_password(error)}. "
            f"Check user, password and database in the URL, and the user's rights to read."
        )

    @abstractmethod
    def _default_schema(self) -> str: ...

    @abstractmethod
    def _named(self) -> list[tuple[str, str]]:
        """(schema, table) of all tables and views that the user can see, without the database's own."""

    @abstractmethod
    def _describe(self, source: str) -> list[Column]:
        """The columns of what stands behind FROM."""

    @abstractmethod
    def _stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query as the driver gives them; its errors are ours."""


def _named(columns: list[Column], name: str, relation: str) -> Column:
    for column in columns:
        if column.name == name:
            return column
    raise MissingColumns(f"{relation}: no column {name!r}; found {[column.name for column in columns]}")


def _typed(value: Any, column: Column, relation: str) -> Any:
    """The last value of an incremental column as Python has values of the column's type."""
    if isinstance(value, datetime) and value.tzinfo:
        value = value.astimezone(UTC)
        if not getattr(column.type, "tz", None):
            value = value.replace(tzinfo=None)
    try:
        given = pa.scalar(value)
        if pa.types.is_string(given.type) and getattr(column.type, "tz", None):
            given = pa.scalar(datetime.fromisoformat(value)).cast(column.type)
        return given.cast(column.type).as_py()
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UsageError(
            f"{relation}: {value!r} is no value of column {column.name}, which is {ddl(column.type)} ({error})"
        ) from error
