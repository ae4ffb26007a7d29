"""Watches one notebook while it runs: its memory, its time, and whether it still moves; ends it at a limit."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from thresher.kernels.kernel import Kernel
from thresher.running.step_settings import Settings

_EVERY_S = 0.25
_STUCK_S = 600.0  # without an output or a cell's end


class Watch:
    """Looks at a kernel's processes a few times a second, as a context.

    `peak_bytes` is the most memory that they held, each shared page divided among those that share it. `verdict` tells
    at which limit the kernel was killed, if it was.
    """

    def __init__(self, kernel: Kernel, settings: Settings, notice: Callable[[str], None]) -> None:
        self.kernel = kernel
        self.settings = settings
        self.notice = notice
        self.peak_bytes = 0
        self.verdict = ""
        self._began = self._moved = time.monotonic()
        self._cell_began: float | None = None  # the kernel's start is no cell's
        self._is_stuck = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def cell_started(self) -> None:
        """A cell begins now."""
        self._cell_began = time.monotonic()
        self.moved()

    def moved(self) -> None:
        """The notebook brought something: an output, or a cell that ended."""
        self._moved = time.monotonic()
        self._is_stuck = False

    def _look(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self.verdict = self._memory() or self._time()
            if self.verdict:
                self.kernel.kill()
                return
            self._look_for_stillness()

    def _memory(self) -> str:
        held = sum(map(_bytes_of, _family(self.kernel.pid)))
        self.peak_bytes = max(self.peak_bytes, held)
        limit = self.settings.memory
        if limit is None or held <= limit:
            return ""
        return (
            f"out of memory: its processes held {held / 1e6:,.0f} MB, the step may hold {limit / 1e6:,.0f} MB (memory)"
        )

    def _time(self) -> str:
        now = time.monotonic()
        for name, limit, since in (
            ("timeout", self.settings.timeout, self._began),
            ("cell_timeout", self.settings.cell_timeout, self._cell_began),
        ):
            if limit is not None and since is not None and now - since > limit:
                what = "the step" if name == "timeout" else "the cell"
                return f"timeout: {what} took longer than {limit:g} s ({name})"
        return ""

    def _look_for_stillness(self) -> None:
        still = time.monotonic() - self._moved
        if still > _STUCK_S and not self._is_stuck:
            self._is_stuck = True
            self.notice(f"no output for {still / 60:.0f} min; is the cell stuck? Ctrl-C ends the run")


def out_of_memory_kills() -> int:
    """How many processes this machine or container has killed for want of memory so far; 0 where nobody counts."""
    counts = []
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        try:
            lines = Path(path).read_text().splitlines()
        except OSError:
            continue
        counts += [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
    return sum(counts)


def _family(pid: int | None) -> list[int]:
    """A process and all that it started."""
    found = [] if pid is None else [pid]
    for each in found:
        try:
            for task in os.listdir(f"/proc/{each}/task"):
                found += map(int, Path(f"/proc/{each}/task/{task}/children").read_text().split())
        except (OSError, ValueError):
            continue
    return found


def _bytes_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
    except (OSError, ValueError):  # it has ended
        return 0
