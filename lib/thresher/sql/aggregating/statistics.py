"""Statistics over the rows: variance, covariance, regression, skewness and kurtosis."""

import pyarrow as pa

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import Call, aggregate
from thresher.sql.aggregating.arguments import as_double, numeric
from thresher.sql.aggregating.totals import average
from thresher.sql.allowed import arrow_function
from thresher.sql.expressions import Expressions, Typed

_WORDS = {"stddev": "stddev_samp", "std": "stddev_samp", "variance": "var_samp"}

# Squares of larger doubles overflow, and DuckDB raises where Spark goes on.
_LARGE = "1e150"


@aggregate(
    "stddev std stddev_samp stddev_pop variance var_samp var_pop",
    1,
    1,
    "stddev(a), std(a), stddev_samp(a), stddev_pop(a), variance(a), var_samp(a), var_pop(a) → double",
    "SELECT stddev(a) AS s FROM VALUES (1), (2), (4) AS t(a)",
    note="NULL for the sample of one row.",
)
def _spread(e: Expressions, call: Call) -> Typed:
    value = numeric(e, call)
    word = _WORDS.get(call.name, call.name)
    return Typed(_finite(call, word, [value], 2 if word.endswith("samp") else 1), kinds.DOUBLE)


@aggregate(
    "covar_pop covar_samp corr",
    2,
    2,
    "covar_pop(a, b), covar_samp(a, b), corr(a, b) → double",
    "SELECT covar_pop(a, b) AS c FROM VALUES (1, 2), (2, 5) AS t(a, b)",
    note="Over the rows where both are known. corr of a constant is a division by zero.",
)
def _covariance(e: Expressions, call: Call) -> Typed:
    pair = [numeric(e, call, 0), numeric(e, call, 1)]
    if call.name != "corr":
        return Typed(_finite(call, call.name, pair, 1 if call.name == "covar_pop" else 2), kinds.DOUBLE)
    rows = call.run("regr_count", *(as_double(value) for value in pair))
    constant = " OR ".join(f"{_squares(call, value, _known(pair))} = 0" for value in pair)
    failure = "error('corr where one side does not vary: division by zero')"
    found = _finite(call, "corr", pair)
    return Typed(f"CASE WHEN {rows} > 1 THEN CASE WHEN {constant} THEN {failure} ELSE {found} END END", kinds.DOUBLE)


def _known(pair: list[Typed]) -> str:
    return " AND ".join(f"{value.sql} IS NOT NULL" for value in pair)


@aggregate(
    "regr_count regr_avgx regr_avgy regr_slope regr_intercept regr_r2 regr_sxx regr_sxy regr_syy",
    2,
    2,
    "regr_count(y, x), regr_avgx(y, x), regr_avgy, regr_slope, regr_intercept, regr_r2, regr_sxx, regr_sxy, regr_syy",
    "SELECT regr_slope(a, b) AS s FROM VALUES (1, 2), (2, 4) AS t(a, b)",
    note="Over the rows where both are known.",
)
def _regression(e: Expressions, call: Call) -> Typed:
    y, x = numeric(e, call, 0), numeric(e, call, 1)
    both = _known([y, x])
    if call.name == "regr_count":
        return Typed(call.run("count", y.sql, where=both), kinds.BIGINT)
    if call.name in ("regr_avgx", "regr_avgy"):
        return average(call, x if call.name == "regr_avgx" else y, where=both)
    if call.name == "regr_sxy":
        return Typed(_finite(call, "regr_sxy", [y, x]), kinds.DOUBLE)
    if call.name in ("regr_sxx", "regr_syy"):
        return Typed(_squares(call, x if call.name == "regr_sxx" else y, both), kinds.DOUBLE)
    # Where x does not vary there is no line: NULL.
    line = _finite(call, call.name, [y, x])
    return Typed(f"CASE WHEN {_squares(call, x, both)} <> 0 THEN {line} END", kinds.DOUBLE)


def _squares(call: Call, value: Typed, where: str) -> str:
    """The sum of the squared distances from the average."""
    return f"({_finite(call, 'var_pop', [value], where=where)} * {call.run('count', value.sql, where=where)})"


def _finite(call: Call, word: str, values: list[Typed], least: int = 1, where: str | None = None) -> str:
    """DuckDB's statistic; NULL for fewer than `least` rows, NaN where infinities or NaN are among doubles."""
    arguments = [as_double(value) for value in values]
    if all(kinds.is_exact(value.kind) for value in values):
        return call.run(word, *arguments, where=where)
    fine = " AND ".join(f"abs({argument}) < {_LARGE}" for argument in arguments)
    usual = f"({where}) AND {fine}" if where else fine
    counter = "count" if len(values) == 1 else "regr_count"
    rows = call.run(counter, *arguments, where=where)
    every = call.run(counter, *arguments, where=where, distinct=False)
    counted = call.run("count", "1", where=usual, distinct=False)
    # A product with 0 is NaN for NaN and the infinities.
    odd = call.run("sum", " + ".join(f"{argument} * 0" for argument in arguments), where=where, distinct=False)
    failure = kinds.text_literal(f"not proven equal to Spark: {call.name} of numbers beyond {_LARGE}")
    return (
        f"CASE WHEN {counted} = {every} THEN {call.run(word, *arguments, where=usual)} WHEN {rows} < {least} THEN NULL "
        f"WHEN isnan({odd}) THEN CAST('NaN' AS DOUBLE) ELSE error({failure}) END"
    )


@aggregate(
    "skewness kurtosis",
    1,
    1,
    "skewness(a), kurtosis(a) → double",
    "SELECT skewness(a) AS s FROM VALUES (1), (2), (4) AS t(a)",
    note="NULL where all rows have the same value.",
)
def _shape(e: Expressions, call: Call) -> Typed:
    value = as_double(numeric(e, call))
    return Typed(f"spark_{call.name}({call.run('list', value, where=f'{value} IS NOT NULL')})", kinds.DOUBLE)


@arrow_function("spark_skewness", ["DOUBLE[]"], "DOUBLE")
def _skewness(lists: pa.ChunkedArray) -> pa.Array:
    return pa.array([_moment(values.as_py(), 3) for values in lists], pa.float64())


@arrow_function("spark_kurtosis", ["DOUBLE[]"], "DOUBLE")
def _kurtosis(lists: pa.ChunkedArray) -> pa.Array:
    return pa.array([_moment(values.as_py(), 4) for values in lists], pa.float64())


def _moment(values: list[float] | None, order: int) -> float | None:
    import numpy as np

    if not values:
        return None
    numbers = np.array(values)
    with np.errstate(all="ignore"):
        away = numbers - numbers.mean()
        second = float((away**2).sum())
        if second == 0:
            return None
        count = len(numbers)
        if order == 3:
            return float(np.sqrt(count) * (away**3).sum() / np.sqrt(second**3))
        return float(count * (away**4).sum() / (second * second) - 3.0)
