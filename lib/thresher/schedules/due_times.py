"""Who runs what is due: rows in the ledger's database, so that schedulers on many machines share the work.

A due time of a pipeline is one row, which one scheduler inserts and nobody else can. The process that runs it renews a
lease on the row; when process and lease are gone, another scheduler takes the row over.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from thresher.ledger import Ledger, Utc
from thresher.schedules.holder import is_dead
from thresher.schedules.schedule import Schedule

LEASE = timedelta(seconds=60)
GRACE = timedelta(seconds=60)
"""So much later than due counts as on time where missed times are skipped."""
MAX_ATTEMPTS = 3
"""A due time whose process dies so often is given up: it may be what kills the machine."""
KEPT = timedelta(days=90)
_MAX_DUE = 10_000
CRON = "cron"

_metadata = sa.MetaData()
_schedules = sa.Table(
    "thresher_schedules",
    _metadata,
    sa.Column("lake", sa.String(500), primary_key=True),
    sa.Column("pipeline", sa.String(64), primary_key=True),
    sa.Column("cron", sa.Text, nullable=False),
    sa.Column("since", Utc, nullable=False),
    sa.Column("looked_at", Utc, nullable=False),
)
_due_times = sa.Table(
    "thresher_due_times",
    _metadata,
    sa.Column("lake", sa.String(500), primary_key=True),
    sa.Column("pipeline", sa.String(64), primary_key=True),
    sa.Column("due_at", Utc, primary_key=True),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # running, or how it ended
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("lease_until", Utc),
    sa.Column("run_id", sa.String(160)),
)


@dataclass(frozen=True)
class DueTime:
    """One time (UTC) at which a pipeline is due, what made it so, and how often it was begun."""

    pipeline: str
    due_at: datetime
    cause: str = CRON
    attempt: int = 1

    def __str__(self) -> str:
        due = f"{self.due_at:%Y-%m-%d %H:%M:%S} UTC"
        why = f"due {due}" if self.cause == CRON else f"due since {due} ({self.cause})"
        return f"{why}, attempt {self.attempt}" if self.attempt > 1 else why


@dataclass(frozen=True)
class Looked:
    """What a look at a pipeline found: a due time to run now, those that are given up, one that must wait."""

    taken: DueTime | None = None
    skipped: tuple[DueTime, ...] = ()
    waiting: DueTime | None = None


@dataclass(frozen=True)
class Handled:
    """A due time that was taken, and what became of it."""

    lake: str
    pipeline: str
    due_at: datetime
    cause: str
    state: str
    attempt: int
    holder: str
    lease_until: datetime | None
    run_id: str | None

    def is_held(self, now: datetime) -> bool:
        """Whether the process that runs it is still there, as far as one can see from here."""
        return self.lease_until is not None and self.lease_until > now and not is_dead(self.holder)


class DueTimes:
    """The due times of a lake's pipelines, in the ledger. Safe to use from several processes and machines."""

    def __init__(self, ledger: Ledger, lake: Path) -> None:
        self._ledger = ledger
        self._lake = str(lake)

    def look(
        self,
        pipeline: str,
        schedule: Schedule,
        now: datetime,
        holder: str,
        changed: DueTime | None = None,
        until: datetime | None = None,
    ) -> Looked:
        """Take what is due for a pipeline, if nothing of it runs.

        `changed` is what a dataset's change made due; times after `until` (else `now`) are not looked at.
        """
        with self._rows() as rows:
            until = until or now
            since = rows.locked_since(pipeline, schedule, until)
            running = rows.all(_due_times.c.pipeline == pipeline, _due_times.c.state == "running")
            due = rows.due(pipeline, schedule, since, until)
            if changed and not rows.all(*rows.key(changed)):
                due.append(changed)
            if any(row.is_held(now) for row in running):
                skipped = [each for each in due if each.cause == CRON] if schedule.missed == "skip" else []
                rows.skip(skipped)
                waiting = [each for each in due if each not in skipped]
                return Looked(None, tuple(skipped), waiting[-1] if waiting else None)
            lost = [DueTime(pipeline, row.due_at, row.cause, row.attempt + 1) for row in running]
            taken, skipped = _chosen(schedule, lost, due, now)
            rows.skip(skipped)
            if taken:
                rows.take(taken, holder, now)
            return Looked(taken, tuple(skipped))

    def adopt(self, due: DueTime, scheduler: str, holder: str, now: datetime) -> bool:
        """Whether a taken due time passes from the scheduler to the process that runs it; False where it was lost."""
        return self._update(due, {"holder": holder, "lease_until": now + LEASE}, _due_times.c.holder == scheduler)

    def renew(self, due: DueTime, holder: str, now: datetime) -> bool:
        """Prolong the lease; False where another process has taken over."""
        return self._update(due, {"lease_until": now + LEASE}, _due_times.c.holder == holder)

    def finish(self, due: DueTime, state: str, run_id: str | None) -> None:
        """Note how a due time ended: succeeded, failed, refused, cancelled or skipped."""
        self._update(due, {"state": state, "lease_until": None, "run_id": run_id}, _due_times.c.state == "running")

    def put_back(self, due: DueTime, again_at: datetime) -> None:
        """Let a due time be taken again, from a moment on; this attempt does not count."""
        values = {"state": "running", "lease_until": again_at, "holder": "", "attempt": due.attempt - 1}
        self._update(due, values, sa.true())

    def running(self) -> list[Handled]:
        """The due times that are being run, or were when their process died."""
        with self._rows() as rows:
            return rows.all(_due_times.c.state == "running")

    def handled(self, pipeline: str | None = None) -> list[Handled]:
        """What became of the due times of one pipeline or all, oldest first, for as long as they are kept (90 days)."""
        with self._rows() as rows:
            return rows.all(sa.true() if pipeline is None else _due_times.c.pipeline == pipeline)

    def _update(self, due: DueTime, values: dict[str, Any], condition: sa.ColumnElement[bool]) -> bool:
        with self._rows() as rows:
            mine = (*rows.key(due), _due_times.c.attempt == due.attempt, condition)
            return rows.connection.execute(_due_times.update().where(*mine).values(values)).rowcount == 1

    @contextmanager
    def _rows(self) -> "Iterator[_Rows]":
        with self._ledger.transaction(_metadata) as connection:
            yield _Rows(connection, self._lake)


@dataclass(frozen=True)
class _Rows:
    """The rows of a lake, within one transaction."""

    connection: sa.Connection
    lake: str

    def locked_since(self, pipeline: str, schedule: Schedule, now: datetime) -> datetime:
        """The moment from which the schedule counts; its row is locked, so that one scheduler at a time decides."""
        row = sa.and_(_schedules.c.lake == self.lake, _schedules.c.pipeline == pipeline)
        cron = f"{schedule.expression} {schedule.timezone}"
        # A time of this very minute is not past: whoever starts a scheduler at two wants the run of two.
        has_seconds = len(schedule.expression.split()) == 6
        begun = now.replace(microsecond=0) if has_seconds else now.replace(second=0, microsecond=0)
        since = begun - timedelta(seconds=1)
        values = {"lake": self.lake, "pipeline": pipeline, "cron": cron, "since": since, "looked_at": now}
        # The write comes before the read: it takes the lock, on PostgreSQL of the row and on SQLite of the file.
        if not self.connection.execute(_schedules.update().where(row).values(looked_at=now)).rowcount:
            try:
                with self.connection.begin_nested():
                    self.connection.execute(_schedules.insert().values(values))
            except sa.exc.IntegrityError:  # another scheduler was first
                self.connection.execute(_schedules.update().where(row).values(looked_at=now))
        known = self.connection.execute(sa.select(_schedules).where(row)).one()
        if known.cron != cron:
            self.connection.execute(_schedules.update().where(row).values(values))
            return since
        return cast(datetime, known.since)

    def due(self, pipeline: str, schedule: Schedule, since: datetime, now: datetime) -> list[DueTime]:
        """The times at which cron made the pipeline due, and that nobody has taken yet."""
        of_cron = (_due_times.c.lake == self.lake, _due_times.c.pipeline == pipeline, _due_times.c.cause == CRON)
        query = sa.select(sa.func.max(_due_times.c.due_at, type_=Utc)).where(*of_cron)
        last = self.connection.scalar(query)
        start = max(since, last) if last else since
        times = list(islice(takewhile(lambda due: due <= now, schedule.after(start)), _MAX_DUE))
        if len(times) == _MAX_DUE:
            times[-1] = schedule.latest(now) or times[-1]
        return [DueTime(pipeline, due_at) for due_at in times]

    def take(self, due: DueTime, holder: str, now: datetime) -> None:
        """Note who runs a due time; what is long past is forgotten."""
        self._put(due, {"state": "running", "holder": holder, "lease_until": now + LEASE})
        past = (_due_times.c.due_at < now - KEPT, _due_times.c.due_at != due.due_at)
        mine = (_due_times.c.lake == self.lake, _due_times.c.pipeline == due.pipeline)
        self.connection.execute(_due_times.delete().where(*mine, *past))

    def skip(self, skipped: Sequence[DueTime]) -> None:
        """Note that nobody will run these."""
        for due in skipped:
            state = "skipped" if due.attempt == 1 else "interrupted"
            self._put(due, {"state": state, "holder": "", "lease_until": None})

    def all(self, *conditions: sa.ColumnElement[bool]) -> list[Handled]:
        """The rows that meet conditions, oldest first."""
        query = sa.select(_due_times).where(_due_times.c.lake == self.lake, *conditions)
        ordered = query.order_by(_due_times.c.due_at, _due_times.c.pipeline)
        return [Handled(**row) for row in self.connection.execute(ordered).mappings()]

    def key(self, due: DueTime) -> tuple[sa.ColumnElement[bool], ...]:
        """The conditions that only the row of a due time meets."""
        key = {"lake": self.lake, "pipeline": due.pipeline, "due_at": due.due_at}
        return tuple(_due_times.c[name] == value for name, value in key.items())

    def _put(self, due: DueTime, values: dict[str, Any]) -> None:
        """Insert a due time, or change the row of a lost one, for which the pipeline's lock makes room."""
        row = {"lake": self.lake, "pipeline": due.pipeline, "due_at": due.due_at}
        row |= {"cause": due.cause, "attempt": due.attempt, **values}
        if not self.connection.execute(_due_times.update().where(*self.key(due)).values(row)).rowcount:
            self.connection.execute(_due_times.insert().values(row))


def _chosen(
    schedule: Schedule, lost: Sequence[DueTime], due: Sequence[DueTime], now: datetime
) -> tuple[DueTime | None, list[DueTime]]:
    """The due time to run now, and those to give up."""
    given_up = [each for each in lost if each.attempt > MAX_ATTEMPTS]
    if schedule.missed == "skip":
        given_up += [each for each in due if each.cause == CRON and now - each.due_at > GRACE]
    waiting = sorted((each for each in [*lost, *due] if each not in given_up), key=lambda each: each.due_at)
    if schedule.missed == "run-all":
        return (waiting[0] if waiting else None), given_up
    return (waiting[-1] if waiting else None), [*given_up, *waiting[:-1]]
