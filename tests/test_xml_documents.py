"""What is read as a document, and what is refused with which rule."""

import codecs
import gzip
import socket
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from thresher import xml
from thresher.errors import DataError, UsageError

SCHEMA = xml.Schema.from_ddl("a string, _k string")
ROW = {"a": "Zoë €", "_k": None}
TEXT = "<p><a>Zoë €</a></p>"


def one(document: str | bytes, options: xml.Options | None = None, schema: xml.Schema = SCHEMA) -> Any:
    """The value of one document, or its error."""
    parsed = xml.parse([document], schema, options)
    errors = parsed.errors.to_pylist()
    return errors[0] if errors else parsed.values.to_pylist()[0]


def refused(document: str | bytes, options: xml.Options | None = None) -> tuple[Any, ...]:
    """Rule, line and column of a document that must be refused as a whole."""
    parsed = xml.parse([document], SCHEMA, options)
    (error,) = parsed.errors.to_pylist()
    assert parsed.values.to_pylist() == [None]
    assert parsed.rescued.to_pylist() == [None]
    assert (error["row"], error["path"]) == (0, "")
    return error["rule"], error["line"], error["column"]


@pytest.mark.parametrize(
    "document",
    [
        TEXT,
        "\ufeff" + TEXT,
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        gzip.compress(TEXT.encode(), mtime=0),
        gzip.compress(TEXT[:8].encode(), mtime=0) + gzip.compress(TEXT[8:].encode(), mtime=0),
        gzip.compress(TEXT.encode("utf-16"), mtime=0),
        f'<?xml version="1.0" encoding="windows-1252"?>{TEXT}'.encode("cp1252"),
        f"<?xml version='1.0' encoding='iso-8859-15' standalone='yes'?>\n{TEXT}".encode("iso-8859-15"),
        # the declaration speaks of bytes that are no more
        f'<?xml version="1.0" encoding="utf-16"?>{TEXT}',
        f'<?xml version="1.0" encoding="utf-16"?>{TEXT}'.encode(),
        f'<?xml version="1.0" encoding="utf-8"?>{TEXT}'.encode("utf-16"),
        f'<?xml version="1.0" encoding="iso-8859-1"?>{TEXT}'.encode("utf-16-le"),
        f'<?xml version="1.0" encoding="iso-8859-1"?>{TEXT}',
        f'\n <?xml version="1.0"?>{TEXT}',
        f'<?xml version="1.1"?>{TEXT}',
        f"<!DOCTYPE p>{TEXT}",
        f'<!DOCTYPE p SYSTEM "http://localhost:1/p.dtd" [<!ELEMENT p (a)>]>{TEXT}',
        "<p><!-- x --><?pi y?><a>Zo<!-- x --><![CDATA[ë]]> <?pi?>&#x20AC;</a></p>",
    ],
)
def test_a_document_in_any_dress_is_the_same(document: str | bytes) -> None:
    assert one(document) == ROW


def test_a_text_column_is_utf_8_whatever_its_declaration_says() -> None:
    column = pa.array([f'<?xml version="1.0" encoding="iso-8859-1"?>{TEXT}', None])

    for documents in (column, column.cast(pa.large_string()), pa.chunked_array([column])):
        assert xml.parse(documents, SCHEMA).values.to_pylist() == [ROW, None]


def test_an_invalid_character_in_one_text_of_a_column_does_not_stop_the_others() -> None:
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\6\0\0\0\x0a\0\0\0"), pa.py_buffer(b"<a>\xff</<p/>"))

    parsed = xml.parse(broken, SCHEMA)

    assert parsed.values.to_pylist() == [None, {"a": None, "_k": None}]
    assert parsed.errors["rule"].to_pylist() == ["encoding"]


def test_no_document_is_no_error() -> None:
    parsed = xml.parse([None, "", b"", "  \n", b" \t"], SCHEMA)

    assert parsed.values.to_pylist() == [None] * 5
    assert parsed.errors.num_rows == 0
    assert xml.discover([None, "", b" "]).documents == 0


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("<p><a>x</b></p>", ("malformed", 1, 10)),
        ("<p>\n <a></p>", ("malformed", 2, 7)),
        ("plain text", ("malformed", 1, 1)),
        ("<p/><p/>", ("malformed", 1, 5)),
        ("<p k='1' k='2'/>", ("malformed", 1, 10)),
        ("<p><a>x", ("truncated", 1, 8)),
        ("<p>\n<a k='1", ("truncated", 2, 8)),
        ("<p><![CDATA[x", ("truncated", 1, 14)),
        ("<p>&am", ("truncated", 1, 7)),
        ("<p>Zoë".encode()[:-1], ("truncated", 1, 6)),
        (gzip.compress(TEXT.encode(), mtime=0)[:-9], ("truncated", None, None)),
        ("<p>\nx\x01</p>", ("character", 2, 2)),
        ("<p>\x00</p>", ("character", 1, 4)),
        ("<p>\r\n\ufffe</p>", ("character", 2, 1)),
        ("<p>&#1;</p>", ("character", 1, 4)),
        ("<p>\ud800</p>", ("character", 1, 4)),
        ("<p>é</p>".encode("latin-1"), ("encoding", 1, 4)),
        (b"<?xml version='1.0' encoding='klingon'?><p/>", ("encoding", 1, 1)),
        (b"<?xml version='1.0' encoding='unicode_escape'?><p/>", ("encoding", 1, 1)),
        (b"<?xml version='1.0' encoding='rot13'?><p/>", ("encoding", 1, 1)),
        (gzip.compress(b"<p/>", mtime=0)[:10] + b"\xff" * 20, ("encoding", None, None)),
        ("<p>&nbsp;</p>", ("entities", 1, 4)),
        ("<!DOCTYPE p [<!ENTITY x 'y'>]><p/>", ("entities", 1, 25)),
        ("<!DOCTYPE p SYSTEM 'p.dtd'>\n<p>&nbsp;</p>", ("entities", 2, 4)),
        ("<!DOCTYPE p SYSTEM 'p.dtd'><p k='&nbsp;'/>", ("entities", 1, 34)),
    ],
)  # fmt: skip
def test_a_bad_document_is_refused_with_its_place(document: str | bytes, expected: tuple[Any, ...]) -> None:
    assert refused(document) == expected


def test_the_words_of_a_refusal() -> None:
    assert one("<p>\n<a>1</a>\x0b</p>") == {
        "row": 0,
        "path": "",
        "line": 2,
        "column": 9,
        "rule": "character",
        "reason": "control character U+000B is not allowed in XML",
        "snippet": "<p> <a>1</a> </p>",
    }
    assert one(b"<p>caf\xe9</p>")["reason"] == (
        "bytes e9 3c 2f 70 3e are not utf-8 (invalid continuation byte); declare the actual encoding"
    )


BOMB = "<!DOCTYPE b [<!ENTITY a 'ha'>{}]><b>&z;</b>".format(
    "".join(f"<!ENTITY {'abcdefghijklmnopqrstuvwxyz'[i + 1]} '{'&' + chr(97 + i) + ';'}'>" for i in range(25))
)


@pytest.mark.parametrize(
    "document",
    [
        BOMB,
        "<!DOCTYPE p [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><p>&x;</p>",
        "<!DOCTYPE p [<!ENTITY x SYSTEM 'http://localhost:1/'>]><p>&x;</p>",
        "<!DOCTYPE p [<!ENTITY % x SYSTEM 'http://localhost:1/'>%x;]><p/>",
        "<!DOCTYPE p SYSTEM 'http://localhost:1/p.dtd'><p>&x;</p>",
    ],
)
def test_entities_never_reach_a_file_or_the_network(document: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: object) -> None:
        raise AssertionError("the parser reached out")

    monkeypatch.setattr(socket, "socket", reached)
    monkeypatch.setattr("builtins.open", reached)

    assert refused(document)[0] == "entities"
    assert xml.to_json([document], convention="xmltodict").to_pylist() == [None]


@pytest.mark.parametrize(
    ("document", "options", "reason"),
    [
        ("<p>" + "x" * 20 + "</p>", {"max_bytes": 26}, "the document has 27 bytes, more than 26 (max_bytes)"),
        (
            gzip.compress(b"<p>" + b"x" * 20 + b"</p>", mtime=0),
            {"max_bytes": 26},
            "the unzipped document has more than 26 bytes (max_bytes)",
        ),
        ("<p><a><b/></a></p>", {"max_depth": 2}, "elements nested deeper than 2 (max_depth)"),
        ("<p><a k='1'/><a/></p>", {"max_nodes": 3}, "more than 3 elements and attributes (max_nodes)"),
        ("<a>" * 1_000_000, {}, "elements nested deeper than 100 (max_depth)"),
    ],
)  # fmt: skip
def test_a_document_over_budget_is_refused(document: str | bytes, options: dict[str, int], reason: str) -> None:
    error = one(document, xml.Options(**options))

    assert (error["rule"], error["reason"]) == ("budget", reason)


def test_a_document_within_its_budgets_may_be_deep_and_have_huge_texts() -> None:
    deep = "<a>" * 150 + "x" + "</a>" * 150
    schema = xml.discover([deep], xml.Options(max_depth=150))
    assert xml.parse([deep], schema).values[0].as_py() is not None

    huge = "x" * 11_000_000
    assert one(f"<p><a>{huge}</a></p>") == {"a": huge, "_k": None}


@pytest.mark.parametrize(
    ("document", "roots", "accepted"),
    [
        ("<p/>", ("p",), True),
        ("<n:p xmlns:n='u'/>", ("p",), True),
        ("<n:p xmlns:n='u'/>", ("{u}p",), True),
        ("<p xmlns='u'/>", ("q", "{u}p"), True),
        ("<p xmlns='v'/>", ("{u}p",), False),
        ("<p/>", ("{u}p",), False),
        ("<q/>", ("p",), False),
    ],
)
def test_only_allowed_roots_are_accepted(document: str, roots: tuple[str, ...], accepted: bool) -> None:
    options = xml.Options(roots=roots)

    parsed = xml.parse([document], SCHEMA, options)

    assert parsed.errors["rule"].to_pylist() == ([] if accepted else ["root"])
    assert xml.discover([document], options).documents == accepted


def test_mode_failfast_raises_at_the_first_error_and_dropmalformed_nulls_the_document() -> None:
    documents = ["<p><n>1</n></p>", "<p><n>x</n></p>", "<p"]
    schema = xml.Schema.from_ddl("n int")

    with pytest.raises(DataError) as raised:
        xml.parse(documents, schema, xml.Options(mode="failfast"))
    assert str(raised.value) == (
        "document 1: n: 'x' is no int: not a whole number (rule type, line 1, column 4): 'x'. "
        "Mode failfast stops at the first error; mode permissive keeps it as a row."
    )
    dropped = xml.parse(documents, schema, xml.Options(mode="dropmalformed"))
    assert dropped.values.to_pylist() == [{"n": 1}, None, None]
    assert dropped.errors["path"].to_pylist() == ["n", ""]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dialect": "loose"}, "xml option dialect='loose'; expected one of exact, spark"),
        ({"mode": "ignore"}, "xml option mode='ignore'; expected one of permissive, dropmalformed, failfast"),
        ({"roots": "p"}, "xml option roots='p'; expected a list of texts"),
        ({"max_nodes": 0}, "xml option max_nodes=0; expected at least 1"),
        ({"max_depth": 151}, "xml option max_depth=151; expected at most 150"),
        ({"value_tag": "_"}, "xml option value_tag='_'; expected a name that is not the prefix"),
        (
            {"date_format": "d. MMMM yyyy"},
            "format 'd. MMMM yyyy' is not supported; "
            "expected yyyy, MM, dd, HH, mm, ss, S…, XXX, 'text' and punctuation",
        ),
    ],
)
def test_options_that_are_not_allowed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        xml.Options(**options)
    assert str(raised.value) == message


def test_documents_must_be_text_or_bytes() -> None:
    with pytest.raises(UsageError) as raised:
        xml.discover(pa.array([1, 2]))
    assert str(raised.value) == "XML documents cannot come from int64 values; expected string or binary"


def test_the_public_names_are_there_and_sorted() -> None:
    assert sorted(xml.__all__) == xml.__all__
    assert all(hasattr(xml, name) for name in xml.__all__)
    text = (Path(xml.__file__).parents[3] / "docs" / "xml.md").read_text("utf-8")
    assert all(f"xml.{name}" in text for name in xml.__all__)
