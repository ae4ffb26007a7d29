"""Text beside an attribute or child that has the name of the value tag: each keeps a field of its own."""

from itertools import permutations
from typing import Any

import pytest

from thresher import xml

OPTION = '<p><o value="1">One</o></p>'


def read(documents: list[str], schema: xml.Schema) -> tuple[list[Any], list[Any]]:
    parsed = xml.parse(documents, schema)
    return parsed.values.to_pylist(), parsed.rescued.to_pylist()


@pytest.mark.parametrize(
    ("documents", "ddl", "values"),
    [
        ([OPTION], "o: struct<_VALUE_: string, _value: bigint>", [{"o": {"_VALUE_": "One", "_value": 1}}]),
        (
            [OPTION, "<p><o>Two</o></p>", "<p><o value='3'/></p>"],
            "o: struct<_VALUE_: string, _value: bigint>",
            [
                {"o": {"_VALUE_": "One", "_value": 1}},
                {"o": {"_VALUE_": "Two", "_value": None}},
                {"o": {"_VALUE_": None, "_value": 3}},
            ],
        ),
        (
            ["<p><o Value='1'>t<q/>u</o></p>"],
            "o: struct<_VALUE_: array<string>, _Value: bigint, q: string>",
            [{"o": {"_VALUE_": ["t", "u"], "_Value": 1, "q": ""}}],
        ),
        (["<p value='1'>t</p>"], "_VALUE_: string, _value: bigint", [{"_VALUE_": "t", "_value": 1}]),
        (["<p><_VALUE>1</_VALUE>t</p>"], "_VALUE: bigint, _VALUE_: string", [{"_VALUE": 1, "_VALUE_": "t"}]),
        (
            ["<p value='1' VALUE_='2'>t</p>"],
            "_VALUE_: bigint, _VALUE__: string, _value: bigint",
            [{"_VALUE_": 2, "_VALUE__": "t", "_value": 1}],
        ),
        (["<p><o value='1'/></p>"], "o: struct<_value: bigint>", [{"o": {"_value": 1}}]),
    ],
)
def test_text_gives_way(documents: list[str], ddl: str, values: list[Any]) -> None:
    for ordered in permutations(documents):
        assert xml.discover(list(ordered)).ddl == f"struct<{ddl}>"
    schema = xml.discover(documents)
    one_by_one = xml.Schema()
    for document in documents:
        one_by_one = one_by_one.merge(xml.discover([document]))
    assert one_by_one.to_json() == schema.to_json()
    assert read(documents, schema) == (values, [None] * len(documents))
    # What the schema says as DDL, and what a file keeps of it, read the same.
    assert read(documents, xml.Schema.from_ddl(ddl))[0] == values
    assert read(documents, xml.Schema.from_json(schema.to_json()))[0] == values


@pytest.mark.parametrize(
    ("schema", "value", "rescued"),
    [
        (xml.discover(["<p><o k='1'>x</o></p>"]), {"_VALUE": "One", "_k": None}, '{"o._value": "1"}'),
        (xml.discover(["<p><o value='1'/></p>"]), {"_value": 1}, '{"o._VALUE": "One"}'),
        (xml.Schema.from_ddl("o struct<_VALUE: string>"), {"_VALUE": "One"}, '{"o._value": "1"}'),
        (xml.Schema.from_ddl("o struct<_value: array<string>>"), {"_value": ["1", "One"]}, None),
        (
            xml.discover([OPTION]).declare("o struct<_VALUE_: string, _value: int>"),
            {"_VALUE_": "One", "_value": 1},
            None,
        ),
        (
            xml.discover(["<p><o value='1'>2</o></p>"]).declare("o int"),
            {"_VALUE_": None, "_value": 1},
            '{"o._VALUE_": "One"}',
        ),
    ],
)
def test_a_field_takes_what_it_was_learnt_from_or_declared_for(
    schema: xml.Schema, value: dict[str, Any], rescued: str | None
) -> None:
    assert read([OPTION], schema) == ([{"o": value}], [rescued])


def test_spark_has_one_field_for_both() -> None:
    assert xml.discover([OPTION], xml.Options.spark()).ddl == "struct<o: struct<_value: array<string>>>"


def test_an_xsd_declares_both() -> None:
    xsd = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="o"><xs:complexType>
        <xs:simpleContent><xs:extension base="xs:int"><xs:attribute name="value" type="xs:date"/></xs:extension>
        </xs:simpleContent></xs:complexType></xs:element></xs:schema>"""
    document = "<o value='2024-01-31'>7</o>"
    assert xml.Schema.from_xsd(xsd).ddl == "struct<_VALUE_: int, _value: date>"
    assert xml.discover([document]).declare_xsd(xsd).ddl == "struct<_VALUE_: int, _value: date>"


def test_tables_and_lineage_name_text_by_its_element() -> None:
    document = '<p><o value="1">One</o><i value="2">a</i><i>b</i></p>'
    schema = xml.discover([document])

    made = xml.tables([document], schema, ["k"])

    assert made["document"].to_pylist() == [{"_key": "k", "o": "One", "o_value": 1}]
    assert made["i"].select(["_ordinal", "i", "value"]).to_pylist() == [
        {"_ordinal": 1, "i": "a", "value": 2},
        {"_ordinal": 2, "i": "b", "value": None},
    ]
    places = xml.lineage(schema).select(["path", "xpath", "kind", "table", "column"]).to_pylist()
    assert [tuple(place.values()) for place in places if place["path"].startswith("o.")] == [
        ("o._VALUE_", "/p/o/text()", "text", "document", "o"),
        ("o._value", "/p/o/@value", "attribute", "document", "o_value"),
    ]
