"""`thresher runs`: what ran, how it ended, what changed between two runs; to stop a run, and to remove old ones."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from thresher.cli.parts import json_flag, lake_option, print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from thresher.ledger import Ledger, Run, StepRun
    from thresher.run_differences import DatasetDifference, Pair, RunDifference

_STOP_S = 60
_ENDED = {"cancelled": "was cancelled", "interrupted": "was interrupted"}
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_RELATIVE = re.compile(r"(?P<name>.+?)(?:~(?P<back>\d+))?")


class _Age(click.ParamType[timedelta]):
    """A span of time: 90d, 12h."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,5})([mhdw])", value)
        if not match:
            self.fail(f"found {value!r}, expected a number with m, h, d or w: 90d, 12h", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


class _Moment(_Age):
    """A moment: a day or a time in UTC, or how long ago."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except ValueError:
            pass
        if not re.fullmatch(r"\d+[mhdw]", value):
            self.fail(f"found {value!r}, expected a day, a time or an age: 2026-11-01, 7d, 12h", param, ctx)
        return datetime.now(UTC) - super().convert(value, param, ctx)


_run = click.argument("run_id", metavar="RUN")


@click.group(invoke_without_command=True)
@click.option("--pipeline", metavar="NAME", help="Only the runs of this pipeline.")
@click.option("--status", metavar="STATUS", help="Only the runs that ended so: succeeded, failed, cancelled, …")
@click.option("--since", type=_Moment(), help="Only runs begun since: 2026-11-01, 7d, 12h.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@lake_option
@json_flag
@click.pass_context
def runs(
    ctx: click.Context,
    pipeline: str | None,
    status: str | None,
    since: datetime | None,
    limit: int,
    lake: str | None,
    as_json: bool,
) -> None:
    """The latest runs, newest first.

    RUN is an id, latest, latest~1 (the run of the same pipeline before that), or PIPELINE, PIPELINE~1.
    """
    if ctx.invoked_subcommand:
        return
    from thresher.errors import UsageError
    from thresher.ledger import STATUSES

    if status and status not in STATUSES:
        raise UsageError(f"--status: found {status!r}, expected one of {', '.join(STATUSES)}")
    ledger, _ = _ledger(lake)
    found = _as_seen(ledger, ledger.runs(pipeline, limit, status=status, since=since))
    if as_json:
        print_json([run_as_dict(each) for each in found])
    elif found:
        _print_runs(found)
    else:
        click.echo("no such runs" if pipeline or status or since else "no runs yet")


@runs.command()
@_run
@lake_option
@json_flag
def show(run_id: str, lake: str | None, as_json: bool) -> None:
    """A run, its steps and the notices sent of it; figures of a skipped step are those of the run that executed it."""
    from dataclasses import replace

    from thresher.notices.sending import sent

    ledger, folder = _ledger(lake)
    (run,) = _as_seen(ledger, [_found(ledger, folder, run_id)])
    run = replace(run, steps=tuple(ledger.results(run.id)))
    notices = sent(ledger, run.id)
    if as_json:
        print_json(run_as_dict(run) | {"notices": [asdict(notice) for notice in notices]})
        return
    click.echo(headline(run))
    for name, value in (("engine", run.engine), ("lake", run.lake or folder), *run.params.items()):
        click.echo(f"  {name}: {value}")
    _print_steps(run.steps)
    for step in run.steps:
        for checked in step.checks:
            click.echo(f"\n{checked}")
    for step in run.steps:
        if step.error:
            click.echo(f"\n{step.name} {step.status}: {step.error}")
    for notice in notices:
        how = f"was not sent: {notice.error}" if notice.error else "was sent"
        click.echo(f"\nnotice of {notice.event} to {notice.service} {how} at {_time(notice.sent_at)}")


@runs.command()
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@lake_option
@json_flag
def diff(first: str, second: str, lake: str | None, as_json: bool) -> None:
    """What differs between two runs of a pipeline, the earlier one first."""
    from thresher.run_differences import compare

    ledger, folder = _ledger(lake)
    found = compare(ledger, folder, _found(ledger, folder, first), _found(ledger, folder, second))
    if as_json:
        print_json(asdict(found))
    else:
        _print_difference(found)


@runs.command()
@_run
@lake_option
def cancel(run_id: str, lake: str | None) -> None:
    """Stop a run, on whatever machine it is at work, and wait until it has ended."""
    import time

    from thresher.errors import TransientError, UsageError
    from thresher.running import locks

    ledger, folder = _ledger(lake)
    run = _found(ledger, folder, run_id)
    if run.status != "running":
        how = _ENDED.get(run.status, run.status)
        raise UsageError(f"run {run.id} is not running: it {how} at {_time(run.ended_at)}")
    if run.id not in locks.running(ledger):
        raise UsageError(f"run {run.id} is not running: its process is gone; to continue it: thresher run {run.file}")
    locks.stop(ledger, run.id)
    end = time.monotonic() + _STOP_S
    while run.status == "running" and run.id in locks.running(ledger):
        if time.monotonic() > end:
            raise TransientError(f"run {run.id} has been asked to stop, and has not ended in {_STOP_S} s; it may yet")
        time.sleep(0.2)
        run = ledger.run(run.id)
    click.echo(headline(run))


@runs.command()
@click.option("--pipeline", metavar="NAME", help="Only the runs of this pipeline.")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Keep the newest N runs of each pipeline.")
@click.option("--older-than", type=_Age(), help="Remove only what began longer ago: 90d, 12h.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@lake_option
@json_flag
def prune(
    pipeline: str | None, keep: int | None, older_than: timedelta | None, dry_run: bool, lake: str | None, as_json: bool
) -> None:
    """Remove old runs of a lake: executed notebooks and rows of the ledger.

    Never the newest run of a pipeline, a running one, or the last one in which a step succeeded.
    """
    from thresher.errors import UsageError
    from thresher.running import retention
    from thresher.templates import shown_size

    if keep is None and older_than is None:
        raise UsageError("say which runs to remove: --keep N, --older-than 90d, or both")
    ledger, folder = _ledger(lake)
    removed = retention.prune(
        ledger,
        folder,
        pipeline=pipeline,
        keep=keep or 1,
        older_than=older_than or timedelta(0),
        dry_run=dry_run,
    )
    if as_json:
        print_json([{"id": each.run.id, "bytes": each.bytes} for each in removed])
        return
    for each in removed:
        click.echo(headline(each.run))
    size = shown_size(sum(each.bytes for each in removed))
    click.echo(f"{'would remove' if dry_run else 'removed'} {len(removed)} runs, {size}")


def headline(run: "Run") -> str:
    """A run in one line."""
    error = f"  {run.error}" if run.error else ""
    seconds = "" if run.duration_s is None else f"  {run.duration_s:.1f} s"
    return f"{run.id}  {run.status}{seconds}  {run.started_at:%Y-%m-%d %H:%M} UTC{error}"


def run_as_dict(run: "Run") -> dict[str, Any]:
    """A run for --json."""
    steps = [asdict(step) | {"duration_s": step.duration_s} for step in run.steps]
    return asdict(run) | {"duration_s": run.duration_s, "steps": steps}


def _ledger(lake: str | None) -> "tuple[Ledger, Path]":
    from thresher.ledger import Ledger
    from thresher.places import lake_folder

    folder = lake_folder(lake)
    ledger = Ledger.of_lake(folder)
    click.get_current_context().call_on_close(ledger.close)
    return ledger, folder


def _as_seen(ledger: "Ledger", found: "Sequence[Run]") -> "list[Run]":
    """Runs whose process is gone are not running, though nobody has noted it yet."""
    from dataclasses import replace

    from thresher.running import locks

    going = locks.running(ledger) if any(run.status == "running" for run in found) else set()
    return [
        replace(run, status="interrupted", error="the process is gone")
        if run.status == "running" and run.id not in going
        else run
        for run in found
    ]


def _found(ledger: "Ledger", folder: "Path", wanted: str) -> "Run":
    """The run that is meant on a lake: by id, as latest~N or as PIPELINE~N. Raises UsageError."""
    from thresher.errors import UsageError

    match = _RELATIVE.fullmatch(wanted)
    name, back = (match["name"], int(match["back"] or 0)) if match else (wanted, 0)
    if name == "latest":
        latest = ledger.runs(limit=1, lake=folder)
        name = latest[0].pipeline if latest else name
    runs = ledger.runs(name, back + 1, lake=folder)
    if len(runs) > back:
        return runs[back]
    if runs:
        times = "once" if len(runs) == 1 else f"{len(runs)} times"
        raise UsageError(f"no run {wanted}: lake {folder} has seen pipeline {name} run {times}")
    return ledger.run(wanted)


def _print_runs(found: "Sequence[Run]") -> None:
    lakes = {run.lake for run in found}
    head = ["run", "status", "began (UTC)", "seconds", "ran", "skipped", "failed", "error"]
    rows = []
    for run in found:
        statuses = [step.status for step in run.steps]
        counts = (_executed(statuses), statuses.count("skipped"), statuses.count("failed"))
        row = [run.id, run.status, f"{run.started_at:%Y-%m-%d %H:%M}", _seconds(run.duration_s), *counts]
        rows.append([*row, *([run.lake or "–"] if len(lakes) > 1 else []), run.error or ""])
    print_table([*head[:-1], *(["lake"] if len(lakes) > 1 else []), head[-1]], rows)


def _executed(statuses: Iterable[str]) -> int:
    return sum(status not in ("skipped", "blocked") for status in statuses)


def _print_steps(steps: "Sequence[StepRun]") -> None:
    head = ("step", "status", "seconds", "attempts", "rows in", "out", "refused", "duplicate", "peak MB", "reason")
    rows = [
        (
            *(step.name, step.status, _seconds(step.duration_s), step.attempts),
            *(step.rows_in, step.rows_out, step.refused, step.duplicate),
            *("–" if step.peak_bytes is None else round(step.peak_bytes / 1e6), step.reason, step.executed),
        )
        for step in steps
    ]
    print_table((*head, "executed notebook"), rows)


def _print_difference(found: "RunDifference") -> None:
    for place, mark in enumerate("AB"):
        click.echo(f"{mark}  {found.runs[place]}  {found.status[place]}  {_seconds(found.duration_s[place])} s")
    changed = dict(found.params) | ({"engine": found.engine} if found.engine[0] != found.engine[1] else {})
    for name, pair in changed.items():
        click.echo(f"  {name}: {_arrow(pair)}")
    click.echo("")
    head = ("step", "status", "seconds", "rows in", "out", "refused", "duplicate")
    print_table(head, [(step.name, *(_figure(*each) for each in step.figures.items())) for step in found.steps])
    changed_in: dict[str, list[str]] = {}
    for step in found.steps:
        for change in step.changes:
            changed_in.setdefault(change, []).append(step.name)
    if changed_in:
        click.echo("")
        print_table(("changed", "of"), [(change, ", ".join(names)) for change, names in changed_in.items()])
    if found.datasets:
        click.echo("")
        columns = ("dataset", "version", "rows", "columns")
        print_table(columns, [(d.name, _arrow(d.version), _arrow(d.rows), _columns(d)) for d in found.datasets])


def _columns(dataset: "DatasetDifference") -> str:
    said = [f"new {name} {kind}" for name, kind in dataset.new_columns.items()]
    said += [f"gone {name} {kind}" for name, kind in dataset.gone_columns.items()]
    said += [f"{name} {_arrow(kinds)}" for name, kinds in dataset.retyped_columns.items()]
    return "; ".join([*said, *([dataset.note] if dataset.note else [])])


def _figure(name: str, pair: "Pair") -> str:
    shown = (_seconds(pair[0]), _seconds(pair[1])) if name == "duration_s" else pair
    return _arrow(shown)


def _arrow(pair: "Pair") -> str:
    """Two values, or one where they are equal."""
    first, second = (_shown(value) for value in pair)
    return first if first == second else f"{first} → {second}"


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if type(value) is int else str(value)


def _seconds(duration_s: float | None) -> str:
    return "–" if duration_s is None else f"{duration_s:.1f}"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"
