"""Aggregates that put the values of many rows into one array or text."""

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import Call, aggregate, order_items
from thresher.sql.aggregating.row_order import agreed, is_order_free
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.lambdas import each
from thresher.sql.nesting.nested import has_map


@aggregate(
    "collect_list array_agg collect_set",
    1,
    1,
    "collect_list(a), array_agg(a), collect_set(a)",
    "SELECT sort_array(collect_list(a)) AS b FROM VALUES (2), (1), (2) AS t(a)",
    note="Without NULLs. Rows have no order: below sort_array, size, array_contains, array_min and the like (and "
    "collect_list over an ordered window); elsewhere only where all values are the same, otherwise an error.",
)
def _list(e: Expressions, call: Call) -> Typed:
    value = e.expr(call.nodes[0])
    is_set = call.name == "collect_set"
    if is_set and has_map(value.kind):
        e.wrong(call.node, f"collect_set of a {kinds.in_spark(value.kind)}; maps cannot be compared.")
    if value.kind == kinds.VOID:
        e.refuse(call.node, f"{call.name} of NULLs without a type", "write cast(NULL AS type)")
    keeps_nulls = call.nulls == "RESPECT"
    if keeps_nulls and is_set:
        e.refuse(call.whole, "collect_set with RESPECT NULLS")
    where = None if keeps_nulls else f"{value.sql} IS NOT NULL"
    kind = kinds.array_of(value.kind)
    items = call.run("list", value.sql, where=where, distinct=is_set or call.is_distinct)
    result = f"coalesce({items}, CAST([] AS {kinds.in_duckdb(kind)}))"
    is_unordered = is_set or call.is_distinct or not call.is_ordered
    if is_unordered and not is_order_free(call):
        remedy = f"put sort_array(…) around {call.name}"
        result = agreed(call, value, result, with_nulls=keeps_nulls, remedy=remedy)
    return Typed(result, kind)


@aggregate(
    "listagg string_agg",
    1,
    2,
    "listagg([DISTINCT] a [, separator]) [WITHIN GROUP (ORDER BY …)], string_agg(…)",
    "SELECT listagg(a, ',') WITHIN GROUP (ORDER BY a) AS s FROM VALUES ('b'), ('a') AS t(a)",
    note="Without WITHIN GROUP or an ordered window only where all rows have the same value, otherwise an error.",
)
def _text(e: Expressions, call: Call) -> Typed:
    raw = e.expr(call.nodes[0])
    if raw.kind == kinds.BINARY:
        e.refuse(call.node, f"{call.name} of binary", "cast to string")
    if not kinds.is_atomic(raw.kind):
        e.wrong(call.nodes[0], f"{call.name} of a {kinds.in_spark(raw.kind)}; expected a string.")
    value = e.coerce(call.nodes[0], raw, kinds.STRING, call.name)
    separator = _separator(e, call)
    if not call.order:
        result = call.run("string_agg", value.sql, separator)
        if call.is_distinct or not call.is_ordered:
            remedy = f"write {call.name}(…) WITHIN GROUP (ORDER BY …)"
            result = agreed(call, value, result, with_nulls=False, remedy=remedy)
        return Typed(result, kinds.STRING)
    items = order_items(e, call.order)
    if call.is_ordered:
        e.wrong(call.whole, f"{call.name} WITHIN GROUP over a window with ORDER BY; expected PARTITION BY alone.")
    if call.is_distinct:
        if len(items) != 1 or items[0][0].sql != raw.sql:
            e.wrong(call.whole, f"{call.name}(DISTINCT a) WITHIN GROUP by something else than a.")
        if raw.kind != kinds.STRING:
            listed = call.run("list", raw.sql, where=f"{raw.sql} IS NOT NULL", order=items[0][1])
            texts = each(e, listed, raw.kind, lambda item: e.cast(item, kinds.STRING).sql)
            return Typed(f"array_to_string({texts}, {separator})", kinds.STRING)
    order = ", ".join(key for _, key in items)
    return Typed(call.run("string_agg", value.sql, separator, order=order), kinds.STRING)


def _separator(e: Expressions, call: Call) -> str:
    if len(call.nodes) == 1:
        return "''"
    node = call.nodes[1]
    if node.find(exp.Column):
        e.wrong(node, f"the separator of {call.name} depends on the row; expected a constant.")
    value = e.coerce(node, e.expr(node), kinds.STRING, f"the separator of {call.name}")
    return f"coalesce({value.sql}, '')"
