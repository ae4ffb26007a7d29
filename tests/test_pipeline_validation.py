"""A pipeline file is refused before anything runs, with file, line, what was found and what was expected."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from thresher.errors import InvalidName, LandingNotFound, ParameterError, PipelineError, UsageError
from thresher.pipeline import Pipeline, find, load

INGEST = """\
lake: str = "lake"
source: th.Landing = "data/*.json"  # what arrives
target: str = "raw.a"
key: list[str] = ["id"]
limit: int | None = None
"""
MERGE = "tables: dict[str, str]\nname: str = ''"


def notebook(path: Path, parameters: str | None) -> None:
    cells = [nbformat.v4.new_code_cell("import thresher as th")]
    if parameters is not None:
        cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("pipelines", "notebooks", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data" / "a.json").write_text("{}")
    notebook(tmp_path / "notebooks" / "ingest.ipynb", INGEST)
    notebook(tmp_path / "notebooks" / "merge.ipynb", MERGE)
    notebook(tmp_path / "notebooks" / "plain.ipynb", None)
    notebook(tmp_path / "notebooks" / "odd.ipynb", "when: datetime = None")
    return tmp_path


@pytest.fixture
def loaded(project: Path) -> Callable[..., Pipeline]:
    def load_text(text: str, *held: str, **params: object) -> Pipeline:
        file = project / "pipelines" / "x.yml"
        file.write_text(text, "utf-8")
        return load(file, params, exists=lambda name: name in held)

    return load_text


def one_step(*lines: str) -> str:
    return "name: x\nsteps:\n  a:\n    notebook: notebooks/ingest.ipynb\n" + "".join(f"    {line}\n" for line in lines)


CASES: list[tuple[str, str, str, type[UsageError]]] = [
    (
        "empty file",
        "",
        "pipelines/x.yml:1: found nothing, expected a mapping with name, params and steps",
        PipelineError,
    ),
    (
        "a list",
        "- a",
        "pipelines/x.yml:1: found a list (['a']), expected a mapping with name, params and steps",
        PipelineError,
    ),
    (
        "no YAML",
        "name: x\nsteps: [a\nb: c",
        "pipelines/x.yml:3: no valid YAML: expected ',' or ']', but got ':' while parsing a flow sequence",
        PipelineError,
    ),
    (
        "a key twice",
        'name: x\nname: "y"',
        'pipelines/x.yml:2: no valid YAML: found duplicate key "name" with value "y" (original value: "x") '
        "while constructing a mapping",
        PipelineError,
    ),
    (
        "nothing in it",
        "description: x",
        "pipelines/x.yml:1: name is missing\npipelines/x.yml:1: steps is missing",
        PipelineError,
    ),
    ("no steps", "name: x\nsteps: {}", "pipelines/x.yml:2: steps: found none, expected at least one", PipelineError),
    (
        "steps as a list",
        "name: x\nsteps: [a]",
        "pipelines/x.yml:2: steps: found a list (['a']), expected a mapping",
        PipelineError,
    ),
    (
        "a bad name",
        "name: My Pipeline\nsteps:\n  a: {notebook: notebooks/ingest.ipynb}",
        "pipelines/x.yml:1: name: found 'My Pipeline', expected lower-case letters, digits, _ and -, beginning with a "
        "letter, at most 64",
        PipelineError,
    ),
    (
        "an unknown key",
        one_step("raeds: {}"),
        "pipelines/x.yml:5: unknown key 'raeds'. Did you mean reads?",
        PipelineError,
    ),
    (
        "report as text",
        one_step("report: 'yes'"),
        "pipelines/x.yml:5: report: found text ('yes'), expected true or false",
        PipelineError,
    ),
    (
        "a step that is text",
        "name: x\nsteps:\n  a: notebooks/ingest.ipynb",
        "pipelines/x.yml:3: step a: found text ('notebooks/ingest.ipynb'), expected a mapping with notebook, reads, "
        "writes, …",
        PipelineError,
    ),
    (
        "an unknown engine",
        one_step("engine: sparc"),
        "pipelines/x.yml:5: engine: found 'sparc', expected duckdb, spark or sc://host:port "
        "(--engine, THRESHER_ENGINE)",
        UsageError,
    ),
    (
        "no such notebook",
        "name: x\nsteps:\n  a:\n    notebook: notebooks/ingset.ipynb",
        "pipelines/x.yml:4: no notebook notebooks/ingset.ipynb. Did you mean notebooks/ingest.ipynb?",
        PipelineError,
    ),
    (
        "no parameters cell",
        "name: x\nsteps:\n  a:\n    notebook: notebooks/plain.ipynb",
        "pipelines/x.yml:4: notebook: plain.ipynb: no cells tagged 'parameters', expected one. In JupyterLab: select "
        "the cell, Property Inspector, Add Tag.",
        ParameterError,
    ),
    (
        "a type that YAML has not",
        "name: x\nsteps:\n  a:\n    notebook: notebooks/odd.ipynb",
        "pipelines/x.yml:4: notebook: odd.ipynb: line 1 of the cell 'parameters' is no Python: "
        "type 'datetime' is not one of str, Landing, Date, Secret, int, float, bool, list, dict, None, Any, Literal, "
        "Annotated[…, Ge(…)], list[…], dict[…], … | None. Expected plain assignments: name: type = default  # comment",
        ParameterError,
    ),
    (
        "an unknown parameter",
        one_step("with: {sauce: data/a.json}"),
        "pipelines/x.yml:5: notebooks/ingest.ipynb has no parameter 'sauce'. Did you mean source?",
        ParameterError,
    ),
    (
        "a wrong type",
        one_step("with:", "  key: id", "  limit: '5'"),
        "pipelines/x.yml:6: key: found text ('id'), notebooks/ingest.ipynb expects list[str]\n"
        "pipelines/x.yml:7: limit: found text ('5'), notebooks/ingest.ipynb expects int | None",
        ParameterError,
    ),
    (
        "a missing parameter",
        "name: x\nsteps:\n  a:\n    notebook: notebooks/merge.ipynb",
        "pipelines/x.yml:3: step a: missing tables (dict[str, str]), which notebooks/merge.ipynb must be given",
        ParameterError,
    ),
    (
        "the lake as a parameter",
        one_step("with: {lake: mine}"),
        "pipelines/x.yml:5: lake is given by the runner; take it away (thresher run --lake …)",
        ParameterError,
    ),
    (
        "a parameter twice",
        one_step("with: {target: raw.a}", "writes: {target: raw.b}"),
        "pipelines/x.yml:6: target stands under writes and under with (line 5)",
        PipelineError,
    ),
    (
        "an unknown reference",
        one_step('with: {target: "${landign}/a"}').replace("steps:", "params: {landing: data}\nsteps:"),
        "pipelines/x.yml:6: unknown ${landign}. Did you mean landing?",
        PipelineError,
    ),
    (
        "params that refer to each other",
        'name: x\nparams: {a: data, b: "${a}/x"}\nsteps:\n  a: {notebook: notebooks/ingest.ipynb}',
        "pipelines/x.yml:2: b: params cannot refer to each other (found '${a}/x')",
        PipelineError,
    ),
    (
        "an instant",
        one_step("with: {target: 2026-01-01 10:30:00}"),
        "pipelines/x.yml:5: target: found 2026-01-01 10:30:00 (datetime), expected text, number, list or mapping: "
        "put it in quotes",
        PipelineError,
    ),
    (
        "leading zeros",
        one_step("with: {target: 001}"),
        "pipelines/x.yml:5: target: a number with leading zeros would lose them (found 1); put it in quotes",
        PipelineError,
    ),
    (
        "two writers",
        "name: x\nsteps:\n  a: {notebook: notebooks/ingest.ipynb, writes: {target: raw.a}}\n"
        "  b: {notebook: notebooks/ingest.ipynb, writes: {target: raw.a}}",
        "pipelines/x.yml:4: step b writes raw.a, which step a writes too; expected one",
        PipelineError,
    ),
    (
        "a loop",
        "name: x\nsteps:\n"
        "  a: {notebook: notebooks/merge.ipynb, reads: {tables: {x: raw.c}}, writes: {name: raw.a}}\n"
        "  b: {notebook: notebooks/merge.ipynb, reads: {tables: {x: raw.a}}, writes: {name: raw.b}}\n"
        "  c: {notebook: notebooks/merge.ipynb, reads: {tables: {x: raw.b}}, writes: {name: raw.c}}",
        "pipelines/x.yml:3: the steps wait for each other: a → b → c → a",
        PipelineError,
    ),
    (
        "a step that reads what it writes",
        "name: x\nsteps:\n  a: {notebook: notebooks/merge.ipynb, reads: {tables: {x: raw.a}}, writes: {name: raw.a}}",
        "pipelines/x.yml:3: the steps wait for each other: a → a",
        PipelineError,
    ),
    (
        "a read from nowhere",
        "name: x\nsteps:\n  a: {notebook: notebooks/merge.ipynb, reads: {tables: {x: raw.zero}}}",
        "pipelines/x.yml:3: step a reads raw.zero, which no step writes and the lake does not hold. There are none.",
        PipelineError,
    ),
]


@pytest.mark.parametrize(("text", "message", "kind"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_bad_file_is_refused_by_line(
    loaded: Callable[..., Pipeline], text: str, message: str, kind: type[UsageError]
) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(text)
    assert str(caught.value) == message
    assert type(caught.value) is kind


def test_a_dataset_name_must_be_one(loaded: Callable[..., Pipeline]) -> None:
    with pytest.raises(InvalidName, match=r"^pipelines/x.yml:5: target: dataset name 'gold.a' is not allowed"):
        loaded(one_step("writes: {target: gold.a}"))


@pytest.mark.parametrize("source", ["data/*.csv", "nowhere", "nowhere/**/*.json"])
def test_landing_without_files_is_refused(loaded: Callable[..., Pipeline], source: str) -> None:
    with pytest.raises(LandingNotFound, match=r"^pipelines/x.yml:5: source: .*landing"):
        loaded(one_step(f"with: {{source: '{source}'}}"))


def test_landing_is_looked_for_where_the_default_points(loaded: Callable[..., Pipeline], project: Path) -> None:
    (project / "data" / "a.json").unlink()
    with pytest.raises(LandingNotFound, match=r"^pipelines/x.yml:3: source: "):
        loaded(one_step())


def test_all_problems_are_told_at_once(loaded: Callable[..., Pipeline]) -> None:
    with pytest.raises(PipelineError) as caught:
        loaded(one_step("engin: spark", "with: {sauce: 1}"))
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        "pipelines/x.yml:5",
        "pipelines/x.yml:6",
    ]


def test_a_file_that_is_no_text_is_refused(project: Path) -> None:
    file = project / "pipelines" / "x.yml"
    file.write_bytes(b"name: \xff\xfe")
    with pytest.raises(PipelineError, match=r"^pipelines/x.yml:1: no valid YAML: 'utf-8' codec can't decode"):
        load(file, exists=lambda name: False)


def test_a_pipeline_is_found_by_its_bare_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pipelines" / "courses.yml").touch()
    monkeypatch.chdir(project / "notebooks")
    assert find("courses") == project / "pipelines" / "courses.yml"
    assert find("courses.yml") == project / "pipelines" / "courses.yml"
    with pytest.raises(
        PipelineError, match=r"no pipeline 'coarses': found no file .*coarses.yml. Did you mean courses?"
    ):
        find("coarses")


def test_a_file_that_a_parameter_names_must_be_there(project: Path, loaded: Callable[..., Pipeline]) -> None:
    text = "name: x\nsteps:\n  a:\n    notebook: notebooks/merge.ipynb\n    with: {tables: {}, name: queries/a.sql}\n"
    with pytest.raises(ParameterError) as error:
        loaded(text)
    assert str(error.value) == "pipelines/x.yml:5: name: file queries/a.sql is not there"
    (project / "queries").mkdir()
    (project / "queries" / "a.sql").write_text("select 1 as one")
    assert loaded(text).steps[0].arguments["name"] == "queries/a.sql"
