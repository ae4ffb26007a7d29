"""Functions of doubles: roots, powers, logarithms, angles."""

import math
from functools import partial

import numpy as np
import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, arrow_function, function
from thresher.sql.expressions import Expressions, Typed

_numbers = partial(function, group="Numbers")

_NAN = "CAST('NaN' AS DOUBLE)"
_INFINITE = "isinf(x)"

# What DuckDB takes for an error where Spark gives NaN or NULL: the condition, and what comes then.
_EDGES = {
    "sqrt": ("x < 0", _NAN),
    "ln": ("x <= 0", "NULL"),
    "log2": ("x <= 0", "NULL"),
    "log10": ("x <= 0", "NULL"),
    "asin": ("abs(x) > 1", _NAN),
    "acos": ("abs(x) > 1", _NAN),
    "sin": (_INFINITE, _NAN),
    "cos": (_INFINITE, _NAN),
    "tan": (_INFINITE, _NAN),
}
_PLAIN = ("cbrt", "exp", "sinh", "cosh", "tanh", "asinh", "acosh", "atan", "degrees", "radians")

MACROS.update(
    {
        f"spark_{name}(x)": f"CASE WHEN isnan(x) THEN x WHEN {edge} THEN {value} ELSE {name}(x) END"
        for name, (edge, value) in _EDGES.items()
    }
)
MACROS.update(
    {
        "spark_atanh(x)": (
            f"CASE WHEN abs(x) > 1 THEN {_NAN} WHEN x = -1 THEN CAST('-Infinity' AS DOUBLE) ELSE atanh(x) END"
        ),
        "spark_cot(x)": "1 / spark_tan(x)",
        "spark_sec(x)": "1 / spark_cos(x)",
        "spark_csc(x)": "1 / spark_sin(x)",
        "spark_rint(x)": "round_even(x, 0)",
        "spark_sign(x)": "CASE WHEN isnan(x) THEN x WHEN x > 0 THEN 1e0 WHEN x < 0 THEN -1e0 ELSE x END",
        "spark_pow(x, y)": (
            f"CASE WHEN isnan(y) OR (abs(x) = 1 AND isinf(y)) THEN CASE WHEN x IS NOT NULL THEN {_NAN} END "
            "ELSE pow(x, y) END"
        ),
        "spark_log_of_base(b, x)": "spark_ln(x) / spark_ln(b)",
        "spark_atan2(y, x)": "atan2(y + 0e0, x + 0e0)",  # minus zero counts as zero
        "spark_factorial(n)": "CASE WHEN n BETWEEN 0 AND 20 THEN CAST(factorial(n) AS BIGINT) END",
        "spark_width_bucket(v, low, high, n)": (
            "CASE WHEN n <= 0 OR n = 9223372036854775807 OR isnan(v) OR low = high OR NOT isfinite(low) "
            "OR NOT isfinite(high) OR v IS NULL OR low IS NULL OR high IS NULL OR n IS NULL THEN NULL "
            "WHEN low < high THEN CASE WHEN v < low THEN 0 WHEN v >= high THEN n + 1 "
            "ELSE spark_bucket((n * (v - low)) / (high - low)) END "
            "ELSE CASE WHEN v > low THEN 0 WHEN v <= high THEN n + 1 "
            "ELSE spark_bucket((n * (low - v)) / (low - high)) END END"
        ),
        "spark_bucket(x)": "CAST(floor(x) AS BIGINT) + 1",
    }
)


def _doubles(e: Expressions, node: exp.Anonymous) -> list[str]:
    name = node.name.lower()
    return [e.coerce(node, e.expr(part), kinds.DOUBLE, f"an argument of {name}").sql for part in node.expressions]


@_numbers(
    "sqrt cbrt", 1, 1, "sqrt(a), cbrt(a)", "SELECT sqrt(2) AS a", note="Double; sqrt of a negative number is NaN."
)
@_numbers("exp expm1", 1, 1, "exp(a), expm1(a)", "SELECT exp(1) AS a", note="expm1 is exp(a) - 1.")
@_numbers(
    "ln log2 log10 log1p",
    1,
    1,
    "ln(a), log2(a), log10(a), log1p(a)",
    "SELECT ln(2) AS a",
    note="NULL where there is no logarithm; log1p is ln(1 + a).",
)
@_numbers(
    "sin cos tan cot sec csc asin acos atan",
    1,
    1,
    "sin(a), cos(a), tan(a), cot(a), sec(a), csc(a), asin(a), acos(a), atan(a)",
    "SELECT sin(1) AS a",
    note="Doubles, in radians.",
)
@_numbers(
    "sinh cosh tanh asinh acosh atanh",
    1,
    1,
    "sinh(a), cosh(a), tanh(a), asinh(a), acosh(a), atanh(a)",
    "SELECT sinh(1) AS a",
)
@_numbers("degrees radians", 1, 1, "degrees(a), radians(a)", "SELECT degrees(pi()) AS a")
@_numbers("rint", 1, 1, "rint(a)", "SELECT rint(2.5) AS a", note="Double; half to even.")
def _of_one(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    return Typed(f"{'' if name in _PLAIN else 'spark_'}{name}({_doubles(e, node)[0]})", kinds.DOUBLE)


@_numbers("sign signum", 1, 1, "sign(a), signum(a)", "SELECT sign(-2) AS a", note="-1.0, 0.0 or 1.0; also intervals.")
def _sign(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if isinstance(value.kind, kinds.Interval):
        return Typed(f"spark_sign(CAST({value.sql} AS DOUBLE))", kinds.DOUBLE)
    return Typed(f"spark_sign({e.coerce(node, value, kinds.DOUBLE, 'the argument of sign').sql})", kinds.DOUBLE)


@_numbers("pow power", 2, 2, "pow(a, b), power(a, b)", "SELECT pow(2, 10) AS a", note="Double.")
@_numbers("atan2", 2, 2, "atan2(y, x)", "SELECT atan2(1, 1) AS a", note="The angle of the point (x, y).")
@_numbers("hypot", 2, 2, "hypot(a, b)", "SELECT hypot(3, 4) AS a", note="sqrt(a * a + b * b), without overflow.")
def _of_two(e: Expressions, node: exp.Anonymous) -> Typed:
    name = {"power": "pow"}.get(node.name.lower(), node.name.lower())
    return Typed(f"spark_{name}({', '.join(_doubles(e, node))})", kinds.DOUBLE)


@_numbers("log", 1, 2, "log(a), log(base, a)", "SELECT log(10, 1000) AS a", note="Without a base, ln.")
def _log(e: Expressions, node: exp.Anonymous) -> Typed:
    parts = _doubles(e, node)
    name = "spark_ln" if len(parts) == 1 else "spark_log_of_base"
    return Typed(f"{name}({', '.join(parts)})", kinds.DOUBLE)


@_numbers("pi e", 0, 0, "pi(), e()", "SELECT pi() AS a")
def _constant(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"CAST('{math.pi if node.name.lower() == 'pi' else math.e}' AS DOUBLE)", kinds.DOUBLE)


@_numbers("factorial", 1, 1, "factorial(n) → bigint", "SELECT factorial(5) AS a", note="NULL outside 0 to 20.")
def _factorial(e: Expressions, node: exp.Anonymous) -> Typed:
    number = e.coerce(node, e.expr(node.expressions[0]), kinds.INT, "the argument of factorial").sql
    return Typed(f"spark_factorial({number})", kinds.BIGINT)


@_numbers("isnan", 1, 1, "isnan(a)", "SELECT isnan(double('NaN')) AS a", note="false for NULL.")
def _isnan(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if value.kind != kinds.FLOAT:
        value = e.coerce(node, value, kinds.DOUBLE, "the argument of isnan")
    return Typed(f"coalesce(isnan({value.sql}), false)", kinds.BOOL)


@_numbers("nanvl", 2, 2, "nanvl(a, b)", "SELECT nanvl(double('NaN'), 0) AS a", note="b where a is NaN.")
def _nanvl(e: Expressions, node: exp.Anonymous) -> Typed:
    values = e.exprs(node.expressions)
    kind = kinds.FLOAT if values[0].kind == values[1].kind == kinds.FLOAT else kinds.DOUBLE
    one, other = (e.coerce(node, value, kind, "an argument of nanvl").sql for value in values)
    return Typed(f"CASE WHEN isnan({one}) THEN {other} ELSE {one} END", kind)


@_numbers(
    "width_bucket",
    4,
    4,
    "width_bucket(a, low, high, n) → bigint",
    "SELECT width_bucket(5.3, 0.2, 10.6, 5) AS a",
    note="Which of n equal parts of low to high; 0 and n + 1 outside. Numbers, or intervals.",
)
def _bucket(e: Expressions, node: exp.Anonymous) -> Typed:
    values = e.exprs(node.expressions)
    if all(isinstance(value.kind, kinds.Interval) for value in values[:3]):
        if len({value.kind.is_months for value in values[:3]}) > 1:
            e.wrong(node, "width_bucket of different intervals.")
        parts = [f"CAST({value.sql} AS DOUBLE)" for value in values[:3]]
    else:
        parts = [e.coerce(node, value, kinds.DOUBLE, "an argument of width_bucket").sql for value in values[:3]]
    count = e.coerce(node, values[3], kinds.BIGINT, "the number of buckets").sql
    return Typed(f"spark_width_bucket({', '.join(parts)}, {count})", kinds.BIGINT)


@arrow_function("spark_expm1", ["DOUBLE"], "DOUBLE")
def _expm1(x: pa.Array) -> pa.Array:
    return _by_numpy(np.expm1, x)


@arrow_function("spark_log1p", ["DOUBLE"], "DOUBLE")
def _log1p(x: pa.Array) -> pa.Array:
    values = _values(x)
    with np.errstate(all="ignore"):
        return pa.array(np.log1p(values), mask=np.asarray(x.is_null()) | (values <= -1))


@arrow_function("spark_hypot", ["DOUBLE", "DOUBLE"], "DOUBLE")
def _hypot(x: pa.Array, y: pa.Array) -> pa.Array:
    return _by_numpy(np.hypot, x, y)


def _by_numpy(compute: np.ufunc, *columns: pa.Array) -> pa.Array:
    mask = np.logical_or.reduce([np.asarray(column.is_null()) for column in columns])
    with np.errstate(all="ignore"):
        return pa.array(compute(*(_values(column) for column in columns)), mask=mask)


def _values(column: pa.Array) -> np.ndarray:
    return np.asarray(column.fill_null(0.0))
