"""The pipelines that have a schedule, read anew when their files change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thresher.errors import PipelineError, UsageError
from thresher.pipeline import find
from thresher.pipeline_file import Problems, read
from thresher.project import project_root
from thresher.schedules.schedule import Schedule, read_schedule

_State = tuple[int, int]


@dataclass(frozen=True)
class Scheduled:
    """A pipeline with a schedule, and its file."""

    name: str
    file: Path
    schedule: Schedule


def read_scheduled(file: Path) -> Scheduled | None:
    """The schedule of a pipeline file; None where it has none. Raises PipelineError for what is wrong with the file.

    Neither steps nor parameters are checked: that is done when a run begins.
    """
    project = project_root(file.resolve().parent)
    problems = Problems(
        str(file.resolve().relative_to(project)) if file.resolve().is_relative_to(project) else str(file)
    )
    text = read(file, problems)
    schedule = read_schedule(text.schedule, text.schedule_line, problems)
    problems.raise_any()
    return Scheduled(text.name, file, schedule) if schedule else None


class ScheduledFiles:
    """The scheduled pipelines among the files of `names`, else among all in `pipelines/`."""

    def __init__(self, names: Sequence[str], say: Callable[[str], None]) -> None:
        self._names = names
        self._say = say
        self._seen: dict[Path, _State] = {}
        self._read: dict[Path, Scheduled] = {}

    def current(self) -> list[Scheduled]:
        """The pipelines as their files stand now; a file that is wrong is told, and left out until it changes."""
        files = self._files()
        for file in [each for each in self._seen if each not in files]:
            del self._seen[file]
            if self._read.pop(file, None):
                self._say(f"{file.name}: gone, no longer scheduled")
        for file, state in files.items():
            if self._seen.get(file) != state:
                self._look_at(file)
                self._seen[file] = state
        found: dict[str, Scheduled] = {}
        for each in self._read.values():
            found.setdefault(each.name, each)
        return list(found.values())

    def check(self) -> None:
        """Raise UsageError where a named pipeline is not there, is wrong, or has no schedule."""
        for name in self._names:
            file = find(name)
            if read_scheduled(file) is None:
                raise PipelineError(
                    f"{file}: pipeline {name} has no schedule. Give it one: schedule: {{cron: '0 2 * * *'}}"
                )

    def _files(self) -> dict[Path, _State]:
        files = {}
        for file in map(_found, self._names) if self._names else sorted((project_root() / "pipelines").glob("*.yml")):
            try:
                status = file.stat()
            except OSError:  # gone meanwhile
                continue
            files[file] = (status.st_mtime_ns, status.st_size)
        return files

    def _look_at(self, file: Path) -> None:
        before = self._read.pop(file, None)
        try:
            now = read_scheduled(file)
        except UsageError as error:
            self._say(f"{file.name}: not scheduled until it is repaired: {error}")
            return
        if now:
            self._read[file] = now
            if now != before:
                self._say(f"{now.name}: {described(now.schedule)}")
        elif before:
            self._say(f"{before.name}: no longer scheduled")


def described(schedule: Schedule) -> str:
    """A schedule in words.

    >>> described(Schedule("0 2 * * mon-fri", "Europe/Berlin", on=("curated.*",)))
    'scheduled at 0 2 * * mon-fri (Europe/Berlin), on changes of curated.*; missed times: run-latest'
    """
    when = [f"at {schedule.cron} ({schedule.timezone})"] if schedule.cron else []
    when += [f"on changes of {', '.join(schedule.on)}"] if schedule.on else []
    return f"scheduled {', '.join(when)}; missed times: {schedule.missed}"


def _found(name: str) -> Path:
    try:
        return find(name)
    except PipelineError:  # gone meanwhile
        return Path(name)
