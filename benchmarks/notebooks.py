"""What a pipeline of notebooks costs: the course pipeline on the sample data, run in three ways.

    python benchmarks/notebooks.py [--rounds 3] [--without-spark]

- `thresher run`: kernels started ahead, independent notebooks side by side, embedded engine;
- papermill in a loop: the same notebooks with the same parameters, one after the other, embedded engine;
- papermill in a loop with a JVM Spark of its own per notebook, as notebooks that build their own session do: its
  start and its end count, fetching Delta's jars does not.

Every round runs all ways, each on an empty lake; the table shows the medians of the wall-clock times.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from ruamel.yaml import YAML

from thresher import pipeline
from thresher.engines import spark_server
from thresher.errors import EngineUnavailable

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = ROOT / "pipelines" / "courses.yml"
STEPS = pipeline.load(PIPELINE, exists=lambda _: False).steps


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables of the environment for a while."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def command(*arguments: str | Path) -> None:
    """Run a Python module as a program; its output is shown only when it fails."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def papermill(step: pipeline.Step, folder: Path) -> None:
    """Run one notebook as anyone would: papermill's command and a file of parameters."""
    parameters = folder / f"{step.name}.yml"
    lake = {pipeline.LAKE_PARAMETER: str(folder / "lake")} if step.takes_lake else {}
    YAML().dump(dict(step.arguments) | lake, parameters)
    command("papermill", step.notebook, folder / f"{step.name}.ipynb", "-f", parameters, "--no-progress-bar")


def by_thresher(folder: Path) -> None:
    with environment(THRESHER_ENGINE="duckdb", THRESHER_LAKE=str(folder / "lake")):
        command("thresher", "run", PIPELINE)


def by_papermill(folder: Path) -> None:
    with environment(THRESHER_ENGINE="duckdb"):
        for step in STEPS:
            papermill(step, folder)


def by_papermill_with_spark(folder: Path) -> None:
    for step in STEPS:
        with environment(THRESHER_ENGINE="spark", THRESHER_SPARK_HOME=str(folder / f"spark-{step.name}")):
            try:
                papermill(step, folder)
            finally:
                spark_server.stop()


def seconds(way: Callable[[Path], None]) -> float:
    """How long one way takes on an empty lake."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        way(Path(folder))
        return time.perf_counter() - begun


def fetch_jars() -> None:
    """Start and stop a server once, so that what is fetched only once is there."""
    with tempfile.TemporaryDirectory() as folder, environment(THRESHER_SPARK_HOME=folder):
        spark_server.ensure()
        spark_server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each way runs (default 3)")
    parser.add_argument("--without-spark", action="store_true", help="leave out the third way, which takes minutes")
    chosen = parser.parse_args()
    ways = {
        "thresher run": by_thresher,
        "papermill, embedded engine": by_papermill,
        "papermill, JVM Spark per notebook": by_papermill_with_spark,
    }
    if chosen.without_spark:
        del ways["papermill, JVM Spark per notebook"]
    else:
        try:
            fetch_jars()
        except EngineUnavailable as error:
            raise SystemExit(f"{error}\nOr leave Spark out: --without-spark") from error
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(chosen.rounds):
        for name, way in ways.items():
            times[name].append(seconds(way))
    ours = median(times["thresher run"])
    print(f"{len(STEPS)} notebooks, {os.cpu_count()} cores, medians of {chosen.rounds} rounds\n")
    print("| way | s | s per notebook | times ours | fastest–slowest s |\n|---|---:|---:|---:|---|")
    for name, found in times.items():
        middle = median(found)
        spread = f"{min(found):.1f}–{max(found):.1f}"
        print(f"| {name} | {middle:.1f} | {middle / len(STEPS):.2f} | {middle / ours:.1f} | {spread} |")


if __name__ == "__main__":
    main()
