"""Figures in the house style: quiet, readable by the colour-blind, the same bytes whenever the data are the same.

A figure is made inside `style()` and shown as a `Plot`, which carries the words for readers who cannot see it.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any

import matplotlib.style
from cycler import cycler
from matplotlib.figure import Figure

# Okabe and Ito's palette (Color Universal Design, 2008), without its yellow, which is lost on white paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
INK, MUTED, RULE = "#222222", "#5f5f5f", "#cccccc"
WIDTH_IN = 5.6  # readable on a telephone's screen, where it is shown at two thirds of its size
LONGEST_LABEL = 38

HOUSE: Mapping[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": RULE,
    "axes.grid": False,
    "axes.labelcolor": MUTED,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "date.converter": "concise",
    "figure.dpi": 100,
    "figure.figsize": (WIDTH_IN, 3.2),
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "font.size": 10.5,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.transparent": True,  # the page's paper shows through, light or dark
    "svg.fonttype": "path",
    "svg.hashsalt": "thresher",  # ids in the SVG are random without it
    "text.color": INK,
    "text.parse_math": False,  # a $ in a label is money, not the begin of a formula
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.color": RULE,
    "ytick.labelcolor": INK,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the house style, from matplotlib's defaults and whatever the user's own settings are.

    >>> with style():
    ...     figure = Figure()
    ...     _ = figure.subplots().plot([1, 2, 3])
    >>> Plot(figure, "Three points on a line").alt
    'Three points on a line'
    """
    with matplotlib.style.context(["default", dict(HOUSE)]):
        yield


@dataclass(frozen=True)
class Plot:
    """A figure and the words that stand for it: what it shows, in a sentence. Displays as SVG."""

    figure: Figure
    alt: str

    def __post_init__(self) -> None:
        # A figure made by pyplot would be shown by the notebook a second time, in the notebook's style.
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            pyplot.close(self.figure)

    def svg(self) -> str:
        """The figure as SVG text: no date, no version, no random ids, no comments with data in them."""
        with style():
            drawn = StringIO()
            self.figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
        return re.sub(r"<!--.*?-->\s*", "", drawn.getvalue(), flags=re.DOTALL)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, Any]]:
        return {"image/svg+xml": self.svg(), "text/plain": self.alt}, {"image/svg+xml": {"alt": self.alt}}


def barh(labels: Sequence[object], values: Sequence[float], *, unit: str, title: str) -> Plot:
    """Draw one bar per label, first at the top, with its value written beside it. Values are in `unit`.

    Raises ValueError when there are not as many labels as values.

    >>> barh(["basic", "advanced"], [12, 30.5], unit="EUR", title="Price per level").alt
    'Price per level, EUR: basic 12; advanced 30.50.'
    """
    rows = [(_label(label), value) for label, value in zip(labels, values, strict=True)]
    with style():
        figure = Figure(figsize=(WIDTH_IN, 1.1 + 0.34 * max(len(rows), 1)))
        axes = figure.subplots()
        # By place and not by label: two rows with one label are two bars.
        bars = axes.barh(range(len(rows)), [value for _, value in rows], height=0.66)
        axes.bar_label(bars, [_number(value) for _, value in rows], padding=4, color=INK)
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.tick_params(length=0)
        axes.set_xticks([])
        axes.margins(x=0.12)
        axes.invert_yaxis()
        axes.spines["bottom"].set_visible(False)
        _entitle(axes, title, unit)
    return Plot(figure, _alt(title, unit, rows))


def line(x: Sequence[Any], series: Mapping[str, Sequence[float]], *, unit: str, title: str) -> Plot:
    """Draw one line per entry of `series` over x (dates or numbers), named at its end. Values are in `unit`.

    Raises ValueError when a series has not as many values as x.

    >>> line([2024, 2025], {"enrolled": [110, 140]}, unit="students", title="Enrolment").alt
    'Enrolment, students: enrolled from 110 to 140.'
    """
    with style():
        figure = Figure()
        axes = figure.subplots()
        for number, (name, values) in enumerate(series.items()):
            points = list(zip(x, values, strict=True))
            color = PALETTE[number % len(PALETTE)]
            axes.plot([place for place, _ in points], [value for _, value in points], color=color)
            if points:
                _write(axes, _label(name), points[-1], "data", (6, 0), color=color, va="center")
        axes.grid(axis="y")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        axes.yaxis.set_major_formatter(lambda value, _: _number(value))
        _entitle(axes, title, unit)
    ends = [f"{_label(name)} from {_number(v[0])} to {_number(v[-1])}" for name, v in series.items() if len(v)]
    return Plot(figure, f"{title}, {unit}: {'; '.join(ends) or 'no values'}.")


def _entitle(axes: Any, title: str, unit: str) -> None:
    axes.set_title(f"{_label(title, 70)}\n", loc="left")
    _write(axes, _label(unit), (0, 1), "axes fraction", (0, 8), color=MUTED)


def _write(axes: Any, text: str, at: tuple[Any, Any], where: str, offset_pt: tuple[int, int], **look: str) -> None:
    axes.annotate(text, at, offset_pt, where, "offset points", annotation_clip=False, **look)


def _alt(title: str, unit: str, rows: Sequence[tuple[str, float]]) -> str:
    shown = "; ".join(f"{label} {_number(value)}" for label, value in rows[:12])
    more = f"; and {len(rows) - 12} more" if len(rows) > 12 else ""
    return f"{title}, {unit}: {shown or 'no values'}{more}."


def _label(value: object, longest: int = LONGEST_LABEL) -> str:
    """A label on one line, without control characters, which SVG cannot hold."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _number(value: float) -> str:
    """A figure with thousands separators, to two decimals where it is no whole number.

    >>> _number(1234567), _number(0.5), _number(float("nan"))
    ('1,234,567', '0.50', 'nan')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
