"""One document's tree → the Python values of its struct, along a plan made once per schema."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from thresher.errors import UsageError
from thresher.types import ddl
from thresher.xml.casts import Cast, cast_for, learnt_cast_for
from thresher.xml.decoding import SNIPPET
from thresher.xml.elements import Element
from thresher.xml.options import Options, dotted
from thresher.xml.schema import Shape
from thresher.xml.structure import ATTRIBUTE, TEXT, XSI_NIL, Part, attributes, fold, is_leaf, parts


@dataclass(frozen=True)
class Plan:
    """How one field is read: as a scalar (`cast`), a struct (`fields` by folded name), a map, or an array of these."""

    name: str
    is_array: bool
    kind: pa.DataType
    cast: Cast | None = None
    fields: "dict[str, Plan]" = field(default_factory=dict)
    holds_xml: bool = False  # a string that takes child elements as their XML
    entry: "Plan | None" = None  # of a map

    @property
    def type(self) -> pa.DataType:
        """The type of the field, `kind` being that of its items."""
        return pa.list_(pa.field("element", self.kind)) if self.is_array else self.kind

    def nulls(self) -> dict[str, Any]:
        """A struct in which nothing stands yet."""
        return {plan.name: None for plan in self.fields.values()}


def plan_of(shape: Shape, options: Options) -> Plan:
    """The plan for a field of a schema."""
    if pa.types.is_struct(shape.item):
        fields = {fold(inner.name): plan_of(inner, options) for inner in shape.fields}
        return Plan(shape.name, shape.is_array, shape.item, None, fields)
    if shape.is_learnt and not options.is_spark:
        return Plan(shape.name, shape.is_array, shape.item, learnt_cast_for(shape.item, options))
    return _declared(shape.name, shape.type, options)


def _declared(name: str, kind: pa.DataType, options: Options) -> Plan:
    is_array = pa.types.is_list(kind)
    kind = kind.value_type if is_array else kind
    if pa.types.is_struct(kind):
        return Plan(name, is_array, kind, None, {fold(f.name): _declared(f.name, f.type, options) for f in kind})
    if pa.types.is_map(kind):
        _check_map(kind)
        return Plan(name, is_array, kind, entry=_declared("", kind.item_type, options))
    return Plan(name, is_array, kind, cast_for(kind, options), holds_xml=pa.types.is_string(kind))


def _check_map(kind: pa.MapType) -> None:
    if kind.key_type != pa.string() or pa.types.is_list(kind.item_type):
        raise UsageError(f"XML values cannot be read as {ddl(kind)}; expected map<string, …> of what is no array")


class Spot(NamedTuple):
    """Where a value belongs: under which name, as which of several, inside what; and the tag it stands in."""

    name: str
    tag: Element
    outer: "Spot | None" = None
    ordinal: int | None = None

    def below(self, name: str, part: Part, ordinal: int | None = None) -> "Spot":
        return Spot(name, self.tag if isinstance(part.value, str) else part.value, self, ordinal)

    # Made only for what goes wrong or finds no place: every value has a spot.
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

    def document(self, root: Element, plan: Plan) -> dict[str, Any]:
        """The struct of a document."""
        row = plan.nulls()
        self.fill(row, list(parts(root, self.options)), plan, Spot("", root))
        return row

    def fill(self, row: dict[str, Any], content: Sequence[Part], plan: Plan, spot: Spot) -> None:
        """Put the parts of one element into the fields of its struct."""
        standing: dict[str, Part] = {}
        for part in content:
            found = plan.fields.get(fold(part.name))
            if found is None:
                self.rescue(spot.below(part.name, part), part.value)
            elif found.is_array:
                if row[found.name] is None:
                    row[found.name] = []
                items = row[found.name]
                items.append(self.value(part, found, spot.below(found.name, part, len(items) + 1)))
            else:
                self.put_last(row, part, found, spot.below(found.name, part), standing)

    def put_last(self, row: dict[str, Any], part: Part, plan: Plan, here: Spot, standing: dict[str, Part]) -> None:
        """Put a part where one value stands: the last one counts."""
        name = plan.name or part.name
        if name in standing:
            self.rescue(here, standing[name].value)
        standing[name] = part
        row[name] = self.value(part, plan, here)

    def value(self, part: Part, plan: Plan, spot: Spot) -> Any:
        if _is_nil(part.value):
            return None
        if plan.cast is not None:
            return self.scalar(part, plan, spot)
        if isinstance(part.value, str):
            content = [Part(self.options.value_tag, TEXT, part.value)]
        else:
            content = list(parts(part.value, self.options))
        if plan.entry is not None:
            return self.map(content, plan.entry, spot)
        row = plan.nulls()
        self.fill(row, content, plan, spot)
        return row

    def map(self, content: Sequence[Part], entry: Plan, spot: Spot) -> list[tuple[str, Any]]:
        """Attributes, children and text under their names."""
        entries: dict[str, Any] = {}
        standing: dict[str, Part] = {}
        for part in content:
            self.put_last(entries, part, entry, spot.below(part.name, part), standing)
        return list(entries.items())

    def scalar(self, part: Part, plan: Plan, spot: Spot) -> Any:
        """A value of a scalar type: the text, or for a string the XML, of what stands there."""
        assert plan.cast is not None
        if isinstance(part.value, str):
            text = part.value
        else:
            element = part.value
            if element.attributes:
                self.rescue_attributes(element, spot)
            if element.is_text():
                text = element.text()
            elif plan.holds_xml:
                text = element.inner_xml()
            else:
                return self.refuse_subtree(element, plan, spot)
        text = self.options.trimmed(text)
        if text == self.options.null_value or not (plan.cast is str or text.strip()):
            return None
        try:
            return plan.cast(text)
        except (ValueError, ArithmeticError) as error:
            self.bad(spot, f"{text[:SNIPPET]!r} is no {ddl(plan.kind)}: {error}", text)
            self.rescue(spot, text)
            return None

    def refuse_subtree(self, element: Element, plan: Plan, spot: Spot) -> None:
        reason = f"<{element.name}> has child elements where {ddl(plan.kind)} was expected"
        self.bad(spot, reason, element.inner_xml())
        for part in parts(element, self.options):
            if part.kind != ATTRIBUTE:
                self.rescue(spot.below(part.name, part), part.value)

    def bad(self, spot: Spot, reason: str, found: str) -> None:
        """Keep an error about one value."""
        self.errors.append(type_error(spot.path, spot.tag, reason, found))

    def rescue_attributes(self, element: Element, spot: Spot) -> None:
        for name, value in attributes(element, self.options):
            part = Part(self.options.attribute_prefix + self.options.local(name), ATTRIBUTE, value)
            self.rescue(spot.below(part.name, part), value)

    def rescue(self, spot: Spot, value: Element | str) -> None:
        """Keep what the schema has no place for."""
        _append(self.rescued, spot.place, self.plain(value))

    def plain(self, value: Element | str) -> Any:
        """A subtree as JSON values: texts, objects with an attribute's prefix and the value tag, arrays of repeats."""
        if isinstance(value, str):
            return self.options.trimmed(value)
        if is_leaf(value, self.options):
            return self.options.trimmed(value.text())
        fields: dict[str, Any] = {}
        for part in parts(value, self.options):
            _append(fields, part.name, self.plain(part.value))
        return fields


def type_error(path: tuple[str, ...], tag: Element, reason: str, found: str) -> dict[str, Any]:
    """The row of the table of errors about a value in an element."""
    return {
        "path": dotted(path),
        "line": tag.line,
        "column": tag.column,
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
    if isinstance(value, str) or value.content:
        return False
    has_data = any(name != XSI_NIL and not name.startswith("xmlns") for name, _ in value.attributes)
    return not has_data and dict(value.attributes).get(XSI_NIL) in ("true", "1")
