"""The process that runs a pipeline for one due time: a `thresher run` that keeps the lease, and notes how it ended.

It does not need the scheduler that started it: when that one is killed, the run goes on and its due time stays taken.
When this process is killed, run and lease end together, and the due time is taken over.
"""

import argparse
import os
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from thresher.errors import ThresherError
from thresher.ledger import Ledger
from thresher.places import lake_folder
from thresher.schedules import holder, run_process
from thresher.schedules.due_times import LEASE, DueTime, DueTimes
from thresher.schedules.run_process import PUT_OFF, STATUS

LOCKED_AGAIN = timedelta(seconds=10)


def command(due: DueTime, scheduler: str, missed: str, lake: Path, options: Sequence[str]) -> list[str]:
    """The command line of the process; `options` are those of `thresher run`, the pipeline's file first."""
    return [
        *(sys.executable, "-m", __name__, due.pipeline, due.due_at.isoformat(), due.cause, str(due.attempt)),
        *(scheduler, missed, str(lake), "--", *options),
    ]


def main(arguments: Sequence[str]) -> int:
    """Run what `command` was given; the exit code of the run."""
    parser = argparse.ArgumentParser(prog=f"python -m {__name__}")
    for name in ("pipeline", "due_at", "cause", "attempt", "scheduler", "missed", "lake"):
        parser.add_argument(name)
    parser.add_argument("options", nargs="+")
    given = parser.parse_args(arguments)
    due = DueTime(given.pipeline, datetime.fromisoformat(given.due_at), given.cause, int(given.attempt))
    run_process.prepare(due.pipeline)
    lake = lake_folder(given.lake)
    ledger = Ledger.of_lake(lake)
    due_times, me = DueTimes(ledger, lake), holder.name()
    if not due_times.adopt(due, given.scheduler, me, datetime.now(UTC)):
        click.echo(f"{due}: another scheduler has taken it over", err=True)
        return PUT_OFF
    with _Renewing(lambda: due_times.renew(due, me, datetime.now(UTC))):
        code, refusal = run_process.attempted(given.options)
    if code == PUT_OFF and given.missed != "skip":
        due_times.put_back(due, datetime.now(UTC) + LOCKED_AGAIN)
        return code
    due_times.finish(due, "skipped" if code == PUT_OFF else STATUS.get(code, "failed"), _own_run(ledger, due.pipeline))
    if refusal:
        from thresher.notices.sending import after_refusal

        after_refusal(Path(given.options[0]), refusal, ledger, lambda text: click.echo(text, err=True))
    return code


def _own_run(ledger: Ledger, pipeline: str) -> str | None:
    """The run that this process has noted; none where the pipeline was refused before it began."""
    return next((run.id for run in ledger.runs(pipeline, limit=5) if run.pid == os.getpid()), None)


class _Renewing:
    """Renews a lease while a block runs; a renewal that fails is tried again before the lease ends."""

    def __init__(self, renew: Callable[[], bool]) -> None:
        self._renew = renew
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _keep(self) -> None:
        while not self._done.wait(LEASE.total_seconds() / 6):
            try:
                self._renew()
            except ThresherError as error:
                click.echo(f"the lease was not renewed: {error}", err=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
