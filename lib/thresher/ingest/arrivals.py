"""What is new in landing: by comparison with the file ledger, however late, renamed or delivered again it is."""

import hashlib
import os
from collections.abc import Sequence
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

    `touched` have another time and the same bytes; `known` is how many the ledger knows already.
    """

    new: Sequence[tuple[LandingFile, FileState]]
    duplicate: Sequence[FileState] = ()
    changed: Sequence[FileState] = ()
    touched: Sequence[FileState] = ()
    known: int = 0


def arrived(found: Sequence[LandingFile], known: Sequence[FileState], dataset: str) -> Arrivals:
    """Sort the files of landing by what the ledger knows of them.

    A file is known by its path, size and time, else by its bytes: the same bytes under another name are a duplicate,
    but where the name is the moment at which a change was captured (`is_captured_at`), for two changes may well be
    alike. Other bytes under the name of a loaded file are a change, which is reported and not loaded.
    """
    by_path = {state.path: state for state in known if state.state in _SETTLED}
    stamps = [_stamp(file.path) for file in found]
    unsure = [
        (file, stamp)
        for file, stamp in zip(found, stamps, strict=True)
        if (before := by_path.get(_path(file))) is None or (before.size, before.modified_ns) != stamp
    ]
    loaded = {state.checksum: state.path for state in known if state.state in ("loaded", "duplicate")}
    new, duplicate, changed, touched = [], [], [], []
    for (file, (size, modified_ns)), checksum in zip(
        unsure, _checksums([each.path for each, _ in unsure]), strict=True
    ):
        path = _path(file)
        now = FileState(dataset, path, file.name, size, modified_ns, checksum, "landed")
        before = by_path.get(path)
        if before and before.checksum == checksum:
            touched.append(replace(before, modified_ns=modified_ns))
        elif before and before.state == "loaded":
            reason = "its bytes differ from those that were loaded; they were not loaded again"
            changed.append(replace(before, state="changed", error=reason, size=size, modified_ns=modified_ns))
        elif checksum in loaded and size and not is_captured_at(file.name):
            duplicate.append(replace(now, state="duplicate", error=f"the bytes of {loaded[checksum]}"))
        else:
            loaded[checksum] = path
            new.append((file, now))
    return Arrivals(new, duplicate, changed, touched, len(found) - len(unsure))


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change; zeros for what is gone, or cannot be looked at."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def _path(file: LandingFile) -> str:
    """The path that names a file on every machine: relative to the project where it lies in it."""
    path, project = os.path.abspath(file.path), str(project_root())
    return path[len(project) + 1 :] if path.startswith(project + os.sep) else path


def _checksums(paths: Sequence[Path]) -> list[str]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_checksum, paths))


def _checksum(path: Path) -> str:
    """SHA-256 in hexadecimal digits; empty for what cannot be read: whoever reads it then says why."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
