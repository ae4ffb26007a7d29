"""Reports: an executed notebook becomes one page that opens anywhere and runs nothing.

What stands in the data is text on the page. Outputs that are HTML pass an allow-list of harmless elements, markup in
displayed Markdown is shown and not interpreted, and drawings are images, in which browsers run no script.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import lxml.html
import mistune
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from thresher.errors import UsageError
from thresher.sanitize import clean, framed, plain, printable
from thresher.templates import publish

SIZE_BUDGET = 5_000_000
"""Bytes above which a page is slow to open from a share or a mail; the site says so."""


@dataclass(frozen=True)
class Report:
    """A published page, as it describes itself: which run it shows, and from when."""

    path: Path
    title: str
    pipeline: str
    run: str
    finished_at: datetime
    bytes: int


def render(
    notebook: Path,
    target: Path,
    *,
    title: str | None = None,
    pipeline: str,
    run: str,
    finished_at: datetime,
    facts: Mapping[str, str],
    index: str = "../index.html",
    hide: Callable[[str], str] = str,
) -> None:
    """Publish an executed notebook as one self-contained HTML page; the target is replaced atomically.

    `title` is by default the notebook's first heading, else its file name. `facts` are shown below the title
    (steps, rows, checks, …), `index` is the relative link back to the site, `hide` takes from the page's text what must
    not be shown. A notebook that stopped at an error is published with the error; whether it should be is the caller's
    decision. Raises UsageError for a file that is no notebook; the old page then stays as it is.
    """
    contents = Contents(title)
    try:
        parts = [part for cell in json.loads(notebook.read_bytes())["cells"] for part in _parts(cell, contents)]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{notebook.name} is no notebook (nbformat 4): {error!r}. Nothing was published; expected the .ipynb file "
            f"that a run has executed."
        ) from error
    errors = [part for part in parts if part.kind == "error"]
    if errors:
        errors[0].is_first = True
    publish(
        "report.html",
        target,
        hide=hide,
        title=contents.title or notebook.stem,
        pipeline=pipeline,
        run=run,
        finished_at=finished_at.astimezone(UTC),
        facts=facts,
        index=index,
        parts=parts,
        has_code=any(part.kind == "code" for part in parts),
        error=errors[0].label if errors else None,
        contents=[heading for heading in contents.headings if heading.level <= 3],
    )


def read(page: Path) -> Report:
    """What a published page says of itself. A page without a stamp counts as made when its file was last changed."""
    with page.open("rb") as file:
        head = lxml.html.fromstring(file.read(65_536).decode("utf-8", "replace") or "<html>")
    stamps = {meta.get("name"): meta.get("content", "") for meta in head.xpath("//meta[@name]")}
    status = page.stat()
    try:
        finished_at = datetime.fromisoformat(stamps["thresher:finished-at"])
    except (KeyError, ValueError):
        finished_at = datetime.fromtimestamp(status.st_mtime, UTC)
    return Report(
        page,
        title=" ".join(head.findtext(".//title", "").split()) or page.stem,
        pipeline=stamps.get("thresher:pipeline", ""),
        run=stamps.get("thresher:run", ""),
        finished_at=finished_at,
        bytes=status.st_size,
    )


@dataclass
class Part:
    """One piece of a page. `body` is escaped by the template unless it is Markup."""

    kind: str  # prose, code, failed code, html, text, image, messages, error
    body: str
    label: str = ""
    width: int | None = None
    is_first: bool = False


@dataclass(frozen=True)
class Heading:
    """One line of the table of contents."""

    level: int
    text: str
    anchor: str


@dataclass
class Contents:
    """The headings met so far, brought into order: the page's title is h1, and no level is left out below it."""

    title: str | None
    headings: list[Heading] = field(default_factory=list)
    _open: list[int] = field(default_factory=list)
    _anchors: set[str] = field(default_factory=lambda: {"content", "error", "show-code"})
    _is_begun: bool = False

    def add(self, inner: str, level: int) -> str:
        """The HTML of a heading; nothing for a first heading that only says the title."""
        text = Markup(inner).striptags()
        is_opening, self._is_begun = not self._is_begun, True
        if is_opening and level == 1 and (self.title is None or self.title.casefold() == text.casefold()):
            self.title = self.title or text
            return ""
        while self._open and self._open[-1] >= level:
            self._open.pop()
        self._open.append(level)
        level = min(1 + len(self._open), 6)
        self.headings.append(Heading(level, text, self._anchor(text)))
        return f'<h{level} id="{self.headings[-1].anchor}">{inner}</h{level}>\n'

    def _anchor(self, text: str) -> str:
        anchor = stem = re.sub(r"\W+", "-", text.lower()).strip("-")[:60] or "section"
        number = 1
        while anchor in self._anchors:
            number += 1
            anchor = f"{stem}-{number}"
        self._anchors.add(anchor)
        return anchor


def _parts(cell: Mapping[str, Any], contents: Contents) -> Iterator[Part]:
    if "papermill-error-cell-tag" in cell["metadata"].get("tags", []):
        return  # papermill's own notice, styled and linked for Jupyter; the page brings its own
    source = printable(_text(cell["source"]))
    if cell["cell_type"] == "markdown":
        for name, images in cell.get("attachments", {}).items():
            for mime, data in images.items():
                source = source.replace(f"attachment:{name}", f"data:{mime};base64,{_text(data)}")
        yield _prose(source, contents, escape=False)
        return
    outputs = cell.get("outputs", [])
    if source.strip():
        is_failed = any(output["output_type"] == "error" for output in outputs)
        code = highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))
        yield Part("failed code" if is_failed else "code", Markup(code))
    # A stream arrives in pieces, as its buffer was emptied: what was printed together is put together again.
    for (kind, stream), pieces in groupby(outputs, key=lambda output: (output["output_type"], output.get("name"))):
        if kind == "stream":
            text = plain("".join(_text(piece["text"]) for piece in pieces)).strip("\n")
            yield Part("messages" if stream == "stderr" else "text", text)
        elif kind == "error":
            yield from map(_error, pieces)
        else:
            yield from (_shown(piece, contents) for piece in pieces)


def _text(value: str | list[str]) -> str:
    """Text of a notebook file: whole, or as a list of lines."""
    return "".join(value)


def _error(output: Mapping[str, Any]) -> Part:
    label = plain(f"{output['ename']}: {output['evalue']}")
    return Part("error", plain("\n".join(output["traceback"])) or label, label=label)


def _shown(output: Mapping[str, Any], contents: Contents) -> Part:
    """The richest form of an output that a page can hold."""
    data = {mime: _text(value) for mime, value in output["data"].items() if not mime.endswith("json")}
    for mime in ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp"):
        if mime in data:
            metadata = output.get("metadata", {})
            return _image(mime, data, metadata.get(mime, metadata), contents)
    if "text/html" in data:
        markup = clean(framed(printable(data["text/html"])))
        if "<img" in markup or markup.striptags().strip():
            return Part("html", markup)
    if "text/markdown" in data:
        return _prose(printable(data["text/markdown"]), contents, escape=True)
    text = data.get("text/plain") or data.get("text/latex")
    return Part("text", plain(text) if text else "(an output that only a running notebook can show)")


def _image(mime: str, data: Mapping[str, str], details: Mapping[str, Any], contents: Contents) -> Part:
    content = data[mime]
    encoded = base64.b64encode(content.encode()).decode() if mime == "image/svg+xml" else "".join(content.split())
    label = str(details.get("alt") or data.get("text/plain", ""))
    if not label or label.startswith("<"):  # the name of a Python object describes nothing
        label = "Figure" + (f" in section {contents.headings[-1].text}" if contents.headings else "")
    width = details.get("width")
    return Part("image", f"data:{mime};base64,{encoded}", plain(label), width if isinstance(width, int) else None)


class _MarkdownRenderer(mistune.HTMLRenderer):
    def __init__(self, contents: Contents, escape: bool) -> None:
        super().__init__(escape=escape)
        self._contents = contents

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        return self._contents.add(text, level)

    # What would run something or fetch something is shown as it was written.

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if self.sanitize_url(url) != url:
            return f"[{text}]({mistune.escape(url)})"
        return super().link(text, url, title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if not url.startswith("data:image/"):
            return f"![{text}]({mistune.escape(url)})"
        return super().image(text, url, title)


def _prose(source: str, contents: Contents, *, escape: bool) -> Part:
    """Markdown as prose. Markup inside is cleaned in what the author wrote, shown as text (`escape`) in an output."""
    renderer = _MarkdownRenderer(contents, escape)
    markdown = mistune.create_markdown(renderer=renderer, plugins=["table", "strikethrough", "task_lists"])
    return Part("prose", clean(framed(str(markdown(source))), headings=True))
