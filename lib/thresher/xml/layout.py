"""Which tables the repeated elements of a schema become: names, columns, and where each comes from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from thresher.errors import UsageError
from thresher.xml.options import Options, dotted
from thresher.xml.schema import Schema

DOCUMENT = "document"
KEY, PARENT_KEY, ROW_KEY, ORDINAL = "_key", "_parent_key", "_row_key", "_ordinal"
LINKS = {
    KEY: pa.string(),
    PARENT_KEY: pa.string(),
    ROW_KEY: pa.string(),
    ORDINAL: pa.int64(),
}


@dataclass(frozen=True)
class ColumnLayout:
    """One column: its name, the path it comes from, its type, and the name it would have had but for a collision."""

    name: str
    path: str
    type: pa.DataType
    renamed_from: str | None
    steps: tuple[str, ...]


@dataclass(frozen=True)
class TableLayout:
    """One table: its name, the path of the element whose occurrences are its rows, and its columns.

    `parent` is the table whose `_key` its `_parent_key` is; `steps` lead there from a row of the parent.
    """

    name: str
    path: str
    parent: str | None
    columns: tuple[ColumnLayout, ...]
    renamed_from: str | None
    steps: tuple[str, ...]

    @property
    def links(self) -> dict[str, pa.DataType]:
        """The columns that come first: keys and ordinal."""
        return {KEY: LINKS[KEY]} if self.parent is None else LINKS

    @property
    def schema(self) -> pa.Schema:
        """Names and types of all columns."""
        return pa.schema([*self.links.items(), *((column.name, column.type) for column in self.columns)])


def table_layout(schema: Schema, options: Options | None = None) -> dict[str, TableLayout]:
    """The tables of a schema by name, parents first: names depend on the schema alone.

    A table per repeated element at any depth, named by the elements above it; `document` for what stands once in a
    document, if anything does. A column is named by the elements and attribute below the table's element; characters
    other than letters, digits and `_` become `_`. Where two names are equal but for case, the later one gets a number.

    >>> book = "array<struct<title: struct<_VALUE: string, _lang: string>, tag: array<string>>>"
    >>> for table in table_layout(Schema.from_ddl(f"_id int, book {book}")).values():
    ...     print(table.name, [column.name for column in table.columns])
    document ['id']
    book ['title', 'title_lang']
    book_tag ['tag']
    """
    planner = _Planner(options or schema.options)
    tables = planner.tables(schema.arrow_type)
    return {table.name: table for table in tables if table.columns or table.parent is not None}


def table_schema(schema: Schema, name: str, options: Options | None = None) -> pa.Schema:
    """The columns of one table. Raises UsageError for a name that the layout does not have."""
    layout = table_layout(schema, options)
    if name not in layout:
        raise UsageError(f"the documents have no table {name!r}; found {', '.join(layout) or 'none'}")
    return layout[name].schema


class _Names:
    """Gives out names that differ by more than case."""

    def __init__(self, *taken: str) -> None:
        self.taken = {name.lower() for name in taken}

    def unique(self, wanted: str) -> tuple[str, str | None]:
        """The name, and what it was meant to be if it had to change."""
        name, number = wanted, 1
        while name.lower() in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name.lower())
        return name, None if name == wanted else wanted


@dataclass(frozen=True)
class _Found:
    """A scalar or an array below a table's element."""

    steps: tuple[str, ...]
    type: pa.DataType


class _Planner:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.names = _Names(DOCUMENT)

    def tables(self, root: pa.StructType) -> list[TableLayout]:
        return list(self.below(DOCUMENT, None, None, (), (), root))

    def below(
        self,
        name: str,
        renamed_from: str | None,
        parent: str | None,
        path: tuple[str, ...],
        steps: tuple[str, ...],
        item: pa.DataType,
    ) -> Iterator[TableLayout]:
        """The table of one repeated element, then those of the repeated elements in it."""
        found = list(_content(item))
        names = _Names(KEY) if parent is None else _Names(*LINKS)
        columns = tuple(self.column(path, column, names) for column in found if not pa.types.is_list(column.type))
        yield TableLayout(name, dotted(path), parent, columns, renamed_from, steps)
        for array in found:
            if pa.types.is_list(array.type):
                inner = (*path, *array.steps)
                wanted = "_".join(self.words(inner) or [self.plain(inner[-1])])
                unique, instead_of = self.names.unique(wanted)
                yield from self.below(unique, instead_of, name, inner, array.steps, array.type.value_type)

    def column(self, path: tuple[str, ...], found: _Found, names: _Names) -> ColumnLayout:
        # A value of the table's element itself is named as the element, one of the root "value".
        words = self.words(found.steps) or self.words(path[-1:]) or ["value"]
        name, renamed_from = names.unique("_".join(words))
        return ColumnLayout(name, dotted((*path, *found.steps)), found.type, renamed_from, found.steps)

    def words(self, steps: tuple[str, ...]) -> list[str]:
        return [self.plain(step) for step in steps if step != self.options.value_tag]

    def plain(self, step: str) -> str:
        if step == self.options.value_tag:
            return "value"
        return re.sub(r"\W", "_", step.removeprefix(self.options.attribute_prefix)) or "_"


def _content(item: pa.DataType, steps: tuple[str, ...] = ()) -> Iterator[_Found]:
    """The scalars and arrays that stand once in an item; structs are opened, arrays are not."""
    if not pa.types.is_struct(item):
        yield _Found(steps, item)
        return
    for field in item:
        if pa.types.is_struct(field.type):
            yield from _content(field.type, (*steps, field.name))
        else:
            yield _Found((*steps, field.name), field.type)
