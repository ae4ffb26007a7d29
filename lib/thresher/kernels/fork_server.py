"""The process of a fork server: it loads libraries, and forks a kernel from itself for each one that is asked for.

Each kernel has a connection to whoever asked for it. When that one is gone, the kernel is killed; when the kernel has
ended, its exit code is sent; when the server dies, the kernels die with it (`forked_kernel`).

The server has one thread, as only the thread that forks lives on in the child. Libraries are loaded between requests,
so the first kernel waits for what every kernel needs and no longer.
"""

import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher.kernels import messages
from thresher.kernels.forked_kernel import Request, adopt_orphans, become_kernel

FIRST = (
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.extensions.storemagic",
    "tornado.platform.asyncio",
    "matplotlib.backends.backend_agg",  # of inline figures; their own module looks for the notebook when it is imported
    "duckdb",
    "thresher.lake",
)
THEN = ("pandas", "sqlglot", "matplotlib.pyplot", "numba", "thresher.xml")
_FOR_SPARK = "pyspark.sql.connect.session"  # from the first kernel on that has Spark for its engine
# pyarrow and deltalake start one each to tidy their memory; it holds no lock that a child could wait for.
_HARMLESS_THREADS = ("jemalloc_bg_thd",)


@dataclass(frozen=True)
class _Child:
    pid: int
    ending: int  # a descriptor that can be read once the process has ended
    client: socket.socket


class _Server:
    def __init__(self, listening: socket.socket, owner: int | None, idle_s: float | None) -> None:
        self.listening = listening
        self.owner = owner
        self.idle_s = idle_s
        self.selector = selectors.DefaultSelector()
        self.children: set[_Child] = set()
        self.to_load = deque(THEN)
        self.versions: dict[str, tuple[int, int]] = {}
        self.is_open = True
        self.used_at = time.monotonic()
        self.selector.register(listening, selectors.EVENT_READ)
        if owner is not None:
            self.selector.register(owner, selectors.EVENT_READ)

    def serve(self) -> Request | None:
        """Serve until nobody needs this server. Returns None then; in a forked child, what the child is to be."""
        while self.is_open or self.children:
            ready = self.selector.select(0 if self.to_load else self._patience())
            for key, _ in ready:
                if key.fileobj is self.listening:
                    request = self._answer()
                    if request:
                        return request
                elif key.fileobj == self.owner:
                    self._end()
                elif key.data in self.children:
                    self._attend(key.data, key.fileobj)
            if not ready and self.to_load:
                self.load([self.to_load.popleft()])
            elif not ready and not self.children and self._is_unused():
                self.close()
        return None

    def load(self, modules: Iterable[str]) -> None:
        """Import modules that kernels need, and note which version of their files that was."""
        for module in modules:
            with suppress(ImportError):  # an extra that is not installed: the notebook that needs it will say so
                importlib.import_module(module)
        if "duckdb" in sys.modules:  # its own connection has threads; each kernel gets one of its own
            sys.modules["duckdb"].default_connection().close()
        self._changed()

    def close(self) -> None:
        """Take no more requests; the kernels that there are go on."""
        if self.is_open:
            self.is_open = False
            self.to_load.clear()
            self.selector.unregister(self.listening)
            self.listening.close()

    def _patience(self) -> float | None:
        return self.idle_s

    def _is_unused(self) -> bool:
        return self.idle_s is not None and time.monotonic() - self.used_at >= self.idle_s

    def _answer(self) -> Request | None:
        with suppress(BlockingIOError, ConnectionError):
            client, _ = self.listening.accept()
            client.settimeout(1)  # the request was sent with the connection; who sends none must not hold up others
            try:
                received = messages.receive(client)
            except (OSError, ValueError):
                received = None
            if received is None or not _is_own(client):
                client.close()
                return None
            message, files = received
            if messages.ASK not in message:
                return self._fork(client, message, files)
            _tell(client, self._report(message[messages.ASK]))
            client.close()
        return None

    def _report(self, asked: str) -> dict[str, Any]:
        """What this server is and does, before it ends or lets its kernels end, where it is asked to."""
        report = {"pid": os.getpid(), "kernels": sorted(child.pid for child in self.children)}
        if asked == messages.KILL:
            self._end()
        elif asked == messages.CLOSE:
            self.close()
        return report

    def _fork(self, client: socket.socket, message: dict[str, Any], files: list[int]) -> Request | None:
        client.setblocking(True)
        refusal = self._refusal()
        if refusal:
            _tell(client, {"refused": refusal})
            client.close()
            for file in files:
                os.close(file)
            return None
        if message["env"].get("THRESHER_ENGINE", "duckdb") != "duckdb" and _FOR_SPARK not in sys.modules:
            self.to_load.append(_FOR_SPARK)
        gc.freeze()  # what is there now is shared with the child, and not touched by its garbage collector
        parent, pid = os.getpid(), os.fork()
        if not pid:
            self._forget()
            client.close()
            return Request(message["arguments"], message["env"], message["cwd"], files[0], files[1], parent)
        for file in files:
            os.close(file)
        with suppress(OSError):  # the child does it too; whoever comes first
            os.setpgid(pid, pid)
        child = _Child(pid, os.pidfd_open(pid), client)
        self.children.add(child)
        self.selector.register(child.ending, selectors.EVENT_READ, child)
        self.selector.register(client, selectors.EVENT_READ, child)
        self.used_at = time.monotonic()
        _tell(client, {"pid": pid})
        return None

    def _refusal(self) -> str:
        """Why no kernel may be forked now: a library was changed, or a thread would be lost."""
        changed = self._changed()
        if changed:
            self.close()
            return f"{changed} was changed after it was loaded"
        threads = [name for name in _threads()[1:] if name not in _HARMLESS_THREADS]
        return f"the fork server has other threads: {', '.join(threads)}" if threads else ""

    def _changed(self) -> str:
        """The first loaded file that is not what it was when it was first seen, if any."""
        for path in _loaded_files():
            now = _version(path)
            if self.versions.setdefault(path, now) != now:
                return path
        return ""

    def _attend(self, child: _Child, source: Any) -> None:
        if source == child.ending:
            self._reap(child)
            return
        try:
            received = messages.receive(child.client)
        except (OSError, ValueError):
            received = None
        with suppress(ProcessLookupError):
            os.killpg(child.pid, received[0]["signal"] if received else signal.SIGKILL)
        if received is None:
            self.selector.unregister(child.client)

    def _reap(self, child: _Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        with suppress(ProcessLookupError):  # what the notebook started and left
            os.killpg(child.pid, signal.SIGKILL)
        self._end_orphans(child)
        with suppress(KeyError):
            self.selector.unregister(child.client)
        self.selector.unregister(child.ending)
        _tell(child.client, {"exit": os.waitstatus_to_exitcode(status)})
        child.client.close()
        os.close(child.ending)
        self.children.discard(child)
        self.used_at = time.monotonic()

    def _end_orphans(self, ended: _Child) -> None:
        """Kill what a kernel left in sessions of its own: its processes are this one's children now."""
        kernels = {child.pid for child in self.children} - {ended.pid}
        while orphans := set(_children()) - kernels:
            for pid in orphans:
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)

    def _end(self) -> None:
        """The owner is gone: so are the kernels."""
        if self.owner is not None:
            self.selector.unregister(self.owner)
        self.owner = None
        self.close()
        for child in self.children:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def _forget(self) -> None:
        """In a child: let go of everything that is the server's."""
        self.selector.close()
        self.listening.close()
        if self.owner is not None:
            os.close(self.owner)
        for child in self.children:
            os.close(child.ending)
            child.client.close()


def main() -> None:
    """`fork_server LISTENING OWNER IDLE`: two open descriptors, or - for no owner, and seconds without work, or -."""
    listening, owner, idle = sys.argv[1:4]
    if owner == "-" and os.fork():
        os._exit(0)  # who started it may end long before it does, or would have to wait for its end
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner, who decides what becomes of the kernels
    adopt_orphans()
    server = _Server(
        socket.socket(fileno=int(listening)),
        None if owner == "-" else int(owner),
        None if idle == "-" else float(idle),
    )
    gc.disable()  # libraries make many objects that stay
    server.load(FIRST)
    request = server.serve()
    if request:
        gc.enable()
        become_kernel(request)
    gc.freeze()  # or Python would look through all libraries for garbage before it ends


def _is_own(client: socket.socket) -> bool:
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.getuid()


def _tell(client: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):  # it is gone, and will be noticed as such
        messages.send(client, message)


def _children() -> list[int]:
    return list(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def _threads() -> list[str]:
    tasks = sorted(int(task) for task in os.listdir("/proc/self/task"))
    return [Path(f"/proc/self/task/{task}/comm").read_text().strip() for task in tasks]


def _loaded_files() -> Iterable[str]:
    """The files of loaded modules, without Python's own."""
    own = os.path.dirname(os.__file__)
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and (not path.startswith(own) or "site-packages" in path):
            yield path


def _version(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
        return found.st_mtime_ns, found.st_size
    except OSError:
        return 0, 0


if __name__ == "__main__":
    main()
