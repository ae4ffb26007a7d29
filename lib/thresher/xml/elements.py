"""The elements of one document, as the standard library's C code builds them, and where they stand."""

from collections.abc import Callable, Iterator
from functools import cached_property
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

BLANKS = " \t\r\n"
Places = dict[Element, tuple[int, int]]


class Tree:
    """The root of a document, and the line and column (from 1) of each element: found when somebody asks."""

    def __init__(self, root: Element, find_places: Callable[[], Places]) -> None:
        self.root = root
        self._find_places = find_places

    @cached_property
    def places(self) -> Places:
        """Where each element's start tag begins."""
        return self._find_places()


def is_element(node: Element) -> bool:
    """Whether a node is no comment and no processing instruction, which have functions for names."""
    return isinstance(node.tag, str)


def content(element: Element) -> Iterator[Element | str]:
    """Texts and children in their order."""
    if element.text:
        yield element.text
    for child in element:
        if is_element(child):
            yield child
        if child.tail:
            yield child.tail


def runs(element: Element) -> list[str]:
    """The texts between children that are not blank."""
    return [part for part in content(element) if isinstance(part, str) and part.strip(BLANKS)]


def has_children(element: Element) -> bool:
    """Whether an element stands inside."""
    return any(map(is_element, element))


def text_of(element: Element) -> str:
    """All text directly inside, blanks included."""
    if not len(element):
        return element.text or ""
    return "".join([part for part in content(element) if isinstance(part, str)])


def inner_xml(element: Element) -> str:
    """What stands between the tags."""
    written = []
    for part in content(element):
        if isinstance(part, str):
            written.append(escape(part))
            continue
        attributes = "".join(f" {name}={quoteattr(value)}" for name, value in part.items())
        written.append(f"<{part.tag}{attributes}>{inner_xml(part)}</{part.tag}>")
    return "".join(written)


def depth(root: Element) -> int:
    """How many elements stand inside each other."""
    levels, level = 0, [root]
    while level:
        levels += 1
        level = [child for element in level for child in element if is_element(child)]
    return levels


def drop_incomplete(chain: list[Element]) -> Element | None:
    """Cut what follows the last complete element out of those that are open, outermost first; give that element."""
    while chain:
        element = chain.pop()
        while len(element) and not is_element(element[-1]):
            del element[-1]
        if len(element):
            element[-1].tail = None
            return element[-1]
        element.text = None
        if chain:
            del chain[-1][-1]
    return None
