"""Maps. DuckDB's own MAP keeps the order of the entries and, as Spark, refuses double and NULL keys."""

from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.arrays import array
from thresher.sql.nesting.higher_order import condition
from thresher.sql.nesting.lambdas import body, each, let, typed, unless_null, variable
from thresher.sql.nesting.nested import has_map, tightest

_maps = partial(function, group="Maps")

MACROS.update(
    {
        "spark_map_of(k, v)": (
            "CASE WHEN k IS NULL OR v IS NULL THEN NULL WHEN len(k) <> len(v) "
            "THEN error('a map of ' || len(k) || ' keys and ' || len(v) || ' values') ELSE map(k, v) END"
        ),
        "spark_str_to_map(s, d, k)": (
            "map(list_transform(string_split(s, d), lambda x: split_part(x, k, 1)), list_transform(string_split(s, d), "
            "lambda x: CASE WHEN contains(x, k) THEN substring(x, instr(x, k) + length(k)) END))"
        ),
        "spark_str_to_map_by(s, d, k)": (  # by regular expressions
            "map(list_transform(spark_split(s, d, -1), lambda x: list_extract(spark_split(x, k, 2), 1)), "
            "list_transform(spark_split(s, d, -1), lambda x: list_extract(spark_split(x, k, 2), 2)))"
        ),
    }
)


def map_(e: Expressions, node: exp.Expr, what: str) -> Typed:
    """An argument that must be a map."""
    value = e.expr(node)
    if not kinds.is_map(value.kind):
        e.wrong(node, f"{what} of {kinds.in_spark(value.kind)}; expected a map.")
    return value


def looked_up(e: Expressions, node: exp.Expr, value: Typed, key: Typed) -> Typed:
    """m[key]: the key takes the type of the map's keys."""
    return value_at(value, e.coerce(node, key, value.kind.key_type, "a key"))


def value_at(value: Typed, key: Typed) -> Typed:
    sql = f"map_extract_value({value.sql}, {typed(key)})"
    return Typed(sql, value.kind.item_type, is_window=value.is_window or key.is_window)


def key_of(
    e: Expressions, node: exp.Anonymous, value: Typed, key: Typed, *, with_decimals: bool = False
) -> tuple[Typed, Typed]:
    """A map and a key, in the type in which a function brings both together."""
    kind = tightest(value.kind.key_type, key.kind)
    if with_decimals:
        kind = kinds.common(value.kind.key_type, key.kind, with_text=False)
    if kind is None:
        found = f"{kinds.in_spark(value.kind)} and {kinds.in_spark(key.kind)}"
        e.wrong(node, f"{node.name} of {found}; expected a map and one of its keys.")
    return e.cast(value, kinds.map_of(kind, value.kind.item_type)), e.cast(key, kind)


def _made(e: Expressions, node: exp.Expr, keys: str, values: str, kind: pa.DataType) -> Typed:
    """A map of an array of keys and one of values, whose keys become 0.0 for -0.0."""
    _check_key(e, node, kind)
    if kind.key_type in (kinds.FLOAT, kinds.DOUBLE):
        plus = f"CAST(0 AS {kinds.in_duckdb(kind.key_type)})"
        keys = each(e, keys, kind.key_type, lambda k: f"{k.sql} + {plus}")
    return Typed(f"map({keys}, {values})", kind)


def _check_key(e: Expressions, node: exp.Expr, kind: pa.DataType) -> None:
    if has_map(kind.key_type):
        e.wrong(node, f"a map whose keys are {kinds.in_spark(kind.key_type)}; a key cannot be a map.")


@_maps(
    "map", 0, -1, "map(key, value, …)", "SELECT map('a', 1, 'b', NULL) AS m", note="A double or NULL key is an error."
)
def _map(e: Expressions, node: exp.Anonymous) -> Typed:
    if len(node.expressions) % 2:
        e.wrong(node, f"map with {len(node.expressions)} arguments; expected keys and values in turn.")
    given = e.exprs(node.expressions)
    if any(key.kind == kinds.VOID for key in given[::2]):
        e.wrong(node, "map with the key NULL.")
    keys, key_kind = e.common(node, given[::2], "the keys of map")
    values, value_kind = e.common(node, given[1::2], "the values of map")
    kind = kinds.map_of(key_kind, value_kind)
    if not given:
        return Typed(f"CAST(MAP {{}} AS {kinds.in_duckdb(kind)})", kind)
    sides = [", ".join(typed(value) for value in side) for side in (keys, values)]
    return _made(e, node, f"[{sides[0]}]", f"[{sides[1]}]", kind)


@_maps("map_from_arrays", 2, 2, "map_from_arrays(keys, values)", "SELECT map_from_arrays(array('a'), array(1)) AS m")
def _from_arrays(e: Expressions, node: exp.Anonymous) -> Typed:
    keys, values = (array(e, part, "map_from_arrays", or_null=True) for part in node.expressions)
    kind = kinds.map_of(keys.kind.value_type, values.kind.value_type)
    _check_key(e, node, kind)
    return Typed(let(e, [keys, values], lambda k, v: f"spark_map_of({k}, {v})"), kind)


@_maps(
    "map_from_entries",
    1,
    1,
    "map_from_entries(a)",
    "SELECT map_from_entries(array(struct('a', 1), struct('b', 2))) AS m",
    note="Structs of a key and a value; NULL with a NULL among them.",
)
def _from_entries(e: Expressions, node: exp.Anonymous) -> Typed:
    value = array(e, node.expressions[0], "map_from_entries")
    entry = value.kind.value_type
    if not kinds.is_struct(entry) or len(entry) != 2:
        e.wrong(node, f"map_from_entries of {kinds.in_spark(value.kind)}; expected structs of two fields.")
    kind = kinds.map_of(entry[0].type, entry[1].type)

    def made(a: str) -> str:
        sides = [
            each(e, a, entry, lambda x, name=part.name: f"struct_extract({x.sql}, {kinds.text_literal(name)})")  # type: ignore[misc]
            for part in entry
        ]
        whole = _made(e, node, sides[0], sides[1], kind)
        return f"CASE WHEN list_count({a}) < len({a}) THEN NULL ELSE {whole.sql} END"

    return Typed(let(e, [value], made), kind)


@_maps(
    "map_keys map_values map_entries",
    1,
    1,
    "map_keys(m), map_values(m), map_entries(m)",
    "SELECT map_entries(map('a', 1)) AS e",
)
def _parts(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    value = e.expr(node.expressions[0])
    if value.kind == kinds.VOID:
        value = e.cast(value, kinds.map_of(kinds.VOID, kinds.VOID))
    if not kinds.is_map(value.kind):
        e.wrong(node, f"{name} of {kinds.in_spark(value.kind)}; expected a map.")
    key = kinds.VOID if value.kind.key_type == kinds.NO_KEY else value.kind.key_type
    kind = {
        "map_keys": key,
        "map_values": value.kind.item_type,
        "map_entries": pa.struct([("key", key), ("value", value.kind.item_type)]),
    }[name]
    return Typed(f"{name}({value.sql})", kinds.array_of(kind), is_window=value.is_window)


@_maps("map_concat", 0, -1, "map_concat(m, n, …)", "SELECT map_concat(map('a', 1), map('b', 2)) AS m")
def _concat(e: Expressions, node: exp.Anonymous) -> Typed:
    if not node.expressions:
        kind = kinds.map_of(kinds.STRING, kinds.STRING)
        return Typed(f"CAST(MAP {{}} AS {kinds.in_duckdb(kind)})", kind)
    values, kind = e.common(node, [map_(e, part, "map_concat") for part in node.expressions], "map_concat")

    def made(*parts: str) -> str:
        keys, items = (
            f"list_concat({', '.join(f'{word}({part})' for part in parts)})" for word in ("map_keys", "map_values")
        )
        return f"map({keys}, {items})"

    return Typed(unless_null(e, values, made) if len(values) > 1 else values[0].sql, kind)


@_maps("map_contains_key", 2, 2, "map_contains_key(m, key)", "SELECT map_contains_key(map('a', 1), 'a') AS b")
def _contains_key(e: Expressions, node: exp.Anonymous) -> Typed:
    value, key = map_(e, node.expressions[0], "map_contains_key"), e.expr(node.expressions[1])
    if key.kind == kinds.VOID:
        e.wrong(node, "map_contains_key of NULL; expected a key.")
    value, key = key_of(e, node, value, key, with_decimals=True)
    return Typed(unless_null(e, [value, key], lambda m, k: f"list_contains(map_keys({m}), {k})"), kinds.BOOL)


def _entry(e: Expressions, value: Typed) -> tuple[str, list[Typed]]:
    """A variable for an entry of a map, and its key and value."""
    one = variable(e, kinds.VOID).sql
    return one, [
        Typed(f"struct_extract({one}, 'key')", value.kind.key_type),
        Typed(f"struct_extract({one}, 'value')", value.kind.item_type),
    ]


@_maps("map_filter", 2, 2, "map_filter(m, (k, v) -> …)", "SELECT map_filter(map('a', 1), (k, v) -> v > 0) AS m")
def _filter(e: Expressions, node: exp.Anonymous) -> Typed:
    value = map_(e, node.expressions[0], "map_filter")
    one, arguments = _entry(e, value)
    kept = condition(e, node.expressions[1], arguments, "map_filter")
    sql = f"map_from_entries(list_filter(map_entries({value.sql}), lambda {one}: {kept.sql}))"
    return Typed(sql, value.kind)


@_maps(
    "transform_keys transform_values",
    2,
    2,
    "transform_keys(m, (k, v) -> …), transform_values(m, (k, v) -> …)",
    "SELECT transform_values(map('a', 1), (k, v) -> v + 1) AS m",
)
def _transform(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    value = map_(e, node.expressions[0], name)
    one, arguments = _entry(e, value)
    made = body(e, node.expressions[1], arguments, name)

    def changed(m: str) -> str:
        new = f"list_transform(map_entries({m}), lambda {one}: {typed(made)})"
        if name == "transform_keys":
            return f"map({new}, map_values({m}))"
        return f"map(map_keys({m}), {new})"

    is_key = name == "transform_keys"
    kind = kinds.map_of(made.kind if is_key else value.kind.key_type, value.kind.item_type if is_key else made.kind)
    _check_key(e, node, kind)
    return Typed(unless_null(e, [value], changed), kind)


@_maps(
    "map_zip_with",
    3,
    3,
    "map_zip_with(m, n, (k, v, w) -> …)",
    "SELECT map_zip_with(map('a', 1), map('a', 2), (k, v, w) -> v + w) AS m",
    note="Over the keys of both; NULL for the value of a map without the key.",
)
def _zip_with(e: Expressions, node: exp.Anonymous) -> Typed:
    maps = [map_(e, part, "map_zip_with") for part in node.expressions[:2]]
    key = tightest(maps[0].kind.key_type, maps[1].kind.key_type)
    if key is None:
        found = " and ".join(kinds.in_spark(value.kind) for value in maps)
        e.wrong(node, f"map_zip_with of {found}; expected keys of one type.")
    maps = [e.cast(value, kinds.map_of(key, value.kind.item_type)) for value in maps]
    one = variable(e, key)
    kind = kinds.VOID

    def zipped(m: str, n: str) -> str:
        nonlocal kind
        arguments = [one, *(value_at(Typed(text, value.kind), one) for text, value in zip((m, n), maps, strict=True))]
        made = body(e, node.expressions[2], arguments, "map_zip_with")
        kind = kinds.map_of(key, made.kind)
        fresh = each(e, f"map_keys({n})", key, lambda k: f"NOT list_contains(map_keys({m}), {k.sql})", "filter")
        keys = Typed(f"list_concat(map_keys({m}), {fresh})", kinds.array_of(key))
        return let(e, [keys], lambda k: f"map({k}, list_transform({k}, lambda {one.sql}: {typed(made)}))")

    return Typed(unless_null(e, maps, zipped), kind)


@_maps(
    "str_to_map",
    1,
    3,
    "str_to_map(s [, between_pairs [, between_key_and_value]])",
    "SELECT str_to_map('a:1,b:2') AS m",
    note="Separators are regular expressions.",
)
def _from_text(e: Expressions, node: exp.Anonymous) -> Typed:
    kind = kinds.map_of(kinds.STRING, kinds.STRING)
    given = [e.expr(part) for part in node.expressions]
    for value in given:
        if value.kind not in (kinds.STRING, kinds.VOID):
            e.wrong(node, f"str_to_map of {kinds.in_spark(value.kind)}; expected text.")
    if any(value.kind == kinds.VOID for value in given):
        return Typed(f"CAST(NULL AS {kinds.in_duckdb(kind)})", kind)
    values = given + [Typed(f"'{text}'", kinds.STRING, literal=text) for text in (",", ":")[len(given) - 1 :]]
    plain = [_plain(value) for value in values[1:]]
    if None not in plain:
        pairs, keys = (kinds.text_literal(str(text)) for text in plain)
        return Typed(unless_null(e, values[:1], lambda s: f"spark_str_to_map({s}, {pairs}, {keys})"), kind)
    return Typed(unless_null(e, values, lambda s, d, k: f"spark_str_to_map_by({s}, {d}, {k})"), kind)


def _plain(value: Typed) -> str | None:
    """The text that a separator, a regular expression, stands for; None where it is more than that."""
    text = value.literal
    if not isinstance(text, str) or not text:
        return None
    if len(text) == 3 and text[0] == "[" and text[2] == "]" and text[1] not in "^\\]":
        return text[1]
    if len(text) == 2 and text[0] == "\\" and not text[1].isalnum():
        return text[1]
    return None if any(c in "\\^$.|?*+()[]{}" for c in text) else text
