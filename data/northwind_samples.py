"""Orders of a trader in food, as CSV files of eight tables: the shape of the classic order data, invented."""

import csv
import io
import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

CATEGORIES = {"Drinks": "Coffees, teas and juices", "Spices": "Herbs, salts, and mixtures", "Bread": "Loaves"}
CITIES = [("Lisbon", "Portugal"), ("Graz", "Austria"), ("Turku", "Finland"), ("Lyon", "France")]
REFUSED_ORDER, ODD_PRODUCT = 1007, 12
ORDERS = range(1001, 1041)


def folder() -> dict[str, bytes]:
    """The files by name."""
    return {f"{name}.csv": _file(rows) for name, rows in tables().items()}


def tables() -> dict[str, list[tuple[object, ...]]]:
    """The rows of each table, the names of its columns first."""
    drawn = random.Random(1996)
    orders = [_order(drawn, number) for number in ORDERS]
    return {
        "categories": [("categoryID", "categoryName", "description")]
        + [(number, name, text) for number, (name, text) in enumerate(CATEGORIES.items(), 1)],
        "suppliers": [("supplierID", "companyName", "city", "region", "country")]
        + [(number, f"Supplier {number}", city, "NULL", country) for number, (city, country) in enumerate(CITIES, 1)],
        "products": [_PRODUCT, *(_product(number) for number in range(1, 13))],
        "customers": [_CUSTOMER, *(_customer(number) for number in range(1, 9))],
        "employees": [("employeeID", "lastName", "firstName", "title", "city", "country", "reportsTo")]
        + [
            (number, f"Clerk{number}", "Kim", "Sales", "Graz", "Austria", 1 if number > 1 else "NULL")
            for number in (1, 2, 3)
        ],
        "shippers": [("shipperID", "companyName"), (1, "Rail and Road"), (2, "Sea")],
        "orders": [_ORDER, *orders],
        "order-details": [_LINE, *(line for number in ORDERS for line in _lines(drawn, number))],
    }


def listed() -> list[tuple[str, str, str]]:
    """File, what is special, what must happen."""
    return [
        ("`customers.csv`", "NULL as a text", "no region, not one that is called NULL"),
        ("`products.csv`", f"The supplier of product {ODD_PRODUCT} is in no file", "the product has no supplier"),
        (
            "`orders.csv`",
            f"Order {REFUSED_ORDER} has an address with a comma and no quotes; orders from 1037 on are not shipped",
            "the order is refused; its lines count, for an unknown customer on an unknown day",
        ),
        ("`order-details.csv`", "Prices of the day of the order, discounts", "net is exact to the fourth digit"),
    ]


_PRODUCT = ("productID", "productName", "supplierID", "categoryID", "quantityPerUnit", "unitPrice", "discontinued")
_CUSTOMER = ("customerID", "companyName", "contactName", "contactTitle", "city", "region", "postalCode", "country")
_ORDER = ("orderID", "customerID", "employeeID", "orderDate", "shippedDate", "shipVia", "shipAddress", "shipCountry")
_LINE = ("orderID", "productID", "unitPrice", "quantity", "discount")


def _product(number: int) -> tuple[object, ...]:
    supplier = 99 if number == ODD_PRODUCT else number % 4 + 1
    return number, f"Product {number}", supplier, number % 3 + 1, "10 boxes", f"{number * 1.35:.2f}", int(number == 5)


def _customer(number: int) -> tuple[object, ...]:
    city, country = CITIES[number % 4]
    return f"CUST{number}", f"Shop {number}", "Kim Doe", "Owner", city, "NULL", f"0{number}050", country


def _order(drawn: random.Random, number: int) -> tuple[object, ...]:
    ordered = datetime(1996, 12, 1) + timedelta(days=drawn.randrange(400))
    shipped = ordered + timedelta(days=drawn.randrange(1, 20)) if number < 1037 else None
    address = f"Dock Road, {number}" if number in (REFUSED_ORDER, 1009) else f"Dock Road {number}"
    days = (f"{day}.000" if day else "NULL" for day in (ordered, shipped))
    return number, f"CUST{drawn.randint(1, 8)}", drawn.randint(1, 3), *days, drawn.randint(1, 2), address, "Austria"


def _lines(drawn: random.Random, order: int) -> list[tuple[object, ...]]:
    products = drawn.sample(range(1, 13), drawn.randint(1, 4))
    return [
        (
            order,
            product,
            f"{product * 1.2:.2f}",
            drawn.randint(1, 40),
            drawn.choice((0, 0, Decimal("0.05"), Decimal("0.15"))),
        )
        for product in products
    ]


def _file(rows: Iterable[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    written = csv.writer(text, lineterminator="\n")
    for row in rows:
        if row[0] == REFUSED_ORDER and len(row) == len(_ORDER):
            text.write(",".join(map(str, row)) + "\n")  # as programs write it that know of no quotes
        else:
            written.writerow(row)
    return text.getvalue().encode()
