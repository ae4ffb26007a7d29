"""Columns of text → their types and values, by the rules by which texts of XML are judged.

| text | | |
|---|---|---|
| `7`, `-7`, `7.50`, `1e5`, `true`, `2024-01-31`, `2024-01-31 10:00:00` | has a type | |
| `007`, `+7`, `1,5`, `TRUE` | stays text | it would not come back as it is written |
| `2024-02-30`, `0000-00-00` | an impossible moment | refuses its row where most others of the column are moments |

Blanks around a value that is not text do not count. An empty text has no type.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.compiled import entry
from thresher.errors import UsageError
from thresher.ingest.columns import IMPOSSIBLE, RULES
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ, ddl
from thresher.xml.casts import texts_for
from thresher.xml.shredding import tables
from thresher.xml.shredding.machine import load_byte
from thresher.xml.shredding.voting import KINDS, UNSURE
from thresher.xml.shredding.voting import vote as compiled_vote
from thresher.xml.votes import DOUBLE_DIGITS, TEXT, Votes, vote

_EMPTY = UNSURE + 1
_READABLE = 32  # the loops read that many bytes from any place in a text
_SHOWN = 60
_ACCEPTED = {
    pa.int64(): ("integer",),
    pa.float64(): ("integer", "decimal", "double"),
    pa.bool_(): ("boolean",),
    pa.date32(): ("date",),
    TIMESTAMP: ("timestamp",),
    TIMESTAMP_NTZ: ("timestamp_ntz", "date"),
}
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def votes(column: pa.StringArray) -> Votes:
    """What the texts of a column speak for; empty ones and nulls do not vote.

    >>> votes(pa.array(["7", " 8 ", "", None, "2024-02-30"])).kinds == {"integer": 2, "impossible moment": 1}
    True
    """
    kinds, counts, most = _judged(column)
    whole, scale, digits = (int(each) for each in most)
    found = Votes(Counter({kind: int(counts[n]) for n, kind in enumerate(KINDS) if counts[n]}), whole, scale, digits)
    if not counts[UNSURE]:
        return found
    for each in column.filter(pa.array(kinds == UNSURE)).value_counts().to_pylist():
        text, times = each["values"].strip(" \t"), each["counts"]
        cast = vote(text, RULES)
        if cast is not None:
            kind = IMPOSSIBLE if cast == TEXT and _MOMENT.fullmatch(text) else cast.kind
            found = found.merge(Votes(Counter({kind: times}), cast.whole, cast.scale, cast.digits))
    return found


def typed(
    column: pa.StringArray, kind: pa.DataType, *, is_declared: bool = False
) -> tuple[pa.Array, Mapping[int, str]]:
    """The values of a column of texts in a type, and by their places why others are none; those are null.

    An empty text is null, but in a column of text. A type that is declared also takes what would not come back as it
    is written.

    >>> typed(pa.array(["7", "", "007"]), pa.int64())[1]
    {2: "'007' is no bigint: would not come back as it is written; declare the type to read it all the same"}
    >>> typed(pa.array(["7", "", "007"]), pa.int64(), is_declared=True)[0].to_pylist()
    [7, None, 7]
    """
    if kind == pa.string():
        return column, {}
    kinds, _, most = _judged(column)
    is_plain = np.isin(kinds, [KINDS.index(each) for each in _accepted(kind)])
    if kind == pa.float64() and most[2] > DOUBLE_DIGITS:
        is_plain[:] = False
    try:
        values = _cast(pc.if_else(pa.array(is_plain), column, None), kind)
    except pa.ArrowInvalid:  # a decimal with more digits, a moment in a form of its own
        is_plain[:] = False
        values = pa.nulls(len(column), kind)
    rest = np.flatnonzero(~is_plain & (kinds != _EMPTY))
    if not len(rest):
        return values, {}
    read, misfits = _one_by_one(column.take(pa.array(rest)).to_pylist(), kind, is_declared=is_declared)
    mask = np.zeros(len(column), bool)
    mask[rest] = True
    filled = pc.replace_with_mask(values, pa.array(mask), pa.array(read, kind))
    return filled, {int(rest[number]): reason for number, reason in misfits.items()}


def _accepted(kind: pa.DataType) -> tuple[str, ...]:
    return ("integer", "decimal") if pa.types.is_decimal(kind) else _ACCEPTED.get(kind, ())


def _cast(texts: pa.StringArray, kind: pa.DataType) -> pa.Array:
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        return pc.utf8_trim(texts, " \t").cast(kind)


def _one_by_one(texts: Sequence[str], kind: pa.DataType, *, is_declared: bool) -> tuple[list[Any], dict[int, str]]:
    try:
        known = texts_for(kind, RULES, is_learnt=not is_declared and bool(_accepted(kind)))
    except UsageError:
        return [None] * len(texts), {number: _reason(text, kind, "") for number, text in enumerate(texts)}
    read: list[Any] = []
    misfits = {}
    for number, text in enumerate(texts):
        try:
            read.append(known[text])
        except ValueError as error:
            read.append(None)
            misfits[number] = _reason(text, kind, f": {error}")
    return read, misfits


def _reason(text: str, kind: pa.DataType, why: str) -> str:
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"{shown!r} is no {ddl(kind)}{why}"


def _judged(column: pa.StringArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The kind of each text, how many there are of each, and the most digits: before the point, after it, overall."""
    if column.null_count:
        column = pc.fill_null(column, "")
    kinds = np.empty(len(column), np.uint8)
    counts, most = np.zeros(_EMPTY + 1, np.int64), np.zeros(3, np.int64)
    _, offsets, content = column.buffers()
    if len(column) and content is not None:
        ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
        _judge(_settings().ctypes.data, content.address, content.size, ends, kinds, counts, most)
    else:
        kinds[:] = _EMPTY
    return kinds, counts, most


@lru_cache
def _settings() -> np.ndarray:
    settings = np.zeros(tables.SETTINGS, np.int64)
    settings[tables.PREFERS_DATE] = RULES.prefer_date
    settings[tables.PREFERS_DECIMAL] = RULES.prefers_decimal
    return settings


@entry
def _judge(
    settings: int, base: int, size: int, ends: np.ndarray, kinds: np.ndarray, counts: np.ndarray, most: np.ndarray
) -> None:
    for number in range(len(kinds)):
        first, after = np.int64(ends[number]), np.int64(ends[number + 1])
        while first < after and (load_byte(base + first) == 32 or load_byte(base + first) == 9):
            first += 1
        while first < after and (load_byte(base + after - 1) == 32 or load_byte(base + after - 1) == 9):
            after -= 1
        if first == after:
            kinds[number] = _EMPTY
        elif after + _READABLE > size:
            kinds[number] = UNSURE  # the loops would read beyond the buffer
        else:
            kind, whole, scale, digits, _ = compiled_vote(settings, base + first, after - first)
            kinds[number] = kind
            if kind != UNSURE:
                most[0], most[1], most[2] = max(most[0], whole), max(most[1], scale), max(most[2], digits)
        counts[kinds[number]] += 1
