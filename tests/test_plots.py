"""Figures: the same bytes for the same data, labels that are text, and words for those who cannot see them."""

import xml.etree.ElementTree as ET
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pytest
from matplotlib.font_manager import findfont, get_font

from thresher.plots import Plot, barh, line, style


def labels(plot: Plot) -> list[str]:
    (axes,) = plot.figure.axes
    return [label.get_text() for label in axes.get_yticklabels()]


def test_the_same_data_give_the_same_bytes_whatever_the_users_settings() -> None:
    first = barh(["a", "b"], [1, 2], unit="kg", title="Weight").svg()
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "svg.hashsalt": None}):
        again = barh(["a", "b"], [1, 2], unit="kg", title="Weight").svg()
    assert first == again
    assert "<!--" not in first and "<dc:date>" not in first and "matplotlib.org" not in first


@pytest.mark.parametrize("text", ["from $5 to $9", r"\frac{a}{b} $", "<script>alert(1)</script>", "a --> b", "]]>"])
def test_labels_from_data_are_drawn_as_they_are(text: str) -> None:
    plot = barh([text, text], [1, 2], unit=text, title=text)
    assert labels(plot) == [text, text]
    assert ET.fromstring(plot.svg()).tag == "{http://www.w3.org/2000/svg}svg"
    assert plot.alt == f"{text}, {text}: {text} 1; {text} 2."


def test_a_dollar_in_a_label_is_drawn_and_not_read_as_a_formula() -> None:
    dollar = get_font(findfont("DejaVu Sans")).get_char_index(ord("$"))
    assert f'id="DejaVuSans-{dollar:x}"' in barh(["from $5 to $9"], [1], unit="EUR", title="Price").svg()


def test_labels_that_svg_cannot_hold_are_brought_onto_one_short_line() -> None:
    plot = barh(["two\nlines\x00", "x" * 60, 7], [1, 2, 3], unit="rows", title="Rows")
    assert labels(plot) == ["two lines ", "x" * 37 + "…", "7"]
    ET.fromstring(plot.svg())


def test_words_name_twelve_bars_and_count_the_rest() -> None:
    assert barh(range(14), range(14), unit="rows", title="Rows").alt == (
        "Rows, rows: 0 0; 1 1; 2 2; 3 3; 4 4; 5 5; 6 6; 7 7; 8 8; 9 9; 10 10; 11 11; and 2 more."
    )


def test_no_data_give_an_empty_figure_that_says_so() -> None:
    assert barh([], [], unit="rows", title="Rows").alt == "Rows, rows: no values."
    assert line([], {"a": []}, unit="rows", title="Rows").alt == "Rows, rows: no values."
    ET.fromstring(barh([], [], unit="rows", title="Rows").svg())


@pytest.mark.parametrize("draw", [lambda: barh(["a"], [1, 2], unit="u", title="t"),
                                  lambda: line([1], {"a": [1, 2]}, unit="u", title="t")])  # fmt: skip
def test_labels_and_values_must_pair(draw: Any) -> None:
    with pytest.raises(ValueError, match="zip"):
        draw()


def test_a_notebook_gets_a_drawing_with_its_words() -> None:
    data, metadata = line([1, 2], {"open": [5, 7.5]}, unit="courses", title="Open")._repr_mimebundle_(include=None)
    assert set(data) == {"image/svg+xml", "text/plain"}
    assert data["text/plain"] == "Open, courses: open from 5 to 7.50."
    assert metadata == {"image/svg+xml": {"alt": "Open, courses: open from 5 to 7.50."}}


def test_a_figure_made_by_pyplot_is_not_shown_twice() -> None:
    with style():
        figure, axes = plt.subplots()
        axes.plot([1, 2])
    Plot(figure, "A line")
    assert plt.get_fignums() == []
