"""Landing: the files that arrive. They are read and never changed."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple, NewType, TypeVar

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


class Listed(NamedTuple):
    """What a folder tells of one file, for `LandingFile` is too slow to be made of 100,000.

    Size and time are zeros where the file is gone, or a link leads nowhere.
    """

    path: str
    name: str
    size: int
    modified_ns: int

    @property
    def file(self) -> LandingFile:
        """The file itself."""
        return LandingFile(Path(self.path), self.name)


def is_database(source: str) -> bool:
    """Whether a source is the URL of a database, not files.

    >>> is_database("postgresql://db.example/shop"), is_database("data/landing/*.csv")
    (True, False)
    """
    return "://" in source


def find(source: str, project: Path | None = None) -> list[LandingFile]:
    """The files of a path or glob, by name; see `listed`."""
    return [each.file for each in listed(source, project)]


def listed(source: str, project: Path | None = None) -> list[Listed]:
    """The files of a path or glob with size and time, by name; a folder stands for all files below it.

    Names that begin with a dot are not matched, as in a shell. Raises LandingNotFound when nothing matches.
    """
    place = resolve(source, project)
    folder, pattern = _split(place)
    if not folder.is_dir():
        raise LandingNotFound(
            f"landing folder {folder} is not there (source {source!r}). Relative paths begin at the project folder; "
            f"check the path, or whether the delivery has arrived."
        )
    prefix = os.path.join(folder, "")
    found = _matched(prefix, pattern) if pattern else _below(prefix, "")
    files = sorted(found, key=lambda file: file.name)
    if not files:
        raise LandingNotFound(f"no file in landing matches {place} (source {source!r}); found nothing to load")
    return files


def _split(place: Path) -> tuple[Path, str]:
    """The folder to look in, and the pattern below it; empty for all that is there."""
    if place.is_dir():
        return place, ""
    # A folder that is there by that very name is meant by it, brackets and all.
    *parts, last = place.parts
    folder, rest = Path(parts[0]), parts[1:]
    while rest and ((folder / rest[0]).is_dir() or not glob.has_magic(rest[0])):
        folder /= rest.pop(0)
    return folder, str(Path(*rest, glob.escape(last) if place.exists() else last))


def _below(prefix: str, folder: str) -> Iterator[Listed]:
    """All files below a folder. One that may not be listed has none, as in a shell."""
    entries: Iterable[os.DirEntry[str]] = ()
    with suppress(OSError), os.scandir(prefix + folder) as scanned:
        entries = list(scanned)
    for entry in entries:
        name = folder + entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(prefix, f"{name}/")
        else:
            found = _stat(entry.path)
            if _is_file(found):
                yield _of(prefix, name, found)


def _matched(prefix: str, pattern: str) -> Iterator[Listed]:
    for match in glob.iglob(pattern, root_dir=prefix, recursive=True):
        name = Path(match).as_posix() if os.sep != "/" else match
        found = _stat(prefix + name)
        if _is_file(found):
            yield _of(prefix, name, found)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:  # a link that leads nowhere is a file that cannot be read, not a file that is not there
        return None


def _is_file(found: os.stat_result | None) -> bool:
    """Whether it is a file, or a link that leads nowhere; who opened a pipe would wait for ever."""
    return found is None or stat.S_ISREG(found.st_mode)


def _of(prefix: str, name: str, found: os.stat_result | None) -> Listed:
    return Listed(prefix + name, name, found.st_size if found else 0, found.st_mtime_ns if found else 0)
