"""Dimensions keep their keys, facts find them, and nothing is multiplied or lost."""

import threading

import pytest

from thresher import star
from thresher.errors import DuplicateKeys, MissingColumns, UsageError
from thresher.lake import Lake

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)

FIRST = [
    {"isbn": "b", "title": "Botany", "year": 2001},
    {"isbn": "a", "title": "Algebra", "year": None},
    {"isbn": "a", "title": "Algebra", "year": None},
    {"isbn": None, "title": "Nameless", "year": 1},
]


def members(lake, name="mart.dim_book"):
    return sorted(lake.read(name).to_arrow().to_pylist(), key=lambda row: row["book_key"])


def test_a_dimension_is_built_and_accounted_for(lake):
    loaded = star.dimension(lake, lake.frame(FIRST), "mart.dim_book", key=["isbn"])
    assert members(lake) == [
        {"book_key": -1, "isbn": None, "title": None, "year": None},
        {"book_key": 1, "isbn": "a", "title": "Algebra", "year": None},
        {"book_key": 2, "isbn": "b", "title": "Botany", "year": 2001},
    ]
    assert loaded.counts.as_dict() == {
        "dataset": "mart.dim_book",
        "rows_in": 4,
        "rows_out": 2,
        "refused": 1,
        "duplicate": 1,
        "more": {"inserted": 3, "updated": 0},
    }
    (refused,) = lake.read("quarantine.mart_dim_book").to_arrow().to_pylist()
    assert (refused["rule"], refused["reason"], refused["content"]) == (
        "null key",
        "a null in isbn",
        b'{"isbn": null, "title": "Nameless", "year": 1}',
    )


def test_surrogate_keys_stay_and_attributes_follow(lake):
    star.dimension(lake, lake.frame(FIRST), "mart.dim_book", key=["isbn"])
    later = [
        {"isbn": "aa", "title": "Astronomy", "year": 3},
        {"isbn": "a", "title": "Algebra", "year": 2002},
        {"isbn": "0", "title": "Zoology", "year": None},
    ]
    loaded = star.dimension(lake, lake.frame(later), "mart.dim_book", key=["isbn"])
    assert members(lake)[1:] == [
        {"book_key": 1, "isbn": "a", "title": "Algebra", "year": 2002},
        {"book_key": 2, "isbn": "b", "title": "Botany", "year": 2001},
        {"book_key": 3, "isbn": "0", "title": "Zoology", "year": None},
        {"book_key": 4, "isbn": "aa", "title": "Astronomy", "year": 3},
    ]
    assert loaded.counts.more == {"inserted": 2, "updated": 1}


def test_loading_a_dimension_again_makes_no_version(lake):
    for _ in range(2):
        loaded = star.dimension(lake, lake.frame(FIRST), "mart.dim_book", key=["isbn"])
    assert loaded.counts.more == {"inserted": 0, "updated": 0}
    assert [table.version for table in lake.tables("mart")] == [0]


def test_a_dimension_follows_its_query(lake):
    star.dimension(lake, lake.frame([{"isbn": "a", "title": "A", "year": 1}]), "mart.dim_book", key=["isbn"])
    changed = lake.frame([{"isbn": "a", "title": "A", "price": 1.5}, {"isbn": "b", "title": "B", "price": None}])
    star.dimension(lake, changed, "mart.dim_book", key=["isbn"])
    assert members(lake)[1:] == [
        {"book_key": 1, "isbn": "a", "title": "A", "year": None, "price": 1.5},
        {"book_key": 2, "isbn": "b", "title": "B", "year": None, "price": None},
    ]


def test_loads_of_one_dimension_at_once_lose_no_member(tmp_path):
    def load(letter):
        lake = Lake(tmp_path)
        star.dimension(lake, lake.frame([{"isbn": f"{letter}{n}"} for n in range(5)]), "mart.dim_book", key=["isbn"])

    threads = [threading.Thread(target=load, args=(letter,)) for letter in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = members(Lake(tmp_path))
    assert {row["isbn"] for row in found} == {None} | {f"{letter}{n}" for letter in "xyz" for n in range(5)}
    assert [row["book_key"] for row in found] == [-1, *range(1, 16)]


@embedded_only
def test_rows_of_one_member_that_differ_need_an_order(lake):
    rows = lake.frame([{"isbn": "a", "title": "Old", "seen": 1}, {"isbn": "a", "title": "New", "seen": 2}])
    with pytest.raises(DuplicateKeys, match=r"mart\.dim_book: key \['isbn'\] is not unique.*in order_by\."):
        star.dimension(lake, rows, "mart.dim_book", key=["isbn"])
    assert not lake.exists("mart.dim_book")
    loaded = star.dimension(lake, rows, "mart.dim_book", key=["isbn"], order_by=["seen"])
    assert members(lake)[1] == {"book_key": 1, "isbn": "a", "title": "New", "seen": 2}
    assert (loaded.counts.rows_out, loaded.counts.duplicate) == (1, 1)


@pytest.fixture
def books(lake):
    star.dimension(lake, lake.frame(FIRST), "mart.dim_book", key=["isbn"])
    return lake


LISTED = [
    {"line": 1, "isbn": "b", "price": 10},
    {"line": 2, "isbn": "b", "price": 20},
    {"line": 3, "isbn": "x", "price": 30},
    {"line": 4, "isbn": None, "price": None},
]
LOOKUP = {"dimensions": {"book_key": "mart.dim_book"}, "lookups": {"book_key": {"isbn": "isbn"}}, "grain": ["line"]}


def test_a_fact_finds_its_keys_and_counts_orphans(books):
    loaded = star.fact(books, books.frame(LISTED), "mart.fact_line", **LOOKUP)
    assert sorted(loaded.rows.to_arrow().to_pylist(), key=lambda row: row["line"]) == [
        {"book_key": 2, "line": 1, "price": 10},
        {"book_key": 2, "line": 2, "price": 20},
        {"book_key": -1, "line": 3, "price": 30},
        {"book_key": -1, "line": 4, "price": None},
    ]
    assert loaded.counts.more == {"orphans book_key": 2}
    assert sorted(row["line"] for row in loaded.orphans.to_arrow().to_pylist()) == [3, 4]
    star.fact(books, books.frame(LISTED), "mart.fact_line", **LOOKUP)
    assert books.history("mart.fact_line")[0]["version"] == 0


@embedded_only
def test_an_orphan_is_found_again_when_its_member_arrives(books):
    star.dimension(books, books.frame([{"isbn": "x", "title": "Late", "year": 1}]), "mart.dim_book", key=["isbn"])
    loaded = star.fact(books, books.frame(LISTED), "mart.fact_line", **LOOKUP)
    assert loaded.counts.more == {"orphans book_key": 1}


def test_a_fact_whose_rows_were_multiplied_is_refused(books):
    with pytest.raises(DuplicateKeys, match=r"mart\.fact_line: key \['line'\] is not unique: 1 keys stand in several"):
        star.fact(books, books.frame([*LISTED, LISTED[0]]), "mart.fact_line", **LOOKUP)
    two = {**LOOKUP, "lookups": {"book_key": {"title": "isbn"}}}
    twins = [{"isbn": "c", "title": "Algebra", "year": 1}]
    star.dimension(books, books.frame(twins), "mart.dim_book", key=["isbn"])
    with pytest.raises(DuplicateKeys, match=r"mart\.dim_book: key \['title'\] is not unique"):
        star.fact(books, books.frame(LISTED), "mart.fact_line", **two)
    assert not books.exists("mart.fact_line")


def test_one_dimension_in_two_roles_and_none_at_all(books):
    sold = [{"line": 1, "main": "a", "extra": "b"}]
    loaded = star.fact(
        books,
        books.frame(sold),
        "mart.fact_sold",
        dimensions={"main_key": "mart.dim_book", "extra_key": "mart.dim_book"},
        lookups={"main_key": {"isbn": "main"}, "extra_key": {"isbn": "extra"}},
        grain=["line"],
    )
    assert loaded.rows.to_arrow().to_pylist() == [{"main_key": 1, "extra_key": 2, "line": 1}]
    plain = star.fact(books, books.frame(sold), "mart.fact_plain", dimensions={}, lookups={}, grain=["line"])
    assert plain.rows.to_arrow().to_pylist() == sold


@embedded_only
def test_what_cannot_be_done_is_named(books):
    rows = books.frame(LISTED)
    with pytest.raises(UsageError, match=r"dimensions name \['book_key'\], lookups name \[\]"):
        star.fact(books, rows, "mart.f", dimensions={"book_key": "mart.dim_book"}, lookups={}, grain=["line"])
    with pytest.raises(MissingColumns, match=r"mart\.f: missing columns \['isbn13'\]"):
        star.fact(books, rows, "mart.f", **{**LOOKUP, "lookups": {"book_key": {"isbn": "isbn13"}}})
    with pytest.raises(UsageError, match="a dimension needs a natural key"):
        star.dimension(books, rows, "mart.dim_x", key=[])
    with pytest.raises(UsageError, match="column book_key is the surrogate key"):
        star.dimension(books, books.frame([{"book_key": 1, "isbn": "a"}]), "mart.dim_book", key=["isbn"])


@embedded_only
def test_a_grain_that_is_looked_up_stays(books):
    rows = [{"order": 1, "book": "a", "n": 3}, {"order": 1, "book": "z", "n": 4}]
    fact = star.fact(
        books,
        books.frame(rows),
        "mart.fact_line",
        dimensions={"book_key": "mart.dim_book"},
        lookups={"book_key": {"isbn": "book"}},
        grain=["order", "book"],
    )
    assert fact.rows.columns == ["book_key", "order", "book", "n"]
