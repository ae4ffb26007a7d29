"""The date dimension: made from the calendar, not from data."""

import calendar
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from thresher.counts import Counts
from thresher.datasets import surrogate_name
from thresher.errors import UsageError
from thresher.lake import Lake
from thresher.star.dimension import Dimension
from thresher.star.members import NOT_APPLICABLE, UNKNOWN

_COLUMNS = pa.schema(
    [
        ("date", pa.date32()),
        ("year", pa.int32()),
        ("quarter", pa.int32()),
        ("month", pa.int32()),
        ("day", pa.int32()),
        ("year_month", pa.string()),
        ("month_name", pa.string()),
        ("day_name", pa.string()),
        ("day_of_week", pa.int32()),
        ("day_of_year", pa.int32()),
        ("is_weekend", pa.bool_()),
        ("is_month_end", pa.bool_()),
        ("iso_year", pa.int32()),
        ("iso_week", pa.int32()),
        ("iso_week_name", pa.string()),
        ("fiscal_year", pa.int32()),
        ("fiscal_quarter", pa.int32()),
        ("fiscal_month", pa.int32()),
    ]
)


def dates(
    lake: Lake, target: str, first: date, last: date, *, fiscal_year_starts: int = 1, not_applicable: bool = False
) -> Dimension:
    """Bring a date dimension up to date: one row per day from `first` to `last`, and the unknown member (-1); with
    `not_applicable`, one for facts that have no such day (-2), too.

    The surrogate key is the day's digits (20240131). `day_of_week` counts from Monday, 1, as ISO 8601 does, whose weeks
    `iso_year` and `iso_week` are: 2024-12-30 lies in 2025-W01. `fiscal_year_starts` is the month in which fiscal
    years begin; they have the name of the calendar year in which they end. Names are English. Days that are there
    stay, also outside of the range.

    | date | iso_week_name | day_name | fiscal_year, beginning in July | fiscal_quarter |
    |---|---|---|---|---|
    | 2024-12-30 | 2025-W01 | Monday | 2025 | 2 |

    Raises UsageError.
    """
    if last < first:
        raise UsageError(f"{target}: found days from {first} to {last}, expected the last one not before the first")
    if not 1 <= fiscal_year_starts <= 12:
        raise UsageError(f"{target}: found fiscal_year_starts={fiscal_year_starts}, expected a month, 1 to 12")
    surrogate = surrogate_name(target)
    schema = pa.schema([(surrogate, pa.int64()), *_COLUMNS])
    days = [{surrogate: int(f"{row['date']:%Y%m%d}"), **row} for row in _days(first, last, fiscal_year_starts)]
    special = [{surrogate: key} for key in ((UNKNOWN, NOT_APPLICABLE) if not_applicable else (UNKNOWN,))]
    merged = lake.merge(target, pa.Table.from_pylist([*days, *special], schema), [surrogate])
    more = {"inserted": merged.inserted, "updated": merged.updated}
    return Dimension(lake.read(target), Counts(target, rows_in=len(days), rows_out=len(days), more=more))


def _days(first: date, last: date, fiscal_year_starts: int) -> Iterator[dict[str, Any]]:
    for number in range((last - first).days + 1):
        day = first + timedelta(number)
        iso = day.isocalendar()
        fiscal_month = (day.month - fiscal_year_starts) % 12 + 1
        yield {
            "date": day,
            "year": day.year,
            "quarter": (day.month + 2) // 3,
            "month": day.month,
            "day": day.day,
            "year_month": f"{day.year:04}-{day.month:02}",
            "month_name": _MONTHS[day.month - 1],
            "day_name": _WEEKDAYS[iso.weekday - 1],
            "day_of_week": iso.weekday,
            "day_of_year": day.timetuple().tm_yday,
            "is_weekend": iso.weekday > 5,
            "is_month_end": day.day == calendar.monthrange(day.year, day.month)[1],
            "iso_year": iso.year,
            "iso_week": iso.week,
            "iso_week_name": f"{iso.year:04}-W{iso.week:02}",
            "fiscal_year": day.year + (fiscal_year_starts > 1 and day.month >= fiscal_year_starts),
            "fiscal_quarter": (fiscal_month + 2) // 3,
            "fiscal_month": fiscal_month,
        }


# Not Python's, which are those of the machine's language.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
