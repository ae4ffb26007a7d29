"""The format of a delivery is found in what its files hold, and a load may always name another."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thresher import ingest
from thresher.errors import UsageError
from thresher.ingest.formats.recognition import recognized
from thresher.landing import LandingFile

embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)


def parquet(**columns):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def line(message):
    return json.dumps(message).encode() + b"\n"


ENVELOPE = {"before": None, "after": {"id": 1}, "source": {}, "op": "c", "ts_ms": 1}
CANAL = {"data": [{"id": "1"}], "database": "d", "table": "t", "type": "INSERT", "isDdl": False, "ts": 1}
MAXWELL = {"database": "d", "table": "t", "type": "insert", "ts": 1, "data": {"id": 1}}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a": parquet(id=[1])}, "parquet"),
        ({"a": parquet(Op=["I"], id=[1])}, "dms"),
        ({"a": parquet(id=[1])[:-9]}, "parquet"),
        ({"a": parquet(id=[1]), "b": b"\0" * 99}, "parquet"),
        ({"LOAD00000001.parquet": parquet(id=[1])}, "dms"),
        ({"a": b"id,name\n1,x\n"}, "csv"),
        ({"a": b"1;x;2,5\n2;y;3,5\n"}, "csv"),
        ({"a.csv": b"only one column\n"}, "csv"),
        ({"a.csv.gz": gzip.compress(b"id\tname\n1\tx\n")}, "csv"),
        ({"a": "id,name\n1,x\n".encode("utf-16")}, "csv"),
        ({"a": b"Op,id\nI,1\nD,1\n"}, "dms"),
        ({"a": b"I,1,x\nU,1,y\n"}, "dms"),
        ({"t/LOAD00000001.csv": b"1,x\n"}, "dms"),
        ({"t/2024/08/09/20240809-192717787.csv": b"1,x\n"}, "dms"),
        ({"a.csv": b"1,x\n2,y\n", "b.csv": b"I,3,z\nU,3,y\n"}, "dms"),
        ({"a": line({"id": 1})}, "json"),
        ({"a": b'[{"id": 1}, {"id": 2}]'}, "json"),
        ({"a": line({"op": "renamed", "id": 1})}, "json"),
        ({"a": gzip.compress(line(ENVELOPE))}, "debezium"),
        ({"a": line({"schema": {}, "payload": ENVELOPE})}, "debezium"),
        ({"a": line({"key": {"id": 1}, "value": ENVELOPE})}, "debezium"),
        ({"a.txt": b'{"id": 1}\t' + line(ENVELOPE)}, "debezium"),
        ({"a": line({"topic": "t", "key": '{"id": 1}', "payload": json.dumps(ENVELOPE)})}, "debezium"),
        ({"a": line({"id": 1, "__op": "c", "__deleted": "false"})}, "debezium"),
        ({"a": b"null\n" + line({"ts_ms": 1}) + line(ENVELOPE)}, "debezium"),
        ({"a": line({"op": ["c"], "after": {"id": 1}})}, "json"),
        ({"a": line({**ENVELOPE, "after": {"id": 1, "text": "x" * 100_000}})}, "debezium"),
        ({"a": line(CANAL)}, "canal"),
        ({"a": line(MAXWELL)}, "maxwell"),
        ({"a": line({"type": "database-create", "database": "d", "ts": 1}) + line(MAXWELL)}, "maxwell"),
        ({"20240809-192717787.json": line(MAXWELL)}, "maxwell"),
        ({"a": b"<a/>", "b": b"<b/>"}, "documents"),
        ({"a.pdf": b"%PDF-1.7\n\0\1\2"}, "documents"),
        ({"a.txt": b""}, "documents"),
        ({"a": b""}, "documents"),
        ({"a": b"PAR1", "b": b"id,name\n1,x\n", "c": b"\xff\xfe"}, "csv"),
    ],
)
def test_by_content(tmp_path, files, expected):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    landed = [LandingFile(tmp_path / name, name) for name in [*files, "gone"]]
    assert recognized(landed, {}) == expected


@embedded_only
def test_a_named_format_is_used_whatever_the_files_look_like(lake, tmp_path):
    (tmp_path / "LOAD00000001.csv").write_text("id,v\n1,a\n")
    ingest.files(lake, str(tmp_path / "*.csv"), "raw.rows", format="csv")
    ingest.files(lake, str(tmp_path / "*.csv"), "raw.bytes", format="documents")
    assert lake.read("raw.rows").to_arrow().select(["id", "v"]).to_pylist() == [{"id": 1, "v": "a"}]
    assert lake.read("raw.bytes").to_arrow().select(["content"]).to_pylist() == [{"content": b"id,v\n1,a\n"}]


@embedded_only
def test_a_file_of_another_format_is_refused(lake, tmp_path):
    (tmp_path / "a.parquet").write_bytes(parquet(id=[1]))
    (tmp_path / "b.parquet").write_bytes(parquet(id=[2]))
    (tmp_path / "c.csv").write_text("id\n3\n")
    loaded = ingest.files(lake, str(tmp_path / "*.*"), "raw.t")
    assert sorted(row["id"] for row in lake.read("raw.t").to_arrow().to_pylist()) == [1, 2]
    assert [row["source"] for row in loaded.refused.to_arrow().to_pylist()] == ["c.csv"]


@embedded_only
def test_options_of_another_format_are_refused(lake, tmp_path):
    (tmp_path / "a.parquet").write_bytes(parquet(id=[1]))
    with pytest.raises(UsageError, match=r"raw\.t: format parquet: unknown options \['delimiter'\]; expected none"):
        ingest.files(lake, str(tmp_path / "*.parquet"), "raw.t", options={"delimiter": ";"})
