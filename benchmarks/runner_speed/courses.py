"""The course pipeline on the sample data, run in three ways."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

from runner_speed.commands import environment, module
from thresher import pipeline
from thresher.engines import spark_server
from thresher.errors import EngineUnavailable

ROOT = Path(__file__).resolve().parent.parent.parent
PIPELINE = ROOT / "pipelines" / "courses.yml"
STEPS = pipeline.load(PIPELINE, exists=lambda _: False).steps


def ways(*, with_spark: bool) -> dict[str, Callable[[Path], None]]:
    """The ways by their names, ours first."""
    found = {"thresher run": by_thresher, "papermill in a loop, embedded engine": by_papermill}
    if not with_spark:
        return found
    try:
        _fetch_jars()
    except EngineUnavailable as error:
        raise SystemExit(f"{error}\nOr leave Spark out: --without-spark") from error
    return found | {"papermill, JVM Spark per notebook": by_papermill_with_spark}


def by_thresher(folder: Path) -> None:
    """`thresher run` on a lake in a folder."""
    with environment(THRESHER_ENGINE="duckdb", THRESHER_LAKE=str(folder / "lake")):
        module("thresher", "run", PIPELINE, cwd=ROOT)


def by_papermill(folder: Path) -> None:
    """One papermill command after the other."""
    with environment(THRESHER_ENGINE="duckdb"):
        for step in STEPS:
            _papermill(step, folder)


def by_papermill_with_spark(folder: Path) -> None:
    """The same, each with a Spark server that is started and stopped for it."""
    for step in STEPS:
        with environment(THRESHER_ENGINE="spark", THRESHER_SPARK_HOME=str(folder / f"spark-{step.name}")):
            try:
                _papermill(step, folder)
            finally:
                spark_server.stop()


def _papermill(step: pipeline.Step, folder: Path) -> None:
    """Run one notebook as anyone would: papermill's command and a file of parameters."""
    parameters = folder / f"{step.name}.yml"
    lake = {pipeline.LAKE_PARAMETER: str(folder / "lake")} if step.takes_lake else {}
    YAML().dump(dict(step.arguments) | lake, parameters)
    out = folder / f"{step.name}.ipynb"
    module("papermill", step.notebook, out, "-f", parameters, "--no-progress-bar", cwd=ROOT)


def _fetch_jars() -> None:
    """Start and stop a server once, so that what is fetched only once is there."""
    with tempfile.TemporaryDirectory() as folder, environment(THRESHER_SPARK_HOME=folder):
        spark_server.ensure()
        spark_server.stop()
