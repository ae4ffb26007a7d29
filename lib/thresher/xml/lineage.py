"""Where each path of a schema has gone: nested type, table and column."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from thresher.types import ddl
from thresher.xml.layout import ColumnLayout, Place, TableLayout, table_layout
from thresher.xml.options import Options, dotted
from thresher.xml.schema import Schema
from thresher.xml.structure import ATTRIBUTE, ELEMENT, TEXT, Node

LINEAGE = pa.schema(
    [
        ("path", pa.string()),
        ("xpath", pa.string()),
        ("kind", pa.string()),
        ("type", pa.string()),
        ("table", pa.string()),
        ("column", pa.string()),
        ("column_type", pa.string()),
        ("renamed_from", pa.string()),
        ("parent_table", pa.string()),
        ("examples", pa.list_(pa.field("element", pa.string()))),
    ]
)


def lineage(schema: Schema, options: Options | None = None) -> pa.Table:
    """Tell where every path went: schema → one row per path, parents first.

    | column | meaning |
    |---|---|
    | path, type | where it stands in the nested values; type null: inside the XML text of the string above it |
    | xpath | where it stands in the documents: names as the schema has them, `*` for a root of several names |
    | kind | element, attribute or text |
    | table, column, column_type | where it stands in `xml.tables`; an element with content has rows or columns below |
    | renamed_from | the name that the column (of a repeated element with content: the table) gave up to another |
    | parent_table | the table whose `_key` is the `_parent_key` of this one, for this path |
    | examples | texts that were seen |

    Raises what `table_layout` raises.

    >>> found = lineage(Schema.from_ddl("_id int, book array<struct<title: string>>"))
    >>> for row in found.select(["path", "xpath", "type", "table", "column"]).to_pylist():
    ...     print(*row.values())
    _id /*/@id int document id
    book /*/book array<struct> book None
    book.title /*/book/title string book title
    """
    options = options or schema.options
    targets = _Targets(table_layout(schema, options))
    kinds_of = {row["path"]: row["kind"] for row in schema.paths.select(["path", "kind"]).to_pylist()}
    root = "/" + (schema.seen.name if len(schema.seen.names) == 1 else "*")
    xpaths: dict[tuple[str, ...], str] = {(): root}
    rows = []
    for path, kind, node in _walk(schema):
        found = kinds_of.get(dotted(path)) if kind is not None else "+".join(sorted(node.kinds))
        xpaths[path] = _xpath(xpaths[path[:-1]], path[-1], str(found), schema.options)
        row = {"path": dotted(path), "xpath": xpaths[path], "kind": found, "type": kind}
        rows.append({**row, **(targets.of(path) if kind is not None else {}), "examples": node.votes.extremes.examples})
    return pa.Table.from_pylist(rows, schema=LINEAGE)


def _walk(schema: Schema) -> Iterator[tuple[tuple[str, ...], str | None, Node]]:
    """Every path with its type; what was seen below a scalar has none."""
    for _, shape in schema.shape.walk():
        yield shape.path, shape.short_type, shape.node
        if not kinds.is_struct(shape.item):
            yield from _below(shape.path, shape.node)


def _below(path: tuple[str, ...], node: Node) -> Iterator[tuple[tuple[str, ...], None, Node]]:
    for child in sorted(node.children.values(), key=lambda child: child.name):
        yield (*path, child.name), None, child
        yield from _below((*path, child.name), child)


def _xpath(parent: str, name: str, kind: str, options: Options) -> str:
    steps = {
        ATTRIBUTE: "@" + name.removeprefix(options.attribute_prefix),
        ELEMENT: name,
        TEXT: "text()",
    }
    return " | ".join(f"{parent}/{steps[one]}" for one in kind.split("+"))


class _Targets:
    """The table and column of each path."""

    def __init__(self, layout: dict[str, TableLayout]) -> None:
        self.places = {place.path: (table, place) for table in layout.values() for place in table.places}
        self.columns = {
            path: column
            for table in layout.values()
            for place in table.places
            for path, column in _columns(table, place)
        }

    def of(self, path: tuple[str, ...]) -> dict[str, Any]:
        within = next((end for end in range(len(path), -1, -1) if dotted(path[:end]) in self.places), None)
        if within is None:
            return {}
        table, place = self.places[dotted(path[:within])]
        column = self.columns.get(dotted(path))
        renamed_from = column.renamed_from if column else table.renamed_from if within == len(path) else None
        return {
            "table": table.name,
            "column": column and column.name,
            "column_type": column and ddl(column.type),
            "renamed_from": renamed_from,
            "parent_table": place.parent,
        }


def _columns(table: TableLayout, place: Place) -> Iterator[tuple[str, ColumnLayout]]:
    for column in table.columns:
        below = dotted(column.steps)
        yield ".".join(part for part in (place.path, below) if part), column
