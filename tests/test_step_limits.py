"""What ends a step before its notebook does: time, memory, a signal; and what makes it begin again."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from thresher.kernels import servers
from thresher.ledger import StepRun
from thresher.parameters.notebook import code_of
from thresher.runner import run

CELLS = {
    "slow": ["print('before')", "import time\nprint('begun', flush=True)\ntime.sleep(30)", "open('after', 'w')"],
    "greedy": ["held = [b'x' * 50_000_000 for _ in range(40)]\nimport time\ntime.sleep(30)"],
    "child": [
        "import subprocess, sys\ncode = 'import time; held = b\"x\" * 900_000_000; time.sleep(30)'\n"
        "subprocess.run([sys.executable, '-c', code])"
    ],
    "shot": ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"],
    "segfault": ["import ctypes\nctypes.string_at(0)"],
    "shaky": [
        "import os\ntimes = len(os.listdir('tries')) + 1\nopen(f'tries/{times}', 'w').close()\n"
        "if times < 3:\n    raise ConnectionResetError('the other side hung up')"
    ],
    "hung_up": ["open('hung-up-tries', 'a').write('x')\nraise ConnectionResetError('the other side hung up')"],
    "wrong": ["open('wrong-tries', 'a').write('x')\nraise ValueError('no use')"],
    "no_server": [
        "import os, signal\nfirst = not os.path.exists('server-killed')\nopen('server-killed', 'w').close()\n"
        "if first:\n    os.kill(os.getppid(), signal.SIGKILL)\n    import time\n    time.sleep(30)"
    ],
}
PIPELINE = """\
name: limits
defaults: {retries: 2}
steps:
  timeout: {notebook: notebooks/slow.ipynb, timeout: 6s}
  cell_timeout: {notebook: notebooks/slow.ipynb, cell_timeout: 1.5s}
  memory: {notebook: notebooks/greedy.ipynb, memory: 700 MB}
  child: {notebook: notebooks/child.ipynb, memory: 700 MB}
  shot: {notebook: notebooks/shot.ipynb}
  segfault: {notebook: notebooks/segfault.ipynb}
  shaky: {notebook: notebooks/shaky.ipynb}
  given_up: {notebook: notebooks/hung_up.ipynb, retries: 0}
  tried_thrice: {notebook: notebooks/hung_up.ipynb}
  wrong: {notebook: notebooks/wrong.ipynb}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("limits")
    for folder in ("pipelines", "notebooks", "tries"):
        (root / folder).mkdir()
    for name, sources in CELLS.items():
        cells = [nbformat.v4.new_code_cell("", metadata={"tags": ["parameters"]})]
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")
    (root / "pipelines" / "limits.yml").write_text(PIPELINE)
    (root / "pipelines" / "server.yml").write_text(
        "name: server\nsteps:\n  lost: {notebook: notebooks/no_server.ipynb}\n"
    )
    return root


@pytest.fixture(scope="module")
def steps(project: Path) -> Iterator[dict[str, StepRun]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thresher.running.attempts._LONGEST_WAIT_S", 0.1)
        found = run(project / "pipelines" / "limits.yml", lake=project / "lake", jobs=2)
    yield {step.name: step for step in found.run.steps}


KEPT = "; the notebook up to there is kept"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("timeout", f"timeout: the step took longer than 6 s (timeout){KEPT}"),
        ("cell_timeout", f"timeout: the cell took longer than 1.5 s (cell_timeout){KEPT}"),
        ("shot", "killed: the kernel got SIGKILL from outside"),
        ("segfault", "crashed: the kernel died (SIGSEGV)"),
        ("wrong", "ValueError: no use"),
    ],
)
def test_each_ending_has_words_of_its_own(steps: dict[str, StepRun], step: str, error: str) -> None:
    assert (steps[step].status, steps[step].error, steps[step].attempts) == ("failed", error, 1)


@pytest.mark.parametrize("step", ["memory", "child"])
def test_a_step_over_its_memory_is_ended(steps: dict[str, StepRun], step: str) -> None:
    error = steps[step].error or ""
    assert error.startswith("out of memory: its processes held ")
    assert error.endswith(f" MB, the step may hold 700 MB (memory){KEPT}")
    assert (steps[step].peak_bytes or 0) > 700e6


def test_only_what_passes_by_itself_is_tried_again(steps: dict[str, StepRun], project: Path) -> None:
    assert (steps["shaky"].status, steps["shaky"].attempts) == ("succeeded", 3)
    assert (project / "wrong-tries").read_text() == "x"


def test_a_step_is_tried_as_often_as_it_says(steps: dict[str, StepRun], project: Path) -> None:
    error = "ConnectionResetError: the other side hung up"
    found = {
        name: (steps[name].status, steps[name].error, steps[name].attempts) for name in ("given_up", "tried_thrice")
    }
    assert found == {"given_up": ("failed", error, 1), "tried_thrice": ("failed", error, 3)}
    assert (project / "hung-up-tries").read_text() == "xxxx"


def test_the_notebook_up_to_the_limit_is_kept(steps: dict[str, StepRun], project: Path) -> None:
    executed = json.loads((project / "lake" / steps["timeout"].executed).read_text())
    texts = ["".join(output.get("text", "")) for cell in executed["cells"] for output in cell.get("outputs", ())]
    assert texts[:2] == ["before\n", "begun\n"]
    assert len(code_of(project / "lake" / steps["timeout"].executed)) == 3
    assert not (project / "after").exists()


def test_a_step_begins_again_when_its_fork_server_is_killed(project: Path) -> None:
    found = run(project / "pipelines" / "server.yml", lake=project / "lake")
    assert (found.run.status, found.run.steps[0].attempts) == ("succeeded", 2)


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ("timeout: 90", "timeout: found a whole number (90), expected text"),
        ("timeout: soon", "timeout: found 'soon', expected a duration such as 90s, 30m, 2h or 1d"),
        ("memory: 4 TB", "memory: found '4 TB', expected a size such as 800 MB or 4 GB"),
        ("retries: 11", "retries: found 11, expected a number of times from 0 to 10"),
        ("retrys: 1", "unknown key 'retrys'. Did you mean retries?"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line(project: Path, setting: str, error: str) -> None:
    file = project / "pipelines" / "wrong.yml"
    file.write_text(f"name: wrong\nsteps:\n  a:\n    notebook: notebooks/slow.ipynb\n    {setting}\n")
    with pytest.raises(ValueError, match="wrong.yml:5: ") as caught:
        run(file, lake=project / "lake")
    assert str(caught.value) == f"pipelines/wrong.yml:5: {error}"


@pytest.mark.parametrize("is_forked", [True, False], ids=["forked kernel", "ordinary kernel"])
def test_what_a_step_started_ends_with_it(project: Path, is_forked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_forked:
        monkeypatch.setattr(servers, "is_supported", lambda: False)
    cell = (
        "import subprocess\nleft = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "open('left', 'w').write(str(left.pid))"
    )
    cells = [nbformat.v4.new_code_cell("", metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(cell)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), project / "notebooks" / "leaves.ipynb")
    file = project / "pipelines" / "leaves.yml"
    file.write_text("name: leaves\nsteps:\n  a: {notebook: notebooks/leaves.ipynb}\n")
    assert run(file, lake=project / "lake").run.status == "succeeded"
    left, end = int((project / "left").read_text()), time.monotonic() + 5
    while psutil.pid_exists(left) and time.monotonic() < end:  # killed, but not yet collected
        time.sleep(0.02)
    assert not psutil.pid_exists(left)
