"""Timestamps: from and to text by patterns, from parts, from and to numbers since 1970, between time zones."""

from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, function
from thresher.sql.casting.casts import convert
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.times.date_formats import formatted
from thresher.sql.times.date_parsing import parsed
from thresher.sql.times.dates import day, instant, utc
from thresher.sql.times.intervals import of_micros
from thresher.sql.times.time_zones import to_local, to_utc, zone
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_times = partial(function, group="Dates")
_DEFAULT = "yyyy-MM-dd HH:mm:ss"

MACROS.update(
    {
        "spark_time_of_day(h, mi, s, is_try)": (  # s in microseconds; 60 seconds are the next minute
            "CASE WHEN h NOT BETWEEN 0 AND 23 OR mi NOT BETWEEN 0 AND 59 OR s NOT BETWEEN 0 AND 60000000 "
            "THEN CASE WHEN is_try THEN NULL "
            "ELSE CAST(error('no such time: ' || h || ':' || mi || ':' || s / 1000000) AS BIGINT) END "
            "ELSE (h::BIGINT * 60 + mi) * 60000000 + s END"
        ),
        "spark_exact_micros(x)": (
            "CASE WHEN x <> CAST(x AS DECIMAL(38,6)) THEN error('a fraction of a microsecond: ' || x) "
            "ELSE CAST(CAST(x AS DECIMAL(28,6)) * 1000000 AS HUGEINT) END"
        ),
        "spark_floor_div(n, d)": "(n - (n % d + d) % d) // d",
    }
)


def _pattern(e: Expressions, node: exp.Anonymous, position: int) -> str | None:
    """The pattern among the arguments; None where it is NULL."""
    if len(node.expressions) <= position:
        return _DEFAULT
    value = e.expr(node.expressions[position])
    if value.kind == kinds.VOID:
        return None
    if not isinstance(value.literal, str):
        e.refuse(node, "a datetime pattern that is no text literal", "write the pattern as text")
    return value.literal


@_times(
    "date_format",
    2,
    2,
    "date_format(t, 'dd.MM.yyyy HH:mm:ss.SSS')",
    "SELECT date_format(date'2024-03-15', 'EEE, d MMM yyyy') AS m",
    note="A literal pattern with any letters that Spark accepts; what it rejects is an error.",
)
def _date_format(e: Expressions, node: exp.Anonymous) -> Typed:
    time = utc(instant(e, node.expressions[0], "date_format"))
    pattern = _pattern(e, node, 1)
    if pattern is None:
        return Typed("CAST(NULL AS VARCHAR)", kinds.STRING)
    return formatted(e, node, time, pattern)


@_times(
    "from_unixtime",
    1,
    2,
    "from_unixtime(seconds[, pattern]) → string",
    "SELECT from_unixtime(0, 'yyyy-MM-dd') AS d",
)
def _from_unixtime(e: Expressions, node: exp.Anonymous) -> Typed:
    seconds = e.coerce(node, e.expr(node.expressions[0]), kinds.BIGINT, "the number of seconds")
    pattern = _pattern(e, node, 1)
    if pattern is None:
        return Typed("CAST(NULL AS VARCHAR)", kinds.STRING)
    time = f"make_timestamp(spark_checked_micros(CAST({seconds.sql} AS HUGEINT) * 1000000))"
    return formatted(e, node, time, pattern)


_READ = {
    "to_date": kinds.DATE,
    "try_to_date": kinds.DATE,
    "to_timestamp": TIMESTAMP,
    "try_to_timestamp": TIMESTAMP,
    "to_timestamp_ltz": TIMESTAMP,
    "to_timestamp_ntz": TIMESTAMP_NTZ,
}


@_times(
    " ".join(_READ),
    1,
    2,
    "to_date(a[, pattern]), to_timestamp, to_timestamp_ntz, to_timestamp_ltz, try_to_date, try_to_timestamp",
    "SELECT to_timestamp('15.03.2024 01:45 PM', 'dd.MM.yyyy hh:mm a') AS t",
    note="Without a pattern a cast. The pattern is a literal; text unlike it is an error, or NULL (try_).",
)
def _read(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    kind, is_try = _READ[name], name.startswith("try_")
    value = e.expr(node.expressions[0])
    if len(node.expressions) == 1:
        return _cast(e, node, value, kind, is_try=is_try)
    pattern = _pattern(e, node, 1)
    if pattern is None:
        return Typed(f"CAST(NULL AS {kinds.in_duckdb(kind)})", kind)
    if value.kind in (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ):
        return convert(e, node, value, kind, is_try=False)
    if kind != kinds.DATE and (kinds.is_number(value.kind) or value.kind == kinds.BOOL):
        e.refuse(node, f"{name} of a {kinds.in_spark(value.kind)} with a pattern", "cast it to string")
    text = e.coerce(node, value, kinds.STRING, name)
    time = parsed(e, node, text, pattern, TIMESTAMP if kind == kinds.DATE else kind, is_try=is_try)
    return Typed(f"CAST({time.sql} AS DATE)", kind) if kind == kinds.DATE else time


def _cast(e: Expressions, node: exp.Expr, value: Typed, kind: pa.DataType, *, is_try: bool) -> Typed:
    if kind == TIMESTAMP_NTZ and kinds.is_number(value.kind):
        e.wrong(node, f"to_timestamp_ntz of {kinds.in_spark(value.kind)}; expected text, a date or a timestamp.")
    return convert(e, node, value, kind, is_try=is_try and value.kind not in (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ))


@_times(
    "unix_timestamp to_unix_timestamp",
    1,
    2,
    "unix_timestamp(a[, pattern]), to_unix_timestamp → bigint",
    "SELECT unix_timestamp('2024-03-15', 'yyyy-MM-dd') AS n",
    note="Seconds since 1970, of a date, a timestamp, or text by the pattern (yyyy-MM-dd HH:mm:ss).",
)
def _unix_timestamp(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    pattern = _pattern(e, node, 1)
    if value.kind == kinds.VOID or pattern is None:
        return Typed("CAST(NULL AS BIGINT)", kinds.BIGINT)
    if value.kind == kinds.STRING:
        value = parsed(e, node, value, pattern, TIMESTAMP)
    elif value.kind not in (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ):
        e.wrong(node, f"{node.name} of {kinds.in_spark(value.kind)}; expected text, a date or a timestamp.")
    return Typed(f"(epoch_us({value.sql}) // 1000000)", kinds.BIGINT)


_PER_SECOND = {"seconds": 1_000_000, "millis": 1000, "micros": 1}


@_times(
    "unix_seconds unix_millis unix_micros",
    1,
    1,
    "unix_seconds(t), unix_millis(t), unix_micros(t) → bigint",
    "SELECT unix_millis(timestamp'1970-01-01 00:00:01.5') AS n",
    note="Rounded down.",
)
def _unix_units(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if value.kind not in (TIMESTAMP, kinds.VOID):
        e.wrong(node, f"{node.name} of {kinds.in_spark(value.kind)}; expected a timestamp.")
    time = f"CAST({value.sql} AS TIMESTAMPTZ)"
    factor = _PER_SECOND[node.name.lower().removeprefix("unix_")]
    return Typed(f"epoch_us({time})" if factor == 1 else f"spark_floor_div(epoch_us({time}), {factor})", kinds.BIGINT)


@_times(
    "timestamp_seconds timestamp_millis timestamp_micros",
    1,
    1,
    "timestamp_seconds(n), timestamp_millis(n), timestamp_micros(n)",
    "SELECT timestamp_seconds(1.5) AS t",
    note="Milliseconds and microseconds of a whole number; seconds of any number.",
)
def _of_number(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    value = e.expr(node.expressions[0])
    factor = _PER_SECOND[name.removeprefix("timestamp_")]
    if value.kind == kinds.VOID:
        return Typed("CAST(NULL AS TIMESTAMPTZ)", TIMESTAMP)
    if value.kind in kinds.INTEGERS:
        return of_micros(f"spark_checked_micros(CAST({value.sql} AS HUGEINT) * {factor})", TIMESTAMP)
    if name != "timestamp_seconds" or not kinds.is_number(value.kind):
        e.wrong(node, f"{name} of {kinds.in_spark(value.kind)}; expected a whole number.")
    if kinds.is_decimal(value.kind):
        if value.kind.scale > 24 or value.kind.precision - value.kind.scale > 20:
            e.refuse(node, f"{name} of {kinds.in_spark(value.kind)}", "cast it to decimal(18,6)")
        return of_micros(f"spark_checked_micros(spark_exact_micros({value.sql}))", TIMESTAMP)
    number = f"CAST({value.sql} AS DOUBLE)"
    whole = f"CASE WHEN isfinite({number}) THEN CAST(trunc({number} * 1000000.0) AS HUGEINT) END"
    return of_micros(f"spark_checked_micros({whole})", TIMESTAMP)


_MADE = {
    "make_timestamp": TIMESTAMP,
    "make_timestamp_ltz": TIMESTAMP,
    "try_make_timestamp": TIMESTAMP,
    "try_make_timestamp_ltz": TIMESTAMP,
    "make_timestamp_ntz": TIMESTAMP_NTZ,
    "try_make_timestamp_ntz": TIMESTAMP_NTZ,
}


@_times(
    " ".join(_MADE),
    1,
    7,
    "make_timestamp(year, month, day, hour, minute, second[, zone])",
    "SELECT make_timestamp(2024, 2, 29, 23, 59, 59.5) AS t",
    note="Also make_timestamp_ntz, make_timestamp_ltz, and try_… with NULL where there is no such time.",
)
def _make(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    kind = _MADE[name]
    if name == "make_timestamp" and len(node.expressions) == 1:
        return convert(e, node, day(e, node.expressions[0], name), kind, is_try=False)
    if len(node.expressions) < 6 or (kind == TIMESTAMP_NTZ and len(node.expressions) == 7):
        e.wrong(
            node, f"{name} with {len(node.expressions)} arguments; expected year, month, day, hour, minute, second."
        )
    whole = [e.coerce(part, e.expr(part), kinds.INT, name).sql for part in node.expressions[:5]]
    second = e.coerce(node, e.expr(node.expressions[5]), pa.decimal128(16, 6), "the seconds").sql
    year, month, date, hour, minute = whole
    is_try = name.startswith("try_")
    first = f"make_date({year}, {month}, {date})"
    clock = f"spark_time_of_day({hour}, {minute}, CAST({second} * 1000000 AS BIGINT), {is_try})"
    sql = f"make_timestamp(epoch_us({f'TRY({first})' if is_try else first}) + {clock})"
    sql = f"spark_in_years({sql})"
    if len(node.expressions) == 7:
        found = zone(e, node.expressions[6])
        sql = to_utc(found, sql) if found is not None else "CAST(NULL AS TIMESTAMP)"
    return Typed(f"CAST({sql} AS {kinds.in_duckdb(kind)})", kind)


MACROS["spark_in_years(t)"] = (
    "CASE WHEN t BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN t "
    "WHEN t IS NOT NULL THEN error('not proven equal to Spark: a timestamp outside the years 1 to 9999') END"
)


@_times(
    "from_utc_timestamp to_utc_timestamp",
    2,
    2,
    "from_utc_timestamp(t, 'Europe/Berlin'), to_utc_timestamp(t, '+02:00')",
    "SELECT from_utc_timestamp(timestamp'2024-07-01 12:00:00', 'Europe/Berlin') AS t",
    note="The zone is a literal.",
)
def _shifted(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    time = utc(instant(e, node.expressions[0], name))
    found = zone(e, node.expressions[1])
    if found is None:
        return Typed("CAST(NULL AS TIMESTAMPTZ)", TIMESTAMP)
    sql = to_local(found, time) if name == "from_utc_timestamp" else to_utc(found, time)
    return Typed(f"CAST(spark_in_years({sql}) AS TIMESTAMPTZ)", TIMESTAMP)


@_times(
    "convert_timezone",
    2,
    3,
    "convert_timezone([from, ]to, t) → timestamp_ntz",
    "SELECT convert_timezone('UTC', 'Asia/Tokyo', timestamp_ntz'2024-07-01 00:00:00') AS t",
    note="The zones are literals; without the first it is UTC.",
)
def _converted(e: Expressions, node: exp.Anonymous) -> Typed:
    zones = [zone(e, part) for part in node.expressions[:-1]]
    value = e.coerce(node, e.expr(node.expressions[-1]), TIMESTAMP_NTZ, "the argument of convert_timezone")
    if None in zones:
        return Typed("CAST(NULL AS TIMESTAMP)", TIMESTAMP_NTZ)
    sql = value.sql if len(zones) == 1 else to_utc(zones[0] or 0, value.sql)
    return Typed(f"spark_in_years({to_local(zones[-1] or 0, sql)})", TIMESTAMP_NTZ)


@_times("current_timezone", 0, 0, "current_timezone()", "SELECT current_timezone() AS z", note="UTC.")
def _current_zone(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed("'UTC'", kinds.STRING)
