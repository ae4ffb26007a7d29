"""The ledger remembers runs and steps, gives them back newest first, and never makes a file by being read."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from thresher.counts import Counts
from thresher.errors import LakeError, UsageError
from thresher.ledger import Ledger, StepRun


def begin(ledger: Ledger, pipeline: str = "courses", **params: object) -> str:
    return ledger.start_run(pipeline, file=f"pipelines/{pipeline}.yml", engine="duckdb", params=params, description="d")


def test_reading_a_lake_without_runs_creates_nothing(tmp_path: Path) -> None:
    assert Ledger.of_lake(tmp_path).runs() == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_comes_back_as_it_was_noted(tmp_path: Path) -> None:
    ledger = Ledger.of_lake(tmp_path)
    run_id = begin(ledger, landing="Übung 😀", key=["a", "b"], limit=None)
    ledger.start_step(run_id, "ingest", notebook="notebooks/01.ipynb", executed=f"_runs/{run_id}/ingest.ipynb")
    counts = [Counts("raw.a", 12, 9, 2, 1, {"files": 3}), Counts("raw.b", 5, 5)]
    ledger.finish_step(run_id, "ingest", "succeeded", counts=counts)
    ledger.publish_step(run_id, "ingest", "reports/courses-ingest.html")
    ledger.finish_run(run_id, "succeeded")

    run = Ledger.of_lake(tmp_path).run(run_id)
    assert re.fullmatch(r"courses-\d{8}T\d{6}Z-[0-9a-f]{4}", run.id)
    assert (run.pipeline, run.description, run.file) == ("courses", "d", "pipelines/courses.yml")
    assert (run.engine, run.status, run.error, run.pid) == ("duckdb", "succeeded", None, os.getpid())
    assert run.params == {"landing": "Übung 😀", "key": ["a", "b"], "limit": None}
    assert run.started_at.tzinfo is UTC and abs(datetime.now(UTC) - run.started_at) < timedelta(seconds=60)
    assert run.duration_s is not None and 0 <= run.duration_s < 60
    (step,) = run.steps
    assert step.counts == tuple(counts)
    assert (step.rows_in, step.rows_out, step.refused, step.duplicate) == (17, 14, 2, 1)
    assert (step.status, step.executed, step.report) == (
        "succeeded",
        f"_runs/{run_id}/ingest.ipynb",
        "reports/courses-ingest.html",
    )


def test_what_still_runs_has_no_duration() -> None:
    step = StepRun("a", "a.ipynb", "running", datetime.now(UTC), None)
    assert step.duration_s is None


def test_runs_come_newest_first_and_by_pipeline(tmp_path: Path) -> None:
    ledger = Ledger.of_lake(tmp_path)
    first, other, last = begin(ledger), begin(ledger, "orders"), begin(ledger)
    assert [run.id for run in ledger.runs()] == [last, other, first]
    assert [run.id for run in ledger.runs("courses")] == [last, first]
    assert [run.id for run in ledger.runs(limit=1)] == [last]


def test_a_killed_run_and_its_running_step_become_interrupted(tmp_path: Path) -> None:
    ledger = Ledger.of_lake(tmp_path)
    killed, other = begin(ledger), begin(ledger, "orders")
    for step in ("done", "under_way"):
        ledger.start_step(killed, step, notebook="n.ipynb")
    ledger.finish_step(killed, "done", "succeeded")

    assert ledger.interrupt_runs("courses") == [killed]
    run = ledger.run(killed)
    assert (run.status, run.error) == ("interrupted", "the process was killed")
    assert {step.name: step.status for step in run.steps} == {"done": "succeeded", "under_way": "interrupted"}
    assert ledger.run(other).status == "running"
    assert ledger.interrupt_runs("courses") == []


def test_an_unknown_run_is_named_with_the_latest_ones(tmp_path: Path) -> None:
    ledger = Ledger.of_lake(tmp_path)
    with pytest.raises(UsageError, match="no run 'x' in the ledger .*Latest runs: none yet"):
        ledger.run("x")
    run_id = begin(ledger)
    with pytest.raises(UsageError, match=f"Latest runs: {run_id}"):
        ledger.run("x")


def test_a_status_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    ledger = Ledger.of_lake(tmp_path)
    with pytest.raises(ValueError, match="unknown status 'ok'; expected one of running, succeeded"):
        ledger.finish_run(begin(ledger), "ok")


def test_a_damaged_ledger_is_a_lake_error(tmp_path: Path) -> None:
    (tmp_path / "_ledger.sqlite").write_text("this is no database, and long enough to be read as one " * 20)
    with pytest.raises(LakeError, match="cannot be read or written: file is not a database"):
        Ledger.of_lake(tmp_path).runs()


def test_the_environment_names_another_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHER_LEDGER", f"sqlite:///{tmp_path}/team.sqlite")
    begin(Ledger.of_lake(tmp_path / "lake"))
    assert [path.name for path in tmp_path.glob("*.sqlite")] == ["team.sqlite"]


def test_a_database_without_driver_is_a_usage_error_that_hides_the_password() -> None:
    with pytest.raises(UsageError, match="no driver for this database") as caught:
        Ledger("nosuchdatabase://user:secret@host/db")
    assert "secret" not in str(caught.value)


def test_first_runs_at_the_same_time_share_one_new_ledger(tmp_path: Path) -> None:
    start = (
        "import sys; from thresher.ledger import Ledger; "
        "print(Ledger(sys.argv[1]).start_run('p', description='', file='p.yml', engine='duckdb', params={}))"
    )
    command = [sys.executable, "-c", start, str(tmp_path / "ledger.sqlite")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(5)]
    ids = {process.communicate(timeout=60)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0] * 5
    assert {run.id for run in Ledger(tmp_path / "ledger.sqlite").runs()} == ids
