"""One document as a tree: expat's events within budgets, nothing expanded, nothing fetched.

Expat and not lxml: names stay as written, whether their prefix is declared or not (as Spark reads them); the end of
input is told apart from an error. Most documents are within their budgets for sure, as a count of their brackets and
equals signs tells: then expat hands its events to the standard library's builder of trees without a step of Python
between. Of all others every element is counted while it is read.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from thresher.xml import elements
from thresher.xml.decoding import Refused, position, snippet, text_of
from thresher.xml.disguises import look_of
from thresher.xml.doctypes import LONGEST_NAME, MOST_DECLARATIONS, STANDALONE
from thresher.xml.elements import Places, Tree
from thresher.xml.namespaces import Namespaces, NilNames, binds_xsi
from thresher.xml.options import Options
from thresher.xml.validation import violation
from thresher.xml.xsd_files import Source

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
_START, _LINE_END = re.compile("<(?!/)"), re.compile("\r\n?|\n")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass
class CutShort(Refused):
    """A truncated document whose complete prefix was salvaged: its tree, without what was not complete."""

    tree: Tree = field(default_factory=lambda: Tree(Element(""), dict), repr=False)


def read(document: str | bytes, options: Options, *, is_utf8: bool = False) -> Tree:
    """One document → its tree of elements.

    Raises Refused with the rule malformed, truncated, encoding, character, entities, budget, root or xsd; with
    `options.salvage` a truncated document is CutShort, which has the root of its complete prefix.

    >>> tree = read("<a k='1'>x<b/></a>", Options())
    >>> tree.root.items(), tree.root.text, tree.places[tree.root[0]]
    ([('k', '1')], 'x', (1, 11))
    """
    reader = _Reader(text_of(document, options, is_utf8=is_utf8), options)
    try:
        tree = reader.tree()
    except CutShort as cut:
        reader.check_root(cut.tree)
        raise
    reader.check_root(tree)
    if options.xsd:
        reader.check_xsd(options.xsd)
    return _without_envelope(tree, options) if options.unescape else tree


def _without_envelope(tree: Tree, options: Options) -> Tree:
    """Put the document that is a root's only text into its place."""
    root = tree.root
    text = elements.text_of(root)
    if not text.lstrip().startswith(("<", "&lt;")) or elements.has_children(root):
        return tree
    try:
        inner = _Reader(text_of(text, options), options).tree()
    except Refused:
        return tree
    root.text = None
    root[:] = [inner.root]
    return Tree(root, lambda: tree.places | inner.places)


class _Again(str):
    """The name of an attribute that stands in its tag twice, by two prefixes: the dict of attributes keeps both."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


class _Reader:
    """Reads one document."""

    def __init__(self, document: str, options: Options) -> None:
        self.document = document
        self.options = options
        self.open: list[Element] = []
        self.names = _names(document, options)
        self.prolog = STANDALONE if "<!DOCTYPE" in document else b""

    def tree(self) -> Tree:
        try:
            content = self.document.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.refused("character", f"{error.object[error.start]!r} is half a character", error.start) from None
        # Each element has a bracket, each attribute an equals sign.
        most_nodes = self.document.count("<") + self.document.count("=")
        is_counted = most_nodes > self.options.max_nodes or (self.names and self.options.salvage)
        root = None if is_counted else self.uncounted(content)
        if root is None:
            root = self.counted(content)
        elif self.names:
            _rename(root, self.names)
        for name in self.expat.intern:  # each once
            if len(name) > LONGEST_NAME:
                raise self.long_name(name)
        return Tree(root, lambda: self.places(root, content))

    def uncounted(self, content: bytes) -> Element | None:
        """The root, read without a step of Python for each element; None where these must be counted."""
        self.prepare()
        self.expat.StartElementHandler = self.builder.start
        self.expat.EndElementHandler = self.builder.end
        try:
            self.parse(content)
        except Refused:
            if not self.is_within_budgets(self.builder.close(), self.document.count("<")):
                return None
            raise
        root = self.builder.close()
        # The elements around the innermost one have end tags.
        return root if self.is_within_budgets(root, self.document.count("</") + 1) else None

    def is_within_budgets(self, root: Element | None, most_levels: int) -> bool:
        options = self.options
        if root is None:
            return True
        if most_levels > options.max_depth and elements.depth(root) > options.max_depth:
            return False
        has_many = self.document.count("=") > options.max_attributes
        return not has_many or all(len(element.keys()) <= options.max_attributes for element in root.iter())

    def counted(self, content: bytes) -> Element:
        """The root, its elements and attributes counted while they are read."""
        self.prepare()
        self.expat.StartElementHandler = self.start_renamed if self.names else self.start
        self.expat.EndElementHandler = self.end
        self.parse(content)
        return self.builder.close()

    def prepare(self) -> None:
        """A new parser, and what builds the tree."""
        is_spark = self.options.is_spark
        self.nodes_left = self.options.max_nodes
        self.declarations_left = MOST_DECLARATIONS
        self.builder = builder = TreeBuilder(insert_comments=is_spark, insert_pis=is_spark)
        self.expat = parser = self.parser()
        parser.CharacterDataHandler = builder.data
        parser.XmlDeclHandler = self.declared
        if is_spark:
            # Spark: a comment splits a text in two; by default it is as if it were not there.
            parser.CommentHandler = builder.comment
            parser.ProcessingInstructionHandler = builder.pi
        if self.prolog:
            parser.EntityDeclHandler = self.entity
            parser.AttlistDeclHandler = self.attribute_declared

    def parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.specified_attributes = True  # no defaults from a DTD
        if self.prolog:
            parser.Parse(self.prolog, False)
        return parser

    def parse(self, content: bytes) -> None:
        try:
            self.expat.Parse(content, True)
        except expat.ExpatError as error:
            if not (self.options.is_spark and error.code == _JUNK_AFTER_ROOT):
                raise self.explained(error, content) from None

    def places(self, root: Element, content: bytes) -> Places:
        """Where the elements of a document stand that was read before."""
        if "<!" not in self.document and "<?" not in self.document:
            return dict(zip(root.iter(), _tags(self.document), strict=False))
        parser, found = self.parser(), []
        lines_before = self.prolog.count(b"\n")

        def start(*_: object) -> None:
            found.append((parser.CurrentLineNumber - lines_before, parser.CurrentColumnNumber + 1))

        parser.StartElementHandler = start
        with suppress(expat.ExpatError):  # behind what was salvaged, and for Spark behind the root
            parser.Parse(content, True)
        # What was not salvaged stood last.
        return dict(zip(filter(elements.is_element, root.iter()), found, strict=False))

    def start(self, name: str, attributes: dict[str, str]) -> None:
        options = self.options
        self.nodes_left -= 1 + len(attributes)
        if self.nodes_left < 0:
            raise self.here("budget", f"more than {options.max_nodes:,} elements and attributes (max_nodes)")
        if len(self.open) >= options.max_depth:
            raise self.here("budget", f"elements nested deeper than {options.max_depth:,} (max_depth)")
        if len(attributes) > options.max_attributes:
            raise self.here(
                "budget", f"{len(attributes):,} attributes, more than {options.max_attributes:,} (max_attributes)"
            )
        self.open.append(self.builder.start(name, attributes))

    def start_renamed(self, name: str, attributes: dict[str, str]) -> None:
        assert self.names is not None
        name, flat = self.names.enter(name, [text for pair in attributes.items() for text in pair])
        self.start(name, _attributes(flat))

    def end(self, name: str) -> None:
        self.builder.end(name)
        self.open.pop()
        if self.names:
            self.names.leave()

    def declared(self, version: str, *_: Any) -> None:
        """A declaration in order is blank by now (see decoding.py), and expat takes any version."""
        raise self.here("malformed", f"the XML version is {version!r}, expected '1.0' or '1.1'")

    def entity(self, name: str, *_: Any) -> None:
        raise self.here("entities", f"the document declares the entity {name}; entities are not expanded")

    def attribute_declared(self, element: str, *_: Any) -> None:
        # Expat goes through all of an element's declared attributes for each declaration, and for each element.
        self.declarations_left -= 1
        if self.declarations_left < 0:
            raise self.here("budget", f"more than {MOST_DECLARATIONS:,} declarations of attributes, last of {element}")

    def long_name(self, name: str) -> Refused:
        """A name becomes a column's."""
        return self.refused(
            "budget", f"a name of {len(name):,} characters, more than {LONGEST_NAME:,}", self.document.find(name)
        )

    def check_root(self, tree: Tree) -> None:
        roots, root = self.options.roots, tree.root
        if not roots:
            return
        uri = self.names.root_uri if isinstance(self.names, Namespaces) else root.get(_xmlns(root))
        name = root.tag.rpartition(":")[2]
        if name not in roots and f"{{{uri or ''}}}{name}" not in roots:
            found = f"{root.tag} in {uri}" if uri else root.tag
            reason = f"the root element is {found}; expected {' or '.join(roots)}"
            raise Refused("root", reason, *tree.places[root], snippet(self.document.lstrip(), 0))

    def check_xsd(self, xsd: Source) -> None:
        violated = violation(self.document.encode("utf-8"), xsd)
        if violated:
            raise violated

    def explained(self, error: expat.ExpatError, content: bytes) -> Refused:
        reason = expat.ErrorString(error.code)
        if error.code in _AT_THE_END:
            return self.cut_short(reason, content)
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

    def cut_short(self, reason: str, content: bytes) -> Refused:
        refused = self.refused("truncated", f"the document ends too early: {reason}", len(self.document))
        root = self.builder.close() if self.options.salvage else None
        if root is None:
            return refused
        chain = _without_end(self.builder)
        inside = f" inside {'/'.join(element.tag for element in chain)}" if chain else ""
        last = elements.drop_incomplete(chain) if chain else root
        tree = Tree(root, lambda: self.places(root, content))
        kept = "the root's start tag"
        if last is not None:
            line, column = tree.places[last]
            kept = f"the end of <{last.tag}> from line {line}, column {column}"
        refused.reason += f"{inside}; kept up to {kept}"
        return CutShort(**vars(refused), tree=tree)

    def here(self, rule: str, reason: str) -> Refused:
        return self.refused(rule, reason, self.offset(self.expat.CurrentByteIndex, self.document.encode("utf-8")))

    def offset(self, byte: int, content: bytes) -> int:
        """The character at a byte that expat has come to."""
        return len(content[: max(0, byte - len(self.prolog))].decode("utf-8", "ignore"))

    def refused(self, rule: str, reason: str, offset: int) -> Refused:
        return Refused(rule, reason, *position(self.document, offset), snippet(self.document, offset))


def _without_end(builder: TreeBuilder) -> list[Element]:
    """The elements whose end tags were not read, outermost first; they end now."""
    chain: list[Element] = []
    with suppress(IndexError):
        while True:
            chain.insert(0, builder.end(""))
    return chain


def _rename(element: Element, names: Namespaces | NilNames) -> None:
    """Give an element, those inside it and their attributes other names."""
    attributes = element.items()
    element.tag, flat = names.enter(element.tag, [text for pair in attributes for text in pair])
    if attributes:
        element.attrib = _attributes(flat)
    for child in element:
        if elements.is_element(child):
            _rename(child, names)
    names.leave()


def _attributes(flat: list[str]) -> dict[str, str]:
    """Names and values by turns → attributes by name."""
    found: dict[str, str] = {}
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        found[_Again(name) if name in found else name] = value
    return found


def _tags(document: str) -> Iterator[tuple[int, int]]:
    """The line and column of each start tag, where no comments, CDATA or processing instructions stand between."""
    ends = [0, *(found.end() for found in _LINE_END.finditer(document))]
    for tag in _START.finditer(document):
        line = bisect_right(ends, tag.start())
        yield line, tag.start() - ends[line - 1] + 1


def _names(document: str, options: Options) -> Namespaces | NilNames | None:
    """What renames the elements and attributes of a document."""
    if options.namespaces:
        return Namespaces(tuple(dict(options.namespaces).items()))
    return NilNames() if not options.is_spark and binds_xsi(document) else None


def _xmlns(root: Element) -> str:
    prefix, colon, _ = root.tag.rpartition(":")
    return f"xmlns:{prefix}" if colon else "xmlns"
