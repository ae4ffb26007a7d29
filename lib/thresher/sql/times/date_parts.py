"""Parts of dates, timestamps and intervals: year(d), extract(… FROM t), the names of days and months."""

from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, construct, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.times.dates import day, moment, utc
from thresher.sql.times.intervals import interval_field

_parts = partial(function, group="Dates")
_OF_A_DAY = {
    "year": "year({})",
    "quarter": "quarter({})",
    "month": "month({})",
    "day": "day({})",
    "dayofmonth": "day({})",
    "weekofyear": "weekofyear({})",
    "dayofyear": "dayofyear({})",
    "dayofweek": "dayofweek({}) + 1",
    "weekday": "isodow({}) - 1",
}
_OF_A_TIME = {"hour": "hour({})", "minute": "minute({})", "second": "second({})"}
_FIELDS = {  # extract's words
    **dict.fromkeys("y year years yr yrs".split(), "year({})"),
    "yearofweek": "isoyear({})",
    **dict.fromkeys("quarter qtr".split(), "quarter({})"),
    **dict.fromkeys("month mon mons months".split(), "month({})"),
    **dict.fromkeys("week w weeks".split(), "weekofyear({})"),
    **dict.fromkeys("day d days".split(), "day({})"),
    **dict.fromkeys("dayofweek dow".split(), "dayofweek({}) + 1"),
    **dict.fromkeys("dayofweek_iso dow_iso".split(), "isodow({})"),
    "doy": "dayofyear({})",
    **dict.fromkeys("hour h hours hr hrs".split(), "hour({})"),
    **dict.fromkeys("minute m min mins minutes".split(), "minute({})"),
    **dict.fromkeys("second s sec seconds secs".split(), "second({})"),
}
_TIMES = tuple(_OF_A_TIME.values())
MACROS["spark_second_of_minute(t)"] = (
    "CAST(CAST(epoch_us(t) - epoch_us(date_trunc('minute', t)) AS DECIMAL(9,0)) / 1000000 AS DECIMAL(8,6))"
)
_SECONDS = pa.decimal128(8, 6)


@_parts(
    " ".join([*_OF_A_DAY, *_OF_A_TIME]),
    1,
    1,
    "year(d), quarter, month, day, dayofmonth, weekofyear, dayofyear, dayofweek, weekday, hour, minute, second → int",
    "SELECT year(date'2024-03-15') AS y, dayofweek(date'2024-03-15') AS w",
    note="dayofweek: Sunday is 1; weekday: Monday is 0; weekofyear: ISO. hour, minute and second of a timestamp.",
)
def _part(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    if name in _OF_A_TIME:
        value = utc(moment(e, node.expressions[0], name))
        return Typed(f"CAST({_OF_A_TIME[name].format(value)} AS INTEGER)", kinds.INT)
    value = day(e, node.expressions[0], name).sql
    return Typed(f"CAST({_OF_A_DAY[name].replace('{}', value)} AS INTEGER)", kinds.INT)


@construct(
    exp.Extract,
    parts="this expression",
    group="Dates",
    signature="extract(year FROM d)",
    note="year, yearofweek, quarter, month, week, day, dayofweek, dayofweek_iso, doy, hour, minute, second "
    "(decimal(8,6)) and their short forms; also of an interval.",
    example="SELECT extract(month FROM date'2024-03-15') AS m",
)
def _extract(e: Expressions, node: exp.Extract) -> Typed:
    return _field(e, node, node.name.lower(), e.expr(node.expression), node.expression)


@_parts(
    "date_part datepart",
    2,
    2,
    "date_part('year', d), datepart",
    "SELECT date_part('dow', date'2024-03-15') AS n",
    note="The same as extract; the field is a literal.",
)
def _date_part(e: Expressions, node: exp.Anonymous) -> Typed:
    field = e.expr(node.expressions[0])
    if field.kind == kinds.VOID:
        return Typed("CAST(NULL AS DOUBLE)", kinds.DOUBLE)
    if not isinstance(field.literal, str):
        e.wrong(node, f"the field of {node.name} is no text literal; expected one like 'year'.")
    return _field(e, node, field.literal.lower(), e.expr(node.expressions[1]), node.expressions[1])


def _field(e: Expressions, node: exp.Expr, name: str, value: Typed, source: exp.Expr) -> Typed:
    template = _FIELDS.get(name)
    if isinstance(value.kind, kinds.Interval):
        found = interval_field(value, template.partition("(")[0]) if template in _INTERVAL_PARTS else None
        if found is None:
            e.wrong(node, f"no field {name} of {kinds.in_spark(value.kind)}.")
        return found
    if template is None:
        e.wrong(node, f"no field {name}; expected one of {', '.join(_FIELDS)}.")
    if template in _TIMES:
        time = utc(moment(e, source, "extract"))
        if template == "second({})":
            return Typed(f"spark_second_of_minute({time})", _SECONDS)
        return Typed(f"CAST({template.replace('{}', time)} AS INTEGER)", kinds.INT)
    return Typed(f"CAST({template.replace('{}', day(e, source, 'extract').sql)} AS INTEGER)", kinds.INT)


_INTERVAL_PARTS = ("year({})", "month({})", "day({})", *_TIMES)


@_parts(
    "dayname monthname",
    1,
    1,
    "dayname(d), monthname(d) → string",
    "SELECT dayname(date'2024-03-15') AS d, monthname(date'2024-03-15') AS m",
    note="Mon, Tue, …; Jan, Feb, …",
)
def _name(e: Expressions, node: exp.Anonymous) -> Typed:
    letter = "a" if node.name.lower() == "dayname" else "b"
    return Typed(f"strftime({day(e, node.expressions[0], node.name.lower()).sql}, '%{letter}')", kinds.STRING)
