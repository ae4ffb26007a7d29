"""`thresher watch`: a pipeline in near real time."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from thresher.cli.parts import lake_option, params_option


class _Duration(click.ParamType[float]):
    """An option's value that is a duration, in seconds: 10s, 1.5m, 2h."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from thresher.errors import UsageError
        from thresher.running.step_settings import duration

        try:
            return duration(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("pipeline", metavar="PIPELINE")
@params_option
@click.option("--every", type=_Duration(), metavar="TIME", help="Run it that often, too (10s, 5m): for databases.")
@click.option("--until-idle", type=_Duration(), metavar="TIME", help="End when nothing was to be done for that long.")
@lake_option
@click.option("--engine", metavar="ENGINE", help="duckdb (default), spark or sc://host:port.")
@click.option("--site", metavar="DIR", help="The site's folder (default: site beside the lake).")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Notebooks at once (default: one per core).")
def watch(
    pipeline: str,
    params: Sequence[tuple[str, str]],
    every: float | None,
    until_idle: float | None,
    lake: str | None,
    engine: str | None,
    site: str | None,
    jobs: int | None,
) -> None:
    """Run a pipeline whenever its landing changes, until stopped (Ctrl-C, SIGTERM).

    Each run is told with the time from the writing of a file to its rows in the dataset. A run that failed is tried
    again when landing changes.
    """
    from thresher.watching import Watcher

    watcher = Watcher(pipeline, dict(params), every_s=every, say=_say, lake=lake, engine=engine, site=site, jobs=jobs)
    watcher.run(until_idle_s=until_idle)


def _say(text: str) -> None:
    click.echo(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}", err=True)
