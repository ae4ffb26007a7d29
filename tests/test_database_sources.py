"""Databases as sources: what real servers hold arrives exactly, or is refused or reported."""

import sqlite3
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pymysql
import pytest

from thresher import databases
from thresher.databases import Impossible, mysql, oracle, sqlserver
from thresher.errors import (
    DataError,
    MissingColumns,
    SchemaMismatch,
    SqlError,
    TableNotFound,
    TransientError,
    UsageError,
)

# One row a column: its declaration, a literal, the shared type and the value that arrives.
POSTGRESQL = [
    ("boolean", "true", pa.bool_(), True),
    ("smallint", "-32768", pa.int16(), -32768),
    ("integer", "2147483647", pa.int32(), 2147483647),
    ("bigint", "9223372036854775807", pa.int64(), 9223372036854775807),
    ("oid", "4294967295", pa.int64(), 4294967295),
    ("real", "'nan'", pa.float32(), "nan"),
    ("double precision", "1e308", pa.float64(), 1e308),
    ("numeric(38,12)", "12345678901234567890123456.123456789012", pa.decimal128(38, 12), None),
    ("numeric(10,2)", "-0.01", pa.decimal128(10, 2), Decimal("-0.01")),
    ("numeric(5,-2)", "12345", pa.decimal128(7, 0), Decimal(12300)),
    ("numeric(3,5)", "0.00123", pa.decimal128(5, 5), Decimal("0.00123")),
    ("numeric", "0.1234567890123456789012345678901234567890123", pa.string(), None),
    ("numeric", "'NaN'", pa.string(), "NaN"),
    ("numeric(50,2)", "1e40", pa.string(), "1" + "0" * 40 + ".00"),
    ("money", "1.5", pa.string(), "$1.50"),
    ("text", "'é😀 \\ ''quoted'''", pa.string(), "é😀 \\ 'quoted'"),
    ("text", "''", pa.string(), ""),
    ("char(5)", "'ab'", pa.string(), "ab   "),
    ("bytea", r"'\x00ff'", pa.binary(), b"\x00\xff"),
    ("date", "'2024-02-29'", pa.date32(), date(2024, 2, 29)),
    ("time", "'24:00'", pa.string(), "24:00:00"),
    ("timetz", "'12:00+02'", pa.string(), "12:00:00+02"),
    ("timestamp", "'1600-01-02 03:04:05.123456'", pa.timestamp("us"), datetime(1600, 1, 2, 3, 4, 5, 123456)),
    ("timestamptz", "'2024-07-01 12:00+02'", pa.timestamp("us", "UTC"), datetime(2024, 7, 1, 10, tzinfo=UTC)),
    ("interval", "'1 mon 2 days 3.5s'", pa.string(), "1 mon 2 days 00:00:03.5"),
    ("uuid", "'123e4567-e89b-12d3-a456-426655440000'", pa.string(), "123e4567-e89b-12d3-a456-426655440000"),
    ("json", """'{"b": 1,  "a": 1.10}'""", pa.string(), '{"b": 1,  "a": 1.10}'),
    ("jsonb", """'{"b": 1,  "a": 1.10}'""", pa.string(), '{"a": 1.10, "b": 1}'),
    ("integer[]", "'{1,NULL}'", pa.list_(pa.field("element", pa.int32())), [1, None]),
    ("numeric(5,2)[]", "'{1.25}'", pa.list_(pa.field("element", pa.decimal128(5, 2))), [Decimal("1.25")]),
    ("date[]", "'{infinity}'", pa.list_(pa.field("element", pa.string())), ["infinity"]),
    ("mood", "'sad'", pa.string(), "sad"),
    ("pence", "1.5", pa.decimal128(8, 1), Decimal("1.5")),
    ("inet", "'10.0.0.1/8'", pa.string(), "10.0.0.1/8"),
    ("bit(5)", "'10101'", pa.string(), "10101"),
    ("int4range", "'[1,5)'", pa.string(), "[1,5)"),
    ("point", "'(1,2)'", pa.string(), "(1,2)"),
    ("text", "null", pa.string(), None),
]
MARIADB = [
    ("tinyint", "-128", pa.int8(), -128),
    ("tinyint unsigned", "255", pa.int16(), 255),
    ("boolean", "true", pa.int8(), 1),
    ("smallint unsigned", "65535", pa.int32(), 65535),
    ("mediumint unsigned", "16777215", pa.int32(), 16777215),
    ("int unsigned", "4294967295", pa.int64(), 4294967295),
    ("bigint", "-9223372036854775808", pa.int64(), -9223372036854775808),
    ("bigint unsigned", "18446744073709551615", pa.decimal128(20, 0), Decimal(18446744073709551615)),
    ("float", "1.5", pa.float32(), 1.5),
    ("double", "1e308", pa.float64(), 1e308),
    ("decimal(38,12)", "12345678901234567890123456.123456789012", pa.decimal128(38, 12), None),
    ("decimal(10,2) unsigned", "5.25", pa.decimal128(10, 2), Decimal("5.25")),
    ("decimal(5,0)", "-99999", pa.decimal128(5, 0), Decimal(-99999)),
    ("decimal(65,30)", "1.123456789012345678901234567890", pa.string(), "1.123456789012345678901234567890"),
    ("bit(1)", "b'1'", pa.bool_(), True),
    ("bit(10)", "b'0010101010'", pa.string(), "0010101010"),
    ("varchar(40)", "'é😀 \\\\ ''quoted'''", pa.string(), "é😀 \\ 'quoted'"),
    ("varchar(40) character set latin1", "'é'", pa.string(), "é"),
    ("longtext", "'a\\0b'", pa.string(), "a\0b"),
    ("char(5)", "'ab '", pa.string(), "ab"),
    ("blob", "x'00ff'", pa.binary(), b"\x00\xff"),
    ("binary(4)", "x'0102'", pa.binary(), b"\x01\x02\0\0"),
    ("date", "'2024-02-29'", pa.date32(), date(2024, 2, 29)),
    ("datetime(6)", "'1600-01-02 03:04:05.123456'", pa.timestamp("us"), datetime(1600, 1, 2, 3, 4, 5, 123456)),
    ("timestamp(6) null", "'2024-07-01 12:00:00.000001'", pa.timestamp("us", "UTC"), None),
    ("time(6)", "'-838:59:59.123456'", pa.string(), "-838:59:59.123456"),
    ("year", "2024", pa.int16(), 2024),
    ("json", """'{"b": 1,  "a": 1.10}'""", pa.string(), '{"b": 1,  "a": 1.10}'),
    ("set('a','b')", "'a,b'", pa.string(), "a,b"),
    ("enum('x','y')", "'y'", pa.string(), "y"),
    ("uuid", "'123e4567-e89b-12d3-a456-426655440000'", pa.string(), "123e4567-e89b-12d3-a456-426655440000"),
    ("inet6", "'::1'", pa.string(), "::1"),
    ("point", "point(1, 2)", pa.string(), "POINT(1 2)"),
    ("varchar(9)", "null", pa.string(), None),
]


def table_of(types: list[tuple[str, str, pa.DataType, Any]]) -> tuple[str, str]:
    columns = ", ".join(f"c{number} {each[0]}" for number, each in enumerate(types))
    return f"create table everything ({columns})", f"insert into everything values ({', '.join(t[1] for t in types)})"


def expected(types: list[tuple[str, str, pa.DataType, Any]], **exact: Any) -> list[tuple[str, pa.DataType, Any]]:
    """`None` for a literal that is a number stands for the number itself."""
    rows = []
    for number, (declared, literal, kind, value) in enumerate(types):
        if value is None and literal[0].isdigit():
            value = literal if kind == pa.string() else Decimal(literal)
        rows.append((declared, kind, exact.get(f"c{number}", value)))
    return rows


def arrived(types: list[tuple[str, str, pa.DataType, Any]], found: pa.Table) -> list[tuple[str, pa.DataType, Any]]:
    values = [found.column(number)[0].as_py() for number in range(len(types))]
    values = ["nan" if isinstance(value, float) and value != value else value for value in values]
    return [(each[0], found.field(n).type, values[n]) for n, each in enumerate(types)]


@pytest.fixture
def postgresql(postgresql_database: str) -> Any:
    with psycopg.connect(postgresql_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def mariadb(mariadb_database: str) -> Any:
    name = mariadb_database.rpartition("/")[2]
    port = int(mariadb_database.rpartition(":")[2].partition("/")[0])
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root", database=name, autocommit=True)
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00'")
        yield cursor


@pytest.fixture
def sqlite(tmp_path: Path) -> Any:
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as connection:
        yield connection


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def orders(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with three orders, on each product that can be run here."""
    time = {"postgresql": "timestamptz", "mariadb": "datetime(6)", "sqlite": "timestamp"}[request.param]
    server = request.getfixturevalue(request.param)
    server.execute(f"create table orders (id int primary key, amount decimal(10,2), changed {time})")
    server.execute(
        "insert into orders values (1, 10.10, '2024-01-01 00:00:00'), (2, null, '2024-01-02 00:00:00'), "
        "(3, 0.30, '2024-01-02 00:00:00'), (4, 0.40, null)"
    )
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    return str(request.getfixturevalue(f"{request.param}_database"))


def test_every_type_of_postgresql_arrives_exactly(postgresql: Any, postgresql_database: str) -> None:
    postgresql.execute("create type mood as enum ('sad', 'ok')")
    postgresql.execute("create domain pence as numeric(8,1)")
    for statement in table_of(POSTGRESQL):
        postgresql.execute(statement)
    with databases.opened(postgresql_database) as source:
        found = source.batches("everything").read_all()
        assert found.schema.equals(source.schema("public.everything"))
    assert arrived(POSTGRESQL, found) == expected(POSTGRESQL)


def test_every_type_of_mariadb_arrives_exactly(mariadb: Any, mariadb_database: str) -> None:
    for statement in table_of(MARIADB):
        mariadb.execute(statement)
    with databases.opened(mariadb_database) as source:
        found = source.batches("everything").read_all()
        assert found.schema.equals(source.schema("everything"))
    assert arrived(MARIADB, found) == expected(MARIADB, c24=datetime(2024, 7, 1, 12, 0, 0, 1, tzinfo=UTC))


def test_declared_types_of_sqlite_are_held_to(sqlite: Any, tmp_path: Path) -> None:
    sqlite.execute(
        "create table t (id integer, price decimal(10,2), plain numeric, at datetime, day date, ok boolean, b blob, x)"
    )
    sqlite.execute("insert into t values (1, 0.1, 1, '2024-02-29T12:00:00.5', '2024-02-29', true, x'00ff', 'é😀')")
    sqlite.execute("insert into t values ('one', 0.125, 2, '2024-02-30 12:00:00', '2024-02-31', 2, 'text', 1)")
    wrong: list[Impossible] = []
    with databases.opened(f"sqlite:///{tmp_path / 'shop.db'}") as source:
        found = source.batches("t", on_impossible=wrong.append).read_all()
    assert found.to_pylist() == [
        {
            "id": 1,
            "price": Decimal("0.10"),
            "plain": 1,
            "at": datetime(2024, 2, 29, 12, 0, 0, 500000),
            "day": date(2024, 2, 29),
            "ok": True,
            "b": b"\x00\xff",
            "x": "é😀",
        },
        {"id": None, "price": None, "plain": 2, "at": None, "day": None, "ok": None, "b": None, "x": "1"},
    ]
    assert [(each.column, each.row, each.value) for each in wrong] == [
        ("id", 2, "one"),
        ("price", 2, "0.125"),
        ("at", 2, "2024-02-30 12:00:00"),
        ("day", 2, "2024-02-31"),
        ("ok", 2, "2"),
        ("b", 2, "text"),
    ]


def test_impossible_values_of_postgresql_are_refused_or_reported(postgresql: Any, postgresql_database: str) -> None:
    postgresql.execute("create table t (id int, n numeric(5,2), d date, ts timestamp, tz timestamptz, a int[])")
    postgresql.execute("insert into t values (7, 1, '2024-01-01', '2024-01-01', '2024-01-01', '{1}')")
    postgresql.execute("insert into t values (8, 'NaN', 'infinity', '4713-01-01 BC', '-infinity', '{{1,2},{3,4}}')")
    wrong: list[Impossible] = []
    with databases.opened(postgresql_database) as source:
        found = source.batches("t", on_impossible=wrong.append).read_all()
        with pytest.raises(DataError) as error:
            source.batches("select id, d from t").read_all()
        assert source.batches("select id from t").read_all().num_rows == 2
    assert found.to_pylist()[1] == {"id": 8, "n": None, "d": None, "ts": None, "tz": None, "a": None}
    assert [(each.column, each.row, each.value, each.record["id"]) for each in wrong] == [
        ("n", 2, "NaN", 8),
        ("d", 2, "infinity", 8),
        ("ts", 2, "4713-01-01 00:00:00 BC", 8),
        ("tz", 2, "-infinity", 8),
        ("a", 2, "{{1,2},{3,4}}", 8),
    ]
    assert str(error.value) == (
        "select id, d from t: column d, row 2 (id 8): 'infinity' is no value of date. "
        "Read a query that leaves it out, replaces it or turns it into text."
    )


def test_days_of_mysql_that_are_none(mariadb: Any, mariadb_database: str) -> None:
    mariadb.execute("set sql_mode = 'ALLOW_INVALID_DATES'")
    mariadb.execute("create table t (id int, d date, dt datetime, ts timestamp null)")
    mariadb.execute("insert into t values (1, '0000-00-00', '2024-00-01', '0000-00-00'), (2, '2024-02-31', null, null)")
    mariadb.execute("insert into t values (3, '2024-02-29', '2024-02-29 01:02:03', '1970-01-01 00:00:01')")
    wrong: list[Impossible] = []
    with databases.opened(mariadb_database) as source:
        found = source.batches("t", on_impossible=wrong.append).read_all()
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        (1, None, None, None),
        (2, None, None, None),
        (3, date(2024, 2, 29), datetime(2024, 2, 29, 1, 2, 3), datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ]
    assert sorted((each.column, each.row, each.value) for each in wrong) == [
        ("d", 1, "0000-00-00"),
        ("d", 2, "2024-02-31"),
        ("dt", 1, "2024-00-01 00:00:00"),
        ("ts", 1, "0000-00-00 00:00:00"),
    ]


def test_instants_of_mysql_whatever_the_server_s_zone(mariadb: Any, mariadb_database: str) -> None:
    mariadb.execute("create table t (id int, ts timestamp(6) null)")
    mariadb.execute(
        "insert into t values (1, '2024-07-01 12:00:00.000001'), (2, '2024-07-01 12:00:00.000002'), (3, null)"
    )
    mariadb.execute("set global time_zone = '+05:00'")
    try:
        with databases.opened(mariadb_database) as source:
            found = source.batches("t").read_all().column("ts").to_pylist()
            late = source.batches("t", after={"ts": found[0]}).read_all().to_pylist()
    finally:
        mariadb.execute("set global time_zone = 'SYSTEM'")
    assert found == [datetime(2024, 7, 1, 12, 0, 0, micros, tzinfo=UTC) for micros in (1, 2)] + [None]
    assert late == [{"id": 2, "ts": found[1]}]


def test_rows_after_the_last_value(orders: str) -> None:
    first, second = datetime(2024, 1, 1), datetime(2024, 1, 2)
    if orders.startswith("postgresql"):
        first, second = first.replace(tzinfo=UTC), second.replace(tzinfo=UTC)
    with databases.opened(orders) as source:

        def ids(**options: Any) -> list[int]:
            return source.batches("orders", columns=["id"], **options).read_all().column("id").to_pylist()

        assert sorted(ids()) == [1, 2, 3, 4]
        assert sorted(ids(after={"changed": first})) == [2, 3]
        assert ids(after={"changed": second}) == []
        assert sorted(ids(after={"changed": second}, inclusive=True)) == [2, 3]
        assert sorted(ids(after={"changed": "2024-01-01 12:00:00"})) == [2, 3]
        assert ids(after={"id": 2}) == [3, 4]
        assert ids(after={"amount": Decimal("0.30")}) == [4, 1]
        with pytest.raises(UsageError, match="^orders: 'x' is no value of column id, which is (int|bigint) "):
            ids(after={"id": "x"})
        with pytest.raises(MissingColumns, match=r"^orders: no column 'nr'; found \['id', 'amount', 'changed'\]$"):
            ids(after={"nr": 1})


def test_a_query_is_read_as_a_table_is(orders: str) -> None:
    with databases.opened(orders) as source:
        query = "with big as (select * from orders where id > 1) select id, amount from big -- all; of them\n;"
        assert source.batches(query, after={"id": 2}).read_all().to_pylist() == [
            {"id": 3, "amount": Decimal("0.30")},
            {"id": 4, "amount": Decimal("0.40")},
        ]
        assert [batch.num_rows for batch in source.batches("select id from orders", rows=3)] == [3, 1]
        assert source.schema("select id from orders where id < 0").names == ["id"]
        assert source.batches("select id from orders where id < 0").read_all().num_rows == 0


def test_a_table_that_is_not_there(orders: str) -> None:
    with databases.opened(orders) as source:
        schema = {"postgresql": "public", "sqlite": "main"}.get(source.url.drivername, str(source.url.database))
        assert source.tables(schema) == [f"{schema}.orders"]
        assert f"{schema}.orders" in source.tables()
        assert source.schema("ORDERS").names == ["id", "amount", "changed"]
        with pytest.raises(TableNotFound) as error:
            source.schema("order")
        assert str(error.value) == f"{source.shown}: there is no table order. Did you mean orders?"
        with pytest.raises(TableNotFound):
            source.tables("elsewhere")
        with pytest.raises(SqlError, match="nosuch"):
            source.batches("select nosuch from orders")
        with pytest.raises(UsageError, match="^'a.b.c.d' names no table; expected table or schema.table"):
            source.schema("a.b.c.d")


def test_hostile_names_and_values(
    postgresql: Any, postgresql_database: str, mariadb: Any, mariadb_database: str
) -> None:
    postgresql.execute('create schema "a.b"')
    postgresql.execute('create table "a.b"."my ""table" ("a b; --" text)')
    mariadb.execute("create table `my ``table` (`a b; --` text)")
    for server, table, column in (
        (postgresql, '"a.b"."my ""table"', '"a b; --"'),
        (mariadb, "`my ``table`", "`a b; --`"),
    ):
        server.execute(f"insert into {table} ({column}) values ('a'), ('b')")
    for url, table in ((postgresql_database, '"a.b"."my ""table"'), (mariadb_database, "`my ``table`")):
        with databases.opened(url) as source:
            found = source.batches(table, after={"a b; --": "a' or '1'='1\\"}).read_all()
        assert found.to_pylist() == [{"a b; --": "b"}]


def test_two_columns_of_one_name(postgresql: Any, postgresql_database: str) -> None:
    with databases.opened(postgresql_database) as source, pytest.raises(SchemaMismatch) as error:
        source.schema('select 1 as id, 2 as "ID"')
    assert str(error.value) == (
        "select 1 as id, 2 as \"ID\": columns ['ID', 'id'] share a name; names differ in more than case. "
        "Read a query that gives them other names."
    )


def test_a_snapshot_of_postgresql_spans_tables(postgresql: Any, postgresql_database: str) -> None:
    postgresql.execute("create table a (id int)")
    postgresql.execute("create table b (id int)")
    with databases.opened(postgresql_database) as source:
        assert source.batches("a").read_all().num_rows == 0
        postgresql.execute("insert into b values (1)")
        assert source.batches("b").read_all().num_rows == 0
    with databases.opened(postgresql_database) as source:
        assert source.batches("b").read_all().num_rows == 1


def test_a_connection_that_is_lost_midway(
    postgresql: Any, postgresql_database: str, mariadb: Any, mariadb_database: str
) -> None:
    postgresql.execute("create table big as select g as id, repeat('x', 200) as pad from generate_series(1, 200000) g")
    mariadb.execute("create table big as select seq as id, repeat('x', 200) as pad from seq_1_to_200000")

    def cut_postgresql() -> None:
        postgresql.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'thresher'")

    def cut_mariadb() -> None:
        mariadb.execute("select id from information_schema.processlist where info like '%from `source%big`%'")
        for (number,) in mariadb.fetchall():
            if number != mariadb.connection.thread_id():
                mariadb.execute(f"kill {number}")

    for url, cut in ((postgresql_database, cut_postgresql), (mariadb_database, cut_mariadb)):
        with databases.opened(url) as source:
            batches = source.batches("big", rows=10_000)
            assert 0 < next(batches).num_rows <= 10_000
            cut()
            with pytest.raises(TransientError, match="broke off: .* Nothing of this read counts; read it again.$"):
                batches.read_all()


def test_a_large_table_is_streamed(
    postgresql: Any, postgresql_database: str, mariadb: Any, mariadb_database: str
) -> None:
    postgresql.execute("create table big as select g as id, repeat('x', 1000) as pad from generate_series(1, 60000) g")
    mariadb.execute("create table big as select seq as id, repeat('x', 1000) as pad from seq_1_to_60000")
    for url in (postgresql_database, mariadb_database):
        with databases.opened(url) as source:
            most = rows = 0
            for batch in source.batches("big", rows=5_000):
                rows += batch.num_rows
                most = max(most, pa.total_allocated_bytes())
        assert rows == 60_000
        assert most < 40_000_000  # of 60 MB


def test_a_server_that_is_not_there_and_a_user_that_is_refused(
    postgresql: Any, mariadb: Any, mariadb_server: int
) -> None:
    socket = postgresql.info.host
    mariadb.execute(
        "create user if not exists etl@'127.0.0.1' identified by 'richtig9', etl@localhost identified by 'richtig9'"
    )
    for url, error, words in (
        ("postgresql://etl:geheim1@127.0.0.1:1/shop", TransientError, "PostgreSQL does not answer"),
        ("mysql://etl:geheim1@127.0.0.1:1/shop", TransientError, "MySQL does not answer"),
        (f"postgresql://etl:geheim1@/shop?host={socket}", UsageError, "PostgreSQL refuses this user"),
        (f"mariadb://etl:geheim1@127.0.0.1:{mariadb_server}/shop", UsageError, "MySQL refuses this user"),
        (f"mysql://etl:richtig9@127.0.0.1:{mariadb_server}/mysql", UsageError, "MySQL refuses this user"),
        ("oracle://etl:geheim1@127.0.0.1:1/shop", TransientError, "Oracle does not answer"),
        ("mssql://etl:geheim1@127.0.0.1:1/shop", (TransientError, UsageError), "does not answer|libltdl7"),
        ("sqlite:///nowhere.db", TableNotFound, "there is no file"),
        ("redis://etl:geheim1@cache", UsageError, "'redis://…' is no database that can be read"),
        ("postgresql://etl:geh@im1@host:port/shop", UsageError, "postgresql://…: the URL cannot be read"),
    ):
        with pytest.raises(error, match=words) as raised:
            databases.opened(url)
        assert "geheim1" not in str(raised.value) and "richtig9" not in str(raised.value)


def test_a_table_that_may_not_be_read(postgresql: Any, postgresql_database: str) -> None:
    postgresql.execute("create table secret (id int)")
    postgresql.execute("create role reader login")
    try:
        with databases.opened(postgresql_database.replace("postgres:@", "reader:@")) as source:
            with pytest.raises(UsageError, match="refuses this user: permission denied for table secret"):
                source.schema("secret")
    finally:
        postgresql.execute("drop role reader")


def test_a_missing_driver_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "oracledb", None)
    monkeypatch.delitem(sys.modules, "thresher.databases.oracle", raising=False)
    with pytest.raises(UsageError, match=r"^oracle://etl:\*\*\*@db: no driver .* pip install 'thresher\[databases\]'$"):
        databases.opened("oracle://etl:geheim1@db")


def test_types_of_the_products_that_are_not_run_here() -> None:
    found = [
        oracle.column("N", '"N"', "DB_TYPE_NUMBER", 38, 10).type,
        oracle.column("N", '"N"', "DB_TYPE_NUMBER", 5, -2).type,
        oracle.column("D", '"D"', "DB_TYPE_DATE", None, None).type,
        oracle.column("T", '"T"', "DB_TYPE_TIMESTAMP_TZ", None, 6).type,
        oracle.column("I", '"I"', "DB_TYPE_INTERVAL_DS", None, None).type,
        sqlserver.column("t", "[t]", "tinyint", 3, 0).type,
        sqlserver.column("m", "[m]", "money", 19, 4).type,
        sqlserver.column("d", "[d]", "datetime2(7)", 27, 7).type,
        sqlserver.column("v", "[v]", "nvarchar(max)", 0, 0).type,
        sqlserver.column("u", "[u]", "uniqueidentifier", 0, 0).type,
    ]
    assert [str(each) for each in found] == [
        "decimal128(38, 10)",
        "decimal128(7, 0)",
        "timestamp[us]",
        "timestamp[us, tz=UTC]",
        "string",
        "int16",
        "decimal128(19, 4)",
        "timestamp[us]",
        "string",
        "string",
    ]
    assert mysql.column("d", "`d`", mysql.FIELD_TYPE.NEWDECIMAL, 0, 5, 0, is_binary=True).type == pa.decimal128(4, 0)
