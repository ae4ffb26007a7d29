"""How much memory a piece of work took: the peak of a process, its children, and a Spark server beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType

import psutil

from thresher.engines import spark_server

_EVERY_S = 0.2


_USUAL_BYTES = 400_000_000  # of a step that was never measured


class Room:
    """The memory that the steps of a run may take together: four fifths of what is free when it begins.

    >>> room = Room(free_bytes=1_000_000_000)
    >>> room.holds([500_000_000]), room.holds([500_000_000, 500_000_000]), room.holds([None, None])
    (True, False, True)
    """

    def __init__(self, free_bytes: int | None = None) -> None:
        self.bytes = 0.8 * (psutil.virtual_memory().available if free_bytes is None else free_bytes)

    def holds(self, steps: Iterable[int | None]) -> bool:
        """Whether steps that take so many bytes each (None where nobody knows) can run side by side."""
        return sum(_USUAL_BYTES if each is None else each for each in steps) <= self.bytes


class PeakMemory:
    """Watches while a block runs; `bytes` is the most that its processes held at one time (resident memory).

    `with_spark` counts the local Spark server, too.

    >>> with PeakMemory() as peak:
    ...     _ = sum(range(1000))
    >>> peak.bytes > 0
    True
    """

    def __init__(self, *, with_spark: bool = False) -> None:
        self.bytes = 0
        self._with_spark = with_spark
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        own = psutil.Process()
        while True:
            self.bytes = max(
                self.bytes, sum(map(_resident, [own, *_children(own), *(_server() if self._with_spark else [])]))
            )
            if self._done.wait(_EVERY_S):
                return


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _server() -> list[psutil.Process]:
    server = spark_server.status()
    if server is None:
        return []
    try:
        process = psutil.Process(server.jvm)
    except psutil.Error:
        return []
    return [process, *_children(process)]


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
