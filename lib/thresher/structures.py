"""The known structure of a dataset's documents, kept beside the lake's datasets with every change and its date."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from thresher import files, xml
from thresher.datasets import parse_name
from thresher.errors import LakeError, UsageError
from thresher.lake import Lake
from thresher.types import TIMESTAMP
from thresher.xml.schema import CHANGES

HISTORY = pa.schema([("since", TIMESTAMP), ("run", pa.string()), *CHANGES])


@dataclass(frozen=True)
class Known:
    """The schema that all loads together have made, and its history.

    `history`: one row per change of a path, oldest first: since (UTC), run, change (new, vanished, changed), path,
    before, after (types). The first load makes all paths new.
    """

    schema: xml.Schema
    history: pa.Table


def known(lake: Lake, target: str) -> Known | None:
    """What earlier loads have learnt of the documents in a dataset; None before the first that found any.

    Raises LakeError for a file that is damaged.
    """
    file = file_of(lake, target)
    if not file.exists():
        return None
    found = "no JSON object"
    try:
        plain = dict(json.loads(file.read_text("utf-8")))
        found = "no schema that can be read"
        schema = xml.Schema.from_json(plain["schema"])
        found = "no history that can be read"
        return Known(schema, _history(plain["history"]))
    except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise LakeError(
            f"{target}: its known structure in {file} is damaged: found {found}, expected what a load has written. "
            f"Restore the file, or delete it to learn the structure anew."
        ) from error


def _history(rows: list[dict[str, Any]]) -> pa.Table:
    if not isinstance(rows, list):
        raise TypeError
    dated = [{**row, "since": datetime.fromisoformat(row["since"])} for row in rows]
    return pa.Table.from_pylist(dated, schema=HISTORY)


def remember(lake: Lake, target: str, schema: xml.Schema) -> None:
    """Make a schema the known structure of a dataset, and add to its history what that changes."""
    before = known(lake, target)
    changes = (before.schema if before else xml.Schema()).diff(schema)
    stamp = {"since": datetime.now(UTC), "run": os.environ.get("THRESHER_RUN_ID", "by hand")}
    history = [*(before.history.to_pylist() if before else []), *({**stamp, **row} for row in changes.to_pylist())]
    content = {"schema": schema.to_json(), "history": [_plain(row) for row in history]}
    files.replace(file_of(lake, target), json.dumps(content, ensure_ascii=False).encode())


@contextmanager
def remembered(lake: Lake, target: str, schema: xml.Schema) -> Iterator[None]:
    """`remember`, while the rows of the dataset are written: where that fails, the structure is again what it was."""
    file = file_of(lake, target)
    before = file.read_bytes() if file.exists() else None
    remember(lake, target, schema)
    try:
        yield
    except BaseException:
        if before is None:
            file.unlink()
        else:
            files.replace(file, before)
        raise


def file_of(lake: Lake, target: str) -> Path:
    """Where the known structure of a dataset is kept."""
    parse_name(target)
    return lake.path / "_schemas" / f"{target}.json"


def require_same_rules(lake: Lake, target: str, schema: xml.Schema, options: xml.Options) -> None:
    """Raise UsageError where the known schema was learnt by other rules of names and types."""
    if not schema.options.shapes_like(options):
        raise UsageError(
            f"{target}: earlier loads read its documents with the options {schema.options.as_dict()}, this one with "
            f"{options.as_dict()}; what they learn cannot be joined. Use the same options, or delete "
            f"{file_of(lake, target)} to learn the structure anew."
        )


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "since": row["since"].isoformat()}
