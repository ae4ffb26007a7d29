"""The command `thresher schedule`: real schedulers that run real pipelines, are killed, stopped, and share a ledger."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import nbformat
import psutil
import pytest
import sqlalchemy as sa

from thresher.errors import PipelineError
from thresher.lake import Lake
from thresher.ledger import Ledger
from thresher.pipeline import load
from thresher.schedules.due_times import DueTimes, Handled
from thresher.schedules.schedule import Schedule
from thresher.schedules.triggers import Triggers

EVERY_SECOND = "schedule: {cron: '* * * * * *', missed: run-all}"
THRESHER = [sys.executable, "-m", "thresher"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    cells = {
        "quick": "open('ran', 'a').write('x')",
        "slow": "import time\nopen('begun', 'w').close()\ntime.sleep(60)",
        "wait": "import time\nopen('begun', 'w').close()\ntime.sleep(2)",
        "write": "import thresher\nthresher.Lake(lake).write(target, [{'n': 1}], mode='overwrite')",
    }
    for name, source in cells.items():
        text = "lake: str = 'lake'\ntarget: str = 'curated.a'" if name == "write" else "limit: int = 1"
        parameters = nbformat.v4.new_code_cell(text, metadata={"tags": ["parameters"]})
        notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(source)])
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    return tmp_path


def soon() -> str:
    """A schedule with one due time: late enough for a scheduler to start before it."""
    due = datetime.now(UTC) + timedelta(seconds=8)
    return f"schedule: {{cron: '{due.second} {due.minute} {due.hour} {due.day} {due.month} *'}}"


def write(project: Path, name: str, schedule: str, notebook: str = "quick", always: str = "true") -> Path:
    file = project / "pipelines" / f"{name}.yml"
    step = f"{{notebook: notebooks/{notebook}.ipynb, always: {always}}}"
    file.write_text(f"name: {name}\n{schedule}\nsteps:\n  one: {step}\n")
    return file


@pytest.fixture
def start(project: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts schedulers, and ends at last what is left of them."""
    started: list[subprocess.Popen[str]] = []

    def starting(*options: str) -> subprocess.Popen[str]:
        command = [*THRESHER, "schedule", *options]
        started.append(
            subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        )
        return started[-1]

    yield starting
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    for attempt in attempts(project):
        attempt.kill()


def attempts(project: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "thresher.schedules.attempt" in command and str(project / "lake") in command:
            found.append(process)
    return found


def handled(project: Path) -> list[Handled]:
    with closing(Ledger.of_lake(project / "lake")) as ledger:
        return DueTimes(ledger, project / "lake").handled()


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0
    return log


def test_two_schedulers_run_each_due_time_once(project: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    write(project, "often", EVERY_SECOND)
    schedulers = [start(), start()]
    until((project / "lake" / "_ledger.sqlite").exists)
    until(lambda: sum(each.state == "succeeded" for each in handled(project)) >= 2)
    logs = [stop(each) for each in schedulers]
    times = [each.due_at for each in handled(project)]
    assert times == [datetime.fromtimestamp(times[0].timestamp() + each, UTC) for each in range(len(times))]
    assert {(each.state, each.attempt) for each in handled(project)} == {("succeeded", 1)}
    runs = [run.id for run in Ledger.of_lake(project / "lake").runs("often")]
    assert sorted(each.run_id or "" for each in handled(project)) == sorted(runs)
    assert (project / "ran").read_text() == "x" * len(times)
    assert all("often: scheduled at * * * * * * (UTC); missed times: run-all" in log for log in logs)


def test_two_machines_share_due_times_and_one_takes_over_when_the_other_is_gone(
    project: Path, start: Callable[..., subprocess.Popen[str]], postgresql_ledger: str
) -> None:
    write(project, "often", "schedule: {cron: '*/2 * * * * *', missed: run-all}", always="false")
    write(project, "long", "schedule: {on: [raw.a]}", "slow")
    Lake(project / "lake").write("raw.a", [{"n": 1}])
    schedulers = {process.pid: process for process in (start(), start())}
    until(lambda: (project / "begun").exists() and sum(each.state == "succeeded" for each in handled(project)) >= 2)
    (begun,) = [each for each in attempts(project) if "long" in each.cmdline()]
    (lost,) = [pid for pid in schedulers if f" {pid} " in begun.cmdline()[7]]
    schedulers[lost].kill()
    for attempt in attempts(project):
        if f" {lost} " in attempt.cmdline()[7]:
            attempt.kill()
    (project / "begun").unlink()
    # As if it had been another machine: of its processes nothing is known here, only its lease counts.
    with closing(Ledger.of_lake(project / "lake")) as ledger, ledger.transaction(sa.MetaData()) as connection:
        statement = "update thresher_due_times set holder = 'elsewhere 1 0', lease_until = now() + interval '2 seconds'"
        connection.execute(sa.text(f"{statement} where pipeline = 'long'"))
    gone_at = time.monotonic()
    until(lambda: (project / "begun").exists())
    assert time.monotonic() - gone_at > 2
    (process,) = [process for pid, process in schedulers.items() if pid != lost]
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert "long: due " in stop(process)
    found = handled(project)
    (long,) = [each for each in found if each.pipeline == "long"]
    assert (long.state, long.attempt) == ("running", 1)
    often = [each for each in found if each.pipeline == "often"]
    assert [each.due_at for each in often] == [often[0].due_at + timedelta(seconds=2 * n) for n in range(len(often))]
    ended = [each.run_id for each in often if each.state == "succeeded"]
    assert len(set(ended)) == len(ended)


def test_a_run_outlives_its_scheduler_and_is_not_run_again(
    project: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    write(project, "nightly", soon(), "wait")
    first = start()
    until(lambda: (project / "begun").exists())
    first.kill()
    second = start("--once")
    second.communicate(timeout=120)
    until(lambda: all(each.state != "running" for each in handled(project)))
    assert [(each.state, each.attempt) for each in handled(project)][:1] == [("succeeded", 1)]
    until(lambda: not attempts(project))


def test_a_killed_run_is_taken_over(project: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    write(project, "nightly", soon(), "slow")
    scheduler = start()
    until(lambda: (project / "begun").exists())
    (project / "begun").unlink()
    for attempt in attempts(project):
        os.kill(attempt.pid, signal.SIGKILL)
    until(lambda: (project / "begun").exists())
    scheduler.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    log = stop(scheduler)
    assert "killed by signal 9" in log
    assert "attempt 2: started" in log


def test_a_cancelled_run_is_due_again(project: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    write(project, "nightly", soon(), "slow")
    scheduler = start("--cancel")
    until(lambda: (project / "begun").exists())
    log = stop(scheduler)
    assert "cancelled" in log
    (due,) = handled(project)
    assert (due.state, due.attempt) == ("running", 0)
    assert not due.is_held(datetime.now(UTC))
    assert [run.status for run in Ledger.of_lake(project / "lake").runs()] == ["cancelled"]


def test_once_runs_what_is_due_and_tells_whether_it_failed(project: Path) -> None:
    write(project, "often", EVERY_SECOND)  # due again before its run has ended: no longer now
    write(project, "broken", "schedule: {cron: '* * * * *'}", "missing")
    command = [*THRESHER, "schedule", "--once"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    found = sorted((each.pipeline, each.state) for each in handled(project))
    assert found == [("broken", "refused"), ("often", "succeeded")]
    assert "broken: error: pipelines/broken.yml:4: no notebook notebooks/missing.ipynb" in result.stderr


def test_edits_are_noticed(project: Path, start: Callable[..., subprocess.Popen[str]]) -> None:
    file = write(project, "nightly", "schedule: {cron: '0 0 1 1 *'}")
    scheduler = start()
    until((project / "lake" / "_ledger.sqlite").exists)
    file.write_text("name: nightly\nschedule: {cron: never}\nsteps: {}\n")
    time.sleep(1.5)
    write(project, "nightly", EVERY_SECOND)
    until(lambda: (project / "ran").exists())
    log = stop(scheduler)
    assert (
        "nightly.yml: not scheduled until it is repaired: pipelines/nightly.yml:2: schedule: cron: found 'never'" in log
    )


def test_a_change_by_another_pipeline_makes_due(project: Path) -> None:
    write(project, "source", "schedule: {cron: '* * * * *'}", "write")
    write(project, "follower", "schedule: {on: ['curated.*']}", "write")
    lake = project / "lake"
    result = subprocess.run([*THRESHER, "schedule", "--once"], cwd=project, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0
    assert "(curated.a version 0): succeeded" in result.stderr
    schedule = Schedule(on=("curated.*",))
    triggers = Triggers(lake, Ledger.of_lake(lake))
    due = triggers.due("another", schedule)
    assert due is not None and due.cause == "curated.a version 0"
    assert triggers.due("another", Schedule(on=("mart.*",))) is None
    assert triggers.due("source", schedule) is None
    assert triggers.due("follower", schedule) is None


def test_the_next_times_are_listed(project: Path) -> None:
    write(project, "nightly", "schedule: {cron: '0 2 1 1 *', timezone: Europe/Berlin, on: 'raw.*', missed: skip}")
    command = [*THRESHER, "schedule", "list", "--json"]
    (row,) = json.loads(subprocess.run(command, cwd=project, check=True, capture_output=True).stdout)
    assert row.pop("next").endswith("-01-01T01:00:00+00:00")
    assert row == {
        "pipeline": "nightly",
        "cron": "0 2 1 1 *",
        "timezone": "Europe/Berlin",
        "on": ["raw.*"],
        "missed": "skip",
        "last": None,
        "state": None,
    }


def test_clock_changes_neither_lose_nor_double_a_night() -> None:
    nightly = Schedule("30 2 * * *", "Europe/Berlin")
    spring = islice(nightly.after(datetime(2026, 3, 28, 12, tzinfo=UTC)), 2)
    autumn = islice(nightly.after(datetime(2026, 10, 24, 12, tzinfo=UTC)), 2)
    assert [f"{each:%m-%d %H:%M}" for each in spring] == ["03-29 01:00", "03-30 00:30"]
    assert [f"{each:%m-%d %H:%M}" for each in autumn] == ["10-25 00:30", "10-26 01:30"]


@pytest.mark.parametrize("day", ["mon", "1", "MON"])
def test_weekdays_are_those_of_cron(day: str) -> None:
    (due,) = islice(Schedule(f"0 0 * * {day}").after(datetime(2026, 11, 24, tzinfo=UTC)), 1)
    assert f"{due:%A}" == "Monday"


@pytest.mark.parametrize("expression", ["0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "@weekly"])
def test_sunday_has_two_numbers(expression: str) -> None:
    (due,) = islice(Schedule(expression).after(datetime(2026, 11, 24, tzinfo=UTC)), 1)
    assert f"{due:%A}" == "Sunday"


CRON = "expected minute hour day-of-month month day-of-week, such as '0 2 * * mon-fri', or @daily"


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("{cron: '61 * * * *'}", f"schedule: cron: found '61 * * * *' (bad minute), {CRON}"),
        ("{cron: daily}", f"schedule: cron: found 'daily' (wrong number of fields), {CRON}"),
        ("{cron: '0 0 30 2 *'}", f"schedule: cron: found '0 0 30 2 *' (bad day-of-month), {CRON}"),
        ("{cron: 5}", f"schedule: cron: found a whole number (5), {CRON}"),
        (
            "{cron: '@daily', timezone: Europe/Berlim}",
            "schedule: timezone: found text ('Europe/Berlim'), expected a time zone. Did you mean Europe/Berlin?",
        ),
        (
            "{cron: '@daily', missed: later}",
            "schedule: missed: found text ('later'), expected one of: run-latest, run-all, skip",
        ),
        (
            "{on: curated}",
            "schedule: on: found text ('curated'), expected zone.name, in which * and ? stand for any letters",
        ),
        (
            "{on: [curatd.orders]}",
            "schedule: on: found text ('curatd.orders'), expected a zone of raw, curated, mart, quarantine, changes, "
            "checks",
        ),
        ("{timezone: UTC}", "schedule: expected cron (times) or on (datasets), found neither"),
        ("{crom: '@daily'}", "schedule: unknown key 'crom'. Did you mean cron?"),
    ],
)
def test_a_bad_schedule_is_refused_by_line(project: Path, schedule: str, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        load(write(project, "nightly", f"schedule: {schedule}"), exists=lambda _: False)
    assert str(caught.value).splitlines()[-1] == f"pipelines/nightly.yml:2: {message}"
