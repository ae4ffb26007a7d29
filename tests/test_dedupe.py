"""Dedupe keeps one row, always the same one, and hands out the others."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thresher as th
from thresher import dedupe
from thresher.counts import Counts
from thresher.errors import MissingColumns, UsageError


def in_order(rows):
    return sorted(rows, key=lambda row: str(sorted(row.items())))


def rows_of(frame):
    return in_order(frame.to_arrow().to_pylist())


def test_latest_keeps_the_largest_and_counts_the_rest(lake):
    rows = lake.frame(
        [
            {"id": 1, "name": "old", "day": date(2024, 1, 1)},
            {"id": 1, "name": "new", "day": date(2024, 1, 2)},
            {"id": 1, "name": "undated", "day": None},
            {"id": None, "name": "no id", "day": date(2024, 1, 1)},
            {"id": None, "name": "no id, later", "day": date(2024, 1, 3)},
            {"id": 3, "name": "alone", "day": None},
        ]
    )
    result = dedupe.latest(rows, keys=["id"], order_by=["day"])
    assert rows_of(result.kept) == in_order(
        [
            {"id": 1, "name": "new", "day": date(2024, 1, 2)},
            {"id": 3, "name": "alone", "day": None},
            {"id": None, "name": "no id, later", "day": date(2024, 1, 3)},
        ]
    )
    assert {row["name"] for row in rows_of(result.removed)} == {"old", "undated", "no id"}
    assert result.counts("curated.t") == Counts("curated.t", rows_in=6, rows_out=3, duplicate=3)


def test_ties_are_decided_by_the_other_columns(lake):
    versions = [{"id": 1, "day": 1, "name": name, "n": {"x": 1}} for name in ("b", "c", "a", None)]
    for rows in (versions, versions[::-1]):
        result = dedupe.latest(lake.frame(rows), keys=["id"], order_by=["day"])
        assert [row["name"] for row in rows_of(result.kept)] == ["c"]


def test_exact_compares_nulls_and_nested_values_whole(lake):
    kind = pa.schema([("a", pa.int64()), ("n", pa.struct([("l", pa.list_(pa.string()))])), ("_file", pa.string())])
    rows = [
        {"a": None, "n": {"l": ["x", None]}, "_file": "2"},
        {"a": None, "n": {"l": ["x", None]}, "_file": "1"},
        {"a": None, "n": {"l": [None, "x"]}, "_file": "3"},
        {"a": None, "n": {"l": []}, "_file": "4"},
        {"a": None, "n": {"l": None}, "_file": "5"},
        {"a": None, "n": None, "_file": "6"},
        {"a": None, "n": None, "_file": None},
    ]
    result = dedupe.exact(lake.frame(pa.Table.from_pylist(rows, schema=kind)), ignore=["_file"])
    assert sorted(row["_file"] for row in rows_of(result.kept)) == ["1", "3", "4", "5", "6"]
    assert sorted(str(row["_file"]) for row in rows_of(result.removed)) == ["2", "None"]


def test_floating_numbers_and_nested_first_columns(lake):
    nan = float("nan")
    rows = [{"n": {"x": 1}, "d": value} for value in (nan, nan, 0.0, -0.0, 1.5, None, None)]
    result = dedupe.exact(lake.frame(rows))
    assert sorted(str(abs(row["d"]) if row["d"] is not None else None) for row in rows_of(result.kept)) == [
        "0.0",
        "1.5",
        "None",
        "nan",
    ]
    assert result.removed.count() == 3


def test_what_cannot_be_done_is_named(tmp_path):
    rows = th.Lake(tmp_path).frame([{"a": 1}])
    with pytest.raises(MissingColumns, match=r"dedupe\.latest: missing columns \['b'\]; found \['a'\]"):
        dedupe.latest(rows, keys=["a"], order_by=["b"])
    with pytest.raises(UsageError, match="keys and order_by name columns"):
        dedupe.latest(rows, keys=["a"], order_by=[])
    with pytest.raises(UsageError, match="every column is ignored"):
        dedupe.exact(rows, ignore=["a"])


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    return th.Lake(tmp_path_factory.mktemp("lake"))


values = st.one_of(st.none(), st.integers(-2, 2))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries({"k": values, "o": values, "v": values}), min_size=1))
def test_latest_agrees_with_a_plain_loop(embedded, rows):
    kind = pa.schema([(name, pa.int64()) for name in "kov"])
    result = dedupe.latest(embedded.frame(pa.Table.from_pylist(rows, schema=kind)), keys=["k"], order_by=["o"])
    rank = lambda value: (value is not None, value or 0)  # noqa: E731
    expected = {}
    for row in sorted(rows, key=lambda row: (rank(row["o"]), rank(row["v"]))):
        expected[row["k"]] = row
    assert rows_of(result.kept) == in_order(expected.values())
    assert result.removed.count() == len(rows) - len(expected)
