"""Executes one notebook through papermill in a given kernel, watched cell by cell."""

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.warnings import MissingIDFieldWarning
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError

from thresher import check_outcomes
from thresher.check_outcomes import Checked, after_checks, folded
from thresher.counts import MIME, Counts
from thresher.errors import DataError
from thresher.kernels.kernel import Kernel
from thresher.running.outcomes import Executed, Failure, guarded
from thresher.running.watch import Watch
from thresher.secrets.leaks import Leak, Secrets

SAVE_EVERY_S = 30
START_TIMEOUT_S = 120
MAX_OUTPUT_BYTES = 10_000_000
_ENGINE = "thresher"

# Its two warnings (unknown parameter, no parameters cell) are errors here, and raised before.
logging.getLogger("papermill").setLevel(logging.CRITICAL)
# Of cells without an id, as older tools and hands write them; they are given one.
warnings.filterwarnings("ignore", category=MissingIDFieldWarning)
_log = logging.getLogger("thresher.running.notebook_engine")
_log.addHandler(logging.NullHandler())
_log.propagate = False


class _Record(NotebookExecutionManager):
    """Papermill's record of an execution; saved now and then, where papermill saves before and after every cell."""

    def __init__(
        self, path: Path, on_cell: Callable[[], None], watch: Watch, secrets: Secrets, whole: Callable[[Any], Any]
    ) -> None:
        self.path = path
        self.whole = whole
        self.secrets = secrets
        self.leaks: list[Leak] = []
        self.on_cell = on_cell
        self.watch = watch
        self.current: NotebookNode | None = None
        self.output_bytes = 0
        super().__init__(None, progress_bar=False, autosave_cell_every=SAVE_EVERY_S)

    def save(self, **_: Any) -> None:
        if (self.now() - self.last_save_time).total_seconds() >= SAVE_EVERY_S:
            self.write()

    def write(self) -> None:
        """Replace the executed notebook on disk by what is known now."""
        if self.nb is not None:
            partial = self.path.with_name(f".{self.path.name}.part")
            notebook = self.nb
            if self.secrets:
                hidden, self.leaks = self.secrets.hide_in_notebook(self.nb)
                notebook = nbformat.from_dict(hidden)  # type: ignore[no-untyped-call]
            # Half a surrogate pair in an output has no UTF-8, but its escape is good JSON.
            text: str = nbformat.writes(self.whole(notebook))  # type: ignore[no-untyped-call]
            partial.write_bytes(text.encode("utf-8", "backslashreplace"))
            os.replace(partial, self.path)
            self.last_save_time = self.now()

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        self.current = cell
        self.watch.cell_started()
        super().cell_start(cell, cell_index)

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        super().cell_complete(cell, cell_index)
        self.watch.moved()
        if cell.cell_type == "code" and cell.source.strip():
            self.on_cell()


class _Client(PapermillNotebookClient):
    """A client that stops a notebook whose output would fill the memory."""

    kernel: Kernel
    opening = ""

    def papermill_execute_cells(self) -> None:
        if self.opening:
            # Requests are served in their order: it is done when the first cell begins.
            self.kc.execute(self.opening, silent=True, store_history=False)
        super().papermill_execute_cells()

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        content = msg["content"]
        self.nb_man.watch.moved()
        self.nb_man.output_bytes += len(content.get("text", "")) + sum(
            len(each) if isinstance(each, str) else 0 for each in content.get("data", {}).values()
        )
        if self.nb_man.output_bytes > MAX_OUTPUT_BYTES:
            self.kernel.kill()
            return None
        output: NotebookNode | None = super().process_message(msg, cell, cell_index)
        return output


class _Engine(Engine):
    @classmethod
    def execute_notebook(
        cls, nb: NotebookNode, kernel_name: str, *, record: _Record, kernel: Kernel, source: str, opening: str, **_: Any
    ) -> NotebookNode:
        record.nb = nb
        nb.metadata.papermill.update(input_path=source, output_path=record.path.name)
        record.notebook_start()
        client = _Client(record, km=kernel.manager, log=_log, startup_timeout=START_TIMEOUT_S, coalesce_streams=True)
        client.kernel = kernel
        client.opening = opening
        try:
            client.execute()
        finally:
            if client.kc:  # nbclient leaves the channels open to a kernel that it did not start
                client.kc.stop_channels()
            record.notebook_complete()
        return nb


papermill_engines.register(_ENGINE, _Engine)


def execute(
    notebook: Path,
    executed: Path,
    parameters: Mapping[str, Any],
    *,
    kernel: Kernel,
    source: str,
    on_cell: Callable[[], None],
    watch: Watch,
    secrets: Secrets,
    opening: str = "",
    whole: Callable[[NotebookNode], NotebookNode] = lambda notebook: notebook,
) -> Executed:
    """Execute a notebook in a started kernel and keep it at `executed`, complete or up to where it failed.

    `source` is the notebook's name in the record. Nothing that the notebook does is raised: see `Executed.failure`.
    A notebook that shows one of the secrets has failed; what is kept and returned does not show it. `opening` is run
    before the first cell, unseen; `whole` gives what is kept where the notebook is only a part of it.
    """
    record = _Record(executed, on_cell, watch, secrets, whole)
    outcome = _executed(notebook, record, parameters, kernel, source, opening)
    if record.nb is not None:
        checks = folded(map(Checked.from_dict, _shown(record.nb, check_outcomes.MIME)))
        outcome = replace(outcome, counts=after_checks(outcome.counts, checks), checks=tuple(checks))
    return guarded(outcome, secrets, record.leaks) if secrets else outcome


def _executed(
    notebook: Path, record: _Record, parameters: Mapping[str, Any], kernel: Kernel, source: str, opening: str
) -> Executed:
    try:
        papermill.execute_notebook(
            str(notebook).replace("{", "{{").replace("}", "}}"),  # papermill formats the path
            None,
            parameters=dict(parameters),
            engine_name=_ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            record=record,
            kernel=kernel,
            source=source,
            opening=opening,
        )
        return _outcome(record.nb)
    except PapermillExecutionError as error:
        reason = f"{error.ename}: {error.evalue}"
        trace = "\n".join(error.traceback)
        return Executed(failure=Failure(reason, error.exec_count, error.source, trace, error.ename))
    except (DeadKernelError, CellTimeoutError, RuntimeError) as error:
        return Executed(failure=_death(record, kernel, error))
    finally:
        record.write()


def _outcome(notebook: NotebookNode) -> Executed:
    for cell in notebook.cells:
        if cell.metadata.get("papermill", {}).get("exception"):
            # papermill takes sys.exit() for success; but the cells below were not run.
            reason = "SystemExit: the cell ended the notebook; the cells after it did not run"
            return Executed(failure=Failure(reason, cell.execution_count, cell.source))
    try:
        return Executed(counts=tuple(Counts(**each) for each in _shown(notebook, MIME)))
    except (TypeError, DataError) as error:
        return Executed(failure=Failure(f"counts that cannot be read ({MIME}): {error}"))


def _shown(notebook: NotebookNode, kind: str) -> list[Any]:
    """What the cells have shown of a kind."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    return [output.data[kind] for output in outputs if kind in output.get("data", {})]


def _death(record: _Record, kernel: Kernel, error: Exception) -> Failure:
    source = record.current.source if record.current else ""
    if record.output_bytes > MAX_OUTPUT_BYTES:
        limit = f"{MAX_OUTPUT_BYTES // 1_000_000} MB"
        return Failure(f"more than {limit} of output; write data to a dataset, show a small table", source=source)
    ending = kernel.ending()
    reason = f"the kernel did not start: {error}"
    if source:
        reason = (
            "killed: the kernel got SIGKILL from outside"
            if ending == "SIGKILL"
            else f"crashed: the kernel died ({ending})"
        )
    return Failure(reason, source=source, traceback=kernel.last_words(), kind=ending)
