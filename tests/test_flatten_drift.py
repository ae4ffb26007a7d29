"""Deliveries that differ from what was known: the structure grows, they are kept aside, or nothing is written."""

import json
from decimal import Decimal

import pyarrow as pa
import pytest

from thresher import flatten, structures, xml
from thresher.errors import DataError, LakeError, SchemaMismatch, UsageError
from thresher.lake import Lake

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)

MONDAY = (b"<c><code>7</code><book><title>A</title><year>2001</year></book></c>", b"<c><note>n</note></c>")
TUESDAY = (
    b"<c><code>8</code></c>",
    b"<c><code>7.5</code><book><title>B</title><isbn>007</isbn></book><book><isbn>008</isbn></book></c>",
    b"<c><broken>",
)


def raw(lake, *documents, name="raw.t"):
    rows = {
        "doc": pa.array(documents, pa.binary()),
        "_file": ["f"] * len(documents),
        "_row": list(range(1, len(documents) + 1)),
    }
    lake.write(name, pa.table(rows), schema="replace" if lake.exists(name) else "assert")


def load(lake, *documents, **settings):
    raw(lake, *documents)
    return flatten.documents(lake, "raw.t", "curated.t", "doc", **settings)


def changes(done):
    return [tuple(row.values()) for row in done.drift.to_pylist()]


def rows_of(frame, *columns, by="_key"):
    return [tuple(row[name] for name in columns) for row in sorted(frame.to_arrow().to_pylist(), key=lambda r: r[by])]


def quarantined(lake):
    kept = lake.read("quarantine.curated_t").to_arrow().to_pylist()
    return sorted((row["key"], row["path"], row["rule"], row["content"]) for row in kept)


GONE = [("vanished", "book.year", "bigint", None), ("vanished", "note", "string", None)]


def test_evolve_takes_what_is_new_into_the_structure(lake):
    assert changes(load(lake, *MONDAY, tables={})) == []
    done = load(lake, *TUESDAY, tables={"book": "curated.t_book"})
    assert changes(done) == [
        ("changed", "book", "struct", "array<struct>"),
        ("new", "book.isbn", None, "string"),
        ("changed", "code", "bigint", "decimal(2,1)"),
        *GONE,
    ]
    books = [{"isbn": "007", "title": "B", "year": None}, {"isbn": "008", "title": None, "year": None}]
    assert rows_of(lake.read("curated.t"), "_key", "doc", "_rescued") == [
        ("f#1", {"book": None, "code": Decimal("8.0"), "note": None}, None),
        ("f#2", {"book": books, "code": Decimal("7.5"), "note": None}, None),
    ]
    assert rows_of(lake.read("curated.t_book"), "_key", "isbn") == [("f#2#1", "007"), ("f#2#2", "008")]


@embedded_only
def test_lineage_is_written_with_the_names_of_the_datasets(lake):
    tables = {"book": "curated.t_books"}
    documents = (b"<c><code>1</code><book><isbn>007</isbn></book><book><tag/><tag/></book></c>",)
    done = load(lake, *documents, tables=tables, lineage="curated.t_lineage")
    where = rows_of(lake.read("curated.t_lineage"), "path", "table", "column", "parent_table", by="path")
    assert where == [
        ("book", "curated.t_books", None, None),
        ("book.isbn", "curated.t_books", "isbn", None),
        ("book.tag", None, None, None),
        ("code", None, None, None),
    ]
    assert sorted(done.lineage["path"].to_pylist()) == [row[0] for row in where]
    with pytest.raises(UsageError, match="source, target and tables must be different datasets"):
        load(lake, *documents, tables=tables, lineage="curated.t_books")


def test_rescue_keeps_the_structure_and_what_it_does_not_know(lake):
    load(lake, *MONDAY, tables={})
    before = lake.schema("curated.t"), structures.known(lake, "curated.t").schema
    done = load(lake, *TUESDAY, drift="rescue", tables={})
    assert [row[:2] for row in changes(done)] == [
        ("changed", "book"),
        ("new", "book.isbn"),
        ("changed", "code"),
        ("vanished", "book.year"),
        ("vanished", "note"),
    ]
    assert (lake.schema("curated.t"), structures.known(lake, "curated.t").schema) == before
    read = rows_of(lake.read("curated.t"), "_key", "doc", "_rescued")
    assert [row[:2] for row in read] == [
        ("f#1", {"book": None, "code": 8, "note": None}),
        ("f#2", {"book": {"title": None, "year": None}, "code": None, "note": None}),
    ]
    assert read[0][2] is None
    assert json.loads(read[1][2]) == {
        "code": "7.5",
        "book": {"title": "B", "isbn": "007"},
        "book.isbn": "008",
    }
    assert quarantined(lake) == [("f#2", "code", "type", b"7.5"), ("f#3", None, "truncated", b"<c><broken>")]
    assert (done.counts.rows_in, done.counts.rows_out, done.counts.refused) == (3, 2, 1)
    assert done.counts.more["rows with unknown paths"] == 1


def test_refuse_writes_nothing_and_says_what_is_new_and_where(lake):
    load(lake, *MONDAY, tables={})
    before = [(table.name, table.version) for table in lake.tables()]
    known = structures.known(lake, "curated.t").schema
    with pytest.raises(DataError) as refused:
        load(lake, *TUESDAY, drift="refuse")
    assert str(refused.value) == (
        "curated.t: the documents differ from the known structure in 3 paths, and nothing was written "
        "(drift='refuse'): changed book struct → array<struct> (first in f#2); new book.isbn string (first in f#2); "
        "changed code bigint → decimal(2,1) (first in f#2). Load once with drift='evolve' to accept them, with "
        "drift='rescue' to keep them as JSON in _rescued, or have the delivery mended."
    )
    after = [(table.name, table.version) for table in lake.tables() if table.name != "raw.t"]
    assert after == [table for table in before if table[0] != "raw.t"]
    assert structures.known(lake, "curated.t").schema == known


@embedded_only
def test_refuse_lets_through_what_is_known_and_what_was_accepted_once(lake):
    load(lake, *MONDAY)
    assert changes(load(lake, MONDAY[0], drift="refuse")) == [("vanished", "note", "string", None)]
    load(lake, *TUESDAY)
    assert changes(load(lake, *TUESDAY, drift="refuse")) == GONE


@embedded_only
def test_the_first_load_has_no_drift_whatever_the_policy(lake):
    for number, drift in enumerate(("evolve", "rescue", "refuse")):
        raw(lake, *MONDAY)
        done = flatten.documents(lake, "raw.t", f"curated.t{number}", "doc", drift=drift, declare="x int")
        assert changes(done) == []
        assert lake.read(f"curated.t{number}").count() == 2


@embedded_only
def test_what_is_declared_is_no_drift(lake):
    load(lake, *MONDAY)
    declared = {"declare": "code string, extra: array<int>", "options": xml.Options(arrays=("book",))}
    done = load(lake, MONDAY[0], drift="refuse", **declared)
    assert changes(done) == [("vanished", "note", "string", None)]
    kind = lake.schema("curated.t").field("doc").type
    assert kind.names == ["book", "code", "extra", "note"] and kind.field("code").type == pa.string()
    assert pa.types.is_list(kind.field("book").type)


@embedded_only
def test_a_known_name_keeps_its_spelling(lake):
    load(lake, b"<c><Code>1</Code><b><X>1</X></b></c>")
    for _ in range(2):
        done = load(lake, *[b"<c><code>2</code><b><x>1</x><Y/></b></c>"] * 3)
        assert lake.schema("curated.t").field("doc").type.names == ["Code", "b"]
    assert changes(done) == []
    assert xml.lineage(done.schema)["path"].to_pylist() == ["Code", "b", "b.X", "b.Y"]


@embedded_only
def test_the_structure_remembers_since_when_it_is_so(lake, monkeypatch):
    assert structures.known(lake, "curated.t") is None
    monkeypatch.setenv("THRESHER_RUN_ID", "r1")
    load(lake, b"<c><a>1</a></c>")
    monkeypatch.setenv("THRESHER_RUN_ID", "r2")
    load(lake, b"<c><a>1</a></c>")
    monkeypatch.setenv("THRESHER_RUN_ID", "r3")
    load(lake, b"<c><a>x</a><b/></c>")
    history = structures.known(lake, "curated.t").history
    assert [tuple(row.values())[1:] for row in history.to_pylist()] == [
        ("r1", "new", "a", None, "bigint"),
        ("r3", "changed", "a", "bigint", "string"),
        ("r3", "new", "b", None, "string"),
    ]
    assert history["since"].to_pylist() == sorted(history["since"].to_pylist())
    assert all(when.tzinfo is not None for when in history["since"].to_pylist())


@embedded_only
def test_policies_and_rules_that_cannot_be_are_refused_before_anything_is_written(lake):
    raw(lake, *MONDAY)
    with pytest.raises(UsageError, match=r"drift='ignore'; expected one of evolve, rescue, refuse"):
        load(lake, *MONDAY, drift="ignore")
    with pytest.raises(UsageError, match="drift='rescue' with the options of Spark, which drop what the schema"):
        load(lake, *MONDAY, drift="rescue", options=xml.Options.spark())
    with pytest.raises(UsageError, match="elevate: the documents have no path x"):
        load(lake, *MONDAY, options=xml.Options(elevate=("x",)))
    with pytest.raises(SchemaMismatch, match=r"doc have no fields .* 2 rows, of which 0 refused\. No rows"):
        load(lake, b"<c/>", None)
    assert lake.names() == ["raw.t"] and structures.known(lake, "curated.t") is None
    load(lake, *MONDAY)
    with pytest.raises(UsageError, match=r"curated\.t: earlier loads read its documents with the options {}, this one"):
        load(lake, *MONDAY, options=xml.Options(attribute_prefix="@"))


@embedded_only
def test_a_damaged_structure_is_no_reason_to_begin_anew(lake):
    load(lake, *MONDAY)
    file = structures.file_of(lake, "curated.t")
    whole = json.loads(file.read_text("utf-8"))
    schema = json.loads(whole["schema"])
    for damaged, found in (
        (json.dumps(whole)[:50], "no JSON object"),
        ("[]", "no schema that can be read"),
        (json.dumps({**whole, "schema": json.dumps({**schema, "seen": []})}), "no schema that can be read"),
        (json.dumps({**whole, "schema": {}}), "no schema that can be read"),
        (json.dumps({**whole, "history": {}}), "no history that can be read"),
        (json.dumps({**whole, "history": [{"since": 1}]}), "no history that can be read"),
    ):
        file.write_text(damaged, "utf-8")
        with pytest.raises(LakeError) as raised:
            load(lake, *MONDAY)
        assert str(raised.value) == (
            f"curated.t: its known structure in {file} is damaged: found {found}, expected what a load has written. "
            f"Restore the file, or delete it to learn the structure anew."
        )


def test_elevated_and_shared_tables_are_the_same_on_both_engines(lake):
    documents = (
        b"<o><a><p><q>1</q></p></a><b><p><q>2</q></p><p/></b><i><k>x</k></i></o>",
        b"<o><a><p/><p/></a></o>",
        b"<o>",
    )
    options = xml.Options(arrays=("i.k",), elevate=("i.k",), reuse_shapes=True)
    load(lake, *documents, options=options)
    assert rows_of(lake.read("curated.t_document"), "_key", "i_k") == [("f#1", "x"), ("f#2", None)]
    assert rows_of(lake.read("curated.t_p"), "_key", "_parent_key", "_ordinal", "_path", "_parent_table", "q") == [
        ("f#1#a.p#1", "f#1", 1, "a.p", "document", 1),
        ("f#1#b.p#1", "f#1", 1, "b.p", "document", 2),
        ("f#1#b.p#2", "f#1", 2, "b.p", "document", None),
        ("f#2#a.p#1", "f#2", 1, "a.p", "document", None),
        ("f#2#a.p#2", "f#2", 2, "a.p", "document", None),
    ]


@embedded_only
@pytest.mark.parametrize("drift", ["evolve", "rescue", "refuse"])
def test_an_elevated_element_that_repeats_stops_the_load_before_it_writes(lake, drift):
    options = xml.Options(arrays=("k",), elevate=("k",))
    load(lake, b"<o><k>1</k><z/></o>", options=options)
    before = lake.read("curated.t").to_arrow()
    with pytest.raises(DataError, match="elevate: k was seen 2 times in one parent"):
        load(lake, b"<o><k>1</k><k>2</k><z/></o>", options=options, drift=drift)
    assert lake.read("curated.t").to_arrow() == before


@embedded_only
def test_documents_kept_in_part_stand_in_both_places_and_the_counts_add_up(lake):
    done = load(lake, b"<c><a>1</a></c>", b"<c><a>2</a><a>3", b"no", options=xml.Options(salvage=True))
    assert rows_of(lake.read("curated.t"), "_key", "doc") == [("f#1", {"a": 1}), ("f#2", {"a": 2})]
    assert [row[0] for row in quarantined(lake)] == ["f#2", "f#3"]
    assert quarantined(lake)[0] == ("f#2", None, "truncated", b"<c><a>2</a><a>3")
    assert (done.counts.rows_in, done.counts.rows_out, done.counts.refused) == (3, 2, 1)
    assert done.counts.more["rows kept in part"] == 1


@embedded_only
def test_a_document_that_is_dropped_for_one_value_is_kept_whole(lake):
    document = b"<c><a>x</a><b>y</b><d>1</d></c>"
    options = xml.Options(mode="dropmalformed")
    done = load(lake, document, b"<c><a>1</a></c>", options=options, declare="a int, b int")
    assert rows_of(lake.read("curated.t"), "_key") == [("f#2",)]
    assert quarantined(lake) == [("f#1", "a", "type", document), ("f#1", "b", "type", b"y")]
    assert (done.counts.rows_out, done.counts.refused, done.counts.more["values refused"]) == (1, 1, 2)


@embedded_only
def test_spark_keeps_rows_of_nulls_and_the_quarantine_their_documents(lake):
    done = load(lake, b"<c><a>1</a></c>", b"<c><a>", options=xml.Options.spark())
    assert rows_of(lake.read("curated.t"), "_key", "doc") == [
        ("f#1", {"_corrupt_record": None, "a": 1}),
        ("f#2", {"_corrupt_record": "<c><a>", "a": None}),
    ]
    assert [row[0] for row in quarantined(lake)] == ["f#2"]
    assert (done.counts.rows_out, done.counts.refused, done.counts.more["rows kept in part"]) == (2, 0, 1)


@embedded_only
def test_a_write_that_fails_leaves_the_known_structure_as_it_was(lake, monkeypatch):
    load(lake, b"<c><a>1</a></c>")
    before = structures.file_of(lake, "curated.t").read_bytes()
    raw(lake, b"<c><a>x</a><b/></c>")
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "write", lambda *given, **settings: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            flatten.documents(lake, "raw.t", "curated.t", "doc")
    assert structures.file_of(lake, "curated.t").read_bytes() == before
    assert changes(flatten.documents(lake, "raw.t", "curated.t", "doc")) == [
        ("changed", "a", "bigint", "string"),
        ("new", "b", None, "string"),
    ]


def test_a_first_load_of_which_all_is_refused_ends_in_quarantine(lake):
    raw(lake, b"<c><a>1</a>", b"no", None)
    with pytest.raises(SchemaMismatch) as raised:
        flatten.documents(lake, "raw.t", "curated.t", "doc")
    assert str(raised.value) == (
        "curated.t: the documents in doc have no fields to make a column of: 3 rows, of which 2 refused, kept in "
        "quarantine.curated_t with reasons and bytes. No rows were written. Have the delivery mended, or declare the "
        "fields that documents will have (declare: 'id int, …')."
    )
    assert quarantined(lake) == [("f#1", None, "truncated", b"<c><a>1</a>"), ("f#2", None, "malformed", b"no")]
    assert not lake.exists("curated.t") and structures.known(lake, "curated.t") is None
    done = load(lake, b"<c><a>1</a></c>")
    assert (done.counts.rows_out, quarantined(lake)) == (1, [])


def test_a_load_of_which_all_is_refused_ends_in_quarantine_and_keeps_the_rows_of_earlier_loads(lake):
    load(lake, b"<c><a>1</a><b>2</b><b>3</b></c>")
    structure = structures.file_of(lake, "curated.t").read_bytes()
    with pytest.raises(SchemaMismatch) as raised:
        load(lake, b"<c><a>1</a>", None, b"no")
    assert str(raised.value) == (
        "curated.t: all 2 documents in doc are refused, and kept in quarantine.curated_t with reasons and bytes. "
        "Expected one at least that can be read; the rows of earlier loads stay as they were. Have the delivery "
        "mended, and load it again."
    )
    assert rows_of(lake.read("curated.t"), "_key", "doc") == [("f#1", {"a": 1, "b": [2, 3]})]
    assert lake.read("curated.t_b").count() == 2
    assert quarantined(lake) == [("f#1", None, "truncated", b"<c><a>1</a>"), ("f#3", None, "malformed", b"no")]
    assert structures.file_of(lake, "curated.t").read_bytes() == structure
    done = load(lake, b"<c><a>1</a>", b"<c/>")
    assert (done.counts.rows_out, done.counts.refused, lake.read("curated.t").count()) == (1, 1, 1)


@embedded_only
def test_loads_of_which_all_is_refused_are_alike_whatever_is_declared_and_no_documents_are_none(lake):
    with pytest.raises(SchemaMismatch, match="all 2 documents in doc are refused"):
        load(lake, b"<c>", b"no", declare="a int", tables={})
    assert not lake.exists("curated.t") and structures.known(lake, "curated.t") is None
    assert [row[0] for row in quarantined(lake)] == ["f#1", "f#2"]
    done = load(lake, None, b" ", declare="a int", tables={})
    assert (done.counts.rows_out, lake.read("curated.t").count(), quarantined(lake)) == (2, 2, [])


@embedded_only
def test_a_write_that_fails_leaves_the_quarantine_as_it_was(lake, monkeypatch):
    write = Lake.write

    def failing(self, name, *rows, **settings):
        if name == "curated.t":
            raise OSError("disk full")
        return write(self, name, *rows, **settings)

    for documents, expected in (((b"<c>",), 0), ((b"<d>", b"<e>"), 1)):
        with monkeypatch.context() as patch:
            patch.setattr(Lake, "write", failing)
            with pytest.raises(OSError, match="disk full"):
                load(lake, b"<c><a/></c>", *documents)
        assert lake.read("quarantine.curated_t").count() == expected
        assert (structures.known(lake, "curated.t") is None) == (expected == 0)
        load(lake, b"<c><a/></c>", b"<c>")


@embedded_only
def test_names_of_datasets_stay_within_their_limit(lake):
    long = "component_" * 15 + "value"
    made = flatten.default_tables("curated.clinical_documents", [long, long.upper(), "x" * 200])
    assert [name.partition(".")[2] for name in made.values()] == [
        "clinical_documents_" + "component_" * 7 + "value",
        "clinical_documents_" + "component_" * 7 + "value_2",
        "clinical_documents_" + "x" * 81,
    ]
    assert max(len(name.partition(".")[2]) for name in made.values()) == 100
