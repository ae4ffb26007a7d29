"""XSDs: a schema from one, documents validated by one."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from thresher import xml
from thresher.engines import open_engine
from thresher.errors import DataError, UsageError


def xsd(content: str, attributes: str = "") -> str:
    return f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" {attributes}>{content}</xs:schema>'


def of_root(content: str, beside: str = "", attributes: str = "") -> str:
    """An XSD whose root element p has this complex type."""
    return xsd(f'{beside}<xs:element name="p"><xs:complexType>{content}</xs:complexType></xs:element>', attributes)


def fields(text: str, **options: Any) -> str:
    return xml.Schema.from_xsd(text, xml.Options(**options), root="p").ddl.removeprefix("struct<").removesuffix(">")


def element(name: str, kind: str = "int", occurs: str = "") -> str:
    return f'<xs:element name="{name}" type="xs:{kind}" {occurs}/>'


A, B = element("a"), element("b")
MANY, UP_TO_3, OPTIONAL = 'maxOccurs="unbounded"', 'minOccurs="0" maxOccurs="3"', 'minOccurs="0"'

INVOICE = xsd(
    """
  <xs:element name="invoice"><xs:complexType>
    <xs:sequence>
      <xs:element name="issued" type="xs:date"/>
      <xs:element name="sent" type="xs:dateTime" minOccurs="0"/>
      <xs:element name="line" type="Line" maxOccurs="unbounded"/>
      <xs:choice><xs:element name="iban" type="xs:string"/><xs:element name="card" type="Card"/></xs:choice>
    </xs:sequence>
    <xs:attribute name="number" type="xs:string" use="required"/>
  </xs:complexType></xs:element>
  <xs:complexType name="Line">
    <xs:sequence>
      <xs:element name="quantity" type="xs:unsignedShort"/>
      <xs:element name="price"><xs:complexType><xs:simpleContent>
        <xs:extension base="Amount"><xs:attribute name="currency" type="xs:token"/></xs:extension>
      </xs:simpleContent></xs:complexType></xs:element>
    </xs:sequence>
  </xs:complexType>
  <xs:simpleType name="Amount"><xs:restriction base="xs:decimal">
    <xs:totalDigits value="12"/><xs:fractionDigits value="2"/>
  </xs:restriction></xs:simpleType>
  <xs:simpleType name="Card"><xs:union memberTypes="xs:int xs:token"/></xs:simpleType>"""
)
VALID = (
    '<invoice number="0007"><issued>2024-01-31</issued><line><quantity>2</quantity><price currency="EUR">7.5</price>'
    "</line><card>0042</card></invoice>"
)


def test_documents_are_read_by_the_types_of_an_xsd() -> None:
    schema = xml.Schema.from_xsd(INVOICE)

    parsed = xml.parse([VALID, None, "<invoice><issued>31.01.2024</issued><extra/></invoice>"], schema)

    assert schema.ddl == (
        "struct<issued: date, sent: timestamp, "
        "line: array<struct<quantity: int, price: struct<_VALUE: decimal(14,2), _currency: string>>>, "
        "iban: string, card: string, _number: string>"
    )
    assert parsed.values.to_pylist() == [
        {
            "issued": date(2024, 1, 31),
            "sent": None,
            "line": [{"quantity": 2, "price": {"_VALUE": Decimal("7.50"), "_currency": "EUR"}}],
            "iban": None,
            "card": "0042",
            "_number": "0007",
        },
        None,
        {"issued": None, "sent": None, "line": None, "iban": None, "card": None, "_number": None},
    ]
    assert parsed.rescued.to_pylist() == [None, None, '{"issued": "31.01.2024", "extra": ""}']


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # how often an element can stand
        (f"<xs:sequence>{element('a', occurs=MANY)}{B}</xs:sequence>", "a: array<int>, b: int"),
        (f"<xs:sequence {MANY}>{A}</xs:sequence>", "a: array<int>"),
        (f"<xs:choice {MANY}>{A}{B}</xs:choice>", "a: array<int>, b: array<int>"),
        (f"<xs:sequence>{A}{B}{A}</xs:sequence>", "a: array<int>, b: int"),
        (f"<xs:sequence><xs:annotation/><!-- a --><?b?>{A}</xs:sequence>", "a: int"),
        (f"<xs:choice>{A}<xs:sequence>{B}{A}</xs:sequence></xs:choice>", "a: int, b: int"),
        (f"<xs:sequence>{A}<xs:choice maxOccurs='2'>{B}</xs:choice></xs:sequence>", "a: int, b: array<int>"),
        (f"<xs:sequence>{A}<xs:sequence maxOccurs='0'>{B}</xs:sequence></xs:sequence>", "a: int"),
        (f"<xs:all>{A}{element('b', occurs=OPTIONAL)}</xs:all>", "a: int, b: int"),
        # attributes
        (f"<xs:sequence>{A}</xs:sequence><xs:attribute name='a' type='xs:date'/>", "a: int, _a: date"),
        ("<xs:attribute name='a'/><xs:attribute name='b' use='prohibited'/><xs:anyAttribute/>", "_a: string"),
        # names that are equal but for case are one field
        (f"<xs:sequence>{A}{element('A')}</xs:sequence>", "a: array<int>"),
        # content of any kind, none, or a list
        ("<xs:sequence><xs:element name='a'/></xs:sequence>", "a: string"),
        (f"<xs:sequence>{A}<xs:any {MANY}/></xs:sequence>", "a: int"),
        ("<xs:sequence><xs:element name='a'><xs:complexType/></xs:element></xs:sequence>", "a: string"),
        (
            "<xs:sequence><xs:element name='a'><xs:complexType><xs:sequence><xs:any/></xs:sequence></xs:complexType>"
            "</xs:element></xs:sequence>",
            "a: string",
        ),
        (
            "<xs:sequence><xs:element name='a'><xs:simpleType><xs:list itemType='xs:int'/></xs:simpleType></xs:element>"
            "</xs:sequence>",
            "a: string",
        ),
        # text among children
        (
            f"<xs:sequence><xs:element name='a'><xs:complexType mixed='true'><xs:sequence>{B}</xs:sequence>"
            "</xs:complexType></xs:element></xs:sequence>",
            "a: struct<_VALUE: array<string>, b: int>",
        ),
    ],
)
def test_a_content_model_becomes_fields(content: str, expected: str) -> None:
    assert fields(of_root(content)) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("boolean", "boolean"),
        ("byte", "tinyint"),
        ("short", "smallint"),
        ("unsignedByte", "smallint"),
        ("int", "int"),
        ("unsignedShort", "int"),
        ("long", "bigint"),
        ("unsignedInt", "bigint"),
        ("unsignedLong", "decimal(38,0)"),
        ("integer", "decimal(38,0)"),
        ("positiveInteger", "decimal(38,0)"),
        ("decimal", "decimal(38,18)"),
        ("float", "float"),
        ("double", "double"),
        ("date", "date"),
        ("dateTime", "timestamp"),
        ("time", "string"),
        ("gYear", "string"),
        ("duration", "string"),
        ("base64Binary", "string"),
        ("anyURI", "string"),
        ("ID", "string"),
        ("anyType", "string"),
        ("anySimpleType", "string"),
    ],
)
def test_a_built_in_type_becomes_a_type_of_values(kind: str, expected: str) -> None:
    text = of_root(f"<xs:sequence>{element('a', kind)}</xs:sequence>")

    assert fields(text) == fields(text, dialect="spark") == f"a: {expected}"


@pytest.mark.parametrize(
    ("facets", "exact", "spark"),
    [
        # 12345 is allowed by five digits in all and two after the point
        ("<xs:totalDigits value='5'/><xs:fractionDigits value='2'/>", "decimal(7,2)", "decimal(5,2)"),
        ("<xs:totalDigits value='5'/>", "decimal(10,5)", "decimal(5,5)"),
        ("<xs:fractionDigits value='2'/>", "decimal(38,2)", "decimal(38,2)"),
        ("<xs:totalDigits value='60'/>", "decimal(38,18)", "decimal(38,18)"),
        ("<xs:minInclusive value='0'/>", "decimal(38,18)", "decimal(38,18)"),
    ],
)
def test_a_decimal_has_room_for_all_allowed_digits(facets: str, exact: str, spark: str) -> None:
    text = of_root(
        "<xs:sequence><xs:element name='a'><xs:simpleType><xs:restriction base='xs:decimal'>"
        f"{facets}</xs:restriction></xs:simpleType></xs:element></xs:sequence>"
    )

    assert (fields(text), fields(text, dialect="spark")) == (f"a: {exact}", f"a: {spark}")


def test_types_groups_and_references_are_followed() -> None:
    beside = f"""
      <xs:simpleType name="Code"><xs:restriction base="Short"/></xs:simpleType>
      <xs:simpleType name="Short"><xs:restriction base="xs:short"/></xs:simpleType>
      <xs:complexType name="Base"><xs:sequence>{A}</xs:sequence>
        <xs:attribute name="k" type="xs:int"/><xs:attribute name="l" type="xs:int"/></xs:complexType>
      <xs:complexType name="More"><xs:complexContent><xs:extension base="Base">
        <xs:group ref="g" maxOccurs="2"/><xs:attributeGroup ref="ag"/>
      </xs:extension></xs:complexContent></xs:complexType>
      <xs:complexType name="Less"><xs:complexContent><xs:restriction base="Base"><xs:sequence>{A}</xs:sequence>
        <xs:attribute name="k" use="prohibited"/></xs:restriction></xs:complexContent></xs:complexType>
      <xs:group name="g"><xs:choice><xs:element ref="code"/>{B}</xs:choice></xs:group>
      <xs:attributeGroup name="ag"><xs:attribute ref="m"/></xs:attributeGroup>
      <xs:attribute name="m" type="xs:boolean"/>
      <xs:element name="code" type="Code"/>"""
    content = '<xs:sequence><xs:element name="x" type="More"/><xs:element name="y" type="Less"/></xs:sequence>'

    assert fields(of_root(content, beside)) == (
        "x: struct<a: int, code: array<smallint>, b: array<int>, _k: int, _l: int, _m: boolean>, "
        "y: struct<a: int, _l: int>"
    )


def test_simple_content_builds_on_simple_content() -> None:
    beside = """
      <xs:complexType name="Money"><xs:simpleContent><xs:extension base="xs:decimal">
        <xs:attribute name="currency"/></xs:extension></xs:simpleContent></xs:complexType>
      <xs:complexType name="Tax"><xs:simpleContent><xs:extension base="Money">
        <xs:attribute name="rate" type="xs:double"/></xs:extension></xs:simpleContent></xs:complexType>"""
    content = '<xs:sequence><xs:element name="tax" type="Tax"/></xs:sequence>'

    assert fields(of_root(content, beside)) == "tax: struct<_VALUE: decimal(38,18), _currency: string, _rate: double>"


def test_what_may_stand_for_an_element_has_a_field_too() -> None:
    beside = """
      <xs:element name="payment" abstract="true"/>
      <xs:element name="cash" type="xs:decimal" substitutionGroup="payment"/>
      <xs:element name="cheque" substitutionGroup="cash"/>"""
    content = '<xs:sequence><xs:element ref="payment"/></xs:sequence>'

    assert fields(of_root(content, beside)) == "cash: decimal(38,18), cheque: decimal(38,18)"
    assert fields(of_root(content, beside), dialect="spark") == "payment: string"


def test_a_recursive_element_is_a_string_of_its_xml() -> None:
    parts = xsd(
        """<xs:element name="part" type="Part"/><xs:complexType name="Part"><xs:sequence>
          <xs:element name="name" type="xs:string"/><xs:element name="part" type="Part" minOccurs="0" maxOccurs="9"/>
        </xs:sequence></xs:complexType>"""
    )
    document = "<part><name>saw</name><part><name>blade</name><part><name>tooth</name></part></part></part>"

    schema = xml.Schema.from_xsd(parts)

    assert schema.ddl == "struct<name: string, part: array<string>>"
    assert xml.parse([document], schema).values.to_pylist() == [
        {"name": "saw", "part": ["<name>blade</name><part><name>tooth</name></part>"]}
    ]
    # what documents show can be typed as deep as they go
    assert xml.discover([document]).declare_xsd(parts).ddl == (
        "struct<name: string, part: array<struct<name: string, part: array<struct<name: string>>>>>"
    )


def test_types_that_all_hold_each_other_end_where_there_are_too_many_fields() -> None:
    names = range(60)
    held = "".join(f'<xs:element name="e{name}" type="T{name}" minOccurs="0"/>' for name in names)
    types = "".join(
        f'<xs:complexType name="T{name}"><xs:sequence>{held}</xs:sequence></xs:complexType>' for name in names
    )

    schema = xml.Schema.from_xsd(xsd(f'{types}<xs:element name="p" type="T0"/>'))

    assert schema.arrow_type.field("e0").type == pa.string()
    assert schema.arrow_type.field("e1").type.field("e2").type == pa.string()
    assert len(schema.paths) == 60 + 59 * 60


CIRCLE_OF_GROUPS = of_root('<xs:group ref="g"/>', '<xs:group name="g"><xs:all><xs:group ref="g"/></xs:all></xs:group>')
CIRCLE_OF_TYPES = xsd(
    '<xs:simpleType name="T"><xs:restriction base="T"/></xs:simpleType><xs:element name="p" type="T"/>'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (xsd(A + B), "which element is the root is not certain; the XSD declares a, b. Name one: root='…'."),
        (xsd(""), "the XSD declares none that is global"),
        (of_root('<xs:sequence><xs:element name="a" type="T"/></xs:sequence>'), "the type T is not declared"),
        (of_root('<xs:sequence><xs:element ref="x:a"/></xs:sequence>'), "the prefix of 'x:a' is not declared"),
        (CIRCLE_OF_GROUPS, "line 1: the group is built on itself"),
        (CIRCLE_OF_TYPES, "line 1: the type restricts itself"),
        (xsd('<xs:include schemaLocation="b.xsd"/>'), "'b.xsd' is not there; expected a file beside the XSD"),
        ("<p/>", "the XSD text is no XSD: its root element is p"),
        ("<p", "the XSD text is no XML"),
        ("nowhere/p.xsd", "the XSD 'nowhere/p.xsd' cannot be read: No such file or directory"),
    ],
)
def test_an_xsd_that_cannot_be_used_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        xml.Schema.from_xsd(text)

    assert message in str(error.value)


def test_a_root_that_the_xsd_does_not_declare_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no one root element 'c'; the XSD declares a, b"):
        xml.Schema.from_xsd(xsd(A + B), root="c")


def test_the_root_is_the_element_that_is_part_of_no_other_or_the_one_allowed() -> None:
    text = of_root('<xs:sequence><xs:element ref="a"/></xs:sequence>', A)

    assert xml.Schema.from_xsd(text).ddl == "struct<a: int>"
    assert xml.Schema.from_xsd(text, root="a").ddl == "struct<_VALUE: int>"
    assert xml.Schema.from_xsd(text, xml.Options(roots=("a",))).ddl == "struct<_VALUE: int>"


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """An XSD of two namespaces in three folders, with parts that have no namespace or stand in the network."""
    qualified = 'elementFormDefault="qualified"'
    files = {
        "main/order.xsd": xsd(
            """<xs:import namespace="urn:money" schemaLocation="../common/money.xsd"/>
            <xs:import namespace="http://www.w3.org/XML/1998/namespace" schemaLocation="http://www.w3.org/2001/xml.xsd"/>
            <xs:import namespace="urn:unused" schemaLocation="https://example.org/unused.xsd"/>
            <xs:include schemaLocation="parts/line.xsd"/>
            <xs:element name="order"><xs:complexType>
              <xs:sequence><xs:element ref="m:total"/><xs:element name="line" type="Line" maxOccurs="9"/></xs:sequence>
              <xs:attribute ref="xml:lang"/><xs:attribute ref="m:rounded"/>
            </xs:complexType></xs:element>""",
            f'xmlns="urn:order" xmlns:m="urn:money" targetNamespace="urn:order" {qualified}',
        ),
        "main/parts/line.xsd": xsd(
            """<xs:include schemaLocation="../order.xsd"/>
            <xs:complexType name="Line"><xs:sequence>
              <xs:element name="code" type="Code"/>
            </xs:sequence></xs:complexType>
            <xs:simpleType name="Code"><xs:restriction base="xs:int"/></xs:simpleType>""",
            qualified,
        ),
        "common/money.xsd": xsd(
            """<xs:include schemaLocation="http://example.org/schemas/amount.xsd"/>
            <xs:element name="total" type="Amount"/><xs:attribute name="rounded" type="xs:boolean"/>""",
            f'xmlns="urn:money" targetNamespace="urn:money" {qualified}',
        ),
        "common/amount.xsd": xsd('<xs:simpleType name="Amount"><xs:restriction base="xs:decimal"/></xs:simpleType>'),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "main" / "order.xsd"


ORDER = (
    '<order xmlns="urn:order" xmlns:x="urn:money" xml:lang="en" x:rounded="1"><x:total>1.50</x:total>'
    "<line><code>7</code></line></order>"
)


def test_names_have_the_prefixes_that_are_declared_for_their_namespaces(orders: Path) -> None:
    def names(**options: Any) -> str:
        return xml.Schema.from_xsd(orders, xml.Options(**options)).ddl

    assert names() == (
        "struct<total: decimal(38,18), line: array<struct<code: int>>, `_xml:lang`: string, `_m:rounded`: boolean>"
    )
    assert names(ignore_namespace=True) == (
        "struct<total: decimal(38,18), line: array<struct<code: int>>, _lang: string, _rounded: boolean>"
    )
    assert names(namespaces={"o": "urn:order", "c": "urn:money"}) == (
        "struct<`c:total`: decimal(38,18), `o:line`: array<struct<`o:code`: int>>, "
        "`_xml:lang`: string, `_c:rounded`: boolean>"
    )


def test_documents_in_namespaces_are_read_whatever_their_prefixes(orders: Path) -> None:
    options = xml.Options(namespaces={"": "urn:order", "c": "urn:money"}, xsd=orders)

    parsed = xml.parse([ORDER], xml.Schema.from_xsd(orders, options))

    assert parsed.errors.num_rows == 0
    assert parsed.rescued.to_pylist() == [None]
    assert parsed.values.to_pylist() == [
        {"c:total": Decimal("1.50"), "line": [{"code": 7}], "_xml:lang": "en", "_c:rounded": True}
    ]


def test_a_redefinition_builds_on_what_was_there(tmp_path: Path) -> None:
    kind = f'<xs:complexType name="T"><xs:sequence>{A}</xs:sequence></xs:complexType>'
    text = of_root('<xs:sequence><xs:element name="x" type="T"/></xs:sequence>', kind)
    (tmp_path / "base.xsd").write_text(text)
    (tmp_path / "more.xsd").write_text(
        xsd(
            f"""<xs:redefine schemaLocation="base.xsd"><xs:complexType name="T"><xs:complexContent>
            <xs:extension base="T"><xs:sequence>{B}</xs:sequence></xs:extension></xs:complexContent></xs:complexType>
            </xs:redefine>"""
        )
    )

    assert xml.Schema.from_xsd(tmp_path / "more.xsd").ddl == "struct<x: struct<a: int, b: int>>"


def test_an_xsd_lies_over_what_was_seen() -> None:
    text = of_root(
        f"""<xs:sequence><xs:element name="item" maxOccurs="9"><xs:complexType><xs:simpleContent>
          <xs:extension base="xs:decimal"><xs:attribute name="unit"/></xs:extension></xs:simpleContent></xs:complexType>
        </xs:element>{element("code", "string")}{element("at", "dateTime")}{element("on", "date", MANY)}
        {element("unseen")}</xs:sequence>"""
    )
    document = (
        '<n:p xmlns:n="u"><n:item>7</n:item><n:code>12</n:code><at>2024-01-31T10:00:00</at>'
        "<on>2024-01-31</on><new>1</new></n:p>"
    )
    seen = xml.discover([document])

    schema = seen.declare_xsd(text)

    assert seen.ddl == (
        "struct<`_xmlns:n`: string, at: timestamp_ntz, `n:code`: bigint, `n:item`: bigint, new: bigint, on: date>"
    )
    assert schema.ddl == (
        "struct<`_xmlns:n`: string, at: timestamp_ntz, `n:code`: string, `n:item`: array<decimal(38,18)>, new: bigint, "
        "on: array<date>>"
    )
    assert xml.parse([document], schema).values.to_pylist() == [
        {
            "_xmlns:n": "u",
            "at": datetime(2024, 1, 31, 10),
            "n:code": "12",
            "n:item": [Decimal(7)],
            "new": 1,
            "on": [date(2024, 1, 31)],
        }
    ]
    assert xml.Schema.from_json(schema.to_json()) == schema
    # what is declared later counts
    assert schema.declare("`n:code` int").arrow_type.field("n:code").type == pa.int32()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("<p><a>7</a></p>", "a: decimal(38,18)"),
        ("<p><a k='1'>7</a></p>", "a: struct<_VALUE: decimal(38,18), _k: string>"),
        ("<p><a k='1'/></p>", "a: struct<_k: string>"),
        ("<p><a/></p>", "a: decimal(38,18)"),
        ("<p><a>7<b/></a></p>", "a: struct<_VALUE: decimal(38,18), b: string>"),
        ("<p><c>7</c></p>", "c: bigint"),
        ("<p/>", ""),
    ],
)
def test_an_xsd_types_the_text_of_elements_with_and_without_attributes(document: str, expected: str) -> None:
    text = of_root(
        """<xs:sequence><xs:element name="a"><xs:complexType><xs:simpleContent><xs:extension base="xs:decimal">
        <xs:attribute name="k" type="xs:string"/></xs:extension></xs:simpleContent></xs:complexType></xs:element>
        </xs:sequence>"""
    )

    assert xml.discover([document]).declare_xsd(text).ddl == f"struct<{expected}>"


def test_an_xsd_and_what_was_seen_are_merged() -> None:
    declared = xml.Schema.from_xsd(of_root(f"<xs:sequence>{element('a', occurs=MANY)}{B}</xs:sequence>"))

    assert declared.merge(xml.discover(["<p><a>1</a><c>x</c></p>"])).ddl == "struct<a: array<int>, b: int, c: string>"


def test_what_repeats_against_the_xsd_stays_an_array() -> None:
    seen = xml.discover(["<p><a>1</a><a>2</a></p>"])

    assert seen.declare_xsd(of_root(f"<xs:sequence>{A}</xs:sequence>")).ddl == "struct<a: array<int>>"


def test_spark_gives_a_field_per_global_element_in_the_order_of_its_hash_table() -> None:
    # What XSDToSchema of Apache Spark 4.2.0 answered.
    names = "order item Price alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu".split()
    text = xsd("".join(map(element, names)))

    assert xml.Schema.from_xsd(text, xml.Options.spark()).arrow_type.names == (
        "zeta item iota nu delta mu theta epsilon lambda eta Price alpha kappa beta gamma order".split()
    )


@pytest.mark.parametrize(
    ("content", "beside", "expected"),
    [
        # What XSDToSchema of Apache Spark 4.2.0 answered.
        (f"<xs:choice {MANY}>{A}<xs:any/></xs:choice>", "", "a: int, xs_any: string"),
        (f"<xs:sequence {MANY}>{A}<xs:choice maxOccurs='5'>{B}</xs:choice></xs:sequence>", "", "a: int, b: int"),
        (
            f"<xs:sequence>{element('d', 'decimal', UP_TO_3)}</xs:sequence><xs:attribute name='k' type='xs:boolean'/>",
            "",
            "d: array<decimal(38,18)>, _k: boolean",
        ),
        ("<xs:sequence><xs:element name='a'><xs:complexType/></xs:element></xs:sequence>", "", "a: struct<>"),
        (
            "<xs:attribute name='k'><xs:simpleType><xs:restriction base='xs:int'/></xs:simpleType></xs:attribute>",
            "",
            "_k: string",
        ),
        (
            "<xs:complexContent><xs:extension base='B'><xs:sequence><xs:element name='b' type='xs:int'/></xs:sequence>"
            "<xs:attribute name='m' type='xs:int'/></xs:extension></xs:complexContent>",
            f"<xs:complexType name='B'><xs:sequence>{A}</xs:sequence><xs:attribute name='k' type='xs:int'/>"
            "</xs:complexType>",
            "a: int, _k: int, b: int",
        ),
        (
            "<xs:sequence><xs:element name='a' type='A'/><xs:element name='b' type='B'/></xs:sequence>",
            "<xs:simpleType name='A'><xs:restriction base='xs:int'/></xs:simpleType>"
            "<xs:simpleType name='B'><xs:restriction base='A'/></xs:simpleType>",
            "a: int, b: string",
        ),
    ],
)
def test_in_sparks_dialect_the_schema_is_that_of_spark(content: str, beside: str, expected: str) -> None:
    assert xml.Schema.from_xsd(of_root(content, beside), xml.Options.spark()).ddl == f"struct<p: struct<{expected}>>"
    assert xml.Schema.from_xsd(of_root(content, beside), xml.Options.spark(), root="p").ddl == f"struct<{expected}>"


def refusals(documents: list[Any], **options: Any) -> list[tuple[int, str, str, int, int, str]]:
    schema = xml.Schema.from_ddl("line array<string>", xml.Options(xsd=INVOICE, **options))
    names = ("row", "rule", "path", "line", "column", "reason")
    return [tuple(error[name] for name in names) for error in xml.parse(documents, schema).errors.to_pylist()]


def test_a_document_that_the_xsd_does_not_allow_is_refused_and_its_neighbours_are_read() -> None:
    late = VALID.replace("<issued>2024-01-31", "\n <issued>tomorrow").replace("</card>", "</card><card>1</card>")
    schema = xml.Schema.from_ddl("card string", xml.Options(xsd=INVOICE))

    parsed = xml.parse([VALID, late, None, VALID], schema)

    assert parsed.values.to_pylist() == [{"card": "0042"}, None, None, {"card": "0042"}]
    assert parsed.errors.to_pylist() == [
        {
            "row": 1,
            "path": "",
            "line": 2,
            "column": 2,
            "rule": "xsd",
            "reason": ("Element 'issued': 'tomorrow' is not a valid value of the atomic type 'xs:date'. (1 more)"),
            "snippet": '<invoice number="0007"> <issued>tomorrow</issued><line><quantity>2</quantity><p',
        }
    ]


@pytest.mark.parametrize(
    ("document", "line", "column", "reason"),
    [
        (VALID.replace("2</q", "x</q"), 1, 57, "'x' is not a valid value of the atomic type 'xs:unsignedShort'"),
        (VALID.replace(' number="0007"', ""), 1, 1, "The attribute 'number' is required but missing"),
        (VALID.replace("<line>", "é<line>"), 1, 1, "Character content other than whitespace is not allowed"),
        ("<other/>", 1, 1, "No matching global declaration available for the validation root"),
        ("<n:invoice/>", 1, 11, "cannot be validated: Namespace prefix n on invoice is not defined"),
        ("<invoice xmlns='urn:x'/>", 1, 1, "No matching global declaration"),
    ],
)
def test_the_reason_is_libxml2s_and_the_place_the_elements(document: str, line: int, column: int, reason: str) -> None:
    (found,) = refusals([document])

    assert found[:5] == (0, "xsd", "", line, column)
    assert reason in found[5]


def test_documents_are_validated_as_the_text_that_was_read() -> None:
    declared = '\n<?xml version="1.0" encoding="utf-16"?>' + VALID

    assert refusals([VALID.encode("utf-16"), declared, declared.encode(), "<!DOCTYPE invoice>" + VALID]) == []


def test_a_document_cannot_bring_its_own_xsd(tmp_path: Path) -> None:
    (tmp_path / "own.xsd").write_text(xsd('<xs:element name="other"/>'))
    hint = f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="{tmp_path}/own.xsd"'

    (found,) = refusals([f"<other {hint}/>"])

    assert found[1] == "xsd"


def test_discovery_passes_over_what_the_xsd_refuses() -> None:
    documents = [VALID, "<invoice><new/></invoice>", "<q/>"]

    assert xml.discover(documents, xml.Options(xsd=INVOICE)).documents == 1


def test_failfast_stops_at_a_document_that_the_xsd_refuses() -> None:
    with pytest.raises(DataError, match="document 1: refused: Element 'q': No matching global declaration"):
        refusals([VALID, "<q/>"], mode="failfast")


def test_in_sparks_dialect_a_document_that_the_xsd_refuses_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "invoice.xsd"
    path.write_text(INVOICE)
    options = xml.Options.spark(rowValidationXSDPath=str(path))
    schema = xml.Schema.from_ddl("card string, _corrupt_record string", options)

    assert xml.parse([VALID, "<invoice><card>1</card></invoice>"], schema).values.to_pylist() == [
        {"card": "0042", "_corrupt_record": None},
        {"card": None, "_corrupt_record": "<invoice><card>1</card></invoice>"},
    ]


def test_the_xsd_travels_with_the_options(orders: Path) -> None:
    options = xml.Options(xsd=orders)
    schema = xml.Schema.from_ddl("total string", options)
    texts = pickle.dumps(options), schema.to_json()
    for file in orders.parent.parent.rglob("*.xsd"):
        file.unlink()

    assert pickle.loads(texts[0]) == options
    assert xml.Schema.from_json(texts[1]) == schema
    assert json.loads(texts[1])["options"]["xsd"][0][0] == "order.xsd"
    parsed = xml.parse([ORDER, ORDER.replace("7<", "x<")], xml.Schema.from_json(texts[1]))
    assert parsed.errors.column("rule").to_pylist() == ["xsd"]


def test_documents_are_validated_on_an_engine() -> None:
    engine = open_engine("duckdb")
    frame = engine.from_arrow(pa.table({"doc": [VALID, "<q/>", None]}))

    flat = xml.flatten(frame, "doc", xml.Schema.from_ddl("card string", xml.Options(xsd=INVOICE))).to_arrow()

    assert flat.column("doc").to_pylist() == [{"card": "0042"}, None, None]
    assert [errors and errors[0]["rule"] for errors in flat.column("_errors").to_pylist()] == [None, "xsd", None]


def test_threads_validate_side_by_side() -> None:
    documents = [VALID, VALID.replace("2024-01-31", "x"), VALID.replace("2</q", "-1</q")]

    def reasons(_: int) -> list[str]:
        return [found[5].split(":")[0] for found in refusals(documents * 20)]

    with ThreadPoolExecutor(4) as pool:
        assert all(found == ["Element 'issued'", "Element 'quantity'"] * 20 for found in pool.map(reasons, range(8)))


def test_an_xsd_is_a_path_or_a_text() -> None:
    with pytest.raises(UsageError, match="^xsd=5; expected the path or the text of an XSD$"):
        xml.Options(xsd=5)


def test_an_xsd_that_libxml2_cannot_use_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="line 1: the XSD cannot be used: .*'Nope' does not resolve"):
        xml.Options(xsd=xsd('<xs:element name="a" type="Nope"/>'))


def test_a_time_without_zone_is_read_as_utc_unless_documents_were_seen() -> None:
    text = of_root(f"<xs:sequence>{element('a', 'dateTime')}</xs:sequence>")
    document = "<p><a>2024-01-31T10:00:00</a></p>"

    assert xml.parse([document], xml.Schema.from_xsd(text)).values.to_pylist() == [
        {"a": datetime(2024, 1, 31, 10, tzinfo=UTC)}
    ]
    assert xml.parse([document], xml.discover([document]).declare_xsd(text)).values.to_pylist() == [
        {"a": datetime(2024, 1, 31, 10)}
    ]
