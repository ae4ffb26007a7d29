"""What the portable SQL reads, splices for Spark, translates for DuckDB, and refuses with which words."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import cast

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher import sql
from thresher.engines.embedded import EmbeddedEngine
from thresher.errors import NotPortable, SqlError

COURSES = pa.schema(
    [("course_id", pa.int64()), ("title", pa.string()), ("price", pa.decimal128(10, 2)), ("day", pa.date32())]
)


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("select 1 as a", ()),
        ("select * from raw.a join b on a.x = b.x join raw.a as c on c.x = b.x", ("raw.a", "b")),
        ("with a as (select * from raw.a) select * from a", ("raw.a",)),
        ("with a as (select * from a) select * from a", ("a",)),
        ("with a as (select 1 as x), b as (select * from a) select * from b, a, c", ("c",)),
        ("with a as (select 1 as x) select * from raw.a", ("raw.a",)),
        ("select * from (with a as (select 1 as x) select * from a) as u, a", ("a",)),
        ("select * from t where exists (select 1 from u where u.x in (select y from v))", ("t", "u", "v")),
        ("select (select max(x) from m) as x from t union all select y from u", ("m", "t", "u")),
        ("select * from `odd zone`.`t:1` -- from nothing", ("odd zone.t:1",)),
        ("values (1), (2)", ()),
    ],
)
def test_tables_are_those_that_are_no_ctes(text: str, tables: tuple[str, ...]) -> None:
    assert sql.parse(text).tables == tables


def test_spark_gets_the_text_with_other_table_names_and_nothing_else_touched() -> None:
    text = (
        "select /* raw.a */ a.x, 'raw.a' as s  -- raw.a\n"
        "from raw.a join curated.`b c` on a.x = `b c`.x\n"
        "left join raw.a AS again using (x);"
    )
    assert sql.parse(text).to_spark({"raw.a": "v_1", "curated.b c": "v_2"}) == (
        "select /* raw.a */ a.x, 'raw.a' as s  -- raw.a\n"
        "from v_1 as a join v_2 as `b c` on a.x = `b c`.x\n"
        "left join v_1 AS again using (x);"
    )


def test_a_column_with_its_tables_full_name_is_refused() -> None:
    with pytest.raises(SqlError) as error:
        sql.parse("select\n  raw.a.x from raw.a", "etl.sql").to_spark({"raw.a": "v_1"})
    assert str(error.value) == (
        "etl.sql:2:3: column raw.a.x is written with its table's full name. Write a.x, or give the table an alias."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("select 1; select 2", "line 1, column 1: found 2 statements; expected exactly one query."),
        ("", "line 1, column 1: found 0 statements; expected exactly one query."),
        (
            "drop table t",
            "line 1, column 1: found DROP; expected a query (SELECT, WITH, VALUES or a set operation).",
        ),
    ],
)
def test_anything_but_one_query_is_an_error(text: str, message: str) -> None:
    with pytest.raises(SqlError) as error:
        sql.parse(text)
    assert str(error.value) == message


def test_text_that_cannot_be_parsed_names_the_place() -> None:
    with pytest.raises(SqlError, match=r"^etl\.sql:2:\d+: .*Expected one query in Spark SQL\.$"):
        sql.parse("select 1\nfrom where", "etl.sql")


def refused(text: str) -> str:
    with pytest.raises((NotPortable, SqlError)) as error:
        sql.parse(text, "q.sql").translation({"t": "t"}, {"t": COURSES})
    return f"{type(error.value).__name__}: {error.value}"


def test_what_is_not_allowed_is_refused_by_name_with_place_and_remedy() -> None:
    assert refused("select\n  uuid() as key from t") == (
        "NotPortable: q.sql:2:3: function uuid is not part of the portable SQL (docs/sql.md): it is not proven to "
        "give the same rows on the embedded engine as on Spark. Next: make the key from the row's own key with sha2, "
        "or run the step on Spark (engine: spark)."
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("select * from t where title", "q.sql:1:23: WHERE is string; expected a boolean."),
        ("select * from t where null", "WHERE is void; expected a boolean."),
        ("select * from t where price = true", "a comparison over different types (decimal(10,2), boolean)"),
        ("select titel from t", "q.sql:1:8: no column titel. Did you mean title?"),
        ("select x from t", "q.sql:1:8: no column x. There are course_id, title, price, day."),
        ("select a.title from t as a join t as b on title = 'x'", "column title is ambiguous: a.title, b.title."),
        ("select * from t where price = :p", "parameter :p has no value."),
        ("select title:page from t", "use get_json_object(title, '$.page')"),
        ("select current_date() as d", "pass the day as a parameter (:day)"),
        ("select row_number() over (partition by title) as n from t", "row_number"),
        ("select * from t where (course_id in (select 1)) = true", "IN (SELECT …) as an operand"),
        ("select * from t tablesample (10 percent)", "a table with SAMPLE"),
        ("select bigint '1' as x", "bigint"),
        ("select title from t limit -1", "LIMIT is not a whole number from 0 on."),
        ("select (select max(u.price + t.price) from t as u) as x from t", "the outer column t.price here"),
        ("select * from t as a left join t as b on exists (select 1)", "a subquery in the ON of a LEFT JOIN"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    assert words in refused(text)


def test_a_table_that_is_not_given_is_an_error() -> None:
    with pytest.raises(SqlError, match=r"^line 1, column 15: no table raw\.x; there are t\.$"):
        sql.parse("select * from raw.x").translation({"t": "t"}, {"t": COURSES})


def embedded() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    sql.prepare(connection)
    return connection


def test_a_query_over_tables_gives_rows_of_sparks_types() -> None:
    connection = embedded()
    rows = pa.Table.from_pylist(
        [
            {"course_id": 1, "title": "Algebra", "price": Decimal("10.00"), "day": None},
            {"course_id": 2, "title": None, "price": Decimal("2.50"), "day": None},
            {"course_id": 2, "title": "Zoo", "price": None, "day": None},
        ],
        schema=COURSES,
    )
    connection.register("v_1", rows)
    query = sql.parse(
        "with c as (select course_id % 2 as odd, * from curated.courses) "
        "select odd, count(*) as n, sum(price) as total, max(title) as last, "
        "row_number() over (order by odd desc) as r from c group by odd order by odd"
    )
    translation = query.translation({"curated.courses": "v_1"}, {"curated.courses": COURSES})
    assert [(f.name, str(f.type)) for f in translation.schema] == [
        ("odd", "int64"), ("n", "int64"), ("total", "decimal128(20, 2)"), ("last", "string"), ("r", "int32"),
    ]  # fmt: skip
    assert connection.execute(translation.sql).fetchall() == [
        (0, 2, Decimal("2.50"), "Zoo", 2),
        (1, 1, Decimal("10.00"), "Algebra", 1),
    ]


def test_settings_and_functions_hold_for_every_cursor_of_the_connection() -> None:
    connection = embedded()
    cursor = connection.cursor()
    query = sql.parse("select cast('2024-01-31 10:00:00' as timestamp) as t, left('abc', 2) as s")
    translation = query.translation({}, {})
    sql.Functions(connection).provide(translation)
    cursor.execute(translation.sql)
    assert str(cursor.fetchall()) == "[(datetime.datetime(2024, 1, 31, 10, 0, tzinfo=<UTC>), 'ab')]"


def test_a_function_whose_adding_was_interrupted_is_added_by_the_next_query(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = EmbeddedEngine()
    made = engine.connection.create_function

    class Interrupted:
        def __getattr__(self, name: str) -> object:
            return getattr(engine.connection, name)

        def create_function(self, *arguments: object, **options: object) -> None:
            made(*arguments, **options)  # type: ignore[arg-type]
            raise KeyboardInterrupt

    functions = sql.Functions(cast(duckdb.DuckDBPyConnection, Interrupted()))
    translation = sql.parse("select initcap('a b') as x").translation({}, {})
    with pytest.raises(KeyboardInterrupt):
        functions.provide(translation)
    monkeypatch.delattr(Interrupted, "create_function")
    functions.provide(translation)
    assert engine.connection.execute(translation.sql).fetchall() == [("A B",)]
    engine.close()


CONNECTION = embedded()
FUNCTIONS = sql.Functions(CONNECTION)
DIGITS = st.integers(-(10**10) + 1, 10**10 - 1)


def value(text: str) -> object:
    translation = sql.parse(f"select {text} as v").translation({}, {})
    FUNCTIONS.provide(translation)
    row = CONNECTION.execute(translation.sql).fetchone()
    assert row is not None
    return row[0]


@settings(max_examples=60, deadline=None)
@given(a=DIGITS, b=DIGITS.filter(bool), scale_a=st.integers(0, 6), scale_b=st.integers(0, 4))
def test_decimals_divide_exactly_and_round_half_up(a: int, b: int, scale_a: int, scale_b: int) -> None:
    one, other = Decimal(a).scaleb(-scale_a), Decimal(b).scaleb(-scale_b)
    found = value(f"cast('{one:f}' as decimal(10,{scale_a})) / cast('{other:f}' as decimal(10,{scale_b}))")
    scale = max(6, scale_a + 11)
    with localcontext(prec=100):
        assert found == (one / other).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)


@settings(max_examples=60, deadline=None)
@given(a=DIGITS, b=DIGITS, scale_a=st.integers(0, 6), scale_b=st.integers(0, 4), sign=st.sampled_from("+-*"))
def test_decimals_add_and_multiply_exactly(a: int, b: int, scale_a: int, scale_b: int, sign: str) -> None:
    one, other = Decimal(a).scaleb(-scale_a), Decimal(b).scaleb(-scale_b)
    found = value(f"cast('{one:f}' as decimal(10,{scale_a})) {sign} cast('{other:f}' as decimal(10,{scale_b}))")
    with localcontext(prec=100):
        assert found == {"+": one + other, "-": one - other, "*": one * other}[sign]


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="aß😀é ,", max_size=6), start=st.integers(-8, 8), size=st.integers(-2, 8))
def test_substring_counts_characters_as_spark_does(text: str, start: int, size: int) -> None:
    first = start - 1 if start > 0 else len(text) + start if start < 0 else 0
    expected = text[max(first, 0) : max(first + size, 0)] if size > 0 else ""
    assert value(f"substring('{text}', {start}, {size})") == expected


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=30))
def test_a_string_literal_survives_both_dialects(text: str) -> None:
    written = text.replace("\\", "\\\\").replace("'", "\\'")
    assert value(f"'{written}'") == text


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="select from where (1)'\"`,.*/-+\n:;=<>", max_size=40))
def test_any_text_is_a_query_or_an_error_of_ours(text: str) -> None:
    try:
        query = sql.parse(text)
        query.to_spark({name: "v" for name in query.tables})
        query.translation({name: "v" for name in query.tables}, {name: COURSES for name in query.tables})
    except (SqlError, NotPortable):
        pass


def test_a_query_may_be_long_and_deep() -> None:
    assert value(" + ".join(["1"] * 300)) == 300
    assert value("(" * 150 + "1" + " + 1)" * 150) == 151
    assert value("not (1 = 2 " + " or 1 = 3" * 600 + ")") is True


def test_a_query_that_is_too_deep_is_an_error_of_ours() -> None:
    with pytest.raises(SqlError, match="nested too deep"):
        value("abs(" * 5000 + "1" + ")" * 5000)


def test_schemas_that_read_alike_are_not_the_same() -> None:
    text = """'{"a":1,"b":2,"a: int32, b":3}'"""
    assert value(f"from_json({text}, '`a: int32, b` int')") == {"a: int32, b": 3}
    assert value(f"from_json({text}, 'a int, b int')") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(select sum(a / b) filter (where b <> 0) from values (1.50, 2.0), (1.0, 0.0) as t(a, b))", Decimal("0.75")),
        ("(select count(cast(s as int)) filter (where s rlike '^[0-9]+$') from values ('1'), ('x') as t(s))", 1),
        ("(select count_if(b <> 0 and a / b > 0) from values (1.50, 2.0), (1.0, 0.0) as t(a, b))", 1),
        ("(select bool_or(b = 0 or a / b > 0) from values (1.50, 2.0), (1.0, 0.0) as t(a, b))", True),
    ],
)
def test_what_may_raise_is_looked_at_only_where_spark_does(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("join", ["cross join (select 9 as n) b", "cross join b", "inner join b on true"])
def test_a_cross_join_beside_another_is_no_comma(lake, join):
    rows = lake.frame([{"n": 9}])
    query = f"select a.n, b.n as m, c.n as o from a {join} left join c on a.n = c.n"
    assert lake.sql(query, a=rows, b=rows, c=rows).to_arrow().to_pylist() == [{"n": 9, "m": 9, "o": 9}]


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_comma_beside_a_join_is_refused_whatever_stands_between(lake):
    rows = lake.frame([{"n": 9}])
    with pytest.raises(NotPortable, match="a comma beside JOIN"):
        lake.sql("select 1 as x from a, -- join\n (select 9 as n) b left join c on b.n = c.n", a=rows, c=rows)
