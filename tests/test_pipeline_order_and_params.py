"""What a good pipeline file becomes: steps in order, parameters in place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import ParameterError
from thresher.parameters.notebook import Parameter, parameters
from thresher.pipeline import Pipeline, load

ANYTHING = "a = None\nb = None\nc = None\nsource = None\ntarget = None"


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Pipeline]:
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    cell = nbformat.v4.new_code_cell(ANYTHING, metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "notebooks" / "n.ipynb")

    def load_text(text: str, params: dict[str, Any] | None = None, *held: str) -> Pipeline:
        file = tmp_path / "pipelines" / "x.yml"
        file.write_text(text, "utf-8")
        return load(file, params, exists=lambda name: name in held)

    return load_text


def steps(**reads_and_writes: tuple[str, str]) -> str:
    lines = [
        f"  {name}: {{notebook: notebooks/n.ipynb, reads: {{source: {reads}}}, writes: {{target: {writes}}}}}"
        for name, (reads, writes) in reads_and_writes.items()
    ]
    return "name: x\nsteps:\n" + "\n".join(lines)


def with_params(params: str, arguments: str) -> str:
    return f"name: x\nparams: {params}\nsteps:\n  s:\n    notebook: notebooks/n.ipynb\n    with: {arguments}\n"


def test_order_follows_from_reads_and_writes(loaded: Callable[..., Pipeline]) -> None:
    text = steps(star=("[curated.a, curated.b]", "mart.f"), b=("raw.b", "curated.b"), a=("{x: raw.a}", "curated.a"))
    found = loaded(text, None, "raw.a", "raw.b")
    assert [(step.name, step.after) for step in found.steps] == [("b", ()), ("a", ()), ("star", ("a", "b"))]
    assert found.steps[2].reads == ("curated.a", "curated.b")
    assert found.steps[1].arguments == {"source": {"x": "raw.a"}, "target": "curated.a"}


def test_a_dataset_that_the_lake_holds_needs_no_writer(loaded: Callable[..., Pipeline]) -> None:
    (step,) = loaded(steps(a=("raw.a", "curated.a")), None, "raw.a").steps
    assert step.after == ()


def test_a_reference_alone_keeps_its_type_and_within_text_becomes_text(loaded: Callable[..., Pipeline]) -> None:
    text = with_params("{n: 3, keys: [id, no]}", '{a: "${n}", b: "v${n}/${n}", c: {deep: ["${keys}", "$${n}"]}}')
    (step,) = loaded(text).steps
    assert step.arguments == {"a": 3, "b": "v3/3", "c": {"deep": [["id", "no"], "${n}"]}}


@pytest.mark.parametrize("value", ["quo\"te's", "two\nlines", "${a}", "$${b}", "Übung 😀", "a\\b", "{x}", ""])
def test_a_value_is_put_in_once_and_as_it_is(loaded: Callable[..., Pipeline], value: str) -> None:
    (step,) = loaded(with_params("{p: x}", '{a: "${p}", b: "-${p}-"}'), {"p": value}).steps
    assert step.arguments == {"a": value, "b": f"-{value}-"}


@pytest.mark.parametrize(
    ("default", "given_text", "value"),
    [
        ("text", "001", "001"),
        ("text", "true", "true"),
        ("text", "", ""),
        ("5", "7", 7),
        ("1.5", "2", 2.0),
        ("true", "false", False),
        ("[a]", "[1, x]", [1, "x"]),
        ("{a: 1}", "{b: 2}", {"b": 2}),
        ("null", "7", 7),
        ("null", "x", "x"),
    ],
)
def test_an_override_takes_the_type_of_the_default(
    loaded: Callable[..., Pipeline], default: str, given_text: str, value: Any
) -> None:
    found = loaded(with_params(f"{{p: {default}}}", '{a: "${p}"}'), {"p": given_text})
    assert found.params == {"p": value}
    assert type(found.steps[0].arguments["a"]) is type(value)


@pytest.mark.parametrize(
    ("default", "given_text", "reason"),
    [
        ("5", "x", "found text ('x'), expected a whole number, as the default is"),
        ("5", "1.5", "found a number (1.5), expected a whole number, as the default is"),
        ("5", "true", "found true or false (True), expected a whole number, as the default is"),
        ("true", "1", "found a whole number (1), expected true or false, as the default is"),
        ("[a]", "a", "found text ('a'), expected a list, as the default is"),
        ("5", "007", "a number with leading zeros would lose them (found 7); put it in quotes"),
        ("5", "[", "no YAML: expected the node content, but found the end. Expected int: -p p=1"),
    ],
)
def test_an_override_of_another_type_is_refused(
    loaded: Callable[..., Pipeline], default: str, given_text: str, reason: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        loaded(with_params(f"{{p: {default}}}", '{a: "${p}"}'), {"p": given_text})
    assert str(caught.value).startswith(f"pipelines/x.yml: -p p={given_text}: {reason}")


def test_an_override_that_nobody_declared_is_refused(loaded: Callable[..., Pipeline]) -> None:
    with pytest.raises(ParameterError) as caught:
        loaded(with_params("{landing: x}", "{}"), {"lading": "y"})
    assert str(caught.value) == "pipelines/x.yml: unknown parameter -p lading=y. Did you mean landing?"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",))))
def test_any_text_default_of_a_notebook_is_read_as_it_is(text: str) -> None:
    assert parameters(f"x = {text!r}")["x"].default == text


@pytest.mark.parametrize(
    ("declaration", "accepted", "refused"),
    [
        ("x: str", ["", "a"], [1, None, ["a"]]),
        ("x: int", [1, -1], [True, 1.5, "1"]),
        ("x: float", [1, 1.5], [True, "1.5"]),
        ("x: bool", [True], [1, "true"]),
        ("x: 'str | None'", ["a", None], [1]),
        ("x: Optional[int]", [1, None], ["a"]),
        ("x: list[int | str]", [[], [1, "a"]], [[None], "a", [True]]),
        ("x: dict[str, list[int]]", [{}, {"a": [1]}], [{"a": 1}, []]),
        ("x: Literal['full', 'delta']", ["full"], ["fast", None]),
        ("x: th.Landing", ["a/*"], [1]),
        ("x: typing.Any", [1, None], []),
        ("x = 5", [6], ["6", None]),
        ("x = ['a']", [[1]], ["a"]),
        ("x = None", [1, "a", None], []),
        ("x = 60 * 60", [1, "a"], []),
    ],
)
def test_types_of_a_notebook(declaration: str, accepted: list[Any], refused: list[Any]) -> None:
    parameter: Parameter = parameters(declaration)["x"]
    assert [value for value in accepted + refused if parameter.accepts(value)] == accepted


def test_a_type_without_default_and_a_sample_must_be_given() -> None:
    found = parameters("import x\na: int\nb: int = 1\nc = None\nd['k'] = 3\ne, f = 1, 2\ng: th.Sample[str] = 's'")
    assert {name: each.is_required for name, each in found.items()} == {"a": True, "b": False, "c": False, "g": True}
    assert found["g"].type == "str"
