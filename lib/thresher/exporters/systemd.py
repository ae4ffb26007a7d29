"""A service and a timer of systemd that run a pipeline at the times of its schedule."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cronsim import CronSim

from thresher.errors import UsageError
from thresher.exporters.cron_table import timed
from thresher.pipeline import Pipeline
from thresher.schedules.schedule import Schedule

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def export(pipeline: Pipeline, command: Sequence[str]) -> dict[str, str]:
    """The two unit files by name; `command` is run in the project. Raises UsageError for what systemd cannot do."""
    schedule = timed(pipeline)
    name = f"thresher-{pipeline.name}"
    described = _escaped(f"thresher pipeline {pipeline.name}")
    service = [
        *("[Unit]", f"Description={described}", "", "[Service]", "Type=oneshot"),
        f"WorkingDirectory={_escaped(str(pipeline.project))}",
        f"ExecStart={' '.join(_quoted(part) for part in command)}",
    ]
    timer = [
        *("[Unit]", f"Description=times of {described}", "", "[Timer]"),
        *(f"OnCalendar={each}" for each in calendar(schedule)),
        # A time that passed while the machine was off is made up for, once.
        f"Persistent={'false' if schedule.missed == 'skip' else 'true'}",
        *("AccuracySec=1s", "", "[Install]", "WantedBy=timers.target"),
    ]
    return {f"{name}.service": "\n".join(service) + "\n", f"{name}.timer": "\n".join(timer) + "\n"}


def calendar(schedule: Schedule) -> list[str]:
    """A schedule as systemd's calendar events: more than one where cron joins days by "or". Raises UsageError.

    >>> from thresher.schedules.schedule import Schedule
    >>> calendar(Schedule("*/30 2 * * mon-fri", "Europe/Berlin"))
    ['Mon,Tue,Wed,Thu,Fri *-*-* 02:00,30:00 Europe/Berlin']
    >>> calendar(Schedule("0 0 1 * sun"))
    ['*-*-01 00:00:00 UTC', 'Sun *-*-* 00:00:00 UTC']
    """
    times = CronSim(schedule.expression, datetime.now(UTC))
    if any(not isinstance(day, int) for day in times.weekdays) or min(times.days) < 0:
        raise UsageError(f"{schedule.cron!r}: systemd has no last day and no n-th weekday; use thresher schedule")
    weekdays = sorted({(int(str(day)) - 1) % 7 for day in times.weekdays})
    of_week = "" if len(weekdays) == 7 else ",".join(_DAYS[day] for day in weekdays) + " "
    of_month, month = _numbers(times.days, 31), _numbers(times.months, 12)
    clock = f"{_numbers(times.hours, 24)}:{_numbers(times.minutes, 60)}:{_numbers(times.seconds, 60)}"
    end = f"{clock} {schedule.timezone}"
    # cron takes either day where both are given, systemd only a day that is both.
    if times.day_and or not of_week:
        return [f"{of_week}*-{month}-{of_month} {end}"]
    return [f"*-{month}-{of_month} {end}", f"{of_week}*-{month}-* {end}"]


def _numbers(values: Iterable[int], all_of_them: int) -> str:
    ordered = sorted(values)
    return "*" if len(ordered) == all_of_them else ",".join(f"{each:02}" for each in ordered)


def _quoted(part: str) -> str:
    """A word of a command line: quoted, and free of systemd's own signs."""
    plain = part.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_escaped(plain)}"' if plain != part or set(plain) & set(" \t';%") else plain


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
