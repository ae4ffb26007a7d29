"""Documents that mean harm, or are broken in every place: refused or read, quickly, beside unharmed neighbours."""

import gzip
import itertools
import socket
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from thresher import xml
from thresher.xml.document import LONGEST_NAME, MOST_DECLARATIONS

GOOD = "<p k='1'><a>Zoë &amp; x</a><b><c>7</c></b></p>"
SCHEMA = xml.Schema.from_ddl("_k string, a string, b struct<c: int>")
VALUE = {"_k": "1", "a": "Zoë & x", "b": {"c": 7}}
EVERYTHING = xml.Options(
    salvage=True, unescape=True, fallback_encoding="windows-1252", namespaces={"n": "urn:n"}, max_nodes=10_000
)
# fmt: off
PLACES = [
    "{}<p/>", "<{}p/>", "<p{}/>", "<p {}/>", "<p k{}='1'/>", "<p k='{}'/>", "<p>{}</p>", "<p></{}p>", "<p/>{}",
    "<!--{}--><p/>", "<?x {}?><p/>", "<p><![CDATA[{}]]></p>", "<!DOCTYPE p{}><p/>", "<!DOCTYPE p [{}]><p/>",
]
BYTES = [
    b"\0", b"\x01", b"\x0b", b"\x1f", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff",
    b"\xfe\xff", b"\xef\xbf\xbe", b"\xe2\x82", b"\xc3(",
]
TEXTS = [
    "\ud800", "\udfff x", "\ufffe", "&", "&;", "&#0;", "&#x110000;", "&#xd800;", "&#99999999999;", "&x;", "%x;",
    "<", "]]>", "--", "<!", "<?", "<![CDATA[", "<?xml version='1.0'?>", "<!DOCTYPE p>",
]
# fmt: on
DOCTYPES = [
    "<!DOCTYPE p [<!ENTITY x 'y'>]>",
    "<!DOCTYPE p [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
    "<!DOCTYPE p [<!ENTITY x SYSTEM 'http://localhost:1/x'>]>",
    "<!DOCTYPE p [<!ENTITY % x SYSTEM 'http://localhost:1/x.dtd'> %x;]>",
    "<!DOCTYPE p [<!ENTITY % x '<!ENTITY y \"z\">'> %x;]>",
    "<!DOCTYPE p PUBLIC '-//x' 'http://localhost:1/x.dtd'>",
    "<!DOCTYPE p SYSTEM 'file:///etc/passwd' [<!NOTATION n SYSTEM 'calc.exe'><!ENTITY x SYSTEM 'y' NDATA n>]>",
    "<!DOCTYPE p [<!ATTLIST p k CDATA 'default' z CDATA 'default'>]>",
    "<!DOCTYPE p [<!ELEMENT p ANY> %x;]>",
    "<!DOCTYPE p [<![INCLUDE[<!ENTITY x 'y'>]]>]>",
]
BODIES = ["<p/>", "<p>&x;</p>", "<p k='&x;'/>", "<p k='&x;'>&y;</p>", "<p>&lt;&#65;</p>"]
REACHING = [
    "<?xml-stylesheet href='http://localhost:1/x.xsl' type='text/xsl'?><p/>",
    "<p xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='file:///etc/passwd' parse='text'/></p>",
    "<p xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='u http://localhost:1/x.xsd'/>",
    "<p xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:noNamespaceSchemaLocation='file:///etc/passwd'/>",
    "<p xml:base='http://localhost:1/'/>",
    "<?php system('true'); ?><p/>",
]


def generated() -> Iterator[str | bytes]:
    """Hundreds of small documents, each broken in one way in one place."""
    for place, found in itertools.product(PLACES, BYTES):
        yield place.encode().replace(b"{}", found)
    for place, found in itertools.product(PLACES, TEXTS):
        yield place.replace("{}", found)
    for doctype, body in itertools.product(DOCTYPES, BODIES):
        yield doctype + body
    yield from REACHING
    whole = f"<?xml version='1.0'?><!DOCTYPE p><!-- c --><?pi x?>{GOOD}<!-- end -->"
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-32-be", "cp037"):
        yield from (whole.encode(encoding)[:end] for end in range(1, len(whole.encode(encoding)), 7))
    zipped = gzip.compress(whole.encode(), mtime=0)
    yield from (zipped[:end] for end in range(1, len(zipped), 5))
    yield from (zipped[:at] + bytes([zipped[at] ^ 255]) + zipped[at + 1 :] for at in range(0, len(zipped), 5))


DOCUMENTS = list(generated())
REACHED: list[str] = []
_PROCESSES_AND_CONNECTIONS = ("socket.", "subprocess.", "urllib.", "os.system", "os.exec", "os.posix_spawn", "os.fork")
_TARGETS = ("passwd", "localhost", "calc.exe", ".dtd", ".xsd", ".xsl")
_is_watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _is_watching and (
        event.startswith(_PROCESSES_AND_CONNECTIONS)
        or event == "open"
        and any(target in str(arguments[0]) for target in _TARGETS)
    ):
        REACHED.append(f"{event} {arguments}")


# A hook cannot be taken away again; outside of these tests it does nothing.
sys.addaudithook(_audit)


@pytest.fixture
def reached() -> Iterator[list[str]]:
    """What a test does to files that documents name, to processes and to the network."""
    global _is_watching
    REACHED.clear()
    _is_watching = True
    yield REACHED
    _is_watching = False


def test_the_watch_sees_files_and_connections(reached: list[str], tmp_path: Path) -> None:
    with pytest.raises(OSError):
        open(tmp_path / "x.dtd")
    socket.socket().close()

    assert [event.split()[0] for event in reached] == ["open", "socket.__new__"]


@pytest.mark.parametrize("options", [xml.Options(), xml.Options.spark(), EVERYTHING], ids=["exact", "spark", "all"])
def test_every_document_is_read_or_refused_beside_unharmed_neighbours(options: xml.Options, reached: list[str]) -> None:
    documents = [document for hostile in DOCUMENTS for document in (GOOD, hostile)] + [GOOD]

    started = time.monotonic()
    parsed = xml.parse(documents, xml.Schema.from_ddl("_k string, a string, b struct<c: int>", options))
    duration_s = time.monotonic() - started

    assert len(DOCUMENTS) > 500
    assert parsed.values.to_pylist()[::2] == [VALUE] * (len(DOCUMENTS) + 1)
    errors = parsed.errors.to_pylist()
    assert all(error["row"] % 2 for error in errors)
    assert all(error["reason"] and error["rule"] for error in errors)
    assert duration_s < 30
    assert reached == []


def test_what_is_refused_has_a_place_in_its_document() -> None:
    texts = [document for document in DOCUMENTS if isinstance(document, str)]

    errors = xml.parse(texts, SCHEMA).errors.to_pylist()

    assert len(errors) > 200
    for error in errors:
        lines = texts[error["row"]].splitlines() or [""]
        assert 1 <= error["line"] <= len(lines)
        assert 1 <= error["column"] <= len(lines[error["line"] - 1]) + 1


def test_discovery_learns_nothing_from_what_is_refused(reached: list[str]) -> None:
    refused = set(xml.parse(DOCUMENTS, SCHEMA).errors.filter(_of_documents()).column("row").to_pylist())
    documents = [document for row, document in enumerate(DOCUMENTS) if row in refused]

    schema = xml.discover([GOOD, *documents])

    assert len(documents) > 400
    assert schema.ddl == "struct<_k: bigint, a: string, b: struct<c: bigint>>"
    assert schema.documents == 1
    assert reached == []


@pytest.mark.parametrize("options", [xml.Options(), xml.Options.spark(), EVERYTHING], ids=["exact", "spark", "all"])
def test_json_of_every_document_is_a_text_or_null(options: xml.Options, reached: list[str]) -> None:
    documents = [document for hostile in DOCUMENTS for document in (GOOD, hostile)]

    texts = xml.to_json(documents, None, options, convention="xmltodict").to_pylist()

    assert texts[::2] == ['{"p": {"@k": "1", "a": "Zo\\u00eb & x", "b": {"c": "7"}}}'] * len(DOCUMENTS)
    assert texts.count(None) > 400
    assert reached == []


def _of_documents() -> pc.Expression:
    return pc.field("path") == ""


MILLION = 1_000_000
LARGE = {
    "a million levels": ("<a>" * MILLION, "budget"),
    "a million levels, closed": ("<a>" * MILLION + "</a>" * MILLION, "budget"),
    "many attributes": ("<p " + " ".join(f"k{number}=''" for number in range(50_000)) + "/>", "budget"),
    "one attribute a million times": ("<p " + "k='' " * MILLION + "/>", "malformed"),
    "too many elements": ("<p>" + "<a/>" * 200_000 + "</p>", "budget"),
    "a huge name": (f"<p><{'n' * MILLION}/></p>", "budget"),
    "a huge name of an attribute": (f"<p {'n' * MILLION}=''/>", "budget"),
    "a huge text": (f"<p><a>{'x' * 20 * MILLION}</a></p>", None),
    "a huge attribute": (f"<p k='{'x' * 20 * MILLION}'/>", None),
    "a million references": (f"<p><a>{'&amp;' * MILLION}</a></p>", None),
    "millions of lines before the error": ("<p>" + "\n" * 10 * MILLION + "\x01</p>", "character"),
    "millions of lines before a bad byte": (b"<p>" + b"\n" * 10 * MILLION + b"\xff</p>", "encoding"),
    "comments": ("<p>" + "<!-- x -->" * MILLION + "</p>", None),
    "unclosed comments": ("<p><!--" + "<!-x " * MILLION, "truncated"),
    "unclosed CDATA": ("<p>" + "<![CDATA[" * MILLION, "truncated"),
    "comments in a DTD's name": (f"<!DOCTYPE p SYSTEM '{'<!--' * MILLION}'><p/>", None),
    "declared attributes": (
        "<!DOCTYPE p [" + "".join(f"<!ATTLIST p k{number} CDATA 'x'>" for number in range(100_000)) + "]><p/>",
        "budget",
    ),
    "quadratic blow-up": (f"<!DOCTYPE p [<!ENTITY x '{'y' * MILLION}'>]><p>{'&x;' * MILLION}</p>", "entities"),
    "a declaration without end": ("<?xml version='1.0' " + " " * 5 * MILLION, "truncated"),
    "blanks": (" " * 10 * MILLION + "x", "malformed"),
    "wide blanks": (b" \0" * 5 * MILLION + b"x", "truncated"),
    "NULs": (b"\0" * 10 * MILLION, "character"),
    "nothing but <": ("<" * 5 * MILLION, "malformed"),
    "nothing but &amp;": ("&amp;" * MILLION, "malformed"),
    "escaped levels": ("&lt;a&gt;" * MILLION, "malformed"),
    "quotes": ('"<' + '""' * MILLION, "malformed"),
    "a gzip bomb": (gzip.compress(b"<p>" + b" " * 300 * MILLION, 1, mtime=0), "budget"),
    "a zlib bomb": (zlib.compress(b"<p>" + b" " * 300 * MILLION, 1), "budget"),
    "empty gzip members": (gzip.compress(b"", mtime=0) * 100_000, "budget"),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_documents_take_no_longer_than_their_length(name: str, reached: list[str]) -> None:
    document, rule = LARGE[name]

    started = time.monotonic()
    parsed = xml.parse([GOOD, document, GOOD], SCHEMA, xml.Options(max_nodes=100_000))
    duration_s = time.monotonic() - started

    assert parsed.errors["rule"].to_pylist() == ([rule] if rule else [])
    assert parsed.values.to_pylist()[::2] == [VALUE, VALUE]
    assert (parsed.values[1].as_py() is None) == (rule is not None)
    assert duration_s < 10
    assert reached == []


def test_repeated_elements_take_no_longer_than_their_number() -> None:
    document = "<p>" + "<a>1</a>" * 100_000 + "</p>"

    started = time.monotonic()
    parsed = xml.parse([document], xml.Schema.from_ddl("a array<int>"))

    assert parsed.values.field("a").flatten().to_pylist() == [1] * 100_000
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (f"<p><{'n' * 1001}/></p>", f"a name of 1,001 characters, more than {LONGEST_NAME:,}"),
        (
            "<p>" + "<a k1='' k2='' k3=''/></p>",
            "3 attributes, more than 2 (max_attributes)",
        ),
        (
            "<!DOCTYPE p [" + "<!ATTLIST p k CDATA ''>" * 1001 + "]><p/>",
            f"more than {MOST_DECLARATIONS:,} declarations of attributes, last of p",
        ),
        (b"PK\x03\x04" + b"x" * 100, "the bytes are a ZIP archive; only gzip and zlib are unpacked"),
        (gzip.compress(b"") * 10_001, "the zipped data has more than 10,000 members"),
    ],
)
def test_the_words_of_a_budget(document: str | bytes, reason: str) -> None:
    parsed = xml.parse([document, GOOD], SCHEMA, xml.Options(max_attributes=2))

    assert parsed.errors["reason"].to_pylist() == [reason]
    assert parsed.values.to_pylist() == [None, VALUE]


RULES = {
    "cyclic.xml": "entities",
    "dtd.xml": None,
    "dtd_element.xml": None,
    "external.xml": "entities",
    "external_file.xml": "entities",
    "quadratic.xml": "entities",
    "schema-include.xsd": None,
    "simple-ns.xml": None,
    "simple.xml": None,
    "xalan_exec.xsl": None,
    "xalan_write.xsl": None,
    "xmlbomb.xml": "entities",
    "xmlbomb2.xml": "entities",
    "Classic XXE - etc passwd.xml": "malformed",  # (#ANY) is no content model
    "Classic XXE B64 Encoded.xml": "entities",
    "Classic XXE.xml": "malformed",
    "Deny Of Service - Billion Laugh Attack": "entities",
    "XXE OOB Attack (Yunusov, 2013).xml": "malformed",
    "XXE PHP Wrapper.xml": "entities",
    "utf16le.xml": None,
    "utf8-bom.xml": None,
    "windows-1255.xml": "encoding",
    "x-user-defined.xml": "encoding",
}


def test_attacks_of_third_parties(realdata: Path, reached: list[str]) -> None:
    files = [path for path in sorted((realdata / "xml_pathological").rglob("*")) if path.name in RULES]
    if not files:
        pytest.skip(f"no files of attacks in {realdata / 'xml_pathological'}; set THRESHER_REALDATA to their folder")
    contents = [path.read_bytes() for path in files]
    reached.clear()

    for path, content in zip(files, contents, strict=True):
        started = time.process_time()
        parsed = xml.parse([GOOD, content, GOOD], SCHEMA)
        duration_s = time.process_time() - started

        assert parsed.errors.filter(_of_documents())["rule"].to_pylist() == [RULES[path.name]] * bool(RULES[path.name])
        assert parsed.values.to_pylist()[::2] == [VALUE, VALUE]
        assert duration_s < 0.1, path.name
    assert reached == []
