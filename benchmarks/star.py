"""What a star schema costs, beside bare DuckDB, a warm JVM Spark and dbt-duckdb: TPC-H, three dimensions and a fact.

    python benchmarks/star.py [--only build,incremental,checks,memory] [--rounds 3] [--scale 1] [--data FOLDER]
                              [--dbt PROGRAM] [--without-spark]

- build: dim_date, dim_part, dim_nation and a fact of the order lines that refers to them. Ours reads the source tables
  as datasets of a lake and writes datasets, with surrogate keys that stay, unique keys checked and orphans counted;
  bare DuckDB, Spark and dbt-duckdb (--dbt: its program, a whole process each time) read the Parquet files and write
  Parquet or tables, with row numbers for keys and no checks;
- incremental: one order in a thousand is changed, and the fact maintained by `touched`, beside building it anew;
- checks: ten rules of the fact by `th.checks`, beside one scan of the columns that they look at;
- memory: the build in a process of its own, and the most memory that it held (--scale 10 for 60 million lines).

All ways of a part take turns in each round; the tables show medians. CPU is that of this process alone.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
from ingest_speed.times import Times, show

from thresher import checks, incremental, ingest, star
from thresher.engines import open_engine
from thresher.errors import EngineUnavailable
from thresher.lake import Lake

TABLES = ("customer", "lineitem", "nation", "orders", "part", "region")
DIMENSIONS = {
    "date": (
        "date",
        "select distinct o_orderdate as date, year(o_orderdate) as year, quarter(o_orderdate) as quarter, "
        "month(o_orderdate) as month, day(o_orderdate) as day from raw.orders",
    ),
    "part": (
        "part_id",
        "select p_partkey as part_id, p_name as part, p_mfgr as manufacturer, p_brand as brand, p_type as type, "
        "p_size as size, p_container as container, p_retailprice as retail_price from raw.part",
    ),
    "nation": (
        "nation_id",
        "select n_nationkey as nation_id, n_name as nation, r_name as region "
        "from raw.nation join raw.region on n_regionkey = r_regionkey",
    ),
}
FACT = """
select l_orderkey as order_id, l_linenumber as line_number, l_partkey as part_id, c_nationkey as nation_id,
  o_orderdate as order_date, o_orderstatus as order_status, l_quantity as quantity, l_extendedprice as price,
  l_discount as discount, l_tax as tax, l_returnflag as return_flag, l_linestatus as line_status,
  l_shipdate as ship_date
from raw.lineitem join raw.orders on l_orderkey = o_orderkey join raw.customer on o_custkey = c_custkey
"""
TOUCHED = """
select l_orderkey as order_id, l_linenumber as line_number from changed_lineitem
union select l_orderkey, l_linenumber from raw.lineitem join changed_orders on l_orderkey = o_orderkey
"""
KEYS = {"date": "order_date", "part": "part_id", "nation": "nation_id"}
GRAIN = ["order_id", "line_number"]
RULES = [
    {"not_null": ["quantity", "price", "discount", "tax"]},
    {"range": {"column": "quantity", "min": 1, "max": 50}},
    {"range": {"column": "discount", "min": 0, "max": 1}},
    {"range": {"column": "tax", "min": 0, "max": 1}},
    {"accepted_values": {"column": "return_flag", "values": ["A", "N", "R"]}},
    {"accepted_values": {"column": "line_status", "values": ["F", "O"]}},
    {"expression": "price >= quantity"},
]
LOOKED_AT = ("quantity", "price", "discount", "tax", "return_flag", "line_status")
OURS, BARE, SPARK, DBT = "thresher, into Delta", "bare DuckDB, into Parquet", "Spark, into Parquet", "dbt-duckdb"


def loaded(folder: Path, data: Path) -> Lake:
    """A lake with the source tables."""
    lake = Lake(folder / "lake", engine="duckdb")
    began = time.perf_counter()
    for name in TABLES:
        ingest.files(lake, str(data / f"{name}.parquet"), f"raw.{name}", format="parquet")
    print(f"ingest of {len(TABLES)} source tables: {time.perf_counter() - began:.1f} s")
    return lake


def build(lake: Lake, *, touched: bool = False) -> int:
    """The star, as notebooks 04_dimension and 05_fact build it; how many rows of the fact were computed."""
    for name, (key, query) in DIMENSIONS.items():
        star.dimension(lake, lake.sql(query), f"mart.dim_{name}", key=[key])
    dimensions = {f"{name}_key": f"mart.dim_{name}" for name in DIMENSIONS}
    changes = None
    if touched:
        changes = incremental.touched(
            lake,
            "mart.fact",
            TOUCHED,
            sources=["raw.lineitem", "raw.orders"],
            made_by=[FACT],
            dimensions=list(dimensions.values()),
        )
    lookups = {f"{name}_key": {key: KEYS[name]} for name, (key, _) in DIMENSIONS.items()}
    how: dict[str, Any] = {"dimensions": dimensions, "lookups": lookups, "grain": GRAIN, "touched": changes}
    return star.fact(lake, lake.sql(FACT), "mart.fact", **how).counts.rows_out


def plain(query: str) -> str:
    """A query on tables without a zone."""
    return query.replace("raw.", "")


def numbered(name: str) -> str:
    """A dimension with row numbers for keys."""
    key, query = DIMENSIONS[name]
    return f"select row_number() over (order by {key}) as {name}_key, * from ({plain(query)}) as t"


def looked_up(tables: dict[str, str]) -> str:
    """The fact with the keys of dimensions that stand in some tables."""
    joins = " ".join(
        f"left join {tables[name]} as {name} on f.{KEYS[name]} = {name}.{key}" for name, (key, _) in DIMENSIONS.items()
    )
    kept = "order_id, line_number, order_status, quantity, price, discount, tax, return_flag, line_status, ship_date"
    keys = ", ".join(f"{name}.{name}_key" for name in DIMENSIONS)
    columns = ", ".join(f"f.{column}" for column in kept.split(", "))
    return f"select {keys}, {columns} from ({plain(FACT)}) as f {joins}"


def by_duckdb(folder: Path, data: Path) -> Callable[[], None]:
    connection = duckdb.connect()
    for name in TABLES:
        connection.execute(f"create view {name} as select * from '{data / name}.parquet'")
    files = {name: folder / f"{name}.parquet" for name in (*DIMENSIONS, "fact")}

    def run() -> None:
        for name in DIMENSIONS:
            connection.execute(f"copy ({numbered(name)}) to '{files[name]}'")
        fact = looked_up({name: f"'{files[name]}'" for name in DIMENSIONS})
        connection.execute(f"copy ({fact}) to '{files['fact']}'")

    return run


def by_spark(folder: Path, data: Path) -> Callable[[], None]:
    try:
        spark: Any = open_engine("spark").spark  # type: ignore[attr-defined]
    except EngineUnavailable as error:
        raise SystemExit(f"{error}\nOr leave Spark out: --without-spark") from error
    for name in TABLES:
        spark.read.parquet(str(data / f"{name}.parquet")).createOrReplaceTempView(name)

    def run() -> None:
        for name in DIMENSIONS:
            there = str(folder / f"spark_{name}")
            spark.sql(numbered(name)).write.mode("overwrite").parquet(there)
            spark.read.parquet(there).createOrReplaceTempView(f"dim_{name}")
        fact = spark.sql(looked_up({name: f"dim_{name}" for name in DIMENSIONS}))
        fact.write.mode("overwrite").parquet(str(folder / "spark_fact"))

    return run


def by_dbt(folder: Path, data: Path, program: str) -> Callable[[], None]:
    """A project of dbt-duckdb with a model for each table, and a profile that writes a database file."""
    project = folder / "dbt"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: star\nprofile: star\nmodels: {star: {+materialized: table}}\n")
    (project / "profiles.yml").write_text(
        f"star: {{target: dev, outputs: {{dev: {{type: duckdb, path: '{project}/star.db', threads: 2}}}}}}\n"
    )
    sources = ", ".join(f"{name} as (select * from '{data / name}.parquet')" for name in TABLES)
    for name in DIMENSIONS:
        (project / "models" / f"dim_{name}.sql").write_text(f"with {sources} {numbered(name)}")
    fact = looked_up({name: f"{{{{ ref('dim_{name}') }}}}" for name in DIMENSIONS})
    (project / "models" / "fact.sql").write_text(f"with {sources} {fact}")

    def run() -> None:
        (project / "star.db").unlink(missing_ok=True)
        command = [program, "--quiet", "run", "--project-dir", str(project), "--profiles-dir", str(project)]
        subprocess.run(command, check=True, cwd=project)

    return run


def built(folder: Path, data: Path, chosen: argparse.Namespace) -> None:
    """Print what building the star takes."""
    lake = loaded(folder, data)

    def ours() -> None:
        shutil.rmtree(folder / "lake" / "mart", ignore_errors=True)
        build(lake)

    ways: dict[str, Callable[[], Any]] = {OURS: ours, BARE: by_duckdb(folder, data)}
    ways |= {DBT: by_dbt(folder, data, chosen.dbt)} if chosen.dbt else {}
    ways |= {} if chosen.without_spark else {SPARK: by_spark(folder, data)}
    measured("a star of TPC-H", ways, chosen.rounds)


def maintained(folder: Path, data: Path, chosen: argparse.Namespace) -> None:
    """Print what a run after few changes takes, beside the whole build."""
    lake = loaded(folder, data)
    build(lake, touched=True)
    number = 0

    def changed() -> None:
        nonlocal number
        number += 1
        columns = [name for name in lake.schema("raw.lineitem").names if name != "l_quantity"]
        moved = lake.sql(
            f"select {', '.join(columns)}, cast(l_quantity + 1 as decimal(15,2)) as l_quantity from raw.lineitem "
            f"where l_orderkey % 1000 = {number}"
        )
        lake.merge("raw.lineitem", moved, ["l_orderkey", "l_linenumber"])

    def whole() -> None:
        shutil.rmtree(folder / "lake" / "mart", ignore_errors=True)
        build(lake, touched=True)

    parts = {"all of it": Times(), "one order in a thousand": Times()}
    for _ in range(chosen.rounds):
        parts["all of it"].run(whole)
        changed()
        parts["one order in a thousand"].run(lambda: build(lake, touched=True))
    show("the star after changes", parts)


def checked(folder: Path, data: Path, chosen: argparse.Namespace) -> None:
    """Print what ten rules of the fact take, beside a scan of their columns."""
    lake = loaded(folder, data)
    build(lake)
    rules = [rule for said in RULES for rule in checks.read_rule(said)]
    scan = ", ".join(f"max({name}) as {name}" for name in LOOKED_AT)

    def rows() -> None:
        found = checks.check(lake, lake.read("mart.fact"), "mart.fact", rules)
        assert all(each.is_kept for each in found.outcomes), found

    ways = {
        f"{len(rules)} rules": rows,
        "one scan of their columns": lambda: lake.sql(f"select {scan} from mart.fact").to_arrow(),
    }
    measured("checks of the fact", ways, chosen.rounds)


def in_memory(folder: Path, data: Path, chosen: argparse.Namespace) -> None:
    """Print the time and the most memory of the build in a process of its own."""
    loaded(folder, data)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import star; star.alone({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], check=True)


def alone(folder: str) -> None:
    """The build, its time and the most memory of this process."""
    began = time.perf_counter()
    lake = Lake(Path(folder) / "lake", engine="duckdb")
    rows = build(lake)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"a star of {rows:,} lines: {time.perf_counter() - began:.1f} s, at most {peak_mb:,.0f} MB")


def measured(title: str, ways: dict[str, Callable[[], Any]], rounds: int) -> None:
    """Run all ways in turn, once to warm up, and print the medians."""
    times = {name: Times() for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            (times[name] if number else Times()).run(run)
    show(title, times, remote=(SPARK, DBT))


PARTS = {"build": built, "incremental": maintained, "checks": checked, "memory": in_memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="build,incremental,checks,memory", help="parts, with commas between")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way runs (default 3)")
    parser.add_argument("--scale", default="1", help="scale factor of the data that is made (default 1)")
    parser.add_argument("--data", type=Path, help="a folder with the tables' Parquet files, instead of making them")
    parser.add_argument("--dbt", default="", help="the program of an installed dbt-duckdb")
    parser.add_argument("--without-spark", action="store_true", help="leave out Spark, which takes minutes")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, scale {chosen.scale}")
    with tempfile.TemporaryDirectory() as made:
        data = chosen.data or Path(made) / "data"
        if not chosen.data:
            program = Path(sys.executable).with_name("tpchgen-cli")
            subprocess.run([program, "parquet", "-s", chosen.scale, "--output-dir", data, "--quiet"], check=True)
        for name in chosen.only.split(","):
            if name not in PARTS:
                raise SystemExit(f"--only {name}: unknown; expected some of {','.join(PARTS)}")
            with tempfile.TemporaryDirectory() as folder:
                PARTS[name](Path(folder), data, chosen)


if __name__ == "__main__":
    main()
