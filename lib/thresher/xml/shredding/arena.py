"""One block of memory for all columns of a stretch of documents, read by Arrow as a message without a copy."""

import struct
import weakref
from collections import deque

import numpy as np
import pyarrow as pa

from thresher.compiled import compiled, entry
from thresher.xml.shredding.filling import (
    BOOLEAN,
    CURSOR,
    DATE,
    DECIMAL,
    DONE,
    FLOAT,
    ITEMS,
    LIST_DONE,
    LIST_NULLS,
    LIST_OFFSETS,
    LIST_VALIDITY,
    NESTED,
    NULLS,
    ROWS,
    STRING,
    TEXTS_AT,
    TYPE,
    VALIDITY,
    VALUES_AT,
    WHOLE,
    WIDTH,
)
from thresher.xml.shredding.machine import load_word, store_word
from thresher.xml.shredding.tables import BYTES, FORM, SKIPPED, VALUES, get, get_name, put_name

ALIGNED = 64
WIDEST = 16  # bytes of a value or offset
# Loops read and write whole blocks: this much after the last text.
SLACK = 64
MOST_IDLE = 16  # blocks of a few MB
COLUMN = "document"


@compiled
def _aligned(size: int) -> int:
    return (size + 63) & ~63


@compiled
def _value_bytes(kind: int, width: int, rows: int) -> int:
    if kind == BOOLEAN:
        return (rows + 7) >> 3
    if kind == WHOLE:
        return rows * (width >> 3)
    if kind == DATE or kind == FLOAT:
        return rows * 4
    return rows * (16 if kind == DECIMAL else 8)


@compiled
def _forget(columns: int, field: int) -> None:
    for what in (
        VALIDITY,
        VALUES_AT,
        CURSOR,
        TEXTS_AT,
        DONE,
        NULLS,
        LIST_VALIDITY,
        LIST_OFFSETS,
        LIST_DONE,
        LIST_NULLS,
    ):
        put_name(columns, field, what, 0)


@entry
def lay_out(columns: int, fields: int, count: int, room: int, documents: int, at: int) -> tuple[int, int, int]:
    """Give every column with values its places from an address on: where zeros, where ones and where all must end.

    First numbers, zero; then validity, all ones; then offsets and texts. `room` gets the most rows of every counter.
    """
    store_word(room, documents)
    for field in range(count):
        _forget(columns, field)
        items = get_name(columns, field, ITEMS)
        if items >= 0:
            store_word(room + 8 * items, get(fields, field, VALUES))
    for field in range(count):
        kind, items = get_name(columns, field, TYPE), get_name(columns, field, ITEMS)
        if get(fields, field, VALUES) and kind != STRING and kind != NESTED:
            rows = load_word(room + 8 * (items if items >= 0 else get_name(columns, field, ROWS)))
            put_name(columns, field, VALUES_AT, at)
            at = _aligned(at + _value_bytes(kind, get_name(columns, field, WIDTH), rows))
    zeros = at
    for field in range(count):
        if get(fields, field, VALUES) == 0 and field:
            continue
        rows, items = load_word(room + 8 * get_name(columns, field, ROWS)), get_name(columns, field, ITEMS)
        if items >= 0:
            put_name(columns, field, LIST_VALIDITY, at)
            at = _aligned(at + ((rows + 7) >> 3))
            rows = load_word(room + 8 * items)
        put_name(columns, field, VALIDITY, at)
        at = _aligned(at + ((rows + 7) >> 3))
    ones = at
    for field in range(count):
        if get(fields, field, VALUES) == 0:
            continue
        rows, items = load_word(room + 8 * get_name(columns, field, ROWS)), get_name(columns, field, ITEMS)
        if items >= 0:
            put_name(columns, field, LIST_OFFSETS, at)
            at = _aligned(at + 4 * (rows + 1))
            rows = load_word(room + 8 * items)
        if get_name(columns, field, TYPE) == STRING:
            put_name(columns, field, VALUES_AT, at)
            at = _aligned(at + 4 * (rows + 1))
            put_name(columns, field, TEXTS_AT, at)
            at = _aligned(at + get(fields, field, BYTES) + 32)
    return zeros, ones, at


@compiled
def _place(buffers: int, address: int, size: int, body: int) -> int:
    store_word(buffers, address - body)
    store_word(buffers + 8, size)
    return buffers + 16


@compiled
def _bits(buffers: int, address: int, rows: int, nulls: int, body: int) -> int:
    """A validity buffer; none where nothing is null."""
    size = (rows + 7) >> 3 if nulls else 0
    return _place(buffers, address, size, body)


@entry
def describe(columns: int, fields: int, count: int, counters: int, body: int, nodes: int, buffers: int) -> None:
    """Write where each column lies, in Arrow's order; a column without values lies in the zeros at the body's start."""
    for field in range(count):
        if get(fields, field, FORM) == SKIPPED:
            continue
        rows = load_word(counters + 8 * get_name(columns, field, ROWS))
        items = get_name(columns, field, ITEMS)
        has_values = get(fields, field, VALUES) > 0 or field == 0
        if items >= 0:
            nulls = get_name(columns, field, LIST_NULLS) if has_values else rows
            store_word(nodes, rows)
            store_word(nodes + 8, nulls)
            nodes += 16
            address = get_name(columns, field, LIST_VALIDITY) if has_values else body
            buffers = _bits(buffers, address, rows, nulls, body)
            address = get_name(columns, field, LIST_OFFSETS) if has_values else body
            buffers = _place(buffers, address, 4 * (rows + 1), body)
            rows = load_word(counters + 8 * items)
        nulls = get_name(columns, field, NULLS) if has_values else rows
        store_word(nodes, rows)
        store_word(nodes + 8, nulls)
        nodes += 16
        buffers = _bits(buffers, get_name(columns, field, VALIDITY) if has_values else body, rows, nulls, body)
        kind = get_name(columns, field, TYPE)
        if kind == NESTED:
            continue
        address = get_name(columns, field, VALUES_AT) if has_values else body
        if kind == STRING:
            buffers = _place(buffers, address, 4 * (rows + 1), body)
            address = get_name(columns, field, TEXTS_AT) if has_values else body
            buffers = _place(buffers, address, get_name(columns, field, CURSOR), body)
        else:
            buffers = _place(buffers, address, _value_bytes(kind, get_name(columns, field, WIDTH), rows), body)


@entry
def most_rows(columns: int, fields: int, count: int, documents: int) -> int:
    """The most rows that a column may have."""
    most = documents
    for field in range(count):
        if get_name(columns, field, ITEMS) >= 0:
            most = max(most, get(fields, field, VALUES))
    return most


class Blocks:
    """Memory for arenas: a block is used again when nobody refers to the values in it.

    The system clears fresh memory page by page when it is first written to, for which threads wait for each other.
    """

    def __init__(self) -> None:
        # Without a lock: values may end, and give their block back, anywhere.
        self._idle: deque[np.ndarray] = deque(maxlen=MOST_IDLE)

    def take(self, size: int) -> pa.Buffer:
        """So many bytes, with whatever an earlier use left in them."""
        block = self._idle_one(size + ALIGNED)
        begin = -block.ctypes.data % ALIGNED
        lent = block[begin : begin + size]
        weakref.finalize(lent, self._idle.append, block).atexit = False
        return pa.py_buffer(lent)

    def _idle_one(self, size: int) -> np.ndarray:
        """A block that is large enough and not much larger: what does not fit now, is given up."""
        while self._idle:
            try:
                block = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if size <= len(block) <= 2 * size:
                return block
        return np.empty(size + (size >> 3), np.uint8)


BLOCKS = Blocks()


class Message:
    """The header of an Arrow message for values of a type, with its counts and places left to be written.

    Source: Arrow's IPC format (encapsulated message: mark, size, Message with a RecordBatch, body).
    """

    def __init__(self, kind: pa.StructType) -> None:
        self.schema = pa.schema([(COLUMN, kind)])
        example = pa.RecordBatch.from_arrays([pa.nulls(1, kind)], schema=self.schema).serialize().to_pybytes()
        size = 8 + struct.unpack_from("<i", example, 4)[0]
        self.size = -(-size // ALIGNED) * ALIGNED
        head = bytearray(example[:size].ljust(self.size, b"\0"))
        struct.pack_into("<i", head, 4, self.size - 8)
        message = 8 + struct.unpack_from("<I", head, 8)[0]
        self._body_length = self._field(head, message, 3)
        batch = self._follow(head, self._field(head, message, 2))
        self._length = self._field(head, batch, 0)
        self.nodes = self._follow(head, self._field(head, batch, 1)) + 4
        self.buffers = self._follow(head, self._field(head, batch, 2)) + 4
        self.head = np.frombuffer(bytes(head), np.uint8)

    @staticmethod
    def _field(head: bytearray, table: int, number: int) -> int:
        """The place of a table's field (FlatBuffers: a table begins with the distance to its list of fields)."""
        fields = table - struct.unpack_from("<i", head, table)[0]
        place: int = struct.unpack_from("<H", head, fields + 4 + 2 * number)[0]
        return table + place

    @staticmethod
    def _follow(head: bytearray, place: int) -> int:
        distance: int = struct.unpack_from("<I", head, place)[0]
        return place + distance

    def read(self, arena: pa.Buffer, memory: np.ndarray, rows: int) -> pa.StructArray:
        """The values in an arena that begins with this header, once counts and places are written."""
        memory[self._length : self._length + 8].view(np.int64)[0] = rows
        memory[self._body_length : self._body_length + 8].view(np.int64)[0] = len(memory) - self.size
        return pa.ipc.read_record_batch(arena, self.schema).column(0)
