"""Spark's text form of a schema, read into Arrow types."""

import re

import pyarrow as pa

from thresher.errors import UsageError
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_TOKEN = re.compile(r"\s*(`(?:[^`]|``)+`|'(?:[^'\\]|\\.)*'|\w+|[<>(),:])")
_TYPES = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "byte": pa.int8(),
    "smallint": pa.int16(),
    "short": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "long": pa.int64(),
    "float": pa.float32(),
    "real": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": TIMESTAMP,
    "timestamp_ltz": TIMESTAMP,
    "timestamp_ntz": TIMESTAMP_NTZ,
}
_DECIMALS = ("decimal", "dec", "numeric")
LONGEST_SHOWN = 200


def struct_type(text: str) -> pa.StructType:
    """The struct that `struct<a: int, …>` or a list of columns (`a int, b array<string>`) describes.

    Raises UsageError with the place where the text cannot be read, or for a type that XML values cannot have.

    >>> struct_type("id int, `x:y` array<struct<v: decimal(5,2)>>").names
    ['id', 'x:y']
    """
    reader = _Reader(text)
    if reader.peek().lower() == "struct" and reader.peek(1) == "<":
        found = reader.type()
    else:
        found = reader.columns(end="")
    reader.expect("")
    return found


def table_schema(text: str) -> pa.Schema:
    """The columns that the text describes, as `struct_type` reads it; NOT NULL columns are not nullable.

    >>> table_schema("id int NOT NULL, name string").field("id").nullable
    False
    """
    reader = _Reader(text)
    found = reader.columns(end="")
    reader.expect("")
    return pa.schema([field.with_nullable(field.name not in reader.required) for field in found])


class _Reader:
    """Reads tokens from left to right; `required` are the columns that were written NOT NULL."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, int]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if not found:
                raise self.error("a name, a type or one of < > ( ) , :", at + len(text[at:]) - len(text[at:].lstrip()))
            self.tokens.append((found[1], found.start(1)))
            at = found.end()
        self.tokens.append(("", len(text)))
        self.next = 0
        self.required: set[str] = set()

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[min(self.next + ahead, len(self.tokens) - 1)][0]

    def take(self) -> str:
        token = self.peek()
        self.next += 1
        return token

    def expect(self, token: str) -> None:
        if self.peek() != token:
            raise self.error(repr(token) if token else "the end")
        self.take()

    def error(self, expected: str, at: int | None = None) -> UsageError:
        at = self.tokens[self.next][1] if at is None else at
        found = self.text[at : at + 20] or "the end"
        shown = self.text if len(self.text) <= LONGEST_SHOWN else f"{self.text[:LONGEST_SHOWN]}…"
        return UsageError(f"schema {shown!r}: at character {at + 1}: found {found!r}; expected {expected}")

    def columns(self, end: str) -> pa.StructType:
        columns: list[pa.Field] = []
        seen: set[str] = set()
        while self.peek() != end:
            if columns:
                self.expect(",")
            start = self.tokens[self.next][1]
            column = pa.field(self.name(), self.column_type())
            if column.name.lower() in seen:
                raise self.error("a name that is not there yet (upper and lower case are the same)", start)
            seen.add(column.name.lower())
            columns.append(column)
            self.constraints(column.name, is_top=not end)
        return pa.struct(columns)

    def name(self) -> str:
        token = self.take()
        if token.startswith("`"):
            return token[1:-1].replace("``", "`")
        if not re.fullmatch(r"\w+", token):
            self.next -= 1
            raise self.error("the name of a column")
        return token

    def column_type(self) -> pa.DataType:
        if self.peek() == ":":
            self.take()
        return self.type()

    def constraints(self, name: str, *, is_top: bool) -> None:
        """NOT NULL, which only a table holds its rows to; a comment says nothing about the type."""
        if self.peek().lower() == "not":
            self.required |= {name} if is_top else set()
            self.take()
            if self.take().lower() != "null":
                self.next -= 1
                raise self.error("NULL after NOT")
        if self.peek().lower() == "comment":
            self.take()
            self.take()

    def type(self) -> pa.DataType:
        kind = self.take().lower()
        if kind in _TYPES:
            return _TYPES[kind]
        if kind in _DECIMALS:
            return self.decimal()
        if kind in ("varchar", "char"):
            self.expect("(")
            self.take()
            self.expect(")")
            return pa.string()
        if kind == "array":
            self.expect("<")
            element = self.type()
            self.expect(">")
            if pa.types.is_list(element):
                self.next -= 1
                raise self.error("array of a scalar or a struct; XML has no array of arrays")
            return pa.list_(pa.field("element", element))
        if kind == "map":
            return self.map()
        if kind == "struct":
            self.expect("<")
            found = self.columns(end=">")
            self.expect(">")
            return found
        self.next -= 1
        raise self.error(f"one of {', '.join([*_TYPES, 'decimal(p,s)', 'array<…>', 'map<string,…>', 'struct<…>'])}")

    def map(self) -> pa.MapType:
        self.expect("<")
        if self.peek().lower() != "string":
            raise self.error("string: the keys of a map are the names of elements and attributes")
        self.take()
        self.expect(",")
        start = self.tokens[self.next][1]
        entry = self.type()
        if pa.types.is_list(entry):
            raise self.error("a scalar, a struct or a map: what comes last under a name is its value", start)
        self.expect(">")
        return pa.map_(pa.field("key", pa.string(), nullable=False), pa.field("value", entry))

    def decimal(self) -> pa.DataType:
        start = self.next - 1
        precision, scale = 10, 0
        if self.peek() == "(":
            self.take()
            precision = self.number()
            if self.peek() == ",":
                self.take()
                scale = self.number()
            self.expect(")")
        if not 1 <= precision <= 38 or scale > precision:
            raise self.error("decimal(p,s) with 1 ≤ p ≤ 38 and s ≤ p", self.tokens[start][1])
        return pa.decimal128(precision, scale)

    def number(self) -> int:
        if not self.peek().isdigit():
            raise self.error("a number of digits")
        return int(self.take())
