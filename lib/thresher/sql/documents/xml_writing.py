"""to_xml: structs as Spark's writer of XML gives them, from Arrow arrays."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from unicodedata import category

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import ArrowFunction
from thresher.sql.casting.number_text import double_text, float_text
from thresher.sql.documents.json_functions import made_function
from thresher.sql.documents.time_patterns import NoPattern, check_writing, write
from thresher.sql.documents.unproven import Unproven
from thresher.sql.expressions import Expressions
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
_LETTERS = re.compile("[À-ÖØ-öø-\uffff]")  # of these, Spark takes those of Unicode's plain letters
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_TEXT = re.compile(r"[&<\r\x7f-\x9f]|(?:^|(?<=\]))>")
_ATTRIBUTE = re.compile(r"[&<\"\t\n\r]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_ATOMS = (kinds.BOOL, *kinds.INTEGERS, kinds.FLOAT, kinds.DOUBLE, kinds.STRING, kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ)
_EPOCH = datetime(1970, 1, 1)
_PATTERNS = {"dateformat": kinds.DATE, "timestampformat": TIMESTAMP, "timestampntzformat": TIMESTAMP_NTZ}
_WITHOUT_EFFECT = ("roottag", "declaration")
_OPTIONS = (
    *("rowtag", "attributeprefix", "valuetag", "nullvalue", "indent", "arrayelementname"),
    *(*_PATTERNS, *_WITHOUT_EFFECT),
)


def writer(e: Expressions, node: exp.Anonymous, kind: pa.StructType, options: dict[str, str]) -> ArrowFunction:
    """The function that writes structs of one type."""
    known = {name.lower(): value for name, value in options.items()}
    for name, value in known.items():
        if name not in _OPTIONS or (name == "attributeprefix" and not value):
            e.refuse(node, f"to_xml with the option {name} {value!r}")
    patterns = {of: known[name] for name, of in _PATTERNS.items() if name in known}
    for of, pattern in patterns.items():
        letters = re.sub("'[^']*'", "", pattern)
        try:
            check_writing(pattern)
        except NoPattern as error:
            e.refuse(node, f"to_xml with {error}")
        if (of == kinds.DATE and re.search("[HmsSX]", letters)) or (of == TIMESTAMP_NTZ and "X" in letters):
            e.refuse(node, f"to_xml with the pattern {pattern!r} of a {kinds.in_spark(of)}")
    made = _Writer(known, patterns)
    try:
        _check_name(made.row_tag)
    except Unproven as error:
        e.refuse(node, str(error))
    except ValueError as error:
        e.wrong(node, str(error))
    made.check(kind, lambda what: e.refuse(node, f"to_xml of {what}"))

    def run(values: pa.ChunkedArray) -> pa.Array:
        return pa.array([None if row is None else made.row(kind, row) for row in values.to_pylist()], pa.string())

    return made_function("to_xml", [kind], kinds.STRING, sorted(known.items()), run)


class _Writer:
    """Spark's rules: fields with the prefix are attributes, the value tag is text, NULL is left out."""

    def __init__(self, options: dict[str, str], patterns: dict[pa.DataType, str]) -> None:
        self.patterns = patterns
        self.row_tag = options.get("rowtag", "ROW")
        self.prefix = options.get("attributeprefix", "_")
        self.value_tag = options.get("valuetag", "_VALUE")
        self.item = options.get("arrayelementname", "item")
        self.null = options.get("nullvalue")
        self.indent = options.get("indent", "    ")

    def is_attribute(self, name: str) -> bool:
        return name.startswith(self.prefix) and name != self.value_tag

    def check(self, kind: pa.DataType, refuse: Callable[[str], Any]) -> None:
        """Refuse types whose text depends on Spark's memory or is not known."""
        if kinds.is_struct(kind):
            for field in kind:
                if self.is_attribute(field.name) and not _is_atom(field.type):
                    refuse(f"an attribute of type {kinds.in_spark(field.type)}")
                self.check(field.type, refuse)
        elif kinds.is_array(kind):
            self.check(kind.value_type, refuse)
        elif kinds.is_map(kind):
            if kind.key_type != kinds.STRING:
                refuse(kinds.in_spark(kind))
            self.check(kind.item_type, refuse)
        elif not _is_atom(kind) and kind != kinds.BINARY:
            refuse(kinds.in_spark(kind))

    def row(self, kind: pa.StructType, row: dict[str, Any]) -> str:
        text = self.element(self.row_tag, kind, row, 0)
        return text if self.indent else f"{text}\n"

    def element(self, name: str, kind: pa.DataType, value: Any, depth: int) -> str:
        _check_name(name)
        attributes, parts, has_children = [], [], False
        for tag, inner, part in self.parts(kind, value):
            if tag is None:
                parts.append(self.text(inner, part))
            elif self.is_attribute(tag):
                _check_name(tag[len(self.prefix) :])
                attributes.append(f' {tag[len(self.prefix) :]}="{self.attribute(inner, part)}"')
            else:
                has_children = True
                parts.append(self.line(depth + 1) + self.element(tag, inner, part, depth + 1))
        opened = f"<{name}{''.join(attributes)}"
        is_text = not (kinds.is_struct(kind) or kinds.is_map(kind) or kinds.is_array(kind)) or value is None
        if not parts and not is_text:
            return f"{opened}/>"
        return f"{opened}>{''.join(parts)}{self.line(depth) if has_children else ''}</{name}>"

    def line(self, depth: int) -> str:
        return "\n" + self.indent * depth if self.indent else ""

    def parts(self, kind: pa.DataType, value: Any) -> Iterator[tuple[str | None, pa.DataType, Any]]:
        """What stands in an element: name, type and value of attributes and children; text has no name."""
        if value is None:
            yield None, kind, None
        elif kinds.is_struct(kind):
            fields = [(field.name, field.type, value[field.name]) for field in kind]
            for field in sorted(fields, key=lambda field: not self.is_attribute(field[0])):
                yield from self.child(*field)
        elif kinds.is_map(kind):
            items = [(key, kind.item_type, item) for key, item in value]
            for entry in sorted(items, key=lambda entry: not self.is_attribute(entry[0])):
                yield from self.child(*entry)
        elif kinds.is_array(kind):
            for item in value:
                yield from self.child(self.item, kind.value_type, item)
        else:
            yield None, kind, value

    def child(self, name: str, kind: pa.DataType, value: Any) -> Iterator[tuple[str | None, pa.DataType, Any]]:
        """A field: an array as one part for each element."""
        is_text = name == self.value_tag
        inner = kind.value_type if kinds.is_array(kind) else kind
        if (is_text and not _is_atom(inner)) or (self.is_attribute(name) and not _is_atom(kind)):
            raise Unproven(f"to_xml of {name} as {kinds.in_spark(kind)}")
        for item in value if kinds.is_array(kind) and value is not None else [value]:
            if item is not None or self.null is not None:
                yield None if is_text else name, kind if value is None else inner, item

    def text(self, kind: pa.DataType, value: Any) -> str:
        if value is None:
            plain = str(self.null)
        elif kind in self.patterns:
            moment = value if isinstance(value, datetime) else datetime.combine(value, time())
            plain = write(moment, self.patterns[kind])
        else:
            plain = _plain(kind, value)
        return _TEXT.sub(_reference, _checked(plain))

    def attribute(self, kind: pa.DataType, value: Any) -> str:
        if value is None:
            text = str(self.null)
        elif kind == kinds.DATE:
            text = str((value - _EPOCH.date()).days)
        elif kind in (TIMESTAMP, TIMESTAMP_NTZ):
            text = str((value.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1))
        else:
            text = _plain(kind, value)
        if re.search("[\x7f-\x9f]", text):
            raise Unproven("to_xml of control characters in an attribute")
        return _ATTRIBUTE.sub(_reference, _checked(text))


def _is_atom(kind: pa.DataType) -> bool:
    return kind in _ATOMS or kinds.is_decimal(kind) or kind == kinds.VOID


def _check_name(name: str) -> None:
    plain = _LETTERS.sub(lambda found: "a" if category(found[0]) in ("Lu", "Ll", "Lo") else found[0], name)
    if not _NAME.fullmatch(plain):
        if not plain.isascii():
            raise Unproven(f"to_xml with the name {name!r}")
        raise ValueError(
            f"to_xml: {name!r} is no name of an XML element; expected letters, then also digits, '.' and '-'."
        )


def _reference(found: re.Match[str]) -> str:
    return _ENTITIES.get(found[0]) or f"&#x{ord(found[0]):x};"


def _checked(text: str) -> str:
    if _FORBIDDEN.search(text):
        raise ValueError(f"to_xml: {text[:40]!r} has a control character, which XML cannot hold.")
    return text


def _plain(kind: pa.DataType, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value) if kind == kinds.FLOAT else double_text(value)
    if isinstance(value, datetime):
        zone = "Z" if kind == TIMESTAMP else ""
        plain = value.astimezone(UTC) if value.tzinfo else value
        return plain.replace(tzinfo=None).isoformat(timespec="milliseconds") + zone
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return "[" + " ".join(f"{byte:02X}" for byte in value) + "]"
    return str(value)
