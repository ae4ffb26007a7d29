"""`thresher validate`: a dataset compared with its source."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from thresher.cli.parts import json_flag, lake_option, print_json, print_table

if TYPE_CHECKING:
    from thresher.validation import Validation


@click.command()
@click.argument("dataset", metavar="DATASET")
@click.option(
    "--against", required=True, metavar="URL|FILE|GLOB", help="The source; ${secret:NAME} may stand in a URL."
)
@click.option("--table", metavar="TABLE|QUERY", help="The table or query of a database.")
@click.option("--key", "keys", multiple=True, required=True, metavar="COLUMN", help="Tells rows apart; repeatable.")
@click.option("--limit", type=click.IntRange(min=0), default=20, metavar="N", help="Differences listed (default: 20).")
@lake_option
@json_flag
def validate(
    dataset: str, against: str, table: str | None, keys: Sequence[str], limit: int, lake: str | None, as_json: bool
) -> None:
    """Compare a dataset with its source: rows, sums, keys and every value; exit code 1 where they differ."""
    from thresher import validation
    from thresher.lake import Lake
    from thresher.places import lake_folder
    from thresher.secrets.store import secret

    if "${secret:" in against:
        against = secret(against)
    keys = [name.strip() for each in keys for name in each.split(",")]
    found = validation.validate(Lake(lake_folder(lake)), dataset, against, key=keys, table=table, limit=limit)
    if as_json:
        print_json(asdict(found) | {"is_same": found.is_same})
    else:
        _show(found)
    sys.exit(0 if found.is_same else 1)


def _show(found: "Validation") -> None:
    sums = [(f"sum of {name}", one, found.there.sums[name]) for name, one in found.here.sums.items()]
    rows = [
        ("rows", found.here.rows, found.there.rows),
        ("double keys", found.here.double_keys, found.there.double_keys),
    ]
    print_table(("", found.dataset, "source"), [*rows, *sums])
    for name in found.missing_columns:
        click.echo(f"column {name} is in the source only")
    for name, values in found.impossible.items():
        click.echo(f"column {name}: {values} values of the source fit no shared type and count as null")
    if found.is_same:
        click.echo("no differences")
        return
    click.echo(
        f"{found.only_here} keys only here, {found.only_there} only in the source, {found.changed} with differences"
    )
    print_table(
        ("key", "column", "here", "source"),
        [
            (", ".join(f"{name}={value}" for name, value in each.key.items()), each.column or "", each.here, each.there)
            for each in found.differences
        ],
    )
