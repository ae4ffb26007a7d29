"""CSV: every record that can be read, in the types of its columns, and a reason with line and bytes for the rest."""

import csv
import gzip
import io
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher import ingest
from thresher.errors import DataError, UsageError
from thresher.ingest import columns, texts
from thresher.ingest.formats.csv import open_csv
from thresher.ingest.formats.sheets import Dialect
from thresher.landing import LandingFile

embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)


def load(lake, folder, files, **settings):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return ingest.files(lake, str(folder), "raw.t", **{"format": "csv", **settings})


def rows_of(lake, *names):
    rows = lake.read("raw.t").to_arrow().to_pylist()
    return [
        tuple(row[name] for name in names or row) for row in sorted(rows, key=lambda row: (row["_file"], row["_row"]))
    ]


def refusals(loaded):
    kept = ("key", "rule", "reason", "line", "content")
    rows = loaded.refused.to_arrow().to_pylist()
    return sorted((tuple(row[name] for name in kept) for row in rows), key=str)


def test_types_of_columns_lose_nothing(lake, tmp_path):
    load(
        lake,
        tmp_path / "in",
        {
            "a.csv": "id,code,price,day,at,ok,text,none\n"
            '1,007,1.50,2024-02-29,2024-01-31 10:00:00,true," padded ",\n'
            '2,8,10,2024-03-01,2024-01-31T10:00:00.25,false,"",\n'
        },
    )
    assert [(each.name, str(each.type)) for each in lake.schema("raw.t")][:8] == [
        ("id", "int64"),
        ("code", "string"),
        ("price", "decimal128(4, 2)"),
        ("day", "date32[day]"),
        ("at", "timestamp[us]"),
        ("ok", "bool"),
        ("text", "string"),
        ("none", "string"),
    ]
    ten = datetime(2024, 1, 31, 10)
    assert rows_of(lake) == [
        (1, "007", Decimal("1.50"), date(2024, 2, 29), ten, True, " padded ", None, "a.csv", 1),
        (2, "8", Decimal("10.00"), date(2024, 3, 1), ten.replace(microsecond=250_000), False, "", None, "a.csv", 2),
    ]


def test_refused_rows_have_rule_line_and_bytes_and_the_rest_loads(lake, tmp_path):
    content = (
        b'id,name,day\n1,"a ""b"", c",2024-01-31\n2,x,2024-02-30\n\n3,"6 pipe\nlong",2024-02-01\n4,x\n'
        b'5,"open,2024-01-01\n6,\xff,2024-01-01\n7,"a"b,2024-01-01\n8,6" pipe,2024-01-02\n9,"cut off'
    )
    loaded = load(lake, tmp_path / "in", {"a.csv": content}, key=["id"])
    assert rows_of(lake, "id", "name", "_row") == [(1, 'a "b", c', 1), (3, "6 pipe\nlong", 3)]
    quote = "a quote is not closed, or is followed by something else than a delimiter"
    day = "column day: '2024-02-30' is no date: day is out of range for month"
    encoding = "has bytes that are not UTF-8; name the encoding of the file in options, as encoding: windows-1252"
    assert refusals(loaded) == [
        ("2", "wrong type", day, 3, b"2,x,2024-02-30"),
        ("4", "wrong number of fields", "2 fields; expected 3 (id, name, day)", 7, b"4,x"),
        ("5", "broken quote", quote, 8, b'5,"open,2024-01-01'),
        ("6", "wrong encoding", encoding, 9, b"6,\xff,2024-01-01"),
        ("7", "broken quote", quote, 10, b'7,"a"b,2024-01-01'),
        ("8", "broken quote", quote, 11, b'8,6" pipe,2024-01-02'),
        ("9", "broken quote", quote, 12, b'9,"cut off'),
    ]
    assert (loaded.counts.rows_in, loaded.counts.rows_out, loaded.counts.refused) == (9, 2, 7)


@embedded_only
@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b"\xef\xbb\xbfid;name\r\n1;\xc3\xa4\r\n", {}),
        ("id\tname\n1\tä\n".encode("utf-16"), {}),
        ("id|name\n1|ä\n".encode("utf-16-be"), {"encoding": "utf-16-be"}),
        (b"id,name\n1,\xe4\n", {"encoding": "windows-1252"}),
        (gzip.compress("id,name\n1,ä".encode()), {}),
        ("id,name\r1,ä\r".encode(), {}),
        ("id~name\n1~'ä'\n".encode(), {"delimiter": "~", "quote": "'"}),
    ],
)
def test_encodings_packing_and_delimiters(lake, tmp_path, content, options):
    load(lake, tmp_path / "in", {"a.csv": content}, options=options)
    assert rows_of(lake, "id", "name") == [(1, "ä")]


@embedded_only
def test_bytes_that_the_encoding_does_not_know_refuse_their_row(lake, tmp_path):
    loaded = load(lake, tmp_path / "in", {"a.csv": b"id,name\n1,\xe4\n2,\x81\n"}, options={"encoding": "windows-1252"})
    assert rows_of(lake, "id", "name") == [(1, "ä")]
    assert [(row[1], row[4]) for row in refusals(loaded)] == [("wrong encoding", b"2,\x81")]


@embedded_only
def test_names_given_header_or_none(lake, tmp_path):
    files = {"a.csv": "ID,Name\n1,a\n", "b.csv": "2,b\n", "c.csv": ""}
    load(lake, tmp_path / "in", files, columns=["id", "name"])
    assert rows_of(lake, "id", "name") == [(1, "a"), (2, "b")]


@embedded_only
def test_declared_types_take_what_they_are_told(lake, tmp_path):
    columns = ["id int", "zip string", "`unit price` decimal(6,2)"]
    loaded = load(lake, tmp_path / "in", {"a.csv": "007,0815,1.5\nx,1,2\n2,1,1.005\n"}, columns=columns)
    assert rows_of(lake, "id", "zip", "unit price") == [(7, "0815", Decimal("1.50"))]
    assert [row[2] for row in refusals(loaded)] == [
        "column id: 'x' is no int: not a whole number",
        "column unit price: '1.005' is no decimal(6,2): has more than 2 digits after the point: does not fit "
        "decimal(6,2)",
    ]


@embedded_only
def test_null_texts_are_null_without_quotes(lake, tmp_path):
    load(lake, tmp_path / "in", {"a.csv": 'a,b\nNULL,"NULL"\n1,\\N\n'}, options={"nulls": ["NULL", "\\N"]})
    assert rows_of(lake, "a", "b") == [(None, "NULL"), (1, None)]


@embedded_only
def test_a_quote_inside_of_a_field_is_text_but_after_a_broken_quote(lake, tmp_path):
    content = 'id,t\n1,6" pipe\n2,"a" b\nand, more"\n3,fine\n4,8" pipe\n'
    loaded = load(lake, tmp_path / "in", {"a.csv": content})
    assert rows_of(lake, "id", "t") == [(1, '6" pipe'), (3, "fine"), (4, '8" pipe')]
    assert [row[4] for row in refusals(loaded)] == [b'2,"a" b', b'and, more"']


@embedded_only
def test_an_empty_line_is_a_row_of_one_column_alone(lake, tmp_path):
    load(lake, tmp_path / "in", {"a.csv": "v\n1\n\n3\n"})
    assert rows_of(lake, "v", "_row") == [(1, 1), (None, 2), (3, 3)]


@embedded_only
def test_files_that_cannot_be_read_are_refused_whole(lake, tmp_path):
    files = {
        "good.csv": "a,b\n1,2\n",
        "cut.csv.gz": gzip.compress(b"a,b\n" + b"1,2\n" * 5000)[:-9],
        "empty.csv": "",
        "twice.csv": "a,A\n1,2\n",
        "nameless.csv": "a,,c\n1,2,3\n",
        "wide.csv": "a,b\n1,2,3\n",
    }
    loaded = load(lake, tmp_path / "in", files)
    reasons = {row["source"]: row["reason"] for row in loaded.refused.to_arrow().to_pylist()}
    assert rows_of(lake, "a", "b") == [(1, 2)]
    assert reasons == {
        "cut.csv.gz": "Truncated compressed stream",
        "empty.csv": "it has no names of columns: it is empty; give them in columns",
        "twice.csv": "its header has the name 'a' twice (a, A); have it mended, or name the columns in columns",
        "nameless.csv": "its header has a column without a name (a, , c); have it mended, or "
        "name the columns in columns",
        "wide.csv": "none of its records can be read; of the first, on line 2: 3 fields; expected 2 (a, b)",
    }


@embedded_only
def test_a_header_alone_is_a_table_without_rows(lake, tmp_path):
    load(lake, tmp_path / "in", {"a.csv": "a,b\n"})
    assert lake.schema("raw.t").names[:2] == ["a", "b"]
    assert rows_of(lake) == []


@embedded_only
def test_most_impossible_dates_make_text_of_a_column(lake, tmp_path):
    load(lake, tmp_path / "in", {"a.csv": "d\n0000-00-00\n0000-00-00\n2024-01-01\n"})
    assert rows_of(lake, "d") == [("0000-00-00",), ("0000-00-00",), ("2024-01-01",)]


@embedded_only
def test_drift_between_loads(lake, tmp_path):
    folder = tmp_path / "in"
    load(lake, folder, {"a.csv": "id,n\n1,5\n2,6\n"}, mode="append")
    loaded = load(lake, folder, {"b.csv": "n,id,more\n7.5,3,x\n8,4,y\nbad,5,z\n"}, mode="append")
    assert rows_of(lake, "id", "n", "more") == [
        (1, Decimal("5.0"), None),
        (2, Decimal("6.0"), None),
        (3, Decimal("7.5"), "x"),
        (4, Decimal("8.0"), "y"),
    ]
    assert [row[4] for row in refusals(loaded)] == [b"bad,5,z"]


@embedded_only
def test_rescue_keeps_what_has_no_place(lake, tmp_path):
    folder = tmp_path / "in"
    load(lake, folder, {"a.csv": "id,n\n1,5\n"}, mode="append")
    load(lake, folder, {"b.csv": "id,n,more\n2,x,y\n3,6,\n"}, mode="append", on_drift="rescue")
    assert rows_of(lake, "id", "n", "_rescued") == [(1, 5, None), (2, None, '{"more": "y", "n": "x"}'), (3, 6, None)]


@embedded_only
def test_a_line_that_is_too_long_is_refused_in_little_memory(lake, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    with (folder / "a.csv").open("wb") as file:
        file.write(b"id,v\n1,a\n2,")
        for _ in range(50):
            file.write(b"x" * (1 << 20))
        file.write(b"\n3,b\n")
    loaded = ingest.files(lake, str(folder), "raw.t", format="csv")
    assert rows_of(lake, "id", "v", "_row") == [(1, "a", 1), (3, "b", 3)]
    assert [(row[0], row[1], row[3], len(row[4])) for row in refusals(loaded)] == [("2", "too long", 3, 1 << 20)]


@embedded_only
def test_wrong_options_are_named(lake, tmp_path):
    for options, message in (
        (
            {"delim": ";"},
            r"raw\.t: format csv: unknown options \['delim'\]; expected delimiter, quote, encoding, header",
        ),
        ({"delimiter": "||"}, r"option delimiter is '\|\|'; expected one ASCII character"),
        ({"encoding": "klingon"}, "option encoding is 'klingon'; expected a name that Python knows"),
        ({"nulls": "NULL"}, "option nulls is 'NULL'; expected a list of texts"),
    ):
        with pytest.raises(UsageError, match=message):
            load(lake, tmp_path / "in", {"a.csv": "a\n1\n"}, options=options)
    with pytest.raises(DataError, match=r"none of 1 files can be read.*name the encoding in options"):
        load(lake, tmp_path / "in", {"a.csv": b"\xe4,b\n1,2\n"})


VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.sampled_from(["", '"', ",", "\n", "\r\n", "007", "1.5", "-3", "2024-01-31", "2024-02-30", "true", " 1 ", "1e5"]),
)


@settings(deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_what_a_library_writes_is_read_back(tmp_path_factory, rows, line_end):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=line_end).writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(text.getvalue().encode())
    wanted = pa.schema([("a", pa.string()), ("b", pa.string())])
    read = open_csv([], Dialect(delimiter=",")).read(LandingFile(path, "a.csv"), wanted, rescues=False)
    found = [(row["a"], row["b"], row["_row"], row["_rule"]) for batch in read for row in batch.to_pylist()]
    assert found == [(a, b, number, None) for number, (a, b) in enumerate(rows, 1)]


@settings(deadline=None)
@given(st.lists(VALUES, max_size=20))
def test_typed_values_stand_for_their_texts(values):
    column = pa.array(values, pa.string())
    kind = columns.type_of(texts.votes(column))
    typed, misfits = texts.typed(column, kind)
    for number, (text, value) in enumerate(zip(values, typed.to_pylist(), strict=True)):
        if kind == pa.string():
            assert value == text
        elif number in misfits:
            assert value is None
            assert text.strip() == "2024-02-30"
        elif value is None:
            assert not text.strip()
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            assert value == Decimal(text.strip())
        else:
            assert str(value).lower().startswith(text.strip().replace("T", " ").lower())


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_alike_each_time(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(content)
    opened = open_csv(["a", "b"], Dialect(delimiter=","))
    try:
        schema = columns.together([opened.survey(path)]).schema
    except (ValueError, OSError):
        return
    rows = [
        row for batch in opened.read(LandingFile(path, "a.csv"), schema, rescues=False) for row in batch.to_pylist()
    ]
    assert sorted(row["_row"] for row in rows) == list(range(1, len(rows) + 1))
