"""Values that are not plainly of their type: the reference's functions read them, those of a column together.

So an unusual number, or a column of dates in a pattern, keeps no document from the loops.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from thresher.xml.shredding import filling, tables
from thresher.xml.shredding.plan import Plan

_BAD = object()


def settled(plan: Plan, notes: np.ndarray, base: int, columns: np.ndarray, buffer: pa.Buffer) -> np.ndarray:
    """Write noted values that are of their type after all into their columns; the notes that stay.

    Places in the notes count from `base`; the memory of `columns` lies in `buffer`. Other noted values become null.
    """
    codes = notes[:, tables.NOTED_CODE]
    fields = np.where(codes & tables.KIND_MASK == tables.VALUE, codes >> 8, -1)
    stays = np.ones(len(notes), bool)
    for field in np.unique(fields[fields >= 0]).tolist():
        which = np.flatnonzero(fields == field)
        values = _values(plan, field, notes[which], base)
        is_null = np.array([value is None or value is _BAD for value in values])
        good = [value for value in values if value is not None and value is not _BAD]
        rows = notes[which, tables.NOTED_ROW]
        _write(plan.shapes[field].item, good, rows[~is_null], columns[field], buffer)
        _clear(rows[is_null], columns[field], buffer)
        stays[which] = [value is _BAD for value in values]
    return notes[stays]


def _values(plan: Plan, field: int, notes: np.ndarray, base: int) -> list[Any]:
    """The values of noted texts, _BAD where the document must be judged."""
    spans = notes[:, tables.NOTED_SPAN]
    starts, ends = spans >> 32, (spans >> 32) + (spans & 0xFFFFFFFF)
    is_plain = notes[:, tables.NOTED_CODE] & tables.RAW == 0
    content = memoryview(pa.foreign_buffer(base, int(ends.max())))
    texts, is_spark = plan.scalar(field).texts, plan.options.is_spark
    assert texts is not None
    # To Spark a time without a date is today's, and a blank attribute no value.
    read, null = (texts.read, _BAD) if is_spark else (texts.__getitem__, None)
    if pa.types.is_boolean(plan.shapes[field].item):
        is_plain[:] = False  # the loops know them all

    def value(start: int, end: int) -> Any:
        try:
            found = read(str(content[start:end], "utf-8"))
        except (ValueError, ArithmeticError):
            return _BAD
        return null if found is None else found

    spots = zip(starts.tolist(), ends.tolist(), is_plain.tolist(), strict=True)
    return [value(start, end) if is_text else _BAD for start, end, is_text in spots]


def _write(kind: pa.DataType, values: list[Any], rows: np.ndarray, column: np.ndarray, buffer: pa.Buffer) -> None:
    """Write values of a type of whole bytes to rows."""
    if values:
        width = kind.bit_width // 8
        source = np.frombuffer(pa.array(values, kind).buffers()[1], np.uint8, width * len(values))
        cells = _memory(column[filling.VALUES_AT], buffer)[: width * (int(rows.max()) + 1)]
        cells.reshape(-1, width)[rows] = source.reshape(-1, width)


def _clear(rows: np.ndarray, column: np.ndarray, buffer: pa.Buffer) -> None:
    """Make rows null that were not."""
    bits = _memory(column[filling.VALIDITY], buffer)
    np.bitwise_and.at(bits, rows >> 3, ~(1 << (rows & 7)).astype(np.uint8))
    column[filling.NULLS] += len(rows)


def _memory(address: int, buffer: pa.Buffer) -> np.ndarray:
    """The bytes of a buffer from an address on."""
    return np.frombuffer(buffer, np.uint8)[int(address) - buffer.address :]
