"""Copies of datasets that share the data: hard links to the files of one version, and a log of their own.

Files of a Delta table are never changed, only added and removed. So a copy costs no space, what is written to either
table is not seen in the other, and a file lives for as long as one of them needs it.
"""

import errno
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from filelock import FileLock

from thresher import files
from thresher.datasets import parse_name, state, with_companions
from thresher.errors import DatasetNotFound, LakeError
from thresher.pipeline import Step

_LOG = "_delta_log"
_LOGGED = re.compile(r"(\d{20})\.(json|checkpoint\..*parquet)")
_KINDS = ("protocol", "metaData", "domainMetadata", "txn", "add")
_MAPS = ("partitionValues", "tags", "configuration", "options")
_ATTEMPTS = 5
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class Copied:
    """A dataset that was copied: from which lake, and at which version of it."""

    name: str
    source: Path
    version: int

    def __str__(self) -> str:
        return f"{self.name} is a copy of version {self.version} in {self.source}"


def copy(source: Path, lake: Path, name: str, *, full: bool = False, replace: bool = False) -> Copied:
    """Copy a dataset from one lake to another, as it is now: by hard links, or with its data (`full`).

    The copy is there whole or not at all, and its first commit tells where it came from. The known structure of its
    documents is copied with it. The source is only read. Raises DatasetNotFound, and LakeError where the copy is there
    already (unless `replace`), where the two lakes are on different file systems, or a lake cannot be read or written.
    """
    zone, table = parse_name(name)
    if not state(source, name):
        raise DatasetNotFound(f"no dataset {name} in lake {source}, from which it was to be copied")
    try:
        with _locked(lake, name):
            if state(lake, name) and not replace:
                raise LakeError(f"{name} is in lake {lake} already; to lose it for a copy anew, add --replace")
            copied = _made(source / zone / table, lake / zone / table, full=full)
            _copy_structure(source, lake, name)
    except DeltaError as error:
        raise LakeError(f"{name} in lake {source} cannot be copied: {error}") from error
    except OSError as error:
        raise error if isinstance(error, LakeError) else _explained(error, name, source, lake) from error
    return Copied(name, source, copied)


def needed(source: Path, lake: Path, steps: Iterable[Step]) -> list[str]:
    """What steps read and write that the lake lacks and the source has."""
    names = dict.fromkeys(name for step in steps for name in (*step.reads, *with_companions(step.writes)))
    return [name for name in names if not state(lake, name) and state(source, name)]


def take_over(source: Path, lake: Path, steps: Iterable[Step]) -> list[Copied]:
    """Copy what steps read and write, as far as the lake lacks it and the source has it."""
    copied = []
    for name in needed(source, lake, steps):
        try:
            copied.append(copy(source, lake, name))
        except LakeError:
            if not state(lake, name):  # else another run was faster
                raise
    return copied


def _locked(lake: Path, name: str) -> FileLock:
    (lake / "_locks").mkdir(parents=True, exist_ok=True)
    return FileLock(lake / "_locks" / f"{name}.lock")


def _made(source: Path, target: Path, *, full: bool) -> int:
    """Make a table like another one, and return the version that was copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}.copy-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    for attempt in range(_ATTEMPTS):
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.copy-"))
        try:
            copied = _fill(draft / "table", source, full=full)
            if target.exists():
                os.rename(target, draft / "replaced")
            os.rename(draft / "table", target)
            return copied
        except FileNotFoundError:  # the source was vacuumed or compacted while it was read
            if attempt == _ATTEMPTS - 1:
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    raise AssertionError("unreachable")


def _fill(draft: Path, source: Path, *, full: bool) -> int:
    copied = DeltaTable(source).version()
    actions = list(_actions(source, copied, draft.parent))
    for kind, action in actions:
        if kind == "add":
            _take_file(source, draft, str(action["path"]), full=full)
    now = int(datetime.now(UTC).timestamp() * 1000)
    origin = {"source": f"delta.`{source}`", "sourceVersion": str(copied), "isShallow": str(not full).lower()}
    note = json.dumps({"copied_from": str(source), "version": copied}, sort_keys=True)
    first = {"timestamp": now, "operation": "CLONE", "operationParameters": origin, "userMetadata": note}
    lines = [json.dumps({kind: action}) for kind, action in [("commitInfo", first), *actions]]
    files.replace(draft / _LOG / f"{0:020}.json", "\n".join([*lines, ""]).encode())
    return copied


def _actions(source: Path, at: int, scratch: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What makes up a version of a table: its protocol, its metadata (under a new id) and its files."""
    log = scratch / "source" / _LOG
    log.mkdir(parents=True)
    found = [(int(match[1]), match[0]) for match in map(_LOGGED.fullmatch, os.listdir(source / _LOG)) if match]
    since = max((number for number, name in found if number <= at and not name.endswith(".json")), default=0)
    for number, name in found:
        if since <= number <= at:
            shutil.copyfile(source / _LOG / name, log / name)
    # A checkpoint is the sum of a log, made by the library that reads it.
    DeltaTable(log.parent, version=at).create_checkpoint()
    (checkpoint,) = log.glob(f"{at:020}.checkpoint.parquet")
    for row in pq.read_table(checkpoint).to_pylist():
        for kind in _KINDS:
            if row.get(kind):
                yield kind, _action(row[kind]) | ({"id": str(uuid.uuid4())} if kind == "metaData" else {})


def _action(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An action as a log has it: without what is not set, but with partitions that are null."""
    plain = {name: dict(value) if name in _MAPS and value is not None else value for name, value in fields.items()}
    plain |= {"format": _action(fields["format"])} if "format" in fields else {}
    return {name: value for name, value in plain.items() if value is not None}


def _take_file(source: Path, draft: Path, path: str, *, full: bool) -> None:
    if urlsplit(path).scheme or path.startswith("/"):
        raise LakeError(f"{source} cannot be copied: it has data outside of its folder ({unquote(path)})")
    here, there = source / unquote(path), draft / unquote(path)
    there.parent.mkdir(parents=True, exist_ok=True)
    if full:
        shutil.copyfile(here, there)
    else:
        os.link(here, there)


def _copy_structure(source: Path, lake: Path, name: str) -> None:
    there = source / "_schemas" / f"{name}.json"
    if there.is_file():
        files.replace(lake / "_schemas" / f"{name}.json", there.read_bytes())


def _explained(error: OSError, name: str, source: Path, lake: Path) -> LakeError:
    if error.errno in _NO_LINKS:
        return LakeError(
            f"{name}: {lake} cannot share the files of {source} ({error.strerror}): hard links need one file system, "
            f"and files that this user may write. Place the lakes side by side, or copy the data, too: "
            f"thresher copy {name} --full"
        )
    return LakeError(f"{name} cannot be copied from {source} to {lake}: {error.strerror or error}")
