"""A pipeline run whenever its landing changes, or on a cadence, in one warm process: files become tables in seconds."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Unpack

from thresher import runner
from thresher.errors import LandingNotFound, RunLocked, ThresherError, UsageError
from thresher.fingerprints import inputs
from thresher.ingest.file_ledger import FileLedger
from thresher.kernels import servers
from thresher.ledger import Run
from thresher.pipeline import Pipeline, plan
from thresher.places import lake_folder

_LOOK_S = 0.25
_LOOKING_SHARE = 4  # of the time that a look takes is waited for the next: a large landing is looked at less often
_SETTLES_S = 10.0  # a landing that never rests is loaded all the same


class Watcher:
    """Runs a pipeline when its landing has changed and rests, and each `every_s` seconds, one run after the other.

    A run that failed is tried again when landing changes, or at the next time of the cadence. What happens is told to
    `say`, a line each: with every run, how long after their writing files were in their datasets.
    """

    def __init__(
        self,
        pipeline: str,
        params: Mapping[str, Any],
        *,
        every_s: float | None = None,
        say: Callable[[str], None],
        **options: Unpack[runner.RunOptions],
    ) -> None:
        self._pipeline = pipeline
        self._params = params
        self._options = options
        self._lake = lake_folder(options.get("lake"))
        self._every_s = every_s
        self._say = say
        self._told = ""
        self._planned: Pipeline | None = None
        self._done: Sequence[str] | None = None  # landing as the last run found it
        self._since = datetime.now(UTC)  # files written later are those that the next run brings

    def run(self, *, until_idle_s: float | None = None) -> None:
        """Watch until interrupted, or until nothing was to be done for so long. Raises UsageError.

        An interruption cancels the run that is going, which the next one continues.
        """
        try:
            with servers.kept():
                self._watch(until_idle_s)
        except KeyboardInterrupt:
            self._say("stopped")

    def _watch(self, until_idle_s: float | None) -> None:
        seen: Sequence[str] | None = None
        changed_at: float | None = None
        ended_at = time.monotonic()
        while until_idle_s is None or time.monotonic() - ended_at < until_idle_s:
            began, since = time.monotonic(), datetime.now(UTC)
            now = self._landing()
            if now == self._done:
                changed_at = None
            elif changed_at is None:
                changed_at = began
            # What still grows would be loaded half.
            rests = changed_at is not None and (now == seen or began - changed_at > _SETTLES_S)
            is_due = self._every_s is not None and began - ended_at >= self._every_s
            seen = now
            if now is not None and (rests or is_due) and self._round(since):
                self._done, changed_at = now, None
                ended_at = time.monotonic()
            else:
                time.sleep(max(_LOOK_S, _LOOKING_SHARE * (time.monotonic() - began)))

    def _landing(self) -> Sequence[str] | None:
        """The state of all that the pipeline reads from landing; None where that is not there, or its file is wrong."""
        try:
            if self._planned is None:
                self._planned = plan(self._pipeline, self._params, lake=self._lake, date=self._options.get("date"))
        except UsageError as error:
            if self._done is None and not isinstance(error, LandingNotFound):
                raise
            self._tell(f"waits: {error}")
            return None
        sources = sorted({source for step in self._planned.steps for source in step.landing})
        if not sources and self._every_s is None:
            raise UsageError(
                f"pipeline {self._planned.name} reads nothing from landing; tell how often to run it: --every"
            )
        return [inputs.landed(source, self._planned.project) for source in sources]

    def _round(self, since: datetime) -> bool:
        """Run once; whether it came to that, however it ended."""
        began = time.monotonic()
        try:
            result = runner.run(self._pipeline, self._params, **self._options)
        except RunLocked as error:
            self._tell(f"waits: {error}")
            return False
        except (ThresherError, OSError) as error:
            self._tell(f"failed, tried again when landing changes: {error}")
            return True
        finally:
            self._planned = None  # the pipeline's file may have changed
        self._told = ""
        self._say(f"{_outcome(result.run)} in {time.monotonic() - began:.1f} s{self._latency(result.run, since)}")
        return True

    def _latency(self, run: Run, since: datetime) -> str:
        seconds = sorted(FileLedger(self._lake).latencies(run.id, self._since))
        self._since = since
        if not seconds:
            return ""
        return (
            f"; {len(seconds)} files in their datasets {seconds[0]:.1f} to {seconds[-1]:.1f} s after they were written"
        )

    def _tell(self, text: str) -> None:
        """Say something that may be so for long, once."""
        if text != self._told:
            self._told = text
            self._say(text)


def _outcome(run: Run) -> str:
    """How a run ended, and what is wrong with the steps that failed."""
    errors = "".join(f"; {step.name}: {step.error}" for step in run.steps if step.status == "failed")
    return f"{run.id} {run.status}{errors}"
