"""Compares the outputs of a cell with those that it showed: tables as tables, floats within a tolerance.

- HTML with tables: heads, rows and the text around them; how they are marked up does not matter. The plain text beside
  such an output is not looked at.
- Figures: that they are there, and of which type.
- Other text: to the letter, but for floats and the room that they take. Data: by structure.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from thresher.notebook_checks import tables

TOLERANCE = 1e-9  # relative
FIGURES = ("image/png", "image/jpeg", "image/gif", "image/svg+xml", "application/pdf")
_RANDOM = "application/vnd.jupyter.widget-view+json"  # its ids are
_FLOAT = re.compile(
    r"(?<![\w.,])([-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*(?:[eE][-+]?\d+)?|[eE][-+]?\d+))(?![\w]|[.,]\d)"
)

Output = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One output, by its type, as the notebook shows it and as it came; None where there is none."""

    kind: str
    expected: str | None
    found: str | None


def differences(
    expected: Iterable[Output],
    found: Iterable[Output],
    *,
    sanitize: Callable[[str], str] = lambda text: text,
    any_row_order: bool = False,
    is_strict: bool = False,
) -> list[Difference]:
    """What differs between the outputs of a cell (nbformat 4). Only a strict comparison looks into figures.

    >>> show = lambda text: [{"output_type": "execute_result", "data": {"text/plain": text}}]
    >>> differences(show("0.30000000000000004"), show("0.3"))
    []
    >>> differences(show("30"), show("31"))
    [Difference(kind='text/plain', expected='30', found='31')]
    """
    left, right = _by_kind(expected), _by_kind(found)
    differing = []
    for kind in dict.fromkeys([*left, *right]):
        for one, other in zip_longest(left.get(kind, ()), right.get(kind, ())):
            one = sanitize(one) if isinstance(one, str) else one
            other = sanitize(other) if isinstance(other, str) else other
            if not _is_same(kind, one, other, any_row_order, is_strict):
                differing.append(Difference(kind, _readable(kind, one), _readable(kind, other)))
    return differing


def is_same_text(one: str, other: str) -> bool:
    """Whether texts are the same but for floats within the tolerance, and for how wide columns are because of them.

    >>> is_same_text("x  0.1\\ny   10", "x  0.10000000000000001\\ny  10"), is_same_text("a b", "a  b")
    (True, False)
    """
    if one == other:
        return True
    left, right = _FLOAT.split(one), _FLOAT.split(other)
    if len(left) != len(right) or left[1::2] == right[1::2]:
        return False
    return all(map(_is_same_float, left[1::2], right[1::2])) and _layout(left) == _layout(right)


def _by_kind(outputs: Iterable[Output]) -> dict[str, list[Any]]:
    """The values of all outputs by their type, as nbval has it: different types may change places."""
    found = defaultdict(list)
    for output in outputs:
        for kind, value in _values(output):
            found[kind].append("".join(value) if _is_lines(value) else value)
    return found


def _values(output: Output) -> Iterable[tuple[str, Any]]:
    match output["output_type"]:
        case "stream":
            yield output["name"], output["text"]
        case "error":
            yield "error", f"{output['ename']}: {output['evalue']}"
        case _:
            data = output.get("data", {})
            has_table = "<table" in "".join(data.get("text/html", ""))
            yield from ((kind, value) for kind, value in data.items() if not (has_table and kind == "text/plain"))


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(line, str) for line in value)


def _is_same(kind: str, one: Any, other: Any, any_row_order: bool, is_strict: bool) -> bool:
    if one is None or other is None:
        return one is other
    if kind == _RANDOM or (kind in FIGURES and not is_strict):
        return True
    if kind == "text/html":
        left, right = tables.read(one), tables.read(other)
        if left and right:
            return _is_same_table(left, right, any_row_order)
    if any_row_order and isinstance(one, str) and isinstance(other, str):
        return _are_same_rows([(line,) for line in one.splitlines()], [(line,) for line in other.splitlines()], True)
    return _is_same_value(one, other)


def _is_same_table(one: tables.Shown, other: tables.Shown, any_row_order: bool) -> bool:
    return (
        one.heads == other.heads
        and len(one.bodies) == len(other.bodies)
        and all(
            _are_same_rows(left, right, any_row_order) for left, right in zip(one.bodies, other.bodies, strict=True)
        )
        and is_same_text(one.text, other.text)
    )


def _are_same_rows(one: Sequence[tables.Row], other: Sequence[tables.Row], any_row_order: bool) -> bool:
    if any_row_order:
        one, other = sorted(one, key=_rounded), sorted(other, key=_rounded)
    return len(one) == len(other) and all(
        len(left) == len(right) and all(map(is_same_text, left, right)) for left, right in zip(one, other, strict=True)
    )


def _rounded(row: tables.Row) -> list[str]:
    """A row by which to sort: floats that are the same stand in the same place."""
    return [_FLOAT.sub(lambda number: f"{_value(number[0]):.7g}", cell) for cell in row]


def _is_same_value(one: Any, other: Any) -> bool:
    match one, other:
        case str(), str():
            return is_same_text(one, other)
        case bool(), bool():
            return one == other
        case (int() | float(), int() | float()) if isinstance(one, float) or isinstance(other, float):
            return math.isclose(one, other, rel_tol=TOLERANCE) or (one != one and other != other)
        case dict(), dict():
            return one.keys() == other.keys() and all(_is_same_value(value, other[key]) for key, value in one.items())
        case list(), list():
            return len(one) == len(other) and all(map(_is_same_value, one, other))
    return type(one) is type(other) and one == other


def _is_same_float(one: str, other: str) -> bool:
    return ("," in one) == ("," in other) and math.isclose(_value(one), _value(other), rel_tol=TOLERANCE)


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _layout(parts: Sequence[str]) -> list[list[str]]:
    """The words of each line, with a sign for each float."""
    return [line.split() for line in "\0".join(parts[::2]).splitlines()]


def _readable(kind: str, value: Any) -> str | None:
    if value is None:
        return None
    if kind in FIGURES:
        return f"a figure of {len(value):,} characters"
    shown = tables.read(value) if kind == "text/html" and isinstance(value, str) else None
    if shown:
        rows = [row for both in zip(shown.heads, shown.bodies, strict=True) for part in both for row in part]
        return "\n".join([*(" | ".join(row) for row in rows), *([shown.text] if shown.text else [])])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
