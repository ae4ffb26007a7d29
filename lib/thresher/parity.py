"""Two engines, one answer: a pipeline on both, compared table by table."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from thresher import runner
from thresher.errors import StepFailed
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.ledger import Run
from thresher.running.memory import PeakMemory
from thresher.types import ddl, quoted

SHOWN_DIFFERENCES = 5
_COMPARED_CLOSELY = 100_000  # rows that differ, up to which floating numbers are compared to 12 digits
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Comparison:
    """One dataset on both engines: `difference` is empty when schema and rows are the same.

    `is_close` tells that floating numbers agree to 12 digits only: the sum of such numbers depends on the order of the
    rows, on Spark alone, too.
    """

    dataset: str
    rows: int | None
    other_rows: int | None
    difference: str = ""
    only_here: tuple[Mapping[str, Any], ...] = ()
    only_there: tuple[Mapping[str, Any], ...] = ()
    is_close: bool = False


@dataclass(frozen=True)
class Usage:
    """What a run took: seconds, and the most memory that its processes held at one time."""

    seconds: float
    peak_bytes: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.peak_bytes / 2**20:,.0f} MiB"


@dataclass(frozen=True)
class Parity:
    """A pipeline on both engines: one comparison per dataset, and what each run took."""

    pipeline: str
    engine: str
    other_engine: str
    usage: Usage
    other_usage: Usage
    comparisons: tuple[Comparison, ...]

    @property
    def is_equal(self) -> bool:
        """Whether every dataset has the same schema and the same rows on both engines."""
        return not any(each.difference for each in self.comparisons)

    def __str__(self) -> str:
        width = max(len(each.dataset) for each in self.comparisons) if self.comparisons else 0
        lines = [f"{self.pipeline}: {self.engine} {self.usage}; {self.other_engine} {self.other_usage}"]
        for each in self.comparisons:
            rows = "–" if each.rows is None else f"{each.rows:,}"
            equal = "equal, floating numbers to 12 digits" if each.is_close else "equal"
            lines.append(f"  {each.dataset:<{width}}  {rows:>9} rows  {each.difference or equal}")
            lines += self._side_by_side(each)
        different = sum(bool(each.difference) for each in self.comparisons)
        verdict = f"{different} of {len(self.comparisons)} datasets differ" if different else "all datasets are equal"
        return "\n".join([*lines, verdict])

    def _side_by_side(self, found: Comparison) -> list[str]:
        """The first rows that differ, each beside the most similar one of the other engine."""
        lines = []
        for here, there in paired(found.only_here, found.only_there):
            if here is None or there is None:
                lines.append(f"    only on {self.engine if there is None else self.other_engine}: {here or there}")
                continue
            same = ", ".join(f"{name}={value!r}" for name, value in here.items() if value == there[name])
            lines.append(f"    row with {same or 'no value in common'}")
            for name in [name for name, value in here.items() if value != there[name]]:
                lines.append(f"      {name}: {here[name]!r} on {self.engine}, {there[name]!r} on {self.other_engine}")
        return lines


Row = Mapping[str, Any]


def paired(ours: Sequence[Row], theirs: Sequence[Row]) -> list[tuple[Row | None, Row | None]]:
    """Each row with the one of the other side that it has most values in common with; the rest alone.

    >>> paired([{"k": 1, "v": 2}], [{"k": 5, "v": 6}, {"k": 1, "v": 3}])
    [({'k': 1, 'v': 2}, {'k': 1, 'v': 3}), (None, {'k': 5, 'v': 6})]
    """
    left, pairs = list(theirs), list[tuple[Row | None, Row | None]]()
    for row in ours:
        best = max(left, key=lambda other: _alike(row, other), default=None)
        if best is not None and _alike(row, best):
            left.remove(best)
            pairs.append((row, best))
        else:
            pairs.append((row, None))
    return [*pairs, *((None, row) for row in left)]


def _alike(row: Row, other: Row) -> int:
    return sum(row[name] == other[name] for name in row)


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
        (first, usage), (_, other_usage) = runs
        one, other = (Lake(lake, engine="duckdb") for lake in lakes)
        return Parity(
            pipeline=first.pipeline,
            engine=engine,
            other_engine=other_engine,
            usage=usage,
            other_usage=other_usage,
            comparisons=compare(one, other),
        )


def compare(one: Lake, other: Lake) -> tuple[Comparison, ...]:
    """Compare all datasets of two lakes: one comparison per name that either of them holds, by name."""
    names = sorted({table.name for lake in (one, other) for table in lake.tables()})
    return tuple(_compare(one, other, name) for name in names)


def _run(pipeline: Path | str, params: Mapping[str, Any] | None, lake: Path, engine: str) -> tuple[Run, Usage]:
    with PeakMemory(with_spark=engine == "spark") as peak:
        run = runner.run(pipeline, params, lake=lake, engine=engine).run
    if run.status != "succeeded":
        errors = [f"step {step.name}: {step.error}" for step in run.steps if step.status == "failed"]
        raise StepFailed(f"{run.pipeline} {run.status} on engine {engine}; nothing to compare. {' '.join(errors)}")
    return run, Usage(run.duration_s or 0.0, peak.bytes)


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
    counts = only_here.count(), only_there.count()
    if any(counts) and _is_close(only_here, only_there, counts):
        return Comparison(name, ours.count(), theirs.count(), is_close=True)
    here, there = (tuple(frame.head(SHOWN_DIFFERENCES).to_arrow().to_pylist()) for frame in (only_here, only_there))
    difference = f"{counts[0]} rows only here, {counts[1]} only there" if any(counts) else ""
    return Comparison(name, ours.count(), theirs.count(), difference, here, there)


def _is_close(ours: Frame, theirs: Frame, counts: tuple[int, int]) -> bool:
    """Whether rows differ only in floating numbers, and there by less than the 12th digit."""
    floats = [field.name for field in ours.schema if pa.types.is_floating(field.type)]
    if not floats or counts[0] != counts[1] or counts[0] > _COMPARED_CLOSELY:
        return False
    exact = [name for name in ours.columns if name not in floats]
    one, other = (_in_order(frame.to_arrow().to_pylist(), [*exact, *floats]) for frame in (ours, theirs))
    return all(
        a[name] == b[name] or (name in floats and _near(a[name], b[name]))
        for a, b in zip(one, other, strict=True)
        for name in a
    )


def _in_order(rows: list[dict[str, Any]], columns: Sequence[str]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: [(row[name] is not None, repr(row[name])) for name in columns])


def _near(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and math.isclose(a, b, rel_tol=_TOLERANCE)


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
