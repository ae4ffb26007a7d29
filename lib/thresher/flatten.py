"""raw → curated: a column of XML documents becomes a nested column, and its repeated elements tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
from lxml import etree

from thresher import drift as drifts
from thresher import quarantine, structures, xml
from thresher.columns import require_columns, require_unique
from thresher.counts import Counts
from thresher.datasets import parse_name
from thresher.document_rows import DocumentRows, counts_of, refused_of
from thresher.element_tables import default_tables, lineage_of, write_tables
from thresher.errors import SchemaMismatch, UsageError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.project import text_of
from thresher.types import quoted
from thresher.xml.decoding import Refused
from thresher.xml.decoding import text_of as text_of_document
from thresher.xml.elevation import require_single
from thresher.xml.layout import TableLayout

ORIGIN_KEY = ("_file", "_row")


@dataclass(frozen=True)
class Flattened:
    """What a flatten did.

    The counts; the schema that the documents were read by; the drift of these documents from what was known before
    (change, path, before, after); what was refused, as in the quarantine; where each path went (see `xml.lineage`;
    its tables are datasets here); and the tables by dataset.
    """

    counts: Counts
    schema: xml.Schema
    drift: pa.Table
    refused: Frame
    lineage: pa.Table
    tables: Mapping[str, Frame] = field(default_factory=dict)


def documents(
    lake: Lake,
    source: str,
    target: str,
    column: str,
    *,
    into: str | None = None,
    tables: Mapping[str, str] | None = None,
    lineage: str = "",
    declare: str = "",
    drift: str = "evolve",
    key: Sequence[str] = ORIGIN_KEY,
    options: xml.Options | None = None,
) -> Flattened:
    """Parse the XML in a column of a dataset into a nested column and, on request, tables; replace what they held.

    In: one row per document in `source`, identified by `key`. Out: in `target` one row per accepted document, the
    same columns with `column` replaced by a struct named `into`, plus `_key` (string) and `_rescued` (string: JSON of
    what the schema does not know); for each entry of `tables` (XML table → dataset; None: all but a `document` without
    columns, by `default_tables`) one row per element, linked by `_key`, `_parent_key`, `_row_key` (see `xml.tables`);
    in `lineage`, if given, one row per path. A row without a document stays, with a null struct. Refused documents go
    to the quarantine of `target` with their bytes, refused values with their path and text.

    The structure is learnt from all documents, and joined with what earlier loads knew (see `structures.known`) and
    with the types and arrays in `declare` (Spark DDL, or a .ddl file of the project), so that it never flips with the
    day's delivery. Where documents differ from what was known, `drift` decides:

    | drift | new and changed paths |
    |---|---|
    | evolve | become part of the structure |
    | rescue | the structure stays; they go to `_rescued` as JSON |
    | refuse | nothing is written: DataError with the paths and the first rows |

    Raises MissingColumns, DuplicateKeys for a key that does not identify a row, UsageError for an unknown table, and
    SchemaMismatch for documents without any field, and where all are refused; the refused ones are in the quarantine
    then, and the rows, tables and structure of earlier loads stay.
    """
    options = options or xml.Options()
    into = into or column
    drifts.check(drift, options)
    rows = lake.read(source)
    _check_rows(rows, source, target, column, into, key)
    known = structures.known(lake, target)
    if known:
        structures.require_same_rules(lake, target, known.schema, options)
    found = xml.discover_column(rows, column, options)
    before = known.schema if known else None
    settled = drifts.settle(before, found, text_of(declare, ".ddl") if declare else "", options, drift)
    schema = settled.schema
    require_single(found, options)
    layout = xml.table_layout(schema, options)
    if tables is None:
        # The target has a row per document already: a table of nothing but their keys would say less.
        tables = default_tables(target, [name for name, table in layout.items() if table.parent or table.columns])
    _check_tables(layout, source, target, tables, lineage)

    reader = DocumentRows(source, column, into, tuple(key), schema, options)
    if drift == "refuse" and (changes := drifts.refused_by(settled.drift)):
        raise drifts.refusal(target, changes, reader.rescued(rows))
    # Two passes, neither of which holds more than a few batches: what is refused is known before anything is written.
    noted = reader.noted(rows)
    refused = refused_of(noted)
    counts, accepted = counts_of(noted, target, rows.count())
    if not schema.arrow_type.num_fields:
        quarantine.keep(lake, target, refused)
        raise _without_fields(target, column, counts)
    if counts.refused and not accepted:
        quarantine.keep(lake, target, refused)
        raise _all_refused(target, column, counts)
    # The structure first: readers may have seen the new one when the write is cut off.
    with structures.remembered(lake, target, schema), quarantine.kept(lake, target, refused):
        lake.write(target, reader.good(rows), schema="replace")
    flat = write_tables(lake, target, into, layout, tables)
    paths = lineage_of(schema, options, tables)
    if lineage:
        lake.write(lineage, paths, schema="replace")
    more = {**counts.more, **{dataset: frame.count() for dataset, frame in flat.items()}}
    return Flattened(replace(counts, more=more), schema, settled.drift, refused, paths, flat)


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


def _check_rows(rows: Frame, source: str, target: str, column: str, into: str, key: Sequence[str]) -> None:
    require_columns(rows, [column, *key], source)
    reserved = [name for name in rows.columns if name.lower() in ("_key", "_rescued", "_errors") or name == into]
    if [name for name in reserved if name != column]:
        raise UsageError(f"{source}: columns {reserved} would stand twice in {target}; rename them, or choose `into`")
    require_unique(rows, key, source)


def _check_tables(
    layout: Mapping[str, TableLayout], source: str, target: str, tables: Mapping[str, str], lineage: str
) -> None:
    unknown = [name for name in tables if name not in layout]
    if unknown:
        raise UsageError(
            f"{target}: the documents have no table {', '.join(unknown)}; found {', '.join(layout) or 'none'}. "
            f"A table that today's documents lack can be declared (declare: '{unknown[0]}: array<struct<…>>')."
        )
    datasets = [source, target, *tables.values(), *([lineage] if lineage else [])]
    if len(set(datasets)) < len(datasets):
        raise UsageError(f"{target}: source, target and tables must be different datasets; found {', '.join(datasets)}")
    for dataset in datasets:
        parse_name(dataset)


def _without_fields(target: str, column: str, counts: Counts) -> SchemaMismatch:
    kept = f", kept in {quarantine.dataset_of(target)} with reasons and bytes" if counts.refused else ""
    return SchemaMismatch(
        f"{target}: the documents in {column} have no fields to make a column of: {counts.rows_in} rows, of which "
        f"{counts.refused} refused{kept}. No rows were written. Have the delivery mended, or declare the fields that "
        f"documents will have (declare: 'id int, …')."
    )


def _all_refused(target: str, column: str, counts: Counts) -> SchemaMismatch:
    return SchemaMismatch(
        f"{target}: all {counts.refused} documents in {column} are refused, and kept in "
        f"{quarantine.dataset_of(target)} with reasons and bytes. Expected one at least that can be read; the rows of "
        f"earlier loads stay as they were. Have the delivery mended, and load it again."
    )
