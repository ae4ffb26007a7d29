"""A line of a crontab that runs a pipeline at the times of its schedule."""

import shlex
from collections.abc import Sequence

from thresher.errors import UsageError
from thresher.pipeline import Pipeline
from thresher.schedules.schedule import Schedule


def export(pipeline: Pipeline, command: Sequence[str]) -> str:
    """The lines of a crontab; `command` is run in the project. Raises UsageError for what cron cannot do."""
    schedule = timed(pipeline)
    if len(schedule.expression.split()) == 6:
        raise UsageError(f"{pipeline.file}: {schedule.cron!r} has seconds, and cron has none; use thresher schedule")
    line = f"cd {shlex.quote(str(pipeline.project))} && {shlex.join(command)}"
    return "\n".join(
        [
            f"# {pipeline.name}: times are in {schedule.timezone}. Not every cron knows CRON_TZ (cronie does, Debian's",
            "# does not): where it does not, the machine's own time zone must be this one.",
            f"CRON_TZ={schedule.timezone}",
            # To cron, a percent sign ends the command.
            f"{schedule.expression} {line}".replace("%", r"\%"),
            "",
        ]
    )


def timed(pipeline: Pipeline) -> Schedule:
    """The schedule of a pipeline that is due at times. Raises UsageError where there is none."""
    if pipeline.schedule is None or not pipeline.schedule.cron:
        raise UsageError(f"{pipeline.file}: no times to export; expected schedule: {{cron: '0 2 * * mon-fri'}}")
    return pipeline.schedule
