"""`thresher check notebooks`: what passes, what is told of what does not, and what is kept."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from thresher.notebook_checks.comparison import differences

pytest.importorskip("nbval")


def text(shown: str, number: int = 1) -> Any:
    return new_output("execute_result", data={"text/plain": shown}, execution_count=number)


def table(*rows: str) -> dict[str, str]:
    cells = "".join(f"<tr><th>{number}</th><td>{row}</td></tr>" for number, row in enumerate(rows))
    markup = f"<div><table border='1'><thead><tr><th></th><th>a</th></tr></thead><tbody>{cells}</tbody></table></div>"
    return {"text/html": markup, "text/plain": "as text"}


def cell(source: str, *outputs: Any, number: int | None = 1, tags: tuple[str, ...] = ()) -> Any:
    return new_code_cell(source, outputs=list(outputs), execution_count=number, metadata={"tags": list(tags)})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("notebooks", "pipelines", "data", "lake"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data" / "a.txt").write_text("some data")
    (tmp_path / "lake" / "kept").write_text("as it was")
    return tmp_path


@pytest.fixture
def write(project: Path) -> Callable[..., Path]:
    def write(name: str, *cells: Any) -> Path:
        path = project / "notebooks" / f"{name}.ipynb"
        kernel = {"kernelspec": {"name": "somebodys-kernel", "display_name": "x", "language": "python"}}
        nbformat.write(new_notebook(cells=list(cells), metadata=kernel), path)
        return path

    return write


@pytest.fixture
def check(project: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    def check(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "thresher", "check", "notebooks", *arguments]
        return subprocess.run(command, cwd=project, input="", capture_output=True, text=True, timeout=120)

    return check


def statuses(done: "subprocess.CompletedProcess[str]") -> dict[str, list[str]]:
    return {Path(each["notebook"]).stem: [cell["status"] for cell in each["cells"]] for each in json.loads(done.stdout)}


def test_what_passes_and_what_fails(project: Path, write: Callable[..., Path], check: Callable[..., Any]) -> None:
    frame = "import pandas as pd; pd.DataFrame({'a': [0.1 + 0.2, 2.0]})"
    write(
        "good",
        cell("1 + 1", text("2")),
        cell(frame, new_output("execute_result", data=table("0.3", "2.0"), execution_count=2), number=2),
        cell(frame, new_output("execute_result", data=table("2.0", "0.3")), tags=("any-row-order",)),
        cell("0.1 + 0.2", text("0.3")),
        cell("import matplotlib.pyplot as plt; plt.plot([1]);", new_output("display_data", data={
            "image/png": "AAAA", "text/plain": "<Figure size 640x480 with 1 Axes>"})),
        cell("print(open('../data/a.txt').read())", new_output("stream", name="stdout", text="some data\n")),
        cell("import os; open('../lake/kept', 'w').write('otherwise'); os.getcwd()", text(f"'{project}/notebooks'")),
        cell("import ctypes, time; c = ctypes.CDLL(None); c.puts(b'C'); c.fflush(None); time.sleep(0.5)",
             new_output("stream", name="stdout", text="C\n")),
    )  # fmt: skip
    raised = new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=["long"])
    write(
        "tags",
        cell("1 / 0", raised, tags=("raises-exception",)),
        cell("# NBVAL_RAISES_EXCEPTION\n1 / 0", raised),
        cell("import time; time.time()", text("1"), tags=("nbval-ignore-output",)),
        cell("1 / 0", tags=("nbval-skip",)),
        cell("never_run = 1", number=None),
    )
    write("differs", cell("x = 3\nx", text("2")), cell("2 * x", text("4")), cell("x > 0", text("True")))
    write("raises", cell("1", text("1")), cell("1 / 0"), cell("2", text("2")))
    write("dies", cell("import os; os.kill(os.getpid(), 9)"), cell("2", text("2")))
    write("figure", cell("'no figure'", new_output("display_data", data={"image/png": "AAAA"})))
    (project / "notebooks" / "broken.ipynb").write_text("{")
    done = check("--json", "notebooks")
    assert done.returncode == 1, done.stderr
    assert statuses(done) == {
        "good": ["passed"] * 8,
        "tags": ["passed", "passed", "passed", "skipped", "passed"],
        "differs": ["failed", "blocked", "passed"],
        "raises": ["passed", "failed", "blocked"],
        "dies": ["failed", "blocked"],
        "figure": ["failed"],
        "broken": [],
    }
    found = {Path(each["notebook"]).stem: each for each in json.loads(done.stdout)}
    assert found["broken"]["status"] == "failed" and "NotJSONError" in found["broken"]["error"]
    assert found["dies"]["cells"][0]["reason"] == "the kernel died (SIGKILL)"
    assert (project / "lake" / "kept").read_text() == "as it was"


def test_the_cause_is_told(write: Callable[..., Path], check: Callable[..., Any]) -> None:
    write("differs", cell("x = 3\nx", text("2")), cell("2 * x", text("4")), cell("x > 0", text("True")))
    done = check()
    head, *rest = done.stdout.splitlines()
    assert (done.returncode, head.rpartition("  ")[0]) == (
        1,
        "notebooks/differs.ipynb  failed  1 passed, 1 failed, 1 blocked",
    )
    assert rest == [
        "  cell 1: Cell outputs differ",
        "    | x = 3",
        "    | x",
        "    text/plain: - expected, + found",
        "    -2",
        "    +3",
        "  blocked by it: cell 2",
        "1 notebook: 1 failed",
    ]


def test_accepting_shows_what_differs_and_changes_outputs_alone(
    write: Callable[..., Path], check: Callable[..., Any]
) -> None:
    cells = [cell("x = 3\nx", text("2")), cell("print('ä')", new_output("stream", name="stdout", text="ä\n"))]
    changed, kept = write("changed", *cells, cell("x / 2", number=None)), write("kept", cell("1 / 0"))
    before = (changed.read_bytes(), kept.read_bytes())
    unanswered = check("--accept")
    assert unanswered.returncode == 2 and "nobody answered, so nothing was accepted" in unanswered.stderr
    assert "    -2\n    +3\n" in unanswered.stdout
    assert (changed.read_bytes(), kept.read_bytes()) == before
    done = check("--accept", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "2 notebooks: 1 failed, 1 accepted")
    old, new = json.loads(before[0]), json.loads(changed.read_text())
    assert [each["outputs"] for each in new["cells"]] == [
        [{"data": {"text/plain": ["3"]}, "execution_count": 1, "metadata": {}, "output_type": "execute_result"}],
        [{"name": "stdout", "output_type": "stream", "text": ["ä\n"]}],
        [{"data": {"text/plain": ["1.5"]}, "execution_count": 3, "metadata": {}, "output_type": "execute_result"}],
    ]
    for notebook in (old, new):
        for each in notebook["cells"]:
            each["outputs"], each["execution_count"] = [], None
    assert old == new and kept.read_bytes() == before[1]
    again = changed.read_bytes()
    assert check("--accept", "--yes", str(changed)).returncode == 0
    assert changed.read_bytes() == again


PIPELINE = """\
name: {name}
steps:
  one: {{notebook: notebooks/{name}.ipynb, {wiring}}}
"""


def test_pipelines_fill_the_lake_in_the_order_that_they_need(
    project: Path, write: Callable[..., Path], check: Callable[..., Any]
) -> None:
    lake = "import thresher as th; lake = th.Lake(lake)"
    parameters = cell("lake: str = 'lake'\ntarget: str = 'raw.x'", tags=("parameters",))
    source = cell("lake: str = 'lake'\nsource: str = 'raw.x'\ntarget: str = 'curated.x'", tags=("parameters",))
    write("make", parameters, cell(lake), cell("lake.write(target, [{'n': 1}]);"))
    write("a_use", source, cell(lake), cell("lake.write(target, lake.read(source));"))
    write("show", parameters, cell(lake), cell("lake.read('curated.x').to_arrow().to_pylist()", text("[{'n': 1}]")))
    for name, wiring in (("make", "writes: {target: raw.x}"),
                         ("a_use", "reads: {source: raw.x}, writes: {target: curated.x}")):  # fmt: skip
        (project / "pipelines" / f"{name}.yml").write_text(PIPELINE.format(name=name, wiring=wiring))
    done = check("notebooks/show.ipynb")
    assert done.returncode == 0, done.stdout + done.stderr
    (project / "pipelines" / "make.yml").unlink()
    done = check("notebooks/show.ipynb")
    assert done.returncode == 1
    assert "error: the lake for the notebooks was not filled: pipelines/a_use.yml: " in done.stderr


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nosuch.ipynb", "nosuch.ipynb is not there; expected a file *.ipynb, or a folder of some"),
        ("data/a.txt", "a.txt is no notebook; expected a file *.ipynb, or a folder of some"),
        ("data", "data holds no notebook (*.ipynb); name a file or another folder"),
    ],
)
def test_nothing_to_run_is_bad_usage(path: str, message: str, check: Callable[..., Any]) -> None:
    done = check(path)
    assert done.returncode == 2 and message in done.stderr


def shown(**data: Any) -> list[dict[str, Any]]:
    return [{"output_type": "display_data", "data": {kind.replace("_", "/"): value for kind, value in data.items()}}]


@pytest.mark.parametrize(
    ("expected", "found", "is_same"),
    [
        ("0.30000000000000004", "0.3", True),
        ("0.3", "0.300000001", False),
        ("a 1", "a 2", False),
        ("a  b", "a b", False),
        ("1.0.30", "1.0.31", False),
        ("1,225.50", "1225.50", False),
        ("[1.0, -2.5e-3]", "[1.0000000000001, -2.5e-03]", True),
        ("10000000001", "10000000002", False),
        ("0.5", "-0.5", False),
        ("x    y\n0.1  2", "x                    y\n0.10000000000000001  2", True),
    ],
)
def test_floats_in_text_have_a_tolerance(expected: str, found: str, is_same: bool) -> None:
    assert (differences(shown(text_plain=expected), shown(text_plain=found)) == []) is is_same


def test_tables_are_compared_as_tables() -> None:
    one, other = shown(text_html=table("a", "b")["text/html"]), shown(text_html=table("b", "a")["text/html"])
    assert differences(one, other, any_row_order=True) == []
    (difference,) = differences(one, other)
    assert (difference.expected, difference.found) == (" | a\na\nb", " | a\nb\na")
    restyled = shown(text_html=table("a", "b")["text/html"].replace("border='1'", "class='x'"))
    assert differences(one, restyled) == []
    assert differences(one, shown(text_html=table("a", "b", "b")["text/html"]), any_row_order=True) != []
    assert differences(one, shown(text_html=table("a", "a")["text/html"]), any_row_order=True) != []


def test_data_and_figures() -> None:
    assert (
        differences(shown(application_json={"n": [1.0, "a"]}), shown(application_json={"n": [1.0 + 1e-12, "a"]})) == []
    )
    assert differences(shown(application_json={"n": 1}), shown(application_json={"n": True})) != []
    assert differences(shown(image_png="AAAA"), shown(image_png="BBBB")) == []
    assert differences(shown(image_png="AAAA"), shown(image_png="BBBB"), is_strict=True) != []
    assert differences(shown(image_png="AAAA"), shown(text_plain="none")) != []
