"""Runs a pipeline: checks first, then one run at a time, all of it on record, reports published at the end."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any, TypedDict, Unpack

from rich.console import Console

from thresher import environments
from thresher.errors import LakeError, LockLost, ThresherError
from thresher.kernels import servers
from thresher.ledger import Ledger, Run
from thresher.lineage.follower import Follower
from thresher.pipeline import Pipeline, begun, check_engine, plan
from thresher.places import check_writable, engine_name, lake_folder, site_folder
from thresher.running import continuing, locks, selection
from thresher.running.decisions import Decision, Decisions
from thresher.running.progress import Progress
from thresher.running.publishing import Publisher


@dataclass(frozen=True)
class RunResult:
    """How a run ended, as the ledger has it, and the first page of the site."""

    run: Run
    site: Path

    @property
    def exit_code(self) -> int:
        """0 when every step succeeded and every page was published, else 1."""
        return 0 if self.run.status == "succeeded" else 1


class RunOptions(TypedDict, total=False):
    """What can be said of a run beside its pipeline and its parameters."""

    date: date | None  # the day that the run is for; by default today's in UTC
    lake: Path | str | None  # else THRESHER_LAKE, else `lake` in the project
    engine: str | None  # else THRESHER_ENGINE, else duckdb
    site: Path | str | None  # else `site` beside the lake
    jobs: int | None  # how many notebooks run at once; by default one per core
    select: Sequence[str]  # the steps that count (`thresher.running.selection`)
    force: bool  # run them even if nothing changed, in a new run
    resume: bool  # continue the last run, or raise UsageError; with `force`, what it has not done yet


def run(
    pipeline: Path | str,
    params: Mapping[str, Any] | None = None,
    *,
    console: Console | None = None,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Run a pipeline, by its file or bare name; `params` override the pipeline's, for `options` see `RunOptions`.

    A step is skipped when nothing has changed that its result depends on. A failing step does not stop the others:
    only the steps after it are `blocked`. When the last run of the pipeline, with these params on this engine, did not
    succeed, this one continues it under its id, unless other data came in meanwhile: then a new run begins.

    Reports are published when every step succeeded. Progress goes to `console`; without one nothing is shown.

    Raises UsageError for what is wrong before anything runs (PipelineError, ParameterError, LandingNotFound,
    EngineUnavailable, LakeError, RunLocked); nothing is written then. KeyboardInterrupt stops the kernels, is noted,
    and raised again.
    """
    asked = _asked(pipeline, params, **options)
    console = console or Console(quiet=True)
    for path in (asked.lake, asked.site):
        check_writable(path)
    with closing(Ledger.of_lake(asked.lake)) as ledger, _locked(asked, ledger) as lease:
        seen_at = lease.taken_over.renewed_at if lease.taken_over else None
        ledger.interrupt_runs(asked.pipeline.name, asked.lake, seen_at=seen_at)
        last, checked = _selected(asked, ledger)
        _take_over(checked, asked.lake, console)
        decisions, continued = _decided(asked, last, checked, ledger)
        is_idle = all(decision.action == "skip" for decision in decisions.all())
        if not is_idle:
            _check_engines(checked, asked.engine)
        run_id = _begin(continued, decisions, ledger)
        publisher = Publisher(run_id, begun(checked, run_id), asked.lake, asked.site, ledger)
        try:
            _carry_out(publisher, decisions, lease, console, jobs=0 if is_idle else asked.jobs)
        except LockLost:
            raise
        except Exception:
            _notify(run_id, last, checked, asked.lake, ledger, console)
            raise
        _notify(run_id, last, checked, asked.lake, ledger, console)
        _prune(checked, asked.lake, ledger, console)
        return RunResult(ledger.run(run_id), asked.site / "index.html")


def preview(
    pipeline: Path | str, params: Mapping[str, Any] | None = None, **options: Unpack[RunOptions]
) -> tuple[Pipeline, list[Decision]]:
    """The pipeline as `run` would run it, with a decision for each of its steps; writes nothing. Raises UsageError."""
    asked = _asked(pipeline, params, **options)
    with closing(Ledger.of_lake(asked.lake)) as ledger:
        last, checked = _selected(asked, ledger)
        decisions, _ = _decided(asked, last, checked, ledger)
        return checked, decisions.all()


@dataclass(frozen=True)
class _Asked:
    """A run as it is asked for: the whole pipeline, checked, and its options with their defaults."""

    pipeline: Pipeline
    lake: Path
    site: Path
    engine: str
    jobs: int
    select: Sequence[str]
    force: bool
    resume: bool


def _asked(
    pipeline: Path | str,
    params: Mapping[str, Any] | None,
    *,
    date: date | None = None,
    lake: Path | str | None = None,
    engine: str | None = None,
    site: Path | str | None = None,
    jobs: int | None = None,
    select: Sequence[str] = (),
    force: bool = False,
    resume: bool = False,
) -> _Asked:
    folder = lake_folder(lake)
    return _Asked(
        engine=check_engine(engine_name(engine)),
        pipeline=plan(pipeline, params, lake=folder, date=date),
        lake=folder,
        site=site_folder(folder, site),
        jobs=jobs or os.cpu_count() or 1,
        select=select,
        force=force,
        resume=resume,
    )


def _selected(asked: _Asked, ledger: Ledger) -> tuple[Run | None, Pipeline]:
    """The last run, and the part of the pipeline that counts."""
    whole = asked.pipeline
    last = next(iter(ledger.runs(whole.name, 1, lake=asked.lake)), None)
    return last, selection.select(whole, asked.select, asked.lake, last) if asked.select else whole


def _decided(asked: _Asked, last: Run | None, pipeline: Pipeline, ledger: Ledger) -> tuple[Decisions, Run | None]:
    """What becomes of the steps, and the run that is continued, if one is. Raises UsageError where one has to be."""
    decisions = Decisions(pipeline, asked.lake, asked.site, engine=asked.engine, ledger=ledger)
    continued = None
    if asked.resume or not asked.force:
        continued = continuing.continued(last, decisions, ledger, is_asked=asked.resume)
    selected = {step.name for step in pipeline.steps} if asked.force else set()
    # What `--force` was to run stays forced until it has run, also over runs that leave it out.
    owed = set(last.forced) - continuing.done(last) if last else set()
    known = {step.name for step in asked.pipeline.steps}
    decisions.force((selected | owed) & known - continuing.done(continued))
    return decisions, continued


def _begin(continued: Run | None, decisions: Decisions, ledger: Ledger) -> str:
    forced = sorted(decisions.forced)
    if continued:
        ledger.resume_run(continued.id, forced=forced)
        return continued.id
    pipeline = decisions.pipeline
    return ledger.start_run(
        pipeline.name,
        description=pipeline.description,
        file=pipeline.file,
        engine=decisions.engine,
        params=pipeline.params,
        lake=decisions.lake,
        forced=forced,
    )


def _take_over(pipeline: Pipeline, lake: Path, console: Console) -> None:
    """Copy what the steps need into a lake whose environment is a copy of another one."""
    environment = environments.of_lake(lake)
    if environment and environment.copy_of:
        from thresher import shallow_copy

        for copied in shallow_copy.take_over(environment.copy_of, lake, pipeline.steps):
            _saying(console)(str(copied))


def _check_engines(pipeline: Pipeline, engine: str) -> None:
    from thresher.engines import check_available

    for name in {step.engine or engine for step in pipeline.steps}:
        check_available(name)


def _carry_out(publisher: Publisher, decisions: Decisions, lease: locks.Lease, console: Console, *, jobs: int) -> None:
    """See a run that has begun through to its end, and note that; `jobs` is 0 where no step has to run."""
    run_id, pipeline, ledger = publisher.run_id, publisher.pipeline, publisher.ledger
    with closing(Follower(run_id, pipeline, publisher.lake, decisions.engine, _saying(console))) as follower:
        try:
            lease.begins(run_id)
            with Progress(pipeline.steps, console, follower) as progress:
                if jobs:
                    statuses = _execute(publisher, decisions, lease, progress, jobs)
                else:
                    statuses = _skip_all(publisher, decisions, progress)
            lease.check()
            failed = sorted(name for name, status in statuses.items() if status == "failed")
            error_text = f"failed: {', '.join(failed)}" if failed else publisher.publish()
            publisher.finish("failed" if error_text else "succeeded", error_text)
        except BaseException as error:
            is_cancelled = isinstance(error, KeyboardInterrupt)
            publisher.finish("cancelled" if is_cancelled else "failed", None if is_cancelled else repr(error))
            raise
        finally:
            follower.ended(ledger.run(run_id))


def _execute(
    publisher: Publisher, decisions: Decisions, lease: locks.Lease, progress: Progress, jobs: int
) -> dict[str, str]:
    with servers.for_run() as (folder, env):
        # Only now: loading takes a second, in which the server gets ready, too.
        from thresher.running.execution import Execution

        for later in ("thresher.report", "thresher.site"):
            import_module(later)

        execution = Execution(
            publisher.run_id,
            publisher.pipeline,
            publisher.lake,
            folder=folder,
            env=env,
            jobs=jobs,
            decisions=decisions,
            ledger=publisher.ledger,
            progress=progress,
        )
        lease.on_stop(execution.cancel)
        return execution.run()


def _skip_all(publisher: Publisher, decisions: Decisions, progress: Progress) -> dict[str, str]:
    """Note that no step had to run."""
    run_id, steps, ledger = publisher.run_id, publisher.pipeline.steps, publisher.ledger
    done = continuing.done(ledger.run(run_id))
    skipped = [(decisions.last[step.name], "nothing changed") for step in steps if step.name not in done]
    ledger.skip_steps(run_id, skipped)
    for step in ledger.run(run_id).steps:
        progress.kept(step)
    return {step.name: "skipped" for step in steps}


def _prune(pipeline: Pipeline, lake: Path, ledger: Ledger, console: Console) -> None:
    """Remove the runs that the pipeline does not keep; where that fails, this run is no worse for it."""
    if pipeline.keep_runs:
        from thresher.running import retention

        try:
            retention.prune(ledger, lake, pipeline=pipeline.name, keep=pipeline.keep_runs)
        except ThresherError as error:
            console.print(f"old runs were kept: {error}", markup=False, soft_wrap=True)


def _notify(run_id: str, last: Run | None, pipeline: Pipeline, lake: Path, ledger: Ledger, console: Console) -> None:
    """Tell those whom the pipeline names how the run ended."""
    if pipeline.notify:
        from thresher.notices.sending import after_run

        after_run(run_id, last, pipeline.notify, lake, ledger, _saying(console))


def _saying(console: Console) -> Callable[[str], None]:
    """Tells a line to whoever follows the run."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    return say


@contextmanager
def _locked(asked: _Asked, ledger: Ledger) -> Iterator[locks.Lease]:
    """One run of a pipeline at a time on a lake; the lock is gone when its process is."""
    try:
        asked.lake.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"lake {asked.lake} cannot be written: {error.strerror}") from error
    with locks.held(ledger, asked.lake, asked.pipeline.name) as lease:
        yield lease
