"""What all commands share: parameters by name, and results as JSON or as a table."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import click


class Parameter(click.ParamType[tuple[str, str]]):
    """An option's value of the form name=value."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not equals or not name:
            self.fail(f"found {value!r}, expected name=value", param, ctx)
        return name, text


json_flag = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


def print_json(value: Any) -> None:
    """A value as JSON; dates in ISO 8601, bytes in hex."""
    click.echo(json.dumps(value, default=_as_json, ensure_ascii=False, indent=2))


def _as_json(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns as wide as they need: figures to the right, text to the left."""
    shown = [list(head)] + [[f"{each:,}" if isinstance(each, int) else str(each) for each in row] for row in rows]
    columns = list(zip(*shown, strict=True))
    widths = [max(map(len, column)) for column in columns]
    is_figure = [all(text.replace(",", "").replace(".", "").isdigit() for text in column[1:]) for column in columns]
    for row in shown:
        cells = zip(row, widths, is_figure, strict=True)
        click.echo("  ".join(c.rjust(width) if right else c.ljust(width) for c, width, right in cells).rstrip())
