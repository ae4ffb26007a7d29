"""XML documents → typed nested values and tables, by the rules in docs/xml.md.

schema = xml.discover(documents)
parsed = xml.parse(documents, schema)          # parsed.values, parsed.errors, parsed.rescued
parts = xml.tables(documents, schema, keys)    # {"book": …, "book_author": …}
"""

from thresher.xml.discovery import discover, discover_column
from thresher.xml.flattening import flatten
from thresher.xml.layout import ColumnLayout, TableLayout, table_layout, table_schema
from thresher.xml.options import Options
from thresher.xml.parsing import Parsed, parse
from thresher.xml.relational import row_keys, tables, tables_from_values
from thresher.xml.rendering import to_json
from thresher.xml.schema import Schema

__all__ = [
    "ColumnLayout",
    "Options",
    "Parsed",
    "Schema",
    "TableLayout",
    "discover",
    "discover_column",
    "flatten",
    "parse",
    "row_keys",
    "table_layout",
    "table_schema",
    "tables",
    "tables_from_values",
    "to_json",
]
