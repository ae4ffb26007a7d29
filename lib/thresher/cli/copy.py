"""`thresher copy`: datasets of the lake that an environment is a copy of."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import click

from thresher.cli.parts import environment_option
from thresher.errors import DatasetNotFound, UsageError


@click.command()
@click.argument("datasets", metavar="DATASET…", nargs=-1, required=True)
@environment_option
@click.option("--full", is_flag=True, help="Copy the data, too; else the files are shared by hard links.")
@click.option("--replace", is_flag=True, help="Those that are there already are lost and copied anew.")
def copy(datasets: Sequence[str], full: bool, replace: bool) -> None:
    """Copy datasets (names or patterns such as 'mart.*') from the environment that this one is a copy_of.

    A run copies by itself what its steps need and the lake lacks.
    """
    from thresher import environments, shallow_copy
    from thresher.lake import Lake

    environment = environments.current()
    if environment is None or environment.copy_of is None:
        which = f"environment {environment.name} has no copy_of" if environment else "no environment is named (--env)"
        raise UsageError(f"nothing to copy from: {which}. Expected one with copy_of in {environments.FILE}")
    there = Lake(environment.copy_of, "duckdb").names()
    for pattern in datasets:
        names = [name for name in there if fnmatchcase(name, pattern)]
        if not names:
            raise DatasetNotFound(
                f"no dataset {pattern} in lake {environment.copy_of}, which holds: {', '.join(there) or 'nothing'}"
            )
        for name in names:
            click.echo(shallow_copy.copy(environment.copy_of, environment.lake, name, full=full, replace=replace))
