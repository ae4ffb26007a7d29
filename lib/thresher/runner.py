"""Runs a pipeline: checks first, then one run at a time, all of it on record, reports published at the end."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from thresher import environments
from thresher.errors import LakeError, ThresherError, UsageError
from thresher.kernels import servers
from thresher.ledger import Ledger, Run
from thresher.lineage.follower import Follower
from thresher.pipeline import Pipeline, begun, check_engine, plan
from thresher.places import check_writable, engine_name, lake_folder, site_folder
from thresher.running import locks, selection
from thresher.running.decisions import Decision, Decisions
from thresher.running.progress import Progress


@dataclass(frozen=True)
class RunResult:
    """How a run ended, as the ledger has it, and the first page of the site."""

    run: Run
    site: Path

    @property
    def exit_code(self) -> int:
        """0 when every step succeeded and every page was published, else 1."""
        return 0 if self.run.status == "succeeded" else 1


def run(
    pipeline: Path | str,
    params: Mapping[str, Any] | None = None,
    *,
    date: date | None = None,
    lake: Path | str | None = None,
    engine: str | None = None,
    site: Path | str | None = None,
    jobs: int | None = None,
    select: Sequence[str] = (),
    force: bool = False,
    resume: bool = False,
    console: Console | None = None,
) -> RunResult:
    """Run a pipeline, by its file or bare name, on a lake (else THRESHER_LAKE, else `lake` in the project).

    `params` override the pipeline's; `date` is the day that the run is for, by default today's. A step is skipped when
    nothing has changed that its result depends on, unless `force`; `select` names the steps that count
    (`thresher.running.selection`). A failing step does not stop the others: only the steps after it are `blocked`.
    When the last run of the pipeline, with these params on this engine, did not succeed, this one continues it under
    its id, unless other data came in meanwhile: then a new run begins, or, with `resume`, UsageError tells what came.

    Reports are published when every step succeeded; the site's index is written by default to the folder `site` beside
    the lake. `jobs` is how many notebooks run at once, by default one per core. Progress goes to `console`; without one
    nothing is shown.

    Raises UsageError for what is wrong before anything runs (PipelineError, ParameterError, LandingNotFound,
    EngineUnavailable, LakeError, RunLocked); nothing is written then. KeyboardInterrupt stops the kernels, is noted,
    and raised again.
    """
    folder = lake_folder(lake)
    pages = site_folder(folder, site)
    engine = check_engine(engine_name(engine))
    whole = plan(pipeline, params, lake=folder, date=date)
    for path in (folder, pages):
        check_writable(path)
    with closing(Ledger.of_lake(folder)) as ledger, _locked(folder, whole.name, ledger) as lease:
        ledger.interrupt_runs(whole.name, folder)
        last = next(iter(ledger.runs(whole.name, 1, lake=folder)), None)
        checked = selection.select(whole, select, folder, last) if select else whole
        _take_over(checked, folder, console)
        decisions = Decisions(checked, folder, pages, engine=engine, ledger=ledger, force=force)
        continued = _continued(last, checked, decisions, ledger, is_asked=resume)
        to_run = [decision for decision in decisions.all() if decision.action != "skip"]
        if to_run:
            _check_engines(checked, engine)
        run_id = _begin(continued, checked, folder, engine, ledger)
        lease.begins(run_id)
        checked = begun(checked, run_id)
        publisher = _Publisher(run_id, checked, folder, pages, ledger)
        follower = Follower(run_id, checked, folder, engine, _saying(console))
        with Progress(checked.steps, console or Console(quiet=True), follower) as progress:
            try:
                if to_run:
                    statuses = _execute(
                        run_id, checked, folder, jobs or os.cpu_count() or 1, decisions, ledger, progress, lease
                    )
                else:
                    statuses = _skip_all(run_id, checked, decisions, ledger, progress)
            except BaseException as error:
                is_cancelled = isinstance(error, KeyboardInterrupt)
                publisher.finish("cancelled" if is_cancelled else "failed", None if is_cancelled else repr(error))
                follower.ended(ledger.run(run_id))
                if not is_cancelled:
                    _notify(run_id, last, checked, folder, ledger, console)
                raise
        lease.check()
        failed = sorted(name for name, status in statuses.items() if status == "failed")
        error_text = f"failed: {', '.join(failed)}" if failed else publisher.publish()
        publisher.finish("failed" if error_text else "succeeded", error_text)
        follower.ended(ledger.run(run_id))
        _notify(run_id, last, checked, folder, ledger, console)
        _prune(checked, folder, ledger, console)
        return RunResult(ledger.run(run_id), pages / "index.html")


def preview(
    pipeline: Path | str,
    params: Mapping[str, Any] | None = None,
    *,
    date: date | None = None,
    lake: Path | str | None = None,
    engine: str | None = None,
    site: Path | str | None = None,
    select: Sequence[str] = (),
    force: bool = False,
) -> tuple[Pipeline, list[Decision]]:
    """The pipeline as `run` would run it, with a decision for each of its steps; writes nothing. Raises UsageError."""
    folder = lake_folder(lake)
    engine = check_engine(engine_name(engine))
    whole = plan(pipeline, params, lake=folder, date=date)
    with closing(Ledger.of_lake(folder)) as ledger:
        last = next(iter(ledger.runs(whole.name, 1, lake=folder)), None)
        checked = selection.select(whole, select, folder, last) if select else whole
        pages = site_folder(folder, site)
        return checked, Decisions(checked, folder, pages, engine=engine, ledger=ledger, force=force).all()


def _continued(
    last: Run | None, pipeline: Pipeline, decisions: Decisions, ledger: Ledger, *, is_asked: bool
) -> str | None:
    """The id of the last run, if this one continues it. Raises UsageError where that is asked for and cannot be."""
    if last is None or last.status == "succeeded":
        why = f"the last run, {last.id}, succeeded" if last else "it has not run on this lake yet"
    elif (dict(last.params), last.engine) != (dict(pipeline.params), decisions.engine):
        why = f"the last run, {last.id}, had other parameters or another engine: {dict(last.params)}, {last.engine}"
    else:
        done = [step for step in ledger.steps(last.id) if step.status == "succeeded"]
        changed = decisions.changed_inputs(done)
        if not changed:
            return last.id
        why = f"other data came in since {last.id} began: {'; '.join(changed)}"
    if is_asked:
        raise UsageError(
            f"pipeline {pipeline.name} cannot be resumed: {why}. Begin a new run: thresher run without --resume"
        )
    return None


def _begin(continued: str | None, pipeline: Pipeline, lake: Path, engine: str, ledger: Ledger) -> str:
    if continued:
        ledger.resume_run(continued)
        return continued
    return ledger.start_run(
        pipeline.name,
        description=pipeline.description,
        file=pipeline.file,
        engine=engine,
        params=pipeline.params,
        lake=lake,
    )


def _take_over(pipeline: Pipeline, lake: Path, console: Console | None) -> None:
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


def _execute(
    run_id: str,
    pipeline: Pipeline,
    lake: Path,
    jobs: int,
    decisions: Decisions,
    ledger: Ledger,
    progress: Progress,
    lease: locks.Lease,
) -> dict[str, str]:
    with servers.for_run() as (folder, env):
        # Only now: papermill takes a second to load, in which the server gets ready, too.
        from thresher.running.execution import Execution

        execution = Execution(
            run_id,
            pipeline,
            lake,
            folder=folder,
            env=env,
            jobs=jobs,
            decisions=decisions,
            ledger=ledger,
            progress=progress,
        )
        lease.on_stop(execution.cancel)
        return execution.run()


def _skip_all(
    run_id: str, pipeline: Pipeline, decisions: Decisions, ledger: Ledger, progress: Progress
) -> dict[str, str]:
    """Note that no step had to run."""
    done = {step.name for step in ledger.run(run_id).steps if step.status == "succeeded"}
    skipped = [(decisions.last[step.name], "nothing changed") for step in pipeline.steps if step.name not in done]
    ledger.skip_steps(run_id, skipped)
    for step in ledger.run(run_id).steps:
        progress.finished(step)
    return {step.name: "skipped" for step in pipeline.steps}


def _prune(pipeline: Pipeline, lake: Path, ledger: Ledger, console: Console | None) -> None:
    """Remove the runs that the pipeline does not keep; where that fails, this run is no worse for it."""
    if pipeline.keep_runs:
        from thresher.running import retention

        try:
            retention.prune(ledger, lake, pipeline=pipeline.name, keep=pipeline.keep_runs)
        except ThresherError as error:
            (console or Console(quiet=True)).print(f"old runs were kept: {error}", markup=False, soft_wrap=True)


def _notify(
    run_id: str, last: Run | None, pipeline: Pipeline, lake: Path, ledger: Ledger, console: Console | None
) -> None:
    """Tell those whom the pipeline names how the run ended."""
    if pipeline.notify:
        from thresher.notices.sending import after_run

        after_run(run_id, last, pipeline.notify, lake, ledger, _saying(console))


def _saying(console: Console | None) -> Callable[[str], None]:
    """Tells a line to whoever follows the run."""

    def say(text: str) -> None:
        (console or Console(quiet=True)).print(text, markup=False, highlight=False, soft_wrap=True)

    return say


class _Publisher:
    """Writes what a run shows to its readers; a page that cannot be written fails the run and leaves the old one."""

    def __init__(self, run_id: str, pipeline: Pipeline, lake: Path, site: Path, ledger: Ledger) -> None:
        self.run_id = run_id
        self.pipeline = pipeline
        self.lake = lake
        self.site = site
        self.ledger = ledger

    def publish(self) -> str | None:
        """Render the reports of a run whose steps all succeeded; return what went wrong."""
        fresh = {
            step.name for step in self.ledger.run(self.run_id).steps if step.status == "succeeded" and not step.report
        }
        for step in self.pipeline.steps:
            if not step.is_report or step.name not in fresh:
                continue
            from thresher import report

            page = f"reports/{self.pipeline.name}-{step.name}.html"
            try:
                report.render(
                    self.lake / "_runs" / self.run_id / f"{step.name}.ipynb",
                    self.site / page,
                    pipeline=self.pipeline.name,
                    run=self.run_id,
                    finished_at=datetime.now(UTC),
                    facts=self._facts(),
                    hide=self.pipeline.secrets.hide,
                )
            except Exception as error:  # whatever it is, the run ends with a word about it
                return f"the report of step {step.name} was not published: {error!r}"
            self.ledger.publish_step(self.run_id, step.name, page)
        return None

    def finish(self, status: str, error: str | None) -> None:
        """Note how the run ended and write the index; where that fails, the run failed."""
        hide = self.pipeline.secrets.hide
        error = hide(error) if error else None
        self.ledger.finish_run(self.run_id, status, error=error)
        if self._is_site_current():
            return
        from thresher import site
        from thresher.lake import Lake

        try:
            site.build(self.site, Lake(self.lake, "duckdb"), self.ledger, hide=hide)
        except Exception as fault:  # as above
            also = hide(f"the index of the site was not written: {fault!r}")
            self.ledger.finish_run(self.run_id, "failed", error=f"{error}; {also}" if error else also)

    def _is_site_current(self) -> bool:
        """Whether no step ran, so that the pages are as they were but for this run in their list."""
        steps = self.ledger.run(self.run_id).steps
        return (self.site / "index.html").is_file() and all(step.status == "skipped" for step in steps)

    def _facts(self) -> dict[str, str]:
        run = self.ledger.run(self.run_id)
        facts = {"steps": str(len(run.steps)), "engine": run.engine}
        return facts | {
            f"rows {figure}": f"{sum(getattr(step, figure) for step in run.steps):,}"
            for figure in ("refused", "duplicate")
        }


@contextmanager
def _locked(lake: Path, pipeline: str, ledger: Ledger) -> Iterator[locks.Lease]:
    """One run of a pipeline at a time on a lake; the lock is gone when its process is."""
    try:
        lake.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"lake {lake} cannot be written: {error.strerror}") from error
    with locks.held(ledger, lake, pipeline) as lease:
        yield lease
