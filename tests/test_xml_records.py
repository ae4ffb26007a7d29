"""One long file cut into records by their tag: where they begin and end, and what damage costs."""

import gzip
import io
import time
from pathlib import Path

import pyarrow as pa
import pytest

from thresher import xml
from thresher.errors import DataError, UsageError
from thresher.xml import cutting


def cut(file: bytes, row_tag: str = "row", **options: int) -> list[bytes]:
    return [document.as_py() for batch in xml.records(file, row_tag, **options) for document in batch.column(0)]


@pytest.mark.parametrize(
    "file, expected",
    [
        (b"", []),
        (b"<rows/>", []),
        (b"<rows><row>1</row><row>2</row></rows>", [b"<row>1</row>", b"<row>2</row>"]),
        (b"<row>1</row>text<row>2</row>", [b"<row>1</row>", b"<row>2</row>"]),
        (b"<row/><row />", [b"<row/>", b"<row />"]),
        (b"<row\n a='1'>x</row\n>", [b"<row\n a='1'>x</row\n>"]),
        (b'<row a="x>y"/><row a="b/>c">1</row>', [b'<row a="x>y"/>', b'<row a="b/>c">1</row>']),
        (b"<rows><row>1</row></rows><rowx>0</rowx>", [b"<row>1</row>"]),
        (b"<row><row>1</row><row/>2</row><row/>", [b"<row><row>1</row><row/>2</row>", b"<row/>"]),
        (b"<!-- <row>0</row> --><row>1</row>", [b"<row>1</row>"]),
        (b"<![CDATA[<row>0</row> <!-- ]]><row>1</row>", [b"<row>1</row>"]),
        (b"<row><!-- </row> -->1<![CDATA[</row>]]></row>", [b"<row><!-- </row> -->1<![CDATA[</row>]]></row>"]),
        (b"<!----><row><!---->1</row><!-- -->", [b"<row><!---->1</row>"]),
        (b"<row>1</row><![CDATA[<row>0</row>", [b"<row>1</row>"]),
        (b"\xef\xbb\xbf<row>1</row>", [b"<row>1</row>"]),
        (b"</row><row>1</row></row>", [b"<row>1</row>"]),
    ],
)
def test_records_begin_and_end_with_their_tag(file: bytes, expected: list[bytes]) -> None:
    assert cut(file) == expected


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 20, 64])
def test_no_place_is_special_to_the_pieces_a_file_is_read_in(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(cutting, "CHUNK", chunk)
    file = b'<!-- <row>0 --> <row a="x>y"/><row><row>1</row></row> <![CDATA[<row>]]> <row>3<!-- </row> --></row><row>4'
    expected = [b'<row a="x>y"/>', b"<row><row>1</row></row>", b"<row>3<!-- </row> --></row>", b"<row>4"]
    assert cut(file) == expected


def test_a_record_without_an_end_costs_no_other() -> None:
    assert cut(b"<row>1</row><row>2") == [b"<row>1</row>", b"<row>2"]
    assert cut(b"<row>1<row>2</row><row/><row>3</row>") == [b"<row>1", b"<row>2</row>", b"<row/>", b"<row>3</row>"]
    assert cut(b"<row><!-- x</row><row>2</row>") == [b"<row><!-- x</row>", b"<row>2</row>"]
    assert cut(b'<row a="x>1</row><row>2</row>') == [b'<row a="x>1</row>', b"<row>2</row>"]


def test_a_record_that_is_too_long_is_cut_and_refused_as_truncated() -> None:
    documents = cut(b"<row>123456789</row><row>2</row>", max_bytes=12)
    assert documents == [b"<row>1234567", b"<row>2</row>"]

    parsed = xml.parse(documents, xml.Schema.from_ddl("_VALUE int"))
    assert parsed.values.to_pylist() == [None, {"_VALUE": 2}]
    assert [(row["row"], row["rule"]) for row in parsed.errors.to_pylist()] == [(0, "truncated")]


def test_place_in_the_file() -> None:
    table = xml.records("<?xml version='1.0'?><é><row>é</row> <row/></é>".encode(), "row").read_all()
    assert table.schema == pa.schema([("document", pa.binary()), ("_ordinal", pa.int64()), ("_offset", pa.int64())])
    assert table.to_pylist() == [
        {"document": "<row>é</row>".encode(), "_ordinal": 1, "_offset": 25},
        {"document": b"<row/>", "_ordinal": 2, "_offset": 39},
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "iso-8859-1", "windows-1252", "cp500"])
def test_any_encoding_becomes_utf_8(encoding: str) -> None:
    file = f'<?xml version="1.0" encoding="{encoding}"?><rows><row>é</row></rows>'.encode(encoding)
    assert cut(file) == ["<row>é</row>".encode()]
    assert cut(gzip.compress(file)) == ["<row>é</row>".encode()]


def test_what_cannot_be_decoded_refuses_its_own_record_alone() -> None:
    file = b'<?xml version="1.0" encoding="windows-1252"?><row>\x81</row><row>\x80</row>'
    parsed = xml.parse(cut(file), xml.Schema.from_ddl("_VALUE string"))
    assert parsed.values.to_pylist() == [None, {"_VALUE": "€"}]
    assert [(row["row"], row["rule"]) for row in parsed.errors.to_pylist()] == [(0, "encoding")]
    wide = "<row>1</row><row>".encode("utf-16-le") + b"\x00\xd8" + "</row><row>3</row>".encode("utf-16-le")
    assert xml.parse(cut(wide), xml.Schema.from_ddl("_VALUE int")).values.to_pylist() == [
        {"_VALUE": 1},
        None,
        {"_VALUE": 3},
    ]


def test_gzip_with_several_members_and_zeros_at_the_end() -> None:
    assert cut(gzip.compress(b"<row>1") + gzip.compress(b"</row>") + b"\0" * 100) == [b"<row>1</row>"]


def test_damaged_gzip_gives_what_stands_before_and_then_fails() -> None:
    half = gzip.compress(b"<row>1</row>" * 10_000)[:-12]
    found = []
    with pytest.raises(DataError, match="^the gzip data is damaged: it ends before its end mark; [0-9,]+ records"):
        for batch in xml.records(half, "row"):
            found += batch.column("document").to_pylist()
    assert set(found[:-1]) == {b"<row>1</row>"} and len(found) > 1_000


def test_an_encoding_that_is_not_known_is_an_error() -> None:
    with pytest.raises(DataError, match="^the declared encoding 'klingon' is not known; nothing was read$"):
        cut(b'<?xml version="1.0" encoding="klingon"?><row/>')


def test_paths_and_open_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.xml"
    path.write_bytes(b"<row>1</row>")
    for file in (path, str(path), io.BytesIO(b"<row>1</row>")):
        assert xml.records(file, " row ").read_all().column("document").to_pylist() == [b"<row>1</row>"]
    with pytest.raises(UsageError, match="no.xml: there is no such file to cut into <row> records$"):
        xml.records(tmp_path / "no.xml", "row")


@pytest.mark.parametrize("row_tag", ["", " ", "<row>", "a b", "a/b", "a>"])
def test_a_row_tag_that_is_no_name_is_refused(row_tag: str) -> None:
    with pytest.raises(UsageError, match="expected an element's name as it is written, such as book or n:book$"):
        xml.records(b"<row/>", row_tag)


def test_a_name_with_a_prefix_or_letters_of_any_script() -> None:
    assert cut("<n:é.x><a/></n:é.x>".encode(), "n:é.x") == ["<n:é.x><a/></n:é.x>".encode()]


def test_batches_are_of_bounded_bytes() -> None:
    batches = list(xml.records(b"<row>" + b"x" * 5_000_000 + b"</row>" + b"<row/>" * 10, "row"))
    assert [batch.num_rows for batch in batches] == [11]
    batches = list(xml.records((b"<row>" + b"x" * 5_000_000 + b"</row>") * 7, "row"))
    assert [batch.num_rows for batch in batches] == [3, 3, 1]
    assert [batch.column("_ordinal").to_pylist() for batch in batches] == [[1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize(
    "file", [b"<row>x" * 40_000, b"<row" + b" " * 500_000, b"<row>" + b"</row  " * 40_000, b'<row a="' * 20_000]
)
def test_time_grows_with_the_bytes_whatever_stands_in_them(file: bytes) -> None:
    began = time.monotonic()
    assert cut(file, max_bytes=100_000)
    assert time.monotonic() - began < 5
