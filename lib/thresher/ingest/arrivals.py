"""What is new in landing: by comparison with the file ledger, however late, renamed or delivered again it is."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from thresher.ingest.file_ledger import FileLedger, FileState
from thresher.ingest.sequences import is_captured_at
from thresher.landing import LandingFile, Listed
from thresher.project import project_root


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


def arrived(found: Sequence[Listed], ledger: FileLedger | None, dataset: str) -> Arrivals:
    """Sort the files of landing by what the ledger knows of them; without one, all are new.

    A file is known by its path, size and time, else by its bytes: the same bytes under another name are a duplicate,
    but where the name is the moment at which a change was captured (`is_captured_at`), for two changes may well be
    alike. Other bytes under the name of a loaded file are a change, which is reported and not loaded. A file whose
    state is `retry` is to be loaded, whatever its bytes are.
    """
    stamps = ledger.stamps(dataset) if ledger else {}
    unsure = [
        (path, file)
        for path, file in zip(_paths(found), found, strict=True)
        if stamps.get(path) != (file.size, file.modified_ns)
    ]
    checksums = _checksums([file.path for _, file in unsure])
    before_now = ledger.files(dataset, paths=[path for path, _ in unsure]) if ledger else []
    by_path = {state.path: state for state in before_now}
    loaded = ledger.with_bytes(dataset, checksums) if ledger else {}
    new, duplicate, changed, touched = [], [], [], []
    for (path, file), checksum in zip(unsure, checksums, strict=True):
        size, modified_ns, before = file.size, file.modified_ns, by_path.get(path)
        rows = before.rows if before else None
        now = FileState(dataset, path, file.name, size, modified_ns, checksum, "landed", rows=rows)
        is_settled = path in stamps
        if before and before.state == "retry":
            new.append((file.file, now))
        elif before and is_settled and before.checksum == checksum:
            is_back = before.state == "changed"
            same = replace(before, state="loaded", error=None, size=size) if is_back else before
            touched.append(replace(same, modified_ns=modified_ns))
        elif before and before.state in ("loaded", "changed"):
            reason = "its bytes differ from those that were loaded; they were not loaded again"
            changed.append(replace(before, state="changed", error=reason, size=size, modified_ns=modified_ns))
        elif ledger and checksum in loaded and size and not is_captured_at(file.name):
            duplicate.append(replace(now, state="duplicate", error=f"the bytes of {loaded[checksum]}"))
        else:
            loaded[checksum] = path
            new.append((file.file, now))
    return Arrivals(new, duplicate, changed, touched, len(found) - len(unsure))


def _paths(found: Sequence[Listed]) -> list[str]:
    """The paths that name files on every machine: relative to the project where they lie in it."""
    if not found:
        return []
    project = os.path.join(project_root(), "")
    folder = os.path.join(os.path.abspath(found[0].path.removesuffix(found[0].name)), "")
    return [f"{folder.removeprefix(project)}{file.name}" for file in found]


def _checksums(paths: Sequence[str]) -> list[str]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_checksum, paths))


def _checksum(path: str) -> str:
    """SHA-256 in hexadecimal digits; empty for what cannot be read: whoever reads it then says why."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
