"""`thresher quarantine`: what was refused, why, its bytes, and another try after a fix."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from thresher.cli.parts import json_flag, lake_option, print_json, print_table, printable

if TYPE_CHECKING:
    from thresher.lake import Lake

_SHOWN_BYTES = 400
_ORDER = "source, line, length(key), key, path, rule, reason"

_dataset = click.argument("dataset", metavar="DATASET")


@click.group()
def quarantine() -> None:
    """What was refused on the way into datasets."""


@quarantine.command("list")
@click.argument("dataset", metavar="[DATASET]", required=False)
@lake_option
@json_flag
def list_(dataset: str | None, lake: str | None, as_json: bool) -> None:
    """How much was refused, by dataset and rule, and how many files wait to be tried again."""
    from thresher.datasets import quarantine_of, quarantined
    from thresher.ingest.file_ledger import FileLedger

    opened = _open(lake)
    names = opened.names("quarantine")
    waiting: dict[str, int] = defaultdict(int)
    for file in FileLedger(opened.path).files(dataset, "retry"):
        waiting[file.dataset] += 1
    found = []
    for name in [each for each in names if not dataset or each == quarantine_of(dataset)]:
        query = f"select rule, count(distinct source) as sources, count(*) as refused from {name} group by rule"
        found += [
            {"dataset": quarantined(name), **row, "files to be tried again": waiting[quarantined(name)]}
            for row in opened.sql(f"{query} order by rule").to_arrow().to_pylist()
        ]
    if as_json:
        print_json(found)
    elif found:
        print_table(list(found[0]), [list(row.values()) for row in found])
    else:
        click.echo("nothing is in quarantine")


@quarantine.command()
@_dataset
@click.option("--source", metavar="FILE", help="Only what was refused of that file.")
@click.option("--limit", type=click.IntRange(min=1), default=20, metavar="N", help="How much is shown (default: 20).")
@click.option("--bytes", "number", type=click.IntRange(min=1), metavar="N", help="Write the bytes of the Nth alone.")
@lake_option
@json_flag
def show(dataset: str, source: str | None, limit: int, number: int | None, lake: str | None, as_json: bool) -> None:
    """What was refused of a dataset: where it stood, why, and its content as text; what is no text is escaped."""
    opened = _open(lake)
    if number:
        click.echo(_bytes(opened, dataset, number), nl=False)
        return
    rows = _refused(opened, dataset, source, limit)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        place = [f"{name} {row[name]}" for name in ("key", "line", "column", "path") if row[name] is not None]
        click.echo(f"{row['number']}. {' '.join([printable(row['source']), *map(printable, place)])}: {row['rule']}")
        click.echo(f"   {printable(row['reason'], 1000)}")
        if row["bytes"]:
            click.echo(f"   {row['bytes']:,} bytes: {printable(row['content'])}")
    if not rows:
        click.echo("nothing is in quarantine")


@quarantine.command()
@_dataset
@click.option("--source", "sources", multiple=True, metavar="FILE", help="Only that file, or pattern; repeatable.")
@lake_option
@json_flag
def retry(dataset: str, sources: Sequence[str], lake: str | None, as_json: bool) -> None:
    """Have the next run read again what was refused of files; what the dataset has already stays as it is."""
    from dataclasses import asdict

    from thresher.ingest.retrying import retry

    found = retry(_open(lake), dataset, sources)
    if as_json:
        print_json(asdict(found))
        return
    click.echo(
        f"{dataset}: the next run reads {len(found.files)} files again: {found.whole} that were refused, "
        f"and {found.rows} refused rows of the others"
    )
    for name in found.gone:
        click.echo(f"no longer in landing, stays in quarantine: {printable(name)}")


def _refused(lake: "Lake", dataset: str, source: str | None, limit: int) -> list[dict[str, Any]]:
    query = (
        f"select number, source, key, path, line, column, rule, reason, run, length(content) as bytes, "
        f"substring(content, 1, {_SHOWN_BYTES}) as content from ({_numbered(lake, dataset)}) "
        f"where :source is null or source = :source order by number limit {limit}"
    )
    rows: list[dict[str, Any]] = lake.sql(query, {"source": source}).to_arrow().to_pylist()
    for row in rows:
        row["content"] = (row["content"] or b"").decode("utf-8", "backslashreplace")
    return rows


def _bytes(lake: "Lake", dataset: str, number: int) -> bytes:
    from thresher.errors import UsageError

    query = f"select content from ({_numbered(lake, dataset)}) where number = :number"
    found = lake.sql(query, {"number": number}).to_arrow().column("content").to_pylist()
    if not found:
        raise UsageError(f"{dataset}: number {number} is not in its quarantine; `thresher quarantine show` lists them")
    return found[0] or b""


def _numbered(lake: "Lake", dataset: str) -> str:
    from thresher.datasets import quarantine_of
    from thresher.errors import DatasetNotFound

    name = quarantine_of(dataset)
    if not lake.exists(name):
        raise DatasetNotFound(f"{dataset}: nothing of it is in quarantine")
    return f"select *, row_number() over (order by {_ORDER}) as number from {name}"


def _open(lake: str | None) -> "Lake":
    from thresher.errors import UsageError
    from thresher.lake import Lake
    from thresher.places import lake_folder

    folder = lake_folder(lake)
    if not folder.exists():
        raise UsageError(f"no lake at {folder}. Run a pipeline first, or name another folder with --lake.")
    return Lake(folder, "duckdb")
