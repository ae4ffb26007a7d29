"""Datasets: what goes in comes out, on both engines; what would lose something is refused."""

import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

import thresher as th
from thresher.errors import (
    DataError,
    DatasetNotFound,
    DuplicateKeys,
    InvalidName,
    LakeError,
    MissingColumns,
    NotPortable,
    ParameterError,
    SchemaMismatch,
    SqlError,
    UsageError,
)
from thresher.lake import Merged

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)

ALL_TYPES = pa.schema(
    [
        ("flag", pa.bool_()),
        ("tiny", pa.int8()),
        ("small", pa.int16()),
        ("whole", pa.int32()),
        ("long", pa.int64()),
        ("single", pa.float32()),
        ("double", pa.float64()),
        ("amount", pa.decimal128(28, 8)),
        ("text", pa.string()),
        ("bytes", pa.binary()),
        ("day", pa.date32()),
        ("instant", pa.timestamp("us", tz="UTC")),
        ("local", pa.timestamp("us")),
        ("nested", pa.struct([("a", pa.int64()), ("list", pa.list_(pa.struct([("b", pa.string())])))])),
    ]
)
ROW = {
    "flag": True,
    "tiny": -128,
    "small": 32767,
    "whole": -(2**31),
    "long": 2**63 - 1,
    "single": 1.5,
    "double": 0.1,
    "amount": Decimal("12345678901234567890.12345678"),
    "text": "äöü € 𝄞 '\"\\\n",
    "bytes": b"\x00\xff",
    "day": date(1582, 10, 15),
    "instant": datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
    "local": datetime(2024, 2, 29, 1, 2, 3, 4),
    "nested": {"a": 1, "list": [{"b": "x"}, {"b": None}]},
}
NULLS = dict.fromkeys(ROW)
EMPTY_NESTED = NULLS | {"long": 0, "nested": {"a": None, "list": []}}


def rows_of(frame, order):
    return sorted(frame.to_arrow().to_pylist(), key=lambda row: str(row[order]))


def test_every_type_comes_back_as_it_went_in(lake):
    lake.write("raw.types", pa.Table.from_pylist([ROW, NULLS, EMPTY_NESTED], schema=ALL_TYPES))
    found = lake.read("raw.types")
    assert found.schema == pa.schema([pa.field(f.name, th.types.canonical(f.type)) for f in ALL_TYPES])
    assert rows_of(found, "long") == [EMPTY_NESTED, ROW, NULLS]
    assert lake.schema("raw.types") == found.schema


def test_append_overwrite_and_time_travel(lake):
    assert lake.write("raw.t", [{"a": 1}]) == 0
    assert lake.write("raw.t", [{"a": 2}], mode="append") == 1
    assert lake.write("raw.t", [{"a": 3}]) == 2
    assert [lake.read("raw.t", version).to_arrow().to_pydict()["a"] for version in (0, 2)] == [[1], [3]]
    assert rows_of(lake.read("raw.t", 1), "a") == [{"a": 1}, {"a": 2}]
    assert [entry["version"] for entry in lake.history("raw.t")] == [2, 1, 0]


def test_overwriting_with_the_rows_that_are_there_makes_no_version(lake):
    lake.write("raw.t", [{"a": 1, "n": {"x": [1]}}, {"a": 1, "n": {"x": [1]}}, {"a": 2, "n": None}])
    assert lake.write("raw.t", [{"a": 2, "n": None}, {"a": 1, "n": {"x": [1]}}, {"a": 1, "n": {"x": [1]}}]) == 0
    assert lake.write("raw.t", [{"a": 2, "n": None}, {"a": 2, "n": None}, {"a": 1, "n": {"x": [1]}}]) == 1


def test_a_frame_keeps_its_version_while_the_dataset_moves_on(lake):
    lake.write("raw.t", [{"a": 1}])
    before = lake.read("raw.t")
    lake.write("raw.t", [{"a": 2}])
    assert before.to_arrow().to_pylist() == [{"a": 1}]


def test_overwriting_one_partition_leaves_the_others(lake):
    rows = [{"year": 2024, "a": 1}, {"year": 2025, "a": 2}]
    lake.write("raw.t", rows, partition_by=["year"])
    lake.write("raw.t", [{"year": 2025, "a": 3}], partition={"year": 2025})
    assert rows_of(lake.read("raw.t"), "a") == [{"year": 2024, "a": 1}, {"year": 2025, "a": 3}]


def test_merge_counts_null_safe_changes(lake):
    lake.write("raw.t", [{"k": 1, "v": "a"}, {"k": 2, "v": None}, {"k": None, "v": "n"}, {"k": 4, "v": "same"}])
    delivered = [
        {"k": 1, "v": None},
        {"k": 2, "v": "b"},
        {"k": None, "v": "m"},
        {"k": 4, "v": "same"},
        {"k": 5, "v": "new"},
    ]
    assert lake.merge("raw.t", delivered, ["k"]) == Merged(inserted=1, updated=3, unchanged=1)
    assert rows_of(lake.read("raw.t"), "k") == sorted(delivered, key=lambda row: str(row["k"]))
    assert lake.merge("raw.t", delivered, ["k"]) == Merged(inserted=0, updated=0, unchanged=5)
    assert lake.history("raw.t")[0]["version"] == 1


def test_merge_on_several_keys_and_any_column_names(lake):
    lake.write("raw.t", [{"select": 1, 'a"b': 0, "_there": "x", "true": 1.5}])
    rows = [
        {"select": 1, 'a"b': 0, "_there": "y", "true": 1.5},
        {"select": 1, 'a"b': 2, "_there": "z", "true": 2.5},
    ]
    assert lake.merge("raw.t", rows, ["select", 'a"b']) == Merged(inserted=1, updated=1, unchanged=0)
    assert rows_of(lake.read("raw.t"), "_there") == rows


def test_merge_refuses_to_guess_among_rows_that_share_a_key(lake):
    lake.write("raw.t", [{"k": 1, "v": 1}, {"k": 1, "v": 2}, {"k": 2, "v": 1}])
    with pytest.raises(DuplicateKeys, match=r"raw\.t: key \['k'\] is not unique"):
        lake.merge("raw.t", [{"k": 1, "v": 3}], ["k"])
    assert lake.merge("raw.t", [{"k": 2, "v": 3}], ["k"]) == Merged(inserted=0, updated=1, unchanged=0)


@embedded_only
def test_merge_creates_the_dataset(lake):
    assert lake.merge("raw.t", [{"k": 1}], ["k"]) == Merged(inserted=1, updated=0, unchanged=0)


def test_merge_refuses_a_key_that_stands_twice(lake):
    with pytest.raises(DuplicateKeys, match=r"raw\.t: key \['k'\] is not unique: 1 keys stand in several rows"):
        lake.merge("raw.t", [{"k": 1, "v": 1}, {"k": 1, "v": 2}], ["k"])
    with pytest.raises(MissingColumns, match=r"raw\.t: missing columns \['x'\]; found \['k'\]"):
        lake.merge("raw.t", [{"k": 1}], ["x"])
    assert not lake.exists("raw.t")


def test_delete_counts_and_leaves_rows_for_which_the_condition_is_null(lake):
    lake.write("raw.t", [{"a": 1}, {"a": 2}, {"a": None}])
    assert lake.delete("raw.t", "a > 1") == 1
    assert lake.delete("raw.t", "a > 1") == 0
    assert rows_of(lake.read("raw.t"), "a") == [{"a": 1}, {"a": None}]


def test_sql_across_datasets_and_frames_with_parameters(lake):
    lake.write("raw.a", [{"k": 1, "name": 'O\'Hara \\ "x"'}, {"k": 2, "name": "other"}])
    found = lake.sql(
        "select a.k, r.v from raw.a join r on a.k = r.k where a.name = :name",
        {"name": 'O\'Hara \\ "x"'},
        r=[{"k": 1, "v": "x"}, {"k": 2, "v": "y"}],
    )
    assert found.to_arrow().to_pylist() == [{"k": 1, "v": "x"}]
    assert found.count() == 1
    assert found.head(0).count() == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1.5, "b": "x"}], "raw.t: column a is double in the rows, bigint in the dataset. "),
        ([{"a": 1}], "raw.t: the rows have no columns ['b']; the dataset has ['a', 'b']. "),
        ([{"a": 1, "b": "x", "c": 1}], "raw.t: the rows have new columns ['c']; the dataset has ['a', 'b']. "),
    ],
)
@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_rows_that_do_not_fit_are_refused(lake, rows, message, mode):
    lake.write("raw.t", [{"a": 1, "b": "x"}])
    with pytest.raises(SchemaMismatch) as error:
        lake.write("raw.t", rows, mode=mode)
    assert str(error.value).startswith(message)
    assert lake.read("raw.t").to_arrow().to_pylist() == [{"a": 1, "b": "x"}]


def test_narrower_numbers_are_widened_without_loss(lake):
    wide = pa.schema([("i", pa.int64()), ("d", pa.decimal128(12, 4)), ("f", pa.float64())])
    lake.write("raw.t", pa.Table.from_pylist([{"i": 1, "d": Decimal("1.5"), "f": 0.5}], schema=wide))
    narrow = pa.schema([("f", pa.float32()), ("i", pa.int8()), ("d", pa.decimal128(6, 2))])
    lake.write("raw.t", pa.Table.from_pylist([{"i": 2, "d": Decimal("2.25"), "f": 0.25}], schema=narrow), mode="append")
    assert rows_of(lake.read("raw.t"), "i") == [
        {"i": 1, "d": Decimal("1.5000"), "f": 0.5},
        {"i": 2, "d": Decimal("2.2500"), "f": 0.25},
    ]


def test_evolve_adds_columns_and_fills_missing_ones(lake):
    lake.write("raw.t", [{"a": 1, "b": "x"}])
    lake.write("raw.t", [{"a": 2, "c": True}], mode="append", schema="evolve")
    assert rows_of(lake.read("raw.t"), "a") == [
        {"a": 1, "b": "x", "c": None},
        {"a": 2, "b": None, "c": True},
    ]


def test_an_empty_text_in_a_partition_is_refused(lake):
    with pytest.raises(SchemaMismatch, match="an empty text in a partition column .* would come back as null"):
        lake.write("raw.t", [{"p": "", "v": 1}], partition_by=["p"])
    with pytest.raises(UsageError, match=r"raw\.t: found partition_by=\['p'\], which are all of its columns"):
        lake.write("raw.t", [{"p": "a"}], partition_by=["p"])
    lake.write("raw.t", [{"p": "a", "v": 1}], partition_by=["p"])
    with pytest.raises(UsageError, match=r"raw\.t is partitioned by \['p'\], found partition_by=\['v'\]"):
        lake.write("raw.t", [{"p": "b", "v": 1}], mode="append", partition_by=["v"])


def test_a_query_that_fails_while_it_is_written_says_so_and_writes_nothing(tmp_path):
    lake = th.Lake(tmp_path)
    lake.write("raw.t", [{"a": "x"}])
    for write in (lambda rows: lake.write("raw.t", rows), lambda rows: lake.merge("raw.t", rows, ["a"])):
        with pytest.raises(DataError, match="text that is no integer: x"):
            write(lake.sql("select cast(cast(a as int) as string) as a from raw.t"))
    assert lake.history("raw.t")[0]["version"] == 0


def test_frames_of_two_lakes_can_be_joined(tmp_path):
    one, other = th.Lake(tmp_path / "one"), th.Lake(tmp_path / "other")
    one.write("raw.t", [{"v": "one"}])
    other.write("raw.t", [{"v": "other"}])
    found = other.sql("select a.v as a, b.v as b from a cross join b", a=one.read("raw.t"), b=other.read("raw.t"))
    assert found.to_arrow().to_pylist() == [{"a": "one", "b": "other"}]


@embedded_only
def test_columns_that_differ_only_in_case_are_refused(lake):
    with pytest.raises(InvalidName, match="rows: column 'A' has the name of 'a', case aside"):
        lake.write("raw.t", pa.table({"a": [1], "A": [2]}))


@pytest.mark.parametrize(
    "name", ["courses", "raw.", "raw.A", "raw.1a", "raw.a-b", "raw.a/b", "../raw.a", "raw.a.b", "x.a"]
)
def test_names_are_validated(name, tmp_path):
    with pytest.raises(InvalidName, match="dataset name .* is not allowed; expected zone.name"):
        th.Lake(tmp_path).read(name)


def test_what_is_not_there_is_named(tmp_path):
    lake = th.Lake(tmp_path / "lake")
    with pytest.raises(DatasetNotFound, match=r"no dataset raw\.t in lake .*\. The lake holds: nothing\."):
        lake.read("raw.t")
    lake.write("raw.courses", [{"a": 1}])
    with pytest.raises(DatasetNotFound, match=r"Did you mean raw\.courses\?"):
        lake.sql("select * from raw.course")
    with pytest.raises(LakeError, match=r"raw\.courses version 7 in lake"):
        lake.read("raw.courses", 7)
    with pytest.raises(ParameterError, match="the query names :b, which got no value"):
        lake.sql("select a from raw.courses where a = :b")
    with pytest.raises(ParameterError, match=r"parameters \['c'\] are not in the query"):
        lake.sql("select a from raw.courses", {"c": 1})
    with pytest.raises(SqlError, match="b"):
        lake.sql("select b from raw.courses")
    with pytest.raises(NotPortable):
        lake.sql("select rand() as r from raw.courses")


def test_a_lake_must_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LakeError, match="is a file; expected a folder"):
        th.Lake(tmp_path / "file")
    with pytest.raises(UsageError, match="object stores are not supported yet"):
        th.Lake("s3://bucket/lake")


def test_a_dataset_whose_log_is_broken_is_an_error(tmp_path):
    lake = th.Lake(tmp_path)
    lake.write("raw.t", [{"a": 1}])
    (tmp_path / "raw" / "t" / "_delta_log" / "00000000000000000000.json").write_text("{not json")
    with pytest.raises(LakeError, match=r"raw\.t in lake .* cannot be read"):
        lake.read("raw.t")


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    lake = th.Lake(tmp_path)
    lake.write("raw.t", [{"k": 0, "v": 0}])

    def work(number):
        mine = th.Lake(tmp_path)
        for round_ in range(4):
            mine.merge("raw.t", [{"k": number * 10 + round_, "v": number}], ["k"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lake.read("raw.t").count() == 13


@embedded_only
def test_tables_tells_rows_columns_and_versions(lake):
    lake.write("raw.t", [{"a": 1}, {"a": 2}])
    lake.write("mart.dim_x", [{"x_key": 1, "n": {"l": ["a"]}}])
    dim, raw = lake.tables()
    assert (dim.name, dim.zone, dim.rows, dim.columns) == (
        "mart.dim_x",
        "mart",
        1,
        (("x_key", "bigint"), ("n", "struct<l: array<string>>")),
    )
    assert (raw.name, raw.rows, raw.version) == ("raw.t", 2, 0)
    assert [table.name for table in lake.tables("raw")] == ["raw.t"]


def test_the_run_is_kept_with_the_commit(lake, monkeypatch):
    monkeypatch.setenv("THRESHER_RUN_ID", "courses-1")
    lake.write("raw.t", [{"a": 1}])
    assert lake.history("raw.t")[0]["run"] == "courses-1"


@embedded_only
def test_a_frame_shows_data_as_text(lake):
    frame = lake.frame(pa.table({"name": ["<script>x</script>", None], "n": [Decimal("1225.50000000"), None]}))
    html = frame._repr_html_()
    assert "<td>&lt;script&gt;x&lt;/script&gt;</td>" in html and "<td>1,225.50</td>" in html and "2 rows" in html


@embedded_only
def test_a_condition_passes_over_no_row_that_a_file_holds(lake):
    """Of many digits and of NaN the log tells other ends than a file has; for Arrow NaN is greater than nothing."""
    for name, partition_by in (("raw.whole", []), ("raw.parted", ["k"])):
        rows = "select 1 as k, cast(123456789012345.25 as decimal(20,2)) as d, cast('NaN' as double) as f"
        lake.write(name, lake.sql(rows), partition_by=partition_by)
        found = lake.sql(f"select k from {name} where d > cast('123456789012345.24' as decimal(20,2)) and f > 2")
        assert found.to_arrow().to_pylist() == [{"k": 1}]
