"""The Spark engine keeps the engines' contract, and its tables are those of the embedded engine."""

import datetime as dt
import gc
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyspark
import pytest
from deltalake import DeltaTable, write_deltalake

from thresher.engines.spark import SparkEngine, session
from thresher.errors import DataError, LakeError, SchemaMismatch, SqlError, WriteConflict
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ, canonical_schema

pytestmark = pytest.mark.spark

NOON = dt.datetime(2024, 1, 31, 12, 30, 0, 1)
EVERY_KIND = pa.table(
    {
        "flag": pa.array([True, None]),
        "tiny": pa.array([-128, None], pa.int8()),
        "small": pa.array([32767, None], pa.int16()),
        "whole": pa.array([2**31 - 1, None], pa.int32()),
        "big": pa.array([-(2**63), None], pa.int64()),
        "single": pa.array([1.5, None], pa.float32()),
        "double": pa.array([0.1, None], pa.float64()),
        "amount": pa.array([Decimal("-12345678.90"), None], pa.decimal128(10, 2)),
        "wide": pa.array([Decimal("9" * 38), None], pa.decimal128(38, 0)),
        "text": pa.array(["{a} 'b' \\ ü", None]),
        "bytes": pa.array([b"\x00\xff", None]),
        "day": pa.array([dt.date(1582, 10, 4), None]),
        "instant": pa.array([NOON.replace(tzinfo=dt.UTC), None], TIMESTAMP),
        "wall": pa.array([dt.datetime(1899, 12, 31, 23, 59, 59, 999999), None], TIMESTAMP_NTZ),
        "nested": pa.array(
            [{"id": 1, "tags": ["a", None], "parts": [{"n": Decimal("1.5")}, None]}, None],
            pa.struct(
                [
                    ("id", pa.int64()),
                    ("tags", pa.list_(pa.field("element", pa.string()))),
                    ("parts", pa.list_(pa.field("element", pa.struct([("n", pa.decimal128(3, 1))])))),
                ]
            ),
        ),
    }
)


@pytest.fixture
def spark_engine(spark_home: Path) -> Iterator[SparkEngine]:
    engine = SparkEngine("spark")
    yield engine
    engine.close()


def commit(engine: SparkEngine, table: Path, rows: pa.Table, mode: str = "append", **other: Any) -> None:
    options: dict[str, Any] = {"partition_by": [], "replace_where": None, "schema_mode": None, "note": {}}
    engine.write(table, engine.from_arrow(rows), mode=mode, **(options | other))


def rows_of(engine: SparkEngine, table: Path, *order: str) -> list[dict[str, Any]]:
    return engine.read(table).to_arrow().sort_by([(column, "ascending") for column in order]).to_pylist()


def test_every_type_goes_there_and_back(spark_engine: SparkEngine) -> None:
    frame = spark_engine.from_arrow(EVERY_KIND)
    assert frame.schema == canonical_schema(EVERY_KIND.schema) == EVERY_KIND.schema
    assert frame.to_arrow() == EVERY_KIND
    assert all(batch.schema == frame.schema for batch in frame.batches())


def test_tables_go_from_spark_to_deltalake_and_back(spark_engine: SparkEngine, tmp_path: Path) -> None:
    by_spark, by_deltalake = tmp_path / "raw" / "by_spark", tmp_path / "raw" / "by_deltalake"
    commit(spark_engine, by_spark, EVERY_KIND)
    assert pa.table(DeltaTable(by_spark).to_pyarrow_table()).cast(EVERY_KIND.schema) == EVERY_KIND
    write_deltalake(by_spark, EVERY_KIND, mode="append")

    write_deltalake(by_deltalake, EVERY_KIND)
    assert spark_engine.read(by_deltalake).schema == EVERY_KIND.schema
    assert spark_engine.read(by_deltalake).to_arrow() == EVERY_KIND
    commit(spark_engine, by_deltalake, EVERY_KIND)
    spark_engine.upsert(by_deltalake, spark_engine.from_arrow(EVERY_KIND.slice(0, 1)), ["big"], 1, {})

    for table in by_spark, by_deltalake:
        assert spark_engine.read(table).count() == 4
        assert DeltaTable(table).to_pyarrow_table().num_rows == 4
        assert set(DeltaTable(table).protocol().reader_features or []) <= {"timestampNtz"}


def test_a_query_reads_frames_by_their_names(spark_engine: SparkEngine) -> None:
    books = spark_engine.from_arrow(pa.table({"k": [1, 2], "title": ["{x}", "b"]}))
    prices = spark_engine.from_arrow(pa.table({"k": [2, 1], "price": [20, 10]}))
    query = "with b as (select * from curated.books) select b.title, p.price, '{y}' as y from b join prices p using (k)"
    joined = spark_engine.sql(query, {"curated.books": books, "prices": prices})
    assert joined.schema == pa.schema({"title": pa.string(), "price": pa.int64(), "y": pa.string()})
    assert sorted(joined.to_arrow().to_pylist(), key=str) == [
        {"title": "b", "price": 20, "y": "{y}"},
        {"title": "{x}", "price": 10, "y": "{y}"},
    ]
    over_it = spark_engine.sql("select count(*) as n from joined where price > 10", {"joined": joined})
    assert over_it.to_arrow().to_pylist() == [{"n": 1}]
    assert joined.count() == 2 and joined.head(1).count() == 1


@pytest.mark.parametrize(
    ("query", "kind", "message"),
    [
        ("select nope from t", SqlError, r"^\[UNRESOLVED_COLUMN.WITH_SUGGESTION\] .* `nope` cannot be resolved"),
        ("select nope(k) from t", SqlError, r"^\[UNRESOLVED_ROUTINE\] Cannot resolve routine `nope`"),
        ("select cast(s as int) as n from t", DataError, r"^\[CAST_INVALID_INPUT\] The value 'x'"),
        ("select k / 0 as n from t", DataError, r"^\[DIVIDE_BY_ZERO\] Division by zero"),
        ("select cast(k + 9223372036854775807 as bigint) as n from t", DataError, r"^\[ARITHMETIC_OVERFLOW"),
        ("select interval '1' day as n from t", SchemaMismatch, "^column n: type duration"),
        ("select array(parse_json('1')) as n from t", SchemaMismatch, r"^column n\[\]: type variant cannot be stored"),
    ],
)
def test_a_wrong_query_is_refused(spark_engine: SparkEngine, query: str, kind: type, message: str) -> None:
    frame = spark_engine.from_arrow(pa.table({"k": [1], "s": ["x"]}))
    with pytest.raises(kind, match=message) as told:
        spark_engine.sql(query, {"t": frame}).to_arrow()
    assert "_thresher_frame" not in str(told.value) and "JVM stacktrace" not in str(told.value)


def test_a_staged_frame_is_computed_once(spark_engine: SparkEngine) -> None:
    random = spark_engine.sql("select id, uuid() as u from range(100)", {})
    staged = spark_engine.stage(random)
    derived = spark_engine.sql("select * from staged", {"staged": staged})
    del random, staged
    gc.collect()
    assert derived.to_arrow() == derived.to_arrow()


def test_engines_of_one_process_do_not_share_a_session(spark_engine: SparkEngine) -> None:
    other = SparkEngine("spark")
    for engine in spark_engine, other:
        rows = engine.stage(engine.sql("select 1 as k", {}))
        assert engine.sql("select k from rows", {"rows": rows}).to_arrow().to_pylist() == [{"k": 1}]
    other.close()
    assert spark_engine.stage(spark_engine.sql("select 2 as k", {})).to_arrow().to_pylist() == [{"k": 2}]


def test_batches_are_mapped_once_and_exactly(spark_engine: SparkEngine, tmp_path: Path) -> None:
    schema = pa.schema({"k": pa.int64(), "worker": pa.int64()})

    def marked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        assert "pyspark.zip" not in pyspark.__file__  # from which it would be compiled for each session
        for batch in batches:
            with open(tmp_path / "calls", "a") as calls:
                calls.write("x" * batch.num_rows)
            yield pa.record_batch([batch.column("k"), pa.array([os.getpid()] * batch.num_rows)], schema)

    given = spark_engine.from_arrow(pa.table({"k": list(range(100)), "at": pa.array([NOON] * 100, TIMESTAMP_NTZ)}))
    mapped = spark_engine.map_batches(given, marked, schema)
    assert sorted(mapped.to_arrow().column("k").to_pylist()) == list(range(100))
    assert mapped.count() == 100
    assert (tmp_path / "calls").read_text() == "x" * 100


def test_what_a_batch_function_raises_is_told(spark_engine: SparkEngine) -> None:
    given = spark_engine.from_arrow(pa.table({"k": [1]}))

    def refusing(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        raise WriteConflict("first line\nsecond line")
        yield from batches

    with pytest.raises(WriteConflict, match="^first line\nsecond line$"):
        spark_engine.map_batches(given, refusing, given.schema)
    with pytest.raises(SchemaMismatch, match="^a batch function gave\nk: int64\nexpected\nk: string$"):
        spark_engine.map_batches(given, lambda batches: batches, pa.schema({"k": pa.string()}))
    with pytest.raises(DataError, match="ZeroDivisionError"):
        spark_engine.map_batches(given, lambda batches: [1 // 0 for _ in batches], given.schema)  # type: ignore[arg-type,return-value]


def test_a_difference_counts_copies_and_takes_null_and_nan_as_equal(spark_engine: SparkEngine) -> None:
    one = spark_engine.from_arrow(pa.table({"k": pa.array([1, 1, None, 2]), "d": [0.5, 0.5, float("nan"), None]}))
    other = spark_engine.from_arrow(pa.table({"k": pa.array([1, None, 2]), "d": [0.5, float("nan"), None]}))
    assert spark_engine.difference(one, other).to_arrow().to_pylist() == [{"k": 1, "d": 0.5}]
    assert spark_engine.difference(other, one).count() == 0


def test_a_frame_read_does_not_change_with_the_table(spark_engine: SparkEngine, tmp_path: Path) -> None:
    table = tmp_path / "raw" / "t"
    commit(spark_engine, table, pa.table({"k": [1]}))
    before = spark_engine.read(table)
    commit(spark_engine, table, pa.table({"k": [2]}), mode="overwrite")
    assert before.to_arrow().to_pylist() == [{"k": 1}]
    assert spark_engine.read(table).to_arrow().to_pylist() == [{"k": 2}]
    assert spark_engine.read(table, 0).to_arrow().to_pylist() == [{"k": 1}]
    with pytest.raises(LakeError, match="cannot be read as a Delta table"):
        spark_engine.read(table, 7)
    with pytest.raises(LakeError, match="cannot be read as a Delta table"):
        spark_engine.read(tmp_path / "raw" / "nothing")


def test_a_table_can_be_overwritten_from_itself(spark_engine: SparkEngine, tmp_path: Path) -> None:
    table = tmp_path / "raw" / "t"
    commit(spark_engine, table, pa.table({"k": [1, 2]}))
    doubled = spark_engine.sql("select k * 2 as k from t", {"t": spark_engine.read(table)})
    spark_engine.write(
        table, doubled, mode="overwrite", partition_by=[], replace_where=None, schema_mode=None, note={"run": "r1"}
    )
    assert rows_of(spark_engine, table, "k") == [{"k": 2}, {"k": 4}]
    assert DeltaTable(table).history(1)[0]["userMetadata"] == '{"run": "r1"}'


@pytest.mark.parametrize("value", ["it's \\ a", None])
def test_one_partition_is_overwritten(spark_engine: SparkEngine, tmp_path: Path, value: str | None) -> None:
    table = tmp_path / "mart" / "t"
    both = pa.table({"part": pa.array(["it's \\ a", None]), "v": [1, 2]})
    commit(spark_engine, table, both, partition_by=["part"])
    fresh = pa.table({"part": pa.array([value], pa.string()), "v": [9]})
    commit(spark_engine, table, fresh, mode="overwrite", replace_where={"part": value})
    kept = [row for row in both.to_pylist() if row["part"] != value]
    assert rows_of(spark_engine, table, "v") == [*kept, {"part": value, "v": 9}]
    with pytest.raises(SchemaMismatch, match="^mart.t: .DELTA_REPLACE_WHERE_MISMATCH"):
        commit(
            spark_engine, table, pa.table({"part": ["z"], "v": [9]}), mode="overwrite", replace_where={"part": value}
        )


def test_columns_are_added_or_replaced_only_when_asked(spark_engine: SparkEngine, tmp_path: Path) -> None:
    table = tmp_path / "mart" / "t"
    commit(spark_engine, table, pa.table({"k": [1]}))
    wider = pa.table({"k": [2], "extra": ["x"]})
    with pytest.raises(SchemaMismatch, match="^mart.t: .DELTA_METADATA_MISMATCH"):
        commit(spark_engine, table, wider)
    commit(spark_engine, table, wider, schema_mode="merge")
    assert rows_of(spark_engine, table, "k") == [{"k": 1, "extra": None}, {"k": 2, "extra": "x"}]
    commit(spark_engine, table, pa.table({"other": ["y"]}), mode="overwrite", schema_mode="overwrite")
    assert rows_of(spark_engine, table, "other") == [{"other": "y"}]


def test_an_upsert_matches_null_keys_and_needs_its_version(spark_engine: SparkEngine, tmp_path: Path) -> None:
    table = tmp_path / "mart" / "t"
    commit(spark_engine, table, pa.table({"a": pa.array([1, None]), "b": ["x", "y"], "v": [1, 2]}))
    changes = spark_engine.from_arrow(pa.table({"a": pa.array([None, 1]), "b": ["y", "z"], "v": [20, 30]}))
    spark_engine.upsert(table, changes, ["a", "b"], 0, {"run": "r2"})
    assert rows_of(spark_engine, table, "v") == [
        {"a": 1, "b": "x", "v": 1},
        {"a": None, "b": "y", "v": 20},
        {"a": 1, "b": "z", "v": 30},
    ]
    assert DeltaTable(table).history(1)[0]["userMetadata"] == '{"run": "r2"}'
    with pytest.raises(WriteConflict) as told:
        spark_engine.upsert(table, changes, ["a", "b"], 0, {})
    assert str(told.value) == "mart.t: it is at version 1 by now, these rows were made for 0"


def test_nothing_is_left_in_the_working_folder(
    spark_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    engine = SparkEngine("spark")
    commit(engine, tmp_path / "raw" / "t", pa.table({"k": [1]}))
    engine.close()
    assert list(work.iterdir()) == []


def test_two_lakes_with_the_same_names_do_not_mix(spark_home: Path, tmp_path: Path) -> None:
    a, b = SimpleNamespace(path=tmp_path / "a"), SimpleNamespace(path=tmp_path / "b")
    for lake in a, b:
        write_deltalake(lake.path / "curated" / "courses", pa.table({"lake": [lake.path.name]}))
    in_a, in_b = session(a), session(b)
    try:
        assert in_a.table("curated.courses").toArrow().to_pylist() == [{"lake": "a"}]
        assert in_b.sql("select c.lake from curated.courses as c").toArrow().to_pylist() == [{"lake": "b"}]
        write_deltalake(a.path / "curated" / "courses", pa.table({"lake": ["new"]}), mode="overwrite")
        assert in_a.table("curated.courses").toArrow().to_pylist() == [{"lake": "new"}]
        old = in_a.sql("select * from curated.courses version as of 0")
        assert old.toArrow().to_pylist() == [{"lake": "a"}]

        in_a.table("curated.courses").writeTo("mart.made").createOrReplace()
        in_a.sql("insert into mart.made values ('more')")
        made = DeltaTable(a.path / "mart" / "made").to_pyarrow_table()
        assert sorted(made.column("lake").to_pylist()) == ["more", "new"]
        assert [row.tableName for row in in_a.sql("show tables in mart").collect()] == ["made"]
        assert in_b.sql("show tables in mart").collect() == []
        assert not in_b.catalog.tableExists("mart.made")
        with pytest.raises(Exception, match="TABLE_OR_VIEW_NOT_FOUND"):
            in_b.table("mart.made").collect()
        with pytest.raises(Exception, match="Spark SQL cannot drop a dataset of the lake"):
            in_a.sql("drop table mart.made").collect()
    finally:
        in_a.stop()
        in_b.stop()
