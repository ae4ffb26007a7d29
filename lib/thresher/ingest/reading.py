"""Files to rows, where the engine's threads or executors are: first all are surveyed, then all are read."""

import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from thresher import quarantine
from thresher.errors import DataError, SchemaMismatch, TransientError, UsageError
from thresher.frame import Frame
from thresher.ingest import changes, sequences
from thresher.ingest.columns import Survey
from thresher.ingest.formats import Format
from thresher.lake import Lake
from thresher.landing import LandingFile

UNREADABLE = (pa.ArrowException, OSError, ValueError, EOFError)
MOST_KEPT_BYTES = 16 << 20
"""How much of a refused file the quarantine keeps; the rest is in landing, which nobody changes."""

_FILES = pa.schema([("path", pa.string()), ("name", pa.string())])
_SURVEYS = pa.schema([("name", pa.string()), ("survey", pa.binary()), ("reason", pa.string())])


def survey(lake: Lake, format: Format, files: Sequence[LandingFile]) -> tuple[dict[str, Survey], dict[str, str]]:
    """What each file holds, by its name; and by their names why others cannot be read."""
    found = lake.engine.map_batches(_frame(lake, files), _Surveyor(format), _SURVEYS, rows_per_call=1)
    rows = sorted(found.to_arrow().to_pylist(), key=lambda row: row["name"])
    good = {row["name"]: pickle.loads(row["survey"]) for row in rows if row["survey"] is not None}
    return good, {row["name"]: row["reason"] for row in rows if row["survey"] is None}


def read(
    lake: Lake,
    format: Format,
    files: Sequence[LandingFile],
    columns: pa.Schema,
    *,
    key: Sequence[str] = (),
    order_by: Sequence[str] = (),
    rescues: bool = False,
    is_ordered: bool = True,
) -> Frame:
    """All rows of these files in `changes.form(columns)`, computed once.

    Where rows are to be `is_ordered`, `_sequence` is complete: by `order_by`, then by the positions that the format
    knows, else by file and row. A row with a null in its `key` is refused; so is one with a value that is none of its
    column's type, but where the load `rescues`: then the value goes to `_rescued`.
    """
    reader = _Reader(format, columns, tuple(key), tuple(order_by), rescues, is_ordered)
    rows = lake.engine.map_batches(_frame(lake, files), reader, changes.form(columns), rows_per_call=1)
    return lake.engine.stage(rows)


def kept_bytes(path: Path) -> bytes | None:
    """The bytes of a refused file for the quarantine, or the first of them; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_KEPT_BYTES)
    except OSError:
        return None


def _frame(lake: Lake, files: Sequence[LandingFile]) -> Frame:
    return lake.frame(
        pa.Table.from_pylist([{"path": str(each.path), "name": each.name} for each in files], schema=_FILES)
    )


def _files(batches: Iterable[pa.RecordBatch]) -> Iterator[LandingFile]:
    for batch in batches:
        for row in batch.to_pylist():
            yield LandingFile(Path(row["path"]), row["name"])


@dataclass(frozen=True)
class _Surveyor:
    format: Format

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for file in _files(batches):
            row: dict[str, object] = {"name": file.name}
            try:
                found = self.format.survey(file.path)
                _check_names(found)
                row["survey"] = pickle.dumps(found)
            except (UsageError, TransientError):
                raise  # the database, not what it holds
            except FileNotFoundError:
                row["reason"] = "it was there when landing was listed, and was gone when it was read"
            except UNREADABLE as error:
                row["reason"] = str(error)
            yield pa.RecordBatch.from_pylist([row], schema=_SURVEYS)


def _check_names(survey: Survey) -> None:
    for name in survey.columns:
        if name.lower() in changes.RESERVED:
            raise SchemaMismatch(f"column {name} is reserved for what is told of a row; rename it at the source")


@dataclass(frozen=True)
class _Reader:
    format: Format
    columns: pa.Schema
    key: tuple[str, ...]
    order_by: tuple[str, ...]
    rescues: bool
    is_ordered: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for file in _files(batches):
            try:
                for batch in self.format.read(file, self.columns, key=self.key, rescues=self.rescues):
                    yield self._complete(batch, file)
            except FileNotFoundError:
                # Refusing it would empty the dataset where the executors of a cluster do not see landing at all.
                raise DataError(
                    f"{file.path} was there when landing was listed, and is not there where it is read. It must "
                    f"stay until it is loaded; on a cluster, every executor must see it under the same path."
                ) from None
            except (UsageError, TransientError):
                raise
            except UNREADABLE as error:
                # It was read to its end a moment ago: what was yielded of it must not become a part of the table.
                raise DataError(f"{file.name} has changed while it was loaded: {error}. Run the step again.") from error

    def _complete(self, batch: pa.RecordBatch, file: LandingFile) -> pa.RecordBatch:
        if self.is_ordered:
            batch = _set(batch, "_sequence", self._sequence(batch, file))
            batch = self._with_time(batch, file)
        return self._without_null_keys(batch)

    def _sequence(self, batch: pa.RecordBatch, file: LandingFile) -> pa.Array:
        count = len(batch)
        by_file = [pa.repeat(sequences.of_file(file.name), count), sequences.rows(batch.column("_row"))]
        known = batch.column("_sequence")
        base = pc.coalesce(known, sequences.joined(by_file)) if known.null_count else known
        if not self.order_by:
            return base
        return sequences.joined([*(sequences.texts(batch.column(name)) for name in self.order_by), base])

    def _with_time(self, batch: pa.RecordBatch, file: LandingFile) -> pa.RecordBatch:
        """With the time of each change: the first column of the order, where it is a time; else as the format tells,
        or the moment in the file's name; else when the file was written. A full load has none."""
        kind = batch.schema.field("_at").type
        if not self.order_by or not pa.types.is_temporal(batch.schema.field(self.order_by[0]).type):
            moment = _written_at(file)
            return _set(batch, "_at", pc.fill_null(batch.column("_at"), pa.scalar(moment, kind))) if moment else batch
        values = batch.column(self.order_by[0])
        moments = values.cast(pa.timestamp("us")) if not getattr(values.type, "tz", None) else values
        moments = moments if getattr(moments.type, "tz", None) else moments.cast(pa.int64()).cast(kind)
        return _set(batch, "_at", moments.cast(kind))

    def _without_null_keys(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        nulls = [pc.is_null(batch.column(name)) for name in self.key]
        if not nulls:
            return batch
        has_null = nulls[0]
        for each in nulls[1:]:
            has_null = pc.or_(has_null, each)
        is_good = pc.and_(pc.is_null(batch.column("_rule")), pc.not_equal(pc.coalesce(batch.column("_op"), ""), "T"))
        numbers = pc.indices_nonzero(pc.and_(has_null, is_good)).to_pylist()
        if not numbers:
            return batch
        why = f"a null in the key {', '.join(self.key)}"
        rows = batch.select(self.columns.names)
        content = {number: quarantine.as_json(rows.slice(number, 1).to_pylist()[0]) for number in numbers}
        for name, value in (("_rule", "null key"), ("_reason", why)):
            before = batch.column(name).to_pylist()
            batch = _set(
                batch,
                name,
                pa.array([value if n in content else old for n, old in enumerate(before)], pa.string()),
            )
        before = batch.column("_content").to_pylist()
        return _set(batch, "_content", pa.array([content.get(n, old) for n, old in enumerate(before)], pa.binary()))


def _written_at(file: LandingFile) -> datetime | None:
    if sequences.is_full_load(file.name):
        return None
    try:
        return sequences.captured_at(file.name) or datetime.fromtimestamp(int(file.path.stat().st_mtime), UTC)
    except OSError:  # a table of a database: as it is now
        return datetime.now(UTC).replace(microsecond=0)


def _set(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    at = batch.schema.get_field_index(name)
    columns = [values if number == at else column for number, column in enumerate(batch.columns)]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
