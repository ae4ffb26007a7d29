"""Runs a pipeline: checks first, then one run at a time, all of it on record, reports published at the end."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from thresher.engines import check_available
from thresher.errors import LakeError, RunLocked
from thresher.execution import Execution
from thresher.lake import Lake
from thresher.ledger import Ledger, Run
from thresher.pipeline import Pipeline, check_engine, plan
from thresher.places import check_writable, lake_folder, site_folder
from thresher.progress import Progress


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
    lake: Path | str | None = None,
    engine: str | None = None,
    site: Path | str | None = None,
    jobs: int | None = None,
    console: Console | None = None,
) -> RunResult:
    """Run a pipeline, by its file or bare name, on a lake (else THRESHER_LAKE, else `lake` in the project).

    `params` override the pipeline's. A failing step does not stop the others: only the steps after it are `blocked`.
    Reports are published when every step succeeded; the site's index is written in any case, by default to the folder
    `site` beside the lake. `jobs` is how many notebooks run at once, by default one per core. Progress goes to
    `console`; without one nothing is shown.

    Raises UsageError for what is wrong before anything runs (PipelineError, ParameterError, LandingNotFound,
    EngineUnavailable, LakeError, RunLocked); nothing is written then. KeyboardInterrupt stops the kernels, is noted,
    and raised again.
    """
    folder = lake_folder(lake)
    pages = site_folder(folder, site)
    engine = check_engine(engine or os.environ.get("THRESHER_ENGINE") or "duckdb")
    checked = plan(pipeline, params, lake=folder)
    for name in {step.engine or engine for step in checked.steps}:
        check_available(name)
    for path in (folder, pages):
        check_writable(path)
    with _locked(folder, checked.name):
        ledger = Ledger.of_lake(folder)
        ledger.interrupt_runs(checked.name)
        run_id = ledger.start_run(
            checked.name,
            description=checked.description,
            file=checked.file,
            engine=engine,
            params=checked.params,
        )
        publisher = _Publisher(run_id, checked, folder, pages, ledger)
        with Progress(checked.steps, console or Console(quiet=True)) as progress:
            execution = Execution(
                run_id,
                checked,
                folder,
                engine=engine,
                jobs=jobs or os.cpu_count() or 1,
                ledger=ledger,
                progress=progress,
            )
            try:
                statuses = execution.run()
            except BaseException as error:
                is_cancelled = isinstance(error, KeyboardInterrupt)
                publisher.finish("cancelled" if is_cancelled else "failed", None if is_cancelled else repr(error))
                raise
        failed = sorted(name for name, status in statuses.items() if status == "failed")
        error_text = f"failed: {', '.join(failed)}" if failed else publisher.publish()
        publisher.finish("failed" if error_text else "succeeded", error_text)
        return RunResult(ledger.run(run_id), pages / "index.html")


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
        from thresher import report

        for step in self.pipeline.steps:
            if not step.is_report:
                continue
            page = f"reports/{self.pipeline.name}-{step.name}.html"
            try:
                report.render(
                    self.lake / "_runs" / self.run_id / f"{step.name}.ipynb",
                    self.site / page,
                    pipeline=self.pipeline.name,
                    run=self.run_id,
                    finished_at=datetime.now(UTC),
                    facts=self._facts(),
                )
            except Exception as error:  # whatever it is, the run ends with a word about it
                return f"the report of step {step.name} was not published: {error!r}"
            self.ledger.publish_step(self.run_id, step.name, page)
        return None

    def finish(self, status: str, error: str | None) -> None:
        """Note how the run ended and write the index; where that fails, the run failed."""
        from thresher import site

        self.ledger.finish_run(self.run_id, status, error=error)
        try:
            site.build(self.site, Lake(self.lake, "duckdb"), self.ledger)
        except Exception as fault:  # as above
            also = f"the index of the site was not written: {fault!r}"
            self.ledger.finish_run(self.run_id, "failed", error=f"{error}; {also}" if error else also)

    def _facts(self) -> dict[str, str]:
        run = self.ledger.run(self.run_id)
        facts = {"steps": str(len(run.steps)), "engine": run.engine}
        return facts | {
            f"rows {figure}": f"{sum(getattr(step, figure) for step in run.steps):,}"
            for figure in ("refused", "duplicate")
        }


@contextmanager
def _locked(lake: Path, pipeline: str) -> Iterator[None]:
    """One run of a pipeline at a time on a lake; the lock is gone when its process is."""
    try:
        (lake / "_locks").mkdir(parents=True, exist_ok=True)
        lock = FileLock(lake / "_locks" / f"{pipeline}.lock")
        lock.acquire(timeout=0)
    except Timeout:
        latest = Ledger.of_lake(lake).runs(pipeline, limit=1)
        who = "; it has just begun"
        if latest and latest[0].status == "running":
            who = f": {latest[0].id}, process {latest[0].pid}, since {latest[0].started_at:%Y-%m-%d %H:%M:%S} UTC"
        raise RunLocked(
            f"another run of pipeline {pipeline} is at work on lake {lake}{who}. "
            f"Wait for it, or stop that process; the lock ends with it."
        ) from None
    except OSError as error:
        raise LakeError(f"lake {lake} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
