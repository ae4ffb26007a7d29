"""Spark's hash and xxhash64 of rows of any type, over Arrow arrays.

A value continues the hash of what came before it in its row, NULL leaves it as it is; an array is its elements one
after the other, a struct its fields. Types tell how: up to 32 bits as an int, other fixed sizes as a long, text as its
bytes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.sql.allowed import arrow_function

_SEED = 42


@arrow_function("spark_hash", None, "INTEGER")
def _hash(*columns: pa.ChunkedArray) -> pa.Array:
    from thresher.sql.hashing.compiled import hash_loops as loops

    update = _Hasher(loops.murmur_ints, loops.murmur_longs, loops.murmur_bytes)
    return pa.array(update.rows(columns, np.uint32).view(np.int32))


@arrow_function("spark_xxhash64", None, "BIGINT")
def _xxhash64(*columns: pa.ChunkedArray) -> pa.Array:
    from thresher.sql.hashing.compiled import hash_loops as loops

    update = _Hasher(loops.xx_ints, loops.xx_longs, loops.xx_bytes)
    return pa.array(update.rows(columns, np.uint64).view(np.int64))


class _Hasher:
    """Walks through columns with the three loops of one hash."""

    def __init__(self, ints: Callable[..., None], longs: Callable[..., None], texts: Callable[..., None]) -> None:
        self.ints = ints
        self.longs = longs
        self.texts = texts

    def rows(self, columns: tuple[pa.ChunkedArray, ...], kind: type[np.unsignedinteger[Any]]) -> np.ndarray:
        """The hash of each row."""
        count = len(columns[0])
        self.hashes = np.full(count, _SEED, kind)
        every = np.arange(count)
        for column in columns:
            self.update(column.combine_chunks(), every, every)
        return self.hashes

    def update(self, array: pa.Array, index: np.ndarray, rows: np.ndarray) -> None:
        """Continue the hashes of these rows with the array's values at these places."""
        kind = array.type
        if len(index) == 0 or pa.types.is_null(kind):
            return
        if pa.types.is_struct(kind):
            kept = _validity(array)[index]
            for field in array.flatten():
                self.update(field, index[kept], rows[kept])
        elif pa.types.is_list(kind):
            self.update_lists(array, index, rows)
        elif _is_text(kind) or (pa.types.is_decimal(kind) and kind.precision > 18):
            data, starts, ends = _digits(array) if pa.types.is_decimal(kind) else _bytes(array)
            self.texts(data, starts, ends, _validity(array), index, rows, self.hashes)
        else:
            values = _fixed(array)
            loop = self.ints if values.dtype == np.int32 else self.longs
            loop(values, _validity(array), index, rows, self.hashes)

    def update_lists(self, array: pa.Array, index: np.ndarray, rows: np.ndarray) -> None:
        kept = _validity(array)[index]
        index, rows = index[kept], rows[kept]
        offsets = array.offsets.to_numpy()
        starts, sizes = offsets[:-1][index], np.diff(offsets)[index]
        if not _has_struct(array.type):  # all elements in one go: the loops take them in their order
            before = np.cumsum(sizes) - sizes
            elements = np.arange(sizes.sum()) + np.repeat(starts - before, sizes)
            self.update(array.values, elements, np.repeat(rows, sizes))
            return
        for place in range(sizes.max(initial=0)):
            here = sizes > place
            self.update(array.values, starts[here] + place, rows[here])


def _has_struct(kind: pa.DataType) -> bool:
    return _has_struct(kind.value_type) if pa.types.is_list(kind) else bool(pa.types.is_struct(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _validity(array: pa.Array) -> np.ndarray:
    if array.null_count == 0:
        return np.ones(len(array), np.bool_)
    return array.is_valid().to_numpy(zero_copy_only=False)


def _fixed(array: pa.Array) -> np.ndarray:
    """Values of fixed size as int32 or int64."""
    kind = array.type
    if pa.types.is_decimal(kind):
        return _buffer(array, np.dtype("i8,i8"))["f0"].copy()  # its lower half holds up to 18 digits
    if pa.types.is_floating(kind):
        values = _buffer(array, np.dtype(f"f{kind.bit_width // 8}")) + 0.0  # turns -0.0 into 0.0
        values[np.isnan(values)] = np.nan
        return values.view(f"i{kind.bit_width // 8}")
    if kind in (pa.bool_(), pa.int8(), pa.int16()):
        array = pc.cast(array, pa.int32())
    return _buffer(array, np.dtype(f"i{array.type.bit_width // 8}"))


def _buffer(array: pa.Array, kind: np.dtype[Any]) -> np.ndarray:
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize)


def _bytes(array: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bytes of all texts, and where each begins and ends."""
    _, places, data = array.buffers()
    offsets = np.frombuffer(places, np.int32, len(array) + 1, array.offset * 4)
    return np.frombuffer(data if data is not None else b"", np.uint8), offsets[:-1], offsets[1:]


def _digits(array: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The digits of decimals without their point, as the fewest bytes that hold number and sign, the highest first."""
    data = np.frombuffer(array.buffers()[1], np.uint8, len(array) * 16, array.offset * 16).reshape(-1, 16)[:, ::-1]
    sign = np.where(data[:, :1] >= 128, 255, 0)
    is_plain = (data[:, :-1] == sign) & ((data[:, 1:] >= 128) == (sign == 255))  # says no more than the byte after it
    starts = np.arange(len(array)) * 16
    ends = starts + 16
    return np.ascontiguousarray(data).reshape(-1), starts + np.cumprod(is_plain, axis=1).sum(axis=1), ends
