"""What was found, for a person at a terminal."""

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import unified_diff
from textwrap import indent

from thresher.notebook_checks.checks import Cell, Checked
from thresher.notebook_checks.comparison import Difference
from thresher.running.progress import without_codes

_MOST_LINES = 60  # of one output or traceback


def as_text(checked: Checked, *, every_difference: bool = False) -> str:
    """A notebook's outcome: its first failing cell, what it blocks; or all that differs."""
    head = f"{checked.name}  {_counts(checked)}  {checked.duration_s:.1f} s"
    if checked.error:
        return f"{head}\n{indent(checked.error, '  ')}"
    shown = [cell for cell in checked.cells if cell.differences or (every_difference and cell.is_new)]
    cells = shown if every_difference and checked.is_acceptable else [checked.cause] if checked.cause else []
    lines = [head, *(_described(cell) for cell in cells)]
    if checked.blocked and not (every_difference and checked.is_acceptable):
        lines.append(f"  blocked by it: {_numbered(checked.blocked)}")
    return "\n".join(lines)


def summary(found: Sequence[Checked], accepted: Sequence[Checked] = ()) -> str:
    """How many notebooks failed, passed, and had their new outputs accepted."""
    statuses = Counter("accepted" if each in accepted else "passed" if each.is_good else "failed" for each in found)
    told = ", ".join(f"{statuses[each]} {each}" for each in ("failed", "passed", "accepted") if statuses[each])
    return f"{len(found)} notebook{'s' * (len(found) != 1)}: {told}"


def _counts(checked: Checked) -> str:
    if checked.error:
        return "failed"
    number = len(checked.cells)
    if not checked.cause:
        return f"passed  {number} cell{'s' * (number != 1)}"
    blocked = len(checked.blocked)
    return f"failed  {number - blocked - 1} passed, 1 failed, {blocked} blocked"


def _described(cell: Cell) -> str:
    parts = [
        f"  cell {cell.number}: {cell.reason or 'new outputs'}",
        indent(cell.source.rstrip(), "    | ", lambda _: True),
    ]
    parts += [indent(_difference(each), "    ") for each in cell.differences]
    parts += [indent(_shortened(without_codes(cell.traceback).splitlines()), "    ")] if cell.traceback else []
    return "\n".join(parts)


def _difference(difference: Difference) -> str:
    if difference.expected is None:
        return f"{difference.kind}: unexpected output\n{_shortened(_signed('+', difference.found))}"
    if difference.found is None:
        return f"{difference.kind}: no such output\n{_shortened(_signed('-', difference.expected))}"
    expected, found = difference.expected.splitlines(), difference.found.splitlines()
    lines = ["…" if line.startswith("@@") else line for line in unified_diff(expected, found, lineterm="", n=2)][3:]
    return f"{difference.kind}: - expected, + found\n{_shortened(lines)}"


def _signed(sign: str, text: str | None) -> list[str]:
    return [f"{sign}{line}" for line in (text or "").splitlines()]


def _shortened(lines: Iterable[str]) -> str:
    lines = list(lines)
    half = _MOST_LINES // 2
    if len(lines) > _MOST_LINES:
        lines = [*lines[:half], f"… {len(lines) - 2 * half:,} lines …", *lines[-half:]]
    return "\n".join(lines)


def _numbered(numbers: Sequence[int]) -> str:
    return f"cell{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))}"
