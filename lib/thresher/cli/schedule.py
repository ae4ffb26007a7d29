"""The commands that run pipelines at other times than now: schedule and backfill."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from thresher.cli.parts import json_flag, lake_option, params_option, print_json, print_table, run_options

if TYPE_CHECKING:
    from thresher.pipeline import Pipeline

_lake = lake_option
_engine = click.option("--engine", metavar="ENGINE", help="duckdb (default), spark or sc://host:port.")
_site = click.option("--site", metavar="DIR", help="The site's folder (default: site beside the lake).")


class _StartByDefault(click.Group):
    """`thresher schedule` is `thresher schedule start`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, "-h", "--help"}:
            args = ["start", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_StartByDefault)
def schedule() -> None:
    """Run pipelines when they are due (the key schedule of their files); `start` where nothing else is named."""


@schedule.command()
@click.argument("pipelines", metavar="[PIPELINE]...", nargs=-1)
@_lake
@_engine
@_site
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Notebooks at once in each run.")
@click.option("--at-once", type=click.IntRange(min=1), metavar="N", help="Pipelines at once (default: one per core).")
@click.option("--once", is_flag=True, help="Run what is due now, and end.")
@click.option("--cancel", is_flag=True, help="When stopped, cancel the runs that are going instead of awaiting them.")
def start(
    pipelines: Sequence[str],
    lake: str | None,
    engine: str | None,
    site: str | None,
    jobs: int | None,
    at_once: int | None,
    once: bool,
    cancel: bool,
) -> None:
    """Run pipelines when they are due, until stopped. Several schedulers may share one ledger."""
    from thresher.places import check_writable, lake_folder
    from thresher.schedules.scheduled import ScheduledFiles
    from thresher.schedules.service import Scheduler

    files = ScheduledFiles(pipelines, _say)
    files.check()
    folder = lake_folder(lake)
    check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    options = run_options(lake=folder, engine=engine, site=site, jobs=jobs)
    scheduler = Scheduler(files, folder, run_options=options, at_once=at_once or os.cpu_count() or 1, say=_say)
    sys.exit(scheduler.run(once=once, cancel=cancel))


@schedule.command("list")
@click.argument("pipelines", metavar="[PIPELINE]...", nargs=-1)
@_lake
@json_flag
def list_(pipelines: Sequence[str], lake: str | None, as_json: bool) -> None:
    """The next times of scheduled pipelines, and what became of the last ones."""
    from thresher.ledger import Ledger
    from thresher.places import lake_folder
    from thresher.schedules.due_times import DueTimes
    from thresher.schedules.scheduled import ScheduledFiles

    files = ScheduledFiles(pipelines, _say)
    files.check()
    folder = lake_folder(lake)
    handled = DueTimes(Ledger.of_lake(folder), folder).handled() if folder.is_dir() else []
    last = {each.pipeline: each for each in handled}
    now = datetime.now(UTC)
    rows = []
    for each in files.current():
        ended = last.get(each.name)
        rows.append(
            {
                "pipeline": each.name,
                "next": next(each.schedule.after(now), None),
                "cron": each.schedule.cron,
                "timezone": each.schedule.timezone,
                "on": list(each.schedule.on),
                "missed": each.schedule.missed,
                "last": ended.due_at if ended else None,
                "state": ended.state if ended else None,
            }
        )
    if as_json:
        print_json(rows)
        return
    print_table(
        ("pipeline", "next (UTC)", "cron", "timezone", "on", "missed", "last (UTC)", "state"), map(_shown, rows)
    )


@click.command()
@click.argument("pipeline", metavar="PIPELINE")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The first date.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The last date, included.")
@click.option("--every", type=click.Choice(["day", "week", "month"]), default="day", show_default=True)
@click.option(
    "--again", is_flag=True, help="Also the dates whose run succeeded in a backfill before, all steps of them."
)
@params_option
@_lake
@_engine
@_site
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Notebooks at once (default: one per core).")
def backfill(
    pipeline: str,
    first: datetime,
    last: datetime,
    every: str,
    again: bool,
    params: Sequence[tuple[str, str]],
    lake: str | None,
    engine: str | None,
    site: str | None,
    jobs: int | None,
) -> None:
    """Run a pipeline for each date of a range, one after the other; what is done already is left out.

    Each date is a `thresher run --date`. A date that fails does not stop the others; running the command again runs
    what is not done yet.
    """
    from thresher.errors import UsageError
    from thresher.pipeline import find, plan
    from thresher.places import check_writable, lake_folder
    from thresher.schedules.backfill import Backfill, dates

    if last < first:
        raise UsageError(f"--to {last:%Y-%m-%d} is before --from {first:%Y-%m-%d}; expected a range of dates")
    folder = lake_folder(lake)
    days = dates(first.date(), last.date(), every)
    planned = _planned(lambda day: plan(pipeline, dict(params), lake=folder, date=day), days)
    name = planned[0].name
    if len(planned) == 2 and planned[0].steps == planned[1].steps:
        _say(f"{name}: no step depends on ${{run.date}}, so that the dates differ in nothing")
    check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    options = run_options(lake=folder, engine=engine, site=site, jobs=jobs)
    options += ["--force"] if again else []
    given = [f"{name}={value}" for name, value in params]
    work = Backfill(name, find(pipeline), folder, params=given, options=options)
    outcomes = work.run(days, again=again, on_end=lambda each: _say(f"{each.date}: {each.status}"))
    print_table(
        ("date", "status", "seconds"),
        [(str(each.date), each.status, "–" if each.seconds is None else f"{each.seconds:.1f}") for each in outcomes],
    )
    sys.exit(0 if all(each.is_good for each in outcomes) else 1)


def _planned(plan: "Callable[[date], Pipeline]", days: Sequence[date]) -> "list[Pipeline]":
    """A pipeline as it is on the first two dates on which nothing is wrong with it; at least on one.

    What is wrong on every date is wrong with what was asked, and raised; what is wrong on some is theirs.
    """
    from thresher.errors import UsageError

    planned, refused = [], []
    for day in days:
        try:
            planned.append(plan(day))
        except UsageError as error:
            refused.append(error)
        if len(planned) == 2:
            break
    if not planned:
        raise refused[0]
    return planned


def _shown(row: Mapping[str, object]) -> list[str]:
    return [
        f"{value:%Y-%m-%d %H:%M:%S}"
        if isinstance(value, datetime)
        else ", ".join(value)
        if isinstance(value, list)
        else str(value or "–")
        for value in row.values()
    ]


def _say(text: str) -> None:
    click.echo(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}", err=True)
