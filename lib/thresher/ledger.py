"""The ledger: which runs there were, what each of their steps did, and how it ended.

A SQLite file in the lake (`_ledger.sqlite`), or the database that THRESHER_LEDGER names by URL. Reading never creates
it: a lake without runs has no ledger.
"""

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from thresher.check_outcomes import Checked
from thresher.counts import Counts
from thresher.database import AnyText, Database
from thresher.database import Utc as Utc
from thresher.errors import UsageError
from thresher.places import ledger_url

FILE_NAME = "_ledger.sqlite"
STATUSES = ("running", "succeeded", "skipped", "failed", "blocked", "cancelled", "interrupted")


@dataclass(frozen=True)
class StepRun:
    """One step of one run: a notebook that was executed, or that could not be (`blocked`)."""

    name: str
    notebook: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    counts: tuple[Counts, ...] = ()
    error: str | None = None
    executed: str = ""  # the executed notebook, relative to the lake
    report: str | None = None  # the published page, relative to the site
    reason: str = ""  # why it ran, or why it was skipped
    attempts: int = 1
    # What the result depends on, and the datasets that it wrote, each with its state; `Ledger.run` leaves both out.
    fingerprint: Mapping[str, str] | None = None
    outputs: Mapping[str, str] | None = None
    peak_bytes: int | None = None  # the most memory that its processes held
    checks: tuple[Checked, ...] = ()  # what the rules for the datasets that it wrote found

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it runs."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

    @property
    def run_id(self) -> str:
        """The run that executed it, for a skipped step an earlier one; empty where it was not executed."""
        return self.executed.split("/")[1] if self.executed else ""

    @property
    def rows_in(self) -> int:
        """Rows that came in, over all datasets of the step."""
        return sum(each.rows_in for each in self.counts)

    @property
    def rows_out(self) -> int:
        """Rows that went out, over all datasets of the step."""
        return sum(each.rows_out for each in self.counts)

    @property
    def refused(self) -> int:
        """Rows refused, over all datasets of the step."""
        return sum(each.refused for each in self.counts)

    @property
    def duplicate(self) -> int:
        """Duplicate rows, over all datasets of the step."""
        return sum(each.duplicate for each in self.counts)


@dataclass(frozen=True)
class Run:
    """One execution of a pipeline. Times are UTC."""

    id: str
    pipeline: str
    description: str
    file: str
    engine: str
    params: Mapping[str, Any]
    status: str
    started_at: datetime
    ended_at: datetime | None
    error: str | None = None
    steps: tuple[StepRun, ...] = field(default=())
    pid: int | None = None
    lake: str | None = None
    # Of a run that was continued: when it last went on, and how many seconds it had run before.
    resumed_at: datetime | None = None
    earlier_s: float = 0.0
    forced: tuple[str, ...] = ()  # the steps that it was told to run even if nothing changed

    @property
    def duration_s(self) -> float | None:
        """Seconds that it ran, without the time between its end and its going on; None while it runs."""
        if self.ended_at is None:
            return None
        return self.earlier_s + (self.ended_at - (self.resumed_at or self.started_at)).total_seconds()


_metadata = sa.MetaData()
_runs = sa.Table(
    "thresher_runs",
    _metadata,
    sa.Column("id", sa.String(160), primary_key=True),
    sa.Column("pipeline", sa.String(64), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("started_at", Utc, nullable=False),
    sa.Column("ended_at", Utc),
    sa.Column("error", AnyText),
    sa.Column("pid", sa.Integer),
    sa.Column("lake", sa.Text),
    sa.Column("resumed_at", Utc),
    sa.Column("earlier_s", sa.Float, server_default="0"),
    sa.Column("forced", sa.JSON(none_as_null=True)),
    sa.Index("thresher_runs_by_pipeline", "pipeline", "started_at"),
)
_steps = sa.Table(
    "thresher_steps",
    _metadata,
    sa.Column("run_id", sa.ForeignKey("thresher_runs.id"), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("notebook", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("started_at", Utc, nullable=False),
    sa.Column("ended_at", Utc),
    sa.Column("counts", sa.JSON, nullable=False),
    sa.Column("error", AnyText),
    sa.Column("executed", sa.Text, nullable=False),
    sa.Column("report", sa.Text),
    sa.Column("reason", AnyText, server_default=""),
    sa.Column("attempts", sa.Integer, server_default="1"),
    sa.Column("fingerprint", sa.JSON(none_as_null=True)),
    sa.Column("outputs", sa.JSON(none_as_null=True)),
    sa.Column("peak_bytes", sa.BigInteger),
    sa.Column("checks", sa.JSON(none_as_null=True)),
)


class Ledger:
    """The store of runs and steps, at a path (SQLite) or a database URL. Safe to share between threads.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as lake:
    ...     ledger = Ledger(Path(lake) / FILE_NAME)
    ...     run_id = ledger.start_run("courses", file="pipelines/courses.yml", engine="duckdb", params={})
    ...     ledger.start_step(run_id, "ingest", notebook="notebooks/01_ingest.ipynb")
    ...     ledger.finish_step(run_id, "ingest", "succeeded", counts=[Counts("raw.courses", 12, 12)])
    ...     ledger.finish_run(run_id, "succeeded")
    ...     run = ledger.run(run_id)
    >>> run.status, run.steps[0].rows_out
    ('succeeded', 12)
    """

    def __init__(self, url_or_path: str | Path) -> None:
        self.database = Database(url_or_path)
        self.before_write: Callable[[], None] | None = None
        """Called before what is noted of runs and steps; raises where that is for another process to note."""

    @classmethod
    def of_lake(cls, lake: Path | str) -> "Ledger":
        """The ledger of a lake: the database of its environment or THRESHER_LEDGER, else the file in its folder."""
        return cls(ledger_url(Path(lake)) or Path(lake) / FILE_NAME)

    def start_run(
        self,
        pipeline: str,
        *,
        file: str,
        engine: str,
        params: Mapping[str, Any],
        description: str = "",
        lake: Path | None = None,
        forced: Sequence[str] = (),
    ) -> str:
        """Note that a run of a pipeline begins now, in this process; return the run's id.

        `forced` are the steps that it runs even if nothing changed. Raises LakeError when the ledger cannot be written.
        """
        now = datetime.now(UTC)
        run_id = f"{pipeline}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        row: dict[str, Any] = {"id": run_id, "pipeline": pipeline, "description": description, "file": file}
        row |= {"engine": engine, "params": dict(params), "status": "running", "started_at": now, "pid": os.getpid()}
        row |= {"lake": str(lake) if lake else None, "forced": list(forced)}
        # What is not there is deleted: so it may be executed twice.
        self._write(_runs.delete().where(_runs.c.id == run_id), _runs.insert().values(row))
        return run_id

    def finish_run(self, run_id: str, status: str, *, error: str | None = None) -> None:
        """Note how a run ended; a step of it that nobody ended, because noting it failed, was interrupted."""
        now = datetime.now(UTC)
        values = {"status": _known(status), "error": error, "ended_at": now}
        steps = (_steps.c.run_id == run_id) & (_steps.c.status == "running")
        self._write(
            _runs.update().where(_runs.c.id == run_id).values(values),
            _steps.update().where(steps).values(status="interrupted", ended_at=now),
        )

    def resume_run(self, run_id: str, *, forced: Sequence[str] = ()) -> None:
        """Note that a run that had ended goes on, in this process; `forced` as for `start_run`."""
        values: dict[str, Any] = {"status": "running", "ended_at": None, "error": None, "pid": os.getpid()}
        values |= {
            "forced": list(forced),
            "resumed_at": datetime.now(UTC),
            "earlier_s": self.run(run_id).duration_s or 0.0,
        }
        self._write(_runs.update().where(_runs.c.id == run_id).values(values))

    def start_step(self, run_id: str, name: str, *, notebook: str, executed: str = "", reason: str = "") -> None:
        """Note that a step begins now; what an earlier attempt in the same run noted is replaced.

        `executed` is the executed notebook, relative to the lake.
        """
        row: dict[str, Any] = {"run_id": run_id, "name": name, "notebook": notebook, "executed": executed}
        row |= {"status": "running", "started_at": datetime.now(UTC), "counts": [], "reason": reason, "attempts": 1}
        earlier = _steps.delete().where((_steps.c.run_id == run_id) & (_steps.c.name == name))
        self._write(earlier, _steps.insert().values(row))

    def finish_step(
        self,
        run_id: str,
        name: str,
        status: str,
        *,
        counts: Sequence[Counts] = (),
        error: str | None = None,
        **facts: Any,
    ) -> None:
        """Note how a step ended, its counts, and other facts by their names in `StepRun`."""
        values = {"status": _known(status), "error": error, "ended_at": datetime.now(UTC)}
        self._update_step(run_id, name, values | {"counts": [each.as_dict() for each in counts]} | facts)

    def skip_steps(self, run_id: str, skipped: Sequence[tuple[StepRun, str]]) -> None:
        """Note that steps were not run, each with how it last succeeded and the reason."""
        now = datetime.now(UTC)
        rows = [
            {"run_id": run_id, "name": last.name, "notebook": last.notebook, "status": "skipped", "started_at": now}
            | {"ended_at": now, "counts": [], "executed": last.executed, "report": last.report, "reason": reason}
            for last, reason in skipped
        ]
        names = [last.name for last, _ in skipped]
        if rows:
            earlier = _steps.delete().where((_steps.c.run_id == run_id) & _steps.c.name.in_(names))
            self._write(earlier, _steps.insert().values(rows))

    def last_good(self, pipeline: str, lake: Path) -> dict[str, StepRun]:
        """For each step of a pipeline on a lake, how it last succeeded with a fingerprint."""
        mine = (_runs.c.pipeline == pipeline) & (_runs.c.lake == str(lake))
        good = mine & (_steps.c.status == "succeeded") & _steps.c.fingerprint.is_not(None)
        both = _steps.join(_runs)
        latest = sa.select(_steps.c.name, sa.func.max(_steps.c.ended_at).label("at")).select_from(both).where(good)
        newest = latest.group_by(_steps.c.name).subquery()
        joined = both.join(newest, (newest.c.name == _steps.c.name) & (newest.c.at == _steps.c.ended_at))
        return {step.name: step for step in self._select_steps(sa.select(_steps).select_from(joined).where(good))}

    def durations(self, pipeline: str, lake: Path, limit: int = 1000) -> dict[str, list[float]]:
        """How many seconds each step of a pipeline on a lake took when it succeeded, latest first."""
        mine = (_runs.c.pipeline == pipeline) & (_runs.c.lake == str(lake)) & (_steps.c.status == "succeeded")
        columns = (_steps.c.name, _steps.c.started_at, _steps.c.ended_at)
        query = sa.select(*columns).select_from(_steps.join(_runs)).where(mine)
        found: dict[str, list[float]] = {}
        for row in self._read(query.order_by(_steps.c.ended_at.desc()).limit(limit)):
            found.setdefault(row["name"], []).append((row["ended_at"] - row["started_at"]).total_seconds())
        return found

    def checked(self, lake: Path, dataset: str | None = None, runs: int = 10) -> dict[str, list[StepRun]]:
        """The steps that asked rules of datasets of a lake, of one or of all, by dataset, latest first."""
        query = sa.select(_steps).select_from(_steps.join(_runs)).where(_runs.c.lake == str(lake))
        found: dict[str, list[StepRun]] = {}
        for step in self._select_steps(query.where(_steps.c.checks.is_not(None)).order_by(_steps.c.ended_at.desc())):
            for each in step.checks:
                if dataset in (None, each.dataset) and len(found.setdefault(each.dataset, [])) < runs:
                    found[each.dataset].append(step)
        return found

    def publish_step(self, run_id: str, name: str, report: str) -> None:
        """Note the page (relative to the site) that a step's notebook was published as."""
        self._update_step(run_id, name, {"report": report})

    def interrupt_runs(self, pipeline: str, lake: Path | None = None, *, seen_at: datetime | None = None) -> list[str]:
        """Mark the runs of a pipeline on a lake that never ended as interrupted; return their ids.

        They ended when they last gave a sign of life: `seen_at`, or later where they noted something of a step. To be
        called only by who holds the pipeline's lock: then nobody else can be running it.
        """
        unfinished = (_runs.c.pipeline == pipeline) & (_runs.c.status == "running")
        unfinished &= _runs.c.lake.is_(None) | (_runs.c.lake == str(lake))
        runs = self._select(sa.select(_runs).where(unfinished))
        for run in runs:
            values = {"status": "interrupted", "ended_at": _last_sign(run, seen_at), "error": "the process was killed"}
            of_run = (_steps.c.run_id == run.id) & (_steps.c.status == "running")
            self._write(
                _steps.update().where(of_run).values(values),
                _runs.update().where(_runs.c.id == run.id).values(values),
            )
        return [run.id for run in runs]

    def forget_runs(self, run_ids: Sequence[str]) -> None:
        """Remove runs with their steps; one that is running stays."""
        ended = sa.select(_runs.c.id).where(_runs.c.id.in_(run_ids) & (_runs.c.status != "running"))
        self._write(_steps.delete().where(_steps.c.run_id.in_(ended)), _runs.delete().where(_runs.c.id.in_(ended)))

    def runs(
        self,
        pipeline: str | None = None,
        limit: int | None = 50,
        *,
        lake: Path | None = None,
        status: str | None = None,
        since: datetime | None = None,
    ) -> list[Run]:
        """The latest runs, newest first: of one pipeline or lake or all, by status, begun since a moment."""
        query = sa.select(_runs).order_by(_runs.c.started_at.desc(), _runs.c.id.desc()).limit(limit)
        wanted = {_runs.c.pipeline: pipeline, _runs.c.lake: lake and str(lake), _runs.c.status: status}
        query = query.where(*(column == value for column, value in wanted.items() if value is not None))
        return self._select(query if since is None else query.where(_runs.c.started_at >= since))

    def run(self, run_id: str) -> Run:
        """One run by its id. Raises UsageError when there is none."""
        found = self._select(sa.select(_runs).where(_runs.c.id == run_id))
        if not found:
            latest = ", ".join(run.id for run in self.runs(limit=3)) or "none yet"
            raise UsageError(f"no run {run_id!r} in the ledger {self.database.shown}. Latest runs: {latest}")
        return found[0]

    def step(self, run_id: str, name: str) -> StepRun:
        """One step of a run."""
        query = sa.select(_steps).where((_steps.c.run_id == run_id) & (_steps.c.name == name))
        return self._select_steps(query)[0]

    def steps(self, run_id: str) -> list[StepRun]:
        """The steps of a run with their fingerprints, which `run` leaves out."""
        ordered = sa.select(_steps).order_by(_steps.c.started_at, _steps.c.name)
        return self._select_steps(ordered.where(_steps.c.run_id == run_id))

    def results(self, run_id: str) -> list[StepRun]:
        """The steps of a run, with the figures of the run that executed each; a skipped one stays `skipped`."""
        steps = self.steps(run_id)
        skipped = [(step.run_id, step.name) for step in steps if step.status == "skipped"]
        if not skipped:
            return steps
        query = sa.select(_steps).where(_steps.c.run_id.in_({run for run, _ in skipped}))
        executed = {(step.run_id, step.name): step for step in self._select_steps(query)}
        for place, step in enumerate(steps):
            origin = executed.get((step.run_id, step.name)) if step.status == "skipped" else None
            if origin:
                steps[place] = replace(origin, status="skipped", reason=step.reason, report=step.report)
        return steps

    def close(self) -> None:
        """End the connections to the database; the next use opens new ones."""
        self.database.close()

    def transaction(self, tables: sa.MetaData) -> AbstractContextManager[sa.Connection]:
        """A transaction on the ledger's database, for tables beside its own, which are made where missing.

        Raises LakeError when the database cannot be read or written, TransientError when it was lost; then nothing
        was changed.
        """
        return self.database.transaction(tables)

    def _update_step(self, run_id: str, name: str, values: Mapping[str, Any]) -> None:
        step = (_steps.c.run_id == run_id) & (_steps.c.name == name)
        self._write(_steps.update().where(step).values(**values))

    def _select(self, query: "sa.Select[Any]") -> list[Run]:
        rows = self._read(query)
        ids = sa.select(query.with_only_columns(_runs.c.id).subquery().c.id)
        light = [column for column in _steps.columns if column.name not in ("fingerprint", "outputs")]
        ordered = sa.select(*light).where(_steps.c.run_id.in_(ids)).order_by(_steps.c.started_at, _steps.c.name)
        steps: dict[str, list[StepRun]] = {}
        for row in self._read(ordered) if rows else ():
            steps.setdefault(row["run_id"], []).append(_step_run(dict(row)))
        return [_run(dict(row), steps.get(row["id"], ())) for row in rows]

    def _select_steps(self, query: "sa.Select[Any]") -> list[StepRun]:
        return [_step_run(dict(row)) for row in self._read(query)]

    def _read(self, query: "sa.Select[Any]") -> list[sa.RowMapping]:
        return self.database.read(query) if self.database.has(_runs, _steps) else []

    def _write(self, *statements: sa.Executable) -> None:
        if self.before_write:
            self.before_write()
        self.database.write(_metadata, *statements)


def _known(status: str) -> str:
    if status not in STATUSES:
        raise ValueError(f"unknown status {status!r}; expected one of {', '.join(STATUSES)}")
    return status


def _run(row: Mapping[str, Any], steps: Sequence[StepRun]) -> Run:
    # A run of an earlier version has noted nothing of these.
    later = {"earlier_s": row["earlier_s"] or 0.0, "forced": tuple(row["forced"] or ())}
    return Run(**{**row, **later}, steps=tuple(steps))


def _last_sign(run: Run, seen_at: datetime | None) -> datetime:
    """When a run whose process is gone was last known to be at work."""
    of_steps = (moment for step in run.steps for moment in (step.started_at, step.ended_at))
    return max(moment for moment in (run.started_at, run.resumed_at, seen_at, *of_steps) if moment)


def _step_run(row: Mapping[str, Any]) -> StepRun:
    values = {name: value for name, value in row.items() if name != "run_id"}
    values |= {"reason": row["reason"] or "", "attempts": row["attempts"] or 1}
    values |= {"counts": tuple(Counts(**each) for each in row["counts"])}
    return StepRun(**values | {"checks": tuple(map(Checked.from_dict, row["checks"] or ()))})
