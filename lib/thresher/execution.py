"""The steps of one run: each waits for the steps before it, then runs in a kernel that was started while it waited."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from thresher.counts import Counts
from thresher.kernel import Kernel
from thresher.ledger import Ledger
from thresher.notebook_engine import Failure, execute
from thresher.pipeline import LAKE_PARAMETER, Pipeline, Step
from thresher.progress import Progress, without_codes

# Kernels that are started before it is their turn; each is a process of about 200 MB.
_AHEAD = 2
_SOCKET_ROOM = 60
_PRELOAD = {
    "duckdb": ("deltalake", "duckdb", "pandas", "sqlglot", "thresher.lake"),
    "spark": ("deltalake", "pandas", "pyspark.sql.connect.session", "thresher.lake"),
}
_PLOTS = ("matplotlib.pyplot",)


class Execution:
    """Runs the steps of a pipeline on a lake and notes in the ledger how each of them ended."""

    def __init__(
        self, run_id: str, pipeline: Pipeline, lake: Path, *, engine: str, jobs: int, ledger: Ledger, progress: Progress
    ) -> None:
        self.run_id = run_id
        self.pipeline = pipeline
        self.lake = lake
        self.engine = engine
        self.jobs = jobs
        self.ledger = ledger
        self.progress = progress
        self._status: dict[str, str] = {}
        self._changed = threading.Condition()
        self._slots = threading.Semaphore(jobs)
        self._kernels: set[Kernel] = set()
        self._is_cancelled = False

    def run(self) -> dict[str, str]:
        """Run all steps, `jobs` at once; return the status of each. When interrupted, kill the kernels and raise."""
        (self.lake / "_runs" / self.run_id).mkdir(parents=True)
        # Steps stand in an order in which they can run, so the first that is not done never waits for a thread.
        with _private_folder() as sockets, ThreadPoolExecutor(self.jobs + _AHEAD, "step") as pool:
            futures = [pool.submit(self._attend, step, sockets) for step in self.pipeline.steps]
            try:
                wait(futures)
            except BaseException:
                self._cancel()
                raise
        for future in futures:
            future.result()
        return self._status

    def _attend(self, step: Step, sockets: Path) -> None:
        """See one step through, from its kernel's start to its end; in a thread of its own."""
        # By number: a socket's path is short, a step's name may be long.
        kernel = Kernel(sockets, f"k{self.pipeline.steps.index(step)}")
        try:
            if self._verdict(step) in (None, "ready"):
                self._start(kernel, step)
            with self._changed:
                self._changed.wait_for(lambda: self._verdict(step))
            if self._verdict(step) == "ready":
                with self._slots:
                    self._execute(step, kernel)
            else:
                self._skip(step)
        except BaseException:
            self._note(step.name, "failed")
            raise
        finally:
            kernel.close()
            with self._changed:
                self._kernels.discard(kernel)

    def _verdict(self, step: Step) -> str | None:
        """Whether a step is `ready`, `blocked` or `cancelled`; None while it must wait."""
        if self._is_cancelled:
            return "cancelled"
        before = [self._status.get(name) for name in step.after]
        if any(status not in (None, "succeeded") for status in before):
            return "blocked"
        return None if None in before else "ready"

    def _start(self, kernel: Kernel, step: Step) -> None:
        engine = step.engine or self.engine
        env = {"THRESHER_ENGINE": engine, "THRESHER_RUN_ID": self.run_id, "THRESHER_STEP": step.name}
        with self._changed:
            self._kernels.add(kernel)
        preload = _PRELOAD["duckdb" if engine == "duckdb" else "spark"] + (_PLOTS if step.is_report else ())
        kernel.start(cwd=self.pipeline.project, env=env, preload=preload)
        if self._is_cancelled:  # while it started, when there was nothing to kill yet
            kernel.kill()

    def _execute(self, step: Step, kernel: Kernel) -> None:
        executed = f"_runs/{self.run_id}/{step.name}.ipynb"
        self.ledger.start_step(self.run_id, step.name, notebook=step.notebook, executed=executed)
        self.progress.started(step.name)
        outcome = execute(
            self.pipeline.project / step.notebook,
            self.lake / executed,
            {**step.arguments, **({LAKE_PARAMETER: self._lake_parameter()} if step.takes_lake else {})},
            kernel=kernel,
            source=step.notebook,
            on_cell=lambda: self.progress.cell_done(step.name),
        )
        if self._is_cancelled:
            self._finish(step, "cancelled", error="the run was cancelled")
        elif outcome.failure:
            self._finish(step, "failed", error=without_codes(outcome.failure.reason), failure=outcome.failure)
        else:
            self._finish(step, "succeeded", counts=outcome.counts)

    def _skip(self, step: Step) -> None:
        status = self._verdict(step) or ""
        culprits = [name for name in step.after if self._status.get(name) not in (None, "succeeded")]
        error = "the run was cancelled" if status == "cancelled" else f"{', '.join(culprits)} did not succeed"
        self.ledger.start_step(self.run_id, step.name, notebook=step.notebook)
        self._finish(step, status, error=error)

    def _finish(
        self,
        step: Step,
        status: str,
        *,
        counts: tuple[Counts, ...] = (),
        error: str | None = None,
        failure: Failure | None = None,
    ) -> None:
        self.ledger.finish_step(self.run_id, step.name, status, counts=counts, error=error)
        steps = {each.name: each for each in self.ledger.run(self.run_id).steps}
        self.progress.finished(steps[step.name], failure)
        self._note(step.name, status)

    def _note(self, step: str, status: str) -> None:
        with self._changed:
            self._status[step] = status
            self._changed.notify_all()

    def _cancel(self) -> None:
        with self._changed:
            self._is_cancelled = True
            for kernel in self._kernels:
                kernel.kill()
            self._changed.notify_all()

    def _lake_parameter(self) -> str:
        """The lake as the notebooks are told: relative where it is in the project, so that no machine's path shows."""
        project = self.pipeline.project
        return self.lake.relative_to(project).as_posix() if self.lake.is_relative_to(project) else str(self.lake)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder for the kernels' sockets; the path of a socket has room for 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="thresher-"))
    if len(str(folder)) > _SOCKET_ROOM:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="thresher-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
