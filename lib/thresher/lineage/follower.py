"""Tells the process that sends lineage what a run does; a run never waits for it but a moment at its end."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from thresher import environments
from thresher.errors import ThresherError
from thresher.ledger import Run, StepRun
from thresher.pipeline import Pipeline

_LAST_WAIT_S = 5.0
# What the standard's clients are told by; see "Lineage" in docs/operations.md.
_VARIABLES = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT__TYPE")


def target() -> str | None:
    """Where lineage goes: what thresher.yml says, "" for what the variables OPENLINEAGE_… say, None for nowhere."""
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return None
    project = environments.project()
    if project and "to" in project.lineage:
        return environments.lineage_target(project)
    return "" if any(os.environ.get(name) for name in _VARIABLES) else None


class Follower:
    """Follows one run. Safe to be told from several threads; does nothing where no lineage is wanted.

    What could not be sent is told to `say` and kept in the lake, at `_runs/<run>/lineage-unsent.jsonl`.
    """

    def __init__(self, run_id: str, pipeline: Pipeline, lake: Path, engine: str, say: Callable[[str], None]) -> None:
        self._hide = pipeline.secrets.hide
        self._say = say
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        command, pipe = [sys.executable, "-m", "thresher.lineage.sender"], subprocess.PIPE
        try:
            to = target()
            if to is None:
                return
            # A session of its own: what stops the run must not stop its last events.
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        except (ThresherError, OSError) as error:
            say(f"lineage: nothing is sent: {error}")
            return
        self._lines.put(json.dumps(pipeline.secrets.values()).encode() + b"\n")
        self._writer = threading.Thread(target=self._write, args=(self._process,), daemon=True)
        self._writer.start()
        self._tell("began", to=to, **_facts(run_id, pipeline, lake, engine))

    def started(self, step: str) -> None:
        """A step began."""
        self._tell("step began", name=step)

    def finished(self, step: StepRun) -> None:
        """A step ended, or was not run."""
        self._tell("step ended", step=asdict(step))

    def ended(self, run: Run) -> None:
        """The run ended."""
        self._tell("ended", status=run.status, error=run.error)

    def close(self) -> None:
        """Wait until all is sent, but no longer than a moment. A run whose end was not told is reported as aborted."""
        process = self._process
        if process is None:
            return
        self._lines.put(None)
        self._writer.join(_LAST_WAIT_S)
        try:
            told, trouble = process.communicate(timeout=_LAST_WAIT_S)
        except (subprocess.TimeoutExpired, ValueError):
            self._say(f"lineage: process {process.pid} is still sending it")
            threading.Thread(target=_collect, args=(process,), daemon=True).start()
            return
        if process.returncode or told:
            said = told.decode().strip() or trouble.decode().strip().splitlines()[-1]
            self._say(f"lineage: {self._hide(said)}")

    def _tell(self, what: str, **facts: Any) -> None:
        if self._process:
            message = {"what": what, "at": datetime.now(UTC), **facts}
            self._lines.put(self._hide(json.dumps(message, default=_as_json)).encode() + b"\n")

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        pipe = process.stdin
        assert pipe
        try:
            while line := self._lines.get():
                pipe.write(line)
                pipe.flush()
        except OSError:  # it is gone, which is told at the end
            pass
        finally:
            try:
                pipe.close()
            except OSError:
                pass
            process.stdin = None  # communicate() would flush it


def _collect(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process, so that it leaves no trace when it ends."""
    with process, suppress(OSError, ValueError):
        process.wait()


def _facts(run_id: str, pipeline: Pipeline, lake: Path, engine: str) -> dict[str, Any]:
    """What the sender must know of a run; secrets are references."""
    steps = {
        step.name: {
            "notebook": step.notebook,
            "reads": step.reads,
            "writes": step.writes,
            "landing": step.landing,
            "engine": step.engine or engine,
            "arguments": step.arguments,
        }
        for step in pipeline.steps
    }
    return {
        "id": run_id,
        "pipeline": pipeline.name,
        "description": pipeline.description,
        "file": pipeline.file,
        "project": str(pipeline.project),
        "lake": str(lake),
        "engine": engine,
        "run_date": pipeline.run_date,
        "steps": steps,
    }


def _as_json(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
