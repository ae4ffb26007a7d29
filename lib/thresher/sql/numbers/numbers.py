"""Functions that keep a number's type, or round it: abs, floor, ceil, round, bround."""

from decimal import Decimal
from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, function
from thresher.sql.casting.casts import convert
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.numbers import decimals, rounding
from thresher.sql.numbers.operators import as_number

_numbers = partial(function, group="Numbers")

# The decimals that Spark takes for other numbers where it wants one.
_DECIMALS = {kinds.FLOAT: pa.decimal128(14, 7), kinds.DOUBLE: pa.decimal128(30, 15)}
_ANY_DECIMAL = pa.decimal128(38, 18)

# Up to so many digits DuckDB rounds a double as Spark does, but for ties and what is near to one.
_FAST_DIGITS = 15
MACROS["spark_is_no_tie(x)"] = "x < 1e15 AND abs(x - floor(x) - 0.5e0) > x * 1e-15"

MACROS.update(
    {
        f"spark_{name}_of_double(x)": (  # as Java casts to long: to the nearest, and NaN to 0
            f"CASE WHEN isnan(x) THEN 0 WHEN x >= 9223372036854775807e0 THEN 9223372036854775807 "
            f"WHEN x <= -9223372036854775808e0 THEN -9223372036854775808 ELSE CAST({name}(x) AS BIGINT) END"
        )
        for name in ("floor", "ceil")
    }
)


@_numbers("abs", 1, 1, "abs(a)", "SELECT abs(-1.5) AS a", note="The smallest integer is an error.")
def _abs(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if not isinstance(value.kind, kinds.Interval):
        value = as_number(e, node, value, "abs")
    if not kinds.is_decimal(value.kind) or decimals.negates_exactly(value.kind):
        return Typed(f"abs({value.sql})", value.kind)
    return Typed(f"CASE WHEN {value.sql} < 0 THEN {decimals.negative(e, value)} ELSE {value.sql} END", value.kind)


@_numbers(
    "floor ceil ceiling",
    1,
    2,
    "floor(a [, digits]), ceil(a [, digits])",
    "SELECT floor(-1.5) AS a, ceil(2.345, 2) AS b",
    note="bigint, of a decimal and with digits (a constant int) a decimal.",
)
def _floor(e: Expressions, node: exp.Anonymous) -> Typed:
    name = "floor" if node.name.lower() == "floor" else "ceil"
    value = e.expr(node.expressions[0])
    if len(node.expressions) > 1:
        digits = _constant(e, node, node.expressions[1], name)
        if digits is None or e.expr(node.expressions[1]).kind != kinds.INT:
            e.wrong(node, f"the digits of {name} are no int; expected a constant like 2.")
        return _in_digits(e, node, name, _some_decimal(e, node, value), digits)
    if value.kind in kinds.INTEGERS:
        return Typed(e.cast(value, kinds.BIGINT).sql, kinds.BIGINT)
    if kinds.is_decimal(value.kind):
        kind = pa.decimal128(value.kind.precision - value.kind.scale + (1 if value.kind.scale else 0), 0)
        return Typed(f"CAST({name}({value.sql}) AS {kinds.in_duckdb(kind)})", kind)
    number = e.cast(as_number(e, node, value, name), kinds.DOUBLE)
    return Typed(f"spark_{name}_of_double({number.sql})", kinds.BIGINT)


def _some_decimal(e: Expressions, node: exp.Expr, value: Typed) -> Typed:
    if kinds.is_exact(value.kind):
        return e.cast(value, kinds.as_decimal(value.kind))
    as_number(e, node, value, "floor or ceil")
    return convert(e, node, value, _DECIMALS.get(value.kind, _ANY_DECIMAL), is_try=False)


@_numbers(
    "round bround",
    1,
    2,
    "round(a [, digits]), bround(a [, digits])",
    "SELECT round(2.345, 2) AS a, bround(2.5D) AS b",
    note="Any number, digits a constant, also negative. Ties: round away from zero, bround to the even digit; a double "
    "counts as its text.",
)
def _round(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    value = as_number(e, node, e.expr(node.expressions[0]), name)
    digits = _constant(e, node, node.expressions[1], name) if len(node.expressions) > 1 else 0
    if digits is None:
        kind = _rounded_kind(value.kind, 0) if kinds.is_decimal(value.kind) else value.kind
        return Typed(f"CAST(NULL AS {kinds.in_duckdb(kind)})", kind)
    if kinds.is_decimal(value.kind):
        return _in_digits(e, node, name, value, digits)
    if value.kind not in kinds.INTEGERS:
        made = e.function(rounding.of_floating(name, value.kind, digits))
        if value.kind == kinds.DOUBLE and 0 <= digits <= _FAST_DIGITS and decimals.is_cheap(value):
            is_sure = f"spark_is_no_tie(abs({value.sql}) * 1e{digits})"
            sql = f"CASE WHEN {is_sure} THEN round({value.sql}, {digits}) + 0e0 ELSE {made}({value.sql}) END"
            return Typed(sql, value.kind)
        return Typed(f"{made}({value.sql})", value.kind)
    if digits >= 0:
        return Typed(value.sql, value.kind)
    wide = e.cast(value, kinds.as_decimal(value.kind))
    made = e.function(rounding.of_decimals(name, wide.kind, digits, pa.decimal128(kinds.MAX_PRECISION, 0)))
    return Typed(f"CAST({made}({wide.sql}) AS {kinds.in_duckdb(value.kind)})", value.kind)


def _in_digits(e: Expressions, node: exp.Expr, name: str, value: Typed, digits: int) -> Typed:
    kind = _rounded_kind(value.kind, digits)
    if digits >= value.kind.scale or (name == "round" and digits >= 0):
        return Typed(f"CAST({value.sql} AS {kinds.in_duckdb(kind)})", kind)
    made = e.function(rounding.of_decimals(name, value.kind, digits, kind))
    return Typed(f"{made}({value.sql})", kind)


def _rounded_kind(kind: pa.DataType, digits: int) -> pa.DataType:
    whole = kind.precision - kind.scale + 1
    if digits < 0:
        return pa.decimal128(min(max(whole, 1 - digits), kinds.MAX_PRECISION), 0)
    scale = min(kind.scale, digits)
    return pa.decimal128(min(whole + scale, kinds.MAX_PRECISION), scale)


def _constant(e: Expressions, node: exp.Expr, argument: exp.Expr, name: str) -> int | None:
    """The whole number that a constant expression gives; None for NULL."""
    e.coerce(argument, e.expr(argument), kinds.INT, f"the digits of {name}")
    if argument.find(exp.Column):
        e.wrong(node, f"the digits of {name} depend on the row; expected a constant like 2.")
    found = _computed(argument)
    if isinstance(found, str):
        e.refuse(node, f"{name} to {found}", "write the number of digits as a number")
    if found is not None and not -(2**31) <= found < 2**31:
        e.wrong(node, f"the digits of {name} are {found}; expected an int.")
    return found


def _computed(node: exp.Expr) -> int | str | None:
    """The value of a constant; for what is not worth knowing, its name."""
    node = node.unnest()
    if isinstance(node, exp.Literal):
        text = node.this.strip()
        return (
            int(text)
            if node.is_string and text.lstrip("+-").isdigit()
            else "text"
            if node.is_string
            else int(Decimal(text))
        )
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Cast) and node.to.this in (exp.DType.INT, exp.DType.BIGINT):
        return _computed(node.this)
    parts = [_computed(part) for part in node.iter_expressions()]
    if isinstance(node, exp.Neg | exp.Add | exp.Sub | exp.Mul) and not any(isinstance(part, str) for part in parts):
        if None in parts:
            return None
        first, *rest = (part for part in parts if isinstance(part, int))
        match node:
            case exp.Neg():
                return -first
            case exp.Add():
                return first + rest[0]
            case exp.Sub():
                return first - rest[0]
        return first * rest[0]
    return f"a {node.key}"
