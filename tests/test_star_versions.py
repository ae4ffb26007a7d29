"""Type 2 dimensions: versions do not depend on the order of arrival, and facts find the one of their day."""

from datetime import UTC, date, datetime
from itertools import permutations

import pyarrow as pa
import pytest

from thresher import star
from thresher.errors import DuplicateKeys, SchemaMismatch, UsageError
from thresher.lake import Lake

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)

CHANGES = [
    {"id": 1, "city": "Rome", "since": date(2024, 5, 1), "gone": False},
    {"id": 1, "city": None, "since": date(2024, 5, 3), "gone": False},
    {"id": 1, "city": None, "since": date(2024, 5, 5), "gone": False},
    {"id": 1, "city": "Rome", "since": date(2024, 5, 7), "gone": False},
    {"id": 1, "city": None, "since": date(2024, 5, 9), "gone": True},
    {"id": 2, "city": "Bonn", "since": date(2024, 5, 2), "gone": False},
]
VERSIONS = [
    (None, None, None, None, True),
    (1, "Rome", date(2024, 5, 1), date(2024, 5, 3), False),
    (1, None, date(2024, 5, 3), date(2024, 5, 7), False),
    (1, "Rome", date(2024, 5, 7), date(2024, 5, 9), False),
    (2, "Bonn", date(2024, 5, 2), None, True),
]


KIND = pa.struct([("id", pa.int64()), ("city", pa.string()), ("since", pa.date32()), ("gone", pa.bool_())])


def one(row):
    """A row as a table; its columns have types also where it holds nulls alone."""
    return pa.Table.from_struct_array(pa.array([row], KIND))


def load(lake, rows, **more):
    options = {"key": ["id"], "scd_type": 2, "valid_from": "since", "deleted": "gone"} | more
    return star.dimension(lake, lake.frame(rows), "mart.dim_customer", **options)


def versions(lake):
    rows = lake.sql("select id, city, valid_from, valid_to, is_current from mart.dim_customer order by id, valid_from")
    return [tuple(row.values()) for row in rows.to_arrow().to_pylist()]


def test_changes_become_versions_and_are_accounted_for(lake):
    loaded = load(lake, [*CHANGES, CHANGES[0], {"id": None, "city": "X", "since": date(2024, 1, 1), "gone": False}])
    assert versions(lake) == VERSIONS
    assert loaded.counts.as_dict() == {
        "dataset": "mart.dim_customer",
        "rows_in": 8,
        "rows_out": 6,
        "refused": 1,
        "duplicate": 1,
        "more": {"inserted": 4, "closed": 0, "removed": 0},
    }
    assert loaded.rows.columns[0] == "customer_key"


@embedded_only
def test_a_history_in_any_order_is_the_history_in_order(tmp_path, engine):
    for number, order in enumerate(list(permutations(range(5)))[::7]):
        lake = Lake(tmp_path / str(number))
        for place in order:
            load(lake, one(CHANGES[place]))
        load(lake, [CHANGES[5]])
        assert versions(lake) == VERSIONS, order


def test_a_late_change_divides_a_version_and_keys_stay(lake):
    load(lake, [CHANGES[0], CHANGES[3]])
    assert versions(lake)[1:] == [(1, "Rome", date(2024, 5, 1), None, True)]
    before = lake.sql("select customer_key from mart.dim_customer where id = 1").to_arrow().to_pylist()
    loaded = load(lake, one(CHANGES[1]))
    assert versions(lake)[1:] == VERSIONS[1:3] + [(1, "Rome", date(2024, 5, 7), None, True)]
    assert loaded.counts.more == {"inserted": 2, "closed": 1, "removed": 0}
    first = lake.sql("select customer_key from mart.dim_customer where valid_from = date'2024-05-01'")
    assert first.to_arrow().to_pylist() == before == [{"customer_key": 1}]
    version = lake.tables("mart")[0].version
    load(lake, one(CHANGES[1]))
    assert lake.tables("mart")[0].version == version


def test_rows_without_a_date_hold_from_their_load(lake):
    days = [datetime(2024, 5, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    begin = datetime(1900, 1, 1, tzinfo=UTC)

    def snapshot(rows, now):
        return load(lake, rows, valid_from="", deleted="", absent="close", now=now)

    snapshot([{"id": 1, "city": "Rome"}, {"id": 2, "city": "Bonn"}], days[0])
    snapshot([{"id": 1, "city": "Pisa"}, {"id": 2, "city": "Bonn"}], days[1])
    snapshot([{"id": 1, "city": "Pisa"}, {"id": 3, "city": None}], days[2])
    snapshot([{"id": 1, "city": "Pisa"}, {"id": 2, "city": "Bonn"}, {"id": 3, "city": None}], days[3])
    assert versions(lake)[1:] == [
        (1, "Rome", begin, days[1], False),
        (1, "Pisa", days[1], None, True),
        (2, "Bonn", begin, days[2], False),
        (2, "Bonn", days[3], None, True),
        (3, None, begin, None, True),
    ]


def test_a_fact_finds_the_version_of_its_day(lake):
    load(lake, CHANGES)
    sales = [
        {"sale": number, "customer": customer, "day": date(2024, 5, day)}
        for number, (customer, day) in enumerate([(1, 1), (1, 2), (1, 3), (1, 8), (1, 9), (2, 1), (2, 30), (9, 5)])
    ]
    fact = star.fact(
        lake,
        lake.frame(sales),
        "mart.fact_sale",
        dimensions={"customer_key": "mart.dim_customer"},
        lookups={"customer_key": {"id": "customer"}},
        as_of={"customer_key": "day"},
        grain=["sale"],
    )
    found = lake.sql(
        "select f.sale, d.id, d.city from mart.fact_sale f join mart.dim_customer d "
        "on f.customer_key = d.customer_key order by f.sale"
    )
    assert [tuple(row.values()) for row in found.to_arrow().to_pylist()] == [
        (0, 1, "Rome"),
        (1, 1, "Rome"),
        (2, 1, None),
        (3, 1, "Rome"),
        (4, None, None),
        (5, None, None),
        (6, 2, "Bonn"),
        (7, None, None),
    ]
    assert fact.counts.more == {"orphans customer_key": 3}
    assert "day" in fact.rows.columns and "customer" not in fact.rows.columns


@embedded_only
def test_a_moment_falls_into_the_version_of_its_day(lake):
    load(lake, CHANGES)
    sales = [{"sale": 1, "customer": 1, "at": datetime(2024, 5, 2, 23, 59)}]
    given = {"dimensions": {"k": "mart.dim_customer"}, "lookups": {"k": {"id": "customer"}}, "grain": ["sale"]}
    fact = star.fact(lake, lake.frame(sales), "mart.fact_sale", as_of={"k": "at"}, **given)
    assert fact.rows.to_arrow().to_pylist() == [{"k": 1, "sale": 1, "at": datetime(2024, 5, 2, 23, 59)}]
    with pytest.raises(UsageError, match="name in as_of the column"):
        star.fact(lake, lake.frame(sales), "mart.fact_sale", **given)
    with pytest.raises(SchemaMismatch, match="column sale is bigint, expected a date or timestamp"):
        star.fact(lake, lake.frame(sales), "mart.fact_sale", as_of={"k": "sale"}, **given)
    with pytest.raises(UsageError, match="as_of names \\['x'\\]"):
        star.fact(lake, lake.frame(sales), "mart.fact_sale", as_of={"x": "at"}, **given)


@embedded_only
def test_two_rows_of_a_member_and_moment_need_an_order(lake):
    rows = [CHANGES[0] | {"seen": 1}, CHANGES[0] | {"city": "Pisa", "seen": 2}]
    with pytest.raises(DuplicateKeys, match="tell the latest row in order_by"):
        load(lake, rows)
    for _ in range(2):
        load(lake, rows, order_by=["seen"])
        assert versions(lake)[1:] == [(1, "Pisa", date(2024, 5, 1), None, True)]
        rows = [CHANGES[0] | {"city": "Bari", "seen": 0}]  # a correction that arrives after a later one
    load(lake, [CHANGES[0] | {"city": "Pisa", "seen": 3, "since": date(2024, 6, 1)}], order_by=["seen"])
    assert versions(lake)[1:] == [(1, "Pisa", date(2024, 5, 1), None, True)]


@embedded_only
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"scd_type": 3}, "found scd_type=3, expected 1"),
        ({"scd_type": 1}, "expected scd_type=2 with them"),
        ({"absent": "drop"}, "found absent='drop', expected keep or close"),
        ({"absent": "close"}, "are changes. Name the column"),
        ({"key": ["since"]}, "cannot be columns of the natural key"),
        ({"valid_from": "city"}, "column city is string, expected a date or timestamp"),
        ({"deleted": "city"}, "column city is string, expected boolean"),
    ],
)
def test_what_cannot_be_done_is_named(lake, more, message):
    with pytest.raises((UsageError, SchemaMismatch), match=message):
        load(lake, CHANGES, **more)
    assert not lake.exists("mart.dim_customer")
