"""Facts by load strategy; members that nobody delivered: inferred ones, and the one for facts that have none."""

from datetime import date, datetime

import pytest

from thresher import star
from thresher.errors import DataError, DuplicateKeys, SchemaMismatch, UsageError

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
SALES = [
    {"sale": 1, "book": "a", "month": "2024-01", "price": 10},
    {"sale": 2, "book": None, "month": "2024-01", "price": None},
    {"sale": 3, "book": "x", "month": "2024-02", "price": 30},
]
FACT = {"dimensions": {"book_key": "mart.dim_book"}, "lookups": {"book_key": {"isbn": "book"}}, "grain": ["sale"]}


def rows_of(lake, name="mart.fact_sale", columns="*"):
    return sorted(tuple(row.values()) for row in lake.sql(f"select {columns} from {name}").to_arrow().to_pylist())


def load(lake, rows, **how):
    return star.fact(lake, lake.frame(rows), "mart.fact_sale", **FACT, **how).counts


def load_books(lake, *isbns, **how):
    rows = lake.frame([{"isbn": isbn, "title": title} for isbn, title in isbns])
    return star.dimension(lake, rows, "mart.dim_book", key=["isbn"], **how)


def test_early_facts_get_an_inferred_member_that_is_completed_later(lake):
    used = lake.sql("select book as isbn from s", s=lake.frame(SALES))
    found = load_books(lake, ("a", "Algebra"), inferred=used)
    assert found.counts.more == {"inserted": 3, "updated": 0}
    members = {row["isbn"]: row for row in lake.read("mart.dim_book").to_arrow().to_pylist()}
    assert members["x"] == {"book_key": 2, "isbn": "x", "title": None, "is_inferred": True}
    assert members["a"] == {"book_key": 1, "isbn": "a", "title": "Algebra", "is_inferred": False}
    assert load(lake, SALES).more == {"orphans book_key": 1}
    # What is delivered at last keeps the key that facts refer to.
    load_books(lake, ("x", "Xylem"))
    members = {row["isbn"]: row for row in lake.read("mart.dim_book").to_arrow().to_pylist()}
    assert members["x"] == {"book_key": 2, "isbn": "x", "title": "Xylem", "is_inferred": False}
    assert members["a"]["title"] == "Algebra"


@pytest.mark.parametrize("dated", [True, False])
def test_an_inferred_member_with_versions_is_completed_under_its_key(lake, dated):
    versioned = {"scd_type": 2, **({"valid_from": "since"} if dated else {"now": datetime(2024, 5, 1)})}

    def deliver(*rows, early=()):
        query = f"select id, city{', cast(since as date) as since' if dated else ''} from r"
        people = lake.sql(query, r=lake.frame([dict(zip(("id", "city", "since"), row, strict=True)) for row in rows]))
        used = lake.frame([{"id": each} for each in early]) if early else None
        star.dimension(lake, people, "mart.dim_person", key=["id"], **versioned, inferred=used)

    deliver((1, "Rome", "2024-01-01"), early=[1, 2, 3, 2])
    columns = "person_key, id, city, is_inferred, is_current"
    real = "mart.dim_person where id > 1"
    assert rows_of(lake, real, columns) == [(2, 2, None, True, True), (3, 3, None, True, True)]
    deliver((2, "Oslo", "2024-02-01"), early=[2, 3])
    assert rows_of(lake, real, columns) == [(2, 2, "Oslo", False, True), (3, 3, None, True, True)]
    since = date(2024, 2, 1) if dated else datetime(1900, 1, 1)
    (oslo,) = lake.sql("select valid_from from mart.dim_person where city = 'Oslo'").to_arrow().to_pylist()
    assert str(oslo["valid_from"])[:10] == str(since)[:10]
    deliver((1, "Rome", "2024-01-01"))
    assert lake.sql("select count(*) as n from mart.dim_person where id > 0").to_arrow().to_pylist() == [{"n": 3}]


@embedded_only
def test_a_fact_that_may_have_none_belongs_to_the_member_for_that(lake):
    load_books(lake, ("a", "Algebra"))
    with pytest.raises(UsageError, match="mart.dim_book has no member -2 .* not_applicable: true"):
        load(lake, SALES, not_applicable=["book_key"])
    load_books(lake, ("a", "Algebra"), not_applicable=True)
    found = load(lake, SALES, not_applicable=["book_key"], measures=["price"])
    assert found.more == {"orphans book_key": 1, "not applicable book_key": 1, "null price": 1}
    assert rows_of(lake, columns="sale, book_key") == [(1, 1), (2, -2), (3, -1)]
    star.dates(lake, "mart.dim_day", date(2024, 1, 1), date(2024, 1, 2), not_applicable=True)
    assert rows_of(lake, "mart.dim_day", "day_key") == [(-2,), (-1,), (20240101,), (20240102,)]


def test_rows_are_appended_once_and_merged_by_the_grain(lake):
    load_books(lake, ("a", "Algebra"))
    load(lake, SALES[:2], mode="append")
    again = load(lake, SALES, mode="append")
    assert (again.rows_in, again.rows_out, again.duplicate) == (3, 1, 2)
    assert rows_of(lake, columns="sale, price") == [(1, 10), (2, None), (3, 30)]
    with pytest.raises(DuplicateKeys, match="1 rows are there already with other values"):
        load(lake, [{**SALES[0], "price": 11}], mode="append")
    found = load(lake, [{**SALES[0], "price": 11}, {**SALES[0], "sale": 4}], mode="merge")
    assert found.more == {"orphans book_key": 0, "inserted": 1, "updated": 1}
    assert rows_of(lake, columns="sale, price") == [(1, 11), (2, None), (3, 30), (4, 10)]


def test_a_history_is_loaded_partition_by_partition(lake):
    load_books(lake, ("a", "Algebra"))
    for month in ("2024-01", "2024-02", "2024-01"):
        load(lake, [row for row in SALES if row["month"] == month], partition={"month": month})
    assert rows_of(lake, columns="sale, month") == [(1, "2024-01"), (2, "2024-01"), (3, "2024-02")]
    load(lake, SALES[:1], partition={"month": "2024-01"})
    assert rows_of(lake, columns="sale") == [(1,), (3,)]
    with pytest.raises(DataError, match="1 rows are of another partition than {'month': '2024-01'}"):
        load(lake, [SALES[0], SALES[2]], partition={"month": "2024-01"})


@embedded_only
def test_what_cannot_be_a_fact_is_named(lake):
    load_books(lake, ("a", "Algebra"))
    with pytest.raises(DataError, match=r"1 rows have a null in the grain \(sale\)"):
        load(lake, [*SALES, {"sale": None, "book": "a", "month": "2024-01", "price": 1}])
    with pytest.raises(SchemaMismatch, match="the measures {'month': 'string'} are no numbers"):
        load(lake, SALES, measures=["month"])
    with pytest.raises(UsageError, match="mode 'replace' is unknown; expected one of overwrite, append, merge"):
        load(lake, SALES, mode="replace")
    with pytest.raises(UsageError, match="expected mode overwrite, found append"):
        load(lake, SALES, mode="append", partition={"month": "2024-01"})
    assert not lake.exists("mart.fact_sale")
