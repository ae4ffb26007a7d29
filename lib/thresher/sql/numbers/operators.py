"""Arithmetic: + - * / % div, the functions that mean the same, and those that give NULL instead of an error."""

from dataclasses import replace
from functools import partial
from typing import NoReturn

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, construct, function
from thresher.sql.basics import number
from thresher.sql.casting.casts import convert, negative_literal
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.numbers import decimals
from thresher.sql.times import intervals

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_PREDICATES = (
    *_COMPARISONS,
    exp.In,
    exp.Between,
    exp.Like,
    exp.Escape,
    exp.Is,
    exp.Not,
    exp.And,
    exp.Or,
)

_numbers = partial(construct, group="Numbers")
_functions = partial(function, group="Numbers")

MACROS.update(
    {
        "spark_divide(a, b)": (
            "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN b = 0 THEN error('division by zero') ELSE a / b END"
        ),
        "spark_div(a, b)": (
            "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN b = 0 THEN error('division by zero') ELSE a // b END"
        ),
        "spark_remainder(a, b)": (
            "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN b = 0 THEN error('remainder by zero') ELSE a % b END"
        ),
        "spark_whole_remainder(a, b)": (  # the smallest integer % -1 is 0, and no overflow
            "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN b = 0 THEN error('remainder by zero') "
            "WHEN b = -1 THEN 0 ELSE a % b END"
        ),
        # The positive remainder from the remainder r: Java's int and long wrap around on the way.
        "spark_pmod(r, b)": "CASE WHEN r < 0 THEN (r + b) % b ELSE r END",
        "spark_pmod_short(r, b)": "CASE WHEN r < 0 THEN (r::INTEGER + b) % b ELSE r END",
        "spark_pmod_int(r, b)": "CASE WHEN r < 0 THEN spark_lowest_32_bits(r::BIGINT + b) % b ELSE r END",
        "spark_pmod_bigint(r, b)": "CASE WHEN r < 0 THEN spark_lowest_64_bits(r::HUGEINT + b) % b ELSE r END",
        "spark_lowest_32_bits(a)": "CAST(((a + 2147483648) & 4294967295) - 2147483648 AS INTEGER)",
        "spark_lowest_64_bits(a)": (  # of a HUGEINT
            "CAST(((a + 9223372036854775808) & 18446744073709551615) - 9223372036854775808 AS BIGINT)"
        ),
    }
)


def operands(e: Expressions, node: exp.Binary) -> tuple[Typed, Typed]:
    """Both sides of an operator. A bare condition is refused as one: sqlglot and Spark would group it differently."""
    for side in (node.this, node.expression):
        is_chain = side is node.this and isinstance(node, _COMPARISONS) and isinstance(side, _COMPARISONS)
        if isinstance(side, _PREDICATES) and not is_chain:
            e.refuse(side, "a condition as an operand without parentheses", "put it in parentheses")
    return e.expr(node.this), e.expr(node.expression)


_SIGNS: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.IntDiv: "div",
}


@_numbers(
    exp.Add,
    exp.Sub,
    exp.Mul,
    parts="this expression",
    signature="a + b, a - b, a * b",
    note="Spark's result types, rounding and overflow errors, for decimals of any size. Also dates and intervals.",
    example="SELECT 2 * 1.50 AS a",
)
@_numbers(
    exp.Div,
    parts="this expression typed safe",
    signature="a / b",
    note="Integers and doubles give double; decimals are divided exactly and rounded once, half up. Division by zero "
    "is an error.",
    example="SELECT 10.00 / 3 AS a, 1 / 4 AS b",
)
@_numbers(
    exp.Mod,
    exp.IntDiv,
    parts="this expression",
    signature="a % b, a div b",
    note="The remainder has the sign of a; div gives bigint. Division by zero is an error.",
    example="SELECT -7 % 3 AS a, -7 div 3 AS b",
)
def _operator(e: Expressions, node: exp.Binary) -> Typed:
    sign = _SIGNS[type(node)]
    left, right = operands(e, node)
    value = arithmetic(e, node, sign, left, right)
    return replace(value, is_window=left.is_window or right.is_window)


@_functions(
    "mod pmod",
    2,
    2,
    "mod(a, b), pmod(a, b)",
    "SELECT mod(-7, 3) AS a, pmod(-7, 3) AS b",
    note="mod is %; pmod has the sign of b.",
)
def _mod(e: Expressions, node: exp.Anonymous) -> Typed:
    left, right = e.exprs(node.expressions)
    return arithmetic(e, node, "%" if node.name.lower() == "mod" else "pmod", left, right)


_TRIED = {"try_add": "+", "try_subtract": "-", "try_multiply": "*", "try_divide": "/", "try_mod": "%"}


@_functions(
    " ".join(_TRIED),
    2,
    2,
    "try_add(a, b), try_subtract(a, b), try_multiply(a, b), try_divide(a, b), try_mod(a, b)",
    "SELECT try_divide(1, 0) AS a, try_add(2147483647, 1) AS b",
    note="NULL where numbers overflow or the divisor is zero.",
)
def _try(e: Expressions, node: exp.Anonymous) -> Typed:
    left, right = e.exprs(node.expressions)
    return arithmetic(e, node, _TRIED[node.name.lower()], left, right, is_try=True)


def arithmetic(e: Expressions, node: exp.Expr, sign: str, left: Typed, right: Typed, *, is_try: bool = False) -> Typed:
    """`left sign right` by Spark's types; `sign` is an operator, div or pmod."""
    if intervals.is_temporal(left, right):
        if is_try and sign == "/":
            right = replace(right, sql=f"nullif({right.sql}, 0)")
        return _temporal(e, node, sign, left, right)
    left, right = _numeric(e, node, sign, left, right, is_try=is_try)
    if kinds.is_exact(left.kind) and kinds.is_exact(right.kind):
        if kinds.is_decimal(left.kind) or kinds.is_decimal(right.kind):
            return decimals.compute(e, sign, left, right, is_try=is_try)
        if sign != "/":
            return _of_integers(e, sign, left, right, is_try=is_try)
    if sign == "div":
        _mismatch(e, node, sign, left, right)
    is_float = left.kind == right.kind == kinds.FLOAT and sign != "/"
    kind = kinds.FLOAT if is_float else kinds.DOUBLE
    is_safe = _is_divisor(right)
    one, other = e.cast(left, kind).sql, e.cast(right, kind).sql
    if is_try and sign in "/%":
        other = f"nullif({other}, 0)"
    if sign == "pmod":
        return Typed(f"spark_pmod(spark_remainder({one}, {other}), {other})", kind)
    if is_safe and sign in "/%":
        return Typed(f"({one} {sign} {other})", kind)
    return Typed(_WORDED[sign].format(one, other), kind)


_WORDED = {
    "+": "({} + {})",
    "-": "({} - {})",
    "*": "({} * {})",
    "/": "spark_divide({}, {})",
    "%": "spark_remainder({}, {})",
    "div": "spark_div({}, {})",
}


def _temporal(e: Expressions, node: exp.Expr, sign: str, left: Typed, right: Typed) -> Typed:
    if sign == "div" and isinstance(left.kind, kinds.Interval) and isinstance(right.kind, kinds.Interval):
        if left.kind.is_months == right.kind.is_months:
            return Typed(f"spark_div(CAST({left.sql} AS BIGINT), CAST({right.sql} AS BIGINT))", kinds.BIGINT)
    if sign not in "+-*/":
        _mismatch(e, node, sign, left, right)
    return intervals.temporal_arithmetic(e, node, sign, left, right)


def _mismatch(e: Expressions, node: exp.Expr, sign: str, left: Typed, right: Typed) -> NoReturn:
    e.wrong(node, f"found {kinds.in_spark(left.kind)} {sign} {kinds.in_spark(right.kind)}; expected numbers.")


def _numeric(
    e: Expressions, node: exp.Expr, sign: str, left: Typed, right: Typed, *, is_try: bool
) -> tuple[Typed, Typed]:
    """Both as numbers: text takes bigint beside an integer and double beside another number, NULL the other's type."""
    found = {left.kind, right.kind}
    if not all(kinds.is_number(kind) or kind in (kinds.STRING, kinds.VOID) for kind in found):
        _mismatch(e, node, sign, left, right)
    if kinds.STRING in found and not any(kinds.is_number(kind) for kind in found):
        _mismatch(e, node, sign, left, right)
    if left.kind == kinds.VOID and sign == "/":
        left = e.cast(left, kinds.DOUBLE)
    return _beside(e, node, sign, left, right, is_try=is_try), _beside(e, node, sign, right, left, is_try=is_try)


def _beside(e: Expressions, node: exp.Expr, sign: str, value: Typed, other: Typed, *, is_try: bool) -> Typed:
    if value.kind == kinds.STRING:
        return convert(e, node, value, kinds.BIGINT if other.kind in kinds.INTEGERS else kinds.DOUBLE, is_try=is_try)
    if value.kind != kinds.VOID:
        return value
    kind = other.kind if other.kind != kinds.VOID else kinds.BIGINT if sign == "div" else kinds.DOUBLE
    return e.cast(value, kind)


def _of_integers(e: Expressions, sign: str, left: Typed, right: Typed, *, is_try: bool) -> Typed:
    kind: pa.DataType = kinds.BIGINT if sign == "div" else kinds.wider(left.kind, right.kind)
    if is_try and sign in "+-*":
        wide = "HUGEINT" if kind == kinds.BIGINT else "BIGINT"
        sql = f"(CAST({left.sql} AS {wide}) {sign} CAST({right.sql} AS {wide}))"
        return Typed(f"TRY_CAST({sql} AS {kinds.in_duckdb(kind)})", kind)
    is_safe = _is_divisor(right)
    one, other = e.cast(left, kind).sql, e.cast(right, kind).sql
    if is_try:
        other = f"nullif({other}, 0)"
    if sign in ("%", "pmod"):
        sql = f"({one} % {other})" if is_safe else f"spark_whole_remainder({one}, {other})"
        if sign == "pmod":
            name = {kinds.INT: "spark_pmod_int", kinds.BIGINT: "spark_pmod_bigint"}.get(kind, "spark_pmod_short")
            sql = f"CAST({name}({sql}, {other}) AS {kinds.in_duckdb(kind)})"
        return Typed(sql, kind)
    if sign == "div" and is_safe:
        return Typed(f"({one} // {other})", kind)
    sql = _WORDED[sign].format(one, other)
    if sign in "+-*" and (left.literal is not None or right.literal is not None):
        sql = kinds.kept(sql)
    return Typed(sql, kind)


def _is_divisor(value: Typed) -> bool:
    """Whether nothing can go wrong when this divides: a literal that is neither 0 nor -1."""
    return isinstance(value.literal, int) and value.literal not in (0, -1)


@_numbers(
    exp.Neg, parts="this", signature="-a, +a", note="+a is positive(a), -a negative(a).", example="SELECT -1 AS a"
)
def _negative(e: Expressions, node: exp.Neg) -> Typed:
    if isinstance(node.this, exp.Literal) and not node.this.is_string:
        return number(e, node, f"-{node.this.this}")
    if isinstance(node.this, exp.Cast):  # -9223372036854775808L, whose digits alone are no bigint
        literal = negative_literal(e, node.this)
        if literal is not None:
            return literal
    return _signed(e, node, "-", e.expr(node.this))


@_functions(
    "negative positive",
    1,
    1,
    "negative(a), positive(a)",
    "SELECT negative(5) AS a, positive('5') AS b",
    note="The smallest integer has no negative: an error. Spark rounds the negative of a decimal to 34 digits.",
)
def _sign(e: Expressions, node: exp.Anonymous) -> Typed:
    return _signed(e, node, "-" if node.name.lower() == "negative" else "+", e.expr(node.expressions[0]))


def _signed(e: Expressions, node: exp.Expr, sign: str, value: Typed) -> Typed:
    if isinstance(value.kind, kinds.Interval):
        return intervals.negative(value) if sign == "-" else value
    value = as_number(e, node, value, sign)
    if sign == "+":
        return replace(value, name=None, literal=None)
    sql = decimals.negative(e, value) if kinds.is_decimal(value.kind) else f"(- {value.sql})"
    return Typed(sql, value.kind, is_window=value.is_window)


def as_number(e: Expressions, node: exp.Expr, value: Typed, what: str) -> Typed:
    """A number where any is fine: text and NULL become a double."""
    if kinds.is_number(value.kind):
        return value
    if value.kind not in (kinds.STRING, kinds.VOID):
        e.wrong(node, f"{what} of {kinds.in_spark(value.kind)}; expected a number.")
    return e.cast(value, kinds.DOUBLE)
