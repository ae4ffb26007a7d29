"""From nested values to tables: one per repeated element, linked by keys; whole columns at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.errors import DataError, DuplicateKeys, UsageError
from thresher.xml.arrays import Documents
from thresher.xml.layout import (
    KEY,
    ORDINAL,
    PARENT_KEY,
    PARENT_TABLE,
    PATH,
    ROW_KEY,
    Place,
    TableLayout,
    table_layout,
)
from thresher.xml.options import Options, dotted, path_parts
from thresher.xml.parsing import parse
from thresher.xml.schema import Schema

KeyColumn: TypeAlias = "pa.Array | pa.ChunkedArray | Sequence[object]"
Keys: TypeAlias = "KeyColumn | Sequence[KeyColumn] | pa.Table"

# Documents whose rows are made at a time: they stay in the processor's cache, and no column outgrows 2 GB of text.
CHUNK = 8_192


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
    A table that several paths share (`Options.reuse_shapes`) also has `_path` and `_parent_table`, and the path stands
    before the ordinal in its keys. Raises DuplicateKeys, and DataError for a null key and for an elevated element that
    repeats.

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
    keys = unique_keys(keys, len(values))
    layout = table_layout(schema, options)
    parts: dict[str, list[pa.Table]] = {name: [table.schema.empty_table()] for name, table in layout.items()}
    for some, some_keys in _in_chunks(values, keys):
        splitter = Splitter(some, some_keys, layout)
        for name, made in parts.items():
            made.append(splitter.table(name))
    return {name: pa.concat_tables(made) for name, made in parts.items()}


def _in_chunks(
    values: pa.StructArray | pa.ChunkedArray, keys: pa.StringArray
) -> Iterator[tuple[pa.StructArray, pa.StringArray]]:
    first = 0
    for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else [values]:
        for at in range(0, len(chunk), CHUNK):
            some = chunk[at : at + CHUNK]
            yield some, keys[first : first + len(some)]
            first += len(some)


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
        raise duplicate_keys(len(twice), first["values"], first["counts"])
    return joined


def duplicate_keys(count: int, key: str, times: int) -> DuplicateKeys:
    """The error about so many keys that stand twice, one of them named."""
    return DuplicateKeys(
        f"{count} keys stand for more than one document, such as {key!r} ({times} times); expected unique keys. "
        f"Add a column that tells them apart."
    )


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


class Splitter:
    """Values and the keys of their documents → the rows of any table of a layout; each is computed once."""

    def __init__(self, values: pa.StructArray, keys: pa.StringArray, layout: Mapping[str, TableLayout]) -> None:
        self.layout = layout
        self.places = {place.path: (place, table) for table in layout.values() for place in table.places}
        self.known = {"": _Rows("", values, keys, keys)}

    def table(self, name: str) -> pa.Table:
        """One table; of one that is shared, place by place."""
        table = self.layout[name]
        return pa.concat_tables(self.rows(place.path).table(table, place) for place in table.places)

    def rows(self, path: str) -> "_Rows":
        if path not in self.known:
            place, table = self.places[path]
            assert place.above is not None
            self.known[path] = self.rows(place.above).repeated(place, table.is_shared)
        return self.known[path]


class _Rows:
    """The rows of one place before they have columns: items with keys."""

    def __init__(
        self,
        path: str,
        items: pa.Array,
        key: pa.Array,
        row_key: pa.Array,
        parent_key: pa.Array | None = None,
        ordinal: pa.Array | None = None,
    ) -> None:
        self.path = path
        self.items = items
        self.links = {KEY: key, PARENT_KEY: parent_key, ROW_KEY: row_key, ORDINAL: ordinal}
        self.opened: dict[tuple[str, ...], dict[str, pa.Array]] = {}

    def at(self, steps: tuple[str, ...]) -> pa.Array:
        """What stands at a path below every item; null below a null."""
        if not steps:
            return self.items
        above = steps[:-1]
        if above not in self.opened:
            struct = self.single(above)
            self.opened[above] = dict(zip(struct.type.names, struct.flatten(), strict=True))
        return self.opened[above][steps[-1]]

    def single(self, steps: tuple[str, ...]) -> pa.Array:
        """What stands once at a path below every item: of an array, which is elevated here, its only item."""
        values = self.at(steps)
        if not pa.types.is_list(values.type):
            return values
        lengths = _lengths(values)
        if lengths.max(initial=0) > 1:
            raise self.repeats(steps, lengths)
        places = pa.array(np.cumsum(lengths) - lengths, mask=lengths == 0)
        return pc.list_flatten(values).take(places)

    def repeats(self, steps: tuple[str, ...], lengths: "np.ndarray[Any, Any]") -> DataError:
        row = int(np.argmax(lengths > 1))
        return DataError(
            f"xml option elevate: {dotted((*path_parts(self.path), *steps))} stands {lengths[row]} times in "
            f"{self.links[KEY][row].as_py()!r} ({np.count_nonzero(lengths > 1)} such rows), whose one row has no room "
            f"for that. Take it out of elevate, and it is a table of its own."
        )

    def repeated(self, place: Place, is_shared: bool) -> "_Rows":
        """The rows of a repeated element below these."""
        lists = self.at(place.steps)
        lengths = _lengths(lists)
        parents = np.repeat(np.arange(len(lists)), lengths)
        starts = np.cumsum(lengths) - lengths
        ordinal = pa.array(np.arange(len(parents)) - starts[parents] + 1, pa.int64())
        parent_key = self.links[KEY].take(pa.array(parents))
        row_key = self.links[ROW_KEY].take(pa.array(parents))
        # Elements of several paths can have parents of equal keys.
        above = [parent_key, _escaped(place.path)] if is_shared else [parent_key]
        key = pc.binary_join_element_wise(*above, ordinal.cast(pa.string()), "#")
        return _Rows(place.path, pc.list_flatten(lists), key, row_key, parent_key, ordinal)

    def table(self, layout: TableLayout, place: Place) -> pa.Table:
        constants = {
            name: pa.repeat(text, len(self.items))
            for name, text in ((PATH, place.path), (PARENT_TABLE, place.parent))
            if layout.is_shared
        }
        links = {**self.links, **constants}
        columns = [links[name] for name in layout.links] + [self.single(column.steps) for column in layout.columns]
        made = pa.Table.from_arrays(columns, names=layout.schema.names).cast(layout.schema)
        # A refused document has no row of its own; an empty repeated element has one.
        return made.filter(self.items.is_valid()) if layout.parent is None else made


def _lengths(lists: pa.ListArray) -> "np.ndarray[Any, Any]":
    lengths: np.ndarray[Any, Any] = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return lengths.astype(np.int64)


def _escaped(part: str) -> str:
    """A part of a key, in which "#" separates parts."""
    return part.replace("%", "%25").replace("#", "%23")
