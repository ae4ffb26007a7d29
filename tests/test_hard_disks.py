"""A lake that may only be read can be read; a full disk is one clear error, and what was there stays whole."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import thresher as th
from thresher.errors import LakeError
from thresher.ledger import Ledger

NOBODY = 65534


@contextmanager
def _without_privileges() -> Iterator[None]:
    """As another user where this one may do anything."""
    if os.getuid():
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """The folder of a lake with one dataset and one run, which nobody may write."""
    outside = Path(tempfile.mkdtemp())  # the folders above tmp_path are closed to other users
    outside.chmod(0o755)
    folder = outside / "lake"
    th.Lake(folder).write("raw.t", [{"a": 1}, {"a": 2}])
    with closing(Ledger.of_lake(folder)) as ledger:
        ledger.finish_run(ledger.start_run("p", file="p.yml", engine="duckdb", params={}), "succeeded")
        assert len(ledger.runs()) == 1
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    yield folder
    for path in folders:
        path.chmod(0o755)
    shutil.rmtree(outside)


def test_a_lake_that_may_only_be_read_can_be_read(read_only: Path) -> None:
    lake = th.Lake(read_only)
    with _without_privileges(), closing(Ledger.of_lake(read_only)) as ledger:
        assert lake.sql("select sum(a) as s from raw.t").to_arrow().to_pylist() == [{"s": 3}]
        assert [table.rows for table in lake.tables()] == [2]
        assert [run.status for run in ledger.runs()] == ["succeeded"]
        with pytest.raises(LakeError, match=r"lake .* cannot be written"):
            lake.write("raw.t", [{"a": 3}])
        with pytest.raises(LakeError, match=r"ledger .*readonly database"):
            ledger.start_run("p", file="p.yml", engine="duckdb", params={})
    assert sorted(path.name for path in read_only.iterdir()) == ["_ledger.sqlite", "_locks", "raw"]


FULL = """
import os, subprocess, sys
import thresher as th
from thresher.errors import DiskFull
from thresher.ledger import Ledger

place = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place], check=True)
lake, ledger = th.Lake(place), Ledger.of_lake(place)
lake.write("raw.t", [{"a": "x"}])
run = ledger.start_run("p", file="p.yml", engine="duckdb", params={})
large = [{"a": os.urandom(500).hex()} for _ in range(1000)]
try:
    lake.write("raw.t", large)
except DiskFull as error:
    print(error)
with open(f"{place}/rest", "wb", buffering=0) as rest:
    try:
        while rest.write(b"x" * 512):
            pass
    except OSError:
        pass
try:
    for number in range(1000):
        ledger.start_step(run, f"s{number}", notebook="n" * 1000)
except DiskFull as error:
    print(error)
print(lake.read("raw.t").to_arrow().to_pylist(), ledger.run(run).status)
subprocess.run(["mount", "-o", "remount,size=50m", place], check=True)
ledger.finish_run(run, "succeeded")
print(lake.write("raw.t", large), lake.read("raw.t").count(), ledger.run(run).status)
"""


def _may_mount() -> bool:
    try:
        return subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(
    not _may_mount(), reason="`unshare -Urm` is refused here, so no small disk can be mounted; run as root"
)
def test_a_full_disk_is_said_and_the_next_write_ends_right(tmp_path: Path) -> None:
    command = ["unshare", "-Urm", sys.executable, "-c", FULL, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    kept = "What was written before is whole, and nothing of this was kept. Free space there, then run again: "
    assert found.stdout.splitlines() == [
        f"raw.t cannot be written: the disk of {tmp_path}/raw/t is full. {kept}what was done is not repeated.",
        f"the ledger cannot be written: the disk of {tmp_path}/_ledger.sqlite is full. "
        f"{kept}what was done is not repeated.",
        "[{'a': 'x'}] running",
        "1 1000 succeeded",
    ], found.stderr
