"""What a run refuses before it writes anything, how it publishes, and what is left when it is stopped or killed."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import nbformat
import psutil
import pytest

from thresher import report
from thresher.errors import LakeError, LandingNotFound, LockLost, RunLocked, UsageError
from thresher.ledger import Ledger, Run
from thresher.runner import run

PIPELINE = """\
name: {name}
params: {{landing: data}}
steps:
  first:
    notebook: notebooks/{notebook}.ipynb
    with: {{source: "${{landing}}/*.json"}}
    report: true
"""
SECOND = """\
  second: {notebook: notebooks/slow.ipynb, with: {source: "${landing}/*.json"}}
"""
CELLS = {"quick": "# the report\n1 + 1", "slow": "import time\nopen('begun', 'w').close()\ntime.sleep(60)"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("pipelines", "notebooks", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data" / "a.json").write_text("{}")
    for name, cell in CELLS.items():
        source = nbformat.v4.new_code_cell("source: 'Landing'", metadata={"tags": ["parameters"]})
        cells = [nbformat.v4.new_markdown_cell(f"# All about {name}"), source, nbformat.v4.new_code_cell(cell)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
        text = PIPELINE.format(name=name, notebook=name) + (SECOND if name == "slow" else "")
        (tmp_path / "pipelines" / f"{name}.yml").write_text(text)
    return tmp_path


def everything(project: Path) -> list[Path]:
    return sorted(project.rglob("*"))


@pytest.mark.parametrize(
    ("params", "engine", "kind"),
    [({"landing": "nowhere"}, None, LandingNotFound), ({"x": 1}, None, UsageError), ({}, "sparc", UsageError)],
    ids=["no landing", "unknown parameter", "unknown engine"],
)
def test_a_refused_run_writes_nothing(
    project: Path, params: dict[str, str], engine: str | None, kind: type[Exception]
) -> None:
    before = everything(project)
    with pytest.raises(kind):
        run(project / "pipelines" / "quick.yml", params, lake=project / "lake", engine=engine)
    assert everything(project) == before


@pytest.mark.parametrize("place", ["lake", "site"])
def test_a_file_in_place_of_a_folder_is_refused(project: Path, place: str) -> None:
    (project / place).write_text("a file")
    before = everything(project)
    with pytest.raises(LakeError, match=f"{place}.* is a file"):
        run(project / "pipelines" / "quick.yml", lake=project / "lake")
    assert everything(project) == before


@pytest.mark.parametrize("place", ["lake", "locked/lake"])
def test_a_lake_that_cannot_be_written_is_refused(project: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project / place.partition("/")[0]
    folder.mkdir()
    allowed = os.access
    # Root may write everywhere: only the answer of the operating system is played here.
    monkeypatch.setattr(os, "access", lambda path, mode: allowed(path, mode) and Path(path) != folder)
    before = everything(project)
    with pytest.raises(LakeError, match="cannot be (read|written)"):
        run(project / "pipelines" / "quick.yml", lake=project / place)
    assert everything(project) == before


def test_a_report_is_published_and_the_last_good_one_stays(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, lake = project / "pipelines" / "quick.yml", project / "lake"
    good = run(file, lake=lake)
    page = project / "site" / "reports" / "quick-first.html"
    text = page.read_text()
    assert (good.run.status, good.run.steps[0].report) == ("succeeded", "reports/quick-first.html")
    assert "All about quick" in text and good.run.id in text

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(report, "render", broken)
    bad = run(file, lake=lake, force=True)
    assert (bad.exit_code, bad.run.status) == (1, "failed")
    assert bad.run.error == "the report of step first was not published: RuntimeError('no ink')"
    assert page.read_text() == text


def test_a_step_that_cannot_be_recorded_fails_alone(project: Path) -> None:
    parameters = nbformat.v4.new_code_cell("", metadata={"tags": ["parameters"]})
    bad = "import os\nos.makedirs(f\"lake/_runs/{os.environ['THRESHER_RUN_ID']}/bad.ipynb\")"
    for name, cell in (("bad", bad), ("good", "1")):
        cells = [parameters, nbformat.v4.new_code_cell(cell)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), project / "notebooks" / f"{name}.ipynb")
    file = project / "pipelines" / "two.yml"
    file.write_text(
        "name: two\nsteps:\n  bad: {notebook: notebooks/bad.ipynb}\n  good: {notebook: notebooks/good.ipynb}\n"
    )
    found = run(file, lake=project / "lake", jobs=1).run
    steps = {step.name: step for step in found.steps}
    assert (found.error, steps["good"].status) == ("failed: bad", "succeeded")
    assert (steps["bad"].error or "").startswith("the notebook could not be executed: IsADirectoryError(")


LOSE_THE_LOCK = """\
import sqlite3, time
with sqlite3.connect("lake/_ledger.sqlite") as ledger:
    ledger.execute("update thresher_locks set token = 'of another run'")
time.sleep(60)
"""


def test_a_run_that_loses_its_lock_leaves_nothing_behind(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (project / "thresher.yml").write_text("lineage: {to: lineage.jsonl}\n")
    cells = [nbformat.v4.new_code_cell("", metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(LOSE_THE_LOCK)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), project / "notebooks" / "lose.ipynb")
    file = project / "pipelines" / "lose.yml"
    file.write_text("name: lose\nsteps:\n  a: {notebook: notebooks/lose.ipynb}\n")
    before = (set(psutil.Process().children(recursive=True)), set(threading.enumerate()))
    with pytest.raises(LockLost):
        run(file, lake=project / "lake")
    assert (set(psutil.Process().children(recursive=True)), set(threading.enumerate())) == before
    last = (project / "lineage.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["eventType"] == "ABORT"
    assert latest(project).status == "running"  # which whoever took over will note otherwise


Begun = Callable[[], "subprocess.Popen[str]"]
WaitFor = Callable[..., None]


@pytest.fixture
def begun(project: Path, thresher: Callable[..., "subprocess.Popen[str]"], wait_for: WaitFor) -> Begun:
    """Starts `thresher run slow` in a process of its own, and returns when a cell of it is at work."""

    def start() -> "subprocess.Popen[str]":
        (project / "begun").unlink(missing_ok=True)
        process = thresher(project, "run", "slow", "--json", "--jobs", "1")
        wait_for(lambda: (project / "begun").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process

    return start


def kernels(pid: int) -> list[psutil.Process]:
    """The fork server of a run and the kernels below it."""
    children = psutil.Process(pid).children(recursive=True)
    return [each for each in children if "thresher.kernels.fork_server" in each.cmdline()]


def latest(project: Path) -> Run:
    return Ledger.of_lake(project / "lake").runs()[0]


def test_one_run_at_a_time_and_no_kernel_survives(project: Path, begun: Begun, wait_for: WaitFor) -> None:
    first = begun()
    running = latest(project)
    before = everything(project / "lake")
    with pytest.raises(RunLocked) as caught:
        run(project / "pipelines" / "slow.yml", lake=project / "lake")
    since = f"since {running.started_at:%Y-%m-%d %H:%M:%S} UTC"
    assert f"slow is at work on lake {project / 'lake'}: {running.id}, process {first.pid}, {since}." in str(
        caught.value
    )
    assert everything(project / "lake") == before

    orphans = kernels(first.pid)
    assert len(orphans) >= 2
    first.kill()
    first.wait()
    wait_for(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in orphans), 5)
    assert latest(project).status == "running"  # nobody could note its end

    second = begun()
    assert latest(project).id == running.id  # it goes on
    killed = kernels(second.pid)
    second.send_signal(signal.SIGINT)
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "cancelled"
    assert not any(each.is_running() for each in killed)
    run_ = latest(project)
    assert (run_.status, {step.status for step in run_.steps}) == ("cancelled", {"cancelled"})
    assert (project / "site" / "index.html").is_file()
