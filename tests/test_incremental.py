"""Only what changed sources touch is computed again, and it is what computing all of it gives."""

import pytest

from thresher import star, touched
from thresher.errors import MissingColumns, SqlError, UsageError

SOURCES = ["raw.people", "raw.orders"]
COUNTED = """
    select p.id, p.name, count(o.id) as orders from raw.people p left join raw.orders o on o.person = p.id
    group by p.id, p.name
"""
KEYS = "select id from changed_people union select person from changed_orders"


def load(lake, query=COUNTED, keys=KEYS):
    changes = touched(lake, "mart.counted", keys, sources=SOURCES, made_by=[query])
    return star.fact(lake, lake.sql(query), "mart.counted", dimensions={}, lookups={}, grain=["id"], touched=changes)


def counted(lake):
    return sorted(tuple(row.values()) for row in lake.read("mart.counted").to_arrow().to_pylist())


@pytest.fixture
def shop(lake):
    people = [{"id": number, "name": f"person {number}"} for number in (1, 2, 3, 4)]
    orders = [{"id": 1, "person": 1}, {"id": 2, "person": 1}, {"id": 3, "person": 2}]
    lake.write("raw.people", people)
    lake.write("raw.orders", orders)
    assert load(lake).counts.rows_out == 4
    return lake


def test_inserts_updates_and_deletes_touch_their_keys_alone(shop):
    shop.merge("raw.orders", [{"id": 3, "person": 4}, {"id": 4, "person": 1}], ["id"])
    shop.merge("raw.people", [{"id": 5, "name": "new"}], ["id"])
    shop.delete("raw.people", "id = 3")
    found = load(shop).counts
    assert counted(shop) == [(1, "person 1", 3), (2, "person 2", 0), (4, "person 4", 1), (5, "new", 0)]
    assert (found.rows_in, found.rows_out, found.more) == (4, 4, {"deleted": 1})
    assert counted(shop) == sorted(tuple(row.values()) for row in shop.sql(COUNTED).to_arrow().to_pylist())


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_nothing_is_written_where_nothing_changed(shop):
    version = shop.describe("mart.counted").version
    assert load(shop).counts.rows_in == 0
    assert shop.describe("mart.counted").version == version


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_all_is_computed_where_changes_cannot_tell(shop):
    assert load(shop, COUNTED.replace("p.name", "upper(p.name)")).counts.rows_in == 4  # another query
    assert counted(shop)[0] == (1, "PERSON 1", 2)
    assert load(shop).counts.rows_in == 4
    shop.delete("mart.counted", "id = 1")  # written by other means
    assert load(shop).counts.rows_in == 4
    shop.merge("raw.orders", [{"id": 9, "person": 3, "city": "Oslo"}], ["id"], schema="evolve")  # other columns
    assert load(shop).counts.rows_in == 4
    assert counted(shop)[2] == (3, "person 3", 1)


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_source_that_is_made_anew_touches_all(shop, tmp_path):
    import shutil

    shutil.rmtree(shop.location("raw.orders"))
    shop.write("raw.orders", [{"id": 7, "person": 3}])
    assert load(shop).counts.rows_in == 4
    assert counted(shop) == [(1, "person 1", 0), (2, "person 2", 0), (3, "person 3", 1), (4, "person 4", 0)]


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_partitioned_source_with_a_null_key(lake):
    lake.write("raw.people", [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    lake.write("raw.orders", [{"id": 1, "person": 1}, {"id": 2, "person": 2}], partition_by=["person"])
    load(lake)
    lake.write("raw.orders", [{"id": 3, "person": 2}, {"id": 4, "person": None}], mode="append")
    assert load(lake).counts.rows_in == 1
    assert counted(lake) == [(1, "a", 1), (2, "b", 2)]


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
@pytest.mark.parametrize(
    "keys, error, message",
    [
        ("select id from raw.others", SqlError, "reads raw.others; expected the sources raw.people, raw.orders"),
        ("select name from changed_people", MissingColumns, "what is touched"),
    ],
)
def test_a_query_for_keys_that_cannot_be_right_is_refused(shop, keys, error, message):
    with pytest.raises(error, match=message):
        load(shop, keys=keys)
        load(shop, keys=keys)


ORDERS = "select id, person, on_day, amount from raw.orders"
MADE = {
    "dimensions": {"person_key": "mart.dim_person"},
    "lookups": {"person_key": {"id": "person"}},
    "as_of": {"person_key": "on_day"},
    "grain": ["id"],
}


def load_orders(lake):
    keys = "select id from changed_orders"
    looked_up = ["mart.dim_person"]
    changes = touched(lake, "mart.fact", keys, sources=["raw.orders"], made_by=[ORDERS], dimensions=looked_up)
    return star.fact(lake, lake.sql(ORDERS), "mart.fact", **MADE, touched=changes).counts


def move(lake, *moves):
    rows = [{"id": number, "city": city, "since": day} for number, city, day in moves]
    people = lake.sql("select id, city, cast(since as date) as since from p", p=lake.frame(rows))
    star.dimension(lake, people, "mart.dim_person", key=["id"], scd_type=2, valid_from="since")


def test_orphans_and_moved_versions_are_looked_up_again(lake):
    days = "select id, person, cast(on_day as date) as on_day, amount from o"
    bought = [(1, 1, "2024-01-05", 10), (2, 1, "2024-03-05", 20), (3, 2, "2024-01-05", 30), (4, 3, "2024-01-05", 40)]
    names = ("id", "person", "on_day", "amount")
    lake.write("raw.orders", lake.sql(days, o=lake.frame([dict(zip(names, row, strict=True)) for row in bought])))
    move(lake, (1, "Rome", "2024-01-01"), (2, "Oslo", "2024-01-01"))
    assert (load_orders(lake).rows_out, load_orders(lake).rows_out) == (4, 0)
    # A version of 1 is divided, 3 arrives at last: of the four rows, 1's two and the orphan are computed again.
    move(lake, (1, "Pisa", "2024-02-01"), (3, "Bonn", "2024-01-02"))
    found = load_orders(lake)
    assert (found.rows_out, found.more) == (3, {"orphans person_key": 0, "deleted": 0})
    joined = "select f.id, d.city, f.amount from mart.fact f join mart.dim_person d on f.person_key = d.person_key"
    assert sorted(tuple(row.values()) for row in lake.sql(joined).to_arrow().to_pylist()) == [
        (1, "Rome", 10),
        (2, "Pisa", 20),
        (3, "Oslo", 30),
        (4, "Bonn", 40),
    ]
    # An order is changed, another deleted: they alone.
    lake.execute("update raw.orders set amount = 31 where id = 3")
    lake.delete("raw.orders", "id = 4")
    assert (load_orders(lake).rows_out, lake.read("mart.fact").count()) == (1, 3)


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_dimensions_that_the_changes_know_nothing_of_are_named(shop):
    star.dimension(shop, shop.read("raw.people"), "mart.dim_person", key=["id"])
    query = "select id, person as who from raw.orders"
    made = {"dimensions": {"who_key": "mart.dim_person"}, "lookups": {"who_key": {"id": "who"}}, "grain": ["id"]}
    for times in (1, 2):
        changes = touched(shop, "mart.f", "select id from changed_orders", sources=["raw.orders"], made_by=[query])
        if times == 1:
            star.fact(shop, shop.sql(query), "mart.f", **made, touched=changes)
        else:
            with pytest.raises(UsageError, match=r"knows nothing of \['mart.dim_person'\]; name them in dimensions"):
                star.fact(shop, shop.sql(query), "mart.f", **made, touched=changes)


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_versions_are_compared_by_the_keys_that_changed_or_whole_where_nobody_noted_them(shop):
    since = shop.describe("raw.people").version
    shop.merge("raw.people", [{"id": 2, "name": "two"}, {"id": 9, "name": "nine"}], ["id"])
    shop.apply("raw.people", [{"id": 3, "name": "", "gone": True}], ["id"], deleted="gone")
    until = shop.describe("raw.people").version

    def compared():
        return [
            sorted(row["id"] for row in each.to_arrow().to_pylist())
            for each in shop.versions("raw.people", since, until)
        ]

    assert compared() == [[2, 3], [2, 9]]
    noted = sorted((shop.location("raw.people") / "_changed_keys").iterdir())
    assert len(noted) == 2
    noted[0].rename(noted[0].with_name("another commit.parquet"))
    assert compared() == [[1, 2, 3, 4], [1, 2, 4, 9]]
