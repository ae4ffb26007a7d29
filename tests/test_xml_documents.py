"""What is read as a document, and what is refused with which rule."""

import codecs
import gzip
import socket
import zlib
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
        zlib.compress(TEXT.encode()),
        len(TEXT.encode()).to_bytes(4, "little") + zlib.compress(TEXT.encode()),  # MySQL's COMPRESS
        TEXT.encode("utf-32-le"),
        TEXT.encode("utf-32-be"),
        f" \r\n{TEXT}".encode("utf-16-le"),
        f"\ufeff\ufeff{TEXT}",
        f'<?xml version="1.0" encoding="windows-1252"?>{TEXT}'.encode("cp1252"),
        f"<?xml version='1.0' encoding='iso-8859-15' standalone='yes'?>\n{TEXT}".encode("iso-8859-15"),
        f'<?xml version="1.0" encoding="macintosh"?>{TEXT}'.encode("mac-roman"),
        f'<?xml version="1.0" encoding="ibm-1140"?>\x85{TEXT}'.encode("cp1140"),
        # the declaration speaks of bytes that are no more
        f'<?xml version="1.0" encoding="UCS-2"?>{TEXT}'.encode(),
        f'<?xml version="1.0" encoding="IBM037"?>{TEXT}'.encode(),
        f'<?xml version="1.0" encoding="utf-16"?>{TEXT}',
        f'<?xml version="1.0" encoding="utf-16"?>{TEXT}'.encode(),
        f'<?xml version="1.0" encoding="utf-8"?>{TEXT}'.encode("utf-16"),
        f'<?xml version="1.0" encoding="iso-8859-1"?>{TEXT}'.encode("utf-16-le"),
        f'<?xml version="1.0" encoding="iso-8859-1"?>{TEXT}',
        f'\n <?xml version="1.0"?>{TEXT}',
        f'<?xml version="1.1"?>{TEXT}',
        f"<!DOCTYPE p>{TEXT}",
        f'\n<?xml version="1.0"?>\n<!DOCTYPE p PUBLIC "-//W3C//DTD p 1.0//EN"\n "http://localhost:1/p.dtd" >\n{TEXT}',
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
    parsed = xml.parse([None, "", b"", "  \n", b" \t", codecs.BOM_UTF8, "\ufeff"], SCHEMA)

    assert parsed.values.to_pylist() == [None] * 7
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
        (zlib.compress(TEXT.encode())[:-9], ("truncated", None, None)),
        ("<p>\nx\x01</p>", ("character", 2, 2)),
        ("<p>\x00</p>", ("character", 1, 4)),
        ("<p>\r\n\ufffe</p>", ("character", 2, 1)),
        ("<p>&#1;</p>", ("character", 1, 4)),
        ("<p>\ud800</p>", ("character", 1, 4)),
        ("<p>é</p>".encode("latin-1"), ("encoding", 1, 4)),
        ("<?xml version='2.0'?><p/>", ("malformed", 1, 1)),
        (b"\n<?xml version=\"1\"?><p/>", ("malformed", 2, 1)),
        ("<?xml encoding='utf-8'?><p/>", ("malformed", 1, 7)),
        ("<?xml version='1.0' standalone='true'?><p/>", ("malformed", 1, 33)),
        ("<?xml version='1.0' encoding='8859 1'?><p/>", ("malformed", 1, 35)),
        ("<?xml version='1.0' standalone='yes' encoding='utf-8'?><p/>", ("malformed", 1, 38)),
        ("<?xml version='1.0'encoding='utf-8'?><p/>", ("malformed", 1, 20)),
        ("<!-- c --><?xml version='1.0'?><p/>", ("malformed", 1, 11)),
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
        "bytes e9 3c 2f 70 3e are not utf-8 (invalid continuation byte); "
        "in windows-1252 they are 'é</p>': if that is right, set fallback_encoding='windows-1252'"
    )


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (
            "<?xml version='1.0' encoding='us-ascii'?><p>é</p>".encode(),
            "bytes c3 a9 3c 2f 70 3e are not ascii (ordinal not in range(128)); "
            "in utf-8 they are 'é</p>': if that is right, set fallback_encoding='utf-8'",
        ),
        (
            "<p>é</p>".encode("cp037"),
            "bytes 97 6e 51 4c 61 97 6e are not utf-8 (invalid start byte); "
            "they look like EBCDIC: set fallback_encoding to its code page, such as 'cp037'",
        ),
        (
            "<?xml version='1.0' encoding='klingon'?><p>é</p>".encode(),
            "the declared encoding 'klingon' is not known; set fallback_encoding",
        ),
        (b"BZh91AY&SY", "the bytes are bzip2; only gzip and zlib are unpacked"),
        (
            "&lt;p/&gt;",
            "not well-formed (invalid token); the document looks like XML escaped as text (&lt;…); "
            "Options(unescape=True) reads it",
        ),
        (
            '"<p k=\\"1\\"/>"',
            "not well-formed (invalid token); the document looks like XML quoted as a JSON or CSV text; "
            "Options(unescape=True) reads it",
        ),
        ("<html><br></html>", "mismatched tag; the document looks like HTML, which is not XML"),
        ('{"p": 1}', "not well-formed (invalid token); the document looks like JSON"),
        ("PHA+PGE+MTwvYT48L3A+", "syntax error; the document looks like XML in base64; decode the column first"),
        ("3c703e3c2f703e", "syntax error; the document looks like XML in hex; decode the column first"),
        ("plain text", "syntax error"),
    ],
)
def test_a_refusal_says_what_the_document_looks_like(document: str | bytes, reason: str) -> None:
    assert one(document)["reason"] == reason


@pytest.mark.parametrize(
    ("document", "encoding"),
    [
        (TEXT.encode("cp1252"), "windows-1252"),
        (f"<?xml version='1.0' encoding='us-ascii'?>{TEXT}".encode(), "utf-8"),
        (f"<?xml version='1.0' encoding='klingon'?>{TEXT}".encode(), "utf-8"),
        (TEXT.encode("cp1140"), "cp1140"),
        (TEXT.encode(), "windows-1252"),  # what is right needs no fallback
    ],
)
def test_the_fallback_encoding_is_for_what_is_in_no_other(document: bytes, encoding: str) -> None:
    assert one(document, xml.Options(fallback_encoding=encoding)) == ROW


@pytest.mark.parametrize(
    ("encoding", "codec", "text"),
    [
        ("IBM-1047", "cp037", "a|b"),
        ("gb2312", "gb18030", "镕"),
        ("euc-kr", "cp949", "똠"),
        ("Shift_JIS", "cp932", "①"),
        ("windows-1251", "cp1251", "Щука"),
        ("ISO-8859-8-I", "iso8859-8", "שלום"),
    ],
)
def test_encodings_as_their_writers_meant_them(encoding: str, codec: str, text: str) -> None:
    assert one(f"<?xml version='1.0' encoding='{encoding}'?><p><a>{text}</a></p>".encode(codec))["a"] == text


@pytest.mark.parametrize(
    "document",
    [
        "&lt;p k=&quot;1&quot;&gt;&lt;a&gt;x &amp;amp; y&lt;/a&gt;&lt;/p&gt;",
        b" &amp;lt;p k=&#39;1&#39;&amp;gt;&amp;lt;a&amp;gt;x &amp;amp;amp; y&amp;lt;/a&amp;gt;&amp;lt;/p&amp;gt;",
        '"<p k=\\"1\\">\\n<a>x &amp; y</a></p>"',
        '"<p k=""1""><a>x &amp; y</a></p>"',
        "\"&lt;p k='1'&gt;&lt;a&gt;x &amp;amp; y&lt;/a&gt;&lt;/p&gt;\"",
    ],
)
def test_escaped_and_quoted_documents_are_read_on_request(document: str | bytes) -> None:
    assert one(document)["rule"] == "malformed"
    assert one(document, xml.Options(unescape=True)) == {"a": "x & y", "_k": "1"}


@pytest.mark.parametrize(
    ("document", "ddl"),
    [
        ("<s>&lt;p&gt;&lt;a&gt;1&lt;/a&gt;&lt;/p&gt;</s>", "struct<p: struct<a: bigint>>"),
        ("<s k='1'><![CDATA[<?xml version='1.0' encoding='utf-16'?><p>1</p>]]></s>", "struct<_k: bigint, p: bigint>"),
        # other texts stay texts
        ("<s>&lt; 5</s>", "struct<_VALUE: string>"),
        ("<s>&lt;p&gt;1</s>", "struct<_VALUE: string>"),
        ("<s>&lt;p/&gt;<b/></s>", "struct<_VALUE: string, b: string>"),
        ("<s><b>&lt;p/&gt;</b></s>", "struct<b: string>"),
    ],
)
def test_a_document_that_is_the_text_of_a_root_is_its_child_on_request(document: str, ddl: str) -> None:
    assert xml.discover([document], xml.Options(unescape=True)).ddl == ddl
    assert xml.discover([document]).ddl.startswith(("struct<_VALUE: string", "struct<_k", "struct<b"))


WHOLE = "<p k='7'><a>x</a><b><c>1</c>t<c>2</c></b><a>y</a></p>"
NESTED = xml.Schema.from_ddl("_k int, a array<string>, b struct<_VALUE: string, c: array<int>>")


@pytest.mark.parametrize(
    ("length", "value", "kept"),
    [
        (8, None, None),
        (9, {"_k": 7, "a": None, "b": None}, " inside p; kept up to the root's start tag"),
        (13, {"_k": 7, "a": None, "b": None}, " inside p/a; kept up to the root's start tag"),
        (17, {"_k": 7, "a": ["x"], "b": None}, " inside p; kept up to the end of <a> from line 1, column 10"),
        (20, {"_k": 7, "a": ["x"], "b": None}, " inside p/b; kept up to the end of <a> from line 1, column 10"),
        (
            33,
            {"_k": 7, "a": ["x"], "b": {"_VALUE": None, "c": [1]}},
            " inside p/b/c; kept up to the end of <c> from line 1, column 21",
        ),
        (
            44,
            {"_k": 7, "a": ["x"], "b": {"_VALUE": "t", "c": [1, 2]}},
            " inside p/a; kept up to the end of <b> from line 1, column 18",
        ),
        (
            52,
            {"_k": 7, "a": ["x", "y"], "b": {"_VALUE": "t", "c": [1, 2]}},
            " inside p; kept up to the end of <a> from line 1, column 42",
        ),
    ],
)
def test_salvage_keeps_what_is_complete_and_says_so(length: int, value: Any, kept: str | None) -> None:
    parsed = xml.parse([WHOLE, WHOLE[:length]], NESTED, xml.Options(salvage=True))

    whole, cut = parsed.values.to_pylist()
    assert whole == {"_k": 7, "a": ["x", "y"], "b": {"_VALUE": "t", "c": [1, 2]}}
    assert cut == value
    (error,) = parsed.errors.to_pylist()
    assert (error["row"], error["path"], error["rule"]) == (1, "", "truncated")
    assert (error["line"], error["column"]) == (1, length + 1)
    assert error["reason"].startswith("the document ends too early: ")
    assert kept is None or error["reason"].endswith(kept)


@pytest.mark.parametrize("options", [xml.Options(), xml.Options(salvage=True, mode="dropmalformed")])
def test_a_truncated_document_is_null_unless_it_is_salvaged(options: xml.Options) -> None:
    for length in range(1, len(WHOLE)):
        parsed = xml.parse([WHOLE[:length]], NESTED, options)
        assert parsed.values.to_pylist() == [None]
        assert parsed.errors["rule"].to_pylist() == ["truncated"]


def test_salvage_reads_what_can_be_unzipped_and_decoded() -> None:
    options = xml.Options(salvage=True)

    assert one_value(gzip.compress(WHOLE.encode(), mtime=0)[:-20], options)["a"] == ["x"]
    assert one_value(WHOLE[:48].encode() + "é".encode()[:1], options)["a"] == ["x"]
    assert xml.parse(["<p><a>x</b>"], NESTED, options).values.to_pylist() == [None]
    assert xml.discover([WHOLE[:44]], options).ddl == (
        "struct<_k: bigint, a: string, b: struct<_VALUE: string, c: array<bigint>>>"
    )
    assert xml.discover([WHOLE[:44]]).documents == 0


def one_value(document: bytes, options: xml.Options) -> Any:
    parsed = xml.parse([document], NESTED, options)
    assert parsed.errors["rule"].to_pylist() == ["truncated"]
    return parsed.values[0].as_py()


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
        ("<p><a k='1' l='2'/></p>", {"max_attributes": 1}, "2 attributes, more than 1 (max_attributes)"),
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


def test_a_refused_root_shows_how_its_document_begins() -> None:
    document = "<?xml version='1.0'?>\n<!DOCTYPE q>\n  <q><id>7</id></q>"

    (error,) = xml.parse([document], SCHEMA, xml.Options(roots=("p",))).errors.to_pylist()

    assert (error["line"], error["column"], error["reason"]) == (3, 3, "the root element is q; expected p")
    assert error["snippet"] == "<q><id>7</id></q>"


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
            {"date_format": "EEEE d.M.yyyy"},
            "EEEE in the pattern 'EEEE d.M.yyyy' is not supported; "
            "expected yyyy, MM, MMM, dd, DDD, HH, hh, mm, ss, S…, a, XXX, [optional], 'text'",
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


@pytest.mark.parametrize("salvage", [False, True])
def test_what_holds_nothing_once_it_is_unpacked_is_refused_among_many_too(salvage: bool) -> None:
    packed = gzip.compress(b"<p><a>1</a></p>", mtime=0)
    empty = [gzip.compress(b"", mtime=0), packed[:10], b"\xef", b"\xff\xfe\x00"]
    plain = [b"<p><a>1</a><b>%s</b></p>" % (b"x" * 2_000)] * 1_200  # enough for the loops to be used
    schema = xml.Schema.from_ddl("a int, b string")
    alone = xml.parse(pa.array(empty, pa.binary()), schema, xml.Options(salvage=salvage))
    parsed = xml.parse(pa.array([*empty, *plain], pa.binary()), schema, xml.Options(salvage=salvage), threads=1)
    assert parsed.errors.to_pylist() == alone.errors.to_pylist()
    assert parsed.errors["rule"].to_pylist() == ["truncated"] * 4
