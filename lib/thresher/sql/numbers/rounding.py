"""Rounding to a number of digits, for what DuckDB rounds differently: doubles, ties to even, negative digits."""

import decimal
from functools import partial

import numpy as np
import pyarrow as pa

from thresher.sql import kinds
from thresher.sql.allowed import ArrowFunction
from thresher.sql.casting.number_text import double_text
from thresher.sql.numbers.wide_decimals import checked, from_whole, whole

_MODES = {
    "round": decimal.ROUND_HALF_UP,
    "bround": decimal.ROUND_HALF_EVEN,
    "floor": decimal.ROUND_FLOOR,
    "ceil": decimal.ROUND_CEILING,
}
# Room for the digits of any double, and for those behind them.
_EXACTLY = decimal.Context(prec=2000, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)


def of_decimals(name: str, kind: pa.DataType, digits: int, result: pa.DataType) -> ArrowFunction:
    """round, bround, floor or ceil of decimals to fewer digits than they have."""
    digits = max(digits, -2 * kinds.MAX_PRECISION)  # beyond, nothing is left either
    made = f"spark_{name}_{kind.precision}_{kind.scale}_{_word(digits)}"
    run = partial(_decimals, name, kind.scale - digits, 10 ** max(-digits, 0), result)
    return ArrowFunction(made, [kinds.in_duckdb(kind)], kinds.in_duckdb(result), run)


def of_floating(name: str, kind: pa.DataType, digits: int) -> ArrowFunction:
    """round or bround of a double or float: the number that its text stands for is rounded."""
    word = kinds.in_duckdb(kind)
    return ArrowFunction(f"spark_{name}_{word}_{_word(digits)}", [word], word, partial(_floating, name, digits))


def _word(digits: int) -> str:
    return f"minus_{-digits}" if digits < 0 else str(digits)


def _decimals(name: str, dropped: int, unit: int, result: pa.DataType, column: pa.Array) -> pa.Array:
    found = [None if x is None else _dropped(name, x, 10**dropped) * unit for x in whole(column)]
    return from_whole(checked(found, result), result)


def _dropped(name: str, x: int, unit: int) -> int:
    if name == "floor":
        return x // unit
    if name == "ceil":
        return -(-x // unit)
    kept, rest = divmod(abs(x), unit)
    kept += 2 * rest > unit or (2 * rest == unit and (name == "round" or kept % 2))
    return -kept if x < 0 else kept


def _floating(name: str, digits: int, column: pa.Array) -> pa.Array:
    values = np.asarray(column.fill_null(0.0))
    x = values.astype(np.float64)
    with np.errstate(all="ignore"):
        found, is_sure = _scaled(x, digits) if abs(digits) <= _EXACT_POWERS else (x, np.zeros(len(x), bool))
    for place in np.flatnonzero(~is_sure & np.isfinite(x)):
        found[place] = _by_text(name, float(x[place]), digits)
    found = np.where(np.isfinite(x), found, x).astype(values.dtype)
    return pa.array(found, mask=np.asarray(column.is_null()))


_EXACT_POWERS = 22  # of ten, in a double


def _scaled(x: np.ndarray, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """The rounded numbers, and which of them are right for sure: those far enough from a tie for two roundings."""
    unit = 10.0 ** abs(digits)
    size = np.abs(x) * unit if digits >= 0 else np.abs(x) / unit
    kept = np.floor(size)
    rest = size - kept
    is_sure = (size < 2.0**51) & (np.abs(rest - 0.5) > size * 1e-15)
    kept += rest > 0.5
    found = np.copysign(kept / unit if digits >= 0 else kept * unit, x) + 0.0  # no minus zero
    return found, is_sure


def _by_text(name: str, x: float, digits: int) -> float:
    exact = decimal.Decimal(double_text(x))
    if -int(exact.as_tuple().exponent) <= digits:
        return x + 0.0
    unit = decimal.Decimal((0, (1,), -digits))
    return float(exact.quantize(unit, _MODES[name], _EXACTLY)) + 0.0
