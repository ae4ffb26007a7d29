"""from_json: values of documents that are not nested, as Spark converts them."""

import base64
import re
import struct
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from fractions import Fraction
from math import isfinite
from typing import Any

import pyarrow as pa

from thresher.sql import kinds
from thresher.sql.documents.json_options import JsonOptions
from thresher.sql.documents.json_tokens import BadJson, Real
from thresher.sql.documents.text_times import date_of, instant_of
from thresher.sql.documents.unproven import Unproven
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

# Jackson takes a byte up to 255, and Spark keeps its eight bits.
_LIMITS = {kinds.TINYINT: (-128, 255)} | {
    kind: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for kind, bits in ((kinds.SMALLINT, 16), (kinds.INT, 32), (kinds.BIGINT, 64))
}
_SPECIAL = {
    "NaN": float("nan"),
    **dict.fromkeys(("+INF", "+Infinity", "Infinity"), float("inf")),
    **dict.fromkeys(("-INF", "-Infinity"), float("-inf")),
}
_DECIMAL_TEXT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*")
_WIDE = Context(prec=1000)
_LATEST = 2**62  # microseconds; behind it lie DuckDB's infinite timestamps


def scalar(kind: pa.DataType, options: JsonOptions) -> Callable[[Any], Any]:
    """The conversion of a value to a type; it raises ValueError for a value of another type."""
    if kind in _LIMITS:
        return _integer(kind)
    if kind in (kinds.FLOAT, kinds.DOUBLE):
        return _floating(kind == kinds.FLOAT, options.tolerance.special_numbers)
    if kinds.is_decimal(kind):
        return lambda value: decimal_of(value, kind.precision, kind.scale)
    if kind == kinds.BOOL:
        return _boolean
    if kind == kinds.BINARY:
        return _binary
    pattern = options.patterns.get(kinds.in_spark(kind))
    if kind == kinds.DATE:
        return lambda value: date_of(_text(value), pattern)
    assert kind in (TIMESTAMP, TIMESTAMP_NTZ)
    if kind == TIMESTAMP_NTZ:
        return lambda value: instant_of(_text(value), pattern, None)
    return lambda value: _seconds(value) if type(value) is int else instant_of(_text(value), pattern, options.zone)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise BadJson("no text")
    return value


def _integer(kind: pa.DataType) -> Callable[[Any], int]:
    least, most = _LIMITS[kind]

    def convert(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise BadJson("no integer of this type")
        return value - 256 if most == 255 and value > 127 else value

    return convert


def _floating(is_single: bool, with_special: bool) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        if type(value) is str:
            if not with_special or value not in _SPECIAL:
                raise BadJson("a text instead of a number")
            return _SPECIAL[value]
        if type(value) not in (int, Real, float):
            raise BadJson("no number")
        number = _as_double(value)
        return as_single(value, number) if is_single else number

    return convert


def _as_double(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def as_single(value: Any, number: float) -> float:
    """The nearest float, of the written number rather than of its double."""
    is_half = struct.unpack("<Q", struct.pack("<d", number))[0] & 0x1FFFFFFF == 0x10000000
    if is_half and isfinite(number) and not isinstance(value, float) and Fraction(value) != Fraction(number):
        raise Unproven(f"{value} as a float")
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def decimal_of(value: Any, precision: int, scale: int) -> Decimal:
    """A decimal from a number or a text, rounded half up. Raises BadJson where it does not fit."""
    if type(value) is str:
        value = value.replace(",", "")
        if not _DECIMAL_TEXT.fullmatch(value):
            if any(c.isdecimal() and not c.isascii() for c in value):
                raise Unproven(f"{value!r} as a decimal")
            raise BadJson("no decimal")
    elif type(value) not in (int, Real):
        raise BadJson("no number")
    number = Decimal(value)
    if number and number.adjusted() >= precision - scale:
        raise BadJson("a number too large for the decimal")
    try:
        fitted = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _WIDE)
    except InvalidOperation:
        raise BadJson("a number too large for the decimal") from None
    if fitted and fitted.adjusted() >= precision - scale:
        raise BadJson("a number too large for the decimal")
    return abs(fitted) if not fitted else fitted


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise BadJson("no boolean")
    return value


def _binary(value: Any) -> bytes:
    text = _text(value)
    if not _BASE64.fullmatch(text):
        raise BadJson("no base64")
    return b"".join(base64.b64decode(text[i : i + 4]) for i in range(0, len(text), 4))


def _seconds(value: int) -> int:
    if abs(value) * 1_000_000 > _LATEST:
        raise Unproven(f"{value} seconds as a timestamp")
    return value * 1_000_000
