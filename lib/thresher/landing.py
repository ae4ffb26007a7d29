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


def find(source: str) -> list[LandingFile]:
    """The files of a path or glob, by name; a folder stands for all files below it.

    Names that begin with a dot are not matched, as in a shell. Raises LandingNotFound when nothing matches.
    """
    pattern = resolve(source)
    if pattern.is_dir():
        pattern = pattern / "**" / "*"
    if glob.has_magic(str(pattern)):
        fixed = next(i for i, part in enumerate(pattern.parts) if glob.has_magic(part))
        folder = Path(*pattern.parts[:fixed])
    else:
        folder = pattern.parent
    if not folder.is_dir():
        raise LandingNotFound(
            f"landing folder {folder} is not there (source {source!r}). Relative paths begin at the project folder; "
            f"check the path, or whether the delivery has arrived."
        )
    paths = sorted(Path(found) for found in glob.glob(str(pattern), recursive=True) if Path(found).is_file())
    if not paths:
        raise LandingNotFound(f"no file in landing matches {pattern} (source {source!r}); found nothing to load")
    return [LandingFile(path, path.relative_to(folder).as_posix()) for path in paths]
