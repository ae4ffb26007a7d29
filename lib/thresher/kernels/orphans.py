"""Ends what kernels started and left, wherever it went: also in a session of its own, and after kill -9 of all others.

A kernel's processes carry its name in their environment (`MARK`). When the process of that name is gone, so must they
be. Linux only, as `/proc` tells it; a process that was given an environment without the mark is not found.
"""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from thresher.schedules import holder

MARK = "THRESHER_KERNEL"
"""Names the process that all which inherits it belongs to: a kernel, or who starts kernels."""

_END_S = 1.0


def mark() -> dict[str, str]:
    """The variable for processes that must end with this one.

    >>> mark() in ({"THRESHER_KERNEL": holder.name()}, {})
    True
    """
    return {MARK: holder.name()} if sys.platform == "linux" else {}


def own_what_follows() -> None:
    """Have all that this process starts from now on belong to it."""
    os.environ.update(mark())


def sweep() -> int:
    """Kill the processes whose kernel or runner is gone; return how many there were."""
    ended: set[int] = set()
    while found := {pid for pid in _processes() if pid not in ended and _end(pid)}:  # one may just have started another
        ended |= found
    return len(ended)


def _processes() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(name) for name in os.listdir("/proc") if name.isdigit())


def _end(pid: int) -> bool:
    """Kill a process if it belongs to one that is gone; whether it did."""
    if not _is_orphan(pid):
        return False
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # Once more: it is surely this process that is held now, and none that was given its id.
        if not _is_orphan(pid):
            return False
        signal.pidfd_send_signal(held, signal.SIGKILL)
        select.select([held], [], [], _END_S)  # what belongs to it is an orphan once it has ended
        return True
    except OSError:
        return False
    finally:
        os.close(held)


def _is_orphan(pid: int) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # another user's, or gone
        return False
    prefix = f"{MARK}=".encode()
    owner = next((each[len(prefix) :].decode("utf-8", "replace") for each in variables if each.startswith(prefix)), "")
    try:
        return bool(owner) and holder.is_dead(owner)
    except ValueError:  # somebody else's variable of that name
        return False
