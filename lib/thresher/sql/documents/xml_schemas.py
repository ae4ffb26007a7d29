"""What from_xml and schema_of_xml take: options, schemas, and the reader made of both."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
from sqlglot import exp

from thresher import xml
from thresher.errors import UsageError
from thresher.sql import kinds
from thresher.sql.allowed import ArrowFunction
from thresher.sql.documents.json_functions import made_function, written_options
from thresher.sql.documents.type_texts import quoted_name
from thresher.sql.documents.unproven import Unproven
from thresher.sql.expressions import Expressions
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ
from thresher.xml.decoding import Refused
from thresher.xml.document import read
from thresher.xml.structure import ATTRIBUTE, ELEMENT, Node, fold

_CORRUPT = "_corrupt_record"
_READING = {
    "attributeprefix": "attribute_prefix",
    "valuetag": "value_tag",
    "excludeattribute": "exclude_attribute",
    "ignoresurroundingspaces": "ignore_surrounding_spaces",
    "ignorenamespace": "ignore_namespace",
    "nullvalue": "null_value",
    "mode": "mode",
    "dateformat": "date_format",
    "timestampformat": "timestamp_format",
    "inferschema": "infer_types",
    "prefersdecimal": "prefers_decimal",
}
_SWITCHES = ("excludeattribute", "ignoresurroundingspaces", "ignorenamespace", "inferschema", "prefersdecimal")
_WITHOUT_EFFECT = ("rowtag", "roottag", "treatemptyvaluesasnulls", "indent", "samplingratio")
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*(?:\[[^\]]*\])?\s*>")
_REFERENCE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);|#)")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#")
_OTHER_YEAR = re.compile(r"[>\"']\s*(?:[+-][0-9]{4,6}|[0-9]{5,6}|0000)(?:[-<\"'\s]|$)")
_NOTHING_READ = re.compile(r"\s*(?:<[^\s/<>=]+>\s*)*[^<]*")  # opening tags without attributes, then text


def xml_options(e: Expressions, node: exp.Anonymous, position: int) -> dict[str, Any]:
    """The options map(…) at a position of the arguments, as those of `xml.Options`."""
    found: dict[str, Any] = {}
    for name, value in written_options(e, node, position).items():
        key = name.lower()
        if key in _READING and (value or key != "attributeprefix"):
            found[_READING[key]] = _option(e, node, name, value)
        elif key not in _WITHOUT_EFFECT:
            e.refuse(node, f"{node.name} with the option {name} {value!r}")
    return found


def _option(e: Expressions, node: exp.Anonymous, name: str, value: str) -> Any:
    if name.lower() in _SWITCHES:
        if value.lower() not in ("true", "false"):
            e.wrong(node, f"the option {name} is {value!r}; expected true or false.")
        return value.lower() == "true"
    if name.lower() != "mode":
        return value
    if value.lower() == "dropmalformed":
        e.wrong(node, f"{node.name} in mode DROPMALFORMED; expected PERMISSIVE or FAILFAST.")
    return "failfast" if value.lower() == "failfast" else "permissive"


def reader(e: Expressions, node: exp.Anonymous, kind: pa.DataType, options: dict[str, Any]) -> ArrowFunction:
    """The function that reads documents as a struct of this type."""
    if not kinds.is_struct(kind):
        e.wrong(node, f"the schema of from_xml is {kinds.in_spark(kind)}; expected columns: 'a int, b string'.")
    for field in kind:
        if field.name == _CORRUPT and field.type != kinds.STRING:
            e.wrong(node, f"{_CORRUPT} is {kinds.in_spark(field.type)}; expected string.")
    if any(not part.num_fields or _has_same_names(part) for part in _structs(kind)):
        e.refuse(node, "a struct with no fields, or with names that differ by case")
    if "timestamp_format" in options and TIMESTAMP_NTZ in _leaves(kind):
        e.refuse(node, "timestampFormat beside a timestamp_ntz")
    try:
        schema = xml.Schema(xml.Options.spark(**options), declared=kind)
        xml.parse([], schema)
    except UsageError as error:
        e.refuse(node, f"from_xml with this schema or these options ({str(error).rstrip('.')})")
    if schema.arrow_type != kind:
        e.refuse(node, f"from_xml as {kinds.in_spark(kind)}")
    names = {fold(field.name) for struct in _structs(kind) for field in struct}

    has_dates = not {kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ}.isdisjoint(_leaves(kind))
    permissive = replace(schema.options, mode="permissive")

    def run(documents: pa.ChunkedArray) -> pa.Array:
        texts = documents.to_pylist()
        parsed = xml.parse(texts, schema, permissive)
        errors = parsed.errors.select(["row", "path"]).to_pylist()
        if not errors:
            return parsed.values
        for error in errors:
            row = error["row"]
            if error["path"] == "":
                texts[row] = _readable(texts[row], schema.options, names)
            elif has_dates and _OTHER_YEAR.search(texts[row]):
                raise Unproven("from_xml of a year outside 1 to 9999")
        return xml.parse(texts, schema).values

    return made_function("from_xml", [kinds.STRING], kind, sorted(options.items()), run)


def _readable(document: str, options: xml.Options, names: set[str]) -> str:
    """A document that was refused, as Spark reads it; stops at one of which Spark may keep a part."""
    try:
        read(document, options)
    except Refused as refused:
        if refused.rule == "truncated":
            return document
        if refused.rule == "malformed":  # Spark reads on where elements that it does not know do not match
            tags = re.findall(r"<([^\s/<>!?\"']+)", document)[1:]
            if names.issuperset(fold(options.local(tag)) for tag in tags):
                return document
        if refused.rule in ("character", "entities"):
            body = _DOCTYPE.sub("", document, count=1)
            found = _REFERENCE.search(body) if refused.rule == "entities" else _FORBIDDEN.search(body)
            if found is None:
                return body
            if options.mode == "failfast" or _NOTHING_READ.fullmatch(body, 0, found.start()):
                return document
        raise Unproven(f"from_xml of a text that is no XML: {refused.reason}") from None
    return document


def _structs(kind: pa.DataType) -> Iterator[pa.StructType]:
    if kinds.is_array(kind):
        yield from _structs(kind.value_type)
    elif kinds.is_struct(kind):
        yield kind
        for field in kind:
            yield from _structs(field.type)


def _leaves(kind: pa.StructType) -> list[pa.DataType]:
    types = [field.type for struct in _structs(kind) for field in struct]
    return [part.value_type if kinds.is_array(part) else part for part in types]


def _has_same_names(kind: pa.StructType) -> bool:
    return len({fold(field.name) for field in kind}) < kind.num_fields


def schema_text(e: Expressions, node: exp.Anonymous, document: str, options: dict[str, Any]) -> str:
    """The schema of one document, as Spark writes it."""
    try:
        schema = xml.discover([document], xml.Options.spark(**options))
    except UsageError as error:
        e.refuse(node, f"schema_of_xml with these options ({str(error).rstrip('.')})")
    if not schema.documents:
        if options.get("mode") == "failfast":
            e.wrong(node, "schema_of_xml of a text that is no XML, in mode FAILFAST.")
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
