"""Two engines, one answer: a pipeline on both, compared table by table."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher import runner
from thresher.errors import StepFailed
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.ledger import Run
from thresher.types import ddl, quoted

SHOWN_DIFFERENCES = 5


@dataclass(frozen=True)
class Comparison:
    """One dataset on both engines: `difference` is empty when schema and rows are the same."""

    dataset: str
    rows: int | None
    other_rows: int | None
    difference: str = ""
    only_here: tuple[Mapping[str, Any], ...] = ()
    only_there: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Parity:
    """A pipeline on both engines: one comparison per dataset, seconds per engine."""

    pipeline: str
    engine: str
    other_engine: str
    seconds: float
    other_seconds: float
    comparisons: tuple[Comparison, ...]

    @property
    def is_equal(self) -> bool:
        """Whether every dataset has the same schema and the same rows on both engines."""
        return not any(each.difference for each in self.comparisons)

    def __str__(self) -> str:
        width = max(len(each.dataset) for each in self.comparisons) if self.comparisons else 0
        lines = [f"{self.pipeline}: {self.engine} {self.seconds:.1f} s, {self.other_engine} {self.other_seconds:.1f} s"]
        for each in self.comparisons:
            rows = "–" if each.rows is None else f"{each.rows:,}"
            lines.append(f"  {each.dataset:<{width}}  {rows:>9} rows  {each.difference or 'equal'}")
            lines += [f"    only on {self.engine}: {row}" for row in each.only_here]
            lines += [f"    only on {self.other_engine}: {row}" for row in each.only_there]
        different = sum(bool(each.difference) for each in self.comparisons)
        verdict = f"{different} of {len(self.comparisons)} datasets differ" if different else "all datasets are equal"
        return "\n".join([*lines, verdict])


def check(
    pipeline: Path | str,
    params: Mapping[str, Any] | None = None,
    *,
    engine: str = "duckdb",
    other_engine: str = "spark",
) -> Parity:
    """Run a pipeline on two engines, each into a new lake of its own, and compare all datasets.

    Out: one comparison per dataset that either run wrote (rows as multisets, schemas by name, type and order). The
    lakes and their reports are removed afterwards; the user's lake is not touched. Raises StepFailed when the
    pipeline fails on either engine, EngineUnavailable where one cannot start.
    """
    with tempfile.TemporaryDirectory(prefix="thresher-parity-") as folder:
        lakes = [Path(folder) / name / "lake" for name in ("one", "other")]
        runs = [_run(pipeline, params, lake, name) for lake, name in zip(lakes, (engine, other_engine), strict=True)]
        one, other = (Lake(lake, engine="duckdb") for lake in lakes)
        return Parity(
            pipeline=runs[0].pipeline,
            engine=engine,
            other_engine=other_engine,
            seconds=runs[0].duration_s or 0.0,
            other_seconds=runs[1].duration_s or 0.0,
            comparisons=compare(one, other),
        )


def compare(one: Lake, other: Lake) -> tuple[Comparison, ...]:
    """Compare all datasets of two lakes: one comparison per name that either of them holds, by name."""
    names = sorted({table.name for lake in (one, other) for table in lake.tables()})
    return tuple(_compare(one, other, name) for name in names)


def _run(pipeline: Path | str, params: Mapping[str, Any] | None, lake: Path, engine: str) -> Run:
    run = runner.run(pipeline, params, lake=lake, engine=engine).run
    if run.status != "succeeded":
        errors = [f"step {step.name}: {step.error}" for step in run.steps if step.status == "failed"]
        raise StepFailed(f"{run.pipeline} {run.status} on engine {engine}; nothing to compare. {' '.join(errors)}")
    return run


def _compare(one: Lake, other: Lake, name: str) -> Comparison:
    if not one.exists(name) or not other.exists(name):
        found = [lake.read(name).count() if lake.exists(name) else None for lake in (one, other)]
        return Comparison(name, found[0], found[1], "the dataset is there on one engine only")
    # `run` in the quarantine names the run, of which there were two.
    ours, theirs = (lake.read(name) for lake in (one, other))
    if name.startswith("quarantine."):
        ours, theirs = _without_run(ours), _without_run(theirs)
    if ours.schema != theirs.schema:
        return Comparison(name, ours.count(), theirs.count(), _schema_difference(ours, theirs))
    rows = one.frame(theirs.to_arrow())
    only_here = one.engine.difference(ours, rows)
    only_there = one.engine.difference(rows, ours)
    here, there = (tuple(frame.head(SHOWN_DIFFERENCES).to_arrow().to_pylist()) for frame in (only_here, only_there))
    difference = f"{only_here.count()} rows only here, {only_there.count()} only there" if here or there else ""
    return Comparison(name, ours.count(), theirs.count(), difference, here, there)


def _without_run(frame: Frame) -> Frame:
    kept = [name for name in frame.columns if name != "run"]
    return frame.engine.sql(f"select {', '.join(map(quoted, kept))} from rows", {"rows": frame})


def _schema_difference(ours: Frame, theirs: Frame) -> str:
    here, there = ({field.name: ddl(field.type) for field in frame.schema} for frame in (ours, theirs))
    changed = [
        f"{name}: {here.get(name, 'missing')} here, {there.get(name, 'missing')} there"
        for name in dict.fromkeys([*here, *there])
        if here.get(name) != there.get(name)
    ]
    return "; ".join(changed) or f"other order of columns: {list(here)} here, {list(there)} there"
