"""From nested values to tables: one per repeated element, linked by keys; whole columns at a time."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.errors import DataError, DuplicateKeys, UsageError
from thresher.xml.discovery import Documents
from thresher.xml.layout import DOCUMENT, KEY, ORDINAL, PARENT_KEY, ROW_KEY, TableLayout, table_layout
from thresher.xml.options import Options
from thresher.xml.parsing import parse
from thresher.xml.schema import Schema

KeyColumn: TypeAlias = "pa.Array | pa.ChunkedArray | Sequence[object]"
Keys: TypeAlias = "KeyColumn | Sequence[KeyColumn] | pa.Table"


def tables(documents: Documents, schema: Schema, keys: Keys, options: Options | None = None) -> dict[str, pa.Table]:
    """Split documents into tables: documents and their keys → a table per repeated element (see `table_layout`).

    | column | meaning |
    |---|---|
    | _key | the row's key: that of the document, then "#" and an ordinal for every repeated element down to here |
    | _parent_key | `_key` of the parent row; of the document for elements repeated in it |
    | _row_key | `_key` of the document |
    | _ordinal | place among the like-named in the parent, from 1 |

    `keys` identify the documents: an array, a list of arrays, or a table; their texts are joined by "#" ("%" and "#"
    in them stand as %25 and %23). The table `document` has `_key` and the content alone, one row per accepted document.
    Raises DuplicateKeys, and DataError for a null key.

    >>> schema = Schema.from_ddl("_id int, book array<struct<title: string, author: array<string>>>")
    >>> document = "<c id='7'><book><title>T</title><author>A</author><author>B</author></book></c>"
    >>> tables([document], schema, ["k"])["book_author"].select(["_key", "_parent_key", "author"]).to_pylist()
    [{'_key': 'k#1#1', '_parent_key': 'k#1', 'author': 'A'}, {'_key': 'k#1#2', '_parent_key': 'k#1', 'author': 'B'}]
    """
    return tables_from_values(parse(documents, schema, options).values, schema, keys, options)


def tables_from_values(
    values: pa.StructArray | pa.ChunkedArray, schema: Schema, keys: Keys, options: Options | None = None
) -> dict[str, pa.Table]:
    """Split values that are parsed already: the rest of `tables`."""
    values = _one_chunk(values)
    key = unique_keys(keys, len(values))
    layout = table_layout(schema, options)
    rows = {DOCUMENT: _Rows(values, key, key)}
    for table in layout.values():
        if table.parent is not None:
            rows[table.name] = rows[table.parent].repeated(table.steps)
    return {name: rows[name].table(table) for name, table in layout.items()}


def row_keys(columns: Sequence[KeyColumn]) -> pa.StringArray:
    """The key columns of each row as one text; null where any of them is.

    >>> row_keys([["a.xml", "50%#"], [1, 2]]).to_pylist()
    ['a.xml#1', '50%25%23#2']
    """
    parts = []
    for column in columns:
        texts = _one_chunk(_array(column)).cast(pa.string())
        parts.append(pc.replace_substring(pc.replace_substring(texts, "%", "%25"), "#", "%23"))
    return pc.binary_join_element_wise(*parts, "#")


def unique_keys(keys: Keys, count: int) -> pa.StringArray:
    """One key per document. Raises DuplicateKeys, DataError for nulls, UsageError for another number of them."""
    joined = row_keys(_key_columns(keys))
    if len(joined) != count:
        raise UsageError(f"{len(joined)} keys for {count} documents; expected one each")
    if joined.null_count:
        row = pc.index(pc.is_null(joined), True).as_py()
        raise DataError(
            f"the key of document {row} is null ({joined.null_count} in all); expected a key for each document"
        )
    counts = pc.value_counts(joined)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        first = twice[0].as_py()
        raise DuplicateKeys(
            f"{len(twice)} keys stand for more than one document, such as {first['values']!r} "
            f"({first['counts']} times); expected unique keys. Add a column that tells them apart."
        )
    return joined


def _key_columns(keys: Keys) -> Sequence[KeyColumn]:
    if isinstance(keys, pa.Table):
        return keys.columns
    if isinstance(keys, pa.Array | pa.ChunkedArray):
        return [keys]
    is_several = any(isinstance(key, pa.Array | pa.ChunkedArray | list | tuple) for key in keys)
    return keys if is_several else [keys]


def _array(column: KeyColumn) -> pa.Array | pa.ChunkedArray:
    return column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column)


def _one_chunk(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


class _Rows:
    """The rows of one table before they have columns: items with keys."""

    def __init__(
        self,
        items: pa.Array,
        key: pa.Array,
        row_key: pa.Array,
        parent_key: pa.Array | None = None,
        ordinal: pa.Array | None = None,
    ) -> None:
        self.items = items
        self.links = {KEY: key, PARENT_KEY: parent_key, ROW_KEY: row_key, ORDINAL: ordinal}
        self.opened: dict[tuple[str, ...], dict[str, pa.Array]] = {}

    def at(self, steps: tuple[str, ...]) -> pa.Array:
        """What stands at a path below every item; null below a null."""
        if not steps:
            return self.items
        above = steps[:-1]
        if above not in self.opened:
            struct = self.at(above)
            self.opened[above] = dict(zip(struct.type.names, struct.flatten(), strict=True))
        return self.opened[above][steps[-1]]

    def repeated(self, steps: tuple[str, ...]) -> "_Rows":
        """The rows of the table of a repeated element below these."""
        lists = self.at(steps)
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        parents = np.repeat(np.arange(len(lists)), lengths)
        starts = np.cumsum(lengths) - lengths
        ordinal = pa.array(np.arange(len(parents)) - starts[parents] + 1, pa.int64())
        parent_key = self.links[KEY].take(pa.array(parents))
        key = pc.binary_join_element_wise(parent_key, ordinal.cast(pa.string()), "#")
        return _Rows(pc.list_flatten(lists), key, self.links[ROW_KEY].take(pa.array(parents)), parent_key, ordinal)

    def table(self, layout: TableLayout) -> pa.Table:
        columns = [self.links[name] for name in layout.links] + [self.at(column.steps) for column in layout.columns]
        made = pa.Table.from_arrays(columns, names=layout.schema.names).cast(layout.schema)
        # A refused document has no row of its own; an empty repeated element has one.
        return made.filter(self.items.is_valid()) if layout.parent is None else made
