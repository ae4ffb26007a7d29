"""Changes to a table: only the files that hold one of their keys are written anew."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.engines.embedded import EmbeddedEngine
from thresher.errors import WriteConflict
from thresher.lake import Lake

embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
WORDS = ["a b", "ä/%", "x=1", "r5", None]


def rows(lake: Lake, name: str = "raw.t") -> list[dict]:
    return sorted(lake.read(name).to_arrow().to_pylist(), key=str)


def files(lake: Lake, name: str = "raw.t") -> set[str]:
    return set(DeltaTable(lake.location(name)).file_uris())


@embedded_only
def test_other_partitions_keep_their_files(lake: Lake) -> None:
    first = [{"p": word, "id": number, "v": "old"} for number, word in enumerate(WORDS)]
    lake.write("raw.t", first, partition_by=["p"])
    before = files(lake)
    changes = [
        {"p": "ä/%", "id": 1, "v": "new", "gone": False},
        {"p": "x=1", "id": 2, "v": "old", "gone": True},
        {"p": None, "id": 4, "v": "new", "gone": False},
        {"p": "c d", "id": 7, "v": "new", "gone": False},
    ]
    lake.apply("raw.t", changes, ["p", "id"], deleted="gone", note={"batch": "b"})
    assert rows(lake) == sorted(
        [
            {"p": "a b", "id": 0, "v": "old"},
            {"p": "r5", "id": 3, "v": "old"},
            *({name: row[name] for name in ("p", "id", "v")} for row in changes if not row["gone"]),
        ],
        key=str,
    )
    assert len(before & files(lake)) == 2
    assert lake.history("raw.t")[0]["batch"] == "b"
    assert not (lake.location("raw.t") / "_rewriting").exists()


@embedded_only
def test_files_whose_keys_lie_elsewhere_keep_their_names(lake: Lake) -> None:
    for day in (1, 2, 3):
        lake.write("raw.t", [{"id": date(2024, 1, day), "v": day}], mode="append")
    before = files(lake)
    lake.merge("raw.t", [{"id": date(2024, 1, 2), "v": 7}], ["id"])
    assert [row["v"] for row in rows(lake)] == [1, 7, 3]
    assert len(before & files(lake)) == 2


@embedded_only
def test_columns_that_came_later_are_null_in_rows_before(lake: Lake) -> None:
    lake.write("raw.t", [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    lake.merge("raw.t", [{"id": 2, "v": "B", "w": [{"x": 1}]}], ["id"], schema="evolve")
    assert rows(lake) == [{"id": 1, "v": "a", "w": None}, {"id": 2, "v": "B", "w": [{"x": 1}]}]


@embedded_only
def test_a_table_that_moved_on_is_left_alone(lake: Lake) -> None:
    lake.write("raw.t", [{"id": 1, "v": "a"}])
    lake.write("raw.t", [{"id": 2, "v": "b"}], mode="append")
    assert isinstance(lake.engine, EmbeddedEngine)
    with pytest.raises(WriteConflict):
        lake.engine.upsert(lake.location("raw.t"), lake.frame([{"id": 1, "v": "A"}]), ["id"], 0, {})
    assert rows(lake) == [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]


@embedded_only
def test_what_a_killed_change_left_is_no_hindrance(lake: Lake) -> None:
    lake.write("raw.t", [{"id": 1, "v": "a"}])
    left: Path = lake.location("raw.t") / "_rewriting" / "part.parquet"
    left.parent.mkdir()
    left.write_bytes(b"half")
    lake.merge("raw.t", [{"id": 1, "v": "A"}], ["id"])
    assert rows(lake) == [{"id": 1, "v": "A"}] and not left.exists()


KEYS = st.one_of(st.none(), st.integers(-3, 3))
FLOATS = st.sampled_from([None, 0.0, 1.5, float("nan"), float("inf")])


@embedded_only
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.dictionaries(st.tuples(KEYS, FLOATS), st.integers(0, 9), min_size=1, max_size=8),
    changes=st.dictionaries(st.tuples(KEYS, FLOATS), st.tuples(st.integers(0, 9), st.booleans()), max_size=8),
    cut=st.integers(1, 4),
)
def test_any_changes_give_what_a_dictionary_gives(lake: Lake, before: dict, changes: dict, cut: int) -> None:
    kinds = pa.schema([("k", pa.int64()), ("f", pa.float64()), ("v", pa.int64())])
    held = [{"k": k, "f": f, "v": v} for (k, f), v in before.items()]
    lake.write("raw.t", pa.Table.from_pylist(held[:cut], schema=kinds))
    if held[cut:]:
        lake.write("raw.t", pa.Table.from_pylist(held[cut:], schema=kinds), mode="append")
    told = [{"k": k, "f": f, "v": v, "gone": gone} for (k, f), (v, gone) in changes.items()]
    lake.apply(
        "raw.t",
        pa.Table.from_pylist(told, schema=kinds.append(pa.field("gone", pa.bool_()))),
        ["k", "f"],
        deleted="gone",
    )
    expected = {_key(k, f): v for (k, f), v in before.items()}
    for (k, f), (v, gone) in changes.items():
        if gone:
            expected.pop(_key(k, f), None)
        else:
            expected[_key(k, f)] = v
    assert {_key(row["k"], row["f"]): row["v"] for row in rows(lake)} == expected


def _key(k: int | None, f: float | None) -> tuple[int | None, str]:
    return k, str(f)
