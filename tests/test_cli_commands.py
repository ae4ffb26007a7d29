"""The command: its exit codes, its messages, and what it prints where."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result

from thresher.cli.main import main
from thresher.lake import Lake
from thresher.ledger import Ledger

PIPELINE = """\
name: courses
description: From landing to mart
steps:
  star: {notebook: notebooks/n.ipynb, reads: {source: raw.courses}, writes: {target: mart.courses}, report: true}
  ingest: {notebook: notebooks/n.ipynb, writes: {target: raw.courses}, engine: spark}
"""
HEAVY = ("pandas", "pyarrow", "duckdb", "deltalake", "papermill", "nbformat", "sqlalchemy", "sqlglot", "rich", "ruamel")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    cells = [
        nbformat.v4.new_code_cell("source: str = ''\ntarget: str = ''", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("from thresher.counts import Counts\nprint('noise')\nCounts(target, 3, 2, 1)"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "n.ipynb")
    (tmp_path / "pipelines" / "courses.yml").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, thresher.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    path = str(Path(__file__).resolve().parent.parent / "lib")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": path})
    assert (found.stdout, found.stderr) == ("[]\n", "")


def test_plan_shows_the_steps_in_order_and_writes_nothing(project: Path) -> None:
    before = sorted(project.rglob("*"))
    result = call("plan", "courses")
    assert result.output == (
        "courses: From landing to mart\n"
        "run   ingest  has not succeeded yet\n"
        "      notebooks/n.ipynb  [engine spark]\n"
        "      writes raw.courses\n"
        "run   star    has not succeeded yet\n"
        "      notebooks/n.ipynb  [report]\n"
        "      reads raw.courses\n"
        "      writes mart.courses\n"
        "2 run, 0 wait, 0 skip\n"
    )
    assert [step["after"] for step in json.loads(call("plan", "courses", "--json").stdout)["steps"]] == [[], ["ingest"]]
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["plan", "nosuch"], 2, "error: no pipeline 'nosuch': found no file "),
        (
            ["run", "courses", "-p", "x=1"],
            2,
            "error: pipelines/courses.yml: unknown parameter -p x=1. There are none.\n",
        ),
        (["run", "courses", "-p", "x"], 2, "found 'x', expected name=value"),
        (["run", "courses", "-p", "x=3", "-p", "x=4"], 2, "x is given twice, as '3' and '4'"),
        (["run", "courses", "--engine", "sparc"], 2, "error: found 'sparc', expected duckdb, spark or sc://host:port"),
        (["run", "courses", "--jobs", "0"], 2, "Invalid value for '--jobs'"),
        (["runs", "show", "x"], 2, "error: no run 'x' in the ledger "),
        (["tables", "--lake", "pipelines/courses.yml"], 2, "is a file; expected a folder"),
        (["sql", "select * from raw.nosuch"], 2, "error: no lake at "),
        (["sql", "select 1", "-p", "x=["], 2, "error: -p: no YAML: "),
        (["nosuch"], 2, "No such command 'nosuch'"),
    ],
)
def test_bad_usage_is_one_message_and_exit_code_2(project: Path, arguments: list[str], code: int, message: str) -> None:
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (project / "lake").exists()


def test_a_run_prints_only_json_on_stdout_and_the_ledger_shows_it(project: Path) -> None:
    text = PIPELINE.replace(", engine: spark", "").replace(", report: true", "")
    (project / "pipelines" / "courses.yml").write_text(text)
    result = call("run", "courses", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["status"], [step["name"] for step in told["steps"]]) == ("succeeded", ["ingest", "star"])
    assert told["steps"][0]["counts"][0]["rows_out"] == 2
    assert told["site"] == str(project / "site" / "index.html")
    assert "ingest: succeeded in" in result.stderr

    (run,) = Ledger.of_lake(project / "lake").runs()
    assert json.loads(call("runs", "--json").stdout)[0]["id"] == run.id == told["id"]
    assert call("runs").output.splitlines()[1].startswith(f"{run.id}  succeeded  ")
    shown = call("runs", "show", run.id).output.splitlines()
    assert shown[-2].split()[:2] + shown[-2].split()[3:8] == ["ingest", "succeeded", "1", "3", "2", "1", "0"]
    assert call("site").output == f"{project / 'site' / 'index.html'}\n"


def test_tables_and_sql_show_what_the_lake_holds(project: Path) -> None:
    assert call("tables", "--json").stderr.startswith("error: no lake at ")
    assert call("runs").output == "no runs yet\n"
    (project / "lake").mkdir()
    assert call("tables", "--json").stdout == "[]\n"
    Lake(project / "lake").write("raw.books", [{"title": "Übung", "year": 2005}, {"title": None, "year": 1999}])
    (table,) = json.loads(call("tables", "--json").stdout)
    assert (table["name"], table["rows"], table["columns"]) == (
        "raw.books",
        2,
        [["title", "string"], ["year", "bigint"]],
    )
    assert call("tables").output.splitlines()[1].split()[:3] == ["raw.books", "2", "2"]
    query = "select title, year from raw.books where year >= :since"
    rows = call("sql", query, "-p", "since=2000", "--json")
    assert json.loads(rows.stdout) == [{"title": "Übung", "year": 2005}]
    assert "(1 row)" in call("sql", query, "-p", "since=2000").output
