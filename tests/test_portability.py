"""`thresher check portable`: what the embedded engine would refuse, by step, file and place, without a run."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from thresher import portability
from thresher.cli.main import main
from thresher.lake import Lake

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "05_fact.ipynb"
PIPELINE = """
name: p
steps:
  good:
    notebook: notebooks/05_fact.ipynb
    reads: {sources: [raw.t]}
    with: {query: pipelines/good.sql, grain: [a], dimensions: {}, lookups: {}}
    writes: {target: mart.good}
  bad:
    notebook: notebooks/05_fact.ipynb
    reads: {sources: [raw.t]}
    with: {query: "select a, uuid() as key from raw.t", grain: [a], dimensions: {}, lookups: {}}
    writes: {target: mart.bad}
  elsewhere:
    notebook: notebooks/05_fact.ipynb
    engine: spark
    reads: {sources: [raw.t]}
    with: {query: "select uuid() as a from raw.t", grain: [a], dimensions: {}, lookups: {}}
    writes: {target: mart.elsewhere}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one pipeline with a good query, a bad one, and one for Spark; its lake holds what they read."""
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "notebooks" / "05_fact.ipynb").write_bytes(NOTEBOOK.read_bytes())
    (tmp_path / "pipelines" / "p.yml").write_text(PIPELINE)
    (tmp_path / "pipelines" / "good.sql").write_text("select a, sum(b) as s\nfrom raw.t group by a\n")
    monkeypatch.chdir(tmp_path)
    Lake(tmp_path / "lake").write("raw.t", [{"a": "x", "b": 1}])
    return tmp_path


def test_each_query_is_portable_or_named_with_its_place(project: Path) -> None:
    found = portability.check("p")
    assert [(f.step, f.query, f.is_typed, bool(f.problem)) for f in found.findings] == [
        ("good", "pipelines/good.sql", True, False),
        ("bad", "query", True, True),
    ]
    assert found.findings[1].problem.startswith("query:1:11: function uuid is not part of the portable SQL")
    assert found.on_spark == ("elsewhere",)
    assert not found.is_portable


def test_values_stand_for_their_names(project: Path) -> None:
    (project / "pipelines" / "good.sql").write_text("select a, sum(b) as s from raw.t where b > :least group by a\n")
    file = project / "pipelines" / "p.yml"
    file.write_text(PIPELINE.replace("pipelines/good.sql,", "pipelines/good.sql, params: {least: 1},"))
    assert portability.check("p").findings[0].problem == ""
    file.write_text(PIPELINE.replace("pipelines/good.sql,", "pipelines/good.sql, params: {most: 1},"))
    assert "names :least, which got no value" in portability.check("p").findings[0].problem


def test_types_are_checked_where_the_datasets_are_there(project: Path) -> None:
    (project / "pipelines" / "good.sql").write_text("select a, s\nfrom raw.t group by date_add(a, b)\n")
    assert portability.check("p").findings[0].problem.startswith("pipelines/good.sql:1:11: no column s.")


def test_a_wrong_type_is_found_in_its_line(project: Path) -> None:
    (project / "pipelines" / "good.sql").write_text("select a,\n  sum(array(b)) as s\nfrom raw.t group by a\n")
    assert "pipelines/good.sql:2:" in portability.check("p").findings[0].problem


def test_the_command_says_it_and_exits_with_1(project: Path) -> None:
    result = CliRunner().invoke(main, ["check", "portable", "p"])
    lines = result.output.splitlines()
    assert result.exit_code == 1
    assert lines[0] == "good  pipelines/good.sql  portable"
    assert lines[1].startswith("bad  query  query:1:11: function uuid is not part of the portable SQL")
    assert lines[2:] == ["elsewhere  runs on Spark: not checked", "p: 1 of 2 queries would be refused"]
