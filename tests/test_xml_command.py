"""Documents in files of every format, and what `thresher xml` makes of them."""

import csv
import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from deltalake import DeltaTable, write_deltalake

from thresher import xml
from thresher.cli.main import main
from thresher.errors import DataError, DuplicateKeys, MissingColumns, UsageError

DOCUMENTS = [
    "<c code='C1'><title>Grain</title><book><price>7.50</price><by>Ada</by><by>Ben</by></book></c>",
    "<c code='C2'><title>Möhre</title><book><price>12</price></book></c>",
    None,
    "<c",
]
FLAT = [
    {"id": 1, "doc": {"_code": "C1", "book": {"by": ["Ada", "Ben"], "price": Decimal("7.50")}, "title": "Grain"}},
    {"id": 2, "doc": {"_code": "C2", "book": {"by": None, "price": Decimal("12.00")}, "title": "Möhre"}},
    {"id": 3, "doc": None},
    {"id": 4, "doc": None},
]
A_SCHEMA = "a schema that `thresher xml schema … --out FILE` wrote, or DDL such as 'id int, title string'"
DDL = "struct<_code: string, book: struct<by: array<string>, price: decimal(4,2)>, title: string>"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = pa.table({"id": [1, 2, 3, 4], "doc": DOCUMENTS})
    pq.write_table(rows, "rows.parquet")
    write_deltalake("rows.delta", rows)
    with open("rows.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "doc"), *((row["id"], row["doc"]) for row in rows.to_pylist())])
    lines = "".join(json.dumps(row) + "\n" for row in rows.to_pylist())
    Path("rows.jsonl").write_text(lines, "utf-8")
    Path("rows.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for number, document in enumerate(DOCUMENTS):
        Path("folder", "sub").mkdir(parents=True, exist_ok=True)
        Path("folder", "sub" if number else "", f"{number}.xml").write_text(document or "", "utf-8")
    Path("list.json").write_text("[1, 2]\n")
    Path("object.json").write_text('{"id": 1, "name": "x"}\n')
    Path("records.xml").write_text(f"<cs>{''.join(document or '' for document in DOCUMENTS)}", "utf-8")
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["xml", *arguments])


def rows_of(path: str) -> list[dict[str, object]]:
    return pq.read_table(path).to_pylist()


@pytest.mark.parametrize("file", ["rows.parquet", "rows.delta", "rows.jsonl", "rows.jsonl.gz"])
def test_rows_of_every_format_become_the_same(file: str) -> None:
    result = call("flatten", file, "--column", "doc", "--out", "out.parquet")
    assert result.output == (
        "out.parquet: 4 rows, 3 documents\n"
        "refused documents: 1 (truncated 1)\n"
        "refused values: 0\n"
        "documents with a rescued rest: 0\n"
    )
    assert result.exit_code == 0
    rows = rows_of("out.parquet")
    assert [{name: row[name] for name in ("id", "doc")} for row in rows] == FLAT
    assert [row["_rescued"] for row in rows] == [None] * 4
    assert [
        error and [(each["rule"], each["path"]) for each in error] for error in (row["_errors"] for row in rows)
    ] == [
        None,
        None,
        None,
        [("truncated", "")],
    ]


def test_csv_keeps_its_other_columns_as_text() -> None:
    Path("a.csv").write_text('id;n;doc\n007;;"<c>\n""x""</c>"\n1;2\n\n8;x;<c>é</c>\n', "utf-8")
    assert call("flatten", "a.csv", "--column", "doc", "--out", "a.jsonl").stderr == (
        "not read: a.csv, line 4: 2 values; expected 3, as in the header\n"
    )
    assert Path("a.jsonl").read_text("utf-8") == (
        '{"id":"007","n":"","doc":{"_VALUE":"\\"x\\""}}\n{"id":"8","n":"x","doc":{"_VALUE":"é"}}\n'
    )


def test_csv_that_is_not_utf_8() -> None:
    Path("a.csv").write_bytes("doc\n<c>é</c>\n<?xml version='1.0' encoding='latin-1'?><c>é</c>\n".encode("latin-1"))
    documents = pa.table({"doc": next(iter(xml.source("a.csv", "doc").batches()))["doc"]})["doc"]
    assert documents.type == pa.binary()
    assert xml.parse(documents, xml.Schema.from_ddl("_VALUE string")).values.to_pylist() == [None, {"_VALUE": "é"}]
    (batch,) = xml.source("a.csv", "doc", encoding="latin-1").batches()
    assert batch["doc"].to_pylist() == ["<c>é</c>", "<?xml version='1.0' encoding='latin-1'?><c>é</c>"]

    Path("b.csv").write_bytes("name,doc\né,<c/>\n".encode("latin-1"))
    source = xml.source("b.csv", "doc")
    assert list(source.batches()) == []
    assert source.reading.refused == [
        (
            "b.csv",
            "column 'name' holds bytes that are not UTF-8; give the file's encoding, such as windows-1252",
        )
    ]


def test_json_lines_learn_the_types_of_other_columns_from_all_lines() -> None:
    lines = ['{"doc":"<c/>","a":1,"b":1,"c":true,"d":1,"e":12345678901234567}', "{oops", "", "[1]"]
    lines += ['{"doc":null,"a":null,"b":1.5,"d":"x","e":1,"f":{"g":[1]}}']
    Path("a.jsonl").write_text("\n".join(lines))
    source = xml.source("a.jsonl", "doc")
    (batch,) = source.batches()
    assert batch.to_pylist() == [
        {"doc": "<c/>", "a": 1, "b": 1.0, "c": True, "d": "1", "e": "12345678901234567", "f": None},
        {"doc": None, "a": None, "b": 1.5, "c": None, "d": "x", "e": "1", "f": '{"g": [1]}'},
    ]
    assert [name for name, _ in source.reading.refused] == ["a.jsonl, line 2", "a.jsonl, line 4"]


def test_a_folder_of_documents() -> None:
    Path("folder/README.md").write_text("no document")
    Path("folder/.hidden.xml").write_text("<c/>")
    Path("folder/types.xsd").write_text("<schema/>")
    Path("folder/z.xml.gz").write_bytes(gzip.compress(b"<c/>"))
    os.symlink("nowhere", "folder/y.xml")
    result = call("flatten", "folder", "--out", "out.jsonl", "--json")
    assert json.loads(result.stdout) == {
        "rows": 5,
        "documents": 4,
        "blank": 1,
        "refused": {"truncated": 1},
        "value_errors": 0,
        "rescued": 0,
        "unread": [{"name": "y.xml", "reason": "[Errno 2] No such file or directory: 'folder/y.xml'"}],
        "unread_count": 1,
        "out": "out.jsonl",
    }
    assert result.stderr.splitlines()[0] == "left out, not xml: 2 (README.md, types.xsd)"
    files = [json.loads(line)["_file"] for line in Path("out.jsonl").read_text().splitlines()]
    assert files == ["0.xml", "sub/1.xml", "sub/2.xml", "sub/3.xml", "z.xml.gz"]


def test_records_of_one_file() -> None:
    result = call("tables", "records.xml", "--row-tag", "c", "--out", "out")
    assert result.exit_code == 0
    assert rows_of("out/document.parquet") == [
        {"_key": "records.xml#1", "code": "C1", "book_price": Decimal("7.50"), "title": "Grain"},
        {"_key": "records.xml#2", "code": "C2", "book_price": Decimal("12.00"), "title": "Möhre"},
    ]
    assert [row["_key"] for row in rows_of("out/book_by.parquet")] == ["records.xml#1#1", "records.xml#1#2"]
    assert call("schema", "records.xml", "--row-tag", "zz").stderr == (
        "error: records.xml: no document can be read, so there is no schema to learn "
        "(records.xml: it has no element <zz>)\n"
    )


def test_schema_shows_types_and_paths() -> None:
    result = call("schema", "rows.parquet", "--column", "doc")
    assert (
        result.output
        == f"""\
{DDL}

documents read: 2 of 3
path        kind       type           occurrences  documents  max repeats  null share  example
_code       attribute  string                   2          2            1       0.000  C1
book        element    struct                   2          2            1       0.000
book.by     element    array<string>            2          1            2       0.500  Ada
book.price  element    decimal(4,2)             2          2            1       0.000  12
title       element    string                   2          2            1       0.000  Grain
"""
    )
    assert call("schema", "rows.parquet", "--column", "doc", "--format", "ddl").output == f"{DDL}\n"
    assert json.loads(call("schema", "rows.parquet", "--column", "doc", "--json").output)["ddl"] == DDL


def test_a_saved_schema_reads_other_files() -> None:
    assert call("schema", "rows.parquet", "--column", "doc", "--out", "s.json").output == (
        "s.json: 5 paths; documents read: 2 of 3\n"
    )
    Path("new.jsonl").write_text('{"doc": "<c code=\'C9\'><new/><book><price>x</price></book></c>"}\n')
    result = call("flatten", "new.jsonl", "--column", "doc", "--schema", "s.json", "--out", "out.parquet", "--strict")
    assert result.exit_code == 1
    (row,) = rows_of("out.parquet")
    assert row["doc"] == {"_code": "C9", "book": {"by": None, "price": None}, "title": None}
    assert json.loads(str(row["_rescued"])) == {"book.price": "x", "new": ""}

    ddl = ("--schema", "s.ddl", "--declare", "_code string")
    Path("s.ddl").write_text("title string")
    call("flatten", "rows.parquet", "--column", "doc", *ddl, "--out", "out.parquet")
    assert rows_of("out.parquet")[1]["doc"] == {"title": "Möhre", "_code": "C2"}


def test_tables_with_lineage_errors_and_the_rest() -> None:
    Path("s.ddl").write_text("_code string, book struct<price: decimal(4,2), by: array<string>>")
    result = call("tables", "rows.parquet", "--column", "doc", "--key", "id", "--schema", "s.ddl", "--out", "out")
    assert result.output.splitlines()[-5:] == [
        f"  out/{name}.parquet" for name in ("document", "book_by", "_errors", "_rescued", "_lineage")
    ]
    assert rows_of("out/book_by.parquet") == [
        {"_key": "1#1", "_parent_key": "1", "_row_key": "1", "_ordinal": 1, "by": "Ada"},
        {"_key": "1#2", "_parent_key": "1", "_row_key": "1", "_ordinal": 2, "by": "Ben"},
    ]
    assert rows_of("out/_rescued.parquet") == [
        {"_row_key": "1", "rescued": '{"title": "Grain"}'},
        {"_row_key": "2", "rescued": '{"title": "Möhre"}'},
    ]
    assert [(row["_row_key"], row["rule"]) for row in rows_of("out/_errors.parquet")] == [("4", "truncated")]
    assert [(row["path"], row["table"], row["column"]) for row in rows_of("out/_lineage.parquet")] == [
        ("_code", "document", "code"),
        ("book", "document", None),
        ("book.price", "document", "book_price"),
        ("book.by", "book_by", "by"),
    ]


def test_delta_tables_are_replaced_with_their_columns() -> None:
    for _ in range(2):
        assert call("flatten", "rows.parquet", "--column", "doc", "--out", "out", "--to", "delta").exit_code == 0
    assert [
        {name: row[name] for name in ("id", "doc")} for row in DeltaTable("out").to_pyarrow_table().to_pylist()
    ] == FLAT
    assert (
        call("tables", "rows.parquet", "--column", "doc", "--key", "id", "--out", "t", "--to", "delta").exit_code == 0
    )
    assert DeltaTable("t/book_by").to_pyarrow_table().num_rows == 2
    assert call("flatten", "rows.parquet", "--column", "doc", "--out", "t", "--to", "delta").stderr == (
        "error: t: expected a Delta table, an empty folder or nothing; choose another place\n"
    )


def test_diff_shows_drift() -> None:
    call("schema", "rows.parquet", "--column", "doc", "--out", "s.json")
    Path("later.jsonl").write_text('{"doc": "<c code=\'9\'><title>T</title><book><price>1</price></book><new/></c>"}\n')
    result = call("diff", "s.json", "later.jsonl", "--column", "doc", "--fail-on-drift")
    assert (
        result.output
        == """\
change    path        before         after
changed   _code       string         bigint
vanished  book.by     array<string>
changed   book.price  decimal(4,2)   bigint
new       new                        string
"""
    )
    assert result.exit_code == 1
    assert call("diff", "s.json", "later.jsonl", "--column", "doc").exit_code == 0
    same = call("diff", "s.json", "rows.csv", "--column", "doc", "--fail-on-drift")
    assert (same.output, same.exit_code) == ("no drift\n", 0)


@pytest.mark.parametrize("column", [(), ("--column", "doc")])
def test_a_schema_that_was_cut_short_is_called_so(column: tuple[str, ...]) -> None:
    call("schema", "rows.parquet", "--column", "doc", "--out", "s.json")
    Path("cut.json").write_text(Path("s.json").read_text("utf-8")[:100], "utf-8")
    for files in (("s.json", "cut.json"), ("cut.json", "s.json")):
        result = call("diff", *files, *column)
        assert result.exit_code == 2
        assert result.stderr.startswith(
            "error: cut.json: found JSON that is damaged, cut short or followed by more (line 1, "
        )
        assert result.stderr.endswith("wrote, or DDL such as 'id int, title string'\n")


def test_options_by_name() -> None:
    command = ("schema", "rows.parquet", "--column", "doc", "--format", "ddl")
    assert call(*command, "-o", "attribute_prefix=@", "-o", "infer_types=false").output == (
        "struct<`@code`: string, book: struct<by: array<string>, price: string>, title: string>\n"
    )
    by_spark = DDL.replace("decimal(4,2)", "double").replace("book:", "_corrupt_record: string, book:")
    assert call(*command, "--dialect", "spark").output == by_spark + "\n"
    assert "none" not in call(*command, "-o", "roots=c").output
    assert call(*command, "-o", "foo=1").stderr.startswith(
        "error: -o foo: there is no such option; expected one of dial"
    )


def test_options_of_spark_and_wrong_values() -> None:
    command = ("schema", "rows.parquet", "--column", "doc", "--format", "ddl")
    assert call(*command, "--dialect", "spark", "-o", "attributePrefix=@", "-o", "nullValue=").output.startswith(
        "struct<`@code`: string, "
    )
    assert call(*command, "-o", "max_depth=x").stderr == "error: -o max_depth=x: expected a number\n"
    assert call(*command, "-o", "salvage=1").stderr == "error: -o salvage=1: expected true or false\n"


def test_documents_that_are_cut_short_keep_what_can_be_salvaged() -> None:
    Path("cut.jsonl").write_text('{"doc": "<c><a>1</a><b>"}\n')
    result = call("flatten", "cut.jsonl", "--column", "doc", "-o", "salvage=true", "--out", "out.parquet")
    assert "refused or cut short documents: 1 (truncated 1)\n" in result.output
    assert [row["doc"] for row in rows_of("out.parquet")] == [{"a": 1}]


@pytest.mark.parametrize(
    "arguments, message, code",
    [
        (("schema", "no.xml"), "error: no.xml: there is no such file or folder\n", 2),
        (
            ("schema", "rows.parquet"),
            "error: rows.parquet: the column with the documents is not named; found ['id', 'doc']\n",
            2,
        ),
        (
            ("schema", "rows.csv", "--column", "docs"),
            "error: rows.csv: there is no column 'docs' to read XML from; found ['id', 'doc']. "
            "Name another with --column.\n",
            2,
        ),
        (
            ("schema", "rows.parquet", "--column", "id"),
            "error: rows.parquet: column 'id' holds int64; XML documents are string or binary. Name another column.\n",
            2,
        ),
        (
            ("schema", "rows.parquet", "--column", "doc", "--row-tag", "c"),
            "error: rows.parquet: a row tag cuts XML files, not the documents in rows of parquet; leave it out\n",
            2,
        ),
        (
            ("flatten", "rows.parquet", "--column", "doc", "--out", "out"),
            "error: --out out: its name tells no format; name one with --to parquet, delta or jsonl\n",
            2,
        ),
        (
            ("schema", "rows.parquet", "--column", "doc", "--out", "rows.parquet"),
            "error: --out rows.parquet is, holds or lies in rows.parquet, which is read; name another place\n",
            2,
        ),
        (
            ("schema", "rows.parquet", "--column", "doc", "--out", "folder"),
            "error: folder: found a folder, expected a file or nothing; choose another place\n",
            2,
        ),
        (
            ("flatten", "rows.csv", "--column", "doc", "--schema", "rows.jsonl", "--out", "rows.jsonl"),
            "error: --out rows.jsonl is, holds or lies in rows.jsonl, which is read; name another place\n",
            2,
        ),
        *(
            (
                ("flatten", "rows.csv", "--column", "doc", "--schema", name, "--out", "out.parquet"),
                f"error: {name}: found {found}; expected {A_SCHEMA}\n",
                2,
            )
            for name, found in (
                ("rows.parquet", "a Parquet file"),
                ("folder/sub/2.xml", "nothing"),
                ("folder/0.xml", "XML"),
                ("list.json", "a JSON array"),
                ("object.json", "a JSON object with id, name"),
            )
        ),
        (
            ("diff", "object.json", "rows.csv"),
            "error: object.json: the column with the documents is not named; found ['id', 'name']. "
            f"Nor is it a schema: found a JSON object with id, name, expected {A_SCHEMA}\n",
            2,
        ),
        (
            ("tables", "rows.parquet", "--column", "doc", "--key", "id", "--out", "rows.csv"),
            "error: rows.csv: cannot be written: [Errno 17] File exists: 'rows.csv'\n",
            2,
        ),
        (
            ("schema", "folder/sub/2.xml"),
            "error: folder/sub/2.xml: there are no documents to learn a schema from (1 rows, 0 documents, 1 blank); "
            "name one by --schema\n",
            1,
        ),
        (
            ("tables", "rows.parquet", "--column", "doc", "--out", "out"),
            "error: --key: found none; expected columns that identify documents, of ['id', 'doc']\n",
            2,
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], message: str, code: int) -> None:
    result = call(*arguments)
    assert (result.stderr, result.exit_code) == (message, code)


def test_a_folder_without_files_or_of_several_formats() -> None:
    Path("empty").mkdir()
    with pytest.raises(UsageError, match="^empty: the folder holds no files$"):
        xml.source("empty")
    Path("mixed").mkdir()
    Path("mixed/a.xml").write_text("<c/>")
    Path("mixed/b.csv").write_text("doc\n")
    with pytest.raises(UsageError, match=r"several formats \(1 csv, 1 xml\); name the one to read$"):
        xml.source("mixed")


def test_a_file_that_cannot_be_read_does_not_stop_the_others() -> None:
    Path("many").mkdir()
    Path("many/1.parquet").write_bytes(b"PAR1 damaged")
    pq.write_table(pa.table({"id": ["a"]}), "many/2.parquet")
    pq.write_table(pa.table({"doc": ["<c/>", "<c/>"], "more": [1, 2]}), "many/3.parquet")
    pq.write_table(pa.table({"doc": pa.array([b"<c/>"]).cast(pa.string()).dictionary_encode()}), "many/4.parquet")
    source = xml.source("many", "doc")
    assert pa.Table.from_batches(source.batches()).to_pylist() == [
        {"doc": "<c/>", "more": 1},
        {"doc": "<c/>", "more": 2},
        {"doc": "<c/>", "more": None},
    ]
    assert [name for name, _ in source.reading.refused] == ["1.parquet", "2.parquet"]
    assert (source.reading.rows, source.reading.documents) == (3, 3)
    Path("bad.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(DataError, match="^bad.parquet: .*Parquet"):
        xml.source("bad.parquet", "doc")
    for name in ("1", "3", "4"):
        os.remove(f"many/{name}.parquet")
    with pytest.raises(MissingColumns, match=r"^2.parquet: there is no column 'doc' to read XML from; found \['id'\]$"):
        xml.source("many", "doc")


def test_nothing_is_written_where_nothing_can_be_read() -> None:
    Path("out.parquet").write_text("as it was")
    Path("bad.jsonl").write_text('{"doc": "<c>"}\n{"doc": "no"}\n')
    Path("s.ddl").write_text("a int")
    result = call("flatten", "bad.jsonl", "--column", "doc", "--schema", "s.ddl", "--out", "out.parquet")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: bad.jsonl: none of 2 documents can be read (1 ")
    assert Path("out.parquet").read_text() == "as it was"
    assert [name for name in os.listdir() if name.startswith(".")] == []


def test_keys_that_repeat_are_found_across_batches_and_nothing_is_written() -> None:
    Path("twice").mkdir()
    for name in ("a", "b"):
        pq.write_table(pa.table({"id": [1], "doc": ["<c><x>1</x></c>"]}), f"twice/{name}.parquet")
    batch = pa.record_batch({"id": [1], "doc": ["<c><x>1</x></c>"]})
    schema = xml.discover_batches([batch], "doc")
    with pytest.raises(DuplicateKeys, match="^1 keys stand for more than one document, such as '1' "):
        list(xml.tables_batches([batch, batch], "doc", ["id"], schema))
    assert call("tables", "twice", "--column", "doc", "--key", "id", "--out", "out").exit_code == 1
    assert not Path("out").exists()


def test_a_table_whose_name_no_file_may_have_keeps_its_end() -> None:
    names = ("a" * 100, "b" * 100, "ä" * 60)
    start, end = "".join(f"<{name}>" for name in names), "".join(f"</{name}>" for name in reversed(names))
    Path("deep.jsonl").write_text(json.dumps({"id": 1, "doc": f"<c>{start}<i><k>7</k></i><i><k>8</k></i>{end}</c>"}))

    result = call("tables", "deep.jsonl", "--column", "doc", "--key", "id", "--out", "out")

    short = f"{'ä' * 60}_i"
    assert result.exit_code == 0
    assert [row["k"] for row in rows_of(f"out/{short}.parquet")] == [7, 8]
    *_, element, leaf = rows_of("out/_lineage.parquet")
    assert (element["table"], element["renamed_from"]) == (short, "_".join([*names, "i"]))
    assert (leaf["table"], leaf["column"], leaf["renamed_from"]) == (short, "k", None)


def test_batches_hold_a_bounded_number_of_bytes() -> None:
    documents = [f"<c>{'x' * 500_000}</c>"] * 50 + [f"<c>{'y' * 17_000_000}</c>", "<c/>"]
    pq.write_table(pa.table({"doc": documents}), "long.parquet", row_group_size=100)
    sizes = [batch["doc"].nbytes for batch in xml.source("long.parquet", "doc").batches()]
    assert len(sizes) >= 3 and sorted(sizes)[-2] <= 17_000_000
    with open("long.csv", "w") as file:
        csv.writer(file).writerows([["doc"], *([document] for document in documents)])
    sizes = [batch["doc"].nbytes for batch in xml.source("long.csv", "doc").batches()]
    assert len(sizes) >= 3 and sorted(sizes)[-2] <= 17_000_000


def test_a_folder_of_tables_is_replaced_as_a_whole_and_nothing_else() -> None:
    def tables(document: str, *more: str) -> list[str]:
        Path("day.xml").write_text(document)
        assert call("tables", "day.xml", "--out", "out", *more).exit_code == 0
        return sorted(path.name for path in Path("out").iterdir())

    sides = [f"_{name}.parquet" for name in ("errors", "lineage", "rescued")]
    assert tables("<c><a/><a/><b/><b/></c>") == [*sides, "_tables.json", "a.parquet", "b.parquet", "document.parquet"]
    Path("out/z.parquet").write_text("somebody else's")
    Path("secret.parquet").write_text("elsewhere")
    assert tables("<c><b/><b/></c>") == [*sides, "_tables.json", "b.parquet", "document.parquet", "z.parquet"]
    assert json.loads(Path("out/_tables.json").read_text()) == {"tables": [*sides, "b.parquet", "document.parquet"]}

    # A run that fails leaves what was there; a list that leads out of the folder is not followed.
    assert call("tables", "day.xml", "--out", "out", "--key", "_file", "--schema", "none").exit_code == 2
    assert "b.parquet" in os.listdir("out")
    listed = {"tables": ["../secret.parquet", "..", "", 7, "b.parquet"]}
    Path("out/_tables.json").write_text(json.dumps(listed))
    delta = ["_errors", "_lineage", "_rescued", "_tables.json", "b", "document", "z.parquet"]
    left = [name for name in tables("<c><b/><b/></c>", "--to", "delta") if name not in [*sides, "document.parquet"]]
    assert left == delta
    assert Path("secret.parquet").exists()
    Path("out/document/notes.txt").write_text("in a table of ours")
    lines = [name.replace("parquet", "jsonl") for name in sides]
    left = [name for name in tables("<c/>", "--to", "jsonl") if name not in [*sides, "document.parquet"]]
    assert left == [*lines, "_tables.json", "document.jsonl", "z.parquet"]


def test_blank_texts_are_counted_beside_documents() -> None:
    pq.write_table(pa.table({"doc": ["<c/>", "", " \n", None, "\ufeff", " <c/>"]}), "some.parquet")
    done = call("flatten", "some.parquet", "--column", "doc", "--out", "out.jsonl", "--declare", "a int")
    assert done.output.splitlines()[0] == "out.jsonl: 6 rows, 2 documents, 3 blank"
    learnt = call("schema", "some.parquet", "--column", "doc", "--json")
    assert {name: json.loads(learnt.output)[name] for name in ("documents", "blank", "read")} == {
        "documents": 2,
        "blank": 3,
        "read": 2,
    }
    spark = call("flatten", "some.parquet", "--column", "doc", "--dialect", "spark", "--out", "out.jsonl")
    assert spark.output.splitlines()[:2] == ["out.jsonl: 6 rows, 5 documents", "refused documents: 3 (truncated 3)"]


@pytest.mark.parametrize("out", ["rows.parquet", ".", "rows.parquet/inside.parquet"])
def test_output_never_replaces_the_input(out: str) -> None:
    before = Path("rows.parquet").read_bytes()
    done = call("flatten", "rows.parquet", "--column", "doc", "--out", out, "--to", "parquet")
    assert done.exit_code == 2
    assert f"--out {out} is, holds or lies in rows.parquet, which is read; name another place" in done.stderr
    assert Path("rows.parquet").read_bytes() == before
