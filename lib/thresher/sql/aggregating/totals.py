"""Aggregates that count, add and compare: count, sum, avg, min, max, and those of booleans and bits."""

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import Call, aggregate
from thresher.sql.aggregating.arguments import as_double, numeric
from thresher.sql.allowed import MACROS
from thresher.sql.casting.casts import convert
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.nested import sort_key
from thresher.sql.numbers.decimals import scaled

_LARGEST = "9" * 38
_DOUBLE_DIGITS = 15

MACROS.update(
    {
        # Of a whole total and number of rows: the average times f, rounded half up; NULL beyond 38 digits.
        "spark_average_whole(total, n, f)": (
            f"CASE WHEN n > 0 AND abs(total // n) < {_LARGEST}::HUGEINT // f "
            "THEN (total // n) * f + spark_divide_whole((total % n) * f, n) END"
        ),
        "spark_digits(d)": "CAST(replace(CAST(d AS VARCHAR), '.', '') AS HUGEINT)",
    }
)


@aggregate(
    "count",
    1,
    -1,
    "count(*), count(a), count([DISTINCT] a, b, …) → bigint",
    "SELECT count(DISTINCT a) AS n FROM VALUES (1), (1) AS t(a)",
)
def _count(e: Expressions, call: Call) -> Typed:
    first = call.nodes[0]
    if isinstance(first, exp.Column) and isinstance(first.this, exp.Star):
        e.wrong(first, f"count({first.table}.*); expected count(*) or columns.")
    if isinstance(first, exp.Star):
        e.only(first, set())
        if not call.is_distinct:
            return Typed(call.run("count", "*"), kinds.BIGINT)
        values = [column.value for column in e.scope.columns if not column.is_hidden]
    else:
        values = e.exprs(call.nodes)
    if len(values) == 1:
        return Typed(call.run("count", values[0].sql), kinds.BIGINT)
    whole = " AND ".join(f"{value.sql} IS NOT NULL" for value in values)
    return Typed(call.run("count", f"row({', '.join(value.sql for value in values)})", where=whole), kinds.BIGINT)


@aggregate("count_if", 1, 1, "count_if(condition) → bigint", "SELECT count_if(a > 1) AS n FROM VALUES (1), (2) AS t(a)")
def _count_if(e: Expressions, call: Call) -> Typed:
    condition = e.coerce(call.node, e.expr(call.nodes[0]), kinds.BOOL, "the condition of count_if").sql
    return Typed(call.run("count", condition, where=condition), kinds.BIGINT)


@aggregate(
    "sum try_sum",
    1,
    1,
    "sum([DISTINCT] a), try_sum(a) → bigint, double, decimal(p+10, s)",
    "SELECT sum(a) AS s FROM VALUES (1.50), (2.25) AS t(a)",
    note="Overflow is an error, NULL with try_sum. A sum of doubles may differ in its last digits, as it does from run "
    "to run on Spark: it depends on the order of the rows.",
)
def _sum(e: Expressions, call: Call) -> Typed:
    value = numeric(e, call, is_total=True)
    is_try = call.name == "try_sum"
    if isinstance(value.kind, kinds.Interval):
        return Typed(f"CAST({call.run('sum', value.sql)} AS {kinds.in_duckdb(value.kind)})", value.kind)
    if value.kind in kinds.INTEGERS:
        total = call.run("sum", value.sql)
        return Typed(f"{'TRY_' * is_try}CAST({total} AS BIGINT)", kinds.BIGINT)
    if not kinds.is_decimal(value.kind):
        return Typed(call.run("sum", as_double(value)), kinds.DOUBLE)
    kind = pa.decimal128(min(38, value.kind.precision + 10), value.kind.scale)
    word = kinds.in_duckdb(kind)
    if kind.precision < kinds.MAX_PRECISION:
        return Typed(f"CAST({call.run('sum', value.sql)} AS {word})", kind)
    if is_try:
        return _decimal(_try_digits(call, value), kind)
    # DuckDB adds up to 2^127, past the 38 digits of the type (seen in 1.5.6); its addition of decimals does not.
    return Typed(f"({call.run('sum', value.sql)} + CAST(0 AS {word}))", kind)


def _try_digits(call: Call, value: Typed) -> str:
    """The digits of a sum of decimals, NULL where they are more than 38: added in two halves, each of which fits."""
    half = f"{10**19}::HUGEINT"
    high = call.run("sum", f"(spark_digits({value.sql}) // {half})")
    low = call.run("sum", f"(spark_digits({value.sql}) % {half})")
    if call.is_distinct:
        call.e.refuse(call.node, f"{call.name}(DISTINCT {kinds.in_spark(value.kind)})", "cast to a narrower decimal")
    return f"CASE WHEN abs({high}) < {10**18 * 5}::HUGEINT THEN spark_38_digits({high} * {half} + {low}) END"


MACROS["spark_38_digits(n)"] = f"CASE WHEN abs(n) <= {_LARGEST}::HUGEINT THEN n END"


@aggregate(
    "avg mean try_avg",
    1,
    1,
    "avg([DISTINCT] a), mean(a), try_avg(a) → double, decimal(p+4, s+4)",
    "SELECT avg(a) AS m FROM VALUES (1.00), (2.01) AS t(a)",
    note="Of decimals exactly, rounded half up; overflow is an error, NULL with try_avg.",
)
def _average(e: Expressions, call: Call) -> Typed:
    value = numeric(e, call, is_total=True)
    if not isinstance(value.kind, kinds.Interval):
        return average(call, value)
    kind = kinds.YEAR_MONTH if value.kind.is_months else kinds.DAY_TIME
    total, rows = call.run("sum", value.sql), call.run("count", value.sql)
    sql = f"spark_divide_whole(CAST({total} AS HUGEINT), CAST(nullif({rows}, 0) AS HUGEINT))"
    return Typed(f"CAST({sql} AS {kinds.in_duckdb(kind)})", kind)


def average(call: Call, value: Typed, where: str | None = None) -> Typed:
    """The average of a number over the rows of a call where `where` holds."""
    rows = call.run("count", value.sql, where=where)
    if not kinds.is_decimal(value.kind):
        # Spark adds doubles; a sum of integers is exact here.
        total = call.run("sum", value.sql if value.kind in kinds.INTEGERS else as_double(value), where=where)
        return Typed(f"(CAST({total} AS DOUBLE) / nullif({rows}, 0))", kinds.DOUBLE)
    precision, scale = value.kind.precision, value.kind.scale
    kind = pa.decimal128(min(38, precision + 4), min(38, scale + 4))
    if kind.precision <= _DOUBLE_DIGITS:
        return _average_by_doubles(call, value, rows, kind, where)
    is_try = call.name == "try_avg"
    if is_try and precision > 28:
        digits = _try_digits(call, value)
    elif precision + 10 + scale <= kinds.MAX_PRECISION:
        total = call.run("sum", value.sql, where=where)
        digits = f"CAST({total} * CAST({10**scale} AS DECIMAL({scale + 1},0)) AS HUGEINT)"
    else:
        total = call.run("sum", value.sql, where=where)
        digits = f"spark_digits({total} + CAST(0 AS DECIMAL(38,{scale})))"
    whole = f"spark_average_whole({digits}, CAST({rows} AS HUGEINT), {10 ** (kind.scale - scale)}::HUGEINT)"
    if not is_try:
        failure = f"error('the average does not fit {kinds.in_spark(kind)}')"
        whole = f"CASE WHEN {rows} > 0 THEN coalesce({whole}, CAST({failure} AS HUGEINT)) END"
    return _decimal(whole, kind)


def _average_by_doubles(call: Call, value: Typed, rows: str, kind: pa.DataType, where: str | None) -> Typed:
    """The average of decimals of few digits: Spark's optimizer computes it in doubles (its rule DecimalAggregates)."""
    unit = f"CAST({10**value.kind.scale} AS DECIMAL({value.kind.scale + 1},0))"
    digits = f"CAST({call.run('sum', value.sql, where=where)} * {unit} AS DOUBLE)"
    size = f"CAST({call.run('sum', f'abs({value.sql})', where=where)} * {unit} AS DOUBLE)"
    doubt = (
        "error('not proven equal to Spark: avg of decimals whose digits add up beyond 2^53; cast to decimal(12, …)')"
    )
    mean = f"{digits} / nullif({rows}, 0) / CAST({10**value.kind.scale} AS DOUBLE)"
    exact = convert(call.e, call.node, Typed(f"({mean})", kinds.DOUBLE), kind, is_try=False)
    return Typed(f"CASE WHEN {size} >= 9007199254740992 THEN {doubt} ELSE {exact.sql} END", kind)


def _decimal(digits: str, kind: pa.DataType) -> Typed:
    return scaled(digits, kind) if kind.scale else Typed(f"CAST({digits} AS {kinds.in_duckdb(kind)})", kind)


@aggregate(
    "min max",
    1,
    1,
    "min(a), max(a)",
    "SELECT min(a) AS low FROM VALUES ('b'), ('a') AS t(a)",
    note="All types but maps; NaN is the largest number.",
)
def _extreme(e: Expressions, call: Call) -> Typed:
    value = e.expr(call.nodes[0])
    key = sort_key(e, call.node, value, call.name)
    if kinds.is_atomic(value.kind):
        return Typed(call.run(call.name, value.sql), value.kind)
    return Typed(call.run(f"arg_{call.name}", value.sql, key, distinct=False), value.kind)


@aggregate(
    "bool_and every bool_or some any",
    1,
    1,
    "bool_and(a), every(a), bool_or(a), some(a), any(a)",
    "SELECT bool_and(a) AS b FROM VALUES (true), (NULL) AS t(a)",
)
def _logical(e: Expressions, call: Call) -> Typed:
    word = "bool_and" if call.name in ("bool_and", "every") else "bool_or"
    value = e.coerce(call.node, e.expr(call.nodes[0]), kinds.BOOL, call.name)
    return Typed(call.run(word, value.sql), kinds.BOOL)


@aggregate(
    "bit_and bit_or bit_xor",
    1,
    1,
    "bit_and(a), bit_or(a), bit_xor(a)",
    "SELECT bit_xor(a) AS b FROM VALUES (5), (3) AS t(a)",
    note="Of integers.",
)
def _bits(e: Expressions, call: Call) -> Typed:
    value = e.expr(call.nodes[0])
    if value.kind == kinds.VOID:
        value = e.cast(value, kinds.INT)
    if value.kind not in kinds.INTEGERS:
        e.wrong(call.node, f"{call.name} of a {kinds.in_spark(value.kind)}; expected an integer.")
    return Typed(call.run(call.name, value.sql), value.kind)
