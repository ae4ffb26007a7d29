"""Runs after runs: what is skipped and why, what is run again, and how a run that failed is continued."""

import json
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from io import StringIO
from pathlib import Path

import nbformat
import pytest
from rich.console import Console

from thresher.errors import UsageError
from thresher.lake import Lake
from thresher.ledger import Ledger, Run
from thresher.runner import preview, run

PARAMETERS = "lake: str = 'lake'\nsource: str = ''\ntarget: str = ''\nsize: int = 1"
WRITE = """\
import thresher as th
from shop import {function}
lake = th.Lake(lake)
rows = lake.read(source).to_arrow().num_rows if source else size
lake.write(target, [{{"n": {function}(i)}} for i in range(rows)], mode="overwrite")
open("ran", "a").write("{name} ")
"""
WAIT = "import time\nopen('begun', 'w')\ntime.sleep(60)"
PIPELINE = """\
name: shop
params: {size: 2}
steps:
  a: {notebook: notebooks/a.ipynb, with: {size: "${size}"}, writes: {target: raw.a}}
  b: {notebook: notebooks/b.ipynb, reads: {source: raw.a}, writes: {target: raw.b}}
  c: {notebook: notebooks/c.ipynb, reads: {source: raw.b}, writes: {target: raw.c}}
  d: {notebook: notebooks/b.ipynb, with: {size: 5}, writes: {target: raw.d}}
"""
LIBRARY = """\
def once(i): return i
def twice(i): return 2 * i
def thrice(i): return 3 * i
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    for name, function in (("a", "once"), ("b", "twice"), ("c", "thrice")):
        notebook(tmp_path, name, WRITE.format(function=function, name=name))
    (tmp_path / "shop.py").write_text(LIBRARY)
    (tmp_path / "pipelines" / "shop.yml").write_text(PIPELINE)
    return tmp_path


def notebook(project: Path, name: str, cell: str) -> None:
    parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_markdown_cell("# Why?"), parameters, nbformat.v4.new_code_cell(cell)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), project / "notebooks" / f"{name}.ipynb")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def go(project: Path, **options: object) -> tuple[Run, dict[str, str]]:
    """A run, and for each step its status with the reason."""
    found = run(project / "pipelines" / "shop.yml", lake=project / "lake", **options).run  # type: ignore[arg-type]
    return found, {step.name: f"{step.status}: {step.reason}" for step in found.steps}


def ran(project: Path) -> list[str]:
    """The notebooks that ran since this was last asked."""
    file = project / "ran"
    names = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return sorted(names)


SKIPPED = "skipped: nothing changed"


def test_a_change_runs_the_steps_that_depend_on_it_and_no_others(project: Path) -> None:
    first, steps = go(project)
    assert (first.status, set(steps.values())) == ("succeeded", {"succeeded: has not succeeded yet"})
    assert ran(project) == ["a", "b", "b", "c"]
    _, again = go(project)
    assert (set(again.values()), ran(project)) == ({SKIPPED}, [])
    assert [each.action for each in preview(project / "pipelines" / "shop.yml", lake=project / "lake")[1]] == [
        "skip"
    ] * 4

    # One function of the library: the steps that call it; and those after them only if their data came out otherwise.
    replace(project / "shop.py", "3 * i", "i * 4")
    planned = preview(project / "pipelines" / "shop.yml", lake=project / "lake")[1]
    assert {each.step: (each.action, each.reason) for each in planned} == {
        "a": ("skip", "nothing changed"),
        "b": ("skip", "nothing changed"),
        "c": ("run", "shop.py changed"),
        "d": ("skip", "nothing changed"),
    }
    _, steps = go(project)
    assert (steps["c"], ran(project)) == ("succeeded: shop.py changed", ["c"])
    replace(project / "shop.py", "2 * i", "i * 2")
    planned = preview(project / "pipelines" / "shop.yml", lake=project / "lake")[1]
    assert {each.step: (each.action, each.reason) for each in planned}["c"] == ("wait", "runs if b brings other data")
    _, steps = go(project)
    assert (steps["b"], steps["d"]) == ("succeeded: shop.py changed",) * 2
    assert (steps["a"], steps["c"], ran(project)) == (SKIPPED, SKIPPED, ["b", "b"])

    # Comments, prose and outputs are not code.
    replace(project / "shop.py", "def once", "# a note\ndef once")
    replace(project / "notebooks" / "a.ipynb", "# Why?", "# What for?")
    _, steps = go(project)
    assert (set(steps.values()), ran(project)) == ({SKIPPED}, [])

    # A parameter, a step that is forced, and a dataset that somebody else has changed.
    _, steps = go(project, params={"size": 3})
    assert (steps["a"], steps["b"]) == (
        "succeeded: parameter size changed",
        "succeeded: raw.a is version 1, was version 0",
    )
    assert (steps["d"], ran(project)) == (SKIPPED, ["a", "b", "c"])
    _, steps = go(project, params={"size": 3}, force=True, select=["d"])
    assert (steps, ran(project)) == ({"d": "succeeded: asked for by --force"}, ["b"])
    Lake(project / "lake").write("raw.c", [{"n": 7}], mode="overwrite")
    _, steps = go(project, params={"size": 3})
    assert (steps["c"], ran(project)) == ("succeeded: raw.c, which it writes, is version 3; it left version 2", ["c"])


def test_selected_steps_run_alone(project: Path) -> None:
    file, lake = project / "pipelines" / "shop.yml", project / "lake"
    with pytest.raises(UsageError, match=r"step b reads raw\.a, which the lake does not hold .* Select \+b\."):
        run(file, lake=lake, select=["b"])
    with pytest.raises(
        UsageError, match=r"--select bb: no step 'bb'\. Did you mean b\? Or step\+, \+step, state:failed\."
    ):
        run(file, lake=lake, select=["bb"])
    with pytest.raises(UsageError, match=r"has not run on this lake yet"):
        run(file, lake=lake, select=["state:failed"])
    assert [set(go(project, select=[each])[1]) for each in ("+b", "d", "b+")] == [{"a", "b"}, {"d"}, {"b", "c"}]
    assert ran(project) == ["a", "b", "b", "c"]
    with pytest.raises(UsageError, match=r"all steps of the last run, shop-.*, succeeded; there is nothing to do"):
        run(file, lake=lake, select=["state:failed"])


def test_a_failed_run_is_continued_under_its_id(project: Path) -> None:
    cell = WRITE.format(function="twice", name="b")
    notebook(project, "b", "raise ValueError('no')")
    first, steps = go(project)
    assert (first.status, steps["b"].partition(":")[0], steps["c"].partition(":")[0]) == ("failed", "failed", "blocked")
    notebook(project, "b", cell)
    second, steps = go(project, resume=True)
    assert (second.id, second.status, ran(project)) == (first.id, "succeeded", ["a", "b", "b", "c"])
    assert steps["a"] == "succeeded: has not succeeded yet"
    with pytest.raises(UsageError, match=f"cannot be resumed: the last run, {first.id}, succeeded. Begin a new run"):
        go(project, resume=True)
    assert go(project)[0].id != first.id


def test_a_run_is_not_continued_when_other_data_came_in(project: Path) -> None:
    notebook(project, "b", "raise ValueError('no')")
    first, _ = go(project)
    with pytest.raises(UsageError, match="had other parameters or another engine: .*'size': 2"):
        go(project, resume=True, params={"size": 3})
    Lake(project / "lake").write("raw.x", [{"n": 7}])
    replace(project / "pipelines" / "shop.yml", "a.ipynb, ", "a.ipynb, reads: {source: raw.x}, ")
    assert go(project)[0].id != first.id
    Lake(project / "lake").write("raw.x", [{"n": 8}])
    with pytest.raises(
        UsageError, match=r"other data came in since shop-.* began: a: raw\.x is version 1, was version 0"
    ):
        go(project, resume=True)


Thresher = Callable[..., "subprocess.Popen[str]"]
WaitFor = Callable[..., None]


def test_a_killed_run_ends_right_the_next_time(project: Path, thresher: Thresher, wait_for: WaitFor) -> None:
    notebook(project, "c", WAIT)
    killed = thresher(project, "run", "shop", "--json")
    wait_for((project / "begun").exists)
    killed.kill()
    killed.communicate()
    [left] = Ledger.of_lake(project / "lake").runs()
    assert (left.status, ran(project)) == ("running", ["a", "b", "b"])
    notebook(project, "c", WRITE.format(function="thrice", name="c"))
    out, _ = thresher(project, "run", "shop", "--json").communicate(timeout=120)
    shown = json.loads(out)
    assert (shown["id"], shown["status"], ran(project)) == (left.id, "succeeded", ["c"])
    assert Lake(project / "lake").read("raw.c").to_arrow().to_pylist() == [{"n": 0}, {"n": 3}]


def test_a_forced_run_that_was_stopped_is_still_forced_where_it_goes_on(
    project: Path, thresher: Thresher, wait_for: WaitFor
) -> None:
    go(project)
    notebook(project, "b", WAIT)
    forced = thresher(project, "run", "shop", "--force", "--select", "a+", "--jobs", "1")
    wait_for((project / "begun").exists)
    forced.send_signal(signal.SIGINT)
    forced.communicate()
    notebook(project, "b", WRITE.format(function="twice", name="b"))
    ran(project)
    planned = preview(project / "pipelines" / "shop.yml", lake=project / "lake")[1]
    assert {each.step: (each.action, each.reason) for each in planned} == {
        "a": ("skip", "nothing changed"),
        "b": ("run", "asked for by --force"),
        "c": ("run", "asked for by --force"),
        "d": ("skip", "nothing changed"),
    }
    goes_on, steps = go(project)
    assert ([steps[name] for name in "bc"], ran(project)) == (["succeeded: asked for by --force"] * 2, ["b", "c"])
    assert goes_on.forced == ("b", "c")
    assert go(project)[1] == dict.fromkeys("abcd", SKIPPED)


def test_what_a_forced_run_did_not_do_stays_forced_over_runs_that_leave_it_out(
    project: Path, thresher: Thresher, wait_for: WaitFor
) -> None:
    go(project)
    notebook(project, "b", "raise ValueError('no')")
    assert go(project, force=True, select=["a+"], jobs=1)[1]["c"].startswith("blocked")
    notebook(project, "b", WRITE.format(function="twice", name="b"))
    assert go(project, select=["b"])[1] == {"b": "succeeded: asked for by --force"}
    assert go(project, select=["a", "d"])[1] == dict.fromkeys("ad", SKIPPED)
    assert go(project)[1] == {**dict.fromkeys("abd", SKIPPED), "c": "succeeded: asked for by --force"}
    assert go(project)[1] == dict.fromkeys("abcd", SKIPPED)


def test_a_run_is_not_continued_when_other_data_came_in_for_a_skipped_step(project: Path) -> None:
    Lake(project / "lake").write("raw.x", [{"n": 7}])
    replace(project / "pipelines" / "shop.yml", "a.ipynb, ", "a.ipynb, reads: {source: raw.x}, ")
    go(project)
    notebook(project, "b", "raise ValueError('no')")
    failed, steps = go(project)
    assert (failed.status, steps["a"]) == ("failed", SKIPPED)
    Lake(project / "lake").write("raw.x", [{"n": 8}])
    with pytest.raises(UsageError, match=r"other data came in since shop-.* began: a: raw\.x is version 1"):
        go(project, resume=True)


def test_a_continued_run_does_not_tell_of_what_it_has_not_run(project: Path) -> None:
    notebook(project, "b", "raise ValueError('no')")
    go(project)
    notebook(project, "b", WRITE.format(function="twice", name="b"))
    shown = StringIO()
    go(project, console=Console(file=shown, width=200))
    lines = [line[9:] for line in shown.getvalue().splitlines()]
    assert "a: skipped (done before, nothing changed)" in lines
    assert not any(line.startswith("a: succeeded") for line in lines)


def test_a_forced_run_begins_anew_unless_it_is_to_resume(project: Path) -> None:
    notebook(project, "c", "raise ValueError('no')")
    failed, _ = go(project)
    assert (failed.status, ran(project)) == ("failed", ["a", "b", "b"])
    resumed, _ = go(project, force=True, resume=True)
    assert (resumed.id, ran(project)) == (failed.id, [])  # c, and nothing that it had done
    # A selection that leaves out what failed cannot bring the run to its end.
    with pytest.raises(UsageError, match=f"the last run, {failed.id}, has yet to do c, which this one leaves out"):
        go(project, select=["a"], resume=True)
    other, steps = go(project, select=["a"])
    assert (other.id != failed.id, steps) == (True, {"a": SKIPPED})
    assert Ledger.of_lake(project / "lake").run(failed.id).status == "failed"
    anew, _ = go(project, force=True)
    assert (anew.id != other.id, ran(project)) == (True, ["a", "b", "b"])


def test_a_continued_run_took_as_long_as_it_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger.of_lake(tmp_path)
    now = datetime(2026, 11, 1, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp(now.timestamp(), tz)

    monkeypatch.setattr("thresher.ledger.datetime", Clock)
    run_id = ledger.start_run("p", file="p.yml", engine="duckdb", params={}, lake=tmp_path)
    now += timedelta(seconds=10)
    ledger.finish_run(run_id, "failed")
    now += timedelta(hours=5)
    ledger.resume_run(run_id)
    assert ledger.run(run_id).duration_s is None
    now += timedelta(seconds=5)
    ledger.start_step(run_id, "a", notebook="a.ipynb")
    seen_at = now + timedelta(seconds=2)  # then it was killed, which nobody noticed for a day
    now += timedelta(days=1)
    assert ledger.interrupt_runs("p", tmp_path, seen_at=seen_at) == [run_id]
    assert ledger.run(run_id).duration_s == 17.0
    ledger.resume_run(run_id)
    now += timedelta(seconds=3)
    ledger.finish_run(run_id, "succeeded")
    found = ledger.run(run_id)
    assert (found.duration_s, found.started_at) == (20.0, datetime(2026, 11, 1, tzinfo=UTC))
    ledger.close()


def test_modules_in_the_folder_lib_are_imported_and_count(project: Path) -> None:
    (project / "lib").mkdir()
    (project / "shop.py").rename(project / "lib" / "shop.py")
    (project / "lib" / "json.py").write_text("raise ImportError('what is installed comes first')")
    assert (go(project)[0].status, ran(project)) == ("succeeded", ["a", "b", "b", "c"])
    replace(project / "lib" / "shop.py", "3 * i", "i * 4")
    _, steps = go(project)
    assert (steps["c"], ran(project)) == ("succeeded: lib/shop.py changed", ["c"])


def test_a_file_of_settings_that_a_step_names_counts(project: Path) -> None:
    file = project / "pipelines" / "shop.yml"
    notebook(project, "a", 'rules = "rules.yml"')
    notebook(project, "b", "1")
    file.write_text(
        "name: shop\nsteps:\n  a: {notebook: notebooks/a.ipynb}\n"
        "  b: {notebook: notebooks/b.ipynb, with: {source: model.xsd}}\n"
    )
    for name in ("rules.yml", "model.xsd"):
        (project / name).write_text("a")
    go(project)
    for name, step in (("rules.yml", "a"), ("model.xsd", "b")):
        (project / name).write_text("b")
        planned = {each.step: each.reason for each in preview(file, lake=project / "lake")[1]}
        assert planned == {"a": "nothing changed", "b": "nothing changed"} | {step: f"{name} changed"}
        (project / name).write_text("a")
