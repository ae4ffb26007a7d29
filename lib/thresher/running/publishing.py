"""What a run shows to its readers: the reports of its steps, the index of the site, and how it ended."""

from datetime import UTC, datetime
from pathlib import Path

from thresher.ledger import Ledger
from thresher.pipeline import Pipeline


class Publisher:
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
