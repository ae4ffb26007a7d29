"""Ways in processes of their own, started together, checked once, and run in turn."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from statistics import median
from typing import Any

LIMIT_S = 900
WORKER = Path(__file__).with_name("worker.py")


@dataclass
class Figures:
    """What was found about one way: runs, and the sums of its result; or why it could not run."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, int] = field(default_factory=dict)
    absent: str = ""

    def median(self, name: str) -> float:
        """Of `seconds`, `cpu` or `peak`."""
        return median(run[name] for run in self.runs)

    @property
    def megabytes_per_second(self) -> float:
        """By the clock."""
        return self.runs[0]["bytes"] / 1e6 / self.median("seconds")

    @property
    def megabytes_per_cpu_second(self) -> float:
        """By the processor's time."""
        return self.runs[0]["bytes"] / 1e6 / max(self.median("cpu"), 1e-9)


class _Process:
    def __init__(self, python: str, module: str, way: str, job: Mapping[str, Any]) -> None:
        command = [python, str(WORKER), module, way, json.dumps(job)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin and self._process.stdout
        self._commands, self._answers = self._process.stdin, self._process.stdout

    def answer(self) -> dict[str, Any]:
        if not select([self._answers], [], [], LIMIT_S)[0]:
            self._process.kill()
            return {"missing": f"no answer within {LIMIT_S} s"}
        line = self._answers.readline()
        return json.loads(line) if line else {"missing": "it failed; see the error above"}

    def ask(self, command: str) -> dict[str, Any]:
        try:
            print(command, file=self._commands, flush=True)
        except BrokenPipeError:
            pass  # it failed; the answer says so
        return self.answer()

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=60)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()


def compare(
    module: str, ways: Sequence[str], job: Mapping[str, Any], rounds: int, pythons: Mapping[str, str]
) -> dict[str, Figures]:
    """Run each way in every round; `pythons` names those ways that run on another Python than this one."""
    found = {way: Figures() for way in ways}
    with ExitStack() as stack:
        processes: dict[str, _Process] = {}
        for way in ways:
            print(f"  {way} …", file=sys.stderr)
            process = stack.enter_context(_Process(pythons.get(way, sys.executable), module, way, job))
            started = process.answer()
            checked = started if "missing" in started else process.ask("check")
            found[way].absent = checked.get("missing", "")
            found[way].sums = checked.get("sums", {})
            if not found[way].absent:
                processes[way] = process
        for number in range(rounds):
            print(f"  round {number + 1} of {rounds} …", file=sys.stderr)
            for way, process in list(processes.items()):
                run = process.ask("run")
                found[way].absent = run.get("missing", "")
                if found[way].absent:
                    del processes[way]
                else:
                    found[way].runs.append(run)
    return found


def agreement(figures: Figures, ours: Figures) -> str:
    """Whether two results of the same number of documents are the same, as far as both can tell."""
    common = figures.sums.keys() & ours.sums.keys()
    if not common:
        return "–"
    different = [
        f"{name} {figures.sums[name]:,}, not {ours.sums[name]:,}"
        for name in sorted(common)
        if figures.sums[name] != ours.sums[name]
    ]
    return f"**{'; '.join(different)}**" if different else "yes"
