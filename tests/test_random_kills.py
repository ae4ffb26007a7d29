"""kill -9 of the runner, its fork server or a kernel, at any moment: the next run ends right and nothing is left over.

THRESHER_KILLS=200 kills more often than the suite does.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest

from thresher.lake import Lake
from thresher.ledger import Ledger

KILLS = int(os.environ.get("THRESHER_KILLS", "4"))
PARAMETERS = "lake: str = 'lake'\nsource: str = ''\ntarget: str = ''\nround: int = 0"
WRITE = """\
import subprocess
import thresher as th
subprocess.Popen(["sleep", "300"])
subprocess.Popen(["sleep", "300"], start_new_session=True)
subprocess.run(["setsid", "-f", "sleep", "300"])
lake = th.Lake(lake)
rows = [{"n": n, "round": round} for n in range(1000)] if not source else lake.sql(
    f"select n + 1 as n, round from {source}")
lake.write(target, rows, mode="overwrite")
"""
PIPELINE = """\
name: chain
params: {round: 0}
steps:
  a: {notebook: notebooks/write.ipynb, with: {round: "${round}"}, writes: {target: raw.a}}
  b: {notebook: notebooks/write.ipynb, reads: {source: raw.a}, writes: {target: curated.b}}
  c: {notebook: notebooks/write.ipynb, reads: {source: curated.b}, writes: {target: mart.c}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell(WRITE)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "write.ipynb")
    (tmp_path / "pipelines" / "chain.yml").write_text(PIPELINE)
    return tmp_path


def family(runner: subprocess.Popen[str]) -> dict[str, list[psutil.Process]]:
    """The runner, its fork server and its kernels, as far as they have started."""
    found: dict[str, list[psutil.Process]] = {"runner": [], "server": [], "kernel": [], "child": []}
    with suppress(psutil.NoSuchProcess):
        own = psutil.Process(runner.pid)
        found["runner"] = [own]
        found["server"] = own.children()
        found["kernel"] = [kernel for server in found["server"] for kernel in server.children()]
        found["child"] = [child for kernel in found["kernel"] for child in kernel.children(recursive=True)]
    return found


def test_the_next_run_after_a_kill_ends_right(project: Path, thresher: Callable[..., "subprocess.Popen[str]"]) -> None:
    def start(number: int) -> "subprocess.Popen[str]":
        return thresher(project, "run", "chain", "-p", f"round={number}", TMPDIR=str(project))

    chance = random.Random(os.environ.get("THRESHER_KILLS_SEED", "1"))
    seen: set[int] = set()
    killed: list[str] = []
    for number in range(KILLS):
        runner = start(number)
        end, kind = time.monotonic() + chance.uniform(0.3, 4), chance.choice(["runner", "server", "kernel"])
        while runner.poll() is None and (time.monotonic() < end or not family(runner)[kind]):
            seen |= {each.pid for processes in family(runner).values() for each in processes}
            time.sleep(0.02)
        for victim in family(runner)[kind][:1]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
                killed.append(kind)
        runner.communicate(timeout=120)
    last = start(KILLS)
    _, shown = last.communicate(timeout=120)
    assert last.returncode == 0, shown
    lake = Lake(project / "lake")
    for name, first in (("raw.a", 0), ("curated.b", 1), ("mart.c", 2)):
        rows = lake.sql(f"select min(n) as low, max(n) as high, count(*) as rows, max(round) as round from {name}")
        assert rows.to_arrow().to_pylist() == [{"low": first, "high": first + 999, "rows": 1000, "round": KILLS}]
    assert {run.status for run in Ledger.of_lake(project / "lake").runs(limit=1000)} <= {
        *("succeeded", "failed", "interrupted")
    }
    assert len(killed) >= KILLS / 2
    time.sleep(0.5)
    assert [pid for pid in seen if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"] == []
    assert list(project.glob("thresher-*/run-*")) == []
