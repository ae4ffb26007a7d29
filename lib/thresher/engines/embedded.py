"""The embedded engine: DuckDB computes and deltalake keeps the tables, in the notebook's own process."""

import ctypes
import itertools
import json
import shutil
import tempfile
import threading
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError

from thresher import disk_space, sql
from thresher.engines import BatchFunction, changed_keys, copying, rewriting
from thresher.engines.row_hashes import hash_of_rows
from thresher.errors import DataError, LakeError, SchemaMismatch, SqlError, WriteConflict
from thresher.frame import Frame
from thresher.private_folders import private_folder
from thresher.threads import in_order
from thresher.types import canonical_schema

ROWS_PER_BATCH = 10_000
BUFFER_BYTES = 1 << 20
# A row group is kept in memory until it is complete; a row with nested values can be a whole document.
NESTED_ROWS_PER_GROUP = 1 << 15
BYTES_PER_BATCH = 1 << 30  # an Arrow string column holds at most 2 GiB
LARGE_BLOCK = 1 << 20
_M_MMAP_THRESHOLD = -3  # in the C library's malloc.h
_numbers = itertools.count()


class EmbeddedFrame(Frame):
    """A DuckDB query and the named inputs it reads; every use runs on a cursor of its own."""

    is_staged = False  # whether its rows are computed, and kept in a table

    def __init__(
        self,
        engine: "EmbeddedEngine",
        query: str,
        inputs: "Mapping[str, EmbeddedFrame | pa.Table | Any]",
        text: str | None = None,
        schema: pa.Schema | None = None,
    ):
        self.engine: EmbeddedEngine = engine
        self.query = query
        self.inputs = inputs
        self.text = text or query  # what the user wrote, for errors
        with _readable(self.text):  # also where the schema is known: the query must bind
            found = self._relation()
            self._schema = canonical_schema(schema if schema is not None else found.limit(0).to_arrow_table().schema)

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
        with _readable(self.text):
            reader = self._relation().to_arrow_reader(rows)

        def exact() -> Iterator[pa.RecordBatch]:
            with _readable(self.text):
                for batch in reader:
                    for part in _sliced(batch):
                        yield self._exactly(part)

        return pa.RecordBatchReader.from_batches(self._schema, exact())

    def _exactly(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with the names and types of `schema`; its columns are in that order, maybe under other names."""
        columns = [
            pa.nulls(len(column)) if field.type == pa.null() else column.cast(field.type)
            for column, field in zip(batch.columns, self._schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def count(self) -> int:
        with _readable(self.text):
            (rows,) = self._relation().aggregate("count(*)").fetchone() or (0,)
        return int(rows)

    def head(self, rows: int = 10) -> "EmbeddedFrame":
        name = self.engine.fresh_name()
        return EmbeddedFrame(
            self.engine, f'select * from "{name}" limit {int(rows)}', {name: self}, schema=self._schema
        )


class DatasetFrame(EmbeddedFrame):
    """The rows of a dataset's files; read as they are without a query around them."""

    def __init__(self, engine: "EmbeddedEngine", table: Path, dataset: ds.Dataset):
        name = engine.fresh_name()
        # A condition on a plain column is Arrow's to answer, for whom NaN is not greater than any number.
        floats = [_escaped(field.name) for field in dataset.schema if pa.types.is_floating(field.type)]
        own = ", ".join(f"case when {each} is null then null else {each} end as {each}" for each in floats)
        replaced = f" replace ({own})" if own else ""
        super().__init__(engine, f'select *{replaced} from "{name}"', {name: dataset})
        self.folder = table
        self.dataset = dataset

    def batches_of(self, rows: int) -> pa.RecordBatchReader:
        parts = (self._exactly(part) for batch in self._read(rows) for part in _sliced(batch))
        return pa.RecordBatchReader.from_batches(self._schema, parts)

    def _read(self, rows: int) -> Iterator[pa.RecordBatch]:
        # Not by the dataset's scanner: that has whole row groups in memory, several of them ahead.
        for fragment in self.dataset.get_fragments():
            partition = ds.get_partition_keys(fragment.partition_expression)
            # By its path: the dataset's own file system cannot be used while deltalake writes.
            path = self.folder / fragment.path
            path = path if path.exists() else self.folder / unquote(fragment.path)
            with pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
                for batch in file.iter_batches(batch_size=rows, use_threads=False):
                    yield _with_all(batch, self.dataset.schema, partition)


class MappedFrame(EmbeddedFrame):
    """Rows that a function makes of a frame's batches: streamed to whoever reads them; a query keeps them first."""

    def __init__(
        self,
        engine: "EmbeddedEngine",
        source: EmbeddedFrame,
        function: BatchFunction,
        schema: pa.Schema,
        rows_per_call: int,
    ):
        self.engine = engine
        self.source = source
        self.function = function
        self.rows_per_call = rows_per_call
        self.text = "computing rows"
        self._schema = schema
        self._keeping = threading.Lock()
        self._kept: EmbeddedFrame | None = None

    @property
    def kept(self) -> EmbeddedFrame:
        """The rows in a table, made once."""
        with self._keeping:
            if self._kept is None:
                self._kept = self.engine.stage(self)
            return self._kept

    @property
    def query(self) -> str:  # type: ignore[override]
        return self.kept.query

    @property
    def inputs(self) -> "Mapping[str, EmbeddedFrame | pa.Table | Any]":  # type: ignore[override]
        return self.kept.inputs

    def batches_of(self, rows: int) -> pa.RecordBatchReader:
        if self._kept is not None:
            return self._kept.batches_of(rows)
        calls = self.source.batches_of(self.rows_per_call)
        batches = in_order(lambda call: self.function(iter([call])), calls)
        parts = (part for batch in batches for part in self._checked(batch, rows))
        return pa.RecordBatchReader.from_batches(self._schema, parts)

    def _checked(self, batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
        """A batch of the function in parts; others than the promised columns would be read as these."""
        if batch.schema.names != self._schema.names or batch.schema.types != self._schema.types:
            raise SchemaMismatch(
                f"a function over batches gave {batch.schema.to_string(show_schema_metadata=False)}; expected "
                f"{self._schema.to_string(show_schema_metadata=False)}. Give exactly these columns."
            )
        yield from (batch.slice(first, rows) for first in range(0, batch.num_rows, rows))


class EmbeddedEngine:
    """See `thresher.engines.Engine`."""

    name = "duckdb"

    def __init__(self) -> None:
        # Arrow's own keeps several times what is in use, of streams that pass from thread to thread.
        pa.set_memory_pool(pa.system_memory_pool())
        _give_back_large_blocks()
        self.connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
        # By default DuckDB spills into the working directory, which is the user's project.
        with ExitStack() as opened:
            self._spilled = opened.enter_context(private_folder(is_for_sockets=False))
            self._clean_up = weakref.finalize(self, opened.pop_all().close)
        self.connection.execute("set global temp_directory = ?", [str(self._spilled)])
        # Without it, 2 GiB of text in one batch are an error.
        self.connection.execute("set global arrow_large_buffer_size = true")
        sql.prepare(self.connection)
        self._functions = sql.Functions(self.connection)

    def fresh_name(self) -> str:
        """A name that no other frame or table of this process has."""
        return f"f{next(_numbers)}"

    def from_arrow(self, rows: pa.Table) -> EmbeddedFrame:
        return self._frame_of(rows.cast(canonical_schema(rows.schema)))

    def _taken_over(self, frame: Frame) -> EmbeddedFrame:
        """The frame itself, or the rows of a frame of another lake."""
        if isinstance(frame, EmbeddedFrame) and frame.engine is self:
            return frame
        return self._staged(frame.batches())

    def _frame_of(self, source: Any) -> EmbeddedFrame:
        name = self.fresh_name()
        return EmbeddedFrame(self, f'select * from "{name}"', {name: source})

    def sql(self, query: str, frames: Mapping[str, Frame]) -> EmbeddedFrame:
        names = {table: self.fresh_name() for table in frames}
        schemas = {table: frame.schema for table, frame in frames.items()}
        translated = sql.parse(query).translation(names, schemas)
        self._functions.provide(translated)
        inputs = {names[table]: self._taken_over(frame) for table, frame in frames.items()}
        return EmbeddedFrame(self, translated.sql, inputs, query, translated.schema)

    def difference(self, frame: Frame, other: Frame) -> EmbeddedFrame:
        one, two = self.fresh_name(), self.fresh_name()
        inputs = {one: self._taken_over(frame), two: self._taken_over(other)}
        return EmbeddedFrame(self, f'select * from "{one}" except all select * from "{two}"', inputs)

    def is_same(self, frame: Frame, other: Frame) -> bool:
        ours, theirs = self._taken_over(frame), self._taken_over(other)
        if frame.schema != other.schema or ours.count() != theirs.count():
            return False
        return self._hash(ours) == self._hash(theirs)

    def _hash(self, frame: EmbeddedFrame) -> Any:
        cursor = self.connection.cursor()
        with _unwrapped(frame.batches()) as incoming, _readable("comparing rows"):
            cursor.register("incoming", incoming)
            return cursor.execute(hash_of_rows("incoming", frame.schema)).fetchone()

    def stage(self, frame: Frame) -> EmbeddedFrame:
        if isinstance(frame, EmbeddedFrame) and frame.engine is self and frame.is_staged:
            return frame
        if type(frame) is not EmbeddedFrame or frame.engine is not self:
            return self._staged(frame.batches())
        name = f"staged_{self.fresh_name()}"
        cursor = self.connection.cursor()
        with _readable(frame.text):
            frame._bind(cursor, set())
            cursor.execute(f'create table "{name}" as {frame.query}')
        return self._kept(name, frame.schema)

    def spool(self, frame: Frame) -> EmbeddedFrame:
        if isinstance(frame, EmbeddedFrame) and frame.engine is self and frame.is_staged:
            return frame
        folder = self._spilled / self.fresh_name()
        folder.mkdir()
        try:
            with pq.ParquetWriter(folder / "rows", frame.schema, compression="lz4", use_dictionary=False) as file:
                for batch in frame.batches():
                    file.write_batch(batch)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError) and disk_space.is_full(error):
                raise disk_space.full("a copy of the rows", self._spilled) from error
            raise
        spooled = DatasetFrame(self, folder, ds.dataset(folder / "rows", schema=frame.schema))
        weakref.finalize(spooled, shutil.rmtree, folder, ignore_errors=True)
        return spooled

    def _staged(self, reader: pa.RecordBatchReader) -> EmbeddedFrame:
        name = f"staged_{self.fresh_name()}"
        cursor = self.connection.cursor()
        with _unwrapped(reader) as incoming, _readable("computing rows"):
            cursor.register("incoming", incoming)
            cursor.execute(f'create table "{name}" as select * from incoming')
        return self._kept(name, reader.schema)

    def _kept(self, name: str, schema: pa.Schema) -> EmbeddedFrame:
        """The rows of a table that is dropped with the last frame that reads it."""
        frame = EmbeddedFrame(self, f'select * from "{name}"', {}, schema=schema)
        weakref.finalize(frame, _drop, self.connection, name)
        # Frames derived from this one must keep it, and with it the table, alive.
        kept = EmbeddedFrame(self, f'select * from "{name}_v"', {f"{name}_v": frame}, schema=schema)
        kept.is_staged = True
        return kept

    def map_batches(
        self, frame: Frame, function: BatchFunction, schema: pa.Schema, *, rows_per_call: int | None = None
    ) -> EmbeddedFrame:
        return MappedFrame(self, self._taken_over(frame), function, schema, rows_per_call or ROWS_PER_BATCH)

    def read(self, table: Path, version: int | None = None) -> EmbeddedFrame:
        return DatasetFrame(self, table, rewriting.files(DeltaTable(table, version=version), table, {}).rows)

    def versions(self, table: Path, one: int, other: int) -> tuple[EmbeddedFrame, EmbeddedFrame]:
        tables = [DeltaTable(table, version=version) for version in (one, other)]
        paths = [set(each.to_pyarrow_dataset().files) for each in tables]
        ours, theirs = (
            DatasetFrame(self, table, rewriting.files(each, table, {}).without(paths[0] & paths[1]).rows)
            for each in tables
        )
        keys = changed_keys.between(table, one, other)
        if keys is None or not set(keys.column_names) <= set(ours.columns).intersection(theirs.columns):
            return ours, theirs
        return self._with_keys(ours, keys), self._with_keys(theirs, keys)

    def _with_keys(self, rows: EmbeddedFrame, keys: pa.Table) -> EmbeddedFrame:
        ours, theirs = self.fresh_name(), self.fresh_name()
        on = _matching(ours, theirs, keys.column_names)
        return EmbeddedFrame(
            self,
            f'select * from "{ours}" semi join "{theirs}" on {on}',
            {ours: rows, theirs: keys},
            "comparing versions",
            rows.schema,
        )

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
        there = DeltaTable(table) if DeltaTable.is_deltatable(str(table)) else None
        if not partition_by and not replace_where and copying.is_possible(frame.schema, there):
            self._copy(table, there, frame, mode, note)
            return
        predicate = " AND ".join(_equals(column, value) for column, value in (replace_where or {}).items())
        with _unwrapped(frame.batches()) as batches, _writable(table):
            write_deltalake(
                table,
                batches,
                mode=mode,  # type: ignore[call-overload]
                partition_by=list(partition_by) or None,
                predicate=predicate or None,
                schema_mode=schema_mode,
                writer_properties=_writer(frame.schema),
                commit_properties=_commit(note),
            )

    def _copy(self, table: Path, there: DeltaTable | None, frame: Frame, mode: str, note: Mapping[str, str]) -> None:
        cursor = self.connection.cursor()
        target = (frame.schema, table, there, mode, _metadata(note))
        if type(frame) is EmbeddedFrame and frame.engine is self:
            with _readable(frame.text, table), _writable(table):
                frame._bind(cursor, set())
                copying.write(cursor, frame.query, *target)
            return
        with _unwrapped(frame.batches()) as incoming, _readable("writing rows", table), _writable(table):
            cursor.register("incoming", incoming)
            copying.write(cursor, "select * from incoming", *target)

    def upsert(
        self,
        table: Path,
        frame: Frame,
        keys: Sequence[str],
        version: int,
        note: Mapping[str, str],
        *,
        deleted: str | None = None,
    ) -> None:
        there = DeltaTable(table, version=version)
        if rewriting.is_possible(there):
            self._rewrite(table, there, self._taken_over(frame), keys, note, deleted)
        else:
            self._merge(table, there, frame, keys, note, deleted)

    def _rewrite(
        self,
        table: Path,
        there: DeltaTable,
        changes: EmbeddedFrame,
        keys: Sequence[str],
        note: Mapping[str, str],
        deleted: str | None,
    ) -> None:
        partitions = set(there.metadata().partition_columns)
        near = rewriting.files(there, table, self._extents(changes, keys, partitions))
        old = near.only(self._holding(near, changes, keys))
        ours, theirs = self.fresh_name(), self.fresh_name()
        columns = [name for name in changes.columns if name != deleted]
        names = ", ".join(_escaped(name) for name in columns)
        rows = EmbeddedFrame(
            self,
            f'select {names} from "{ours}" anti join "{theirs}" on {_matching(ours, theirs, keys)} '
            f'union all select {names} from "{theirs}"' + (f" where not {_escaped(deleted)}" if deleted else ""),
            {ours: old.rows, theirs: changes},
            "applying changes",
            pa.schema([changes.schema.field(name) for name in columns]),
        )
        with _unwrapped(rows.batches()) as batches, _writable(table):
            version = there.version() + 1  # or the commit fails
            rewriting.replace(there, table, old, batches, _writer(rows.schema), _metadata(note))
        with _writable(table):
            changed_keys.keep(table, version, self._keys(changes, keys).to_arrow())

    def _keys(self, rows: EmbeddedFrame, keys: Sequence[str]) -> EmbeddedFrame:
        name = self.fresh_name()
        schema = pa.schema([rows.schema.field(key) for key in keys])
        return EmbeddedFrame(
            self, f'select {", ".join(map(_escaped, keys))} from "{name}"', {name: rows}, schema=schema
        )

    def _extents(self, changes: EmbeddedFrame, keys: Sequence[str], partitions: Collection[str]) -> dict[str, pa.Array]:
        """The values of the keys by which a table knows its files: all of a partition's, else the least and greatest;
        only of keys without a null."""
        known = [key for key in keys if rewriting.tells_of_files(changes.schema.field(key).type, key in partitions)]
        parts = [
            f"list(distinct {_escaped(key)})" if key in partitions else f"[min({_escaped(key)}), max({_escaped(key)})]"
            for key in known
        ]
        if not parts:
            return {}
        name = self.fresh_name()
        nulls = ", ".join(f"count(*) - count({_escaped(key)})" for key in known)
        query = f'select {", ".join(parts)}, {nulls} from "{name}"'
        (row,) = EmbeddedFrame(self, query, {name: changes}).native.fetchall()
        return {
            key: pa.array(values, changes.schema.field(key).type)
            for key, values, missing in zip(known, row, row[len(known) :], strict=False)
            if not missing and values and None not in values
        }

    def _holding(self, files: rewriting.Files, changes: EmbeddedFrame, keys: Sequence[str]) -> list[int]:
        """The numbers of the files that hold one of the keys of some changes."""
        cursor = self.connection.cursor()
        changes._bind(cursor, set())
        cursor.register("held", files.keys(keys))
        with _readable("applying changes"):
            found = cursor.execute(
                f"select distinct {rewriting.NUMBER} from held semi join ({changes.query}) as changes "
                f"on {_matching('held', 'changes', keys)} order by all"
            ).fetchall()
        return [number for (number,) in found]

    def _merge(
        self,
        table: Path,
        there: DeltaTable,
        frame: Frame,
        keys: Sequence[str],
        note: Mapping[str, str],
        deleted: str | None,
    ) -> None:
        with _unwrapped(frame.batches()) as batches, _writable(table):
            merge = there.merge(
                batches,
                predicate=_matching("target", "source", keys),
                source_alias="source",
                target_alias="target",
                commit_properties=_commit(note),
            )
            if deleted:
                is_deleted = f"source.{_escaped(deleted)}"
                merge = merge.when_matched_delete(is_deleted)
                merge = merge.when_matched_update_all(f"NOT {is_deleted}", except_cols=[deleted])
                merge.when_not_matched_insert_all(f"NOT {is_deleted}", except_cols=[deleted]).execute()
            else:
                merge.when_matched_update_all().when_not_matched_insert_all().execute()

    def close(self) -> None:
        self.connection.close()
        self._clean_up()


def _give_back_large_blocks() -> None:
    """Let freed memory go back to the system: the GNU C library would keep blocks of up to 32 MB, for each thread."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)


def _with_all(batch: pa.RecordBatch, schema: pa.Schema, partition: Mapping[str, Any]) -> pa.RecordBatch:
    """The columns of a schema: those of a file, its partition's, and nulls for what came later."""
    columns = [
        batch.column(field.name)
        if field.name in batch.schema.names
        else pa.repeat(pa.scalar(partition.get(field.name), field.type), batch.num_rows)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(
        [column.cast(f.type) for column, f in zip(columns, schema, strict=True)], schema=schema
    )


def _sliced(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in parts of at most BYTES_PER_BATCH, as far as single rows allow it."""
    parts = max(1, -(-batch.nbytes // BYTES_PER_BATCH))
    rows = max(1, -(-batch.num_rows // parts))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _drop(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    try:
        connection.cursor().execute(f'drop table if exists "{name}"')
    except duckdb.Error:
        pass  # the engine was closed first, and the table went with it


def _writer(schema: pa.Schema) -> WriterProperties:
    has_nested = any(pa.types.is_nested(kind) for kind in schema.types)
    return WriterProperties(compression="SNAPPY", max_row_group_size=NESTED_ROWS_PER_GROUP if has_nested else None)


def _commit(note: Mapping[str, str]) -> CommitProperties:
    return CommitProperties(custom_metadata=_metadata(note))


def _metadata(note: Mapping[str, str]) -> dict[str, str] | None:
    # The same field in which Spark keeps its userMetadata, so that history reads alike on both engines.
    return {"userMetadata": json.dumps(dict(note), sort_keys=True)} if note else None


def _matching(one: str, other: str, keys: Sequence[str]) -> str:
    """Null-safe, as deltalake and DuckDB both understand it."""
    pairs = ((f"{_escaped(one)}.{_escaped(key)}", f"{_escaped(other)}.{_escaped(key)}") for key in keys)
    return " AND ".join(f"({ours} IS NOT DISTINCT FROM {theirs})" for ours, theirs in pairs)


def _escaped(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _equals(column: str, value: Any) -> str:
    if value is None:
        return f"{_escaped(column)} IS NULL"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{_escaped(column)} = " + (text if isinstance(value, bool | int) else "'" + text.replace("'", "''") + "'")


@contextmanager
def _unwrapped(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatchReader]:
    """The same rows for a library that would hand on only the text of an error on our side: raises the error itself."""
    failure: list[BaseException] = []

    def watched() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except BaseException as error:
            failure.append(error)
            raise

    try:
        yield pa.RecordBatchReader.from_batches(reader.schema, watched())
    except Exception:
        if failure:
            raise failure[0] from None
        raise


@contextmanager
def _writable(table: Path) -> Iterator[None]:
    """deltalake's errors as ours; a write that failed has committed nothing."""
    name = f"{table.parent.name}.{table.name}"
    try:
        yield
    except CommitFailedError as error:
        raise WriteConflict(f"{name}: {error}") from error
    except SchemaMismatchError as error:
        raise SchemaMismatch(f"{name}: {error}") from error
    except (DeltaError, OSError) as error:
        if disk_space.is_full(error):
            raise disk_space.full(name, table) from error
        raise LakeError(f"{name} cannot be written; it is as it was before: {_first_line(error)}") from error


class _readable:
    """DuckDB's errors in terms of the user's query: SqlError for what does not bind, DataError for what fails."""

    def __init__(self, query: str, table: Path | None = None):
        self.query = query
        self.table = table  # that the rows are written to

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException | duckdb.ParserException):
            raise SqlError(f"{_first_line(error)}\nin: {self.query[:500]}") from None
        if (
            isinstance(error, duckdb.Error)
            and disk_space.is_full(error)
            and self.table
            and str(self.table) in str(error)
        ):
            raise disk_space.full(f"{self.table.parent.name}.{self.table.name}", self.table) from None
        if isinstance(error, duckdb.Error) and disk_space.is_full(error):
            raise disk_space.full("rows that do not fit into memory", tempfile.gettempdir()) from None
        if isinstance(error, duckdb.Error):
            raise DataError(f"{_first_line(error)}\nin: {self.query[:500]}") from None


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
