"""A DAG of Airflow 3 with one papermill operator for each step of a pipeline."""

import re
from collections.abc import Iterator
from pathlib import Path
from pprint import pformat
from textwrap import indent
from typing import Any

from thresher import environments
from thresher.errors import UsageError
from thresher.parameters.references import RUN_ID
from thresher.pipeline import LAKE_PARAMETER, Pipeline, Step

_MACROS = re.compile(r"(\{\{|\{%|\{#)")
_FILE = '''\
"""{about}

Made by `thresher export airflow` from {file};
make it anew when that file changes. Tasks need this project, its lake and thresher where they run.
"""

import contextlib
import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.sdk import DAG

PROJECT = {project!r}
ENVIRONMENT = {environment!r}
RUNS = {runs!r} + "/{{{{ run_id }}}}"


class Notebook(PapermillOperator):
    """A step: its notebook runs in the project, where relative paths begin, in its environment, on an engine."""

    def __init__(self, *, engine, **kwargs):
        super().__init__(**kwargs)
        self.engine = engine

    def execute(self, context):
        from thresher import environments

        Path(self.output_nb).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.chdir(PROJECT), environments.entered(ENVIRONMENT):
            os.environ["THRESHER_ENGINE"] = self.engine
            return super().execute(context)


steps = {{}}
with DAG(
    dag_id={name!r},
    description={description!r},
    schedule={schedule!r},
    start_date=datetime({year}, 1, 1, tzinfo=ZoneInfo({timezone!r})),
    catchup={catchup!r},
    max_active_runs=1,
):
{steps}
'''
_STEP = """\
steps[{name!r}] = Notebook(
    task_id={task!r},
    input_nb=PROJECT + {notebook!r},
    output_nb=RUNS + {executed!r},
    engine={engine!r},
    parameters={parameters},
)
"""


def export(pipeline: Pipeline, lake: Path, engine: str) -> str:
    """The Python file of the DAG: steps in the pipeline's order, on a lake, in the environment that is in force.

    Raises UsageError for a cron with seconds.

    `${run.date}` becomes the date that Airflow gives a run, `${run.id}` its id.
    """
    schedule = pipeline.schedule
    if schedule and len(schedule.expression.split()) == 6:
        raise UsageError(f"{pipeline.file}: {schedule.cron!r} has seconds, and Airflow has none; use thresher schedule")
    day, environment = pipeline.run_date, environments.current()
    return _FILE.format(
        about=(pipeline.description or f"Pipeline {pipeline.name}.").replace("\\", "\\\\").replace('"', "'"),
        file=pipeline.file,
        project=f"{pipeline.project}/",
        environment=environment and environment.name,
        runs=f"{lake}/_runs",
        name=pipeline.name,
        description=pipeline.description,
        schedule=schedule.expression if schedule and schedule.cron else None,
        timezone=schedule.timezone if schedule else "UTC",
        year=day.year if day else 2026,
        catchup=bool(schedule and schedule.missed == "run-all"),
        steps=indent("\n".join(_lines(pipeline, lake, engine)), "    ").rstrip(),
    )


def _lines(pipeline: Pipeline, lake: Path, engine: str) -> Iterator[str]:
    # What is filled in below stands for the run's own date and id, which only Airflow knows.
    known = {RUN_ID: "{{ run_id }}"}
    if "run.date" in pipeline.params and pipeline.run_date:
        known[pipeline.run_date.isoformat()] = "{{ ds }}"
    for step in pipeline.steps:
        yield _STEP.format(
            name=step.name,
            task=_task_id(step.name),
            notebook=step.notebook,
            executed=f"/{step.name}.ipynb",
            engine=step.engine or engine,
            parameters=indent(pformat(_parameters(step, lake, known), width=100, sort_dicts=False), "    ").lstrip(),
        )
    for step in pipeline.steps:
        for before in step.after:
            yield f"steps[{before!r}] >> steps[{step.name!r}]"


def _task_id(step: str) -> str:
    """The name of a step in the characters that Airflow takes: `ingest[orders]` is `ingest.orders`."""
    return re.sub(r"[^\w.-]", "_", step.removesuffix("]").replace("[", "."), flags=re.ASCII)


def _parameters(step: Step, lake: Path, known: dict[str, str]) -> dict[str, Any]:
    given = {name: _as_template(value, known) for name, value in step.arguments.items()}
    return given | ({LAKE_PARAMETER: str(lake)} if step.takes_lake else {})


def _as_template(value: Any, known: dict[str, str]) -> Any:
    """A value in which Airflow's macros stand for what is known in a run only, and nothing else is one."""
    if isinstance(value, list):
        return [_as_template(each, known) for each in value]
    if isinstance(value, dict):
        return {name: _as_template(each, known) for name, each in value.items()}
    if not isinstance(value, str):
        return value
    pieces = re.split(f"({'|'.join(map(re.escape, known))})", value)
    return "".join(known.get(piece) or _MACROS.sub(r"{{ '\1' }}", piece) for piece in pieces)
