"""Arrays: how they are built and taken apart."""

from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, construct, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.lambdas import each, fold, let, typed, unless_null
from thresher.sql.nesting.nested import tightest

_arrays = partial(function, group="Arrays")

MACROS.update(
    {
        "spark_get(a, i)": "CASE WHEN i >= 0 THEN list_extract(a, i::BIGINT + 1) END",
        "spark_try_element_at(a, n)": (
            "CASE WHEN a IS NULL THEN NULL WHEN n = 0 THEN error('element_at counts from 1, found 0') "
            "ELSE list_extract(a, n) END"
        ),
        "spark_item(a, i)": (
            "CASE WHEN a IS NULL OR i IS NULL THEN NULL WHEN i < 0 OR i >= len(a) THEN error('array index ' || i || "
            "' outside an array of ' || len(a)) ELSE list_extract(a, i::BIGINT + 1) END"
        ),
        "spark_element_at(a, n)": (
            "CASE WHEN a IS NULL OR n IS NULL THEN NULL WHEN n = 0 OR abs(n::BIGINT) > len(a) "
            "THEN error('element_at(' || n || ') outside an array of ' || len(a)) ELSE list_extract(a, n) END"
        ),
        "spark_array_join(a, s)": (
            "CASE WHEN a IS NULL OR s IS NULL THEN NULL ELSE coalesce(list_aggregate(a, 'string_agg', s), '') END"
        ),
        "spark_array_slice(a, s, n)": (
            "CASE WHEN a IS NULL OR s IS NULL OR n IS NULL THEN NULL "
            "WHEN s = 0 THEN error('slice counts from 1, or from the end; found 0') "
            "WHEN n < 0 THEN error('slice of a negative length: ' || n) WHEN s < -len(a) OR n = 0 THEN a[1:0] "
            "ELSE list_slice(a, CASE WHEN s > 0 THEN s ELSE len(a) + s + 1 END, "
            "CASE WHEN s > 0 THEN s ELSE len(a) + s + 1 END + n::BIGINT - 1) END"
        ),
        "spark_array_insert(a, p, x)": (  # x is an array of one
            "CASE WHEN a IS NULL OR p IS NULL THEN NULL "
            "WHEN p = 0 THEN error('array_insert counts from 1, or from the end; found 0') "
            "WHEN abs(p::BIGINT) > 10000000 THEN error('not proven equal to Spark: array_insert at position ' || p) "
            "WHEN p > 0 THEN list_concat(list_resize(a, p - 1), x, list_slice(a, p, len(a))) "
            "WHEN -p <= len(a) + 1 THEN list_concat(a[1:len(a) + 1 + p], x, list_slice(a, len(a) + 2 + p, len(a))) "
            "ELSE list_concat(x, list_resize(a[1:0], -p - len(a) - 1), a) END"
        ),
        "spark_flatten(a)": "CASE WHEN list_count(a) < len(a) THEN NULL ELSE flatten(a) END",
    }
)


def array(e: Expressions, node: exp.Expr, what: str, *, or_null: bool = False) -> Typed:
    """An argument that must be an array; a bare NULL only where Spark takes it for one."""
    value = e.expr(node)
    if or_null and value.kind == kinds.VOID:
        return e.cast(value, kinds.array_of(kinds.VOID))
    if not kinds.is_array(value.kind):
        e.wrong(node, f"{what} of {kinds.in_spark(value.kind)}; expected an array.")
    return value


def int_(e: Expressions, node: exp.Expr, what: str, *, or_null: bool = True) -> Typed:
    """An argument that must be an int or fit into one: no bigint, no text."""
    value = e.expr(node)
    if value.kind not in kinds.INTEGERS[:3] and not (or_null and value.kind == kinds.VOID):
        e.wrong(node, f"{what} is {kinds.in_spark(value.kind)}; expected int.")
    return e.cast(value, kinds.INT)


def with_element(e: Expressions, node: exp.Anonymous, one: Typed, other: Typed) -> tuple[Typed, Typed]:
    """An array and a value, both of the type in which Spark brings them together here."""
    kind = tightest(one.kind.value_type, other.kind)
    if kind is None:
        found = f"{kinds.in_spark(one.kind)} and {kinds.in_spark(other.kind)}"
        e.wrong(node, f"{node.name} of {found}; expected an array and one of its elements.")
    return e.cast(one, kinds.array_of(kind)), e.cast(other, kind)


@_arrays("array", 0, -1, "array(a, b, …)", "SELECT array(1, NULL) AS a", note="One type, or widening to one.")
def _of(e: Expressions, node: exp.Anonymous) -> Typed:
    values, kind = e.common(node, e.exprs(node.expressions), "array")
    text = f"[{', '.join(typed(value) for value in values)}]"
    sql = text if values else f"CAST({text} AS {kinds.in_duckdb(kinds.array_of(kind))})"
    return Typed(sql, kinds.array_of(kind), is_window=any(value.is_window for value in values))


@_arrays("size cardinality", 1, 1, "size(a) → int, cardinality(a)", "SELECT size(array(1, 2)) AS n")
def _size(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if value.kind == kinds.VOID:
        return Typed("CAST(NULL AS INTEGER)", kinds.INT)
    if not kinds.is_array(value.kind) and not kinds.is_map(value.kind):
        e.wrong(node, f"{node.name} of {kinds.in_spark(value.kind)}; expected an array or a map.")
    name = "cardinality" if kinds.is_map(value.kind) else "len"
    return Typed(f"CAST({name}({value.sql}) AS INTEGER)", kinds.INT, is_window=value.is_window)


@_arrays("array_size", 1, 1, "array_size(a) → int", "SELECT array_size(array(1, 2)) AS n")
def _array_size(e: Expressions, node: exp.Anonymous) -> Typed:
    value = array(e, node.expressions[0], "array_size", or_null=True)
    return Typed(f"CAST(len({value.sql}) AS INTEGER)", kinds.INT)


@construct(
    exp.Bracket,
    parts="this expressions",
    group="Arrays",
    signature="a[i], m[key]",
    note="An array's element counted from 0, outside is an error; a map's value, NULL without the key.",
    example="SELECT array(5, 6)[0] AS b, map('x', 1)['x'] AS c",
)
def _index(e: Expressions, node: exp.Bracket) -> Typed:
    if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Slice):
        e.refuse(node, "a slice", "use slice(…)")
    value, index = e.expr(node.this), e.expr(node.expressions[0])
    if value.kind == kinds.VOID:
        return value
    if kinds.is_map(value.kind):
        from thresher.sql.nesting.maps import looked_up

        return looked_up(e, node, value, index)
    if kinds.is_struct(value.kind) and isinstance(index.literal, str):
        return e.struct_field(node, value, index.literal)
    if not kinds.is_array(value.kind):
        e.wrong(node, f"[ ] behind {kinds.in_spark(value.kind)}; expected an array or a map.")
    if index.kind not in (*kinds.INTEGERS, kinds.VOID):
        e.wrong(node, f"an index is {kinds.in_spark(index.kind)}; expected an integer.")
    name = f"{value.name}[{index.name}]" if value.name is not None and index.name is not None else None
    sql = let(e, [value, e.cast(index, kinds.BIGINT)], lambda a, i: f"spark_item({a}, {i})")
    return Typed(sql, value.kind.value_type, name, is_window=value.is_window or index.is_window)


@_arrays(
    "element_at try_element_at get",
    2,
    2,
    "element_at(a, n), try_element_at(a, n), get(a, i), element_at(m, key)",
    "SELECT element_at(array(1, 2), -1) AS a",
    note="element_at counts from 1, or from the end; outside is an error, NULL with try_element_at and get (from 0).",
)
def _element(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    value = e.expr(node.expressions[0])
    if kinds.is_map(value.kind) and name != "get":
        from thresher.sql.nesting.maps import key_of, value_at

        map_, key = key_of(e, node, value, e.expr(node.expressions[1]))
        return value_at(map_, key)
    value = array(e, node.expressions[0], name)
    if name == "get":
        index = e.coerce(node, e.expr(node.expressions[1]), kinds.INT, "the index of get")
    else:
        index = int_(e, node.expressions[1], f"the index of {name}", or_null=False)
    return Typed(let(e, [value, index], lambda a, i: f"spark_{name}({a}, {i})"), value.kind.value_type)


@_arrays(
    "array_append array_prepend",
    2,
    2,
    "array_append(a, x), array_prepend(a, x)",
    "SELECT array_append(array(1), 2) AS a",
)
def _append(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    one, other = with_element(e, node, array(e, node.expressions[0], name), e.expr(node.expressions[1]))
    added = f"[{typed(other)}]"

    def joined(a: str) -> str:
        both = f"{a}, {added}" if name == "array_append" else f"{added}, {a}"
        return f"CASE WHEN {a} IS NOT NULL THEN list_concat({both}) END"

    return Typed(let(e, [one], joined), one.kind)


@_arrays(
    "array_insert",
    3,
    3,
    "array_insert(a, position, x)",
    "SELECT array_insert(array(1, 3), 2, 2) AS a",
    note="Counted from 1, or from the end (-1 is behind the last); a gap is filled with NULLs.",
)
def _insert(e: Expressions, node: exp.Anonymous) -> Typed:
    one, other = with_element(e, node, array(e, node.expressions[0], "array_insert"), e.expr(node.expressions[2]))
    position = int_(e, node.expressions[1], "the position of array_insert", or_null=False)
    sql = let(e, [one, position], lambda a, p: f"spark_array_insert({a}, {p}, [{typed(other)}])")
    return Typed(sql, one.kind)


@_arrays("array_repeat", 2, 2, "array_repeat(x, n)", "SELECT array_repeat('a', 2) AS a")
def _repeat(e: Expressions, node: exp.Anonymous) -> Typed:
    value, times = e.expr(node.expressions[0]), int_(e, node.expressions[1], "the number of array_repeat")
    kind = kinds.array_of(value.kind)
    sql = let(
        e,
        [value, times],
        lambda x, n: (
            f"CASE WHEN {n} IS NOT NULL THEN "
            + each(e, f"range({n})", kinds.BIGINT, lambda _: typed(Typed(x, value.kind)))
            + " END"
        ),
    )
    return Typed(sql, kind)


@_arrays("array_compact", 1, 1, "array_compact(a)", "SELECT array_compact(array(1, NULL)) AS a", note="Without NULLs.")
def _compact(e: Expressions, node: exp.Anonymous) -> Typed:
    value = array(e, node.expressions[0], "array_compact", or_null=True)
    kept = each(e, value.sql, value.kind.value_type, lambda x: f"{x.sql} IS NOT NULL", "filter")
    return Typed(kept, value.kind)


@_arrays(
    "slice",
    3,
    3,
    "slice(a, start, length)",
    "SELECT slice(array(1, 2, 3), -2, 2) AS a",
    note="From 1, or from the end; 0 and a negative length are errors.",
)
def _slice(e: Expressions, node: exp.Anonymous) -> Typed:
    value = array(e, node.expressions[0], "slice", or_null=True)
    start, length = (e.coerce(part, e.expr(part), kinds.INT, "a position of slice") for part in node.expressions[1:])
    return Typed(let(e, [value, start, length], lambda a, s, n: f"spark_array_slice({a}, {s}, {n})"), value.kind)


@_arrays(
    "flatten", 1, 1, "flatten(a)", "SELECT flatten(array(array(1), array(2))) AS a", note="NULL with a NULL in it."
)
def _flatten(e: Expressions, node: exp.Anonymous) -> Typed:
    value = array(e, node.expressions[0], "flatten")
    if not kinds.is_array(value.kind.value_type):
        e.wrong(node, f"flatten of {kinds.in_spark(value.kind)}; expected an array of arrays.")
    return Typed(let(e, [value], lambda a: f"spark_flatten({a})"), value.kind.value_type)


@_arrays(
    "array_join",
    2,
    3,
    "array_join(a, separator [, instead_of_null])",
    "SELECT array_join(array('a', NULL), '-', '?') AS s",
    note="NULLs are skipped, unless a text is given for them.",
)
def _join(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if value.kind == kinds.VOID:
        return Typed("CAST(NULL AS VARCHAR)", kinds.STRING)
    value = array(e, node.expressions[0], "array_join")
    extra = [e.expr(part) for part in node.expressions[1:]]
    for part in extra:
        if part.kind not in (kinds.STRING, kinds.VOID):
            e.wrong(node, f"array_join with {kinds.in_spark(part.kind)}; expected text.")
    if value.kind.value_type != kinds.STRING:
        if not kinds.is_atomic(value.kind.value_type):
            e.wrong(node, f"array_join of {kinds.in_spark(value.kind)}; expected an array of strings.")
        made = each(e, value.sql, value.kind.value_type, lambda x: e.cast(x, kinds.STRING).sql)
        value = Typed(made, kinds.array_of(kinds.STRING))
    if len(extra) > 1:
        filled = each(e, value.sql, kinds.STRING, lambda x: f"coalesce({x.sql}, {extra[1].sql})")
        value = Typed(f"CASE WHEN {extra[1].sql} IS NOT NULL THEN {filled} END", value.kind)
    separator = extra[0]
    if isinstance(separator.literal, str):
        return Typed(let(e, [value], lambda a: f"spark_array_join({a}, {separator.sql})"), kinds.STRING)

    def grown(text: Typed, x: Typed) -> str:
        more = f"CASE WHEN {text.sql} IS NULL THEN {x.sql} ELSE {text.sql} || {separator.sql} || {x.sql} END"
        return f"CASE WHEN {x.sql} IS NULL THEN {text.sql} ELSE {more} END"

    start = Typed("NULL", kinds.STRING)
    joined = fold(e, value, start, grown, lambda text: f"coalesce({text.sql}, '')")
    return Typed(f"CASE WHEN {separator.sql} IS NOT NULL THEN {joined} END", kinds.STRING)


@_arrays(
    "arrays_zip",
    1,
    -1,
    "arrays_zip(a, b, …)",
    "SELECT arrays_zip(a, b) AS z FROM VALUES (array(1, 2), array('x')) AS t(a, b)",
    note="Structs of the elements at one place, NULL where an array is shorter; fields are named as the columns, "
    "others 0, 1, … by their position.",
)
def _zip(e: Expressions, node: exp.Anonymous) -> Typed:
    values = [array(e, part, "arrays_zip", or_null=True) for part in node.expressions]
    names = [_zip_name(part, position) for position, part in enumerate(node.expressions)]
    if len({name.lower() for name in names}) != len(names):
        e.refuse(node, "arrays_zip of two columns of one name", "rename one in a subquery")
    kind = pa.struct([(name, value.kind.value_type) for name, value in zip(names, values, strict=True)])

    def zipped(*parts: str) -> str:
        def row(z: Typed) -> str:
            fields = [f"{kinds.text_literal(name)}: {z.sql}[{n}]" for n, name in enumerate(names, 1)]
            return f"{{{', '.join(fields)}}}"

        return each(e, f"list_zip({', '.join(parts)})", kind, row)

    return Typed(unless_null(e, values, zipped), kinds.array_of(kind))


def _zip_name(node: exp.Expr, position: int) -> str:
    inner = node.unnest()
    if isinstance(inner, exp.Column | exp.Identifier):
        return inner.name
    return inner.expression.name if isinstance(inner, exp.Dot) else str(position)
