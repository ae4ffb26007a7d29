"""Which steps of a pipeline are run and which are skipped, and why; before a run (`thresher plan`) and during one."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from thresher.datasets import state, version
from thresher.fingerprints import fingerprint
from thresher.fingerprints.code import Code
from thresher.ledger import Ledger, StepRun
from thresher.pipeline import Pipeline, Step

_LATEST = 5  # runs, whose median tells how long a step is expected to take


@dataclass(frozen=True)
class Decision:
    """What becomes of a step. `wait` is for a plan alone: it depends on what the steps before it will bring."""

    step: str
    action: Literal["run", "skip", "wait"]
    reason: str
    expected_s: float | None = None


class Decisions:
    """Compares the steps of a pipeline with how they last succeeded on a lake. Safe to use from several threads."""

    def __init__(self, pipeline: Pipeline, lake: Path, site: Path, *, engine: str, ledger: Ledger) -> None:
        self.pipeline = pipeline
        self.lake = lake
        self.site = site
        self.engine = engine
        self.forced: frozenset[str] = frozenset()
        self.last = ledger.last_good(pipeline.name, lake)
        self._durations = ledger.durations(pipeline.name, lake)
        self._code = Code(pipeline.project)
        self._reading = threading.Lock()

    def force(self, steps: Iterable[str]) -> None:
        """Have steps run even if nothing has changed."""
        self.forced = frozenset(steps)

    def of(self, step: Step) -> Decision:
        """Whether a step is to run now, when the steps before it have ended."""
        reason = self._reason_to_run(step)
        return Decision(step.name, "run" if reason else "skip", reason or "nothing changed", self._expected_s(step))

    def all(self) -> list[Decision]:
        """A decision for each step, as far as it can be told before a run."""
        found: dict[str, Decision] = {}
        for step in self.pipeline.steps:
            decision = self.of(step)
            moving = [name for name in step.after if found[name].action != "skip"]
            if decision.action == "skip" and moving:
                what = f"runs if {', '.join(moving)} brings other data"
                decision = Decision(step.name, "wait", what, decision.expected_s)
            found[step.name] = decision
        self._code.save()
        return list(found.values())

    def fingerprint(self, step: Step) -> dict[str, str]:
        """What a step depends on now."""
        with self._reading:
            return fingerprint.of_step(step, self.pipeline, self.lake, self.engine, self._code)

    def outputs(self, step: Step) -> dict[str, str]:
        """The state of what a step has written."""
        return fingerprint.outputs(step, self.lake)

    def changed_inputs(self, done: Sequence[StepRun]) -> list[str]:
        """What else came in, in words, since these steps succeeded or were skipped; code does not count."""
        steps = {step.name: step for step in self.pipeline.steps}
        found = []
        for run in done:
            good = {"succeeded": run, "skipped": self.last.get(run.name)}.get(run.status)
            if run.name in steps and good and good.fingerprint is not None:
                before, now = (_inputs(parts) for parts in (good.fingerprint, self.fingerprint(steps[run.name])))
                change = fingerprint.change(before, now)
                found += [f"{run.name}: {change}"] if change else []
        return found

    def _reason_to_run(self, step: Step) -> str:
        last = self.last.get(step.name)
        if step.name in self.forced:
            return "asked for by --force"
        if step.settings.always:
            return "always: true"
        if last is None or last.fingerprint is None:
            return "has not succeeded yet"
        if step.is_report and not (last.report and (self.site / last.report).is_file()):
            return "its page is not there"
        change = fingerprint.change(last.fingerprint, self.fingerprint(step)) or self._damage(last)
        return change or ("it checks for freshness" if _checks_freshness(step) else "")

    def _damage(self, last: StepRun) -> str:
        """What was done since to the datasets that a step wrote."""
        for name, then in (last.outputs or {}).items():
            now = state(self.lake, name)
            if now != then:
                return f"{name}, which it writes, is {version(now)}; it left {version(then)}"
        return ""

    def _expected_s(self, step: Step) -> float | None:
        seconds = self._durations.get(step.name, [])[:_LATEST]
        return median(seconds) if seconds else None


def _checks_freshness(step: Step) -> bool:
    return any("freshness" in rule for rules in step.checks.values() for rule in rules)


def _inputs(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {part: state for part, state in parts.items() if fingerprint.is_input(part)}
