"""The site's first page: what there is to read and how fresh it is, what the pipelines did, which data there is.

Everything on it comes from the lake, the ledger and the report pages themselves. The site has no store of its own and
can be built again at any time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from thresher.check_outcomes import trends
from thresher.datasets import ZONES, is_companion
from thresher.errors import ThresherError
from thresher.lake import Dataset, Lake
from thresher.ledger import Ledger, Run
from thresher.report import SIZE_BUDGET, Report, read
from thresher.templates import publish, shown_size

RUNS_SHOWN = 50
RUNS_READ = 1_000
"""How far back the last run of a pipeline is looked for."""

UNSUCCESSFUL = ("failed", "blocked", "cancelled", "interrupted")


@dataclass(frozen=True)
class Note:
    """What a reader must know of a report before trusting it. `tone` is a class of the style sheet."""

    tone: str
    text: str


@dataclass(frozen=True)
class Link:
    """A report as the index lists it: its address relative to the site, and what must be said of it."""

    report: Report
    address: str
    notes: tuple[Note, ...]


def build(site: Path, lake: Lake, ledger: Ledger, *, hide: Callable[[str], str] = str) -> Path:
    """Write `<site>/index.html` from the lake, the ledger and the pages in `<site>/reports`; return its path.

    Replaced atomically. A dataset that cannot be read is named on the page and hides no report. `hide` takes from the
    page's text what must not be shown. Raises OSError when the folder cannot be written, ThresherError when the ledger
    cannot be read.
    """
    runs = ledger.runs(limit=RUNS_READ)
    datasets, fault = _datasets(lake)
    index = site / "index.html"
    publish(
        "index.html",
        index,
        hide=hide,
        lake=str(lake.path),
        built_at=datetime.now(UTC),
        links=_links(site, runs),
        pipelines=_latest(runs),
        runs=runs[:RUNS_SHOWN],
        datasets=[each for each in datasets if not is_companion(each.name)],
        checks=trends(ledger.checked(lake.path)),
        quarantine=[each for each in datasets if each.zone == "quarantine"],
        fault=fault,
    )
    return index


def _datasets(lake: Lake) -> tuple[list[Dataset], str | None]:
    found, faults = [], []
    for name in lake.names():
        try:
            found.append(lake.describe(name))
        except ThresherError as error:  # one that cannot be read hides no other
            faults.append(f"{name}: {error}")
    return sorted(found, key=lambda each: (ZONES.index(each.zone), each.name)), " ".join(faults) or None


def _latest(runs: Iterable[Run]) -> list[Run]:
    """The newest run of each pipeline, by the pipeline's name; runs come newest first."""
    newest: dict[str, Run] = {}
    for run in runs:
        newest.setdefault(run.pipeline, run)
    return [newest[name] for name in sorted(newest)]


def _links(site: Path, runs: Sequence[Run]) -> list[Link]:
    """The pages in `<site>/reports`, by title."""
    reports = [read(page) for page in (site / "reports").glob("*.html")]
    reports.sort(key=lambda report: (report.title.casefold(), report.path))
    return [Link(each, quote(each.path.relative_to(site).as_posix()), tuple(_notes(each, runs))) for each in reports]


def _notes(report: Report, runs: Sequence[Run]) -> Iterable[Note]:
    own = [run for run in runs if run.pipeline == report.pipeline]
    last = next((run for run in own if run.ended_at is not None), None)
    if last and last.ended_at and last.status in UNSUCCESSFUL and last.id != report.run:
        if last.ended_at > report.finished_at:
            when = f"{last.ended_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            yield Note("bad", f"The last run {last.status} at {when}. This page is from the last good run.")
    if any(run.status == "running" for run in own):
        yield Note("quiet", "A run of this pipeline is under way.")
    if report.bytes > SIZE_BUDGET:
        yield Note("warn", f"Above the size budget of {shown_size(SIZE_BUDGET)}: slow to open. Fewer rows would help.")
