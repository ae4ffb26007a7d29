"""The shipped pipelines on changes: 18 tables in batches, tickets, orders per customer, invoices, on their samples."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from thresher.lake import Lake
from thresher.ledger import Run
from thresher.runner import preview, run

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("notebooks", "pipelines", "data/sample"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rows(project: Path) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Asks the lake of the project."""
    lake = Lake(project / "lake")
    yield lambda query: [tuple(row.values()) for row in lake.sql(query).to_arrow().to_pylist()]
    lake.engine.close()


def ran(name: str, **params: str) -> Run:
    return run(name, params, lake="lake", jobs=2).run


def statuses(found: Run) -> dict[str, int]:
    return dict(Counter(step.status for step in found.steps))


def test_eighteen_tables_are_four_notebooks_and_a_broken_one_fails_alone(
    project: Path, rows: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    parts = project / "data/sample/odp/parts"
    content = {file: file.read_bytes() for file in parts.iterdir()}
    for file in content:
        file.write_bytes(b"\x00\xff\x00\xff")
    first = ran("odp")
    assert statuses(first) == {"succeeded": 17, "failed": 1}
    assert [step.name for step in first.steps if step.status == "failed"] == ["ingest[parts]"]
    shared = Counter(step.executed.rpartition("/")[2] for step in first.steps)
    assert shared == {f"ingest[batch-{number}].ipynb": size for number, size in enumerate((5, 5, 5, 3), 1)}

    for file, each in content.items():
        file.write_bytes(each)
    assert (ran("odp").status, statuses(ran("odp"))) == ("succeeded", {"skipped": 18})
    assert rows("select count(*) from raw.parts") == [(12,)]
    assert rows("select station_id, capacity_count from raw.stations where station_id in (1, 2, 3, 25) order by 1") == [
        (1, 20),
        (3, None),
        (25, 20),
    ]
    assert rows("select note from raw.depots where depot_id = 3") == [("first line\nsecond line",)]
    kept = rows("select _op, count(*) from raw.bikes group by _op order by _op")
    assert kept == [("D", 1), ("I", 41), ("U", 3)]  # history: a full load of 40, and every change after it
    assert rows("select min(amount_eur) from raw.ride_payments") == [(Decimal("-2.50"),)]


@pytest.mark.parametrize(("cadence", "tables"), [("[10_min]", 9), ("[daily]", 9), ("[10_min, daily]", 18)])
def test_a_cadence_runs_its_tables_alone(project: Path, cadence: str, tables: int) -> None:
    _, decisions = preview("odp", {"cadence": cadence}, lake="lake")
    assert [each.action for each in decisions] == ["run"] * tables


def test_an_updated_ticket_is_in_the_table_and_in_the_report(
    project: Path, rows: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    asked = "select ticket_price from raw.ticket_activity where ticketactivity_id = 46"
    update = project / "data/sample/tickets/20260502-152100000.csv"
    shutil.move(update, project)
    ran("tickets")
    before, page = rows(asked), project / "site/reports/tickets-report.html"
    assert before != [(500,)] and "2026-05-02 15:00 1" not in page.read_text("utf-8")
    shutil.move(project / update.name, update)
    assert ran("tickets").status == "succeeded"
    assert rows(asked) == [(500,)]
    assert rows("select count(*), max(ticket_price) from raw.ticket_activity") == [(69, 500)]
    assert "2026-05-02 15:00 1" in page.read_text("utf-8")
    assert statuses(ran("tickets")) == {"skipped": 2}


def event(op: str, before: dict[str, Any] | None, after: dict[str, Any] | None, position: int) -> str:
    """A line of a topic; the key is the row's first column."""
    source = {"db": "shop", "table": "t", "file": "bin.000009", "pos": position, "row": 0, "ts_ms": 1_800_000_000_000}
    key = dict(list((after or before or {}).items())[:1])
    return json.dumps({"key": key, "value": {"op": op, "before": before, "after": after, "source": source}}) + "\n"


def test_orders_per_customer_follow_inserts_updates_and_deletes_of_each_topic(
    project: Path, rows: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    asked = "select cust_id, name, order_count from mart.orders_per_customer order by cust_id"
    landing = project / "data/sample/orders_cdc"
    assert ran("orders_cdc").status == "succeeded"
    assert rows(asked) == [(1, "Amber Mills", 2), (2, "Birch & Sons", 3), (3, "Coral Reef", 1), (4, "Delta Tools", 1)]

    (landing / "shop.sales_orders/1.json").write_text(
        event("c", None, {"order_id": 109, "site_id": 41, "status": "open"}, 1)
        + event("u", None, {"order_id": 102, "site_id": 31, "status": "open"}, 2)
        + event("d", {"order_id": 103, "site_id": 12, "status": "open"}, None, 3)
    )
    ran("orders_cdc")
    assert rows(asked) == [(1, "Amber Mills", 1), (2, "Birch & Sons", 2), (3, "Coral Reef", 2), (4, "Delta Tools", 2)]

    (landing / "shop.customer_sites/1.json").write_text(
        event("u", None, {"site_id": 21, "cust_id": 1, "city": "Oslo"}, 1)
        + event("d", {"site_id": 41, "cust_id": 4, "city": "Bergen"}, None, 2)
        + event("c", None, {"site_id": 32, "cust_id": 3, "city": "Turku"}, 3)
    )
    (landing / "shop.customers/1.json").write_text(
        event("c", None, {"cust_id": 5, "name": "Elm", "mktsegment": "food"}, 1)
        + event("u", None, {"cust_id": 1, "name": "Amber", "mktsegment": "food"}, 2)
        + event("d", {"cust_id": 3, "name": "Coral Reef", "mktsegment": "leisure"}, None, 3)
    )
    ran("orders_cdc")
    assert rows(asked) == [(1, "Amber", 3), (2, "Birch & Sons", 0), (4, "Delta Tools", 0), (5, "Elm", 0)]
    assert statuses(ran("orders_cdc")) == {"skipped": 4}


def test_ten_invoices_then_a_thousand_and_ten(project: Path, rows: Callable[[str], list[tuple[Any, ...]]]) -> None:
    asked = "select count(*), max(invoice_id) from raw.energy_invoices"
    assert ran("energy", files="LOAD*.csv").status == "succeeded"
    assert rows(asked) == [(10, 10)]
    ran("energy")
    assert rows(asked) == [(1010, 1010)]
    assert statuses(ran("energy")) == {"skipped": 2}


def test_the_reports_give_what_they_show(project: Path) -> None:
    for name in ("tickets", "energy"):
        assert ran(name).status == "succeeded"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    command += ["--nbval-sanitize-with", str(ROOT / "tests" / "notebooks.cfg")]
    command += [f"notebooks/reports/{name}.ipynb" for name in ("tickets", "energy")]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:]
