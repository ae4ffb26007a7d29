"""`thresher watch`: real processes that run a pipeline whenever files arrive, and are stopped."""

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from thresher.cli.main import main
from thresher.lake import Lake
from thresher.ledger import Ledger

INGEST = """\
loaded = thresher.ingest.files(thresher.Lake(lake), source, target, key=["id"], mode="append")
loaded.counts"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("pipelines", "notebooks", "in"):
        (tmp_path / folder).mkdir()
    given = "lake: str = 'lake'\nsource: Landing = 'in/*.csv'\ntarget: str = 'raw.t'"
    cells = [
        nbformat.v4.new_code_cell("import thresher\nfrom thresher import Landing"),
        nbformat.v4.new_code_cell(given, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(INGEST),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "ingest.ipynb")
    step = "{notebook: notebooks/ingest.ipynb, with: {source: in/*.csv}, writes: {target: raw.t}}"
    (tmp_path / "pipelines" / "t.yml").write_text(f"name: t\nsteps:\n  ingest: {step}\n")
    return tmp_path


def ids(project: Path) -> list[int]:
    lake = Lake(project / "lake", "duckdb")
    if not lake.exists("raw.t"):
        return []
    return lake.sql("select id from raw.t order by id").to_arrow().column("id").to_pylist()


def test_files_become_rows_as_they_arrive_until_it_is_stopped(
    project: Path, thresher: Callable[..., "subprocess.Popen[str]"], wait_for: Callable[..., None]
) -> None:
    """It waits for landing, loads what comes, tells of a broken pipeline, goes on when it is mended, ends with 0."""
    process = thresher(project, "watch", "t")
    (project / "in" / "a.csv").write_text("id,v\n1,x\n")
    wait_for(lambda: ids(project) == [1])
    (project / "in" / "b.csv").write_text("id,v\n2,y\n3,z\n")
    wait_for(lambda: ids(project) == [1, 2, 3])
    pipeline = (project / "pipelines" / "t.yml").read_text()
    (project / "pipelines" / "t.yml").write_text("name: t\nsteps: 7\n")
    (project / "in" / "c.csv").write_text("id,v\n4,x\n")
    assert process.stderr is not None
    lines = [process.stderr.readline()]
    while "waits: " not in lines[-1] or "t.yml" not in lines[-1]:
        lines.append(process.stderr.readline())
        assert process.poll() is None, lines
    (project / "pipelines" / "t.yml").write_text(pipeline)
    wait_for(lambda: ids(project) == [1, 2, 3, 4])
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    text = "".join(lines) + process.stderr.read()
    assert text.splitlines()[-1].endswith(" stopped")
    assert re.search(r"t-\S+ succeeded in \d+\.\d s; 1 files in their datasets \d+\.\d to \d+\.\d s after", text), text
    runs = Ledger.of_lake(project / "lake").runs("t")
    assert {run.status for run in runs} <= {"succeeded", "cancelled"} and len(runs) >= 3


def test_it_ends_when_nothing_is_to_be_done(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "in" / "a.csv").write_text("id,v\n1,x\n")
    monkeypatch.chdir(project)
    result = CliRunner().invoke(main, ["watch", "t", "--until-idle", "1s"])
    assert (result.exit_code, ids(project)) == (0, [1]), result.output
    assert len(Ledger.of_lake(project / "lake").runs("t")) == 1


def test_what_has_no_landing_needs_a_cadence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    parameters = nbformat.v4.new_code_cell("limit: int = 1", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[parameters]), project / "notebooks" / "none.ipynb")
    (project / "pipelines" / "t.yml").write_text(
        "name: t\nsteps:\n  one: {notebook: notebooks/none.ipynb, always: true}\n"
    )
    result = CliRunner().invoke(main, ["watch", "t"])
    assert (result.exit_code, result.output) == (
        2,
        "error: pipeline t reads nothing from landing; tell how often to run it: --every\n",
    )
    result = CliRunner().invoke(main, ["watch", "t", "--every", "2x"])
    assert result.exit_code == 2 and "expected a duration such as 90s" in result.output
