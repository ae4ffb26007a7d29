"""Rows as they came in the columns that a dataset has: what has no place there is kept as JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from thresher.ingest.columns import is_wider
from thresher.quarantine import as_json


def fitted(found: pa.RecordBatch, columns: pa.Schema, *, rescues: bool) -> tuple[list[pa.Array], pa.Array | None]:
    """The rows in these columns, and where the load `rescues`, the JSON of what has no place in them, else None.

    A column that is not there is null. Names are matched without regard to case. A column whose type holds what came
    is cast; another one is null in it, and its values are rescued.
    """
    there = {name.lower(): number for number, name in enumerate(found.schema.names)}
    data, taken = [], set()
    for each in columns:
        number = there.get(each.name.lower())
        if number is None or not is_wider(each.type, found.schema.field(number).type, each.name):
            data.append(pa.nulls(len(found), each.type))
        else:
            data.append(cast(found.column(number), each.type))
            taken.add(number)
    return data, rest_of(found, [n for n in range(found.num_columns) if n not in taken]) if rescues else None


def rest_of(found: pa.RecordBatch, numbers: Sequence[int]) -> pa.Array | None:
    """The values of some columns as one JSON object a row; null where all of them are null."""
    if not numbers:
        return None
    names = [found.schema.names[number] for number in numbers]
    rows = zip(*(found.column(number).to_pylist() for number in numbers), strict=True)
    return pa.array([_object(names, row) for row in rows], pa.string())


def cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values in a wider type; each has its like there."""
    if values.type == kind:
        return values
    if values.null_count == len(values):
        return pa.nulls(len(values), kind)
    if pa.types.is_string(kind) and pa.types.is_boolean(values.type):
        return pc.if_else(values, "true", "false")
    if pa.types.is_string(kind) and pa.types.is_timestamp(values.type):
        return pc.strftime(values, "%Y-%m-%d %H:%M:%S")
    if pa.types.is_struct(kind):
        parts = [
            cast(pc.struct_field(values, each.name), each.type)
            if values.type.get_field_index(each.name) >= 0
            else pa.nulls(len(values), each.type)
            for each in kind
        ]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=pc.is_null(values))
    if pa.types.is_list(kind) and pa.types.is_nested(kind.value_type):
        # Elements and lengths, since the offsets of a part of an array do not begin at 0.
        lengths = pc.fill_null(pc.list_value_length(values), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
        inner = cast(values.flatten(), kind.value_type)
        return pa.ListArray.from_arrays(offsets, inner, type=kind, mask=pc.is_null(values))
    return values.cast(kind)


@dataclass(frozen=True)
class Cast:
    """Batches in the wider types of a schema with the same columns."""

    schema: pa.Schema

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [cast(values, kind) for values, kind in zip(batch.columns, self.schema.types, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _object(names: Sequence[str], row: Sequence[Any]) -> str | None:
    known = {name: value for name, value in zip(names, row, strict=True) if value is not None}
    return as_json(known).decode() if known else None


def merged(one: pa.Array | None, other: pa.Array | None) -> pa.Array | None:
    """Two columns of JSON objects as one."""
    if one is None or other is None:
        return other if one is None else one
    both = zip(one.to_pylist(), other.to_pylist(), strict=True)
    texts = [json.dumps(json.loads(a) | json.loads(b), ensure_ascii=False) if a and b else a or b for a, b in both]
    return pa.array(texts, pa.string())
