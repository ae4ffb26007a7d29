"""Overwriting with the very rows that are there makes no version, whatever their type and order; memory is bounded."""

import subprocess
import sys
from decimal import Decimal
from itertools import combinations
from math import nan

import pyarrow as pa
import pytest

import thresher as th
from thresher.errors import DataError

LIST = pa.list_(pa.int64())
ENTRIES = pa.map_(pa.string(), LIST)

# Of each type, columns that all differ from each other.
DIFFERENT = [
    (pa.float64(), [[0.0, 1.0], [nan, 1.0], [None, 1.0], [nan, nan], [nan, None], [0.0, 0.0]]),
    (pa.float64(), [[0.0], [5e-324], [1e308]]),
    (LIST, [[None], [[]], [[None]], [[0]], [[0, 0]], [[None, None]], [[1, 2]], [[2, 1]], [[1, 2, None]]]),
    (
        pa.struct([("x", pa.int64()), ("y", LIST)]),
        [[None]] + [[{"x": x, "y": y}] for x in (None, 0, 1) for y in (None, [], [None], [1])],
    ),
    (pa.list_(LIST), [[None], [[]], [[None]], [[[]]], [[[], []]], [[[], [1]]], [[[1], []]], [[[1], None]], [[[1]]]]),
    (
        pa.struct([("m's", ENTRIES)]),
        [[None], [{"m's": None}], [{"m's": []}]]
        + [[{"m's": [("a", a), ("b", b)]}] for a in (None, [], [1]) for b in ([2], [None])],
    ),
    (pa.binary(), [[None], [b""], [b"\0"], [b"\0\0"], [b"a\0"], [b"12345678"], [b"12345678\0"], [b"1234567890123"]]),
    (pa.string(), [[None] * 3, ["", "", None], ["NULL"] * 3, ["a", "a", "b"], ["a", "b", "b"], ["b", "b", "b"]]),
    (
        pa.struct([("a", pa.string()), ("b", pa.string())]),
        [[{"a": a, "b": b}] for a in ("x", "", None, "xy") for b in ("y", "", None, "xy")],
    ),
    (pa.decimal128(38, 2), [[Decimal(text)] for text in ("0", "-0.01", "0.01", "1", "123456789012345678901234567890")]),
    (pa.timestamp("us", tz="UTC"), [[None], [-1], [0], [1]]),
    (pa.bool_(), [[None], [False], [True]]),
]


@pytest.mark.parametrize(("kind", "columns"), DIFFERENT, ids=lambda each: str(each)[:30])
def test_other_rows_are_never_taken_for_the_same(kind, columns, tmp_path):
    lake = th.Lake(tmp_path)
    frames = [lake.frame(pa.table({"value": pa.array(column, kind)})) for column in columns]
    found = [(columns[one], columns[two]) for one, two in combinations(range(len(columns)), 2)
             if len(columns[one]) == len(columns[two]) and lake.engine.is_same(frames[one], frames[two])]  # fmt: skip
    assert found == []
    for column, frame in zip(columns, frames, strict=True):
        assert lake.engine.is_same(frame, lake.frame(pa.table({"value": pa.array(column[::-1], kind)})))


def test_rows_that_are_equal_make_no_version(lake):
    kind = pa.struct([("n", pa.float64()), ("l", pa.list_(pa.struct([("m", ENTRIES)])))])
    before = [{"n": -0.0, "l": [{"m": [("a", [1]), ("b", None)]}]}, {"n": nan, "l": None}, None, None]
    again = [None, {"n": nan, "l": None}, {"n": 0.0, "l": [{"m": [("b", None), ("a", [1])]}]}, None]
    other = [None, {"n": nan, "l": []}, {"n": 0.0, "l": [{"m": [("b", None), ("a", [1])]}]}, None]
    lake.write("raw.t", pa.table({"value": pa.array(before, kind)}))
    assert lake.write("raw.t", pa.table({"value": pa.array(again, kind)})) == 0
    assert lake.write("raw.t", pa.table({"value": pa.array(other, kind)})) == 1


def test_rows_that_swap_values_are_other_rows(tmp_path):
    lake = th.Lake(tmp_path)
    numbers = list(range(20_000))
    lake.write("raw.t", pa.table({"a": numbers, "b": numbers}))
    assert lake.write("raw.t", pa.table({"a": numbers, "b": numbers[::-1]})) == 1
    assert lake.write("raw.t", pa.table({"a": numbers[::-1], "b": numbers})) == 1


def test_a_partition_with_the_rows_that_are_there_makes_no_version(lake):
    rows = [{"p": 1, "v": "a"}, {"p": 1, "v": "b"}, {"p": 2, "v": "c"}]
    lake.write("raw.t", rows, partition_by=["p"])
    assert lake.write("raw.t", [rows[1], rows[0]], partition={"p": 1}) == 0
    assert lake.write("raw.t", [rows[1], rows[1]], partition={"p": 1}) == 1


def test_what_was_set_aside_is_gone_after_the_write(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    lake = th.Lake(tmp_path / "lake")
    lake.write("raw.t", [{"a": "1"}])
    for query in ("select '2' as a from t", "select cast(cast('x' || a as int) as string) as a from t"):
        try:
            lake.write("raw.t", lake.sql(query, t=lake.read("raw.t")))
        except DataError:
            continue
    assert lake.history("raw.t")[0]["version"] == 1
    assert [path for path in (tmp_path / "tmp").rglob("rows")] == []


MEMORY = """
import sys
import pyarrow as pa
import pyarrow.compute as pc
import thresher as th

def made(batches):
    for batch in batches:
        for start in batch.column("start").to_pylist():
            ids = pa.array(range(start, start + 10_000))
            yield pa.record_batch({"id": ids, "text": pc.utf8_lpad(ids.cast(pa.string()), 400, "0")})

lake = th.Lake(sys.argv[1])
starts = lake.frame(pa.table({"start": range(0, 600_000, 10_000)}))
shape = pa.schema([("id", pa.int64()), ("text", pa.string())])
for _ in range(2):
    version = lake.write("raw.t", lake.engine.map_batches(starts, made, shape, rows_per_call=1))
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(version, int(peak) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc, which Linux alone has")
def test_overwriting_many_rows_takes_little_memory(tmp_path):
    """240 MB of texts."""
    found = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    version, peak_mb = map(int, found.stdout.split())
    assert (version, peak_mb < 600) == (0, True), found.stdout
