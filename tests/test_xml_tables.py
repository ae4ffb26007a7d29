"""Documents → one table per repeated element, with keys."""

from typing import Any

import pyarrow as pa
import pytest

from thresher import xml
from thresher.errors import DataError, DuplicateKeys, UsageError

COURSE = """
<course code="C1">
  <title lang="en">Grain</title>
  <book isbn="007"><title>Mills</title>
    <author role="main">Ada</author><author>Ben</author>
    <part><page>1</page><page>3</page></part></book>
  <book isbn="008"><title>Fields</title></book>
  <tag>old</tag><tag/>
  <info><link>x</link><link>y</link><level>2</level></info>
</course>"""


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


def test_every_repeated_element_at_any_depth_becomes_a_table_with_keys() -> None:
    documents = [COURSE, None, "<course code='C2'><tag>new</tag></course>", "<course"]
    keys = [pa.array(["a.parquet"] * 4), pa.array([10, 11, 12, 13])]

    made = xml.tables(documents, xml.discover(documents), keys)

    assert {name: table.column_names for name, table in made.items()} == {
        "document": ["_key", "code", "info_level", "title", "title_lang"],
        "book": ["_key", "_parent_key", "_row_key", "_ordinal", "isbn", "title"],
        "book_author": ["_key", "_parent_key", "_row_key", "_ordinal", "author", "role"],
        "book_part_page": ["_key", "_parent_key", "_row_key", "_ordinal", "page"],
        "info_link": ["_key", "_parent_key", "_row_key", "_ordinal", "link"],
        "tag": ["_key", "_parent_key", "_row_key", "_ordinal", "tag"],
    }
    first, third = "a.parquet#10", "a.parquet#12"
    assert rows(made["document"]) == [(first, "C1", 2, "Grain", "en"), (third, "C2", None, None, None)]
    assert rows(made["book"]) == [
        (f"{first}#1", first, first, 1, "007", "Mills"),
        (f"{first}#2", first, first, 2, "008", "Fields"),
    ]
    assert rows(made["book_author"]) == [
        (f"{first}#1#1", f"{first}#1", first, 1, "Ada", "main"),
        (f"{first}#1#2", f"{first}#1", first, 2, "Ben", None),
    ]
    assert rows(made["book_part_page"]) == [
        (f"{first}#1#1", f"{first}#1", first, 1, 1),
        (f"{first}#1#2", f"{first}#1", first, 2, 3),
    ]
    assert rows(made["info_link"]) == [(f"{first}#1", first, first, 1, "x"), (f"{first}#2", first, first, 2, "y")]
    assert rows(made["tag"]) == [
        (f"{first}#1", first, first, 1, "old"),
        (f"{first}#2", first, first, 2, ""),
        (f"{third}#1", third, third, 1, "new"),
    ]


def test_parsed_values_give_the_same_tables_in_any_cut() -> None:
    documents = [f"<p k='{n}'><a>{n}</a>{'<b><c/><c>x</c></b>' * (n % 3)}</p>" for n in range(20)]
    schema = xml.discover(documents)
    values = xml.parse(documents, schema).values
    keys = [f"k{n}" for n in range(20)]

    whole = xml.tables(documents, schema, keys)
    chunks = xml.tables_from_values(pa.chunked_array([values[:7], values[7:]]), schema, keys)
    parts = [xml.tables_from_values(values[at : at + 7], schema, keys[at : at + 7]) for at in (0, 7, 14)]

    assert chunks == whole
    assert {name: pa.concat_tables([part[name] for part in parts]) for name in whole} == whole
    assert {name: table.schema for name, table in whole.items()} == {
        name: xml.table_schema(schema, name) for name in xml.table_layout(schema)
    }


def test_every_document_has_a_row_whatever_it_holds() -> None:
    documents = ["<p><a>1</a><a>2</a></p>", "<p/>", None, "<p", "<p><a>3</a></p>"]
    only_items = xml.tables(documents, xml.discover(documents), list("klmno"))
    assert {name: rows(table) for name, table in only_items.items()} == {
        "document": [("k",), ("l",), ("o",)],
        "a": [("k#1", "k", "k", 1, 1), ("k#2", "k", "k", 2, 2), ("o#1", "o", "o", 1, 3)],
    }
    empty = xml.tables(["<p/>", None, "<p", "<q/>"], xml.discover(["<p/>"]), list("klmn"))
    assert {name: rows(table) for name, table in empty.items()} == {"document": [("k",), ("n",)]}
    assert {name: table.num_rows for name, table in xml.tables([], xml.discover([]), []).items()} == {"document": 0}
    assert rows(xml.tables(["<p>t</p>"], xml.discover(["<p>t</p>"]), ["k"])["document"]) == [("k", "t")]


def test_mixed_text_and_grandchildren_without_columns_keep_their_tables() -> None:
    document = "<p>one<a/>two<s><i><j>1</j><j>2</j></i><i/></s></p>"

    made = xml.tables([document], xml.discover([document]), ["k"])

    assert rows(made["value"]) == [("k#1", "k", "k", 1, "one"), ("k#2", "k", "k", 2, "two")]
    assert rows(made["s_i"]) == [("k#1", "k", "k", 1), ("k#2", "k", "k", 2)]
    assert rows(made["s_i_j"]) == [("k#1#1", "k#1", "k", 1, 1), ("k#1#2", "k#1", "k", 2, 2)]


def test_names_that_collide_get_a_number_and_say_so() -> None:
    schema = xml.Schema.from_ddl(
        "a_b int, a struct<b: int, B_c: int>, `a:b` int, _key string, document array<int>, Document_2 array<int>, "
        "x array<struct<_ordinal: int, x: int, _VALUE: int, `é-1`: int>>"
    )

    layout = xml.table_layout(schema)

    def names(table: str) -> list[tuple[str, str, str | None]]:
        return [(column.name, column.path, column.renamed_from) for column in layout[table].columns]

    assert names("document") == [
        ("a_b", "a_b", None),
        ("a_b_2", "a.b", "a_b"),
        ("a_B_c", "a.B_c", None),
        ("a_b_3", "a:b", "a_b"),
        ("key", "_key", None),
    ]
    assert names("x") == [
        ("ordinal", "x._ordinal", None),
        ("x", "x.x", None),
        ("x_2", "x._VALUE", "x"),
        ("é_1", "x.é-1", None),
    ]
    assert [(table.name, table.path, table.parent, table.renamed_from) for table in layout.values()] == [
        ("document", "", None, None),
        ("document_2", "document", "document", "document"),
        ("Document_2_2", "Document_2", "document", "Document_2"),
        ("x", "x", "document", None),
    ]
    assert layout["x"].columns[2].type == pa.int32()


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        (["a"], UsageError, "1 keys for 2 documents; expected one each"),
        (["a", None], DataError, "the key of document 1 is null (1 in all); expected a key for each document"),
        (
            [["a", "a"], [1, 1]],
            DuplicateKeys,
            "1 keys stand for more than one document, such as 'a#1' (2 times); expected unique keys. "
            "Add a column that tells them apart.",
        ),
    ],
)
def test_keys_must_identify_every_document(keys: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        xml.tables(["<p/>", "<p/>"], xml.Schema.from_ddl("a int"), keys)
    assert str(raised.value) == message


def test_key_parts_are_escaped_so_that_no_two_keys_become_one() -> None:
    keys = pa.table({"one": ["a#b", "a", "%23"], "two": ["c", "b#c", "1"]})

    made = xml.tables(["<p/>"] * 3, xml.Schema.from_ddl("a int"), keys)

    assert made["document"]["_key"].to_pylist() == ["a%23b#c", "a#b%23c", "%2523#1"]
    assert xml.row_keys([pa.array(["x", None]), pa.array([1, 2])]).to_pylist() == ["x#1", None]


def test_an_unknown_table_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="the documents have no table 'b'; found document, a"):
        xml.table_schema(xml.Schema.from_ddl("k int, a array<int>"), "b")


ORDER = """<order>
  <billing><address><city>Ulm</city><phone>1</phone><phone>2</phone></address></billing>
  <shipping><address><city>Bonn</city><phone>3</phone></address><address><city>Trier</city></address></shipping>
  <person><phone>4</phone></person>
</order>"""
LISTS = ("billing.address", "billing.address.phone", "shipping.address.phone", "person.phone")


def test_an_elevated_array_stands_as_columns_of_its_parent() -> None:
    options = xml.Options(arrays=("offer", "offer.note", "code"), elevate=("Offer", "offer.note", "code", "plain"))
    documents = ["<p><code>x</code><offer id='1'><n>2</n><note>a</note><m>5</m><m>6</m></offer></p>", "<p><plain/></p>"]
    schema = xml.discover(documents, options)

    made = xml.tables(documents, schema, ["k", "l"])

    assert schema.ddl == (
        "struct<code: array<string>, offer: array<struct<_id: bigint, m: array<bigint>, n: bigint, "
        "note: array<string>>>, plain: string>"
    )
    assert {name: rows(table) for name, table in made.items()} == {
        "document": [("k", "x", 1, 2, "a", None), ("l", None, None, None, None, "")],
        "offer_m": [("k#1", "k", "k", 1, 5), ("k#2", "k", "k", 2, 6)],
    }
    assert made["document"].column_names == ["_key", "code", "offer_id", "offer_n", "offer_note", "plain"]


def test_an_elevated_array_that_repeats_is_loud_and_never_lossy() -> None:
    twice = "<p><a><b>1</b><b>2</b></a><a><b>3</b></a></p>"
    with pytest.raises(DataError) as seen:
        xml.table_layout(xml.discover([twice]), xml.Options(elevate=("a.b",)))
    assert str(seen.value) == (
        "xml option elevate: a.b was seen 2 times in one parent, whose one row has no room for that. "
        "Take it out of elevate, and it is a table of its own."
    )
    declared = xml.Schema.from_ddl("a array<struct<b: array<int>>>", xml.Options(elevate=("a.b",)))
    with pytest.raises(DataError) as found:
        xml.tables(["<p><a/></p>", twice], declared, ["k", "l"])
    assert str(found.value) == (
        "xml option elevate: a.b stands 2 times in 'l#1' (1 such rows), whose one row has no room for that. "
        "Take it out of elevate, and it is a table of its own."
    )
    with pytest.raises(UsageError, match=r"elevate: the documents have no path a\.c\. Declare it, or take it out\."):
        xml.table_layout(declared, xml.Options(elevate=("a.c",)))


def test_elements_of_one_name_and_shape_share_a_table() -> None:
    schema = xml.discover([ORDER, "<order/>"], xml.Options(arrays=LISTS, reuse_shapes=True))

    made = xml.tables([ORDER, "<order/>"], schema, ["k", "l"])

    assert rows(made.pop("document")) == [("k",), ("l",)]
    assert list(made) == ["address", "phone"]
    links = ["_key", "_parent_key", "_row_key", "_ordinal", "_path", "_parent_table"]
    assert made["address"].column_names == [*links, "city"]
    one, two = "billing.address", "shipping.address"
    assert rows(made["address"]) == [
        (f"k#{one}#1", "k", "k", 1, one, "document", "Ulm"),
        (f"k#{two}#1", "k", "k", 1, two, "document", "Bonn"),
        (f"k#{two}#2", "k", "k", 2, two, "document", "Trier"),
    ]
    assert rows(made["phone"]) == [
        (f"k#{one}#1#{one}.phone#1", f"k#{one}#1", "k", 1, f"{one}.phone", "address", 1),
        (f"k#{one}#1#{one}.phone#2", f"k#{one}#1", "k", 2, f"{one}.phone", "address", 2),
        ("k#person.phone#1", "k", "k", 1, "person.phone", "document", 4),
        (f"k#{two}#1#{two}.phone#1", f"k#{two}#1", "k", 1, f"{two}.phone", "address", 3),
    ]


def test_what_differs_in_type_name_or_elevation_shares_no_table() -> None:
    def tables(ddl: str, **options: Any) -> list[str]:
        document, *others = xml.table_layout(xml.Schema.from_ddl(ddl), xml.Options(reuse_shapes=True, **options))
        assert document == "document"
        return others

    item = "array<struct<t: string, n: array<int>>>"
    assert tables(f"a struct<x: {item}>, b struct<X: {item}>") == ["x", "n"]
    assert tables(f"a struct<x: {item}>, b struct<y: {item}>") == ["a_x", "n", "b_y"]
    assert tables("a struct<x: array<int>>, b struct<x: array<bigint>>") == ["a_x", "b_x"]
    assert tables("a struct<_VALUE: array<string>>, b struct<_VALUE: array<string>>") == ["a_value", "b_value"]
    assert tables(f"a struct<x: {item}>, b struct<x: {item}>", elevate=("a.x.n",)) == ["a_x", "b_x", "b_x_n"]


def test_lineage_tells_where_every_path_went() -> None:
    document = "<o id='1' ns:a-b='2'><ns:a.b>3</ns:a.b><l>5<k>x</k>6</l><l/><t>y</t><t>z</t><raw><i>9</i></raw></o>"
    schema = xml.discover([document]).declare("raw string")

    found = xml.lineage(schema)

    def shown(*names: str) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in names) for row in found.to_pylist()]

    assert shown("path", "xpath", "kind", "type") == [
        ("_id", "/o/@id", "attribute", "bigint"),
        ("_ns:a-b", "/o/@ns:a-b", "attribute", "bigint"),
        ("l", "/o/l", "element", "array<struct>"),
        ("l._VALUE", "/o/l/text()", "text", "array<bigint>"),
        ("l.k", "/o/l/k", "element", "string"),
        ("`ns:a.b`", "/o/ns:a.b", "element", "bigint"),
        ("raw", "/o/raw", "element", "string"),
        ("raw.i", "/o/raw/i", "element", None),
        ("t", "/o/t", "element", "array<string>"),
    ]
    assert shown("path", "table", "column", "column_type", "renamed_from", "parent_table", "examples") == [
        ("_id", "document", "id", "bigint", None, None, ["1"]),
        ("_ns:a-b", "document", "ns_a_b", "bigint", None, None, ["2"]),
        ("l", "l", None, None, None, "document", []),
        ("l._VALUE", "l_value", "value", "bigint", None, "l", ["5", "6"]),
        ("l.k", "l", "k", "string", None, "document", ["x"]),
        ("`ns:a.b`", "document", "ns_a_b_2", "bigint", "ns_a_b", None, ["3"]),
        ("raw", "document", "raw", "string", None, None, []),
        ("raw.i", None, None, None, None, None, ["9"]),
        ("t", "t", "t", "string", None, "document", ["y", "z"]),
    ]


def test_lineage_of_tables_that_paths_share_or_that_gave_up_their_name() -> None:
    shared = xml.discover([ORDER], xml.Options(arrays=LISTS, reuse_shapes=True, elevate=("person.phone",)))
    listed = xml.lineage(shared).select(["path", "table", "column", "parent_table"]).to_pylist()
    assert [tuple(row.values()) for row in listed if "phone" in row["path"]] == [
        ("billing.address.phone", "phone", "phone", "address"),
        ("person.phone", "document", "person_phone", None),
        ("shipping.address.phone", "phone", "phone", "address"),
    ]
    renamed = xml.lineage(xml.Schema.from_ddl("Document array<struct<a: int>>"))
    assert renamed.select(["xpath", "table", "column", "renamed_from"]).to_pylist() == [
        {"xpath": "/*/Document", "table": "Document_2", "column": None, "renamed_from": "Document"},
        {"xpath": "/*/Document/a", "table": "Document_2", "column": "a", "renamed_from": None},
    ]
