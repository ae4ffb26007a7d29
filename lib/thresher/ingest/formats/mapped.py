"""The rows of another format under the names that AWS DMS's table mappings give them, without those they leave out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot

from thresher import table_mappings
from thresher.errors import UsageError
from thresher.ingest.columns import Kind, Survey
from thresher.ingest.formats import Format
from thresher.landing import LandingFile
from thresher.project import resolve
from thresher.table_mappings import Column, TableMappings
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_WORDS = {"I": "INSERT", "U": "UPDATE", "D": "DELETE"}
_TYPES = {
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
    "date": pa.date32(),
    "datetime": TIMESTAMP_NTZ,
    "int1": pa.int8(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "real4": pa.float32(),
    "real8": pa.float64(),
    "string": pa.string(),
    "wstring": pa.string(),
    "clob": pa.string(),
    "nclob": pa.string(),
    "blob": pa.binary(),
}


@dataclass(frozen=True)
class TableMapping:
    """The options `mappings` (a file of AWS DMS's table mappings) and `table` (the table's name at the source)."""

    mappings: TableMappings
    schema: str
    table: str

    @classmethod
    def taken_from(cls, options: dict[str, Any], target: str) -> "TableMapping | None":
        """What the options say of it; they keep `table` only where no mappings are named. Raises UsageError."""
        if "mappings" not in options:
            return None
        schema, dot, table = str(options.get("table", "")).rpartition(".")
        mappings = table_mappings.read(resolve(str(options.pop("mappings"))))
        if not dot:
            raise UsageError(f"{target}: mappings match a table by its schema and name; name them in options: table")
        if not mappings.selects(schema, table):
            raise UsageError(f"{target}: {mappings.file} does not select {schema}.{table}")
        return cls(mappings, schema, table)

    def applied(self, inner: Format) -> "Mapped":
        """A format whose rows go through the mappings."""
        return Mapped(inner, self.mappings, self.schema, self.table)


@dataclass(frozen=True)
class Mapped:
    """See `Format`; `schema` and `table` are the names at the source, by which rules are matched."""

    inner: Format
    mappings: TableMappings
    schema: str
    table: str

    def survey(self, path: Path) -> Survey:
        found = self.inner.survey(path)
        columns = self._columns(found.columns)
        named = {each.source: each.name for each in columns if each.source}
        kinds = {each.name: _kind(each, found.columns) for each in columns}
        return replace(found, columns=kinds, key=tuple(named[name] for name in found.key if name in named))

    def read(
        self, file: LandingFile, columns: pa.Schema, *, key: Sequence[str] = (), rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        names = {each.name: each for each in self._columns(self.inner.survey(file.path).columns)}
        taken = [each for each in columns if each.name in names and names[each.name].source]
        wanted = pa.schema([pa.field(names[each.name].source or "", each.type) for each in taken])
        old_key = [names[name].source or name for name in key if name in names]
        condition = self.mappings.filters(self.schema, self.table)
        for batch in self.inner.read(file, wanted, key=old_key, rescues=rescues):
            if condition:
                batch = _filtered(batch, condition)
            told = batch.select(batch.schema.names[len(wanted) :])
            data = [_values(names.get(each.name), each.type, batch) for each in columns]
            yield pa.RecordBatch.from_arrays([*data, *told.columns], schema=pa.schema([*columns, *told.schema]))

    def _columns(self, names: Mapping[str, Kind]) -> list[Column]:
        return self.mappings.columns(self.schema, self.table, names)


def _kind(column: Column, found: Mapping[str, Kind]) -> Kind:
    if column.type:
        return _declared(column.type)
    if column.header in ("AR_H_TIMESTAMP", "AR_H_COMMIT_TIMESTAMP"):
        return TIMESTAMP
    return found[column.source] if column.source else pa.string()


def _declared(said: Mapping[str, Any]) -> pa.DataType:
    if said["type"] == "numeric":
        return pa.decimal128(int(said.get("precision", 38)), int(said.get("scale", 0)))
    if said["type"] not in _TYPES:
        raise ValueError(f"the table mappings name the type {said['type']!r}; expected one of {sorted(_TYPES)}")
    return _TYPES[said["type"]]


def _values(column: Column | None, kind: pa.DataType, batch: pa.RecordBatch) -> pa.Array:
    if column is None:
        return pa.nulls(len(batch), kind)
    if column.source:
        return batch.column(column.source)
    if column.constant is not None:
        return pa.repeat(column.constant, len(batch)).cast(kind)
    known = {"AR_H_OPERATION": "_op", "AR_H_CHANGE_SEQ": "_sequence", "AR_H_STREAM_POSITION": "_sequence"}
    known |= {"AR_H_TIMESTAMP": "_at", "AR_H_COMMIT_TIMESTAMP": "_at"}
    if column.header not in known:
        return pa.nulls(len(batch), kind)  # who made a change: no file tells
    values = batch.column(known[column.header])
    if column.header == "AR_H_OPERATION":
        values = pa.array([_WORDS.get(each or "I", each) for each in values.to_pylist()], pa.string())
    return values.cast(kind)


def _filtered(batch: pa.RecordBatch, condition: str) -> pa.RecordBatch:
    """The rows for which a condition in Spark's dialect is true, and those that are refused."""
    (translated,) = sqlglot.transpile(condition, read="spark", write="duckdb")
    with duckdb.connect() as connection:
        connection.register("delivered", pa.Table.from_batches([batch]))
        query = f"select coalesce({translated}, false) or _rule is not null as kept from delivered"
        kept = connection.sql(query).to_arrow_table().column("kept")
    return batch.filter(kept.combine_chunks())
