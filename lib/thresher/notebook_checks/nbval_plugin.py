"""nbval, with warm kernels, our comparison, and an end at the first cell that fails."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError, coalesce_streams

from thresher.notebook_checks.comparison import Difference, differences

ANY_ROW_ORDER = "any-row-order"
_LOOK_S = 0.5  # how often a kernel that does not answer is looked at
_LAST_WORDS = 2000


@dataclass
class Seen:
    """What became of one code cell; `found` are its new outputs."""

    number: int
    source: str
    status: str = "blocked"
    reason: str = ""
    traceback: str = ""
    differences: list[Difference] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)
    execution_count: int | None = None
    is_first_run: bool = False
    is_compared: bool = True
    has_raised: bool = False


class Plugin:
    """Collects the cells of a notebook for pytest, and keeps what became of them."""

    def __init__(self, folder: Path, replaced: tuple[str, str], is_strict: bool) -> None:
        self.folder = folder
        self.replaced = replaced
        self.is_strict = is_strict
        self.cells: list[Seen] = []
        self.error = ""

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        return Notebook.from_parent(parent, path=file_path, plugin=self) if file_path.suffix == ".ipynb" else None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.error = report.longreprtext

    @property
    def has_raised(self) -> bool:
        """Whether a cell stopped the notebook: those after it would work on what is not there."""
        return any(cell.has_raised for cell in self.cells)


class Kernel(RunningKernel):
    """A kernel whose end is noticed, and whose messages are seen by another."""

    def __init__(self, folder: Path, cwd: Path, startup_timeout: float, see: Callable[[dict[str, Any]], None]) -> None:
        self.see = see
        self.executing = ""
        self.log = folder / f"{os.getpid()}.log"
        name = f"{os.getpid()}-{time.monotonic_ns()}"
        self.km = KernelManager(
            kernel_name="python3", transport="ipc", ip=str(folder / name), connection_file=str(folder / f"{name}.json")
        )
        with self.log.open("wb") as log:
            options = ["--HistoryManager.enabled=False"]
            # ipykernel does not show what C code prints where it takes itself for a test.
            env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
            self.km.start_kernel(cwd=str(cwd), env=env, extra_arguments=options, stdout=log, stderr=log)
        self.kc = self.km.client()
        self.kc.start_channels()
        self.kc.wait_for_ready(timeout=startup_timeout)
        self._ensure_iopub_up()

    def execute_cell_input(self, cell_input: str, allow_stdin: bool | None = None) -> str:
        # With a history, so that cells are counted.
        self.executing = self.kc.execute(cell_input, allow_stdin=False, stop_on_error=False)
        return self.executing

    def get_message(self, stream: str, timeout: float | None = None) -> dict[str, Any]:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _LOOK_S if end is None else max(0.0, min(_LOOK_S, end - time.monotonic()))
            try:
                message: dict[str, Any] = super().get_message(stream, timeout=left)
                break
            except Empty:
                if not self.is_alive():
                    raise RuntimeError(f"the kernel died ({self._ending()}){self._last_words()}") from None
                if end is not None and time.monotonic() >= end:
                    raise
        if stream == "iopub" and message["parent_header"].get("msg_id") == self.executing:
            self.see(message)
        return message

    def _ending(self) -> str:
        process = getattr(self.km.provisioner, "process", None)
        code = process.poll() if process else None
        return f"exit code {code}" if code is None or code >= 0 else signal.Signals(-code).name

    def _last_words(self) -> str:
        text = self.log.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace").strip()
        return f": {text}" if text else ""


class Notebook(IPyNbFile):
    """A notebook; it keeps the outputs as Jupyter would, where nbval only knows those that it compares."""

    def __init__(self, *args: Any, plugin: Plugin, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.plugin = plugin
        self.current: int | None = None

    def setup(self) -> None:
        self.setup_sanitize_files()
        timeout = self.config.option.nbval_kernel_startup_timeout
        self.kernel = Kernel(self.plugin.folder, self.path.parent, timeout, self._see)

    def collect(self) -> Any:
        cells = list(super().collect())
        self.new = deepcopy(self.nb)
        for cell in self.new.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        self.recorder = NotebookClient(self.new, record_timing=False)
        self.recorder.reset_execution_trackers()
        self.recorder.clear_before_next_output = False  # nbclient sets it where it executes cells itself
        places = [index for index, cell in enumerate(self.new.cells) if cell.cell_type == "code"]
        self.places = dict(zip((cell.cell_num for cell in cells), places, strict=True))
        for item in cells:
            seen = Seen(item.cell_num + 1, item.cell.source)
            self.plugin.cells.append(seen)
            yield Cell.from_parent(
                self, name=item.name, cell_num=item.cell_num, cell=item.cell, options=item.options, seen=seen
            )

    def new_outputs(self, seen: Seen) -> list[dict[str, Any]]:
        """The outputs of a cell that has run; those of the copy told as if they were of the project."""
        outputs = coalesce_streams(deepcopy(self._new_cell(seen).outputs))
        return [_replaced(output, *self.plugin.replaced) for output in outputs]

    def keep(self, seen: Seen) -> None:
        """Note what a cell that has run shows now."""
        seen.found = self.new_outputs(seen)
        seen.execution_count = self._new_cell(seen).execution_count

    def _new_cell(self, seen: Seen) -> NotebookNode:
        return self.new.cells[self.places[seen.number - 1]]

    def _see(self, message: dict[str, Any]) -> None:
        if self.current is not None:
            index = self.places[self.current]
            with suppress(CellExecutionComplete):
                self.recorder.process_message(message, self.new.cells[index], index)


class Cell(IPyNbCell):
    """A code cell. It fails as nbval has it; after one that raised, the others are not run."""

    def __init__(self, *args: Any, seen: Seen, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen = seen
        seen.is_first_run = self.cell.execution_count is None
        seen.is_compared = self.options["check"] and not seen.is_first_run

    def runtest(self) -> None:
        if self.parent.plugin.has_raised:
            pytest.skip("blocked: a cell before it raised")
        self.parent.current = self.cell_num
        try:
            super().runtest()
            self.seen.status = "passed"
        except pytest.skip.Exception:
            self.seen.status = "skipped"
            raise
        except NbCellError as error:
            self.seen.status, self.seen.reason = "failed", str(error)
            # nbval refuses outputs of a cell that was never run, too; they are none to compare with.
            self.seen.has_raised = not self.seen.differences and not self.seen.is_first_run
            self.seen.traceback = "" if self.seen.differences else (error.inner_traceback or "").strip()
            raise
        except Exception as error:
            self.seen.status, self.seen.reason, self.seen.has_raised = "failed", str(error) or repr(error), True
            raise
        finally:
            self.parent.keep(self.seen)

    def setup(self) -> None:
        # nbval expects the cells after a timeout to fail; here they are blocked.
        pass

    def compare_outputs(self, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        self.seen.differences = differences(
            ref,
            self.parent.new_outputs(self.seen),
            sanitize=self.sanitize,
            any_row_order=ANY_ROW_ORDER in self.cell.metadata.get("tags", []),
            is_strict=self.parent.plugin.is_strict,
        )
        self.comparison_traceback: list[str] = []
        return not self.seen.differences


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {key: _replaced(each, old, new) for key, each in value.items()}
    return [_replaced(each, old, new) for each in value] if isinstance(value, list) else value
