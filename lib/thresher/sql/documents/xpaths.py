"""XPath over texts as Spark evaluates it: by Java's rules, without namespaces, on Arrow arrays.

A name counts without its prefix, attributes stand in the order of their names, and a text that is no XML is an error.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any
from xml.parsers import expat

import numpy as np
import pyarrow as pa

from thresher.sql.allowed import arrow_function
from thresher.sql.documents.unproven import Unproven
from thresher.sql.documents.xpath_text import Expression, expression

_NUMBER = re.compile(r"[ \t\r\n]*(-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))[ \t\r\n]*")
_LONGEST = 40  # characters: no longer text is taken for a number


def number_of(text: str) -> float:
    """A text as a number of XPath: digits, at most a minus before them; else not a number."""
    found = _NUMBER.fullmatch(text)
    return float(found[1]) if found else float("nan")


@lru_cache
def _number_here() -> Callable[[str], float]:
    from lxml import etree

    root, evaluate = etree.Element("x"), etree.XPath("number($text)")
    return lambda text: float(evaluate(root, text=text))


def reads_alike(text: str) -> bool:
    """Whether the library here reads a text as the same number; it takes exponents, and rounds in its own way."""
    if len(text) > _LONGEST or not any(c.isdigit() for c in text):
        return True
    return bool(np.array_equal(number_of(text), _number_here()(text), equal_nan=True))


class _Tree:
    """Builds the tree of one document, below an element in the document's place."""

    def __init__(self, found: Expression) -> None:
        from lxml import etree

        self.etree = etree
        self.expression = found
        self.root = self.node = etree.Element("document-")
        self.contents: list[list[str]] = [[]]  # of the elements that are open, for what is read as numbers
        self.pieces: list[str] = []
        self.sections = 0
        self.is_section = self.has_plain_text = False
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.ordered_attributes = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.CommentHandler = lambda text: self.add(etree.Comment(text))
        self.parser.ProcessingInstructionHandler = lambda name, text: self.add(etree.ProcessingInstruction(name, text))
        self.parser.StartCdataSectionHandler = self.section
        self.parser.EndCdataSectionHandler = self.section_end
        self.parser.StartDoctypeDeclHandler = self.doctype

    def of(self, document: str) -> Any:
        """The element in the document's place."""
        if self.expression.counts and max(document) > "\uffff":
            raise Unproven("XPath over characters beyond U+FFFF")
        try:
            self.parser.Parse(document.encode("utf-8"), True)
        except expat.ExpatError as error:
            raise ValueError(f"xpath of a text that is no XML: {error}") from None
        return self.root

    def start(self, name: str, attributes: list[str]) -> None:
        self.flush()
        if ":" in name and _local(name) in self.expression.far_names:
            raise Unproven(f"XPath over an element named {name}, which // may or may not find")
        try:
            self.node = self.etree.SubElement(self.node, _local(name))
        except ValueError:
            raise Unproven(f"XPath over an element named {name}") from None
        self.contents.append([])
        for key, value in sorted(zip(attributes[::2], attributes[1::2], strict=True)):
            if key == "xmlns" or key.startswith("xmlns:"):
                continue
            if _local(key) in self.node.attrib:
                raise Unproven("XPath over attributes that differ by their prefix alone")
            self.check_number(value)
            self.node.set(_local(key), value)

    def end(self, _: str) -> None:
        self.flush()
        content = "".join(self.contents.pop())
        self.check_number(content)
        self.contents[-1].append(content[: _LONGEST + 1])
        self.node = self.node.getparent()

    def check_number(self, text: str) -> None:
        if self.expression.numbers and not reads_alike(text):
            raise Unproven(f"XPath over {text!r}, which may be read as another number")

    def text(self, text: str) -> None:
        self.pieces.append(text)
        self.has_plain_text |= not self.is_section

    def section(self) -> None:
        self.sections += 1
        self.is_section = True

    def section_end(self) -> None:
        self.is_section = False

    def doctype(self, name: str, system: str | None, public: str | None, _: bool) -> None:
        if system or public:
            raise Unproven(f"XPath over a document with a DTD of its own file ({system or public})")

    def flush(self) -> None:
        """Put the text that came since the last tag into the tree."""
        text = "".join(self.pieces)
        if self.sections and (self.has_plain_text or self.sections > 1) and self.expression.finds_text:
            raise Unproven("XPath over a text that is partly CDATA")
        self.pieces, self.sections, self.has_plain_text = [], 0, False
        if text and self.node is not self.root:
            self.contents[-1].append(text)
            if len(self.node):
                self.node[-1].tail = (self.node[-1].tail or "") + text
            else:
                self.node.text = (self.node.text or "") + text

    def add(self, node: Any) -> None:
        self.flush()
        self.node.append(node)


def _local(name: str) -> str:
    return name.partition(":")[2] or name


class _Path:
    """One expression, ready for many documents."""

    def __init__(self, written: str, *, gives_nodes: bool) -> None:
        from lxml import etree

        self.expression = expression(written)
        if not gives_nodes:  # only there does Java take a text before CDATA for a node of its own
            self.expression = replace(self.expression, finds_text=False)
        try:
            self.evaluate = etree.XPath(self.expression.text, smart_strings=False)
            self.string = etree.XPath("string()", smart_strings=False)
        except etree.XPathError as error:
            raise ValueError(f"{written!r} is no XPath: {error}") from None
        self.failure = etree.XPathError

    def result(self, document: str) -> bool | float | str | list[Any]:
        """A boolean, number, string or list of nodes."""
        try:
            found: bool | float | str | list[Any] = self.evaluate(_Tree(self.expression).of(document))
        except self.failure as error:
            raise ValueError(f"{self.expression.text!r} is no XPath: {error}") from None
        return found

    def node_value(self, node: Any) -> str | None:
        """What a node holds itself: nothing for an element."""
        if isinstance(node, str):
            return node
        return node.text if callable(node.tag) else None  # a comment or instruction

    def string_value(self, node: Any) -> str:
        value = self.node_value(node)
        return str(self.string(node)) if value is None and not callable(getattr(node, "tag", None)) else value or ""


_path = lru_cache(maxsize=64)(_Path)


def _strings(path: _Path, found: bool | float | str | list[Any]) -> list[str | None]:
    if not isinstance(found, list):
        raise ValueError("xpath of an expression that gives no nodes")
    return [path.node_value(node) for node in found]


def _string(path: _Path, found: bool | float | str | list[Any]) -> str:
    if isinstance(found, list):
        return path.string_value(found[0]) if found else ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return _number_text(found) if isinstance(found, float) else found


def _number_text(x: float) -> str:
    """A number as Java's XPath writes it: Java's digits, never an exponent."""
    from decimal import Decimal

    from thresher.sql.casting.number_text import double_text

    if x != x or x in (float("inf"), float("-inf")):
        return "NaN" if x != x else "Infinity" if x > 0 else "-Infinity"
    text = f"{Decimal(double_text(x)):f}" if x else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(path: _Path, found: bool | float | str | list[Any]) -> float:
    return float(found) if isinstance(found, bool | float) else number_of(_string(path, found))


def _boolean(_: _Path, found: bool | float | str | list[Any]) -> bool:
    return bool(found) and found == found


def _whole(bits: int) -> Callable[[_Path, bool | float | str | list[Any]], int]:
    """A number as Java makes an integer of it: cut off, not a number as 0, the largest where it does not fit."""

    def cut(path: _Path, found: bool | float | str | list[Any]) -> int:
        number = _number(path, found)
        if number != number:
            return 0
        largest = 2 ** (max(bits, 32) - 1) - 1
        value = max(-largest - 1, largest if number >= largest else int(max(number, -largest - 1)))
        return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)  # a smallint is what remains of an int

    return cut


def _register(name: str, result: str, kind: pa.DataType, convert: Callable[[_Path, Any], Any]) -> None:
    @arrow_function(name, ["VARCHAR", "VARCHAR"], result)
    def run(documents: pa.Array, paths: pa.Array) -> pa.Array:
        values = []
        for document, written in zip(documents.to_pylist(), paths.to_pylist(), strict=True):
            path = _path(written, gives_nodes=convert is _strings) if document and written else None
            values.append(convert(path, path.result(document)) if path else None)
        return pa.array(values, kind)


_register("spark_xpath", "VARCHAR[]", pa.list_(pa.string()), _strings)
_register("spark_xpath_string", "VARCHAR", pa.string(), _string)
_register("spark_xpath_boolean", "BOOLEAN", pa.bool_(), _boolean)
_register("spark_xpath_short", "SMALLINT", pa.int16(), _whole(16))
_register("spark_xpath_int", "INTEGER", pa.int32(), _whole(32))
_register("spark_xpath_long", "BIGINT", pa.int64(), _whole(64))
_register("spark_xpath_float", "FLOAT", pa.float32(), _number)
_register("spark_xpath_double", "DOUBLE", pa.float64(), _number)
