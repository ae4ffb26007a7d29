"""Many files, and many tables."""

import time
from dataclasses import replace
from pathlib import Path

from ingest_speed.times import Times, show
from thresher import ingest
from thresher.ingest.arrivals import arrived
from thresher.ingest.file_ledger import FileLedger
from thresher.lake import Lake
from thresher.landing import listed


def all_known(folder: Path, files: int, rounds: int) -> None:
    """Print what it takes to see that nothing has come."""
    landing = folder / "landing"
    for number in range(files):
        file = landing / f"{number // 1000:04}" / f"{number:07}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"id\n{number}\n", encoding="utf-8")
    lake = Lake(folder / "lake", engine="duckdb")
    ingest.files(lake, str(landing / "0000" / "0000000.csv"), "raw.t", mode="append")
    # Loading them would take much longer than what is measured here.
    ledger = FileLedger(lake.path)
    states = [state for _, state in arrived(listed(str(landing)), None, "raw.t").new]
    ledger.finish("raw.t", None, [replace(state, state="loaded") for state in states])
    times = Times()
    for _ in range(rounds):
        times.run(lambda: ingest.files(lake, str(landing), "raw.t", mode="append"))
    show(f"A landing folder of {files:,} known files", {"mode append": times})


def small_tables(folder: Path, tables: int) -> None:
    """Print what a table of ten rows takes where there are many."""
    lake = Lake(folder / "lake", engine="duckdb")
    for number in range(tables):
        file = folder / "landing" / f"t{number}" / "a.csv"
        file.parent.mkdir(parents=True)
        file.write_text("id,name\n" + "".join(f"{row},name {row}\n" for row in range(10)), encoding="utf-8")
    for title in ("first load", "nothing new"):
        begun = time.perf_counter()
        for number in range(tables):
            ingest.files(lake, str(folder / "landing" / f"t{number}"), f"raw.t{number}", key=["id"], mode="current")
        taken = time.perf_counter() - begun
        print(f"\n{tables:,} small tables, {title}: {taken:.1f} s, {taken / tables * 1000:.0f} ms a table")
