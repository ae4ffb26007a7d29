"""Which tables the repeated elements of a schema become: names, columns, and where each comes from."""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from thresher.errors import UsageError
from thresher.xml.elevation import elevated, folded
from thresher.xml.options import Options, dotted
from thresher.xml.schema import Schema

DOCUMENT = "document"
# In bytes: file systems take 255, of which a draft beside the file needs some.
LONGEST_NAME = 200
KEY, PARENT_KEY, ROW_KEY, ORDINAL = "_key", "_parent_key", "_row_key", "_ordinal"
PATH, PARENT_TABLE = "_path", "_parent_table"
LINKS = {
    KEY: pa.string(),
    PARENT_KEY: pa.string(),
    ROW_KEY: pa.string(),
    ORDINAL: pa.int64(),
}
SHARED_LINKS = {**LINKS, PATH: pa.string(), PARENT_TABLE: pa.string()}


@dataclass(frozen=True)
class ColumnLayout:
    """One column: its name, the path it comes from, its type, and the name it would have had but for a collision.

    `steps` lead to it from a row of its table; of a shared table, `path` is the one in its first place.
    """

    name: str
    path: str
    type: pa.DataType
    renamed_from: str | None
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """One path whose elements are rows of a table.

    `parent` is the table of their parents, `above` its place there (None: of the document itself); `steps` lead from
    a parent to them.
    """

    path: str
    parent: str | None
    above: str | None
    steps: tuple[str, ...]


@dataclass(frozen=True)
class TableLayout:
    """One table: its name, the places whose elements are its rows, and its columns.

    `renamed_from` is the name that it would have had but for a collision.
    """

    name: str
    places: tuple[Place, ...]
    columns: tuple[ColumnLayout, ...]
    renamed_from: str | None

    @property
    def path(self) -> str:
        """The path of its (first) place."""
        return self.places[0].path

    @property
    def parent(self) -> str | None:
        """The table whose `_key` its `_parent_key` is; of a shared table, in its first place."""
        return self.places[0].parent

    @property
    def is_shared(self) -> bool:
        """Whether its rows stand at several paths."""
        return len(self.places) > 1

    @property
    def links(self) -> dict[str, pa.DataType]:
        """The columns that come first: keys and ordinal; of a shared table also path and parent table."""
        if self.parent is None:
            return {KEY: LINKS[KEY]}
        return SHARED_LINKS if self.is_shared else LINKS

    @property
    def schema(self) -> pa.Schema:
        """Names and types of all columns."""
        return pa.schema([*self.links.items(), *((column.name, column.type) for column in self.columns)])


def table_layout(schema: Schema, options: Options | None = None) -> dict[str, TableLayout]:
    """The tables of a schema by name, parents first: names depend on the schema and the options alone.

    A table per repeated element at any depth, named by the elements above it; `document` for what stands once in a
    document. A column is named by the elements and attribute below the table's element; characters
    other than letters, digits and `_` become `_`. Where two names are equal but for case, the later one gets a number.
    A table's name beyond 200 bytes keeps its end: it must do as the name of a file.

    An array in `options.elevate` is no table: its one item gives columns of the parent's table. With
    `options.reuse_shapes` repeated elements of one name and one type share a table, named by that element alone.
    Raises UsageError for a path to elevate that the schema does not have, DataError for one that has been seen
    several times in one parent.

    >>> book = "array<struct<title: struct<_VALUE: string, _lang: string>, tag: array<string>>>"
    >>> schema = Schema.from_ddl(f"_id int, book {book}")
    >>> for table in table_layout(schema).values():
    ...     print(table.name, [column.name for column in table.columns])
    document ['id']
    book ['title', 'title_lang']
    book_tag ['tag']
    >>> list(table_layout(schema, Options(elevate=("book.tag",))))
    ['document', 'book']
    """
    options = options or schema.options
    texts = frozenset(shape.path for _, shape in schema.shape.walk() if shape.is_text(schema.options))
    tables = _Planner(options, elevated(schema, options), texts).tables(schema.arrow_type)
    return {table.name: table for table in tables}


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

    def unique(self, wanted: str, longest: int | None = None) -> tuple[str, str | None]:
        """The name, and what it was meant to be if it had to change; `longest` is in bytes."""
        own = wanted if longest is None else _end_of(wanted, longest)
        name, number = own, 1
        while name.lower() in self.taken:
            number += 1
            name = f"{own}_{number}"
        self.taken.add(name.lower())
        return name, None if name == wanted else wanted


def _end_of(name: str, longest: int) -> str:
    """A name within a limit; of one that is too long, the end, which tells most."""
    content = name.encode()
    if len(content) <= longest:
        return name
    end = content[-longest:].decode(errors="ignore")
    return end.partition("_")[2] or end


@dataclass(frozen=True)
class _Found:
    """A scalar or an array below a table's element."""

    steps: tuple[str, ...]
    type: pa.DataType


@dataclass(frozen=True)
class _Element:
    """A repeated element, or the document; equal `shape`s share a table."""

    path: tuple[str, ...]
    above: tuple[str, ...] | None
    steps: tuple[str, ...]
    columns: tuple[_Found, ...]
    shape: Hashable


class _Planner:
    def __init__(
        self, options: Options, elevated: frozenset[tuple[str, ...]], texts: frozenset[tuple[str, ...]]
    ) -> None:
        self.options = options
        self.elevated = elevated
        self.texts = texts

    def tables(self, root: pa.StructType) -> list[TableLayout]:
        groups: dict[Hashable, list[_Element]] = {}
        for element in self.elements((), None, (), root):
            groups.setdefault(element.shape, []).append(element)
        names = _Names()
        named = [(*names.unique(self.table_name(group), LONGEST_NAME), group) for group in groups.values()]
        table_of = {element.path: name for name, _, group in named for element in group}
        return [self.table(name, renamed_from, group, table_of) for name, renamed_from, group in named]

    def elements(
        self, path: tuple[str, ...], above: tuple[str, ...] | None, steps: tuple[str, ...], item: pa.DataType
    ) -> Iterator[_Element]:
        """One element, then the repeated ones in it."""
        found = list(self.content(path, item, ()))
        columns = tuple(one for one in found if not pa.types.is_list(one.type))
        yield _Element(path, above, steps, columns, self.shape(path, item))
        for array in found:
            if pa.types.is_list(array.type):
                yield from self.elements((*path, *array.steps), path, array.steps, array.type.value_type)

    def content(self, path: tuple[str, ...], item: pa.DataType, steps: tuple[str, ...]) -> Iterator[_Found]:
        """The scalars and arrays that stand once in an item; structs are opened, arrays only where elevated."""
        if not pa.types.is_struct(item):
            yield _Found(steps, item)
            return
        for field in item:
            here, kind = (*steps, field.name), field.type
            if pa.types.is_list(kind) and folded((*path, *here)) in self.elevated:
                kind = kind.value_type
            if pa.types.is_struct(kind):
                yield from self.content(path, kind, here)
            else:
                yield _Found(here, kind)

    def shape(self, path: tuple[str, ...], item: pa.DataType) -> Hashable:
        """What elements must have in common to share a table: name, type, and what is elevated in them."""
        if not self.options.reuse_shapes or not path or path in self.texts:
            return path
        own = folded(path)
        within = frozenset(other[len(own) :] for other in self.elevated if other[: len(own)] == own)
        return own[-1], item, within

    def table_name(self, group: list[_Element]) -> str:
        path = group[0].path if len(group) == 1 else group[0].path[-1:]
        if not path:
            return DOCUMENT
        own = "value" if group[0].path in self.texts else self.plain(path[-1])
        return "_".join([*self.words((), path[:-1]), own])

    def table(
        self, name: str, renamed_from: str | None, group: list[_Element], table_of: dict[tuple[str, ...], str]
    ) -> TableLayout:
        places = tuple(
            Place(dotted(element.path), None, None, ())
            if element.above is None
            else Place(dotted(element.path), table_of[element.above], dotted(element.above), element.steps)
            for element in group
        )
        names = _Names(*TableLayout(name, places, (), None).links)
        columns = tuple(self.column(group[0].path, found, names) for found in group[0].columns)
        return TableLayout(name, places, columns, renamed_from)

    def column(self, path: tuple[str, ...], found: _Found, names: _Names) -> ColumnLayout:
        # A value of the table's element itself is named as the element, one of the root "value".
        words = self.words(path, found.steps) or self.words(path[:-1], path[-1:]) or ["value"]
        name, renamed_from = names.unique("_".join(words))
        return ColumnLayout(name, dotted((*path, *found.steps)), found.type, renamed_from, found.steps)

    def words(self, path: tuple[str, ...], steps: tuple[str, ...]) -> list[str]:
        """The steps from a path on as words; text has none of its own."""
        ends = (steps[: at + 1] for at in range(len(steps)))
        return [self.plain(end[-1]) for end in ends if (*path, *end) not in self.texts]

    def plain(self, step: str) -> str:
        return re.sub(r"\W", "_", step.removeprefix(self.options.attribute_prefix)) or "_"
