"""One document's tree → the Python values of its struct, along a plan made once per schema."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import pyarrow as pa

from thresher.errors import UsageError
from thresher.types import ddl
from thresher.xml.casts import Cast, Texts, texts_for
from thresher.xml.decoding import SNIPPET
from thresher.xml.elements import BLANKS, Tree, has_children, inner_xml, text_of
from thresher.xml.namespaces import XSI_NIL
from thresher.xml.options import Options, dotted
from thresher.xml.shapes import Shape
from thresher.xml.structure import ATTRIBUTE, TEXT, TEXT_KEY, Part, attributes, fold, is_leaf, parts

MOST_SPELLINGS = 10_000


@dataclass(frozen=True)
class Plan:
    """How one field is read: as a scalar (`cast`), a struct (`fields` by folded name), a map, or an array of these.

    `text` is the field of a struct for text; it stands under TEXT_KEY where nothing else goes there.
    """

    name: str
    is_array: bool
    kind: pa.DataType
    cast: Cast | None = None
    texts: Texts | None = None  # the same, by texts that are not trimmed
    fields: "dict[str, Plan]" = field(default_factory=dict)
    text: "Plan | None" = None
    holds_xml: bool = False  # a string that takes child elements as their XML
    entry: "Plan | None" = None  # of a map
    spellings: "dict[str, Plan]" = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def type(self) -> pa.DataType:
        """The type of the field, `kind` being that of its items."""
        return pa.list_(pa.field("element", self.kind)) if self.is_array else self.kind

    def named(self, name: str) -> "Plan | None":
        """The field that a name as written belongs to; looked up in `spellings` the next time."""
        found = self.fields.get(fold(name))
        if found and len(self.spellings) < MOST_SPELLINGS:
            self.spellings[name] = found
        return found

    @cached_property
    def ddl(self) -> str:
        """The type of a scalar, or of an array's items, in Spark's words."""
        return ddl(self.kind)

    @cached_property
    def _nulls(self) -> dict[str, Any]:
        return {plan.name: None for plan in self.fields.values()}

    def nulls(self) -> dict[str, Any]:
        """A struct in which nothing stands yet."""
        return self._nulls.copy()


def plan_of(shape: Shape, options: Options) -> Plan:
    """The plan for a field of a schema."""
    if pa.types.is_struct(shape.item):
        fields = {
            fold(inner.name) if inner.takes_names else TEXT_KEY: plan_of(inner, options) for inner in shape.fields
        }
        text = next((plan for plan, inner in zip(fields.values(), shape.fields, strict=True) if inner.takes_text), None)
        return Plan(shape.name, shape.is_array, shape.item, fields=fields, text=text)
    if shape.is_learnt and not options.is_spark:
        texts = texts_for(shape.item, options, is_learnt=True)
        return Plan(shape.name, shape.is_array, shape.item, texts.cast, texts)
    return _declared(shape.name, shape.type, options)


def _declared(name: str, kind: pa.DataType, options: Options) -> Plan:
    is_array = pa.types.is_list(kind)
    kind = kind.value_type if is_array else kind
    if pa.types.is_struct(kind):
        fields = {fold(inner.name): _declared(inner.name, inner.type, options) for inner in kind}
        return Plan(name, is_array, kind, fields=fields, text=fields.get(fold(options.value_tag)))
    if pa.types.is_map(kind):
        _check_map(kind)
        return Plan(name, is_array, kind, entry=_declared("", kind.item_type, options))
    texts = texts_for(kind, options, is_learnt=False)
    return Plan(name, is_array, kind, texts.cast, texts, holds_xml=pa.types.is_string(kind))


def _check_map(kind: pa.MapType) -> None:
    if kind.key_type != pa.string() or pa.types.is_list(kind.item_type):
        raise UsageError(f"XML values cannot be read as {ddl(kind)}; expected map<string, …> of what is no array")


class Spot(NamedTuple):
    """Where a value belongs: under which name, as which of several, inside what; and the tag it stands in."""

    name: str
    tag: Element
    outer: "Spot | None" = None
    ordinal: int | None = None

    def below(self, name: str, value: Element | str, ordinal: int | None = None) -> "Spot":
        return Spot(name, self.tag if isinstance(value, str) else value, self, ordinal)

    # Made only for what goes wrong or finds no place: every struct has a spot.
    @property
    def path(self) -> tuple[str, ...]:
        """The path in the schema."""
        return (*self.outer.path, self.name) if self.outer else ()

    @property
    def place(self) -> str:
        """The place in this document: `book[2].title`."""
        if self.outer is None:
            return ""
        step = dotted((self.name,)) + (f"[{self.ordinal}]" if self.ordinal else "")
        around = self.outer.place
        return f"{around}.{step}" if around else step


class Builder:
    """Builds one document, and keeps its errors and what found no place: a bad value is null, and all others stay."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.errors: list[dict[str, Any]] = []
        self.rescued: dict[str, Any] = {}

    def document(self, tree: Tree, plan: Plan) -> dict[str, Any]:
        """The struct of a document."""
        self.tree = tree
        row = plan.nulls()
        self.fill(row, parts(tree.root, self.options), plan, Spot("", tree.root))
        return row

    def fill(self, row: dict[str, Any], content: Iterable[Part], plan: Plan, spot: Spot) -> None:
        """Put the parts of one element into the fields of its struct."""
        spellings, text = plan.spellings, plan.text
        places = [
            (part, text if part[1] == TEXT else spellings.get(part[0]) or plan.named(part[0])) for part in content
        ]
        last = {found.name: part for part, found in places if found}
        for part, found in places:
            value = part[2]
            if found is None:
                self.rescue(spot.below(part[0], value), value)
                continue
            name = found.name
            if found.is_array:
                items = row[name]
                if items is None:
                    items = row[name] = []
                items.append(self.value(value, found, spot, name, len(items) + 1))
            elif part is last[name]:
                row[name] = self.value(value, found, spot, name)
            else:
                self.rescue(spot.below(name, value), value)

    def value(self, value: Element | str, plan: Plan, outer: Spot, name: str, ordinal: int | None = None) -> Any:
        """The value of what stands inside `outer` under a name."""
        texts = plan.texts
        if texts is None:
            return self.nested(value, plan, outer.below(name, value, ordinal))
        text: str | None
        if isinstance(value, str):
            text = value
        elif not len(value) and not value.keys():
            text = value.text or ""
        else:
            text = self.text_within(value, plan, outer.below(name, value, ordinal))
            if text is None:
                return None
        try:
            return texts[text]
        except (ValueError, ArithmeticError) as error:
            self.refuse_text(text, plan, outer.below(name, value, ordinal), error)
            return None

    def nested(self, value: Element | str, plan: Plan, spot: Spot) -> Any:
        """A value of a struct or a map."""
        if _is_nil(value):
            return None
        content = [(self.options.value_tag, TEXT, value)] if isinstance(value, str) else parts(value, self.options)
        if plan.entry is not None:
            return self.map(content, plan.entry, spot)
        row = plan.nulls()
        self.fill(row, content, plan, spot)
        return row

    def map(self, content: Iterable[Part], entry: Plan, spot: Spot) -> list[tuple[str, Any]]:
        """Attributes, children and text under their names."""
        entries: dict[str, Any] = {}
        content = list(content)
        last = {part[0]: part for part in content}
        for part in content:
            name, _, value = part
            if part is last[name]:
                entries[name] = self.value(value, entry, spot, name)
            else:
                self.rescue(spot.below(name, value), value)
        return list(entries.items())

    def text_within(self, element: Element, plan: Plan, spot: Spot) -> str | None:
        """What a scalar takes of an element with attributes or children: its text, or for a string its XML."""
        if _is_nil(element):
            return None
        if element.keys():
            self.rescue_attributes(element, spot)
        if not has_children(element):
            return text_of(element)
        if plan.holds_xml:
            return inner_xml(element)
        self.refuse_subtree(element, plan, spot)
        return None

    def refuse_text(self, text: str, plan: Plan, spot: Spot, error: Exception) -> None:
        text = self.options.trimmed(text)
        self.bad(spot, reason_against(text, plan, error), text)
        self.rescue(spot, text)

    def refuse_subtree(self, element: Element, plan: Plan, spot: Spot) -> None:
        reason = f"<{element.tag}> has child elements where {plan.ddl} was expected"
        self.bad(spot, reason, inner_xml(element))
        for name, kind, value in parts(element, self.options):
            if kind != ATTRIBUTE:
                self.rescue(spot.below(name, value), value)

    def bad(self, spot: Spot, reason: str, found: str) -> None:
        """Keep an error about one value."""
        self.errors.append(type_error(spot.path, self.tree.places[spot.tag], reason, found))

    def rescue_attributes(self, element: Element, spot: Spot) -> None:
        for name, value in attributes(element, self.options):
            self.rescue(spot.below(self.options.attribute_prefix + self.options.local(name), value), value)

    def rescue(self, spot: Spot, value: Element | str) -> None:
        """Keep what the schema has no place for."""
        self.rescue_at(spot.place, value)

    def rescue_at(self, place: str, value: Element | str) -> None:
        """Keep it under a place that is known."""
        _append(self.rescued, place, self.plain(value))

    def plain(self, value: Element | str) -> Any:
        """A subtree as JSON values: texts, objects with an attribute's prefix and the value tag, arrays of repeats, and
        null where it says so itself."""
        if isinstance(value, str):
            return self.options.trimmed(value)
        if not len(value) and not value.keys():
            return self.options.trimmed(value.text or "")
        if _is_nil(value):
            return None
        if is_leaf(value, self.options):
            return self.options.trimmed(text_of(value))
        fields: dict[str, Any] = {}
        for name, _, part in parts(value, self.options):
            _append(fields, name, self.plain(part))
        return fields


def reason_against(text: str, plan: Plan, error: Exception) -> str:
    """Why a text is no value of a field."""
    return f"{text[:SNIPPET]!r} is no {plan.ddl}: {error}"


def type_error(path: tuple[str, ...], place: tuple[int, int], reason: str, found: str) -> dict[str, Any]:
    """The row of the table of errors about a value in an element that stands at a line and column."""
    return {
        "path": dotted(path),
        "line": place[0],
        "column": place[1],
        "rule": "type",
        "reason": reason,
        "snippet": found[:SNIPPET],
    }


def _append(fields: dict[str, Any], name: str, value: Any) -> None:
    """A second value of the same name makes it an array."""
    if name not in fields:
        fields[name] = value
    elif isinstance(fields[name], list):
        fields[name].append(value)
    else:
        fields[name] = [fields[name], value]


def _is_nil(value: Element | str) -> bool:
    if isinstance(value, str) or not value.keys() or len(value) or value.text:
        return False
    has_data = any(name != XSI_NIL and not name.startswith("xmlns") for name in value.keys())
    return not has_data and value.get(XSI_NIL, "").strip(BLANKS) in ("true", "1")
