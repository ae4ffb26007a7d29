"""One run of a pipeline at a time on a lake, by leases in the ledger's database, whatever machines share it.

A lease is one row, which its run renews while it lives. It passes to another run at once where its process is surely
gone, else when it has run out. A run that finds that its lease has passed on stops, and writes nothing more.
"""

import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from thresher.database import RECONNECT_S, Database, Utc
from thresher.errors import LockLost, RunLocked, ThresherError
from thresher.ledger import Ledger
from thresher.schedules import holder

LEASE = timedelta(seconds=60)
RENEW_S = LEASE.total_seconds() - RECONNECT_S
"""How often a lease is renewed: so that a database that is lost just then can be awaited within the lease."""
LOOK_S = 2.0
"""How often a run looks whether it is to stop."""

_DATABASE_TIME = sa.type_coerce(sa.func.now(), Utc)  # the clock that all who share the ledger have in common

_metadata = sa.MetaData()
_locks = sa.Table(
    "thresher_locks",
    _metadata,
    sa.Column("lake", sa.String(500), primary_key=True),
    sa.Column("pipeline", sa.String(64), primary_key=True),
    sa.Column("token", sa.String(32), nullable=False),  # tells one lease from the next
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("run_id", sa.String(160)),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Column("is_to_stop", sa.Boolean, nullable=False),
)


@dataclass(frozen=True)
class Lock:
    """Who holds a pipeline of a lake, as the ledger has it; `run_id` is None until the run has begun."""

    lake: str
    pipeline: str
    token: str
    holder: str
    run_id: str | None
    expires_at: datetime
    is_to_stop: bool

    def is_held(self, now: datetime) -> bool:
        """Whether the lease lasts, by the database's clock, and its process may be alive."""
        return self.expires_at > now and not holder.is_dead(self.holder)

    @property
    def renewed_at(self) -> datetime:
        """When its run was last known to be at work."""
        return self.expires_at - LEASE


class Lease:
    """The lock of one pipeline, renewed by a thread while it is held (`held`).

    `taken_over` is the lock that it was taken over from: of a run that never gave it back.
    """

    def __init__(self, database: Database, lake: Path, pipeline: str, token: str, taken_over: Lock | None) -> None:
        self.taken_over = taken_over
        self._database = database
        self._what = f"pipeline {pipeline} on lake {lake}"
        self._mine = (_key(lake, pipeline), _locks.c.token == token)
        self._renewed_at = _clock_s()
        self._is_lost = self._is_to_stop = False
        self._stop: Callable[[], None] | None = None
        self._changing = threading.Lock()
        self._released = threading.Event()

    def begins(self, run_id: str) -> None:
        """Note the run that the lease is for."""
        self._database.write(_metadata, _locks.update().where(*self._mine).values(run_id=run_id))

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Have `stop` called, from another thread, when the run is to be cancelled or the lease is lost."""
        with self._changing:
            self._stop = stop
            is_late = self._is_to_stop or self._is_lost
        if is_late:
            stop()

    def check(self) -> None:
        """Raise LockLost when another run may be at work instead of this one. To be called before anything is written.

        What was suspended for long (a stopped process, a machine asleep) asks the database first.
        """
        if not self._is_lost and self._age_s() > RENEW_S + RECONNECT_S / 2:
            self._renew()
        if self._is_lost:
            raise LockLost(
                f"the lock of {self._what} was lost: this process did not renew it for {LEASE.total_seconds():.0f} s "
                f"(it was suspended, or the ledger out of reach), and another run may have taken it over. "
                f"This run stopped, and wrote nothing more; see: thresher runs"
            )

    def keep(self) -> None:
        """Renew the lease until it is released, and see to it that the run stops when it must."""
        while not self._released.wait(LOOK_S):
            try:
                self._look()
            except ThresherError:  # the database cannot be reached, which whoever writes to it will tell
                if self._age_s() > LEASE.total_seconds():
                    self._lose()

    def release(self) -> None:
        """Give the lock back. What cannot be given back now ends with its process."""
        self._released.set()
        with suppress(ThresherError):
            self._database.write(_metadata, _locks.delete().where(*self._mine))

    def _look(self) -> None:
        if self._age_s() > RENEW_S:
            self._renew()
        mine = self._database.read(sa.select(_locks.c.is_to_stop).where(*self._mine))
        if not mine:
            self._lose()
        elif mine[0]["is_to_stop"] and not self._is_to_stop:
            self._is_to_stop = True
            self._call_stop()

    def _renew(self) -> None:
        began = _clock_s()
        with self._database.transaction(_metadata) as connection:
            values = {"expires_at": _now(connection) + LEASE}
            is_mine = connection.execute(_locks.update().where(*self._mine).values(values)).rowcount == 1
        if is_mine:
            self._renewed_at = began
        else:
            self._lose()

    def _lose(self) -> None:
        if not self._is_lost and not self._released.is_set():
            self._is_lost = True
            self._call_stop()

    def _call_stop(self) -> None:
        with self._changing:
            stop = self._stop
        if stop:
            stop()

    def _age_s(self) -> float:
        return _clock_s() - self._renewed_at


@contextmanager
def held(ledger: Ledger, lake: Path, pipeline: str) -> Iterator[Lease]:
    """Hold the lock of a pipeline on a lake; while it is held, the ledger notes nothing once the lock is lost.

    Raises RunLocked, which names the run that holds it, or LakeError where the ledger cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as lake:
    ...     ledger = Ledger.of_lake(lake)
    ...     with held(ledger, Path(lake), "courses") as lease:
    ...         lease.begins("courses-1")
    ...         found = running(ledger)
    ...     ledger.close()
    >>> found
    {'courses-1'}
    """
    lease = Lease(ledger.database, lake, pipeline, *_taken(ledger, lake, pipeline))
    thread = threading.Thread(target=lease.keep, name="lease", daemon=True)
    ledger.before_write = lease.check
    thread.start()
    try:
        yield lease
    finally:
        ledger.before_write = None
        lease.release()
        thread.join(LOOK_S)


def running(ledger: Ledger) -> set[str]:
    """The ids of the runs that are at work, as far as one can see from here."""
    if not ledger.database.has(_locks):
        return set()
    rows = ledger.database.read(sa.select(_locks, _DATABASE_TIME.label("now")).where(_locks.c.run_id.is_not(None)))
    locks = [(Lock(**{name: row[name] for name in _locks.columns.keys()}), row["now"]) for row in rows]
    return {str(lock.run_id) for lock, now in locks if lock.is_held(now)}


def stop(ledger: Ledger, run_id: str) -> None:
    """Ask a run to stop, wherever it is at work: it looks every other second."""
    ledger.database.write(_metadata, _locks.update().where(_locks.c.run_id == run_id).values(is_to_stop=True))


def _taken(ledger: Ledger, lake: Path, pipeline: str) -> tuple[str, Lock | None]:
    """The token of a new lease, and the lock that it was taken over from. Raises RunLocked."""
    token, key = secrets.token_hex(8), _key(lake, pipeline)
    with ledger.transaction(_metadata) as connection:
        now = _now(connection)
        row = {"token": token, "holder": holder.name(), "run_id": None, "expires_at": now + LEASE, "is_to_stop": False}
        there = _lock(connection, key)
        if there is None:
            try:
                with connection.begin_nested():
                    connection.execute(_locks.insert().values(lake=str(lake), pipeline=pipeline, **row))
                return token, None
            except sa.exc.IntegrityError:  # another run came between
                there = _lock(connection, key)
        elif not there.is_held(now):
            before = _locks.c.token == there.token
            if connection.execute(_locks.update().where(key, before).values(row)).rowcount == 1:
                return token, there
            there = _lock(connection, key)
    raise _refusal(ledger, lake, pipeline, there)


def _refusal(ledger: Ledger, lake: Path, pipeline: str, lock: Lock | None) -> RunLocked:
    machine, _, process = (lock.holder if lock else "").partition(" ")
    what, remedy = "; it has just begun", "Wait for it."
    if lock and lock.run_id:
        since = ledger.run(lock.run_id).started_at
        what = f": {lock.run_id}, process {process.split()[0]}, since {since:%Y-%m-%d %H:%M:%S} UTC"
        remedy = f"Wait for it, or stop it: thresher runs cancel {lock.run_id}"
    if lock and machine != holder.name().partition(" ")[0]:
        host = machine.partition("/")[0]
        until = f"{lock.expires_at.astimezone(UTC):%H:%M:%S} UTC"
        what += f", on machine {host}"
        remedy += f"\nIf that machine is down, its lock ends at {until}."
    return RunLocked(f"another run of pipeline {pipeline} is at work on lake {lake}{what}. {remedy}")


def _lock(connection: sa.Connection, key: sa.ColumnElement[bool]) -> Lock | None:
    row = connection.execute(sa.select(_locks).where(key)).mappings().one_or_none()
    return Lock(**row) if row else None


def _key(lake: Path, pipeline: str) -> sa.ColumnElement[bool]:
    return (_locks.c.lake == str(lake)) & (_locks.c.pipeline == pipeline)


def _now(connection: sa.Connection) -> datetime:
    now: datetime = connection.execute(sa.select(_DATABASE_TIME)).scalar_one()
    return now


def _clock_s() -> float:
    """Seconds of a clock that goes on while the machine sleeps, where it has one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()
