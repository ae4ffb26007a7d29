"""One text → one value of a declared or learnt type."""

import math
import re
import struct
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import pyarrow as pa

from thresher.errors import UsageError
from thresher.time_patterns import read
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ, ddl
from thresher.xml.options import Options
from thresher.xml.spark_times import spark_days, spark_micros
from thresher.xml.temporal import MICROS_A_DAY, day_of, in_zone, iso_date, micros_of, within_python
from thresher.xml.votes import vote

Cast = Callable[[str], Any]

_BITS = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_INTEGER = re.compile(r"([+-]?)0*([0-9]+)")
_DOUBLE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|NaN|[+-]?(?:INF|Infinity)")
_SPARK_INTEGER = re.compile(r"([+-]?)0*(\d+)")
_REMEMBERED, _SHORT = 4096, 40
_NEVER = re.compile(r"(?!)")
_LONGEST = 20  # digits; Python refuses to read thousands of them
# Java's Double.parseDouble, then as many characters as NumberFormat for US English takes.
_SPARK_DOUBLE = re.compile(r"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|NaN|Infinity))[dDfF]?")
_SPARK_HEX_DOUBLE = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+[dDfF]?")
_SPARK_PREFIX = re.compile(r"-?(?:,*\d[\d,]*(?:\.\d*)?|,*\.\d+)(?:E-?\d+)?|-?∞")
_BEYOND_MICROS = re.compile(r"\.[0-9]{6}[0-9]*[1-9]")
_WITHOUT_SECONDS = re.compile(r"[T ][0-9]{2}:[0-9]{2}(?=Z|[+-])")
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
    if kind == pa.binary() and spark:
        return _no_binary
    raise UsageError(f"XML values cannot be read as {ddl(kind)}; declare string and cast afterwards")


def _no_binary(text: str) -> Any:
    """Spark takes the type, and then no text for it."""
    raise ValueError("from_xml reads no binary values")


class Texts(dict[str, Any]):
    """The values of texts of a type, blanks around them included; null where nothing stands.

    A column's short texts come again and again, and are read once; long ones would fill the memory.
    """

    def __init__(self, kind: pa.DataType, options: Options, *, is_learnt: bool) -> None:
        super().__init__()
        self.cast = (learnt_cast_for if is_learnt else cast_for)(kind, options)
        self.options = options
        self.is_string = self.cast is str
        self.refused: dict[str, str] = {}  # why short texts are no values
        self.plain, self.plain_cast = _plain_numbers(kind) if is_learnt else (_NEVER, self.cast)

    def __missing__(self, text: str) -> Any:
        if self.is_string:
            return self.read(text)
        if text in self.refused:
            raise ValueError(self.refused[text])
        is_plain = self.plain.fullmatch(text) and text != self.options.null_value
        try:
            value = self.plain_cast(text) if is_plain else self.read(text)
        except (ValueError, ArithmeticError) as error:
            _remember(self.refused, text, str(error))
            raise
        _remember(self, text, value)
        return value

    def read(self, text: str) -> Any:
        """The value of any text."""
        trimmed = self.options.trimmed(text)
        if trimmed == self.options.null_value or not (self.is_string or trimmed.strip()):
            return None
        return trimmed if self.is_string else self.cast(trimmed)


def _remember(found: dict[str, Any], text: str, value: Any) -> None:
    if len(text) <= _SHORT:
        if len(found) >= _REMEMBERED:
            found.clear()
        found[text] = value


@lru_cache(maxsize=64)
def texts_for(kind: pa.DataType, options: Options, *, is_learnt: bool) -> Texts:
    """The values of a scalar type, shared by all columns that have it; looking up what is none raises ValueError.

    >>> texts = texts_for(pa.int64(), Options(), is_learnt=True)
    >>> texts[" 7 "], texts[""]
    (7, None)
    """
    return Texts(kind, options, is_learnt=is_learnt)


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
            cast(text)  # a text that is no such value at all has a reason of its own
            raise ValueError("would not come back as it is written; declare the type to read it all the same")
        return cast(text)

    return strict


def _plain_numbers(kind: pa.DataType) -> tuple[re.Pattern[str], Cast]:
    """Texts that a learnt type takes for sure, and their cast: to judge each of them takes several times as long."""
    if kind == pa.int64():
        return re.compile(r"-?[1-9][0-9]{0,17}|0"), int
    if kind == pa.float64():
        return re.compile(r"(?=[0-9.]{1,15}$)(?:[1-9][0-9]*|0)(?:\.[0-9]+)?"), float
    if pa.types.is_decimal(kind) and 0 < kind.scale < kind.precision:
        whole = kind.precision - kind.scale - 1
        return re.compile(rf"(?:[1-9][0-9]{{0,{whole}}}|0)(?:\.[0-9]{{1,{kind.scale}}})?"), Decimal
    return _NEVER, str


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
    number = float(text)
    if math.isinf(number) and text.lstrip("+-")[:1] != "I":
        raise ValueError("is larger than a double can be")
    return number


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
    return sign * float(prefix[0].replace(",", "").replace("∞", "inf"))


def _float(number: float) -> float:
    if abs(number) >= _FLOAT_MAX:
        return math.copysign(math.inf, number)
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
        if not number.is_finite() or "_" in text:  # Python takes 1_000
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


def _date(text: str, options: Options) -> int:
    """Days since 1970."""
    if options.is_spark:
        return spark_days(text, options.date_format)
    return day_of(read(text, options.date_format)[0] if options.date_format else iso_date(text))


def _timestamp(text: str, options: Options, *, has_zone: bool) -> int:
    """Microseconds since 1970: of the instant, or of the local time where the type has no zone."""
    pattern = options.timestamp_format if has_zone else options.timestamp_ntz_format
    if not options.is_spark:
        return _exact_timestamp(text, pattern or options.timestamp_format, options, has_zone=has_zone)
    if pattern is None:
        return spark_micros(text, options.zone, has_zone=has_zone)
    return micros_of(*read(text, pattern), options.zone, has_zone=has_zone)


def _exact_timestamp(text: str, pattern: str | None, options: Options, *, has_zone: bool) -> int:
    """A timestamp, or the midnight of a date; nothing is cut off, and nothing depends on today."""
    if pattern is None and _BEYOND_MICROS.search(text):
        raise ValueError("has digits beyond microseconds")
    try:
        if pattern is not None:
            return micros_of(*read(text, pattern), options.zone, has_zone=has_zone)
        full = _WITHOUT_SECONDS.sub(r"\g<0>:00", text, count=1)
        return within_python(spark_micros(full, options.zone, has_zone=has_zone, takes_times=False))
    except ValueError as error:
        try:
            midnight = _date(text, options) * MICROS_A_DAY
        except ValueError:
            raise error from None
        return in_zone(midnight, options.zone) if has_zone else midnight
