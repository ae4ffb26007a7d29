"""from_json: documents into values of one type, as Spark reads them with Jackson.

A text that is JSON by the letter is read by Python's own parser and converted as a whole (`of`). Any other text is read
token by token (`read`), since Spark keeps what it had read before an error, and reads on behind it. What goes wrong
within a document is noted in `marks`: Spark calls the document corrupt, but keeps its other fields.
"""

from collections.abc import Callable
from typing import Any, Protocol

import pyarrow as pa

from thresher.sql import kinds
from thresher.sql.documents.json_options import JsonOptions
from thresher.sql.documents.json_scalars import scalar
from thresher.sql.documents.json_text import copied, copied_tokens, strict_value, utf8
from thresher.sql.documents.json_tokens import ARRAY, END_ARRAY, END_OBJECT, NAME, NULL, OBJECT, BadJson, Tokens
from thresher.sql.documents.unproven import Unproven, not_too_deep

Marks = list[bool]


class Converter(Protocol):
    """Reads values of one type."""

    def of(self, value: Any, marks: Marks) -> Any:
        """A value of a document read as a whole. Raises BadJson for one of another type."""
        ...

    def read(self, tokens: Tokens, marks: Marks) -> Any:
        """The value at the current token, or behind a name. Raises BadJson."""
        ...


def reader(kind: pa.DataType, options: JsonOptions) -> Callable[[pa.Array], pa.Array]:
    """The function from texts to an array of a struct, array or map type."""
    document = _Document(kind, options)

    def run(texts: pa.Array) -> pa.Array:
        return _as_array([None if text is None else document.of(text) for text in texts.to_pylist()], kind)

    return run


def _as_array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if not kinds.is_struct(kind):
        return pa.array(values, kind)
    columns = [pa.array([None if row is None else row[field.name] for row in values], field.type) for field in kind]
    return pa.StructArray.from_arrays(columns, fields=list(kind), mask=pa.array([row is None for row in values]))


class _Document:
    """Reads whole documents: what may stand at the top, and what comes of a corrupt one."""

    def __init__(self, kind: pa.DataType, options: JsonOptions) -> None:
        self.options = options
        self.corrupt: str | None = None
        self.names: list[str] = []
        if kinds.is_struct(kind):
            self.names = [field.name for field in kind]
            self.corrupt = options.corrupt_column if options.corrupt_column in self.names else None
            kind = pa.struct([field for field in kind if field.name != self.corrupt])
        self.converter = converter(kind, options)
        self.element = self.converter.element if isinstance(self.converter, _Array) else None

    @not_too_deep
    def of(self, text: str) -> Any:
        marks: Marks = []
        try:
            value = self._value(text, marks)
        except BadJson:
            value = None
            marks.append(True)
        except _Empty:
            return None
        if marks and self.options.is_strict:
            raise ValueError("from_json: a malformed record in mode FAILFAST")
        if not self.names:
            return value
        row = dict.fromkeys(self.names) if value is None else value
        if self.corrupt:
            row[self.corrupt] = text if marks else None
        return row

    def _value(self, text: str, marks: Marks) -> Any:
        try:
            whole = strict_value(text)
        except (ValueError, RecursionError):
            return self._read(Tokens(text, self.options.tolerance), marks)
        if whole is None:
            raise BadJson("null")
        if isinstance(whole, tuple) and isinstance(self.element, _Struct):
            return [self.element.of(whole, marks)]
        return self.converter.of(whole, marks)

    def _read(self, tokens: Tokens, marks: Marks) -> Any:
        token = tokens.next()
        if token is None:
            raise _Empty
        if token == OBJECT and isinstance(self.element, _Struct):
            return [self.element.read(tokens, marks)]
        value = self.converter.read(tokens, marks)
        if value is None:
            raise BadJson("null")
        return value


class _Empty(Exception):
    """The text holds no document at all."""


def converter(kind: pa.DataType, options: JsonOptions) -> Converter:
    """The converter for a type."""
    if kinds.is_struct(kind):
        return _Struct({field.name: converter(field.type, options) for field in kind})
    if kinds.is_array(kind):
        return _Array(converter(kind.value_type, options))
    if kinds.is_map(kind):
        return _Map(converter(kind.item_type, options))
    if kind == kinds.STRING:
        return _Text()
    return _Scalar(scalar(kind, options))


class _Scalar:
    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self.convert = convert

    def of(self, value: Any, marks: Marks) -> Any:
        try:
            return self.convert(value)
        except (Unproven, BadJson):
            raise
        except (ValueError, OverflowError) as error:
            raise BadJson(str(error)) from None

    def read(self, tokens: Tokens, marks: Marks) -> Any:
        token = _at_value(tokens)
        if token in (None, NULL):
            return None
        if token in (OBJECT, ARRAY, END_OBJECT, END_ARRAY):
            raise BadJson("no scalar")
        return self.of(tokens.value(), marks)


class _Text:
    def of(self, value: Any, marks: Marks) -> str:
        if type(value) is str:
            return value if value.isascii() else utf8(value)
        return copied(value)

    def read(self, tokens: Tokens, marks: Marks) -> str | None:
        token = _at_value(tokens)
        if token in (None, NULL):
            return None
        if token in (OBJECT, ARRAY, END_OBJECT, END_ARRAY):
            return copied_tokens(tokens)
        return self.of(tokens.value(), marks)


class _Struct:
    def __init__(self, fields: dict[str, Converter]) -> None:
        self.fields = fields
        self.empty = dict.fromkeys(fields)

    def of(self, value: Any, marks: Marks) -> dict[str, Any]:
        if type(value) is not tuple:
            raise BadJson("no object")
        row = self.empty.copy()
        for name, item in value:
            field = self.fields.get(name)
            if field is not None:
                try:
                    row[name] = None if item is None else field.of(item, marks)
                except BadJson:
                    marks.append(True)
        return row

    def read(self, tokens: Tokens, marks: Marks) -> dict[str, Any] | None:
        if not _enters(tokens, OBJECT):
            return None
        row = self.empty.copy()
        while tokens.next() not in (END_OBJECT, None):
            name = tokens.name()
            field = self.fields.get(name) if name is not None else None
            if field is None:
                tokens.skip_children()
                continue
            try:
                row[str(name)] = field.read(tokens, marks)
            except BadJson:
                marks.append(True)
                tokens.skip_children()
        return row


class _Array:
    def __init__(self, element: Converter) -> None:
        self.element = element

    def of(self, value: Any, marks: Marks) -> list[Any]:
        if type(value) is not list:
            raise BadJson("no array")
        of = self.element.of
        return [None if item is None else of(item, marks) for item in value]

    def read(self, tokens: Tokens, marks: Marks) -> list[Any] | None:
        if not _enters(tokens, ARRAY):
            return None
        items = []
        while tokens.next() not in (END_ARRAY, None):
            items.append(self.element.read(tokens, marks))
        return items


class _Map:
    """Its keys are texts. A bad value spoils the map, but the map is read to its end."""

    def __init__(self, item: Converter) -> None:
        self.item = item

    def of(self, value: Any, marks: Marks) -> list[tuple[str, Any]]:
        if type(value) is not tuple:
            raise BadJson("no object")
        of = self.item.of
        return _without_twins([(utf8(name), None if item is None else of(item, marks)) for name, item in value])

    def read(self, tokens: Tokens, marks: Marks) -> list[tuple[str, Any]] | None:
        if not _enters(tokens, OBJECT):
            return None
        pairs, is_bad = [], False
        while tokens.next() not in (END_OBJECT, None):
            name = tokens.name()
            try:
                pairs.append((utf8(name or ""), self.item.read(tokens, marks)))
            except BadJson:
                is_bad = True
                tokens.skip_children()
        if is_bad:
            raise BadJson("a bad value in a map")
        return _without_twins(pairs)


def _without_twins(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise Unproven("from_json of an object with the same key twice as a map")
    return pairs


def _at_value(tokens: Tokens) -> str | None:
    while tokens.token == NAME:
        tokens.next()
    return tokens.token


def _enters(tokens: Tokens, kind: str) -> bool:
    """Whether an object or array begins here; False for NULL, BadJson for anything else."""
    token = _at_value(tokens)
    if token in (None, NULL):
        return False
    if token != kind:
        if token not in (OBJECT, ARRAY, END_OBJECT, END_ARRAY):
            tokens.value()
        raise BadJson("another type")
    return True
