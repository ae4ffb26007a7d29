"""The operational database of a bicycle hire, as AWS DMS delivers it: 18 tables, a full load of each and its changes.

The values are drawn by the names of their columns. The changes of every table are the same: its row 1 is updated twice,
row 2 is deleted, and a row is inserted after the last.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dms_files import FULL_LOAD, csv_file

CHANGES = "20260301-060000000.csv"
LATE = "20260301-055900000.csv"
BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
TABLES = {  # how many rows, and the columns; the first one is the key
    "cities": (3, "city_id, name, country"),
    "zones": (8, "zone_id, city_id, name"),
    "stations": (24, "station_id, zone_id, name, opened_at"),
    "docks": (60, "dock_id, station_id, status"),
    "depots": (3, "depot_id, city_id, name, note"),
    "suppliers": (4, "supplier_id, name, country"),
    "bike_models": (5, "model_id, supplier_id, name, price_eur"),
    "bikes": (40, "bike_id, model_id, status, bought_at"),
    "batteries": (30, "battery_id, bike_id, charge_percent, read_at"),
    "parts": (12, "part_id, supplier_id, name, price_eur"),
    "vans": (4, "van_id, depot_id, name"),
    "tariffs": (4, "tariff_id, name, price_eur"),
    "memberships": (25, "membership_id, tariff_id, status, begun_at"),
    "rides": (80, "ride_id, bike_id, membership_id, ride_minutes, begun_at"),
    "ride_payments": (70, "payment_id, ride_id, amount_eur, paid_at"),
    "repairs": (15, "repair_id, bike_id, part_id, note, repaired_at"),
    "relocations": (20, "relocation_id, van_id, bike_id, moved_at"),
    "complaints": (10, "complaint_id, ride_id, note, status"),
}
TRAPS = {
    "stations": ("The changes have a column more, `capacity_count`", "It is added, null for the rows before"),
    "depots": ("Notes with commas, quotes and a newline", "They are kept letter by letter"),
    "bikes": (
        f"A file of changes, `{LATE}`, is older than the other: it sets row 1 to `lost`",
        "The later change wins in whatever order the files come",
    ),
    "rides": ("Row 999, which nobody knows, is deleted", "It is counted as a delete and changes nothing"),
    "ride_payments": ("A payment is taken back: its amount is negative", "The amount is kept"),
}
NOTES = ("squeaks", 'the "old" one, blue', "rust, left side", "first line\nsecond line")
STATES = ("ready", "in use", "broken")


def folder() -> dict[str, bytes]:
    """The files by their place below the sample's folder: `bikes/LOAD00000001.csv`."""
    drawn = random.Random(18)
    files = {}
    for table, (count, names) in TABLES.items():
        columns = names.split(", ")
        rows = [_row(drawn, table, columns, number) for number in range(1, count + 2)]
        files[f"{table}/{FULL_LOAD}"] = csv_file([columns, *rows[:-1]])
        files[f"{table}/{CHANGES}"] = csv_file(_changes(drawn, table, columns, rows))
    files[f"bikes/{LATE}"] = csv_file(
        [["Op", *TABLES["bikes"][1].split(", ")], ["U", 1, 1, "lost", BEGIN.strftime("%Y-%m-%d %H:%M:%S")]]
    )
    return files


def listed() -> Iterator[tuple[str, str, str, str]]:
    """Table, rows of its full load, what is special, what must happen."""
    for table, (count, _) in TABLES.items():
        yield f"`{table}`", str(count), *TRAPS.get(table, ("", ""))


def _changes(drawn: random.Random, table: str, columns: list[str], rows: list[list[object]]) -> list[list[object]]:
    first, last = (_row(drawn, table, columns, 1) for _ in range(2))
    if table == "ride_payments":
        last[columns.index("amount_eur")] = "-2.50"
    changes = [["U", *first], ["U", *last], ["D", *rows[1]], ["I", *rows[-1]]]
    if table == "rides":
        changes.append(["D", 999, *rows[0][1:]])
    if table == "stations":
        return [["Op", *columns, "capacity_count"], *([*change, 20] for change in changes)]
    return [["Op", *columns], *changes]


def _row(drawn: random.Random, table: str, columns: list[str], number: int) -> list[object]:
    return [number, *(_value(drawn, table, column, number) for column in columns[1:])]


def _value(drawn: random.Random, table: str, column: str, number: int) -> object:
    kind = column.rpartition("_")[2]
    match kind:
        case "id":
            return drawn.randint(1, 3)
        case "name":
            return f"{table.removesuffix('s').replace('_', ' ')} {number:02}".capitalize()
        case "country":
            return drawn.choice(("SE", "DK", "NO"))
        case "at":
            return (BEGIN + timedelta(minutes=drawn.randrange(28 * 24 * 60))).strftime("%Y-%m-%d %H:%M:%S")
        case "eur":
            return f"{drawn.randint(100, 9999) / 100:.2f}"
        case "note":
            return NOTES[number % len(NOTES)]
        case "status":
            return drawn.choice(STATES)
        case _:
            return drawn.randint(1, 100)
