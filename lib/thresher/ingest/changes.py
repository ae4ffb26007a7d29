"""The form in which every format hands on what it reads: one row per change, or why there is none."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from thresher.types import TIMESTAMP

INSERT, UPDATE, DELETE, TRUNCATE = "I", "U", "D", "T"

CHANGE = (
    pa.field("_op", pa.string()),  # I, U, D or T (the table was emptied); null: the row as it is now
    pa.field("_at", TIMESTAMP),  # when it happened at the source, where that is told
    pa.field("_sequence", pa.string()),  # texts whose order is the order of the changes; see `sequences`
)
ORIGIN = (
    pa.field("_file", pa.string()),  # the file, by its name relative to landing
    pa.field("_row", pa.int64()),  # the number of the row in it, from 1
)
RESCUED = pa.field("_rescued", pa.string())  # JSON of what the dataset has no column for
REFUSED = (
    pa.field("_rule", pa.string()),  # null: the row is good
    pa.field("_reason", pa.string()),
    pa.field("_line", pa.int64()),
    pa.field("_content", pa.binary()),
)
RESERVED = frozenset(field.name for field in (*CHANGE, *ORIGIN, RESCUED, *REFUSED)) | {
    "valid_from",
    "valid_to",
    "is_current",
}


def form(columns: pa.Schema) -> pa.Schema:
    """The columns of the rows that a format reads: the delivered ones, then what is told of each.

    >>> form(pa.schema([("id", pa.int64())])).names[:4]
    ['id', '_op', '_at', '_sequence']
    """
    return pa.schema([*columns, *CHANGE, *ORIGIN, RESCUED, *REFUSED])


def batch(columns: pa.Schema, data: Sequence[Any], told: dict[str, Any]) -> pa.RecordBatch:
    """Good rows: their delivered columns in order, and by name what is told of them; the rest is null.

    >>> rows = batch(pa.schema([("id", pa.int64())]), [pa.array([7])], {"_file": pa.array(["a.csv"])})
    >>> rows.to_pylist()[0]["_file"]
    'a.csv'
    """
    count = len(data[0]) if data else len(told["_row"])
    rest = [told.get(field.name, None) for field in form(columns)][len(columns) :]
    kinds = form(columns).types[len(columns) :]
    filled = [pa.nulls(count, kind) if array is None else array for array, kind in zip(rest, kinds, strict=True)]
    return pa.RecordBatch.from_arrays([*data, *filled], schema=form(columns))


def refusal(columns: pa.Schema, refused: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Refused rows, each with `_file`, `_rule`, `_reason` and, where known, `_row`, `_line` and `_content`."""
    return pa.RecordBatch.from_pylist(list(refused), schema=form(columns))
