"""raw → curated: nested rows, tables that can be joined, and a reason for every refusal."""

import gzip
from decimal import Decimal

import pyarrow as pa
import pytest

from thresher import flatten, xml
from thresher.errors import DuplicateKeys, MissingColumns, UsageError

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)

ONE = b'<c><book n="1"><title lang="en">A &amp; B</title><author>X</author><price>7.50</price></book></c>'
TWO = (
    b"<c><book><title>C</title><author>X</author><author>Y</author><price>10</price></book>"
    b"<book n='2'><title lang='de'/></book></c>"
)


BINARY = pa.binary()


def raw(lake, *documents, kind=BINARY, name="raw.t"):
    rows = {
        "id": list(range(1, len(documents) + 1)),
        "doc": pa.array(documents, kind),
        "_file": ["f"] * len(documents),
        "_row": list(range(1, len(documents) + 1)),
    }
    lake.write(name, pa.table(rows), schema="replace" if lake.exists(name) else "assert")


def rows_of(frame, by="_key"):
    return sorted(frame.to_arrow().to_pylist(), key=lambda row: row[by])


TABLES = {"book": "curated.t_books", "book_author": "curated.t_authors"}


def test_documents_become_nested_rows_and_tables(lake):
    raw(lake, ONE, TWO, None, b"", b"<c/>")
    done = flatten.documents(lake, "raw.t", "curated.t", "doc", into="material", tables=TABLES)
    kind = lake.schema("curated.t").field("material").type
    assert kind == xml.discover([ONE, TWO]).arrow_type
    assert [
        (row["id"], row["_key"], row["material"] and len(row["material"]["book"] or []))
        for row in rows_of(lake.read("curated.t"))
    ] == [
        (1, "f#1", 1),
        (2, "f#2", 2),
        (3, "f#3", None),
        (4, "f#4", None),
        (5, "f#5", 0),
    ]
    first = {"_parent_key": "f#1", "_row_key": "f#1", "_ordinal": 1, "n": 1, "price": Decimal("7.50")}
    assert rows_of(lake.read("curated.t_books")) == [
        {"_key": "f#1#1", **first, "title": "A & B", "title_lang": "en"},
        {
            "_key": "f#2#1",
            "_parent_key": "f#2",
            "_row_key": "f#2",
            "_ordinal": 1,
            "n": None,
            "price": Decimal("10.00"),
            "title": "C",
            "title_lang": None,
        },
        {
            "_key": "f#2#2",
            "_parent_key": "f#2",
            "_row_key": "f#2",
            "_ordinal": 2,
            "n": 2,
            "price": None,
            "title": None,
            "title_lang": "de",
        },
    ]
    assert [(row["_key"], row["_parent_key"], row["author"]) for row in rows_of(lake.read("curated.t_authors"))] == [
        ("f#1#1#1", "f#1#1", "X"),
        ("f#2#1#1", "f#2#1", "X"),
        ("f#2#1#2", "f#2#1", "Y"),
    ]
    assert done.counts.as_dict() == {
        "dataset": "curated.t",
        "rows_in": 5,
        "rows_out": 5,
        "refused": 0,
        "duplicate": 0,
        "more": {"values refused": 0, "rows with unknown paths": 0, "curated.t_books": 3, "curated.t_authors": 3},
    }


def test_broken_documents_are_quarantined_with_their_bytes(lake):
    packed = gzip.compress(ONE, mtime=0)
    raw(lake, ONE, ONE[:60], b"<c><book></c>", '<?xml version="1.0" encoding="UTF-16"?><c/>'.encode("utf-16"), packed)
    done = flatten.documents(lake, "raw.t", "curated.t", "doc")
    assert [row["id"] for row in rows_of(lake.read("curated.t"))] == [1, 4, 5]
    kept = lake.read("quarantine.curated_t").to_arrow().to_pylist()
    assert sorted((row["source"], row["key"], row["path"], row["rule"], row["content"]) for row in kept) == [
        ("raw.t", "f#2", None, "truncated", ONE[:60]),
        ("raw.t", "f#3", None, "malformed", b"<c><book></c>"),
    ]
    assert all(row["line"] == 1 and row["column"] and row["reason"] for row in kept)
    assert (done.counts.rows_in, done.counts.rows_out, done.counts.refused) == (5, 3, 2)


@embedded_only
def test_text_columns_are_read_too_and_their_quarantine_holds_bytes(lake):
    raw(lake, '<?xml version="1.0" encoding="latin-1"?><c>é</c>', "<c>", kind=pa.string())
    flatten.documents(lake, "raw.t", "curated.t", "doc")
    (good,) = lake.read("curated.t").to_arrow().to_pylist()
    assert good["doc"] == {"_VALUE": "é"}
    (bad,) = lake.read("quarantine.curated_t").to_arrow().to_pylist()
    assert (bad["rule"], bad["content"]) == ("truncated", b"<c>")


def test_a_value_that_does_not_fit_its_declared_type_is_refused_alone(lake):
    raw(lake, b"<c><n>1</n><day>2024-02-30</day></c>", b"<c><n>x</n><day>2024-02-29</day></c>")
    done = flatten.documents(lake, "raw.t", "curated.t", "doc", declare="n: int, day: date")
    assert [str(row["doc"]) for row in rows_of(lake.read("curated.t"))] == [
        "{'day': None, 'n': 1}",
        "{'day': datetime.date(2024, 2, 29), 'n': None}",
    ]
    kept = lake.read("quarantine.curated_t").to_arrow().to_pylist()
    assert sorted((row["key"], row["path"], row["rule"]) for row in kept) == [
        ("f#1", "day", "type"),
        ("f#2", "n", "type"),
    ]
    assert (done.counts.refused, done.counts.more["values refused"]) == (0, 2)


@embedded_only
def test_a_list_stays_a_list_and_drift_is_told(lake):
    raw(lake, TWO)
    flatten.documents(lake, "raw.t", "curated.t", "doc", tables=TABLES)
    raw(lake, b"<c><book><title>Only</title><author>Z</author><isbn>007</isbn></book></c>")
    done = flatten.documents(lake, "raw.t", "curated.t", "doc", tables=TABLES)
    (book,) = lake.read("curated.t_books").to_arrow().to_pylist()
    assert (book["title"], book["isbn"], book["price"]) == ("Only", "007", None)
    assert [row["author"] for row in rows_of(lake.read("curated.t_authors"))] == ["Z"]
    drift = {(row["change"], row["path"]) for row in done.drift.to_pylist()}
    assert ("new", "book.isbn") in drift and ("vanished", "book.price") in drift and len(drift) < 6


@embedded_only
def test_a_declared_table_is_there_without_data(lake):
    raw(lake, b"<c><a>1</a></c>")
    flatten.documents(
        lake, "raw.t", "curated.t", "doc", tables={"line": "curated.t_lines"}, declare="line: array<struct<x: int>>"
    )
    assert lake.read("curated.t_lines").to_arrow().to_pylist() == []
    assert lake.schema("curated.t_lines").names == ["_key", "_parent_key", "_row_key", "_ordinal", "x"]
    with pytest.raises(UsageError, match=r"curated\.u: the documents have no table lin; found document\."):
        flatten.documents(lake, "raw.t", "curated.u", "doc", tables={"lin": "curated.t_lines"})


@embedded_only
def test_a_declared_single_value_that_repeats_keeps_its_shape_and_loses_nothing(lake):
    raw(lake, b"<c><name>A</name></c>", b"<c><name>B</name><name>C</name></c>")
    flatten.documents(lake, "raw.t", "curated.t", "doc", declare="name: string")
    rows = rows_of(lake.read("curated.t"))
    assert str(lake.schema("curated.t").field("doc").type) == "struct<name: string>"
    assert rows[0]["doc"] == {"name": "A"} and rows[0]["_rescued"] is None
    assert {rows[1]["doc"]["name"]} | set(rows[1]["_rescued"].split('"')) >= {"B", "C"}


@embedded_only
def test_all_tables_are_written_unless_told_otherwise(lake):
    raw(lake, b"<c><code>x</code><Line n='1'/><Line n='2'><Part>p</Part><Part>q</Part></Line></c>")
    done = flatten.documents(lake, "raw.t", "curated.t", "doc")
    assert {name: rows.count() for name, rows in done.tables.items()} == {
        "curated.t_document": 1,
        "curated.t_line": 2,
        "curated.t_line_part": 2,
    }
    assert flatten.documents(lake, "raw.t", "curated.t", "doc", tables={}).tables == {}


@embedded_only
def test_tables_never_fall_on_one_dataset(lake):
    names = ["Line", "line", "line_2", "日本"]
    assert list(flatten.default_tables("curated.x", names).values()) == [
        "curated.x_line",
        "curated.x_line_2",
        "curated.x_line_2_2",
        "curated.x_table",
    ]
    raw(lake, TWO)
    for dataset in ("raw.t", "curated.t"):
        with pytest.raises(UsageError, match="source, target and tables must be different datasets"):
            flatten.documents(lake, "raw.t", "curated.t", "doc", tables={"book": dataset})


@embedded_only
def test_other_root_elements_are_refused(lake):
    raw(
        lake,
        b"<order><a>1</a></order>",
        b'<i:invoice xmlns:i="urn:i"><i:a>1</i:a></i:invoice>',
        b"<invoice><a>2</a></invoice>",
    )
    options = xml.Options(roots=("{urn:i}invoice",), ignore_namespace=True)
    flatten.documents(lake, "raw.t", "curated.t", "doc", options=options)
    assert [row["doc"]["a"] for row in rows_of(lake.read("curated.t"))] == [1]
    assert {row["rule"] for row in lake.read("quarantine.curated_t").to_arrow().to_pylist()} == {"root"}


def test_flattening_again_makes_no_version(lake):
    raw(lake, ONE, TWO, b"<c>")
    for _ in range(2):
        flatten.documents(lake, "raw.t", "curated.t", "doc", tables=TABLES)
    assert {table.version for table in lake.tables()} == {0}


@embedded_only
def test_a_row_that_cannot_be_told_apart_is_refused(lake):
    lake.write("raw.t", pa.table({"doc": [ONE, ONE], "id": [1, 1]}))
    with pytest.raises(DuplicateKeys, match=r"raw\.t: key \['id'\] is not unique"):
        flatten.documents(lake, "raw.t", "curated.t", "doc", key=["id"])
    with pytest.raises(MissingColumns, match=r"raw\.t: missing columns \['_file', '_row'\]"):
        flatten.documents(lake, "raw.t", "curated.t", "doc")


@embedded_only
def test_an_example_is_a_document_one_can_read(lake):
    raw(lake, b"<c>", b"\xff\xfe<\x00a\x00/\x00>\x00", b"<c><a>1</a></c>")
    assert flatten.example(lake, "raw.t", "doc") == "<a/>"
    raw(lake, b"<c>", b"<c><a>1</a></c>")
    assert flatten.example(lake, "raw.t", "doc") == "<c>\n  <a>1</a>\n</c>"
    assert flatten.example(lake, "raw.t", "doc", longest=2) == ""
