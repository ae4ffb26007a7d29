"""One document → the Python values of its struct, as Spark builds them.

Spark reads a stream of events. A value that cannot be read ends its record, but not the stream: the reader goes on
where it stopped, inside that element, and takes what comes there for content of the element around it. What it put into
the row of the document up to the next end tag is what `from_xml` gives. So the events are read here in the same order.
"""

from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.etree.ElementTree import Element

import pyarrow as pa

from thresher.types import ddl
from thresher.xml.building import Plan, type_error
from thresher.xml.decoding import SNIPPET
from thresher.xml.elements import Tree
from thresher.xml.options import Options
from thresher.xml.spark_events import END, Event, Events, Unreadable, events_of
from thresher.xml.structure import fold

_BLANKS = " \t\r\n"


@dataclass
class _BadRecord(Exception):
    """The record ends here; `row` is what stands in the struct that was being read."""

    row: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Spot:
    """The path of a value, and the element that it stands in."""

    path: tuple[str, ...]
    tag: Element

    def below(self, name: str, tag: Element | None = None) -> "_Spot":
        return _Spot((*self.path, name), self.tag if tag is None else tag)


@dataclass
class SparkBuilder:
    """Builds one document, and keeps what was wrong with its values; nothing is rescued."""

    options: Options
    errors: list[dict[str, Any]] = field(default_factory=list)

    def document(self, tree: Tree, plan: Plan, events: list[Event] | None = None) -> dict[str, Any] | None:
        """The struct of a document; None where Spark gives up on all of it.

        The events after the root's start tag are those of its content, or for a damaged document given.
        """
        root, self.tree = tree.root, tree
        self.events = Events(list(events_of(root)) if events is None else events)
        spot = _Spot((), root)
        try:
            return self.object(plan, spot, self.attributes(root, plan, spot))
        except _BadRecord as bad:
            return bad.row
        except Unreadable:
            return None

    @property
    def is_damaged(self) -> bool:
        """Whether the reader came to a fault of the document."""
        return self.events.is_damaged

    def attributes(self, element: Element, plan: Plan, spot: _Spot) -> dict[str, Any]:
        """The values of an element's attributes that its struct has a field for."""
        values: dict[str, Any] = {}
        for name, text in [] if self.options.exclude_attribute else element.items():
            found = plan.fields.get(fold(self.options.attribute_prefix + self.options.local(name)))
            if found:
                values[found.name] = self.cast(text, found, spot.below(found.name), is_repeated=False)
        return values

    def object(self, plan: Plan, spot: _Spot, attributes: dict[str, Any] | None = None) -> dict[str, Any]:
        """The fields of a struct, from the events up to the next end tag that no child takes."""
        row = plan.nulls() | (attributes or {})
        is_bad = False
        while (event := self.events.next()) is not END:
            if isinstance(event, str):
                self.text(row, event, plan, spot)
            elif isinstance(event, Element):
                try:
                    self.child(row, event, plan, spot)
                except (_BadRecord, Unreadable):
                    is_bad = True
        if is_bad:
            raise _BadRecord(row)
        return row

    def text(self, row: dict[str, Any], text: str, plan: Plan, spot: _Spot) -> None:
        """A text between children belongs to the value tag; the last one counts, or an array takes all."""
        found = plan.fields.get(fold(self.options.value_tag))
        if text.strip(_BLANKS) and found and found.name == self.options.value_tag:
            value = self.cast(text, found, spot.below(found.name))
            row[found.name] = [*(row[found.name] or []), value] if found.is_array else value

    def child(self, row: dict[str, Any], element: Element, plan: Plan, spot: _Spot) -> None:
        name = self.options.local(element.tag)
        found = plan.fields.get(fold(name)) or self.wildcard(plan, element, spot)
        if found is None:
            self.skip()
            return
        value = self.value(element, found, spot.below(found.name, element))
        row[found.name] = [*(row[found.name] or []), value] if found.is_array else value

    def wildcard(self, plan: Plan, element: Element, spot: _Spot) -> Plan | None:
        """The field that takes elements which have none of their own."""
        name = self.options.wildcard_column
        found = plan.fields.get(fold(name))
        if found is None or found.name != name:
            return None
        if not pa.types.is_string(found.kind):
            self.skip()
            self.bad(spot.below(name, element), f"the wildcard column is {ddl(found.type)}; expected string or array")
        return found

    def value(self, element: Element, plan: Plan, spot: _Spot) -> Any:
        """The value of one element whose start tag was read."""
        if pa.types.is_struct(plan.kind):
            attributes = self.attributes(element, plan, spot)
            return self.struct(plan, spot) | attributes
        return self.field(element, plan, spot)

    def struct(self, plan: Plan, spot: _Spot) -> dict[str, Any]:
        if self.events.peek() is END:
            self.events.next()
            return plan.nulls()
        return self.object(plan, spot)

    def field(self, element: Element, plan: Plan, spot: _Spot) -> Any:
        """A map or a scalar."""
        is_string = pa.types.is_string(plan.kind)
        event = self.events.peek()
        while isinstance(event, str) and not event.strip(_BLANKS) and event and not is_string:
            self.events.next()
            event = self.events.peek()
        if event is END:
            self.events.next()
            return "" if is_string and self.options.null_value != "" else None
        if is_string:
            return self.cast(self.inner_xml(), plan, spot)
        if plan.entry and isinstance(event, Element):
            return self.map(element, plan, plan.entry, spot)
        if isinstance(event, Element):
            self.bad(spot, f"<{element.tag}> has child elements where {ddl(plan.kind)} was expected")
        assert isinstance(event, str)
        value = self.cast(event, plan, spot)
        self.events.next()
        while (event := self.events.next()) is not END:
            if not isinstance(event, str) or event.strip(_BLANKS):
                self.bad(spot, f"<{element.tag}> has more than one text where {ddl(plan.kind)} was expected")
        return value

    def map(self, element: Element, plan: Plan, entry: Plan, spot: _Spot) -> list[tuple[str, Any]]:
        """Attributes, children and text by their names; what comes last under a name counts."""
        entries: dict[str, Any] = {}
        # Spark leaves out neither attributes nor their prefixes here; in an array it leaves out all of them.
        for name, text in [] if plan.is_array else element.items():
            entries[self.options.attribute_prefix + name] = self.cast(text, entry, spot)
        while (event := self.events.next()) is not END:
            if isinstance(event, Element):
                name = self.options.local(event.tag)
                here = spot.below(name, event)
                entries[name] = self.struct(entry, here) if entry.fields else self.field(event, entry, here)
            elif isinstance(event, str) and event.strip(_BLANKS):
                entries[self.options.value_tag] = self.cast(event, entry, spot)
        return list(entries.items())

    def inner_xml(self) -> str:
        """What stands up to the end tag, as Spark writes it: without escapes."""
        parts: list[str] = []
        open_tags: list[str] = []
        while (event := self.events.next()) is not END or open_tags:
            if isinstance(event, Element):
                attributes = "".join(f' {name}="{value}"' for name, value in event.items())
                parts.append(f"<{event.tag}{attributes}>")
                open_tags.append(event.tag)
            else:
                parts.append(event if isinstance(event, str) else f"</{open_tags.pop()}>")
        return "".join(parts)

    def skip(self) -> None:
        depth = 1
        while depth:
            event = self.events.next()
            depth += isinstance(event, Element) - (event is END)

    def cast(self, text: str, plan: Plan, spot: _Spot, *, is_repeated: bool = True) -> Any:
        """The value of a text; one that is not repeated cannot stand in an array."""
        text = self.options.trimmed(text)
        if text == self.options.null_value:
            return None
        if plan.cast is None or (plan.is_array and not is_repeated):
            self.bad(spot, f"a text where {ddl(plan.type)} was expected", text)
        try:
            return plan.cast(text)
        except (ValueError, ArithmeticError) as error:
            self.bad(spot, f"{text[:SNIPPET]!r} is no {ddl(plan.kind)}: {error}", text)

    def bad(self, spot: _Spot, reason: str, found: str = "") -> NoReturn:
        """Keep an error about one value, and end the record."""
        self.errors.append(type_error(spot.path, self.tree.places[spot.tag], reason, found))
        raise _BadRecord
