"""The lake: zones of datasets, each a Delta table, with SQL across them."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from filelock import FileLock, Timeout

from thresher import disk_space, merging, sql
from thresher.checks import gate
from thresher.columns import check_storable, fitted, require_columns, require_unique
from thresher.datasets import ZONES, is_table_name, parse_name
from thresher.engines import open_engine
from thresher.errors import DatasetNotFound, LakeError, SchemaMismatch, UsageError, WriteConflict
from thresher.frame import Frame
from thresher.merging import Merged
from thresher.places import check_readable
from thresher.project import resolve
from thresher.sql.params import bind, literal
from thresher.sql.statements import parse_statement
from thresher.statements import Changed, compute
from thresher.types import canonical_schema, ddl, quoted

_LOCK_WAIT_S = 600
_ATTEMPTS = 8

Rows = Any  # a Frame, pyarrow Table or RecordBatchReader, pandas DataFrame, or list of dicts
Result = TypeVar("Result")


@dataclass(frozen=True)
class Dataset:
    """What is known of one dataset without reading its rows."""

    name: str
    zone: str
    version: int
    rows: int
    bytes: int
    files: int
    columns: tuple[tuple[str, str], ...]
    updated_at: datetime


class Lake:
    """A folder of Delta tables: `<lake>/<zone>/<name>`.

    `path` is absolute or relative to the project; it is created by the first write. `engine` is duckdb, spark or
    sc://host:port, by default what THRESHER_ENGINE says, else duckdb. Raises LakeError where the path is no folder
    that can be read.

    >>> import tempfile
    >>> lake = Lake(tempfile.mkdtemp())
    >>> _ = lake.write("curated.books", [{"title": "Biology", "year": 2005}, {"title": "Physics", "year": None}])
    >>> lake.sql("select title from curated.books where year > :since", {"since": 2000}).to_arrow().to_pylist()
    [{'title': 'Biology'}]
    """

    def __init__(self, path: str | Path = "lake", engine: str | None = None) -> None:
        if "://" in str(path):
            raise UsageError(f"lake {path}: object stores are not supported yet; give a folder")
        if "%" in str(path):  # deltalake would read %20 as a space, here but not there
            raise UsageError(f"lake {path}: a percent sign in the path is not supported; give another folder")
        self.path = resolve(path)
        check_readable(self.path)
        self.engine = open_engine(engine)

    def __repr__(self) -> str:
        return f"Lake({self.path.name!r}, engine={self.engine.name!r})"

    # reading

    def read(self, name: str, version: int | None = None) -> Frame:
        """The rows of a dataset, now or as of an earlier version; later writes do not change the frame.

        Raises DatasetNotFound, and LakeError for a version that is not there.
        """
        self._existing(name, version)
        return self.engine.read(self.location(name), version)

    def sql(self, query: str, params: Mapping[str, Any] | None = None, **frames: Rows) -> Frame:
        """The result of one query in Spark's dialect over datasets by name, and over `frames` by keyword.

        `:name` in the query stands for the value in `params`. Raises SqlError, NotPortable, DatasetNotFound.
        """
        text = bind(query, params or {})
        sources = {name: self.frame(rows) for name, rows in frames.items()}
        for table in sql.parse(text).tables:
            if table not in sources:
                sources[table] = self.read(table)
        return self.engine.sql(text, sources)

    def frame(self, rows: Rows) -> Frame:
        """Rows as a frame of this lake's engine: a Frame as it is; Arrow, pandas or a list of dicts taken over."""
        if isinstance(rows, Frame):
            return rows
        if isinstance(rows, pa.RecordBatchReader):
            rows = rows.read_all()
        try:
            if isinstance(rows, list):
                rows = pa.Table.from_pylist(rows)
            elif not isinstance(rows, pa.Table):
                rows = pa.Table.from_pandas(rows, preserve_index=False)
        except (pa.ArrowException, OverflowError, AttributeError) as error:
            raise SchemaMismatch(
                f"rows cannot be read: {error}. Expected a Frame, an Arrow table or reader, a pandas DataFrame, or a "
                f"list of dicts whose values have one type per column."
            ) from error
        check_storable(rows.schema, "rows")  # before an engine sees them: DuckDB renames the second of a and A
        return self.engine.from_arrow(rows)

    def exists(self, name: str) -> bool:
        """Whether the lake holds that dataset."""
        return DeltaTable.is_deltatable(str(self.location(name)))

    def schema(self, name: str) -> pa.Schema:
        """Names and types of a dataset's columns."""
        return _schema(self._existing(name))

    def tables(self, zone: str | None = None) -> list[Dataset]:
        """All datasets, or those of a zone, by name. Raises LakeError for one that cannot be read."""
        return [self.describe(name) for name in self.names(zone)]

    def names(self, zone: str | None = None) -> list[str]:
        """The names of all datasets, or of those of a zone, in order."""
        return sorted(
            f"{each}.{folder.name}"
            for each in ZONES
            if zone in (None, each) and (self.path / each).is_dir()
            for folder in (self.path / each).iterdir()
            if is_table_name(folder.name) and DeltaTable.is_deltatable(str(folder))
        )

    def history(self, name: str) -> list[dict[str, Any]]:
        """One entry per version, newest first: version, timestamp (UTC), operation, run (empty if by hand), and
        the batch of landing files that it is of (empty for others)."""
        entries = self._existing(name).history()
        return [
            {
                "version": entry["version"],
                "timestamp": datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
                "operation": entry["operation"],
                "run": _noted(entry.get("userMetadata"), "run"),
                "batch": _noted(entry.get("userMetadata"), "batch"),
            }
            for entry in entries
        ]

    def note(self, name: str, what: str) -> str:
        """What the note of the newest commit of a dataset says under a name; empty where it says nothing."""
        (entry,) = self._existing(name).history(1)
        return _noted(entry.get("userMetadata"), what)

    def snapshot(self, name: str) -> tuple[str, int]:
        """What a dataset holds now, by the table's own id and its version: equal ones hold the same rows."""
        table = self._existing(name)
        return str(table.metadata().id), table.version()

    def versions(self, name: str, one: int, other: int) -> tuple[Frame, Frame]:
        """The rows of a dataset at two versions, maybe without some that both have. Raises LakeError."""
        for version in (one, other):
            self._existing(name, version)
        return self.engine.versions(self.location(name), one, other)

    # writing

    def write(
        self,
        name: str,
        rows: Rows,
        *,
        mode: str = "overwrite",
        partition_by: Sequence[str] = (),
        partition: Mapping[str, Any] | None = None,
        schema: str = "assert",
        note: Mapping[str, str] | None = None,
    ) -> int:
        """Write rows to a dataset in one commit; return the version that readers now see.

        `mode` is overwrite or append; `partition` ({column: value}) overwrites just the rows with those values.
        `schema`: with `assert` the rows must have exactly the dataset's columns, in any order; `evolve` adds new
        columns and fills missing ones with null; `replace` (overwrite only) takes the schema of the rows. A whole
        number, float or decimal goes into a wider column of its kind; anything else raises SchemaMismatch, and
        nothing is written. An overwrite with the very rows that are there commits nothing. `note` is kept with the
        commit (see `history`).
        """
        _expect("mode", mode, ("overwrite", "append"))
        _expect("schema", schema, ("assert", "evolve", "replace"))
        if partition and mode != "overwrite":
            raise UsageError(f"{name}: partition={dict(partition)} goes with mode='overwrite', found mode={mode!r}")
        if schema == "replace" and (mode != "overwrite" or partition):
            raise UsageError(f"{name}: schema='replace' goes with a whole overwrite only")
        frame = self.frame(rows)
        check_storable(frame.schema, name)
        with self._writing(name):
            exists = self.exists(name)
            if not exists and partition:
                raise DatasetNotFound(f"{name}: cannot overwrite a partition of a dataset that is not there")
            self._check_partitions(name, frame, partition_by, exists)
            if exists and schema != "replace":
                frame = fitted(frame, self.schema(name), name, is_evolving=schema == "evolve")
            frame = self._passed(name, frame, lambda rows: self._written(name, rows, mode, partition))
            if exists and mode == "overwrite":
                frame = self.engine.spool(frame)
                if self._holds(name, frame, partition):
                    return self._version(name)
            self._commit(
                name,
                frame,
                mode=mode,
                partition_by=partition_by,
                replace_where=partition,
                schema_mode={"assert": None, "evolve": "merge", "replace": "overwrite"}[schema] if exists else None,
                note=note,
            )
            return self._version(name)

    def merge(
        self,
        name: str,
        rows: Rows | Callable[[], Rows],
        keys: Sequence[str],
        *,
        schema: str = "assert",
        note: Mapping[str, str] | None = None,
    ) -> Merged:
        """Update the rows that match on `keys` and differ, insert those that are new, leave the rest alone.

        Keys and changes are compared null-safe: null equals null and differs from any value. `rows` may be a function
        that makes them from what the dataset holds: it is called while no other process here can write to it. With
        `schema="evolve"` new columns are added and missing ones become null. Raises DuplicateKeys when the rows, or the
        rows of the dataset that they match, hold a key twice; MissingColumns, SchemaMismatch, WriteConflict. A dataset
        that is not there is created. Nothing is committed when nothing changed.
        """
        _expect("schema", schema, ("assert", "evolve"))
        if not keys:
            raise UsageError(f"{name}: a merge needs the columns that identify a row; found keys={list(keys)}")
        with self._writing(name):
            return _retrying(lambda: self._merge_once(name, rows, keys, schema, note))

    def apply(
        self,
        name: str,
        rows: Rows,
        keys: Sequence[str],
        *,
        deleted: str,
        partition_by: Sequence[str] = (),
        note: Mapping[str, str] | None = None,
    ) -> None:
        """Update or insert rows by their keys, and delete those of which the column `deleted` is true, in one commit.

        The keys are unique in `rows` and compared null-safe; `deleted` is no column of the dataset. New columns are
        added. A dataset that is not there is created. Raises DuplicateKeys, SchemaMismatch, WriteConflict.
        """
        frame = self.engine.stage(self.frame(rows))
        require_unique(frame, keys, name)
        plain = ", ".join(quoted(column) for column in frame.columns if column != deleted)
        with self._writing(name):
            if not self.exists(name):
                new = self.engine.sql(f"select {plain} from rows where not {quoted(deleted)}", {"rows": frame})
                check_storable(new.schema, name)
                new = self._passed(name, new, lambda rows: rows)
                self._check_partitions(name, new, partition_by, exists=False)
                self._commit(name, new, mode="append", partition_by=partition_by, note=note)
                return
            frame = self._passed(name, frame, lambda rows: self._applied(name, rows, keys, deleted), quoted(deleted))
            if not frame.count():
                return
            known = self.schema(name)
            data = fitted(self.engine.sql(f"select {plain} from rows", {"rows": frame}), known, name, is_evolving=True)
            self._check_partitions(name, data, partition_by, exists=True)
            if data.schema != known:
                self._commit(name, data.head(0), mode="append", schema_mode="merge")
            parts = [
                f"cast({quoted(f.name)} as {ddl(f.type)}) as {quoted(f.name)}"
                if f.name in frame.columns
                else f"cast(null as {ddl(f.type)}) as {quoted(f.name)}"
                for f in data.schema
            ]
            changes = self.engine.sql(f"select {', '.join(parts)}, {quoted(deleted)} from rows", {"rows": frame})
            self.engine.upsert(self.location(name), changes, keys, self._version(name), _note(note), deleted=deleted)

    def delete(self, name: str, where: str) -> int:
        """Delete the rows for which a condition in portable SQL is true; return how many."""
        return self.execute(f"delete from {name} where {where}").deleted

    def execute(self, statement: str, params: Mapping[str, Any] | None = None, **frames: Rows) -> Changed:
        """Run one INSERT, UPDATE, DELETE or MERGE in Spark's dialect on a dataset; return how many rows it changed.

        It may read datasets by name, and `frames` by keyword; `:name` stands for the value in `params`. One commit, or
        none where nothing changes. Raises SqlError, NotPortable, DatasetNotFound, SchemaMismatch for a value that
        the column cannot hold, DuplicateKeys where several rows of a MERGE's source would change one row.
        """
        text = bind(statement, params or {})
        parsed = parse_statement(text)
        given = {name: self.frame(rows) for name, rows in frames.items()}
        if taken := [name for name in given if name.startswith("_")]:
            raise UsageError(f"rows named {taken}: names that begin with _ are taken here. Give them another name.")
        name = parsed.target
        with self._writing(name):
            version = self._version(name) if self.exists(name) else None
            change = compute(parsed, self.read(name, version), self.sql, given)
            if change.rows is not None:
                if self._version(name) != version:
                    raise WriteConflict(f"{name}: another process has written to it meanwhile; run the statement again")
                self._check_partitions(name, change.rows, (), exists=True)
                rows = self._passed(name, change.rows, lambda rows: self._written(name, rows, change.mode))
                self._commit(name, rows, mode=change.mode)
            return change.counts

    # checking

    def check(self, name: str) -> None:
        """Ask the running step's rules of what a dataset holds, where a load brought nothing. Raises ChecksFailed."""
        self._passed(name, self.read(name).head(0), lambda _: self.read(name))

    def _passed(self, name: str, rows: Frame, after: Callable[[Frame], Frame], exempt: str = "false") -> Frame:
        """The rows that may be written by the running step's rules; `after` makes of them what the dataset would be."""
        if not gate.rules_of(name):
            return rows
        return gate.passed(self, name, self.engine.spool(rows), after, exempt)

    def _written(self, name: str, rows: Frame, mode: str, partition: Mapping[str, Any] | None = None) -> Frame:
        """What a dataset would be with rows appended, or in the place of all or of those of a partition."""
        if not self.exists(name) or (mode == "overwrite" and not partition):
            return rows
        where = " and ".join(f"{quoted(column)} <=> {literal(value)}" for column, value in (partition or {}).items())
        return self._together(name, rows, f"where not ({where})" if partition else "")

    def _applied(self, name: str, rows: Frame, keys: Sequence[str], deleted: str = "") -> Frame:
        """What a dataset would be with rows in the place of those of the same keys."""
        on = " and ".join(f"b.{quoted(key)} <=> r.{quoted(key)}" for key in keys)
        return self._together(name, rows, f"left anti join rows r on {on}", deleted)

    def _together(self, name: str, rows: Frame, others: str, deleted: str = "") -> Frame:
        known = self.read(name)
        here, there = rows.schema, known.schema
        columns = [*(field for field in here if field.name != deleted), *(f for f in there if f.name not in here.names)]

        def listed(schema: pa.Schema, alias: str) -> str:
            return ", ".join(
                (f"{alias}.{quoted(f.name)}" if f.name in schema.names else f"cast(null as {ddl(f.type)})")
                + f" as {quoted(f.name)}"
                for f in columns
            )

        new = f"select {listed(here, 'n')} from rows n{f' where not n.{quoted(deleted)}' if deleted else ''}"
        old = f"select {listed(there, 'b')} from before b {others}"
        return self.sql(f"{old} union all {new}", before=known, rows=rows)

    # below

    def location(self, name: str) -> Path:
        """The folder of a dataset, there or not."""
        zone, table = parse_name(name)
        return self.path / zone / table

    def _existing(self, name: str, version: int | None = None) -> DeltaTable:
        try:
            return DeltaTable(self.location(name), version=version)
        except TableNotFoundError:
            close = get_close_matches(name, self.names(), 1)
            hint = (
                f" Did you mean {close[0]}?" if close else f" The lake holds: {', '.join(self.names()) or 'nothing'}."
            )
            raise DatasetNotFound(f"no dataset {name} in lake {self.path}.{hint}") from None
        except (DeltaError, OSError) as error:
            what = name if version is None else f"{name} version {version}"
            raise LakeError(f"{what} in lake {self.path} cannot be read: {error}") from error

    def _check_partitions(self, name: str, frame: Frame, partition_by: Sequence[str], exists: bool) -> None:
        found = DeltaTable(self.location(name)).metadata().partition_columns if exists else list(partition_by)
        if partition_by and list(partition_by) != found:
            raise UsageError(f"{name} is partitioned by {found or 'nothing'}, found partition_by={list(partition_by)}")
        require_columns(frame, found, name)
        if found and len(found) == len(frame.schema.names):
            raise UsageError(
                f"{name}: found partition_by={found}, which are all of its columns; expected one more at least, "
                f"since files hold what is beside these. Leave out partition_by."
            )
        texts = [column for column in found if pa.types.is_string(frame.schema.field(column).type)]
        empty = " or ".join(f"{quoted(column)} = ''" for column in texts)
        if empty and self.engine.sql(f"select 1 as one from rows where {empty}", {"rows": frame}).head(1).count():
            raise SchemaMismatch(
                f"{name}: an empty text in a partition column ({', '.join(texts)}) would come back as null. "
                f"Replace it, or do not partition by that column."
            )

    def _version(self, name: str) -> int:
        return DeltaTable(self.location(name)).version()

    def describe(self, name: str) -> Dataset:
        """What is known of a dataset without reading its rows. Raises DatasetNotFound, LakeError."""
        table = self._existing(name)
        files = pa.table(table.get_add_actions(flatten=True))
        known = files.column("num_records").to_pylist() if "num_records" in files.column_names else [None]
        rows = self.engine.read(self.location(name)).count() if None in known else sum(known)
        (last,) = table.history(1)
        return Dataset(
            name=name,
            zone=name.partition(".")[0],
            version=table.version(),
            rows=rows,
            bytes=sum(files.column("size_bytes").to_pylist()),
            files=files.num_rows,
            columns=tuple((field.name, ddl(field.type)) for field in _schema(table)),
            updated_at=datetime.fromtimestamp(last["timestamp"] / 1000, UTC),
        )

    def _commit(
        self,
        name: str,
        frame: Frame,
        *,
        mode: str,
        partition_by: Sequence[str] = (),
        replace_where: Mapping[str, Any] | None = None,
        schema_mode: str | None = None,
        note: Mapping[str, str] | None = None,
    ) -> None:
        self.engine.write(
            self.location(name),
            frame,
            mode=mode,
            partition_by=partition_by,
            replace_where=replace_where,
            schema_mode=schema_mode,
            note=_note(note),
        )

    def _merge_once(
        self, name: str, rows: Rows, keys: Sequence[str], schema: str, note: Mapping[str, str] | None
    ) -> Merged:
        version = self._version(name) if self.exists(name) else None
        frame = self.engine.stage(self.frame(rows() if callable(rows) else rows))
        require_columns(frame, keys, name)
        require_unique(frame, keys, name)
        if version is None:
            check_storable(frame.schema, name)
            frame = self._passed(name, frame, lambda rows: rows)
            self._commit(name, frame, mode="append", note=note)
            return Merged(inserted=frame.count(), updated=0, unchanged=0)
        frame = fitted(frame, self.schema(name), name, is_evolving=schema == "evolve")
        frame = self._passed(name, frame, lambda rows: self._applied(name, rows, keys))
        if frame.schema != self.schema(name):
            self._commit(name, frame.head(0), mode="append", schema_mode="merge")
            version = self._version(name)
        changes, merged = merging.compare(frame, self.engine.read(self.location(name), version), keys, name)
        if merged.inserted or merged.updated:
            self.engine.upsert(self.location(name), changes, keys, version, _note(note))
        return merged

    def _holds(self, name: str, frame: Frame, partition: Mapping[str, Any] | None) -> bool:
        """Whether the dataset, or that partition of it, holds exactly these rows already."""
        current = self.read(name)
        if partition:
            where = " and ".join(f"{quoted(column)} <=> {literal(value)}" for column, value in partition.items())
            current = self.sql(f"select * from rows where {where}", rows=current)
        return self.engine.is_same(frame, current)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """One writer of a dataset at a time on this machine; the lock dies with its process."""
        folder = self.path / "_locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f"{name}.lock")
            lock.acquire(timeout=_LOCK_WAIT_S)
        except Timeout:
            raise WriteConflict(
                f"{name}: another process has been writing for {_LOCK_WAIT_S} s ({folder / name}.lock); try again later"
            ) from None
        except OSError as error:
            if disk_space.is_full(error):
                raise disk_space.full(name, self.path) from error
            raise LakeError(f"lake {self.path} cannot be written: {error}") from error
        try:
            yield
        finally:
            lock.release()


def _schema(table: DeltaTable) -> pa.Schema:
    return canonical_schema(pa.schema(table.schema().to_arrow()))


def _note(more: Mapping[str, str] | None = None) -> dict[str, str]:
    run = os.environ.get("THRESHER_RUN_ID")
    return ({"run": run} if run else {}) | dict(more or {})


def _noted(text: str | None, what: str) -> str:
    try:
        return str(json.loads(text or "{}")[what])
    except (ValueError, KeyError, TypeError):  # a commit by somebody else, or of something else
        return ""


def _expect(what: str, found: str, allowed: Sequence[str]) -> None:
    if found not in allowed:
        raise UsageError(f"{what} {found!r} is unknown; expected {' or '.join(allowed)}")


def _retrying(attempt: Callable[[], Result]) -> Result:
    """Read, compute and commit again when a writer elsewhere was faster; the last conflict is raised."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except WriteConflict:
            continue
    return attempt()
