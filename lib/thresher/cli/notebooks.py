"""The commands `thresher check notebooks` and `thresher kernels …`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from thresher.cli.parts import json_flag, print_json
from thresher.errors import UsageError

if TYPE_CHECKING:
    from thresher.kernels.servers import Status
    from thresher.notebook_checks.checks import Checked


@click.group()
def kernels() -> None:
    """Kernels for Jupyter that start at once, forked from a server with the heavy libraries loaded."""


@kernels.command()
@click.option("--prefix", metavar="DIR", default=sys.prefix, help="Of the environment (default: this one).")
def install(prefix: str) -> None:
    """Install the kernel `thresher` (Python 3 (warm)) for this environment's Jupyter tools."""
    from thresher.kernels import specs

    try:
        click.echo(specs.install(prefix))
    except OSError as error:
        raise UsageError(f"the kernel cannot be installed: {error}. Give another folder with --prefix.") from error


@kernels.command()
@json_flag
def status(as_json: bool) -> None:
    """The servers that run, and their kernels."""
    from dataclasses import asdict

    from thresher.kernels import servers

    found = servers.status()
    if as_json:
        print_json([asdict(each) for each in found])
        return
    for each in found:
        click.echo(_described(each))
    if not found:
        click.echo("no server runs; the first warm kernel starts one")


@kernels.command()
@click.option("--kill", is_flag=True, help="Their kernels, too; else these go on until they are closed.")
def stop(kill: bool) -> None:
    """End the servers; the next warm kernel starts a new one."""
    from thresher.kernels import servers

    found = servers.stop(kill=kill)
    for each in found:
        ending = "killed" if kill else "its kernels go on until they are closed"
        click.echo(f"stopped: {_described(each)}{f'; {ending}' if each.kernels else ''}")
    if not found:
        click.echo("no server runs")


def _described(server: "Status") -> str:
    number = len(server.kernels)
    kernels = f" ({', '.join(map(str, server.kernels))})" if number else ""
    return f"server {server.pid}, {number or 'no'} kernel{'s' * (number != 1)}{kernels}"


@click.command()
@click.argument("paths", metavar="[PATHS]…", nargs=-1, type=click.Path(path_type=Path))
@click.option("--accept", is_flag=True, help="Show what differs, and keep it as the committed outputs.")
@click.option("--yes", is_flag=True, help="With --accept: do not ask.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Notebooks at once (default: one per core).")
@json_flag
def notebooks(paths: Sequence[Path], accept: bool, yes: bool, jobs: int | None, as_json: bool) -> None:
    """Run notebooks (files or folders; default: notebooks/) and compare with the outputs that they show.

    They run in a copy of the project, on a lake that its pipelines have filled.
    """
    from thresher.notebook_checks import acceptance, checks
    from thresher.notebook_checks.report import as_text, summary

    if accept and as_json and not yes:
        raise UsageError("--accept asks before it writes, which --json leaves no room for; add --yes")
    found: list[Checked] = []
    accepted: list[Checked] = []
    for each in checks.check(paths, jobs=jobs, tell=lambda line: click.echo(line, err=True), is_strict=accept):
        found.append(each)
        if not as_json:
            click.echo(as_text(each, every_difference=accept))
    if accept:
        changed = [each for each in found if each.is_acceptable]
        if changed and (yes or _agreed(len(changed))):
            for each in changed:
                acceptance.accept(each)
            accepted = changed
    if as_json:
        print_json([each.as_dict() | ({"status": "accepted"} if each in accepted else {}) for each in found])
    else:
        click.echo(summary(found, accepted))
    sys.exit(0 if all(each.is_good or each in accepted for each in found) else 1)


def _agreed(number: int) -> bool:
    try:
        return click.confirm(f"Keep these outputs in {number} notebook{'s' * (number != 1)}?")
    except click.Abort:
        raise UsageError("nobody answered, so nothing was accepted; look at what is shown, then add --yes") from None
