"""What an HTML output shows: its tables as rows, and the text around them."""

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import html

Row = tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """Heads and rows of the tables of an output, in order, and the text outside of them."""

    heads: tuple[tuple[Row, ...], ...]
    bodies: tuple[tuple[Row, ...], ...]
    text: str


def read(markup: str) -> Shown | None:
    """The tables in HTML as pandas and frames write it; None where there is none.

    >>> read("<table><thead><tr><th>n</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table><p>1 row</p>")
    Shown(heads=((('n',),),), bodies=((('1',),),), text='1 row')
    """
    if "<table" not in markup:
        return None
    root = html.fragment_fromstring(markup, create_parent="div")
    heads, bodies = [], []
    for table in list(root.iter("table")):
        rows = list(table.iter("tr"))
        heads.append(tuple(_cells(row) for row in rows if row.getparent().tag == "thead"))
        bodies.append(_without_positions([(row, _cells(row)) for row in rows if row.getparent().tag != "thead"]))
        table.drop_tree()
    for aside in list(root.iter("style", "script")):
        aside.drop_tree()
    return Shown(tuple(heads), tuple(bodies), " ".join(root.text_content().split()))


def _cells(row: html.HtmlElement) -> Row:
    return tuple(cell.text_content() for cell in row.iter("th", "td"))


def _without_positions(rows: Sequence[tuple[html.HtmlElement, Row]]) -> tuple[Row, ...]:
    """The rows; without pandas' index where that only counts them, so that their order is the only thing that does."""
    counted = [(f"{number}",) for number in range(len(rows))]
    if rows and [tuple(cell.text_content() for cell in row.iter("th")) for row, _ in rows] == counted:
        return tuple(cells[1:] for _, cells in rows)
    return tuple(cells for _, cells in rows)
