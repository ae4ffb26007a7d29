"""What a run shows while it is under way: a live table on a terminal, else one line for each event."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from thresher.ledger import StepRun
from thresher.many_tables import base_of
from thresher.pipeline import Step
from thresher.running.outcomes import Failure

_STYLE = {
    "succeeded": "green",
    "skipped": "dim green",
    "running": "cyan",
    "failed": "bold red",
    "blocked": "yellow",
    "cancelled": "yellow",
}
# Escape sequences and control characters: what a notebook printed must not steer the terminal.
_STEERING = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOST_ROWS = 20  # of the items of one step
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def without_codes(text: str) -> str:
    """Text without colour codes and other control characters.

    >>> without_codes("\\x1b[31mred\\x1b[0m\\tand \\x1b]0;title\\x07plain\\x08")
    'red\\tand plain'
    """
    return _STEERING.sub("", text)


class Follower(Protocol):
    """Who wants to know of each step when it begins and when it has ended, from several threads."""

    def started(self, step: str) -> None: ...

    def finished(self, step: StepRun) -> None: ...


class Progress:
    """Follows the steps of a run on a console, and tells `follower`. Safe to be told from several threads."""

    def __init__(self, steps: Sequence[Step], console: Console, follower: Follower | None = None) -> None:
        self._console = console
        self._follower = follower
        self._cells = {step.name: step.code_cells for step in steps}
        self._of_many = Counter(map(base_of, self._cells))
        self._done = dict.fromkeys(self._cells, 0)
        self._began: dict[str, float] = {}
        self._ended: dict[str, StepRun] = {}
        live = console.is_terminal and not console.quiet
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=4) if live else None

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def started(self, step: str, reason: str = "") -> None:
        """A step began, for a reason."""
        self._began[step] = time.monotonic()
        if self._follower:
            self._follower.started(step)
        if not self._live:
            self._line(f"{step}: running{f' ({reason})' if reason else ''}")

    def notice(self, step: str, text: str) -> None:
        """Something about a step that somebody may want to know while it runs."""
        self._line(f"{step}: {without_codes(text)}")

    def cell_done(self, step: str) -> None:
        """A step is one cell further."""
        self._done[step] += 1

    def finished(self, step: StepRun, failure: Failure | None = None) -> None:
        """A step ended; what made it fail is shown in full."""
        self._ended[step.name] = step
        if self._follower:
            self._follower.finished(step)
        if not self._live:
            self._line(f"{step.name}: {step.status}{_summary(step)}")
        for checked in step.checks:
            for outcome in (*checked.broken("quarantine"), *checked.broken("warn")):
                self._line(f"{step.name}: {outcome.severity}: {checked.dataset}: {outcome.rule}: {outcome.found}")
        if failure:
            self._console.print(self._explained(step, failure), soft_wrap=True)

    def kept(self, step: StepRun) -> None:
        """A step was not run: nothing changed since an earlier run did it, or this one, before it was continued."""
        if step.status == "succeeded":
            step = replace(step, status="skipped", reason="done before, nothing changed")
        self.finished(step)

    def _line(self, text: str) -> None:
        self._console.print(f"{datetime.now(UTC):%H:%M:%S} {text}", markup=False, highlight=False, soft_wrap=True)

    def _explained(self, step: StepRun, failure: Failure) -> Text:
        where = f" in cell [{failure.cell}]" if failure.cell else ""
        text = Text()
        text.append(f"\n{step.name} failed{where} of {step.notebook}: {without_codes(failure.reason)}\n", "bold red")
        if failure.source:
            text.append("\n".join(f"    {line}" for line in without_codes(failure.source).splitlines()) + "\n", "cyan")
        if failure.traceback:
            text.append_text(_coloured(failure.traceback) if self._live else Text(without_codes(failure.traceback)))
            text.append("\n")
        if step.executed:
            text.append(f"executed notebook, in the lake: {step.executed}\n")
        return text

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in ("step", "status", "cells", "seconds", "rows in", "out", "refused", "duplicate"):
            is_text = column in ("step", "status")
            table.add_column(column, justify="left" if is_text else "right", style="default", no_wrap=is_text)
        folded: Counter[str] = Counter()
        for step, cells in self._cells.items():
            ended = self._ended.get(step)
            is_quiet = ended.status in ("succeeded", "skipped") if ended else step not in self._began
            if is_quiet and self._of_many[base_of(step)] > _MOST_ROWS:  # a terminal has no room for them
                folded[base_of(step)] += 1
                continue
            status = ended.status if ended else "running" if step in self._began else "waiting"
            since = self._began.get(step)
            seconds = ended.duration_s if ended else None if since is None else time.monotonic() - since
            rows = (ended.rows_in, ended.rows_out, ended.refused, ended.duplicate) if ended and ended.counts else ()
            table.add_row(
                Text(step),
                Text(status, _STYLE.get(status, "dim")),
                f"{self._done[step]}/{cells}",
                "" if seconds is None else f"{seconds:.1f}",
                *(f"{figure:,}" for figure in rows),
            )
        for name, items in folded.items():
            done = sum(base_of(step) == name for step in list(self._ended))
            table.add_row(Text(f"{name}[…]"), Text(f"{items:,} more", "dim"), f"{done:,}/{self._of_many[name]:,} items")
        return table


def _summary(step: StepRun) -> str:
    if step.status in ("blocked", "skipped"):
        return f" ({step.error or step.reason})"
    rows = f"; rows: {step.rows_in:,} in, {step.rows_out:,} out, {step.refused:,} refused, {step.duplicate:,} duplicate"
    return f" in {step.duration_s or 0:.1f} s{rows if step.counts else ''}"


def _coloured(text: str) -> Text:
    """The kernel's colours, and none of its other control sequences."""
    pieces = zip(_COLOUR.split(text), [*_COLOUR.findall(text), ""], strict=True)
    return Text.from_ansi("".join(without_codes(piece) + code for piece, code in pieces))
