"""One document as a light tree: expat's events within budgets, nothing expanded, nothing fetched.

Expat and not lxml: names stay as written, whether their prefix is declared or not (as Spark reads them); every element
knows its line and column; the end of input is told apart from an error; and budgets hold while the document is read.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from thresher.xml.decoding import Refused, position, snippet, text_of
from thresher.xml.disguises import look_of
from thresher.xml.elements import Element, drop_incomplete
from thresher.xml.namespaces import Namespaces
from thresher.xml.options import Options
from thresher.xml.validation import violation
from thresher.xml.xsd_files import Source

LONGEST_NAME = 1_000
MOST_DECLARATIONS = 1_000

_ERRORS = expat.errors.codes
_UNDEFINED = _ERRORS[expat.errors.XML_ERROR_UNDEFINED_ENTITY]
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
    _UNDEFINED: "entities",
    _ERRORS[expat.errors.XML_ERROR_RECURSIVE_ENTITY_REF]: "entities",
    _ERRORS[expat.errors.XML_ERROR_BAD_CHAR_REF]: "character",
}
_JUNK_AFTER_ROOT = _ERRORS[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]
_ENTITY = re.compile("&(?!(?:amp|lt|gt|quot|apos);|#)[^\\s;<&]+;")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# With an external DTD expat passes over undefined entities in silence, and their text would be lost.
_STANDALONE = b"<?xml version='1.0' standalone='yes'?>\n"


@dataclass
class CutShort(Refused):
    """A truncated document whose complete prefix was salvaged: its root, without what was not complete."""

    root: Element = field(default_factory=lambda: Element("", [], 0, 0), repr=False)


def read(document: str | bytes, options: Options, *, is_utf8: bool = False) -> Element:
    """One document → its root element.

    Raises Refused with the rule malformed, truncated, encoding, character, entities, budget, root or xsd; with
    `options.salvage` a truncated document is CutShort, which has the root of its complete prefix.

    >>> read("<a k='1'>x<b/></a>", Options()).content
    ['x', Element(name='b', attributes=[], line=1, column=11, content=[])]
    """
    reader = _Reader(text_of(document, options, is_utf8=is_utf8), options)
    try:
        root = reader.root()
    except CutShort as cut:
        reader.check_root(cut.root)
        raise
    reader.check_root(root)
    if options.xsd:
        reader.check_xsd(options.xsd)
    if options.unescape:
        _open_envelope(root, options)
    return root


def _open_envelope(root: Element, options: Options) -> None:
    """Put the document that is a root's only text into its place."""
    text = root.text()
    if not text.lstrip().startswith(("<", "&lt;")) or not root.is_text():
        return
    try:
        root.content = [_Reader(text_of(text, options), options).root()]
    except Refused:
        return


class _Reader:
    """Collects expat's events of one document."""

    def __init__(self, document: str, options: Options) -> None:
        self.document = document
        self.options = options
        self.tree: Element | None = None
        self.open: list[Element] = []
        self.pieces: list[str] = []
        self.nodes_left = options.max_nodes
        self.declarations_left = MOST_DECLARATIONS
        self.deepest = options.max_depth
        self.most_texts = 2 * options.max_attributes  # names and values
        self.names = Namespaces(tuple(dict(options.namespaces).items())) if options.namespaces else None
        self.prolog = _STANDALONE if "<!DOCTYPE" in document else b""
        self.lines_before = self.prolog.count(b"\n")
        self.expat = expat.ParserCreate("utf-8")
        self.expat.buffer_text = True
        self.expat.ordered_attributes = True
        self.expat.specified_attributes = True  # no defaults from a DTD
        self.expat.StartElementHandler = self.start_renamed if self.names else self.start
        self.expat.EndElementHandler = self.end
        self.expat.CharacterDataHandler = self.pieces.append
        self.expat.EntityDeclHandler = self.entity
        self.expat.AttlistDeclHandler = self.attribute_declared
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
            if self.prolog:
                self.expat.Parse(self.prolog, False)
            self.expat.Parse(content, True)
        except expat.ExpatError as error:
            if not (self.options.is_spark and error.code == _JUNK_AFTER_ROOT):
                raise self.explained(error, content) from None
        assert self.tree is not None  # expat refuses a document without an element
        self.check_names()
        return self.tree

    def start(self, name: str, attributes: list[str]) -> None:
        # Budgets are one comparison each here, and their words elsewhere: this runs for every element.
        self.nodes_left -= 1 + len(attributes) // 2
        if self.nodes_left < 0 or len(self.open) >= self.deepest or len(attributes) > self.most_texts:
            raise self.over_budget(name, attributes)
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True)) if attributes else []
        parser = self.expat
        line, column = parser.CurrentLineNumber - self.lines_before, parser.CurrentColumnNumber + 1
        element = Element(name, pairs, line, column, [])
        if self.open:
            content = self.open[-1].content
            if self.pieces:
                content.append("".join(self.pieces))
                self.pieces.clear()
            content.append(element)
        else:
            self.tree = element
        self.open.append(element)

    def start_renamed(self, name: str, attributes: list[str]) -> None:
        assert self.names is not None
        self.start(*self.names.enter(name, attributes))

    def end(self, name: str) -> None:
        element = self.open.pop()
        if self.pieces:
            element.content.append("".join(self.pieces))
            self.pieces.clear()
        if self.names:
            self.names.leave()

    def flush(self, *_: Any) -> None:
        if self.pieces:
            self.open[-1].content.append("".join(self.pieces))
            self.pieces.clear()

    def entity(self, name: str, *_: Any) -> None:
        raise self.here("entities", f"the document declares the entity {name}; entities are not expanded")

    def attribute_declared(self, element: str, *_: Any) -> None:
        # Expat goes through all of an element's declared attributes for each declaration, and for each element.
        self.declarations_left -= 1
        if self.declarations_left < 0:
            raise self.here("budget", f"more than {MOST_DECLARATIONS:,} declarations of attributes, last of {element}")

    def over_budget(self, name: str, attributes: list[str]) -> Refused:
        options = self.options
        if self.nodes_left < 0:
            return self.here("budget", f"more than {options.max_nodes:,} elements and attributes (max_nodes)")
        if len(self.open) >= options.max_depth:
            return self.here("budget", f"elements nested deeper than {options.max_depth:,} (max_depth)")
        return self.here(
            "budget", f"{len(attributes) // 2:,} attributes, more than {options.max_attributes:,} (max_attributes)"
        )

    def check_names(self) -> None:
        """A name becomes a column's; expat keeps each of a document once."""
        for name in self.expat.intern:
            if len(name) > LONGEST_NAME:
                raise self.refused(
                    "budget",
                    f"a name of {len(name):,} characters, more than {LONGEST_NAME:,}",
                    self.document.find(name),
                )

    def check_root(self, root: Element) -> None:
        roots = self.options.roots
        if not roots:
            return
        uri = self.names.root_uri if self.names else dict(root.attributes).get(_xmlns(root))
        name = root.name.rpartition(":")[2]
        if name not in roots and f"{{{uri or ''}}}{name}" not in roots:
            found = f"{root.name} in {uri}" if uri else root.name
            reason = f"the root element is {found}; expected {' or '.join(roots)}"
            raise Refused("root", reason, root.line, root.column)

    def check_xsd(self, xsd: Source) -> None:
        violated = violation(self.document.encode("utf-8"), xsd)
        if violated:
            raise violated

    def explained(self, error: expat.ExpatError, content: bytes) -> Refused:
        reason = expat.ErrorString(error.code)
        if error.code in _AT_THE_END:
            return self.cut_short(reason)
        offset = self.offset(self.expat.ErrorByteIndex, content)
        entity = _ENTITY.search(self.document, offset) if error.code == _UNDEFINED else None
        if entity:
            return self.refused("entities", f"undefined entity {entity[0]}", entity.start())
        found = _FORBIDDEN.match(self.document, offset)
        if found:
            return self.refused("character", f"control character U+{ord(found[0]):04X} is not allowed in XML", offset)
        rule = _RULES.get(error.code, "malformed")
        if rule == "malformed":
            look = look_of(self.document)
            reason += f"; the document looks like {look}" if look else ""
        return self.refused(rule, reason, offset)

    def cut_short(self, reason: str) -> Refused:
        refused = self.refused("truncated", f"the document ends too early: {reason}", len(self.document))
        if self.tree is None or not self.options.salvage:
            return refused
        inside = f" inside {'/'.join(element.name for element in self.open)}" if self.open else ""
        last = drop_incomplete(self.open) if self.open else self.tree
        kept = (
            f"the end of <{last.name}> from line {last.line}, column {last.column}" if last else "the root's start tag"
        )
        refused.reason += f"{inside}; kept up to {kept}"
        return CutShort(**vars(refused), root=self.tree)

    def here(self, rule: str, reason: str) -> Refused:
        return self.refused(rule, reason, self.offset(self.expat.CurrentByteIndex, self.document.encode("utf-8")))

    def offset(self, byte: int, content: bytes) -> int:
        """The character at a byte that expat has come to."""
        return len(content[: max(0, byte - len(self.prolog))].decode("utf-8", "ignore"))

    def refused(self, rule: str, reason: str, offset: int) -> Refused:
        return Refused(rule, reason, *position(self.document, offset), snippet(self.document, offset))


def _xmlns(root: Element) -> str:
    prefix, colon, _ = root.name.rpartition(":")
    return f"xmlns:{prefix}" if colon else "xmlns"
