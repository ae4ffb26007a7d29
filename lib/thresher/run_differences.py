"""What differs between two runs of a pipeline: parameters, code and inputs, figures of steps, versions of datasets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thresher.datasets import state_at
from thresher.errors import ThresherError, UsageError
from thresher.fingerprints import fingerprint
from thresher.lake import Lake
from thresher.ledger import Ledger, Run, StepRun
from thresher.types import ddl

Pair = tuple[Any, Any]
"""What was in the first run, and what in the second; None where there is nothing."""

FIGURES = ("status", "duration_s", "rows_in", "rows_out", "refused", "duplicate")


@dataclass(frozen=True)
class StepDifference:
    """A step in both runs: its figures, and what changed in words of what its result depends on."""

    name: str
    figures: Mapping[str, Pair]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class DatasetDifference:
    """A dataset as the two runs left it. Columns are name → type; `note` says what can no longer be told."""

    name: str
    version: Pair
    rows: Pair
    new_columns: Mapping[str, str]
    gone_columns: Mapping[str, str]
    retyped_columns: Mapping[str, Pair]
    note: str = ""


@dataclass(frozen=True)
class RunDifference:
    """What differs between two runs; of parameters only those that do."""

    runs: tuple[str, str]
    status: Pair
    duration_s: Pair
    engine: Pair
    params: Mapping[str, Pair]
    steps: tuple[StepDifference, ...]
    datasets: tuple[DatasetDifference, ...]


def compare(ledger: Ledger, lake: Path, first: Run, second: Run) -> RunDifference:
    """Compare two runs of one pipeline; the figures of a skipped step are those of the run that executed it.

    Raises UsageError for runs of two pipelines.
    """
    if first.pipeline != second.pipeline:
        raise UsageError(
            f"{first.id} is a run of pipeline {first.pipeline}, {second.id} of {second.pipeline}; "
            f"expected two runs of one. See: thresher runs --pipeline {first.pipeline}"
        )
    results = [{step.name: step for step in ledger.results(run.id)} for run in (first, second)]
    names = list({**results[0], **results[1]})
    return RunDifference(
        runs=(first.id, second.id),
        status=(first.status, second.status),
        duration_s=(first.duration_s, second.duration_s),
        engine=(first.engine, second.engine),
        params=_differing(first.params, second.params),
        steps=tuple(_step(name, *(of_run.get(name) for of_run in results)) for name in names),
        datasets=tuple(_datasets(Lake(lake, "duckdb"), *(_outputs(of_run.values()) for of_run in results))),
    )


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Pair]:
    names = {**first, **second}
    return {
        name: (first.get(name), second.get(name))
        for name in names
        if (name in first, first.get(name)) != (name in second, second.get(name))
    }


def _step(name: str, first: StepRun | None, second: StepRun | None) -> StepDifference:
    figures = {figure: (getattr(first, figure, None), getattr(second, figure, None)) for figure in FIGURES}
    prints = [step.fingerprint if step else None for step in (first, second)]
    changes = fingerprint.changes(prints[0], prints[1]) if prints[0] is not None and prints[1] is not None else []
    return StepDifference(name, figures, tuple(changes))


def _outputs(steps: Iterable[StepRun]) -> dict[str, str]:
    return {name: state for step in steps for name, state in (step.outputs or {}).items()}


def _datasets(lake: Lake, first: Mapping[str, str], second: Mapping[str, str]) -> list[DatasetDifference]:
    return [_dataset(lake, name, first.get(name, ""), second.get(name, "")) for name in {**first, **second}]


def _dataset(lake: Lake, name: str, first: str, second: str) -> DatasetDifference:
    before, after = _left(lake, name, first), _left(lake, name, second)
    both = {*before.columns, *after.columns} if before.columns and after.columns else set()
    return DatasetDifference(
        name=name,
        version=(_number(first), _number(second)),
        rows=(before.rows, after.rows),
        new_columns={column: kind for column, kind in after.columns.items() if column in both - {*before.columns}},
        gone_columns={column: kind for column, kind in before.columns.items() if column in both - {*after.columns}},
        retyped_columns={
            column: (kind, after.columns[column])
            for column, kind in before.columns.items()
            if after.columns.get(column, kind) != kind
        },
        note="; ".join(dict.fromkeys(filter(None, (before.note, after.note)))),
    )


@dataclass(frozen=True)
class _Left:
    """A dataset as a run left it; `note` says why that can no longer be told."""

    rows: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def _left(lake: Lake, name: str, state: str) -> _Left:
    number = _number(state)
    if number is None:
        return _Left()
    if state_at(lake.path, name, number) != state:
        return _Left(note=f"version {number} is no longer there: the log was cleaned up, or the table was made anew")
    try:
        frame = lake.read(name, number)
        return _Left(frame.count(), {column.name: ddl(column.type) for column in frame.schema})
    except ThresherError as error:
        return _Left(note=str(error))


def _number(state: str) -> int | None:
    return int(state.partition(":")[0]) if state else None
