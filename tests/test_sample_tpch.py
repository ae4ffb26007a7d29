"""Pipeline `tpch`: the star answers the benchmark's queries as its tables do; changes touch what they concern."""

import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from thresher.lake import Lake
from thresher.runner import run

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = "data/sample/tpch"
TABLES = ("customer", "lineitem", "nation", "orders", "region", "supplier")
Rows = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("notebooks", "pipelines", SAMPLE):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rows(project: Path) -> Rows:
    """Asks the lake of the project."""
    return lambda query: [tuple(row.values()) for row in Lake(project / "lake").sql(query).to_arrow().to_pylist()]


def of_tables(number: str) -> str:
    """A query of the benchmark on the datasets of the source tables."""
    text = (ROOT / "benchmarks" / "tpch" / f"q{number}.sql").read_text()
    tables = ", ".join(f"{name} as (select * from raw.tpch_{name})" for name in TABLES)
    return f"with {tables} {text}"


def of_star(number: str) -> str:
    return (ROOT / "pipelines" / "tpch" / f"q{number}.sql").read_text()


def test_the_star_answers_as_the_tables_and_changes_touch_what_they_concern(project: Path, rows: Rows) -> None:
    assert run("tpch", {}, lake="lake", jobs=2).run.status == "succeeded"
    for number in ("01", "03", "10"):
        assert rows(of_star(number)) == rows(of_tables(number)) != [], number
    # With ten suppliers, few trade in their own nation.
    regions = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
    answers = [[rows(ask("05").replace("ASIA", region)) for region in regions] for ask in (of_star, of_tables)]
    assert answers[0] == answers[1] != [[]] * 5
    fact = "select * except (region_key) from mart.fact_orders"
    before, key_before = set(rows(fact)), rows("select max(buyer_key) from mart.dim_buyer")

    shutil.copytree(project / SAMPLE / "changes", project / SAMPLE, dirs_exist_ok=True)
    done = run("tpch", {}, lake="lake", jobs=2).run
    assert done.status == "succeeded"
    moved_orders = "select o_orderkey from raw.tpch_orders where o_custkey = 1"
    (counts,) = next(step.counts for step in done.steps if step.name == "fact_orders")
    # Line 4 of order 1, both of order 8, the one of order 2 that goes, and the lines of the customer that moved.
    ((of_moved,),) = rows(f"select count(*) from raw.tpch_lineitem where l_orderkey in ({moved_orders})")
    assert (counts.rows_out, counts.more["deleted"]) == (1 + 2 + of_moved, 1)
    gone, come = before - set(rows(fact)), set(rows(fact)) - before
    columns = Lake(project / "lake").sql(fact).columns
    line, quantity = (columns.index(name) for name in ("order_id", "quantity"))
    assert sorted((row[line], row[line + 1], row[quantity]) for row in gone) == [
        (1, 4, Decimal("28.00")),
        (2, 1, Decimal("38.00")),
    ]
    assert sorted((row[line], row[line + 1], row[quantity]) for row in come) == [
        (1, 4, Decimal("100.00")),
        (8, 1, Decimal("1.00")),
        (8, 2, Decimal("2.00")),
    ]
    versions = "select nation, is_current, buyer_key > {} from mart.dim_buyer where buyer_id = 1 order by valid_from"
    assert [row[1:] for row in rows(versions.format(key_before[0][0]))] == [(False, False), (True, True)]
    assert rows(versions.format(0))[1][0] == "GERMANY"
    # As it is now, the region of the buyer's orders; as it was on their day, the buyer.
    places = "select distinct r.nation from mart.fact_orders f join mart.dim_region r on f.region_key = r.region_key "
    assert rows(places + f"where f.order_id in ({moved_orders})") == [("GERMANY",)]
    assert {step.status for step in run("tpch", {}, lake="lake", jobs=2).run.steps} == {"skipped"}
