"""Percentiles: interpolated (percentile, median, percentile_cont), of the rows themselves, and approximate ones."""

from decimal import Decimal

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import Call, aggregate
from thresher.sql.aggregating.arguments import as_double, constant, numeric
from thresher.sql.allowed import MACROS, arrow_function
from thresher.sql.expressions import Expressions, Typed
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

MACROS.update(
    {
        # The smallest value that at least the share p of the sorted values do not exceed.
        "spark_at_share(held, p)": "held[greatest(1, CAST(ceil(len(held) * CAST(p AS DOUBLE)) AS BIGINT))]",
        # Spark's sketch holds all values while they are fewer than half the accuracy.
        "spark_few(held, accuracy)": (
            "CASE WHEN len(held) * 2 >= accuracy THEN error('not proven equal to Spark: percentile_approx of ' || "
            "len(held) || ' rows, half the accuracy or more: use percentile_disc or a higher accuracy') "
            "ELSE held END"
        ),
    }
)


def _shares(e: Expressions, call: Call, node: exp.Expr) -> tuple[list[float], bool]:
    """The constant share, or array of shares, from 0 to 1."""
    is_array = isinstance(node, exp.Anonymous) and node.name.lower() == "array"
    shares = []
    for part in node.expressions if is_array else [node]:
        if part.find(exp.Column, exp.Null):
            e.wrong(part, f"{call.name} with a percentage that is NULL or depends on the row; expected a constant.")
        share = constant(part)
        if share is None:
            e.refuse(part, f"{call.name} with a percentage that is not a number", "write the number")
        if not 0 <= share <= 1:
            e.wrong(part, f"{call.name} with the percentage {share}; expected 0 to 1.")
        shares.append(float(share))
    return shares, is_array


def _each(values: list[str], is_array: bool, kind: pa.DataType, known: str) -> Typed:
    """One value, or an array of them that is NULL where no row is known."""
    if not is_array:
        return Typed(values[0], kind)
    listed = f"CAST([{', '.join(values)}] AS {kinds.in_duckdb(kinds.array_of(kind))})"
    return Typed(f"CASE WHEN {known} > 0 AND {len(values)} > 0 THEN {listed} END", kinds.array_of(kind))


@aggregate(
    "percentile",
    2,
    3,
    "percentile(a, 0.5 [, frequency]), percentile(a, array(0.25, 0.75)) → double",
    "SELECT percentile(a, 0.25) AS p FROM VALUES (1), (2), (4) AS t(a)",
    note="Exact, interpolated. The percentage is a constant.",
)
def _percentile(e: Expressions, call: Call) -> Typed:
    value = numeric(e, call)
    shares, is_array = _shares(e, call, call.nodes[1])
    if len(call.nodes) < 3:
        return _interpolated(call, value, shares, is_array)
    often = e.expr(call.nodes[2])
    if often.kind not in kinds.INTEGERS:
        e.wrong(call.nodes[2], f"the frequency of percentile is {kinds.in_spark(often.kind)}; expected an integer.")
    known = f"{value.sql} IS NOT NULL AND {often.sql} IS NOT NULL"
    pair = f"{{'v': {as_double(value)}, 'n': CAST({often.sql} AS BIGINT)}}"
    pairs = call.run("list", pair, where=known)
    values = [f"spark_weighted_percentile({pairs}, {share!r}::DOUBLE)" for share in shares]
    return _each(values, is_array, kinds.DOUBLE, f"coalesce(list_sum(list_transform({pairs}, lambda f: f['n'])), 0)")


@arrow_function("spark_weighted_percentile", ["STRUCT(v DOUBLE, n BIGINT)[]", "DOUBLE"], "DOUBLE")
def _weighted(pairs: pa.ChunkedArray, shares: pa.ChunkedArray) -> pa.Array:
    rows = zip(pairs.to_pylist(), shares.to_pylist(), strict=True)
    return pa.array([_weighted_one(row or [], share) for row, share in rows], pa.float64())


def _weighted_one(pairs: list[dict[str, float]], share: float) -> float | None:
    if any(pair["n"] < 0 for pair in pairs):
        raise ValueError("percentile with a negative frequency; expected 0 or more")
    held = sorted((pair["v"], pair["n"]) for pair in pairs if pair["n"] > 0)
    total = sum(count for _, count in held)
    if not total:
        return None
    position = (total - 1) * share
    low, high = int(position), -int(-position // 1)

    def at(index: int) -> float:
        for value, count in held:
            if index < count:
                return value
            index -= int(count)
        return held[-1][0]

    one, other = at(low), at(high)
    return one if low == high or one == other else (high - position) * one + (position - low) * other


@aggregate(
    "median",
    1,
    1,
    "median(a) → double",
    "SELECT median(a) AS m FROM VALUES (1), (2), (4) AS t(a)",
)
def _median(e: Expressions, call: Call) -> Typed:
    _check_no_order(e, call)
    return _interpolated(call, numeric(e, call), [0.5], False)


def _interpolated(call: Call, value: Typed, shares: list[float], is_array: bool) -> Typed:
    number = as_double(value)
    values = [call.run("quantile_cont", number, repr(share)) for share in shares]
    return _each(values, is_array, kinds.DOUBLE, call.run("count", number))


def _check_no_order(e: Expressions, call: Call) -> None:
    if call.over is not None and call.is_ordered:
        e.wrong(call.whole, f"{call.name} over a window with ORDER BY or a frame; expected PARTITION BY alone.")


@aggregate(
    "percentile_cont percentile_disc",
    1,
    1,
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY a [DESC]), percentile_disc(…) WITHIN GROUP (…) → double",
    "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY a) AS p FROM VALUES (1), (2), (4) AS t(a)",
    note="percentile_disc gives one of the values.",
)
def _within_group(e: Expressions, call: Call) -> Typed:
    if call.is_distinct or len(call.order) != 1:
        e.wrong(call.whole, f"expected {call.name}(…) WITHIN GROUP (ORDER BY one key), without DISTINCT.")
    _check_no_order(e, call)
    shares, is_array = _shares(e, call, call.nodes[0])
    value = numeric(e, Call(e, call.node, call.whole, [call.order[0].this], False, []))
    is_down = bool(call.order[0].args.get("desc"))
    if call.name == "percentile_cont":
        return _interpolated(call, value, [1 - share if is_down else share for share in shares], is_array)
    known = call.run("count", value.sql)
    rows = call.run("list", as_double(value), where=f"{value.sql} IS NOT NULL")
    rows = f"list_sort({rows}, '{'DESC' if is_down else 'ASC'}')"
    return _each([f"spark_at_share({rows}, {share!r})" for share in shares], is_array, kinds.DOUBLE, known)


@aggregate(
    "percentile_approx approx_percentile",
    2,
    3,
    "percentile_approx(a, 0.5 [, accuracy]), approx_percentile(a, array(0.25, 0.75))",
    "SELECT percentile_approx(a, 0.5) AS p FROM VALUES (1), (2), (4) AS t(a)",
    note="Where Spark is exact: for fewer rows than half the accuracy (5000 rows by default); beyond that an error.",
)
def _approximate(e: Expressions, call: Call) -> Typed:
    value = e.expr(call.nodes[0])
    if value.kind not in (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ):
        value = numeric(e, call)
    shares, is_array = _shares(e, call, call.nodes[1])
    accuracy: Decimal | None = Decimal(10000)
    if len(call.nodes) > 2:
        accuracy = constant(call.nodes[2])
        if call.nodes[2].find(exp.Column, exp.Null) or (accuracy is not None and not 0 < accuracy < 2**31):
            e.wrong(call.nodes[2], f"the accuracy of {call.name} is a constant from 1 to 2147483647.")
        if accuracy is None:
            e.refuse(call.nodes[2], f"{call.name} with an accuracy that is not a number")
    known = f"{value.sql} IS NOT NULL"
    rows = call.run("list", _as_held(value), where=known)
    rows = f"list_sort(spark_few({rows}, {accuracy}))"
    return _each(
        [f"spark_at_share({rows}, {share!r})" for share in shares], is_array, value.kind, call.run("count", value.sql)
    )


def _as_held(value: Typed) -> str:
    """The value as Spark's sketch gives it back: by way of a double, which holds up to 15 digits."""
    if value.kind != kinds.BIGINT and not (kinds.is_decimal(value.kind) and value.kind.precision > 15):
        return value.sql
    scale = value.kind.scale if kinds.is_decimal(value.kind) else 0
    most = f"CAST({10 ** (15 - scale) if scale < 15 else 0} AS DOUBLE)"
    return (
        f"CASE WHEN abs(CAST({value.sql} AS DOUBLE)) > {most} "
        f"THEN error('not proven equal to Spark: percentile_approx of numbers with more than 15 digits') "
        f"ELSE {value.sql} END"
    )
