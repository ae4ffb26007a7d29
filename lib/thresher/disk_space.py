"""A full disk, whichever library notices it, is one error."""

import errno
from pathlib import Path

from thresher.errors import DiskFull

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
_TEXTS = ("no space left on device", "disk is full", "disk quota exceeded")


def is_full(error: BaseException) -> bool:
    """Whether an error comes from a disk, or a user's share of it, that is full.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device")), is_full(ValueError("database or disk is full"))
    (True, True)
    >>> is_full(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    False
    """
    # The libraries below deltalake and DuckDB hand on nothing but the system's text.
    return getattr(error, "errno", None) in _NUMBERS or any(text in str(error).lower() for text in _TEXTS)


def full(what: str, place: Path | str) -> DiskFull:
    """The error to raise for what could not be written, at a path or in a database.

    >>> print(str(full("curated.courses", "/data/lake")).partition(". ")[0])
    curated.courses cannot be written: the disk of /data/lake is full
    """
    return DiskFull(
        f"{what} cannot be written: the disk of {place} is full. What was written before is whole, and nothing of this "
        f"was kept. Free space there, then run again: what was done is not repeated."
    )
