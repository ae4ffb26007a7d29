"""One step: a kernel, the notebook in it, and the same again where it failed for something that passes by itself."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from thresher.kernels.kernel import Kernel
from thresher.pipeline import LAKE_PARAMETER, Pipeline, Step
from thresher.running import renewal
from thresher.running.batch import Batch
from thresher.running.notebook_engine import execute
from thresher.running.outcomes import Executed
from thresher.running.watch import Watch, out_of_memory_kills

# What a notebook's error is called when a network, a server or another writer was in the way. Every other error would
# come again. A notebook may raise `thresher.errors.TransientError` for its own.
TRANSIENT = frozenset(
    {
        *("BrokenPipeError", "ConnectTimeout", "ConnectionAbortedError", "ConnectionError", "ConnectionRefusedError"),
        *("ConnectionResetError", "IncompleteRead", "ReadTimeout", "RemoteDisconnected"),
        *("TimeoutError", "TransientError", "WriteConflict", "gaierror"),
    }
)
_LONGEST_WAIT_S = 60.0
_numbers = count(1)  # of this process's kernels


@dataclass(frozen=True)
class Outcome:
    """How a step ended after its last attempt."""

    executed: Executed
    attempts: int
    peak_bytes: int


class Attempts:
    """Runs a step in kernels of a run, each of its own process. `cancel` ends it from another thread."""

    def __init__(
        self,
        step: Step,
        pipeline: Pipeline,
        lake: Path,
        *,
        folder: Path,
        env: dict[str, str],
        on_cell: Callable[[], None],
        notice: Callable[[str], None],
        batch: Batch | None = None,
    ) -> None:
        self.step = step
        self.pipeline = pipeline
        self.lake = lake
        self.folder = folder
        self.env = env
        self.on_cell = on_cell
        self.notice = notice
        self.batch = batch
        self._kernel: Kernel | None = None
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Kill the kernel; there is no further attempt."""
        self._cancelled.set()
        kernel = self._kernel
        if kernel:
            kernel.kill()

    def run(self, executed: Path) -> Outcome:
        """Run the notebook, with `executed` as its record, until it succeeds or there is no use in going on."""
        peak, is_server_lost = 0, False
        for attempt in range(1, self.step.settings.retries + 3):
            found, watch, kernel = self._once(executed)
            peak = max(peak, watch.peak_bytes)
            is_lost_anew = kernel.is_server_gone and not is_server_lost
            is_server_lost |= kernel.is_server_gone
            retries_left = self.step.settings.retries - attempt + 1 + is_server_lost
            if self._cancelled.is_set() or not found.failure or retries_left <= 0:
                break
            if not is_lost_anew and found.failure.kind not in TRANSIENT:
                break
            wait_s = 0 if is_lost_anew else min(_LONGEST_WAIT_S, 2.0**attempt) * random.uniform(0.5, 1)
            self.notice(f"{found.failure.reason}; attempt {attempt + 1} in {wait_s:.0f} s")
            if self._cancelled.wait(wait_s):
                break
        return Outcome(found, attempt, peak)

    def _once(self, executed: Path) -> tuple[Executed, Watch, Kernel]:
        waiting = self.batch.take(self.step.secrets) if self.batch else None
        # By number: a socket's path is short, a step's name may be long.
        kernel = waiting or Kernel(self.folder, f"k{next(_numbers)}")
        found: Executed | None = None
        killed_before = out_of_memory_kills()
        self._kernel = kernel
        try:
            secrets = self.pipeline.secrets
            if not waiting:
                kernel.start(cwd=self.pipeline.project, env=self.env | secrets.environment(self.step.secrets))
            if self._cancelled.is_set():  # while it started, when there was nothing to kill yet
                kernel.kill()
            with Watch(kernel, self.step.settings, self.notice) as watch:
                found = execute(
                    self.pipeline.project / self.step.notebook,
                    executed,
                    {**self.step.arguments, **({LAKE_PARAMETER: self._lake()} if self.step.takes_lake else {})},
                    kernel=kernel,
                    source=self.step.notebook,
                    on_cell=self.on_cell,
                    watch=watch,
                    secrets=secrets,
                    **self._as_section(),
                )
        finally:
            self._kernel = None
            if self.batch and found and not found.failure and not self._cancelled.is_set():
                self.batch.keep(kernel, self.step.secrets)
            else:
                kernel.close()
        return self._explained(found, watch, killed_before), watch, kernel

    def _as_section(self) -> dict[str, Any]:
        """What an item of a batch needs to be executed beside the others: a fresh session, a part of their notebook."""
        if self.batch is None:
            return {}
        opening = renewal.source(str(self.pipeline.project), self.env)
        return {"opening": opening, "whole": partial(self.batch.joined, self.step.name)}

    def _explained(self, found: Executed, watch: Watch, killed_before: int) -> Executed:
        """The failure, with the reason for which the kernel was killed."""
        failure = found.failure
        if failure is None:
            return found
        if watch.verdict:
            return replace(found, failure=replace(failure, reason=f"{watch.verdict}; the notebook up to there is kept"))
        if failure.kind == "SIGKILL" and out_of_memory_kills() > killed_before:
            reason = (
                "out of memory: the operating system killed the kernel. Give it less to do at once, or a machine more"
            )
            return replace(found, failure=replace(failure, reason=reason))
        return found

    def _lake(self) -> str:
        """The lake as the notebooks are told: relative where it is in the project, so that no machine's path shows."""
        project = self.pipeline.project
        return self.lake.relative_to(project).as_posix() if self.lake.is_relative_to(project) else str(self.lake)
