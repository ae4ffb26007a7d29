"""A pipeline for a range of dates: failures do not stop it, and what is done is not done again."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import nbformat
import pytest

from thresher.schedules.backfill import dates

DAY = """\
import os
if day == '2026-01-02' and not os.path.exists('repaired'):
    raise ValueError('no data yet')
open('days', 'a').write(day + ' ')
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    parameters = nbformat.v4.new_code_cell("day: str = ''", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(DAY)])
    nbformat.write(notebook, tmp_path / "notebooks" / "day.ipynb")
    step = 'one: {notebook: notebooks/day.ipynb, with: {day: "${run.date}"}}'
    (tmp_path / "pipelines" / "days.yml").write_text(f"name: days\nsteps:\n  {step}\n")
    return tmp_path


def backfill(project: Path, *options: str) -> tuple[int, list[list[str]]]:
    """The exit code, and the rows of the table that stands at the end, without the seconds."""
    command = [sys.executable, "-m", "thresher", "backfill", "days", *options]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    table = result.stdout[result.stdout.find("\ndate ") + 1 :] if "date " in result.stdout else ""
    rows = [line.rsplit(maxsplit=1)[0].split(maxsplit=1) for line in table.splitlines()[1:]]
    return result.returncode, rows if result.returncode < 2 else [[result.stderr]]


def test_a_failed_date_is_run_by_the_same_command_again(project: Path) -> None:
    days = ("--from", "2026-01-02", "--to", "2026-01-03")
    assert backfill(project, *days) == (1, [["2026-01-02", "failed"], ["2026-01-03", "succeeded"]])
    (project / "repaired").touch()
    assert backfill(project, *days) == (0, [["2026-01-02", "succeeded"], ["2026-01-03", "done before"]])
    assert (project / "days").read_text() == "2026-01-03 2026-01-02 "
    assert backfill(project, "--from", "2026-01-03", "--to", "2026-01-03", "--again") == (
        0,
        [["2026-01-03", "succeeded"]],
    )
    assert (project / "days").read_text().endswith("2026-01-02 2026-01-03 ")


def test_a_range_backwards_and_a_wrong_parameter_are_refused(project: Path) -> None:
    assert backfill(project, "--from", "2026-01-03", "--to", "2026-01-01") == (
        2,
        [["error: --to 2026-01-01 is before --from 2026-01-03; expected a range of dates\n"]],
    )
    code, ((error,),) = backfill(project, "--from", "2026-01-01", "--to", "2026-01-03", "-p", "colour=red")
    assert (code, "unknown parameter -p colour=red" in error) == (2, True)
    assert not (project / "lake").exists()


def test_dates_that_differ_in_nothing_are_told(project: Path) -> None:
    note = "days: no step depends on ${run.date}, so that the dates differ in nothing"
    command = [sys.executable, "-m", "thresher", "backfill", "days", "--from", "2026-01-01", "--to", "2026-01-02"]

    def told() -> str:
        nowhere = ["--lake", "/proc/lake"]  # where no date can run
        return subprocess.run([*command, *nowhere], cwd=project, capture_output=True, text=True).stderr

    assert note not in told()
    (project / "pipelines" / "days.yml").write_text("name: days\nsteps:\n  one: {notebook: notebooks/day.ipynb}\n")
    assert note in told()


def test_dates_are_days_weeks_or_months_apart() -> None:
    assert dates(date(2026, 2, 27), date(2026, 3, 1), "day") == [
        date(2026, 2, 27),
        date(2026, 2, 28),
        date(2026, 3, 1),
    ]
    assert dates(date(2026, 1, 1), date(2026, 1, 15), "week") == [
        date(2026, 1, 1),
        date(2026, 1, 8),
        date(2026, 1, 15),
    ]
    assert dates(date(2026, 11, 30), date(2027, 2, 28), "month") == [
        date(2026, 11, 30),
        date(2026, 12, 30),
        date(2027, 1, 30),
        date(2027, 2, 28),
    ]
