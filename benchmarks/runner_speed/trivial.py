"""Many notebooks that do next to nothing, so that what is left is what running them costs."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from runner_speed.commands import command, environment, module

_LOOP = """
import papermill
for number in range({count}):
    papermill.execute_notebook(
        f"notebooks/n{{number}}.ipynb", f"out{{number}}.ipynb", {{"value": number}}, progress_bar=False
    )
"""
_JOB = """
import os
import tempfile
from pathlib import Path

from dagster import DagsterInstance, execute_job, job, reconstructable
from dagstermill import define_dagstermill_op, local_output_notebook_io_manager

HERE = Path(__file__).parent
OPS = [
    define_dagstermill_op(f"n{i}", notebook_path=str(HERE / "notebooks" / f"n{i}.ipynb"), output_notebook_name=f"o{i}")
    for i in range(int(os.environ["STEPS"]))
]


@job(resource_defs={"output_notebook_io_manager": local_output_notebook_io_manager})
def trivial():
    for op in OPS:
        op()


if __name__ == "__main__":
    instance = DagsterInstance.local_temp(tempfile.mkdtemp())
    raise SystemExit(0 if execute_job(reconstructable(trivial), instance=instance).success else 1)
"""


class Project:
    """A folder with so many notebooks of one cell, as a project for each of the tools."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.count = count
        for name in ("notebooks", "pipelines"):
            (folder / name).mkdir()
        for number in range(count):
            (folder / "notebooks" / f"n{number}.ipynb").write_text(_notebook())

    def by_thresher(self) -> None:
        """One pipeline."""
        names = range(self.count)
        steps = [f"  n{i}: {{notebook: notebooks/n{i}.ipynb, with: {{value: {i}}}}}" for i in names]
        (self.folder / "pipelines" / "trivial.yml").write_text("\n".join(["name: trivial", "steps:", *steps, ""]))
        with environment(THRESHER_ENGINE="duckdb", THRESHER_LAKE=str(self.folder / "lake")):
            module("thresher", "run", "trivial", cwd=self.folder)

    def by_papermill(self) -> None:
        """A loop in one process."""
        (self.folder / "loop.py").write_text(_LOOP.format(count=self.count))
        module("loop", cwd=self.folder)

    def by_ploomber(self, python: Path) -> None:
        """`ploomber build` with its default executor."""
        tasks = [
            f"  - {{source: notebooks/n{i}.ipynb, name: n{i}, product: out{i}.ipynb, params: {{value: {i}}}}}"
            for i in range(self.count)
        ]
        (self.folder / "pipeline.yaml").write_text("\n".join(["tasks:", *tasks, ""]))
        with _tools_of(python), environment(PLOOMBER_STATS_ENABLED="false"):
            command(python.parent / "ploomber", "build", cwd=self.folder)

    def by_dagster(self, python: Path) -> None:
        """A job of dagstermill's operations with the default executor: a process for each."""
        (self.folder / "job.py").write_text(_JOB)
        with _tools_of(python), environment(STEPS=str(self.count)):
            command(python, "job.py", cwd=self.folder)


def ways(count: int, peers: Path | None) -> dict[str, Callable[[Path], None]]:
    """The ways by their names, ours first."""
    found: dict[str, Callable[[Path], None]] = {
        "thresher run": lambda folder: Project(folder, count).by_thresher(),
        "papermill in a loop": lambda folder: Project(folder, count).by_papermill(),
    }
    if peers:
        found["ploomber"] = lambda folder: Project(folder, count).by_ploomber(peers)
        found["dagster + dagstermill"] = lambda folder: Project(folder, count).by_dagster(peers)
    return found


def _tools_of(python: Path) -> AbstractContextManager[None]:
    """The environment in which notebooks find that Python's kernel."""
    return environment(PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}")


def _notebook() -> str:
    parameters = "value = 0\nupstream = None\nproduct = None"  # the last two are ploomber's
    cells = [
        {"cell_type": "code", "metadata": {"tags": tags}, "source": source, "outputs": [], "execution_count": None}
        for tags, source in ((["parameters"], parameters), ([], "print(value + 1)"))
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
