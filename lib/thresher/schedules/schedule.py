"""The key `schedule` of a pipeline: the times at which it is due, and the datasets whose change makes it due."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from thresher.datasets import ZONES
from thresher.errors import PipelineError
from thresher.pipeline_file import Argument, Problems, did_you_mean, word_for

MISSED = ("run-latest", "run-all", "skip")
_NICKNAMES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0"}
_NICKNAMES |= {"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}
_PATTERN = re.compile(r"[a-z*?][a-z0-9_*?]*\.[a-z0-9_*?]+")
_KEYS = ("cron", "timezone", "missed", "on")


@dataclass(frozen=True)
class Schedule:
    """When a pipeline is due: at the times of `cron` in `timezone`, and after new versions of the datasets `on`.

    `missed` tells what becomes of a time that passed while nothing could run: no scheduler was there, or the run
    before was still going.

    >>> nightly = Schedule("30 2 * * mon-fri", "Europe/Berlin")
    >>> from itertools import islice
    >>> [f"{due:%a %H:%M} UTC" for due in islice(nightly.after(datetime(2026, 3, 27, tzinfo=UTC)), 2)]
    ['Fri 01:30 UTC', 'Mon 00:30 UTC']
    """

    cron: str | None = None
    timezone: str = "UTC"
    missed: str = "run-latest"
    on: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        """The cron expression in five or six fields (seconds first), nicknames such as @daily written out."""
        return _NICKNAMES.get(self.cron or "", self.cron or "")

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The times (UTC) at which cron makes it due, after a moment and without end."""
        if self.cron:
            for due in CronSim(self.expression, moment.astimezone(ZoneInfo(self.timezone))):
                yield due.astimezone(UTC)

    def latest(self, moment: datetime) -> datetime | None:
        """The last time (UTC) at which cron made it due, up to and including a moment."""
        if not self.cron:
            return None
        # A microsecond later, because the iteration backwards begins before its start.
        start = moment.astimezone(ZoneInfo(self.timezone)) + timedelta(microseconds=1)
        due = next(iter(CronSim(self.expression, start, reverse=True)), None)
        return due.astimezone(UTC) if due else None

    def date(self, due_at: datetime) -> str:
        """The date of a due time, as the pipeline's time zone has it.

        >>> Schedule("0 0 * * *", "Europe/Berlin").date(datetime(2026, 1, 1, 23, 0, tzinfo=UTC))
        '2026-01-02'
        """
        return due_at.astimezone(ZoneInfo(self.timezone)).date().isoformat()


def read_schedule(fields: Mapping[str, Argument], line: int, problems: Problems) -> Schedule | None:
    """The schedule that stands in a pipeline file; None where there is none, or where a problem was noted."""
    if not fields:
        return None
    checks = {"cron": _cron, "timezone": _timezone, "missed": _missed, "on": _patterns}
    unknown = fields.keys() - checks
    for name in unknown:
        problems.add(fields[name].line, f"schedule: unknown key {name!r}. {did_you_mean(name, _KEYS)}")
    if not unknown and not {"cron", "on"} & fields.keys():
        problems.add(line, "schedule: expected cron (times) or on (datasets), found neither")
    values: dict[str, Any] = {
        name: problems.catch(fields[name].line, f"schedule: {name}", check, fields[name].value)
        for name, check in checks.items()
        if name in fields
    }
    return None if None in values.values() or not {"cron", "on"} & values.keys() else Schedule(**values)


def _cron(value: Any) -> str:
    expected = "expected minute hour day-of-month month day-of-week, such as '0 2 * * mon-fri', or @daily"
    if not isinstance(value, str):
        raise PipelineError(f"found {word_for(value)}, {expected}")
    expression = " ".join(value.split())
    try:
        times = CronSim(_NICKNAMES.get(expression, expression), datetime.now(UTC))
    except CronSimError as error:
        raise PipelineError(f"found {value!r} ({str(error).lower()}), {expected}") from error
    if next(iter(times), None) is None:
        raise PipelineError(f"found {value!r}, which is never due; {expected}")
    return expression


def _timezone(value: Any) -> str:
    try:
        return ZoneInfo(value).key
    except (LookupError, ValueError, TypeError, OSError):  # OSError: a folder among the zone files
        found = word_for(value)
        raise PipelineError(f"found {found}, expected a time zone. {_zones_like(value)}") from None


def _zones_like(value: Any) -> str:
    hint = did_you_mean(str(value), sorted(available_timezones()))
    return hint if hint.startswith("Did") else "Such as Europe/Berlin or UTC."


def _missed(value: Any) -> str:
    if value not in MISSED:
        raise PipelineError(f"found {word_for(value)}, expected one of: {', '.join(MISSED)}")
    return str(value)


def _patterns(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise PipelineError(f"found {word_for(value)}, expected datasets, such as [curated.*, raw.orders]")
    for each in found:
        if not isinstance(each, str) or not _PATTERN.fullmatch(each):
            raise PipelineError(f"found {word_for(each)}, expected zone.name, in which * and ? stand for any letters")
        if not any(fnmatchcase(zone, each.partition(".")[0]) for zone in ZONES):
            raise PipelineError(f"found {word_for(each)}, expected a zone of {', '.join(ZONES)}")
    return tuple(found)
