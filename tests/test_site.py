"""The site's first page, from a lake, a ledger and what lies in `reports/`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lxml.html
import pytest

from thresher import site
from thresher.counts import Counts
from thresher.lake import Lake
from thresher.ledger import Ledger
from thresher.report import SIZE_BUDGET, render

HOSTILE = "<script>alert(1)</script>"
NOW = datetime.now(UTC)
Step = tuple[str, str, list[Counts], str | None]  # name, status, counts, error


class World:
    """A lake, its ledger and its site on a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.lake = Lake(folder / "lake", "duckdb")
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.site = folder / "site"

    def run(self, pipeline: str, *steps: Step, status: str, error: str = "") -> str:
        params = {"landing": "data/sample"}
        run = self.ledger.start_run(pipeline, file="p.yml", engine="duckdb", params=params, description="All courses")
        for name, step_status, counts, step_error in steps:
            self.ledger.start_step(run, name, notebook=f"notebooks/{name}.ipynb")
            self.ledger.finish_step(run, name, step_status, counts=counts, error=step_error)
        if status != "running":
            self.ledger.finish_run(run, status, error=error or None)
        return run

    def report(self, name: str, pipeline: str, run: str, finished_at: datetime, text: str = "Hello.") -> Path:
        notebook = self.site.parent / "report.ipynb"
        cells = [{"cell_type": "markdown", "metadata": {}, "source": f"# {name}\n\n{text}"}]
        notebook.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
        page = self.site / "reports" / f"{pipeline}-{len(name)}.html"
        render(notebook, page, pipeline=pipeline, run=run, finished_at=finished_at, facts={})
        return page

    def index(self) -> lxml.html.HtmlElement:
        return lxml.html.document_fromstring(site.build(self.site, self.lake, self.ledger).read_text("utf-8"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def words(element: lxml.html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def section(index: lxml.html.HtmlElement, name: str) -> lxml.html.HtmlElement:
    return index.xpath(f"//section[@aria-labelledby='{name}']")[0]


def rows(element: lxml.html.HtmlElement) -> list[list[str]]:
    return [[words(cell) for cell in row.xpath("./td")] for row in element.xpath(".//tbody/tr")]


def test_an_empty_site_says_what_to_do(world: World) -> None:
    index = world.index()
    assert [words(each) for each in index.xpath("//section")] == [
        "Reports No report yet. A pipeline step with report: true publishes its notebook here.",
        "Pipelines No runs yet. Start one with thresher run pipelines/NAME.yml.",
        "Datasets No datasets yet.",
        "Checks No rules yet. A pipeline step says them under checks.",
        "Quarantine Nothing was refused.",
        "Runs No runs yet.",
    ]
    assert [file.name for file in world.site.iterdir()] == ["index.html"]


def test_pipelines_show_their_last_run(world: World) -> None:
    world.run("courses", ("ingest", "failed", [], "no folder"), status="failed")
    world.run(
        "courses",
        ("ingest", "succeeded", [Counts("raw.courses", 14, 12, 1, 1)], None),
        ("flatten", "succeeded", [Counts("curated.courses", 1200, 1198, 2)], None),
        status="succeeded",
    )
    world.run("alumni", status="running")
    pipelines = rows(section(world.index(), "pipelines"))
    assert [row[:2] + row[4:] for row in pipelines] == [
        ["alumniAll courses", "running", "0", "0", "0", "0"],
        ["coursesAll courses", "succeeded", "1,214", "1,210", "3", "1"],
    ]
    assert pipelines[0][3] == "" and pipelines[1][3].endswith(" s")


def test_runs_show_each_step_with_counts_and_errors(world: World) -> None:
    run = world.run(
        "courses",
        ("ingest", "succeeded", [Counts("raw.courses", 14, 12, 1, 1, {"files": 3, "files refused": 1})], None),
        ("star", "failed", [], "DuplicateKeys: 3 rows\nshare a key"),
        ("write", "blocked", [], None),
        status="failed",
        error="failed: star",
    )
    runs = section(world.index(), "runs")
    steps = [row[:2] + row[3:] for row in rows(runs)]
    assert steps == [
        ["ingest", "succeeded", "14", "12", "1", "1", "raw.courses: files 3, files refused 1"],
        ["star", "failed", "", "", "", "", ""],
        ["write", "blocked", "", "", "", "", ""],
    ]
    assert [each.text for each in runs.xpath(".//pre")] == [
        "failed: star",
        "star: DuplicateKeys: 3 rows\nshare a key",
    ]
    assert words(runs.xpath(".//p")[0]) == f"Run {run}, engine duckdb, from p.yml, with landing=data/sample"


def test_the_latest_fifty_runs_are_listed_newest_first(world: World) -> None:
    ids = [world.run("courses", status="succeeded") for _ in range(51)]
    shown = [words(each) for each in section(world.index(), "runs").xpath(".//p/span[@class='id'][1]")]
    assert sorted(shown) == sorted(set(shown)) and len(shown) == 50 and set(shown) <= set(ids)


def test_datasets_are_listed_by_zone_and_quarantine_by_itself(world: World) -> None:
    world.lake.write("mart.courses", [{"course_id": 1, "price": 2.5}])
    world.lake.write("raw.courses", [{"course_id": 1}, {"course_id": 2}])
    world.lake.write("quarantine.raw_courses", [{"reason": "no key"}])
    index = world.index()
    assert [[row[0], row[1], row[3]] for row in rows(section(index, "datasets"))] == [
        ["raw.courses 1 column course_id bigint", "2", "0"],
        ["mart.courses 2 columns course_id bigintprice double", "1", "0"],
    ]
    quarantine = section(index, "quarantine")
    assert [row[:2] for row in rows(quarantine)] == [["quarantine.raw_courses 1 column reason string", "1"]]
    assert words(quarantine.xpath("./p")[0]).endswith(": 1 now.")


def test_a_dataset_that_cannot_be_read_hides_no_report(world: World) -> None:
    world.lake.write("raw.courses", [{"course_id": 1}])
    for entry in (world.lake.path / "raw" / "courses" / "_delta_log").iterdir():
        entry.write_text("not JSON")
    world.report("Courses", "courses", "courses-1", NOW)
    index = world.index()
    assert words(section(index, "datasets")).startswith("Datasets The datasets could not be read: ")
    assert "raw.courses" in words(section(index, "datasets"))
    assert words(section(index, "reports").xpath(".//a")[0]) == "Courses"


def test_reports_are_listed_by_title_with_age_and_size(world: World) -> None:
    page = world.report("Prices", "courses", "courses-1", datetime(2026, 11, 23, 4, 7, tzinfo=UTC))
    world.report("alumni of the year", "alumni", "alumni-1", datetime(2026, 11, 22, 4, 7, tzinfo=UTC))
    listed = section(world.index(), "reports").xpath(".//li")
    assert [words(each.xpath("./a")[0]) for each in listed] == ["alumni of the year", "Prices"]
    size = round(page.stat().st_size / 1000)
    assert [words(each) for each in listed[1].xpath("./span")] == [f"2026-11-23 04:07 UTC, pipeline courses, {size} kB"]


def test_a_report_older_than_a_failed_run_is_marked_as_the_last_good_one(world: World) -> None:
    run = world.run("courses", status="succeeded")
    world.report("Courses", "courses", run, datetime.now(UTC))
    assert section(world.index(), "reports").xpath(".//*[contains(@class, 'bad')]") == []
    world.run("courses", status="failed")
    world.run("alumni", status="failed")
    (note,) = section(world.index(), "reports").xpath(".//*[contains(@class, 'bad')]")
    ended_at = world.ledger.runs("courses")[0].ended_at
    assert ended_at is not None
    assert words(note) == (
        f"The last run failed at {ended_at:%Y-%m-%d %H:%M} UTC. This page is from the last good run."
    )
    world.report("Courses", "courses", world.run("courses", status="succeeded"), datetime.now(UTC))
    assert section(world.index(), "reports").xpath(".//*[contains(@class, 'bad')]") == []


def test_a_run_under_way_is_told_and_does_not_hide_the_failure_before_it(world: World) -> None:
    world.report("Courses", "courses", "courses-1", NOW - timedelta(days=1))
    world.run("courses", status="interrupted")
    world.run("courses", status="running")
    notes = section(world.index(), "reports").xpath(".//span[contains(@class, 'note ')]")
    assert [words(note).split(" at ")[0] for note in notes] == [
        "The last run interrupted",
        "A run of this pipeline is under way.",
    ]


def test_a_heavy_report_is_told(world: World) -> None:
    world.report("Courses", "courses", "courses-1", NOW, text="word " * (SIZE_BUDGET // 5))
    (note,) = section(world.index(), "reports").xpath(".//*[contains(@class, 'warn')]")
    assert words(note) == "Above the size budget of 5.0 MB: slow to open. Fewer rows would help."


def test_links_lead_to_the_pages_whatever_their_names(world: World) -> None:
    page = world.report("Courses", "courses", "courses-1", NOW)
    odd = page.rename(page.with_name('50% off? #1 "ü".html'))
    (link,) = section(world.index(), "reports").xpath(".//a/@href")
    assert link == "reports/50%25%20off%3F%20%231%20%22%C3%BC%22.html"
    assert odd.exists()


def test_everything_on_the_index_is_text(world: World) -> None:
    world.lake.write("raw.courses", [{HOSTILE: 1}])
    run = world.run("courses", ("ingest", "failed", [Counts(HOSTILE, 1, 1, more={HOSTILE: 1})], HOSTILE),
                    status="failed", error=HOSTILE)  # fmt: skip
    world.report(f"`{HOSTILE}`", "courses", run, NOW)
    index = world.index()
    assert index.xpath("//script") == []
    assert words(index).count(HOSTILE) == 6


def test_a_report_made_by_or_after_the_failed_run_is_not_called_older(world: World) -> None:
    failed = world.run("courses", status="failed")
    world.report("Of the run itself", "courses", failed, NOW - timedelta(days=1))
    world.report("Of a later one", "courses", "courses-elsewhere", datetime.now(UTC) + timedelta(days=1))
    assert section(world.index(), "reports").xpath(".//*[contains(@class, 'bad')]") == []
