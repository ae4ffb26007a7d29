"""Lambdas: `x -> x + 1` for DuckDB, and values that get a name because the text needs them several times."""

import re
from collections.abc import Callable, Sequence

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.variables import FRESH


@construct(
    exp.Lambda,
    parts="this expressions colon",
    group="Lambdas",
    signature="x -> …, (x, y) -> …",
    note="As an argument of the functions below. A variable hides a column of its name; no subqueries or aggregates.",
    example="SELECT transform(array(1, 2), (x, i) -> x * 10 + i) AS a",
)
def _stray(e: Expressions, node: exp.Lambda) -> Typed:
    e.wrong(node, "a lambda (->) where none is expected.")


@construct(exp.Identifier, parts="this quoted")
def _variable(e: Expressions, node: exp.Identifier) -> Typed:
    """A lambda's variable: the parser tells it from a column."""
    return e.resolve(node, [node.name])


def body(e: Expressions, node: exp.Expr, arguments: Sequence[Typed], what: str) -> Typed:
    """What a lambda gives for these arguments; an expression that is no lambda stands for its value."""
    if not isinstance(node, exp.Lambda):
        return e.expr(node)
    names = [parameter.name.lower() for parameter in node.expressions]
    if len(names) != len(arguments):
        e.wrong(node, f"a lambda with {len(names)} variables for {what}; expected {len(arguments)}.")
    if len(set(names)) != len(names):
        e.wrong(node, f"a lambda with two variables of one name: {', '.join(names)}.")
    _check(e, node)
    e.variables.append(dict(zip(names, arguments, strict=True)))
    try:
        return e.expr(node.this)
    finally:
        e.variables.pop()


def count(node: exp.Expr) -> int:
    """How many variables a lambda has."""
    return len(node.expressions) if isinstance(node, exp.Lambda) else 1


def _check(e: Expressions, node: exp.Lambda) -> None:
    from thresher.sql.aggregating.aggregates import is_aggregate

    for inner in node.this.walk():
        if isinstance(inner, exp.Query | exp.Subquery):
            e.wrong(inner, "a subquery inside a lambda.")
        if is_aggregate(inner):
            e.refuse(inner, "an aggregate or window function inside a lambda", "compute it in a subquery")
    end = node.expressions[0].meta.get("end")
    if len(node.expressions) == 1 and (end is None or not e.source.text[end + 1 :].lstrip("` \n\t").startswith("->")):
        e.wrong(node, "a lambda's only variable stands without parentheses: x -> ….")


def variable(e: Expressions, kind: pa.DataType) -> Typed:
    """A name that no other lambda of the query has."""
    return Typed(_fresh(e), kind)


def _fresh(e: Expressions) -> str:
    return f"{FRESH}{next(e.lambdas)}"


def each(e: Expressions, array: str, kind: pa.DataType, make: Callable[[Typed], str], word: str = "transform") -> str:
    """list_transform (or list_filter) over an array's text, whose elements have this type."""
    one = variable(e, kind)
    return f"list_{word}({array}, lambda {one.sql}: {make(one)})"


def let(e: Expressions, values: Sequence[Typed], make: Callable[..., str]) -> str:
    """A text that needs its values several times: what is more than a column or literal is computed once."""
    long = [value for value in values if not re.fullmatch(r"[\w.\"']+|CAST\('[\w.-]*' AS \w+\)", value.sql)]
    if not long:
        return make(*[value.sql for value in values])
    whole = _fresh(e)
    names = {id(value): f"struct_extract({whole}, 'v{n}')" for n, value in enumerate(long)}
    fields = ", ".join(f"'v{n}': {typed(value)}" for n, value in enumerate(long))
    text = make(*[names.get(id(value), value.sql) for value in values])
    return f"list_extract(list_transform([{{{fields}}}], lambda {whole}: {text}), 1)"


def unless_null(e: Expressions, values: Sequence[Typed], make: Callable[..., str]) -> str:
    """The text where none of the values is NULL, else NULL."""

    def guarded(*names: str) -> str:
        missing = " OR ".join(f"{name} IS NULL" for name in names)
        return f"CASE WHEN {missing} THEN NULL ELSE {make(*names)} END"

    return let(e, values, guarded)


def fold(
    e: Expressions, array: Typed, start: Typed, merge: Callable[[Typed, Typed], str], finish: Callable[[Typed], str]
) -> str:
    """The elements merged one by one into a value, and what is made of it in the end; NULL for no array.

    DuckDB's list_reduce wants values and elements of one type, hence structs of both. The start is the first element of
    the list: where it is list_reduce's third argument, the lambda gets the columns of other rows (seen in 1.5.6).
    """
    element = array.kind.value_type
    blank = f"CAST(NULL AS {kinds.in_duckdb(element)})"
    empty = f"CAST(NULL AS {kinds.in_duckdb(start.kind)})"
    state, pair, end = (_fresh(e) for _ in range(3))
    merged = merge(Typed(f"struct_extract({state}, 'r')", start.kind), Typed(f"struct_extract({pair}, 'x')", element))
    first = f"[{{'r': {typed(start)}, 'x': {blank}}}]"

    def folded(name: str) -> str:
        pairs = each(e, name, element, lambda x: f"{{'r': {empty}, 'x': {x.sql}}}")
        all_ = f"list_reduce(list_concat({first}, {pairs}), lambda {state}, {pair}: {{'r': {merged}, 'x': {blank}}})"
        done = finish(Typed(f"struct_extract({end}, 'r')", start.kind))
        return f"CASE WHEN {name} IS NOT NULL THEN list_extract(list_transform([{all_}], lambda {end}: {done}), 1) END"

    return let(e, [array], folded)


def typed(value: Typed) -> str:
    """A bare NULL has no type of its own inside a struct."""
    return f"CAST({value.sql} AS {kinds.in_duckdb(value.kind)})" if value.sql == "NULL" else value.sql
