"""Changes of a table that is there."""

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest_speed.times import Times, show
from thresher import ingest
from thresher.engines import open_engine
from thresher.errors import EngineUnavailable
from thresher.lake import Lake

CHANGES = 10_000
ROWS_PER_PARTITION = 20_000
OTHERS_ROWS = 2_000
OURS, SPARK = "mode current", "MERGE on Spark"
WARM_UP = 2


def table(keys: Sequence[int], regions: int, word: str) -> pa.Table:
    """Customers by their keys; the region is told by the key."""
    return pa.table(
        {
            "id": pa.array(keys, pa.int64()),
            "region": [f"r{key % regions:05}" for key in keys],
            "name": [f"{word} {key}" for key in keys],
            "amount": [key * 0.37 % 1000 for key in keys],
            "quantity": pa.array([key * 7 % 1000 for key in keys], pa.int64()),
        }
    )


def against_spark(folder: Path, rows: int, rounds: int, *, with_spark: bool) -> None:
    """Print what the changes of a large table take."""
    ours = by_thresher(folder, table(range(rows), 50, "customer"), ["id"], [])
    ways = {OURS: Times()} | ({SPARK: Times()} if with_spark else {})
    runs = {OURS: ours} | ({SPARK: by_spark(folder)} if with_spark else {})
    chance = random.Random(1)
    for number in range(WARM_UP + rounds):
        delivered = deliver(folder, number, table(chance.sample(range(rows + rows // 200), CHANGES), 50, f"n{number}"))
        for name, run in runs.items():
            (ways[name] if number >= WARM_UP else Times()).run(run, delivered)
    show(f"{CHANGES:,} changes of {rows:,} rows", ways, remote=(SPARK,))


def by_partitions(folder: Path, rounds: int) -> None:
    """Print what changes of one partition take beside ever more others."""
    ways: dict[str, Times] = {}
    chance = random.Random(1)
    for regions in (10, 100, 400):
        here = folder / str(regions)
        here.mkdir()
        touched = range(0, ROWS_PER_PARTITION * regions, regions)
        others = [key for key in range(OTHERS_ROWS * regions) if key % regions]
        run = by_thresher(here, table([*touched, *others], regions, "customer"), ["region", "id"], ["region"])
        times = ways.setdefault(f"beside {regions - 1} partitions of {OTHERS_ROWS:,} rows", Times())
        for number in range(WARM_UP + rounds):
            delivered = deliver(here, number, table(chance.sample(touched, CHANGES), regions, f"n{number}"))
            (times if number >= WARM_UP else Times()).run(run, delivered)
    show(f"{CHANGES:,} changes of one partition of {ROWS_PER_PARTITION:,} rows", ways)


def deliver(folder: Path, number: int, rows: pa.Table) -> Path:
    """A file of changes, whose name comes after those before."""
    file = folder / f"c{number:04}.parquet"
    pq.write_table(rows, file)
    return file


def by_thresher(folder: Path, first: pa.Table, key: list[str], partition_by: list[str]) -> Callable[[Path], Any]:
    """A table of our own, and how changes come into it."""
    landing = folder / "landing"
    landing.mkdir()
    pq.write_table(first, folder / "first.parquet")
    shutil.copy(folder / "first.parquet", landing / "a.parquet")
    lake = Lake(folder / "lake", engine="duckdb")

    def load() -> None:
        options = {"partition_by": partition_by} if partition_by else {}
        ingest.files(lake, str(landing), "raw.customers", key=key, mode="current", options=options)

    def run(delivered: Path) -> None:
        shutil.copy(delivered, landing)
        load()

    load()
    return run


def by_spark(folder: Path) -> Callable[[Path], Any]:
    """The same table on a warm Spark."""
    try:
        spark: Any = open_engine("spark").spark  # type: ignore[attr-defined]
    except EngineUnavailable as error:
        raise SystemExit(f"{error}\nOr leave Spark out: --without-spark") from error
    there = folder / "spark"
    spark.read.parquet(str(folder / "first.parquet")).write.format("delta").save(str(there))

    def run(delivered: Path) -> None:
        spark.read.parquet(str(delivered)).createOrReplaceTempView("changes")
        spark.sql(
            f"merge into delta.`{there}` t using changes c on t.id = c.id "
            "when matched then update set * when not matched then insert *"
        ).collect()

    return run
