"""The command `thresher`. Exit code 0 all good, 1 a step or a check failed, 2 bad usage; errors are one message."""

import gc
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, Any, Unpack

import click

from thresher.cli.checks import checks
from thresher.cli.copy import copy
from thresher.cli.export import export
from thresher.cli.files import drift, files
from thresher.cli.notebooks import kernels, notebooks
from thresher.cli.parts import (
    Command,
    Day,
    environment_option,
    json_flag,
    lake_option,
    params_option,
    print_json,
    print_table,
)
from thresher.cli.pipeline_help import PipelineCommand
from thresher.cli.quarantine import quarantine
from thresher.cli.runs import headline, run_as_dict, runs
from thresher.cli.schedule import backfill, schedule
from thresher.cli.secrets import secrets
from thresher.cli.validate import validate
from thresher.cli.watch import watch
from thresher.cli.xml import xml
from thresher.disk_space import full, is_full
from thresher.errors import ThresherError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from thresher.lake import Lake
    from thresher.pipeline import Step
    from thresher.runner import RunOptions
    from thresher.running.decisions import Decision

CANCELLED = 130


class _Group(click.Group):
    """Commands whose known errors are a message and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ThresherError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except OSError as error:
            if not is_full(error):
                raise
            click.echo(f"error: {full(error.filename or 'a file', error.filename or 'the temporary folder')}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("cancelled", err=True)
            ctx.exit(CANCELLED)


_pipeline = click.argument("pipeline", metavar="PIPELINE")
_date = click.option("--date", type=Day(), help="The day that the run is for, ${run.date} (default: today in UTC).")
_lake = lake_option
_engine = click.option("--engine", metavar="ENGINE", help="duckdb (default), spark or sc://host:port.")
_select = click.option(
    "--select",
    multiple=True,
    metavar="STEP",
    help="Only STEP; STEP+ and those after it, +STEP before it, state:failed.",
)
_force = click.option("--force", is_flag=True, help="Run the steps even if nothing changed.")
_site = click.option("--site", metavar="DIR", help="The site's folder (default: site beside the lake).")


def _run_options(command: Command) -> Command:
    """What `run` and `plan` have in common: the fields of `RunOptions` that tell what a run would do."""
    for option in (json_flag, _force, _select, _site, _engine, _lake, _date, params_option, _pipeline):
        command = option(command)
    return command


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="thresher", message="%(version)s")
def main() -> None:
    """Run notebook pipelines, and look at what they made."""
    # A scheduler stops a job with SIGTERM: kernels are to be stopped and the run noted as on Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)


@main.command(cls=PipelineCommand)
@_run_options
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Notebooks at once (default: one per core).")
@click.option("--resume", is_flag=True, help="Continue the last run, or fail when it cannot be.")
def run(pipeline: str, params: Sequence[tuple[str, str]], as_json: bool, **options: "Unpack[RunOptions]") -> None:
    """Run a pipeline: a file, or the bare name of one in pipelines/.

    A step is skipped when nothing has changed that its result depends on. A run that failed or was killed is
    continued, under its id, by running again.
    """
    gc.set_threshold(50_000)  # or loading libraries would look for garbage hundreds of times
    from rich.console import Console

    from thresher import runner

    console = Console(stderr=as_json)
    result = runner.run(pipeline, dict(params), console=console, **options)
    if as_json:
        print_json(run_as_dict(result.run) | {"site": str(result.site)})
    else:
        click.echo(headline(result.run))
        click.echo(f"site: {result.site}")
    gc.freeze()  # or Python would look through all libraries for garbage before it ends
    sys.exit(result.exit_code)


@main.command(cls=PipelineCommand)
@_run_options
def plan(pipeline: str, params: Sequence[tuple[str, str]], as_json: bool, **options: "Unpack[RunOptions]") -> None:
    """Check a pipeline and show what a run would do with each step, and why; writes nothing.

    run: its result is out of date. skip: nothing changed. wait: that depends on what the steps before it bring.
    """
    from thresher import runner
    from thresher.many_tables import base_of

    checked, decisions = runner.preview(pipeline, dict(params), **options)
    if as_json:
        by_name = {decision.step: asdict(decision) for decision in decisions}
        found = asdict(checked)
        print_json(found | {"steps": [step | by_name[step["name"]] for step in found["steps"]]})
        return
    click.echo(f"{checked.name}: {checked.description}" if checked.description else checked.name)
    width = max(len(step.name) for step in checked.steps)
    shown = ""
    for step, decision in zip(checked.steps, decisions, strict=True):
        marks = [f"engine {step.engine}"] if step.engine else []
        marks += ["report"] if step.is_report else []
        is_timed = decision.expected_s is not None and decision.action != "skip"
        expected = f", about {decision.expected_s:.1f} s" if is_timed else ""
        click.echo(f"{decision.action:4}  {step.name:{width}}  {decision.reason}{expected}")
        if base_of(step.name) != shown:  # of many items, once
            click.echo(f"      {step.notebook}{''.join(f'  [{mark}]' for mark in marks)}")
        shown = base_of(step.name) if base_of(step.name) != step.name else ""
        for verb, datasets in (("reads", step.reads), ("writes", step.writes)):
            if datasets:
                click.echo(f"      {verb} {', '.join(datasets)}")
    _tell_copies(checked.steps, options.get("lake"))
    click.echo(_total(decisions))


@main.command()
@_lake
@json_flag
def tables(lake: str | None, as_json: bool) -> None:
    """The datasets in the lake."""
    found = _open(lake).tables()
    if as_json:
        print_json([asdict(each) for each in found])
        return
    print_table(
        ("dataset", "rows", "columns", "bytes", "version", "updated (UTC)"),
        [(t.name, t.rows, len(t.columns), t.bytes, t.version, f"{t.updated_at:%Y-%m-%d %H:%M}") for t in found],
    )


@main.command()
@click.argument("query")
@params_option
@_lake
@_engine
@json_flag
def sql(query: str, params: Sequence[tuple[str, str]], lake: str | None, engine: str | None, as_json: bool) -> None:
    """The rows of a query in Spark's SQL; :name stands for -p name=…"""
    from thresher.pipeline_file import parse_value

    try:
        values = {name: parse_value(text) for name, text in params}
    except ValueError as error:
        raise UsageError(f"-p: {error}") from error
    rows = _open(lake, engine).sql(query, values)
    if as_json:
        print_json(rows.to_arrow().to_pylist())
    else:
        click.echo(repr(rows))


@main.command()
@_lake
@_site
def site(lake: str | None, site: str | None) -> None:
    """Write the site's index anew and print its path."""
    from thresher import site as pages
    from thresher.ledger import Ledger
    from thresher.places import lake_folder, site_folder

    folder = lake_folder(lake)
    opened = _open(lake)
    click.echo(pages.build(site_folder(folder, site), opened, Ledger.of_lake(folder)))


@main.command()
@environment_option
def lab() -> None:
    """Start JupyterLab in notebooks/, with kernels that start at once."""
    import os
    from importlib.util import find_spec

    from thresher.kernels.specs import with_warm_kernels
    from thresher.project import project_root

    if not find_spec("jupyterlab"):
        raise UsageError("JupyterLab is not installed; run: pip install 'thresher[lab]'")
    folder = project_root() / "notebooks"
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={folder}"]
    os.execve(sys.executable, command, with_warm_kernels(os.environ))


@main.group()
def check() -> None:
    """Is a pipeline's SQL portable, do both engines agree, do the notebooks still give what they show."""


@check.command()
@_pipeline
@params_option
@_lake
def portable(pipeline: str, params: Sequence[tuple[str, str]], lake: str | None) -> None:
    """Show what the embedded engine would refuse of a pipeline's SQL; runs nothing."""
    from thresher import portability

    result = portability.check(pipeline, dict(params), lake=lake)
    click.echo(result)
    sys.exit(0 if result.is_portable else 1)


@check.command()
@_pipeline
@params_option
@click.option("--engine", default="spark", metavar="ENGINE", help="Compare with: spark (default), sc://host:port.")
@environment_option
def parity(pipeline: str, params: Sequence[tuple[str, str]], engine: str) -> None:
    """Run a pipeline on both engines and compare table by table."""
    from thresher import parity as engines
    from thresher.pipeline import check_engine, find
    from thresher.places import engine_name

    result = engines.check(find(pipeline), dict(params), other_engine=check_engine(engine_name(engine)))
    click.echo(result)
    sys.exit(0 if result.is_equal else 1)


main.add_command(runs)
main.add_command(checks)
main.add_command(secrets)
main.add_command(copy)
main.add_command(validate)
main.add_command(xml)
main.add_command(kernels)
check.add_command(notebooks)
for command in (schedule, backfill, export, files, drift, quarantine, watch):
    main.add_command(command)


def _tell_copies(steps: "Sequence[Step]", lake: "Path | str | None") -> None:
    """Which datasets a run would first copy from the lake that its environment is a copy of."""
    from thresher import environments
    from thresher.places import lake_folder

    folder = lake_folder(lake)
    environment = environments.of_lake(folder)
    if environment and environment.copy_of:
        from thresher.shallow_copy import needed

        for name in needed(environment.copy_of, folder, steps):
            click.echo(f"copy  {name} from {environment.copy_of}")


def _total(decisions: "Sequence[Decision]") -> str:
    """How many steps would run, and how long that takes."""
    counts = [f"{sum(each.action == action for each in decisions)} {action}" for action in ("run", "wait", "skip")]
    todo = [each.expected_s for each in decisions if each.action != "skip"]
    if not todo:
        return "nothing to do"
    known = [each for each in todo if each is not None]
    unknown = "" if len(known) == len(todo) else ", without the steps that never ran"
    time = f"; at most {sum(known):.1f} s of notebooks{unknown}" if known else ""
    return f"{', '.join(counts)}{time}"


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _open(lake: str | None, engine: str | None = None) -> "Lake":
    from thresher.lake import Lake
    from thresher.places import engine_name, lake_folder

    folder = lake_folder(lake)
    if not folder.exists():
        raise UsageError(f"no lake at {folder}. Run a pipeline first, or name another folder with --lake.")
    return Lake(folder, engine_name(engine))
