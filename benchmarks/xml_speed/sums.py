"""What must be the same in every result: documents, repeated elements, characters of the notes."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Sums = dict[str, int]


def of_arrow(values: pa.StructArray, repeated: str) -> Sums:
    """Of typed values, one struct per document; without a repeated element, of all their values."""
    sums = {"documents": len(values) - values.null_count}
    if not repeated:
        return sums | {"values": _leaves(values)}
    characters = pc.sum(pc.utf8_length(values.field("note"))).as_py()
    return sums | {"repeated": _entries(values, repeated), "characters": characters}


def _leaves(values: pa.Array) -> int:
    if pa.types.is_list(values.type):
        return _leaves(values.flatten())
    if pa.types.is_struct(values.type):
        return sum(_leaves(field) for field in values.flatten())
    return len(values) - values.null_count


def _entries(values: pa.Array, repeated: str) -> int:
    if pa.types.is_list(values.type):
        return _entries(values.flatten(), repeated)
    if not pa.types.is_struct(values.type):
        return 0
    fields = {field.name: values.field(at) for at, field in enumerate(values.type)}
    here = len(fields[repeated].flatten()) if repeated in fields else 0
    return here + sum(_entries(field, repeated) for field in fields.values())


def of_trees(roots: Iterable[Any], repeated: str) -> Sums:
    """Of parsed trees, one per document."""
    found = [(sum(1 for _ in root.iter(repeated)), len(root.findtext("note"))) for root in roots]
    return {
        "documents": len(found),
        "repeated": sum(count for count, _ in found),
        "characters": sum(length for _, length in found),
    }


def of_json(texts: Iterable[str], repeated: str) -> Sums:
    """Of JSON in xmltodict's convention, one text per document: `{"course": {"note": …, "book": […]}}`."""
    roots = [next(iter(json.loads(text).values())) for text in texts]
    return {
        "documents": len(roots),
        "repeated": sum(_keyed(root, repeated) for root in roots),
        "characters": sum(len(root["note"]) for root in roots),
    }


def _keyed(value: Any, repeated: str) -> int:
    if isinstance(value, list):
        return sum(_keyed(each, repeated) for each in value)
    if not isinstance(value, dict):
        return 0
    found = value.get(repeated, [])
    return (len(found) if isinstance(found, list) else 1) + sum(_keyed(each, repeated) for each in value.values())
