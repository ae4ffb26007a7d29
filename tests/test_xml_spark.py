"""Options.spark() gives what Spark's from_xml and schema_of_xml give."""

import json
import os
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from thresher import xml
from thresher.errors import UsageError
from thresher.types import ddl

ROOT = Path(__file__).resolve().parent.parent
PARITY = Path(os.environ.get("THRESHER_PARITY") or ROOT.parent / "shared" / "parity")

OPTIONS = {
    "attributePrefix": "attribute_prefix",
    "ignoreNamespace": "ignore_namespace",
    "ignoreSurroundingSpaces": "ignore_surrounding_spaces",
    "nullValue": "null_value",
    "prefersDecimal": "prefers_decimal",
    "excludeAttribute": "exclude_attribute",
    "dateFormat": "date_format",
    "inferSchema": "infer_types",
}


def from_xml(document: str, schema: str, **options: Any) -> Any:
    return xml.parse([document], xml.Schema.from_ddl(schema, xml.Options.spark(**options))).values.to_pylist()[0]


def schema_of_xml(document: str, **options: Any) -> str:
    return xml.discover([document], xml.Options.spark(**options)).ddl


# What Apache Spark 4.2.0 answered (session time zone UTC).
VALUES = [
    # the record ends at its first bad value: what stood before it stays
    ("<p><b>1</b><a>x</a></p>", "a int, b int", {"a": None, "b": 1}),
    ("<p><a>x</a><b>1</b></p>", "a int, b int", {"a": None, "b": None}),
    (
        "<p><b>1</b><a>x</a></p>",
        "a int, b int, _corrupt_record string",
        {"a": None, "b": 1, "_corrupt_record": "<p><b>1</b><a>x</a></p>"},
    ),
    ("<p><s><a>x</a><c>3</c></s><b>1</b></p>", "s struct<a:int,c:int>, b int", {"s": None, "b": None}),
    ("<p><b>1</b><s><c>3</c><a>x</a></s></p>", "s struct<a:int,c:int>, b int", {"s": None, "b": 1}),
    ("<p><s k='x'><c>3</c></s><c>9</c></p>", "s struct<_k:int,c:int>, c int", {"s": None, "c": 3}),
    ("<p><a>1</a><a>x</a><a>3</a><b>5</b></p>", "a array<int>, b int", {"a": [1], "b": None}),
    ("<p b='x'><a>1</a></p>", "_b int, a int", {"_b": None, "a": None}),
    ("<p><b>5</b>x<c>6</c></p>", "_VALUE int, b int, c int", {"_VALUE": None, "b": None, "c": None}),
    ("<p><b>1</b>", "b int", {"b": None}),
    ("  ", "b int", {"b": None}),
    ("<p><b>1</b></p> junk", "b int", {"b": 1}),
    ("  <p><b>1</b></p>", "b int", {"b": 1}),
    ("  <?xml version='1.0'?><p><b>1</b></p>", "b int", {"b": None}),
    ("<p a='1' a='2'/>", "_a int", {"_a": None}),
    # casts
    (
        "<p><d>12abc</d><e>1,234.5</e><f>-1,5</f></p>",
        "d double, e double, f double",
        {"d": 12.0, "e": 1234.5, "f": -15.0},
    ),
    ("<p><d>0x1p3</d><e>1d</e><f>--1</f></p>", "d double, e double, f double", {"d": 8.0, "e": 1.0, "f": 1.0}),
    ("<p><d>x1</d></p>", "d double", {"d": None}),
    ("<p><d>1,2,3.5</d></p>", "d decimal(8,2)", {"d": Decimal("123.50")}),
    (
        "<p><d>1.005</d><e>-0.005</e></p>",
        "d decimal(10,2), e decimal(8,2)",
        {"d": Decimal("1.01"), "e": Decimal("-0.01")},
    ),
    ("<p><b>1</b><d>123456.789</d><c>1</c></p>", "d decimal(5,2), b int, c int", {"d": None, "b": 1, "c": None}),
    ("<p><d>1e3</d></p>", "d decimal(10,2)", {"d": Decimal("1000.00")}),
    ("<p><d>1e3</d></p>", "d int", {"d": None}),
    ("<p><d>-9223372036854775808</d></p>", "d bigint", {"d": None}),
    ("<p><d>-128</d><e>+5</e></p>", "d tinyint, e tinyint", {"d": -128, "e": 5}),
    ("<p><d>--5</d></p>", "d int", {"d": 5}),
    ("<p><e>TRUE</e><f>1</f></p>", "e boolean, f boolean", {"e": True, "f": True}),
    ("<p><t>2024-01-01 10:00:00</t></p>", "t timestamp", {"t": datetime(2024, 1, 1, 10, tzinfo=UTC)}),
    ("<p><t>2024-06-05T07:08:09 UTC+2</t></p>", "t timestamp", {"t": datetime(2024, 6, 5, 5, 8, 9, tzinfo=UTC)}),
    ("<p><t>2024-06-05T07:08:09CET</t></p>", "t timestamp", {"t": datetime(2024, 6, 5, 5, 8, 9, tzinfo=UTC)}),
    ("<p><t>2024-6-5 7:8:9.5</t></p>", "t timestamp", {"t": datetime(2024, 6, 5, 7, 8, 9, 500000, tzinfo=UTC)}),
    (
        "<p><t>2024-01-01T10:00:00.1234567Z</t></p>",
        "t timestamp",
        {"t": datetime(2024, 1, 1, 10, 0, 0, 123456, tzinfo=UTC)},
    ),
    ("<p><t>2024-06</t></p>", "t timestamp", {"t": datetime(2024, 6, 1, tzinfo=UTC)}),
    ("<p><t>2024-06-05T24:00:00</t></p>", "t timestamp", {"t": None}),
    ("<p><t>2024-06-05Z</t></p>", "t timestamp", {"t": None}),
    ("<p><t>2024-01-01T10:00:00Z</t></p>", "t timestamp_ntz", {"t": None}),
    ("<p><t>2024-01-01T10:00:00</t></p>", "t timestamp_ntz", {"t": datetime(2024, 1, 1, 10)}),
    ("<p><t>2024-1-5</t></p>", "t date", {"t": None}),
    ("<p><t>0024-06-05</t></p>", "t date", {"t": date(24, 6, 5)}),
    # shapes
    ("<p><d>1<!-- c -->2</d></p>", "d string", {"d": "12"}),
    ("<p><d>1<!-- c -->2</d></p>", "d int", {"d": None}),
    ("<p><d>1<![CDATA[2]]>3</d></p>", "d int", {"d": 123}),
    ("<p>one<a>1</a>two</p>", "_VALUE string, a int", {"_VALUE": "two", "a": 1}),
    ("<p>one<a>1</a>two</p>", "_VALUE array<string>, a int", {"_VALUE": ["one", "two"], "a": 1}),
    ("<p><d>one<a k='&lt;&quot;'>1 &lt; 2</a>two<e/></d></p>", "d string", {"d": 'one<a k="<"">1 < 2</a>two<e></e>'}),
    ("<p><d>5<e/></d></p>", "d int", {"d": None}),
    ("<p><d>t</d></p>", "d struct<a:int>", {"d": {"a": None}}),
    ("<p><d/></p>", "d struct<a:int>", {"d": {"a": None}}),
    ("<p><d>1</d><d/><d>3</d></p>", "d array<int>", {"d": [1, None, 3]}),
    ("<p><d>1</d><d/><d>3</d></p>", "d array<string>", {"d": ["1", "", "3"]}),
    ("<p><a>1</a><A>2</A></p>", "a array<int>", {"a": [1, 2]}),
    ("<p a='1'><_a>2</_a></p>", "_a int", {"_a": 2}),
    ("<p><b k=''>1</b></p>", "b struct<_VALUE:int,_k:int>", {"b": None}),
    ("<p><b k=''>1</b></p>", "b struct<_VALUE:int,_k:string>", {"b": {"_VALUE": 1, "_k": ""}}),
    (
        "<p><a>1</a><c k='1'><d>3</d></c><b>2</b></p>",
        "b int, xs_any array<string>",
        {"b": 2, "xs_any": ["1", "<d>3</d>"]},
    ),
    (
        "<p><v xsi:nil='true'/></p>",
        "v struct<`_xsi:nil`:boolean,_VALUE:int>",
        {"v": {"_xsi:nil": True, "_VALUE": None}},
    ),
    (
        "<!DOCTYPE p [<!ATTLIST b k CDATA '7'>]><p><b>1</b></p>",
        "b struct<_VALUE:int,_k:int>",
        {"b": {"_VALUE": 1, "_k": None}},
    ),
    ("<p><a>&nbsp;1</a></p>", "a string", {"a": None}),
]

SCHEMAS = [
    ("<p><a>007</a><b>+5</b><c>-0</c></p>", {}, "a: bigint, b: bigint, c: bigint"),
    ("<p><d>5d</d><e>1f</e><g>-</g><h>0x10</h></p>", {}, "d: string, e: string, g: string, h: string"),
    ("<p><a>-9223372036854775808</a><b>9223372036854775807</b></p>", {}, "a: double, b: bigint"),
    ("<p><a>1</a><a>2.5</a></p>", {}, "a: array<double>"),
    ("<p><a>1</a><a>2.5</a></p>", {"prefers_decimal": True}, "a: array<decimal(21,1)>"),
    (
        "<p><b>2.50</b><c>1,234</c><d>.5</d><e>5.</e></p>",
        {"prefers_decimal": True},
        "b: decimal(3,2), c: decimal(4,0), d: decimal(1,1), e: decimal(1,0)",
    ),
    (
        "<p><f>1e3</f><g>1E-5</g><h>12345678901234567890</h></p>",
        {"prefers_decimal": True},
        "f: double, g: decimal(5,5), h: decimal(20,0)",
    ),
    ("<p><b>2.50</b><c>1,234</c><d>.5</d><e>5.</e></p>", {}, "b: double, c: string, d: double, e: double"),
    ("<p><a>1</a><a>true</a><b>true</b><c>TRUE</c></p>", {}, "a: array<string>, b: boolean, c: boolean"),
    ("<p><a>2024-01-01</a><b>2024-01</b><d>10:30</d></p>", {}, "a: date, b: timestamp, d: timestamp"),
    ("<p><a>10:30Z</a></p>", {}, "a: string"),
    ("<p><a>2024-01-01</a><a>2024-01-01T10:00:00Z</a></p>", {}, "a: array<timestamp>"),
    ("<p><b>2024-01-01</b><b>5</b></p>", {}, "b: array<string>"),
    ("<p><b>24/01/2024</b></p>", {"date_format": "dd/MM/yyyy"}, "b: date"),
    ("<p><a>1</a></p>", {"infer_types": False}, "a: string"),
    ("<p><d>1<!-- c -->2</d></p>", {}, "d: struct<_VALUE: array<bigint>>"),
    ("<p><b><c/></b></p>", {}, "b: struct<c: string>"),
    ("<p><a>1</a><a><b>1</b></a></p>", {}, "a: array<string>"),
    ("<p><a>1</a><a b='1'>x</a></p>", {}, "a: array<struct<_VALUE: string, _b: bigint>>"),
    ("<p><a/><a b='1'/></p>", {}, "a: array<struct<_b: bigint>>"),
    ("<p><w><c/></w><w>t</w><w>u<c/></w></p>", {}, "w: array<struct<_VALUE: string, c: string>>"),
    ("<p><b>1</b><B>2</B></p>", {}, "b: array<bigint>"),
    ("<p a='1'><_a>2</_a></p>", {}, "_a: array<bigint>"),
    ("<p xmlns='u' xmlns:x='v'><x:a>1</x:a></p>", {}, "_xmlns: string, `_xmlns:x`: string, `x:a`: bigint"),
    (
        "<p xmlns:x='v' x:k='1'><x:a y:b='2'>1</x:a></p>",
        {"ignore_namespace": True},
        "_k: bigint, _x: string, a: struct<_VALUE: bigint, _b: bigint>",
    ),
    ("<p><b>NULL</b><b>1</b></p>", {"null_value": "NULL"}, "b: array<string>"),
    ("<p b='1'><a>1</a></p>", {"exclude_attribute": True}, "a: bigint"),
]


MAPS_AND_FAULTS = [
    ("<p><m k='1'><a>2</a><a>3</a></m></p>", "m map<string,int>", {"m": [("_k", 1), ("a", 3)]}),
    ("<p><m k='1'/></p>", "m map<string,int>", {"m": None}),
    ("<p><m>t</m></p>", "m map<string,string>", {"m": None}),
    ("<p><m><a><x>1</x></a></m></p>", "m map<string,struct<x:int>>", {"m": [("a", {"x": 1})]}),
    ("<p><b>1</b><m><a>1</a><c>x</c></m></p>", "b int, m map<string,int>", {"b": 1, "m": None}),
    ("<p><b>1</b><x>&nbsp;<c>7</c></x><c>2</c></p>", "b int, c int", {"b": 1, "c": 7}),
    ("<p><b>1</b><x><y></x><c>2</c></p>", "b int, c int", {"b": None, "c": None}),
    ("<p><b>1</b><x></z></x><c>2</c></p>", "b int, c int", {"b": 1, "c": None}),
    ("<p><b>1</b><x>\x01</x><c>2</c></p>", "b int, c int", {"b": 1, "c": None}),
    ("<p><b>1</b>&nbsp;<c>2</c></p>", "b int, c int", {"b": None, "c": None}),
    ("<!DOCTYPE p [<!ENTITY e 'v'>]><p><b>1</b></p>", "b int", {"b": 1}),
    ("<!DOCTYPE p [<!ENTITY e 'v'>]><p><b>1</b><x>&e;</x><c>2</c></p>", "b int, c int", {"b": 1, "c": None}),
    ("<p><a>∞</a><b>-Infinity</b></p>", "a double, b float", {"a": float("inf"), "b": float("-inf")}),
    ("<p><a>aGk=</a></p>", "a binary", {"a": None}),
    ("<p><a>2024-06-05T10:00Z</a></p>", "a timestamp", {"a": None}),
    ("<p><a>2024-06-05T10:00:00+1:3</a></p>", "a timestamp", {"a": datetime(2024, 6, 5, 8, 57, tzinfo=UTC)}),
]


@pytest.mark.parametrize(("document", "schema", "expected"), MAPS_AND_FAULTS)
def test_maps_faults_and_odd_values(document: str, schema: str, expected: Any) -> None:
    assert from_xml(document, schema) == expected


def test_years_that_python_does_not_know() -> None:
    schema = xml.Schema.from_ddl("d date, t timestamp", xml.Options.spark())
    parsed = xml.parse(["<p><d>-0001-01-01</d><t>0000-01-01</t></p>"], schema).values

    assert parsed.field("d").cast(pa.int32()).to_pylist() == [-719893]
    assert parsed.field("t").cast(pa.int64()).to_pylist() == [-62167219200000000]


def test_sparks_names_of_options_in_any_case() -> None:
    by_spark = xml.Options.spark(
        attributePrefix="@", NULLVALUE="", ignorenamespace="TRUE", prefersDecimal=True, Mode="FAILFAST", rowTag="book"
    )
    own = xml.Options.spark(
        attribute_prefix="@", null_value="", ignore_namespace=True, prefers_decimal=True, mode="failfast"
    )

    assert by_spark == own


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"nullvalues": ""},
            "xml option 'nullvalues' is not known; expected one of arrayElementName, attributePrefix,",
        ),
        ({"ignoreNamespace": "yes"}, "xml option ignoreNamespace='yes'; expected true or false"),
        ({"locale": "de-DE"}, "xml option locale='de-DE'; numbers, months and days are read in en-US alone"),
        ({"timeZone": "Mars"}, "xml option time_zone='Mars' is not known; expected one as Europe/Berlin"),
        ({"dateFormat": "EEE, dd MMM yyyy"}, "EEE in the pattern 'EEE, dd MMM yyyy' is not supported; expected yyyy,"),
        ({"mode": "lenient"}, "xml option mode='lenient'; expected one of permissive, dropmalformed, failfast"),
    ],
)
def test_options_that_are_no_options_of_spark(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        xml.Options.spark(**options)

    assert str(raised.value).startswith(message)


def test_a_column_for_corrupt_records_that_is_no_text() -> None:
    schema = xml.Schema.from_ddl("a int, _corrupt_record int", xml.Options.spark())

    with pytest.raises(UsageError) as raised:
        xml.parse(["<p/>"], schema)

    assert str(raised.value) == "the column _corrupt_record for corrupt records is int; expected string"


def test_wildcard_corrupt_column_time_zone_and_patterns() -> None:
    assert from_xml("<p><q>1</q></p>", "rest string", wildcardColName="rest") == {"rest": "1"}
    assert from_xml("<p>", "bad string, a int", columnNameOfCorruptRecord="bad") == {"bad": "<p>", "a": None}
    document = "<p><t>2024-07-01 10:00:00</t></p>"
    assert from_xml(document, "t timestamp", timeZone="Europe/Berlin") == {"t": datetime(2024, 7, 1, 8, tzinfo=UTC)}
    document = "<p><n>3 Jan 2024 10:30 PM</n></p>"
    assert from_xml(document, "n timestamp_ntz", timestampNTZFormat="d MMM yyyy hh:mm a") == {
        "n": datetime(2024, 1, 3, 22, 30)
    }


def test_the_error_of_a_damaged_document_names_its_first_fault() -> None:
    schema = xml.Schema.from_ddl("b int", xml.Options.spark())
    parsed = xml.parse(["<p><b>1</b><x>&nbsp;</x></p>", "<p><b>1</b></p></p>"], schema)

    assert parsed.values.to_pylist() == [{"b": 1}, {"b": 1}]
    assert [(e["row"], e["path"], e["rule"], e["column"]) for e in parsed.errors.to_pylist()] == [
        (0, "", "entities", 15)
    ]


@pytest.mark.parametrize(("document", "schema", "expected"), VALUES)
def test_from_xml(document: str, schema: str, expected: Any) -> None:
    assert from_xml(document, schema) == expected


@pytest.mark.parametrize(("document", "options", "expected"), SCHEMAS)
def test_schema_of_xml(document: str, options: dict[str, Any], expected: str) -> None:
    assert schema_of_xml(document, **options) == f"struct<{expected}>"


@pytest.mark.parametrize(
    ("options", "schema", "expected"),
    [
        ({"ignore_surrounding_spaces": False}, "a string, b string", {"a": " 7 ", "b": "  "}),
        ({"ignore_surrounding_spaces": False}, "a int", {"a": None}),
        ({"null_value": "7"}, "a int, b string", {"a": None, "b": ""}),
        ({"null_value": ""}, "a int, b string", {"a": 7, "b": None}),
    ],
)
def test_from_xml_with_options(options: dict[str, Any], schema: str, expected: Any) -> None:
    assert from_xml("<p><a> 7 </a><b>  </b></p>", schema, **options) == expected


def test_a_null_is_null_and_what_spark_drops_is_not_rescued() -> None:
    parsed = xml.parse([None, "<p><q>1</q></p>"], xml.Schema.from_ddl("a int", xml.Options.spark()))

    assert parsed.values.to_pylist() == [None, {"a": None}]
    assert parsed.rescued.to_pylist() == [None, None]


LITERAL = r"'((?:[^'\\]|''|\\.)*)'"


def test_recorded_answers_of_spark() -> None:
    """Every recorded from_xml and schema_of_xml case, read by a small reader of its SQL."""
    file = PARITY / "spark42_cases.jsonl"
    if not file.exists():
        pytest.skip(f"no recorded answers at {file}; set THRESHER_PARITY to their folder")
    cases = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    agreed, differing = 0, []
    for case in cases:
        if case["area"] != "xml" or not re.search(r"\b(from_xml|schema_of_xml)\(", case["sql"]):
            continue
        ours, spark = sorted(map(repr, answers(case["sql"]))), sorted(repr(row[0]) for row in case["spark"]["rows"])
        agreed += ours == spark
        if ours != spark:
            differing.append((case["sql"], ours, spark))
    assert differing == []
    assert agreed >= 25


def answers(sql: str) -> list[Any]:
    """Our answer to a recorded statement, in the encoding of the records."""
    if found := re.fullmatch(rf"SELECT schema_of_xml\({LITERAL}\) AS v", sql):
        text = schema_of_xml(unquoted(found[1]))
        return [re.sub(r"\b[a-z]+(?=<|,|>|$)", lambda word: word[0].upper(), text)]
    call = rf"SELECT from_xml\((?:{LITERAL}|null|x),{LITERAL}(?:,map\((.*)\))?\) AS v"
    found = re.fullmatch(rf"{call}(?: FROM VALUES (.*) t\(x\))?", sql)
    assert found, sql
    literal, schema, settings, values = found.groups()
    pairs = re.findall(LITERAL, settings or "")
    options = xml.Options.spark(**{OPTIONS[name]: value for name, value in zip(pairs[::2], pairs[1::2], strict=True)})
    documents = [unquoted(literal) if literal is not None else None]
    if values:
        documents = [None if row == "null" else unquoted(row[1:-1]) for row in re.findall(r"\(('.*?'|null)\)", values)]
    known = xml.Schema.from_ddl(unquoted(schema), options)
    return [encoded(value, known.arrow_type) for value in xml.parse(documents, known).values.to_pylist()]


def unquoted(literal: str) -> str:
    return literal.replace("''", "'")


def encoded(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {"R": [[field.name, encoded(value[field.name], field.type)] for field in kind]}
    if pa.types.is_map(kind):
        return {"M": [[key, encoded(item, kind.item_type)] for key, item in value]}
    if pa.types.is_list(kind):
        return [encoded(item, kind.value_type) for item in value]
    if ddl(kind) == "date":
        return f"d:{value}"
    if pa.types.is_timestamp(kind):
        return f"T:{value.replace(tzinfo=None).isoformat()}"
    return value
