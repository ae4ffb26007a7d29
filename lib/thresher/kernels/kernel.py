"""One kernel for one notebook, from the runner's side."""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import cast

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync
from zmq import ZMQError

from thresher.kernels import orphans
from thresher.kernels.client import Client
from thresher.kernels.provisioner import NAME
from thresher.kernels.servers import ForkedProcess

_END_S = 5
_LAST_WORDS = 2000


class _Manager(AsyncKernelManager):
    """Starts the Python that runs Thresher, not whatever kernel of that name Jupyter would find on this machine."""

    @property
    def kernel_spec(self) -> KernelSpec:
        # -P: the project's folder must not shadow the modules that start the kernel; IPython adds it afterwards.
        argv = [sys.executable, "-P", "-m", "thresher.kernels.ordinary_kernel", "-f", "{connection_file}"]
        provisioner = {"kernel_provisioner": {"provisioner_name": NAME}}
        return KernelSpec(argv=argv, language="python", display_name="Python 3", metadata=provisioner)


class Kernel:
    """A kernel process and the way to it. All methods but `kill` belong to the thread that made it.

    `folder` is a short private path: sockets in it are the transport, because TCP ports are open to every user of
    the machine, and a socket's path may have at most 107 bytes.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._log = folder / f"{name}.log"
        self._process: Popen[bytes] | ForkedProcess | None = None
        self.manager = _Manager(
            transport="ipc",
            ip=str(folder / name),
            connection_file=str(folder / f"{name}.json"),
            kernel_name="python3",
            client_class=f"{Client.__module__}.{Client.__name__}",
        )

    def start(self, *, cwd: Path, env: Mapping[str, str]) -> None:
        """Start the process, in a folder and with these variables beside the caller's."""
        with self._log.open("wb") as log:
            run_sync(self.manager.start_kernel)(
                # No history file.
                extra_arguments=["--HistoryManager.enabled=False"],
                cwd=str(cwd),
                env={**os.environ, **env},
                stdout=log,
                stderr=log,
            )
        self._process = cast("Popen[bytes] | ForkedProcess", getattr(self.manager.provisioner, "process", None))

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process else None

    def kill(self) -> None:
        """Kill the process and its children at once; safe from any thread, and when it is dead already."""
        if isinstance(self._process, ForkedProcess):
            self._process.kill()
        elif self._process and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the process end by itself, else kill it; return when it has ended. Nothing to do before the start."""
        if self._process:
            # One that was killed while it started leaves a manager that cannot ask any more.
            with suppress(ZMQError, OSError):
                run_sync(self.manager.request_shutdown)()
            with suppress(TimeoutExpired):
                self._process.wait(_END_S)  # Jupyter looks every tenth of a second, which is longer than it takes
            run_sync(self.manager.shutdown_kernel)(now=True)
            if isinstance(self._process, Popen):  # of a forked kernel, its server sees to what it left
                orphans.sweep()
            ensure_event_loop().close()  # this thread's; jupyter_client opens one and leaves it

    def ending(self) -> str:
        """How the process ended: by which signal, or with which exit code."""
        code = self._process.poll() if self._process else None
        if code is None:
            return "no answer from it"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    @property
    def is_server_gone(self) -> bool:
        """Whether the process ended because its fork server did."""
        return isinstance(self._process, ForkedProcess) and self._process.is_server_gone

    def last_words(self) -> str:
        """The end of what the process wrote past the notebook: why it died, if it said so."""
        text = self._log.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace") if self._log.exists() else ""
        return text.strip()
