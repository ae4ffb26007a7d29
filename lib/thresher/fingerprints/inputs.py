"""The state of what a step reads and writes, without reading any data: datasets, landing files, texts, the lock."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thresher import landing
from thresher.errors import LandingNotFound
from thresher.pipeline import TEXT_FILES
from thresher.project import names_file

# Files that notebooks read and do not write: of others, nobody knows whether a step made them itself.
READ_ONLY = (*TEXT_FILES, ".xsd", ".yml", ".yaml", ".toml")
# The files, in a project's folder, that say which versions of libraries are installed.
LOCKS = (
    *("requirements.lock", "requirements-dev.lock", "requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock"),
    *("pixi.lock", "conda-lock.yml", "environment.yml"),
)


def landed(source: str, project: Path) -> str:
    """The files that match a path or glob, by name, size and time of change: how many, and a hash of all."""
    try:
        files = landing.listed(source, project)
    except LandingNotFound:
        return "0 files"
    stamps = [f"{file.name}\0{file.size}\0{file.modified_ns}" for file in files]
    return f"{len(files)} files:{_hash(chr(10).join(stamps).encode('utf-8', 'surrogateescape'))}"


def is_read_only(value: Any) -> bool:
    """Whether a value is the path of a file that notebooks read and do not write.

    >>> is_read_only("sql/orders.sql"), is_read_only("orders.csv"), is_read_only(7)
    (True, False, False)
    """
    return isinstance(value, str) and any(names_file(value, suffix) for suffix in READ_ONLY)


def text(path: Path) -> str:
    """The content of a file, as a hash; empty where there is none."""
    try:
        return _hash(path.read_bytes())
    except OSError:
        return ""


def locks(project: Path) -> dict[str, str]:
    """The project's lock files, each with its content."""
    return {name: text(project / name) for name in LOCKS if (project / name).is_file()}


def texts(value: Any) -> Sequence[str]:
    """All texts in a value."""
    if isinstance(value, dict):
        return [each for item in value.values() for each in texts(item)]
    if isinstance(value, list):
        return [each for item in value for each in texts(item)]
    return [value] if isinstance(value, str) else []


def content(value: str) -> str:
    """A text as a hash."""
    return _hash(value.encode("utf-8", "backslashreplace"))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
