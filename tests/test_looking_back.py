"""`thresher runs`: what ran, one run in full, what two runs differ in; and old runs, which are removed."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from thresher.cli.main import main
from thresher.counts import Counts
from thresher.datasets import state
from thresher.errors import PipelineError
from thresher.lake import Lake
from thresher.ledger import Ledger
from thresher.pipeline import load
from thresher.running import locks, retention


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THRESHER_LAKE", str(tmp_path / "lake"))
    (tmp_path / "lake").mkdir()
    return tmp_path / "lake"


@pytest.fixture
def ledger(lake: Path, ledger_kind: str, open_ledger: Callable[[Path], Ledger]) -> Ledger:
    return open_ledger(lake)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def told(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def noted(ledger: Ledger, lake: Path, step_status: str = "succeeded", pipeline: str = "p", **facts: Any) -> str:
    """A run of one step that has ended, with its executed notebook."""
    run_id = begun(ledger, lake, pipeline)
    executed = f"_runs/{run_id}/a.ipynb"
    ledger.start_step(run_id, "a", notebook="n.ipynb", executed=executed, reason="n.ipynb changed")
    (lake / executed).parent.mkdir(parents=True)
    (lake / executed).write_text("{}")
    facts.setdefault("fingerprint", {"Python": "3.11.7"})
    ledger.finish_step(run_id, "a", step_status, **facts)
    ledger.finish_run(run_id, "succeeded" if step_status == "succeeded" else "failed")
    return run_id


def begun(ledger: Ledger, lake: Path, pipeline: str = "p", **params: Any) -> str:
    return ledger.start_run(pipeline, file=f"pipelines/{pipeline}.yml", engine="duckdb", params=params, lake=lake)


def skipped(ledger: Ledger, lake: Path) -> str:
    run_id = begun(ledger, lake)
    ledger.skip_steps(run_id, [(ledger.last_good("p", lake)["a"], "nothing changed")])
    ledger.finish_run(run_id, "succeeded")
    return run_id


def ids(found: Sequence[Any]) -> list[str]:
    return [each["id"] for each in found]


def test_runs_are_listed_as_asked(ledger: Ledger, lake: Path) -> None:
    good = noted(ledger, lake)
    bad = noted(ledger, lake, "failed", "q", error="no ink")
    lines = call("runs").output.splitlines()
    assert lines[0].split() == ["run", "status", "began", "(UTC)", "seconds", "ran", "skipped", "failed", "error"]
    assert [(line.split()[:2], line.split()[-3:]) for line in lines[1:]] == [
        ([bad, "failed"], ["1", "0", "1"]),
        ([good, "succeeded"], ["1", "0", "0"]),
    ]
    assert ids(told("runs")) == [bad, good]
    assert ids(told("runs", "--status", "failed")) == ids(told("runs", "--pipeline", "q")) == [bad]
    assert ids(told("runs", "--limit", "1")) == [bad]
    assert ids(told("runs", "--since", "1h")) == ids(told("runs", "--since", "2020-01-01")) == [bad, good]
    assert told("runs", "--since", "2999-01-01T10:00+02:00") == []
    assert call("runs", "--since", "2999-01-01").output == "no such runs\n"
    assert "expected one of running, succeeded" in call("runs", "--status", "ok").stderr
    assert "found '1y', expected a day, a time or an age" in call("runs", "--since", "1y").stderr


def test_a_run_whose_process_is_gone_is_not_running(ledger: Ledger, lake: Path) -> None:
    run_id = begun(ledger, lake)
    assert (told("runs")[0]["status"], told("runs", "show", run_id)["status"]) == ("interrupted", "interrupted")
    assert "its process is gone; to continue it: thresher run pipelines/p.yml" in call("runs", "cancel", run_id).stderr
    with locks.held(ledger, lake, "p") as lease:
        lease.begins(run_id)
        assert told("runs")[0]["status"] == "running"


def test_one_run_is_shown_in_full(ledger: Ledger, lake: Path) -> None:
    facts = {"attempts": 2, "peak_bytes": 52_000_000}
    first = noted(ledger, lake, counts=[Counts("raw.a", 5, 2, 2, 1)], **facts)
    second = skipped(ledger, lake)
    executed = f"_runs/{first}/a.ipynb"
    assert call("runs", "show", second).output.splitlines()[-1].split() == [
        *("a", "skipped", "0.0", "2", "5", "2", "2", "1", "52", "nothing", "changed", executed)
    ]
    (step,) = told("runs", "show", "latest")["steps"]
    assert (step["status"], step["counts"][0]["rows_in"], step["executed"]) == ("skipped", 5, executed)

    error = "no ink\n" + "a long story " * 50
    bad = noted(ledger, lake, "failed", error=error)
    assert call("runs", "show", bad).output.endswith(f"\n\na failed: {error}\n")


def test_runs_are_named_by_how_long_ago(ledger: Ledger, lake: Path) -> None:
    first, second, other = noted(ledger, lake), noted(ledger, lake), noted(ledger, lake, pipeline="q")
    found = {name: told("runs", "show", name)["id"] for name in ("latest", "p", "p~1", "q~0", first)}
    assert found == {"latest": other, "p": second, "p~1": first, "q~0": other, first: first}
    assert f"no run latest~1: lake {lake} has seen pipeline q run once" in call("runs", "show", "latest~1").stderr
    assert "no run 'nosuch'" in call("runs", "show", "nosuch").stderr
    assert "expected two runs of one" in call("runs", "diff", "p", "q").stderr


def test_two_runs_are_compared(ledger: Ledger, lake: Path) -> None:
    tables = Lake(lake)
    tables.write("raw.a", [{"n": 1, "old": "x"}])
    tables.write("raw.b", [{"n": 1}])
    outputs = {name: state(lake, name) for name in ("raw.a", "raw.b")}
    prints = {"Python": "3.11.7", "file lib/a.py": "1", "dataset raw.z": "3:x"}
    noted(ledger, lake, counts=[Counts("raw.a", 1, 1)], fingerprint=prints, outputs=outputs)
    for name in outputs:  # made anew: version 0 is another one
        for file in sorted((lake / name.replace(".", "/")).rglob("*"), reverse=True) if name == "raw.b" else ():
            file.rmdir() if file.is_dir() else file.unlink()
    tables.write("raw.a", [{"n": 1, "new": 1.5}, {"n": 2, "new": 2.5}], mode="overwrite", schema="replace")
    tables.write("raw.b", [{"n": 2}])

    second = begun(ledger, lake, limit=7)
    ledger.start_step(second, "a", notebook="n.ipynb", executed=f"_runs/{second}/a.ipynb")
    changed = {**prints, "file lib/a.py": "2", "dataset raw.z": "4:y"}
    outputs = {name: state(lake, name) for name in outputs}
    counts = [Counts("raw.a", 3, 2, 1)]
    ledger.finish_step(second, "a", "succeeded", counts=counts, fingerprint=changed, outputs=outputs)
    ledger.finish_run(second, "succeeded")

    found = told("runs", "diff", "latest~1", "latest")
    assert found["params"] == {"limit": [None, 7]}
    (step,) = found["steps"]
    del step["figures"]["duration_s"]
    assert step == {
        "name": "a",
        "figures": {
            "status": ["succeeded", "succeeded"],
            "rows_in": [1, 3],
            "rows_out": [1, 2],
            "refused": [0, 1],
            "duplicate": [0, 0],
        },
        "changes": ["lib/a.py changed", "raw.z is version 4, was version 3"],
    }
    a, b = found["datasets"]
    assert a == {
        "name": "raw.a",
        "version": [0, 1],
        "rows": [1, 2],
        "new_columns": {"new": "double"},
        "gone_columns": {"old": "string"},
        "retyped_columns": {},
        "note": "",
    }
    assert (b["version"], b["rows"]) == ([0, 0], [None, 1])
    assert b["note"] == "version 0 is no longer there: the log was cleaned up, or the table was made anew"
    shown = call("runs", "diff", "latest~1", "latest").output
    for text in ("  limit: – → 7\n", "1 → 3", "lib/a.py changed", "0 → 1", "new new double; gone old string"):
        assert text in shown


def age(ledger: Ledger, run_id: str, days: int) -> None:
    with ledger.transaction(sa.MetaData()) as connection:
        began = f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d %H:%M:%S.%f}"
        connection.exec_driver_sql(f"update thresher_runs set started_at = '{began}' where id = '{run_id}'")


def test_old_runs_are_removed_but_not_what_later_ones_refer_to(ledger: Ledger, lake: Path) -> None:
    oldest, good = noted(ledger, lake), noted(ledger, lake)
    failed = [noted(ledger, lake, "failed") for _ in range(3)]
    last = skipped(ledger, lake)
    other = noted(ledger, lake.parent / "another", pipeline="p")

    before = sorted(lake.rglob("*"))
    assert ids(told("runs", "prune", "--keep", "2", "--dry-run")) == [failed[1], failed[0], oldest]
    assert sorted(lake.rglob("*")) == before
    assert call("runs", "prune", "--keep", "2").output.endswith("removed 3 runs, 6 B\n")
    assert [run.id for run in ledger.runs()] == [other, last, failed[2], good]
    assert {path.name for path in (lake / "_runs").iterdir()} == {good, failed[2]}
    assert told("runs", "prune", "--keep", "2") == []

    now_good = noted(ledger, lake)
    assert [each.run.id for each in retention.prune(ledger, lake, keep=2)] == [failed[2]]  # `last` needs `good`
    assert [each.run.id for each in retention.prune(ledger, lake, keep=1)] == [last, good]
    assert [run.id for run in ledger.runs(lake=lake)] == [now_good]


def test_runs_are_removed_by_age_and_never_the_newest_or_one_that_runs(ledger: Ledger, lake: Path) -> None:
    old, running, young, newest = (
        noted(ledger, lake, "failed"),
        begun(ledger, lake),
        noted(ledger, lake, "failed"),
        noted(ledger, lake, "failed"),
    )
    for run_id in (old, running):
        age(ledger, run_id, 100)
    assert ids(told("runs", "prune", "--older-than", "90d")) == [old]
    assert "say which runs to remove" in call("runs", "prune").stderr
    assert ids(told("runs", "prune", "--older-than", "0m")) == [young]
    assert {run.id for run in ledger.runs()} == {newest, running}


def test_a_pipeline_says_how_many_runs_it_keeps(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "n.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    file = tmp_path / "pipelines" / "p.yml"
    file.write_text("name: p\nkeep_runs: 0\nsteps: {a: {notebook: n.ipynb}}\n")
    with pytest.raises(PipelineError, match=r"p\.yml:2: keep_runs: found 0, expected 1 or more"):
        load(file, exists=lambda name: True)
    file.write_text("name: p\nkeep_runs: many\nsteps: {a: {notebook: n.ipynb}}\n")
    with pytest.raises(PipelineError, match=r"p\.yml:2: keep_runs: found text \('many'\), expected a whole number"):
        load(file, exists=lambda name: True)
