"""Types written as text, as Spark's functions over JSON, CSV and XML take them: DDL or JSON, to Arrow types."""

import json
import re
from typing import Any

import pyarrow as pa

from thresher.sql import kinds
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_TOKEN = re.compile(r"""\s*(`(?:[^`]|``)+`|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[A-Za-z0-9_]+|[<>(),:])""")
_NUMBER_LIKE = re.compile(r"[0-9]+(?:[eE][0-9]+)?(?:[lLsSyYfFdD]|[bB][dD])?")
_WORDS = {
    "boolean": kinds.BOOL,
    "tinyint": kinds.TINYINT,
    "byte": kinds.TINYINT,
    "smallint": kinds.SMALLINT,
    "short": kinds.SMALLINT,
    "int": kinds.INT,
    "integer": kinds.INT,
    "bigint": kinds.BIGINT,
    "long": kinds.BIGINT,
    "float": kinds.FLOAT,
    "real": kinds.FLOAT,
    "double": kinds.DOUBLE,
    "string": kinds.STRING,
    "binary": kinds.BINARY,
    "date": kinds.DATE,
    "timestamp": TIMESTAMP,
    "timestamp_ltz": TIMESTAMP,
    "timestamp_ntz": TIMESTAMP_NTZ,
}
_DECIMALS = ("decimal", "dec", "numeric")
# Types of Spark that have no shared type, or whose rules for values are not known here.
_OTHERS = ("interval", "variant", "void", "geometry", "geography")
_JSON_DECIMAL = re.compile(r"decimal\((\d+),\s*(-?\d+)\)")


class NoType(ValueError):
    """Spark rejects the text, too."""


class UnknownType(ValueError):
    """The text may be a type of Spark, but not one that is known here."""


def written_type(text: str) -> pa.DataType:
    """The type that a text describes: the columns of a table, a type, or Spark's JSON for a type.

    >>> written_type("a INT, b ARRAY<STRING>") == written_type("struct<a: int, b: array<string>>")
    True
    >>> written_type('{"type":"array","elementType":"long","containsNull":true}').value_type
    DataType(int64)
    """
    if text.lstrip()[:1] in ("{", '"'):
        return _of_json(text)
    reader = _Reader(text)
    if reader.is_type():
        found = reader.type()
    else:
        found = reader.columns("", with_colon=False)
    reader.expect("")
    return found


def quoted_name(name: str) -> str:
    """The name of a field as Spark writes it in the text of a type.

    >>> quoted_name("a_1"), quoted_name("1a"), quoted_name("é`")
    ('a_1', '`1a`', '`é```')
    """
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else "`" + name.replace("`", "``") + "`"


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if not found:
                rest = text[at:].lstrip()
                kind = UnknownType if rest.startswith(("--", "/*")) else NoType
                raise kind(f"schema {text!r}: found {rest[:20]!r}; expected a name, a type or one of < > ( ) , :")
            self.tokens.append(found[1])
            at = found.end()
        self.tokens += ["", ""]
        self.next = 0

    def peek(self) -> str:
        return self.tokens[self.next]

    def take(self) -> str:
        token = self.peek()
        self.next += token != ""
        return token

    def expect(self, token: str) -> None:
        if self.peek() != token:
            self.wrong(repr(token) if token else "the end")
        self.take()

    def wrong(self, expected: str) -> None:
        raise NoType(f"schema {self.text!r}: found {self.peek() or 'the end'!r}; expected {expected}")

    def is_type(self) -> bool:
        """Whether the text is one type: a word alone, or one with brackets."""
        return self.tokens[1] in ("<", "(") or not self.tokens[1]

    def columns(self, end: str, *, with_colon: bool) -> pa.DataType:
        fields: list[pa.Field] = []
        while not (end and not fields and self.peek() == end):
            name = self.name()
            if with_colon and self.peek() == ":":
                self.take()
            fields.append(pa.field(name, self.type()))
            self.constraints()
            if self.peek() != ",":
                break
            self.take()
        if len({f.name.lower() for f in fields}) != len(fields):
            raise UnknownType(f"fields of the same name in the schema {self.text!r}")
        if not fields:
            raise UnknownType("a struct without fields")
        return pa.struct(fields)

    def name(self) -> str:
        token = self.peek()
        if token.startswith("`"):
            return self.take()[1:-1].replace("``", "`")
        if not re.fullmatch(r"\w+", token) or _NUMBER_LIKE.fullmatch(token):
            self.wrong("the name of a column")
        return self.take()

    def constraints(self) -> None:
        """Columns may be NULL whatever is written, and a comment says nothing about the type."""
        if self.peek().lower() == "not":
            self.take()
            if self.take().lower() != "null":
                self.wrong("NULL after NOT")
        if self.peek().lower() == "comment":
            self.take()
            if self.take()[:1] not in ("'", '"'):
                self.wrong("a text after COMMENT")

    def type(self) -> pa.DataType:
        word = self.take().lower()
        if word in _WORDS:
            if self.peek().lower() == "collate":
                raise UnknownType(f"COLLATE in the schema {self.text!r}")
            return _WORDS[word]
        if word in _DECIMALS:
            return self.decimal()
        if word in ("array", "map", "struct"):
            self.expect("<")
            found = self.nested(word)
            self.expect(">")
            return found
        if word in _OTHERS:
            raise UnknownType(f"type {word}")
        self.next -= 1
        self.wrong("a type")

    def nested(self, word: str) -> pa.DataType:
        if word == "array":
            return kinds.array_of(self.type())
        if word == "struct":
            return self.columns(">", with_colon=True)
        key = self.type()
        self.expect(",")
        return kinds.map_of(key, self.type())

    def decimal(self) -> pa.DataType:
        precision, scale = 10, 0
        if self.peek() == "(":
            self.take()
            precision = self.number()
            if self.peek() == ",":
                self.take()
                scale = self.number()
            self.expect(")")
        return _decimal(precision, scale)

    def number(self) -> int:
        if not self.peek().isdigit():
            self.wrong("a number of digits")
        return int(self.take())


def _decimal(precision: int, scale: int) -> pa.DataType:
    if not 1 <= precision <= kinds.MAX_PRECISION or not 0 <= scale <= precision:
        raise NoType(f"decimal({precision},{scale}) is not a type; expected 1 to 38 digits and a scale within")
    return pa.decimal128(precision, scale)


def _of_json(text: str) -> pa.DataType:
    try:
        return _of_plain(json.loads(text))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError):
        raise UnknownType(f"the schema {text!r}") from None


def _of_plain(plain: Any) -> pa.DataType:
    if isinstance(plain, str):
        if plain in _WORDS:
            return _WORDS[plain]
        found = _JSON_DECIMAL.fullmatch(plain)
        if found:
            return _decimal(int(found[1]), int(found[2]))
        raise UnknownType(f"type {plain}")
    if plain["type"] == "struct":
        fields = [pa.field(f["name"], _of_plain(f["type"])) for f in plain["fields"]]
        if (
            not fields
            or len({f.name.lower() for f in fields}) != len(fields)
            or any(f["metadata"] for f in plain["fields"])
        ):
            raise UnknownType("a struct without fields, with metadata, or with fields of the same name")
        return pa.struct(fields)
    if plain["type"] == "array":
        return kinds.array_of(_of_plain(plain["elementType"]))
    if plain["type"] == "map":
        return kinds.map_of(_of_plain(plain["keyType"]), _of_plain(plain["valueType"]))
    raise UnknownType(f"type {plain['type']}")
