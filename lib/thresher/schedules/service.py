"""`thresher schedule`: starts what is due, each run in a process of its own, beside other schedulers of one ledger."""

import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from thresher.errors import ThresherError
from thresher.ledger import Ledger
from thresher.schedules import attempt, holder
from thresher.schedules.due_times import CRON, DueTime, DueTimes, Looked
from thresher.schedules.run_process import FAILED, PUT_OFF, REFUSED, SUCCEEDED, status
from thresher.schedules.scheduled import Scheduled, ScheduledFiles
from thresher.schedules.triggers import Triggers

_TICK_S = 1.0
_IS_SETTLED = (SUCCEEDED, FAILED, REFUSED, PUT_OFF)


class Scheduler:
    """Looks every second at what is due and runs it, `at_once` pipelines side by side.

    `run_options` go to `thresher run`. What happens is told to `say`, a line each.
    """

    def __init__(
        self,
        files: ScheduledFiles,
        lake: Path,
        *,
        run_options: Sequence[str] = (),
        at_once: int = 1,
        say: Callable[[str], None],
    ) -> None:
        ledger = Ledger.of_lake(lake)
        self._files = files
        self._lake = lake
        self._due_times = DueTimes(ledger, lake)
        self._triggers = Triggers(lake, ledger)
        self._run_options = run_options
        self._at_once = at_once
        self._say = say
        self._me = holder.name()
        self._running: dict[DueTime, subprocess.Popen[bytes]] = {}
        self._next_look: dict[Scheduled, datetime] = {}
        self._waiting: set[str] = set()
        self._until: datetime | None = None  # with `once`: when it began, since a later time is no longer due now
        self._followed: set[str] = set()  # with `once`: pipelines that a change made due, once each
        self._has_failed = False
        self._trouble = ""

    def run(self, *, once: bool = False, cancel: bool = False) -> int:
        """Run what is due until interrupted, or what is due now (`once`); 1 where a run of `once` failed, else 0.

        With `once`, changes that these runs make count too: each makes a pipeline due once, when all before it ended.
        When interrupted, nothing more is started and the runs that are going are awaited; they are cancelled with
        `cancel`, or by a second interruption. A cancelled one is due again for the next scheduler.
        """
        self._until = datetime.now(UTC) if once else None
        try:
            while True:
                try:
                    self._tick()
                    self._trouble = ""
                except (ThresherError, OSError) as error:  # a ledger or a lake that is away comes back
                    if once:
                        raise
                    if self._trouble != str(error):
                        self._trouble = str(error)
                        self._say(f"error, tried again every second: {error}")
                if once and not self._running:
                    return int(self._has_failed)
                time.sleep(_TICK_S - time.time() % _TICK_S + 0.005)
        except KeyboardInterrupt:
            self._stop(cancel)
            return 0

    def _tick(self) -> None:
        self._reap()
        now = datetime.now(UTC)
        held = {row.pipeline: row.is_held(now) for row in self._due_times.running()}
        is_idle = not self._running
        # What is due for longest comes first, where not all can run at once.
        for each in sorted(self._files.current(), key=lambda each: self._next_look.get(each, now)):
            if len(self._running) >= self._at_once:
                return
            counts_changes = self._until is None or (is_idle and each.name not in self._followed)
            self._look(each, now, held.get(each.name), counts_changes)

    def _look(self, each: Scheduled, now: datetime, is_held: bool | None, counts_changes: bool) -> None:
        """Ask the ledger about a pipeline, if there may be something due; `is_held` is None where nothing runs."""
        changed = None if is_held or not counts_changes else self._triggers.due(each.name, each.schedule)
        was_waiting = each.name in self._waiting and not is_held
        if not (changed or was_waiting or is_held is False or now >= self._next_look.get(each, now)):
            return
        looked = self._due_times.look(each.name, each.schedule, now, self._me, changed, self._until)
        self._tell(each, looked)
        if looked.taken:
            self._start(each, looked.taken)
            if self._until and looked.taken.cause != CRON:
                self._followed.add(each.name)
        # With all missed times to be run, there may be another one as soon as this one has ended.
        is_more = looked.taken and each.schedule.missed == "run-all"
        following = next(each.schedule.after(now), None)
        self._next_look = {known: at for known, at in self._next_look.items() if known.name != each.name}
        self._next_look[each] = now if is_more else following or datetime.max.replace(tzinfo=UTC)

    def _tell(self, each: Scheduled, looked: Looked) -> None:
        if looked.skipped:
            first, last = looked.skipped[0], looked.skipped[-1]
            which = str(first) if first == last else f"{len(looked.skipped)} times, {first} to {last}"
            self._say(f"{each.name}: skipped ({each.schedule.missed}): {which}")
        if looked.waiting is None:
            self._waiting.discard(each.name)
        elif each.name not in self._waiting:
            self._waiting.add(each.name)
            self._say(f"{each.name}: {looked.waiting}: waits, the run before is still going")

    def _start(self, each: Scheduled, due: DueTime) -> None:
        options = [str(each.file), *self._run_options]
        if due.cause == CRON:
            options += ["--date", each.schedule.date(due.due_at)]
        command = attempt.command(due, self._me, each.schedule.missed, self._lake, options)
        # A session of its own: Ctrl-C is meant for the scheduler, which decides what becomes of the runs.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        self._running[due] = process
        self._say(f"{each.name}: {due}: started, process {process.pid}")

    def _reap(self) -> None:
        for due, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                del self._running[due]
                self._has_failed |= code not in (SUCCEEDED, PUT_OFF)
                self._say(f"{due.pipeline}: {due}: {status(code)}")

    def _stop(self, cancel: bool) -> None:
        going = dict(self._running)
        try:
            if going and not cancel:
                self._say(f"stopping: waiting for {', '.join(due.pipeline for due in going)}; again to cancel")
                for process in going.values():
                    process.wait()
        except KeyboardInterrupt:
            cancel = True
        if cancel:
            for process in going.values():
                process.terminate()
        for due, process in going.items():
            if process.wait() not in _IS_SETTLED:  # it was cancelled with this scheduler, perhaps by the system
                self._due_times.put_back(due, datetime.now(UTC))
        self._reap()
        self._say("stopped")
