"""The 22 queries of TPC-H at scale factor 0.01: the embedded engine gives what Spark and exact sums give."""

import datetime as dt
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thresher import sql
from thresher.engines import Engine
from thresher.frame import Frame
from thresher.lake import Lake

QUERIES = Path(__file__).resolve().parent.parent / "benchmarks" / "tpch"


class Tpch:
    """A lake, and the tables of TPC-H as its frames."""

    def __init__(self, lake: Lake, tables: dict[str, pa.Table]) -> None:
        self.lake = lake
        self.frames: dict[str, Frame] = {name: lake.frame(rows) for name, rows in tables.items()}

    def answer(self, query: str) -> pa.Table:
        text = (QUERIES / f"{query}.sql").read_text(encoding="utf-8")
        return self.lake.sql(text, **{name: self.frames[name] for name in sql.parse(text).tables}).to_arrow()


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """The eight tables of TPC-H, made once."""
    folder = tmp_path_factory.mktemp("tpch")
    program = Path(sys.executable).with_name("tpchgen-cli")
    subprocess.run([program, "parquet", "-s", "0.01", "--output-dir", folder, "--quiet"], check=True)
    return {file.stem: pq.read_table(file) for file in folder.glob("*.parquet")}


@pytest.fixture(scope="module")
def embedded(tables: dict[str, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tpch]:
    lake = Lake(tmp_path_factory.mktemp("embedded"), "duckdb")
    yield Tpch(lake, tables)
    lake.engine.close()


@pytest.fixture(scope="module")
def on_spark(
    tables: dict[str, pa.Table],
    spark_folder: Path,
    compile_queries: Callable[[Engine], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Tpch]:
    """One session on the test run's own server for all queries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THRESHER_SPARK_HOME", str(spark_folder))
        lake = Lake(tmp_path_factory.mktemp("spark"), "spark")
    compile_queries(lake.engine)
    yield Tpch(lake, tables)
    lake.engine.close()


@pytest.mark.spark
@pytest.mark.parametrize("query", sorted(file.stem for file in QUERIES.glob("*.sql")))
def test_names_types_and_rows_in_their_order_are_sparks(query: str, embedded: Tpch, on_spark: Tpch) -> None:
    ours, sparks = embedded.answer(query), on_spark.answer(query)
    assert ours.schema == sparks.schema
    assert not any(pa.types.is_floating(field.type) for field in ours.schema)  # so equal is equal to the last digit
    assert ours.num_rows > 0
    assert ours.to_pylist() == sparks.to_pylist()


def rounded(value: Decimal, kind: pa.DataType) -> Decimal:
    """A value of up to 60 exact digits in a decimal type."""
    return value.quantize(Decimal(1).scaleb(-kind.scale), ROUND_HALF_UP)


@pytest.fixture
def exact() -> Iterator[None]:
    """Decimals of Python with room for all digits that come up."""
    with localcontext(prec=60):
        yield


def test_the_sums_and_averages_of_q1_are_exact(embedded: Tpch, tables: dict[str, pa.Table], exact: None) -> None:
    groups: dict[tuple[str, str], list[tuple[Decimal, ...]]] = defaultdict(list)
    for row in tables["lineitem"].to_pylist():
        if row["l_shipdate"] <= dt.date(1998, 9, 2):
            price, discount, tax = row["l_extendedprice"], row["l_discount"], row["l_tax"]
            reduced = price * (1 - discount)
            values = (row["l_quantity"], price, reduced, reduced * (1 + tax), discount)
            groups[row["l_returnflag"], row["l_linestatus"]].append(values)
    found = embedded.answer("q01")
    kind = found.schema.field("avg_qty").type
    expected = []
    for key in sorted(groups):
        sums = [sum(column) for column in zip(*groups[key], strict=True)]
        averages = [rounded(Decimal(sums[n]) / len(groups[key]), kind) for n in (0, 1, 4)]
        expected.append((*key, *sums[:4], *averages, len(groups[key])))
    assert [tuple(row.values()) for row in found.to_pylist()] == expected


def test_the_sum_of_products_of_q6_is_exact(embedded: Tpch, tables: dict[str, pa.Table], exact: None) -> None:
    expected = sum(
        row["l_extendedprice"] * row["l_discount"]
        for row in tables["lineitem"].to_pylist()
        if dt.date(1994, 1, 1) <= row["l_shipdate"] < dt.date(1995, 1, 1)
        and Decimal("0.05") <= row["l_discount"] <= Decimal("0.07")
        and row["l_quantity"] < 24
    )
    assert embedded.answer("q06").to_pylist() == [{"revenue": expected}]


def test_the_quotient_of_q14_is_rounded_once(embedded: Tpch, tables: dict[str, pa.Table], exact: None) -> None:
    types = dict(zip(*(tables["part"][name].to_pylist() for name in ("p_partkey", "p_type")), strict=True))
    promoted = total = Decimal(0)
    for row in tables["lineitem"].to_pylist():
        if dt.date(1995, 9, 1) <= row["l_shipdate"] < dt.date(1995, 10, 1):
            reduced = row["l_extendedprice"] * (1 - row["l_discount"])
            total += reduced
            promoted += reduced if types[row["l_partkey"]].startswith("PROMO") else 0
    found = embedded.answer("q14")
    kind = found.schema.field("promo_revenue").type
    assert found.to_pylist() == [{"promo_revenue": rounded(100 * promoted / total, kind)}]
