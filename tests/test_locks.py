"""One run of a pipeline at a time on a lake: who gets the lock, who is refused, and what ends a lease."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import sqlalchemy as sa

from thresher.errors import LockLost, RunLocked
from thresher.ledger import Ledger, Run
from thresher.places import lake_folder
from thresher.running import locks


@pytest.fixture
def ledger(ledger_kind: str, tmp_path: Path, open_ledger: Callable[[Path], Ledger]) -> Ledger:
    """The empty ledger of a lake at tmp_path, in each kind of database."""
    return open_ledger(tmp_path)


def alter(ledger: Ledger, values: str) -> None:
    """Change the one lock there is, by hand."""
    with ledger.transaction(sa.MetaData()) as connection:
        connection.exec_driver_sql(f"update thresher_locks set {values}")


def test_one_holds_the_lock_and_the_next_is_refused_until_it_is_given_back(ledger: Ledger, tmp_path: Path) -> None:
    with locks.held(ledger, tmp_path, "p") as lease:
        with pytest.raises(
            RunLocked, match=f"another run of pipeline p is at work on lake {tmp_path}; it has just begun"
        ):
            locks.held(ledger, tmp_path, "p").__enter__()
        run_id = ledger.start_run("p", file="p.yml", engine="duckdb", params={}, lake=tmp_path)
        assert locks.running(ledger) == set()
        lease.begins(run_id)
        assert locks.running(ledger) == {run_id}
        since = f"{ledger.run(run_id).started_at:%Y-%m-%d %H:%M:%S} UTC"
        with pytest.raises(RunLocked) as caught:
            locks.held(ledger, tmp_path, "p").__enter__()
        assert str(caught.value) == (
            f"another run of pipeline p is at work on lake {tmp_path}: {run_id}, process {os.getpid()}, since {since}. "
            f"Wait for it, or stop it: thresher runs cancel {run_id}"
        )
    assert locks.running(ledger) == set()
    with locks.held(ledger, tmp_path, "p"):
        pass


def test_lakes_and_pipelines_do_not_block_each_other(ledger: Ledger, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    with locks.held(ledger, a, "p"), locks.held(ledger, b, "p"):
        with locks.held(ledger, a, "q"):
            of_a, of_b = (ledger.start_run("p", file="p.yml", engine="e", params={}, lake=lake) for lake in (a, b))
            assert ledger.interrupt_runs("p", a) == [of_a]
    assert ledger.run(of_b).status == "running"


def test_a_lake_is_the_same_by_all_its_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "link").symlink_to("lake")
    monkeypatch.chdir(tmp_path)
    found = [lake_folder(path) for path in ("lake", "link", "./link/../lake", tmp_path / "link")]
    monkeypatch.setenv("THRESHER_LAKE", str(tmp_path / "link"))
    assert {*found, lake_folder()} == {tmp_path / "lake"}


HOLD = """\
import os, sys, time
from pathlib import Path
from thresher.running import locks
from thresher.errors import RunLocked
from thresher.ledger import Ledger
lake = Path(sys.argv[1])
try:
    with locks.held(Ledger.of_lake(lake), lake, "p"):
        print("held", flush=True)
        time.sleep(float(sys.argv[2]))
except RunLocked:
    print("refused", flush=True)
"""


def hold(lake: Path, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLD, str(lake), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_the_lock_of_a_killed_process_is_free_at_once(ledger: Ledger, tmp_path: Path) -> None:
    process = hold(tmp_path, 60)
    assert process.stdout and process.stdout.readline() == "held\n"
    with pytest.raises(RunLocked):
        locks.held(ledger, tmp_path, "p").__enter__()
    process.kill()
    process.communicate()
    with locks.held(ledger, tmp_path, "p"):
        pass


def test_of_many_that_come_at_once_one_gets_the_lock(ledger: Ledger, tmp_path: Path) -> None:
    processes = [hold(tmp_path, 3) for _ in range(4)]
    said = sorted(process.communicate(timeout=60)[0] for process in processes)
    assert said == ["held\n", "refused\n", "refused\n", "refused\n"]


def test_a_lease_held_elsewhere_passes_on_when_it_has_ended(ledger: Ledger, tmp_path: Path) -> None:
    run_id = ledger.start_run("p", file="p.yml", engine="duckdb", params={}, lake=tmp_path)
    with locks.held(ledger, tmp_path, "p") as lease:
        lease.begins(run_id)
        alter(ledger, "holder = 'elsewhere/boot/1 7 12'")
        refusal = f"{run_id}, process 7, since .*, on machine elsewhere. .*\nIf that machine is down, its lock ends at "
        with pytest.raises(RunLocked, match=refusal):
            locks.held(ledger, tmp_path, "p").__enter__()
        alter(ledger, "expires_at = '2020-01-01 00:00:00'")
        assert locks.running(ledger) == set()
        other = Ledger.of_lake(tmp_path)
        with locks.held(other, tmp_path, "p"):
            stopped = threading.Event()
            lease.on_stop(stopped.set)
            assert stopped.wait(locks.LOOK_S + 5)
            with pytest.raises(LockLost, match=f"the lock of pipeline p on lake {tmp_path} was lost"):
                ledger.finish_run(run_id, "succeeded")
            assert other.run(run_id).status == "running"
        other.close()


def test_who_slept_asks_before_it_writes(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOOK_S", 60)  # its thread does not come first
    run_id = ledger.start_run("p", file="p.yml", engine="duckdb", params={}, lake=tmp_path)
    with locks.held(ledger, tmp_path, "p"):
        now = time.clock_gettime
        monkeypatch.setattr(time, "clock_gettime", lambda clock: now(clock) + 1000)
        ledger.finish_run(run_id, "failed")  # nobody else came: the lease is renewed
        monkeypatch.setattr(time, "clock_gettime", lambda clock: now(clock) + 2000)
        alter(ledger, "token = 'of another run'")
        with pytest.raises(LockLost):
            ledger.finish_run(run_id, "succeeded")
    assert ledger.run(run_id).status == "failed"


def test_a_run_is_told_to_stop(ledger: Ledger, tmp_path: Path) -> None:
    with locks.held(ledger, tmp_path, "p") as lease:
        lease.begins("p-1")
        stopped = threading.Event()
        lease.on_stop(stopped.set)
        locks.stop(ledger, "p-1")
        assert stopped.wait(locks.LOOK_S + 5)
        ledger.start_run("p", file="p.yml", engine="duckdb", params={})  # it may note its end
        late = threading.Event()
        lease.on_stop(late.set)
        assert late.is_set()


PIPELINE = """\
name: slow
steps:
  first: {notebook: notebooks/n.ipynb, writes: {target: raw.first}}
  second: {notebook: notebooks/n.ipynb, reads: {source: raw.first}, writes: {target: raw.second}}
"""
CELL = """\
import time, pathlib, thresher as th
pathlib.Path("begun").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
th.Lake(lake).write(target, [{"n": 1}])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose pipeline runs until there is a file `go`."""
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    parameters = "lake: str = 'lake'\nsource: str = ''\ntarget: str = ''"
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(CELL)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "n.ipynb")
    (tmp_path / "pipelines" / "slow.yml").write_text(PIPELINE)
    return tmp_path


Thresher = Callable[..., "subprocess.Popen[str]"]
WaitFor = Callable[..., None]


def test_a_run_that_was_suspended_stops_when_another_has_taken_over(
    project: Path, thresher: Thresher, wait_for: WaitFor, open_ledger: Callable[[Path], Ledger]
) -> None:
    lake = project / "lake"
    process = thresher(project, "run", "slow")
    wait_for(lambda: (project / "begun").exists())
    process.send_signal(signal.SIGSTOP)
    ledger = open_ledger(lake)
    alter(ledger, "expires_at = '2020-01-01 00:00:00'")
    with locks.held(ledger, lake, "slow"):
        (run_id,) = ledger.interrupt_runs("slow", lake)
        before = ledger.run(run_id)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, ledger.run(run_id)) == (1, before)
    assert f"error: the lock of pipeline slow on lake {lake} was lost" in err
    assert not (project / "site").exists()


def test_a_run_is_cancelled_from_another_process(
    project: Path, thresher: Thresher, wait_for: WaitFor, ledger_kind: str
) -> None:
    process = thresher(project, "run", "slow")
    wait_for(lambda: (project / "begun").exists())
    out, err = thresher(project, "runs", "cancel", "latest").communicate(timeout=60)
    assert (process.wait(30), err) == (130, "")
    assert "  cancelled  " in out
    out, err = thresher(project, "runs", "cancel", "latest").communicate(timeout=60)
    assert "is not running: it was cancelled at" in err


def test_two_runs_that_compete_and_a_database_that_restarts(
    project: Path,
    thresher: Thresher,
    wait_for: WaitFor,
    postgresql_ledger: str,
    postgresql_server: Any,
    stop_postgresql: Callable[[], None],
    open_ledger: Callable[[Path], Ledger],
) -> None:
    first, second = thresher(project, "run", "slow"), thresher(project, "run", "slow")
    wait_for(lambda: first.poll() is not None or second.poll() is not None)
    refused, running = (first, second) if first.poll() is not None else (second, first)
    assert (refused.returncode, refused.communicate()[1].partition(" on lake")[0]) == (
        2,
        "error: another run of pipeline slow is at work",
    )
    wait_for(lambda: (project / "begun").exists())
    stop_postgresql()
    (project / "go").touch()
    time.sleep(3)
    postgresql_server.start()
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    run: Run = open_ledger(project / "lake").runs()[0]
    assert {step.name: step.status for step in run.steps} == {"first": "succeeded", "second": "succeeded"}
    assert not (project / "lake" / "_ledger.sqlite").exists()
