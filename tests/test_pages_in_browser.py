"""The published pages in a real browser, opened from a folder: nothing runs, nothing is fetched, all can be read."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from thresher import plots, site
from thresher.counts import Counts
from thresher.lake import Lake
from thresher.ledger import Ledger
from thresher.report import render

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no chromium on PATH or at {CHROMIUM}: install it")

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=https://example.org/pixel.png>",
    "<svg onload=alert(1)>",
    "[go](javascript:alert(1))",
    "]]></style></title></pre><script>alert(1)</script>",
    "<link rel=stylesheet href=https://example.org/x.css><style>@import 'https://example.org/y.css'</style>",
]
SIZES = {"desktop": (1280, 900), "telephone": (390, 844)}


def cells() -> list[dict[str, object]]:
    def output(**data: str) -> dict[str, object]:
        mimes = {"html": "text/html", "markdown": "text/markdown", "plain": "text/plain", "svg": "image/svg+xml"}
        data = {mimes[name]: text for name, text in data.items()}
        return {"output_type": "display_data", "metadata": {}, "data": data}

    wide = pd.DataFrame([["a value that is rather long"] * 14] * 60, columns=[f"column_{n}" for n in range(14)])
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="20" onload="alert(1)">{}</svg>'
    text = "\n\n".join(ATTACKS)
    bars, words = plots.barh(ATTACKS, range(len(ATTACKS)), unit="attacks", title="Attacks")._repr_mimebundle_()
    outputs = [
        output(html=pd.DataFrame({"title": ATTACKS}).to_html()),
        output(html=wide.to_html()),
        output(html=text),
        output(markdown=text),
        output(plain=text),
        output(svg=svg.format("<script>alert(1)</script><image href='https://example.org/z.png'/>")),
        {"output_type": "display_data", "metadata": words, "data": bars},
        {"output_type": "stream", "name": "stdout", "text": "x" * 2000 + text},
        {"output_type": "error", "ename": "ValueError", "evalue": text, "traceback": [text, "y" * 500]},
    ]
    prose = [f"## Section {n}\n\n{'A_very_long_word' * 20} $x^2$ {ATTACKS[n]}" for n in range(5)]
    return [{"cell_type": "markdown", "metadata": {}, "source": source} for source in prose] + [
        {"cell_type": "code", "metadata": {}, "source": "import thresher  # the code of the first cell", "outputs": []},
        {"cell_type": "code", "metadata": {}, "source": f"x = {ATTACKS!r}", "outputs": outputs},
    ]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with one report, one failed run and one dataset, every name and value of them hostile."""
    folder = tmp_path_factory.mktemp("pages")
    notebook = folder / "report.ipynb"
    notebook.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells()}))
    text = ATTACKS[0]
    facts = {f"rows {n}": text for n in range(7)}
    now = datetime.now(UTC)
    page = folder / "site" / "reports" / "a b#c.html"
    render(notebook, page, title=text, pipeline=text, run=text, finished_at=now, facts=facts)
    ledger = Ledger(folder / "ledger.sqlite")
    run = ledger.start_run(text, file=text, engine=text, params={text: text}, description=" ".join(ATTACKS))
    ledger.start_step(run, text, notebook="n.ipynb")
    counts = [Counts(text, 1_000_000_000, 1_000_000_000, more={text: 1})]
    ledger.finish_step(run, text, "failed", counts=counts, error="\n".join(ATTACKS) + "z" * 500)
    ledger.finish_run(run, "failed", error=text)
    lake = Lake(folder / "lake", "duckdb")
    lake.write("raw." + "long_name_" * 9, [dict.fromkeys(ATTACKS, 1)])
    return site.build(folder / "site", lake, ledger).parent


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """An open page, and everything that should not have happened on it."""

    page: "playwright.Page"
    incidents: list[str] = field(default_factory=list)


@pytest.fixture(params=SIZES)
def visit(request: pytest.FixtureRequest, browser: "playwright.Browser", pages: Path) -> Iterator[Visit]:
    width, height = SIZES[request.param]
    scheme = "dark" if request.param == "telephone" else "light"
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    opened = Visit(context.new_page())
    opened.page.on("dialog", lambda dialog: (opened.incidents.append(f"dialog {dialog.message}"), dialog.dismiss()))
    opened.page.on("console", lambda message: opened.incidents.append(f"console {message.text}"))
    opened.page.on("pageerror", lambda error: opened.incidents.append(f"error {error}"))
    local = ("file://", "data:")
    opened.page.on(
        "request", lambda asked: asked.url.startswith(local) or opened.incidents.append(f"request {asked.url}")
    )
    opened.page.goto((pages / "index.html").as_uri())
    yield opened
    assert opened.incidents == []
    context.close()


def assert_calm(page: "playwright.Page") -> None:
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.querySelectorAll('iframe, object, embed, link[rel=stylesheet]').length") == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    # The style sheet came through the page's own policy.
    assert page.evaluate("getComputedStyle(document.body).maxWidth") == "976px"


def test_the_index_is_calm_with_everything_unfolded(visit: Visit) -> None:
    assert_calm(visit.page)
    for details in visit.page.locator("details").all():
        details.locator("> summary").click()
    assert visit.page.locator("details:not([open])").count() == 0
    assert_calm(visit.page)
    assert visit.page.get_by_text("]]></style></title></pre><script>alert(1)</script>").first.is_visible()


def test_the_report_is_reached_read_and_left_by_links(visit: Visit) -> None:
    page = visit.page
    page.locator(".reports a").click()
    assert page.url.endswith("/reports/a%20b%23c.html")
    assert page.locator("h1").inner_text() == "<script>alert(1)</script>"
    assert_calm(page)
    page.get_by_role("navigation", name="Contents").get_by_role("link", name="Section 3").click()
    assert page.locator("h2", has_text="Section 3").evaluate("e => e.getBoundingClientRect().top < 100")
    page.get_by_role("link", name="All reports").first.click()
    assert page.locator("h1").inner_text() == "Reports and data"


def test_code_is_hidden_and_one_click_away(visit: Visit) -> None:
    page = visit.page
    page.locator(".reports a").click()
    code = page.get_by_text("the code of the first cell")
    assert not code.is_visible()
    page.get_by_label("Show code").click()
    assert code.is_visible()
    assert_calm(page)
    page.get_by_label("Show code").click()
    assert not code.is_visible()


def test_figures_are_drawn_and_wide_tables_scroll_inside_with_their_head_in_sight(visit: Visit) -> None:
    page = visit.page
    page.locator(".reports a").click()
    drawn = page.locator("figure img").evaluate_all("all => all.map(e => e.complete && e.naturalWidth > 0)")
    assert drawn == [True, True]
    frame = page.locator(".scroll").nth(1)
    assert frame.evaluate("e => e.scrollWidth > e.clientWidth && e.scrollHeight > e.clientHeight")
    frame.evaluate("e => e.scrollTop = 400")
    top = "e => e.getBoundingClientRect().top"
    assert abs(frame.locator("th").first.evaluate(top) - frame.evaluate(top)) < 2


def test_the_pages_follow_the_readers_dark_and_print_on_white(visit: Visit) -> None:
    page = visit.page
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
