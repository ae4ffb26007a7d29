"""What type the texts of one path speak for, and the type on which they agree."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa

from thresher.time_patterns import read
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ
from thresher.xml.extremes import Extremes
from thresher.xml.options import Options
from thresher.xml.spark_times import spark_days, spark_micros
from thresher.xml.temporal import iso_date, iso_timestamp

NUMBERS = frozenset({"integer", "decimal", "double"})
# Every decimal of at most 15 digits comes back from a double as it went in (IEEE 754 binary64).
DOUBLE_DIGITS = 15
DECIMAL_DIGITS = 38
LONG_DIGITS = 20  # what Spark counts for a bigint beside a decimal
_LONG = 2**63

_NUMBER = re.compile(r"(?P<sign>-?)(?P<whole>0|[1-9][0-9]*)(?:\.(?P<fraction>[0-9]+))?(?P<exponent>[eE][+-]?[0-9]+)?")
_SPARK_LONG = re.compile(r"[+-]?0*(\d+)")
_SPARK_DOUBLE = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+)[ \t\r\n]*"
)
_SPARK_DECIMAL = re.compile(r"[+-]?(?P<whole>[\d,]*)(?:\.(?P<fraction>\d*))?(?:[eE](?P<exponent>[+-]?\d{1,9}))?")


@dataclass(frozen=True)
class Vote:
    """One text's word for a type; for numbers with the digits before, after and overall."""

    kind: str
    whole: int = 0
    scale: int = 0
    digits: int = 0

    def fits(self, kind: pa.DataType) -> bool:
        """Whether the text comes back from a type as it was written, but for zeros after the point."""
        accepted = _ACCEPTED["decimal"] if pa.types.is_decimal(kind) else _ACCEPTED[str(kind)]
        return self.kind in accepted and not (kind == pa.float64() and self.digits > DOUBLE_DIGITS)


_ACCEPTED = {
    "int64": {"integer"},
    "decimal": {"integer", "decimal"},
    "double": {"integer", "decimal", "double"},
    "bool": {"boolean"},
    "date32[day]": {"date"},
    str(TIMESTAMP): {"timestamp"},
    str(TIMESTAMP_NTZ): {"timestamp_ntz", "date"},
}
TEXT = Vote("text")


def vote(text: str, options: Options) -> Vote | None:
    """What one (trimmed) text could be; None for a text that is empty or stands for null.

    >>> [vote(text, Options()).kind for text in ("7", "7.5", "007", "+7", "1e5", "true", "2024-01-31", "x")]
    ['integer', 'decimal', 'text', 'text', 'double', 'boolean', 'date', 'text']
    >>> [vote(text, Options.spark()).kind for text in ("7", "7.5", "007", "+7", "1e5", "TRUE", "2024-01-31", "x")]
    ['integer', 'double', 'integer', 'integer', 'double', 'boolean', 'date', 'text']
    """
    # Spark 4.2 reads the null text as null, but lets it vote.
    if not text or (text == options.null_value and not options.is_spark):
        return None
    number = _spark_number(text, options) if options.is_spark else _exact_number(text)
    return number or _moment(text, options) or _boolean(text, options) or TEXT


def _exact_number(text: str) -> Vote | None:
    """Only numbers that are written as a number would be written back: no leading zeros, no plus sign."""
    found = _NUMBER.fullmatch(text)
    if not found or found["sign"] and not text.strip("-0.eE"):
        return None
    whole = len(found["whole"]) if found["whole"] != "0" else 0
    fraction = found["fraction"] or ""
    digits = len((found["whole"] + fraction).lstrip("0"))
    if found["exponent"]:
        # From 1E-300 to 1E300 no digit is lost; three digits of an exponent are enough to tell.
        fits = digits <= DOUBLE_DIGITS and len(found["exponent"]) <= 5 and abs(int(found["exponent"][1:])) < 285
        return Vote("double", digits=digits) if fits else None
    is_long = not fraction and whole <= LONG_DIGITS and -_LONG <= int(text) < _LONG
    return Vote("integer" if is_long else "decimal", whole, len(fraction), digits)


def _spark_number(text: str, options: Options) -> Vote | None:
    found = _SPARK_LONG.fullmatch(text)
    if found and len(found[1]) <= LONG_DIGITS and int(found[1]) < _LONG:
        return Vote("integer")
    if options.prefers_decimal and (decimal := _SPARK_DECIMAL.fullmatch(text)):
        # A BigDecimal's precision counts no leading zeros; DecimalType takes the larger of precision and scale.
        fraction, exponent = decimal["fraction"] or "", int(decimal["exponent"] or 0)
        whole = decimal["whole"].replace(",", "")
        scale = len(fraction) - exponent
        precision = max(len((whole + fraction).lstrip("0")) or 1, scale)
        if (whole or fraction) and text.lstrip("+-")[0] != "," and 0 <= scale and precision <= DECIMAL_DIGITS:
            return Vote("decimal", precision - scale, scale)
    return Vote("double") if _SPARK_DOUBLE.fullmatch(text) else None


def _moment(text: str, options: Options) -> Vote | None:
    has_pattern = options.date_format or options.timestamp_format or options.timestamp_ntz_format
    if not options.is_spark and not has_pattern and not text[:1].isdigit():
        return None
    if _reads(_read_date, text, options):
        return Vote("date" if options.prefer_date or options.is_spark else "timestamp_ntz")
    if options.is_spark:
        return Vote("timestamp") if _reads(_read_spark_timestamp, text, options) else None
    moment = _exact_timestamp(text, options)
    return Vote("timestamp" if moment else "timestamp_ntz") if moment is not None else None


def _read_date(text: str, options: Options) -> None:
    if options.is_spark:
        spark_days(text, options.date_format)
    elif options.date_format:
        read(text, options.date_format)
    else:
        iso_date(text)


def _read_spark_timestamp(text: str, options: Options) -> None:
    if options.timestamp_format:
        read(text, options.timestamp_format)
    else:
        spark_micros(text)


def _reads(reader: Callable[[str, Options], None], text: str, options: Options) -> bool:
    try:
        reader(text, options)
    except ValueError:
        return False
    return True


def _exact_timestamp(text: str, options: Options) -> bool | None:
    """Whether a timestamp has a zone; None for what is none."""
    patterns = [pattern for pattern in (options.timestamp_format, options.timestamp_ntz_format) if pattern]
    for pattern in patterns:
        try:
            return read(text, pattern)[1] is not None
        except ValueError:
            continue
    try:
        return iso_timestamp(text).tzinfo is not None if not patterns else None
    except ValueError:
        return None


def _boolean(text: str, options: Options) -> Vote | None:
    known = text.lower() if options.is_spark else text
    return Vote("boolean") if known in ("true", "false") else None


@dataclass(slots=True)
class Votes:
    """The votes of all texts of a path; merging is associative and commutative.

    `whole`, `scale` and `digits` are the most digits before the point, after it and overall.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    whole: int = 0
    scale: int = 0
    digits: int = 0
    extremes: Extremes = field(default_factory=Extremes)

    def add(self, text: str, options: Options) -> bool:
        """Count one text; False where it is empty or stands for null."""
        text = options.trimmed(text)
        cast = vote(text, options)
        if cast is None:
            return False
        self.count(cast, text)
        return True

    def count(self, cast: Vote, text: str, times: int = 1) -> None:
        """Count the vote of a text."""
        self.kinds[cast.kind] += times
        self._widen(cast.whole, cast.scale, cast.digits)
        self.extremes.add(text, is_number=cast.kind in NUMBERS)

    def merge(self, other: "Votes") -> "Votes":
        """The votes of both."""
        merged = Votes(self.kinds + other.kinds, self.whole, self.scale, self.digits)
        merged._widen(other.whole, other.scale, other.digits)
        merged.extremes = self.extremes.merge(other.extremes)
        return merged

    def _widen(self, whole: int, scale: int, digits: int) -> None:
        self.whole = max(self.whole, whole)
        self.scale = max(self.scale, scale)
        self.digits = max(self.digits, digits)

    def type(self, options: Options) -> pa.DataType:
        """The narrowest type that holds every text: in the exact dialect without loss.

        | votes | exact | spark |
        |---|---|---|
        | integer | int64 | int64 |
        | decimal, integer | decimal of the digits seen, ≤ 38 | decimal, an integer counting 20 digits; else double |
        | double, decimal, integer | double if none has more than 15 digits | double |
        | date, timestamp_ntz | timestamp_ntz | – |
        | date, timestamp | string | timestamp |
        | anything else together | string | string |
        """
        kinds = frozenset(self.kinds)
        if not kinds or not options.infer_types or "text" in kinds:
            return pa.string()
        if kinds <= NUMBERS:
            return self._spark_number(kinds) if options.is_spark else self._exact_number(kinds, options)
        if kinds <= {"date", "timestamp_ntz"}:
            return pa.date32() if kinds == {"date"} else TIMESTAMP_NTZ
        if kinds == {"timestamp"} or (options.is_spark and kinds == {"date", "timestamp"}):
            return TIMESTAMP
        return pa.bool_() if kinds == {"boolean"} else pa.string()

    def _exact_number(self, kinds: frozenset[str], options: Options) -> pa.DataType:
        if kinds == {"integer"}:
            return pa.int64()
        wants_double = "double" in kinds or (self.scale and not options.prefers_decimal)
        if wants_double and self.digits <= DOUBLE_DIGITS:
            return pa.float64()
        if "double" in kinds or self.whole + self.scale > DECIMAL_DIGITS:
            return pa.string()
        return pa.decimal128(max(self.whole + self.scale, 1), self.scale)

    def _spark_number(self, kinds: frozenset[str]) -> pa.DataType:
        if kinds == {"integer"}:
            return pa.int64()
        whole = max(self.whole, LONG_DIGITS) if "integer" in kinds else self.whole
        if "double" in kinds or whole + self.scale > DECIMAL_DIGITS:
            return pa.float64()
        return pa.decimal128(whole + self.scale, self.scale)

    def as_dict(self) -> dict[str, Any]:
        """The votes as plain values; what is zero or empty is left out."""
        plain = {
            "kinds": dict(sorted(self.kinds.items())),
            "whole": self.whole,
            "scale": self.scale,
            "digits": self.digits,
        }
        return {name: value for name, value in plain.items() if value} | self.extremes.as_dict()

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Votes":
        """The opposite of `as_dict`."""
        ends = {f.name for f in fields(Extremes)}
        own = {name: value for name, value in plain.items() if name not in ends}
        extremes = Extremes(**{name: value for name, value in plain.items() if name in ends})
        return cls(**{**own, "kinds": Counter(plain.get("kinds", {})), "extremes": extremes})
