"""The ledger's database: a SQLite file in the lake, or the one that a URL names. Reached again when it was lost."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from thresher import disk_space
from thresher.errors import LakeError, TransientError, UsageError

BUSY_TIMEOUT_S = 30
RECONNECT_S = 45.0
"""How long a database that was reached before is tried again: less than the lease of a run, which goes on meanwhile."""
_PAUSE_S = 0.5
# A server that is cut off, not down, must not let a run hang for as long as the operating system tries.
_POSTGRESQL = {"connect_timeout": 10, "tcp_user_timeout": 20_000, "application_name": "thresher"}

Result = TypeVar("Result")


class Utc(sa.types.TypeDecorator[datetime]):
    """An instant. SQLite keeps no zone: what it gives back is UTC because only UTC goes in."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class AnyText(sa.types.TypeDecorator[str]):
    """Text from outside. Zero bytes (PostgreSQL) and what is no Unicode become their escapes."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


class Database:
    """Tables in SQLite or another database; each is made where missing, and gets the columns that it lacks."""

    def __init__(self, url_or_path: str | Path) -> None:
        text = str(url_or_path)
        url = sa.make_url(text) if "://" in text else sa.URL.create("sqlite", database=os.path.abspath(text))
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        self.file = Path(url.database) if url.drivername.startswith("sqlite") and url.database else None
        self.shown = url.render_as_string(hide_password=True)
        self.is_read_only = bool(self.file and self.file.exists() and not _is_writable(self.file))
        self._prepared: list[sa.MetaData] = []
        self._was_reached = self._is_given_up = False
        try:
            self._engine = sa.create_engine(url, **self._options(url))
        except (ImportError, sa.exc.ArgumentError) as error:
            extra = "pip install 'thresher[postgres]'" if url.drivername.startswith("postgres") else "the driver"
            raise UsageError(
                f"ledger {self.shown}: no driver for this database ({error}). "
                f"Install {extra}, or unset THRESHER_LEDGER to keep the ledger in the lake."
            ) from error

    def _options(self, url: sa.URL) -> dict[str, Any]:
        if self.file and self.is_read_only:
            return {"creator": partial(_copied, self.file), "poolclass": sa.StaticPool}
        if self.file:
            return {"connect_args": {"timeout": BUSY_TIMEOUT_S}}
        own = {name: value for name, value in _POSTGRESQL.items() if name not in url.query}
        return {"pool_pre_ping": True} | ({"connect_args": own} if url.drivername.startswith("postgresql") else {})

    def has(self, *tables: sa.Table) -> bool:
        """Whether tables of one schema are there to be read; those of an earlier version get the columns they lack."""
        if self.file and not self.file.exists():
            return False
        if tables[0].metadata in self._prepared:
            return True
        with self._connected() as connection:
            inspector = sa.inspect(connection)
            if not all(inspector.has_table(table.name) for table in tables):
                return False
            is_current = not any(_missing(inspector, table) for table in tables)
        if is_current:
            self._prepared.append(tables[0].metadata)
        else:
            self._prepare(tables[0].metadata)
        return True

    def read(self, query: "sa.Select[Any]") -> list[sa.RowMapping]:
        """The rows of a query. Raises LakeError, or TransientError where a database was reached before."""
        return self._again(lambda connection: list(connection.execute(query).mappings()))

    def tuples(self, query: "sa.Select[Any]") -> "list[tuple[Any, ...]]":
        """The rows of a query as tuples, for those that are many. Raises as `read`."""
        return self._again(lambda connection: [tuple(row) for row in connection.execute(query)])

    def write(self, tables: sa.MetaData, *statements: sa.Executable) -> int:
        """Execute statements in one transaction; the number of rows that the last one changed. Raises as `read`.

        Where the connection breaks off, nobody knows what was kept: so they must do the same when executed twice.
        """
        self._prepare(tables)
        return self._again(lambda connection: [connection.execute(each).rowcount for each in statements][-1])

    @contextmanager
    def transaction(self, tables: sa.MetaData) -> Iterator[sa.Connection]:
        """A transaction in which to read and write tables. Raises as `read`; then nothing was changed."""
        self._prepare(tables)
        with self._connected() as connection:
            yield connection

    def close(self) -> None:
        """End the connections; the next use opens new ones."""
        self._engine.dispose()

    def _prepare(self, tables: sa.MetaData) -> None:
        if tables not in self._prepared:
            self._again(lambda connection: self._create(connection, tables))
            self._prepared.append(tables)

    def _create(self, connection: sa.Connection, tables: sa.MetaData) -> None:
        if self.is_read_only:  # what is added here is added to the copy
            connection.exec_driver_sql("PRAGMA query_only=OFF")
        elif self.file:
            # Readers then never wait for a writer; the setting stays in the file.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        if connection.dialect.name == "postgresql":
            # There, "if not exists" fails when two processes come at once.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('thresher tables'))")
        for table in tables.sorted_tables:
            # Not create_all(): it looks first and creates then, and another process may come between.
            connection.execute(CreateTable(table, if_not_exists=True))
            for column in _missing(sa.inspect(connection), table):  # made by an earlier version
                added = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {added}")
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
        if self.is_read_only:
            connection.exec_driver_sql("PRAGMA query_only=ON")

    def _again(self, work: Callable[[sa.Connection], Result]) -> Result:
        """What `work` returns; where the connection breaks off under it, it is done once more on another."""
        try:
            with self._connected() as connection:
                return work(connection)
        except _BrokenOff:
            with self._connected() as connection:
                return work(connection)

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        try:
            with self._connect() as connection, connection.begin():
                yield connection
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise _BrokenOff(f"ledger {self.shown}: the connection broke off: {error.orig}") from error
            if disk_space.is_full(error.orig or error):
                raise disk_space.full("the ledger", self.file or self.shown) from error
            raise LakeError(
                f"ledger {self.shown}: cannot be read or written: {error.orig}. Expected a database that this user "
                f"may write; check the file's owner and the disk, or name another database in THRESHER_LEDGER."
            ) from error

    def _connect(self) -> sa.Connection:
        """A connection; to a database that was reached before, tried for a while, but only once in a row."""
        end = time.monotonic() + (0 if self._is_given_up else RECONNECT_S)
        while True:
            try:
                connection = self._engine.connect()
                self._was_reached, self._is_given_up = True, False
                return connection
            except sa.exc.OperationalError as error:
                if self.file or not self._was_reached:
                    raise
                if time.monotonic() >= end:
                    self._is_given_up = True
                    raise TransientError(
                        f"ledger {self.shown}: lost, and not reached again within {RECONNECT_S:.0f} s: {error.orig}. "
                        f"Tables are whole; when the database answers again, run again: what was done is not repeated."
                    ) from error
            time.sleep(_PAUSE_S)


class _BrokenOff(TransientError):
    """A connection was lost in the middle of a transaction."""


def _is_writable(file: Path) -> bool:
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)


def _copied(file: Path) -> sqlite3.Connection:
    """The content of a file in memory, where it can get the columns that it lacks."""
    address = file.absolute().as_uri()
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        # As it is, even while its run goes on elsewhere: that needs the files which a writer keeps beside it.
        with closing(sqlite3.connect(f"{address}?mode=ro", uri=True)) as there:
            there.backup(copy)
    except sqlite3.OperationalError:
        with closing(sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True)) as there:
            there.backup(copy)
    copy.execute("PRAGMA query_only=ON")  # a note in the copy would be lost
    return copy


def _missing(inspector: sa.Inspector, table: sa.Table) -> "list[sa.Column[Any]]":
    there = {column["name"] for column in inspector.get_columns(table.name)}
    return [column for column in table.columns if column.name not in there]
