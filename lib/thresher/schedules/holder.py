"""Names for processes that hold something, by which another process can tell that they are gone."""

import os
import socket
import sys
from functools import cache
from pathlib import Path


def name() -> str:
    """The name of this process: where it runs, its id, and when it began, since ids are used again."""
    return f"{_machine()} {os.getpid()} {_beginning(os.getpid())}"


def is_dead(holder: str) -> bool:
    """Whether a holder is surely gone. Of one on another machine, or in another container, nothing is known here.

    >>> is_dead(name()), is_dead("elsewhere 1 0.0")
    (False, False)
    """
    machine, _, process = holder.partition(" ")
    pid, _, beginning = process.partition(" ")
    return machine == _machine() and _beginning(int(pid)) not in (beginning, None)


def _beginning(pid: int) -> str | None:
    """When a process began; empty where there is none, or only its exit code is left; None where it is hidden."""
    if sys.platform != "linux":
        import psutil  # slow to load, which Linux need not wait for

        try:
            other = psutil.Process(pid)
            return "" if other.status() == psutil.STATUS_ZOMBIE else f"{other.create_time():.0f}"
        except psutil.NoSuchProcess:
            return ""
    try:
        os.kill(pid, 0)
        # The program's name, in brackets, may hold anything. Behind it: the state, and as the twentieth the beginning.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return "" if fields[0] in ("Z", "X") else fields[19]
    except ProcessLookupError:
        return ""
    except (FileNotFoundError, PermissionError):
        return None


@cache
def _machine() -> str:
    """Where process ids mean the same: a boot of a machine and a namespace of ids, for containers may share a name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()
