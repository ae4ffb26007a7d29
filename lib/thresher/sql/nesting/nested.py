"""Arrays and structs compared: Spark's order of them, and the types in which it does.

Element by element, field by field; NULL inside equals NULL and is smaller than anything else; the shorter array is
smaller where it is a prefix. DuckDB's own order differs in the NULLs alone.
"""

from collections.abc import Sequence

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.lambdas import each, let
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_NUMBERS = (*kinds.INTEGERS, kinds.FLOAT, kinds.DOUBLE)


def has_map(kind: pa.DataType) -> bool:
    """A map, or something that holds one: nothing that Spark compares."""
    if kinds.is_array(kind):
        return has_map(kind.value_type)
    return any(has_map(field.type) for field in kind) if kinds.is_struct(kind) else kinds.is_map(kind)


def is_result(kind: pa.DataType) -> bool:
    """May be a column of the result: not a nested type that holds a NULL without a type, no map with arrays as keys."""
    if kinds.is_array(kind):
        return kind.value_type != kinds.VOID and is_result(kind.value_type)
    if kinds.is_map(kind):
        parts = (kind.key_type, kind.item_type)
        return (
            not kinds.is_array(kind.key_type)
            and not set(parts) & {kinds.VOID, kinds.NO_KEY}
            and all(map(is_result, parts))
        )
    return not kinds.is_struct(kind) or all(part.type != kinds.VOID and is_result(part.type) for part in kind)


def is_nested(kind: pa.DataType) -> bool:
    return kinds.is_array(kind) or kinds.is_struct(kind) or kinds.is_map(kind)


def tightest(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The type in which array functions bring two types together: no text, no decimals of other digits."""
    if left == right or right in (kinds.VOID, kinds.NO_KEY):
        return left
    if left in (kinds.VOID, kinds.NO_KEY):
        return right
    instants = (kinds.DATE, TIMESTAMP_NTZ, TIMESTAMP)
    if left in instants and right in instants:
        return max(left, right, key=instants.index)
    if kinds.is_decimal(left) or kinds.is_decimal(right):
        return None
    if left in _NUMBERS and right in _NUMBERS:
        return max(left, right, key=_NUMBERS.index)
    if kinds.is_array(left) and kinds.is_array(right):
        element = tightest(left.value_type, right.value_type)
        return kinds.array_of(element) if element is not None else None
    if kinds.is_map(left) and kinds.is_map(right):
        key, value = tightest(left.key_type, right.key_type), tightest(left.item_type, right.item_type)
        return kinds.map_of(key, value) if key is not None and value is not None else None
    if (
        kinds.is_struct(left)
        and kinds.is_struct(right)
        and [f.name.lower() for f in left] == [f.name.lower() for f in right]
    ):
        parts = [tightest(a.type, b.type) for a, b in zip(left, right, strict=True)]
        return None if None in parts else pa.struct(list(zip([f.name for f in left], parts, strict=True)))
    return None


def same_shape(left: pa.DataType, right: pa.DataType) -> bool:
    """One type but for the names of fields."""
    if kinds.is_struct(left) and kinds.is_struct(right):
        return len(left) == len(right) and all(same_shape(a.type, b.type) for a, b in zip(left, right, strict=True))
    if kinds.is_array(left) and kinds.is_array(right):
        return same_shape(left.value_type, right.value_type)
    if kinds.is_map(left) and kinds.is_map(right):
        return same_shape(left.key_type, right.key_type) and same_shape(left.item_type, right.item_type)
    return bool(left == right)


def renamed(e: Expressions, value: Typed, kind: pa.DataType) -> Typed:
    """A value of the same shape with the names of this type."""
    if value.kind == kind:
        return value
    if kinds.is_array(kind):
        inner = kind.value_type
        made = each(e, value.sql, value.kind.value_type, lambda x: renamed(e, x, inner).sql)
        return Typed(made, kind)
    if not kinds.is_struct(kind):
        e.refuse(e.node, f"{kinds.in_spark(value.kind)} as {kinds.in_spark(kind)}", "name the fields alike")

    def fields(name: str) -> str:
        parts = [
            f"{kinds.text_literal(new.name)}: {renamed(e, field(name, old), new.type).sql}"
            for old, new in zip(value.kind, kind, strict=True)
        ]
        return f"CASE WHEN {name} IS NOT NULL THEN {{{', '.join(parts)}}} END"

    return Typed(let(e, [value], fields), kind)


def field(sql: str, part: pa.Field) -> Typed:
    return Typed(f"struct_extract({sql}, {kinds.text_literal(part.name)})", part.type)


def order_key(e: Expressions, value: Typed) -> str:
    """Something that DuckDB sorts and compares as Spark does the value; NULL for NULL."""
    if kinds.is_array(value.kind):
        return each(e, value.sql, value.kind.value_type, lambda x: f"{{{_marked(e, x, 0)}}}")
    if kinds.is_struct(value.kind):

        def fields(name: str) -> str:
            parts = [_marked(e, field(name, part), n) for n, part in enumerate(value.kind)]
            return f"CASE WHEN {name} IS NOT NULL THEN {{{', '.join(parts)}}} END"

        return let(e, [value], fields)
    return value.sql


def sort_key(e: Expressions, node: exp.Expr, value: Typed, what: str) -> str:
    """What ORDER BY, min and max sort by for a value of any type; an error for maps."""
    if has_map(value.kind):
        e.wrong(node, f"{what} over {kinds.in_spark(value.kind)}; maps cannot be compared.")
    return order_key(e, value)


def _marked(e: Expressions, value: Typed, number: int) -> str:
    """A part of a key with a mark before it that puts NULL first."""
    return f"'n{number}': {value.sql} IS NOT NULL, 'k{number}': {order_key(e, value)}"


def keys(e: Expressions, node: exp.Expr, values: Sequence[Typed], what: str) -> list[Typed]:
    """Order keys of values that a comparison may bring together, at least one of them an array, struct or map."""
    wider = kinds.common if what == "IN" else tightest
    kind = kinds.VOID
    for value in values:
        wide = kind if same_shape(kind, value.kind) else wider(kind, value.kind)
        if wide is None:
            e.wrong(node, f"{what} over {kinds.in_spark(kind)} and {kinds.in_spark(value.kind)}; expected one type.")
        kind = wide
    if has_map(kind):
        e.wrong(node, f"{what} over {kinds.in_spark(kind)}; maps cannot be compared.")
    inside = []
    for value in values:
        typed = value if same_shape(value.kind, kind) else e.cast(value, kind)
        inside.append(Typed(order_key(e, typed), kind, value.name, is_window=value.is_window))
    return inside


def extreme(e: Expressions, node: exp.Anonymous, values: Sequence[Typed], *, descending: bool) -> Typed:
    """The greatest or least of arrays or structs, NULLs skipped."""
    common, kind = e.common(node, values, node.name, with_text=False)
    if has_map(kind):
        e.wrong(node, f"{node.name} over {kinds.in_spark(kind)}; maps cannot be compared.")
    kept = each(e, f"[{', '.join(value.sql for value in common)}]", kind, lambda x: f"{x.sql} IS NOT NULL", "filter")
    pairs = each(e, kept, kind, lambda x: f"{{'k': {order_key(e, x)}, 'x': {x.sql}}}")
    first = f"list_extract(list_sort({pairs}, '{'DESC' if descending else 'ASC'}', 'NULLS FIRST'), 1)"
    return Typed(f"struct_extract({first}, 'x')", kind)
