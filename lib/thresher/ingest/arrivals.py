"""What is new in landing: by comparison with the file ledger, however late, renamed or delivered again it is."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from thresher.ingest.file_ledger import FileState
from thresher.ingest.sequences import is_captured_at
from thresher.landing import LandingFile
from thresher.project import project_root

_SETTLED = ("loaded", "refused", "duplicate", "changed")


@dataclass(frozen=True)
class Arrivals:
    """The files of landing: those to load, those whose bytes came before, and those that changed after their load.

    `vanished` are files that had been seen and could not be read any more when they were looked at.
    """

    new: Sequence[tuple[LandingFile, FileState]]
    duplicate: Sequence[FileState]
    changed: Sequence[FileState]
    touched: Sequence[FileState]
    vanished: Sequence[str]
    known: int


def arrived(found: Sequence[LandingFile], known: Sequence[FileState], dataset: str) -> Arrivals:
    """Sort the files of landing by what the ledger knows of them.

    A file is known by its path, size and time, else by its bytes: the same bytes under another name are a duplicate,
    but where the name is the moment at which a change was captured (`is_captured_at`), for two changes may well be
    alike. Other bytes under a known name are a change, which is reported and not loaded.
    """
    by_path = {state.path: state for state in known if state.state in _SETTLED}
    unsure: list[tuple[LandingFile, os.stat_result]] = []
    vanished: list[str] = []
    for file in found:
        try:
            stat = file.path.stat()
        except OSError:
            vanished.append(file.name)
            continue
        before = by_path.get(_path(file))
        if before is None or (before.size, before.modified_ns) != (stat.st_size, stat.st_mtime_ns):
            unsure.append((file, stat))
    arrivals = Arrivals([], [], [], [], vanished, len(found) - len(unsure) - len(vanished))
    return _sorted_out(unsure, by_path, known, dataset, arrivals)


def _sorted_out(
    unsure: Sequence[tuple[LandingFile, os.stat_result]],
    by_path: Mapping[str, FileState],
    known: Sequence[FileState],
    dataset: str,
    arrivals: Arrivals,
) -> Arrivals:
    new, duplicate, changed, touched = [], [], [], []
    vanished = list(arrivals.vanished)
    loaded = {state.checksum: state.path for state in known if state.state in ("loaded", "duplicate")}
    for (file, stat), checksum in zip(unsure, _checksums([file.path for file, _ in unsure]), strict=True):
        if checksum is None:
            vanished.append(file.name)
            continue
        path = _path(file)
        now = FileState(dataset, path, file.name, stat.st_size, stat.st_mtime_ns, checksum, "landed")
        before = by_path.get(path)
        if before and before.checksum == checksum:
            touched.append(replace(before, modified_ns=now.modified_ns))
        elif before and before.state == "loaded":
            reason = "its bytes differ from those that were loaded; they were not loaded again"
            changed.append(replace(before, state="changed", error=reason, modified_ns=now.modified_ns, size=now.size))
        elif checksum in loaded and stat.st_size and not is_captured_at(file.name):
            duplicate.append(replace(now, state="duplicate", error=f"the bytes of {loaded[checksum]}"))
        else:
            loaded[checksum] = path
            new.append((file, now))
    return Arrivals(new, duplicate, changed, touched, vanished, arrivals.known)


def _path(file: LandingFile) -> str:
    """The path that names a file on every machine: relative to the project where it lies in it."""
    path, project = os.path.abspath(file.path), str(project_root())
    return path[len(project) + 1 :] if path.startswith(project + os.sep) else path


def _checksums(paths: Sequence[Path]) -> list[str | None]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_checksum, paths))


def _checksum(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError:
        return ""  # a folder, no permission: whoever reads it says why
