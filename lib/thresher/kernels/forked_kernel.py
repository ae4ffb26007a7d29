"""What a forked child becomes: an ipykernel with an environment, a folder and outputs of its own."""

import atexit
import ctypes
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thresher.kernels.orphans import own_what_follows
from thresher.project import LIBRARY, project_root

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Request:
    """A kernel that is asked for: ipykernel's arguments, the environment and folder to work in, open outputs."""

    arguments: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    stdout: int
    stderr: int
    parent: int


def die_with(parent: int) -> None:
    """Be killed when the process that started this one dies, even with kill -9 and in the middle of a call into C.

    Linux only; elsewhere ipykernel's own watch on its parent ends a kernel within a second, once it is idle.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of all that descend from this process and lose their parents, so that they can be ended."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def become_kernel(request: Request) -> None:
    """Take leave of the server's state and serve as a kernel until told to stop."""
    die_with(request.parent)
    adopt_orphans()
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)
    _take_outputs(request)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.env)
    own_what_follows()
    time.tzset()
    tempfile.tempdir = None
    _new_random_state()
    _new_default_connection()
    _settings_of_folder()
    see_own_modules()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["ipykernel_launcher", *request.arguments]
    from ipykernel import kernelapp

    try:
        # The handle tells that this is no kernel started by hand, which would print a greeting.
        kernelapp.launch_new_instance(argv=[*request.arguments, f"--IPKernelApp.parent_handle={request.parent}"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    # Not the interpreter's own end: freeing one by one what the server loaded takes longer than many a notebook. Nor
    # the kernel's, whose threads may wait for each other (ipykernel 7.4); they end with the process.
    atexit.unregister(kernelapp.IPKernelApp.instance().close)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def see_own_modules() -> None:
    """Let the notebook import the modules beside it, after Python's own as IPython has it, and those in the project's
    folder `lib`, after all that is installed.

    IPython (9.7) leaves the first out under -P, which keeps the same modules away from the start of the kernel.
    """
    library = str(project_root() / LIBRARY)
    if os.path.isdir(library) and library not in sys.path:
        sys.path.append(library)
    if not os.environ.get("PYTHONSAFEPATH") and "" not in sys.path:
        names = [os.path.basename(path) for path in sys.path]
        sys.path.insert(names.index("site-packages") if "site-packages" in names else 0, "")


def _take_outputs(request: Request) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, request.stdout), (2, request.stderr)):
        os.dup2(source, target)
        os.close(source)


def _new_random_state() -> None:
    random.seed()
    if "numpy" in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sys.modules["numpy"].random.seed()


def _new_default_connection() -> None:
    if "duckdb" in sys.modules:
        duckdb = sys.modules["duckdb"]
        duckdb.set_default_connection(duckdb.connect())


def _settings_of_folder() -> None:
    """Matplotlib reads this file when it is imported; the server did that in another folder."""
    if "matplotlib" in sys.modules and os.path.exists("matplotlibrc"):
        sys.modules["matplotlib"].rc_file("matplotlibrc")
