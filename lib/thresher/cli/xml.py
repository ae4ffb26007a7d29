"""The commands `thresher xml …`: documents in files, their schema, and what they are as nested rows or tables."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thresher.cli.parts import Parameter, json_flag, print_json, print_table
from thresher.cli.xml_reading import Documents, schema_for, schema_of
from thresher.cli.xml_result import as_text, blank, finish, note_unread, print_paths
from thresher.errors import UsageError

if TYPE_CHECKING:
    from thresher.xml import Schema, Source

_DOCUMENTS = (
    click.option("--column", metavar="C", help="The column with the documents (XML files: its name in the result)."),
    click.option("--row-tag", metavar="TAG", help="Cut XML files into one document per element of this name."),
    click.option(
        "--from", "format", default="auto", metavar="FORMAT", help="parquet, delta, csv, jsonl or xml (auto)."
    ),
    click.option("--encoding", metavar="NAME", help="The encoding of a CSV file, if not UTF-8."),
    click.option("--delimiter", metavar="CHAR", help="What separates the values of a CSV file, if not evident."),
    click.option(
        "--dialect", type=click.Choice(["exact", "spark"]), help="exact (default): lose nothing; or as Spark."
    ),
    click.option("-o", "settings", multiple=True, type=Parameter(), help="An option of xml.Options; repeatable."),
)
_SCHEMA = (
    click.option("--schema", "schema_file", metavar="FILE", help="Read by this schema, and do not learn one first."),
    click.option("--declare", metavar="DDL", help="Lay types over the schema: 'a int, b array<string>'."),
)
_RESULT = (
    click.option("--to", type=click.Choice(["parquet", "delta", "jsonl"]), help="Else by the name after --out."),
    click.option("--strict", is_flag=True, help="Exit with 1 where anything was refused."),
    json_flag,
)


@dataclass(frozen=True)
class _Conversion:
    """What `flatten` and `tables` are asked for."""

    documents: Documents
    file: str
    out: str
    to: str | None
    schema_file: str | None
    declare: str | None
    strict: bool
    as_json: bool

    @classmethod
    def of(cls, given: dict[str, Any]) -> "_Conversion":
        """From the values of all options. Raises UsageError where the result would replace what is read."""
        about = {field.name: given.pop(field.name) for field in fields(Documents)}
        asked = cls(Documents(**about), **given)
        _require_another_place(asked.file, asked.out)
        if asked.schema_file:
            _require_another_place(asked.schema_file, asked.out)
        return asked

    def schema(self, source: "Source") -> "Schema":
        """The schema that is named, or else learnt."""
        return schema_for(source, self.documents, self.schema_file, self.declare)


def _options(*groups: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    flat = [option for group in groups for option in group]
    return lambda command: reduce(lambda made, option: option(made), reversed(flat), command)


@click.group()
def xml() -> None:
    """XML documents in files: their schema, and what they are as rows."""


@xml.command()
@click.argument("file", metavar="FILE")
@_options(_DOCUMENTS, _SCHEMA[1:])
@click.option("--format", "shown", type=click.Choice(["ddl", "json", "paths"]), help="Only this (else DDL and paths).")
@click.option("--out", metavar="FILE", help="Write the schema here: as JSON, or as --format says.")
@json_flag
def schema(file: str, declare: str | None, shown: str | None, out: str | None, as_json: bool, **about: Any) -> None:
    """Learn the schema of all documents in FILE: Parquet, CSV, JSON lines, XML, or a folder of them."""
    from thresher import files
    from thresher.xml.outputs import require_place

    if out:
        _require_another_place(file, out)
        require_place(Path(out), "json")
    documents = Documents(**about)
    source = documents.open(file)
    found = schema_for(source, documents, None, declare)
    note_unread(source)
    read = f"documents read: {found.documents:,} of {source.reading.documents:,}{blank(source.reading)}"
    if out:
        try:
            files.replace(Path(out), as_text(found, shown or "json").encode())
        except OSError as error:
            raise UsageError(f"--out {out}: cannot be written: {error}") from error
    if as_json:
        counts = {"documents": source.reading.documents, "blank": source.reading.blank, "read": found.documents}
        print_json({**counts, "ddl": found.ddl, "paths": found.paths.to_pylist()})
    elif out:
        click.echo(f"{out}: {found.paths.num_rows:,} paths; {read}")
    elif shown in ("ddl", "json"):
        click.echo(as_text(found, shown), nl=False)
    else:
        if shown is None:
            click.echo(f"{found.ddl}\n\n{read}")
        print_paths(found)


@xml.command()
@click.argument("file", metavar="FILE")
@_options(_DOCUMENTS, _SCHEMA)
@click.option("--out", required=True, metavar="OUT", help="The file to write; for Delta a folder.")
@_options(_RESULT)
def flatten(**given: Any) -> None:
    """Write the rows of FILE with the documents as nested values, beside the columns _rescued and _errors.

    Documents and values that cannot be read are null, their errors in _errors. Exit code 1: not one document could be
    read, and nothing was written; or, with --strict, anything was refused.
    """
    from thresher.cli.progress import PassProgress
    from thresher.xml.conversion import flatten_file
    from thresher.xml.outputs import require_place

    asked = _Conversion.of(given)
    format = asked.to or _format_of(asked.out)
    require_place(Path(asked.out), format)
    source = asked.documents.open(asked.file)
    known = asked.schema(source)
    with PassProgress() as progress:
        passing = progress.batches("flattening", source)
        tally = flatten_file(source, Path(asked.out), format, known, asked.documents.own_options(), passing)
    finish(tally, source, {"out": asked.out}, asked.strict, asked.as_json)


@xml.command()
@click.argument("file", metavar="FILE")
@_options(_DOCUMENTS, _SCHEMA)
@click.option("--key", "keys", multiple=True, metavar="K", help="A column that identifies documents; repeatable.")
@click.option("--out", required=True, metavar="DIR", help="The folder for the tables.")
@_options(_RESULT)
def tables(keys: Sequence[str], **given: Any) -> None:
    """Write a table per repeated element of the documents in FILE, linked by keys.

    Beside them stand _lineage (where every path of the documents is), _errors and _rescued (with the documents' keys).
    XML files are their own keys: --key is for others. Tables that an earlier run left in the folder are replaced, and
    removed where there are none of their names; _tables.json lists them. Other files stay. Exit codes as for flatten.
    """
    from thresher.cli.progress import PassProgress
    from thresher.xml.conversion import table_places, tables_file

    asked = _Conversion.of(given)
    format, folder = asked.to or "parquet", Path(asked.out)
    source = asked.documents.open(asked.file)
    keys = keys or [name for name in ("_file", "_ordinal") if source.format == "xml" and name in source.schema.names]
    missing = [key for key in keys if key not in source.schema.names]
    if not keys or missing:
        raise UsageError(
            f"--key: found {list(keys) or 'none'}; expected columns that identify documents, of {source.schema.names}"
        )
    known, options = asked.schema(source), asked.documents.own_options()
    with PassProgress() as progress:
        passing = progress.batches("splitting", source)
        tally = tables_file(source, folder, format, keys, known, options, passing)
    written = [str(place) for place, _ in table_places(folder, format, known, options).values()]
    finish(tally, source, {"out": asked.out, "tables": written}, asked.strict, asked.as_json)


@xml.command()
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="AFTER")
@_options(_DOCUMENTS)
@click.option("--fail-on-drift", is_flag=True, help="Exit with 1 where the two differ.")
@json_flag
def diff(before: str, after: str, fail_on_drift: bool, as_json: bool, **about: Any) -> None:
    """Show what changed between two schemas: files that `schema --out` wrote, or files with documents."""
    documents = Documents(**about)
    changes = schema_of(before, documents).diff(schema_of(after, documents)).to_pylist()
    if as_json:
        print_json(changes)
    elif changes:
        print_table(("change", "path", "before", "after"), [[text or "" for text in row.values()] for row in changes])
    else:
        click.echo("no drift")
    sys.exit(1 if changes and fail_on_drift else 0)


def _require_another_place(file: str, out: str) -> None:
    """Raise UsageError where the result would replace what it is made of, or would be read with it next time."""
    source, target = Path(file).resolve(), Path(out).resolve()
    if source == target or source in target.parents or target in source.parents:
        raise UsageError(f"--out {out} is, holds or lies in {file}, which is read; name another place")


def _format_of(out: str) -> str:
    formats = {".parquet": "parquet", ".json": "jsonl", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    suffix = Path(out).suffix.lower()
    if suffix not in formats:
        raise UsageError(f"--out {out}: its name tells no format; name one with --to parquet, delta or jsonl")
    return formats[suffix]
