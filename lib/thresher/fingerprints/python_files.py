"""The files of a project, for code that finds modules, scripts and texts by ways that only a run would know."""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from thresher.fingerprints.inputs import READ_ONLY

_NO_CODE = frozenset({"__pycache__", "_runs", "node_modules", "site-packages"})
_LAKE = "_ledger.sqlite"
_SUFFIXES = (".py", ".ipynb", *READ_ONLY)


class PythonFiles:
    """All files of code below a folder, and the texts that it reads, but for those of environments, hidden folders and
    lakes; looked for when first asked.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def were_asked(self) -> bool:
        """Whether what was found depends on all of these files."""
        return "_files" in vars(self)

    @cached_property
    def all(self) -> list[Path]:
        """The Python files, in order."""
        return [path for path in self._files if path.suffix == ".py"]

    def of_module(self, name: str) -> list[Path]:
        """All files that a module of that name, without dots, may consist of, wherever in the project it lies."""
        return [path for path in self.all if path.stem == name or name in path.relative_to(self._root).parts[:-1]]

    def named(self, file: str) -> list[Path]:
        """The files whose path ends so; a `*` stands for what only a run would know."""
        parts = Path(file.lstrip("*/")).parts if "/" in file else (file,)
        paths = (path for path in self._files if len(path.parts) >= len(parts))
        return [path for path in paths if all(map(fnmatchcase, path.parts[-len(parts) :], parts))]

    @cached_property
    def _files(self) -> list[Path]:
        return sorted(self._found())

    def _found(self) -> Iterator[Path]:
        for folder, folders, files in os.walk(self._root):
            if _LAKE in files or "_delta_log" in folders or "pyvenv.cfg" in files:
                folders.clear()
                continue
            folders[:] = [name for name in folders if name not in _NO_CODE and not name.startswith(".")]
            yield from (Path(folder, name) for name in files if name.endswith(_SUFFIXES))
