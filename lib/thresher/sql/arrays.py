"""Functions over arrays."""

from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct, function
from thresher.sql.expressions import Expressions, Typed

_arrays = partial(function, group="Arrays and structs")


def _array(e: Expressions, node: exp.Expr, what: str) -> Typed:
    value = e.expr(node)
    if not kinds.is_array(value.kind):
        e.refuse(node, f"{what} of a {kinds.in_spark(value.kind)}", "give it an array")
    return value


@_arrays("array", 0, -1, "array(a, b, …)", "SELECT array(1, NULL) AS a", note="One type, or widening to one.")
def _of(e: Expressions, node: exp.Anonymous) -> Typed:
    values, kind = e.common(node, e.exprs(node.expressions), "array")
    return Typed(f"[{', '.join(value.sql for value in values)}]", kinds.array_of(kind))


@_arrays("size", 1, 1, "size(a) → int", "SELECT size(array(1, 2)) AS n", note="NULL for NULL (ANSI).")
def _size(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"CAST(len({_array(e, node.expressions[0], 'size').sql}) AS INTEGER)", kinds.INT)


@construct(
    exp.Bracket,
    parts="this expressions",
    group="Arrays and structs",
    signature="a[i]",
    note="From 0; outside the array is an error.",
    example="SELECT a[0] AS b FROM VALUES (array(1, 2)) AS t(a)",
)
def _index(e: Expressions, node: exp.Bracket) -> Typed:
    array = _array(e, node.this, "[ ]")
    if len(node.expressions) != 1:
        e.refuse(node, "a slice")
    index = e.coerce(node, e.expr(node.expressions[0]), kinds.INT, "an index")
    name = f"{array.name}[{index.name}]" if array.name is not None and index.name is not None else None
    return Typed(f"spark_item({array.sql}, {index.sql})", array.kind.value_type, name)


@_arrays(
    "element_at try_element_at get",
    2,
    2,
    "element_at(a, n), try_element_at(a, n), get(a, i)",
    "SELECT element_at(array(1, 2), -1) AS a",
    note="element_at counts from 1, or from the end; outside is an error, NULL with try_element_at and get (from 0).",
)
def _element(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    array = _array(e, node.expressions[0], name)
    index = e.coerce(node, e.expr(node.expressions[1]), kinds.INT, f"the index of {name}").sql
    return Typed(f"spark_{name}({array.sql}, {index})", array.kind.value_type)


@_arrays(
    "array_contains",
    2,
    2,
    "array_contains(a, x)",
    "SELECT array_contains(array(1, 2), 2) AS b",
    note="NULL where not found and the array holds a NULL.",
)
def _contains(e: Expressions, node: exp.Anonymous) -> Typed:
    array = _array(e, node.expressions[0], "array_contains")
    value = e.expr(node.expressions[1])
    kind = kinds.wider(array.kind.value_type, value.kind)
    if kind is None or not kinds.is_orderable(kind) or value.kind == kinds.VOID:
        e.refuse(node, f"array_contains({kinds.in_spark(array.kind)}, {kinds.in_spark(value.kind)})", "cast one side")
    return Typed(
        f"spark_array_contains({e.cast(array, kinds.array_of(kind)).sql}, {e.cast(value, kind).sql})", kinds.BOOL
    )


@_arrays(
    "array_join",
    2,
    2,
    "array_join(a, separator)",
    "SELECT array_join(array('a', 'b'), '-') AS s",
    note="Strings; NULLs are skipped.",
)
def _join(e: Expressions, node: exp.Anonymous) -> Typed:
    array = _array(e, node.expressions[0], "array_join")
    if array.kind.value_type != kinds.STRING:
        e.refuse(node, f"array_join of {kinds.in_spark(array.kind)}")
    separator = e.expr(node.expressions[1])
    if not isinstance(separator.literal, str):
        e.refuse(node, "array_join with a separator that is not a literal")
    return Typed(f"spark_array_join({array.sql}, {separator.sql})", kinds.STRING)


@_arrays(
    "sequence",
    2,
    3,
    "sequence(first, last), sequence(day, day, INTERVAL 1 DAY)",
    "SELECT explode(sequence(date'2024-01-01', date'2024-01-03', INTERVAL 1 DAY)) AS d",
    note="Integers and dates, by one. Integers count down where last < first; days then are an error.",
)
def _sequence(e: Expressions, node: exp.Anonymous) -> Typed:
    first, last = e.exprs(node.expressions[:2])
    if len(node.expressions) > 2:
        step = node.expressions[2]
        one = (
            isinstance(step, exp.Interval)
            and step.this
            and step.this.name == "1"
            and str(step.unit).upper() in ("DAY", "DAYS")
        )
        if first.kind != kinds.DATE or not one:
            e.refuse(step, "sequence with another step than INTERVAL 1 DAY")
    if first.kind == last.kind == kinds.DATE and len(node.expressions) == 3:
        return Typed(f"spark_days({first.sql}, {last.sql})", kinds.array_of(kinds.DATE))
    if first.kind not in kinds.INTEGERS or last.kind not in kinds.INTEGERS or len(node.expressions) > 2:
        e.refuse(
            node,
            f"sequence from {kinds.in_spark(first.kind)} to {kinds.in_spark(last.kind)}",
            "for days write INTERVAL 1 DAY",
        )
    kind = kinds.wider(first.kind, last.kind)
    assert kind is not None
    sql = f"spark_sequence(CAST({first.sql} AS BIGINT), CAST({last.sql} AS BIGINT))"
    return Typed(f"CAST({sql} AS {kinds.in_duckdb(kind)}[])", kinds.array_of(kind))
