"""The typed contract of a pipeline: what notebooks promise is checked before a kernel starts, and told by --help."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import pytest

from thresher.errors import ParameterError, PipelineError, UsageError
from thresher.parameters.notebook import parameters
from thresher.pipeline import Pipeline, begun, load

CELL = """\
from typing import Annotated, Literal
from annotated_types import Ge, Le, MaxLen, MinLen
from thresher import Date, Secret
month: Annotated[int, Ge(1), Le(12)] = 1  # calendar month
since: Date | None = None  # first day
mode: Literal['full', 'delta'] = 'full'  # what to load
codes: Annotated[list[str], MinLen(1), MaxLen(3)] = ['a']
days: list[Date] = []
rate: float = 0.5
text: str = ''
anything = None
password: Secret | None = None
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    cell = nbformat.v4.new_code_cell(CELL, metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "notebooks" / "n.ipynb")
    return tmp_path


@pytest.fixture
def loaded(project: Path) -> Callable[..., Pipeline]:
    def load_text(params: str, arguments: str, day: date | None = None, **given: Any) -> Pipeline:
        file = project / "pipelines" / "x.yml"
        file.write_text(
            f"name: x\nparams: {params}\nsteps:\n  s:\n    notebook: notebooks/n.ipynb\n    with: {arguments}\n"
        )
        return load(file, given, exists=lambda name: False, date=day)

    return load_text


@pytest.mark.parametrize(
    ("declaration", "accepted", "refused"),
    [
        ("x: Date", ["2024-02-29"], ["2026-02-29", "20260101", "2026-1-1", "today", None, 20260101]),
        ("x: date | None", ["2026-01-01", None], ["1.1.2026"]),
        ("x: Annotated[int, Ge(1), Le(12)]", [1, 12], [0, 13, 1.0, True, None]),
        ("x: Annotated[float, annotated_types.Gt(0), Lt(lt=1)]", [0.5], [0, 1, float("nan"), "0.5"]),
        ("x: Annotated[float, Interval(ge=-1, lt=1)]", [-1, 0.9], [1, -1.5]),
        ("x: Annotated[str, MinLen(2), MaxLen(3), 'a code']", ["ab", "abc"], ["a", "abcd", 12]),
        ("x: Annotated[list[int], Len(1, 2)]", [[1], [1, 2]], [[], [1, 2, 3], ["a"]]),
        ("x: list[Annotated[int, Ge(0)]] | None", [[], [0], None], [[-1]]),
        ("x: Annotated[Date, Ge('2026-01-01')]", ["2026-01-01"], ["2025-12-31", "2026-13-01"]),
        ("x: list[Literal['a', 'b']]", [["a", "b"], []], [["c"], "a"]),
        ("x: Literal[1, 2]", [1], [True, 1.0, "1"]),
        ("x: Secret", ["${secret:A}", "u:${secret:A}@h"], ["hunter2", "", None, "${secret:}"]),
        ("x: Sample[Annotated[int, Ge(1)]] = 5", [1], [0]),
    ],
)
def test_types_with_bounds(declaration: str, accepted: list[Any], refused: list[Any]) -> None:
    found = parameters(declaration)["x"]
    assert [value for value in accepted + refused if found.accepts(value)] == accepted


@pytest.mark.parametrize(
    "declaration", ["x: Annotated[int, Even()]", "x: Annotated[int, Ge(limit)]", "x: Annotated[int]", "x: Ge(1)"]
)
def test_a_bound_that_cannot_be_read_is_refused(declaration: str) -> None:
    with pytest.raises(SyntaxError, match="is not one of str, Landing, Date"):
        parameters(declaration)


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("month: 13", "month: found a whole number (13), notebooks/n.ipynb expects int (≥ 1, ≤ 12)"),
        ("since: 2026-13-01", "since: found text ('2026-13-01'), notebooks/n.ipynb expects Date (YYYY-MM-DD) | None"),
        (
            "mode: fll",
            "mode: found text ('fll'), notebooks/n.ipynb expects one of full, delta. Did you mean full?",
        ),
        ("codes: []", "codes: found a list ([]), notebooks/n.ipynb expects list[str] (length ≥ 1, length ≤ 3)"),
        (
            "days: [2026-01-01, x]",
            "days: found a list (['2026-01-01', 'x']), notebooks/n.ipynb expects list[Date (YYYY-MM-DD)]",
        ),
        (
            'month: "${n}"',
            "month (default of n): found a whole number (0), notebooks/n.ipynb expects int (≥ 1, ≤ 12)",
        ),
        (
            "password: hunter2",
            "password: found no reference to a secret (not shown), "
            'notebooks/n.ipynb expects Secret | None: "${secret:NAME}"',
        ),
        (
            'text: "x${secret:A}"',
            "text: refers to a secret, but is of type str; "
            "its type in notebooks/n.ipynb must be Secret, to be opened there by th.secret(text)",
        ),
    ],
)
def test_a_wrong_value_in_the_file_is_refused_by_line(
    loaded: Callable[..., Pipeline], argument: str, reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        loaded("{n: 0}", f"{{{argument}}}")
    assert str(caught.value) == f"pipelines/x.yml:6: {reason}"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("month", "13", "found a whole number (13), expected int (≥ 1, ≤ 12), as month of notebooks/n.ipynb"),
        ("month", "May", "found text ('May'), expected int (≥ 1, ≤ 12), as month of notebooks/n.ipynb"),
        (
            "since",
            "yesterday",
            "found text ('yesterday'), expected Date (YYYY-MM-DD) | None, as since of notebooks/n.ipynb",
        ),
        (
            "mode",
            "detla",
            "found text ('detla'), expected one of full, delta, as mode of notebooks/n.ipynb. Did you mean delta?",
        ),
        (
            "codes",
            "a,b",
            "found text ('a,b'), expected list[str] (length ≥ 1, length ≤ 3), "
            "as codes of notebooks/n.ipynb. A list is written [a,b]",
        ),
        (
            "codes",
            "[",
            "no YAML: expected the node content, but found the end. "
            "Expected list[str] (length ≥ 1, length ≤ 3): -p 'codes=[a]'",
        ),
        ("text", "[", None),
    ],
)
def test_a_given_value_takes_the_type_of_the_notebook(
    loaded: Callable[..., Pipeline], name: str, text: str, reason: str | None
) -> None:
    params = "{month: 1, since: null, mode: full, codes: [x], text: ''}"
    arguments = '{month: "${month}", since: "${since}", mode: "${mode}", codes: "${codes}", text: "${text}"}'
    good = {"month": "12", "since": "2026-11-01", "mode": "delta", "codes": "[a, b]", "text": "007"}
    if reason is None:
        assert loaded(params, arguments, **{name: text}).params[name] == text
        return
    assert loaded(params, arguments, **good).params == good | {"month": 12, "codes": ["a", "b"]}
    assert loaded(params, arguments, since="null").params["since"] is None
    with pytest.raises(ParameterError) as caught:
        loaded(params, arguments, **{name: text})
    assert str(caught.value) == f"pipelines/x.yml: -p {name}={text}: {reason}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"cells": [], "nbformat": 3, "metadata": {}}', "ValueError('nbformat 3')"),
        ('{"cells": [], "nbformat": 4}', "KeyError('metadata')"),
    ],
)
def test_what_is_no_notebook_is_refused(
    loaded: Callable[..., Pipeline], project: Path, content: str, reason: str
) -> None:
    (project / "notebooks" / "n.ipynb").write_text(content)
    with pytest.raises(ParameterError, match=re.escape(f"n.ipynb is no notebook (nbformat 4): {reason}")):
        loaded("{}", "{}")


@pytest.mark.parametrize("params", ["{w: '${secret:NOWHERE}'}", "{w: null}"])
def test_a_refused_secret_is_the_only_complaint(loaded: Callable[..., Pipeline], params: str) -> None:
    with pytest.raises(ParameterError) as caught:
        loaded(params, '{password: "${w}"}', w="abc")
    assert str(caught.value).startswith("pipelines/x.yml: -p w=…: secret w has 3 characters, expected at least 4")
    assert "\n" not in str(caught.value)


def test_a_default_that_breaks_the_notebooks_own_promise_is_refused(project: Path) -> None:
    source = "month: Annotated[int, Le(12)] = 13\nkey: Secret = 'hunter2'"
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), project / "notebooks" / "n.ipynb")
    file = project / "pipelines" / "x.yml"
    file.write_text("name: x\nsteps:\n  s: {notebook: notebooks/n.ipynb}\n")
    with pytest.raises(ParameterError) as caught:
        load(file, exists=lambda name: False)
    assert str(caught.value) == (
        "pipelines/x.yml:3: step s: notebooks/n.ipynb: the default of month is a whole number (13), "
        "expected int (≤ 12)\n"
        "pipelines/x.yml:3: step s: notebooks/n.ipynb: the default of key is no reference to a secret (not shown), "
        'expected Secret: "${secret:NAME}"'
    )


def test_references_to_the_run_and_the_environment(
    loaded: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGION", "north")
    monkeypatch.setenv("MONTH", "7")
    monkeypatch.setenv("NONE", "")
    found = loaded(
        '{day: "${run.date}", place: "${env:REGION}"}',
        '{since: "${day}", text: "${run.pipeline}/${run.date}/${place}/${env:NOWHERE:-x}${env:NONE}$${run.id}", '
        'month: "${env:MONTH}", rate: "${env:RATE:-1.5}", anything: ["${run.id}"]}',
        date(2026, 11, 1),
    )
    (step,) = found.steps
    assert step.arguments == {
        "since": "2026-11-01",
        "text": "x/2026-11-01/north/x${run.id}",
        "month": 7,
        "rate": 1.5,
        "anything": ["<run.id>"],
    }
    assert step.volatile == {"anything"}
    assert begun(found, "x-1").steps[0].arguments["anything"] == ["x-1"]
    assert found.params == {"day": "2026-11-01", "place": "north", "run.date": "2026-11-01"}


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("${run.dte}", "unknown ${run.dte}. Did you mean run.date?"),
        (
            "${nope:-x}",
            "${nope:-x}: a default goes with a variable of the environment; write ${env:nope:-x}",
        ),
        (
            "${env:THERE_IS_NONE}",
            "${env:THERE_IS_NONE}: the environment has no THERE_IS_NONE; "
            "set it, or write ${env:THERE_IS_NONE:-default}",
        ),
        ("${env:}", "${env:}: expected ${env:NAME} or ${env:NAME:-default}"),
        (
            "${env:THRESHER_SECRET_A}",
            "${env:THRESHER_SECRET_A}: a secret does not belong in a notebook; write ${secret:A}",
        ),
        (
            "${secret:a b}",
            "${secret:a b}: a secret's name has letters, digits and _, at most 64, and begins with no digit",
        ),
    ],
)
def test_a_reference_to_nothing_is_refused_by_line(
    loaded: Callable[..., Pipeline], reference: str, reason: str
) -> None:
    with pytest.raises(PipelineError) as caught:
        loaded("{}", f'{{text: "{reference}"}}')
    assert str(caught.value) == f"pipelines/x.yml:6: {reason}"


def thresher(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "thresher", *arguments], cwd=project, capture_output=True, text=True)


def test_help_tells_what_a_pipeline_takes(project: Path) -> None:
    (project / "pipelines" / "x.yml").write_text(
        "name: x\ndescription: Loads a month\nparams:\n"
        "  month: 3   # month to load,\n             # a calendar month\n"
        "  mode: full\n  since: null\n  free: [a]\n"
        "steps:\n  s:\n    notebook: notebooks/n.ipynb\n"
        '    with: {month: "${month}", mode: "${mode}", since: "${since}", text: "${free}"}\n'
    )
    shown = " ".join(thresher(project, "run", "x", "--help").stdout.split())
    assert shown.startswith("Usage: python -m thresher run [OPTIONS] PIPELINE")
    assert "Pipeline x: Loads a month" in shown
    assert "month month to load, a calendar month [int (≥ 1, ≤ 12); default: 3]" in shown
    assert "mode what to load [one of full, delta; default: full]" in shown
    assert "since first day [Date (YYYY-MM-DD) | None; default: None]" in shown
    assert "free [str; default: ['a']]" in shown
    assert thresher(project, "plan", "-h", "x").stdout.count("Pipeline x: Loads a month") == 1
    assert "Pipeline" not in thresher(project, "run", "--help").stdout.partition("Options")[2]
    assert thresher(project, "run", "y", "--help").returncode == 2


def test_the_day_of_a_run_is_an_option(project: Path) -> None:
    (project / "pipelines" / "x.yml").write_text(
        'name: x\nsteps:\n  s:\n    notebook: notebooks/n.ipynb\n    with: {since: "${run.date}"}\n'
    )
    done = thresher(project, "run", "x", "--date", "2026-02-28", "--json")
    assert done.returncode == 0, done.stderr
    (executed,) = project.glob("lake/_runs/*/s.ipynb")
    assert 'since = "2026-02-28"' in "".join(c.source for c in nbformat.read(executed, as_version=4).cells)
    assert json.loads(done.stdout)["params"] == {"run.date": "2026-02-28"}
    wrong = thresher(project, "run", "x", "--date", "2026-02-30")
    assert (wrong.returncode, "found '2026-02-30', expected a day as YYYY-MM-DD" in wrong.stderr) == (2, True)


def test_a_parameter_without_default_must_be_given(loaded: Callable[..., Pipeline]) -> None:
    with pytest.raises(ParameterError) as caught:
        loaded("{n: null}", '{month: "${n}"}')
    assert str(caught.value) == (
        "pipelines/x.yml:6: month (give it with -p n=…): found nothing, notebooks/n.ipynb expects int (≥ 1, ≤ 12)"
    )
    assert loaded("{n: null}", '{month: "${n}"}', n="12").steps[0].arguments == {"month": 12}
