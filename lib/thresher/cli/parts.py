"""What all commands share: parameters by name, and results as JSON or as a table."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from thresher.spark_address import take_token

Command = TypeVar("Command", bound=Callable[..., Any])


class Parameter(click.ParamType[tuple[str, str]]):
    """An option's value of the form name=value."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not equals or not name:
            self.fail(f"found {value!r}, expected name=value", param, ctx)
        return name, text


def _each_once(
    ctx: click.Context, param: click.Parameter, given: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    values = dict(given)
    for name, value in given:
        if values[name] != value:
            raise click.BadParameter(f"{name} is given twice, as {value!r} and {values[name]!r}", ctx, param)
    return given


params_option = click.option(
    "-p", "params", multiple=True, type=Parameter(), callback=_each_once, help="Override a parameter; repeatable."
)


class Day(click.ParamType[date]):
    """An option's value that is a day: 2026-11-01."""

    name = "yyyy-mm-dd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        from thresher.parameters.types import is_date

        if not is_date(value):
            self.fail(f"found {value!r}, expected a day as YYYY-MM-DD", param, ctx)
        return date.fromisoformat(value)


def _enter(ctx: click.Context, param: click.Parameter, name: str | None) -> None:
    if not ctx.resilient_parsing:
        from thresher.environments import entered

        ctx.with_resource(entered(name))


environment_option = click.option(
    "--env",
    metavar="NAME",
    is_eager=True,
    expose_value=False,
    callback=_enter,
    help="The environment of thresher.yml that is meant (else THRESHER_ENV, else its default).",
)
_lake = click.option(
    "--lake", metavar="DIR", help="The lake's folder (default: the environment's, else THRESHER_LAKE, else lake)."
)


def lake_option(command: Command) -> Command:
    """The options of every command that works on a lake: --env, and --lake where another one is meant."""
    return environment_option(_lake(command))


def run_options(*, lake: Path, engine: str | None, site: str | None, jobs: int | None) -> list[str]:
    """The options of `thresher run` for a process that knows nothing of this one."""
    given = {"--env": os.environ.get("THRESHER_ENV"), "--lake": lake, "--jobs": jobs}
    given |= {"--engine": engine and take_token(engine)}  # others may see the options of a process
    given |= {"--site": site and Path(site).resolve()}
    return [str(part) for name, value in given.items() if value is not None for part in (name, value)]


json_flag = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


def print_json(value: Any) -> None:
    """A value as JSON; dates in ISO 8601, bytes in hex."""
    click.echo(json.dumps(value, default=_as_json, ensure_ascii=False, indent=2))


def _as_json(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def printable(text: object, most: int = 200) -> str:
    """A text from outside on one line: what would steer a terminal is escaped, what is long is cut.

    >>> printable("Ä\\x1b[31m\\n"), printable("abc", 2), printable(None)
    ('Ä\\\\x1b[31m\\\\n', 'ab…', '')
    """
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(text or "")[: most + 1])
    return shown if len(shown) <= most else shown[:most] + "…"


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns as wide as they need: figures to the right, text to the left."""
    shown = [list(head)] + [[f"{each:,}" if isinstance(each, int) else str(each) for each in row] for row in rows]
    columns = list(zip(*shown, strict=True))
    widths = [max(map(len, column)) for column in columns]
    is_figure = [all(text.replace(",", "").replace(".", "").isdigit() for text in column[1:]) for column in columns]
    for row in shown:
        cells = zip(row, widths, is_figure, strict=True)
        click.echo("  ".join(c.rjust(width) if right else c.ljust(width) for c, width, right in cells).rstrip())
