"""The tables beside a flattened dataset: a dataset per repeated element, and where each path went."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import pyarrow as pa

from thresher import xml
from thresher.datasets import parse_name
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.types import canonical_schema
from thresher.xml.layout import TableLayout
from thresher.xml.relational import Splitter

LONGEST_NAME = 100
# The wide nested column is read once: the rows of all tables leave it together, packed by table.
PARTS = pa.schema([("name", pa.string()), ("content", pa.binary())])
ROWS_PER_PART, PARTS_PER_CALL = 50_000, 8


def default_tables(target: str, names: Sequence[str]) -> dict[str, str]:
    """The datasets of XML tables: the target's name and theirs in snake case, told apart by a number where need be.

    >>> default_tables("curated.invoices", ["InvoiceLine", "invoice-line"])
    {'InvoiceLine': 'curated.invoices_invoice_line', 'invoice-line': 'curated.invoices_invoice_line_2'}
    """
    found: dict[str, str] = {}
    for name in names:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
        plain = re.sub("[^a-z0-9_]+", "_", words).strip("_") or "table"
        numbered = (_within_limit(target, plain, f"_{number}" if number > 1 else "") for number in count(1))
        found[name] = next(dataset for dataset in numbered if dataset not in found.values())
    return found


def _within_limit(target: str, name: str, number: str) -> str:
    """A dataset's name; of a table's that is too long, the end, which tells most."""
    room = LONGEST_NAME - len(parse_name(target)[1]) - len(number) - 1
    if len(name) > room:
        end = name[len(name) - max(room, 0) :]
        name = end.partition("_")[2] or end
    return f"{target}_{name}{number}"


def write_tables(
    lake: Lake, target: str, into: str, layout: Mapping[str, TableLayout], tables: Mapping[str, str]
) -> dict[str, Frame]:
    """Make tables from the nested column `into` of `target`: rows → one row per element in each dataset."""
    if not tables:
        return {}
    shapes = {name: canonical_schema(layout[name].schema) for name in tables}
    parts = lake.engine.map_batches(lake.read(target), partial(_parts, into=into, layout=layout, shapes=shapes), PARTS)
    for name, dataset in tables.items():
        mine = lake.sql("select content from parts where name = :name", {"name": name}, parts=parts)
        made = lake.engine.map_batches(mine, _rows_of, shapes[name], rows_per_call=PARTS_PER_CALL)
        lake.write(dataset, made, schema="replace")
    return {dataset: lake.read(dataset) for dataset in tables.values()}


def _parts(
    batches: Iterator[pa.RecordBatch], *, into: str, layout: Mapping[str, TableLayout], shapes: Mapping[str, pa.Schema]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        splitter = Splitter(batch.column(into), batch.column("_key"), layout)
        for name, shape in shapes.items():
            for part in splitter.table(name).cast(shape).combine_chunks().to_batches(ROWS_PER_PART):
                yield pa.RecordBatch.from_pydict({"name": [name], "content": [_packed(part)]}, schema=PARTS)


def _rows_of(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for content in batch.column("content"):
            yield from pa.ipc.open_stream(content.as_buffer())


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def lineage_of(schema: xml.Schema, options: xml.Options, tables: Mapping[str, str]) -> pa.Table:
    """Tell where every path went, as `xml.lineage` does, with datasets for tables.

    A path whose table is not written has none: it stands in the nested column alone.
    """
    paths = xml.lineage(schema, options)
    rows: list[dict[str, Any]] = paths.to_pylist()
    for row in rows:
        row["table"], row["parent_table"] = tables.get(row["table"]), tables.get(row["parent_table"])
        if row["table"] is None:
            row |= dict.fromkeys(("column", "column_type", "renamed_from", "parent_table"))
    return pa.Table.from_pylist(rows, schema=paths.schema)
