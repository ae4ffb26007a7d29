"""The shipped pipelines to star schemas from orders: totals are the source's, whatever was refused on the way."""

import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from thresher.lake import Lake
from thresher.runner import run

ROOT = Path(__file__).resolve().parent.parent
Rows = Callable[[str], list[tuple[Any, ...]]]
TOTALS = "select count(*), sum(gross_amount), sum(net_amount) from mart.fact_order_line"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("notebooks", "pipelines", "data/sample/northwind", "data/sample/northwind_json"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rows(project: Path) -> Rows:
    """Asks the lake of the project."""
    return lambda query: [tuple(row.values()) for row in Lake(project / "lake").sql(query).to_arrow().to_pylist()]


def test_lines_of_a_refused_order_count_for_unknown_members(project: Path, rows: Rows) -> None:
    done = run("northwind", {}, lake="lake", jobs=2).run
    assert done.status == "succeeded"
    lines = (project / "data/sample/northwind/order-details.csv").read_text().splitlines()[1:]
    fields = [line.split(",") for line in lines]
    gross = [Decimal(price) * int(number) for _, _, price, number, _ in fields]
    net = [each * (1 - Decimal(discount)) for each, (*_, discount) in zip(gross, fields, strict=True)]
    assert rows(TOTALS) == [(len(lines), sum(gross), sum(net))]
    (refused,) = rows("select reason, cast(content as string) from quarantine.raw_northwind_orders")
    assert refused[0].startswith("9 fields; expected 8") and refused[1].startswith("1007,")
    unknown = "select distinct order_id from mart.fact_order_line where order_day_key = -1 or customer_key = -1"
    assert rows(unknown) == [(1007,)]
    assert rows("select supplier, category from mart.dim_product where product_id = 12") == [(None, "Drinks")]
    assert rows("select count(*) from mart.dim_customer where region is not null") == [(0,)]


def test_other_order_data_of_the_shape_gives_its_known_totals(project: Path, rows: Rows, realdata: Path) -> None:
    done = run("northwind", {"landing": str(realdata / "star/northwind_csv")}, lake="lake", jobs=2).run
    assert done.status == "succeeded"
    assert rows(TOTALS) == [(2155, Decimal("1354458.59"), Decimal("1265793.0395"))]


def test_nested_documents_give_the_star_of_the_tables(project: Path) -> None:
    for name, lake in (("northwind", "lake"), ("northwind_json", "lake of documents")):
        assert run(name, {}, lake=lake, jobs=2).run.status == "succeeded"
    flat, nested = Lake(project / "lake"), Lake(project / "lake of documents")
    assert flat.names("mart") == nested.names("mart") != []
    for name in flat.names("mart"):
        of_tables, of_documents = (lake.read(name).to_arrow().to_pylist() for lake in (flat, nested))
        assert sorted(map(str, of_tables)) == sorted(map(str, of_documents)), name
    versions = {name: flat.describe(name).version for name in flat.names("mart")}
    assert run("northwind_json", {}, lake="lake", jobs=2).run.status == "succeeded"
    assert {name: flat.describe(name).version for name in flat.names("mart")} == versions
