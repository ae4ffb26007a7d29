"""Which change of a dataset makes a pipeline due: a version that somebody else wrote after its last run began."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from thresher.datasets import ZONES
from thresher.errors import UsageError
from thresher.ledger import Ledger
from thresher.schedules.due_times import DueTime
from thresher.schedules.schedule import Schedule

_NEVER = datetime.min.replace(tzinfo=UTC)
_COMMIT = re.compile(r"(\d{20})\.json")
_UPKEEP = ("OPTIMIZE", "VACUUM START", "VACUUM END")


@dataclass(frozen=True)
class _Version:
    number: int
    written_at: datetime
    run: str  # empty if by hand
    is_upkeep: bool  # the same rows in other files


class Triggers:
    """Watches the datasets of a lake by the logs of their tables. A log is listed again only when it has changed."""

    def __init__(self, lake: Path, ledger: Ledger) -> None:
        self._lake = lake
        self._ledger = ledger
        self._listed: dict[Path, tuple[int, list[Path]]] = {}
        self._versions: dict[Path, _Version | None] = {}

    def due(self, pipeline: str, schedule: Schedule) -> DueTime | None:
        """What the newest change of the datasets that the schedule names makes due, if there is one."""
        logs = [log for log in self._logs() if any(fnmatchcase(_name(log), pattern) for pattern in schedule.on)]
        if not logs:
            return None
        last = self._ledger.runs(pipeline, limit=1, lake=self._lake)
        since = last[0].started_at if last else _NEVER
        changes = ((change, _name(log)) for log in logs if (change := self._change(log, pipeline, since)))
        newest = max(changes, key=lambda each: each[0].written_at, default=None)
        return newest and DueTime(pipeline, newest[0].written_at, f"{newest[1]} version {newest[0].number}")

    def _logs(self) -> list[Path]:
        return sorted(log for zone in ZONES for log in self._lake.glob(f"{zone}/*/_delta_log"))

    def _change(self, log: Path, pipeline: str, since: datetime) -> _Version | None:
        """The newest version that counts, of a dataset; a run that is still going may write more: it is awaited."""
        for version in self._newest_first(log):
            if version.written_at <= since:
                return None
            if not version.is_upkeep and version.run.rsplit("-", 2)[0] != pipeline:
                return None if self._is_going(version.run) else version
        return None

    def _newest_first(self, log: Path) -> Iterator[_Version]:
        for commit in self._commits(log):
            if commit not in self._versions:
                self._versions[commit] = _read(commit)
            version = self._versions[commit]
            if version:
                yield version

    def _commits(self, log: Path) -> list[Path]:
        try:
            changed = log.stat().st_mtime_ns
            if self._listed.get(log, (0, []))[0] != changed:
                commits = sorted((each for each in log.iterdir() if _COMMIT.fullmatch(each.name)), reverse=True)
                for commit in commits:  # a table that was deleted and made anew begins at version 0 again
                    self._versions.pop(commit, None)
                self._listed[log] = (changed, commits)
            return self._listed[log][1]
        except OSError:  # gone meanwhile
            return []

    def _is_going(self, run: str) -> bool:
        try:
            return bool(run) and self._ledger.run(run).status == "running"
        except UsageError:  # of another ledger
            return False


def _name(log: Path) -> str:
    return f"{log.parts[-3]}.{log.parts[-2]}"


def _read(commit: Path) -> _Version | None:
    """What a commit says of itself; None where it says nothing, or is gone."""
    try:
        for line in commit.read_text("utf-8").splitlines():
            info = json.loads(line).get("commitInfo")
            if info:
                written_at = datetime.fromtimestamp(info["timestamp"] / 1000, UTC)
                return _Version(int(commit.stem), written_at, _run(info), info.get("operation") in _UPKEEP)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _run(info: dict[str, str]) -> str:
    try:
        return str(json.loads(info.get("userMetadata") or "{}").get("run", ""))
    except (ValueError, AttributeError):  # a note by somebody else
        return ""
