"""Checks in a pipeline file: what breaks a rule is never published, taken out, or told; and kept with rule and run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner
from rich.console import Console

from thresher import star
from thresher.checks.gate import KEPT_ROWS
from thresher.cli.main import main
from thresher.errors import ChecksFailed, PipelineError
from thresher.lake import Lake
from thresher.runner import RunResult, run

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
Say = Callable[..., None]

RULES = [
    {"not_null": "id"},
    {"unique": "id"},
    {"range": {"column": "n", "min": 0}, "severity": "quarantine"},
    {"accepted_values": {"column": "state", "values": ["new", "paid"]}, "severity": "warn"},
]


def rows_of(lake: Lake, name: str, columns: str = "*", order: str = "1, 2") -> list[tuple[Any, ...]]:
    rows = lake.sql(f"select {columns} from {name} order by {order}").to_arrow().to_pylist()
    return [tuple(row.values()) for row in rows]


@pytest.fixture
def ruled(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Says the rules of datasets, as the runner does it for the kernel of a step."""

    def say(**rules: Any) -> None:
        monkeypatch.setenv("THRESHER_CHECKS", json.dumps({f"mart.{name}": said for name, said in rules.items()}))
        monkeypatch.setenv("THRESHER_RUN_ID", "orders-1")

    return say


def test_rows_pass_the_gate_however_they_are_written(lake: Lake, ruled: Say) -> None:
    ruled(sale=RULES)
    good, low = {"id": 1, "n": 5, "state": "new"}, {"id": 2, "n": -1, "state": "new"}
    lake.write("mart.sale", [good, low, {"id": 3, "n": None, "state": "odd"}])
    assert rows_of(lake, "mart.sale") == [(1, 5, "new"), (3, None, "odd")]
    lake.write("mart.sale", [{"id": 4, "n": 0, "state": "new"}, {"id": 5, "n": -9, "state": "new"}], mode="append")
    assert rows_of(lake, "mart.sale", "id, n") == [(1, 5), (3, None), (4, 0)]
    # A change that may not be: the row stays as it was.
    lake.merge("mart.sale", [{"id": 1, "n": -7, "state": "new"}, {"id": 4, "n": 6, "state": "paid"}], ["id"])
    assert rows_of(lake, "mart.sale", "id, n") == [(1, 5), (3, None), (4, 6)]
    changes = [{"id": 4, "n": -6, "state": "paid", "gone": True}, {"id": 6, "n": 1, "state": "new", "gone": False}]
    lake.apply("mart.sale", changes, ["id"], deleted="gone")
    assert rows_of(lake, "mart.sale", "id, n") == [(1, 5), (3, None), (6, 1)]
    kept = rows_of(lake, "checks.mart_sale", "run, rule, severity, number, row", "rule, row")
    assert kept == [
        ("orders-1", "accepted_values state", "warn", 1, '{"id": 3, "n": null, "state": "odd"}'),
        *(
            ("orders-1", "range n min 0", "quarantine", 1, f'{{"id": {number}, "n": {n}, "state": "new"}}')
            for number, n in ((1, -7), (2, -1), (5, -9))
        ),
    ]


@pytest.mark.parametrize(
    ("write", "found"),
    [
        (lambda lake: lake.write("mart.sale", [{"id": 1, "n": 1}, {"id": 1, "n": 2}]), "unique id: 1 rows repeat a"),
        (lambda lake: lake.write("mart.sale", [{"id": 2, "n": 1}], mode="append"), "unique id: 1 rows repeat a key"),
        (
            lambda lake: lake.merge("mart.sale", lake.sql("select cast(null as bigint) as id, 1 as n"), ["id"]),
            "not_null id: 1 of 3 rows break it",
        ),
        (
            lambda lake: lake.apply("mart.sale", [{"id": 1, "n": 0, "gone": True}], ["id"], deleted="gone"),
            "row_count min 2 max_change 0.4: 1 rows, 2 before (-50.0%)",
        ),
        (lambda lake: lake.execute("update mart.sale set id = null where id = 1"), "not_null id: 1 of 2 rows break it"),
        (lambda lake: lake.execute("insert into mart.sale values (1, 7)"), "unique id: 1 rows repeat a key"),
        (lambda lake: lake.delete("mart.sale", "id = 1"), "row_count min 2 max_change 0.4: 1 rows, 2 before (-50.0%)"),
    ],
)
@embedded_only
def test_what_breaks_a_rule_is_not_published(lake: Lake, ruled: Say, write: Callable[[Lake], Any], found: str) -> None:
    ruled(sale=[{"not_null": "id"}, {"unique": "id"}, {"row_count": {"min": 2, "max_change": 0.4}}])
    lake.write("mart.sale", [{"id": 1, "n": 1}, {"id": 2, "n": 2}])
    version = lake.describe("mart.sale").version
    with pytest.raises(ChecksFailed) as caught:
        write(lake)
    assert found in str(caught.value)
    assert "nothing was written and readers keep what was there" in str(caught.value)
    assert lake.describe("mart.sale").version == version
    assert rows_of(lake, "mart.sale") == [(1, 1), (2, 2)]


@embedded_only
def test_what_was_never_good_is_not_made(lake: Lake, ruled: Say) -> None:
    ruled(sale=[{"freshness": {"column": "day", "max_age": "2d"}}, {"query": "select * from rows where id > 1"}])
    with pytest.raises(ChecksFailed) as caught:
        lake.write("mart.sale", lake.sql("select 2 as id, date '1999-01-02' as day"))
    assert "it was not made (freshness day max_age 2d: the latest is 1999-01-02 00:00 UTC; " in str(caught.value)
    assert "query select * from rows where id > 1: 1 rows are selected" in str(caught.value)
    assert not lake.exists("mart.sale")


@embedded_only
def test_the_unknown_member_breaks_no_rule(lake: Lake, ruled: Say) -> None:
    low = {"range": {"column": "id", "min": 1}, "severity": "quarantine"}
    ruled(dim_city=[{"not_null": ["id", "name"]}, {"row_count": {"max": 2}}, low])
    rows = lake.frame([{"id": 1, "name": "Rome"}, {"id": 2, "name": "Pisa"}])
    assert star.dimension(lake, rows, "mart.dim_city", key=["id"]).rows.count() == 3
    with pytest.raises(ChecksFailed, match="not_null name: 1 of 2 rows break it"):
        star.dimension(lake, lake.sql("select 2 as id, cast(null as string) as name"), "mart.dim_city", key=["id"])


@embedded_only
def test_orphans_are_taken_out_and_of_many_broken_rows_the_first_are_kept(lake: Lake, ruled: Say) -> None:
    lake.write("mart.dim", [{"id": 1}])
    orphans = {"relationships": {"column": "d", "to": "mart.dim", "field": "id"}, "severity": "quarantine"}
    ruled(sale=[orphans, {"not_null": "n", "severity": "warn"}])
    rows = "select id, 1 as d, cast(null as int) as n from range(2000) union all select -1, 2, 3"
    lake.write("mart.sale", lake.sql(rows))
    assert rows_of(lake, "mart.sale", "count(*)", "1") == [(2000,)]
    counted = "select severity, count(*) as n, max(row) as row from checks.mart_sale group by severity order by 1"
    assert lake.sql(counted).to_arrow().to_pylist() == [
        {"severity": "quarantine", "n": 1, "row": '{"id": -1, "d": 2, "n": 3}'},
        {"severity": "warn", "n": KEPT_ROWS, "row": '{"id": 999, "d": 1, "n": null}'},
    ]


NOTEBOOK = """\
import json, thresher as th
from thresher import Counts
rows = json.load(open(source))
th.Lake(lake).write(target, rows, schema="replace")
Counts(target, len(rows), len(rows))
"""
PIPELINE = """\
name: shop
params: {least: 0}
steps:
  load:
    notebook: notebooks/load.ipynb
    with: {source: orders.json}
    writes: {target: raw.orders}
    checks:
      - not_null: [id, state]
      - range: {column: n, min: "${least}"}
        severity: quarantine
      - accepted_values: {column: state, values: [new, paid]}
        severity: warn
  copy:
    notebook: notebooks/load.ipynb
    with: {source: orders.json}
    writes: {target: mart.orders}
    checks:
      mart.orders:
        - relationships: {column: id, to: raw.orders}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checks")
    for folder in ("pipelines", "notebooks"):
        (root / folder).mkdir()
    parameters = "lake: str = 'lake'\nsource: str = ''\ntarget: str = ''"
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells.append(nbformat.v4.new_code_cell(NOTEBOOK))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / "load.ipynb")
    (root / "pipelines" / "shop.yml").write_text(PIPELINE)
    return root


def run_with(project: Path, rows: list[tuple[Any, ...]], **params: Any) -> RunResult:
    (project / "orders.json").write_text(
        json.dumps([dict(zip(("id", "n", "state"), row, strict=True)) for row in rows])
    )
    with (project / "shown.txt").open("w") as shown:
        console = Console(file=shown, width=80)
        return run(project / "pipelines" / "shop.yml", params, lake=project / "lake", force=True, console=console)


def test_a_pipeline_publishes_only_what_its_checks_allow(project: Path) -> None:
    lake = Lake(project / "lake")
    first = run_with(project, [(1, 5, "new"), (2, -1, "new"), (3, 7, "odd")])
    load, copy = first.run.steps
    assert (load.name, load.status, copy.status) == ("load", "succeeded", "failed")
    assert str(copy.error).startswith("ChecksFailed: mart.orders: 1 of 1 rules are broken, so nothing was written and")
    assert [(c.dataset, c.rows_in, c.rows_out, c.refused) for c in load.counts] == [("raw.orders", 3, 2, 1)]
    (checked,) = load.checks
    assert [(each.rule, each.severity, each.failing) for each in checked.outcomes] == [
        ("not_null id", "fail", 0),
        ("not_null state", "fail", 0),
        ("range n min 0", "quarantine", 1),
        ("accepted_values state", "warn", 1),
    ]
    assert copy.checks[0].outcomes[0].failing == 1
    assert rows_of(lake, "raw.orders", "id", "1") == [(1,), (3,)]
    assert not lake.exists("mart.orders")

    second = run_with(project, [(1, 5, None), (3, 7, "new")])
    assert second.run.status == "failed"
    assert rows_of(lake, "raw.orders", "id, state") == [(1, "new"), (3, "odd")]

    third = run_with(project, [(1, 5, "new"), (3, 8, "new")], least=6)
    assert [step.status for step in third.run.steps] == ["succeeded", "failed"]
    shown = CliRunner().invoke(main, ["checks", "--lake", str(project / "lake"), "--json"], catch_exceptions=False)
    trends = {(each["dataset"], each["rule"]): each["failing"] for each in json.loads(shown.output)}
    assert trends == {
        ("mart.orders", "relationships id to raw.orders.id"): [1, 1],
        ("raw.orders", "accepted_values state"): [1, 0, 0],
        ("raw.orders", "not_null id"): [0, 0, 0],
        ("raw.orders", "not_null state"): [0, 1, 0],
        ("raw.orders", "range n min 6"): [1],
    }
    rows = CliRunner().invoke(main, ["checks", "show", "raw.orders", "--lake", str(project / "lake"), "--json"])
    assert [(each["run"], each["rule"], each["row"]) for each in json.loads(rows.output)] == [
        (third.run.id, "range n min 6", '{"id": 1, "n": 5, "state": "new"}')
    ]
    page = (project / "site" / "index.html").read_text()
    assert "range n min 6" in page
    assert "Checks of raw.orders: 1 of 4 rules broken" in page


@pytest.mark.parametrize(
    ("text", "instead", "message"),
    [
        ("- not_null: [id, state]", "- notnull: id", "shop.yml:9: checks: unknown rule 'notnull'. Did you mean"),
        ("      mart.orders:", "      raw.orders:", "shop.yml:20: checks: step copy does not write raw.orders"),
        ("${least}", "${lest}", "shop.yml:10: checks: unknown ${lest}"),
        ("to: raw.orders}", "to: orders}", "shop.yml:20: checks: dataset name 'orders' is not allowed"),
        ("- not_null: [id, state]", "- not_null", "shop.yml:9: checks: found text ('not_null'), expected a rule"),
    ],
)
def test_a_wrong_rule_is_told_before_anything_runs(project: Path, text: str, instead: str, message: str) -> None:
    (project / "orders.json").touch()
    (project / "pipelines" / "wrong").mkdir(exist_ok=True)
    wrong = project / "pipelines" / "wrong" / "shop.yml"
    wrong.write_text(PIPELINE.replace(text, instead, 1))
    with pytest.raises(PipelineError) as caught:
        run(wrong, lake=project / "another lake")
    assert message in str(caught.value)
