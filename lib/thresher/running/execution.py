"""The steps of one run, in order and side by side: each skipped, blocked, or run in a kernel of its own."""

import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from thresher.disk_space import full, is_full
from thresher.ledger import Ledger
from thresher.pipeline import Pipeline, Step
from thresher.running.attempts import Attempts, Outcome
from thresher.running.decisions import Decision, Decisions
from thresher.running.memory import Room
from thresher.running.outcomes import Executed, Failure
from thresher.running.progress import Progress, without_codes

GOOD = ("succeeded", "skipped")


class Execution:
    """Runs the steps of a pipeline on a lake and notes in the ledger how each of them ended.

    `folder` is private, for the kernels' sockets; `env` are variables that every kernel gets.
    """

    def __init__(
        self,
        run_id: str,
        pipeline: Pipeline,
        lake: Path,
        *,
        folder: Path,
        env: Mapping[str, str],
        jobs: int,
        decisions: Decisions,
        ledger: Ledger,
        progress: Progress,
    ) -> None:
        self.run_id = run_id
        self.pipeline = pipeline
        self.lake = lake
        self.folder = folder
        self.env = env
        self.jobs = jobs
        self.decisions = decisions
        self.ledger = ledger
        self.progress = progress
        self._room = Room()
        # Of a run that is continued: what it has done before stands in the ledger as it is.
        self._done = {step.name for step in ledger.run(run_id).steps if step.status == "succeeded"}
        self._status: dict[str, str] = {}
        self._changing = threading.Lock()
        self._running: set[Attempts] = set()
        self._is_cancelled = False

    def run(self) -> dict[str, str]:
        """Run all steps, `jobs` at once; return the status of each. When interrupted, kill the kernels and raise."""
        (self.lake / "_runs" / self.run_id).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(self.jobs, "step") as pool:
            running: dict[Future[None], Step] = {}
            waiting = list(self.pipeline.steps)
            try:
                while waiting or running:
                    for step in self._startable(waiting, list(running.values())):
                        waiting.remove(step)
                        running[pool.submit(self._attend, step)] = step
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        del running[done]
                        done.result()
            except BaseException:
                self.cancel()
                raise
        if self._is_cancelled:
            raise KeyboardInterrupt
        return self._status

    def _startable(self, waiting: list[Step], running: list[Step]) -> list[Step]:
        """The steps whose turn it is, in the pipeline's order, as far as there are jobs and memory for them."""
        found: list[Step] = []
        for step in waiting:
            at_work = [*running, *found]
            if len(at_work) == self.jobs:
                break
            is_ready = all(name in self._status for name in step.after)
            if is_ready and (not at_work or self._room.holds(map(self._expected_bytes, [*at_work, step]))):
                found.append(step)
        return found

    def _expected_bytes(self, step: Step) -> int | None:
        last = self.decisions.last.get(step.name)
        return step.settings.memory or (last.peak_bytes if last else None)

    def _attend(self, step: Step) -> None:
        """See one step through, in a thread of its own."""
        if self._is_cancelled or any(self._status[name] not in GOOD for name in step.after):
            self._give_up(step)
            return
        decision = self.decisions.of(step)
        if decision.action == "skip":
            self._skip(step, decision)
        else:
            self._execute(step, decision)

    def _execute(self, step: Step, decision: Decision) -> None:
        executed = f"_runs/{self.run_id}/{step.name}.ipynb"
        # Before it reads anything: what comes in meanwhile is then new to the next run.
        fingerprint = self.decisions.fingerprint(step)
        self.ledger.start_step(
            self.run_id, step.name, notebook=step.notebook, executed=executed, reason=decision.reason
        )
        self.progress.started(step.name, decision.reason)
        try:
            outcome = self._attempt(step, executed)
        except Exception as fault:  # a full disk, a notebook that is none, a kernel killed while it started
            told = full("the executed notebook", self.lake / executed) if is_full(fault) else repr(fault)
            reason = self.pipeline.secrets.hide(f"the notebook could not be executed: {told}")
            outcome = Outcome(Executed(failure=Failure(reason, kind=type(fault).__name__)), 1, 0)
        facts: dict[str, Any] = {"attempts": outcome.attempts, "peak_bytes": outcome.peak_bytes or None}
        failure = outcome.executed.failure
        if self._is_cancelled:
            self.ledger.finish_step(self.run_id, step.name, "cancelled", error="the run was cancelled", **facts)
        elif failure:
            error = without_codes(failure.reason)
            self.ledger.finish_step(self.run_id, step.name, "failed", error=error, **facts)
        else:
            facts |= {"fingerprint": fingerprint, "outputs": self.decisions.outputs(step)}
            self.ledger.finish_step(self.run_id, step.name, "succeeded", counts=outcome.executed.counts, **facts)
        done = self.ledger.step(self.run_id, step.name)
        self.progress.finished(done, None if self._is_cancelled else failure)
        self._status[step.name] = done.status

    def _attempt(self, step: Step, executed: str) -> Outcome:
        env = {"THRESHER_ENGINE": step.engine or self.decisions.engine, "THRESHER_RUN_ID": self.run_id}
        attempts = Attempts(
            step,
            self.pipeline,
            self.lake,
            folder=self.folder,
            env={**self.env, **env, "THRESHER_STEP": step.name},
            on_cell=lambda: self.progress.cell_done(step.name),
            notice=lambda text: self.progress.notice(step.name, text),
        )
        with self._changing:
            self._running.add(attempts)
            if self._is_cancelled:
                attempts.cancel()
        try:
            return attempts.run(self.lake / executed)
        finally:
            with self._changing:
                self._running.discard(attempts)

    def _skip(self, step: Step, decision: Decision) -> None:
        if step.name not in self._done:
            self.ledger.skip_steps(self.run_id, [(self.decisions.last[step.name], decision.reason)])
        done = self.ledger.step(self.run_id, step.name)
        self.progress.finished(done)
        self._status[step.name] = done.status

    def _give_up(self, step: Step) -> None:
        culprits = [name for name in step.after if self._status[name] not in GOOD]
        error = "the run was cancelled" if self._is_cancelled else f"{', '.join(culprits)} did not succeed"
        status = "cancelled" if self._is_cancelled else "blocked"
        self.ledger.start_step(self.run_id, step.name, notebook=step.notebook)
        self.ledger.finish_step(self.run_id, step.name, status, error=error)
        self.progress.finished(self.ledger.step(self.run_id, step.name))
        self._status[step.name] = status

    def cancel(self) -> None:
        """Have `run` kill the kernels, note what was cancelled and raise KeyboardInterrupt; from any thread."""
        with self._changing:
            self._is_cancelled = True
            for attempts in self._running:
                attempts.cancel()
