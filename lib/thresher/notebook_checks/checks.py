"""Runs notebooks side by side and tells what became of each."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from thresher.errors import UsageError
from thresher.kernels import servers
from thresher.kernels.specs import with_warm_kernels
from thresher.notebook_checks.comparison import Difference
from thresher.notebook_checks.trial import Trial, plain_environment
from thresher.private_folders import private_folder
from thresher.project import project_root

SANITIZE = "tests/notebooks.cfg"


@dataclass(frozen=True)
class Cell:
    """What became of a code cell, the first being number 1.

    `status`: passed, failed, blocked (by one that failed before) or skipped (tag `nbval-skip`).
    """

    number: int
    source: str
    status: str
    reason: str
    traceback: str
    differences: tuple[Difference, ...]
    found: list[dict[str, Any]]
    execution_count: int | None
    is_first_run: bool
    is_compared: bool
    has_raised: bool

    @property
    def is_new(self) -> bool:
        """Whether the cell shows something, and the notebook has not shown anything for it yet."""
        return self.is_first_run and self.status != "skipped" and bool(self.found)


@dataclass(frozen=True)
class Checked:
    """A notebook and what became of its cells; `error` where it could not be run at all."""

    name: str
    path: Path
    content: bytes
    cells: tuple[Cell, ...]
    error: str
    duration_s: float

    @property
    def cause(self) -> Cell | None:
        """The first cell that failed."""
        return next((cell for cell in self.cells if cell.status == "failed"), None)

    @property
    def blocked(self) -> list[int]:
        """The cells after the cause that did not run or differ, perhaps for want of it."""
        return [cell.number for cell in self.cells if cell.status in ("failed", "blocked") and cell != self.cause]

    @property
    def is_good(self) -> bool:
        """Whether the notebook gives what it shows."""
        return not self.error and not self.cause

    @property
    def is_acceptable(self) -> bool:
        """Whether there are new outputs, and all cells ran so that these may be kept."""
        is_whole = not self.error and not any(cell.has_raised or cell.status == "blocked" for cell in self.cells)
        return is_whole and any(cell.status == "failed" or cell.is_new for cell in self.cells)

    def as_dict(self) -> dict[str, Any]:
        """For machines: without the outputs."""
        blocked = self.blocked
        cells = [
            {
                "number": cell.number,
                "status": "blocked" if cell.number in blocked else cell.status,
                "reason": cell.reason,
                "differences": [vars(each) for each in cell.differences],
            }
            for cell in self.cells
        ]
        status = "passed" if self.is_good else "failed"
        return {"notebook": self.name, "status": status, "error": self.error, "cells": cells}


def check(
    paths: Sequence[Path] = (),
    *,
    jobs: int | None = None,
    is_strict: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Checked]:
    """Run notebooks, `jobs` at once (default: one per core), and compare; yields each by name when it has ended.

    `paths` are notebooks or folders of one project; by default its `notebooks/`. A strict comparison looks into
    figures, too. Raises UsageError where there is nothing to run, StepFailed where the lake cannot be filled.
    """
    if not find_spec("nbval"):
        raise UsageError("nbval is not installed, which compares notebooks; run: pip install 'thresher[notebooks]'")
    notebooks = find(paths or [project_root() / "notebooks"])
    project = _project(notebooks)
    with ExitStack() as stack:
        folder = stack.enter_context(private_folder())
        env = stack.enter_context(_warm_kernels(folder))
        tried = Trial(project, notebooks, folder / "tried")
        tried.fill(tell)
        pool = stack.enter_context(ThreadPoolExecutor(min(jobs or os.cpu_count() or 1, len(notebooks))))
        workers = stack.enter_context(_Workers(folder, env))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        one = partial(_check, tried=tried, workers=workers, is_strict=is_strict)
        yield from pool.map(one, notebooks, count())


def find(paths: Iterable[Path]) -> list[Path]:
    """The notebooks that are meant by files and folders, each once, by name. Raises UsageError where there are none."""
    found: set[Path] = set()
    for path in paths:
        path = path.parent.resolve() / path.name
        if path.is_dir():
            inside = {each for each in path.rglob("*.ipynb") if not _is_hidden(each.relative_to(path))}
            if not inside:
                raise UsageError(f"{path} holds no notebook (*.ipynb); name a file or another folder")
            found |= inside
        elif path.suffix == ".ipynb" and path.is_file():
            found.add(path)
        else:
            what = "is no notebook" if path.exists() else "is not there"
            raise UsageError(f"{path} {what}; expected a file *.ipynb, or a folder of some")
    return sorted(found)


class _Workers:
    """Processes that run notebooks through nbval, as many as there are threads that ask."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = {**env, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
        self._mine = threading.local()
        self._all: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            process.kill()
            process.communicate()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have a notebook run; the worker's answer, or what became of the worker."""
        process = self._process()
        assert process.stdin and process.stdout
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps({**request, "folder": str(self.folder)}) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        return {"cells": [], "error": f"the process that ran it ended with exit code {process.wait()}"}

    def _process(self) -> "subprocess.Popen[str]":
        process = getattr(self._mine, "process", None)
        if process is None or process.poll() is not None:
            command = [sys.executable, "-P", "-m", "thresher.notebook_checks.worker", str(os.getpid())]
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, cwd=self.folder, env=self.env, text=True, encoding="utf-8"
            )
            self._mine.process = process
            self._all.append(process)
        return process


@contextmanager
def _warm_kernels(folder: Path) -> Iterator[dict[str, str]]:
    """The environment for workers, whose kernels are forked from a server that ends with this process."""
    env = with_warm_kernels(plain_environment())
    if not servers.is_supported():
        yield env
        return
    with servers.owned(folder, servers.environment(env)) as address:
        yield env | {servers.SERVER: str(address)}


def _project(notebooks: Sequence[Path]) -> Path:
    roots = {project_root(notebook.parent) for notebook in notebooks}
    return Path(os.path.commonpath(roots))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _check(notebook: Path, number: int, *, tried: Trial, workers: _Workers, is_strict: bool) -> Checked:
    begun, content = time.monotonic(), notebook.read_bytes()
    copy = tried.copy(notebook, number)
    sanitize = tried.project / SANITIZE
    answer = workers.ask(
        {
            "notebook": str(copy),
            "replaced": (str(tried.place(number)), str(tried.project)),
            "sanitize": str(sanitize) if sanitize.is_file() else None,
            "is_strict": is_strict,
        }
    )
    tried.forget(number)
    cells = [
        Cell(**each | {"differences": tuple(Difference(**one) for one in each["differences"])})
        for each in answer["cells"]
    ]
    name = notebook.relative_to(tried.project).as_posix()
    return Checked(name, notebook, content, tuple(cells), answer["error"], time.monotonic() - begun)
