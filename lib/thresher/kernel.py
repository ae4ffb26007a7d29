"""One kernel for one notebook, from the runner's side."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync

from thresher.kernel_main import PRELOAD

# No history file, and plain figures in the notebook whatever backend the caller's shell asks for.
_ARGUMENTS = ("--HistoryManager.enabled=False",)
_BACKEND = "module://matplotlib_inline.backend_inline"
_LAST_WORDS = 2000


class _Manager(AsyncKernelManager):
    """Starts the Python that runs Thresher, not whatever kernel of that name Jupyter would find on this machine."""

    @property
    def kernel_spec(self) -> KernelSpec:
        # -P: the project's folder must not shadow the modules that start the kernel; IPython adds it afterwards.
        argv = [sys.executable, "-P", "-m", "thresher.kernel_main", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, language="python", display_name="Python 3")


class Kernel:
    """A kernel process and the way to it. All methods but `kill` belong to the thread that made it.

    `folder` is a short private path: sockets in it are the transport, because TCP ports are open to every user of
    the machine, and a socket's path may have at most 107 bytes.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._log = folder / f"{name}.log"
        self._process: Popen[bytes] | None = None
        self.manager = _Manager(
            transport="ipc", ip=str(folder / name), connection_file=str(folder / f"{name}.json"), kernel_name="python3"
        )

    def start(self, *, cwd: Path, env: Mapping[str, str], preload: Sequence[str]) -> None:
        """Start the process; it loads the modules named in `preload` before it answers."""
        python_path = [os.path.abspath(each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
        everything = {**os.environ, **env, "MPLBACKEND": _BACKEND, PRELOAD: " ".join(preload)}
        if python_path:  # relative entries mean the folder of the caller, the kernel works in another
            everything["PYTHONPATH"] = os.pathsep.join(python_path)
        with self._log.open("wb") as log:
            run_sync(self.manager.start_kernel)(
                extra_arguments=list(_ARGUMENTS), cwd=str(cwd), env=everything, stdout=log, stderr=log
            )
        self._process = getattr(self.manager.provisioner, "process", None)

    def kill(self) -> None:
        """Kill the process and its children at once; safe from any thread, and when it is dead already."""
        if self._process and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the process end by itself, else kill it; return when it has ended. Nothing to do before the start."""
        if self._process:
            run_sync(self.manager.shutdown_kernel)()
            ensure_event_loop().close()  # this thread's; jupyter_client opens one and leaves it

    def ending(self) -> str:
        """How the process ended: by which signal, or with which exit code."""
        code = self._process.poll() if self._process else None
        if code is None:
            return "no answer from it"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def last_words(self) -> str:
        """The end of what the process wrote past the notebook: why it died, if it said so."""
        text = self._log.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace") if self._log.exists() else ""
        return text.strip()
