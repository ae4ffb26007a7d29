"""Structs: how they are built, and what a name behind a dot means."""

from dataclasses import replace
from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.lambdas import each, typed

_structs = partial(function, group="Structs")


@_structs("named_struct", 0, -1, "named_struct('a', x, 'b', y, …)", "SELECT named_struct('a', 1) AS s")
def _named_struct(e: Expressions, node: exp.Anonymous) -> Typed:
    if len(node.expressions) % 2:
        e.wrong(node, f"named_struct with {len(node.expressions)} arguments; expected names and values in turn.")
    names = []
    for part in node.expressions[::2]:
        name = e.expr(part)
        if name.kind != kinds.STRING:
            e.wrong(part, f"a field's name is {kinds.in_spark(name.kind)}; expected text.")
        if not isinstance(name.literal, str):
            e.refuse(part, "named_struct with a name that is not a literal")
        names.append(name.literal)
    return struct_of(e, node, names, e.exprs(node.expressions[1::2]))


@_structs(
    "struct",
    0,
    -1,
    "struct(x AS a, t.b, …), struct(*)",
    "SELECT struct(1 AS a, 'x' AS b) AS s",
    note="A column keeps its name; anything else without one is col1, col2, … by its position.",
)
def _struct(e: Expressions, node: exp.Anonymous) -> Typed:
    return _row(e, node)


@construct(
    exp.Tuple,
    parts="expressions",
    group="Structs",
    signature="(a, b)",
    note="The same as struct(a, b).",
    example="SELECT (1, 'x') AS s, (1, 2) IN ((1, 2), (3, 4)) AS b",
)
def _row(e: Expressions, node: exp.Expr) -> Typed:
    names, values = [], []
    for position, part in enumerate(node.expressions, 1):
        inner = part.unalias()
        values.append(e.expr(inner))
        names.append(part.alias if isinstance(part, exp.Alias) else own_name(inner) or f"col{position}")
    return struct_of(e, node, names, values)


def own_name(node: exp.Expr) -> str | None:
    """The name that an expression has by itself: a column's, a variable's, a field's."""
    node = node.unnest()
    if isinstance(node, exp.Column | exp.Identifier):
        return node.name
    if isinstance(node, exp.Dot):
        return node.expression.name
    if isinstance(node, exp.Bracket) and len(node.expressions) == 1:
        key = node.expressions[0]
        return key.this if isinstance(key, exp.Literal) and key.is_string else None
    return None


def struct_of(e: Expressions, node: exp.Expr, names: list[str], values: list[Typed]) -> Typed:
    if not names:
        e.refuse(node, "a struct without fields")
    if len({name.lower() for name in names}) != len(names) or "" in names:
        e.refuse(node, "a struct whose fields have the same name or none", "name each field differently")
    parts = ", ".join(f"{kinds.text_literal(name)}: {typed(value)}" for name, value in zip(names, values, strict=True))
    kind = pa.struct([(name, value.kind) for name, value in zip(names, values, strict=True)])
    return Typed(f"{{{parts}}}", kind, is_window=any(value.is_window for value in values))


def field(e: Expressions, node: exp.Expr, value: Typed, name: str) -> Typed:
    """What `.name` is: a struct's field (without regard to case), that of each struct in an array, or a map's value."""
    if kinds.is_map(value.kind):
        from thresher.sql.nesting.maps import looked_up

        return looked_up(e, node, value, Typed(kinds.text_literal(name), kinds.STRING, literal=name))
    if kinds.is_array(value.kind) and kinds.is_struct(value.kind.value_type):
        element = value.kind.value_type
        part = _part(e, node, element, name)
        sql = each(e, value.sql, element, lambda x: _extracted(x.sql, part))
        return replace(value, sql=sql, kind=kinds.array_of(part.type), name=name, literal=None)
    if not kinds.is_struct(value.kind):
        e.wrong(node, f"field {name} of {kinds.in_spark(value.kind)}; expected a struct.")
    part = _part(e, node, value.kind, name)
    return Typed(_extracted(value.sql, part), part.type, name, is_window=value.is_window)


def _extracted(sql: str, part: pa.Field) -> str:
    return f"struct_extract({sql}, {kinds.text_literal(part.name)})"


def _part(e: Expressions, node: exp.Expr, kind: pa.DataType, name: str) -> pa.Field:
    hits = [part for part in kind if part.name.lower() == name.lower()]
    if len(hits) != 1:
        fields = ", ".join(part.name for part in kind)
        e.wrong(node, f"{'no' if not hits else 'more than one'} field {name}; the struct has {fields}.")
    return hits[0]
