"""Landing: the files that arrive. They are read and never changed."""

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NewType, TypeVar

from thresher.errors import LandingNotFound
from thresher.project import resolve

Landing = NewType("Landing", str)
"""The type of a notebook parameter that is a path or glob of landing files: it must match before a run begins."""

Value = TypeVar("Value")
Sample = Annotated[Value, "sample"]
"""The type of a notebook parameter whose default stands for the sample data: a pipeline must give its own."""


@dataclass(frozen=True)
class LandingFile:
    """One file: `path` to open it, `name` relative to the landing folder, the same on every machine."""

    path: Path
    name: str


def is_database(source: str) -> bool:
    """Whether a source is the URL of a database, not files.

    >>> is_database("postgresql://db.example/shop"), is_database("data/landing/*.csv")
    (True, False)
    """
    return "://" in source


def find(source: str, project: Path | None = None) -> list[LandingFile]:
    """The files of a path or glob, by name; a folder stands for all files below it.

    Names that begin with a dot are not matched, as in a shell. Raises LandingNotFound when nothing matches.
    """
    place = resolve(source, project)
    if place.is_dir():
        folder, pattern = place, "**/*"
    else:
        # A folder that is there by that very name is meant by it, brackets and all.
        *parts, last = place.parts
        folder, rest = Path(parts[0]), parts[1:]
        while rest and ((folder / rest[0]).is_dir() or not glob.has_magic(rest[0])):
            folder /= rest.pop(0)
        pattern = str(Path(*rest, glob.escape(last) if place.exists() else last))
    if not folder.is_dir():
        raise LandingNotFound(
            f"landing folder {folder} is not there (source {source!r}). Relative paths begin at the project folder; "
            f"check the path, or whether the delivery has arrived."
        )
    names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))
    # A link that leads nowhere is a file that cannot be read, not a file that is not there.
    files = [LandingFile(folder / name, Path(name).as_posix()) for name in names if not (folder / name).is_dir()]
    if not files:
        raise LandingNotFound(f"no file in landing matches {place} (source {source!r}); found nothing to load")
    return files
