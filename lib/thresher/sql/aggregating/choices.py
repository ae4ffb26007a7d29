"""Aggregates that choose a value among the rows: first, last, max_by, min_by, mode."""

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import Call, aggregate, order_items
from thresher.sql.aggregating.row_order import agreed
from thresher.sql.allowed import MACROS
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.nested import sort_key

MACROS.update(
    {
        # Two outermost pairs {k: key, v: value}, none the same: the first value, unless the second has the same key.
        "spark_undoubted(pairs, name)": (
            "CASE WHEN len(pairs) = 2 AND pairs[1].k IS NOT DISTINCT FROM pairs[2].k "
            "THEN error('not proven equal to Spark: ' || name || ' where several rows have the outermost value: "
            "their order is not fixed. Make the second argument unique, such as struct(day, id)') ELSE pairs[1].v END"
        ),
        "spark_several_by(pairs, n, name)": (
            "CASE WHEN len(list_filter(range(1, least(n, len(pairs) - 1) + 1), "
            "lambda i: pairs[i].k IS NOT DISTINCT FROM pairs[i + 1].k AND pairs[i].v IS DISTINCT FROM pairs[i + 1].v)) "
            "> 0 THEN error('not proven equal to Spark: ' || name || ' where several rows have the same value: "
            "their order is not fixed. Make the second argument unique, such as struct(day, id)') "
            "ELSE list_transform(pairs[1:n], lambda p: p['v']) END"
        ),
        # The values that occur most often, of a map of values and how often they do.
        "spark_most_frequent(counts)": (
            "list_transform(list_filter(map_entries(counts), lambda m: m['value'] = list_max(map_values(counts))), "
            "lambda m: m['key'])"
        ),
        "spark_only(found)": (
            "CASE WHEN len(found) > 1 THEN error('not proven equal to Spark: mode where several values are the most "
            "frequent: write mode() WITHIN GROUP (ORDER BY …)') ELSE found[1] END"
        ),
    }
)


@aggregate(
    "first first_value last last_value any_value",
    1,
    2,
    "first(a), last(a), any_value(a) [IGNORE NULLS]; over a window also first_value(a), last_value(a)",
    "SELECT last_value(a) OVER (ORDER BY a ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS b FROM VALUES (1), (2) AS t(a)",
    note="Without an ordered window: only where all rows have the same value, since rows have no order; "
    "otherwise an error. first(a, true) is IGNORE NULLS.",
)
def _end(e: Expressions, call: Call) -> Typed:
    value = e.expr(call.nodes[0])
    ignores = call.nulls == "IGNORE"
    if len(call.nodes) > 1:
        if not isinstance(call.nodes[1], exp.Boolean):
            e.wrong(call.nodes[1], f"{call.name} with a second argument that is not true or false.")
        ignores = ignores or bool(call.nodes[1].this)
    if call.is_empty:
        return Typed(f"CAST(NULL AS {kinds.in_duckdb(value.kind)})", value.kind)
    if value.kind == kinds.VOID:
        return Typed(call.run("min", value.sql), value.kind)
    if call.is_ordered:
        word = "last_value" if call.name.startswith("last") else "first_value"
        if call.condition is None:
            return Typed(f"{word}({value.sql}{' IGNORE NULLS' * ignores}) OVER ({call.over})", value.kind)
        condition = f"({call.condition}) AND {value.sql} IS NOT NULL" if ignores else call.condition
        held = f"CASE WHEN {condition} THEN {{'v': {value.sql}}} END"
        return Typed(f"struct_extract({word}({held} IGNORE NULLS) OVER ({call.over}), 'v')", value.kind)
    low = call.run("min", value.sql, distinct=False)
    remedy = "use min, max, max_by or row_number() with an ORDER BY"
    return Typed(agreed(call, value, low, with_nulls=not ignores, remedy=remedy), value.kind)


@aggregate(
    "max_by min_by",
    2,
    3,
    "max_by(a, b), min_by(a, b), max_by(a, b, n) → array",
    "SELECT max_by(a, b) AS c FROM VALUES ('x', 1), ('y', 2) AS t(a, b)",
    note="Where rows with the same b have different a: the last of them over an ordered window, else an error.",
)
def _by(e: Expressions, call: Call) -> Typed:
    value, by = e.expr(call.nodes[0]), e.expr(call.nodes[1])
    key = sort_key(e, call.node, by, call.name)
    if len(call.nodes) > 2:
        return _several_by(e, call, value, by, key)
    is_max = call.name == "max_by"
    if call.is_ordered and not call.is_empty:
        key = f"CASE WHEN {call.condition} THEN {key} END" if call.condition else key
        last = f"last({value.sql} ORDER BY {key} {'ASC' if is_max else 'DESC'} NULLS FIRST, {call.keys})"
        known = call.run("count", by.sql)
        return Typed(f"CASE WHEN {known} > 0 THEN {last} OVER ({call.over}) END", value.kind)
    # The two outermost of the different pairs: where they have the same key, two values are equally good.
    two = call.run(
        call.name[:3], f"{{'k': {key}, 'v': {value.sql}}}", "2", where=f"{by.sql} IS NOT NULL", distinct=True
    )
    return Typed(f"spark_undoubted({two}, {kinds.text_literal(call.name)})", value.kind)


def _several_by(e: Expressions, call: Call, value: Typed, by: Typed, key: str) -> Typed:
    count = e.expr(call.nodes[2]).literal
    if call.nodes[2].find(exp.Column):
        e.wrong(call.nodes[2], f"{call.name} of a number of rows that depends on the row.")
    if not isinstance(count, int):
        e.refuse(call.node, f"{call.name} of a number of rows that is not a whole number")
    if not 1 <= count <= 100000:
        e.wrong(call.nodes[2], f"{call.name} of {count} rows; expected 1 to 100000.")
    if call.over is not None:
        e.refuse(call.node, f"{call.name} of several rows over a window", "use row_number()")
    pair = f"{{'k': {key}, 'v': {value.sql}}}"
    direction = "DESC" if call.name == "max_by" else "ASC"
    pairs = call.run("list", pair, where=f"{by.sql} IS NOT NULL", order=f"{pair} {direction}")
    return Typed(f"spark_several_by({pairs}, {count}, {kinds.text_literal(call.name)})", kinds.array_of(value.kind))


@aggregate(
    "mode",
    0,
    2,
    "mode(a), mode(a, true), mode() WITHIN GROUP (ORDER BY a)",
    "SELECT mode(a) AS m FROM VALUES (1), (2), (2) AS t(a)",
    note="Where several values are the most frequent: the smallest with mode(a, true), by the order with WITHIN GROUP, "
    "else an error.",
)
def _mode(e: Expressions, call: Call) -> Typed:
    if bool(call.order) == bool(call.nodes):
        e.wrong(call.whole, "expected mode(a) or mode() WITHIN GROUP (ORDER BY a).")
    choice = "list_min"
    if call.order:
        if len(call.order) != 1:
            e.wrong(call.whole, f"mode() WITHIN GROUP by {len(call.order)} keys; expected one.")
        value = order_items(e, call.order)[0][0]
        choice = "list_max" if call.order[0].args.get("desc") else choice
    else:
        value = e.expr(call.nodes[0])
        if len(call.nodes) == 1 or not call.nodes[1].this:
            choice = "spark_only"
        if len(call.nodes) > 1 and not isinstance(call.nodes[1], exp.Boolean):
            e.wrong(call.nodes[1], "the second argument of mode is true or false.")
    if not kinds.is_atomic(value.kind):
        e.refuse(call.node, f"mode of a {kinds.in_spark(value.kind)}", "use the mode of its parts")
    if value.kind == kinds.VOID:
        return Typed(call.run("min", value.sql), kinds.VOID)
    counts = call.run("histogram", value.sql, where=f"{value.sql} IS NOT NULL")
    return Typed(f"{choice}(spark_most_frequent({counts}))", value.kind)
