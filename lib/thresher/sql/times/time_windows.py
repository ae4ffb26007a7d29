"""Windows of time: window(t, '10 minutes'[, '5 minutes'[, '1 minute']]) in GROUP BY and the select list, window_time.

A SELECT with such a call reads one row for each window that a row falls into, with the window in a column `window`.
"""

import pyarrow as pa
from sqlglot import exp

from thresher.sql.allowed import function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.queries.generators import GENERATORS, Rows
from thresher.sql.times.dates import moment
from thresher.sql.times.interval_literals import in_units
from thresher.sql.times.intervals import of_micros

_COLUMN, _TABLE, _ROWS = "window", "window of time", "window/rows"
_PLACES = ("expressions", "group", "having", "order")


def with_windows(e: Expressions, node: exp.Select) -> exp.Select:
    """The SELECT that reads its windows from a LATERAL VIEW instead of calling window; itself where it calls none."""
    if not _calls(node):
        return node
    node = node.copy()
    calls = _calls(node)
    if len({call.sql().lower() for call in calls}) > 1:
        e.wrong(calls[1], "two different windows of time in one SELECT; expected one. Use a subquery for the other.")
    if not 2 <= len(calls[0].expressions) <= 4:
        e.wrong(calls[0], f"window with {len(calls[0].expressions)} arguments; expected 2 to 4.")
    rows = exp.Anonymous(this=_ROWS, expressions=calls[0].expressions)
    for call in calls:
        call.replace(exp.column(_COLUMN, table=_TABLE))
    alias = exp.TableAlias(this=exp.to_identifier(_TABLE), columns=[exp.to_identifier(_COLUMN)])
    node.append("laterals", exp.Lateral(this=rows, view=True, outer=False, alias=alias))
    return node


def _calls(node: exp.Select) -> list[exp.Anonymous]:
    """The calls of window in this SELECT, outside its subqueries."""
    parts = [part for place in _PLACES for part in _list(node.args.get(place))]
    return [
        call
        for part in parts
        for call in part.walk(prune=lambda inner: isinstance(inner, exp.Query))
        if isinstance(call, exp.Anonymous) and call.name.lower() == _COLUMN
    ]


def _list(value: object) -> list[exp.Expr]:
    return [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, exp.Expr)]


@function(
    "window",
    2,
    4,
    "window(t, size[, slide[, start]]) → struct<start, end>",
    "SELECT window.start AS start, count(*) AS n FROM VALUES (timestamp'2024-01-01 00:03:00') AS t(ts) "
    "GROUP BY window(ts, '5 minutes')",
    group="Dates",
    note="In GROUP BY or the select list; the lengths are text of weeks to microseconds.",
)
def _elsewhere(e: Expressions, node: exp.Anonymous) -> Typed:
    e.refuse(node, "window outside GROUP BY and the select list", "group in a subquery")


def _rows(e: Expressions, node: exp.Anonymous, is_outer: bool) -> Rows:
    time = moment(e, node.expressions[0], "window")
    size, slide, start = _lengths(e, node)
    if size <= 0 or not 0 < slide <= size or abs(start) >= slide:
        e.wrong(node, "a window needs lengths above zero, a slide of at most its size, and a start below the slide.")
    first, last = of_micros("begin", time.kind).sql, of_micros(f"begin + {size}", time.kind).sql
    begin = f"micros - ((micros - {start}) % {slide} + {slide}) % {slide} - step * {slide}"
    sql = (
        f"SELECT {{'start': {first}, 'end': {last}}} AS c1 FROM (SELECT micros, {begin} AS begin "
        f"FROM (SELECT epoch_us({time.sql}) AS micros) AS moments "
        f"CROSS JOIN range({-(-size // slide)}) AS steps(step)) "
        f"WHERE micros < begin + {size}"
    )
    return sql, [(_COLUMN, pa.struct([("start", time.kind), ("end", time.kind)]))]


GENERATORS[_ROWS] = _rows


def _lengths(e: Expressions, node: exp.Anonymous) -> tuple[int, int, int]:
    found = []
    for part in node.expressions[1:]:
        text = e.expr(part).literal
        if not isinstance(text, str):
            e.refuse(part, "the length of a window that is no text literal", "write it like '5 minutes'")
        length = in_units(text.lower().removeprefix("interval").strip())
        if length is None or length[1].is_months:
            e.wrong(part, f"{text!r} is no length of a window; expected one like '5 minutes'.")
        found.append(length[0])
    return found[0], found[1] if len(found) > 1 else found[0], found[2] if len(found) > 2 else 0


@function(
    "window_time",
    1,
    1,
    "window_time(window) → timestamp",
    "SELECT window_time(window(timestamp'2024-01-01 00:03:00', '5 minutes')) AS t",
    group="Dates",
    note="The last microsecond of a window(…) of the same SELECT.",
)
def _window_time(e: Expressions, node: exp.Anonymous) -> Typed:
    argument = node.expressions[0]
    if not isinstance(argument, exp.Column) or argument.table != _TABLE:
        e.refuse(node, "window_time of anything but a window(…)", "write window_time(window(…))")
    window = e.expr(argument)
    micros = f"epoch_us(struct_extract({window.sql}, 'end')) - 1"
    return of_micros(micros, window.kind.field("end").type)
