"""Files of text, all of them."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import duckdb

from ingest_speed.times import Times, show
from thresher import ingest
from thresher.lake import Lake

WORDS = "garden market river winter paper silver orange border window simple".split()


def orders(chance: random.Random) -> Iterator[dict[str, object]]:
    """Orders without end, as a service might tell them."""
    number = 0
    while True:
        number += 1
        yield {
            "id": number,
            "ordered_at": f"2024-{number % 12 + 1:02}-{number % 28 + 1:02} {number % 24:02}:{number % 60:02}:00",
            "customer": f"customer {chance.randrange(100_000)}",
            "amount": round(chance.random() * 1000, 2),
            "is_paid": number % 3 > 0,
            "note": " ".join(chance.choices(WORDS, k=6)),
            "quantity": chance.randrange(100),
        }


def deliver(folder: Path, megabytes: int) -> dict[str, Path]:
    """The same kind of orders as CSV and as JSON lines, in files of that size."""
    files = {"csv": folder / "csv" / "orders.csv", "json": folder / "json" / "orders.jsonl"}
    for name, file in files.items():
        file.parent.mkdir()
        with file.open("w", encoding="utf-8") as out:
            for row in orders(random.Random(1)):
                if name == "csv" and row["id"] == 1:
                    out.write(",".join(row) + "\n")
                out.write((json.dumps(row) if name == "json" else ",".join(_texts(row))) + "\n")
                if out.tell() >= megabytes << 20:
                    break
    return files


def _texts(row: dict[str, object]) -> list[str]:
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in row.values()]


def against_duckdb(folder: Path, megabytes: int, rounds: int) -> None:
    """Print what a full load takes."""
    for name, file in deliver(folder, megabytes).items():
        reader = {"csv": "read_csv", "json": "read_json"}[name]
        ways = {"mode overwrite": Times(), "DuckDB into Parquet": Times()}
        ingest.files(Lake(folder / "warm", engine="duckdb"), str(file), "raw.orders")
        for number in range(rounds):
            lake = Lake(folder / f"{name} {number}", engine="duckdb")
            ways["mode overwrite"].run(ingest.files, lake, str(file), "raw.orders")
            query = f"copy (from {reader}('{file}')) to '{folder / 'orders.parquet'}' (format parquet)"
            ways["DuckDB into Parquet"].run(duckdb.connect().execute, query)
        show(f"{megabytes} MB of {name}", ways)
