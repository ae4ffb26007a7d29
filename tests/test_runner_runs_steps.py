"""A run, with real kernels: what goes well, what fails, what is blocked, and what is kept of each.

One pipeline holds every kind of step, so that few kernels serve many claims.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from rich.console import Console

from thresher.counts import MIME, Counts
from thresher.ledger import Ledger, StepRun
from thresher.runner import RunResult, run
from thresher.running import notebook_engine

TRICKY = "quo\"te's ${x} {y}\ntwo lines\\ Übung 😀"
COUNTS = """\
import os
from thresher.counts import Counts
assert value == EXPECTED, value
assert lake == "lake", lake
open("seen-" + os.environ["THRESHER_STEP"], "w").write(
    "|".join([os.getcwd(), os.environ["THRESHER_ENGINE"], os.environ["THRESHER_RUN_ID"]]))
Counts(target, rows_in=5, rows_out=2, refused=2, duplicate=1)
"""
CELLS = {
    "good": ["EXPECTED = " + repr(TRICKY), COUNTS, "Counts('raw.more', 1, 1)"],
    "reads_good": ["import matplotlib\nmatplotlib.get_backend()"],
    "fails": ["def half(x):\n    return x / 0", "half(1)", "open('after-the-failure', 'w')"],
    "dies": ["import os", "os._exit(3)"],
    "exits": ["import sys", "sys.exit(0)", "open('after-the-exit', 'w')"],
    "floods": ["while True:\n    print('x' * 100_000)"],
    "junk": [r"import os; n = os.write(1, b'\xff\xfe\x00\x1b]0;title\x07')", r"print('\udc80 \x1b[2J')"],
    "miscounts": [f"from IPython.display import display\ndisplay({{'{MIME}': {{'dataset': 'raw.x'}}}}, raw=True)"],
}
PIPELINE = """\
name: zoo
description: One step of each kind
params: {value: x}
steps:
  good: {notebook: notebooks/good.ipynb, with: {value: "${value}"}, writes: {target: raw.good}}
  fails: {notebook: notebooks/fails.ipynb, reads: {source: raw.good}, writes: {target: raw.fails}}
  after_fails: {notebook: notebooks/junk.ipynb, reads: {source: raw.fails}, writes: {target: raw.after}}
  after_after: {notebook: notebooks/junk.ipynb, reads: {source: raw.after}}
  reads_good: {notebook: notebooks/reads_good.ipynb, reads: {source: raw.good}}
  dies: {notebook: notebooks/dies.ipynb}
  exits: {notebook: notebooks/exits.ipynb}
  floods: {notebook: notebooks/floods.ipynb}
  junk: {notebook: notebooks/junk.ipynb}
  miscounts: {notebook: notebooks/miscounts.ipynb}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("a {project}")
    for folder in ("pipelines", "notebooks"):
        (root / folder).mkdir()
    parameters = "lake: str = 'lake'\nvalue: str = ''\nsource: str = ''\ntarget: str = ''"
    for name, sources in CELLS.items():
        cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")
    (root / "pipelines" / "zoo.yml").write_text(PIPELINE)
    return root


@pytest.fixture(scope="module")
def shown(project: Path) -> Path:
    return project / "shown.txt"


@pytest.fixture(scope="module")
def result(project: Path, shown: Path) -> Iterator[RunResult]:
    with pytest.MonkeyPatch.context() as patch, shown.open("w", encoding="utf-8") as file:
        patch.setattr(notebook_engine, "MAX_OUTPUT_BYTES", 2_000_000)
        patch.setenv("MPLBACKEND", "agg")
        console = Console(file=file, force_terminal=False, width=80)
        file_name = project / "pipelines" / "zoo.yml"
        yield run(file_name, {"value": TRICKY}, lake=project / "lake", jobs=2, console=console)


@pytest.fixture(scope="module")
def steps(result: RunResult) -> dict[str, StepRun]:
    return {step.name: step for step in result.run.steps}


def executed(project: Path, step: StepRun) -> nbformat.NotebookNode:
    return nbformat.read(project / "lake" / step.executed, as_version=4)


def test_each_step_ends_as_it_must(result: RunResult, steps: dict[str, StepRun]) -> None:
    assert {name: step.status for name, step in steps.items()} == {
        "good": "succeeded",
        "reads_good": "succeeded",
        "junk": "succeeded",
        "fails": "failed",
        "dies": "failed",
        "exits": "failed",
        "floods": "failed",
        "miscounts": "failed",
        "after_fails": "blocked",
        "after_after": "blocked",
    }
    assert (result.run.status, result.exit_code) == ("failed", 1)
    assert result.run.error == "failed: dies, exits, fails, floods, miscounts"


def test_each_failure_says_why(steps: dict[str, StepRun]) -> None:
    assert {name: step.error for name, step in steps.items() if step.error and name != "miscounts"} == {
        "fails": "ZeroDivisionError: division by zero",
        "dies": "crashed: the kernel died (exit code 3)",
        "exits": "SystemExit: the cell ended the notebook; the cells after it did not run",
        "floods": "more than 2 MB of output; write data to a dataset, show a small table",
        "after_fails": "fails did not succeed",
        "after_after": "after_fails did not succeed",
    }
    assert str(steps["miscounts"].error).startswith(f"counts that cannot be read ({MIME}): ")


def test_nothing_runs_after_a_failing_cell(result: RunResult, project: Path) -> None:
    assert list(project.glob("after-*")) == []


def test_counts_come_from_the_notebook(steps: dict[str, StepRun]) -> None:
    assert steps["good"].counts == (Counts("raw.good", 5, 2, 2, 1), Counts("raw.more", 1, 1))
    assert steps["fails"].counts == ()


def test_a_notebook_gets_its_parameters_and_its_surroundings(result: RunResult, project: Path) -> None:
    # The values themselves are asserted in the notebook.
    assert (project / "seen-good").read_text() == f"{project}|duckdb|{result.run.id}"


def test_figures_are_drawn_into_the_notebook_whatever_the_shell_says(project: Path, steps: dict[str, StepRun]) -> None:
    (output,) = executed(project, steps["reads_good"]).cells[-1].outputs
    assert output.data["text/plain"] in ("'inline'", "'module://matplotlib_inline.backend_inline'")


def test_executed_notebooks_are_kept_whole_or_up_to_the_failure(project: Path, steps: dict[str, StepRun]) -> None:
    kept = {path.name for path in (project / "lake" / "_runs").rglob("*")} - {steps["good"].executed.split("/")[1]}
    assert kept == {f"{name}.ipynb" for name, step in steps.items() if step.status != "blocked"}
    failed = executed(project, steps["fails"])
    assert [output.ename for cell in failed.cells for output in cell.get("outputs", ())] == ["ZeroDivisionError"]
    for name in ("dies", "exits", "floods", "junk"):
        json.loads((project / "lake" / steps[name].executed).read_bytes().decode("utf-8"))
    assert (project / "lake" / steps["floods"].executed).stat().st_size < 2_500_000


def test_the_failing_cell_is_shown_once_without_control_codes(result: RunResult, shown: Path) -> None:
    text = shown.read_text(encoding="utf-8")
    assert text.count("half(1)") == 2  # the cell's source, and the line that its traceback points to
    assert (
        "fails failed in cell [4] of notebooks/fails.ipynb: ZeroDivisionError: division by zero\n    half(1)\n" in text
    )
    assert "\x1b" not in text
    assert "good: succeeded in" in text and "rows: 6 in, 3 out, 2 refused, 1 duplicate" in text
    assert "after_fails: blocked (fails did not succeed)" in text


def test_no_kernel_survives(result: RunResult) -> None:
    left = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # ended since it was listed, or a zombie
            left.append(child.cmdline())
    assert [command for command in left if "thresher.kernel_main" in command] == []


def test_the_site_is_built_after_a_failure_too(result: RunResult, project: Path) -> None:
    assert result.site == project / "site" / "index.html"
    assert result.site.is_file()


def test_the_ledger_in_the_lake_has_the_run(result: RunResult, project: Path) -> None:
    assert Ledger.of_lake(project / "lake").runs() == [result.run]
    assert (result.run.file, result.run.params) == ("pipelines/zoo.yml", {"value": TRICKY})
