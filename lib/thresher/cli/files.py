"""`thresher files` and `thresher drift`: which landing files were seen, and how their columns differed."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from thresher.cli.parts import json_flag, lake_option, print_json, print_table, printable

if TYPE_CHECKING:
    from thresher.ingest.file_ledger import FileLedger

_dataset = click.argument("dataset", metavar="[DATASET]", required=False)


@click.command()
@_dataset
@click.option("--state", metavar="STATE", help="Only those: loaded, refused, duplicate, changed, retry, …")
@lake_option
@json_flag
def files(dataset: str | None, state: str | None, lake: str | None, as_json: bool) -> None:
    """The landing files that were seen for a dataset, or for all, and what became of them."""
    from thresher.errors import UsageError
    from thresher.ingest.file_ledger import STATES

    if state and state not in STATES:
        raise UsageError(f"--state {state!r} is unknown; expected one of {', '.join(STATES)}")
    found = [
        {
            "dataset": file.dataset,
            "path": file.path,
            "bytes": file.size,
            "state": file.state,
            "rows": file.rows,
            "written_at": datetime.fromtimestamp(file.modified_ns / 1e9, UTC),
            "loaded_at": file.loaded_at,
            "run": file.run_id,
            "error": file.error,
            "checksum": file.checksum,
        }
        for file in _ledger(lake).files(dataset, state)
    ]
    _print(found, as_json, hidden=("checksum",))


@click.command()
@_dataset
@lake_option
@json_flag
def drift(dataset: str | None, lake: str | None, as_json: bool) -> None:
    """How the columns of a dataset, or of all, differed from those of their files, oldest first."""
    _print(_ledger(lake).drift(dataset), as_json)


def _ledger(lake: str | None) -> "FileLedger":
    from thresher.errors import UsageError
    from thresher.ingest.file_ledger import FileLedger
    from thresher.places import lake_folder

    folder = lake_folder(lake)
    if not folder.exists():
        raise UsageError(f"no lake at {folder}. Run a pipeline first, or name another folder with --lake.")
    return FileLedger(folder)


def _print(rows: list[dict[str, Any]], as_json: bool, hidden: Iterable[str] = ()) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        names = [name for name in rows[0] if name not in hidden]
        print_table(names, [[_shown(row[name]) for name in names] for row in rows])
    else:
        click.echo("none")


def _shown(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return value if isinstance(value, int) else printable(value)
