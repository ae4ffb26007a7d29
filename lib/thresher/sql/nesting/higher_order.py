"""Functions over arrays that take lambdas."""

from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.array_sets import sorted_up
from thresher.sql.nesting.arrays import array
from thresher.sql.nesting.lambdas import body, count, each, fold, let, typed, unless_null, variable
from thresher.sql.nesting.nested import has_map, renamed, same_shape

_lambdas = partial(function, group="Lambdas")


def condition(e: Expressions, node: exp.Expr, arguments: list[Typed], what: str) -> Typed:
    """A lambda that decides."""
    value = body(e, node, arguments, what)
    if value.kind not in (kinds.BOOL, kinds.VOID):
        e.wrong(node, f"the lambda of {what} gives {kinds.in_spark(value.kind)}; expected a boolean.")
    return e.cast(value, kinds.BOOL)


def _over(e: Expressions, node: exp.Expr, value: Typed) -> tuple[str, list[Typed]]:
    """The variables of a lambda over an array for DuckDB, and what they are in Spark: the index counts from 0."""
    one = variable(e, value.kind.value_type)
    if count(node) < 2:
        return one.sql, [one]
    place = variable(e, kinds.BIGINT)
    return f"{one.sql}, {place.sql}", [one, Typed(f"CAST({place.sql} - 1 AS INTEGER)", kinds.INT)]


@_lambdas(
    "transform",
    2,
    2,
    "transform(a, x -> …), transform(a, (x, index) -> …)",
    "SELECT transform(array(1, 2), x -> x + 1) AS a",
    note="The index counts from 0.",
)
def _transform(e: Expressions, node: exp.Anonymous) -> Typed:
    value = array(e, node.expressions[0], "transform")
    names, arguments = _over(e, node.expressions[1], value)
    made = body(e, node.expressions[1], arguments, "transform")
    sql = f"list_transform({value.sql}, lambda {names}: {typed(made)})"
    return Typed(sql, kinds.array_of(made.kind), is_window=value.is_window)


@_lambdas(
    "filter",
    2,
    2,
    "filter(a, x -> …), filter(a, (x, index) -> …)",
    "SELECT filter(array(1, 2), x -> x > 1) AS a",
)
def _filter(e: Expressions, node: exp.Anonymous) -> Typed:
    value = array(e, node.expressions[0], "filter")
    names, arguments = _over(e, node.expressions[1], value)
    kept = condition(e, node.expressions[1], arguments, "filter")
    return Typed(f"list_filter({value.sql}, lambda {names}: {kept.sql})", value.kind, is_window=value.is_window)


@_lambdas(
    "exists forall",
    2,
    2,
    "exists(a, x -> …), forall(a, x -> …)",
    "SELECT exists(array(1, 2), x -> x > 1) AS b",
    note="NULL where only an element for which the lambda gives NULL could decide.",
)
def _quantified(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    value = array(e, node.expressions[0], name)
    is_any = name == "exists"

    def merged(so_far: Typed, x: Typed) -> str:
        one = condition(e, node.expressions[1], [x], name).sql
        decided = so_far.sql if is_any else f"NOT {so_far.sql}"
        return f"CASE WHEN {decided} THEN {so_far.sql} ELSE {so_far.sql} {'OR' if is_any else 'AND'} {one} END"

    start = Typed("false" if is_any else "true", kinds.BOOL)
    return Typed(fold(e, value, start, merged, lambda result: result.sql), kinds.BOOL)


@_lambdas(
    "aggregate reduce",
    3,
    4,
    "aggregate(a, start, (result, x) -> … [, result -> …]), reduce(…)",
    "SELECT aggregate(array(1, 2), 0, (s, x) -> s + x) AS s",
    note="The lambda gives a value of the start's type: cast it, or the start.",
)
def _aggregate(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    value, start = array(e, node.expressions[0], name), e.expr(node.expressions[1])
    kind = start.kind

    def merged(so_far: Typed, x: Typed) -> str:
        made = body(e, node.expressions[2], [so_far, x], name)
        if not same_shape(made.kind, start.kind):
            found = f"{kinds.in_spark(made.kind)} from a start of {kinds.in_spark(start.kind)}"
            e.wrong(node, f"the lambda of {name} gives {found}; expected one type: cast one of them.")
        return renamed(e, made, start.kind).sql

    def finished(result: Typed) -> str:
        nonlocal kind
        if len(node.expressions) < 4:
            return result.sql
        made = body(e, node.expressions[3], [result], name)
        kind = made.kind
        return typed(made)

    sql = fold(e, value, start, merged, finished)
    return Typed(sql, kind, is_window=value.is_window or start.is_window)


@_lambdas(
    "zip_with",
    3,
    3,
    "zip_with(a, b, (x, y) -> …)",
    "SELECT zip_with(array(1, 2), array(3), (x, y) -> x + y) AS a",
    note="The shorter array is filled up with NULLs.",
)
def _zip_with(e: Expressions, node: exp.Anonymous) -> Typed:
    values = [array(e, part, "zip_with") for part in node.expressions[:2]]
    pair = variable(e, kinds.VOID).sql
    arguments = [Typed(f"{pair}[{n}]", value.kind.value_type) for n, value in enumerate(values, 1)]
    made = body(e, node.expressions[2], arguments, "zip_with")
    sql = unless_null(e, values, lambda a, b: f"list_transform(list_zip({a}, {b}), lambda {pair}: {typed(made)})")
    return Typed(sql, kinds.array_of(made.kind))


@_lambdas(
    "array_sort",
    1,
    2,
    "array_sort(a [, (x, y) -> …])",
    "SELECT array_sort(array(1, 3, 2), (x, y) -> y - x) AS a",
    note="NULLs last. A lambda gives an int: negative, 0 or positive for smaller, equal or greater; where it "
    "contradicts itself, the step stops.",
)
def _array_sort(e: Expressions, node: exp.Anonymous) -> Typed:
    value = array(e, node.expressions[0], "array_sort")
    if len(node.expressions) == 1:
        if has_map(value.kind):
            e.wrong(node, f"array_sort of {kinds.in_spark(value.kind)}; maps cannot be compared.")
        return Typed(sorted_up(e, value), value.kind)

    def compared(x: Typed, y: Typed) -> str:
        sign = body(e, node.expressions[1], [x, y], "array_sort")
        if sign.kind != kinds.INT:
            e.wrong(node, f"the lambda of array_sort gives {kinds.in_spark(sign.kind)}; expected int.")
        return f"({sign.sql})"

    element = value.kind.value_type

    def inserted(so_far: Typed, x: Typed) -> str:
        before = each(e, so_far.sql, element, lambda y: f"coalesce({compared(y, x)}, 0) <= 0", "filter")
        after = each(e, so_far.sql, element, lambda y: f"coalesce({compared(y, x)}, 0) > 0", "filter")
        return f"list_concat({before}, [{x.sql}], {after})"

    def checked(result: Typed) -> str:
        def at(n: Typed) -> Typed:
            return Typed(f"list_extract({result.sql}, {n.sql})", element)

        def pairs(make: str) -> str:
            """For each place i the places j where the condition holds."""
            places = f"range(1, len({result.sql}) + 1)"

            def others(i: Typed) -> str:
                def holds(j: Typed) -> str:
                    one, other = compared(at(i), at(j)), compared(at(j), at(i))
                    return make.format(i=i.sql, j=j.sql, one=one, other=other)

                return f"len({each(e, places, kinds.BIGINT, holds, 'filter')})"

            return each(e, places, kinds.BIGINT, others)

        hopeless = pairs("{i} = {j} OR ({one} IS NULL AND {other} IS NULL)")
        wrong = pairs("{i} < {j} AND NOT coalesce({one} <= 0 AND sign({one}) = -sign({other}), false)")
        size = f"len({result.sql})"
        return (
            f"CASE WHEN {size} < 2 THEN {result.sql} WHEN list_contains({hopeless}, {size}) "
            f"THEN error('the lambda of array_sort gave NULL') WHEN list_max({wrong}) > 0 "
            f"THEN error('not proven equal to Spark: array_sort with a lambda that contradicts itself') "
            f"ELSE {result.sql} END"
        )

    start = Typed(f"CAST([] AS {kinds.in_duckdb(value.kind)})", value.kind)
    folded = Typed(fold(e, value, start, inserted, lambda result: result.sql), value.kind)
    return Typed(let(e, [folded], lambda result: checked(Typed(result, value.kind))), value.kind)
