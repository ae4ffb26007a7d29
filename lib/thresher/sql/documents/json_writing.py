"""to_json: structs, arrays and maps as JSON text, as Spark writes them with Jackson. Column by column."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from thresher.sql import kinds
from thresher.sql.casting.number_text import double_text, float_text
from thresher.sql.documents.json_options import JsonOptions
from thresher.sql.documents.json_text import only_ascii, pretty, quoted
from thresher.sql.documents.time_patterns import write
from thresher.sql.documents.unproven import Unproven
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

Texts = list[str | None]

_DEFAULTS = {
    "date": "yyyy-MM-dd",
    "timestamp": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "timestamp_ntz": "yyyy-MM-dd'T'HH:mm:ss.SSS",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_QUOTED = (kinds.STRING, kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ)
_ATOMS = (kinds.VOID, kinds.BOOL, kinds.FLOAT, kinds.DOUBLE, *_QUOTED)


def is_written(kind: pa.DataType) -> bool:
    """Whether values of the type have a known text. Spark writes other keys in the words of its inner classes."""
    if kinds.is_map(kind):
        is_key = kinds.is_exact(kind.key_type) or kind.key_type in (*_ATOMS, kinds.NO_KEY)
        return is_key and is_written(kind.item_type)
    if kinds.is_array(kind):
        return is_written(kind.value_type)
    if kinds.is_struct(kind):
        return all(is_written(field.type) for field in kind)
    return kinds.is_exact(kind) or kind in (*_ATOMS, kinds.BINARY)


def writer(kind: pa.DataType, options: JsonOptions) -> Callable[[pa.Array], pa.Array]:
    """The function from an array of a struct, array or map type to texts."""

    def run(values: pa.Array | pa.ChunkedArray) -> pa.Array:
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        texts = _texts(values, kind, options)
        if options.is_pretty:
            texts = [None if text is None else pretty(text) for text in texts]
        if options.only_ascii:
            texts = [None if text is None else only_ascii(text) for text in texts]
        return pa.array(texts, pa.string())

    return run


def _texts(values: pa.Array, kind: pa.DataType, options: JsonOptions) -> Texts:
    """The text of each value; None for NULL."""
    if kinds.is_struct(kind):
        return _structs(values, kind, options)
    if kinds.is_array(kind):
        return _arrays(values, kind, options)
    if kinds.is_map(kind):
        return _maps(values, kind, options)
    write_one = _scalar(kind, options)
    return [None if value is None else write_one(value) for value in _plain(values, kind)]


def _plain(values: pa.Array, kind: pa.DataType) -> list[Any]:
    """Python's values; days and microseconds for dates and times, which may lie beyond Python's years."""
    if kind == kinds.VOID:
        return [None] * len(values)
    if kind == kinds.DATE:
        return list(values.cast(pa.int32()).to_pylist())
    if kind in (TIMESTAMP, TIMESTAMP_NTZ):
        return list(values.cast(pa.timestamp("us")).cast(pa.int64()).to_pylist())
    return list(values.to_pylist())


def _structs(values: pa.Array, kind: pa.DataType, options: JsonOptions) -> Texts:
    fields = [
        (quoted(field.name) + ":", _texts(column, field.type, options))
        for field, column in zip(kind, values.flatten(), strict=True)
    ]
    null = None if options.ignores_nulls else "null"
    rows: Texts = []
    for row, is_valid in enumerate(values.is_valid().to_pylist()):
        parts = [name + text for name, texts in fields if (text := texts[row] or null) is not None]
        rows.append("{" + ",".join(parts) + "}" if is_valid else None)
    return rows


def _arrays(values: pa.Array, kind: pa.DataType, options: JsonOptions) -> Texts:
    items = _texts(values.flatten(), kind.value_type, options)
    return _grouped(["null" if item is None else item for item in items], values, "[]")


def _maps(values: pa.Array, kind: pa.DataType, options: JsonOptions) -> Texts:
    keys, items = pa.field("key", values.type.key_type), pa.field("value", values.type.item_type)
    lists = values.cast(pa.list_(pa.struct([keys, items])))
    entries = lists.flatten()
    names = _keys(entries.field(0), kind.key_type)
    texts = _texts(entries.field(1), kind.item_type, options)
    pairs = [f"{name}:{'null' if text is None else text}" for name, text in zip(names, texts, strict=True)]
    return _grouped(pairs, lists, "{}")


def _grouped(parts: list[str], lists: pa.Array, brackets: str) -> Texts:
    """The parts of each row within brackets."""
    rows: Texts = []
    at = 0
    for size in pc.list_value_length(lists).to_pylist():
        rows.append(None if size is None else brackets[0] + ",".join(parts[at : at + size]) + brackets[1])
        at += size or 0
    return rows


def plain_texts(values: pa.Array, kind: pa.DataType, patterns: Mapping[str, str], zone: tzinfo) -> Texts:
    """The texts of values that are not nested, without quotes: numbers as Java writes them, times by the patterns."""
    text = _text(kind, patterns, zone)
    return [None if value is None else text(value) for value in _plain(values, kind)]


def _scalar(kind: pa.DataType, options: JsonOptions) -> Callable[[Any], str]:
    if kind == kinds.BINARY:
        return lambda value: f'"{base64.b64encode(value).decode()}"'
    text = _text(kind, options.patterns, options.zone)
    if kind in (kinds.FLOAT, kinds.DOUBLE):
        return lambda value: _marked(text(value))
    return (lambda value: quoted(text(value))) if kind in _QUOTED else text


def _text(kind: pa.DataType, patterns: Mapping[str, str], zone: tzinfo) -> Callable[[Any], str]:
    if kind == kinds.BOOL:
        return lambda value: "true" if value else "false"
    if kind in (kinds.FLOAT, kinds.DOUBLE):
        return float_text if kind == kinds.FLOAT else double_text
    word = kinds.in_spark(kind)
    if word in _DEFAULTS:
        pattern = patterns.get(word, _DEFAULTS[word])
        unit = "days" if kind == kinds.DATE else "microseconds"
        shown = zone if kind == TIMESTAMP else UTC
        return lambda value: write(_moment(value, unit, shown), pattern)
    return str  # texts, integers, and decimals as Java's BigDecimal writes them


def _marked(number: str) -> str:
    return f'"{number}"' if number[-1] in "Ny" else number


def _moment(value: int, unit: str, zone: tzinfo) -> datetime:
    try:
        return (_EPOCH + timedelta(**{unit: value})).astimezone(zone)
    except OverflowError:
        raise Unproven("the text of a time outside the years 1 to 9999") from None


def _keys(keys: pa.Array, kind: pa.DataType) -> list[str]:
    """The texts of a map's keys: days and microseconds for dates and times."""
    text = str if kinds.in_spark(kind) in _DEFAULTS else _text(kind, {}, UTC)
    return [quoted(text(key)) for key in _plain(keys, kind)]
