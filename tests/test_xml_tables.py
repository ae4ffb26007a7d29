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


def test_documents_without_repeated_or_single_content() -> None:
    assert xml.tables([], xml.discover([]), []) == {}
    only_items = xml.discover(["<p><a>1</a><a>2</a></p>"])
    assert list(xml.tables([], only_items, [])) == ["a"]
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
