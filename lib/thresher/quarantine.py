"""What was refused on the way into a dataset: kept with reason, rule, run and the original bytes."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from thresher.datasets import quarantine_of
from thresher.frame import Frame

if TYPE_CHECKING:
    from thresher.lake import Lake

SCHEMA = pa.schema(
    [
        ("source", pa.string()),  # the file or dataset it came from
        ("key", pa.string()),  # which row of it; null for a whole file
        ("path", pa.string()),  # which part of the row; null for all of it
        ("rule", pa.string()),
        ("reason", pa.string()),
        ("line", pa.int64()),
        ("column", pa.int64()),
        ("content", pa.binary()),
    ]
)


dataset_of = quarantine_of


def keep(lake: Lake, target: str, refused: Frame) -> int:
    """Make `refused` (columns of SCHEMA) the quarantine of `target`; return how many rows it holds.

    In: one row per refused file, row or path of this load. Out: the same rows in the dataset `dataset_of(target)`, with
    the column `run`: the run that first refused them. What an earlier load refused and this one did not leaves
    the quarantine and stays in its history. No dataset is created for nothing.
    """
    name = dataset_of(target)
    run = os.environ.get("THRESHER_RUN_ID", "by hand")
    columns = ", ".join(f"n.`{column}`" for column in SCHEMA.names)
    if not lake.exists(name):
        rows = lake.engine.stage(lake.sql(f"select {columns}, :run as run from n", {"run": run}, n=refused))
        count = rows.count()
        if count:
            lake.write(name, rows)
        return count
    same = " and ".join(f"n.`{column}` <=> o.`{column}`" for column in SCHEMA.names)
    known = ", ".join(f"`{column}`" for column in SCHEMA.names)
    rows = lake.engine.stage(
        lake.sql(
            f"select {columns}, coalesce(o.run, :run) as run from n left join "
            f"(select {known}, min(run) as run from before group by {known}) o on {same}",
            {"run": run},
            n=refused,
            before=lake.read(name),
        )
    )
    lake.write(name, rows)
    return rows.count()


def add(lake: Lake, target: str, refused: Frame, sources: Sequence[str]) -> int:
    """`keep` for a load of some files: what was refused of others stays; return how many rows it now holds."""
    name = dataset_of(target)
    if not lake.exists(name):
        return keep(lake, target, refused)
    columns = ", ".join(f"`{column}`" for column in SCHEMA.names)
    named = pa.table({"source": pa.array(list(sources), pa.string())})
    return keep(
        lake,
        target,
        lake.sql(
            f"select {columns} from before b left anti join named n on b.source <=> n.source "
            f"union all select {columns} from refused",
            before=lake.read(name),
            named=named,
            refused=refused,
        ),
    )


@contextmanager
def kept(lake: Lake, target: str, refused: Frame) -> Iterator[None]:
    """`keep`, while the rows of `target` are written: where that fails, the quarantine is again what it was."""
    name = dataset_of(target)
    before = lake.read(name) if lake.exists(name) else None
    keep(lake, target, refused)
    try:
        yield
    except BaseException:
        if lake.exists(name):
            lake.write(name, lake.read(name).head(0) if before is None else before)
        raise


def of_rows(rows: Frame, source: str, rule: str, reason: str) -> Frame:
    """Rows of any shape in the columns of SCHEMA, each as JSON text in `content`."""
    fill = partial(_as_json, source=source, rule=rule, reason=reason)
    return rows.engine.map_batches(rows, fill, SCHEMA)


def _as_json(batches: Iterator[pa.RecordBatch], *, source: str, rule: str, reason: str) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        refused = [
            {
                "source": source,
                "rule": rule,
                "reason": reason,
                "content": as_json(row),
            }
            for row in batch.to_pylist()
        ]
        yield pa.RecordBatch.from_pylist(refused, schema=SCHEMA)


def as_json(row: Mapping[str, Any]) -> bytes:
    """A row as JSON: bytes in base64, dates and decimals as text.

    >>> as_json({"id": None, "blob": b"x"})
    b'{"id": null, "blob": "eA=="}'
    """
    return json.dumps(row, default=_as_text, ensure_ascii=False).encode()


def _as_text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
