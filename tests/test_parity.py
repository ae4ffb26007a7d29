"""Parity tells every way in which two lakes can differ."""

import pyarrow as pa

from thresher.lake import Lake
from thresher.parity import Comparison, Parity, Usage, compare


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


def test_floating_numbers_may_differ_behind_the_12th_digit(tmp_path):
    one, other = (Lake(tmp_path / name) for name in ("one", "other"))
    one.write("mart.sums", [{"k": "a", "s": 0.1 + 0.2}, {"k": "b", "s": None}, {"k": "c", "s": 5.0}])
    other.write("mart.sums", [{"k": "a", "s": 0.3}, {"k": "b", "s": None}, {"k": "c", "s": 5.0}])
    one.write("mart.off", [{"k": "a", "s": 1.0}])
    other.write("mart.off", [{"k": "a", "s": 1.00000000001}])
    assert compare(one, other) == (
        Comparison(
            "mart.off",
            1,
            1,
            "1 rows only here, 1 only there",
            ({"k": "a", "s": 1.0},),
            ({"k": "a", "s": 1.00000000001},),
        ),
        Comparison("mart.sums", 3, 3, is_close=True),
    )


def test_parity_reads_as_a_table():
    equal = Comparison("raw.a", 1200, 1200)
    close = Comparison("raw.c", 2, 2, is_close=True)
    here = ({"id": 1, "a": 1, "b": None}, {"id": 9, "a": 7, "b": 7})
    there = ({"id": 1, "a": 2, "b": None},)
    differing = Comparison("raw.bc", 1, 1, "2 rows only here, 1 only there", here, there)
    usage = Usage(9.04, 200 * 2**20), Usage(70.5, 2000 * 2**20)
    parity = Parity("courses", "duckdb", "spark", *usage, (equal, differing, close))
    assert str(parity).splitlines() == [
        "courses: duckdb 9.0 s, 200 MiB; spark 70.5 s, 2,000 MiB",
        "  raw.a       1,200 rows  equal",
        "  raw.bc          1 rows  2 rows only here, 1 only there",
        "    row with id=1, b=None",
        "      a: 1 on duckdb, 2 on spark",
        "    only on duckdb: {'id': 9, 'a': 7, 'b': 7}",
        "  raw.c           2 rows  equal, floating numbers to 12 digits",
        "1 of 3 datasets differ",
    ]
    assert not parity.is_equal
    assert str(Parity("c", "duckdb", "spark", *usage, (equal,))).endswith("all datasets are equal")
