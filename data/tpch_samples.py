"""The eight tables of TPC-H at a thousandth of its size, as AWS DMS would unload them to Parquet, and changes."""

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SCALE = "0.001"
CHANGED, INSERTED, DELETED, MOVED = 1, 8, 2, 1  # orders, and a customer
CHANGES = "20260302-080000000.parquet"
Row = dict[str, Any]


def folder() -> dict[str, bytes]:
    """The files by their place."""
    with tempfile.TemporaryDirectory() as made:
        program = Path(sys.executable).with_name("tpchgen-cli")
        subprocess.run([program, "parquet", "-s", SCALE, "--output-dir", made, "--quiet"], check=True)
        tables = {file.stem: _plain(pq.read_table(file)) for file in sorted(Path(made).glob("*.parquet"))}
    files = {f"{name}/LOAD00000001.parquet": _file(rows) for name, rows in tables.items()}
    for name, changes in _changes(tables).items():
        schema = pa.schema([("Op", pa.string()), *tables[name].schema])
        rows = [{"Op": operation, **row} for operation, row in changes]
        files[f"changes/{name}/{CHANGES}"] = _file(pa.Table.from_pylist(rows, schema))
    return files


def listed() -> list[tuple[str, str, str]]:
    """File, what is special, what must happen."""
    return [
        ("`*/LOAD00000001.parquet`", "made by the generator of the benchmark", "its queries have the same answers"),
        (
            "`changes/lineitem/`",
            f"order {CHANGED}, line 4: quantity 100; two lines of order {INSERTED}; all lines of order {DELETED} go",
            "these lines of the fact change, and no others",
        ),
        ("`changes/orders/`", f"order {INSERTED} comes, order {DELETED} goes", "as above"),
        (
            "`changes/customer/`",
            f"customer {MOVED} moves to Germany",
            "a version of the buyer begins; the orders before it stay with the one of their day",
        ),
    ]


def _changes(tables: Mapping[str, pa.Table]) -> dict[str, list[tuple[str, Row]]]:
    lines, orders, customers = (tables[name].to_pylist() for name in ("lineitem", "orders", "customer"))
    changed = next(row for row in lines if (row["l_orderkey"], row["l_linenumber"]) == (CHANGED, 4))
    order = next(row for row in orders if row["o_orderkey"] == CHANGED)
    new = {**order, "o_orderkey": INSERTED, "o_orderstatus": "O", "o_orderdate": date(1998, 7, 1)}
    day = {"l_shipdate": date(1998, 7, 9), "l_commitdate": date(1998, 7, 20), "l_receiptdate": date(1998, 7, 12)}
    new_lines = [
        {**changed, **day, "l_orderkey": INSERTED, "l_linenumber": number, "l_quantity": Decimal(number)}
        for number in (1, 2)
    ]
    customer = next(row for row in customers if row["c_custkey"] == MOVED)
    return {
        "lineitem": [
            ("U", {**changed, "l_quantity": Decimal(100)}),
            *(("I", line) for line in new_lines),
            *(("D", row) for row in lines if row["l_orderkey"] == DELETED),
        ],
        "orders": [("I", new), *(("D", row) for row in orders if row["o_orderkey"] == DELETED)],
        "customer": [("U", {**customer, "c_nationkey": 7})],
    }


def _plain(rows: pa.Table) -> pa.Table:
    """The rows in types that every reader knows, without what the generator says of them."""
    fields: Iterable[pa.Field] = (
        pa.field(field.name, pa.string() if pa.types.is_string_view(field.type) else field.type)
        for field in rows.schema
    )
    return rows.cast(pa.schema(fields))


def _file(rows: pa.Table) -> bytes:
    made = io.BytesIO()
    pq.write_table(rows, made, store_schema=False, compression="zstd", compression_level=15)
    return made.getvalue()
