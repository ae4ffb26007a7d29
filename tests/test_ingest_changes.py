"""landing → raw, file by file: changes applied once each, whatever the order in which they arrive."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher import ingest
from thresher.errors import DataError, UsageError
from thresher.ingest.file_ledger import FileLedger
from thresher.lake import Lake

embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)


def deliver(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def load(lake, landing, mode="current", **more):
    more = {"format": "dms", "key": ["id"], **more}
    return ingest.files(lake, str(landing), "raw.t", mode=mode, **more)


def table(lake, *columns, name="raw.t"):
    return sorted(tuple(row[column] for column in columns) for row in lake.read(name).to_arrow().to_pylist())


def test_a_full_load_and_its_changes_give_the_state_of_the_source(lake, tmp_path):
    landing = tmp_path / "in"
    deliver(landing / "LOAD00000001.parquet", [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": 3, "v": "c"}])
    first = load(lake, landing)
    assert first.counts.more["inserted"] == 3
    changed = [{"Op": "U", "id": 1, "v": "A"}, {"Op": "D", "id": 2, "v": "b"}, {"Op": "I", "id": 4, "v": "d"}]
    deliver(landing / "20240809-192717787.parquet", [*changed, {"Op": "U", "id": 4, "v": "D"}])
    second = load(lake, landing)
    assert table(lake, "id", "v", "_file", "_row") == [
        (1, "A", "20240809-192717787.parquet", 1),
        (3, "c", "LOAD00000001.parquet", 3),
        (4, "D", "20240809-192717787.parquet", 4),
    ]
    assert (second.counts.rows_in, second.counts.rows_out) == (4, 4)
    told = {name: second.counts.more[name] for name in ("inserted", "updated", "deleted", "superseded", "files known")}
    assert told == {"inserted": 1, "updated": 1, "deleted": 1, "superseded": 1, "files known": 1}


def test_versions_and_what_arrives_late(lake, tmp_path):
    landing = tmp_path / "in"
    deliver(landing / "LOAD00000001.parquet", [{"id": 1, "v": "a"}])
    deliver(landing / "20240809-000000000.parquet", [{"Op": "D", "id": 1, "v": "b"}])
    load(lake, landing, "scd2")
    deliver(landing / "20240808-000000000.parquet", [{"Op": "U", "id": 1, "v": "b"}])
    load(lake, landing, "scd2")
    begin, eighth, ninth = (datetime(*day, tzinfo=UTC) for day in ((1900, 1, 1), (2024, 8, 8), (2024, 8, 9)))
    assert table(lake, "id", "v", "valid_from", "valid_to", "is_current") == [
        (1, "a", begin, eighth, False),
        (1, "b", eighth, ninth, False),
    ]


@embedded_only
@pytest.mark.parametrize("on_drift", ["evolve", "rescue"])
def test_versions_with_a_column_that_comes_later(lake, tmp_path, on_drift):
    landing = tmp_path / "in"
    deliver(landing / "LOAD00000001.parquet", [{"id": 1, "v": "a"}])
    load(lake, landing, "scd2")
    deliver(landing / "20240809-000000000.parquet", [{"Op": "U", "id": 1, "v": "a", "w": 7}])
    load(lake, landing, "scd2", on_drift=on_drift)
    column, value = {"evolve": ("w", 7), "rescue": ("_rescued", '{"w": 7}')}[on_drift]
    assert table(lake, "id", "v", "is_current", column) == [(1, "a", False, None), (1, "a", True, value)]


@embedded_only
def test_a_late_change_of_a_deleted_key_does_not_bring_it_back(lake, tmp_path):
    landing = tmp_path / "in"
    deliver(landing / "20240809-000000000.parquet", [{"Op": "D", "id": 1, "v": "z"}])
    assert load(lake, landing).counts.more["deletes of unknown keys"] == 1
    deliver(landing / "20240808-000000000.parquet", [{"Op": "I", "id": 1, "v": "a"}])
    assert load(lake, landing).counts.more["late"] == 1
    assert table(lake, "id") == []
    deliver(landing / "20240810-000000000.parquet", [{"Op": "I", "id": 1, "v": "again"}])
    load(lake, landing)
    assert table(lake, "id", "v") == [(1, "again")]


def messages(path, *told):
    """Debezium's messages: (operation, position in the log, id, v)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            "op": op,
            "before": {"id": id, "v": v} if op == "d" else None,
            "after": {"id": id, "v": v} if op in "cur" else None,
            "source": {"db": "shop", "table": "t", "ts_ms": 1_700_000_000_000 + lsn, "lsn": lsn},
        }
        for op, lsn, id, v in told
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@embedded_only
def test_an_emptied_table_keeps_only_what_came_after(lake, tmp_path):
    landing = tmp_path / "in"
    both = [{"mode": "current"}, {"mode": "scd2", "target": "raw.v"}]

    def load_both():
        return [
            ingest.files(lake, str(landing), more.get("target", "raw.t"), mode=more["mode"], key=["id"])
            for more in both
        ][0]

    messages(landing / "1.json", ("c", 10, 1, "a"), ("c", 20, 2, "b"))
    load_both()
    messages(landing / "2.json", ("c", 30, 3, "c"), ("t", 40, None, None), ("c", 50, 2, "new"))
    assert load_both().counts.more["deleted"] == 1
    messages(landing / "3.json", ("c", 35, 9, "before"))
    load_both()
    assert table(lake, "id", "v") == [(2, "new")]
    versions = lake.read("raw.v").to_arrow().to_pylist()
    assert [(row["id"], row["v"]) for row in versions if row["is_current"]] == [(2, "new")]
    assert sorted((row["id"], row["v"]) for row in versions) == [
        (1, "a"),
        (2, "b"),
        (2, "new"),
        (3, "c"),
        (9, "before"),
    ]


@embedded_only
@pytest.mark.parametrize("mode", ["append", "current", "history", "scd2"])
def test_a_column_without_values_takes_the_type_of_its_first_ones(lake, tmp_path, mode):
    files = [{"id": 1, "n": None, "s": None}], [{"id": 2, "n": 2.5, "s": {"a": 1}}, {"id": 3, "n": None, "s": None}]
    for number, rows in enumerate(files):
        (tmp_path / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        loaded = load(lake, tmp_path / "*.jsonl", mode, format="json")
    assert loaded.refused.count() == 0
    assert table(lake, "id", "n", "s") == [(1, None, None), (2, 2.5, {"a": 1}), (3, None, None)]
    (tmp_path / "2.jsonl").write_text('{"id": 4, "n": "text"}\n')
    assert [
        row["source"] for row in load(lake, tmp_path / "*.jsonl", mode, format="json").refused.to_arrow().to_pylist()
    ] == ["2.jsonl"]


@embedded_only
def test_an_emptied_table_may_bring_a_new_column(lake, tmp_path):
    landing = tmp_path / "in"
    landing.mkdir()
    source = {"db": "shop", "table": "t"}
    events = [
        [{"op": "c", "after": {"id": 1}, "source": source | {"lsn": 1}}],
        [
            {"op": "t", "source": source | {"lsn": 2}},
            {"op": "c", "after": {"id": 2, "w": 7}, "source": source | {"lsn": 3}},
        ],
    ]
    for number, some in enumerate(events):
        (landing / f"{number}.json").write_text("".join(json.dumps(each) + "\n" for each in some))
        ingest.files(lake, str(landing / "*.json"), "raw.t", mode="current", key=["id"], format="debezium")
    assert table(lake, "id", "w") == [(2, 7)]


@embedded_only
@pytest.mark.parametrize(
    ("first", "then", "allowed"),
    [
        ("current", "scd2", "'current'"),
        ("scd2", "current", "'scd2'"),
        ("history", "current", "'history'"),
        ("current", "append", "'current'"),
        ("append", "history", "'append' or 'current'"),
    ],
)
def test_a_dataset_stays_in_its_mode(lake, tmp_path, first, then, allowed):
    landing = tmp_path / "in"
    deliver(landing / "a.parquet", [{"id": 1, "v": "a"}])
    load(lake, landing, first, format="parquet")
    deliver(landing / "b.parquet", [{"id": 1, "v": "b"}])
    with pytest.raises(UsageError, match=rf"raw\.t: mode '{then}' cannot go on .* load it in mode {allowed}, or"):
        load(lake, landing, then, format="parquet")
    assert table(lake, "id", "v") == [(1, "a")]


@embedded_only
def test_a_file_is_loaded_once_however_it_comes_again(lake, tmp_path):
    landing = tmp_path / "in"
    rows = [{"id": 1, "v": "a"}]
    deliver(landing / "a.parquet", rows)
    append = {"format": "parquet", "mode": "append", "key": []}
    load(lake, landing, **append)
    assert load(lake, landing, **append).counts.more["files known"] == 1
    (landing / "a.parquet").touch()
    (landing / "copy of a.parquet").write_bytes((landing / "a.parquet").read_bytes())
    again = load(lake, landing, **append)
    assert again.counts.more["files delivered twice"] == 1
    (landing / "copy of a.parquet").rename(landing / "renamed.parquet")
    assert load(lake, landing, **append).counts.more["files delivered twice"] == 1
    deliver(landing / "a.parquet", [{"id": 2, "v": "changed after loading"}])
    assert load(lake, landing, **append).counts.more["files changed after loading"] == 1
    assert table(lake, "id") == [(1,)]
    deliver(landing / "renamed.parquet", [{"id": 3, "v": "not what came before"}])
    load(lake, landing, **append)
    assert table(lake, "id") == [(1,), (3,)]
    states = {state.name: state.state for state in FileLedger(lake.path).files("raw.t")}
    assert states == {"a.parquet": "changed", "copy of a.parquet": "duplicate", "renamed.parquet": "loaded"}


@embedded_only
def test_landing_may_be_cleared_once_it_is_loaded(lake, tmp_path):
    landing = tmp_path / "in"
    deliver(landing / "a.parquet", [{"id": 1}])
    load(lake, f"{landing}/*.parquet", "append", format="parquet")
    (landing / "a.parquet").unlink()
    assert load(lake, f"{landing}/*.parquet", "append", format="parquet").counts.rows_in == 0
    assert table(lake, "id") == [(1,)]


@embedded_only
def test_changes_need_a_key_and_a_mode_that_applies_them(lake, tmp_path):
    deliver(tmp_path / "in" / "20240809-000000000.parquet", [{"Op": "I", "id": 1}])
    with pytest.raises(UsageError, match="name them in key"):
        load(lake, tmp_path / "in", key=[])
    with pytest.raises(UsageError, match="choose 'history'"):
        load(lake, tmp_path / "in", "append")
    assert not lake.exists("raw.t")


@embedded_only
def test_columns_that_are_new_missing_or_wider(lake, tmp_path):
    landing = tmp_path / "in"
    deliver(landing / "LOAD00000001.parquet", [{"id": 1, "n": 1, "gone": "x"}])
    load(lake, landing)
    deliver(landing / "20240809-000000000.parquet", [{"Op": "U", "id": 1, "N": 1.5, "new": "y"}])
    found = load(lake, landing)
    assert table(lake, "id", "n", "gone", "new") == [(1, 1.5, None, "y")]
    assert [(row["column"], row["change"], row["before"], row["after"]) for row in found.drift.to_pylist()] == [
        ("n", "changed", "bigint", "double"),
        ("gone", "missing", "string", ""),
        ("new", "new", "", "string"),
    ]
    assert [row["column"] for row in FileLedger(lake.path).drift("raw.t")] == ["n", "gone", "new"]


@embedded_only
def test_the_policies_for_drift(lake, tmp_path):
    landing = tmp_path / "in"
    deliver(landing / "LOAD00000001.parquet", [{"id": 1, "v": "a"}])
    load(lake, landing)
    deliver(landing / "20240809-000000000.parquet", [{"Op": "U", "id": 1, "v": "b", "extra": 7}])
    with pytest.raises(DataError, match=r"new extra bigint \(first in 20240809-000000000.parquet\)"):
        load(lake, landing, on_drift="refuse")
    assert table(lake, "id", "v") == [(1, "a")]
    load(lake, landing, on_drift="rescue")
    assert table(lake, "id", "v", "_rescued") == [(1, "b", '{"extra": 7}')]


CHANGES = st.lists(st.tuples(st.sampled_from("IUD"), st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=12)


@given(changes=CHANGES, data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_order_of_arrival_the_last_change_wins(tmp_path_factory, changes, data):
    """Files of a few changes each, in an order of their own and some of them twice: as if they had come in order."""
    folder = tmp_path_factory.mktemp("order")
    lake, landing = Lake(folder / "lake", engine="duckdb"), folder / "in"
    state, cuts = {}, data.draw(st.lists(st.integers(0, len(changes)), max_size=3))
    for operation, key, value in changes:
        state.pop(key, None)
        if operation != "D":
            state[key] = value
    bounds = sorted({0, *cuts, len(changes)})
    parts = [changes[one:other] for one, other in zip(bounds, bounds[1:], strict=False)]
    names = [f"202408{number + 10}-000000000.parquet" for number in range(len(parts))]
    for number in data.draw(st.permutations(range(len(parts)))):
        rows = [{"Op": operation, "id": key, "v": value} for operation, key, value in parts[number]]
        deliver(landing / names[number], rows)
        load(lake, landing)
        ingest.files(lake, str(landing), "raw.versions", mode="scd2", format="dms", key=["id"])
    assert dict(table(lake, "id", "v")) == state
    current = [row for row in lake.read("raw.versions").to_arrow().to_pylist() if row["is_current"]]
    assert {row["id"]: row["v"] for row in current} == state
    lake.engine.close()
