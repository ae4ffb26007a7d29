"""What running notebooks costs beyond what their cells cost, beside papermill and tools that run notebooks as steps.

    python benchmarks/runner.py [--only courses,unchanged,steps] [--rounds 3] [--steps 50] [--without-spark]
                                [--peers-python PYTHON]

- courses: the course pipeline on an empty lake, by `thresher run`, by papermill in a loop on the embedded engine, and
  by papermill with a JVM Spark of its own per notebook, as notebooks that build their own session do (its start and
  its end count, fetching Delta's jars does not);
- unchanged: the same pipeline, and one of 200 steps, run again when nothing has changed, the command's start included;
- steps: many notebooks of one trivial cell, by `thresher run`, by papermill in a loop in one process, and, where
  PYTHON has them installed, by ploomber and by dagster with dagstermill.

Every round runs all ways, each on an empty folder; the tables show the medians of the wall-clock times.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from runner_speed import courses, trivial

Way = Callable[[Path], None]


def seconds(way: Way) -> float:
    """How long one way takes in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        way(Path(folder))
        return time.perf_counter() - begun


def table(title: str, ways: Mapping[str, Way], notebooks: int, rounds: int) -> None:
    """Run all ways in each round, the first of which is ours, and print what they took."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(seconds(way))
    ours = median(times[next(iter(ways))])
    print(f"\n{title}, {os.cpu_count()} cores, medians of {rounds} rounds\n")
    print("| way | s | s per notebook | times ours | fastest–slowest s |\n|---|---:|---:|---:|---|")
    for name, found in times.items():
        middle = median(found)
        spread = f"{min(found):.1f}–{max(found):.1f}"
        print(f"| {name} | {middle:.1f} | {middle / notebooks:.2f} | {middle / ours:.1f} | {spread} |")


def unchanged(rounds: int) -> None:
    """Print what a run takes that has nothing to do."""
    print(f"\nA run in which nothing changed, medians of {rounds} rounds\n\n| pipeline | s |\n|---|---:|")
    with tempfile.TemporaryDirectory() as folder:
        courses.by_thresher(Path(folder))
        print(
            f"| courses, {len(courses.STEPS)} steps | {_again(lambda: courses.by_thresher(Path(folder)), rounds):.2f} |"
        )
    with tempfile.TemporaryDirectory() as folder:
        project = trivial.Project(Path(folder), 200)
        project.by_thresher()
        print(f"| 200 trivial steps | {_again(project.by_thresher, rounds):.2f} |")


def _again(way: Callable[[], None], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        way()
        times.append(time.perf_counter() - begun)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="courses,unchanged,steps", help="parts, with commas between (default all)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way runs (default 3)")
    parser.add_argument("--steps", type=int, default=50, help="trivial notebooks (default 50)")
    parser.add_argument("--without-spark", action="store_true", help="leave out the Spark way, which takes minutes")
    parser.add_argument("--peers-python", type=Path, help="a Python in whose environment ploomber and dagster are")
    chosen = parser.parse_args()
    parts = chosen.only.split(",")
    if "courses" in parts:
        title = f"The course pipeline, {len(courses.STEPS)} notebooks"
        table(title, courses.ways(with_spark=not chosen.without_spark), len(courses.STEPS), chosen.rounds)
    if "unchanged" in parts:
        unchanged(chosen.rounds)
    if "steps" in parts:
        title = f"{chosen.steps} notebooks of one trivial cell"
        table(title, trivial.ways(chosen.steps, chosen.peers_python), chosen.steps, chosen.rounds)


if __name__ == "__main__":
    main()
