"""A table of a database into a raw dataset, from real servers: whole, and what came since."""

from decimal import Decimal

import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from thresher import ingest
from thresher.errors import TableNotFound, UsageError

embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
TABLE = "create table orders (id int primary key, total decimal(12, 4), updated_at timestamp null)"
ROWS = "insert into orders values (1, 1.2345, '2024-01-01 10:00:00'), (2, null, '2024-01-02 10:00:00')"
CHANGES = ("update orders set total = 7, updated_at = '2024-01-03 10:00:00' where id = 1",)
CHANGES += ("insert into orders values (3, 99999999.9999, '2024-01-02 10:00:00')",)


@pytest.fixture(params=["postgresql", "mariadb"])
def source(request):
    """A database with two orders: its URL, and a function that executes statements."""
    url = request.getfixturevalue(f"{request.param}_database")

    def execute(*statements):
        parsed = sa.make_url(url)
        if request.param == "postgresql":
            opened = psycopg.connect(url)
        else:
            opened = pymysql.connect(host=parsed.host, port=parsed.port, user=parsed.username, database=parsed.database)
        with opened as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    execute(TABLE, ROWS)
    return url, execute


def load(lake, url, mode, **more):
    more = {"key": ["id"], "order_by": ["updated_at"], "options": {"table": "orders"}, **more}
    return ingest.files(lake, url, "raw.orders", mode=mode, **more)


def orders(lake):
    return sorted((row["id"], row["total"]) for row in lake.read("raw.orders").to_arrow().to_pylist())


def test_a_table_arrives_with_exact_decimals(lake, source):
    url, execute = source
    assert load(lake, url, "overwrite").counts.rows_out == 2
    assert orders(lake) == [(1, Decimal("1.2345")), (2, None)]
    execute("delete from orders where id = 1")
    load(lake, url, "overwrite")
    assert orders(lake) == [(2, None)]


@embedded_only
def test_what_came_since_the_last_load(lake, source):
    url, execute = source
    load(lake, url, "current")
    execute(*CHANGES)
    second = load(lake, url, "current")
    # Order 3 has the moment of the last row that was there: it is read again, with all others of that moment.
    assert orders(lake) == [(1, Decimal("7")), (2, None), (3, Decimal("99999999.9999"))]
    assert (second.counts.rows_in, second.counts.more["inserted"]) == (3, 1)
    assert load(lake, url, "current").counts.more["inserted"] == 0


@embedded_only
def test_a_query_a_missing_table_and_a_password_that_is_not_shown(lake, source):
    url, _ = source
    query = {"options": {"table": "select id from orders where total is not null"}, "order_by": []}
    assert load(lake, url, "overwrite", **query).rows.columns == ["id", "_file", "_row"]
    with pytest.raises(TableNotFound, match="orders"):
        load(lake, url, "overwrite", options={"table": "order"})
    with pytest.raises(UsageError, match="which table of the database"):
        load(lake, url, "overwrite", options={})
