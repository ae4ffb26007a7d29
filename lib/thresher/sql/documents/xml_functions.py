"""XML: xpath and its typed forms, from_xml, schema_of_xml and to_xml, by Spark's rules (docs/xml.md)."""

from functools import partial

from sqlglot import exp

from thresher.errors import UsageError
from thresher.sql import kinds
from thresher.sql.allowed import function
from thresher.sql.documents.json_functions import literal_text, plain_text, schema_type, written_options
from thresher.sql.documents.xml_schemas import reader, schema_text, xml_options
from thresher.sql.documents.xml_writing import writer
from thresher.sql.documents.xpath_text import expression
from thresher.sql.documents.xpaths import reads_alike
from thresher.sql.expressions import Expressions, Typed

_xml = partial(function, group="XML")

_XPATHS = {
    "xpath": ("xpath", kinds.array_of(kinds.STRING)),
    "xpath_string": ("xpath_string", kinds.STRING),
    "xpath_boolean": ("xpath_boolean", kinds.BOOL),
    "xpath_short": ("xpath_short", kinds.SMALLINT),
    "xpath_int": ("xpath_int", kinds.INT),
    "xpath_long": ("xpath_long", kinds.BIGINT),
    "xpath_float": ("xpath_float", kinds.FLOAT),
    "xpath_double": ("xpath_double", kinds.DOUBLE),
    "xpath_number": ("xpath_double", kinds.DOUBLE),
}


@_xml(
    " ".join(_XPATHS),
    2,
    2,
    "xpath(xml, path) → array<string>, xpath_string(xml, path), xpath_boolean, xpath_short, xpath_int, xpath_long, "
    "xpath_float, xpath_double, xpath_number",
    "SELECT xpath_string('<p><a>x</a></p>', 'p/a') AS a",
    note="XPath 1.0 with a literal path, names without their prefix. An empty text gives NULL; text that is no XML is "
    "an error. Not: name(), namespace-uri(), id(), lang(), prefixes and variables.",
)
def _xpath(e: Expressions, node: exp.Anonymous) -> Typed:
    name, kind = _XPATHS[node.name.lower()]
    document = plain_text(e, node.expressions[0], f"what {node.name} searches")
    if e.expr(node.expressions[1]).kind == kinds.VOID:
        return Typed(f"CAST(NULL AS {kinds.in_duckdb(kind)})", kind)
    path = literal_text(e, node.expressions[1], f"the path of {node.name}")
    if path:
        _check_path(e, node, path)
    return Typed(f"spark_{name}({document.sql}, {kinds.text_literal(path)})", kind)


def _check_path(e: Expressions, node: exp.Expr, path: str) -> None:
    try:
        found = expression(path)
    except UsageError as error:
        e.refuse(node, str(error))
    if found.numbers and not all(map(reads_alike, found.literals)):
        e.refuse(node, "a number in an XPath that may be read as another one")


@_xml(
    "from_xml",
    2,
    3,
    "from_xml(xml, 'a int, …' [, map('option', 'value', …)])",
    "SELECT from_xml('<p><a>1</a></p>', 'a int') AS a",
    note="By docs/xml.md under Options.spark(). The schema is a literal. Options: mode, columnNameOfCorruptRecord, "
    "attributePrefix, valueTag, excludeAttribute, ignoreSurroundingSpaces, ignoreNamespace, wildcardColName, "
    "nullValue, dateFormat, timestampFormat, timestampNTZFormat, timeZone.",
)
def _from_xml(e: Expressions, node: exp.Anonymous) -> Typed:
    document = plain_text(e, node.expressions[0], "the first argument of from_xml")
    kind = schema_type(e, node.expressions[1], "the schema of from_xml")
    read = reader(e, node, kind, xml_options(e, node, 2))
    return Typed(f"{e.function(read)}({document.sql})", kind)


@_xml(
    "schema_of_xml",
    1,
    2,
    "schema_of_xml('<p>…</p>' [, map(…)])",
    "SELECT schema_of_xml('<p><a>1</a></p>') AS a",
    note="Of a literal; its text may be the schema of from_xml. Options as there, and inferSchema, prefersDecimal.",
)
def _schema_of_xml(e: Expressions, node: exp.Anonymous) -> Typed:
    document = literal_text(e, node.expressions[0], "the argument of schema_of_xml")
    text = schema_text(e, node, document, xml_options(e, node, 1))
    return Typed(kinds.text_literal(text), kinds.STRING, literal=text)


@_xml(
    "to_xml",
    1,
    2,
    "to_xml(struct [, map('option', 'value', …)])",
    "SELECT to_xml(named_struct('_id', 7, 'a', array(1, 2))) AS a",
    note="Options: rowTag, attributePrefix, valueTag, nullValue, indent, arrayElementName; dateFormat and its kin.",
)
def _to_xml(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if value.kind != kinds.VOID and not kinds.is_struct(value.kind):
        e.wrong(node, f"to_xml of a {kinds.in_spark(value.kind)}; expected a struct.")
    options = written_options(e, node, 1)
    if value.kind == kinds.VOID:
        return e.cast(value, kinds.STRING)
    written = writer(e, node, value.kind, options)
    return Typed(f"{e.function(written)}(CAST({value.sql} AS {kinds.in_duckdb(value.kind)}))", kinds.STRING)
