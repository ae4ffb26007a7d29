"""Spark's types and their arithmetic, on Arrow types: what an expression's type is, and what widens to what.

Source: Spark 4 SQL reference, "ANSI compliance" and `DecimalType`; `pa.null()` is the type of NULL (Spark's void).
"""

from typing import Any

import pyarrow as pa

from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

BOOL, STRING, BINARY, DATE, VOID = pa.bool_(), pa.string(), pa.binary(), pa.date32(), pa.null()
NO_KEY = pa.struct([])  # the void key of map(), which Arrow's maps cannot have
TINYINT, SMALLINT, INT, BIGINT = pa.int8(), pa.int16(), pa.int32(), pa.int64()
FLOAT, DOUBLE = pa.float32(), pa.float64()

INTEGERS = (TINYINT, SMALLINT, INT, BIGINT)
_DIGITS = {TINYINT: 3, SMALLINT: 5, INT: 10, BIGINT: 20}
_WORDS = {
    BOOL: ("boolean", "BOOLEAN"),
    TINYINT: ("tinyint", "TINYINT"),
    SMALLINT: ("smallint", "SMALLINT"),
    INT: ("int", "INTEGER"),
    BIGINT: ("bigint", "BIGINT"),
    FLOAT: ("float", "FLOAT"),
    DOUBLE: ("double", "DOUBLE"),
    STRING: ("string", "VARCHAR"),
    BINARY: ("binary", "BLOB"),
    DATE: ("date", "DATE"),
    TIMESTAMP: ("timestamp", "TIMESTAMPTZ"),
    TIMESTAMP_NTZ: ("timestamp_ntz", "TIMESTAMP"),
    VOID: ("void", "INTEGER"),
    NO_KEY: ("void", "INTEGER"),
}
MAX_PRECISION = 38
_FIELDS = ("year", "month", "day", "hour", "minute", "second")


class Interval(pa.ExtensionType):
    """Spark's interval of a first to a last field; DuckDB counts whole months, or microseconds.

    >>> in_spark(Interval("day", "second")), in_spark(Interval("month", "month"))
    ('interval day to second', 'interval month')
    """

    def __init__(self, first: str, last: str) -> None:
        self.first, self.last = first, last
        self.is_months = first in ("year", "month")
        super().__init__(pa.int32() if self.is_months else pa.int64(), f"thresher.interval.{first}.{last}")

    def __arrow_ext_serialize__(self) -> bytes:
        return f"{self.first} {self.last}".encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> "Interval":
        return cls(*serialized.decode().split())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Interval) and (self.first, self.last) == (other.first, other.last)

    def __hash__(self) -> int:
        return hash((self.first, self.last))


DAYS, DAY_TIME, YEAR_MONTH = Interval("day", "day"), Interval("day", "second"), Interval("year", "month")


def in_spark(kind: pa.DataType) -> str:
    """A type in Spark's words.

    >>> in_spark(array_of(pa.struct([("a", pa.decimal128(5, 2))])))
    'array<struct<a:decimal(5,2)>>'
    """
    if is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if is_array(kind):
        return f"array<{in_spark(kind.value_type)}>"
    if is_map(kind):
        return f"map<{in_spark(kind.key_type)},{in_spark(kind.item_type)}>"
    if is_struct(kind) and kind != NO_KEY:
        return "struct<" + ",".join(f"{field.name}:{in_spark(field.type)}" for field in kind) + ">"
    if isinstance(kind, Interval):
        return f"interval {kind.first}" + (f" to {kind.last}" if kind.last != kind.first else "")
    return _WORDS[kind][0]


def in_duckdb(kind: pa.DataType) -> str:
    """A type in DuckDB's words.

    >>> in_duckdb(array_of(pa.struct([("a b", pa.int64())])))
    'STRUCT("a b" BIGINT)[]'
    """
    if is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if is_array(kind):
        return f"{in_duckdb(kind.value_type)}[]"
    if is_map(kind):
        return f"MAP({in_duckdb(kind.key_type)}, {in_duckdb(kind.item_type)})"
    if is_struct(kind) and kind != NO_KEY:
        return "STRUCT(" + ", ".join(f"{quoted(field.name)} {in_duckdb(field.type)}" for field in kind) + ")"
    if isinstance(kind, Interval):
        return "INTEGER" if kind.is_months else "BIGINT"
    return _WORDS[kind][1]


def quoted(name: str) -> str:
    """A name in DuckDB's quotes."""
    return '"' + name.replace('"', '""') + '"'


def kept(sql: str) -> str:
    """A number that DuckDB's optimizer does not see through.

    In comparisons with constants, DuckDB 1.5.6 makes a > 4 out of a + 1 > 5 and leaves out casts of whole numbers and
    decimals; the overflow that is an error in Spark would go unseen.
    """
    return f"least({sql})"


def text_literal(text: str) -> str:
    """A string in DuckDB's quotes; a NUL character, which no literal can hold, by chr(0)."""
    parts = ["'" + part.replace("'", "''") + "'" for part in text.split("\0")]
    return parts[0] if len(parts) == 1 else "(" + " || chr(0) || ".join(parts) + ")"


def array_of(kind: pa.DataType) -> pa.DataType:
    """The array type in the shared form."""
    return pa.list_(pa.field("element", kind))


def map_of(key: pa.DataType, value: pa.DataType) -> pa.DataType:
    """The map type in the shared form."""
    key = NO_KEY if key == VOID else key
    return pa.map_(pa.field("key", key, nullable=False), pa.field("value", value))


def is_decimal(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind))


def is_array(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind))


def is_map(kind: pa.DataType) -> bool:
    return bool(pa.types.is_map(kind))


def is_struct(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind))


def is_atomic(kind: pa.DataType) -> bool:
    """Not nested."""
    return not (is_array(kind) or is_struct(kind) or is_map(kind))


def is_exact(kind: pa.DataType) -> bool:
    """An integer or a decimal."""
    return kind in INTEGERS or is_decimal(kind)


def is_number(kind: pa.DataType) -> bool:
    return is_exact(kind) or kind in (FLOAT, DOUBLE)


def is_orderable(kind: pa.DataType) -> bool:
    """May be compared, sorted, grouped: everything but nested types, whose order is not proven equal."""
    return not (is_array(kind) or is_struct(kind) or is_map(kind))


def is_groupable(kind: pa.DataType) -> bool:
    """May be a value that stands for its group: all but floating numbers, of which a group may hold two zeros."""
    if is_array(kind):
        return is_groupable(kind.value_type)
    if is_struct(kind):
        return all(is_groupable(field.type) for field in kind)
    if is_map(kind):
        return False
    return kind not in (FLOAT, DOUBLE)


def as_decimal(kind: pa.DataType, literal: Any = None) -> pa.DataType:
    """The decimal that Spark takes for an exact number; an integer literal counts only the digits that it has."""
    if is_decimal(kind):
        return kind
    if isinstance(literal, int) and not isinstance(literal, bool):
        return pa.decimal128(max(1, len(str(abs(literal)))), 0)
    return pa.decimal128(_DIGITS[kind], 0)


def wider(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both, exactly and as Spark finds it; None where there is none.

    >>> wider(INT, pa.decimal128(5, 2)), wider(VOID, STRING), wider(STRING, INT) is None
    (Decimal128Type(decimal128(12, 2)), DataType(string), True)
    """
    if left == right or right in (VOID, NO_KEY):
        return left
    if left in (VOID, NO_KEY):
        return right
    if left in INTEGERS and right in INTEGERS:
        return max(left, right, key=INTEGERS.index)
    if is_exact(left) and is_exact(right):
        a, b = as_decimal(left), as_decimal(right)
        scale = max(a.scale, b.scale)
        precision = max(a.precision - a.scale, b.precision - b.scale) + scale
        return pa.decimal128(precision, scale) if precision <= MAX_PRECISION else None
    if DOUBLE in (left, right) and all(kind in (*INTEGERS, FLOAT, DOUBLE) for kind in (left, right)):
        return DOUBLE
    if isinstance(left, Interval) and isinstance(right, Interval) and left.is_months == right.is_months:
        first = min(left.first, right.first, key=_FIELDS.index)
        return Interval(first, max(left.last, right.last, key=_FIELDS.index))
    if is_array(left) and is_array(right):
        element = wider(left.value_type, right.value_type)
        return array_of(element) if element is not None else None
    if is_map(left) and is_map(right):
        key, value = wider(left.key_type, right.key_type), wider(left.item_type, right.item_type)
        return map_of(key, value) if key is not None and value is not None else None
    if is_struct(left) and is_struct(right) and [f.name for f in left] == [f.name for f in right]:
        fields = [(a.name, wider(a.type, b.type)) for a, b in zip(left, right, strict=True)]
        return None if any(kind is None for _, kind in fields) else pa.struct(fields)
    return None


_INSTANTS = (DATE, TIMESTAMP_NTZ, TIMESTAMP)


def common(left: pa.DataType, right: pa.DataType, *, with_text: bool = True) -> pa.DataType | None:
    """The type in which Spark brings two values together (CASE, coalesce, UNION, comparisons); None where it refuses.

    Text takes the type of what it meets (integers: bigint; other numbers: double), unless `with_text` is False.

    >>> common(STRING, INT), common(INT, FLOAT), common(BOOL, INT) is None
    (DataType(int64), DataType(double), True)
    >>> common(pa.decimal128(38, 0), pa.decimal128(2, 1))
    Decimal128Type(decimal128(38, 0))
    """
    if (kind := wider(left, right)) is not None:
        return kind
    if is_exact(left) and is_exact(right):
        a, b = as_decimal(left), as_decimal(right)
        whole = max(a.precision - a.scale, b.precision - b.scale)
        return pa.decimal128(MAX_PRECISION, max(0, min(max(a.scale, b.scale), MAX_PRECISION - whole)))
    if is_number(left) and is_number(right):
        return DOUBLE
    if left in _INSTANTS and right in _INSTANTS:
        return max(left, right, key=_INSTANTS.index)
    if STRING in (left, right):
        other = right if left == STRING else left
        if not with_text or is_array(other) or is_struct(other) or is_map(other) or isinstance(other, Interval):
            return None
        return BIGINT if other in INTEGERS else DOUBLE if is_number(other) else other
    if is_array(left) and is_array(right):
        element = common(left.value_type, right.value_type, with_text=with_text)
        return array_of(element) if element is not None else None
    if is_map(left) and is_map(right):
        key = common(left.key_type, right.key_type, with_text=with_text)
        value = common(left.item_type, right.item_type, with_text=with_text)
        return map_of(key, value) if key is not None and value is not None else None
    if is_struct(left) and is_struct(right) and [f.name.lower() for f in left] == [f.name.lower() for f in right]:
        kinds = [common(a.type, b.type, with_text=with_text) for a, b in zip(left, right, strict=True)]
        return None if None in kinds else pa.struct(list(zip([f.name for f in left], kinds, strict=True)))
    return None
