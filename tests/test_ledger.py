"""The ledger remembers runs and steps, gives them back newest first, and never makes a file by being read."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from thresher import database
from thresher.counts import Counts
from thresher.errors import LakeError, TransientError, UsageError
from thresher.ledger import Ledger, StepRun


def begin(ledger: Ledger, pipeline: str = "courses", **params: object) -> str:
    return ledger.start_run(pipeline, file=f"pipelines/{pipeline}.yml", engine="duckdb", params=params, description="d")


@pytest.fixture
def ledger(ledger_kind: str, tmp_path: Path, open_ledger: Callable[[Path], Ledger]) -> Ledger:
    """The empty ledger of a lake at tmp_path, in each kind of database."""
    return open_ledger(tmp_path)


def test_reading_a_lake_without_runs_creates_nothing(tmp_path: Path) -> None:
    assert Ledger.of_lake(tmp_path).runs() == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_comes_back_as_it_was_noted(
    ledger: Ledger, tmp_path: Path, open_ledger: Callable[[Path], Ledger]
) -> None:
    run_id = begin(ledger, landing="Übung 😀", key=["a", "b"], limit=None)
    ledger.start_step(run_id, "ingest", notebook="notebooks/01.ipynb", executed=f"_runs/{run_id}/ingest.ipynb")
    counts = [Counts("raw.a", 12, 9, 2, 1, {"files": 3}), Counts("raw.b", 5, 5)]
    ledger.finish_step(run_id, "ingest", "succeeded", counts=counts)
    ledger.publish_step(run_id, "ingest", "reports/courses-ingest.html")
    ledger.finish_run(run_id, "succeeded")

    run = open_ledger(tmp_path).run(run_id)
    assert re.fullmatch(r"courses-\d{8}T\d{6}Z-[0-9a-f]{8}", run.id)
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


def test_runs_come_newest_first_and_by_pipeline(ledger: Ledger) -> None:
    first, other, last = begin(ledger), begin(ledger, "orders"), begin(ledger)
    assert [run.id for run in ledger.runs()] == [last, other, first]
    assert [run.id for run in ledger.runs("courses")] == [last, first]
    assert [run.id for run in ledger.runs(limit=1)] == [last]


def test_no_error_is_too_odd_to_be_noted(ledger: Ledger) -> None:
    run_id = begin(ledger)
    ledger.start_step(run_id, "a", notebook="n.ipynb")
    ledger.finish_step(run_id, "a", "failed", error="zero \0, half \udc80, Übung 😀")
    ledger.finish_run(run_id, "failed", error="\0")
    run = ledger.run(run_id)
    assert (run.error, run.steps[0].error) == ("\\x00", "zero \\x00, half \\udc80, Übung 😀")


def test_a_killed_run_and_its_running_step_become_interrupted(ledger: Ledger) -> None:
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


def test_an_unknown_run_is_named_with_the_latest_ones(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="no run 'x' in the ledger .*Latest runs: none yet"):
        ledger.run("x")
    run_id = begin(ledger)
    with pytest.raises(UsageError, match=f"Latest runs: {run_id}"):
        ledger.run("x")


def test_a_status_that_nobody_knows_is_refused(ledger: Ledger) -> None:
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


def test_first_runs_at_the_same_time_share_one_new_ledger(ledger: Ledger, tmp_path: Path) -> None:
    start = (
        "import sys; from pathlib import Path; from thresher.ledger import Ledger; "
        "print(Ledger.of_lake(Path(sys.argv[1])).start_run('p', file='p.yml', engine='duckdb', params={}))"
    )
    command = [sys.executable, "-c", start, str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(5)]
    ids = {process.communicate(timeout=60)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0] * 5
    assert {run.id for run in ledger.runs()} == ids


def test_runs_are_found_by_status_lake_and_beginning(ledger: Ledger) -> None:
    options: dict[str, Any] = {"file": "p.yml", "engine": "duckdb", "params": {}}
    first = ledger.start_run("p", lake=Path("/a"), **options)
    ledger.finish_run(first, "failed")
    second = ledger.start_run("p", lake=Path("/b"), **options)
    assert [run.id for run in ledger.runs(status="failed")] == [first]
    assert [run.id for run in ledger.runs(lake=Path("/b"))] == [second]
    began = ledger.run(second).started_at
    assert [run.id for run in ledger.runs(since=began)] == [second]
    assert ledger.runs(since=began + timedelta(seconds=1)) == []


def test_a_skipped_step_has_the_figures_of_the_run_that_executed_it(ledger: Ledger, tmp_path: Path) -> None:
    first, second = (ledger.start_run("p", file="p.yml", engine="e", params={}, lake=tmp_path) for _ in range(2))
    ledger.start_step(first, "a", notebook="a.ipynb", executed=f"_runs/{first}/a.ipynb", reason="new")
    facts: dict[str, Any] = {"fingerprint": {"x": "1"}, "outputs": {"raw.a": "0:f"}, "peak_bytes": 7, "attempts": 2}
    ledger.finish_step(first, "a", "succeeded", counts=[Counts("raw.a", 3, 3)], **facts)
    ledger.skip_steps(second, [(ledger.step(first, "a"), "nothing changed")])

    (noted,), (result,) = ledger.run(second).steps, ledger.results(second)
    assert (noted.rows_in, noted.run_id) == (0, first)
    assert (result.status, result.reason, result.rows_in, result.attempts) == ("skipped", "nothing changed", 3, 2)
    assert (result.fingerprint, result.outputs, result.peak_bytes) == ({"x": "1"}, {"raw.a": "0:f"}, 7)


def test_a_ledger_of_an_earlier_version_gets_the_columns_that_it_lacks(ledger: Ledger, tmp_path: Path) -> None:
    run_id = begin(ledger)
    ledger.start_step(run_id, "a", notebook="n.ipynb")
    with ledger.database.transaction(sa.MetaData()) as connection:
        connection.exec_driver_sql("alter table thresher_steps drop column peak_bytes")
    ledger.close()
    again = Ledger.of_lake(tmp_path)
    assert again.run(run_id).steps[0].peak_bytes is None
    again.finish_step(run_id, "a", "succeeded", peak_bytes=5)
    assert again.run(run_id).steps[0].peak_bytes == 5
    again.close()


def test_a_connection_that_breaks_off_is_made_again(
    postgresql_ledger: str, postgresql_server: Any, tmp_path: Path, open_ledger: Callable[[Path], Ledger]
) -> None:
    ledger = open_ledger(tmp_path)
    run_id = begin(ledger)
    postgresql_server.psql("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid();")
    ledger.start_step(run_id, "a", notebook="n.ipynb")
    with pytest.raises(TransientError, match="the connection broke off"):
        with ledger.transaction(sa.MetaData()) as connection:
            connection.exec_driver_sql("delete from thresher_steps")
            connection.exec_driver_sql("select pg_terminate_backend(pg_backend_pid())")
    assert [step.name for step in ledger.run(run_id).steps] == ["a"]


def test_a_database_that_is_down_for_a_while_is_awaited(
    postgresql_ledger: str,
    postgresql_server: Any,
    stop_postgresql: Callable[[], None],
    tmp_path: Path,
    open_ledger: Callable[[Path], Ledger],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = open_ledger(tmp_path)
    run_id = begin(ledger)
    stop_postgresql()
    try:
        with pytest.raises(LakeError, match="cannot be read or written"):  # never reached before: no use in waiting
            open_ledger(tmp_path).runs()
        again = threading.Timer(1, postgresql_server.start)
        again.start()
        ledger.finish_run(run_id, "succeeded")
        again.join()
        stop_postgresql()
        monkeypatch.setattr(database, "RECONNECT_S", 1)
        for _ in range(2):
            with pytest.raises(TransientError, match="lost, and not reached again within 1 s"):
                ledger.finish_run(run_id, "failed")
    finally:
        postgresql_server.start()
    assert ledger.run(run_id).status == "succeeded"
