"""Copies of datasets that share their files: what is done to one is not seen in the other, on both engines."""

import errno
import json
import os
import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from thresher.errors import DatasetNotFound, LakeError
from thresher.lake import Lake
from thresher.shallow_copy import copy

ROWS = [{"id": 1, "name": "a"}, {"id": 2, "name": None}]


def rows(lake: Lake, name: str, order: str = "id") -> list[dict[str, object]]:
    return lake.sql(f"select * from {name} order by {order}").to_arrow().to_pylist()


def files(lake: Lake) -> dict[str, tuple[int, bytes]]:
    """Everything in a lake, as it is."""
    found = [path for path in sorted(lake.path.rglob("*")) if path.is_file() and "_locks" not in path.parts]
    return {str(path.relative_to(lake.path)): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_a_copy_shares_the_data_and_goes_its_own_way(lake: Lake, engine: str, tmp_path: Path) -> None:
    lake.write("mart.x", ROWS)
    lake.merge("mart.x", [{"id": 3, "name": "c"}], ["id"])
    before = files(lake)

    assert str(copy(lake.path, tmp_path / "dev", "mart.x")) == f"mart.x is a copy of version 1 in {lake.path}"
    dev = Lake(tmp_path / "dev", engine)
    assert rows(dev, "mart.x") == [*ROWS, {"id": 3, "name": "c"}]
    assert files(lake) == before
    data = [path for path in (dev.path / "mart").rglob("*.parquet")]
    assert data and all(path.stat().st_nlink == 2 for path in data)
    (commit,) = DeltaTable(dev.path / "mart" / "x").history()
    origin = {"copied_from": str(lake.path / "mart" / "x"), "version": 1}
    assert (commit["operation"], json.loads(commit["userMetadata"])) == ("CLONE", origin)

    dev.merge("mart.x", [{"id": 1, "name": "dev"}, {"id": 4, "name": "new"}], ["id"])
    dev.delete("mart.x", "id = 2")
    assert rows(dev, "mart.x") == [{"id": 1, "name": "dev"}, {"id": 3, "name": "c"}, {"id": 4, "name": "new"}]
    assert files(lake) == before

    lake.write("mart.x", [{"id": 9, "name": "prod"}])
    for path in (lake.path, dev.path):
        DeltaTable(path / "mart" / "x").vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert rows(lake, "mart.x") == [{"id": 9, "name": "prod"}]
    assert rows(dev, "mart.x") == [{"id": 1, "name": "dev"}, {"id": 3, "name": "c"}, {"id": 4, "name": "new"}]
    dev.engine.close()


def test_partitions_properties_and_checkpoints_are_copied(tmp_path: Path) -> None:
    prod, table = Lake(tmp_path / "prod"), tmp_path / "prod" / "mart" / "x"
    parts = pa.table({"id": [1, 2, 3], "at": [date(2026, 1, 2), None, date(1999, 1, 1)], "part": ["x y/%", None, "ä"]})
    write_deltalake(
        table, parts, partition_by=["part"], configuration={"delta.logRetentionDuration": "interval 9 days"}
    )
    for _ in range(2):
        DeltaTable(table).create_checkpoint()
        write_deltalake(table, parts, mode="append")
    DeltaTable(table).delete("id = 3")
    expected = rows(prod, "mart.x")
    assert len(expected) == 6

    copy(prod.path, tmp_path / "dev", "mart.x")
    dev, copied = Lake(tmp_path / "dev"), DeltaTable(tmp_path / "dev" / "mart" / "x")
    assert rows(dev, "mart.x") == expected
    assert (copied.version(), copied.metadata().partition_columns) == (0, ["part"])
    assert copied.metadata().configuration == {"delta.logRetentionDuration": "interval 9 days"}
    assert copied.metadata().id != DeltaTable(table).metadata().id
    assert dev.describe("mart.x").rows == len(expected)


def test_the_known_structure_of_documents_is_copied(tmp_path: Path) -> None:
    Lake(tmp_path / "prod").write("curated.x", ROWS)
    (tmp_path / "prod" / "_schemas").mkdir()
    (tmp_path / "prod" / "_schemas" / "curated.x.json").write_text("{}")
    copy(tmp_path / "prod", tmp_path / "dev", "curated.x")
    assert (tmp_path / "dev" / "_schemas" / "curated.x.json").read_text() == "{}"


def test_a_copy_on_another_file_system_is_refused_and_may_be_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lake(tmp_path / "prod").write("mart.x", ROWS)

    def link(here: Path, there: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(here))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(LakeError) as error:
        copy(tmp_path / "prod", tmp_path / "dev", "mart.x")
    assert str(error.value) == (
        f"mart.x: {tmp_path}/dev cannot share the files of {tmp_path}/prod (Invalid cross-device link): hard links "
        "need one file system, and files that this user may write. Place the lakes side by side, or copy the data, "
        "too: thresher copy mart.x --full"
    )
    assert not (tmp_path / "dev" / "mart" / "x").exists() and not list((tmp_path / "dev" / "mart").iterdir())

    copy(tmp_path / "prod", tmp_path / "dev", "mart.x", full=True)
    shutil.rmtree(tmp_path / "prod")
    assert rows(Lake(tmp_path / "dev"), "mart.x") == ROWS


def test_a_copy_replaces_only_when_told_and_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    prod, dev = Lake(tmp_path / "prod"), Lake(tmp_path / "dev")
    prod.write("mart.x", ROWS)
    dev.write("mart.x", [{"id": 7, "name": "dev"}])
    left = tmp_path / "dev" / "mart" / ".x.copy-0"
    left.mkdir()
    with pytest.raises(LakeError, match="mart.x is in lake .*/dev already; to lose it for a copy anew, add --replace"):
        copy(prod.path, dev.path, "mart.x")
    assert rows(dev, "mart.x") == [{"id": 7, "name": "dev"}]
    copy(prod.path, dev.path, "mart.x", replace=True)
    assert rows(dev, "mart.x") == ROWS
    assert [path.name for path in (dev.path / "mart").iterdir()] == ["x"]


def test_what_is_not_there_cannot_be_copied(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="^no dataset mart.x in lake .*/prod, from which it was to be copied$"):
        copy(tmp_path / "prod", tmp_path / "dev", "mart.x")
    assert not (tmp_path / "dev").exists()


def test_a_source_that_is_vacuumed_meanwhile_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prod, link, failures = Lake(tmp_path / "prod"), os.link, []
    prod.write("mart.x", ROWS)

    def vacuumed_once(here: Path, there: Path) -> None:
        if not failures:
            failures.append(here)
            prod.write("mart.x", [{"id": 5, "name": "later"}])
            DeltaTable(prod.path / "mart" / "x").vacuum(0, enforce_retention_duration=False, dry_run=False)
        link(here, there)

    monkeypatch.setattr(os, "link", vacuumed_once)
    assert copy(prod.path, tmp_path / "dev", "mart.x").version == 3  # the write, and two commits of the vacuum
    assert rows(Lake(tmp_path / "dev"), "mart.x") == [{"id": 5, "name": "later"}]
