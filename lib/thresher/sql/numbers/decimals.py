"""Arithmetic of decimals with Spark's result types: DuckDB's own where 38 digits hold each step, else Python's.

Source of the types: Spark's `DecimalType.adjustPrecisionScale` and the operators' rules for precision and scale.
"""

import re
from dataclasses import dataclass, replace

import pyarrow as pa

from thresher.sql import kinds
from thresher.sql.allowed import MACROS
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.numbers import wide_decimals

_IN_64_BITS = 18
_LEAST_ROOM = 2
_CHEAP = re.compile(
    r"""(?:\w+\."(?:[^"]|"")*"|'[-0-9.]+'|\b(?:CAST|AS|DECIMAL|INTEGER|BIGINT|SMALLINT|TINYINT)\b|\d+|[-+*(), ])*"""
)

MACROS.update(
    {
        "spark_divide_whole(a, b)": (  # half up, away from zero; a and b are HUGEINT
            "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN b = 0 THEN error('division by zero') "
            "ELSE sign(a) * sign(b) * ((abs(a) + abs(b) // 2) // abs(b)) END"
        ),
    }
)


def result(sign: str, a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """The type of `a sign b`.

    >>> result("*", pa.decimal128(38, 18), pa.decimal128(38, 18)), result("/", pa.decimal128(5, 2), pa.decimal128(5, 2))
    (Decimal128Type(decimal128(38, 6)), Decimal128Type(decimal128(13, 8)))
    """
    whole_a, whole_b, scale = a.precision - a.scale, b.precision - b.scale, max(a.scale, b.scale)
    match sign:
        case "+" | "-":
            return _adjusted(max(whole_a, whole_b) + scale + 1, scale)
        case "*":
            return _adjusted(a.precision + b.precision + 1, a.scale + b.scale)
        case "/":
            scale = max(6, a.scale + b.precision + 1)
            return _adjusted(whole_a + b.scale + scale, scale)
        case "div":
            return kinds.BIGINT
    return pa.decimal128(min(whole_a, whole_b) + scale, scale)


def _adjusted(precision: int, scale: int) -> pa.DataType:
    """At most 38 digits: the fraction gives way to the whole part, but keeps up to six."""
    over = max(precision - kinds.MAX_PRECISION, 0)
    return pa.decimal128(precision - over, max(scale - over, min(scale, 6)))


def compute(e: Expressions, sign: str, left: Typed, right: Typed, *, is_try: bool = False) -> Typed:
    """`left sign right` for two exact numbers of which one is a decimal; with `is_try`, NULL where that is an error."""
    a, b = _decimal(left), _decimal(right)
    left, right = _cast(e, left, a), _cast(e, right, b)
    kind = result(sign, a, b)
    is_try = is_try and not (sign in "+-*" and kind.precision < kinds.MAX_PRECISION)  # which cannot overflow
    if sign == "*" and not is_try and kind.scale == a.scale + b.scale:
        return _product(e, left, right, kind)
    sql = None if is_try else _native(e, sign, left, right, kind)
    if sql is None:
        name = e.function(wide_decimals.function(sign, a, b, kind, is_try=is_try))
        sql = f"{name}({left.sql}, {right.sql})"
    return Typed(sql, kind, is_window=left.is_window or right.is_window)


def _decimal(value: Typed) -> pa.DataType:
    # Spark counts the digits of a literal, but of no tinyint.
    return kinds.as_decimal(value.kind, value.literal if value.kind != kinds.TINYINT else None)


def _cast(e: Expressions, value: Typed, kind: pa.DataType) -> Typed:
    """The value in a decimal that holds it; a literal as a literal, since DuckDB computes each cast that it is told."""
    if not isinstance(value.literal, int):
        return e.cast(value, kind)
    return replace(value, sql=f"CAST('{value.literal}' AS {kinds.in_duckdb(kind)})", kind=kind)


def is_cheap(value: Typed) -> bool:
    """Whether it may be said several times: nothing but columns and literals, their sums and products."""
    return not value.is_window and _CHEAP.fullmatch(value.sql) is not None


def negates_exactly(kind: pa.DataType) -> bool:
    """Whether Spark's negative keeps all digits; from 35 on it rounds."""
    return bool(kind.precision <= wide_decimals.NEGATED_DIGITS)


def negative(e: Expressions, value: Typed) -> str:
    """`- value`."""
    if negates_exactly(value.kind):
        return f"(- {value.sql})"
    return f"{e.function(wide_decimals.negative(value.kind))}({value.sql})"


def _native(e: Expressions, sign: str, left: Typed, right: Typed, kind: pa.DataType) -> str | None:
    """The computation in DuckDB's own types; None where they do not hold each step of it."""
    if sign in ("*", "/", "div"):
        return None
    scale = max(left.kind.scale, right.kind.scale)
    digits = max(left.kind.precision - left.kind.scale, right.kind.precision - right.kind.scale) + scale
    if digits > kinds.MAX_PRECISION:
        return None
    shared = pa.decimal128(digits, scale)
    if sign in "+-":
        if kind.scale != scale:
            return None
        if digits == _IN_64_BITS:
            shared = kind  # else DuckDB's sum has one digit more than its operands, as Spark's has
        return f"CAST(({_cast(e, left, shared).sql} {sign} {_cast(e, right, shared).sql}) AS {kinds.in_duckdb(kind)})"
    one, other = _cast(e, left, shared), _cast(e, right, shared)
    sql = f"spark_remainder({one.sql}, {other.sql})"
    if sign == "pmod":
        if digits == kinds.MAX_PRECISION:
            return None
        sql = f"spark_pmod({sql}, {other.sql})"
    return f"CAST({sql} AS {kinds.in_duckdb(kind)})"


@dataclass(frozen=True)
class Product(Typed):
    """A product of decimals whose type has 128 bits while most values need but 64, in which DuckDB is far faster.

    `narrow` is the product in 64 bits, right where `fits`; `wide` is right anywhere. `made` is `sql` as it was made of
    them: whoever puts another `sql` in its place ends this.
    """

    narrow: str = ""
    fits: str = ""
    wide: str = ""
    made: str = ""


def _product(e: Expressions, left: Typed, right: Typed, kind: pa.DataType) -> Typed:
    """Each side in its own decimal, so that the scales add up."""
    is_window = left.is_window or right.is_window
    word = kinds.in_duckdb(kind)
    if left.kind.precision + right.kind.precision <= _IN_64_BITS:
        return Typed(f"CAST(({left.sql} * {right.sql}) AS {word})", kind, is_window=is_window)
    (a, fits_a, wide_a), (b, fits_b, wide_b) = _narrowed(left), _narrowed(right)
    wide_a = e.cast(replace(left, sql=wide_a), roomy(left.kind)).sql
    wide = f"CAST(({wide_a} * {wide_b}) AS {word})"
    room = (_IN_64_BITS - kind.scale) // 2
    if not a or not b or room < _LEAST_ROOM:
        return Typed(wide, kind, is_window=is_window)
    # One CASE in the other: DuckDB may turn the parts of AND around.
    fits = " AND ".join(_bounds(a, left.kind, room) + _bounds(b, right.kind, room))
    before = " AND ".join(part for part in (fits_a, fits_b) if part)
    fits = f"CASE WHEN {before} THEN {fits} END" if before else fits
    narrow = f"({a} * {b})"
    sql = f"CASE WHEN {fits} THEN CAST({narrow} AS {word}) ELSE {wide} END"
    return Product(sql, kind, is_window=is_window, narrow=narrow, fits=fits, wide=wide, made=sql)


def _bounds(sql: str, kind: pa.DataType, room: int) -> list[str]:
    """That a value in 64 bits has at most so many digits before the point; empty where its type says so."""
    digits = min(kind.precision, _IN_64_BITS)
    if digits - kind.scale <= room:
        return []
    low, high = (f"CAST('{sign}{10**room - 1}' AS DECIMAL({digits},{kind.scale}))" for sign in ("-", ""))
    return [f"{sql} BETWEEN {low} AND {high}"]


def _narrowed(value: Typed) -> tuple[str, str, str]:
    """A value in 64 bits (empty: there is none), the condition for it, and the value in any case."""
    if isinstance(value, Product) and value.sql.strip("()") == value.made.strip("()"):
        return value.narrow, value.fits, value.wide
    is_narrow = value.kind.precision <= _IN_64_BITS and is_cheap(value)
    return value.sql if is_narrow else "", "", value.sql


def roomy(kind: pa.DataType) -> pa.DataType:
    """A decimal in 128 bits: two of up to 18 digits are multiplied in 64 bits, and raise where those do not do."""
    return kind if kind.precision > _IN_64_BITS else pa.decimal128(_IN_64_BITS + 1, kind.scale)


def scaled(sql: str, kind: pa.DataType) -> Typed:
    """A whole number as the digits of a decimal."""
    unit = f"CAST('0.{'0' * (kind.scale - 1)}1' AS DECIMAL({kind.scale},{kind.scale}))"
    return Typed(f"CAST(CAST({sql} AS DECIMAL(38,0)) * {unit} AS {kinds.in_duckdb(kind)})", kind)
