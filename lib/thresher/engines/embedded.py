"""The embedded engine: DuckDB computes and deltalake keeps the tables, in the notebook's own process."""

import itertools
import json
import os
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, SchemaMismatchError

from thresher import sql
from thresher.engines import BatchFunction
from thresher.errors import DataError, SchemaMismatch, SqlError, WriteConflict
from thresher.frame import Frame
from thresher.types import canonical_schema

ROWS_PER_BATCH = 10_000


class EmbeddedFrame(Frame):
    """A DuckDB query and the named inputs it reads; every use runs on a cursor of its own."""

    def __init__(
        self,
        engine: "EmbeddedEngine",
        query: str,
        inputs: "Mapping[str, EmbeddedFrame | pa.Table | Any]",
        text: str | None = None,
    ):
        self.engine: EmbeddedEngine = engine
        self.query = query
        self.inputs = inputs
        self.text = text or query  # what the user wrote, for errors
        with _readable(self.text):
            empty = self._relation().limit(0).to_arrow_table()
        self._schema = canonical_schema(empty.schema)

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    @property
    def native(self) -> duckdb.DuckDBPyRelation:
        return self._relation()

    def _relation(self) -> duckdb.DuckDBPyRelation:
        cursor = self.engine.connection.cursor()
        self._bind(cursor, set())
        return cursor.sql(self.query)

    def _bind(self, cursor: duckdb.DuckDBPyConnection, bound: set[str]) -> None:
        for name, source in self.inputs.items():
            if name in bound:
                continue
            bound.add(name)
            if isinstance(source, EmbeddedFrame):
                source._bind(cursor, bound)
                cursor.execute(f'create or replace temp view "{name}" as {source.query}')
            elif source is not None:
                cursor.register(name, source)

    def batches(self) -> pa.RecordBatchReader:
        return self.batches_of(ROWS_PER_BATCH)

    def batches_of(self, rows: int) -> pa.RecordBatchReader:
        """The rows as Arrow batches of at most that many rows."""
        reader = self._relation().to_arrow_reader(rows)

        def exact() -> Iterator[pa.RecordBatch]:
            with _readable(self.text):
                for batch in reader:
                    yield batch.cast(self._schema)

        return pa.RecordBatchReader.from_batches(self._schema, exact())

    def count(self) -> int:
        with _readable(self.text):
            (rows,) = self._relation().aggregate("count(*)").fetchone() or (0,)
        return int(rows)

    def head(self, rows: int = 10) -> "EmbeddedFrame":
        name = self.engine.fresh_name()
        return EmbeddedFrame(self.engine, f'select * from "{name}" limit {int(rows)}', {name: self})


class EmbeddedEngine:
    """See `thresher.engines.Engine`."""

    name = "duckdb"

    def __init__(self) -> None:
        self._names = (f"f{n}" for n in itertools.count())
        self.connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
        for statement in sql.SETUP:
            self.connection.execute(statement)

    def fresh_name(self) -> str:
        """A name that no other frame or table of this engine has."""
        return next(self._names)

    def from_arrow(self, rows: pa.Table) -> EmbeddedFrame:
        return self._frame_of(rows.cast(canonical_schema(rows.schema)))

    def _frame_of(self, source: Any) -> EmbeddedFrame:
        name = self.fresh_name()
        return EmbeddedFrame(self, f'select * from "{name}"', {name: source})

    def sql(self, query: str, frames: Mapping[str, Frame]) -> EmbeddedFrame:
        names = {table: self.fresh_name() for table in frames}
        schemas = {table: frame.schema for table, frame in frames.items()}
        translated = sql.parse(query).to_duckdb(names, schemas)
        return EmbeddedFrame(self, translated, {names[table]: frame for table, frame in frames.items()}, query)

    def difference(self, frame: Frame, other: Frame) -> EmbeddedFrame:
        one, two = self.fresh_name(), self.fresh_name()
        return EmbeddedFrame(self, f'select * from "{one}" except all select * from "{two}"', {one: frame, two: other})

    def stage(self, frame: Frame) -> EmbeddedFrame:
        return self._staged(frame.batches())

    def _staged(self, reader: pa.RecordBatchReader) -> EmbeddedFrame:
        name = f"staged_{self.fresh_name()}"
        cursor = self.connection.cursor()
        cursor.register("incoming", reader)
        cursor.execute(f'create table "{name}" as select * from incoming')
        frame = EmbeddedFrame(self, f'select * from "{name}"', {})
        weakref.finalize(frame, _drop, self.connection, name)
        # Frames derived from this one must keep it, and with it the table, alive.
        return EmbeddedFrame(self, f'select * from "{name}_v"', {f"{name}_v": frame})

    def map_batches(self, frame: Frame, function: BatchFunction, schema: pa.Schema) -> EmbeddedFrame:
        failure: list[BaseException] = []

        def mapped() -> Iterator[pa.RecordBatch]:
            try:
                yield from _in_threads(frame, function)
            except BaseException as error:  # DuckDB would only hand on its text
                failure.append(error)
                raise

        try:
            return self._staged(pa.RecordBatchReader.from_batches(schema, mapped()))
        except Exception:
            if failure:
                raise failure[0] from None
            raise

    def read(self, table: Path, version: int | None = None) -> EmbeddedFrame:
        return self._frame_of(DeltaTable(table, version=version).to_pyarrow_dataset())

    def write(
        self,
        table: Path,
        frame: Frame,
        *,
        mode: str,
        partition_by: Sequence[str],
        replace_where: Mapping[str, Any] | None,
        schema_mode: str | None,
        note: Mapping[str, str],
    ) -> None:
        predicate = " AND ".join(_equals(column, value) for column, value in (replace_where or {}).items())
        try:
            write_deltalake(
                table,
                frame.batches(),
                mode=mode,  # type: ignore[call-overload]
                partition_by=list(partition_by) or None,
                predicate=predicate or None,
                schema_mode=schema_mode,
                commit_properties=_commit(note),
            )
        except CommitFailedError as error:
            raise WriteConflict(f"{table.parent.name}.{table.name}: {error}") from error
        except SchemaMismatchError as error:
            raise SchemaMismatch(f"{table.parent.name}.{table.name}: {error}") from error

    def upsert(self, table: Path, frame: Frame, keys: Sequence[str], version: int, note: Mapping[str, str]) -> None:
        on = " AND ".join(f'target."{key}" IS NOT DISTINCT FROM source."{key}"' for key in keys)
        merge = DeltaTable(table, version=version).merge(
            frame.batches(),
            predicate=on,
            source_alias="source",
            target_alias="target",
            commit_properties=_commit(note),
        )
        try:
            merge.when_matched_update_all().when_not_matched_insert_all().execute()
        except CommitFailedError as error:
            raise WriteConflict(f"{table.parent.name}.{table.name}: {error}") from error

    def close(self) -> None:
        self.connection.close()


def _drop(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    try:
        connection.cursor().execute(f'drop table if exists "{name}"')
    except duckdb.Error:
        pass  # the engine was closed first, and the table went with it


def _in_threads(frame: Frame, function: BatchFunction) -> Iterator[pa.RecordBatch]:
    """Batches through the function on all cores, in order, with few of them in memory at a time."""
    workers = os.cpu_count() or 2
    running: deque[Any] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for batch in frame.batches():
            running.append(pool.submit(lambda one: list(function(iter([one]))), batch))
            if len(running) > workers:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _commit(note: Mapping[str, str]) -> CommitProperties:
    # The same field in which Spark keeps its userMetadata, so that history reads alike on both engines.
    return CommitProperties(custom_metadata={"userMetadata": json.dumps(dict(note), sort_keys=True)} if note else None)


def _equals(column: str, value: Any) -> str:
    if value is None:
        return f'"{column}" IS NULL'
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f'"{column}" = ' + (text if isinstance(value, bool | int) else "'" + text.replace("'", "''") + "'")


class _readable:
    """DuckDB's errors in terms of the user's query: SqlError for what does not bind, DataError for what fails."""

    def __init__(self, query: str):
        self.query = query

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException | duckdb.ParserException):
            raise SqlError(f"{_first_line(error)}\nin: {self.query[:500]}") from None
        if isinstance(error, duckdb.Error):
            raise DataError(f"{_first_line(error)}\nin: {self.query[:500]}") from None


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
