"""Private folders for sockets and spilled rows: of all processes of a user, and of one process.

What killed processes left is swept away by the next.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SOCKET_ROOM = 60  # of the 107 bytes that the path of a socket may have
_PREFIX = "run-"


@contextmanager
def users_folder(base: Path) -> Iterator[Path]:
    """The folder of this user below `base`, held by this process alone. Raises OSError where it is open to others."""
    folder = base / f"thresher-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} belongs to another user or is open to others")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@contextmanager
def private_folder(*, is_for_sockets: bool = True) -> Iterator[Path]:
    """A folder for this process alone, removed at the end; after a kill, by the next process.

    Where the temporary folder's path is too long for sockets, theirs is below /tmp.
    """
    folder, held = _make(is_for_sockets)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _make(is_for_sockets: bool) -> tuple[Path, int]:
    temporary = Path(tempfile.gettempdir())
    base = Path("/tmp") if is_for_sockets and len(str(temporary)) >= _SOCKET_ROOM else temporary
    try:
        with users_folder(base) as folder:
            _sweep(folder)
            return _held(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder)))
    except PermissionError:  # somebody else has taken the name: then nothing is swept
        return _held(Path(tempfile.mkdtemp(prefix="thresher-", dir=base)))


def _held(folder: Path) -> tuple[Path, int]:
    """The folder, and the descriptor that keeps others from sweeping it for as long as this process lives."""
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    return folder, held


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            held = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(held)
