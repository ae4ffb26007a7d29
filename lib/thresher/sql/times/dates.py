"""Functions over dates: days, months, differences, truncation; the session's zone is UTC."""

from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.times.intervals import plus_days, plus_micros, plus_months
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_dates = partial(function, group="Dates")

MACROS.update(
    {
        # Whole months between two instants; the time and day of the month of both decide about the last one.
        "spark_whole_months(a, b)": (
            "CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE spark_months(a, b) - CASE "
            "WHEN spark_months(a, b) > 0 AND spark_in_month(b) < spark_in_month(a) THEN 1 "
            "WHEN spark_months(a, b) < 0 AND spark_in_month(b) > spark_in_month(a) THEN -1 ELSE 0 END END"
        ),
        "spark_months(a, b)": "CAST((year(b) - year(a)) * 12 + month(b) - month(a) AS BIGINT)",
        "spark_in_month(t)": "epoch_us(t) - epoch_us(date_trunc('month', t))",
        "spark_months_between(a, b)": (
            "CASE WHEN a IS NULL OR b IS NULL THEN NULL "
            "WHEN day(a) = day(b) OR (CAST(a AS DATE) = last_day(a) AND CAST(b AS DATE) = last_day(b)) "
            "THEN CAST(spark_months(b, a) AS DOUBLE) "
            "ELSE CAST(spark_months(b, a) AS DOUBLE) + CAST((day(a) - day(b)) * 86400 + spark_second_of_day(a) "
            "- spark_second_of_day(b) AS DOUBLE) / 2678400 END"
        ),
        "spark_second_of_day(t)": "(epoch_us(t) - epoch_us(date_trunc('day', t))) // 1000000",
        "spark_rounded_months(x)": "floor(x * 100000000 + 0.5) / 100000000",
        "spark_weekday(s)": (
            "CASE WHEN s IS NULL THEN NULL ELSE coalesce(list_position(['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'], "
            "CASE WHEN regexp_full_match(upper(s), 'MO(N(DAY)?)?|TU(E(SDAY)?)?|WE(D(NESDAY)?)?|TH(U(RSDAY)?)?"
            "|FR(I(DAY)?)?|SA(T(URDAY)?)?|SU(N(DAY)?)?') THEN left(upper(s), 2) END), "
            "CAST(error('no day of the week: ' || s) AS INTEGER)) END"
        ),
        "spark_next_day(d, n)": "d + CAST((n - isodow(d) + 6) % 7 + 1 AS INTEGER)",
    }
)


def day(e: Expressions, node: exp.Expr, what: str) -> Typed:
    """An argument that is a date, or converted to one."""
    return e.coerce(node, e.expr(node), kinds.DATE, f"the argument of {what}")


def moment(e: Expressions, node: exp.Expr, what: str) -> Typed:
    """An argument that is a timestamp, or converted to one with a zone."""
    value = e.expr(node)
    if value.kind == TIMESTAMP_NTZ:
        return value
    return e.coerce(node, value, TIMESTAMP, f"the argument of {what}")


def instant(e: Expressions, node: exp.Expr, what: str) -> Typed:
    """An argument that is a timestamp with a zone, or converted to one."""
    value = moment(e, node, what)
    return Typed(f"CAST({value.sql} AS TIMESTAMPTZ)", TIMESTAMP) if value.kind == TIMESTAMP_NTZ else value


def utc(value: Typed) -> str:
    """A timestamp of either kind as DuckDB's TIMESTAMP."""
    return value.sql if value.kind == TIMESTAMP_NTZ else f"CAST({value.sql} AS TIMESTAMP)"


def _unit_name(e: Expressions, node: exp.Anonymous) -> str:
    """The first argument, a bare word: DAY, MONTH, …"""
    unit = node.expressions[0]
    name = unit.name.upper() if isinstance(unit, exp.Column) and len(unit.parts) == 1 else None
    if name not in _MICROS and name not in _MONTHS:
        words = ", ".join([*_MONTHS, *_MICROS])
        e.wrong(node, f"the unit of {node.name} is {unit.sql('spark')}; expected one of {words}, without quotes.")
    return str(name)


_MONTHS = {"YEAR": 12, "QUARTER": 3, "MONTH": 1}
_MICROS = {
    "WEEK": 604_800_000_000,
    "DAY": 86_400_000_000,
    "DAYOFYEAR": 86_400_000_000,
    "HOUR": 3_600_000_000,
    "MINUTE": 60_000_000,
    "SECOND": 1_000_000,
    "MILLISECOND": 1000,
    "MICROSECOND": 1,
}


@_dates(
    "date_add date_sub dateadd",
    2,
    3,
    "date_add(d, days), date_sub(d, days), dateadd(d, days) → date",
    "SELECT date_add(date'2024-02-28', 2) AS d",
    note="dateadd(unit, n, t) and date_add(unit, n, t): see timestampadd.",
)
def _add(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    if len(node.expressions) == 3:
        return _add_units(e, node)
    days = e.expr(node.expressions[1])
    if days.kind not in (*kinds.INTEGERS[:3], kinds.STRING, kinds.VOID):
        e.wrong(node, f"{name} of {kinds.in_spark(days.kind)}; expected a whole number of days of at most int.")
    days = e.coerce(node, days, kinds.INT, "the number of days")
    return plus_days(day(e, node.expressions[0], name), "-" if name == "date_sub" else "+", days)


@_dates(
    "timestampadd",
    3,
    3,
    "timestampadd(unit, n, t) → timestamp",
    "SELECT timestampadd(MONTH, 1, timestamp'2024-01-31 10:00:00') AS t",
    note="Units: YEAR, QUARTER, MONTH, WEEK, DAY, DAYOFYEAR, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND.",
)
def _add_units(e: Expressions, node: exp.Anonymous) -> Typed:
    unit = _unit_name(e, node)
    if node.name.lower() == "date_sub":
        e.wrong(node, "date_sub with a unit; expected dateadd with a negative number.")
    number = e.coerce(node, e.expr(node.expressions[1]), kinds.BIGINT, "the number")
    start = moment(e, node.expressions[2], node.name.lower())
    if unit in _MONTHS:
        return plus_months(start, f"CAST({number.sql} * {_MONTHS[unit]} AS INTEGER)")
    return plus_micros(start, f"CAST({number.sql} AS HUGEINT) * {_MICROS[unit]}")


@_dates(
    "datediff date_diff",
    2,
    3,
    "datediff(end, start) → int",
    "SELECT datediff(date'2024-03-01', date'2024-02-28') AS n",
    note="datediff(unit, start, end): see timestampdiff.",
)
def _difference(e: Expressions, node: exp.Anonymous) -> Typed:
    if len(node.expressions) == 3:
        return _unit_difference(e, node)
    end, start = (day(e, part, node.name.lower()).sql for part in node.expressions)
    return Typed(f"CAST(({end} - {start}) AS INTEGER)", kinds.INT)


@_dates(
    "timestampdiff",
    3,
    3,
    "timestampdiff(unit, start, end) → bigint",
    "SELECT timestampdiff(HOUR, timestamp'2024-01-01 10:00:00', timestamp'2024-01-03 09:59:59') AS n",
    note="Whole units, cut off towards zero.",
)
def _unit_difference(e: Expressions, node: exp.Anonymous) -> Typed:
    unit = _unit_name(e, node)
    start, end = (moment(e, part, node.name.lower()) for part in node.expressions[1:])
    if unit in _MONTHS:
        return Typed(f"(spark_whole_months({utc(start)}, {utc(end)}) // {_MONTHS[unit]})", kinds.BIGINT)
    return Typed(f"((epoch_us({end.sql}) - epoch_us({start.sql})) // {_MICROS[unit]})", kinds.BIGINT)


@_dates(
    "add_months",
    2,
    2,
    "add_months(d, months) → date",
    "SELECT add_months(date'2024-01-31', 1) AS d",
    note="The last day of a shorter month.",
)
def _months(e: Expressions, node: exp.Anonymous) -> Typed:
    months = e.coerce(node, e.expr(node.expressions[1]), kinds.INT, "the number of months")
    return plus_months(day(e, node.expressions[0], "add_months"), months.sql)


@_dates(
    "months_between",
    2,
    3,
    "months_between(a, b[, round]) → double",
    "SELECT months_between(date'2024-03-15', date'2024-01-01') AS n",
    note="31 days a month, rounded to 8 digits unless the third argument, a literal, is false.",
)
def _months_between(e: Expressions, node: exp.Anonymous) -> Typed:
    one, other = (utc(instant(e, part, "months_between")) for part in node.expressions[:2])
    exact = f"spark_months_between({one}, {other})"
    if len(node.expressions) == 3:
        rounds = e.coerce(node, e.expr(node.expressions[2]), kinds.BOOL, "the third argument of months_between").sql
        return Typed(
            f"CASE WHEN {rounds} THEN spark_rounded_months({exact}) WHEN NOT {rounds} THEN {exact} END", kinds.DOUBLE
        )
    return Typed(f"spark_rounded_months({exact})", kinds.DOUBLE)


@_dates("last_day", 1, 1, "last_day(d) → date", "SELECT last_day(date'2024-02-10') AS d")
def _last(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"last_day({day(e, node.expressions[0], 'last_day').sql})", kinds.DATE)


@_dates(
    "next_day",
    2,
    2,
    "next_day(d, 'MO') → date",
    "SELECT next_day(date'2024-03-15', 'monday') AS d",
    note="The first such day after d; no such day of the week is an error.",
)
def _next(e: Expressions, node: exp.Anonymous) -> Typed:
    start = day(e, node.expressions[0], "next_day").sql
    name = e.text(node.expressions[1], "the day of the week").sql
    sql = f"CASE WHEN {start} IS NOT NULL THEN spark_checked_date(spark_next_day({start}, spark_weekday({name}))) END"
    return Typed(sql, kinds.DATE)


_TRUNCATED = {
    **dict.fromkeys(("YEAR", "YYYY", "YY"), "year"),
    "QUARTER": "quarter",
    **dict.fromkeys(("MONTH", "MON", "MM"), "month"),
    "WEEK": "week",
}
_TRUNCATED_TIME = {
    **dict.fromkeys(("DAY", "DD"), "day"),
    "HOUR": "hour",
    "MINUTE": "minute",
    "SECOND": "second",
    "MILLISECOND": "millisecond",
    "MICROSECOND": "microsecond",
}


def _truncated(e: Expressions, unit: exp.Expr, value: str, units: dict[str, str], kind: pa.DataType) -> Typed:
    """The value truncated by a literal unit, or by a column of units; a unit that is none gives NULL."""
    name = e.text(unit, "the unit")
    word = kinds.in_duckdb(kind)
    if isinstance(name.literal, str):
        known = units.get(name.literal.upper())
        return Typed(f"CAST({_cut(known, value) if known else 'NULL'} AS {word})", kind)
    pairs = ", ".join(f"'{old}': '{new}'" for old, new in units.items())
    found = f"list_extract(map_extract(MAP {{{pairs}}}, upper({name.sql})), 1)"
    branches = " ".join(f"WHEN '{known}' THEN {_cut(known, value)}" for known in dict.fromkeys(units.values()))
    return Typed(f"CAST(CASE {found} {branches} END AS {word})", kind)


def _cut(unit: str, value: str) -> str:
    return f"date_trunc('{unit}', {value})"


@_dates(
    "date_trunc",
    2,
    2,
    "date_trunc('month', t) → timestamp",
    "SELECT date_trunc('month', timestamp'2024-03-15 10:00:00') AS t",
    note="year, quarter, month, week, day, hour, minute, second, millisecond, microsecond; another unit gives NULL.",
)
def _truncated_time(e: Expressions, node: exp.Anonymous) -> Typed:
    value = instant(e, node.expressions[1], "date_trunc")
    return _truncated(e, node.expressions[0], value.sql, _TRUNCATED | _TRUNCATED_TIME, TIMESTAMP)


@_dates(
    "trunc",
    2,
    2,
    "trunc(d, 'month') → date",
    "SELECT trunc(date'2024-03-15', 'quarter') AS d",
    note="year, quarter, month, week; another unit gives NULL.",
)
def _truncated_day(e: Expressions, node: exp.Anonymous) -> Typed:
    value = day(e, node.expressions[0], "trunc")
    return _truncated(e, node.expressions[1], value.sql, _TRUNCATED, kinds.DATE)


@_dates(
    "make_date",
    3,
    3,
    "make_date(year, month, day)",
    "SELECT make_date(2024, 2, 29) AS d",
    note="Years 1 to 9999; no such day is an error.",
)
def _make(e: Expressions, node: exp.Anonymous) -> Typed:
    parts = [e.coerce(part, e.expr(part), kinds.INT, "make_date").sql for part in node.expressions]
    return Typed(f"spark_checked_date(make_date({', '.join(parts)}))", kinds.DATE)


@_dates("unix_date", 1, 1, "unix_date(d) → int", "SELECT unix_date(date'1970-01-02') AS n")
def _unix_date(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if value.kind not in (kinds.DATE, kinds.VOID):
        e.wrong(node, f"unix_date of {kinds.in_spark(value.kind)}; expected a date.")
    return Typed(f"CAST((CAST({value.sql} AS DATE) - DATE '1970-01-01') AS INTEGER)", kinds.INT)


@_dates("date_from_unix_date", 1, 1, "date_from_unix_date(n) → date", "SELECT date_from_unix_date(19000) AS d")
def _from_unix_date(e: Expressions, node: exp.Anonymous) -> Typed:
    days = e.coerce(node, e.expr(node.expressions[0]), kinds.INT, "the number of days")
    return plus_days(Typed("DATE '1970-01-01'", kinds.DATE), "+", days)
