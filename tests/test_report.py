"""An executed notebook becomes one page on which data are text and nothing runs."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import lxml.html
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.counts import Counts
from thresher.errors import UsageError
from thresher.report import Report, read, render
from thresher.sanitize import clean, framed
from thresher.templates import FOLDER

FINISHED = datetime(2026, 11, 23, 5, 7, 30, tzinfo=timezone(timedelta(hours=1)))
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)></svg>",
    "[go](javascript:alert(1))",
    "![see](https://example.org/x.png)",
    "]]></style></pre></title><b>bold</b>",
    '" onmouseover="alert(1)',
    "{{ 7 * 7 }} &lt;b&gt;",
]


def markdown(text: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text, **more}


def code(source: str, *outputs: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": list(outputs)}


def shown(data: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def printed(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def raised(name: str, value: str, *traceback: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": list(traceback)}


def table(text: str) -> dict[str, Any]:
    return shown({"text/html": pd.DataFrame({"title": [text]}).to_html(), "text/plain": "a table"})


class Page:
    """A rendered page, parsed as a browser would."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.html = file.read_text("utf-8")
        self.root = lxml.html.document_fromstring(self.html)

    def texts(self, path: str) -> list[str]:
        return [element.text_content() for element in self.root.xpath(path)]

    @property
    def main(self) -> str:
        return self.texts("//main")[0]


@pytest.fixture
def rendered(tmp_path: Path) -> Any:
    def render_cells(*cells: dict[str, Any], **values: Any) -> Page:
        notebook = tmp_path / "07_report.ipynb"
        notebook.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}))
        target = tmp_path / "site" / "reports" / "page.html"
        facts: dict[str, Any] = {"pipeline": "courses", "run": "courses-1", "finished_at": FINISHED, "facts": {}}
        render(notebook, target, **facts | values)
        return Page(target)

    return render_cells


def assert_harmless(root: Any) -> None:
    """Nothing on the page runs, is fetched, or leads to code."""
    names = {element.tag for element in root.iter() if isinstance(element.tag, str)}
    assert not names & {"script", "iframe", "object", "embed", "svg", "math", "form", "base", "frame"}
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on") and name != "style"
            if name == "src":
                assert value.startswith("data:image/")
            if name in ("href", "src"):
                assert not value.strip().lower().startswith(("javascript:", "vbscript:", "data:text"))


# data are text


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "cell",
    [
        lambda text: code("1", table(text)),
        lambda text: code("1", shown({"text/plain": text})),
        lambda text: code("1", shown({"text/latex": text})),
        lambda text: code("1", shown({"text/markdown": f"## {text}\n\nThe course {text} is **new**: {text}"})),
        lambda text: code("1", printed(text)),
        lambda text: code("1", printed(text, "stderr")),
        lambda text: code("1", raised("ValueError", text, "Traceback", text)),
        lambda text: code(f"# {text}"),
        lambda text: code("1", shown(Counts(text, rows_in=3, rows_out=2, refused=1)._repr_mimebundle_())),
    ],
    ids=["table", "text", "latex", "markdown", "stdout", "stderr", "error", "code", "counts"],
)
def test_hostile_values_stand_on_the_page_as_text(rendered: Any, cell: Any, text: str) -> None:
    page = rendered(cell(text))
    assert_harmless(page.root)
    assert text in page.main


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_in_the_head_are_text(rendered: Any, text: str) -> None:
    page = rendered(markdown("Hello."), title=text, pipeline=text, run=text, facts={text: text})
    assert_harmless(page.root)
    assert page.texts("//title") == page.texts("//h1") == [text]
    assert page.texts("//dt") == page.texts("//dd") == [text]
    assert f"Pipeline {text}, run {text}." in page.texts("//header")[0]
    report = read(page.file)
    assert (report.title, report.pipeline, report.run) == (text, text, text)


def test_html_outputs_keep_their_harmless_part_alone(rendered: Any) -> None:
    html = (
        '<p onclick="alert(1)" style="position:fixed">Five <b>bold</b> words '
        '<a href="https://example.org/a">out</a> <a href="javascript:alert(1)">bad</a> '
        '<a href="data:text/html,<script>alert(1)</script>">worse</a></p>'
        '<img src="https://example.org/pixel.png" alt="A pixel"><iframe src="https://example.org"></iframe>'
        "<script>alert(1)</script><style>body{display:none}</style><form action=/x><input></form>"
    )
    page = rendered(code("1", shown({"text/html": html})))
    assert_harmless(page.root)
    assert page.main.split() == ["1", "Five", "bold", "words", "out", "bad", "worse"]
    assert page.root.xpath("//main//a/@href") == ["https://example.org/a"]
    assert page.root.xpath("//main//img/@alt") == ["A pixel"]


def test_html_that_needs_scripts_falls_back_to_its_text(rendered: Any) -> None:
    page = rendered(
        code("1", shown({"text/html": "<script>draw()</script><svg><text>x</text></svg>", "text/plain": "a chart"})),
        code("2", shown({"application/javascript": "draw()"})),
    )
    assert page.texts("//pre[@class='text']") == ["a chart", "(an output that only a running notebook can show)"]


MARKUP = ["<table>", "<td>", "</table>", "<math><mtext>", "<style>", "<!--", "-->", "<noscript>", "<template>"]
MARKUP += ["<a href='java\tscript:x()'>", "<a href=' data:text/html,x'>", "<p title='", "'>", "<![CDATA["]


@given(st.lists(st.sampled_from(HOSTILE + MARKUP), max_size=8))
def test_no_arrangement_of_markup_becomes_code(pieces: list[str]) -> None:
    cleaned = clean(framed("".join(pieces)))
    assert_harmless(lxml.html.fragment_fromstring(str(cleaned), create_parent="div"))


def test_characters_that_no_page_can_hold_are_made_visible(rendered: Any) -> None:
    page = rendered(code("1", printed("a\x00b \ud83d c\x07")))
    assert page.texts("//pre[@class='text']") == ["a\ufffdb \\ud83d c\ufffd"]


# one page, alone


def test_the_page_allows_its_own_style_and_inline_images_and_nothing_else(rendered: Any) -> None:
    page = rendered(markdown("# A\n\n![see](https://example.org/x.png)"), code("1", shown({"image/png": PIXEL})))
    style = re.search("<style>(.*?)</style>", page.html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    (policy,) = page.root.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in style[1] and "@import" not in style[1]
    assert page.root.xpath("//@src") == [f"data:image/png;base64,{PIXEL}"]
    assert set(page.root.xpath("//@href")) == {"data:,", "#content", "../index.html"}


def test_the_header_says_when_from_what_and_with_which_facts(rendered: Any) -> None:
    page = rendered(markdown("# Courses"), facts={"rows refused": "2"}, index="../../index.html")
    header = page.root.xpath("//header")[0]
    stamp = "Finished 2026-11-23 04:07 UTC. Pipeline courses, run courses-1."
    assert list(filter(None, header.text_content().split("\n"))) == ["All reports", "Courses", stamp, "rows refused2"]
    assert header.xpath(".//time/@datetime") == ["2026-11-23T04:07:30+00:00"]
    assert header.xpath(".//a/@href") == ["../../index.html"]
    assert page.root.get("lang") == "en"


def test_a_page_says_of_itself_what_the_index_needs(rendered: Any) -> None:
    page = rendered(markdown("# Ünïcödé & co"))
    stamp = datetime(2026, 11, 23, 4, 7, 30, tzinfo=UTC)
    size = page.file.stat().st_size
    assert read(page.file) == Report(page.file, "Ünïcödé & co", "courses", "courses-1", stamp, size)


STAMPLESS = [b"", b"<p>hello", b"\xff\xfe\x00", b'<meta name="thresher:finished-at" content="x">']


@pytest.mark.parametrize("content", STAMPLESS)
def test_a_page_without_a_stamp_is_as_old_as_its_file(tmp_path: Path, content: bytes) -> None:
    page = tmp_path / "old.html"
    page.write_bytes(content)
    made_at = datetime.fromtimestamp(page.stat().st_mtime, UTC)
    assert read(page) == Report(page, "old", "", "", made_at, len(content))


def test_a_file_that_is_no_notebook_leaves_the_old_page(rendered: Any, tmp_path: Path) -> None:
    old = rendered(markdown("# Good"))
    broken = tmp_path / "broken.ipynb"
    broken.write_text('{"worksheets": []}')
    with pytest.raises(UsageError) as caught:
        render(broken, old.file, pipeline="courses", run="courses-2", finished_at=FINISHED, facts={})
    assert str(caught.value) == (
        "broken.ipynb is no notebook (nbformat 4): KeyError('cells'). Nothing was published; expected the .ipynb file "
        "that a run has executed."
    )
    assert old.file.read_text() == old.html


def test_a_page_that_cannot_be_written_leaves_the_old_one_and_no_draft(rendered: Any, monkeypatch: Any) -> None:
    old = rendered(markdown("# Good"))

    def full(draft: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        rendered(markdown("# Better"))
    assert old.file.read_text() == old.html
    assert [file.name for file in old.file.parent.iterdir()] == ["page.html"]


# reading


@pytest.mark.parametrize(
    "title, cells, expected",
    [
        (None, ["# Courses\n\n## Prices"], ("Courses", ["h2 Prices"])),
        ("courses", ["# Courses\n\n## Prices"], ("courses", ["h2 Prices"])),
        ("Report", ["# Courses\n\n## Prices"], ("Report", ["h2 Courses", "h3 Prices"])),
        (None, ["## Prices", "# Courses"], ("07_report", ["h2 Prices", "h2 Courses"])),
        (None, ["# A", "#### Deep", "## B", "##### C", "# D"], ("A", ["h2 Deep", "h2 B", "h3 C", "h2 D"])),
        (None, ["No heading"], ("07_report", [])),
    ],
)
def test_headings_stand_in_order_below_one_title(rendered: Any, title: Any, cells: list[str], expected: Any) -> None:
    page = rendered(*map(markdown, cells), title=title)
    found = page.root.xpath("//h1|//main//*[self::h2 or self::h3 or self::h4]")
    assert (found[0].text_content(), [f"{each.tag} {each.text_content()}" for each in found[1:]]) == expected


def test_contents_are_listed_from_four_headings_on(rendered: Any) -> None:
    assert rendered(markdown("## A\n## B\n## C")).texts("//nav[@class='contents']") == []
    page = rendered(markdown("## A\n## B\n### *B* in <b>detail</b>\n## Content\n## A"))
    links = page.root.xpath("//nav[@class='contents']//a")
    assert [link.text_content() for link in links] == ["A", "B", "B in detail", "Content", "A"]
    targets = [page.root.get_element_by_id(link.get("href").removeprefix("#")) for link in links]
    assert [target.text_content() for target in targets] == ["A", "B", "B in detail", "Content", "A"]
    assert [target.tag for target in targets] == ["h2", "h2", "h3", "h2", "h2"]


def test_columns_of_numbers_are_marked_and_codes_are_not(rendered: Any) -> None:
    rows = pd.DataFrame({"code": ["007", "012"], "price": [1204.5, None], "share": ["3 %", "-4.5 %"], "of": [1, "x"]})
    page = rendered(code("1", shown({"text/html": rows.to_html(index=False)})))
    assert page.texts("//*[@class='n']") == ["price", "share", "1204.5", "3 %", "NaN", "-4.5 %"]
    assert page.root.xpath("//table/parent::div/@class") == ["scroll"]


def test_numbers_under_spanned_rows_and_columns_are_marked(rendered: Any) -> None:
    index = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    rows = pd.DataFrame({("n", "low"): [1, 2], ("n", "high"): [3, 4]}, index=index)
    page = rendered(code("1", shown({"text/html": rows.to_html()})))
    assert page.texts("//*[@class='n']") == ["low", "high", "1", "3", "2", "4"]


def test_dollars_are_money_and_no_formula(rendered: Any) -> None:
    page = rendered(markdown("From **$5** to **$10**, and $x_1 + y_1$."))
    assert page.main.strip() == "From $5 to $10, and $x_1 + y_1$."
    assert page.texts("//strong") == ["$5", "$10"]


def test_what_was_printed_together_stays_together(rendered: Any) -> None:
    page = rendered(
        code("1", printed("\x1b[31mred\x1b[0m 10 %\r"), printed("blue 100 %\ndone\n"), printed("careful\n", "stderr"))
    )
    assert page.texts("//pre[@class='text']") == ["blue 100 %\ndone"]
    assert page.texts("//details[@class='messages']/pre") == ["careful"]


def test_figures_carry_words(rendered: Any) -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    page = rendered(
        markdown("## Prices"),
        code("1", shown({"image/svg+xml": drawing, "text/plain": "x"}, **{"image/svg+xml": {"alt": "Rising <b>"}})),
        code("2", shown({"image/png": [PIXEL[:20] + "\n", PIXEL[20:]], "text/plain": "<Figure size 640x480>"})),
        code("3", shown({"image/png": PIXEL, "text/plain": "Falling prices"}, **{"image/png": {"width": 320}})),
    )
    assert page.root.xpath("//img/@alt") == ["Rising <b>", "Figure in section Prices", "Falling prices"]
    assert page.root.xpath("//img/@src") == [
        "data:image/svg+xml;base64," + base64.b64encode(drawing.encode()).decode(),
        f"data:image/png;base64,{PIXEL}",
        f"data:image/png;base64,{PIXEL}",
    ]
    assert page.root.xpath("//img/@width") == ["320"]


def test_pictures_attached_to_a_cell_are_shown(rendered: Any) -> None:
    page = rendered(markdown("![A map](attachment:map.png)", attachments={"map.png": {"image/png": PIXEL}}))
    (image,) = page.root.xpath("//img")
    assert (image.get("src"), image.get("alt")) == (f"data:image/png;base64,{PIXEL}", "A map")


def test_a_stopped_notebook_shows_its_error_and_the_code_at_it(rendered: Any) -> None:
    page = rendered(
        {**markdown("An Exception was encountered"), "metadata": {"tags": ["papermill-error-cell-tag"]}},
        code("x = 1"),
        code("1 / x", raised("ZeroDivisionError", "by zero", "\x1b[31mTraceback\x1b[0m", "  line 1")),
    )
    assert page.texts("//p[@role='note']") == ["This notebook stopped at an error: ZeroDivisionError: by zero"]
    assert page.texts("//section[@id='error']/pre") == ["Traceback\n  line 1"]
    assert page.texts("//pre[@class='code stopped']") == ["1 / x\n"]
    assert "An Exception" not in page.main


@pytest.mark.parametrize("start", [":root {", "@media (prefers-color-scheme: dark)", "@media print"])
def test_text_contrasts_with_its_paper(start: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 for text of this size, in light, in dark and in print."""
    style = (FOLDER / "style.css").read_text()
    block = style[style.index(start) :]
    found = re.findall(r"--(\w+): #([0-9a-f]+);", block[: block.index("}")])
    colors = {name: value if len(value) == 6 else "".join(2 * digit for digit in value) for name, value in found}
    papers = ("paper", "panel", "mark")

    def luminance(color: str) -> float:
        channels = [int(color[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    inks = set(colors) - {*papers, "rule"}
    assert len(inks) == 9
    for ink in inks:
        for paper in papers:
            light, dark = sorted((luminance(colors[ink]), luminance(colors[paper])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{ink} on {paper}"
