"""Invoices of a supplier of electricity, as AWS DMS delivers them without a header: a full load, then 1,000 more."""

import random
from datetime import date, timedelta

from dms_files import FULL_LOAD, csv_file

PRICE_EUR_PER_KWH = 0.32
INSERTED = ("20260615-100000000.csv", "20260615-101000000.csv")


def folder() -> dict[str, bytes]:
    """The files by name: invoices 1 to 10, and in two files of changes those up to 1,010."""
    drawn = random.Random(1010)
    rows = [_invoice(drawn, number) for number in range(1, 1011)]
    inserted = [["I", *row] for row in rows[10:]]
    return {
        FULL_LOAD: csv_file(rows[:10]),
        INSERTED[0]: csv_file(inserted[:500]),
        INSERTED[1]: csv_file(inserted[500:]),
    }


def listed() -> list[tuple[str, str, str]]:
    """File, what is special, what must happen."""
    return [
        (f"`{FULL_LOAD}`", "10 invoices, without a header; the balance of some is null", "10 invoices"),
        (f"`{INSERTED[0]}`", "500 inserts, the operation in front", "510 invoices"),
        (f"`{INSERTED[1]}`", "500 more", "1,010 invoices"),
    ]


def _invoice(drawn: random.Random, number: int) -> list[object]:
    billed = date(2026, drawn.randint(1, 6) if number > 10 else 1, 15)
    balance = drawn.randint(5, 60) if drawn.random() < 0.2 else None
    used_kwh = drawn.randint(40, 600)
    due = used_kwh * PRICE_EUR_PER_KWH + (balance or 0)
    return [
        number,
        1_200_000 + drawn.randint(1, 400),
        billed,
        billed + timedelta(days=drawn.randint(14, 20)),
        balance,
        used_kwh,
        f"{due:.2f}",
    ]
