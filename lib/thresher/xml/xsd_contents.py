"""What elements of an XSD's complex types hold: children, attributes and text, each name once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import pyarrow as pa

from thresher.errors import UsageError
from thresher.xml.options import Options
from thresher.xml.structure import fold
from thresher.xml.xsd_components import ATTRIBUTE, ELEMENT, GROUP, TYPE, Component, Components, parts_of
from thresher.xml.xsd_files import XML_NAMESPACE, XS
from thresher.xml.xsd_types import is_built_in, simple_type

MANY = 2  # occurrences are counted as none, one and many
# How many types or groups may build on each other; each takes a few frames of Python's 1,000.
LONGEST_CHAIN = 100
_ANY_TYPE = XS + "anyType"

# What a field holds: values of a type, or elements of a complex type.
Held: TypeAlias = pa.DataType | Component


@dataclass(frozen=True)
class Use:
    """A name in the content of an element: what it holds (one for each declaration), at most how often."""

    name: str
    held: tuple[Held, ...]
    most: int = 1

    def beside(self, other: "Use", most: int) -> "Use":
        """This and another declaration of the same name."""
        return Use(self.name, self.held + tuple(held for held in other.held if held not in self.held), most)


Uses: TypeAlias = dict[str, Use]


@dataclass(frozen=True)
class Content:
    """What elements of a complex type hold: children and attributes by folded name, and text."""

    children: Uses
    attributes: Uses
    text: pa.DataType | None = None
    is_mixed: bool = False


class Contents:
    """Reads the content of complex types, each once."""

    def __init__(self, components: Components, options: Options) -> None:
        self.components = components
        self.options = options
        self.prefixes = {uri: prefix for prefix, uri in dict(options.namespaces).items()}
        self._known: dict[object, Content] = {}
        self._open: list[object] = []

    def of(self, component: Component) -> Content:
        """The content of a complex type."""
        key = component.element
        if key not in self._known:
            with self._entered(component):
                self._known[key] = self._read(component)
        return self._known[key]

    @contextmanager
    def _entered(self, component: Component) -> Iterator[None]:
        if component.element in self._open:
            raise UsageError(f"{component.place}: the {component.tag} is built on itself; expected no such circle")
        if len(self._open) == LONGEST_CHAIN:
            raise UsageError(f"{component.place}: more than {LONGEST_CHAIN} types or groups are built on each other")
        self._open.append(component.element)
        yield
        self._open.pop()

    def _read(self, component: Component) -> Content:
        is_mixed = component.element.get("mixed") in ("true", "1")
        model = component.first("simpleContent", "complexContent")
        if model is None:
            return Content(self._children(component), _allowed(self._attributes(component)), None, is_mixed)
        derivation = model.first("extension", "restriction")
        if derivation is None:
            raise UsageError(f"{model.place}: {model.tag} holds nothing; expected an extension or a restriction")
        if model.tag == "simpleContent":
            return self._simple(derivation)
        return self._derived(derivation, is_mixed or model.element.get("mixed") in ("true", "1"))

    def _simple(self, derivation: Component) -> Content:
        base = self._base(derivation)
        below = self.of(base) if isinstance(base, Component) else Content({}, {}, base)
        narrowed = derivation.first("simpleType")
        text = below.text if narrowed is None else self._simple_type(narrowed, "")
        return Content({}, self._inherited(below, derivation), pa.string() if text is None else text)

    def _derived(self, derivation: Component, is_mixed: bool) -> Content:
        base = self._base(derivation)
        below = self.of(base) if isinstance(base, Component) else Content({}, {}, None, is_mixed=True)
        own = self._children(derivation)
        if derivation.tag == "restriction":
            return Content(own, self._inherited(below, derivation), None, is_mixed)
        if self.options.is_spark:
            # Spark forgets the attributes that an extension adds.
            return Content(_together(below.children | below.attributes, own), {}, below.text)
        children, attributes = _together(below.children, own), self._inherited(below, derivation)
        return Content(children, attributes, below.text, is_mixed or below.is_mixed)

    def _inherited(self, below: Content, derivation: Component) -> Uses:
        return _allowed(below.attributes | self._attributes(derivation))

    def _base(self, derivation: Component) -> Held | None:
        name = derivation.qualified(derivation.element.get("base", "xs:anyType"))
        return None if name == _ANY_TYPE else self._named_type(name, derivation)

    def _children(self, component: Component) -> Uses:
        particle = component.first("sequence", "choice", "all", "group")
        return {} if particle is None else self._particle(particle)

    def _particle(self, particle: Component) -> Uses:
        most = _most(particle)
        if particle.tag == "any":
            name = self.options.wildcard_column
            return {fold(name): Use(name, (pa.string(),), most)} if self.options.is_spark and most else {}
        if particle.tag == "element":
            return self._element(particle, most)
        if particle.tag == "group":
            found = self._group(particle)
        else:
            found = {}
            combined: Callable[[Uses, Uses], Uses] = _either if particle.tag == "choice" else _together
            for inner in particle.children():
                found = combined(found, self._particle(inner))
        if self.options.is_spark:
            most = min(most, 1)  # to Spark a repeated group stands once
        return {key: replace(use, most=min(use.most * most, MANY)) for key, use in found.items() if most}

    def _group(self, reference: Component) -> Uses:
        group = self.components.get(GROUP, reference.qualified(reference.element.get("ref", "")), reference)
        with self._entered(group):
            return self._children(group)

    def _element(self, particle: Component, most: int) -> Uses:
        if not most:
            return {}
        reference = particle.element.get("ref")
        if reference is None:
            is_qualified = particle.document.is_qualified(particle.element, "elementFormDefault")
            uri = particle.document.namespace if is_qualified else ""
            name = self.name(uri, particle.element.get("name", ""))
            return {fold(name): Use(name, (self.held(particle),), most)}
        head = particle.qualified(reference)
        uses: Uses = {}
        for member in [head] if self.options.is_spark else self.components.substitutes(head):
            declaration = self.components.get(ELEMENT, member, particle)
            if declaration.element.get("abstract") in ("true", "1") and not self.options.is_spark:
                continue
            name = self.name(*parts_of(member))
            uses = _either(uses, {fold(name): Use(name, (self.held(declaration),), most)})
        return uses

    def name(self, uri: str, local: str) -> str:
        """The field of an element: with the prefix that the options declare for its namespace, else alone."""
        prefix = self.prefixes.get(uri)
        return f"{prefix}:{local}" if uri and prefix else local

    def held_by(self, name: str) -> Held:
        """What a global element holds."""
        return self.held(self.components.found[ELEMENT, name])

    def held(self, declaration: Component) -> Held:
        """What elements of a declaration hold."""
        inline = declaration.first("simpleType", "complexType")
        if inline is not None:
            return inline if inline.tag == "complexType" else self._simple_type(inline, "")
        name = declaration.element.get("type")
        if name is not None:
            return self._named_type(declaration.qualified(name), declaration)
        head = declaration.element.get("substitutionGroup", "").split()
        if head:
            with self._entered(declaration):
                return self.held(self.components.get(ELEMENT, declaration.qualified(head[0]), declaration))
        return pa.string()  # anything: its XML

    def _named_type(self, name: str, component: Component) -> Held:
        if is_built_in(name):
            return self._simple_type(None, name)
        found = self.components.get(TYPE, name, component)
        return found if found.tag == "complexType" else self._simple_type(found, name)

    def _simple_type(self, component: Component | None, name: str) -> pa.DataType:
        return simple_type(component, name, self.components, is_spark=self.options.is_spark)

    def _attributes(self, component: Component) -> Uses:
        """The attributes by folded name; prohibited ones stand none times."""
        uses: Uses = {}
        if self.options.exclude_attribute:
            return uses
        for inner in component.children("attribute", "attributeGroup"):
            if inner.tag == "attribute":
                use = self._attribute(inner)
                uses[fold(use.name)] = use
                continue
            group = self.components.get("attributeGroup", inner.qualified(inner.element.get("ref", "")), inner)
            with self._entered(group):
                uses |= self._attributes(group)
        return uses

    def _attribute(self, inner: Component) -> Use:
        reference = inner.element.get("ref")
        declaration, name = inner, inner.element.get("name", "")
        if reference is not None:
            qualified = inner.qualified(reference)
            declaration = self.components.get(ATTRIBUTE, qualified, inner)
            name = self._attribute_name(*parts_of(qualified), reference)
        elif inner.document.is_qualified(inner.element, "attributeFormDefault"):
            name = self._attribute_name(inner.document.namespace, name, name)
        is_unknown_to_spark = self.options.is_spark and declaration.first("simpleType") is not None
        held = pa.string() if is_unknown_to_spark else self.held(declaration)
        most = 0 if inner.element.get("use") == "prohibited" else 1
        return Use(self.options.attribute_prefix + name, (held,), most)

    def _attribute_name(self, uri: str, local: str, written: str) -> str:
        """An attribute in a namespace always has a prefix in documents: the declared one, else the XSD's own."""
        if self.options.ignore_namespace or not uri:
            return local
        prefix = "xml" if uri == XML_NAMESPACE else self.prefixes.get(uri)
        return f"{prefix}:{local}" if prefix else written


def _allowed(attributes: Uses) -> Uses:
    return {key: use for key, use in attributes.items() if use.most}


def _most(particle: Component) -> int:
    text = particle.element.get("maxOccurs", "1").strip()
    return min(int(text), MANY) if text.isdigit() else MANY


def _together(left: Uses, right: Uses) -> Uses:
    """The children of one model followed by those of another."""
    return _combined(left, right, lambda a, b: min(a + b, MANY))


def _either(left: Uses, right: Uses) -> Uses:
    """The children of one model or of another."""
    return _combined(left, right, max)


def _combined(left: Uses, right: Uses, count: Callable[[int, int], int]) -> Uses:
    uses = dict(left)
    for key, use in right.items():
        uses[key] = use if key not in uses else uses[key].beside(use, count(uses[key].most, use.most))
    return uses
