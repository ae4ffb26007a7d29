"""Functions over dates and timestamps; the session's zone is UTC."""

from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct, function
from thresher.sql.expressions import Expressions, Typed, as_date_literal
from thresher.types import TIMESTAMP

_dates = partial(function, group="Dates")
_PARTS = {
    "year": "year({})",
    "quarter": "quarter({})",
    "month": "month({})",
    "day": "day({})",
    "dayofmonth": "day({})",
    "weekofyear": "weekofyear({})",
    "dayofyear": "dayofyear({})",
    "dayofweek": "dayofweek({}) + 1",
    "weekday": "isodow({}) - 1",
    "hour": "hour({})",
    "minute": "minute({})",
    "second": "second({})",
}


def _day(e: Expressions, node: exp.Expr, what: str) -> str:
    value = e.expr(node)
    literal = as_date_literal(value, kinds.DATE)
    if literal is not None:
        return literal.sql
    if value.kind == kinds.VOID:
        return "CAST(NULL AS DATE)"
    if value.kind not in (kinds.DATE, TIMESTAMP):
        e.refuse(node, f"{what} of a {kinds.in_spark(value.kind)}", "write cast(… as date)")
    return value.sql if value.kind == kinds.DATE else f"CAST({value.sql} AS DATE)"


@_dates(
    " ".join(_PARTS),
    1,
    1,
    "year(d), quarter, month, day, dayofmonth, weekofyear, dayofyear, dayofweek, weekday, hour, minute, second → int",
    "SELECT year(date'2024-03-15') AS y, dayofweek(date'2024-03-15') AS w",
    note="dayofweek: Sunday is 1; weekday: Monday is 0; weekofyear: ISO. hour, minute and second of a timestamp.",
)
def _part(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    if name in ("hour", "minute", "second"):
        value = e.expr(node.expressions[0])
        if value.kind != TIMESTAMP:
            e.refuse(node, f"{name} of a {kinds.in_spark(value.kind)}", "write cast(… as timestamp)")
        sql = value.sql
    else:
        sql = _day(e, node.expressions[0], name)
    return Typed(f"CAST({_PARTS[name].format(sql)} AS INTEGER)", kinds.INT)


@construct(
    exp.Extract,
    parts="this expression",
    group="Dates",
    signature="extract(year FROM d)",
    note="year, quarter, month, day.",
    example="SELECT extract(month FROM date'2024-03-15') AS m",
)
def _extract(e: Expressions, node: exp.Extract) -> Typed:
    name = node.name.lower()
    if name not in ("year", "quarter", "month", "day"):
        e.refuse(node, f"extract({name} …)")
    return Typed(f"CAST({_PARTS[name].format(_day(e, node.expression, 'extract'))} AS INTEGER)", kinds.INT)


def _days(e: Expressions, node: exp.Expr, what: str) -> str:
    return e.coerce(node, e.expr(node), kinds.INT, f"the number of {what}").sql


@_dates(
    "date_add date_sub",
    2,
    2,
    "date_add(d, days), date_sub(d, days) → date",
    "SELECT date_add(date'2024-02-28', 2) AS d",
)
def _add(e: Expressions, node: exp.Anonymous) -> Typed:
    sign = "-" if node.name.lower() == "date_sub" else "+"
    day = _day(e, node.expressions[0], node.name.lower())
    return Typed(f"({day} {sign} {_days(e, node.expressions[1], 'days')})", kinds.DATE)


@_dates(
    "datediff date_diff", 2, 2, "datediff(end, start) → int", "SELECT datediff(date'2024-03-01', date'2024-02-28') AS n"
)
def _difference(e: Expressions, node: exp.Anonymous) -> Typed:
    end, start = (_day(e, part, "datediff") for part in node.expressions)
    return Typed(f"CAST(({end} - {start}) AS INTEGER)", kinds.INT)


@_dates(
    "add_months",
    2,
    2,
    "add_months(d, months) → date",
    "SELECT add_months(date'2024-01-31', 1) AS d",
    note="The last day of a shorter month.",
)
def _months(e: Expressions, node: exp.Anonymous) -> Typed:
    day = _day(e, node.expressions[0], "add_months")
    return Typed(f"CAST({day} + to_months({_days(e, node.expressions[1], 'months')}) AS DATE)", kinds.DATE)


@_dates("last_day", 1, 1, "last_day(d) → date", "SELECT last_day(date'2024-02-10') AS d")
def _last(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"last_day({_day(e, node.expressions[0], 'last_day')})", kinds.DATE)


@_dates(
    "make_date",
    3,
    3,
    "make_date(year, month, day)",
    "SELECT make_date(2024, 2, 29) AS d",
    note="Years 1 to 9999; no such day is an error.",
)
def _make(e: Expressions, node: exp.Anonymous) -> Typed:
    parts = [_days(e, part, "make_date") for part in node.expressions]
    return Typed(f"make_date({', '.join(parts)})", kinds.DATE)


@_dates("unix_date", 1, 1, "unix_date(d) → int", "SELECT unix_date(date'1970-01-02') AS n")
def _unix_date(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"CAST(({_day(e, node.expressions[0], 'unix_date')} - DATE '1970-01-01') AS INTEGER)", kinds.INT)


_UNITS = {
    "year": "year",
    "yyyy": "year",
    "yy": "year",
    "quarter": "quarter",
    "month": "month",
    "mon": "month",
    "mm": "month",
    "week": "week",
    "day": "day",
    "dd": "day",
    "hour": "hour",
    "minute": "minute",
    "second": "second",
}


def _unit(e: Expressions, node: exp.Expr, allowed: list[str]) -> str:
    literal = e.expr(node).literal
    unit = _UNITS.get(literal.lower()) if isinstance(literal, str) else None
    if unit not in allowed:
        e.refuse(node, f"this unit ({literal})", f"use one of {', '.join(allowed)}")
    return str(unit)


@_dates(
    "date_trunc",
    2,
    2,
    "date_trunc('month', t) → timestamp",
    "SELECT date_trunc('month', timestamp'2024-03-15 10:00:00') AS t",
    note="year, quarter, month, week, day, hour, minute, second, over a timestamp or a date.",
)
def _truncated(e: Expressions, node: exp.Anonymous) -> Typed:
    unit = _unit(e, node.expressions[0], list(dict.fromkeys(_UNITS.values())))
    value = e.expr(node.expressions[1])
    value = as_date_literal(value, TIMESTAMP) or value
    if value.kind == kinds.DATE:
        value = e.cast(value, TIMESTAMP)
    if value.kind != TIMESTAMP:
        e.refuse(node, f"date_trunc of a {kinds.in_spark(value.kind)}", "write cast(… as timestamp)")
    return Typed(f"date_trunc('{unit}', {value.sql})", TIMESTAMP)


@_dates(
    "trunc",
    2,
    2,
    "trunc(d, 'month') → date",
    "SELECT trunc(date'2024-03-15', 'quarter') AS d",
    note="year, quarter, month, week.",
)
def _truncated_day(e: Expressions, node: exp.Anonymous) -> Typed:
    unit = _unit(e, node.expressions[1], ["year", "quarter", "month", "week"])
    return Typed(f"CAST(date_trunc('{unit}', {_day(e, node.expressions[0], 'trunc')}) AS DATE)", kinds.DATE)


_FORMATS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


@_dates(
    "date_format",
    2,
    2,
    "date_format(t, 'yyyy-MM-dd HH:mm:ss')",
    "SELECT date_format(date'2024-03-15', 'yyyyMM') AS m",
    note="A literal pattern of yyyy, MM, dd, HH, mm, ss, the separators - / . : , space and quoted text.",
)
def _format(e: Expressions, node: exp.Anonymous) -> Typed:
    pattern = e.expr(node.expressions[1]).literal
    text = _strftime(pattern) if isinstance(pattern, str) else None
    if text is None:
        e.refuse(node, f"date_format with the pattern {pattern!r}", "use yyyy, MM, dd, HH, mm, ss and separators")
    value = e.expr(node.expressions[0])
    if value.kind not in (kinds.DATE, TIMESTAMP):
        e.refuse(node, f"date_format of a {kinds.in_spark(value.kind)}", "write cast(… as date)")
    instant = f"CAST({value.sql} AS TIMESTAMP)"
    return Typed(f"spark_date_format({instant}, {kinds.text_literal(text)})", kinds.STRING)


def _strftime(pattern: str) -> str | None:
    """The pattern in DuckDB's words, None where a part is not known."""
    parts, rest = [], pattern
    while rest:
        letters = len(rest) - len(rest.lstrip(rest[0]))
        if rest[0].isascii() and rest[0].isalpha():
            if rest[:letters] not in _FORMATS:
                return None
            parts.append(_FORMATS[rest[:letters]])
            rest = rest[letters:]
        elif rest[0] == "'" and "'" in rest[1:] and rest[1] != "'":
            quoted, _, rest = rest[1:].partition("'")
            if "%" in quoted or rest.startswith("'"):
                return None
            parts.append(quoted)
        elif rest[0] in "-/.:, ":
            parts.append(rest[0])
            rest = rest[1:]
        else:
            return None
    return "".join(parts)
