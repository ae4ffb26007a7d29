"""`thresher validate`: a planted difference is found row by row, and only where there is one."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from thresher import validation
from thresher.cli.main import main
from thresher.errors import LandingNotFound, MissingColumns, UsageError
from thresher.lake import Lake

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int64()),
        "amount": pa.array([Decimal("10.10"), None, Decimal("0.30"), Decimal("-5.00")], pa.decimal128(10, 2)),
        "name": pa.array(["é😀", "", None, 'a,b\n"c"'], pa.string()),
        "at": pa.array([datetime(2024, 1, day, 12, tzinfo=UTC) for day in (1, 2, 3, 4)], pa.timestamp("us", "UTC")),
        "_file": pa.array(["a"] * 4, pa.string()),
    }
)


@pytest.fixture
def orders(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake", "duckdb")
    lake.write("raw.orders", ROWS)
    return lake


def ran(lake: Lake, *arguments: str) -> Result:
    folder = str(lake.location("raw.orders").parent.parent)
    return CliRunner().invoke(main, ["validate", "raw.orders", "--lake", folder, *arguments])


def test_the_same_rows_in_another_order_and_type(orders: Lake, tmp_path: Path) -> None:
    source = ROWS.drop_columns(["_file"]).take([3, 1, 0, 2])
    source = source.set_column(0, "id", source.column("id").cast(pa.string()))
    pq.write_table(source.slice(0, 2), tmp_path / "1.parquet")
    pq.write_table(source.slice(2), tmp_path / "2.parquet")
    result = ran(orders, "--against", str(tmp_path / "*.parquet"), "--key", "id")
    assert result.output.splitlines() == [
        "               raw.orders  source",
        "rows                    4       4",
        "double keys             0       0",
        "sum of amount        5.40    5.40",
        "no differences",
    ]
    assert result.exit_code == 0


def test_each_planted_difference_is_listed(orders: Lake, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as source, source:
        source.execute("create table orders (id integer, amount decimal(10,2), name text, at datetime, city text)")
        source.executemany(
            "insert into orders values (?, ?, ?, ?, 'x')",
            [
                (1, 10.11, "é😀", "2024-01-01 12:00:00"),
                (2, None, None, "2024-01-02 12:00:01"),
                (4, -5, 'a,b\n"c"', "2024-01-04 12:00:00"),
                (5, 1, "new", "never"),
                (4, -5, 'a,b\n"c"', "2024-01-04 12:00:00"),
            ],
        )
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    result = ran(orders, "--against", url, "--table", "orders", "--key", "id", "--json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    listed = [tuple([each["key"]["id"], each["column"], each["here"], each["there"]]) for each in found["differences"]]
    assert listed == [
        ("1", "amount", "10.10", "10.11"),
        ("2", "name", "", None),
        ("2", "at", "2024-01-02 12:00:00+00", "2024-01-02 12:00:01+00"),
        ("3", None, "1 row", "0 rows"),
        ("4", None, "1 row", "2 rows"),
        ("5", None, "0 rows", "1 row"),
    ]
    assert found["there"] == {"rows": 5, "double_keys": 1, "sums": {"amount": "1.11"}}
    assert [found[name] for name in ("only_here", "only_there", "changed", "missing_columns", "impossible")] == [
        1,
        1,
        3,
        ["city"],
        {"at": 1},
    ]
    shown = ran(orders, "--against", url, "--table", "orders", "--key", "id", "--limit", "1").output.splitlines()
    assert shown[4:] == [
        "column city is in the source only",
        "column at: 1 values of the source fit no shared type and count as null",
        "1 keys only here, 1 only in the source, 3 with differences",
        "key   column   here  source",
        "id=1  amount  10.10   10.11",
    ]


def test_text_that_is_no_value_of_the_type_is_a_difference(orders: Lake, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("id,amount\n1,10.1\n2,\n3,many\n4,-5\n")
    found = validation.validate(orders, "raw.orders", str(tmp_path / "orders.csv"), key=["id"])
    assert found.differences == [validation.Difference({"id": "3"}, "amount", "0.30", "many")]
    assert not found.is_same


def test_what_cannot_be_compared(orders: Lake, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("nr\n1\n")
    with pytest.raises(MissingColumns, match=r"^the source has no key column 'id'; found \['nr'\]$"):
        validation.validate(orders, "raw.orders", str(tmp_path / "orders.csv"), key=["id"])
    with pytest.raises(
        LandingNotFound, match="no.csv: there is no such file; expected a database's URL, a file or a glob$"
    ):
        validation.validate(orders, "raw.orders", str(tmp_path / "no.csv"), key=["id"])
    with pytest.raises(UsageError, match="^--table is missing"):
        validation.validate(orders, "raw.orders", "sqlite:///shop.db", key=["id"])
