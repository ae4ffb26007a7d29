"""Items of a step that share one executed notebook, and one kernel for as long as they succeed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from thresher.kernels.kernel import Kernel

_LONGEST_ID = 64


class Batch:
    """One executed notebook with a section for each item, at `path`, and the kernel that waits for the next item.

    Belongs to one thread. The kernel of an item that failed is not used again: the others must not suffer from it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kernel: Kernel | None = None
        self._secrets: Sequence[str] = ()  # names of those that it was started with
        self._sections: dict[str, list[Any]] = {}

    def take(self, secrets: Sequence[str]) -> Kernel | None:
        """The kernel that waits, if it was handed the same secrets as the next item is to be."""
        if self._secrets != secrets:
            self.close()
        kernel, self._kernel = self._kernel, None
        return kernel

    def keep(self, kernel: Kernel, secrets: Sequence[str]) -> None:
        """Have a kernel wait for the next item."""
        self._kernel, self._secrets = kernel, secrets

    def close(self) -> None:
        """End the kernel that waits."""
        kernel, self._kernel = self._kernel, None
        if kernel:
            kernel.close()

    def joined(self, item: str, notebook: NotebookNode) -> NotebookNode:
        """The notebook of the batch, with the notebook of an item as it is now as that item's section."""
        number = list(self._sections).index(item) + 1 if item in self._sections else len(self._sections) + 1
        heading = nbformat.v4.new_markdown_cell(f"# {item}")  # type: ignore[no-untyped-call]
        self._sections[item] = [_numbered(cell, number) for cell in (heading, *notebook.cells)]
        cells = [cell for section in self._sections.values() for cell in section]
        return nbformat.from_dict({**notebook, "cells": cells})  # type: ignore[no-untyped-call]


def _numbered(cell: NotebookNode, number: int) -> dict[str, Any]:
    """A cell under an id that no other item's has."""
    return {**cell, "id": f"{number}-{cell['id']}"[:_LONGEST_ID]} if "id" in cell else dict(cell)
