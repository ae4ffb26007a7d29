"""raw → curated: a column of XML documents becomes a nested column, and its repeated elements tables."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from lxml import etree

from thresher import files, quarantine, xml
from thresher.counts import Counts
from thresher.errors import UsageError
from thresher.frame import Frame
from thresher.lake import Lake, parse_name, require_columns, require_unique
from thresher.project import text_of
from thresher.types import canonical_schema, quoted
from thresher.xml.decoding import Refused
from thresher.xml.decoding import text_of as text_of_document

ORIGIN_KEY = ("_file", "_row")


@dataclass(frozen=True)
class Flattened:
    """What a flatten did: the counts, the schema now known, its drift, what was refused, and the tables by dataset."""

    counts: Counts
    schema: xml.Schema
    drift: pa.Table
    refused: Frame
    tables: Mapping[str, Frame] = field(default_factory=dict)


def documents(
    lake: Lake,
    source: str,
    target: str,
    column: str,
    *,
    into: str | None = None,
    tables: Mapping[str, str] | None = None,
    declare: str = "",
    key: Sequence[str] = ORIGIN_KEY,
    options: xml.Options | None = None,
) -> Flattened:
    """Parse the XML in a column of a dataset into a nested column and, on request, tables; replace what they held.

    In: one row per document in `source`, identified by `key`. Out: in `target` one row per accepted document, the
    same columns with `column` replaced by a struct named `into`, plus `_key` (string) and `_rescued` (string: JSON of
    what the schema does not know); for each entry of `tables` (XML table → dataset; None: all, by `default_tables`)
    one row per element, linked by `_key`, `_parent_key`, `_row_key` (see `xml.tables`). A row without a document
    stays, with a null struct. Refused documents go to the quarantine of `target` with their bytes, refused values
    with their path and text.

    The structure is learnt from all documents, joined with what earlier loads knew (kept beside the lake's datasets)
    and with the types and arrays in `declare` (Spark DDL, or a .ddl file of the project), so that it never flips with
    the day's delivery.

    Raises MissingColumns, DuplicateKeys for a key that does not identify a row, UsageError for an unknown table.
    """
    options = options or xml.Options()
    into = into or column
    rows = lake.read(source)
    require_columns(rows, [column, *key], source)
    reserved = [name for name in rows.columns if name.lower() in ("_key", "_rescued", "_errors") or name == into]
    if [name for name in reserved if name != column]:
        raise UsageError(f"{source}: columns {reserved} would stand twice in {target}; rename them, or choose `into`")
    require_unique(rows, key, source)

    known, found = _known_schema(lake, target), xml.discover_column(rows, column, options)
    schema = known.merge(found) if known else found
    if declare:
        schema = schema.declare(text_of(declare, ".ddl"))
    drift = _drift(known or schema, found, schema)
    layout = xml.table_layout(schema, options)
    tables = default_tables(target, list(layout)) if tables is None else tables
    unknown = [name for name in tables if name not in layout]
    if unknown:
        raise UsageError(
            f"{target}: the documents have no table {', '.join(unknown)}; found {', '.join(layout) or 'none'}. "
            f"A table that today's documents lack can be declared (declare: '{unknown[0]}: array<struct<…>>')."
        )

    datasets = [source, target, *tables.values()]
    if len(set(datasets)) < len(datasets):
        raise UsageError(f"{target}: source, target and tables must be different datasets; found {', '.join(datasets)}")
    # First of all: readers may have seen the new structure when a later write is cut off.
    _remember(lake, target, schema)

    parsed = lake.engine.stage(xml.flatten(_keyed(rows, key), column, schema, options))
    good = _good(lake, parsed, column, into)
    refused = _refused(lake, parsed, rows, source, column, key)
    refused_rows = lake.sql("select 1 as one from refused where path is null", refused=refused).count()
    # Checked before anything is written.
    counted = Counts(target, rows_in=rows.count(), rows_out=good.count(), refused=refused_rows)
    quarantine.keep(lake, target, refused)
    lake.write(target, good, schema="replace")
    written = lake.read(target)
    flat = {
        dataset: _write_table(lake, written, into, schema, options, key, name, dataset)
        for name, dataset in tables.items()
    }
    unknown_paths = lake.sql("select 1 as one from rows where _rescued is not null", rows=written).count()
    more = {"values refused": refused.count() - refused_rows, "rows with unknown paths": unknown_paths}
    counts = replace(counted, more=more | {dataset: frame.count() for dataset, frame in flat.items()})
    return Flattened(counts, schema, drift, refused, flat)


def default_tables(target: str, names: Sequence[str]) -> dict[str, str]:
    """The datasets of XML tables: the target's name and theirs in snake case, told apart by a number where need be.

    >>> default_tables("curated.invoices", ["InvoiceLine", "invoice-line"])
    {'InvoiceLine': 'curated.invoices_invoice_line', 'invoice-line': 'curated.invoices_invoice_line_2'}
    """
    found: dict[str, str] = {}
    for name in names:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
        plain = f"{target}_{re.sub('[^a-z0-9_]+', '_', words).strip('_') or 'table'}"
        numbered = (f"{plain}_{number}" if number > 1 else plain for number in count(1))
        found[name] = next(dataset for dataset in numbered if dataset not in found.values())
    return found


def example(lake: Lake, source: str, column: str, *, key: Sequence[str] = ORIGIN_KEY, longest: int = 2000) -> str:
    """The first readable document (by key) of at most that many characters, indented; empty if there is none."""
    order = ", ".join(quoted(name) for name in key)
    rows = lake.sql(
        f"select {quoted(column)} as document from rows where {quoted(column)} is not null order by {order} limit 20",
        rows=lake.read(source),
    )
    # Entities stay as they are written: a document must not grow, or reach for a file, when it is shown.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=True)
    for document in rows.to_arrow().column("document").to_pylist():
        try:
            text = text_of_document(document, xml.Options()).strip()
            if 0 < len(text) <= longest:
                return etree.tostring(etree.fromstring(text, parser), pretty_print=True, encoding="unicode").strip()
        except (Refused, etree.XMLSyntaxError):
            continue
    return ""


def _keyed(documents: Frame, key: Sequence[str]) -> Frame:
    """The rows with `_key`, the text by which tables refer to them."""
    schema = pa.schema([*documents.schema, pa.field("_key", pa.string())])
    return documents.engine.map_batches(documents, partial(_with_key, key=tuple(key)), schema)


def _with_key(batches: Iterator[pa.RecordBatch], *, key: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        keys = xml.row_keys([batch.column(name) for name in key])
        yield pa.RecordBatch.from_arrays([*batch.columns, keys], names=[*batch.schema.names, "_key"])


def _good(lake: Lake, parsed: Frame, column: str, into: str) -> Frame:
    kept = [name for name in parsed.columns if name not in ("_errors", "_rescued", "_key")]
    columns = [f"{quoted(name)} as {quoted(into)}" if name == column else quoted(name) for name in kept]
    return lake.sql(
        f"select {', '.join([*columns, '_key', '_rescued'])} from parsed "
        f"where not ({quoted(column)} is null and _errors is not null)",
        parsed=parsed,
    )


def _refused(lake: Lake, parsed: Frame, documents: Frame, source: str, column: str, key: Sequence[str]) -> Frame:
    """One row per error, in the columns of the quarantine."""
    on = " and ".join(f"p.{quoted(name)} <=> d.{quoted(name)}" for name in key)
    failed = lake.sql(
        f"select p._key, p._errors, d.{quoted(column)} as document from parsed p join documents d on {on} "
        f"where p._errors is not null",
        parsed=parsed,
        documents=documents,
    )
    return lake.engine.map_batches(failed, partial(_errors_of, source=source), quarantine.SCHEMA)


def _errors_of(batches: Iterator[pa.RecordBatch], *, source: str) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        refused = []
        for row in batch.to_pylist():
            for error in row["_errors"]:
                content = error.pop("snippet") if error["path"] else row["document"]
                content = content.encode() if isinstance(content, str) else content
                error["path"] = error["path"] or None
                refused.append({"source": source, "key": row["_key"], "content": content, **error})
        yield pa.RecordBatch.from_pylist(refused, schema=quarantine.SCHEMA)


def _write_table(
    lake: Lake,
    written: Frame,
    into: str,
    schema: xml.Schema,
    options: xml.Options,
    key: Sequence[str],
    name: str,
    dataset: str,
) -> Frame:
    shape = canonical_schema(xml.table_schema(schema, name, options))
    build = partial(_table_of, into=into, schema=schema.to_json(), options=options, key=tuple(key), name=name)
    needed = ", ".join(quoted(column) for column in dict.fromkeys([*key, into]))
    rows = lake.engine.map_batches(lake.sql(f"select {needed} from rows", rows=written), build, shape)
    lake.write(dataset, rows, schema="replace")
    return lake.read(dataset)


def _table_of(
    batches: Iterator[pa.RecordBatch],
    *,
    into: str,
    schema: str,
    options: xml.Options,
    key: Sequence[str],
    name: str,
) -> Iterator[pa.RecordBatch]:
    known = xml.Schema.from_json(schema)
    for batch in batches:
        keys = [batch.column(column) for column in key]
        yield from xml.tables_from_values(batch.column(into), known, keys, options)[name].to_batches()


def _drift(known: xml.Schema, found: xml.Schema, schema: xml.Schema) -> pa.Table:
    """What is new or retyped in the schema, and what earlier loads held and this one does not."""
    seen = known.paths.filter(pc.greater(known.paths["occurrences"], 0))["path"]
    gone = known.diff(found)
    gone = gone.filter(pc.and_(pc.equal(gone["change"], "vanished"), pc.is_in(gone["path"], seen)))
    return pa.concat_tables([known.diff(schema), gone])


def _schema_file(lake: Lake, target: str) -> Path:
    return lake.path / "_schemas" / ("_".join(parse_name(target)) + ".json")


def _known_schema(lake: Lake, target: str) -> xml.Schema | None:
    file = _schema_file(lake, target)
    return xml.Schema.from_json(file.read_text("utf-8")) if file.exists() else None


def _remember(lake: Lake, target: str, schema: xml.Schema) -> None:
    files.replace(_schema_file(lake, target), schema.to_json().encode())
