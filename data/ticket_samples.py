"""Sales of tickets for sports, as AWS DMS delivers them: a full load of one table, then changes while people buy."""

import random
from datetime import datetime, timedelta

from dms_files import FULL_LOAD, csv_file

COLUMNS = (
    "ticketactivity_id",
    "sport_type",
    "start_date",
    "location",
    "seat_level",
    "seat_location",
    "ticket_price",
    "customer_name",
    "email_address",
    "created_at",
    "updated_at",
)
OPENED = datetime(2026, 5, 2, 8, 0)
SPORTS = {"football": "North Arena", "handball": "Harbour Hall", "ice hockey": "Ice Hall", "tennis": "Centre Court"}
LEVELS = {"standard": 120, "premium": 210, "box": 340}


def folder() -> dict[str, bytes]:
    """The files by name: 60 activities, ten more with a price that changes, and the update of activity 46."""
    drawn = random.Random(46)
    rows = {number: _activity(drawn, number) for number in range(1, 71)}
    later = [["I", *rows[number].values()] for number in range(61, 71)]
    later.append(["U", *_updated(rows[12], 175, datetime(2026, 5, 2, 14, 5)).values()])
    later.append(["D", *rows[30].values()])
    raised = ["U", *_updated(rows[46], 500, datetime(2026, 5, 2, 15, 20)).values()]
    return {
        FULL_LOAD: csv_file([COLUMNS, *(list(rows[number].values()) for number in range(1, 61))]),
        "20260502-141000000.csv": csv_file([["Op", *COLUMNS], *later]),
        "20260502-152100000.csv": csv_file([["Op", *COLUMNS], raised]),
    }


def listed() -> list[tuple[str, str, str]]:
    """File, what is special, what must happen."""
    return [
        (f"`{FULL_LOAD}`", "60 activities", "60 rows"),
        (
            "`20260502-141000000.csv`",
            "10 new activities; 12 costs 175 now; 30 is cancelled, and deleted",
            "69 rows",
        ),
        ("`20260502-152100000.csv`", "Activity 46 costs 500 now", "69 rows; the table and the report show 500"),
    ]


def _activity(drawn: random.Random, number: int) -> dict[str, object]:
    sport, level = drawn.choice(list(SPORTS)), drawn.choice(list(LEVELS))
    # The full load is of the morning; what comes later was bought in the hour before its file.
    minute = drawn.randrange(300) if number <= 60 else 300 + drawn.randrange(60)
    bought = OPENED + timedelta(minutes=minute)
    return {
        "ticketactivity_id": number,
        "sport_type": sport,
        "start_date": f"2026-06-{drawn.randint(1, 28):02} 19:30:00",
        "location": SPORTS[sport],
        "seat_level": level,
        "seat_location": f"{drawn.choice('ABCD')}{drawn.randint(1, 40)}",
        "ticket_price": LEVELS[level],
        "customer_name": f"Customer {number:03}",
        "email_address": f"customer{number:03}@example.org",
        "created_at": f"{bought}",
        "updated_at": f"{bought}",
    }


def _updated(activity: dict[str, object], price: int, moment: datetime) -> dict[str, object]:
    return activity | {"ticket_price": price, "updated_at": f"{moment}"}
