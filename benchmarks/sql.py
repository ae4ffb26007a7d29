"""What the portable SQL costs: the 22 queries of TPC-H on bare DuckDB, on the embedded engine and on a JVM Spark.

    python benchmarks/sql.py [--scale 1] [--rounds 3] [--data FOLDER] [--without-spark]

- bare DuckDB: the text as it is, with default settings; DuckDB understands these queries, with types of its own;
- embedded engine: the text translated beforehand, with the engine's settings;
- Spark: the text as it is, on a local server that is kept warm.

All read the same Parquet files and hand out all rows. Every round runs each query in all ways, one after the other; the
table shows the medians. Translating has columns of its own: the first time, and the median of the times after.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from thresher import sql
from thresher.engines import open_engine
from thresher.errors import EngineUnavailable
from thresher.sql.query import Query
from thresher.types import canonical_schema

FOLDER = Path(__file__).resolve().parent / "tpch"
QUERIES = {file.stem: file.read_text(encoding="utf-8") for file in sorted(FOLDER.glob("*.sql"))}
STEPS = 50
BARE, EMBEDDED, SPARK = "bare DuckDB", "embedded engine", "Spark"

Way = Callable[[str], pa.Table]


@contextmanager
def data(folder: Path | None, scale: str) -> Iterator[dict[str, Path]]:
    """The tables' Parquet files: those of a folder, or made for a while."""
    with tempfile.TemporaryDirectory() as made:
        if folder is None:
            program = Path(sys.executable).with_name("tpchgen-cli")
            subprocess.run([program, "parquet", "-s", scale, "--output-dir", made, "--quiet"], check=True)
        files = {file.stem: file for file in (folder or Path(made)).glob("*.parquet")}
        if not files:
            raise SystemExit(f"no Parquet files in {folder}; expected lineitem.parquet and TPC-H's seven other tables")
        yield files


def connected(files: dict[str, Path]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name, file in files.items():
        connection.execute(f"create view {name} as select * from read_parquet('{file}')")
    return connection


def by_duckdb(files: dict[str, Path]) -> Way:
    connection = connected(files)
    return lambda name: connection.execute(QUERIES[name]).to_arrow_table()


def by_embedded_engine(files: dict[str, Path], translated: dict[str, sql.Translation]) -> Way:
    connection = connected(files)
    sql.prepare(connection)
    functions = sql.Functions(connection)
    for translation in translated.values():
        functions.provide(translation)
    return lambda name: connection.execute(translated[name].sql).to_arrow_table()


def by_spark(files: dict[str, Path]) -> Way:
    try:
        engine: Any = open_engine("spark")
    except EngineUnavailable as error:
        raise SystemExit(f"{error}\nOr leave Spark out: --without-spark") from error
    for name, file in files.items():
        engine.spark.read.parquet(str(file)).createOrReplaceTempView(name)
    return lambda name: engine.spark.sql(QUERIES[name]).toArrow()


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = function()
    return time.perf_counter() - begun, result


def translate(text: str, schemas: dict[str, pa.Schema]) -> sql.Translation:
    query = Query(text)  # not parse(), which remembers
    return query.translation(
        {table: table for table in query.tables}, {table: schemas[table] for table in query.tables}
    )


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="1", help="scale factor of the data: 1 is 6 million lineitems (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each query runs each way (default 3)")
    parser.add_argument("--data", type=Path, help="a folder with the data in Parquet (default: made by tpchgen-cli)")
    parser.add_argument("--without-spark", action="store_true", help="leave out Spark, which takes minutes")
    chosen = parser.parse_args()
    with data(chosen.data, chosen.scale) as files:
        compare(files, chosen.rounds, with_spark=not chosen.without_spark)


def compare(files: dict[str, Path], rounds: int, *, with_spark: bool) -> None:
    schemas = {name: canonical_schema(pq.read_schema(file)) for name, file in files.items()}
    first = {name: timed(lambda text=text: translate(text, schemas)) for name, text in QUERIES.items()}
    again = {
        name: median(timed(lambda text=text: translate(text, schemas))[0] for _ in range(5))
        for name, text in QUERIES.items()
    }
    steps = timed(lambda: [translate(text, schemas) for text in islice(cycle(QUERIES.values()), STEPS)])[0]

    translated = {name: translation for name, (_, translation) in first.items()}
    ways = {BARE: by_duckdb(files), EMBEDDED: by_embedded_engine(files, translated)}
    if with_spark:
        ways[SPARK] = by_spark(files)
    times: dict[tuple[str, str], list[float]] = {(way, name): [] for way in ways for name in QUERIES}
    rows: dict[tuple[str, str], pa.Table] = {}
    for _ in range(rounds):
        for name in QUERIES:
            for way, run in ways.items():
                seconds, rows[way, name] = timed(lambda run=run, name=name: run(name))
                times[way, name].append(seconds)

    print(f"{rows_of(files['lineitem']):,} lineitems, {os.cpu_count()} cores, medians of {rounds} rounds\n")
    others = [way for way in ways if way != EMBEDDED]
    heads = (
        [f"{way}, s" for way in ways] + [f"embedded / {way}" for way in others] + ["translated first, ms", "again, ms"]
    )
    print(row("query", *heads))
    print("|---|" + "---:|" * len(heads))
    medians = {key: median(found) for key, found in times.items()}
    for name in QUERIES:
        print(line(name, {way: medians[way, name] for way in ways}, first[name][0], again[name]))
    totals = {way: sum(medians[way, name] for name in QUERIES) for way in ways}
    print(line("**all**", totals, sum(seconds for seconds, _ in first.values()), sum(again.values())))
    print(f"\n{STEPS} SQL steps checked (read and translated): {steps * 1000:.0f} ms")
    if with_spark:
        same = [name for name in QUERIES if rows[EMBEDDED, name].to_pylist() == rows[SPARK, name].to_pylist()]
        print(f"{len(same)} of {len(QUERIES)} queries gave the same rows in the same order on Spark")


def line(name: str, seconds: dict[str, float], first: float, again: float) -> str:
    """One row of the table."""
    ratios = [f"{seconds[EMBEDDED] / taken:.2f}" for way, taken in seconds.items() if way != EMBEDDED]
    shown = [f"{taken:.3f}" for taken in seconds.values()]
    return row(name, *shown, *ratios, f"{first * 1000:.1f}", f"{again * 1000:.1f}")


def rows_of(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows)


if __name__ == "__main__":
    main()
