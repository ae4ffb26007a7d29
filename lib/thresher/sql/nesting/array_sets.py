"""Arrays: what is in them, their order, and arrays as sets."""

from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.arrays import array, with_element
from thresher.sql.nesting.lambdas import each, let, unless_null, variable
from thresher.sql.nesting.nested import has_map, is_nested, order_key, tightest

_arrays = partial(function, group="Arrays")

MACROS.update(
    {
        "spark_array_contains(a, x)": (
            "CASE WHEN a IS NULL OR x IS NULL THEN NULL WHEN list_contains(a, x) THEN true "
            "WHEN list_count(a) < len(a) THEN NULL ELSE false END"
        ),
        "spark_array_position(a, x)": (
            "CASE WHEN a IS NULL OR x IS NULL THEN NULL ELSE CAST(coalesce(list_position(a, x), 0) AS BIGINT) END"
        ),
    }
)


def _comparable(e: Expressions, node: exp.Expr, kind: pa.DataType, what: str) -> None:
    if has_map(kind):
        e.wrong(node, f"{what} over {kinds.in_spark(kind)}; maps cannot be compared.")


@_arrays(
    "array_contains",
    2,
    2,
    "array_contains(a, x)",
    "SELECT array_contains(array(1, 2), 2) AS b",
    note="NULL where not found and the array holds a NULL.",
)
def _contains(e: Expressions, node: exp.Anonymous) -> Typed:
    one, other = array(e, node.expressions[0], "array_contains"), e.expr(node.expressions[1])
    kind = kinds.common(one.kind.value_type, other.kind, with_text=False)
    if kind is None or other.kind == kinds.VOID:
        found = f"{kinds.in_spark(one.kind)} and {kinds.in_spark(other.kind)}"
        e.wrong(node, f"array_contains of {found}; expected an array and one of its elements.")
    _comparable(e, node, kind, "array_contains")
    values = [e.cast(one, kinds.array_of(kind)), e.cast(other, kind)]
    return Typed(let(e, values, lambda a, x: f"spark_array_contains({a}, {x})"), kinds.BOOL)


@_arrays(
    "array_position",
    2,
    2,
    "array_position(a, x) → bigint",
    "SELECT array_position(array('x', 'y'), 'y') AS n",
    note="From 1; 0 where it is not found.",
)
def _position(e: Expressions, node: exp.Anonymous) -> Typed:
    one, other = with_element(e, node, array(e, node.expressions[0], "array_position"), e.expr(node.expressions[1]))
    _comparable(e, node, other.kind, "array_position")
    return Typed(let(e, [one, other], lambda a, x: f"spark_array_position({a}, {x})"), kinds.BIGINT)


@_arrays("array_remove", 2, 2, "array_remove(a, x)", "SELECT array_remove(array(1, 2, 1), 1) AS a")
def _remove(e: Expressions, node: exp.Anonymous) -> Typed:
    one, other = with_element(e, node, array(e, node.expressions[0], "array_remove"), e.expr(node.expressions[1]))
    _comparable(e, node, other.kind, "array_remove")

    def kept(a: str, x: str) -> str:
        return each(e, a, other.kind, lambda y: f"{y.sql} IS DISTINCT FROM {x}", "filter")

    return Typed(unless_null(e, [one, other], kept), one.kind)


def _without_minus_zero(e: Expressions, value: Typed) -> Typed:
    """Sets of floating numbers hold 0.0 for -0.0."""
    element = value.kind.value_type
    if element not in (kinds.FLOAT, kinds.DOUBLE):
        return value
    plus = f"CAST(0 AS {kinds.in_duckdb(element)})"
    return Typed(each(e, value.sql, element, lambda x: f"{x.sql} + {plus}"), value.kind)


def _sets(e: Expressions, node: exp.Anonymous) -> tuple[list[Typed], pa.DataType]:
    """The arguments of a set function in the one type that holds them."""
    or_null = len(node.expressions) == 1
    values = [array(e, part, node.name, or_null=or_null) for part in node.expressions]
    kind = values[0].kind
    for value in values[1:]:
        wide = tightest(kind, value.kind)
        if wide is None:
            found = " and ".join(kinds.in_spark(value.kind) for value in values)
            e.wrong(node, f"{node.name} of {found}; expected arrays of one type.")
        kind = wide
    _comparable(e, node, kind, node.name)
    return [_without_minus_zero(e, e.cast(value, kind)) for value in values], kind


def _distinct(e: Expressions, a: str, kind: pa.DataType, more: str = "") -> str:
    """The first of equal elements; `more` is a condition on the element `{x}`."""
    one, place = variable(e, kind).sql, variable(e, kinds.BIGINT).sql
    condition = f"list_position({a}, {one}) = {place}{more.format(x=one)}"
    return f"list_filter({a}, lambda {one}, {place}: {condition})"


@_arrays("array_distinct", 1, 1, "array_distinct(a)", "SELECT array_distinct(array(1, NULL, 1, NULL)) AS a")
def _array_distinct(e: Expressions, node: exp.Anonymous) -> Typed:
    (value,), kind = _sets(e, node)
    return Typed(let(e, [value], lambda a: _distinct(e, a, kind.value_type)), kind)


@_arrays(
    "array_union array_intersect array_except",
    2,
    2,
    "array_union(a, b), array_intersect(a, b), array_except(a, b)",
    "SELECT array_except(array(1, NULL, 2), array(1)) AS a",
    note="Each element once, in the order of its first appearance.",
)
def _set_function(e: Expressions, node: exp.Anonymous) -> Typed:
    values, kind = _sets(e, node)
    name = node.name.lower()

    def made(a: str, b: str) -> str:
        if name == "array_union":
            both = Typed(f"list_concat({a}, {b})", kind)
            return let(e, [both], lambda whole: _distinct(e, whole, kind.value_type))
        word = "IS NOT NULL" if name == "array_intersect" else "IS NULL"
        return _distinct(e, a, kind.value_type, f" AND list_position({b}, {{x}}) {word}")

    return Typed(unless_null(e, values, made), kind)


@_arrays(
    "arrays_overlap",
    2,
    2,
    "arrays_overlap(a, b)",
    "SELECT arrays_overlap(array(1, 2), array(2)) AS b",
    note="NULL where no common element is found and one of the arrays, neither empty, holds a NULL.",
)
def _overlap(e: Expressions, node: exp.Anonymous) -> Typed:
    values, kind = _sets(e, node)

    def made(a: str, b: str) -> str:
        found = f"{{x}} IS NOT NULL AND list_position({b}, {{x}}) IS NOT NULL"
        common = each(e, a, kind.value_type, lambda x: found.format(x=x.sql), "filter")
        unknown = f"(list_count({a}) < len({a}) OR list_count({b}) < len({b}))"
        return (
            f"CASE WHEN len({common}) > 0 THEN true "
            f"WHEN len({a}) > 0 AND len({b}) > 0 AND {unknown} THEN NULL ELSE false END"
        )

    return Typed(unless_null(e, values, made), kinds.BOOL)


def _sorted(e: Expressions, value: Typed, *, descending: bool = False, nulls_last: bool = False) -> str:
    """An array in Spark's order."""
    element = value.kind.value_type
    order = "'DESC'" if descending else "'ASC'"
    if not is_nested(element):
        nulls = "LAST" if nulls_last or descending else "FIRST"
        # The cast: list_sort of a constant NULL has no array type.
        return f"CAST(list_sort({value.sql}, {order}, 'NULLS {nulls}') AS {kinds.in_duckdb(value.kind)})"
    # NULLs inside are never sorted as NULLS FIRST says: the first field tells them from values.
    mark = "IS NULL" if nulls_last else "IS NOT NULL"
    pairs = each(
        e,
        value.sql,
        element,
        lambda x: f"{{'n': {x.sql} {mark}, 'k': {order_key(e, x)}, 'x': {x.sql}}}",
    )
    whole = each(e, f"list_sort({pairs}, {order}, 'NULLS FIRST')", element, lambda x: f"struct_extract({x.sql}, 'x')")
    return f"CASE WHEN {value.sql} IS NOT NULL THEN {whole} END"


def sorted_up(e: Expressions, value: Typed) -> str:
    """array_sort() without a lambda: NULLs last."""
    return _sorted(e, value, nulls_last=True)


@_arrays(
    "sort_array",
    1,
    2,
    "sort_array(a [, ascending])",
    "SELECT sort_array(array(2, NULL, 1), false) AS a",
    note="NULLs first, descending last; whether ascending is a literal. array_sort: see Lambdas.",
)
def _sort_array(e: Expressions, node: exp.Anonymous) -> Typed:
    value = array(e, node.expressions[0], "sort_array", or_null=True)
    _comparable(e, node, value.kind, "sort_array")
    descending = False
    if len(node.expressions) > 1:
        flag = node.expressions[1]
        if isinstance(flag, exp.Null):
            return Typed(f"CAST(NULL AS {kinds.in_duckdb(value.kind)})", value.kind)
        kind = e.expr(flag).kind
        if kind != kinds.BOOL:
            e.wrong(flag, f"the direction of sort_array is {kinds.in_spark(kind)}; expected true or false.")
        if not isinstance(flag, exp.Boolean):
            e.refuse(flag, "sort_array with a direction that is not a literal", "write true or false")
        descending = not flag.this
    return Typed(_sorted(e, value, descending=descending), value.kind)


@_arrays(
    "array_max array_min", 1, 1, "array_max(a), array_min(a)", "SELECT array_max(array(1, NULL, 3)) AS n",
    note="NULLs are skipped.",
)  # fmt: skip
def _extreme(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    value = array(e, node.expressions[0], name, or_null=True)
    element = value.kind.value_type
    _comparable(e, node, element, name)
    if not is_nested(element):
        return Typed(f"CAST(list_{name[6:]}({value.sql}) AS {kinds.in_duckdb(element)})", element)
    kept = Typed(each(e, value.sql, element, lambda x: f"{x.sql} IS NOT NULL", "filter"), value.kind)
    place = -1 if name == "array_max" else 1
    return Typed(f"list_extract({_sorted(e, kept)}, {place})", element)
