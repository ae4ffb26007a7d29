"""`thresher backfill`: a pipeline once for each date of a range; what is done already is left out."""

import argparse
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from thresher.ledger import Ledger, Utc
from thresher.places import lake_folder
from thresher.schedules import run_process
from thresher.schedules.run_process import PUT_OFF, SUCCEEDED

_LOCKED_AGAIN_S = 2.0

_metadata = sa.MetaData()
_backfills = sa.Table(
    "thresher_backfills",
    _metadata,
    sa.Column("lake", sa.String(500), primary_key=True),
    sa.Column("pipeline", sa.String(64), primary_key=True),
    sa.Column("options", sa.String(64), primary_key=True),
    sa.Column("date", sa.String(10), primary_key=True),
    sa.Column("succeeded_at", Utc, nullable=False),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one date: succeeded, done before, failed, refused, cancelled or killed."""

    date: date
    status: str
    seconds: float | None = None

    @property
    def is_good(self) -> bool:
        """Whether the date is done, now or before."""
        return self.status in ("succeeded", "done before")


def dates(first: date, last: date, every: str) -> list[date]:
    """The dates from the first to the last, both included, a day, a week or a month apart.

    >>> [str(each) for each in dates(date(2026, 1, 31), date(2026, 4, 30), "month")]
    ['2026-01-31', '2026-02-28', '2026-03-31', '2026-04-30']
    """
    return list(_dates(first, last, every))


class Backfill:
    """Runs a pipeline for dates. `params` are those of `-p`, `options` the others of `thresher run`."""

    def __init__(self, pipeline: str, file: Path, lake: Path, *, params: Sequence[str], options: Sequence[str]) -> None:
        self._pipeline = pipeline
        self._file = file
        self._lake = lake
        self._params = params
        self._options = options
        self._done = Done(lake, pipeline, params)

    def run(self, days: Sequence[date], *, again: bool, on_end: Callable[[Outcome], None]) -> list[Outcome]:
        """Run the dates one after the other and return what became of each; a failure does not stop the others.

        Dates whose run succeeded in a backfill with the same parameters are left out, unless `again`. When
        interrupted, the run that is going is cancelled.
        """
        done = set() if again else self._done.dates()
        outcomes = []
        for day in days:
            began = time.monotonic()
            status = "done before" if day in done else run_process.status(self._run(day))
            outcomes.append(Outcome(day, status, None if day in done else time.monotonic() - began))
            on_end(outcomes[-1])
        return outcomes

    def _run(self, day: date) -> int:
        options = ["--date", day.isoformat(), *self._options, *(part for each in self._params for part in ("-p", each))]
        command = [sys.executable, "-m", __name__, self._pipeline, day.isoformat(), str(self._lake), self._done.key]
        with subprocess.Popen([*command, "--", str(self._file), *options], stdin=subprocess.DEVNULL) as process:
            try:
                return process.wait()
            except KeyboardInterrupt:
                process.terminate()
                process.wait()
                raise


class Done:
    """The dates that are done, of one pipeline with the same parameters, in the ledger's database."""

    def __init__(self, lake: Path, pipeline: str, params: Sequence[str] = (), key: str = "") -> None:
        self._ledger = Ledger.of_lake(lake)
        self.key = key or hashlib.sha256("\0".join(sorted(params)).encode()).hexdigest()
        self._row = {"lake": str(lake), "pipeline": pipeline, "options": self.key}
        self._same = [_backfills.c[name] == value for name, value in self._row.items()]

    def dates(self) -> set[date]:
        """The dates whose run succeeded."""
        with self._ledger.transaction(_metadata) as connection:
            query = sa.select(_backfills.c.date).where(*self._same)
            return {date.fromisoformat(each) for each in connection.scalars(query)}

    def add(self, day: str) -> None:
        """Note that the run of a date succeeded."""
        row = {**self._row, "date": day, "succeeded_at": datetime.now(UTC)}
        with self._ledger.transaction(_metadata) as connection:
            connection.execute(_backfills.delete().where(*self._same, _backfills.c.date == day))
            connection.execute(_backfills.insert().values(row))


def main(arguments: Sequence[str]) -> int:
    """One date, in a process of its own, which notes the success itself: whoever started it may be gone by then."""
    parser = argparse.ArgumentParser(prog=f"python -m {__name__}")
    for name in ("pipeline", "date", "lake", "key"):
        parser.add_argument(name)
    parser.add_argument("options", nargs="+")
    given = parser.parse_args(arguments)
    run_process.prepare(given.date)
    done = Done(lake_folder(given.lake), given.pipeline, key=given.key)
    code, _ = run_process.attempted(given.options)
    while code == PUT_OFF:
        time.sleep(_LOCKED_AGAIN_S)
        code, _ = run_process.attempted(given.options, is_waiting=True)
    if code == SUCCEEDED:
        done.add(given.date)
    return code


def _dates(first: date, last: date, every: str) -> Iterator[date]:
    days = {"day": 1, "week": 7}.get(every)
    place = 0
    while (each := first + timedelta(days=days * place) if days else _months_later(first, place)) <= last:
        yield each
        place += 1


def _months_later(first: date, months: int) -> date:
    """The same day of a later month, or that month's last day."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return min(date(year, month + 1, 1) + timedelta(days=first.day - 1), following - timedelta(days=1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
