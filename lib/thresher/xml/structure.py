"""What has been seen of a document's structure: a tree of paths with counts, built and merged in any order."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element

from thresher.xml.elements import BLANKS, has_children, runs, text_of
from thresher.xml.namespaces import XSI_NIL
from thresher.xml.options import Options
from thresher.xml.votes import Votes

ATTRIBUTE, ELEMENT, TEXT = "attribute", "element", "text"
# Of text among the fields of a struct: no attribute or child can have it.
TEXT_KEY = ""


# The name of a field, a kind, and the attribute, child element or run of text that stands there.
Part: TypeAlias = tuple[str, str, Element | str]


def parts(element: Element, options: Options) -> Iterator[Part]:
    """An element's content as fields: attributes, then text and children in their order; blank text is none."""
    # Written out, and not by way of `content` and the like: this runs for every element.
    is_local, prefix = options.ignore_namespace, options.attribute_prefix
    for name, text in attributes(element, options):
        yield prefix + (options.local(name) if is_local else name), ATTRIBUTE, text
    between = element.text
    if between and between.strip(BLANKS):
        yield options.value_tag, TEXT, between
    for child in element:
        name = child.tag
        if isinstance(name, str):  # no comment
            yield options.local(name) if is_local else name, ELEMENT, child
        between = child.tail
        if between and between.strip(BLANKS):
            yield options.value_tag, TEXT, between


def attributes(element: Element, options: Options) -> list[tuple[str, str]]:
    """The attributes that are data: to Spark all are; else not xsi:nil, nor declarations of ignored namespaces."""
    found = [] if options.exclude_attribute else list(element.items())
    if options.is_spark or not found:
        return found
    if options.ignore_namespace:
        found = [(name, value) for name, value in found if name != "xmlns" and not name.startswith("xmlns:")]
    return found if element.get(XSI_NIL) is None else [pair for pair in found if pair[0] != XSI_NIL]


def is_leaf(element: Element, options: Options) -> bool:
    """Whether an element holds at most text, so that its value needs no field of its own."""
    return not has_children(element) and not attributes(element, options) and len(runs(element)) < 2


def fold(name: str) -> str:
    """The form in which names are compared: lake engines do not tell fields apart by case."""
    return name.lower()


def text_key(options: Options) -> str:
    """The key of text among fields: its own, while to Spark the value tag is a name like others."""
    return fold(options.value_tag) if options.is_spark else TEXT_KEY


def text_name(others: Collection[str], options: Options) -> str:
    """The name of text beside attributes and children with these (folded) names: the value tag, and "_" to tell apart.

    >>> text_name(["_id"], Options()), text_name(["_id", "_value"], Options())
    ('_VALUE', '_VALUE_')
    """
    name = options.value_tag
    while fold(name) in others and not options.is_spark:
        name += "_"
    return name


@dataclass(slots=True)
class Node:
    """One path: the occurrences of a field below its parents.

    `bare` counts occurrences that are a text alone, `structs` those with attributes, children or text among these,
    `mixed` those with both text and children;
    `parents` counts the parents that have at least one occurrence with a value, `repeats` is the most in one parent;
    `documents` and `text_documents` those in which it occurs, and in which it has text.
    """

    names: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    text_documents: int = 0
    parents: int = 0
    repeats: int = 0
    bare: int = 0
    structs: int = 0
    mixed: int = 0
    votes: Votes = field(default_factory=Votes)
    children: "dict[str, Node]" = field(default_factory=dict)
    # The documents counted last.
    seen_in: int = field(default=-1, compare=False, repr=False)
    text_in: int = field(default=-1, compare=False, repr=False)

    @property
    def occurrences(self) -> int:
        return self.kinds.total()

    @property
    def name(self) -> str:
        """The spelling seen most often; of equals the one in lower case."""
        return min(self.names, key=lambda name: (-self.names[name], name.swapcase()))

    def observe(self, element: Element, document: int, options: Options) -> bool:
        """Count one element; False where it is empty."""
        groups: dict[str, list[Part]] = {}
        kinds = set()
        for part in parts(element, options):
            name, kind, _ = part
            groups.setdefault(text_key(options) if kind == TEXT else fold(name), []).append(part)
            kinds.add(kind)
        if TEXT in kinds:
            self._observe_text(document)
        self.structs += bool(groups)
        self.mixed += kinds >= {TEXT, ELEMENT}
        for key, group in groups.items():
            node = self.children.get(key)
            if node is None:
                node = self.children[key] = Node()
            node._observe_group(group, document, options)
        return bool(groups)

    def _observe_group(self, group: list[Part], document: int, options: Options) -> None:
        """Count what one parent holds of this path."""
        has_value = False
        for name, kind, value in group:
            self.names[name] += 1
            self.kinds[kind] += 1
            has_value |= self._observe_part(kind, value, document, options)
        self.repeats = max(self.repeats, len(group))
        self.parents += has_value
        if self.seen_in != document:
            self.seen_in = document
            self.documents += 1

    def _observe_part(self, kind: str, value: Element | str, document: int, options: Options) -> bool:
        if kind == ATTRIBUTE and options.trimmed(str(value)) == options.null_value:
            return False
        if not isinstance(value, str) and not is_leaf(value, options):
            return self.observe(value, document, options)
        has_text = self.votes.add(value if isinstance(value, str) else text_of(value), options)
        if has_text:
            self.bare += 1
            self._observe_text(document)
        return has_text

    def _observe_text(self, document: int) -> None:
        if self.text_in != document:
            self.text_in = document
            self.text_documents += 1

    def merge(self, other: "Node") -> "Node":
        """The counts of both, as if one discovery had seen all their documents."""
        children = dict(self.children)
        for key, node in other.children.items():
            children[key] = children[key].merge(node) if key in children else node
        return Node(
            names=self.names + other.names,
            kinds=self.kinds + other.kinds,
            documents=self.documents + other.documents,
            text_documents=self.text_documents + other.text_documents,
            parents=self.parents + other.parents,
            repeats=max(self.repeats, other.repeats),
            bare=self.bare + other.bare,
            structs=self.structs + other.structs,
            mixed=self.mixed + other.mixed,
            votes=self.votes.merge(other.votes),
            children=children,
        )

    def fields(self, options: Options) -> "dict[str, Node]":
        """The fields of the struct that this path needs, by folded name; empty where a scalar will do.

        Elements that are a text alone here and have attributes or children there put their text under the value tag.
        """
        if not self.children or not self.bare:
            return self.children
        key = text_key(options)
        text = Node(
            names=Counter({options.value_tag: self.bare}),
            kinds=Counter({TEXT: self.bare}),
            documents=self.text_documents,
            parents=self.bare,
            repeats=1,
            bare=self.bare,  # an element can have the value tag's name, and then it is a struct with text of its own
            votes=self.votes,
        )
        if key in self.children:
            within = self.children[key]
            text = text.merge(within)
            # A document can hold both forms.
            text.documents = max(self.text_documents, within.documents)
        return {**self.children, key: text}

    def as_dict(self) -> dict[str, Any]:
        """The node as plain values; what is zero or empty is left out."""
        plain: dict[str, Any] = {
            "names": dict(sorted(self.names.items())),
            "kinds": dict(sorted(self.kinds.items())),
            "documents": self.documents,
            "text_documents": self.text_documents,
            "parents": self.parents,
            "repeats": self.repeats,
            "bare": self.bare,
            "structs": self.structs,
            "mixed": self.mixed,
            "votes": self.votes.as_dict(),
            "children": {key: node.as_dict() for key, node in sorted(self.children.items())},
        }
        return {name: value for name, value in plain.items() if value}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Node":
        """The opposite of `as_dict`."""
        return cls(
            **{
                **plain,
                "names": Counter(plain.get("names", {})),
                "kinds": Counter(plain.get("kinds", {})),
                "votes": Votes.from_dict(plain.get("votes", {})),
                "children": {key: cls.from_dict(node) for key, node in plain.get("children", {}).items()},
            }
        )
