"""One document as a light tree: expat's events within budgets, nothing expanded, nothing fetched.

Expat and not lxml: names stay as written, whether their prefix is declared or not (as Spark reads them); every element
knows its line and column; the end of input is told apart from an error; and budgets hold while the document is read.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from thresher.xml.decoding import Refused, place, position, snippet, text_of
from thresher.xml.options import Options

_ERRORS = expat.errors.codes
_AT_THE_END = {
    _ERRORS[name]
    for name in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}
_RULES = {
    _ERRORS[expat.errors.XML_ERROR_UNDEFINED_ENTITY]: "entities",
    _ERRORS[expat.errors.XML_ERROR_RECURSIVE_ENTITY_REF]: "entities",
    _ERRORS[expat.errors.XML_ERROR_BAD_CHAR_REF]: "character",
}
_JUNK_AFTER_ROOT = _ERRORS[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NO_REFERENCES = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>", re.DOTALL)
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);|#)([^;\s<&]+);")


@dataclass(slots=True)
class Element:
    """An element as written: attributes, then text and children in their order."""

    name: str
    attributes: list[tuple[str, str]]
    line: int
    column: int
    content: "list[Element | str]" = field(default_factory=list)

    def runs(self) -> list[str]:
        """The texts between children that are not blank."""
        return [part for part in self.content if isinstance(part, str) and part.strip(" \t\r\n")]

    def text(self) -> str:
        """All text directly inside, blanks included."""
        return "".join(part for part in self.content if isinstance(part, str))

    def inner_xml(self, *, escaped: bool) -> str:
        """What stands between the tags; Spark forgets to escape, which makes other XML of it."""
        parts = []
        for part in self.content:
            if isinstance(part, str):
                parts.append(escape(part) if escaped else part)
                continue
            quoted = quoteattr if escaped else '"{}"'.format
            attributes = "".join(f" {name}={quoted(value)}" for name, value in part.attributes)
            parts.append(f"<{part.name}{attributes}>{part.inner_xml(escaped=escaped)}</{part.name}>")
        return "".join(parts)


def read(document: str | bytes, options: Options, *, is_utf8: bool = False) -> Element:
    """One document → its root element.

    Raises Refused with the rule malformed, truncated, encoding, character, entities, budget or root.

    >>> read("<a k='1'>x<b/></a>", Options()).content
    ['x', Element(name='b', attributes=[], line=1, column=11, content=[])]
    """
    text = text_of(document, options, is_utf8=is_utf8)
    root = _Reader(text, options).root()
    if options.roots and not any(_is_root(root, allowed) for allowed in options.roots):
        found = dict(root.attributes).get(_xmlns(root), "")
        raise Refused(
            "root",
            f"the root element is {root.name}{f' in {found}' if found else ''}; expected {' or '.join(options.roots)}",
            root.line,
            root.column,
        )
    return root


def _xmlns(root: Element) -> str:
    prefix, colon, _ = root.name.rpartition(":")
    return f"xmlns:{prefix}" if colon else "xmlns"


def _is_root(root: Element, allowed: str) -> bool:
    uri, brace, local = allowed.rpartition("}")
    if brace and dict(root.attributes).get(_xmlns(root), "") != uri.removeprefix("{"):
        return False
    return root.name.rpartition(":")[2] == local


class _Reader:
    """Collects expat's events of one document."""

    def __init__(self, document: str, options: Options) -> None:
        self.document = document
        self.options = options
        self.tree: Element | None = None
        self.stack: list[Element] = []
        self.pieces: list[str] = []
        self.nodes = 0
        self.has_doctype = False
        self.expat = expat.ParserCreate("utf-8")
        self.expat.buffer_text = True
        self.expat.ordered_attributes = True
        self.expat.specified_attributes = True  # no defaults from a DTD
        self.expat.StartElementHandler = self.start
        self.expat.EndElementHandler = self.end
        self.expat.CharacterDataHandler = self.pieces.append
        self.expat.StartDoctypeDeclHandler = self.doctype
        self.expat.EntityDeclHandler = self.entity
        if options.is_spark:
            # Spark: a comment splits a text in two; by default it is as if it were not there.
            self.expat.CommentHandler = self.flush
            self.expat.ProcessingInstructionHandler = self.flush

    def root(self) -> Element:
        try:
            content = self.document.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.refused("character", f"{error.object[error.start]!r} is half a character", error.start) from None
        try:
            self.expat.Parse(content, True)
        except expat.ExpatError as error:
            if not (self.options.is_spark and error.code == _JUNK_AFTER_ROOT):
                raise self.explained(error) from None
        assert self.tree is not None  # expat refuses a document without an element
        if self.has_doctype:
            self.check_references()
        return self.tree

    def start(self, name: str, attributes: list[str]) -> None:
        self.flush()
        self.nodes += 1 + len(attributes) // 2
        if self.nodes > self.options.max_nodes:
            raise self.here("budget", f"more than {self.options.max_nodes:,} elements and attributes (max_nodes)")
        if len(self.stack) >= self.options.max_depth:
            raise self.here("budget", f"elements nested deeper than {self.options.max_depth:,} (max_depth)")
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
        line, column = self.expat.CurrentLineNumber, self.expat.CurrentColumnNumber + 1
        element = Element(name, pairs, line, column)
        if self.stack:
            self.stack[-1].content.append(element)
        else:
            self.tree = element
        self.stack.append(element)

    def end(self, name: str) -> None:
        self.flush()
        self.stack.pop()

    def flush(self, *_: Any) -> None:
        if self.pieces:
            if self.stack:
                self.stack[-1].content.append("".join(self.pieces))
            self.pieces.clear()

    def doctype(self, *_: Any) -> None:
        self.has_doctype = True

    def entity(self, name: str, *_: Any) -> None:
        raise self.here("entities", f"the document declares the entity {name}; entities are not expanded")

    def check_references(self) -> None:
        """With an external DTD expat passes over undefined entities in silence, and their text would be lost."""
        plain = _NO_REFERENCES.sub(lambda found: " " * len(found[0]), self.document)
        found = _ENTITY.search(plain)
        if found:
            raise self.refused("entities", f"undefined entity {found[0]}", found.start())

    def explained(self, error: expat.ExpatError) -> Refused:
        reason = expat.ErrorString(error.code)
        if error.code in _AT_THE_END:
            return self.refused("truncated", f"the document ends too early: {reason}", len(self.document))
        offset = place(self.document, error.lineno, error.offset + 1)
        found = _FORBIDDEN.match(self.document, offset)
        if found:
            return self.refused("character", f"control character U+{ord(found[0]):04X} is not allowed in XML", offset)
        return self.refused(_RULES.get(error.code, "malformed"), reason, offset)

    def here(self, rule: str, reason: str) -> Refused:
        line, column = self.expat.CurrentLineNumber, self.expat.CurrentColumnNumber + 1
        return self.refused(rule, reason, place(self.document, line, column))

    def refused(self, rule: str, reason: str, offset: int) -> Refused:
        return Refused(rule, reason, *position(self.document, offset), snippet(self.document, offset))
