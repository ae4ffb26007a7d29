"""Old runs are removed: their executed notebooks, and what the ledger has of them."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from thresher.errors import LakeError
from thresher.ledger import Ledger, Run

_AT_ONCE = 500


@dataclass(frozen=True)
class Removed:
    """A run that was removed, or would be, and how many bytes its executed notebooks take."""

    run: Run
    bytes: int


def prune(
    ledger: Ledger,
    lake: Path,
    *,
    pipeline: str | None = None,
    keep: int = 1,
    older_than: timedelta = timedelta(0),
    dry_run: bool = False,
) -> list[Removed]:
    """Remove the runs of one pipeline on a lake, or of all, that are older and not among the newest `keep` of each.

    Never the newest run of a pipeline, one that is running, the last one in which a step succeeded, or one that a
    step of a kept run was skipped for. With `dry_run` nothing is removed. Raises LakeError.
    """
    runs = sorted(ledger.runs(pipeline, None, lake=lake), key=lambda run: run.pipeline)  # within one: newest first
    before = datetime.now(UTC) - older_than
    found: list[Run] = []
    for name, group in groupby(runs, key=lambda run: run.pipeline):
        last_good = {step.run_id for step in ledger.last_good(name, lake).values()}
        found += _removable(list(group), max(keep, 1), before, last_good)
    removed = [Removed(run, _bytes(_folder(lake, run))) for run in found]
    if not dry_run:
        for start in range(0, len(found), _AT_ONCE):
            _remove(ledger, lake, found[start : start + _AT_ONCE])
    return removed


def _removable(runs: Sequence[Run], keep: int, before: datetime, last_good: set[str]) -> Iterator[Run]:
    old = [run for run in runs[keep:] if run.started_at < before and run.status != "running"]
    gone = {run.id for run in old}
    needed = last_good | set(_skipped_for(run for run in runs if run.id not in gone))
    return (run for run in old if run.id not in needed)


def _skipped_for(runs: Iterable[Run]) -> Iterator[str]:
    """The runs that executed what these skipped."""
    return (step.run_id for run in runs for step in run.steps if step.status == "skipped")


def _remove(ledger: Ledger, lake: Path, runs: Sequence[Run]) -> None:
    for run in runs:
        try:
            shutil.rmtree(_folder(lake, run))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise LakeError(f"run {run.id} was not removed: {error}. Check the owner of _runs in the lake.") from error
    # Last: what is left of a run when this is killed is then found again.
    ledger.forget_runs([run.id for run in runs])


def _folder(lake: Path, run: Run) -> Path:
    return lake / "_runs" / run.id


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
