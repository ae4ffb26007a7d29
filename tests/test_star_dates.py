"""The date dimension: ISO weeks, fiscal years, and days that stay."""

from datetime import date

import pytest

from thresher import star
from thresher.errors import UsageError

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)


def test_a_day_is_what_the_calendar_says(lake):
    loaded = star.dates(lake, "mart.dim_date", date(2024, 12, 29), date(2025, 1, 1), fiscal_year_starts=7)
    rows = sorted(loaded.rows.to_arrow().to_pylist(), key=lambda row: row["date_key"])
    assert [row["date_key"] for row in rows] == [-1, 20241229, 20241230, 20241231, 20250101]
    assert set(rows[0].values()) == {-1, None}
    assert rows[2] == {
        "date_key": 20241230,
        "date": date(2024, 12, 30),
        "year": 2024,
        "quarter": 4,
        "month": 12,
        "day": 30,
        "year_month": "2024-12",
        "month_name": "December",
        "day_name": "Monday",
        "day_of_week": 1,
        "day_of_year": 365,
        "is_weekend": False,
        "is_month_end": False,
        "iso_year": 2025,
        "iso_week": 1,
        "iso_week_name": "2025-W01",
        "fiscal_year": 2025,
        "fiscal_quarter": 2,
        "fiscal_month": 6,
    }
    assert [(row["is_weekend"], row["is_month_end"], row["iso_week_name"]) for row in rows[1:]] == [
        (True, False, "2024-W52"),
        (False, False, "2025-W01"),
        (False, True, "2025-W01"),
        (False, False, "2025-W01"),
    ]
    assert loaded.counts.as_dict()["more"] == {"inserted": 5, "updated": 0}


@embedded_only
@pytest.mark.parametrize(
    ("starts", "day", "expected"),
    [
        (1, date(2024, 1, 1), (2024, 1, 1)),
        (1, date(2024, 12, 31), (2024, 4, 12)),
        (4, date(2024, 3, 31), (2024, 4, 12)),
        (4, date(2024, 4, 1), (2025, 1, 1)),
        (10, date(2024, 9, 30), (2024, 4, 12)),
        (10, date(2024, 10, 1), (2025, 1, 1)),
    ],
)
def test_a_fiscal_year_has_the_name_of_the_year_it_ends_in(lake, starts, day, expected):
    star.dates(lake, "mart.dim_date", day, day, fiscal_year_starts=starts)
    (row,) = lake.sql("select * from mart.dim_date where date_key > 0").to_arrow().to_pylist()
    assert (row["fiscal_year"], row["fiscal_quarter"], row["fiscal_month"]) == expected


@embedded_only
def test_days_stay_and_the_same_days_make_no_version(lake):
    star.dates(lake, "mart.dim_date", date(2024, 1, 1), date(2024, 1, 2))
    star.dates(lake, "mart.dim_date", date(2024, 1, 1), date(2024, 1, 2))
    assert [table.version for table in lake.tables("mart")] == [0]
    loaded = star.dates(lake, "mart.dim_date", date(2024, 1, 2), date(2024, 1, 3))
    assert loaded.counts.more == {"inserted": 1, "updated": 0}
    assert lake.read("mart.dim_date").count() == 4


@embedded_only
def test_what_is_no_range_is_named(lake):
    with pytest.raises(UsageError, match="found days from 2024-01-02 to 2024-01-01"):
        star.dates(lake, "mart.dim_date", date(2024, 1, 2), date(2024, 1, 1))
    with pytest.raises(UsageError, match="found fiscal_year_starts=13, expected a month"):
        star.dates(lake, "mart.dim_date", date(2024, 1, 1), date(2024, 1, 1), fiscal_year_starts=13)
