"""What from_xml and schema_of_xml take: options, schemas, and the reader made of both."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from sqlglot import exp

from thresher import xml
from thresher.errors import DataError, UsageError
from thresher.sql import kinds
from thresher.sql.allowed import ArrowFunction
from thresher.sql.documents.json_functions import made_function, written_options
from thresher.sql.documents.type_texts import quoted_name
from thresher.sql.documents.unproven import Unproven
from thresher.sql.expressions import Expressions
from thresher.xml.spark_options import is_spark_name, spark_settings
from thresher.xml.structure import ATTRIBUTE, ELEMENT, Node, fold

_CORRUPT = "_corrupt_record"


def xml_options(e: Expressions, node: exp.Anonymous, position: int) -> dict[str, Any]:
    """The options map(…) at a position of the arguments, as those of `xml.Options`."""
    written = written_options(e, node, position)
    for name, value in written.items():
        if not is_spark_name(name) or (name.lower() == "attributeprefix" and not value):
            e.refuse(node, f"{node.name} with the option {name} {value!r}")
        if name.lower() == "mode":
            written[name] = _mode(e, node, value)
    try:
        return spark_settings(written)
    except UsageError as error:
        e.wrong(node, str(error))


def _mode(e: Expressions, node: exp.Anonymous, value: str) -> str:
    if value.lower() == "dropmalformed":
        e.wrong(node, f"{node.name} in mode DROPMALFORMED; expected PERMISSIVE or FAILFAST.")
    return "failfast" if value.lower() == "failfast" else "permissive"


def reader(e: Expressions, node: exp.Anonymous, kind: pa.DataType, options: dict[str, Any]) -> ArrowFunction:
    """The function that reads documents as a struct of this type."""
    if not kinds.is_struct(kind):
        e.wrong(node, f"the schema of from_xml is {kinds.in_spark(kind)}; expected columns: 'a int, b string'.")
    corrupt = options.get("corrupt_column", _CORRUPT)
    for field in kind:
        if field.name == corrupt and field.type != kinds.STRING:
            e.wrong(node, f"{corrupt} is {kinds.in_spark(field.type)}; expected string.")
    if any(not part.num_fields or _has_same_names(part) for part in _structs(kind)):
        e.refuse(node, "a struct with no fields, or with names that differ by case")
    try:
        schema = xml.Schema(xml.Options.spark(**options), declared=kind)
        xml.parse([], schema)
    except UsageError as error:
        e.refuse(node, f"from_xml with this schema or these options ({str(error).rstrip('.')})")
    if schema.arrow_type != kind:
        e.refuse(node, f"from_xml as {kinds.in_spark(kind)}")

    def run(documents: pa.ChunkedArray) -> pa.Array:
        parsed = xml.parse(documents.to_pylist(), schema)
        if "budget" in parsed.errors["rule"].unique().to_pylist():
            raise Unproven("from_xml of a text as large or deep as this")
        return parsed.values

    return made_function("from_xml", [kinds.STRING], kind, sorted(options.items()), run)


def _structs(kind: pa.DataType) -> Iterator[pa.StructType]:
    if kinds.is_array(kind):
        yield from _structs(kind.value_type)
    elif kinds.is_struct(kind):
        yield kind
        for field in kind:
            yield from _structs(field.type)


def _has_same_names(kind: pa.StructType) -> bool:
    return len({fold(field.name) for field in kind}) < kind.num_fields


def schema_text(e: Expressions, node: exp.Anonymous, document: str, options: dict[str, Any]) -> str:
    """The schema of one document, as Spark writes it."""
    try:
        schema = xml.discover([document], xml.Options.spark(**options))
    except UsageError as error:
        e.refuse(node, f"schema_of_xml with these options ({str(error).rstrip('.')})")
    except DataError:
        e.wrong(node, "schema_of_xml of a text that is no XML, in mode FAILFAST.")
    if not schema.documents:
        return f"STRUCT<{_CORRUPT}: STRING>"
    if any(_has_rivals(child) for child in schema.seen.children.values()):
        e.refuse(node, "schema_of_xml of names that differ by case, or of an attribute and element of one name")
    return _sql_text(schema.arrow_type)


def _has_rivals(seen: Node) -> bool:
    is_both = ATTRIBUTE in seen.kinds and ELEMENT in seen.kinds
    return is_both or len(seen.names) > 1 or any(map(_has_rivals, seen.children.values()))


def _sql_text(kind: pa.DataType) -> str:
    if kinds.is_array(kind):
        return f"ARRAY<{_sql_text(kind.value_type)}>"
    if not kinds.is_struct(kind):
        return kinds.in_spark(kind).upper()
    fields = (f"{quoted_name(field.name)}: {_sql_text(field.type)}" for field in kind)
    return f"STRUCT<{', '.join(fields)}>"
