"""Write data/sample anew, byte for byte the same each time:  python data/make_samples.py [FOLDER]"""

import random
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

import course_samples
import energy_samples
import invoice_samples
import northwind_json_samples
import northwind_samples
import odp_samples
import order_samples
import ticket_samples
import tpch_samples

SAMPLE = Path(__file__).resolve().parent / "sample"
README = """\
# Sample landing files

Invented, small, and full of the traps that real deliveries hold. Written by `python data/make_samples.py`; every
company and author is made up. Tests hold what must happen; `lib/` knows nothing of these files.

## `courses/`: a database extract with an XML column

`courses_full.parquet` comes first, `courses_updates.parquet` later. Columns: `course_id` bigint, `course_name` string,
`study_material_info` binary (an XML document), `updated_at` timestamp (UTC). Courses 1 to 33 are ordinary; 3 and 8
change with the updates, 31 to 33 come with them.

{courses}
## `invoices/`: UBL 2.1 invoices and credit notes, one file each

{invoices}
## `odp/`: 18 tables of an operational database, by AWS DMS

The tables of a bicycle hire, a folder each: `LOAD00000001.csv` with a header, then changes with `Op` in front. Those of
every table are the same: row 1 is updated twice, row 2 is deleted, and one row is inserted. So a table of *n* rows has
*n* rows afterwards, and a history of *n* + 4.

{odp}
## `tickets/`: one table by AWS DMS, while it changes

{tickets}
## `orders_cdc/`: three topics of Debezium

A snapshot and the changes after it, a folder each topic. Orders belong to sites, sites to customers.

{orders_cdc}
## `energy/`: invoices by AWS DMS, without a header

{energy}
## `northwind/`: orders of a trader, a CSV file per table

{northwind}
## `northwind_json/`: the same orders as nested JSON

{northwind_json}
## `tpch/`: the tables of TPC-H by AWS DMS, in Parquet, and changes of them

A folder each table. The changes stand aside, and flow when they are copied into the folders of their tables.

{tpch}"""
FOLDERS = {
    "odp": (odp_samples, ("table", "rows", "what is special", "what must happen")),
    "tickets": (ticket_samples, ("file", "what is special", "what must happen")),
    "orders_cdc": (order_samples, ("topic", "what is special", "what must happen")),
    "energy": (energy_samples, ("file", "what is special", "what must happen")),
    "northwind": (northwind_samples, ("file", "what is special", "what must happen")),
    "northwind_json": (northwind_json_samples, ("file", "what is special", "what must happen")),
    "tpch": (tpch_samples, ("file", "what is special", "what must happen")),
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), ["---"] * len(list(head)), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their place below `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_samples(folder: Path) -> None:
    """Write every sample file and their README below `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "courses").mkdir(parents=True)
    for name, rows in course_samples.deliveries(random.Random(2026)).items():
        # Without the Arrow schema and pandas' metadata: nothing in the files but what another system would write.
        pq.write_table(rows, folder / "courses" / name, store_schema=False, compression="zstd")
    invoices = invoice_samples.folder()
    write(folder / "invoices", {name: content for name, (content, _, _) in invoices.items()})
    for name, (samples, _) in FOLDERS.items():
        write(folder / name, samples.folder())
    text = README.format(
        courses=table(("course", "trap", "what must happen"), course_samples.listed()),
        invoices=table(
            ("file", "what is special", "what must happen"),
            ((f"`{name}`", what, then) for name, (_, what, then) in invoices.items()),
        ),
        **{name: table(head, samples.listed()) for name, (samples, head) in FOLDERS.items()},
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_samples(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE)
