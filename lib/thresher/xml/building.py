"""One document's tree → the Python values of its struct, along a plan made once per schema."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from thresher.types import ddl
from thresher.xml.casts import Cast, cast_for, learnt_cast_for
from thresher.xml.decoding import SNIPPET, Refused
from thresher.xml.document import Element
from thresher.xml.options import Options, dotted
from thresher.xml.schema import Shape
from thresher.xml.structure import ATTRIBUTE, ELEMENT, TEXT, XSI_NIL, Part, attributes, fold, is_leaf, parts

WILDCARD = "xs_any"


@dataclass(frozen=True)
class Plan:
    """How one field is read: as a scalar (`cast`) or a struct (`fields` by folded name), or an array of these."""

    name: str
    is_array: bool
    kind: pa.DataType
    cast: Cast | None = None
    fields: "dict[str, Plan]" = field(default_factory=dict)
    holds_xml: bool = False  # a string that takes child elements as their XML

    def nulls(self) -> dict[str, Any]:
        """A struct in which nothing stands yet."""
        return {plan.name: None for plan in self.fields.values()}


def plan_of(shape: Shape, options: Options) -> Plan:
    """The plan for a field of a schema."""
    if pa.types.is_struct(shape.item):
        fields = {fold(inner.name): plan_of(inner, options) for inner in shape.fields}
        return Plan(shape.name, shape.is_array, shape.item, None, fields)
    is_strict = shape.is_learnt and not options.is_spark
    cast = learnt_cast_for if is_strict else cast_for
    holds_xml = pa.types.is_string(shape.item) and not is_strict
    return Plan(shape.name, shape.is_array, shape.item, cast(shape.item, options), holds_xml=holds_xml)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value belongs: the path in the schema, the place in this document (`book[2].title`), and its tag."""

    path: tuple[str, ...]
    place: str
    tag: Element

    def below(self, name: str, part: Part, ordinal: int | None = None) -> "Spot":
        step = dotted((name,)) + (f"[{ordinal}]" if ordinal else "")
        place = f"{self.place}.{step}" if self.place else step
        return Spot((*self.path, name), place, self.tag if isinstance(part.value, str) else part.value)


@dataclass
class BadValue(Exception):
    """A value is not of its type, and the dialect is Spark's: its record ends here.

    `rest` is what Spark's reader finds next and takes for content of the parent; `spoils_record`: not even what
    stood before it stays.
    """

    rest: list[Part]
    spoils_record: bool = False


class Builder:
    """Builds one document, and keeps its errors and what found no place.

    In the exact dialect a bad value is null, and all others stay.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.errors: list[dict[str, Any]] = []
        self.rescued: dict[str, Any] = {}

    def document(self, root: Element, plan: Plan) -> dict[str, Any] | None:
        """The struct of a document; None where Spark gives up on all of it."""
        row = plan.nulls()
        try:
            self.fill(row, list(parts(root, self.options)), plan, Spot((), "", root))
        except BadValue as bad:
            return None if bad.spoils_record else row
        return row

    def refuse(self, refused: Refused) -> None:
        """Keep why the whole document was refused."""
        self.errors.append({"path": "", **vars(refused)})

    def fill(self, row: dict[str, Any], content: Sequence[Part], plan: Plan, spot: Spot) -> None:
        """Put the parts of one element into the fields of its struct."""
        standing: dict[str, Part] = {}
        for at, part in enumerate(content):
            try:
                self.put(row, part, plan, spot, standing)
            except BadValue as bad:
                if part.kind == ELEMENT:
                    self.fill_rest(row, bad.rest, plan, spot)
                rest = [later for later in content[at + 1 :] if later.kind != ATTRIBUTE]
                raise BadValue(rest, spoils_record=part.kind != ELEMENT) from None

    def fill_rest(self, row: dict[str, Any], rest: list[Part], plan: Plan, spot: Spot) -> None:
        """After a bad value Spark reads on inside the element as if its parent's content had come."""
        try:
            self.fill(row, rest, plan, spot)
        except BadValue:
            return

    def put(self, row: dict[str, Any], part: Part, plan: Plan, spot: Spot, standing: dict[str, Part]) -> None:
        field_plan = plan.fields.get(fold(part.name))
        if field_plan is None:
            if not (self.options.is_spark and part.kind == ELEMENT and self.put_wildcard(row, part, plan, spot)):
                self.rescue(spot.below(part.name, part), part.value)
            return
        name = field_plan.name
        if field_plan.is_array:
            items = row[name] or []
            row[name] = [*items, self.value(part, field_plan, spot.below(name, part, len(items) + 1))]
            return
        here = spot.below(name, part)
        if name in standing:
            self.rescue(here, standing[name].value)
        standing[name] = part
        row[name] = self.value(part, field_plan, here)

    def put_wildcard(self, row: dict[str, Any], part: Part, plan: Plan, spot: Spot) -> bool:
        wildcard = plan.fields.get(WILDCARD)
        if wildcard is None:
            return False
        value = self.scalar(part, wildcard, spot)
        row[WILDCARD] = [*(row[WILDCARD] or []), value] if wildcard.is_array else value
        return True

    def value(self, part: Part, plan: Plan, spot: Spot) -> Any:
        if self.options.is_spark and part.kind == ATTRIBUTE and (plan.is_array or plan.cast is None):
            raise self.bad(spot, "an attribute where an array or a struct was expected", [])
        if _is_nil(part.value) and not self.options.is_spark:
            return None
        if plan.cast is not None:
            return self.scalar(part, plan, spot)
        row = plan.nulls()
        if isinstance(part.value, str):
            self.fill(row, [Part(self.options.value_tag, TEXT, part.value)], plan, spot)
        else:
            self.fill(row, list(parts(part.value, self.options)), plan, spot)
        return row

    def scalar(self, part: Part, plan: Plan, spot: Spot) -> Any:
        """A value of a scalar type: the text, or for a string the XML, of what stands there."""
        assert plan.cast is not None
        is_string = pa.types.is_string(plan.kind)
        if isinstance(part.value, str):
            text = part.value
        else:
            element = part.value
            self.rescue_attributes(element, spot)
            if not any(not isinstance(inner, str) for inner in element.content):
                text = element.text()
            elif plan.holds_xml:
                text = element.inner_xml(escaped=not self.options.is_spark)
            else:
                return self.refuse_subtree(element, plan, spot)
            if self.options.is_spark and not is_string and len(element.runs()) > 1:
                raise self.bad(spot, f"a comment inside a {ddl(plan.kind)}", [])
        text = self.options.trimmed(text)
        if text == self.options.null_value:
            return None
        # Blank text is no value; only Spark's attributes are cast even when they are empty.
        if not is_string and not text.strip() and not (self.options.is_spark and part.kind == ATTRIBUTE):
            return None
        try:
            return plan.cast(text)
        except (ValueError, ArithmeticError) as error:
            found = f"{text[:SNIPPET]!r} is no {ddl(plan.kind)}: {error}"
            bad = self.bad(spot, found, [Part(self.options.value_tag, TEXT, text)], text)
            if self.options.is_spark:
                raise bad from None
            self.rescue(spot, text)
            return None

    def refuse_subtree(self, element: Element, plan: Plan, spot: Spot) -> None:
        bad = self.bad(
            spot,
            f"<{element.name}> has child elements where {ddl(plan.kind)} was expected",
            [part for part in parts(element, self.options) if part.kind != ATTRIBUTE],
            element.inner_xml(escaped=True),
        )
        if self.options.is_spark:
            raise bad
        for part in parts(element, self.options):
            if part.kind != ATTRIBUTE:
                self.rescue(spot.below(part.name, part), part.value)

    def bad(self, spot: Spot, reason: str, rest: list[Part], found: str = "") -> BadValue:
        """Keep an error about one value."""
        self.errors.append(
            {
                "path": dotted(spot.path),
                "line": spot.tag.line,
                "column": spot.tag.column,
                "rule": "type",
                "reason": reason,
                "snippet": found[:SNIPPET],
            }
        )
        return BadValue(rest)

    def rescue_attributes(self, element: Element, spot: Spot) -> None:
        for name, value in attributes(element, self.options):
            part = Part(self.options.attribute_prefix + self.options.local(name), ATTRIBUTE, value)
            self.rescue(spot.below(part.name, part), value)

    def rescue(self, spot: Spot, value: Element | str) -> None:
        """Keep what the schema has no place for; Spark drops it."""
        if not self.options.is_spark:
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
