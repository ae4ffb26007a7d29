"""Environments of thresher.yml: what they decide, what wins over them, and which mistakes are told."""

import json
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result

from thresher.cli import main as cli
from thresher.environments import current, entered
from thresher.lake import Lake
from thresher.ledger import Ledger
from thresher.places import engine_name, lake_folder, ledger_url, site_folder

PARAMETERS = """\
lake: str = 'lake'
source: str = ''
target: str = ''
size: int = 1
label: str = ''
"""
WRITE = """\
import os
import thresher as th
lake = th.Lake(lake)
found = lake.sql(f"select n from {source}").to_arrow().to_pylist() if source else [{"n": i} for i in range(size)]
done = lake.merge(target, [{"n": row["n"], "label": label + os.environ.get("REGION", "")} for row in found], ["n"])
done
"""
PIPELINE = """\
name: shop
params: {size: 2, label: file}
steps:
  a: {notebook: notebooks/a.ipynb, with: {size: "${size}", label: "${label}"}, writes: {target: raw.a}}
  b: {notebook: notebooks/a.ipynb, reads: {source: raw.a}, writes: {target: mart.b}, with: {label: "${label}"}}
"""
PROJECT = """\
default: dev
environments:
  dev:
    lake: lake-dev
    copy_of: prod
    params: {label: dev, shop.size: 3}
    env: {REGION: "-${env:SHOP_REGION:-eu}"}
  prod:
    lake: lake-prod
    engine: duckdb
    ledger: ledgers/prod.sqlite
    site: pages
    params: {size: 4}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder in ("pipelines", "notebooks", "ledgers"):
        (tmp_path / folder).mkdir()
    parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(WRITE)])
    nbformat.write(notebook, tmp_path / "notebooks" / "a.ipynb")
    (tmp_path / "pipelines" / "shop.yml").write_text(PIPELINE)
    (tmp_path / "thresher.yml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def thresher(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def rows(lake: Path, name: str) -> list[tuple[int, str]]:
    found = Lake(lake, "duckdb").sql(f"select n, label from {name} order by n").to_arrow().to_pylist()
    return [(row["n"], row["label"]) for row in found]


def write(project: Path, old: str, new: str) -> None:
    text = (project / "thresher.yml").read_text()
    assert old in text
    (project / "thresher.yml").write_text(text.replace(old, new))


def test_an_environment_says_where_and_with_what_a_pipeline_runs(project: Path) -> None:
    assert thresher("run", "shop", "--env", "prod").exit_code == 0
    assert rows(project / "lake-prod", "mart.b") == [(0, "file"), (1, "file"), (2, "file"), (3, "file")]
    assert (project / "pages" / "index.html").is_file() and (project / "ledgers" / "prod.sqlite").is_file()
    assert not (project / "lake").exists() and not (project / "lake-dev").exists()
    (run,) = json.loads(thresher("runs", "--env", "prod", "--json").stdout)
    assert run["params"] == {"size": 4, "label": "file"}
    assert thresher("tables", "--env", "prod", "--json").stdout.count('"name"') == 2
    assert "4" in thresher("sql", "select count(*) as c from mart.b", "--env", "prod").stdout
    assert thresher("site", "--env", "prod").stdout == f"{project}/pages/index.html\n"


def test_a_run_in_a_copy_continues_what_production_has_and_leaves_it_alone(project: Path) -> None:
    assert thresher("run", "shop", "--env", "prod").exit_code == 0
    before = {path: path.read_bytes() for path in (project / "lake-prod").rglob("*") if path.is_file()}

    planned = thresher("plan", "shop", "--select", "b").output.splitlines()
    assert planned[-3:] == [
        f"copy  raw.a from {project}/lake-prod",
        f"copy  mart.b from {project}/lake-prod",
        "1 run, 0 wait, 0 skip",
    ]
    assert not (project / "lake-dev" / "raw").exists()
    result = thresher("run", "shop", "--select", "b")
    assert result.exit_code == 0, result.output
    assert f"raw.a is a copy of version 0 in {project}/lake-prod" in result.output.splitlines()
    assert f"mart.b is a copy of version 0 in {project}/lake-prod" in result.output.splitlines()
    assert rows(project / "lake-dev", "mart.b") == [(0, "dev-eu"), (1, "dev-eu"), (2, "dev-eu"), (3, "dev-eu")]
    assert [entry["operation"] for entry in Lake(project / "lake-dev").history("mart.b")] == ["WRITE", "CLONE"]
    assert {path: path.read_bytes() for path in (project / "lake-prod").rglob("*") if path.is_file()} == before
    assert (project / "site-dev" / "index.html").is_file()

    # Once there, a dataset is dev's own; and another lake gets no copies.
    again = thresher("run", "shop", "--select", "b")
    assert "is a copy of" not in again.output and "b: skipped (nothing changed)" in again.output
    other = thresher("run", "shop", "--select", "b", "--lake", "elsewhere")
    assert other.exit_code == 2 and "step b reads raw.a, which the lake does not hold" in other.output


def test_datasets_are_copied_by_hand(project: Path) -> None:
    assert thresher("run", "shop", "--env", "prod").exit_code == 0
    result = thresher("copy", "mart.*", "--env", "dev")
    assert (result.exit_code, result.output) == (0, f"mart.b is a copy of version 0 in {project}/lake-prod\n")
    assert thresher("copy", "mart.b", "--env", "dev").exit_code == 2
    assert thresher("copy", "mart.b", "--full", "--replace", "--env", "dev").exit_code == 0
    assert thresher("copy", "mart.c").output == (
        f"error: no dataset mart.c in lake {project}/lake-prod, which holds: mart.b, raw.a\n"
    )
    assert thresher("copy", "mart.b", "--env", "prod").output == (
        "error: nothing to copy from: environment prod has no copy_of. Expected one with copy_of in thresher.yml\n"
    )


def test_the_command_line_wins_over_the_environment(project: Path) -> None:
    assert thresher("run", "shop", "-p", "size=1", "-p", "label=mine", "--lake", "other").exit_code == 0
    assert rows(project / "other", "mart.b") == [(0, "mine-eu")]
    assert (project / "site").is_dir() and not (project / "lake-dev").exists()


def test_a_named_environment_wins_over_variables_and_these_over_the_default(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LAKE", "mine"), ("ENGINE", "spark"), ("LEDGER", "sqlite:///mine")):
        monkeypatch.setenv(f"THRESHER_{name}", value)
    assert (lake_folder(), engine_name()) == (project / "mine", "spark")
    monkeypatch.setenv("THRESHER_ENV", "prod")
    assert (lake_folder(), engine_name()) == (project / "lake-prod", "duckdb")
    assert ledger_url(lake_folder()) == str(project / "ledgers" / "prod.sqlite")
    assert ledger_url(project / "other") == "sqlite:///mine"
    assert (site_folder(lake_folder()), site_folder(project / "x")) == (project / "pages", project / "site")


def test_variables_are_those_of_the_environment_for_as_long_as_it_is_entered(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("SHOP_REGION", "us")
    monkeypatch.setenv("REGION", "before")
    with entered("dev") as environment:
        assert environment and environment.name == "dev" and os.environ["REGION"] == "-us"
        assert os.environ["THRESHER_ENV"] == "dev"
    assert os.environ["REGION"] == "before" and "THRESHER_ENV" not in os.environ


def test_the_ledger_may_hold_a_secret_that_is_shown_nowhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHER_SECRET_LEDGER_URL", f"sqlite:///{project}/hunter2.sqlite")
    write(project, "ledgers/prod.sqlite", '"${secret:LEDGER_URL}"')
    assert thresher("run", "shop", "--env", "prod", "--select", "a").exit_code == 0
    assert len(Ledger(project / "hunter2.sqlite").runs()) == 1
    with entered("prod"):
        assert "hunter2" not in repr(current())
    monkeypatch.delenv("THRESHER_SECRET_LEDGER_URL")
    result = thresher("runs", "--env", "prod")
    assert result.exit_code == 2 and result.output.startswith("error: secret LEDGER_URL is missing; looked at ")


def test_an_unknown_environment_is_refused(project: Path) -> None:
    result = thresher("run", "shop", "--env", "prd")
    assert (result.exit_code, result.output) == (
        2,
        "error: no environment 'prd' in thresher.yml (--env, THRESHER_ENV). Did you mean prod?\n",
    )
    (project / "thresher.yml").unlink()
    assert thresher("tables", "--env", "prod").output == (
        f"error: environment 'prod': there is no {project}/thresher.yml, which would say what it is\n"
    )


MISTAKES = [
    ("default: dev", "default: def", "1: default: no environment 'def'. Did you mean dev?"),
    ("copy_of: prod", "copy_of: prd", "5: copy_of: no environment 'prd'. Did you mean prod?"),
    ("copy_of: prod", "copy_of: dev", "5: copy_of: environment dev cannot be a copy of itself"),
    ("    site: pages", "    sites: pages", "12: unknown key 'sites'. Did you mean site?"),
    ("    lake: lake-dev\n", "", "3: environment dev: lake is missing, expected a folder of its own, such as lake-dev"),
    ("lake: lake-dev", "lake: [a]", "4: lake: found a list (['a']), expected text"),
    ("env: {REGION:", "env: {THRESHER_LAKE:", "7: env: THRESHER_LAKE does not belong here; use lake"),
    (
        '"-${env:SHOP_REGION:-eu}"',
        '"${secret:X}"',
        "7: env: REGION: a secret in a variable would be seen by every step; give it to a notebook's parameter of type "
        "Secret",
    ),
    ("label: dev", "lable: dev", "6: params: no pipeline has parameter lable. Did you mean label?"),
    ("shop.size", "shopp.size", "6: params: no pipeline is named shopp, as in shopp.size"),
    ("shop.size", "shop.sise", "6: params: pipeline shop has no parameter sise. Did you mean size?"),
    ("shop.size: 3", "shop.size: x", "6: size=x: found text ('x'), expected int, as size of notebooks/a.ipynb"),
    ("engine: duckdb", "engine: duck", None),
    ("lake: lake-prod", "lake: lake-dev/in", "5: copy_of: expected two lakes apart from each other; prod is "),
    ("default: dev", "default: dev\nlineage: {too: x}", "2: lineage: unknown key 'too'. Did you mean to?"),
    ("default: dev", "default: dev\nlineage: {to: 5}", "2: lineage: expected to: a file's path, or the http address"),
    (
        "default: dev",
        "default: dev\nlineage: {to: 'http://${secret:X}@host'}",
        "2: lineage: to: found a secret, expected a plain address; OPENLINEAGE_API_KEY takes a key",
    ),
    ("label: dev", 'label: "${env:GONE}"', "6: label: ${env:GONE}: the environment has no GONE; set it, or write "),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_mistakes_are_told_with_their_line(project: Path, old: str, new: str, message: str | None) -> None:
    write(project, old, new)
    result = thresher("plan", "shop")
    if message is None:  # only who uses an environment must hear of its references and its engine
        assert result.exit_code == 0
        result = thresher("plan", "shop", "--env", "prod")
        message = "10: engine: found 'duck', expected duckdb, spark or sc://host:port"
    assert result.exit_code == 2, result.output
    assert f"thresher.yml:{message}" in result.output


def test_the_project_tells_of_runs_too_unless_the_environment_says_otherwise(project: Path) -> None:
    from thresher.pipeline import plan

    (project / "thresher.yml").write_text(f"notify: [{{to: 'json://ops.example'}}]\n{PROJECT}")
    assert [each.to for each in plan("shop").notify] == ["json://ops.example"]
    write(project, "    copy_of: prod\n", "    copy_of: prod\n    notify: []\n")
    assert plan("shop").notify == ()
