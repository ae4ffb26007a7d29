"""From files of documents to files of rows, in bounded memory and with every document counted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from thresher.errors import DataError
from thresher.types import unused
from thresher.xml.flattening import PROBLEMS, RESCUED, flat_schema, flatten_batches
from thresher.xml.layout import table_layout
from thresher.xml.lineage import LINEAGE, lineage
from thresher.xml.options import Options
from thresher.xml.outputs import outputs
from thresher.xml.schema import Schema
from thresher.xml.sources import Source
from thresher.xml.streaming import side_tables, tables_batches
from thresher.xml.table_folders import replacing

SUFFIXES = {"parquet": ".parquet", "jsonl": ".jsonl", "delta": ""}
LINEAGE_NAME = "_lineage"


@dataclass
class Tally:
    """What became of the documents: `refused` by rule, `value_errors` in others, `rescued` with a rest.

    `rows` hold `documents`, `blank` texts, which are none (to Spark they are, and refused), and nulls. Where options
    salvage, documents that were cut short stand among the refused.
    """

    options: Options = field(default_factory=Options)
    rows: int = 0
    documents: int = 0
    blank: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    value_errors: int = 0
    rescued: int = 0

    def add(self, errors: pa.Table, rescued: int) -> None:
        """Count a row per error (path, rule), and how many documents have a rescued rest."""
        is_whole = pc.equal(errors.column("path"), "")
        self.refused.update(errors.column("rule").filter(is_whole).to_pylist())
        self.value_errors += pc.sum(pc.invert(is_whole)).as_py() or 0
        self.rescued += rescued

    def close(self, source: Source) -> None:
        """Count what was read. Raises DataError where there are documents, and not one could be read."""
        reading = source.reading
        self.rows, self.documents, self.blank = reading.rows, reading.documents, reading.blank
        if self.options.is_spark:
            self.documents, self.blank = self.documents + self.blank, 0
        if not self.options.salvage and self.documents and self.refused.total() >= self.documents:
            rules = ", ".join(f"{count:,} {rule}" for rule, count in self.refused.most_common())
            raise DataError(
                f"{source.path}: none of {self.documents:,} documents can be read ({rules}); nothing was written. "
                f"xml.parse tells where each one fails."
            )


def flatten_file(
    source: Source,
    out: Path,
    format: str,
    schema: Schema,
    options: Options | None = None,
    batches: Iterable[pa.RecordBatch] | None = None,
) -> Tally:
    """Parse the documents of a source into a file: rows → as many rows, the documents a struct (see `flatten`).

    `format` is parquet, jsonl or delta. `batches` stands for `source.batches()`, for who wants to follow them. The
    file (Delta: table) is replaced when all rows are written. Raises what `flatten` raises, DataError where not one
    document can be read, UsageError where the file cannot be written.
    """
    tally = Tally(options or schema.options)
    shape = flat_schema(source.schema, source.column, schema)
    passing = source.batches() if batches is None else batches
    with outputs({out: shape}, format) as drafts:
        for rows in flatten_batches(passing, column=source.column, schema=schema, options=options, shape=shape):
            drafts[out].write(rows)
            errors = pa.Table.from_struct_array(pc.list_flatten(rows.column(PROBLEMS)))
            tally.add(errors, rows.num_rows - rows.column(RESCUED).null_count)
        tally.close(source)
    return tally


def tables_file(
    source: Source,
    folder: Path,
    format: str,
    keys: Sequence[str],
    schema: Schema,
    options: Options | None = None,
    batches: Iterable[pa.RecordBatch] | None = None,
) -> Tally:
    """Split the documents of a source into a folder of tables (see `tables_batches`), with their lineage.

    `_lineage` has a row per path of the documents (see `lineage`). The tables in the folder are replaced when all rows
    are written: those of an earlier run that there are no more are removed, other files stay. Raises what
    `tables_batches` raises, and as `flatten_file`.
    """
    tally = Tally(options or schema.options)
    places = table_places(folder, format, schema, options)
    errors, rescued = side_tables(schema, options)
    passing = source.batches() if batches is None else batches
    placing = replacing(folder, [place.name for place, _ in places.values()])
    with outputs(dict(places.values()), format, placing) as drafts:
        for parts in tables_batches(passing, source.column, keys, schema, options):
            for name, rows in parts.items():
                drafts[places[name][0]].write(rows)
            tally.add(parts[errors], parts[rescued].num_rows)
        tally.close(source)
        *_, (lineage_place, _) = places.values()
        drafts[lineage_place].write(lineage(schema, options))
    return tally


def table_places(
    folder: Path, format: str, schema: Schema, options: Options | None = None
) -> dict[str, tuple[Path, pa.Schema]]:
    """Where `tables_file` puts each table, and its columns."""
    shapes = {name: table.schema for name, table in table_layout(schema, options).items()}
    shapes |= side_tables(schema, options) | {unused(LINEAGE_NAME, shapes): LINEAGE}
    return {name: (folder / f"{name}{SUFFIXES[format]}", shape) for name, shape in shapes.items()}
