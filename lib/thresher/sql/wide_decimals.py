"""Decimals whose exact result does not fit 38 digits on the way: whole numbers of Python, rounded once as Spark does.

Also two habits of Spark that no other engine shares: the negative of a decimal keeps 34 digits, and a whole quotient
beyond a bigint keeps its lowest 64 bits.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from thresher.sql import kinds
from thresher.sql.allowed import ArrowFunction

_LOW = 2**64 - 1
# What scala.math.BigDecimal keeps by default.
NEGATED_DIGITS = 34


def function(sign: str, a: pa.DataType, b: pa.DataType, kind: pa.DataType, *, is_try: bool) -> ArrowFunction:
    """`a sign b` for two columns of decimals."""
    name = f"spark_decimal_{_WORDS[sign]}_{a.precision}_{a.scale}_{b.precision}_{b.scale}{'_try' * is_try}"
    run = partial(_both, _COMPUTED[sign], kind, is_try)
    return ArrowFunction(name, [kinds.in_duckdb(a), kinds.in_duckdb(b)], kinds.in_duckdb(kind), run)


def negative(kind: pa.DataType) -> ArrowFunction:
    """`- a` for decimals of more than 34 digits."""
    name = f"spark_decimal_negative_{kind.precision}_{kind.scale}"
    return ArrowFunction(name, [kinds.in_duckdb(kind)], kinds.in_duckdb(kind), partial(_negative, kind))


def _both(compute: "_Compute", kind: pa.DataType, is_try: bool, left: pa.Array, right: pa.Array) -> pa.Array:
    scales = left.type.scale, right.type.scale
    found: list[int | None] = []
    for x, y in zip(whole(left), whole(right), strict=True):
        if x is None or y is None:
            found.append(None)
            continue
        value = compute(x, y, scales, kind)
        if value is None and not is_try:
            raise ValueError("division by zero")
        found.append(checked(value, kind, is_try))
    return from_whole(found, kind)


def checked(value: int | None, kind: pa.DataType, is_try: bool) -> int | None:
    """The digits of a decimal, where its type has as many; else an error, or NULL."""
    if value is None or not kinds.is_decimal(kind) or abs(value) < 10**kind.precision:
        return value
    if is_try:
        return None
    raise ValueError(f"{value}e-{kind.scale} does not fit {kinds.in_spark(kind)}")


def whole(column: pa.Array) -> list[int | None]:
    """The digits of decimals, without the point."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    words = np.frombuffer(column.buffers()[1], dtype="<u8", offset=16 * column.offset, count=2 * len(column))
    low, high = words[::2].tolist(), words[1::2].astype("<i8").tolist()
    valid = column.is_valid().to_pylist()
    return [(h << 64 | lo) if there else None for lo, h, there in zip(low, high, valid, strict=True)]


def from_whole(values: Sequence[int | None], kind: pa.DataType) -> pa.Array:
    """Decimals from their digits without the point."""
    if not kinds.is_decimal(kind):
        return pa.array(values, kind)
    words = np.empty(2 * len(values), dtype="<u8")
    words[::2] = [(value or 0) & _LOW for value in values]
    words[1::2] = [(value or 0) >> 64 & _LOW for value in values]
    missing = pa.array([value is not None for value in values], pa.bool_()).buffers()[1]
    return pa.Array.from_buffers(kind, len(values), [missing, pa.py_buffer(words)])


_Compute = Callable[[int, int, tuple[int, int], pa.DataType], int | None]


def _sum(x: int, y: int, scales: tuple[int, int], kind: pa.DataType) -> int:
    x, y, scale = _aligned(x, y, scales)
    return _rounded(x + y, 10 ** (scale - kind.scale))


def _difference(x: int, y: int, scales: tuple[int, int], kind: pa.DataType) -> int:
    return _sum(x, -y, scales, kind)


def _product(x: int, y: int, scales: tuple[int, int], kind: pa.DataType) -> int:
    return _rounded(x * y, 10 ** (sum(scales) - kind.scale))


def _quotient(x: int, y: int, scales: tuple[int, int], kind: pa.DataType) -> int | None:
    shift = kind.scale + scales[1] - scales[0]
    return _rounded(x * 10 ** max(shift, 0), y * 10 ** max(-shift, 0)) if y else None


def _remainder(x: int, y: int, scales: tuple[int, int], kind: pa.DataType) -> int | None:
    x, y, _ = _aligned(x, y, scales)
    return _left_over(x, y) if y else None


def _positive_remainder(x: int, y: int, scales: tuple[int, int], kind: pa.DataType) -> int | None:
    x, y, _ = _aligned(x, y, scales)
    rest = _left_over(x, y) if y else None
    return _left_over(rest + y, y) if rest is not None and rest < 0 else rest


def _whole_quotient(x: int, y: int, scales: tuple[int, int], kind: pa.DataType) -> int | None:
    x, y, _ = _aligned(x, y, scales)
    if not y:
        return None
    found = abs(x) // abs(y) * (-1 if (x < 0) != (y < 0) else 1)
    if abs(found) >= 10**kinds.MAX_PRECISION:
        raise ValueError(f"{found} has more than {kinds.MAX_PRECISION} digits")
    return (found + 2**63 & _LOW) - 2**63


def _aligned(x: int, y: int, scales: tuple[int, int]) -> tuple[int, int, int]:
    scale = max(scales)
    return x * 10 ** (scale - scales[0]), y * 10 ** (scale - scales[1]), scale


def _rounded(x: int, y: int) -> int:
    """x / y as a whole number, half away from zero."""
    found = (2 * abs(x) + abs(y)) // (2 * abs(y))
    return -found if (x < 0) != (y < 0) else found


def _left_over(x: int, y: int) -> int:
    """The remainder with the sign of x."""
    return abs(x) % abs(y) * (-1 if x < 0 else 1)


def _negative(kind: pa.DataType, column: pa.Array) -> pa.Array:
    return from_whole([None if x is None else checked(-_shortened(x), kind, False) for x in whole(column)], kind)


def _shortened(x: int) -> int:
    """A whole number with its first 34 digits, half to even."""
    unit = 10 ** max(len(str(abs(x))) - NEGATED_DIGITS, 0)
    kept, rest = divmod(abs(x), unit)
    kept += 2 * rest > unit or (2 * rest == unit and kept % 2)
    return kept * unit * (-1 if x < 0 else 1)


_WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "over", "%": "mod", "pmod": "pmod", "div": "div"}
_COMPUTED: dict[str, _Compute] = {
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "%": _remainder,
    "pmod": _positive_remainder,
    "div": _whole_quotient,
}
