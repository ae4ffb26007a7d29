"""Intervals: arithmetic with dates and timestamps, intervals from their parts, and their fields.

DuckDB's own INTERVAL is not used (a month equals 30 days there): an interval is a number of whole months or of
microseconds, see `kinds.Interval`.
"""

from dataclasses import replace

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.kinds import DAY_TIME, YEAR_MONTH, Interval
from thresher.sql.times.interval_literals import FIELDS, LIMITS, MICROS, MONTHS
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_INSTANTS = (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ)

MACROS.update(
    {
        "spark_checked_date(d)": (
            "CASE WHEN d BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN d "
            "WHEN d IS NOT NULL THEN error('not proven equal to Spark: a date outside the years 1 to 9999') END"
        ),
        "spark_plus_days(d, n)": (
            "CASE WHEN n BETWEEN -4000000 AND 4000000 THEN spark_checked_date(d + CAST(n AS INTEGER)) "
            "WHEN d IS NOT NULL AND n IS NOT NULL "
            "THEN error('not proven equal to Spark: a date outside the years 1 to 9999') END"
        ),
        "spark_checked_micros(n)": (
            "CASE WHEN n BETWEEN -62135596800000000 AND 253402300799999999 THEN CAST(n AS BIGINT) "
            "WHEN n IS NOT NULL THEN error('not proven equal to Spark: a timestamp outside the years 1 to 9999') END"
        ),
        "spark_plus_micros(t, n)": "spark_checked_micros(CAST(epoch_us(t) AS HUGEINT) + n)",
        "spark_plus_months(d, n)": (
            "CASE WHEN abs(n::BIGINT) >= 120000 "
            "THEN error('not proven equal to Spark: a date outside the years 1 to 9999') ELSE d + to_months(n) END"
        ),
    }
)


def is_temporal(*values: Typed) -> bool:
    """Whether one of them is a date, a timestamp or an interval, whose arithmetic this module knows."""
    return any(value.kind in _INSTANTS or isinstance(value.kind, Interval) for value in values)


def temporal_arithmetic(e: Expressions, node: exp.Expr, sign: str, left: Typed, right: Typed) -> Typed:
    """`left sign right` where one of them is a date, a timestamp or an interval."""
    if sign in "*/":
        result = _scaling(e, node, sign, left, right)
    elif isinstance(left.kind, Interval) or isinstance(right.kind, Interval):
        result = _with_interval(e, node, sign, left, right)
    else:
        result = _without_interval(e, node, sign, left, right)
    if result is None:
        found = f"{kinds.in_spark(left.kind)} {sign} {kinds.in_spark(right.kind)}"
        e.wrong(node, f"found {found}; expected a date or timestamp with an interval, or a date with an int.")
    return replace(result, is_window=left.is_window or right.is_window)


def _without_interval(e: Expressions, node: exp.Expr, sign: str, left: Typed, right: Typed) -> Typed | None:
    if sign == "+" and right.kind == kinds.DATE:
        left, right = right, left
    if left.kind == kinds.DATE and right.kind in kinds.INTEGERS[:3]:
        return plus_days(left, sign, right)
    if kinds.VOID in (left.kind, right.kind):
        other = right.kind if left.kind == kinds.VOID else left.kind
        if sign == "-":
            return Typed("CAST(NULL AS BIGINT)", kinds.DAYS if other == kinds.DATE else DAY_TIME)
        return Typed("CAST(NULL AS TIMESTAMPTZ)", TIMESTAMP) if other != TIMESTAMP_NTZ else None
    if sign == "+" or not {left.kind, right.kind} <= {*_INSTANTS, kinds.STRING}:
        return None
    (left, right), kind = e.common(node, [left, right], "a difference")
    if kind == kinds.DATE:
        return Typed(f"(CAST({left.sql} - {right.sql} AS BIGINT) * {MICROS['day']})", kinds.DAYS)
    return Typed(f"(epoch_us({left.sql}) - epoch_us({right.sql}))", DAY_TIME)


def plus_days(day: Typed, sign: str, days: Typed) -> Typed:
    """A date and a number of days of at most int."""
    if isinstance(days.literal, int) and abs(days.literal) < 4_000_000:
        return Typed(f"spark_checked_date({day.sql} {sign} CAST({days.sql} AS INTEGER))", kinds.DATE)
    return Typed(f"spark_plus_days({day.sql}, {sign}CAST({days.sql} AS BIGINT))", kinds.DATE)


def _with_interval(e: Expressions, node: exp.Expr, sign: str, left: Typed, right: Typed) -> Typed | None:
    if kinds.VOID in (left.kind, right.kind):
        kind = right.kind if left.kind == kinds.VOID else left.kind
        return Typed(f"CAST(NULL AS {kinds.in_duckdb(kind)})", kind)
    if isinstance(left.kind, Interval) and isinstance(right.kind, Interval):
        wide = kinds.wider(left.kind, right.kind)
        return Typed(f"({left.sql} {sign} {right.sql})", wide) if wide is not None else None
    if isinstance(left.kind, Interval):
        if sign == "-":
            return None
        left, right = right, left
    if left.kind == kinds.STRING and not right.kind.is_months:
        moved = _moved(e.cast(left, TIMESTAMP), sign, right)
        return e.cast(moved, kinds.STRING)
    return _moved(left, sign, right) if left.kind in _INSTANTS else None


def _moved(moment: Typed, sign: str, interval: Typed) -> Typed:
    amount = interval.sql if sign == "+" else f"(- {interval.sql})"
    if interval.kind.is_months:
        return plus_months(moment, amount)
    if moment.kind == kinds.DATE and interval.kind == kinds.DAYS:
        days = Typed(f"({interval.sql} // {MICROS['day']})", kinds.BIGINT)
        return plus_days(moment, sign, days)
    return plus_micros(moment, amount)


def plus_months(moment: Typed, months: str) -> Typed:
    """A date or timestamp some months later: the last day where the month is shorter."""
    sum_ = f"spark_plus_months(CAST({moment.sql} AS TIMESTAMP), {months})"
    if moment.kind == kinds.DATE:
        return Typed(f"spark_checked_date(CAST({sum_} AS DATE))", kinds.DATE)
    return of_micros(f"spark_checked_micros(epoch_us({sum_}))", moment.kind)


def plus_micros(moment: Typed, micros: str) -> Typed:
    """A date or timestamp some microseconds later, as a timestamp."""
    kind = TIMESTAMP if moment.kind == kinds.DATE else moment.kind
    return of_micros(f"spark_plus_micros({moment.sql}, {micros})", kind)


def of_micros(micros: str, kind: pa.DataType) -> Typed:
    """The timestamp so many microseconds after 1970."""
    return Typed(f"make_timestamp{'tz' if kind == TIMESTAMP else ''}({micros})", kind)


def _scaling(e: Expressions, node: exp.Expr, sign: str, left: Typed, right: Typed) -> Typed | None:
    if sign == "*" and not isinstance(left.kind, Interval):
        left, right = right, left
    if not isinstance(left.kind, Interval) or not (
        kinds.is_number(right.kind) or right.kind in (kinds.STRING, kinds.VOID)
    ):
        return None
    kind = YEAR_MONTH if left.kind.is_months else DAY_TIME
    if kinds.is_decimal(right.kind):
        sql = _by_decimal(e, node, sign, left, right)
    elif right.kind in kinds.INTEGERS:
        number = f"CAST({right.sql} AS HUGEINT)"
        amount = f"CAST({left.sql} AS HUGEINT)"
        sql = f"{amount} * {number}" if sign == "*" else f"spark_divide_whole({amount}, {number})"
    else:
        number = e.cast(right, kinds.DOUBLE).sql
        amount = f"CAST({left.sql} AS DOUBLE)"
        sql = f"round({amount} * {number})" if sign == "*" else f"round(spark_divide({amount}, {number}))"
    return Typed(f"CAST({sql} AS {kinds.in_duckdb(kind)})", kind)


def _by_decimal(e: Expressions, node: exp.Expr, sign: str, left: Typed, right: Typed) -> str:
    precision, scale = right.kind.precision, right.kind.scale
    if sign == "*" and precision <= 19:
        return f"round(CAST({left.sql} AS DECIMAL(19,0)) * {right.sql}, 0)"
    if sign == "/" and precision < 38 and scale <= 18:
        digits = f"CAST(replace(CAST(CAST({right.sql} AS DECIMAL(38,{scale})) AS VARCHAR), '.', '') AS HUGEINT)"
        return f"spark_divide_whole(CAST({left.sql} AS HUGEINT) * {10**scale}, {digits})"
    e.refuse(node, f"interval {sign} {kinds.in_spark(right.kind)}", "cast the number to double")


def negative(value: Typed) -> Typed:
    """Minus an interval."""
    return Typed(f"(- {value.sql})", value.kind, is_window=value.is_window)


@function(
    "make_dt_interval",
    0,
    4,
    "make_dt_interval([days[, hours[, minutes[, seconds]]]]) → interval day to second",
    "SELECT make_dt_interval(1, 2, 3, 4.5) AS i",
    group="Dates",
)
def _make_day_time(e: Expressions, node: exp.Anonymous) -> Typed:
    parts = [e.coerce(part, e.expr(part), kinds.INT, "make_dt_interval") for part in node.expressions[:3]]
    sums = [
        f"CAST({part.sql} AS BIGINT) * {MICROS[unit]}"
        for part, unit in zip(parts, ("day", "hour", "minute"), strict=False)
    ]
    if len(node.expressions) == 4:
        seconds = e.coerce(node, e.expr(node.expressions[3]), pa.decimal128(18, 6), "the seconds")
        sums.append(f"CAST({seconds.sql} * 1000000 AS BIGINT)")
    return Typed(f"({' + '.join(sums) or 'CAST(0 AS BIGINT)'})", DAY_TIME)


@function(
    "make_ym_interval",
    0,
    2,
    "make_ym_interval([years[, months]]) → interval year to month",
    "SELECT date'2024-01-31' + make_ym_interval(0, 1) AS d",
    group="Dates",
)
def _make_year_month(e: Expressions, node: exp.Anonymous) -> Typed:
    parts = [e.coerce(part, e.expr(part), kinds.INT, "make_ym_interval") for part in node.expressions]
    sums = [f"CAST({part.sql} AS BIGINT) * {factor}" for part, factor in zip(parts, (12, 1), strict=False)]
    return Typed(f"CAST({' + '.join(sums) or '0'} AS INTEGER)", YEAR_MONTH)


def interval_field(value: Typed, field: str) -> Typed | None:
    """A field of an interval (extract); None where its type has no such field."""
    kind = value.kind
    if not FIELDS.index(kind.first) <= FIELDS.index(field) <= FIELDS.index(kind.last):
        return None
    factor = MONTHS.get(field) or MICROS[field]
    if field == "second":
        sql = f"CAST(CAST({value.sql} % {MICROS['minute']} AS DECIMAL(10,0)) * 0.000001 AS DECIMAL(8,6))"
        return Typed(sql, pa.decimal128(8, 6))
    if field in ("year", "day"):
        return Typed(f"CAST({value.sql} // {factor} AS INTEGER)", kinds.INT)
    return Typed(f"CAST({value.sql} // {factor} % {LIMITS[field]} AS TINYINT)", kinds.TINYINT)
