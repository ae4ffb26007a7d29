"""Results that depend on the order of rows, which Spark does not promise: where they are the same in any order."""

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import Call
from thresher.sql.expressions import Typed

# Functions whose result does not depend on the order of an array's elements, and those that keep it that way.
_ORDER_FREE = (
    *("sort_array", "size", "cardinality", "array_size", "array_contains", "array_min", "array_max"),
    *("exists", "forall", "arrays_overlap"),
)
_PASSING = ("array_distinct", "array_compact", "array_remove", "flatten", "coalesce", "nvl", "filter", "transform")


def is_order_free(call: Call) -> bool:
    """Whether what takes the array of this call gives the same for any order of its elements."""
    node = call.whole
    while isinstance(parent := node.parent, exp.Anonymous | exp.Paren):
        if isinstance(parent, exp.Anonymous):
            name = parent.name.lower()
            if node is not parent.expressions[0] or _counts_elements(parent):
                return False
            if name in _ORDER_FREE or (name == "array_sort" and len(parent.expressions) == 1):
                return True
            if name not in _PASSING:
                return False
        node = parent
    return False


def _counts_elements(node: exp.Anonymous) -> bool:
    """Whether a lambda of this function takes the position of an element, too."""
    return any(isinstance(part, exp.Lambda) and len(part.expressions) > 1 for part in node.expressions)


def agreed(call: Call, value: Typed, result: str, *, with_nulls: bool, remedy: str) -> str:
    """A result that depends on the order of the rows, where they all have one value; else an error.

    Spark promises no order, so that only rows which agree give the same on both engines.
    """
    low, high = call.run("min", value.sql, distinct=False), call.run("max", value.sql, distinct=False)
    condition = f"{low} IS NOT DISTINCT FROM {high}"
    if with_nulls:
        rows = call.run("count", "*", distinct=False)
        condition += f" AND {call.run('count', value.sql, distinct=False)} IN (0, {rows})"
    words = kinds.text_literal(
        f"not proven equal to Spark: {call.name} of rows that differ, whose order is not fixed: {remedy}"
    )
    return f"CASE WHEN {condition} THEN {result} ELSE error({words}) END"
