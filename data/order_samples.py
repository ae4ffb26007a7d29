"""Three tables of a shop as topics of Debezium, written to files by a sink: customers, their sites, and orders.

Each line has the key of its message and the event without schema; a tombstone follows each delete.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

BEGIN_MS = 1_772_438_400_000  # 2026-03-02 08:00 UTC
KEYS = {"customers": "cust_id", "customer_sites": "site_id", "sales_orders": "order_id"}
Row = Mapping[str, Any]


def customer(cust_id: int, name: str, mktsegment: str) -> Row:
    """A row of the table customers."""
    return {"cust_id": cust_id, "name": name, "mktsegment": mktsegment}


def site(site_id: int, cust_id: int, city: str) -> Row:
    """A row of the table customer_sites: where a customer has goods delivered to."""
    return {"site_id": site_id, "cust_id": cust_id, "city": city}


def order(order_id: int, site_id: int, status: str = "open") -> Row:
    """A row of the table sales_orders."""
    return {"order_id": order_id, "site_id": site_id, "status": status}


CUSTOMERS = [customer(1, "Amber Mills", "food"), customer(2, "Birch & Sons", "furniture"), customer(3, "Coral", "food")]
SITES = [site(11, 1, "Lund"), site(12, 1, "Malmö"), site(21, 2, "Oslo"), site(31, 3, "Turku")]
ORDERS = [order(100 + number, place) for number, place in enumerate((11, 11, 12, 21, 21, 21), 1)]

EVENTS: dict[str, list[tuple[str, Row | None, Row | None]]] = {  # op, before, after; in their order
    "customers": [
        *(("r", None, row) for row in CUSTOMERS),
        ("c", None, customer(4, "Delta Tools", "tools")),
        ("u", CUSTOMERS[2], customer(3, "Coral Reef", "leisure")),
    ],
    "customer_sites": [
        *(("r", None, row) for row in SITES),
        ("c", None, site(41, 4, "Bergen")),
        ("u", SITES[1], site(12, 2, "Malmö")),
    ],
    "sales_orders": [
        *(("r", None, row) for row in ORDERS),
        ("c", None, order(107, 31)),
        ("c", None, order(108, 41)),
        ("u", ORDERS[0], order(101, 11, "sent")),
        ("d", ORDERS[5], None),
    ],
}


def folder() -> dict[str, bytes]:
    """The files by their place below the sample's folder: a snapshot of each topic, and what changed after it."""
    files = {}
    for table, events in EVENTS.items():
        snapshot = [event for event in events if event[0] == "r"]
        changes = events[len(snapshot) :]
        files[f"shop.{table}/0+0000000000.json"] = messages(table, snapshot, 0)
        files[f"shop.{table}/0+{len(snapshot):010}.json"] = messages(table, changes, len(snapshot))
    return files


def messages(table: str, events: Iterable[tuple[str, Row | None, Row | None]], position: int) -> bytes:
    """The lines of one file; `position` is that of its first event in the source's log."""
    lines = []
    for number, (op, before, after) in enumerate(events, position):
        source = {"db": "shop", "table": table, "file": "bin.000007", "pos": 154 + number * 100, "row": 0}
        source |= {"ts_ms": BEGIN_MS + number * 1000, "snapshot": "true" if op == "r" else "false"}
        key = {KEYS[table]: (after or before or {})[KEYS[table]]}
        lines.append({"key": key, "value": {"op": op, "before": before, "after": after, "source": source}})
        if op == "d":
            lines.append({"key": key, "value": None})
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def listed() -> list[tuple[str, str, str]]:
    """Topic, what is special, what must happen."""
    return [
        ("`shop.customers`", "Customer 4 is new; 3 gets another name and segment", "4 customers, 3 is `Coral Reef`"),
        (
            "`shop.customer_sites`",
            "Site 12 goes from customer 1 to 2",
            "Its order counts for customer 2: an update of one topic moves counts of two customers",
        ),
        (
            "`shop.sales_orders`",
            "Orders 107 and 108 are new, 101 is sent, 106 is deleted, with a tombstone",
            "Orders per customer: 2, 3, 1, 1",
        ),
    ]
