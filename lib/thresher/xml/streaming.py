"""Documents in batches, whatever their number: one pass to learn the schema, one to make tables of them.

source = xml.source("orders.parquet", "doc")
schema = xml.discover_batches(source.batches(), source.column)
for batch in xml.flatten_batches(source.batches(), column=source.column, schema=schema): ...
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from thresher.errors import MissingColumns
from thresher.types import unused
from thresher.xml.arrays import parts
from thresher.xml.discovery import Discovery
from thresher.xml.key_file import key_file
from thresher.xml.layout import ROW_KEY, table_layout
from thresher.xml.options import Options
from thresher.xml.parsing import ERROR, parse
from thresher.xml.relational import row_keys, tables_from_values
from thresher.xml.schema import Schema

ERROR_ROWS = pa.schema([(ROW_KEY, pa.string()), *ERROR])
RESCUED_ROWS = pa.schema([(ROW_KEY, pa.string()), ("rescued", pa.string())])


def discover_batches(batches: Iterable[pa.RecordBatch], column: str, options: Options | None = None) -> Schema:
    """Learn the structure of all documents in a column of a stream: batches → one schema.

    The schema does not depend on how the rows are cut into batches. Raises what `discover` raises.

    >>> batch = pa.record_batch({"doc": ["<o><p>7</p></o>", "<o><p>7.5</p></o>"]})
    >>> discover_batches([batch.slice(0, 1), batch.slice(1)], "doc").ddl
    'struct<p: decimal(2,1)>'
    """
    discovery = Discovery(options or Options())
    for batch in batches:
        for part in parts(batch.column(column)):
            discovery.learn(part)
    return discovery.schema()


def side_tables(schema: Schema, options: Options | None = None) -> dict[str, pa.Schema]:
    """The names and columns of the two tables that `tables_batches` adds, with names that no element has."""
    taken = table_layout(schema, options)
    return {unused("_errors", taken): ERROR_ROWS, unused("_rescued", taken): RESCUED_ROWS}


def tables_batches(
    batches: Iterable[pa.RecordBatch],
    column: str,
    keys: Sequence[str],
    schema: Schema,
    options: Options | None = None,
) -> Iterator[dict[str, pa.Table]]:
    """Split a stream of documents into tables: batches → for each batch its part of every table (see `tables`).

    `keys` are the columns that identify a document. Two tables more (`side_tables`) have a row per error (`_row_key`,
    path, line, column, rule, reason, snippet) and one per document with a rescued rest (`_row_key`, rescued).

    Raises MissingColumns, DataError for a null key, and DuplicateKeys: at the end of the stream for keys that are
    unique in each batch. So keep what was made only when the stream has ended well. Keys wait for that in a temporary
    file, so that memory does not grow with the stream.

    >>> batch = pa.record_batch({"id": ["k"], "doc": ["<c><book>T</book><book>U</book></c>"]})
    >>> parts = next(tables_batches([batch], "doc", ["id"], discover_batches([batch], "doc")))
    >>> parts["book"].select(["_key", "book"]).to_pylist()
    [{'_key': 'k#1', 'book': 'T'}, {'_key': 'k#2', 'book': 'U'}]
    """
    errors, rescued = side_tables(schema, options)
    with key_file() as seen:
        for batch in batches:
            missing = [name for name in keys if name not in batch.schema.names]
            if missing:
                raise MissingColumns(f"there are no columns {missing} to make keys of; found {batch.schema.names}")
            parsed = parse(batch.column(column), schema, options)
            columns = [batch.column(name) for name in keys]
            key = row_keys(columns)
            parts = tables_from_values(parsed.values, schema, columns, options)
            rows = parsed.errors.column("row").combine_chunks()
            parts[errors] = parsed.errors.drop_columns("row").add_column(0, ROW_KEY, key.take(rows)).cast(ERROR_ROWS)
            rest = pa.table([key, parsed.rescued], schema=RESCUED_ROWS)
            parts[rescued] = rest.filter(parsed.rescued.is_valid())
            yield parts
            seen.add(key)
        seen.require_unique()
