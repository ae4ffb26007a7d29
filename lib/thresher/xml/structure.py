"""What has been seen of a document's structure: a tree of paths with counts, built and merged in any order."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from thresher.xml.elements import Element
from thresher.xml.options import Options
from thresher.xml.votes import Votes

ATTRIBUTE, ELEMENT, TEXT = "attribute", "element", "text"
XSI_NIL = "xsi:nil"


class Part(NamedTuple):
    """One attribute, child element or run of text, under the name of its field."""

    name: str
    kind: str
    value: Element | str


def parts(element: Element, options: Options) -> Iterator[Part]:
    """An element's content as fields: attributes, then text and children in their order; blank text is none."""
    for name, value in attributes(element, options):
        yield Part(options.attribute_prefix + options.local(name), ATTRIBUTE, value)
    for part in element.content:
        if not isinstance(part, str):
            yield Part(options.local(part.name) if options.ignore_namespace else part.name, ELEMENT, part)
        elif part.strip(" \t\r\n"):
            yield Part(options.value_tag, TEXT, part)


def attributes(element: Element, options: Options) -> list[tuple[str, str]]:
    """The attributes that are data: to Spark all are; else not xsi:nil, nor declarations of ignored namespaces."""
    if options.exclude_attribute or not element.attributes:
        return []
    if options.is_spark:
        return element.attributes
    hides_namespaces = options.ignore_namespace
    return [
        (name, value)
        for name, value in element.attributes
        if name != XSI_NIL and not (hides_namespaces and (name == "xmlns" or name.startswith("xmlns:")))
    ]


def is_leaf(element: Element, options: Options) -> bool:
    """Whether an element holds at most text, so that its value needs no field of its own."""
    texts = len(element.content)
    has_children = any(not isinstance(part, str) for part in element.content)
    return not has_children and not attributes(element, options) and (texts < 2 or len(element.runs()) < 2)


def fold(name: str) -> str:
    """The form in which names are compared: lake engines do not tell fields apart by case."""
    return name.lower()


@dataclass
class Node:
    """One path: the occurrences of a field below its parents.

    `bare` counts occurrences that are a text alone, `structs` those with attributes, children or text among these,
    `mixed` those with both text and children;
    `parents` counts the parents that have at least one occurrence with a value, `repeats` is the most in one parent.
    """

    names: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    documents: int = 0
    parents: int = 0
    repeats: int = 0
    bare: int = 0
    structs: int = 0
    mixed: int = 0
    votes: Votes = field(default_factory=Votes)
    children: "dict[str, Node]" = field(default_factory=dict)
    seen_in: int = field(default=-1, compare=False, repr=False)  # the document counted last

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
            groups.setdefault(fold(part.name), []).append(part)
            kinds.add(part.kind)
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
        for part in group:
            self.names[part.name] += 1
            self.kinds[part.kind] += 1
            has_value |= self._observe_part(part, document, options)
        self.repeats = max(self.repeats, len(group))
        self.parents += has_value
        if self.seen_in != document:
            self.seen_in = document
            self.documents += 1

    def _observe_part(self, part: Part, document: int, options: Options) -> bool:
        if part.kind == ATTRIBUTE and options.trimmed(str(part.value)) == options.null_value:
            return False
        if not isinstance(part.value, str) and not is_leaf(part.value, options):
            return self.observe(part.value, document, options)
        has_text = self.votes.add(part.value if isinstance(part.value, str) else part.value.text(), options)
        self.bare += has_text
        return has_text

    def merge(self, other: "Node") -> "Node":
        """The counts of both, as if one discovery had seen all their documents."""
        children = dict(self.children)
        for key, node in other.children.items():
            children[key] = children[key].merge(node) if key in children else node
        return Node(
            names=self.names + other.names,
            kinds=self.kinds + other.kinds,
            documents=self.documents + other.documents,
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
        key = fold(options.value_tag)
        text = Node(
            names=Counter({options.value_tag: self.bare}),
            kinds=Counter({TEXT: self.bare}),
            documents=self.documents,
            parents=self.bare,
            repeats=1,
            bare=self.bare,  # an element can have the value tag's name, and then it is a struct with text of its own
            votes=self.votes,
        )
        if key in self.children:
            within = self.children[key]
            text = text.merge(within)
            # A document can hold both forms; it is counted once where that is certain.
            text.documents = min(text.documents, self.documents)
        return {**self.children, key: text}

    def as_dict(self) -> dict[str, Any]:
        """The node as plain values; what is zero or empty is left out."""
        plain: dict[str, Any] = {
            "names": dict(sorted(self.names.items())),
            "kinds": dict(sorted(self.kinds.items())),
            "documents": self.documents,
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
