"""sequence(): whole numbers, dates and timestamps at equal steps."""

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.lambdas import unless_null
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_DAY = 86_400_000_000
_INSTANTS = (kinds.DATE, TIMESTAMP_NTZ, TIMESTAMP)
_MOST = 100_000_000

MACROS.update(
    {
        "spark_steps(a, b, s)": (  # how many steps of s lie between a and b, all HUGEINT
            "CASE WHEN a IS NULL OR b IS NULL OR s IS NULL THEN NULL WHEN a = b THEN 0 "
            "WHEN s = 0 OR (s > 0) <> (b > a) THEN error('sequence: a step of ' || s || ' never gets from ' || a || "
            "' to ' || b) WHEN (b - a) // s >= 2147483632 THEN error('sequence of more than 2147483632 elements') "
            f"WHEN (b - a) // s >= {_MOST} THEN error('not proven equal to Spark: a sequence of more than {_MOST} "
            "elements') ELSE (b - a) // s END"
        ),
        "spark_sequence(a, b, s)": (
            "list_transform(range(CAST(spark_steps(a, b, s) AS BIGINT) + 1), lambda i: CAST(a + i * s AS BIGINT))"
        ),
        # From the first one, not from the one before: 31 January, 29 February, 31 March.
        "spark_month_sequence(a, b, n)": (
            "CASE WHEN a = b THEN [a] WHEN n = 0 OR (n > 0) <> (b > a) "
            "THEN error('sequence: a step of ' || n || ' months never gets from ' || a || ' to ' || b) "
            "ELSE list_filter(list_transform(range(abs(datediff('month', a, b)) // abs(n) + 2), "
            "lambda i: a + to_months(CAST(i * n AS INTEGER))), "
            "lambda t: CASE WHEN n > 0 THEN t <= b ELSE t >= b END) END"
        ),
    }
)


@function(
    "sequence",
    2,
    3,
    "sequence(first, last [, step])",
    "SELECT explode(sequence(date'2024-01-01', date'2024-01-03', INTERVAL 1 DAY)) AS d",
    group="Arrays",
    note="Integers, by 1 or -1; dates and timestamps by a day, or by an interval of whole months or of days and time. "
    "A step that leads away from the last one is an error.",
)
def _sequence(e: Expressions, node: exp.Anonymous) -> Typed:
    first, last, *steps = e.exprs(node.expressions)
    if first.kind in _INSTANTS or last.kind in _INSTANTS:
        return _of_instants(e, node, first, last, steps)
    values = [first, last, *steps]
    if not any(value.kind in kinds.INTEGERS for value in values[:2]):
        _wrong(e, node, values)
    values, kind = e.common(node, values, "sequence")
    if kind not in kinds.INTEGERS:
        _wrong(e, node, values)
    whole = [Typed(f"CAST({value.sql} AS HUGEINT)", kinds.BIGINT) for value in values]

    def made(a: str, b: str, step: str = "") -> str:
        return f"spark_sequence({a}, {b}, {step or f'CASE WHEN {a} <= {b} THEN 1 ELSE -1 END::HUGEINT'})"

    sql = unless_null(e, whole, made)
    return Typed(f"CAST({sql} AS {kinds.in_duckdb(kind)}[])", kinds.array_of(kind))


def _wrong(e: Expressions, node: exp.Expr, values: list[Typed]) -> None:
    found = ", ".join(kinds.in_spark(value.kind) for value in values)
    e.wrong(node, f"sequence of {found}; expected integers, or dates or timestamps with an interval.")


def _of_instants(e: Expressions, node: exp.Anonymous, first: Typed, last: Typed, steps: list[Typed]) -> Typed:
    (first, last), kind = e.common(node, [first, last], "sequence")
    if kind not in _INSTANTS or (steps and not isinstance(steps[0].kind, kinds.Interval)):
        _wrong(e, node, [first, last, *steps])
    if steps and steps[0].kind.is_months:
        return _by_months(e, first, last, steps[0], kind)
    values = [Typed(f"CAST(epoch_us({value.sql}) AS HUGEINT)", kinds.BIGINT) for value in (first, last)]
    values += [Typed(f"CAST({step.sql} AS HUGEINT)", kinds.BIGINT) for step in steps]

    def made(a: str, b: str, step: str = "") -> str:
        if kind == kinds.DATE and step:
            failure = "error('sequence of dates by less than a day')"
            step = f"CASE WHEN abs({step}) < {_DAY} THEN {failure} ELSE {step} END"
        step = step or f"CASE WHEN {a} <= {b} THEN {_DAY} ELSE -{_DAY} END::HUGEINT"
        return _instants(f"spark_sequence({a}, {b}, {step})", kind)

    return Typed(unless_null(e, values, made), kinds.array_of(kind))


def _instants(sql: str, kind: pa.DataType) -> str:
    """Microseconds since 1970 as dates or timestamps."""
    word = "make_timestamptz" if kind == TIMESTAMP else "make_timestamp"
    return f"CAST(list_transform({sql}, lambda t: {word}(t)) AS {kinds.in_duckdb(kinds.array_of(kind))})"


def _by_months(e: Expressions, first: Typed, last: Typed, step: Typed, kind: pa.DataType) -> Typed:
    values = [Typed(f"CAST({value.sql} AS TIMESTAMP)", TIMESTAMP_NTZ) for value in (first, last)] + [step]
    sql = unless_null(e, values, lambda a, b, n: f"spark_month_sequence({a}, {b}, {n})")
    return Typed(f"CAST({sql} AS {kinds.in_duckdb(kinds.array_of(kind))})", kinds.array_of(kind))
