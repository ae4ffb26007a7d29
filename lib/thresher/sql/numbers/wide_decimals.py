"""Decimals whose exact result does not fit 38 digits on the way: computed with more digits, rounded once as Spark does.

Sums and products by Arrow in 256 bits, all else in whole numbers of Python: slow beside DuckDB's own decimals, but
three times as fast as DuckDB's division of 128-bit numbers. Also two habits of Spark's: the negative of a decimal keeps
34 digits, and a whole quotient beyond a bigint keeps its lowest 64 bits.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.sql import kinds
from thresher.sql.allowed import ArrowFunction

_LOW = 2**64 - 1
# What scala.math.BigDecimal keeps by default.
NEGATED_DIGITS = 34
_MOST_DIGITS = 76  # of Arrow's decimals in 256 bits

_Compute = Callable[[int, int], int | None]


def function(sign: str, a: pa.DataType, b: pa.DataType, kind: pa.DataType, *, is_try: bool) -> ArrowFunction:
    """`a sign b` for two columns of decimals; the result's type is `kind`."""
    name = f"spark_decimal_{_WORDS[sign]}_{a.precision}_{a.scale}_{b.precision}_{b.scale}{'_try' * is_try}"
    run = partial(_by_one, _computation(sign, a, b, kind), kind, is_try)
    if sign in _IN_256_BITS:
        run = partial(_at_once, _IN_256_BITS[sign], kind, run)
    return ArrowFunction(name, [kinds.in_duckdb(a), kinds.in_duckdb(b)], kinds.in_duckdb(kind), run)


def negative(kind: pa.DataType) -> ArrowFunction:
    """`- a` for decimals of more than 34 digits."""
    name = f"spark_decimal_negative_{kind.precision}_{kind.scale}"
    return ArrowFunction(name, [kinds.in_duckdb(kind)], kinds.in_duckdb(kind), partial(_negative, kind))


_WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "over", "%": "mod", "pmod": "pmod", "div": "div"}
_IN_256_BITS = {"+": pc.add_checked, "-": pc.subtract_checked, "*": pc.multiply_checked}


def _at_once(
    compute: Callable[..., pa.Array],
    kind: pa.DataType,
    by_one: Callable[..., pa.Array],
    left: pa.Array,
    right: pa.Array,
) -> pa.Array:
    """All rows together; one by one where that overflows, which finds out whether the result does."""
    try:
        exact = compute(_in_256_bits(left), _in_256_bits(right))
        return pc.round(exact, kind.scale, round_mode="half_towards_infinity").cast(kind)
    except pa.ArrowInvalid:
        return by_one(left, right)


def _in_256_bits(column: pa.Array) -> pa.Array:
    # At most 37 digits, so that those of a product fit.
    return column.cast(pa.decimal256(min(column.type.precision, _MOST_DIGITS // 2 - 1), column.type.scale))


def _by_one(compute: _Compute, kind: pa.DataType, is_try: bool, left: pa.Array, right: pa.Array) -> pa.Array:
    found: list[int | None] = []
    for x, y in zip(whole(left), whole(right), strict=True):
        value = None
        if x is not None and y is not None:
            value = compute(x, y)
            if value is None and not is_try:
                raise ValueError("division by zero")
        found.append(value)
    return from_whole(checked(found, kind, is_try=is_try), kind)


def checked(values: list[int | None], kind: pa.DataType, *, is_try: bool = False) -> list[int | None]:
    """The digits of decimals, where the type has as many; else an error, or NULL."""
    if not kinds.is_decimal(kind):
        return values
    limit = 10**kind.precision
    over = [place for place, value in enumerate(values) if value is not None and not -limit < value < limit]
    if over and not is_try:
        raise ValueError(f"{values[over[0]]}e-{kind.scale} does not fit {kinds.in_spark(kind)}")
    for place in over:
        values[place] = None
    return values


def whole(column: pa.Array) -> list[int | None]:
    """The digits of decimals, without the point."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    words = np.frombuffer(column.buffers()[1], dtype="<u8", offset=16 * column.offset, count=2 * len(column))
    low, high = words[::2].tolist(), words[1::2].astype("<i8").tolist()
    found: list[int | None] = [h << 64 | lo for lo, h in zip(low, high, strict=True)]
    if column.null_count:
        for place in np.flatnonzero(np.asarray(column.is_null())):
            found[place] = None
    return found


def from_whole(values: Sequence[int | None], kind: pa.DataType) -> pa.Array:
    """Decimals from their digits without the point."""
    if not kinds.is_decimal(kind):
        return pa.array(values, kind)
    words = np.empty(2 * len(values), dtype="<u8")
    words[::2] = [(value or 0) & _LOW for value in values]
    words[1::2] = [(value or 0) >> 64 & _LOW for value in values]
    there = pa.array([value is not None for value in values], pa.bool_()).buffers()[1]
    return pa.Array.from_buffers(kind, len(values), [there, pa.py_buffer(words)])


def _computation(sign: str, a: pa.DataType, b: pa.DataType, kind: pa.DataType) -> _Compute:
    """The operation on the digits of two decimals, without their points."""
    scale = max(a.scale, b.scale)
    up_a, up_b = 10 ** (scale - a.scale), 10 ** (scale - b.scale)  # to the same scale
    match sign:
        case "+" | "-":
            unit, up_b = 10 ** (scale - kind.scale), up_b if sign == "+" else -up_b
            return lambda x, y: rounded(x * up_a + y * up_b, unit)
        case "*":
            unit = 10 ** (a.scale + b.scale - kind.scale)
            return lambda x, y: rounded(x * y, unit)
        case "/":
            shift = kind.scale + b.scale - a.scale
            up, down = 10 ** max(shift, 0), 10 ** max(-shift, 0)
            return lambda x, y: rounded(x * up, y * down) if y else None
        case "%":
            return lambda x, y: _remainder(x * up_a, y * up_b) if y else None
        case "pmod":
            return lambda x, y: _positive_remainder(x * up_a, y * up_b) if y else None
    return lambda x, y: _whole_quotient(x * up_a, y * up_b) if y else None


def rounded(x: int, y: int) -> int:
    """x / y as a whole number, half away from zero.

    >>> rounded(5, 2), rounded(-5, 2), rounded(4, 3)
    (3, -3, 1)
    """
    found = (2 * abs(x) + abs(y)) // (2 * abs(y))
    return -found if (x < 0) != (y < 0) else found


def _remainder(x: int, y: int) -> int:
    """The remainder with the sign of x."""
    return abs(x) % abs(y) * (-1 if x < 0 else 1)


def _positive_remainder(x: int, y: int) -> int:
    rest = _remainder(x, y)
    return _remainder(rest + y, y) if rest < 0 else rest


def _whole_quotient(x: int, y: int) -> int:
    found = abs(x) // abs(y) * (-1 if (x < 0) != (y < 0) else 1)
    if abs(found) >= 10**kinds.MAX_PRECISION:
        raise ValueError(f"{found} has more than {kinds.MAX_PRECISION} digits")
    return (found + 2**63 & _LOW) - 2**63


def _negative(kind: pa.DataType, column: pa.Array) -> pa.Array:
    return from_whole(checked([None if x is None else -_shortened(x) for x in whole(column)], kind), kind)


def _shortened(x: int) -> int:
    """A whole number with its first 34 digits, half to even."""
    unit = 10 ** max(len(str(abs(x))) - NEGATED_DIGITS, 0)
    kept, rest = divmod(abs(x), unit)
    kept += 2 * rest > unit or (2 * rest == unit and kept % 2)
    return kept * unit * (-1 if x < 0 else 1)
