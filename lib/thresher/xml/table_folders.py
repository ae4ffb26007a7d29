"""A folder of tables that is replaced as a whole, beside files that are somebody else's."""

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from thresher import files

# The names of the files (Delta: folders) that the latest run put there.
MANIFEST = "_tables.json"


@contextmanager
def replacing(folder: Path, names: Collection[str]) -> Iterator[None]:
    """Put tables of these names into a folder inside the block; those of an earlier run go, if it ends well.

    A list in the folder tells which files are tables of a run; no other file is removed. Raises OSError.
    """
    before = _listed(folder)
    # While some tables are new and some old, all of them are ours.
    _list(folder, {*before, *names})
    yield
    for name in before - set(names):
        _remove(folder / name)
    _list(folder, names)


def _listed(folder: Path) -> set[str]:
    try:
        names = json.loads((folder / MANIFEST).read_text("utf-8"))["tables"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return set()
    # A list that somebody has edited must not lead out of the folder.
    return {name for name in names if isinstance(name, str) and name == Path(name).name and name not in ("", "..")}


def _list(folder: Path, names: Collection[str]) -> None:
    files.replace(folder / MANIFEST, json.dumps({"tables": sorted(names)}, ensure_ascii=False).encode())


def _remove(path: Path) -> None:
    if path.is_file():
        path.unlink()
    elif (path / "_delta_log").is_dir() and not path.is_symlink():
        shutil.rmtree(path)
