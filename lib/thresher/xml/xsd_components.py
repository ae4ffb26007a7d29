"""What the files of an XSD declare, by kind and qualified name, and what their references mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from thresher.errors import UsageError
from thresher.xml.xsd_files import IMPORT, REDEFINE, XML_NAMESPACE, XS, Files, located, parsed, references

ATTRIBUTE, ELEMENT, GROUP, TYPE = "attribute", "element", "group", "type"
_KINDS = {
    XS + "attribute": ATTRIBUTE,
    XS + "attributeGroup": "attributeGroup",
    XS + "complexType": TYPE,
    XS + "element": ELEMENT,
    XS + "group": GROUP,
    XS + "simpleType": TYPE,
}


@dataclass(frozen=True, eq=False)
class Document:
    """One file as it counts for one namespace: a file without its own takes on that of the file that includes it."""

    name: str
    root: Any
    namespace: str

    def is_qualified(self, declaration: Any, default: str) -> bool:
        """Whether documents write a local element or attribute with its namespace."""
        return declaration.get("form", self.root.get(default, "unqualified")) == "qualified"


@dataclass(frozen=True, eq=False)
class Component:
    """An element of an XSD where it stands; `original` is what a redefinition with the same name builds on."""

    element: Any
    document: Document
    original: "Component | None" = None

    def child(self, element: Any) -> "Component":
        """An element inside this one."""
        return Component(element, self.document, self.original)

    def children(self, *tags: str) -> "Iterator[Component]":
        """The elements directly inside with one of these names; all but annotations without names."""
        for element in self.element.iterchildren(*(XS + tag for tag in tags)):
            if isinstance(element.tag, str) and element.tag != XS + "annotation":  # a comment's tag is a function
                yield self.child(element)

    def first(self, *tags: str) -> "Component | None":
        return next(self.children(*tags), None)

    @property
    def tag(self) -> str:
        return self.element.tag.removeprefix(XS)

    @property
    def place(self) -> str:
        return f"{self.document.name}, line {self.element.sourceline}"

    def qualified(self, name: str) -> str:
        """A name as the XSD writes it → `{uri}local`."""
        prefix, _, local = name.strip().rpartition(":")
        if prefix == "xml":
            return clark(XML_NAMESPACE, local)
        uri = self.element.nsmap.get(prefix or None)
        if uri is None and prefix:
            raise UsageError(f"{self.place}: the prefix of {name!r} is not declared; expected xmlns:{prefix}")
        if uri is None:
            # In a file without a namespace, included by one with: its own names are in that one's.
            uri = "" if self.document.root.get("targetNamespace") else self.document.namespace
        return clark(uri, local)


def clark(uri: str, local: str) -> str:
    """A name with its namespace.

    >>> clark("urn:c", "total"), clark("", "total")
    ('{urn:c}total', 'total')
    """
    return f"{{{uri}}}{local}" if uri else local


def parts_of(name: str) -> tuple[str, str]:
    """`{uri}local` → uri and local name: the opposite of `clark`."""
    uri, _, local = name.rpartition("}")
    return uri.removeprefix("{"), local


class Components:
    """All global components of an XSD; `elements` are the global elements of its own namespace, in order."""

    def __init__(self, files: Files) -> None:
        self.texts = dict(files)
        self.main = files[0][0]
        self.found: dict[tuple[str, str], Component] = {}
        self.elements: list[str] = []
        self.missing: list[str] = []
        self._loaded: set[tuple[str, str]] = set()
        root = parsed(self.main, self.texts[self.main])
        self.namespace = root.get("targetNamespace", "")
        self._load(Document(self.main, root, self.namespace))
        self.members = self._members()

    def _load(self, document: Document) -> None:
        if (document.name, document.namespace) in self._loaded:
            return
        self._loaded.add((document.name, document.namespace))
        for reference in references(document.root):
            self._load_reference(document, reference)
        for element in document.root.iterchildren():
            self._declare(Component(element, document))

    def _load_reference(self, document: Document, reference: Any) -> None:
        name = located(document.name, reference, self.texts)
        if name is None:
            self.missing += [reference.get("schemaLocation", reference.get("namespace", ""))]
            return
        root = parsed(name, self.texts[name])
        inherited = "" if reference.tag == IMPORT else document.namespace
        self._load(Document(name, root, root.get("targetNamespace", inherited)))
        if reference.tag == REDEFINE:
            for element in reference.iterchildren():
                self._declare(Component(element, document))

    def _declare(self, component: Component) -> None:
        kind, name = _KINDS.get(component.element.tag), component.element.get("name")
        if kind is None or name is None:
            return
        key = kind, clark(component.document.namespace, name)
        if kind == ELEMENT and component.document.namespace == self.namespace and key not in self.found:
            self.elements.append(key[1])
        self.found[key] = Component(component.element, component.document, self.found.get(key))

    def _members(self) -> dict[str, list[str]]:
        """The elements that may stand for another one (its substitution group)."""
        members: dict[str, list[str]] = {}
        for (kind, name), component in self.found.items():
            if kind == ELEMENT:
                for head in component.element.get("substitutionGroup", "").split():
                    members.setdefault(component.qualified(head), []).append(name)
        return members

    def substitutes(self, name: str) -> list[str]:
        """An element and all that may stand for it."""
        names = [name]
        for known in names:
            names += [member for member in self.members.get(known, []) if member not in names]
        return names

    def get(self, kind: str, name: str, component: Component) -> Component:
        """What a reference in a component means. Raises UsageError where no file declares it."""
        found = self.found.get((kind, name))
        if found is None:
            lost = f"; not found: {', '.join(self.missing)}" if self.missing else ""
            raise UsageError(
                f"{component.place}: the {kind} {name} is not declared in {', '.join(self.texts)}{lost}. "
                f"Put the file that declares it beside the XSD."
            )
        # Inside its own redefinition a name means what was there before.
        is_own = component.original is not None and _is_within(component.element, found.element)
        return found.original if is_own and found.original is not None else found

    def references_to_elements(self) -> set[str]:
        """The global elements that stand inside others."""
        documents = {component.document for component in self.found.values()}
        return {
            name
            for document in documents
            for element in document.root.iter(XS + "element")
            if element.get("ref")
            for name in self.substitutes(Component(element, document).qualified(element.get("ref")))
        }


def _is_within(element: Any, ancestor: Any) -> bool:
    return element is ancestor or any(above is ancestor for above in element.iterancestors())
