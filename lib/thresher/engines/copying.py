"""Rows into the files of a Delta table by DuckDB's own writer, on all cores; the commit is deltalake's.

deltalake's writer works on one core and takes twice as long. It still serves tables with partitions, with constraints,
of nested values (of which a group of rows may be large), and writes that change the columns.
"""

import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

from thresher.engines import rewriting
from thresher.sql import kinds
from thresher.types import canonical_schema

FILE_BYTES = 100 << 20
_STAGING = "_copying"  # Delta ignores what begins with _; the next write clears what a killed one left


def is_possible(schema: pa.Schema, there: DeltaTable | None) -> bool:
    """Whether rows can be written so: flat ones, into a new table or one of the same columns."""
    if any(pa.types.is_nested(kind) for kind in schema.types):
        return False
    if there is None:
        return True
    is_same = canonical_schema(pa.schema(there.schema().to_arrow())) == schema
    return is_same and rewriting.is_possible(there) and not there.metadata().partition_columns


def write(
    cursor: duckdb.DuckDBPyConnection,
    query: str,
    schema: pa.Schema,
    folder: Path,
    there: DeltaTable | None,
    mode: str,
    note: Mapping[str, str] | None,
) -> None:
    """Commit the rows of a query, whose columns are those of `schema` in order, to a table that is `there`, or make it.

    Raises duckdb.Error, and the errors of deltalake.
    """
    staging = folder / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        written = _copied(cursor, query, schema, staging)
        added = [_moved(folder, file, rows, size) for file, rows, size in written]
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    retries = None if mode == "append" else 0  # what was added meanwhile is not what was to be replaced
    commit = CommitProperties(custom_metadata=dict(note) if note else None, max_commit_retries=retries)
    if there is None:
        create_table_with_add_actions(str(folder), Schema.from_arrow(schema), added, commit_properties=commit)
    else:
        there.create_write_transaction(list(added), mode, there.schema(), commit_properties=commit)


def _copied(
    cursor: duckdb.DuckDBPyConnection, query: str, schema: pa.Schema, staging: Path
) -> list[tuple[Path, int, int]]:
    """The files that have rows, each with their number and its size."""
    numbered = [f"c{number}" for number in range(len(schema))]
    columns = ", ".join(
        f"cast({number} as {kinds.in_duckdb(field.type)}) as {_escaped(field.name)}"
        for number, field in zip(numbered, schema, strict=True)
    )
    rows = f"select {columns} from ({query}) as rows({', '.join(numbered)})"
    where = str(staging / "rows").replace("'", "''")
    options = f"format parquet, compression snappy, file_size_bytes {FILE_BYTES}, return_stats"
    found = cursor.execute(f"copy ({rows}) to '{where}' ({options})").fetchall()
    return [(Path(file), count, size) for file, count, size, *_ in found if count]


def _moved(folder: Path, file: Path, rows: int, size: int) -> AddAction:
    name = f"part-{uuid.uuid4()}.snappy.parquet"
    here = folder / name
    file.rename(here)
    # Of the columns nothing is told: where ends are told of some and not of all, deltalake's reader passes over rows.
    return AddAction(name, size, {}, int(here.stat().st_mtime * 1000), True, json.dumps({"numRecords": rows}))


def _escaped(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
