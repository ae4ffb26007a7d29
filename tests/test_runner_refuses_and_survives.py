"""What a run refuses before it writes anything, how it publishes, and what is left when it is stopped or killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

import thresher
from thresher import report
from thresher.errors import LakeError, LandingNotFound, RunLocked, UsageError
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


@pytest.fixture
def begun(project: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts `thresher run slow` in a process of its own, and returns when a cell of it is at work."""
    processes = []

    def start() -> subprocess.Popen[str]:
        (project / "begun").unlink(missing_ok=True)
        env = {**os.environ, "PYTHONPATH": str(Path(thresher.__file__).parent.parent)}
        command = [sys.executable, "-m", "thresher", "run", "slow", "--json", "--jobs", "1"]
        process = subprocess.Popen(
            command, cwd=project, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        processes.append(process)
        wait_for(lambda: (project / "begun").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(is_so: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def kernels(pid: int) -> list[psutil.Process]:
    """The fork server of a run and the kernels below it."""
    children = psutil.Process(pid).children(recursive=True)
    return [each for each in children if "thresher.kernels.fork_server" in each.cmdline()]


def latest(project: Path) -> Run:
    return Ledger.of_lake(project / "lake").runs()[0]


def test_one_run_at_a_time_and_no_kernel_survives(project: Path, begun: Callable[[], subprocess.Popen[str]]) -> None:
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
    out, err = second.communicate(timeout=30)
    assert (second.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "cancelled"
    assert not any(each.is_running() for each in killed)
    run_ = latest(project)
    assert (run_.status, {step.status for step in run_.steps}) == ("cancelled", {"cancelled"})
    assert (project / "site" / "index.html").is_file()
