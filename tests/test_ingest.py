"""landing → raw: every row of every readable file, and a reason for the rest."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thresher import ingest, landing
from thresher.errors import DataError, LandingNotFound, MissingColumns, UsageError
from thresher.lake import Lake

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)


def parquet(path, rows, **types):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    for name, kind in types.items():
        table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(kind))
    pq.write_table(table, path)


def rows_of(frame):
    return sorted(frame.to_arrow().to_pylist(), key=lambda row: (row["_file"], row["_row"]))


def refusals(loaded):
    kept = ("source", "key", "rule", "reason")
    return sorted([{name: row[name] for name in kept} for row in loaded.refused.to_arrow().to_pylist()], key=str)


def test_parquet_files_keep_file_and_row_number(lake, tmp_path):
    parquet(tmp_path / "in" / "a.parquet", [{"id": 1, "name": "ä"}, {"id": 2, "name": None}])
    parquet(tmp_path / "in" / "later" / "b.parquet", [{"id": 1, "name": "c"}])
    loaded = ingest.files(lake, str(tmp_path / "in"), "raw.t", key=["id"])
    assert rows_of(lake.read("raw.t")) == [
        {"id": 1, "name": "ä", "_file": "a.parquet", "_row": 1},
        {"id": 2, "name": None, "_file": "a.parquet", "_row": 2},
        {"id": 1, "name": "c", "_file": "later/b.parquet", "_row": 1},
    ]
    assert loaded.counts.as_dict() == {
        "dataset": "raw.t",
        "rows_in": 3,
        "rows_out": 3,
        "refused": 0,
        "duplicate": 0,
        "more": {"files": 2, "files refused": 0},
    }
    assert not lake.exists("quarantine.raw_t")


def test_what_cannot_be_read_is_quarantined_and_the_rest_loads(lake, tmp_path):
    folder = tmp_path / "in"
    parquet(folder / "a.parquet", [{"id": 1, "v": 1}, {"id": None, "v": 2}])
    parquet(folder / "b.parquet", [{"id": 2, "v": "text"}])
    whole = (folder / "a.parquet").read_bytes()
    (folder / "c.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "d.parquet").write_bytes(b"")
    loaded = ingest.files(lake, f"{folder}/*.parquet", "raw.t", key=["id"])
    assert rows_of(lake.read("raw.t")) == [{"id": 1, "v": 1, "_file": "a.parquet", "_row": 1}]
    assert (loaded.counts.rows_in, loaded.counts.rows_out, loaded.counts.refused) == (5, 1, 4)
    null_key, schema, cut, empty = refusals(loaded)
    assert {row["key"]: row["content"] for row in loaded.refused.to_arrow().to_pylist()}["2"] == b'{"id": null, "v": 2}'
    assert null_key == {"source": "a.parquet", "key": "2", "rule": "null key", "reason": "a null in the key id"}
    assert schema["source"] == "b.parquet"
    assert schema["reason"] == "column v is string here, bigint in the files before"
    assert (cut["source"], cut["rule"]) == ("c.parquet", "unreadable file")
    assert (empty["source"], empty["rule"]) == ("d.parquet", "unreadable file")
    quarantined = {row["source"]: row["content"] for row in lake.read("quarantine.raw_t").to_arrow().to_pylist()}
    assert quarantined["c.parquet"] == whole[: len(whole) // 2]


def test_a_page_damaged_in_the_middle_refuses_the_whole_file(lake, tmp_path):
    parquet(tmp_path / "in" / "a.parquet", [{"id": 1, "v": "x" * 50}])
    parquet(tmp_path / "in" / "b.parquet", [{"id": number, "v": "x" * 50} for number in range(1000)])
    damaged = bytearray((tmp_path / "in" / "b.parquet").read_bytes())
    damaged[4:60] = b"\xff" * 56
    (tmp_path / "in" / "b.parquet").write_bytes(damaged)
    loaded = ingest.files(lake, str(tmp_path / "in"), "raw.t")
    assert [row["_file"] for row in rows_of(lake.read("raw.t"))] == ["a.parquet"]
    assert [(row["source"], row["rule"]) for row in refusals(loaded)] == [("b.parquet", "unreadable file")]


@embedded_only
def test_documents_keep_their_bytes(lake, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.xml").write_bytes(b"<b/>")
    (folder / "sub" / "a.xml").write_bytes(b"\xff\xfe<\x00")
    (folder / "empty.xml").write_bytes(b"")
    loaded = ingest.files(lake, str(folder), "raw.docs")
    assert rows_of(lake.read("raw.docs")) == [
        {"content": b"<b/>", "_file": "b.xml", "_row": 1},
        {"content": b"\xff\xfe<\x00", "_file": "sub/a.xml", "_row": 1},
    ]
    assert refusals(loaded) == [
        {
            "source": "empty.xml",
            "key": None,
            "rule": "unreadable file",
            "reason": "the file is empty; expected a document",
        }
    ]


def test_new_columns_of_later_files_are_null_in_earlier_ones(lake, tmp_path):
    parquet(tmp_path / "in" / "a.parquet", [{"id": 1}])
    parquet(tmp_path / "in" / "b.parquet", [{"id": 2, "extra": "x"}])
    ingest.files(lake, str(tmp_path / "in"), "raw.t")
    assert [(row["id"], row["extra"]) for row in rows_of(lake.read("raw.t"))] == [(1, None), (2, "x")]


def test_loading_again_changes_nothing(lake, tmp_path):
    parquet(tmp_path / "in" / "a.parquet", [{"id": 1}, {"id": None}])
    for _ in range(2):
        ingest.files(lake, str(tmp_path / "in"), "raw.t", key=["id"])
    assert [table.version for table in lake.tables()] == [0, 0]


@embedded_only
def test_what_is_mended_leaves_the_quarantine(lake, tmp_path, monkeypatch):
    file = tmp_path / "in" / "a.xml"
    file.parent.mkdir()
    (tmp_path / "in" / "b.xml").write_bytes(b"<b/>")
    (tmp_path / "in" / "c.xml").write_bytes(b"")
    file.write_bytes(b"")
    for run in ("first", "second"):
        monkeypatch.setenv("THRESHER_RUN_ID", run)
        ingest.files(lake, str(file.parent), "raw.t")
    file.write_bytes(b"<a/>")
    monkeypatch.setenv("THRESHER_RUN_ID", "third")
    ingest.files(lake, str(file.parent), "raw.t")
    kept = lake.read("quarantine.raw_t").to_arrow().to_pylist()
    assert [(row["source"], row["run"]) for row in kept] == [("c.xml", "first")]


@embedded_only
def test_missing_landing_key_and_format_are_named(lake, tmp_path):
    with pytest.raises(LandingNotFound, match=r"landing folder .*nowhere is not there"):
        ingest.files(lake, str(tmp_path / "nowhere" / "*.parquet"), "raw.t")
    (tmp_path / "in").mkdir()
    with pytest.raises(LandingNotFound, match="no file in landing matches"):
        ingest.files(lake, str(tmp_path / "in"), "raw.t")
    parquet(tmp_path / "in" / "a.parquet", [{"id": 1}])
    with pytest.raises(MissingColumns, match=r"raw\.t: missing columns \['key'\]; found \['id'\]"):
        ingest.files(lake, str(tmp_path / "in"), "raw.t", key=["key"])
    with pytest.raises(UsageError, match=r"raw\.t: format 'xls' is unknown; expected one of auto, csv, dms, parquet, "):
        ingest.files(lake, str(tmp_path / "in"), "raw.t", format="xls")
    assert lake.tables() == []


def test_landing_names_are_relative_and_hidden_files_are_left_alone(tmp_path):
    (tmp_path / "x").mkdir()
    for name in ("b.xml", "a.xml", ".hidden", "x/c.xml"):
        (tmp_path / name).write_text("x")
    assert [file.name for file in landing.find(str(tmp_path))] == ["a.xml", "b.xml", "x/c.xml"]
    assert [file.name for file in landing.find(f"{tmp_path}/*/c.xml")] == ["x/c.xml"]
    assert [file.name for file in landing.find(f"{tmp_path}/a.xml")] == ["a.xml"]


@embedded_only
def test_a_delivery_of_which_nothing_can_be_read_leaves_the_dataset_alone(lake, tmp_path):
    parquet(tmp_path / "in" / "a.parquet", [{"id": 1}])
    ingest.files(lake, str(tmp_path / "in"), "raw.t", format="parquet")
    (tmp_path / "in" / "a.parquet").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"raw\.t: none of 1 files can be read, so nothing was loaded \(a\.parquet: "):
        ingest.files(lake, str(tmp_path / "in"), "raw.t", format="parquet")
    assert [row["id"] for row in rows_of(lake.read("raw.t"))] == [1]


def test_pipes_are_no_files(tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    os.mkfifo(tmp_path / "b.csv")
    assert [file.name for file in landing.find(str(tmp_path))] == ["a.csv"]
    assert [file.name for file in landing.find(str(tmp_path / "*.csv"))] == ["a.csv"]


def test_brackets_in_a_folder_and_links_that_lead_nowhere(tmp_path):
    folder = tmp_path / "land[1]"
    folder.mkdir()
    (folder / "a.xml").write_text("<a/>")
    (folder / "gone.xml").symlink_to(tmp_path / "nowhere")
    assert [file.name for file in landing.find(str(folder))] == ["a.xml", "gone.xml"]
    assert [file.name for file in landing.find(str(folder / "a.xml"))] == ["a.xml"]
    loaded = ingest.files(Lake(tmp_path / "lake"), str(folder), "raw.t")
    assert [(row["source"], row["rule"]) for row in refusals(loaded)] == [("gone.xml", "unreadable file")]
