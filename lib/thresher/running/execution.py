"""The steps of one run, in order and side by side: each skipped, blocked, or run in a kernel of its own."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import count
from pathlib import Path
from typing import Any

from thresher.check_outcomes import VARIABLE as CHECKS_VARIABLE
from thresher.disk_space import full, is_full
from thresher.ledger import Ledger, StepRun
from thresher.many_tables import base_of
from thresher.pipeline import Pipeline, Step
from thresher.running.attempts import Attempts, Outcome
from thresher.running.batch import Batch
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
        self._decided: dict[str, Decision] = {}  # of items that may share a notebook
        self._batches: set[str] = set()  # names of their notebooks
        self._changing = threading.Lock()
        self._running: set[Attempts] = set()
        self._is_cancelled = False

    def run(self) -> dict[str, str]:
        """Run all steps, `jobs` at once; return the status of each. When interrupted, kill the kernels and raise."""
        (self.lake / "_runs" / self.run_id).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(self.jobs, "step") as pool:
            running: dict[Future[None], Sequence[Step]] = {}
            waiting = {step.name: step for step in self.pipeline.steps}
            try:
                while waiting or running:
                    for steps in self._startable(waiting, list(running.values())):
                        running[pool.submit(self._attend, steps)] = steps
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        del running[done]
                        done.result()
            except BaseException:
                self.cancel()
                raise
        if self._is_cancelled:
            raise KeyboardInterrupt
        return self._status

    def _startable(self, waiting: dict[str, Step], running: list[Sequence[Step]]) -> list[Sequence[Step]]:
        """The steps whose turn it is, taken from those that wait in the pipeline's order, as far as there are jobs and
        memory for them; those that share a notebook stand together."""
        found: list[Sequence[Step]] = []
        for step in list(waiting.values()):
            at_work = [*running, *found]
            if len(at_work) == self.jobs:
                break
            if step.name not in waiting or not self._is_ready(step):
                continue
            steps = self._together(step, waiting)
            if not at_work or self._room.holds(map(self._expected_bytes, [*at_work, steps])):
                found.append(steps)
                for each in steps:
                    del waiting[each.name]
        return found

    def _is_ready(self, step: Step) -> bool:
        return all(name in self._status for name in step.after)

    def _is_blocked(self, step: Step) -> bool:
        return any(self._status[name] not in GOOD for name in step.after)

    def _together(self, first: Step, waiting: Mapping[str, Step]) -> Sequence[Step]:
        """A step, and the items after it that share its notebook, with those between them that are skipped."""
        if first.batch is None or self._is_blocked(first):
            return (first,)
        found, to_run = [], 0
        for step in waiting.values():
            if base_of(step.name) != base_of(first.name) or step.engine != first.engine:
                continue
            if not self._is_ready(step) or self._is_blocked(step):
                continue
            if step.name not in self._decided:
                self._decided[step.name] = self.decisions.of(step)
            to_run += self._decided[step.name].action == "run"
            if to_run > first.batch:
                break
            found.append(step)
        return found

    def _expected_bytes(self, steps: Sequence[Step]) -> int | None:
        """The memory that steps are expected to take, one after the other."""
        found = [step.settings.memory or (last.peak_bytes if last else None) for step, last in self._last_of(steps)]
        return max((each for each in found if each), default=None)

    def _last_of(self, steps: Sequence[Step]) -> Iterator[tuple[Step, StepRun | None]]:
        return ((step, self.decisions.last.get(step.name)) for step in steps)

    def _attend(self, steps: Sequence[Step]) -> None:
        """See one step through, or those that share a notebook, in a thread of their own."""
        if self._is_cancelled or self._is_blocked(steps[0]):
            self._give_up(*steps)
            return
        decisions = [(step, self._decided.get(step.name) or self.decisions.of(step)) for step in steps]
        self._skip([(step, decision) for step, decision in decisions if decision.action == "skip"])
        to_run = [(step, decision) for step, decision in decisions if decision.action != "skip"]
        batch = Batch(self._path_of_batch(steps[0])) if steps[0].batch and to_run else None
        try:
            self._execute_all(to_run, batch)
        finally:
            if batch:
                batch.close()

    def _execute_all(self, to_run: Sequence[tuple[Step, Decision]], batch: Batch | None) -> None:
        for step, decision in to_run:
            if self._is_cancelled:
                self._give_up(step)
            else:
                self._execute(step, decision, batch)

    def _path_of_batch(self, step: Step) -> Path:
        """Where a batch is kept: beside those that this run has kept before, also before it was continued."""
        folder = self.lake / "_runs" / self.run_id
        with self._changing:
            names = (f"{base_of(step.name)}[batch-{number}].ipynb" for number in count(1))
            name = next(name for name in names if name not in self._batches and not (folder / name).exists())
            self._batches.add(name)
        return folder / name

    def _execute(self, step: Step, decision: Decision, batch: Batch | None) -> None:
        name = batch.path.name if batch else f"{step.name}.ipynb"
        executed = f"_runs/{self.run_id}/{name}"
        # Before it reads anything: what comes in meanwhile is then new to the next run.
        fingerprint = self.decisions.fingerprint(step)
        self.ledger.start_step(
            self.run_id, step.name, notebook=step.notebook, executed=executed, reason=decision.reason
        )
        self.progress.started(step.name, decision.reason)
        try:
            outcome = self._attempt(step, executed, batch)
        except Exception as fault:  # a full disk, a notebook that is none, a kernel killed while it started
            told = full("the executed notebook", self.lake / executed) if is_full(fault) else repr(fault)
            reason = self.pipeline.secrets.hide(f"the notebook could not be executed: {told}")
            outcome = Outcome(Executed(failure=Failure(reason, kind=type(fault).__name__)), 1, 0)
        facts: dict[str, Any] = {"attempts": outcome.attempts, "peak_bytes": outcome.peak_bytes or None}
        facts |= {"checks": [each.as_dict() for each in outcome.executed.checks] or None}
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

    def _attempt(self, step: Step, executed: str, batch: Batch | None) -> Outcome:
        env = {"THRESHER_ENGINE": step.engine or self.decisions.engine, "THRESHER_RUN_ID": self.run_id}
        env |= {CHECKS_VARIABLE: json.dumps(step.checks)} if step.checks else {}
        attempts = Attempts(
            step,
            self.pipeline,
            self.lake,
            folder=self.folder,
            env={**self.env, **env, "THRESHER_STEP": step.name},
            on_cell=lambda: self.progress.cell_done(step.name),
            notice=lambda text: self.progress.notice(step.name, text),
            batch=batch,
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

    def _skip(self, skipped: Sequence[tuple[Step, Decision]]) -> None:
        fresh = [(step, decision) for step, decision in skipped if step.name not in self._done]
        self.ledger.skip_steps(self.run_id, [(self.decisions.last[step.name], each.reason) for step, each in fresh])
        for step, _ in skipped:
            done = self.ledger.step(self.run_id, step.name)
            self.progress.kept(done)
            self._status[step.name] = done.status

    def _give_up(self, *steps: Step) -> None:
        for step in steps:
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
