"""XML documents → typed nested values and tables, by the rules in docs/xml.md.

schema = xml.discover(documents)
parsed = xml.parse(documents, schema)          # parsed.values, parsed.errors, parsed.rescued
parts = xml.tables(documents, schema, keys)    # {"book": …, "book_author": …}
"""

from thresher.xml.cutting import records
from thresher.xml.discovery import discover, discover_column
from thresher.xml.flattening import flat_schema, flatten, flatten_batches
from thresher.xml.layout import ColumnLayout, Place, TableLayout, table_layout, table_schema
from thresher.xml.lineage import lineage
from thresher.xml.options import Options
from thresher.xml.parsing import Parsed, parse
from thresher.xml.relational import row_keys, tables, tables_from_values
from thresher.xml.rendering import to_json
from thresher.xml.schema import Schema
from thresher.xml.sources import Source, source
from thresher.xml.streaming import discover_batches, side_tables, tables_batches

__all__ = [
    "ColumnLayout",
    "Options",
    "Parsed",
    "Place",
    "Schema",
    "Source",
    "TableLayout",
    "discover",
    "discover_batches",
    "discover_column",
    "flat_schema",
    "flatten",
    "flatten_batches",
    "lineage",
    "parse",
    "records",
    "row_keys",
    "side_tables",
    "source",
    "table_layout",
    "table_schema",
    "tables",
    "tables_batches",
    "tables_from_values",
    "to_json",
]
