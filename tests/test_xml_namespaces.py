"""Names by namespace: declared URIs give declared prefixes, whatever a document calls them."""

import pickle
from typing import Any

import pytest

from thresher import xml
from thresher.errors import UsageError

XSI = "http://www.w3.org/2001/XMLSchema-instance"
DECLARED = {"cbc": "urn:basic", "": "urn:invoice"}
OPTIONS = xml.Options(namespaces=DECLARED)
VALUE = {"Note": "n", "_cbc:u": 2, "_id": 7, "cbc:ID": 1}


@pytest.mark.parametrize(
    "document",
    [
        '<Invoice xmlns="urn:invoice" xmlns:cbc="urn:basic" id="7" cbc:u="2">'
        "<cbc:ID>1</cbc:ID><Note>n</Note></Invoice>",
        '<i:Invoice xmlns:i="urn:invoice" xmlns:b="urn:basic" id="7" b:u="2">'
        "<b:ID>1</b:ID><i:Note>n</i:Note></i:Invoice>",
        # declared where they are used, and one prefix for two namespaces in turn
        '<x:Invoice xmlns:x="urn:invoice" id="7" y:u="2" xmlns:y="urn:basic"><x:ID xmlns:x="urn:basic">1</x:ID>'
        "<x:Note>n</x:Note></x:Invoice>",
        '<Invoice xmlns="urn:invoice" xmlns:z="urn:basic" id="7" z:u="2">'
        '<ID xmlns="urn:basic">1</ID><Note>n</Note></Invoice>',
        # a fragment that lost its declarations
        '<Invoice id="7" cbc:u="2"><cbc:ID>1</cbc:ID><Note>n</Note></Invoice>',
    ],
)
def test_one_vocabulary_has_one_set_of_names(document: str) -> None:
    schema = xml.discover([document], OPTIONS)

    assert schema.ddl == "struct<Note: string, `_cbc:u`: bigint, _id: bigint, `cbc:ID`: bigint>"
    assert xml.parse([document], schema).values.to_pylist() == [VALUE]


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ('<Invoice xmlns:o="urn:other"><o:A>1</o:A></Invoice>', {"o:A": 1}),
        ("<Invoice><unbound:A>1</unbound:A></Invoice>", {"unbound:A": 1}),
        # another namespace does not pass for a declared one
        ('<Invoice xmlns:cbc="urn:other"><cbc:ID>1</cbc:ID></Invoice>', {"{urn:other}ID": 1}),
        ('<Invoice><A xmlns="urn:other">1</A></Invoice>', {"{urn:other}A": 1}),
        ('<Invoice xmlns="urn:invoice"><A xmlns="">1</A></Invoice>', {"A": 1}),
        ('<Invoice xml:lang="en"/>', {"_xml:lang": "en"}),
        (f'<Invoice xmlns:s="{XSI}"><A s:nil="true"/><A>1</A></Invoice>', {"A": [None, 1]}),
        ('<Invoice xmlnsx="1"/>', {"_xmlnsx": 1}),
    ],
)
def test_other_names_stay_as_written(document: str, value: dict[str, Any]) -> None:
    parsed = xml.parse([document], xml.discover([document], OPTIONS))

    assert parsed.values.to_pylist() == [value]
    assert parsed.errors.num_rows == 0
    assert parsed.rescued.to_pylist() == [None]


def test_a_declared_schema_reads_any_prefix() -> None:
    schema = xml.Schema.from_ddl("`cbc:ID` int", OPTIONS)
    documents = ['<i xmlns:a="urn:basic"><a:ID>1</a:ID></i>', '<i xmlns:a="urn:else"><a:ID>2</a:ID></i>']

    parsed = xml.parse(documents, schema)

    assert parsed.values.to_pylist() == [{"cbc:ID": 1}, {"cbc:ID": None}]
    assert parsed.rescued.to_pylist() == [None, '{"a:ID": "2"}']


def test_roots_are_told_by_uri_where_the_declarations_are_no_fields() -> None:
    options = xml.Options(namespaces=DECLARED, roots=("{urn:invoice}Invoice",))
    documents = ['<q:Invoice xmlns:q="urn:invoice"/>', '<Invoice xmlns="urn:credit"/>', None]

    parsed = xml.parse(documents, xml.Schema.from_ddl("a int", options))

    assert parsed.values.to_pylist() == [{"a": None}, None, None]
    assert parsed.errors["reason"].to_pylist() == [
        "the root element is {urn:credit}Invoice in urn:credit; expected {urn:invoice}Invoice"
    ]


def test_the_options_travel() -> None:
    schema = xml.discover(['<p xmlns="urn:invoice"><a>1</a></p>'], OPTIONS)

    assert xml.Schema.from_json(schema.to_json()).options == OPTIONS
    assert pickle.loads(pickle.dumps(OPTIONS)) == OPTIONS
    assert hash(OPTIONS) == hash(xml.Options(namespaces=tuple(DECLARED.items())))
    assert OPTIONS.as_dict() == {"namespaces": DECLARED}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"namespaces": {"a b": "u"}}, "xml option namespaces: 'a b': 'u'; expected a prefix (or '') and its URI"),
        ({"namespaces": {"xmlns": "u"}}, "xml option namespaces: 'xmlns': 'u'; expected a prefix (or '') and its URI"),
        ({"namespaces": {"a": ""}}, "xml option namespaces: 'a': ''; expected a prefix (or '') and its URI"),
        ({"namespaces": {"a": "u", "b": "u"}}, "xml option namespaces: 'u' has two prefixes; expected one"),
        (
            {"namespaces": {"a": "u"}, "ignore_namespace": True},
            "xml options namespaces and ignore_namespace exclude each other; choose one",
        ),
        (
            {"fallback_encoding": "klingon"},
            "xml option fallback_encoding='klingon' is not known; expected a character set such as windows-1252",
        ),
    ],
)
def test_options_that_are_not_allowed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        xml.Options(**options)
    assert str(raised.value) == message
