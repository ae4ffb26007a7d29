"""What the commands `thresher xml` show: schemas, what was not read, and what became of the documents."""

import csv
import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from thresher.cli.parts import print_json, print_table

if TYPE_CHECKING:
    from thresher.xml import Schema, Source
    from thresher.xml.conversion import Tally
    from thresher.xml.readers import Reading

_PATH_COLUMNS = ("path", "kind", "type", "occurrences", "documents", "max repeats", "null share", "example")


def as_text(schema: "Schema", form: str) -> str:
    """A schema as ddl, json or paths (CSV)."""
    if form == "paths":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_PATH_COLUMNS)
        writer.writerows(_path_rows(schema))
        return text.getvalue()
    return f"{schema.ddl if form == 'ddl' else schema.to_json()}\n"


def _path_rows(schema: "Schema") -> Iterator[list[Any]]:
    for row in schema.paths.to_pylist():
        figures = [row[name] for name in ("path", "kind", "type", "occurrences", "documents", "max_repeats")]
        yield [*figures, f"{row['null_share']:.3f}", next(iter(row["examples"]), "")]


def print_paths(schema: "Schema") -> None:
    """A schema as a table of its paths."""
    # One line a path, whatever stands in its example.
    rows = [[*row[:-1], " ".join(row[-1].split())[:40]] for row in _path_rows(schema)]
    print_table(_PATH_COLUMNS, rows)


def note_unread(source: "Source") -> None:
    """Say on stderr what was not read, and why."""
    if source.ignored:
        names = ", ".join(source.ignored[:5]) + (", …" if len(source.ignored) > 5 else "")
        click.echo(f"left out, not {source.format}: {len(source.ignored):,} ({names})", err=True)
    for name, reason in source.reading.refused[:5]:
        click.echo(f"not read: {name}: {reason}", err=True)
    if source.reading.refused_count > 5:
        click.echo(f"not read: and {source.reading.refused_count - 5:,} more", err=True)


def blank(counts: "Reading | Tally") -> str:
    """What to say after the number of documents, if there are blank texts, which are none."""
    return f", {counts.blank:,} blank" if counts.blank else ""


def finish(tally: "Tally", source: "Source", written: dict[str, Any], strict: bool, as_json: bool) -> None:
    """Tell what became of the documents, and exit as that demands."""
    unread = source.reading.refused_count
    note_unread(source)
    if as_json:
        print_json(
            {
                "rows": tally.rows,
                "documents": tally.documents,
                "blank": tally.blank,
                "refused": dict(tally.refused),
                "value_errors": tally.value_errors,
                "rescued": tally.rescued,
                "unread": [{"name": name, "reason": reason} for name, reason in source.reading.refused],
                "unread_count": unread,
                **written,
            }
        )
    else:
        rules = ", ".join(f"{rule} {count:,}" for rule, count in sorted(tally.refused.items()))
        click.echo(f"{written['out']}: {tally.rows:,} rows, {tally.documents:,} documents{blank(tally)}")
        label = "refused or cut short" if tally.options.salvage else "refused"
        click.echo(f"{label} documents: {tally.refused.total():,}{f' ({rules})' if rules else ''}")
        click.echo(f"refused values: {tally.value_errors:,}")
        click.echo(f"documents with a rescued rest: {tally.rescued:,}")
        for table in written.get("tables", []):
            click.echo(f"  {table}")
    sys.exit(1 if strict and (tally.refused or tally.value_errors or unread) else 0)
