"""raw → curated: a column of XML documents becomes a nested column, and its repeated elements tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa
from lxml import etree

from thresher import drift as drifts
from thresher import quarantine, structures, xml
from thresher.counts import Counts
from thresher.element_tables import default_tables, lineage_of, write_tables
from thresher.errors import UsageError
from thresher.frame import Frame
from thresher.lake import Lake, parse_name, require_columns, require_unique
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
    what the schema does not know); for each entry of `tables` (XML table → dataset; None: all, by `default_tables`)
    one row per element, linked by `_key`, `_parent_key`, `_row_key` (see `xml.tables`); in `lineage`, if given, one
    row per path. A row without a document stays, with a null struct. Refused documents go to the quarantine of
    `target` with their bytes, refused values with their path and text.

    The structure is learnt from all documents, and joined with what earlier loads knew (see `structures.known`) and
    with the types and arrays in `declare` (Spark DDL, or a .ddl file of the project), so that it never flips with the
    day's delivery. Where documents differ from what was known, `drift` decides:

    | drift | new and changed paths |
    |---|---|
    | evolve | become part of the structure |
    | rescue | the structure stays; they go to `_rescued` as JSON |
    | refuse | nothing is written: DataError with the paths and the first rows |

    Raises MissingColumns, DuplicateKeys for a key that does not identify a row, UsageError for an unknown table.
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
    tables = default_tables(target, list(layout)) if tables is None else tables
    _check_tables(layout, source, target, tables, lineage)

    parsed = lake.engine.stage(xml.flatten(_keyed(rows, key), column, schema, options))
    if drift == "refuse":
        drifts.require_none(target, settled.drift, parsed)
    good = _good(lake, parsed, column, into)
    refused = _refused(lake, parsed, rows, source, column, key)
    # Checked before anything is written.
    counts = _counted(lake, parsed, refused, target, rows.count(), column)
    # First of all: readers may have seen the new structure when a later write is cut off.
    structures.remember(lake, target, schema)
    with quarantine.kept(lake, target, refused):
        lake.write(target, good, schema="replace")
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


def _counted(lake: Lake, parsed: Frame, refused: Frame, target: str, rows_in: int, column: str) -> Counts:
    """The counts of the rows parsed; those kept in part (salvaged) are good rows with an error of the whole."""
    value = quoted(column)
    (found,) = (
        lake.sql(
            f"select count(case when {value} is null and _errors is not null then 1 end) as refused, "
            f"count(case when {value} is not null and _rescued is not null then 1 end) as unknown, "
            f"count(case when {value} is not null and exists(_errors, e -> e.path = '') then 1 end) as in_part, "
            f"count(*) as parsed from parsed",
            parsed=parsed,
        )
        .to_arrow()
        .to_pylist()
    )
    values = lake.sql("select 1 as one from refused where path is not null", refused=refused).count()
    more = {"values refused": values, "rows with unknown paths": found["unknown"]}
    more |= {"rows kept in part": found["in_part"]} if found["in_part"] else {}
    return Counts(target, rows_in, found["parsed"] - found["refused"], found["refused"], more=more)


def _refused(lake: Lake, parsed: Frame, documents: Frame, source: str, column: str, key: Sequence[str]) -> Frame:
    """One row per error, in the columns of the quarantine."""
    on = " and ".join(f"p.{quoted(name)} <=> d.{quoted(name)}" for name in key)
    failed = lake.sql(
        f"select p._key, p._errors, p.{quoted(column)} is null as is_refused, d.{quoted(column)} as document "
        f"from parsed p join documents d on {on} where p._errors is not null",
        parsed=parsed,
        documents=documents,
    )
    return lake.engine.map_batches(failed, partial(_errors_of, source=source), quarantine.SCHEMA)


def _errors_of(batches: Iterator[pa.RecordBatch], *, source: str) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        refused = []
        for row in batch.to_pylist():
            for number, error in enumerate(row["_errors"]):
                # A document without a value (mode dropmalformed) is kept once, whatever its errors are.
                is_whole = not error["path"] or (row["is_refused"] and number == 0)
                snippet, error["path"] = error.pop("snippet"), error["path"] or None
                content = row["document"] if is_whole else snippet
                content = content.encode() if isinstance(content, str) else content
                refused.append({"source": source, "key": row["_key"], "content": content, **error})
        yield pa.RecordBatch.from_pylist(refused, schema=quarantine.SCHEMA)
