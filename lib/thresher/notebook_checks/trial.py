"""A copy of a project in which notebooks are tried, on a lake that its pipelines have filled."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from thresher.errors import StepFailed

_COPIED = ("notebooks", "pipelines")
_LEFT_OUT = ("lake", "site", "build")
_OF_RUNS = tuple(f"THRESHER_{name}" for name in ("CHECKS", "ENGINE", "ENV", "LAKE", "LEDGER", "RUN_ID", "STEP"))


def plain_environment() -> dict[str, str]:
    """This process' environment, without the settings that would lead a notebook to another lake or engine."""
    return {name: value for name, value in os.environ.items() if name not in _OF_RUNS}


class Trial:
    """The copy of a project, and copies of that for each notebook, in a folder.

    Notebooks and pipelines are copied, all else is linked: data is read where it is. What a notebook makes is its own.
    """

    def __init__(self, project: Path, notebooks: Iterable[Path], folder: Path) -> None:
        self.project = project
        self.folder = folder
        self.filled = folder / "filled"
        parents = {parent for notebook in notebooks for parent in notebook.parents}
        _mirror(project, self.filled, parents, _LEFT_OUT)

    def fill(self, tell: Callable[[str], None]) -> None:
        """Run every pipeline of the project; without any, copy its lake. Raises StepFailed where one does not succeed.

        A pipeline that reads what another writes runs after it.
        """
        waiting = sorted((self.filled / "pipelines").glob("*.yml"))
        if not waiting and (self.project / "lake").is_dir():
            _copy(self.project / "lake", self.filled / "lake")
        while waiting:
            outcomes = {}
            for file in waiting:
                tell(f"running {file.relative_to(self.filled)} for the notebooks that show what it makes")
                outcomes[file] = self._run(file)
            failed = [file for file, problem in outcomes.items() if problem]
            if failed == waiting:
                raise StepFailed(
                    f"the lake for the notebooks was not filled: {failed[0].relative_to(self.filled)}: "
                    f"{outcomes[failed[0]]}".replace(str(self.filled), str(self.project))
                )
            waiting = failed

    def copy(self, notebook: Path, number: int) -> Path:
        """The notebook in a copy of its own."""
        _copy(self.filled, self.place(number))
        return self.place(number) / notebook.relative_to(self.project)

    def place(self, number: int) -> Path:
        """The copy of the project in which a notebook runs."""
        return self.folder / str(number)

    def forget(self, number: int) -> None:
        """Remove the copy of a notebook that has been tried."""
        shutil.rmtree(self.place(number), ignore_errors=True)

    def _run(self, file: Path) -> str:
        """Run a pipeline; return what went wrong, or nothing."""
        command = [sys.executable, "-m", "thresher", "run", str(file), "--json"]
        command += ["--lake", str(self.filled / "lake"), "--site", str(self.filled / "site")]
        done = subprocess.run(command, cwd=self.filled, env=plain_environment(), capture_output=True, text=True)
        if not done.returncode:
            return ""
        try:
            steps = json.loads(done.stdout)["steps"]
        except ValueError:
            return done.stderr.strip().removeprefix("error: ")
        return "; ".join(f"step {step['name']}: {step['error']}" for step in steps if step["status"] == "failed")


def _mirror(source: Path, target: Path, parents: Container[Path], left_out: Container[str] = ()) -> None:
    """A folder of links to all that is in another, but for folders that notebooks are in, which are mirrored, too."""
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.name.startswith(".") or entry.name in left_out:
            continue
        if entry.is_dir() and entry.name in _COPIED:
            shutil.copytree(entry, target / entry.name, ignore=shutil.ignore_patterns(".*"))
        elif entry in parents:
            _mirror(entry, target / entry.name, parents)
        elif entry.suffix == ".ipynb":
            shutil.copy(entry, target / entry.name)
        else:
            (target / entry.name).symlink_to(entry)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, copy_function=_copy_file)


def _copy_file(source: str, target: str) -> None:
    """Files of a table never change once they are written, so a second name for them is enough."""
    try:
        if source.endswith(".parquet"):
            os.link(source, target)
            return
    except OSError:  # on another disk
        pass
    shutil.copy2(source, target)
