"""A load that is killed at any instant and run again leaves what an undisturbed one leaves."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thresher import ingest
from thresher.ingest.file_ledger import FileLedger
from thresher.lake import Lake

KILLS = int(os.environ.get("THRESHER_KILLS", "12"))
MODES = ("overwrite", "append", "current", "history", "scd2")
LOADING = """
import os, signal, sys, time
import duckdb
import thresher as th
import thresher.engines.embedded, thresher.ingest.loading
from thresher.lake import Lake

duckdb.default_connection().close()  # its threads would be missing in what is forked

def load(lake, landing, mode, seconds):
    child = os.fork()
    if child == 0:
        format = "parquet" if mode == "append" else "dms"
        key = [] if mode == "append" else ["id"]
        th.ingest.files(Lake(lake), landing, "raw.t", mode=mode, format=format, key=key)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return "ended"
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed"

for line in sys.stdin:
    lake, landing, mode, seconds = line.rstrip("\\n").split("\\t")
    print(load(lake, landing, mode, float(seconds)), flush=True)
"""


@pytest.fixture(scope="module")
def loads():
    """A process with the library loaded, which forks one for each load: `loads(lake, landing, mode, seconds)`."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", LOADING], text=True, **pipes)

    def load(*what):
        process.stdin.write("\t".join(map(str, what)) + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    with process:
        yield load
    assert process.returncode == 0


def deliver(landing: Path, mode: str) -> None:
    landing.mkdir()
    full = [{"id": number, "v": number} for number in range(50)]
    pq.write_table(pa.Table.from_pylist(full), landing / "LOAD00000001.parquet")
    for file in range(3):
        changes = [{"Op": "IUD"[n % 3], "id": n * 7 % 60, "v": 100 * file + n} for n in range(20)]
        rows = [{k: v for k, v in row.items() if k != "Op"} for row in changes] if mode == "append" else changes
        pq.write_table(pa.Table.from_pylist(rows), landing / f"2024080{file + 1}-000000000.parquet")


def state(lake: Path) -> dict[str, list[str]]:
    opened = Lake(lake, engine="duckdb")
    found = {name: sorted(map(str, opened.read(name).to_arrow().to_pylist())) for name in opened.names()}
    opened.engine.close()
    return found


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_load_runs_again_as_if_nothing_had_happened(mode, loads, tmp_path):
    deliver(tmp_path / "in", mode)
    assert loads(tmp_path / "first", tmp_path / "in", mode, 60) == "ended"
    began = time.monotonic()
    assert loads(tmp_path / "undisturbed", tmp_path / "in", mode, 60) == "ended"
    duration = time.monotonic() - began
    expected = state(tmp_path / "undisturbed")
    assert expected["raw.t"]
    chance = random.Random(mode)
    kills = 0
    for number in range(max(1, KILLS // len(MODES))):
        lake = tmp_path / f"lake {number}"
        for _ in range(2):  # well before it ends
            kills += loads(lake, tmp_path / "in", mode, chance.uniform(0, duration / 3)) == "killed"
        seconds = duration
        while loads(lake, tmp_path / "in", mode, chance.uniform(0, seconds)) == "killed":
            kills, seconds = kills + 1, 1.5 * seconds  # a machine that is busy now must not kill for ever
        assert loads(lake, tmp_path / "in", mode, 60) == "ended"
        assert state(lake) == expected
        files = FileLedger(lake).files("raw.t")
        assert [file.state for file in files] == ["loaded"] * 4 and not FileLedger(lake).unfinished("raw.t")
    assert kills


def test_two_loads_at_once_load_each_file_once(tmp_path):
    deliver(tmp_path / "in", "append")
    code = f"import thresher as th; th.ingest.files(th.Lake({str(tmp_path / 'lake')!r}), {str(tmp_path / 'in')!r}, "
    code += "'raw.t', mode='append', format='parquet')"
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [each.wait(120) for each in both] == [0, 0]
    lake = Lake(tmp_path / "lake", engine="duckdb")
    assert lake.read("raw.t").count() == 110
    assert ingest.files(lake, str(tmp_path / "in"), "raw.t", mode="append").counts.rows_in == 0
