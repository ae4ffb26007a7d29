"""The column types that both engines and Delta tables share, as Arrow types and in Spark's words.

Everything between two steps has one of these Arrow types: bool, int8–int64, float32, float64, decimal128, string,
binary, date32, timestamp[us] with zone UTC (an instant) or without zone, and list, map and struct of them. The result
of a query may also hold null (NULL without a type), which no table can store.
"""

from collections.abc import Iterable

import pyarrow as pa

from thresher.errors import SchemaMismatch

TIMESTAMP = pa.timestamp("us", tz="UTC")
TIMESTAMP_NTZ = pa.timestamp("us")

_DDL = {
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.date32(): "date",
    TIMESTAMP: "timestamp",
    TIMESTAMP_NTZ: "timestamp_ntz",
    pa.null(): "void",
}

# Arrow types whose every value fits the type on the right.
_WIDENED = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
}


def canonical(kind: pa.DataType, path: str = "value") -> pa.DataType:
    """The shared type that holds every value of an Arrow type.

    Raises SchemaMismatch for a type that Delta tables cannot hold (time, duration, union, …).

    >>> canonical(pa.large_string()), canonical(pa.timestamp("ms"))
    (DataType(string), TimestampType(timestamp[us]))
    """
    if kind in _DDL:
        return kind
    if kind in _WIDENED:
        return _WIDENED[kind]
    if pa.types.is_dictionary(kind):
        return canonical(kind.value_type, path)
    if pa.types.is_decimal(kind) and kind.precision <= 38 and 0 <= kind.scale <= kind.precision:
        return pa.decimal128(kind.precision, kind.scale)
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind):  # nanoseconds that are not whole microseconds are refused where values are cast
        return TIMESTAMP if kind.tz else TIMESTAMP_NTZ
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", canonical(kind.value_type, f"{path}[]")))
    if pa.types.is_map(kind):
        key, item = canonical(kind.key_type, f"{path}{{key}}"), canonical(kind.item_type, f"{path}{{}}")
        return pa.map_(pa.field("key", key, nullable=False), pa.field("value", item))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, canonical(f.type, f"{path}.{f.name}")) for f in kind])
    raise SchemaMismatch(
        f"column {path}: type {kind} cannot be stored in a Delta table. "
        f"Expected one of boolean, integers, float, double, decimal, string, binary, date, timestamp (microseconds), "
        f"array, map, struct. Cast the column first."
    )


def canonical_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with every column in its shared type, nullable, without metadata."""
    return pa.schema([pa.field(f.name, canonical(f.type, f.name)) for f in schema])


def ddl(kind: pa.DataType) -> str:
    """An Arrow type in Spark's words.

    >>> ddl(pa.struct([("a", pa.int64()), ("b", pa.list_(pa.decimal128(5, 2)))]))
    'struct<a: bigint, b: array<decimal(5,2)>>'
    """
    kind = canonical(kind)
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_list(kind):
        return f"array<{ddl(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{ddl(kind.key_type)}, {ddl(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ", ".join(f"{_shown(f.name)}: {ddl(f.type)}" for f in kind) + ">"
    return _DDL[kind]


def has_void(kind: pa.DataType) -> bool:
    """NULL without a type, or a nested type that holds one.

    >>> has_void(pa.null()), has_void(pa.list_(pa.int8())), has_void(pa.struct([("a", pa.null())]))
    (True, False, True)
    """
    return bool(kind == pa.null()) or any(has_void(kind.field(n).type) for n in range(kind.num_fields))


def quoted(name: str) -> str:
    """A name as it is safe in Spark SQL, whatever word it is.

    >>> quoted("select"), quoted("cbc:ID")
    ('`select`', '`cbc:ID`')
    """
    return "`" + name.replace("`", "``") + "`"


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, or the name with underscores before it, so that no column has it yet.

    >>> unused("_n", ["a", "_N"])
    '__n'
    """
    lower = {other.lower() for other in taken}
    while name.lower() in lower:
        name = f"_{name}"
    return name


def _shown(name: str) -> str:
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    return name if plain else quoted(name)
