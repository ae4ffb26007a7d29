"""format_number: numbers as java.text.DecimalFormat writes them."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import lru_cache, partial
from typing import Any

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import function
from thresher.sql.casting.casts import convert
from thresher.sql.casting.number_text import double_text
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.texts.row_functions import row_function

_strings = partial(function, group="Strings")

# DecimalFormat: a prefix, a pattern of digits, a suffix.
_NUMBER_PATTERN = re.compile(r"([^#0,.;%\u2030\u00a4E'-]*)([#,]*[0,]*)(?:(\.)(0*)(#*))?(%?)([^#0,.;%\u2030\u00a4E'-]*)")


@dataclass(frozen=True)
class _Shape:
    prefix: str
    suffix: str
    least_whole: int
    least_fraction: int
    most_fraction: int
    group: int
    factor: int
    has_point: bool


@lru_cache(maxsize=256)
def _shape(pattern: str) -> _Shape:
    """A pattern of DecimalFormat; raises ValueError."""
    found = _NUMBER_PATTERN.fullmatch(pattern)
    if found is None:
        raise ValueError(f"not proven equal to Spark: the number pattern {pattern!r}")
    prefix, whole, point, zeros, hashes, percent, suffix = found.groups()
    digits = whole.replace(",", "")
    if whole.endswith(",") or (not digits and not point) or (not digits and not zeros and not hashes):
        raise ValueError(f"not proven equal to Spark: the number pattern {pattern!r}")
    least = digits.count("0")
    if point and not least and not zeros:  # #.## has a digit before the point all the same, and .## one behind it
        least, zeros, hashes = (1, zeros, hashes) if digits else (0, "0", hashes[1:])
    group = len(whole) - whole.rindex(",") - 1 if "," in whole else 0
    return _Shape(
        prefix,
        percent + suffix,
        least,
        len(zeros or ""),
        len((zeros or "") + (hashes or "")),
        group,
        100 if percent else 1,
        has_point=bool(point) and not zeros and not hashes,
    )


def _patterned(value: Any, pattern: str) -> str:
    shape = _shape(pattern)
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if value in (float("inf"), float("-inf")):
            return f"{'-' if value < 0 else ''}{shape.prefix}∞{shape.suffix}"
    with localcontext() as context:
        context.prec, context.rounding = 2000, ROUND_HALF_EVEN
        if isinstance(value, float) and shape.factor != 1:
            value *= float(shape.factor)
            factor = 1
        else:
            factor = shape.factor
        number = Decimal(value) * factor
        rounded = _rounded(value, abs(number), Decimal(1).scaleb(-shape.most_fraction))
    whole, _, fraction = f"{rounded:f}".partition(".")
    whole = whole.lstrip("0").rjust(shape.least_whole, "0")
    fraction = fraction.rstrip("0").ljust(shape.least_fraction, "0")
    whole = whole or ("" if fraction else "0")
    if shape.group:
        size = shape.group
        first = len(whole) % size or size
        whole = ",".join([whole[:first], *(whole[n : n + size] for n in range(first, len(whole), size))])
    sign = "-" if str(number).startswith("-") and (number or isinstance(value, float)) else ""
    return f"{sign}{shape.prefix}{whole}{'.' if fraction or shape.has_point else ''}{fraction}{shape.suffix}"


def _rounded(value: Any, number: Decimal, unit: Decimal) -> Decimal:
    """To a multiple of the unit. A double has the digits of its text; only a tie among them is broken by its value."""
    if not isinstance(value, float):
        return number.quantize(unit)
    digits = abs(Decimal(double_text(value)))
    is_tie = (digits % unit) * 2 == unit
    return (number if is_tie else digits).quantize(unit)


_PLAIN_NUMBER = "#,##0"


def _with_digits(value: Any, digits: int) -> str | None:
    if digits < 0:
        return None
    return _patterned(value, f"{_PLAIN_NUMBER}.{'0' * digits}" if digits else _PLAIN_NUMBER)


@row_function("spark_format_number", ["VARCHAR", "INTEGER"], "VARCHAR")
def _exact_with_digits(number: str, digits: int) -> str | None:
    return _with_digits(Decimal(number), digits)


@row_function("spark_format_double", ["DOUBLE", "INTEGER"], "VARCHAR")
def _double_with_digits(number: float, digits: int) -> str | None:
    return _with_digits(number, digits)


@row_function("spark_format_number_as", ["VARCHAR", "VARCHAR"], "VARCHAR")
def _exact_patterned(number: str, pattern: str) -> str:
    return _patterned(Decimal(number), pattern or _PLAIN_NUMBER)


@row_function("spark_format_double_as", ["DOUBLE", "VARCHAR"], "VARCHAR")
def _double_patterned(number: float, pattern: str) -> str:
    return _patterned(number, pattern or _PLAIN_NUMBER)


@_strings(
    "format_number",
    2,
    2,
    "format_number(number, digits), format_number(number, '#,##0.00')",
    "SELECT format_number(1234567.891, 2) AS a",
    note="Half to even. Patterns of # 0 , . and %, with plain text before and behind.",
)
def _format_number(e: Expressions, node: exp.Anonymous) -> Typed:
    value, form = e.exprs(node.expressions)
    for given, expected in ((value, "a number"), (form, "an int or a pattern")):
        is_right = kinds.is_number(given.kind) if given is value else given.kind in (kinds.INT, kinds.STRING)
        if given.kind != kinds.VOID and not is_right:
            e.wrong(node, f"an argument of format_number is {kinds.in_spark(given.kind)}; expected {expected}.")
    if kinds.VOID in (value.kind, form.kind):
        return Typed("NULL::VARCHAR", kinds.STRING)
    if isinstance(form.literal, str):
        try:
            _shape(form.literal or _PLAIN_NUMBER)
        except ValueError:
            e.refuse(node, f"the number pattern {form.literal!r}")
    is_floating = value.kind in (kinds.FLOAT, kinds.DOUBLE)
    wide = kinds.DOUBLE if is_floating else kinds.STRING
    number = convert(e, node, value, wide, is_try=False).sql
    name = f"spark_format_{'double' if is_floating else 'number'}{'_as' if form.kind == kinds.STRING else ''}"
    return Typed(f"{name}({number}, {e.cast(form, kinds.INT).sql if name[-3:] != '_as' else form.sql})", kinds.STRING)
