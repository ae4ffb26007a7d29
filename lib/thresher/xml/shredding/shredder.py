"""From a column of documents to their values: stretches of rows, walked, filled and handed to Arrow, in threads."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from thresher.xml.reference import Remarks
from thresher.xml.shredding import arena, tables
from thresher.xml.shredding.filling import LIST_OFFSETS, ROWS, fill, finish
from thresher.xml.shredding.growing import PADDING, Tables
from thresher.xml.shredding.judging import Judge
from thresher.xml.shredding.noted import Noted
from thresher.xml.shredding.plan import Plan
from thresher.xml.shredding.settling import settled
from thresher.xml.shredding.walking import walk

# Bytes of documents that are walked at a time: small, so that the tape stays near; more for many columns, each of which
# costs a little each time.
LEAST_BYTES, BYTES_PER_FIELD, MOST_BYTES = 2 << 20, 8 << 10, 16 << 20
MOST_JUDGED = 200  # names that are judged outside of the loops for one document


@dataclass(frozen=True)
class Shred:
    """Consecutive documents: the first's row, the values of what was read, and which are left (from the first).

    `remarks`: by row (from the first) what is wrong with documents, and what their schema does not know. One that is
    left, and has remarks all the same, has no value.
    """

    first: int
    values: pa.StructArray
    left: np.ndarray
    remarks: dict[int, Remarks]


@dataclass(frozen=True)
class Column:
    """The bytes of documents, and where each begins and ends; a null ends before it begins."""

    content: pa.Buffer
    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, documents: pa.Array) -> "Column":
        """A string or binary array, of either width."""
        if not len(documents):
            return cls(pa.py_buffer(b""), np.zeros(0, np.int64), np.zeros(0, np.int64))
        wide = pa.types.is_large_string(documents.type) or pa.types.is_large_binary(documents.type)
        _, offsets, content = documents.buffers()
        size = 8 if wide else 4
        places = np.frombuffer(offsets, np.int64 if wide else np.int32, len(documents) + 1, documents.offset * size)
        starts, ends = places[:-1].astype(np.int64), places[1:].astype(np.int64)
        if documents.null_count:
            ends[documents.is_null().to_numpy(zero_copy_only=False)] = -1
        return cls(content or pa.py_buffer(b""), starts, ends)

    def stretches(self, size: int) -> Iterator[tuple[int, int]]:
        """Rows whose documents have together about that many bytes, all stretches alike."""
        rows = len(self.starts)
        if not rows:
            return
        first, last = int(self.starts[0]), max(int(self.starts[-1]), int(self.ends[-1]))
        # As many as fit best: a short one at the end would cost a copy of all values.
        count = max(1, round((last - first) / size))
        bounds = first + (last - first) * np.arange(1, count) // count
        yield from pairwise(np.unique([0, *np.searchsorted(self.starts, bounds), rows]).tolist())


class Workspace:
    """What one thread needs again and again: tables, tape, room for decoded texts."""

    def __init__(self, made: Tables, plan: Plan | None = None) -> None:
        self.tables = made
        self.judge = Judge(made, plan.targets if plan else None)
        self.columns = np.array(plan.columns if plan else [], np.int64).reshape(-1, 16)
        self.counters = np.zeros(plan.counters if plan else 0, np.int64)
        self.tape = np.zeros(0, np.int64)
        self.notes = np.zeros(0, np.int64)
        self.scratch = np.zeros(0, np.uint8)
        self.copy = np.zeros(0, np.uint8)

    def walked(self, column: Column, first: int, after: int) -> tuple[int, int, np.ndarray]:
        """Walk the documents of some rows: the base of their places, the tape's end, and what became of them."""
        starts = column.starts[first:after]
        ends = column.ends[first:after]
        last = int(max(ends.max(initial=0), starts[0]))
        base = column.content.address
        if last + PADDING > column.content.size:
            # Loops read whole blocks: beyond the last byte of the column there may be no memory.
            begin = int(starts[0])
            self.copy = with_bytes(self.copy, last - begin + PADDING)
            self.copy[: last - begin] = np.frombuffer(column.content, np.uint8)[begin:last]
            self.copy[last - begin : last - begin + PADDING] = 0
            base = self.copy.ctypes.data - begin
        # Places on the tape count from the first document: they have 32 bits.
        offset = int(starts[0])
        starts, ends = starts - offset, np.where(ends < 0, -1, ends - offset)
        base += offset
        states = np.zeros(len(starts), np.int64)
        # The shortest entries are of `<a/>`, and of the end of an element with two tags.
        self.tape = with_words(self.tape, (last - offset) + 4 * len(starts) + 64)
        row, place = 0, self.tape.ctypes.data
        judged: Counter[int] = Counter()
        while True:
            row, place, why = walk(
                self.tables.address,
                base,
                starts.ctypes.data,
                ends.ctypes.data,
                row,
                len(starts),
                states.ctypes.data,
                place,
            )
            if why == 0:
                break
            if why == tables.FULL:
                self.tables.grow()
            else:
                judged[row] += 1
                # Each name takes another walk from the document's start.
                if judged[row] > MOST_JUDGED or not self.judge.enter():
                    states[row] = tables.LEFT
        longest = int((ends - starts).max(initial=0))
        self.scratch = with_bytes(self.scratch, longest + 2 * PADDING + 256)
        return base, place, states

    def offsets(self, field: int) -> np.ndarray:
        """The offsets of an array's items, as they were filled last."""
        rows = int(self.counters[self.columns[field, ROWS]])
        buffer = pa.foreign_buffer(int(self.columns[field, LIST_OFFSETS]), 4 * (rows + 1))
        return np.frombuffer(buffer, np.int32)


class Shredder:
    """Reads documents by a plan; safe to share between threads."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.message = arena.Message(plan.schema.arrow_type)
        fields = len(plan.columns)
        self.size = min(max(fields * BYTES_PER_FIELD, LEAST_BYTES), MOST_BYTES)
        self._template = plan.tables()
        self._idle: list[Workspace] = []

    def read(self, documents: pa.Array, *, is_text: bool, threads: int) -> Iterator[Shred]:
        """The documents of an array, stretch by stretch, in order."""
        column = Column.of(documents)
        rows = list(column.stretches(self.size))
        if threads == 1 or len(rows) < 2:
            yield from (self._stretch(column, first, after, is_text) for first, after in rows)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(lambda part: self._stretch(column, part[0], part[1], is_text), rows)

    def _stretch(self, column: Column, first: int, after: int, is_text: bool) -> Shred:
        try:
            work = self._idle.pop()
        except IndexError:
            work = Workspace(self._template.copy(), self.plan)
        made = work.tables
        made.settings[tables.IS_TEXT] = is_text
        made.fields[:, tables.VALUES : tables.BYTES + 1] = 0
        base, tape_end, states = work.walked(column, first, after)
        values, notes = self._filled(work, base, tape_end, states)
        remarks: dict[int, Remarks] = {}
        if len(notes):
            starts = column.starts[first:after] - column.starts[first]
            remarks, left = Noted(self.plan, notes, base, starts, work.offsets).judged(states)
            states[left] = tables.LEFT
        self._idle.append(work)
        return Shred(first, values, np.flatnonzero(states == tables.LEFT), remarks)

    def _filled(
        self, work: Workspace, base: int, tape_end: int, states: np.ndarray
    ) -> tuple[pa.StructArray, np.ndarray]:
        made, count, rows = work.tables, len(work.columns), len(states)
        columns, fields, counters = work.columns.ctypes.data, made.fields.ctypes.data, work.counters.ctypes.data
        zeros = arena.WIDEST * (arena.most_rows(columns, fields, count, rows) + 1)
        body = self.message.size
        begin = -(-(body + zeros) // arena.ALIGNED) * arena.ALIGNED
        _, _, size = arena.lay_out(columns, fields, count, counters, rows, begin)
        buffer = arena.BLOCKS.take(size + arena.SLACK)
        zeros, ones, _ = arena.lay_out(columns, fields, count, counters, rows, buffer.address + begin)
        memory = np.frombuffer(buffer, np.uint8)
        memory[:body] = self.message.head
        memory[body : zeros - buffer.address] = 0
        memory[zeros - buffer.address : ones - buffer.address] = 255
        work.counters[:] = 0
        # An entry of two words makes at most one note.
        work.notes = with_words(work.notes, tables.NOTE_WORDS * ((tape_end - work.tape.ctypes.data) // 16))
        notes_end = fill(
            made.address,
            base,
            columns,
            counters,
            work.tape.ctypes.data,
            tape_end,
            work.scratch.ctypes.data,
            work.notes.ctypes.data,
        )
        notes = work.notes[: (notes_end - work.notes.ctypes.data) // 8].reshape(-1, tables.NOTE_WORDS)
        notes = settled(self.plan, notes, base, work.columns, buffer)
        finish(columns, fields, count, counters)
        arena.describe(
            columns,
            fields,
            count,
            counters,
            buffer.address + body,
            buffer.address + self.message.nodes,
            buffer.address + self.message.buffers,
        )
        return self.message.read(buffer, memory, rows), notes


def with_words(room: np.ndarray, words: int) -> np.ndarray:
    """A workspace of so many words, or the one at hand."""
    return room if words <= len(room) else np.empty(words + (words >> 1), np.int64)


def with_bytes(room: np.ndarray, size: int) -> np.ndarray:
    """A workspace of so many bytes, or the one at hand."""
    return room if size <= len(room) else np.empty(size + (size >> 1), np.uint8)
