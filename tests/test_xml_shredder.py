"""The compiled loops read what is plain exactly as the reference does, and leave everything else to it."""

import random
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher import xml
from thresher.xml.discovery import Discovery
from thresher.xml.reading import Reader
from thresher.xml.reference import Remarks
from thresher.xml.shredding.plan import Plan
from thresher.xml.shredding.shredder import Shredder

few = settings(max_examples=60, deadline=None, derandomize=True)

OPTIONS = [
    xml.Options(),
    xml.Options(ignore_surrounding_spaces=False),
    xml.Options(ignore_namespace=True),
    xml.Options(null_value="7", attribute_prefix="@", prefers_decimal=False),
    xml.Options(exclude_attribute=True, infer_types=False, max_depth=3, max_nodes=12),
    xml.Options.spark(),
    xml.Options.spark(ignore_surrounding_spaces=False, null_value="", prefers_decimal=True),
    xml.Options.spark(ignore_namespace=True, exclude_attribute=True),
    xml.Options(roots=("a", "{u}b", "ä"), ignore_namespace=True),
    xml.Options(namespaces={"n": "u", "": "v"}, max_attributes=2),
    xml.Options(namespaces={"n": "u", "k": "v"}, roots=("{u}b", "a", "_a"), exclude_attribute=True),
    xml.Options.spark(namespaces={"n": "u", "k": "v"}, roots=("{u}b", "a", "b")),
    xml.Options(date_format="yyyy-dd-MM", timestamp_format="yyyy-MM-dd HH:mm", time_zone="Europe/Berlin"),
]


def shredded(
    documents: Sequence[Any], schema: xml.Schema, options: xml.Options
) -> tuple[pa.Array, set[int], dict[int, Remarks]]:
    """What the compiled loops alone give, the rows that they leave, and the remarks on the others."""
    plan = Plan.of(schema, options)
    if plan is None:
        return pa.nulls(len(documents), schema.arrow_type), set(range(len(documents))), {}
    is_text = isinstance(documents[0], str)
    array = pa.array(documents, pa.string() if is_text else pa.binary())
    values, left, remarks = [pa.array([], schema.arrow_type)], set(), {}
    for shred in Shredder(plan).read(array, is_text=is_text, threads=1):
        shred.values.validate(full=True)
        left |= {shred.first + int(row) for row in shred.left}
        values.append(shred.values)
        remarks |= {shred.first + row: said for row, said in shred.remarks.items()}
    return pa.concat_arrays(values), left, remarks


def read_alike(documents: Sequence[Any], schema: xml.Schema, options: xml.Options) -> set[int]:
    """The rows that the loops leave; all others must be the reference's."""
    reader = Reader(schema, options)
    values, left, remarks = shredded(documents, schema, reader.options)
    for row, document in enumerate(documents):
        content = document.encode() if isinstance(document, str) else document
        expected = reader.reference.row(content, isinstance(document, str))
        if row in left:
            continue
        assert remarks.get(row, Remarks([], None)) == (expected.errors, expected.rescued), document
        assert values.slice(row, 1).equals(pa.array([expected.value], schema.arrow_type)), document
    return left


texts = st.one_of(
    st.sampled_from(
        ["", " ", "7", "-3", "007", "+5", "7.5", "7.50", "0.05", "-0", "-0.0", "1e5", "1E-7", "5.", ".5", "1,5"]
    ),
    st.sampled_from(["12345678901234567890", "9223372036854775807", "-9223372036854775808", "9" * 38, "0." + "1" * 37]),
    st.sampled_from(
        ["0.1234567890123456", "1e300", "1e-300", "4.35", "true", "True", "1", "NaN", " x ", "\n\t y", "é", "1d"]
    ),
    st.sampled_from(["2024-01-31", "2024-02-30", "0001-01-01", "2024-01-31T10:00:00Z", "2024-01-31 10:00"]),
    st.sampled_from(["2024-01-31T10:00:00.1234567", "2024-01-31T10:00:00.1230000Z", "2024-01-31T23:59:59-05:30"]),
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=6
    ),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
)
marks = st.sampled_from(
    ["<!-- c -->", "<?pi x?>", "<![CDATA[ <x> ]]>", "<![CDATA[]]>", "&amp;", "&#233;", "&#x20;", "\r\n", "\n  "]
)
names = st.sampled_from(
    ["a", "A", "b", "_a", "_VALUE", "n:b", "m:b", "ä", "quite-a-long.name", "quite-a-long.name-for-all"]
)
attribute_names = st.sampled_from(
    ["a", "A", "id", "n:b", "m:b", "xmlns:n", "xmlns", "xsi:nil", "n:nil", "nil", "VALUE", "value"]
)
xsi = "'http://www.w3.org/2001/XMLSchema-instance'"
values = st.one_of(texts.map(quoteattr), st.sampled_from(["'true'", "'&lt;&#10;'", '"a\tb"', "'1'", xsi]))

declaring = st.sampled_from(["xmlns", "xmlns:n", "xmlns:m", "xmlns:xsi"])
uris = st.sampled_from(["'u'", '"v"', "' u '", "'&#118;'", "'w'", "''", "'http://www.w3.org/2001/XMLSchema-instance'"])


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> str:
    """An element as text, mostly well-formed."""
    name = draw(names)
    pairs = draw(st.dictionaries(attribute_names, values, max_size=2))
    if not depth:
        pairs = draw(st.dictionaries(declaring, uris, max_size=3)) | pairs
    written = "".join(f"{draw(st.sampled_from([' ', '  ', chr(10)]))}{key}={value}" for key, value in pairs.items())
    inside = st.one_of(texts.map(escape), marks, elements(depth + 1)) if depth < 4 else texts.map(escape)
    content = "".join(draw(st.lists(inside, max_size=4 if depth else 6)))
    if not content and draw(st.booleans()):
        return f"<{name}{written}/>"
    return f"<{name}{written}>{content}</{name}{draw(st.sampled_from(['', ' ']))}>"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A document as text, mostly well-formed."""
    before = draw(
        st.sampled_from(["", "<?xml version='1.0'?>", "<!-- c -->\n", '<?xml version="1.0" encoding="UTF-8"?>\n'])
    )
    return before + draw(elements()) + draw(st.sampled_from(["", "\n", "<!-- c -->"]))


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
@few
@given(roots=st.lists(documents(), min_size=1, max_size=5), others=st.lists(documents(), max_size=3))
def test_generated_documents(options: xml.Options, roots: list[str], others: list[str]) -> None:
    """`others` shape the schema, too, or are the only ones that do."""
    for schema in (xml.discover([*roots, *others], options), xml.discover(others, options)):
        if schema.arrow_type.num_fields:
            read_alike(roots, schema, schema.options)
            read_alike([root.encode() for root in roots], schema, schema.options)


DECLARED = (
    "a int, b array<decimal(38,5)>, _a string, _id bigint, _VALUE array<string>,"
    " `n:b` struct<_VALUE: timestamp, _a: boolean>,"
    " `m:b` array<struct<_VALUE: double, a: date, b: array<smallint>>>, `quite-a-long.name` float, ä timestamp_ntz"
)


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
@few
@given(roots=st.lists(documents(), min_size=1, max_size=5))
def test_declared_types(options: xml.Options, roots: list[str]) -> None:
    schema = xml.Schema.from_ddl(DECLARED, options)

    read_alike(roots, schema, options)


PLAIN = [
    "<p id='7'><a>x</a><a/><b>1.5</b><c k='1'>t</c></p>",
    '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<p id="8">\r\n  <a>x &amp; y</a>\r\n  <b>2</b>\r\n</p>\n',
    "<!-- c --><?pi x?><p>  <a><![CDATA[<z>]]></a><!-- d --><b>17.25</b><c k='2'/></p><!-- e -->",
    "<p id='&#57;'><a> spaces </a><a>ü€😀</a><c>u</c></p>",
    "<p><d><e>2024-01-31</e></d><d/><f>true</f><g>12345678901234567890123</g><h>2024-01-31T10:00:00+02:00</h></p>",
]


def test_plain_documents_are_not_left_to_the_reference() -> None:
    schema = xml.discover(PLAIN)

    assert read_alike(PLAIN, schema, schema.options) == set()
    assert read_alike([text.encode() for text in PLAIN], schema, schema.options) == set()


def test_declarations_in_order_are_not_left_to_the_reference() -> None:
    schema = xml.Schema.from_ddl("a string")
    good = [
        "<?xml version='1.0'?>",
        '<?xml version = "1.1" ?>',
        "<?xml version='1.0' encoding='UTF-8'?>",
        "<?xml\tversion='1.0'\nencoding=\"utf-8\"  standalone='yes'?>",
        ' <?xml version="1.0" standalone="no" ?>',
    ]
    others = [
        f"<?xml version='1.0'{more}?>" for more in (" standalone='true'", " k='1'", "standalone='no'", " encoding=''")
    ]
    others += ["<?xml version='2.0'?>", "<?xml version='1.'?>", "<?xml version='1.0\"?>", "<?xml ?>"]
    nil = "<p xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><a xsi:nil=' 1 '/></p>"
    documents = [declaration + nil for declaration in good + others]

    assert read_alike(documents, schema, xml.Options()) == set(range(len(good), len(documents)))
    encoded = [text.encode() for text in documents]
    assert read_alike(encoded, schema, xml.Options()) == set(range(len(good), len(documents)))
    parsed = xml.parse(documents, schema)
    assert parsed.values.to_pylist() == [{"a": None}] * len(good) + [None] * len(others)
    assert set(parsed.errors["rule"].to_pylist()) == {"malformed"}


def test_names_of_refused_documents_alone_are_not_learnt() -> None:
    refused = "<p " + " ".join(f"k{at}='1'" for at in range(300)) + "/>"
    schema, left = learnt([refused, "<p><a>1</a></p>"], xml.Options(max_attributes=200))
    assert (schema.ddl, left) == ("struct<a: bigint>", 1)


def test_every_mutation_of_plain_documents() -> None:
    """Bytes replaced, removed, doubled and moved: what the loops accept is what the reference accepts."""
    chosen = random.Random(4)
    schema = xml.discover(PLAIN)
    spark = xml.discover(PLAIN, xml.Options.spark())
    pieces = [
        b"<",
        b">",
        b"/",
        b"&",
        b";",
        b'"',
        b"'",
        b"=",
        b" ",
        b"]]>",
        b"<!--",
        b"-->",
        b"<a>",
        b"</a>",
        b"\x00",
        b"\xff",
    ]
    pieces += [
        b"\xc3",
        b"\xef\xbf\xbf",
        b"\xed\xa0\x80",
        b"<?",
        b"?>",
        b"<![CDATA[",
        b":",
        b"1",
        b"-",
        b"\r",
        b"&#0;",
        b"xml",
    ]
    mutated = []
    for _ in range(4000):
        content = bytearray(chosen.choice(PLAIN).encode())
        for _ in range(chosen.randint(1, 3)):
            at = chosen.randrange(len(content))
            content[at : at + chosen.choice([0, 0, 1, 1, 3])] = chosen.choice(pieces)
        mutated.append(bytes(content))

    left = read_alike(mutated, schema, schema.options)
    read_alike(mutated, spark, spark.options)

    assert 100 < len(left) < 4000


def learnt(documents: Sequence[Any], options: xml.Options) -> tuple[xml.Schema, int]:
    """What the compiled loops alone learn, with the reference for what they leave; and how much that is."""
    discovery = Discovery(options)
    is_text = isinstance(documents[0], str)
    array = pa.array(documents, pa.string() if is_text else pa.binary())
    left = [row for rows in discovery.discoverer.learn(array, is_text=is_text, threads=1) for row in rows]
    for row in left:
        discovery.observe(documents[row], is_text)
    return discovery.schema(), len(left)


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
@few
@given(roots=st.lists(documents(), min_size=1, max_size=6))
def test_discovery_of_generated_documents(options: xml.Options, roots: list[str]) -> None:
    expected = xml.discover(roots, options)

    for given_documents in (roots, [root.encode() for root in roots]):
        schema, _ = learnt(given_documents, options)

        assert schema.to_json() == expected.to_json()
        assert schema.paths == expected.paths


def test_discovery_of_many_documents_in_threads() -> None:
    documents = [
        f"<p n='{row}'><a>{row % 7 / 2}</a><B{row % 300}><d>2024-01-{row % 31 + 1:02d}</d></B{row % 300}>"
        f"{'<straße>x</straße>' * (row % 3)}<t>{'y' * (row % 70)} {row}</t></p>"
        for row in range(20_000)
    ]

    quick, slow = Discovery(xml.Options()), Discovery(xml.Options())
    array = pa.array(documents)
    assert [list(rows) for rows in quick.discoverer.learn(array, is_text=True, threads=2) if rows] == []
    for document in documents:
        slow.observe(document, True)

    assert quick.schema().to_json() == slow.schema().to_json()


INVOICES = [
    '<Invoice xmlns="urn:i" xmlns:c="urn:c" id="1" c:u="x"><c:ID>1</c:ID><Line><c:ID>2</c:ID></Line></Invoice>',
    '<i:Invoice id="2" xmlns:i="urn:i" b:u="y" xmlns:b="urn:c"><b:ID>3</b:ID><i:Line/></i:Invoice>',
    "<n:Note xmlns:n='urn:n' xmlns:c='urn:c'><c:ID>4</c:ID></n:Note>",
    "<Note xmlns='urn:n' xmlns:n='urn:c'><n:ID>5</n:ID></Note>",
]
BY_URI = {"c": "urn:c", "": "urn:i", "n": "urn:n"}


@pytest.mark.parametrize(
    "options",
    [
        xml.Options(roots=("Invoice", "Note"), ignore_namespace=True),
        xml.Options(roots=("{urn:i}Invoice", "{urn:n}Note"), ignore_namespace=True),
        xml.Options(namespaces=BY_URI),
        xml.Options(namespaces=BY_URI, roots=("{urn:i}Invoice", "{urn:n}Note")),
    ],
    ids=range(4),
)
def test_mixed_roots_and_prefixes_are_not_left_to_the_reference(options: xml.Options) -> None:
    documents = INVOICES * 3

    schema, left = learnt(documents, options)

    assert left == 0
    assert schema.to_json() == xml.discover(documents, options).to_json()
    assert read_alike(documents, schema, options) == set()


@pytest.mark.parametrize(
    ("options", "others"),
    [
        (xml.Options(roots=("Invoice",), ignore_namespace=True), {2, 3}),
        (xml.Options(roots=("{urn:i}Invoice", "{urn:c}Note"), ignore_namespace=True), {2, 3}),
        (xml.Options(namespaces={"c": "urn:c"}, roots=("{urn:n}Note",)), {0, 1}),
    ],
)
def test_other_roots_are_left_to_the_reference(options: xml.Options, others: set[int]) -> None:
    schema = xml.discover(INVOICES, options)

    assert read_alike(INVOICES, schema, options) == others
    assert learnt(INVOICES, options)[1] == len(others)


def test_a_declaration_is_no_attribute_of_its_prefix() -> None:
    options = xml.Options(ignore_namespace=True)
    documents = ['<p n="1"/>', '<p xmlns:n="u"><a>x</a></p>', '<p xmlns:m="u" xmlns:n="u" m:n="2"/>']
    schema = xml.discover(documents, options)

    values, left, _ = shredded(documents, schema, options)

    assert left == set()
    assert values.to_pylist() == [{"_n": 1, "a": None}, {"_n": None, "a": "x"}, {"_n": 2, "a": None}]
    assert learnt(documents, options)[0].to_json() == schema.to_json()


def test_declarations_that_differ_from_document_to_document_are_read_all_the_same() -> None:
    documents = [
        f"<p{row}:a xmlns:p{row}='u' xmlns:o='o{row}'><p{row}:b>{row}</p{row}:b></p{row}:a>" for row in range(150)
    ]
    options = xml.Options(namespaces={"n": "u"})

    schema, left = learnt(documents, options)

    assert (schema.ddl, left) == ("struct<`n:b`: bigint>", 50)
    assert xml.parse(documents, schema).values.to_pylist() == [{"n:b": row} for row in range(150)]
    assert len(read_alike(documents, schema, options)) == 50


def test_options_of_any_length_have_room() -> None:
    options = xml.Options(attribute_prefix="_" * 10_000, value_tag="v" * 20_000, null_value="-" * 30_000)
    document = "<p K='1' ä='2'>t<A/></p>"
    spark = xml.Options.spark(attribute_prefix="_" * 10_000, value_tag="v" * 20_000)

    for chosen in (options, spark):
        schema, left = learnt([document] * 3, chosen)

        assert left == 0
        assert schema.to_json() == xml.discover([document] * 3, chosen).to_json()
        assert read_alike([document, document.lower()], schema, chosen) == set()


NOTED = [
    (
        "<p><a>1</a><new k='1'><x/>t</new></p>",
        {"a": 1, "b": None, "c": None},
        '{"new": {"_k": "1", "x": "", "_VALUE": "t"}}',
        [],
    ),
    (
        "<p k='&lt;'>t<a/>u<m/><m>2</m></p>",
        {"a": None, "b": None, "c": None},
        '{"_k": "<", "_VALUE": ["t", "u"], "m": ["", "2"]}',
        [],
    ),
    (
        "<p>\r\n <b><d>1</d></b><b w='5'><d>ä</d><q/><e>2</e></b>\n <b e=''/><a k=\"'\">x</a></p>",
        {"a": None, "b": [{"d": 1, "e": None}, {"d": None, "e": [2]}, {"d": None, "e": None}], "c": None},
        '{"b[2]._w": "5", "b[2].d": "ä", "b[2].q": "", "b[3]._e": "", "a._k": "\'", "a": "x"}',
        [("b.d", 2, 26, "ä"), ("a", 3, 11, "x")],
    ),
    (
        "\ufeff<p><!-- é\r -->é<b><e>1</e><e k='1'>2,5</e><e/><e> &#120; </e></b></p>",
        {"a": None, "b": [{"d": None, "e": [1, None, None, None]}], "c": None},
        '{"_VALUE": "é", "b[1].e[2]._k": "1", "b[1].e[2]": "2,5", "b[1].e[4]": "x"}',
        [("b.e", 2, 17, "2,5"), ("b.e", 2, 37, "x")],
    ),
    (
        "<p><c k=' y '>7</c></p>",
        {"a": None, "b": None, "c": {"_k": None, "_VALUE": "7"}},
        '{"c._k": "y"}',
        [("c._k", 1, 4, "y")],
    ),
    (
        "<p><a>x</a><Ä/><a> &#50; </a><B><D>1</D><d>2</d></B><C K='3'/><a>4</a></p>",
        {"a": 4, "b": [{"d": 2, "e": None}], "c": {"_k": 3, "_VALUE": None}},
        '{"a": ["x", "2"], "Ä": "", "b[1].d": "1"}',
        [],
    ),
]
KNOWN = "a int, b array<struct<d int, e array<int>>>, c struct<_k int, _VALUE string>"


@pytest.mark.parametrize("document, value, rescued, errors", NOTED, ids=range(len(NOTED)))
def test_what_a_schema_does_not_know_leaves_no_document_to_the_reference(
    document: str, value: Any, rescued: str, errors: list[tuple[Any, ...]]
) -> None:
    schema = xml.Schema.from_ddl(KNOWN)

    values, left, remarks = shredded([document] * 2, schema, schema.options)

    assert (values.to_pylist(), left) == ([value] * 2, set())
    assert remarks[1].rescued == rescued
    assert [(e["path"], e["line"], e["column"], e["snippet"]) for e in remarks[1].errors] == errors
    assert read_alike([document.encode()], schema, schema.options) == set()


@pytest.mark.parametrize(
    "document",
    [
        "<p><a k='1'>1</a><a>2</a></p>",
        "<p><a xsi:nil='1'/><a>2</a></p>",
        "<p><a><x/></a></p>",
        "<p><a xsi:nil='true' k='1'/></p>",
        "<p><c><x/>y</c><c/></p>",
        "<p><m><x:nil x:nil='1'/></m></p>",
    ],
)
def test_what_only_the_reference_can_judge_is_left_to_it(document: str) -> None:
    schema = xml.Schema.from_ddl(KNOWN)

    assert read_alike([document] * 2, schema, schema.options) == {0, 1}


def test_a_bad_text_after_a_child_is_left_to_the_reference() -> None:
    schema = xml.Schema.from_ddl("b array<string>, _VALUE array<int>")

    assert read_alike(["<p>x<b/>2</p>", "<p>1<b/>x</p>", "<p>1<b>y</b> x</p>"], schema, schema.options) == {1, 2}


def test_bad_values_leave_documents_without_a_value_in_other_modes() -> None:
    options = xml.Options(mode="dropmalformed")
    schema = xml.Schema.from_ddl("a int", options)
    documents = ["<p><a>x</a><b>2</b></p>", "<p><a>1</a><b/></p>"]

    assert read_alike(documents, schema, options) == {0}
    parsed = xml.parse(documents * 50_000, schema, options)
    assert parsed.values.to_pylist()[:4] == [None, {"a": 1}, None, {"a": 1}]
    assert parsed.rescued.to_pylist()[:2] == ['{"a": "x", "b": "2"}', '{"b": ""}']
    assert parsed.errors.column("row").to_pylist()[:2] == [0, 2]


FOREIGN = [
    ("a date", xml.Options(date_format="dd.MM.yyyy"), "31.01.2024", "1.1.2024"),
    ("a array<date>", xml.Options(date_format="dd.MM.yyyy"), "31.01.2024", " 31.02.2024 "),
    ("a timestamp", xml.Options(time_zone="Europe/Berlin"), "2024-01-31T10:00:00", "x"),
    ("a timestamp_ntz", xml.Options(timestamp_format="yyyy/MM/dd HH:mm"), "2024/01/31 10:00", "2024-13-01"),
    ("a decimal(9,2)", xml.Options(), "12e-1", "1e-3"),
    ("a int", xml.Options(), "000000000000000000000000000000000000000000000007", "2147483648"),
]


@pytest.mark.parametrize("schema, options, good, bad", FOREIGN, ids=range(len(FOREIGN)))
def test_values_that_only_the_reference_reads_leave_no_document_to_it(
    schema: str, options: xml.Options, good: str, bad: str
) -> None:
    documents = ["<p/>", f"<p><a>{good}</a></p>", f"<p><a>{bad}</a></p>", "<p><a/></p>", f"<p><a>{good}</a></p>"]

    assert read_alike(documents, xml.Schema.from_ddl(schema, options), options) == set()


def test_what_only_the_reference_reads_is_left_to_it_where_spark_would_end_the_record() -> None:
    options = xml.Options.spark(date_format="dd.MM.yyyy")
    schema = xml.Schema.from_ddl("a date, b int", options)
    documents = ["<p><a>31.01.2024</a><b>1</b></p>", "<p><a>x</a><b>1</b></p>", "<p><a>01.02.2024</a></p>"]

    assert read_alike(documents, schema, options) == {1}


def test_remarks_stand_in_their_rows_whoever_made_them() -> None:
    documents = [
        "<p><a>1</a></p>",
        "<p><a>x</a></p>",
        "<!DOCTYPE p><p><a>y</a><b/></p>",
        "<p><a>2</a><b/>",
        "<p k='1'/>",
    ]
    many = pa.array(documents * 30_000)

    parsed = xml.parse(many, xml.Schema.from_ddl("a int"), threads=2)

    assert parsed.values.to_pylist() == [{"a": 1}, {"a": None}, {"a": None}, None, {"a": None}] * 30_000
    assert parsed.rescued.to_pylist() == [None, '{"a": "x"}', '{"a": "y", "b": ""}', None, '{"_k": "1"}'] * 30_000
    found = list(zip(*(parsed.errors[name].to_pylist() for name in ("row", "rule", "column")), strict=True))
    expected = [(1, "type", 4), (2, "type", 16), (3, "truncated", 16)]
    assert found == [(row + 5 * at, rule, column) for at in range(30_000) for row, rule, column in expected]


SPARK = xml.Options.spark()
ALIKE = [
    ("t timestamp", SPARK, "<p><t>2024-01-31T10:00Z</t></p>"),
    ("a int, b smallint", SPARK, "<p><a>-2147483648</a></p>"),
    ("a int, b smallint", SPARK, "<p><b>-32768</b></p>"),
    ("a string", xml.Options(), "<p><a xsi:nil='true'><!-- c --></a></p>"),
    ("a string", xml.Options(), "<p><a xsi:nil='true'><![CDATA[]]></a></p>"),
    ("a string", xml.Options(exclude_attribute=True), "<p><a xsi:nil='true' b='1'/></p>"),
    ("`xsi:nil` string", xml.Options(attribute_prefix=""), "<p xsi:nil='true'/>"),
    ("A int, b int", xml.Options.spark(value_tag="a"), "<p>1<b>2</b></p>"),
    ("a double", xml.Options(), "<p><a>1e999</a></p>"),
    ("a string", xml.Options(), "<p><a>x</a></p>\n<!-- c --><?pi?>"),
]


@pytest.mark.parametrize("schema, options, document", ALIKE, ids=range(len(ALIKE)))
def test_what_reviewers_found(schema: str, options: xml.Options, document: str) -> None:
    read_alike([document] * 3, xml.Schema.from_ddl(schema, options), options)
    assert learnt([document], options)[0].to_json() == xml.discover([document], options).to_json()


def test_a_document_is_refused_whatever_stands_beside_it() -> None:
    document = "<!DOCTYPE p><?xml version='1.0'?><p><a>1</a></p>"
    schema = xml.Schema.from_ddl("a int")

    for rows in (3, 60_000):
        assert xml.parse(pa.array([document] * rows), schema).errors.num_rows == rows


def test_discovery_has_room_for_all_texts_that_only_the_reference_judges() -> None:
    document = "<p>" + "<a>!</a><b>-</b>" * 60 + "</p>"
    discovery = Discovery(SPARK)
    for documents in ([document] * 1_400, [document] * 4_000, ["<p>" + "<a>!</a>" * 400_000 + "</p>"]):
        assert not any(discovery.discoverer.learn(pa.array(documents), is_text=True, threads=1))

    assert discovery.schema().ddl == "struct<a: array<string>, b: array<string>>"


def test_many_names_of_other_letters_do_not_hold_up_the_others() -> None:
    documents = ["<p>" + "".join(f"<ä{number}/>" for number in range(3_000)) + "</p>", "<p><ö>1</ö></p>"]

    assert learnt(documents, xml.Options())[0].to_json() == xml.discover(documents).to_json()


def test_an_empty_chunk_needs_no_buffers() -> None:
    empty = pa.Array.from_buffers(pa.string(), 0, [None, pa.py_buffer(b""), pa.py_buffer(b"")])
    schema = xml.Schema.from_ddl("a int")

    chunks = pa.chunked_array([pa.array(["<p><a>1</a></p>"] * 150_000), empty])

    assert len(xml.parse(chunks, schema).values) == 150_000
    assert xml.discover(chunks).ddl == "struct<a: bigint>"


def test_data_as_names_becomes_text() -> None:
    wide = "<p>" + "".join(f"<a><k{number}>1</k{number}></a>" for number in range(2_100)) + "</p>"
    schema = xml.discover([wide, "<p><n>1</n></p>"])

    assert schema.ddl == "struct<a: array<string>, n: bigint>"
    assert xml.parse([wide], schema).values.to_pylist()[0]["a"][:2] == ["<k0>1</k0>", "<k1>1</k1>"]
