"""Work on all cores, whose results come in order and are never far ahead of who takes them."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Full, Queue
from typing import Any, NamedTuple, TypeVar

_MOST_WAITING = 4  # results of one item that nobody has taken yet
_LOOKS_AGAIN_S = 0.1

Item = TypeVar("Item")
Result = TypeVar("Result")


class _End(NamedTuple):
    """The last of an item's results, with the error that ended it."""

    error: BaseException | None


class _Closed(Exception):
    """Nobody takes results any more."""


def in_order(function: Callable[[Item], Iterable[Result]], items: Iterable[Item]) -> Iterator[Result]:
    """All results of a function of each item, those of the first item first; an error comes where it belongs.

    >>> list(in_order(range, [2, 0, 3]))
    [0, 1, 0, 1, 2]
    """
    workers = len(os.sched_getaffinity(0))
    running: deque[Queue[Any]] = deque()
    is_closed = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                results: Queue[Any] = Queue(_MOST_WAITING)
                pool.submit(_fill, results, function, item, is_closed)
                running.append(results)
                if len(running) > workers:
                    yield from _taken(running.popleft())
            while running:
                yield from _taken(running.popleft())
        finally:
            is_closed.set()


def _fill(
    results: "Queue[Any]", function: Callable[[Any], Iterable[Any]], item: Any, is_closed: threading.Event
) -> None:
    error: BaseException | None = None
    try:
        for each in function(item):
            _put(results, each, is_closed)
    except _Closed:
        return
    except BaseException as found:
        error = found
    try:
        _put(results, _End(error), is_closed)
    except _Closed:
        pass


def _put(results: "Queue[Any]", result: Any, is_closed: threading.Event) -> None:
    while not is_closed.is_set():
        try:
            return results.put(result, timeout=_LOOKS_AGAIN_S)
        except Full:
            pass
    raise _Closed


def _taken(results: "Queue[Any]") -> Iterator[Any]:
    while not isinstance(result := results.get(), _End):
        yield result
    if result.error:
        raise result.error
