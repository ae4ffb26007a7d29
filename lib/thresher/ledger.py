"""The ledger: which runs there were, what each of their steps did, and how it ended.

A SQLite file in the lake (`_ledger.sqlite`), or the database that THRESHER_LEDGER names by URL. Reading never creates
it: a lake without runs has no ledger.
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from thresher.counts import Counts
from thresher.errors import LakeError, UsageError

FILE_NAME = "_ledger.sqlite"
STATUSES = ("running", "succeeded", "failed", "blocked", "cancelled", "interrupted")
BUSY_TIMEOUT_S = 30


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

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it runs."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

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

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while it runs."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()


class _Utc(sa.types.TypeDecorator[datetime]):
    """An instant. SQLite keeps no zone: what it gives back is UTC because only UTC goes in."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


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
    sa.Column("started_at", _Utc, nullable=False),
    sa.Column("ended_at", _Utc),
    sa.Column("error", sa.Text),
    sa.Column("pid", sa.Integer),
    sa.Index("thresher_runs_by_pipeline", "pipeline", "started_at"),
)
_steps = sa.Table(
    "thresher_steps",
    _metadata,
    sa.Column("run_id", sa.ForeignKey("thresher_runs.id"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("notebook", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("started_at", _Utc, nullable=False),
    sa.Column("ended_at", _Utc),
    sa.Column("counts", sa.JSON, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("executed", sa.Text, nullable=False),
    sa.Column("report", sa.Text),
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
        text = str(url_or_path)
        url = sa.make_url(text) if "://" in text else sa.URL.create("sqlite", database=os.path.abspath(text))
        self._file = Path(url.database) if url.drivername.startswith("sqlite") and url.database else None
        self._shown = url.render_as_string(hide_password=True)
        self._is_prepared = False
        options = {"connect_args": {"timeout": BUSY_TIMEOUT_S}} if self._file else {}
        try:
            self._engine = sa.create_engine(url, **options)
        except (ImportError, sa.exc.ArgumentError) as error:
            raise UsageError(
                f"ledger {self._shown}: no driver for this database ({error}). "
                f"Install the driver, or unset THRESHER_LEDGER to keep the ledger in the lake."
            ) from error

    @classmethod
    def of_lake(cls, lake: Path | str) -> "Ledger":
        """The ledger of a lake: the database of THRESHER_LEDGER, else the file in the lake's folder."""
        return cls(os.environ.get("THRESHER_LEDGER") or Path(lake) / FILE_NAME)

    def start_run(
        self, pipeline: str, *, file: str, engine: str, params: Mapping[str, Any], description: str = ""
    ) -> str:
        """Note that a run of a pipeline begins now, in this process; return the run's id.

        Raises LakeError when the ledger cannot be written.
        """
        now = datetime.now(UTC)
        run_id = f"{pipeline}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        row: dict[str, Any] = {"id": run_id, "pipeline": pipeline, "description": description, "file": file}
        row |= {"engine": engine, "params": dict(params), "status": "running", "started_at": now, "pid": os.getpid()}
        with self._writing() as connection:
            connection.execute(_runs.insert().values(row))
        return run_id

    def finish_run(self, run_id: str, status: str, *, error: str | None = None) -> None:
        """Note how a run ended; a step of it that nobody ended, because noting it failed, was interrupted."""
        now = datetime.now(UTC)
        with self._writing() as connection:
            values = {"status": _known(status), "error": error, "ended_at": now}
            connection.execute(_runs.update().where(_runs.c.id == run_id).values(values))
            steps = (_steps.c.run_id == run_id) & (_steps.c.status == "running")
            connection.execute(_steps.update().where(steps).values(status="interrupted", ended_at=now))

    def start_step(self, run_id: str, name: str, *, notebook: str, executed: str = "") -> None:
        """Note that a step begins now. `executed` is the executed notebook, relative to the lake."""
        row: dict[str, Any] = {"run_id": run_id, "name": name, "notebook": notebook, "executed": executed}
        row |= {"status": "running", "started_at": datetime.now(UTC), "counts": []}
        with self._writing() as connection:
            connection.execute(_steps.insert().values(row))

    def finish_step(
        self, run_id: str, name: str, status: str, *, counts: Sequence[Counts] = (), error: str | None = None
    ) -> None:
        """Note how a step ended, and its counts."""
        values = {"status": _known(status), "error": error, "ended_at": datetime.now(UTC)}
        self._update_step(run_id, name, values | {"counts": [each.as_dict() for each in counts]})

    def publish_step(self, run_id: str, name: str, report: str) -> None:
        """Note the page (relative to the site) that a step's notebook was published as."""
        self._update_step(run_id, name, {"report": report})

    def interrupt_runs(self, pipeline: str) -> list[str]:
        """Mark the runs of a pipeline that never ended as interrupted; return their ids.

        To be called only by who holds the pipeline's lock: then nobody else can be running it.
        """
        now = datetime.now(UTC)
        with self._writing() as connection:
            unfinished = (_runs.c.pipeline == pipeline) & (_runs.c.status == "running")
            ids = list(connection.scalars(sa.select(_runs.c.id).where(unfinished)))
            values = {"status": "interrupted", "ended_at": now, "error": "the process was killed"}
            connection.execute(_runs.update().where(_runs.c.id.in_(ids)).values(values))
            steps = _steps.c.run_id.in_(ids) & (_steps.c.status == "running")
            connection.execute(_steps.update().where(steps).values(values))
        return ids

    def runs(self, pipeline: str | None = None, limit: int = 50) -> list[Run]:
        """The latest runs, newest first, of one pipeline or of all."""
        query = sa.select(_runs).order_by(_runs.c.started_at.desc(), _runs.c.id.desc()).limit(limit)
        return self._select(query if pipeline is None else query.where(_runs.c.pipeline == pipeline))

    def run(self, run_id: str) -> Run:
        """One run by its id. Raises UsageError when there is none."""
        found = self._select(sa.select(_runs).where(_runs.c.id == run_id))
        if not found:
            latest = ", ".join(run.id for run in self.runs(limit=3)) or "none yet"
            raise UsageError(f"no run {run_id!r} in the ledger {self._shown}. Latest runs: {latest}")
        return found[0]

    def _update_step(self, run_id: str, name: str, values: Mapping[str, Any]) -> None:
        with self._writing() as connection:
            step = (_steps.c.run_id == run_id) & (_steps.c.name == name)
            connection.execute(_steps.update().where(step).values(**values))

    def _select(self, query: "sa.Select[Any]") -> list[Run]:
        if self._file and not self._file.exists():
            return []
        with self._connected() as connection:
            if not sa.inspect(connection).has_table(_runs.name):
                return []
            rows = connection.execute(query).mappings().all()
            ids = [row["id"] for row in rows]
            ordered = sa.select(_steps).where(_steps.c.run_id.in_(ids)).order_by(_steps.c.started_at, _steps.c.name)
            steps: dict[str, list[StepRun]] = {run_id: [] for run_id in ids}
            for step in connection.execute(ordered).mappings():
                steps[step["run_id"]].append(_step_run(dict(step)))
        return [Run(**row, steps=tuple(steps[row["id"]])) for row in rows]

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._connected() as connection:
            if not self._is_prepared:
                if self._file:
                    # Readers then never wait for a writer; the setting stays in the file.
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                for table in _metadata.sorted_tables:
                    # Not create_all(): it looks first and creates then, and another process may come between.
                    connection.execute(CreateTable(table, if_not_exists=True))
                    for index in table.indexes:
                        connection.execute(CreateIndex(index, if_not_exists=True))
                self._is_prepared = True
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise LakeError(
                f"ledger {self._shown}: cannot be read or written: {error.orig}. Expected a database that this user "
                f"may write; check the file's owner and the disk, or name another database in THRESHER_LEDGER."
            ) from error


def _known(status: str) -> str:
    if status not in STATUSES:
        raise ValueError(f"unknown status {status!r}; expected one of {', '.join(STATUSES)}")
    return status


def _step_run(row: Mapping[str, Any]) -> StepRun:
    values = {name: value for name, value in row.items() if name != "run_id"}
    return StepRun(**values | {"counts": tuple(Counts(**each) for each in row["counts"])})
