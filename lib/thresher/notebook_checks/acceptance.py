"""Keeps new outputs in a notebook; everything else in its file stays as it is, to the byte where JSON allows."""

import json
from typing import Any

import nbformat
from nbformat import NotebookNode

from thresher import files
from thresher.errors import DataError
from thresher.notebook_checks.checks import Cell, Checked


def accept(checked: Checked) -> None:
    """Write the outputs that differ, or were not compared, and count the cells as they ran.

    Raises DataError where the file was changed since it was checked; OSError.
    """
    if checked.path.read_bytes() != checked.content:
        raise DataError(f"{checked.name} was changed while it ran; nothing of it was accepted. Run the check again.")
    text = checked.content.decode("utf-8")
    notebook = json.loads(text)
    if "cells" not in notebook:
        raise DataError(f"{checked.name} has an old format; open and save it in JupyterLab, then accept its outputs")
    code_cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for kept, cell in zip(code_cells, checked.cells, strict=True):
        if cell.status != "skipped":
            _update(kept, cell)
    files.replace(checked.path.resolve(), _written(notebook, text).encode("utf-8"))


def _update(kept: dict[str, Any], cell: Cell) -> None:
    if cell.differences or not cell.is_compared:
        kept["outputs"] = _lines(cell.found)
    kept["execution_count"] = cell.execution_count
    for output in kept["outputs"]:
        if output["output_type"] == "execute_result":
            output["execution_count"] = cell.execution_count


def _lines(outputs: list[Any]) -> Any:
    """Outputs as they stand in a file: texts by line, keys sorted."""
    # nbformat's functions have no types.
    cell = nbformat.v4.new_code_cell(outputs=[NotebookNode(each) for each in outputs])  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    return json.loads(nbformat.v4.writes(notebook))["cells"][0]["outputs"]  # type: ignore[no-untyped-call]


def _written(notebook: dict[str, Any], before: str) -> str:
    """The JSON as it was laid out before: Jupyter's own is indented by one."""
    second = (before.splitlines()[1:2] or [" "])[0]
    room = second[: len(second) - len(second.lstrip())] or " "
    is_ascii = before.isascii() and "\\u" in before
    return json.dumps(notebook, ensure_ascii=is_ascii, indent=room) + "\n" * before.endswith("\n")
