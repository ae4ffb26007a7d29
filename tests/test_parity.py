"""Parity tells every way in which two lakes can differ."""

import pyarrow as pa

from thresher.lake import Lake
from thresher.parity import Comparison, Parity, compare


def test_every_kind_of_difference_is_told(tmp_path):
    one, other = (Lake(tmp_path / name) for name in ("one", "other"))
    for lake in (one, other):
        lake.write("raw.same", [{"a": 1, "n": {"x": []}}, {"a": 1, "n": {"x": [1]}}])
        lake.write("quarantine.raw_same", [{"source": "f", "run": lake.path.name}])
    one.write("curated.run", [{"run": "1"}])
    other.write("curated.run", [{"run": "2"}])
    one.write("raw.only", [{"a": 1}])
    one.write("raw.rows", [{"a": 1}, {"a": 1}, {"a": 2}])
    other.write("raw.rows", [{"a": 1}, {"a": 2}, {"a": 2}])
    one.write("raw.types", pa.table({"a": pa.array([1], pa.int32())}))
    other.write("raw.types", pa.table({"a": pa.array([1], pa.int64())}))
    one.write("raw.order", [{"a": 1, "b": 1}])
    other.write("raw.order", [{"b": 1, "a": 1}])
    assert compare(one, other) == (
        Comparison("curated.run", 1, 1, "1 rows only here, 1 only there", ({"run": "1"},), ({"run": "2"},)),
        Comparison("quarantine.raw_same", 1, 1),
        Comparison("raw.only", 1, None, "the dataset is there on one engine only"),
        Comparison("raw.order", 1, 1, "other order of columns: ['a', 'b'] here, ['b', 'a'] there"),
        Comparison("raw.rows", 3, 3, "1 rows only here, 1 only there", ({"a": 1},), ({"a": 2},)),
        Comparison("raw.same", 2, 2),
        Comparison("raw.types", 1, 1, "a: int here, bigint there"),
    )


def test_parity_reads_as_a_table():
    equal = Comparison("raw.a", 1200, 1200)
    differing = Comparison("raw.bc", 1, 1, "1 rows only here, 1 only there", ({"a": 1},), ({"a": 2},))
    parity = Parity("courses", "duckdb", "spark", 9.04, 70.5, (equal, differing))
    assert str(parity).splitlines() == [
        "courses: duckdb 9.0 s, spark 70.5 s",
        "  raw.a       1,200 rows  equal",
        "  raw.bc          1 rows  1 rows only here, 1 only there",
        "    only on duckdb: {'a': 1}",
        "    only on spark: {'a': 2}",
        "1 of 2 datasets differ",
    ]
    assert not parity.is_equal
    assert str(Parity("c", "duckdb", "spark", 1, 1, (equal,))).endswith("all datasets are equal")
