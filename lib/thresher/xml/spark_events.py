"""A document as the stream of events that Spark's reader sees."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias
from xml.etree.ElementTree import Element

from thresher.xml.elements import content


@dataclass(frozen=True, slots=True)
class End:
    """An end tag, or the end of the document."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A place that cannot be read; the reader goes on behind it, unless it is the last."""

    is_last: bool = False


END = End()
# An element stands for its start tag, a string for a text without comments in it.
Event: TypeAlias = "Element | str | End | Damage"


class Unreadable(Exception):
    """The reader has come to a damage."""


class Events:
    """The events after the root's start tag, read one by one."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.at = 0
        self.is_damaged = False

    def peek(self) -> "Element | str | End":
        """The next event, which stays. Raises Unreadable at a damage, once unless it is the last."""
        event = self.events[self.at] if self.at < len(self.events) else END
        if isinstance(event, Damage):
            self.is_damaged = True
            self.at += not event.is_last
            raise Unreadable
        return event

    def next(self) -> "Element | str | End":
        """The next event. Raises Unreadable as `peek`."""
        event = self.peek()
        self.at += 1
        return event


def events_of(root: Element) -> Iterator[Event]:
    """The events of a document that was read without a fault, after its root's start tag."""
    for part in content(root):
        yield part
        if isinstance(part, Element):
            yield from events_of(part)
    yield END
