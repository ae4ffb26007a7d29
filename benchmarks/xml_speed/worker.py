"""A process that runs one way again and again: `python worker.py MODULE WAY JOB`, then one command a line.

It answers each line, and its start, with one line of JSON. `check` runs once and gives the sums of the result; `run`
gives seconds, processor seconds (with those of the servers that the way uses) and the peak of the memory.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """One way, ready to run: `run` is measured, `sums` reads its result, `bytes` is what a run reads."""

    run: Callable[[], Any]
    sums: Callable[[Any], dict[str, int]]
    bytes: int
    server: int | None = None  # the process whose work, with its children's, counts


def _family(server: int) -> Iterator[Any]:
    import psutil  # only where there is a server: the peers' environment may lack it

    process = psutil.Process(server)
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            yield each


def processor_seconds(server: int | None) -> dict[int, float]:
    """Of this process and of a server's, each by its id.

    What ended children used is left out: of Spark's Python workers that end while they rest not all are accounted for.
    """
    found = {os.getpid(): time.process_time()}
    for each in _family(server) if server else ():
        found[each.pid] = sum(each.cpu_times()[:2])
    return found


def used_since(before: dict[int, float], server: int | None) -> float:
    """Processor seconds between an earlier moment and now."""
    return sum(now - before.get(pid, 0) for pid, now in processor_seconds(server).items())


def peak_megabytes(server: int | None) -> float | None:
    """The most memory that this process, and each of a server's, has held; None where the system does not tell.

    It is more than all of them took together: memory that processes share counts for each.
    """
    pids = ["self", *(str(each.pid) for each in (_family(server) if server else ()))]
    # Not getrusage: its maximum begins with what the parent held when it started this process.
    lines = (line for pid in pids for line in _status(pid) if line.startswith("VmHWM"))
    found = [int(line.split()[1]) * 1024 / 1e6 for line in lines]
    return sum(found) if found else None


def _status(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return []


def measured(task: Task) -> dict[str, Any]:
    """One run: what it took."""
    begun, before = time.perf_counter(), processor_seconds(task.server)
    task.run()
    seconds, used = time.perf_counter() - begun, used_since(before, task.server)
    return {"seconds": seconds, "cpu": used, "bytes": task.bytes, "peak": peak_megabytes(task.server)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers

    def answer(**what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    module, way, job = sys.argv[1:]
    try:
        task = importlib.import_module(module).WAYS[way](**json.loads(job))
    except ImportError as missing:
        return answer(missing=str(missing))
    answer(ready=True)
    for command in sys.stdin:
        if command.strip() == "check":
            answer(sums=task.sums(task.run()))
        else:
            answer(**measured(task))


if __name__ == "__main__":
    main()
