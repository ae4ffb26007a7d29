"""The process of one notebook's kernel: an ipykernel that dies with the runner and has the heavy libraries loaded."""

import ctypes
import importlib
import os
import signal
import sys
from contextlib import suppress

PRELOAD = "THRESHER_PRELOAD"
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Be killed when the runner dies, even with kill -9 and in the middle of a long call into C.

    Linux only; elsewhere ipykernel's own watch on the parent ends the kernel within a second, once it is idle.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)


def main() -> None:
    """Load what THRESHER_PRELOAD names, then serve until told to stop."""
    die_with_parent(int(os.environ["JPY_PARENT_PID"]))
    for module in os.environ.pop(PRELOAD, "").split():
        with suppress(ImportError):  # an extra that is not installed: the notebook that needs it will say so
            importlib.import_module(module)
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
