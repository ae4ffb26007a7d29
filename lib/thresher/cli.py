"""The command `thresher`. Exit code 0 all good, 1 a step or a check failed, 2 bad usage; errors are one message."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from thresher.cli_parts import Parameter, json_flag, print_json, print_table
from thresher.cli_xml import xml
from thresher.errors import ThresherError, UsageError

if TYPE_CHECKING:
    from thresher.lake import Lake
    from thresher.ledger import Run

CANCELLED = 130


class _Group(click.Group):
    """Commands whose known errors are a message and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ThresherError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except KeyboardInterrupt:
            click.echo("cancelled", err=True)
            ctx.exit(CANCELLED)


_pipeline = click.argument("pipeline", metavar="PIPELINE")
_params = click.option("-p", "params", multiple=True, type=Parameter(), help="Override a parameter; repeatable.")
_lake = click.option("--lake", metavar="DIR", help="The lake's folder (else THRESHER_LAKE, else lake in the project).")
_engine = click.option("--engine", metavar="ENGINE", help="duckdb (default), spark or sc://host:port.")
_site = click.option("--site", metavar="DIR", help="The site's folder (default: site beside the lake).")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="thresher", message="%(version)s")
def main() -> None:
    """Run notebook pipelines, and look at what they made."""
    # A scheduler stops a job with SIGTERM: kernels are to be stopped and the run noted as on Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)


@main.command()
@_pipeline
@_params
@_lake
@_engine
@_site
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Notebooks at once (default: one per core).")
@json_flag
def run(
    pipeline: str,
    params: Sequence[tuple[str, str]],
    lake: str | None,
    engine: str | None,
    site: str | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Run a pipeline: a file, or the bare name of one in pipelines/."""
    from rich.console import Console

    from thresher import runner

    console = Console(stderr=as_json)
    result = runner.run(pipeline, dict(params), lake=lake, engine=engine, site=site, jobs=jobs, console=console)
    if as_json:
        print_json(_run_as_dict(result.run) | {"site": str(result.site)})
    else:
        click.echo(_headline(result.run))
        click.echo(f"site: {result.site}")
    sys.exit(result.exit_code)


@main.command()
@_pipeline
@_params
@_lake
@json_flag
def plan(pipeline: str, params: Sequence[tuple[str, str]], lake: str | None, as_json: bool) -> None:
    """Check a pipeline and show its steps in order; writes nothing."""
    from thresher import pipeline as pipelines

    checked = pipelines.plan(pipeline, dict(params), lake=lake)
    if as_json:
        print_json(asdict(checked))
        return
    click.echo(f"{checked.name}: {checked.description}" if checked.description else checked.name)
    for step in checked.steps:
        marks = [f"engine {step.engine}"] if step.engine else []
        marks += ["report"] if step.is_report else []
        click.echo(f"{step.name}  {step.notebook}{''.join(f'  [{mark}]' for mark in marks)}")
        for verb, datasets in (("reads", step.reads), ("writes", step.writes)):
            if datasets:
                click.echo(f"    {verb} {', '.join(datasets)}")


@main.group(invoke_without_command=True)
@click.option("--pipeline", metavar="NAME", help="Only the runs of this pipeline.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@_lake
@json_flag
@click.pass_context
def runs(ctx: click.Context, pipeline: str | None, limit: int, lake: str | None, as_json: bool) -> None:
    """The latest runs, newest first."""
    if ctx.invoked_subcommand:
        return
    from thresher.ledger import Ledger
    from thresher.places import lake_folder

    found = Ledger.of_lake(lake_folder(lake)).runs(pipeline, limit)
    if as_json:
        print_json([_run_as_dict(each) for each in found])
        return
    for each in found:
        click.echo(_headline(each))
    if not found:
        click.echo("no runs yet")


@runs.command()
@click.argument("run_id", metavar="ID")
@_lake
@json_flag
def show(run_id: str, lake: str | None, as_json: bool) -> None:
    """One run and its steps."""
    from thresher.ledger import Ledger
    from thresher.places import lake_folder

    found = Ledger.of_lake(lake_folder(lake)).run(run_id)
    if as_json:
        print_json(_run_as_dict(found))
        return
    click.echo(_headline(found))
    for name, value in found.params.items():
        click.echo(f"  {name}: {value}")
    print_table(
        ("step", "status", "seconds", "rows in", "out", "refused", "duplicate", "error"),
        [
            (s.name, s.status, _seconds(s.duration_s), s.rows_in, s.rows_out, s.refused, s.duplicate, s.error or "")
            for s in found.steps
        ],
    )


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
@_params
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
def lab() -> None:
    """Start JupyterLab in notebooks/."""
    import os
    from importlib.util import find_spec

    from thresher.project import project_root

    if not find_spec("jupyterlab"):
        raise UsageError("JupyterLab is not installed; run: pip install 'thresher[lab]'")
    folder = project_root() / "notebooks"
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", f"--notebook-dir={folder}"])


@main.group()
def check() -> None:
    """What a pipeline would do: is its SQL portable, do both engines agree."""


@check.command()
@_pipeline
@_params
@_lake
def portable(pipeline: str, params: Sequence[tuple[str, str]], lake: str | None) -> None:
    """Show what the embedded engine would refuse of a pipeline's SQL; runs nothing."""
    from thresher import portability

    result = portability.check(pipeline, dict(params), lake=lake)
    click.echo(result)
    sys.exit(0 if result.is_portable else 1)


@check.command()
@_pipeline
@_params
def parity(pipeline: str, params: Sequence[tuple[str, str]]) -> None:
    """Run a pipeline on both engines and compare table by table."""
    from thresher import parity as engines
    from thresher.pipeline import find

    result = engines.check(find(pipeline), dict(params))
    click.echo(result)
    sys.exit(0 if result.is_equal else 1)


main.add_command(xml)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _open(lake: str | None, engine: str | None = None) -> "Lake":
    from thresher.lake import Lake
    from thresher.places import lake_folder

    folder = lake_folder(lake)
    if not folder.exists():
        raise UsageError(f"no lake at {folder}. Run a pipeline first, or name another folder with --lake.")
    return Lake(folder, engine)


def _headline(run: "Run") -> str:
    error = f"  {run.error}" if run.error else ""
    seconds = "" if run.duration_s is None else f"  {run.duration_s:.1f} s"
    return f"{run.id}  {run.status}{seconds}  {run.started_at:%Y-%m-%d %H:%M} UTC{error}"


def _seconds(duration_s: float | None) -> str:
    return "–" if duration_s is None else f"{duration_s:.1f}"


def _run_as_dict(run: "Run") -> dict[str, Any]:
    return asdict(run) | {"duration_s": run.duration_s}
