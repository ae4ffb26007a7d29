"""Fork servers: one that belongs to a process and ends with it, or one that all of a user's tools share for a while."""

import hashlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher.kernels import messages, orphans
from thresher.private_folders import private_folder, users_folder

SERVER = "THRESHER_FORK_SERVER"
BACKEND = "module://matplotlib_inline.backend_inline"
IDLE_S = 300.0
_ANSWER_S = 60
_END_S = 1.0
_BACKLOG = 256
# Libraries read these when they are imported, so kernels with other values need another server.
_READ_AT_IMPORT = (
    *("ARROW_", "DUCKDB_", "HOME", "IPYTHON", "JUPYTER", "LANG", "LC_", "LD_", "MALLOC_", "MATPLOTLIB", "MKL_", "MPL"),
    *("NUMBA_", "NUMEXPR_", "OMP_", "OPENBLAS_", "PYTHON", "SPARK_", "TZ", "XDG_C"),
)

_kept: list[Path] = []  # the server that the runs of this process share


class ForkRefused(Exception):
    """No kernel could be forked; an ordinary one will do."""


class ForkedProcess:
    """A forked kernel, with the methods of `subprocess.Popen` that Jupyter's provisioners use."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.is_server_gone = False
        self._connection = connection

    def poll(self) -> int | None:
        """The exit code once it has ended, else None; negative for a signal."""
        return self.returncode if self.returncode is not None else self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit code. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if end is None else max(0, end - time.monotonic())
            if self._read(left) is None and timeout is not None and left == 0:
                raise subprocess.TimeoutExpired(f"kernel {self.pid}", timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel and all that it started, if it has not ended."""
        if self.returncode is None:
            with suppress(OSError):
                messages.send(self._connection, {"signal": int(number)})

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> int | None:
        if select.select([self._connection], [], [], timeout)[0]:
            try:
                received = messages.receive(self._connection)
            except OSError:
                received = None
            self.is_server_gone = received is None
            if received is None:  # the kernel was killed by the system, and what it started was not
                self._end_family()
            self.returncode = -signal.SIGKILL if received is None else received[0]["exit"]
            self._connection.close()
        return self.returncode

    def _end_family(self) -> None:
        with suppress(OSError):
            ending = os.pidfd_open(self.pid)
            select.select([ending], [], [], _END_S)
            os.close(ending)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        orphans.sweep()


def fork(
    address: Path, arguments: Sequence[str], env: Mapping[str, str], cwd: str, files: tuple[int, int]
) -> ForkedProcess:
    """Have the server at an address fork a kernel with ipykernel's arguments. Raises ForkRefused."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(str(address))
        messages.send(connection, {"arguments": list(arguments), "env": dict(env), "cwd": cwd}, files)
        connection.settimeout(_ANSWER_S)
        received = messages.receive(connection)
        connection.settimeout(None)
    except OSError as error:
        connection.close()
        raise ForkRefused(f"fork server {address}: {error}") from error
    answer: dict[str, Any] = received[0] if received else {"refused": "the fork server ended"}
    if "pid" not in answer:
        connection.close()
        raise ForkRefused(f"fork server {address}: {answer['refused']}")
    return ForkedProcess(answer["pid"], connection)


@contextmanager
def owned(folder: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """The address of a fork server, in a private folder, that ends with this process or, before, with the context."""
    address = folder / "server"
    orphans.sweep()
    reading, writing = os.pipe()
    try:
        process = _start(address, {**env, **orphans.mark()}, reading)
    finally:
        os.close(reading)
    try:
        yield address
    finally:
        os.close(writing)
        process.wait()


@contextmanager
def kept() -> Iterator[None]:
    """Have the runs of this process share one server within the context: libraries are loaded once for all of them."""
    if not is_supported():
        yield
        return
    with private_folder() as folder, owned(folder, environment(os.environ)) as address:
        _kept.append(address)
        try:
            yield
        finally:
            _kept.remove(address)


@contextmanager
def for_run() -> Iterator[tuple[Path, dict[str, str]]]:
    """A private folder for the sockets of a run's kernels, and the variables that tell them of a server of its own."""
    with private_folder() as folder:
        if not is_supported():
            yield folder, {}
            return
        if _kept and _is_served(_kept[-1]):
            yield folder, {SERVER: str(_kept[-1])}
            return
        with owned(folder, environment(os.environ)) as address:
            yield folder, {SERVER: str(address)}


def shared(env: Mapping[str, str]) -> Path:
    """The address of the server that a user's tools share; started if there is none, it ends when it is not used.

    Raises ForkRefused where the folder of these servers is not the user's alone.
    """
    with _runtime_folder() as folder:
        address = folder / _key(env)
        if not _is_served(address):
            orphans.sweep()
            lasting = {name: value for name, value in env.items() if name != orphans.MARK}
            _start(address, lasting, None).wait()  # only until it has left: it is nobody's child
    return address


@dataclass(frozen=True)
class Status:
    """A shared server: its process, and those of the kernels that it forked and that still run."""

    pid: int
    kernels: tuple[int, ...]


def status() -> list[Status]:
    """The user's shared servers, by process id."""
    return _ask(messages.STATUS)


def stop(*, kill: bool = False) -> list[Status]:
    """End the user's shared servers; return what they were. Kernels go on until they are closed, or are killed too."""
    return _ask(messages.KILL if kill else messages.CLOSE)


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a kernel: plain figures in the notebook whatever the caller's shell asks for.

    Relative entries of PYTHONPATH mean the folder of the caller; the kernel works in another.
    """
    python_path = [os.path.abspath(each) for each in env.get("PYTHONPATH", "").split(os.pathsep) if each]
    paths = {"PYTHONPATH": os.pathsep.join(python_path)} if python_path else {}
    return {**env, **paths, "MPLBACKEND": BACKEND}


def is_supported() -> bool:
    """Whether kernels can be forked here."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


def _start(address: Path, env: Mapping[str, str], owner: int | None) -> "subprocess.Popen[bytes]":
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(str(address))
    listening.listen(_BACKLOG)  # from now on requests are taken, and answered once the server is up
    log = address.with_suffix(".log").open("wb")
    passed = [listening.fileno()] + ([] if owner is None else [owner])
    command = [sys.executable, "-P", "-m", "thresher.kernels.fork_server", str(passed[0])]
    command += ["-", str(IDLE_S)] if owner is None else [str(owner), "-"]
    try:
        return subprocess.Popen(
            command,
            pass_fds=passed,
            cwd="/",
            # More threads than one would not live on in the kernels.
            env={"OPENBLAS_NUM_THREADS": "1", **env},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    finally:
        listening.close()
        log.close()


def _ask(what: str) -> list[Status]:
    found = []
    with _runtime_folder() as folder:
        for address in _addresses(folder):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection, suppress(OSError):
                connection.settimeout(_ANSWER_S)
                connection.connect(str(address))
                messages.send(connection, {messages.ASK: what})
                received = messages.receive(connection)
                if received:
                    found.append(Status(received[0]["pid"], tuple(received[0]["kernels"])))
    return sorted(found, key=lambda each: each.pid)


def _is_served(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(str(address))
        except OSError:
            return False
    return True


@contextmanager
def _runtime_folder() -> Iterator[Path]:
    """The folder of the user's shared servers, without what servers that ended left."""
    try:
        with users_folder(Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())) as folder:
            for address in _addresses(folder):
                if not _is_served(address):
                    address.unlink(missing_ok=True)
                    address.with_suffix(".log").unlink(missing_ok=True)
            yield folder
    except PermissionError as error:
        raise ForkRefused(f"no folder for a fork server: {error}") from error


def _addresses(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_socket()]


def _key(env: Mapping[str, str]) -> str:
    relevant = sorted((name, value) for name, value in env.items() if name.startswith(_READ_AT_IMPORT))
    return hashlib.sha256(repr((sys.executable, sys.prefix, relevant)).encode()).hexdigest()[:16]
