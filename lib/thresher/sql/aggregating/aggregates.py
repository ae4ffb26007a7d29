"""Calls of aggregates and window functions: what belongs to one, from DISTINCT to OVER, and its DuckDB text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import (
    AGGREGATES,
    ENTRIES,
    FUNCTIONS,
    REMEDIES,
    WINDOW_FUNCTIONS,
    Entry,
    Function,
    Rule,
    construct,
)
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.lambdas import each, let
from thresher.sql.nesting.nested import field, sort_key

# Aggregates that take WITHIN GROUP (ORDER BY …), and calls that take IGNORE NULLS.
_WITHIN_GROUP = ("listagg", "string_agg", "mode", "percentile_cont", "percentile_disc")
_NULLS = (
    *("first", "last", "any_value", "first_value", "last_value", "nth_value", "lag", "lead"),
    *("collect_list", "array_agg", "collect_set"),
)


def is_aggregate(node: exp.Expr) -> bool:
    """A call of an aggregate, or a window."""
    return isinstance(node, exp.Window) or (isinstance(node, exp.Anonymous) and node.name.lower() in AGGREGATES)


def has_aggregate(node: exp.Expr) -> bool:
    """Whether an expression aggregates rows: not by a window alone, and not in a subquery."""
    return any(is_aggregate(part) and not isinstance(part, exp.Window) for part in _parts(node))


def has_window(node: exp.Expr) -> bool:
    """Whether an expression holds a window function, other than in a subquery."""
    return any(isinstance(part, exp.Window) for part in node.walk(prune=_is_query) if not _is_query(part))


def _is_query(node: exp.Expr) -> bool:
    return isinstance(node, exp.Query | exp.Subquery)


def _parts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of an expression without subqueries, and without the calls of windows (but with their arguments)."""
    if _is_query(node):
        return
    yield node
    below: list[exp.Expr] = list(node.iter_expressions())
    if isinstance(node, exp.Window):
        below = [part for part in below if part is not node.this] + list(_call_of(node).iter_expressions())
    for part in below:
        yield from _parts(part)


def _call_of(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Window | exp.IgnoreNulls | exp.RespectNulls | exp.Filter | exp.WithinGroup):
        node = node.this
    return node


@dataclass
class Call:
    """One call as written, with what follows it: WITHIN GROUP (ORDER BY …), FILTER, IGNORE NULLS, OVER.

    `whole` is the outermost node. `over` is DuckDB's window; `is_ordered` says that its rows have an order, `is_empty`
    that its frames never hold one.
    """

    e: Expressions
    node: exp.Anonymous
    whole: exp.Expr
    nodes: list[exp.Expr]
    is_distinct: bool
    order: list[exp.Ordered]
    condition: str | None = None
    nulls: str | None = None
    over: str | None = None
    keys: str = ""
    is_ordered: bool = False
    is_empty: bool = False

    @property
    def name(self) -> str:
        return str(self.node.name.lower())

    def run(
        self,
        function: str,
        *arguments: str,
        where: str | None = None,
        distinct: bool | None = None,
        order: str = "",
    ) -> str:
        """DuckDB's aggregate `function` over the rows of this call, of those only where `where` holds."""
        from thresher.sql.conditions import may_raise

        is_distinct = self.is_distinct if distinct is None else distinct
        if self.condition and not is_distinct and self.over is None:  # Spark looks at the rows of FILTER alone
            arguments = tuple(
                f"CASE WHEN {self.condition} THEN {each} END" if may_raise(each) else each for each in arguments
            )
        inner = f"{'DISTINCT ' * is_distinct}{', '.join(arguments)}{f' ORDER BY {order}' if order else ''}"
        conditions = [part for part in (self.condition, where, "false" if self.is_empty else None) if part]
        tail = f" FILTER (WHERE {' AND '.join(f'({part})' for part in conditions)})" if conditions else ""
        return f"{function}({inner}){tail}{f' OVER ({self.over})' if self.over is not None else ''}"


def aggregate(
    names: str, least: int, most: int, signature: str, example: str, *, note: str = ""
) -> Callable[[Rule], Rule]:
    """Register the rule of an aggregate, which may stand over a window, too; `most` is -1 for any number."""

    def register(rule: Rule) -> Rule:
        for name in names.split():
            AGGREGATES[name] = Function(rule, least, most)
            FUNCTIONS[name] = Function(call, 0, -1)
        ENTRIES.append(Entry("Aggregates", signature, note, example))
        return rule

    return register


def window_function(
    names: str, least: int, most: int, signature: str, example: str, *, note: str = ""
) -> Callable[[Rule], Rule]:
    """Register the rule of a function that stands over a window only."""

    def register(rule: Rule) -> Rule:
        for name in names.split():
            WINDOW_FUNCTIONS[name] = Function(rule, least, most)
            FUNCTIONS.setdefault(name, Function(_without_window, 0, -1))
        ENTRIES.append(Entry("Windows", signature, note, example))
        return rule

    return register


def _without_window(e: Expressions, node: exp.Anonymous) -> Typed:
    e.wrong(node, f"{node.name} without a window; expected {node.name}(…) OVER (ORDER BY …).")


@construct(
    exp.Filter,
    parts="this expression",
    group="Aggregates",
    signature="aggregate(…) FILTER (WHERE condition)",
    example="SELECT sum(a) FILTER (WHERE a > 1) AS s FROM VALUES (1), (2) AS t(a)",
)
@construct(exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls, parts="this expression")
@construct(
    exp.Window,
    parts="this partition_by order spec over alias first",
    group="Windows",
    signature="aggregate(…) OVER ([PARTITION BY …] [ORDER BY …] [ROWS | RANGE BETWEEN … AND …]), OVER name",
    note="All aggregates, and the functions below. Frames by rows, and by values of a number, date or timestamp: "
    "RANGE BETWEEN 1 PRECEDING AND CURRENT ROW, RANGE INTERVAL 1 DAY PRECEDING.",
    example="SELECT sum(a) OVER (ORDER BY a) AS s FROM VALUES (1), (2) AS t(a)",
)
def call(e: Expressions, whole: exp.Expr) -> Typed:
    """An aggregate or window function with all that follows it."""
    from thresher.sql.aggregating.windows import read_window

    found = _read(e, whole)
    name = found.name
    functions = WINDOW_FUNCTIONS if isinstance(whole, exp.Window) and name in WINDOW_FUNCTIONS else AGGREGATES
    if name not in functions:
        if name not in FUNCTIONS:
            e.refuse(found.node, f"function {name}", REMEDIES.get(name, ""))
        e.wrong(whole, f"{name} is no aggregate or window function; expected one before FILTER, WITHIN GROUP or OVER.")
    rule = functions[name]
    _check_arguments(e, found, rule)
    if isinstance(whole, exp.Window):
        _check_window(e, found, functions is WINDOW_FUNCTIONS)
        read_window(e, whole, found)
    value = rule.rule(e, found)
    return replace(value, is_window=True) if isinstance(whole, exp.Window) else value


def _read(e: Expressions, whole: exp.Expr) -> Call:
    """The parts in the order in which Spark takes them."""
    nulls, condition, order, node = None, None, None, whole
    if isinstance(node, exp.Window):
        node = node.this
    if isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
        nulls, node = "IGNORE" if isinstance(node, exp.IgnoreNulls) else "RESPECT", node.this
    if isinstance(node, exp.Filter):
        condition, node = node.expression.this, node.this
    if isinstance(node, exp.WithinGroup):
        order, node = node.expression, node.this
    if not isinstance(node, exp.Anonymous):
        e.wrong(whole, "FILTER, WITHIN GROUP, IGNORE NULLS or OVER stands behind something that is no aggregate.")
    name = node.name.lower()
    if order is not None and name in AGGREGATES and name not in _WITHIN_GROUP:
        e.wrong(whole, f"{name} takes no WITHIN GROUP.")
    if nulls and name not in _NULLS and (name in AGGREGATES or name in WINDOW_FUNCTIONS):
        e.wrong(whole, f"{name} takes no IGNORE NULLS or RESPECT NULLS.")
    first = node.expressions[0] if node.expressions else None
    is_distinct = isinstance(first, exp.Distinct)
    nodes = list(first.expressions if isinstance(first, exp.Distinct) else node.expressions)
    found = Call(e, node, whole, nodes, is_distinct, list(order.expressions) if order is not None else [], nulls=nulls)
    if condition is not None:
        if has_aggregate(condition) or has_window(condition):
            e.wrong(condition, "FILTER holds an aggregate or window function; expected a condition on rows.")
        found.condition = e.condition(condition, "the condition of FILTER").sql
    return found


def _check_arguments(e: Expressions, found: Call, rule: Function) -> None:
    count = len(found.nodes)
    if count < rule.least or (rule.most >= 0 and count > rule.most):
        expected = rule.least if rule.least == rule.most else f"{rule.least} or more"
        e.wrong(found.node, f"{found.name} with {count} arguments; expected {expected}.")
    is_window = isinstance(found.whole, exp.Window)
    for argument in found.nodes:
        if isinstance(argument, exp.Order | exp.IgnoreNulls | exp.RespectNulls):
            e.wrong(argument, f"ORDER BY or NULLS inside {found.name}(…); expected it behind.")
        if isinstance(argument, exp.Star) and found.name != "count":
            e.refuse(argument, f"{found.name}(*)", "name the column")
        if has_window(argument):
            if not is_window:
                e.wrong(found.node, f"a window function inside {found.name}. Compute it in a subquery.")
            e.refuse(found.node, f"a window function inside {found.name}", "use a subquery")
        if has_aggregate(argument) and not is_window:
            e.wrong(found.node, f"an aggregate inside {found.name}. Compute the inner one in a subquery.")


def _sorts_a_query(node: exp.Expr) -> bool:
    parent = node.parent
    while parent is not None and not isinstance(parent, exp.Order | exp.Query | exp.Window):
        parent = parent.parent
    return isinstance(parent, exp.Order) and isinstance(parent.parent, exp.Query)


def _check_window(e: Expressions, found: Call, is_ranking: bool) -> None:
    if _sorts_a_query(found.whole):
        e.wrong(found.whole, "a window function in ORDER BY. Name it in the SELECT, and order by the name.")
    if found.is_distinct:
        e.wrong(found.whole, "DISTINCT over a window. Number the first row of each value in a subquery instead.")
    if is_ranking and found.condition is not None:
        e.wrong(found.whole, f"{found.name} takes no FILTER.")


def normalised(e: Expressions, value: Typed) -> str:
    """A value with 0.0 for -0.0, also inside of it, as Spark groups and counts floating numbers."""
    if value.kind in (kinds.FLOAT, kinds.DOUBLE):
        return f"CASE WHEN {value.sql} = 0 THEN CAST(0 AS {kinds.in_duckdb(value.kind)}) ELSE {value.sql} END"
    if not _has_floats(value.kind):
        return value.sql
    if kinds.is_array(value.kind):
        return each(e, value.sql, value.kind.value_type, lambda item: normalised(e, item))

    def fields(name: str) -> str:
        parts = [f"{kinds.text_literal(part.name)}: {normalised(e, field(name, part))}" for part in value.kind]
        return f"CASE WHEN {name} IS NOT NULL THEN {{{', '.join(parts)}}} END"

    return let(e, [value], fields)


def _has_floats(kind: pa.DataType) -> bool:
    if kinds.is_array(kind):
        return _has_floats(kind.value_type)
    if kinds.is_struct(kind):
        return any(_has_floats(part.type) for part in kind)
    return kind in (kinds.FLOAT, kinds.DOUBLE)


def ordered(item: exp.Ordered, sql: str) -> str:
    """One key of an ORDER BY with its nulls placed as Spark places them."""
    direction = "DESC" if item.args.get("desc") else "ASC"
    return f"{sql} {direction} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"


def order_items(e: Expressions, items: list[exp.Ordered]) -> list[tuple[Typed, str]]:
    """The keys of an ORDER BY: each value, and the key in DuckDB's words."""
    found = []
    for item in items:
        e.only(item, {"this", "desc", "nulls_first"})
        value = e.expr(item.this)
        key = sort_key(e, item, value, "ORDER BY")
        found.append((value, ordered(item, kept_apart(value, key) if key == value.sql else key)))
    return found


def kept_apart(value: Typed, key: str) -> str:
    """The key as something other than the column: DuckDB gives a column back as it sorted it, with 0.0 for -0.0."""
    if value.kind in (kinds.FLOAT, kinds.DOUBLE):
        return f"({key} + 0e0)"
    return f"[{key}]" if kinds.is_array(value.kind) or kinds.is_struct(value.kind) else key
