"""What the loops have noted, piece by piece: errors and what is rescued, by the reference's own functions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
import pyarrow as pa

from thresher.xml.building import Builder, Spot, reason_against, type_error
from thresher.xml.decoding import position
from thresher.xml.document import read
from thresher.xml.elements import text_of
from thresher.xml.options import DEEPEST, Options
from thresher.xml.reference import Remarks
from thresher.xml.shredding import tables
from thresher.xml.shredding.plan import ROOT, Plan
from thresher.xml.structure import parts

TOGETHER = 1000  # pieces that are read at a time
# The loops have held documents to the budgets.
_ROOMY = Options(max_bytes=1 << 60, max_nodes=1 << 60, max_depth=DEEPEST, max_attributes=1 << 60)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SOMEWHERE = Element("_")  # stands for the tag of whatever a spot is about

Ordinals = tuple[int, ...]
Path = tuple[str, ...]


class Note(NamedTuple):
    """What was noted (kind and flags), its field, where its bytes are, its document, and as which items of arrays it
    stands there, outermost first."""

    what: int
    field: int
    start: int
    end: int
    document: int
    ordinals: Ordinals


_STRAY_ELEMENT, _STRAY_TEXT = tables.STRAY, tables.STRAY | tables.RAW
_STRAY_ATTRIBUTE = tables.STRAY | tables.FROM_ATTRIBUTE
_STRAYS = (_STRAY_ELEMENT, _STRAY_TEXT, _STRAY_ATTRIBUTE)


@dataclass(frozen=True)
class Noted:
    """The notes about a stretch of documents: places count from `base`, where documents begin at `starts`.

    `offsets` gives those of an array's items, by its field.
    """

    plan: Plan
    notes: np.ndarray
    base: int
    starts: np.ndarray
    offsets: Callable[[int], np.ndarray]
    places: dict[tuple[int, Ordinals, str], str] = field(default_factory=dict)
    named: dict[tuple[int, Ordinals], tuple[Path, str]] = field(default_factory=dict)

    def judged(self, states: np.ndarray) -> tuple[dict[int, Remarks], list[int]]:
        """The remarks on documents, and those that are left: without remarks to the reference, else without a value."""
        remarks: dict[int, Remarks] = {}
        left: list[int] = []
        if self.plan.options.is_spark:
            return remarks, self.notes[:, tables.NOTED_DOCUMENT].tolist()
        for document, notes in self._by_document(states):
            said = self._remarks(document, notes)
            if said is None:
                left.append(document)
            elif said.errors or said.rescued:
                remarks[document] = said
                if said.errors and self.plan.options.mode != "permissive":
                    left.append(document)
        return remarks, left

    def _by_document(self, states: np.ndarray) -> Iterator[tuple[int, list[tuple[Note, Element]]]]:
        """The notes on each document that was read, with the elements that they are about, or ones around texts."""
        found: list[tuple[Note, Element]] = []
        for note, piece in self._with_pieces(states):
            if found and note.document != found[0][0].document:
                yield found[0][0].document, found
                found = []
            found.append((note, piece))
        if found:
            yield found[0][0].document, found

    def _with_pieces(self, states: np.ndarray) -> Iterator[tuple[Note, Element]]:
        notes = self.notes[states[self.notes[:, tables.NOTED_DOCUMENT]] == tables.READ]
        for first in range(0, len(notes), TOGETHER):
            some = list(self._read(notes[first : first + TOGETHER]))
            content = b"".join([b"<_>", *map(self._piece, some), b"</_>"])
            yield from zip(some, read(content.decode(), _ROOMY).root, strict=True)

    def _read(self, notes: np.ndarray) -> Iterator[Note]:
        code, span, document, row = notes.T
        start = span >> 32
        columns = (code & 0xFF, code >> 8, start, start + (span & 0xFFFFFFFF), document)
        return map(Note, *(column.tolist() for column in columns), self._ordinals(code >> 8, row))

    def _ordinals(self, fields: np.ndarray, rows: np.ndarray) -> list[Ordinals]:
        """As which items of arrays rows of fields stand, outermost first."""
        found: list[Ordinals] = [()] * len(fields)
        order = np.argsort(fields, kind="stable")
        for which in np.split(order, np.flatnonzero(np.diff(fields[order])) + 1):
            number, row, columns = int(fields[which[0]]), rows[which], []
            while number != ROOT:
                if self.plan.shapes[number].is_array:
                    offsets = self.offsets(number)
                    above = np.searchsorted(offsets, row, "right") - 1
                    columns.append((row - offsets[above] + 1).tolist())
                    row = above
                number = self.plan.parents[number]
            for at, ordinals in zip(which.tolist(), zip(*reversed(columns), strict=True), strict=False):
                found[at] = ordinals
        return found

    def content(self, start: int, end: int) -> bytes:
        """What stands between two places."""
        return pa.foreign_buffer(self.base + start, end - start).to_pybytes()

    def _piece(self, note: Note) -> bytes:
        content = self.content(note.start, note.end)
        if note.what == _STRAY_ELEMENT:
            return content
        if note.what == _STRAY_ATTRIBUTE:
            return b"<_ %b/>" % content
        if not note.what & tables.FROM_ATTRIBUTE:
            return b"<_>%b</_>" % content
        quote = b"'" if b'"' in content else b'"'
        return b"<_ _=%b%b%b/>" % (quote, content, quote)

    def _remarks(self, document: int, notes: list[tuple[Note, Element]]) -> Remarks | None:
        """The remarks on one document; None where the reference must read it."""
        builder = Builder(self.plan.options)
        places = _Places(self, document)
        for note, piece in notes:
            if note.what in _STRAYS:
                self._rescue(builder, note, piece)
            elif note.what & tables.KIND_MASK == tables.EARLIER:
                builder.rescue_at(self._named(note.field, note.ordinals)[1], self._text(note, piece))
            elif not self._refused(builder, note, piece, places):
                return None
        return Remarks.of(builder)

    def _rescue(self, builder: Builder, note: Note, piece: Element) -> None:
        value: Element | str = piece
        if note.what == _STRAY_ELEMENT:
            name = self.plan.options.local(piece.tag)
        else:
            name, _, value = next(parts(piece, self.plan.options))
        key = note.field, note.ordinals, name
        place = self.places.get(key)
        if place is None:
            place = self.places[key] = self._spot(note.field, note.ordinals).below(name, piece).place
        builder.rescue_at(place, value)

    def _refused(self, builder: Builder, note: Note, piece: Element, places: "_Places") -> bool:
        """Refuse a value that is not of its type; False where it is, after all, or where its element's place is not
        at hand."""
        text = self._text(note, piece)
        plan = self.plan.scalar(note.field)
        assert plan.texts is not None
        try:
            return plan.texts[text] is None
        except (ValueError, ArithmeticError) as error:
            place = places.of_tag_before(note)
            if place is None:
                return False
            text = self.plan.options.trimmed(text)
            path, spot = self._named(note.field, note.ordinals)
            builder.errors.append(type_error(path, place, reason_against(text, plan, error), text))
            builder.rescue_at(spot, text)
            return True

    def _text(self, note: Note, piece: Element) -> str:
        return piece.attrib["_"] if note.what & tables.FROM_ATTRIBUTE else text_of(piece)

    def _named(self, number: int, ordinals: Ordinals) -> tuple[Path, str]:
        """The path of a field in the schema, and its place as some items of arrays."""
        key = number, ordinals
        if key not in self.named:
            spot = self._spot(number, ordinals)
            self.named[key] = spot.path, spot.place
        return self.named[key]

    def _spot(self, number: int, ordinals: Ordinals) -> Spot:
        """Where a field stands as some items of arrays."""
        if number == ROOT:
            return Spot("", _SOMEWHERE)
        shape, parent = self.plan.shapes[number], self.plan.parents[number]
        if not shape.is_array:
            return Spot(shape.name, _SOMEWHERE, self._spot(parent, ordinals))
        return Spot(shape.name, _SOMEWHERE, self._spot(parent, ordinals[:-1]), ordinals[-1])


class _Places:
    """Lines and columns in one document, asked for in their order."""

    def __init__(self, noted: Noted, document: int) -> None:
        self.noted = noted
        self.begin = self.at = int(noted.starts[document])
        self.line, self.column = 1, 1

    def of_tag_before(self, note: Note) -> tuple[int, int] | None:
        """The line and column of the start tag that a value stands in or right after; None for a text after a child."""
        passed = self.noted.content(self.at, note.start)
        last = passed.rfind(b"<")
        is_attribute = bool(note.what & tables.FROM_ATTRIBUTE)
        is_after_child = passed.startswith(b"</", last) or (not is_attribute and passed.rstrip().endswith(b"/>"))
        self._go_on(passed[:last])
        return None if is_after_child else (self.line, self.column)

    def _go_on(self, passed: bytes) -> None:
        is_first = self.at == self.begin
        self.at += len(passed)
        text = (passed.removeprefix(_BYTE_ORDER_MARK) if is_first else passed).decode()
        line, column = position(text, len(text))
        self.column = column if line > 1 else self.column + column - 1
        self.line += line - 1
