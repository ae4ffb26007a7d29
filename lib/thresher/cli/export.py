"""The command `thresher export`: a pipeline's schedule for other schedulers."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from thresher.cli.parts import lake_option, params_option, run_options


@click.group()
def export() -> None:
    """A pipeline's schedule for other schedulers."""


_engine = click.option("--engine", metavar="ENGINE", help="duckdb (default), spark or sc://host:port.")
_out = click.option("--out", metavar="PATH", help="Write there, instead of to the terminal.")
_pipeline = click.argument("pipeline", metavar="PIPELINE")


@export.command()
@_pipeline
@params_option
@lake_option
@_out
def crontab(pipeline: str, params: Sequence[tuple[str, str]], lake: str | None, out: str | None) -> None:
    """The lines of a crontab; add them with crontab -e."""
    from thresher.exporters import cron_table
    from thresher.pipeline import plan
    from thresher.places import lake_folder

    folder = lake_folder(lake)
    _put(cron_table.export(plan(pipeline, dict(params), lake=folder), _run_command(pipeline, params, folder)), out)


@export.command()
@_pipeline
@params_option
@lake_option
@click.option("--out", metavar="DIR", help="Write the two files there, such as ~/.config/systemd/user.")
def systemd(pipeline: str, params: Sequence[tuple[str, str]], lake: str | None, out: str | None) -> None:
    """A service and a timer; enable the timer with systemctl enable --now."""
    from thresher.exporters import systemd as units
    from thresher.pipeline import plan
    from thresher.places import lake_folder

    folder = lake_folder(lake)
    found = units.export(plan(pipeline, dict(params), lake=folder), _run_command(pipeline, params, folder))
    for name, text in found.items():
        _put(text if out else f"# {name}\n{text}", str(Path(out).expanduser() / name) if out else None)


@export.command()
@_pipeline
@params_option
@lake_option
@_engine
@_out
def airflow(
    pipeline: str, params: Sequence[tuple[str, str]], lake: str | None, engine: str | None, out: str | None
) -> None:
    """A DAG for Airflow 3, with a papermill operator for each step."""
    from thresher.exporters import airflow as dag
    from thresher.pipeline import check_engine, plan
    from thresher.places import engine_name, lake_folder

    folder = lake_folder(lake)
    checked = plan(pipeline, dict(params), lake=folder)
    _put(dag.export(checked, folder, check_engine(engine_name(engine))), out)


def _run_command(pipeline: str, params: Sequence[tuple[str, str]], lake: Path) -> list[str]:
    from thresher.pipeline import find

    given = [part for name, value in params for part in ("-p", f"{name}={value}")]
    options = run_options(lake=lake, engine=None, site=None, jobs=None)
    return [sys.executable, "-m", "thresher", "run", str(find(pipeline).resolve()), *options, *given]


def _put(text: str, out: str | None) -> None:
    from thresher.errors import UsageError
    from thresher.files import replace

    if out is None:
        click.echo(text, nl=False)
        return
    try:
        replace(Path(out), text.encode())
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written: {error.strerror}") from error
    click.echo(out)
