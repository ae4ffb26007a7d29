"""JSON values in the columns that a dataset has: each as it is, or none of the column's type."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any, TypeAlias

import pyarrow as pa

from thresher.ingest.formats.json_kinds import has_double
from thresher.types import ddl

_WIDE = Context(prec=80)

Fit: TypeAlias = Callable[[Any], Any]
"""A value of JSON (or of a logical type: bytes, dates, datetimes) → the same value for Arrow. Raises ValueError."""


def fit(kind: pa.DataType) -> Fit:
    """How values become those of a type, each without loss; null stays null.

    >>> fit(pa.int64())(7), fit(pa.float64())(7), fit(pa.string())({"a": [Decimal("1.10"), True]})
    (7, 7.0, '{"a": [1.10, true]}')
    >>> fit(pa.int64())("7")
    Traceback (most recent call last):
    ValueError: found "7", expected bigint
    """
    convert = _convert(kind)

    def fitted(value: Any) -> Any:
        if value is None:
            return None
        try:
            found = convert(value)
        except (TypeError, OverflowError, ArithmeticError):
            found = None
        if found is None:
            raise ValueError(f"found {text_of(value)[:100]}, expected {ddl(kind)}")
        return found

    return fitted


def text_of(value: Any) -> str:
    """A value as JSON, numbers with the digits that they came with.

    >>> text_of({"a": Decimal("1.10"), "b": [None, "x"]})
    '{"a": 1.10, "b": [null, "x"]}'
    """
    if isinstance(value, Mapping):
        inner = (f"{json.dumps(name, ensure_ascii=False)}: {text_of(each)}" for name, each in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(text_of(each) for each in value) + "]"
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return f'"{base64.b64encode(value).decode()}"'
    return json.dumps(value, ensure_ascii=False, default=str)


def _convert(kind: pa.DataType) -> Fit:
    """A value → the same in a type; None where it is none of it."""
    if pa.types.is_string(kind):
        return lambda value: value if isinstance(value, str) else _bare(text_of(value), value)
    if pa.types.is_integer(kind):
        most = 1 << (kind.bit_width - 1)
        return lambda value: _integer(value, most)
    if pa.types.is_floating(kind):
        return _double if kind == pa.float64() else lambda value: None
    if pa.types.is_decimal(kind):
        return lambda value: _decimal(value, kind.precision, kind.scale)
    if pa.types.is_struct(kind):
        return _struct(kind)
    if pa.types.is_list(kind):
        element = fit(kind.value_type)
        return lambda value: [element(each) for each in value] if isinstance(value, list) else None
    if pa.types.is_map(kind):
        key, item = fit(kind.key_type), fit(kind.item_type)
        return lambda value: [(key(k), item(v)) for k, v in value.items()] if isinstance(value, dict) else None
    return _PLAIN[kind]


def _bare(text: str, value: Any) -> str:
    return text[1:-1] if isinstance(value, (bytes, date)) else text


def _integer(value: Any, most: int) -> int | None:
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    return value if type(value) is int and -most <= value < most else None


def _double(value: Any) -> float | None:
    if isinstance(value, Decimal):
        return float(value) if has_double(value) else None
    return float(value) if type(value) is int and int(float(value)) == value else None


def _decimal(value: Any, precision: int, scale: int) -> Decimal | None:
    if type(value) is int:
        value = Decimal(value)
    if not isinstance(value, Decimal):
        return None
    fits = value.adjusted() < precision - scale and value == value.quantize(Decimal(1).scaleb(-scale), context=_WIDE)
    return value if fits else None


def _struct(kind: pa.StructType) -> Fit:
    inner = {each.name: fit(each.type) for each in kind}

    def convert(value: Any) -> Any:
        if not isinstance(value, dict) or any(name not in inner and value[name] is not None for name in value):
            return None
        return {name: convert(value.get(name)) for name, convert in inner.items()}

    return convert


def _date(value: Any) -> date | None:
    if isinstance(value, str):
        return _parsed(date.fromisoformat, value)
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _timestamp(value: Any) -> datetime | None:
    found = _parsed(datetime.fromisoformat, value) if isinstance(value, str) else value
    return found if isinstance(found, datetime) and found.tzinfo else None


def _timestamp_ntz(value: Any) -> datetime | None:
    found = _parsed(datetime.fromisoformat, value) if isinstance(value, str) else value
    return found if isinstance(found, datetime) and not found.tzinfo else None


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        return None


_PLAIN: dict[pa.DataType, Fit] = {
    pa.null(): lambda value: None,
    pa.bool_(): lambda value: value if isinstance(value, bool) else None,
    pa.binary(): lambda value: value if isinstance(value, bytes) else None,
    pa.date32(): _date,
    pa.timestamp("us"): _timestamp_ntz,
    pa.timestamp("us", tz="UTC"): _timestamp,
}
