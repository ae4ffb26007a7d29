"""Functions over JSON in text: from_json, to_json, schema_of_json, get_json_object and their kin."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import ArrowFunction, arrow_function, function
from thresher.sql.documents import json_paths
from thresher.sql.documents.json_options import JsonOptions, UnknownOption, WrongOption, json_options
from thresher.sql.documents.json_reading import reader
from thresher.sql.documents.json_schemas import schema_text
from thresher.sql.documents.json_tokens import BadJson
from thresher.sql.documents.json_writing import is_written, writer
from thresher.sql.documents.type_texts import NoType, UnknownType, written_type
from thresher.sql.documents.unproven import Unproven
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.queries.generators import Rows, rows_function

_json = partial(function, group="JSON and CSV")
_STRINGS = kinds.array_of(kinds.STRING)


def plain_text(e: Expressions, node: exp.Expr, what: str) -> Typed:
    """A string or NULL: these functions take no other type for it."""
    value = e.expr(node)
    if value.kind not in (kinds.STRING, kinds.VOID):
        e.wrong(node, f"{what} is {kinds.in_spark(value.kind)}; expected string.")
    return e.cast(value, kinds.STRING)


def literal_text(e: Expressions, node: exp.Expr, what: str) -> str:
    """The value of an argument that must be known beforehand."""
    value = e.expr(node)
    if value.kind != kinds.STRING or (not isinstance(value.literal, str) and node.find(exp.Column)):
        e.wrong(node, f"{what} is no constant text; expected a text in quotes.")
    if not isinstance(value.literal, str):
        e.refuse(node, f"{what} that is computed", "write it as a text in quotes")
    return value.literal


def written_options(e: Expressions, node: exp.Anonymous, position: int) -> dict[str, str]:
    """The options map('name', 'value', …) at a position of the arguments, if there is one."""
    if len(node.expressions) <= position:
        return {}
    written = node.expressions[position]
    if not isinstance(written, exp.Anonymous) or written.name.lower() != "map":
        e.wrong(written, f"the options of {node.name} are no map; expected map('name', 'value', …).")
    parts = e.exprs(written.expressions)
    if not parts or len(parts) % 2 or any(part.kind != kinds.STRING for part in parts):
        e.wrong(written, f"the options of {node.name} are not all text; expected map('name', 'value', …).")
    values = [literal_text(e, part, "an option") for part in written.expressions]
    return dict(zip(values[::2], values[1::2], strict=True))


def _options(e: Expressions, node: exp.Anonymous, position: int, *, is_reading: bool = True) -> JsonOptions:
    try:
        return json_options(written_options(e, node, position), is_reading=is_reading)
    except WrongOption as error:
        e.wrong(node, f"{node.name}: {error}.")
    except UnknownOption as error:
        e.refuse(node, f"{node.name} with {error}")


def schema_type(e: Expressions, node: exp.Expr, what: str) -> pa.DataType:
    """The type that an argument's text describes."""
    try:
        return written_type(literal_text(e, node, what))
    except NoType as error:
        e.wrong(node, f"{error}.")
    except UnknownType as error:
        e.refuse(node, f"{what} with {error}")


def made_function(
    name: str, arguments: list[pa.DataType], result: pa.DataType, key: Any, run: Callable[..., pa.Array]
) -> ArrowFunction:
    """A function for these types and this key; equal ones have equal names."""
    # The text of a type does not tell a name with a comma from two names; its bytes do.
    types = pa.schema([(str(n), kind) for n, kind in enumerate([*arguments, result])]).serialize().to_pybytes()
    digest = hashlib.md5(types + repr(key).encode(), usedforsecurity=False).hexdigest()[:16]
    return ArrowFunction(
        f"spark_{name}_{digest}", [kinds.in_duckdb(kind) for kind in arguments], kinds.in_duckdb(result), run
    )


@_json(
    "from_json",
    2,
    3,
    "from_json(s, 'a INT, b ARRAY<STRING>' [, map('option', 'value', …)])",
    """SELECT from_json('{"a": 1}', 'a INT').a AS a""",
    note="The schema is a text or schema_of_json('…'), in DDL or JSON, of a struct, an array or a map. A field of "
    "another type is NULL, and so are all fields of a text that is no JSON. Options: mode, columnNameOfCorruptRecord, "
    "dateFormat, timestampFormat, timestampNTZFormat, allow….",
)
def _from_json(e: Expressions, node: exp.Anonymous) -> Typed:
    text = plain_text(e, node.expressions[0], "the first argument of from_json")
    kind = schema_type(e, node.expressions[1], "the schema of from_json")
    options = _options(e, node, 2)
    _check_schema(e, node, kind, options)
    made = made_function("from_json", [kinds.STRING], kind, options, reader(kind, options))
    return Typed(f"{e.function(made)}({text.sql})", kind)


def _check_schema(e: Expressions, node: exp.Expr, kind: pa.DataType, options: JsonOptions) -> None:
    if kinds.is_atomic(kind):
        e.wrong(node, f"the schema of from_json is {kinds.in_spark(kind)}; expected a struct, an array or a map.")
    if _has_other_keys(kind):
        e.wrong(node, f"the schema of from_json is {kinds.in_spark(kind)}; expected maps with keys of type string.")
    if kinds.is_struct(kind):
        for field in kind:
            if field.name == options.corrupt_column and field.type != kinds.STRING:
                e.wrong(node, f"the column {field.name} is {kinds.in_spark(field.type)}; expected string.")


def _has_other_keys(kind: pa.DataType) -> bool:
    if kinds.is_map(kind):
        return kind.key_type != kinds.STRING or _has_other_keys(kind.item_type)
    if kinds.is_array(kind):
        return _has_other_keys(kind.value_type)
    return kinds.is_struct(kind) and any(_has_other_keys(field.type) for field in kind)


@_json(
    "to_json",
    1,
    2,
    "to_json(a [, map('option', 'value', …)])",
    "SELECT to_json(named_struct('a', 1, 'b', NULL)) AS j",
    note="Of a struct, an array or a map. Fields that are NULL are left out. Options: ignoreNullFields, dateFormat, "
    "timestampFormat, timestampNTZFormat.",
)
def _to_json(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    options = _options(e, node, 1, is_reading=False)
    if value.kind == kinds.VOID:
        return e.cast(value, kinds.STRING)
    if kinds.is_atomic(value.kind):
        e.wrong(node, f"to_json of {kinds.in_spark(value.kind)}; expected a struct, an array or a map.")
    if not is_written(value.kind):
        e.refuse(node, f"to_json of {kinds.in_spark(value.kind)}")
    made = made_function("to_json", [value.kind], kinds.STRING, options, writer(value.kind, options))
    return Typed(f"{e.function(made)}({value.sql})", kinds.STRING)


@_json(
    "schema_of_json",
    1,
    2,
    "schema_of_json('…' [, map('option', 'value', …)])",
    """SELECT schema_of_json('{"a": [1.5]}') AS s""",
    note="Of a text in quotes. Options: allow…, primitivesAsString, prefersDecimal, dropFieldIfAllNull.",
)
def _schema_of_json(e: Expressions, node: exp.Anonymous) -> Typed:
    text = literal_text(e, node.expressions[0], "the argument of schema_of_json")
    try:
        found = schema_text(text, _options(e, node, 1))
    except BadJson as error:
        e.wrong(node, f"schema_of_json: {error}.")
    except Unproven as error:
        e.refuse(node, str(error))
    return Typed(kinds.text_literal(found), kinds.STRING, literal=found)


@_json(
    "get_json_object",
    2,
    2,
    "get_json_object(s, '$.a.b[0]')",
    """SELECT get_json_object('{"a": [{"b": 1}, {"b": 2}]}', '$.a[*].b') AS j""",
    note="$.name, $['name'], [n], [*]. Text comes without quotes; NULL where nothing is found or s is no JSON.",
)
def _get_json_object(e: Expressions, node: exp.Anonymous) -> Typed:
    text, path = (plain_text(e, part, "an argument of get_json_object") for part in node.expressions)
    return Typed(f"spark_get_json_object({text.sql}, {path.sql})", kinds.STRING)


@arrow_function("spark_get_json_object", ["VARCHAR", "VARCHAR"], "VARCHAR")
def _objects(texts: pa.Array, paths: pa.Array) -> pa.Array:
    pairs = zip(texts.to_pylist(), paths.to_pylist(), strict=True)
    found = [None if text is None or path is None else json_paths.at_path(text, path) for text, path in pairs]
    return pa.array(found, pa.string())


@_json(
    "json_array_length",
    1,
    1,
    "json_array_length(s) → int",
    "SELECT json_array_length('[1, [2, 3]]') AS n",
    note="NULL for anything but an array.",
)
def _json_array_length(e: Expressions, node: exp.Anonymous) -> Typed:
    text = plain_text(e, node.expressions[0], "the argument of json_array_length")
    return Typed(f"spark_json_array_length({text.sql})", kinds.INT)


@arrow_function("spark_json_array_length", ["VARCHAR"], "INTEGER")
def _lengths(texts: pa.Array) -> pa.Array:
    found = [None if text is None else json_paths.array_length(text) for text in texts.to_pylist()]
    return pa.array(found, pa.int32())


@_json(
    "json_object_keys",
    1,
    1,
    "json_object_keys(s)",
    """SELECT json_object_keys('{"a": 1, "b": {"c": 2}}') AS k""",
    note="The names of the fields; NULL for anything but an object.",
)
def _json_object_keys(e: Expressions, node: exp.Anonymous) -> Typed:
    text = plain_text(e, node.expressions[0], "the argument of json_object_keys")
    return Typed(f"spark_json_object_keys({text.sql})", _STRINGS)


@arrow_function("spark_json_object_keys", ["VARCHAR"], "VARCHAR[]")
def _object_keys(texts: pa.Array) -> pa.Array:
    found = [None if text is None else json_paths.object_keys(text) for text in texts.to_pylist()]
    return pa.array(found, _STRINGS)


@rows_function(
    "json_tuple",
    "json_tuple(s, 'a', 'b', …)",
    """SELECT json_tuple('{"a": 1, "b": "x"}', 'a', 'b') AS (a, b)""",
    note="One row with the texts of the fields, as get_json_object gives them. Columns: c0, c1, …",
)
def _json_tuple(e: Expressions, node: exp.Anonymous, is_outer: bool) -> Rows:
    values = e.exprs(node.expressions)
    if len(values) < 2 or any(value.kind != kinds.STRING for value in values):
        e.wrong(node, f"json_tuple of {len(values)} arguments; expected a text and the names of fields, all strings.")
    text, *names = [value.sql for value in values]
    columns = ", ".join(f"list_extract(found, {n}) AS c{n}" for n in range(1, len(values)))
    sql = f"SELECT {columns} FROM (SELECT spark_json_tuple({text}, [{', '.join(names)}]) AS found)"
    return sql, [(f"c{n}", kinds.STRING) for n in range(len(names))]


@arrow_function("spark_json_tuple", ["VARCHAR", "VARCHAR[]"], "VARCHAR[]")
def _tuples(texts: pa.Array, names: pa.Array) -> pa.Array:
    pairs = zip(texts.to_pylist(), names.to_pylist(), strict=True)
    found = [[None] * len(wanted) if text is None else json_paths.fields(text, wanted) for text, wanted in pairs]
    return pa.array(found, _STRINGS)
