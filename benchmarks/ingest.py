"""What ingestion costs, beside DuckDB and a warm JVM Spark.

    python benchmarks/ingest.py [--only changes,partitions,whole,landing,tables] [--rounds 5] [--rows 1000000]
                                [--megabytes 100] [--files 100000] [--tables 200] [--without-spark]

- changes: 10,000 changes of a table of --rows rows, by mode `current`, and by MERGE on Spark with Delta; ours reads the
  file, keeps the file ledger and counts, Spark reads the file and merges; both get new changes in each round;
- partitions: 10,000 changes of one partition of 20,000 rows, in tables of ever more such partitions;
- whole: --megabytes of CSV and of JSON lines by mode `overwrite`, and by DuckDB's readers into one Parquet file;
- landing: a load that finds --files files, all of which it knows;
- tables: --tables small tables, one after the other in one process.

All ways of a part take turns in each round; the tables show medians. CPU is that of this process, so none for Spark.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ingest_speed import changes, landing, whole


def parts(chosen: argparse.Namespace) -> dict[str, Callable[[Path], None]]:
    """What can be measured, by its name."""
    return {
        "changes": lambda folder: changes.against_spark(
            folder, chosen.rows, chosen.rounds, with_spark=not chosen.without_spark
        ),
        "partitions": lambda folder: changes.by_partitions(folder, chosen.rounds),
        "whole": lambda folder: whole.against_duckdb(folder, chosen.megabytes, chosen.rounds),
        "landing": lambda folder: landing.all_known(folder, chosen.files, chosen.rounds),
        "tables": lambda folder: landing.small_tables(folder, chosen.tables),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="changes,partitions,whole,landing,tables", help="parts, with commas between")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way runs (default 5)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table that changes (default 1000000)")
    parser.add_argument("--megabytes", type=int, default=100, help="size of a full load (default 100)")
    parser.add_argument("--files", type=int, default=100_000, help="files that landing has (default 100000)")
    parser.add_argument("--tables", type=int, default=200, help="how many small tables (default 200)")
    parser.add_argument("--without-spark", action="store_true", help="leave out Spark, which takes minutes")
    chosen = parser.parse_args()
    known = parts(chosen)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    for name in chosen.only.split(","):
        if name not in known:
            raise SystemExit(f"--only {name}: unknown; expected some of {','.join(known)}")
        with tempfile.TemporaryDirectory() as folder:
            known[name](Path(folder))


if __name__ == "__main__":
    main()
