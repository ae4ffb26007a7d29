"""A part of a pipeline: the steps that `--select` names, in the words of dbt."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from thresher.environments import is_at_hand
from thresher.errors import UsageError
from thresher.ledger import Run
from thresher.many_tables import base_of
from thresher.pipeline import Pipeline, Step
from thresher.pipeline_file import did_you_mean

FAILED = "state:failed"
_UNDONE = ("failed", "blocked", "cancelled", "interrupted", "running")


def select(pipeline: Pipeline, wanted: Sequence[str], lake: Path, last: Run | None) -> Pipeline:
    """The pipeline with the selected steps alone, which read what the others left in the lake.

    `step` is that step, `step+` with all that depend on it, `+step` with all that it depends on; `state:failed` are
    the steps of the last run that did not succeed. Several are united. Raises UsageError.
    """
    steps = {step.name: step for step in pipeline.steps}
    names: set[str] = set()
    for each in wanted:
        names |= _undone(last, pipeline) if each == FAILED else _named(each, steps)
    chosen = [step for step in pipeline.steps if step.name in names]
    for step in chosen:
        missing = [name for name in step.reads if not is_at_hand(lake, name) and not _is_written(name, chosen)]
        if missing:
            raise UsageError(
                f"step {step.name} reads {', '.join(missing)}, which the lake does not hold and no selected step "
                f"writes. Select +{step.name}."
            )
    cut = [replace(step, after=tuple(name for name in step.after if name in names)) for step in chosen]
    return replace(pipeline, steps=tuple(cut))


def _named(wanted: str, steps: Mapping[str, Step]) -> set[str]:
    name = wanted.removeprefix("+").removesuffix("+")
    found = {step for step in steps if name in (step, base_of(step))}
    if not found:
        hint = did_you_mean(name, steps)
        raise UsageError(f"--select {wanted}: no step {name!r}. {hint} Or step+, +step, {FAILED}.")
    named = set(found)
    if wanted.startswith("+"):
        todo = list(named)
        while todo:
            todo += [each for each in steps[todo.pop()].after if each not in found]
            found |= set(todo)
    if wanted.endswith("+"):
        after = named
        for step in steps.values():  # in an order in which they can run
            after |= {step.name} if after & set(step.after) else set()
        found |= after
    return found


def _undone(last: Run | None, pipeline: Pipeline) -> set[str]:
    if last is None:
        raise UsageError(f"--select {FAILED}: pipeline {pipeline.name} has not run on this lake yet")
    noted = {step.name: step.status for step in last.steps}
    # A run that was killed noted nothing of the steps that waited; one that succeeded may have been told to leave some.
    unnoted = "succeeded" if last.status == "succeeded" else "running"
    found = {step.name for step in pipeline.steps if noted.get(step.name, unnoted) in _UNDONE}
    if not found:
        raise UsageError(f"--select {FAILED}: all steps of the last run, {last.id}, succeeded; there is nothing to do")
    return found


def _is_written(dataset: str, steps: Sequence[Step]) -> bool:
    return any(dataset in step.writes for step in steps)
