"""Hops of data are compared key by key: each difference is found, and explained where a reason is known."""

from decimal import Decimal

import pytest

from thresher import reconciliation
from thresher.errors import DatasetNotFound, MissingColumns, UsageError

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
HOPS = {"raw": "select id, amount from raw.orders", "fact": "select id, amount from mart.fact_order"}


@pytest.fixture
def orders(lake):
    def rows(*found):
        return lake.frame([{"id": number, "amount": amount and Decimal(amount)} for number, amount in found])

    delivered = [(1, "1.10"), (2, "2.00"), (2, "2.00"), (3, "3.00"), (4, "4.00"), (5, None), (None, "7.00")]
    lake.write("raw.orders", rows(*delivered))
    lake.write("mart.fact_order", rows((1, "1.10"), (2, "2.00"), (4, "4.01"), (5, None), (6, "6.00"), (6, "6.00")))
    lake.write("quarantine.mart_fact_order", [{"key": "3", "reason": "no date"}])
    return lake


def test_each_difference_is_found_and_explained(orders):
    why = {"fact": "select cast(key as bigint) as id, reason from quarantine.mart_fact_order"}
    found = reconciliation.reconcile(orders, HOPS, key=["id"], measures=["amount"], explained=why)
    assert found.hops.to_pylist() == [
        {"hop": "raw", "rows": 7, "amount": Decimal("19.10"), "missing": 0, "new": 0, "fewer": 0, "more": 0}
        | {"changed": 0, "unexplained": 0},
        {"hop": "fact", "rows": 6, "amount": Decimal("19.11"), "missing": 2, "new": 1, "fewer": 1, "more": 0}
        | {"changed": 1, "unexplained": 3},
    ]
    rows = [tuple(row.values()) for row in found.differences.to_arrow().to_pylist()]
    assert sorted(rows, key=str) == [
        ("fact", "changed", 4, 1, 1, Decimal("4.00"), Decimal("4.01"), None),
        ("fact", "fewer", 2, 2, 1, Decimal("4.00"), Decimal("2.00"), "duplicate"),
        ("fact", "missing", 3, 1, 0, Decimal("3.00"), None, "no date"),
        ("fact", "missing", None, 1, 0, Decimal("7.00"), None, None),
        ("fact", "new", 6, 0, 2, None, Decimal("12.00"), None),
    ]
    assert str(found) == "5 keys differ between hops, 3 without a reason"


@embedded_only
def test_hops_that_agree_and_what_cannot_be_compared(orders):
    same = reconciliation.reconcile(orders, {"raw": HOPS["raw"], "again": HOPS["raw"]}, key=["id"])
    assert str(same) == "every hop holds what the one before it holds"
    why = {"fact": "select id, reason from quarantine.mart_nothing"}
    assert reconciliation.reconcile(orders, HOPS, key=["id"], explained=why).unexplained == 3
    with pytest.raises(DatasetNotFound):
        reconciliation.reconcile(orders, HOPS, key=["id"], explained={"fact": "select id, reason from raw.nothing"})
    with pytest.raises(UsageError, match=r"found 1 hops \(raw\), expected two"):
        reconciliation.reconcile(orders, {"raw": HOPS["raw"]}, key=["id"])
    with pytest.raises(UsageError, match=r"explained names \['mart'\]"):
        reconciliation.reconcile(orders, HOPS, key=["id"], explained={"mart": "select 1"})
    with pytest.raises(MissingColumns, match="hop raw: missing columns"):
        reconciliation.reconcile(orders, HOPS, key=["order"])
