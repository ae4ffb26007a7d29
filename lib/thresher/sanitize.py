"""What may stand on a page: text without control characters, HTML in which nothing runs and nothing is fetched."""

import re
from typing import Any
from urllib.parse import urlsplit

import lxml.html
import nh3
from markupsafe import Markup

_TAGS = set(
    "a abbr b blockquote br caption cite code col colgroup dd del details div dl dt em figcaption figure hr i img ins "
    "kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var".split()
)
_HEADINGS = {f"h{level}" for level in range(2, 7)}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "details": {"open"},
    "div": {"role", "tabindex", "aria-label"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
_CLASSES = {"div": {"scroll"}, "td": {"n", "short"}, "th": {"n"}}
# What stands inside is code, or the rubble of a drawing: shown as text it would only puzzle.
_DROPPED_WHOLE = {"script", "style", "svg", "math", "template", "noscript", "iframe", "object"}


def clean(html: str, *, headings: bool = False) -> Markup:
    """HTML in which nothing runs and nothing is fetched: harmless elements by an allow-list, images inline only.

    >>> clean('<p onclick="x()">5 &lt; 6 <a href="javascript:x()">go</a><img src="http://host/x.png" alt="A"></p>')
    Markup('<p>5 &lt; 6 <a rel="noopener noreferrer">go</a><img alt="A"></p>')
    """
    return Markup(
        nh3.clean(
            html,
            tags=_TAGS | _HEADINGS if headings else _TAGS,
            attributes=_ATTRIBUTES | {tag: {"id"} for tag in _HEADINGS if headings},
            attribute_filter=_allowed_value,
            allowed_classes=_CLASSES,
            clean_content_tags=_DROPPED_WHOLE,
            url_schemes={"http", "https", "mailto", "data"},
        )
    )


def _allowed_value(tag: str, name: str, value: str) -> str | None:
    if name == "src":
        return value if value.startswith("data:image/") else None
    if name == "href":
        return None if urlsplit(value).scheme == "data" else value
    return value


_NUMBER = re.compile(r"[-+−]?(?!0\d)\d[\d,\u202f\u00a0]*(\.\d+)?(e[-+]?\d+)?\s?%?", re.IGNORECASE)
_SHORT = 24  # characters that stay on one line: dates, codes, names
_BLANK = {"", "NaN", "None", "NaT", "<NA>", "null", "nan", "..."}


def framed(html: str) -> str:
    """HTML whose tables scroll in frames of their own, and whose columns of numbers (n) and short texts are marked.

    Not safe by itself: to be cleaned afterwards. Digits behind a leading zero are a code, not a number.

    >>> framed("<table><tr><td>0042</td><td>7</td></tr></table>").count('class="n"')
    1
    """
    if "<table" not in html.lower():
        return html
    root = lxml.html.fragment_fromstring(html, create_parent="div", parser=lxml.html.HTMLParser(huge_tree=True))
    for table in list(root.iter("table")):
        _mark_cells(table)
        frame = lxml.html.Element("div", {"class": "scroll", "role": "region", "aria-label": "Table", "tabindex": "0"})
        frame.tail, table.tail = table.tail, None
        table.getparent().replace(table, frame)
        frame.append(table)
    return lxml.html.tostring(root, encoding="unicode")


def _mark_cells(table: Any) -> None:
    rows = [row.xpath("./td|./th") for row in table.iter("tr")]
    width = max(map(len, rows), default=0)
    # Counted from the right: cells that span rows stand at the left, and leave the rows below them shorter.
    for place in range(1, width + 1):
        column = [(row[-place], len(row)) for row in rows if len(row) >= place]
        texts = {cell.text_content().strip() for cell, _ in column if cell.tag == "td"} - _BLANK
        if texts and all(_NUMBER.fullmatch(text) for text in texts):
            for cell, row_width in column:
                if cell.tag == "td" or row_width == width:
                    cell.set("class", "n")
        elif max(map(len, texts), default=0) <= _SHORT:
            for cell, _ in column:
                cell.set("class", "short")


_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    r"""What a terminal would show, without colours: escape sequences gone, overwritten progress gone.

    >>> plain("\x1b[31mred\x1b[0m 10 %\rred 100 %\n")
    'red 100 %\n'
    """
    lines = _ANSI.sub("", text).split("\n")
    return printable("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))


def printable(text: str) -> str:
    """Text that can be written as UTF-8 and as HTML: a control character becomes U+FFFD, half a surrogate its number.

    >>> printable("a\\x00b\\ud83d")
    'a\ufffdb\\\\ud83d'
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.encode("utf-8", "backslashreplace").decode("utf-8"))
