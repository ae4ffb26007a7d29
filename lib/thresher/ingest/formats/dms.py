"""What AWS DMS delivers: CSV or Parquet files of a full load, and of the changes after it with an operation each.

Source: AWS DMS User Guide, "Using Amazon S3 as a target", and API reference, `S3Settings`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from thresher.ingest import changes, sequences
from thresher.ingest.changes import DELETE, INSERT, UPDATE
from thresher.ingest.columns import Survey
from thresher.ingest.formats import Format
from thresher.ingest.formats.csv import Csv, open_csv
from thresher.ingest.formats.parquet import Parquet, is_parquet
from thresher.ingest.formats.sheets import Dialect, first_fields
from thresher.landing import LandingFile
from thresher.quarantine import as_json

OPERATIONS = {"I": INSERT, "U": UPDATE, "D": DELETE, "INSERT": INSERT, "UPDATE": UPDATE, "DELETE": DELETE}
_NAME = re.compile(r"[A-Za-z_][\w$# ]*")


@dataclass(frozen=True)
class DmsDialect(Dialect):
    """The options of CSV, and how the columns are called that DMS adds.

    | option | |
    |---|---|
    | operation | the column that says what a row does, where it is not the first, `Op` |
    | timestamp_column | the endpoint's TimestampColumnName: when a change was committed |
    | before_image | the prefix of columns with the values before an update |
    """

    operation: str = "Op"
    timestamp_column: str | None = None
    before_image: str = "BI_"


@dataclass(frozen=True)
class Dms:
    """The rows of CSV and Parquet files with what they do; see `Format`. Rows of a full load are inserts."""

    dialect: DmsDialect = field(default_factory=DmsDialect)
    names: tuple[str, ...] = ()
    declared: Mapping[str, pa.DataType] = field(default_factory=dict)

    def survey(self, path: Path) -> Survey:
        found = self._format(path).survey(path)
        operation = self._operation(found.columns)
        added = {operation, *self._before_images(list(found.columns))}
        columns = {name: kind for name, kind in found.columns.items() if name not in added}
        return replace(found, columns=columns, has_changes=operation is not None)

    def read(
        self, file: LandingFile, columns: pa.Schema, *, key: Sequence[str] = (), rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        inner = self._format(file.path)
        there = _names_of(inner, file.path)
        operation = self._operation(there)
        kinds = {each.name.lower(): each.type for each in columns}
        before = {name: old for name, old in self._before_images(there).items() if old.lower() in kinds}
        added = [pa.field(name, kinds[old.lower()]) for name, old in before.items()]
        added += [pa.field(operation, pa.string())] if operation else []
        for batch in inner.read(file, pa.schema([*columns, *added]), rescues=rescues):
            rows = batch.drop_columns([each.name for each in added])
            if operation:
                rows = self._with_operations(rows, batch.column(operation))
            else:
                rows = _set(rows, "_op", pa.repeat(INSERT, len(rows)))
            yield rows
            yield from _deletes(rows, {old.lower(): batch.column(name) for name, old in before.items()}, key)

    def _operation(self, names: Sequence[str] | Mapping[str, object]) -> str | None:
        return next((name for name in names if name.lower() == self.dialect.operation.lower()), None)

    def _before_images(self, names: Sequence[str]) -> dict[str, str]:
        """Columns with values before an update, each with the column whose values they were."""
        prefix, known = self.dialect.before_image, {name.lower() for name in names}
        found = {name: name[len(prefix) :] for name in names if prefix and name.startswith(prefix)}
        return {name: old for name, old in found.items() if old.lower() in known}

    def _format(self, path: Path) -> Format:
        """How one file is read: by its header, else by how many fields it has more than the table has columns."""
        if is_parquet(path):
            return Parquet()
        first = first_fields(path, self.dialect)
        has_header = self.dialect.header if self.dialect.header is not None else self._is_header(first)
        if first and not has_header and not self.names:
            raise ValueError(
                f"it has no header, and the names of its {len(first)} fields are not known; give them in columns "
                f"(without {self.dialect.operation})"
            )
        names = () if has_header else self._names(first, path)
        return Csv(replace(self.dialect, header=has_header and bool(first)), names or self.names, self.declared)

    def _is_header(self, first: Sequence[str]) -> bool:
        lower = [each.lower() for each in first]
        if self.names:
            return {name.lower() for name in self.names} - {self.dialect.operation.lower()} <= set(lower)
        return len(set(lower)) == len(lower) and all(_NAME.fullmatch(each) for each in first) and bool(first)

    def _names(self, first: Sequence[str], path: Path) -> tuple[str, ...]:
        operation, moment = self.dialect.operation, self.dialect.timestamp_column
        table = tuple(name for name in self.names if name.lower() != operation.lower())
        if not first or len(first) == len(self.names):
            return self.names
        timed = (moment, *table) if moment and moment.lower() not in [name.lower() for name in table] else table
        is_full_load = sequences.is_full_load(path.name) and first[0].upper() not in OPERATIONS
        if len(first) == len(timed) and (len(timed) == len(table) or is_full_load):
            return timed
        if len(first) == len(timed) + 1:
            return (operation, *timed)
        return (operation, *table) if len(first) == len(table) + 1 else table

    def _with_operations(self, rows: pa.RecordBatch, written: pa.StringArray) -> pa.RecordBatch:
        """Rows with what they do, those that do not tell refused, and the time of changes where a column has it."""
        operations = pa.array(
            [OPERATIONS.get((each or "").strip().upper()) for each in written.to_pylist()], pa.string()
        )
        rows = _set(rows, "_op", operations)
        moment = self.dialect.timestamp_column
        if moment and moment in rows.schema.names and pa.types.is_timestamp(rows.schema.field(moment).type):
            kind = rows.schema.field("_at").type
            rows = _set(rows, "_at", rows.column(moment).cast(pa.int64()).cast(kind))
        unknown = pc.and_(pc.is_null(operations), pc.is_null(rows.column("_rule")))
        if not pc.any(unknown).as_py():
            return rows
        expected = "expected I, U or D"
        reasons = [f"the operation is {each!r}; {expected}" for each in written.to_pylist()]
        delivered = rows.select([name for name in rows.schema.names if name not in changes.RESERVED]).to_pylist()
        told = {
            "_rule": "unknown operation",
            "_reason": pa.array(reasons, pa.string()),
            "_content": pa.array([as_json(row) for row in delivered], pa.binary()),
        }
        for name, values in told.items():
            rows = _set(rows, name, pc.if_else(unknown, values, rows.column(name)))
        return rows


def open_dms(columns: Sequence[str], dialect: DmsDialect) -> Dms:
    """The format with the names of the table's columns, for files without a header.

    >>> open_dms(["id bigint", "name"], DmsDialect()).names
    ('id', 'name')
    """
    csv = open_csv(columns, dialect)
    return Dms(dialect, csv.names, csv.declared)


def _names_of(inner: Format, path: Path) -> list[str]:
    if isinstance(inner, Csv):
        with inner.dialect.opened(path, inner.names) as sheet:
            return list(sheet.names)
    return list(pq.read_schema(path).names)


def _deletes(rows: pa.RecordBatch, before: Mapping[str, pa.Array], key: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows as they were whose update gave them another key: under the old one they are no more."""
    if not key or any(name.lower() not in before for name in key):
        return
    moved = pa.repeat(False, len(rows))
    for name in key:
        old, new = before[name.lower()], rows.column(name)
        moved = pc.or_(moved, pc.fill_null(pc.not_equal(old, new), False))
    is_update = pc.and_(pc.fill_null(pc.equal(rows.column("_op"), UPDATE), False), pc.is_null(rows.column("_rule")))
    moved = pc.and_(moved, is_update)
    if not pc.any(moved).as_py():
        return
    for name in rows.schema.names:
        if name.lower() in before:
            rows = _set(rows, name, before[name.lower()])
    yield _set(rows, "_op", pa.repeat(DELETE, len(rows))).filter(moved)


def _set(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    at = batch.schema.get_field_index(name)
    return batch.set_column(at, batch.schema.field(at), values)
