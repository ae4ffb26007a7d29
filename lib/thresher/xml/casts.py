"""One text → one value of a declared or learnt type."""

import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from thresher.errors import UsageError
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ, ddl
from thresher.xml.options import Options
from thresher.xml.temporal import by_pattern, iso_date, spark_timestamp
from thresher.xml.votes import vote

Cast = Callable[[str], Any]

_BITS = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_INTEGER = re.compile(r"([+-]?)0*([0-9]+)")
_DOUBLE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|NaN|[+-]?(?:INF|Infinity)")
_SPARK_INTEGER = re.compile(r"([+-]?)0*(\d+)")
_LONGEST = 20  # digits; Python refuses to read thousands of them
# Java's Double.parseDouble, then as many characters as NumberFormat for US English takes.
_SPARK_DOUBLE = re.compile(r"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|NaN|Infinity))[dDfF]?")
_SPARK_HEX_DOUBLE = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+[dDfF]?")
_SPARK_PREFIX = re.compile(r"-?(?:[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)(?:E-?[0-9]+)?")
_WIDE = Context(prec=200)  # rounding to a scale never runs out of digits before the check of the precision
_FLOAT_MAX = 3.4028235677973366e38  # from here on a double rounds to infinity


def cast_for(kind: pa.DataType, options: Options) -> Cast:
    """The function from a (trimmed) text to a value of a scalar type; it raises ValueError with the reason.

    >>> cast_for(pa.int32(), Options())("007"), cast_for(pa.bool_(), Options())("TRUE")
    (7, True)
    """
    spark = options.is_spark
    if pa.types.is_string(kind):
        return str
    if kind in _BITS:
        return _spark_integer(_BITS[kind]) if spark else _integer(_BITS[kind])
    if kind in (pa.float32(), pa.float64()):
        double = _spark_double if spark else _double
        return double if kind == pa.float64() else lambda text: _float(double(text))
    if pa.types.is_decimal(kind):
        return (_spark_decimal if spark else _decimal)(kind.precision, kind.scale)
    if kind == pa.bool_():
        return _boolean
    if kind == pa.date32():
        return lambda text: _date(text, options)
    if kind in (TIMESTAMP, TIMESTAMP_NTZ):
        return lambda text: _timestamp(text, options, has_zone=kind == TIMESTAMP)
    raise UsageError(f"XML values cannot be read as {ddl(kind)}; declare string and cast afterwards")


def learnt_cast_for(kind: pa.DataType, options: Options) -> Cast:
    """Like `cast_for`, for a type that nobody declared: a text that would not have voted for it stays text.

    A column that held 7 so far must not read 007 as 7.
    """
    cast = cast_for(kind, options)
    if pa.types.is_string(kind):
        return cast

    def strict(text: str) -> Any:
        found = vote(text, options)
        if found is None or not found.fits(kind):
            raise ValueError("would not come back as it is written; declare the type to read it all the same")
        return cast(text)

    return strict


def _integer(bits: int) -> Cast:
    return lambda text: _whole(_INTEGER.fullmatch(text), bits)


def _whole(found: re.Match[str] | None, bits: int) -> int:
    if not found:
        raise ValueError("not a whole number")
    sign, digits = found.groups()
    if len(digits) > _LONGEST or not -(2 ** (bits - 1)) <= int(sign + digits) < 2 ** (bits - 1):
        raise ValueError(f"does not fit {bits} bits")
    return int(sign + digits)


def _spark_integer(bits: int) -> Cast:
    """Spark takes the sign off an int or bigint before it casts: the smallest value overflows, and two signs pass."""

    def cast(text: str) -> int:
        signed = bits >= 32 and text[:1] in ("+", "-")
        number = _whole(_SPARK_INTEGER.fullmatch(text[1:] if signed else text), bits)
        return -number if signed and text[0] == "-" else number

    return cast


def _double(text: str) -> float:
    if not _DOUBLE.fullmatch(text):
        raise ValueError("not a number")
    return float(text)


def _spark_double(text: str) -> float:
    """Like Spark's fallback to a number format, this reads `12abc` as 12 and `1,5` as 15."""
    sign = -1.0 if text[:1] == "-" else 1.0
    plain = text[1:] if text[:1] in ("+", "-") else text
    if found := _SPARK_DOUBLE.fullmatch(plain):
        return sign * float(found[1])
    if _SPARK_HEX_DOUBLE.fullmatch(plain):
        return sign * float.fromhex(plain.rstrip("dDfF"))
    prefix = _SPARK_PREFIX.match(plain)
    if not prefix:
        raise ValueError("not a number")
    return sign * float(prefix[0].replace(",", ""))


def _float(number: float) -> float:
    if abs(number) >= _FLOAT_MAX:
        return number / abs(number) * float("inf")
    return float(struct.unpack("f", struct.pack("f", number))[0])


def _decimal(precision: int, scale: int) -> Cast:
    """Digits that the type cannot hold are an error, never rounded away."""

    def cast(text: str) -> Decimal:
        if not _DOUBLE.fullmatch(text) or not text[-1:].isdigit() and text[-1:] != ".":
            raise ValueError("not a decimal number")
        return _fitted(Decimal(text), precision, scale, exact=True)

    return cast


def _spark_decimal(precision: int, scale: int) -> Cast:
    def cast(text: str) -> Decimal:
        try:
            number = Decimal(text.replace(",", ""))
        except InvalidOperation:
            raise ValueError("not a decimal number") from None
        if not number.is_finite():
            raise ValueError("not a decimal number")
        return _fitted(number, precision, scale, exact=False)

    return cast


def _fitted(number: Decimal, precision: int, scale: int, *, exact: bool) -> Decimal:
    if number.adjusted() + 1 > precision - scale and number:
        raise ValueError(f"does not fit decimal({precision},{scale})")
    fitted = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _WIDE)
    if exact and fitted != number:
        raise ValueError(f"has more than {scale} digits after the point: does not fit decimal({precision},{scale})")
    if fitted.adjusted() + 1 > precision - scale and fitted:
        raise ValueError(f"does not fit decimal({precision},{scale})")
    return fitted


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError("not a boolean; expected true, false, 1 or 0") from None


def _date(text: str, options: Options) -> date:
    return by_pattern(text, options.date_format).date() if options.date_format else iso_date(text)


def _timestamp(text: str, options: Options, *, has_zone: bool) -> datetime:
    moment, beyond = _moment(text, options)
    if beyond and not options.is_spark:
        raise ValueError("has digits beyond microseconds")
    if not has_zone:
        if moment.tzinfo:
            raise ValueError("has a time zone; a timestamp_ntz has none")
        return moment
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999") from None


def _moment(text: str, options: Options) -> tuple[datetime, str]:
    """A timestamp, or in the exact dialect the midnight of a date, with the digits that do not fit."""
    try:
        if options.timestamp_format is None:
            return spark_timestamp(text)
        return by_pattern(text, options.timestamp_format), ""
    except ValueError:
        if options.is_spark:
            raise
        return datetime.combine(_date(text, options), time()), ""
