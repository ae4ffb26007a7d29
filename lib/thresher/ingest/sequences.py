"""Texts whose order is the order of changes, whatever the values are by which they are ordered.

The parts are joined by a character that sorts before all others, so that the first part that differs decides.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

BETWEEN = "\x1f"
_CAPTURED = re.compile(r"(\d{8})-(\d{9})\.[a-z.]+", re.I)
_FULL_LOAD = re.compile(r"LOAD[0-9A-F]+\.[a-z.]+", re.I)
_WHOLE = 38
_NINES = str.maketrans("0123456789", "9876543210")


def joined(parts: Sequence[pa.Array]) -> pa.Array:
    """One text per row of several; a null part is empty, and so comes first.

    >>> joined([pa.array(["a", None]), pa.array(["1", "2"])]).to_pylist()
    ['a\\x1f1', '\\x1f2']
    """
    filled = [pc.fill_null(part, "") for part in parts]
    return reduce(lambda one, other: pc.binary_join_element_wise(one, other, BETWEEN), filled)


def texts(values: pa.Array) -> pa.Array:
    """Values as texts in the order of the values; null stays null.

    Numbers of all kinds have one form, dates and timestamps another, so that a column may become wider.

    >>> texts(pa.array([9, 10, -1, None])).to_pylist()[:2] == sorted(texts(pa.array([10, 9])).to_pylist())
    True
    >>> texts(pa.array(["b", "a"])).to_pylist()
    ['b', 'a']
    """
    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_timestamp(kind):
        return pc.strftime(values.cast(pa.timestamp("us")), "%Y-%m-%d %H:%M:%S")
    if pa.types.is_date(kind):
        return pc.strftime(values, "%Y-%m-%d")
    if pa.types.is_integer(kind) and not (values.null_count < len(values) and pc.min(values).as_py() < 0):
        return pc.binary_join_element_wise(
            "1", pc.utf8_lpad(values.cast(pa.string()), width=_WHOLE, padding="0"), "", ""
        )
    return pa.array([None if value is None else _number(value) for value in values.to_pylist()], pa.string())


def rows(numbers: Iterable[int] | pa.Array) -> pa.Array:
    """Row numbers as texts in their order.

    >>> rows(pa.array([2, 10])).to_pylist()
    ['000000000002', '000000000010']
    """
    numbers = numbers if isinstance(numbers, pa.Array) else pa.array(numbers, pa.int64())
    return pc.utf8_lpad(numbers.cast(pa.string()), width=12, padding="0")


def _number(value: Any) -> str:
    """A number of any kind: its sign, its whole digits, and those after the point without zeros at the end."""
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    whole, _, fraction = f"{abs(number):f}".partition(".")
    digits = whole.rjust(_WHOLE, "0") + fraction.rstrip("0")
    # Of two negative numbers the one with the smaller digits is larger; what has no more digits ends with the largest.
    return "0" + digits.translate(_NINES) + "~" if number < 0 else "1" + digits


def of_file(name: str) -> str:
    """The place of a file among those of a delivery: a full load first, then by the moment of capture, else by name.

    >>> sorted(["b/20240809-192717787.csv", "LOAD00000001.csv", "a/20240810-010101000.csv"], key=of_file)
    ['LOAD00000001.csv', 'b/20240809-192717787.csv', 'a/20240810-010101000.csv']
    """
    last = name.rpartition("/")[2]
    if is_full_load(name):
        return "0" + name
    return "1" + (last if is_captured_at(name) else name)


def is_full_load(name: str) -> bool:
    """Whether a file is named as AWS DMS names those of a full load.

    >>> is_full_load("sales/customers/LOAD00000001.csv"), is_full_load("loads.csv")
    (True, False)
    """
    return bool(_FULL_LOAD.fullmatch(name.rpartition("/")[2]))


def is_captured_at(name: str) -> bool:
    """Whether a file is named by the moment at which its changes were captured, as AWS DMS does.

    >>> is_captured_at("2024/08/09/20240809-192717787.csv"), is_captured_at("20240809-192717787 (1).csv")
    (True, False)
    """
    return bool(_CAPTURED.fullmatch(name.rpartition("/")[2]))


def captured_at(name: str) -> datetime | None:
    """The moment in such a name (UTC), to the millisecond; None for another name.

    >>> captured_at("20240809-192717787.csv").isoformat()
    '2024-08-09T19:27:17.787000+00:00'
    """
    found = _CAPTURED.fullmatch(name.rpartition("/")[2])
    try:
        return datetime.strptime(f"{found[1]}{found[2]}000+0000", "%Y%m%d%H%M%S%f%z") if found else None
    except ValueError:
        return None
