"""INSERT, UPDATE, DELETE and MERGE on datasets, on both engines."""

from decimal import Decimal
from typing import Any

import pytest

from thresher.errors import DataError, DatasetNotFound, DuplicateKeys, MissingColumns, SchemaMismatch, SqlError
from thresher.lake import Lake
from thresher.sql.statements import Clause, Insert, Merge, parse_statement
from thresher.statements import Changed

# The same queries run on both engines: these rules are told before, or by what the library does with the rows.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)


@pytest.fixture
def orders(lake: Lake) -> Lake:
    """A dataset of three orders, one of them without state and price."""
    lake.write(
        "curated.orders",
        lake.sql("select * from values (1, 'new', 1.50), (2, 'paid', 2.50), (3, null, null) as t(id, state, price)"),
    )
    return lake


def rows(lake: Lake) -> list[tuple[Any, ...]]:
    found = lake.sql("select id, state, price from curated.orders order by id, state").to_arrow()
    return [tuple(row.values()) for row in found.to_pylist()]


ALL = [(1, "new", Decimal("1.50")), (2, "paid", Decimal("2.50")), (3, None, None)]


def test_insert_fills_columns_by_position_or_name_and_converts_what_loses_nothing(orders: Lake) -> None:
    assert orders.execute("insert into curated.orders values (4, 'new', 4)") == Changed(inserted=1)
    assert orders.execute(
        "INSERT INTO TABLE curated.orders (state, ID) SELECT upper(state), id + 10 FROM curated.orders WHERE id < 3"
    ) == Changed(inserted=2)
    assert rows(orders) == [*ALL, (4, "new", Decimal("4.00")), (11, "NEW", None), (12, "PAID", None)]


@embedded_only
def test_insert_overwrite_replaces_all_rows(orders: Lake) -> None:
    assert orders.execute("insert overwrite curated.orders select 9, 'only', 0.5") == Changed(inserted=1, deleted=3)
    assert rows(orders) == [(9, "only", Decimal("0.50"))]


def test_update_changes_the_rows_for_which_the_condition_is_true(orders: Lake) -> None:
    changed = orders.execute(
        "update curated.orders as o set price = o.price * 2, state = concat(state, '!') where o.id < :below",
        {"below": 3},
    )
    assert changed == Changed(updated=2)
    assert rows(orders) == [(1, "new!", Decimal("3.00")), (2, "paid!", Decimal("5.00")), (3, None, None)]


@embedded_only
def test_update_sees_the_old_values_in_every_assignment(orders: Lake) -> None:
    assert orders.execute("update curated.orders set id = id + 1, state = cast(id as string)") == Changed(updated=3)
    assert rows(orders) == [(2, "1", Decimal("1.50")), (3, "2", Decimal("2.50")), (4, "3", None)]


def test_delete_keeps_the_rows_for_which_the_condition_is_null(orders: Lake) -> None:
    assert orders.execute("delete from curated.orders where price < 2") == Changed(deleted=1)
    assert rows(orders) == ALL[1:]
    assert orders.execute("delete from curated.orders o where o.id in (select id from gone)", gone=[{"id": 3}]) == (
        Changed(deleted=1)
    )
    assert orders.execute("delete from curated.orders") == Changed(deleted=1)
    assert rows(orders) == []


@embedded_only
def test_a_statement_that_changes_nothing_commits_nothing(orders: Lake) -> None:
    before = orders.history("curated.orders")
    assert orders.execute("delete from curated.orders where id = 99") == Changed()
    assert orders.execute("update curated.orders set state = 'x' where false") == Changed()
    assert orders.execute("insert into curated.orders select * from curated.orders where false") == Changed()
    assert orders.history("curated.orders") == before


CHANGES = [
    {"id": 1, "state": "sent", "op": "u"},
    {"id": 2, "state": None, "op": "d"},
    {"id": 7, "state": "new", "op": "i"},
    {"id": 8, "state": "new", "op": "d"},
]


def test_the_first_true_clause_of_a_merge_decides_about_a_row(orders: Lake) -> None:
    changed = orders.execute(
        """
        merge into curated.orders as t using changes as s on t.id = s.id
        when matched and s.op = 'd' then delete
        when matched then update set state = s.state, price = case when price > 1 then price + 1 else 0 end
        when not matched by source and t.price is null then update set state = 'lost'
        when not matched by source then delete
        when not matched and s.op <> 'd' then insert (id, state) values (s.id, upper(s.state))
        """,
        changes=CHANGES,
    )
    assert changed == Changed(inserted=1, updated=2, deleted=1)
    assert rows(orders) == [(1, "sent", Decimal("2.50")), (3, "lost", None), (7, "NEW", None)]


def test_a_star_takes_all_columns_by_name(orders: Lake) -> None:
    changed = orders.execute(
        "merge into curated.orders using (select 2.25 as PRICE, state, id from curated.orders where id = 1 "
        "union all select 9.75, 'star', 5) as s on orders.id = s.id "
        "when matched then update set * when not matched then insert *"
    )
    assert changed == Changed(inserted=1, updated=1)
    assert rows(orders) == [(1, "new", Decimal("2.25")), *ALL[1:], (5, "star", Decimal("9.75"))]


def test_a_row_that_several_rows_of_the_source_would_change_is_an_error(orders: Lake) -> None:
    twice = "(select * from values (1, 'a'), (1, 'b') as v(id, state))"
    with pytest.raises(DuplicateKeys, match="1 rows are matched by several rows of the source"):
        orders.execute(
            f"merge into curated.orders t using {twice} s on t.id = s.id when matched then update set state = s.state"
        )
    assert rows(orders) == ALL
    assert orders.execute(f"merge into curated.orders t using {twice} s on t.id = s.id when matched then delete") == (
        Changed(deleted=1)
    )


@embedded_only
@pytest.mark.parametrize(
    ("statement", "error", "words"),
    [
        ("insert into curated.orders values ('x', 'new', 1)", SchemaMismatch, "column id: string cannot be stored as"),
        ("insert into curated.orders values (1)", SqlError, r"INSERT of 1 columns into 3 \(id, state, price\)"),
        ("insert into curated.orders (id, colour) values (1, 2)", MissingColumns, "no column colour; the target has"),
        ("update curated.orders set price = 99999999999", DataError, "99999999999"),
        ("update curated.orders set colour = 1", MissingColumns, "no column colour"),
        ("update curated.orders set id = 1, ID = 2", SqlError, "a column is set twice"),
        ("delete from curated.bills", DatasetNotFound, "no dataset curated.bills"),
        ("delete from curated.orders where colour = 1", SqlError, "colour"),
        ("merge into curated.orders using (select 1 as id) s on orders.id = s.id when matched then update set *",
         MissingColumns, r"the source lacks \['state', 'price'\]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_an_error_and_changes_nothing(
    orders: Lake, statement: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        orders.execute(statement)
    assert rows(orders) == ALL
    assert len(orders.history("curated.orders")) == 1


@embedded_only
def test_words_inside_texts_and_quoted_names_are_no_keywords(orders: Lake) -> None:
    for word in ("where", ",", ";", "(", "then", "when", "end"):
        assert orders.execute("update curated.orders set state = :word, price = 1 where id = 1", {"word": word}) == (
            Changed(updated=1)
        )
        assert rows(orders)[0] == (1, word, Decimal("1.00"))
    lake = orders
    lake.write("raw.odd", lake.sql("select 1 as `end`, 2 as `select`"))
    lake.execute("update raw.odd set `end` = `end` + 1, `select` = `select` where `end` = 1")
    lake.execute("insert into raw.odd (`select`) select 7")
    assert lake.sql("select * from raw.odd order by `end`").to_arrow().to_pylist() == [
        {"end": None, "select": 7}, {"end": 2, "select": 2},
    ]  # fmt: skip


MERGE = "merge into curated.orders t using (select 9 as k) s on t.id = s.k"


@embedded_only
@pytest.mark.parametrize(
    "statement",
    [
        f"{MERGE} where false when matched then delete",
        f"{MERGE} cross join range(2) when matched then delete",
        f"{MERGE} when not matched then insert (id) values (max(s.k))",
        "update curated.orders set id = 1) + (2",
        "update curated.orders set id = row_number() over (order by id)",
        "delete from curated.orders where id = 1) or (true",
        "delete from curated.orders where `_row` = 1",
    ],
)  # fmt: skip
def test_a_part_of_a_statement_is_one_expression_about_one_row(orders: Lake, statement: str) -> None:
    with pytest.raises(SqlError):
        orders.execute(statement)
    assert rows(orders) == ALL


@embedded_only
def test_insert_goes_by_position_whatever_the_names(orders: Lake) -> None:
    assert orders.execute("insert into curated.orders select 7, 'x', 1 as id -- done") == Changed(inserted=1)
    assert orders.execute("insert into curated.orders (id, price) select 8, 8") == Changed(inserted=1)
    assert rows(orders)[3:] == [(7, "x", Decimal("1.00")), (8, None, Decimal("8.00"))]


@embedded_only
def test_an_empty_text_in_a_partition_column_is_refused_here_too(lake: Lake) -> None:
    lake.write("mart.p", lake.sql("select 1 as id, 'a' as part"), partition_by=["part"])
    with pytest.raises(SchemaMismatch, match="an empty text in a partition column"):
        lake.execute("update mart.p set part = ''")
    assert lake.read("mart.p").to_arrow().to_pylist() == [{"id": 1, "part": "a"}]


def test_braces_and_maps_are_kept_as_they_are(lake: Lake) -> None:
    lake.write("raw.m", lake.sql("select 1 as id, '{x}' as s, map('a', 1) as m"))
    assert lake.write("raw.m", lake.sql("select 1 as id, '{x}' as s, map('a', 1) as m")) == 0
    lake.execute("insert into raw.m values (2, :text, map('b', 2))", {"text": '{"a":1}'})
    assert lake.sql("select * from raw.m order by id").to_arrow().to_pylist() == [
        {"id": 1, "s": "{x}", "m": [("a", 1)]}, {"id": 2, "s": '{"a":1}', "m": [("b", 2)]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select 1", "line 1, column 1: found 'select', expected INSERT, UPDATE, DELETE or MERGE."),
        ("delete curated.t", "line 1, column 8: found 'curated', expected FROM."),
        ("update t set a.b.c = 1",
         "line 1, column 20: found '=', expected a column of t; fields of a struct cannot be set one by one."),
        ("merge into t using s on\n t.a = s.a", "line 2, column 11: found the end, expected WHEN."),
        ("merge into t using s on t.a = s.a when matched then insert *",
         "line 1, column 53: found 'insert', expected UPDATE or DELETE."),
        ("insert into t (a, b values (1)", "line 1, column 21: found 'values', expected , or )."),
    ],
)  # fmt: skip
def test_text_that_is_no_statement_names_the_place(text: str, message: str) -> None:
    with pytest.raises(SqlError) as error:
        parse_statement(text)
    assert str(error.value) == message


def test_statements_are_taken_apart_at_their_own_words_only() -> None:
    assert parse_statement("insert into mart.`t:1` (a) (select 1) -- done") == Insert("mart.t:1", "(select 1)", ("a",))
    assert parse_statement(
        "merge into t using (select * from u where x = 'when') as s "
        "on t.k = s.k and case when t.k > 1 then true else false end "
        "when not matched by target and s.a in (1, 2) then insert (k, a) values (f(s.k, 1), s.`when`);"
    ) == Merge(
        "t",
        "t",
        "(select * from u where x = 'when')",
        "s",
        "t.k = s.k and case when t.k > 1 then true else false end",
        (Clause("by target", "insert", "s.a in (1, 2)", (("k", "f(s.k, 1)"), ("a", "s.`when`"))),),
    )
