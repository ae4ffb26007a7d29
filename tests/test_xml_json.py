"""Documents → JSON text by two conventions."""

import json

import pytest
import xmltodict

from thresher import xml
from thresher.errors import UsageError

DOCUMENTS = [
    "<p><a>1</a><c/><d/></p>",
    "<p id='7'><a>é&lt;</a><a/>text<n:b xmlns:n='u' k='&quot;'>x</n:b><!-- c --></p>",
    '<?xml version="1.0" encoding="utf-16"?><p>only\n text</p>',
    None,
    " ",
    "<p",
    "<!DOCTYPE p [<!ENTITY e 'x'>]><p>&e;</p>",
]


def test_spark_convention_leaves_nulls_out_and_writes_numbers_as_spark_does() -> None:
    # Source: to_json(from_xml(…)) on Apache Spark 4.2.0.
    document = (
        "<p><a>1.50</a><b>2024-01-01</b><c>2024-01-01T10:00:00Z</c><d>1e20</d><e>1.0</e><f>true</f><g>&lt;/x é</g>"
        "<h>2024-01-01T10:00:00</h><i>1e-7</i><j>123456789.125</j><k>0.001</k><l/><m>1</m><n>1</n><n/><o/></p>"
    )
    schema = xml.Schema.from_ddl(
        "a decimal(5,2), b date, c timestamp, d double, e float, f boolean, g string, h timestamp_ntz, i double, "
        "j double, k double, l string, m bigint, n array<int>, o struct<x: int>, p int, q array<int>"
    )

    assert xml.to_json([document], schema).to_pylist() == [
        '{"a":1.50,"b":"2024-01-01","c":"2024-01-01T10:00:00.000Z","d":1.0E20,"e":1.0,"f":true,"g":"</x é",'
        '"h":"2024-01-01T10:00:00.000","i":1.0E-7,"j":1.23456789125E8,"k":0.001,"l":"","m":1,"n":[1,null],"o":{}}'
    ]


def test_digits_below_milliseconds_are_not_lost() -> None:
    assert xml.to_json(["<p><a>2024-01-01T10:00:00.123456Z</a></p>"]).to_pylist() == [
        '{"a":"2024-01-01T10:00:00.123456Z"}'
    ]


def test_without_a_schema_the_documents_give_it() -> None:
    assert xml.to_json(["<p><a>1</a></p>", "<p><a>1</a><a>2</a></p>", "<p"]).to_pylist() == [
        '{"a":[1]}',
        '{"a":[1,2]}',
        None,
    ]


def test_xmltodict_convention_is_what_xmltodict_gives() -> None:
    expected = [json.dumps(xmltodict.parse(document)) for document in DOCUMENTS[:3] if document]

    assert xml.to_json(DOCUMENTS, convention="xmltodict").to_pylist() == [*expected, None, None, None, None]
    assert expected[1] == (
        '{"p": {"@id": "7", "a": ["\\u00e9<", null], "n:b": {"@xmlns:n": "u", "@k": "\\"", "#text": "x"}, '
        '"#text": "text"}}'
    )


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(UsageError, match="convention 'parker'; expected one of spark, xmltodict"):
        xml.to_json([], convention="parker")


def test_years_that_python_does_not_know_are_written():
    # Spark reads codes such as 48765-2 as a month.
    schema = xml.Schema.from_ddl("d date, t timestamp, u array<timestamp_ntz>", xml.Options.spark())
    documents = [
        "<p><d>+12345-01-31</d><t>48765-2</t><u>2024-01-31 10:00:00.000001</u></p>",
        "<p><d>-0001-12-31</d><t>1969-12-31 23:59:59.5</t></p>",
    ]
    assert xml.to_json(documents, schema).to_pylist() == [
        '{"d":"+12345-01-31","t":"+48765-02-01T00:00:00.000Z","u":["2024-01-31T10:00:00.000001"]}',
        '{"d":"-0001-12-31","t":"1969-12-31T23:59:59.500Z"}',
    ]
