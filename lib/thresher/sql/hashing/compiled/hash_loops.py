"""Murmur3 and xxHash64 as Spark computes them: loops over plain arrays, compiled on first use and kept on disk.

Each loop continues the hashes of some rows with one value each: for every n, hashes[rows[n]] goes on with value
values[index[n]] unless that is NULL. A row may come several times (the elements of an array), in their order.

Source: Spark's Murmur3_x86_32, whose last bytes are mixed in one by one with their sign, and XXH64.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

u32, u64 = np.uint32, np.uint64

_C1, _C2 = u32(0xCC9E2D51), u32(0x1B873593)
_P1, _P2 = u64(0x9E3779B185EBCA87), u64(0xC2B2AE3D27D4EB4F)
_P3, _P4, _P5 = u64(0x165667B19E3779F9), u64(0x85EBCA77C2B2AE63), u64(0x27D4EB2F165667C5)


def _compiled(loop: Callable[..., Any]) -> Any:
    try:
        return njit(cache=True, nogil=True)(loop)
    except RuntimeError:  # no folder may be written to: compiled anew by each process
        return njit(nogil=True)(loop)


@_compiled
def _word(data, at):  # type: ignore[no-untyped-def]
    """Four bytes, the lowest first."""
    return (
        u32(data[at]) | (u32(data[at + 1]) << u32(8)) | (u32(data[at + 2]) << u32(16)) | (u32(data[at + 3]) << u32(24))
    )


@_compiled
def _mix(seed, value):  # type: ignore[no-untyped-def]
    value = u32(value * _C1)
    value = u32(u32((value << u32(15)) | (value >> u32(17))) * _C2)
    seed = u32(seed ^ value)
    seed = u32((seed << u32(13)) | (seed >> u32(19)))
    return u32(seed * u32(5) + u32(0xE6546B64))


@_compiled
def _mixed(seed, length):  # type: ignore[no-untyped-def]
    seed = u32(seed ^ u32(length))
    seed = u32((seed ^ (seed >> u32(16))) * u32(0x85EBCA6B))
    seed = u32((seed ^ (seed >> u32(13))) * u32(0xC2B2AE35))
    return u32(seed ^ (seed >> u32(16)))


@_compiled
def murmur_ints(values, is_valid, index, rows, hashes):  # type: ignore[no-untyped-def]
    for n in range(rows.size):
        if is_valid[index[n]]:
            hashes[rows[n]] = _mixed(_mix(hashes[rows[n]], u32(values[index[n]])), 4)


@_compiled
def murmur_longs(values, is_valid, index, rows, hashes):  # type: ignore[no-untyped-def]
    for n in range(rows.size):
        if is_valid[index[n]]:
            value = u64(values[index[n]])
            low = _mix(hashes[rows[n]], u32(value & u64(0xFFFFFFFF)))
            hashes[rows[n]] = _mixed(_mix(low, u32(value >> u64(32))), 8)


@_compiled
def murmur_bytes(data, starts, ends, is_valid, index, rows, hashes):  # type: ignore[no-untyped-def]
    for n in range(rows.size):
        if is_valid[index[n]]:
            at, end = starts[index[n]], ends[index[n]]
            seed, length = hashes[rows[n]], end - at
            while at + 4 <= end:
                seed = _mix(seed, _word(data, at))
                at += 4
            while at < end:
                seed = _mix(seed, u32(np.int32(np.int8(data[at]))))
                at += 1
            hashes[rows[n]] = _mixed(seed, length)


@_compiled
def _rotated(value, bits):  # type: ignore[no-untyped-def]
    return (value << u64(bits)) | (value >> u64(64 - bits))


@_compiled
def _round(seed, value):  # type: ignore[no-untyped-def]
    return _rotated(seed + value * _P2, 31) * _P1


@_compiled
def _finished(seed):  # type: ignore[no-untyped-def]
    seed = (seed ^ (seed >> u64(33))) * _P2
    seed = (seed ^ (seed >> u64(29))) * _P3
    return seed ^ (seed >> u64(32))


@_compiled
def _four_bytes(seed, value):  # type: ignore[no-untyped-def]
    return _rotated(seed ^ (u64(value) * _P1), 23) * _P2 + _P3


@_compiled
def _eight_bytes(seed, value):  # type: ignore[no-untyped-def]
    return _rotated(seed ^ _round(u64(0), value), 27) * _P1 + _P4


@_compiled
def _double_word(data, at):  # type: ignore[no-untyped-def]
    return u64(_word(data, at)) | (u64(_word(data, at + 4)) << u64(32))


@_compiled
def xx_ints(values, is_valid, index, rows, hashes):  # type: ignore[no-untyped-def]
    for n in range(rows.size):
        if is_valid[index[n]]:
            hashes[rows[n]] = _finished(_four_bytes(hashes[rows[n]] + _P5 + u64(4), u32(values[index[n]])))


@_compiled
def xx_longs(values, is_valid, index, rows, hashes):  # type: ignore[no-untyped-def]
    for n in range(rows.size):
        if is_valid[index[n]]:
            hashes[rows[n]] = _finished(_eight_bytes(hashes[rows[n]] + _P5 + u64(8), u64(values[index[n]])))


@_compiled
def xx_bytes(data, starts, ends, is_valid, index, rows, hashes):  # type: ignore[no-untyped-def]
    for n in range(rows.size):
        if is_valid[index[n]]:
            hashes[rows[n]] = _xx_of(data, starts[index[n]], ends[index[n]], hashes[rows[n]])


@_compiled
def _xx_of(data, at, end, seed):  # type: ignore[no-untyped-def]
    length = u64(end - at)
    if end - at >= 32:
        a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while at + 32 <= end:
            a, b = _round(a, _double_word(data, at)), _round(b, _double_word(data, at + 8))
            c, d = _round(c, _double_word(data, at + 16)), _round(d, _double_word(data, at + 24))
            at += 32
        seed = _rotated(a, 1) + _rotated(b, 7) + _rotated(c, 12) + _rotated(d, 18)
        for part in (a, b, c, d):
            seed = (seed ^ _round(u64(0), part)) * _P1 + _P4
    else:
        seed = seed + _P5
    seed += length
    while at + 8 <= end:
        seed = _eight_bytes(seed, _double_word(data, at))
        at += 8
    if at + 4 <= end:
        seed = _four_bytes(seed, _word(data, at))
        at += 4
    while at < end:
        seed = _rotated(seed ^ (u64(data[at]) * _P5), 11) * _P1
        at += 1
    return _finished(seed)
