"""The orders of `northwind` as a service would push them: nested JSON, a document a line, gzipped where many."""

import gzip
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from northwind_samples import REFUSED_ORDER, tables

Document = dict[str, Any]


def folder() -> dict[str, bytes]:
    """The files by name."""
    rows = {name: [_named(head, row) for row in found] for name, (head, *found) in tables().items()}
    suppliers = {row["supplierID"]: row for row in rows["suppliers"]}
    catalog = [
        {**category, "products": [_product(row, suppliers) for row in rows["products"] if _is_of(row, category)]}
        for category in rows["categories"]
    ]
    directory = {name: rows[name] for name in ("customers", "employees", "shippers")}
    orders = [_order(row, rows["order-details"]) for row in rows["orders"]]
    return {
        "catalog.jsonl": _lines(catalog),
        "directory.jsonl": _lines([directory]),
        "orders.jsonl.gz": gzip.compress(_lines(orders), mtime=0),
    }


def listed() -> list[tuple[str, str, str]]:
    """File, what is special, what must happen."""
    return [
        ("`catalog.jsonl`", "Categories with their products, these with their supplier", "one row per product"),
        ("`directory.jsonl`", "One document with three lists", "three dimensions"),
        (
            "`orders.jsonl.gz`",
            f"Orders with their lines, parties by their keys; of order {REFUSED_ORDER} the lines alone",
            "the star of the CSV files, row for row",
        ),
    ]


def _named(head: Iterable[object], row: Iterable[object]) -> Document:
    return {str(name): None if value == "NULL" else value for name, value in zip(head, row, strict=True)}


def _is_of(product: Document, category: Document) -> bool:
    return bool(product["categoryID"] == category["categoryID"])


def _product(row: Document, suppliers: dict[int, Document]) -> Document:
    kept = {name: row[name] for name in ("productID", "productName", "quantityPerUnit")}
    kept |= {"discontinued": bool(row["discontinued"]), "unitPrice": float(row["unitPrice"])}
    return kept | {"supplier": suppliers.get(row["supplierID"])}


def _order(row: Document, lines: Iterable[Document]) -> Document:
    mine = [line for line in lines if line["orderID"] == row["orderID"]]
    if row["orderID"] == REFUSED_ORDER:
        row = dict.fromkeys(row) | {"orderID": REFUSED_ORDER}
    return {
        "orderID": row["orderID"],
        "ordered": row["orderDate"],
        "shipped": {"on": row["shippedDate"], "via": row["shipVia"], "to": [row["shipAddress"], row["shipCountry"]]},
        "customer": {"customerID": row["customerID"]},
        "employee": {"employeeID": row["employeeID"]},
        "details": [
            {
                "product": {"productID": line["productID"]},
                "unitPrice": float(line["unitPrice"]),
                "quantity": line["quantity"],
                "discount": float(Decimal(line["discount"])),
            }
            for line in mine
        ],
    }


def _lines(documents: Iterable[Document]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in documents).encode()
