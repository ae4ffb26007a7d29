"""Windows: what stands behind OVER, and the functions that need one."""

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import Call, has_window, kept_apart, order_items, ordered, window_function
from thresher.sql.aggregating.arguments import constant
from thresher.sql.aggregating.frames import Frame, frame, ranged
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.nested import has_map

_NEED_ORDER = ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value")
# The one frame that may be written out with a ranking function, which changes nothing.
_OWN_FRAMES = {
    "cume_dist": "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    **dict.fromkeys(
        ("row_number", "rank", "dense_rank", "percent_rank", "ntile"),
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    ),
}


def read_window(e: Expressions, node: exp.Window, call: Call) -> None:
    """Read the window of a call: its partitions, order and frame."""
    spec = _definition(e, node)
    for part in (*(spec.args.get("partition_by") or []), spec.args.get("order")):
        if part is not None and has_window(part):
            e.refuse(part, "a window function inside of a window", "use a subquery")
    parts = []
    keys = e.exprs(spec.args.get("partition_by") or [])
    for key in keys:
        if has_map(key.kind):
            e.wrong(spec, f"PARTITION BY a {kinds.in_spark(key.kind)}; maps cannot be compared.")
    if keys:
        parts.append(f"PARTITION BY {', '.join(kept_apart(key, key.sql) for key in keys)}")
    items = spec.args["order"].expressions if spec.args.get("order") else []
    if not items and call.name in _NEED_ORDER:
        e.wrong(node, f"{call.name} without ORDER BY in its window. Order the window.")
    order = order_items(e, items)
    written = spec.args.get("spec")
    framed = []
    call.is_ordered = bool(order)
    if written is not None:
        found = frame(e, written, [value for value, _ in order])
        if found.is_by_value:
            value = order[0][0]
            ranked = e.cast(value, ranged(value.kind))
            order = [(value, ordered(items[0], kept_apart(ranked, ranked.sql)))]
        call.is_empty = found.is_empty
        framed = _framed(e, written, call, found)
    call.keys = ", ".join(key for _, key in order)
    call.over = " ".join([*parts, *([f"ORDER BY {call.keys}"] if order else []), *framed])


def _framed(e: Expressions, node: exp.Expr, call: Call, found: Frame) -> list[str]:
    """The frame's text; none for functions that look at no frame."""
    if call.name in _OWN_FRAMES or call.name in ("lag", "lead"):
        if _OWN_FRAMES.get(call.name) != found.sql:
            e.wrong(node, f"{call.name} with a frame. Leave the frame out.")
        return []
    if not call.is_ordered and not found.is_whole:
        e.refuse(node, "a frame of rows without ORDER BY, whose order is not fixed", "order the window")
    return [found.sql]


def _definition(e: Expressions, node: exp.Window) -> exp.Window:
    """The window itself, or the one that it names."""
    if not node.alias:
        return node
    if node.args.get("partition_by") or node.args.get("order") or node.args.get("spec"):
        e.wrong(node, "a named window with additions; expected OVER name, or the window written out.")
    found = e.windows.get(node.alias.lower())
    if found is None or found.name != node.alias:
        e.wrong(node, f"no window {node.alias}.")
    return _definition(e, found) if found.alias else found


def _over(call: Call) -> str:
    return f" OVER ({call.over})"


@window_function(
    "row_number rank dense_rank",
    0,
    -1,
    "row_number(), rank(), dense_rank() → int",
    "SELECT row_number() OVER (ORDER BY a DESC) AS n FROM VALUES (1), (2) AS t(a)",
    note="With ORDER BY. Rows that are equal in it get their numbers in any order: make it unique.",
)
def _ranking(e: Expressions, call: Call) -> Typed:
    _check_ignored(e, call)
    return Typed(f"CAST({call.name}(){_over(call)} AS INTEGER)", kinds.INT)


def _check_ignored(e: Expressions, call: Call) -> None:
    """Spark takes arguments of the rank functions, and does nothing with them."""
    e.exprs(call.nodes)
    if call.nodes and call.name in ("row_number", "cume_dist"):
        e.wrong(call.node, f"{call.name} with {len(call.nodes)} arguments; expected none.")


@window_function(
    "percent_rank cume_dist",
    0,
    -1,
    "percent_rank(), cume_dist() → double",
    "SELECT cume_dist() OVER (ORDER BY a) AS d FROM VALUES (1), (2) AS t(a)",
)
def _relative(e: Expressions, call: Call) -> Typed:
    _check_ignored(e, call)
    return Typed(f"{call.name}(){_over(call)}", kinds.DOUBLE)


@window_function(
    "ntile",
    0,
    1,
    "ntile(n) → int",
    "SELECT ntile(2) OVER (ORDER BY a) AS n FROM VALUES (1), (2) AS t(a)",
    note="n is a whole number.",
)
def _ntile(e: Expressions, call: Call) -> Typed:
    count = _whole(e, call, 0, (kinds.INT,)) if call.nodes else 1
    if count < 1:
        e.wrong(call.nodes[0], f"ntile({count}); expected a positive number.")
    return Typed(f"CAST(ntile({count}){_over(call)} AS INTEGER)", kinds.INT)


def _whole(e: Expressions, call: Call, position: int, types: tuple[object, ...]) -> int:
    """An argument that is a constant whole number of one of these types."""
    node = call.nodes[position]
    value = constant(node)
    if value is None or e.expr(node).kind not in types:
        if value is None and not node.find(exp.Column, exp.Null):
            e.refuse(node, f"{call.name} by something that is not a whole number", "write the number")
        e.wrong(node, f"{call.name} by something that is not a whole number (int).")
    return int(value)


@window_function(
    "lag lead",
    1,
    3,
    "lag(a [, n [, default]]) [IGNORE NULLS], lead(a [, n [, default]]) [IGNORE NULLS]",
    "SELECT lag(a, 1, 0) OVER (ORDER BY a) AS b FROM VALUES (1), (2) AS t(a)",
    note="n is a whole number.",
)
def _offset(e: Expressions, call: Call) -> Typed:
    value = e.expr(call.nodes[0])
    rows = _whole(e, call, 1, (kinds.INT,)) if len(call.nodes) > 1 else 1
    default = "NULL"
    if len(call.nodes) > 2:
        default = e.coerce(call.nodes[2], e.expr(call.nodes[2]), value.kind, f"the default of {call.name}").sql
    if rows == 0:
        return value
    ignoring = " IGNORE NULLS" if call.nulls == "IGNORE" else ""
    return Typed(f"{call.name}({value.sql}, {rows}, {default}{ignoring}){_over(call)}", value.kind)


@window_function(
    "nth_value",
    2,
    3,
    "nth_value(a, n) [IGNORE NULLS]",
    "SELECT nth_value(a, 2) OVER (ORDER BY a) AS b FROM VALUES (1), (2) AS t(a)",
    note="n is a whole number from 1.",
)
def _nth(e: Expressions, call: Call) -> Typed:
    value = e.expr(call.nodes[0])
    if call.nodes[1].find(exp.Column, exp.Null):
        e.wrong(call.nodes[1], "nth_value of a row that is NULL or depends on the row; expected a whole number.")
    number = constant(call.nodes[1])
    if number is None:
        e.refuse(call.nodes[1], "nth_value of a row that is not a number", "write the number")
    row = int(number)
    if row < 1:
        e.wrong(call.nodes[1], f"nth_value of row {row}; expected 1 or more.")
    if len(call.nodes) > 2 and not isinstance(call.nodes[2], exp.Boolean):
        e.wrong(call.nodes[2], "the third argument of nth_value is true or false.")
    ignores = call.nulls == "IGNORE" or (len(call.nodes) > 2 and bool(call.nodes[2].this))
    if call.is_empty:
        return Typed(f"CAST(NULL AS {kinds.in_duckdb(value.kind)})", value.kind)
    return Typed(f"nth_value({value.sql}, {row}{' IGNORE NULLS' * ignores}){_over(call)}", value.kind)
