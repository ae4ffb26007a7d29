"""landing → raw: every row of every file, with the file and the row number it came from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from thresher import landing, quarantine
from thresher.counts import Counts
from thresher.errors import SchemaMismatch, UsageError
from thresher.frame import Frame
from thresher.lake import Lake, require_columns
from thresher.types import canonical_schema, ddl, quoted

FORMATS = ("auto", "parquet", "documents")
ORIGIN = (pa.field("_file", pa.string()), pa.field("_row", pa.int64()))
_REFUSED = (pa.field("_rule", pa.string()), pa.field("_reason", pa.string()))
_ROWS_PER_BATCH = 10_000


@dataclass(frozen=True)
class Loaded:
    """What an ingest did: the rows now in the dataset, what was refused, and the counts."""

    rows: Frame
    refused: Frame
    counts: Counts


@dataclass(frozen=True)
class _Delivery:
    """The readable files, the columns they share, and why others are refused."""

    format: str
    files: pa.Table
    schema: pa.Schema
    refused: list[dict[str, object]]


def files(lake: Lake, source: str, target: str, *, format: str = "auto", key: Sequence[str] = ()) -> Loaded:
    """Load all files of a landing path or glob into a raw dataset, replacing what it held.

    In: one Parquet file of many rows, or one document a file. Out: one row per row (or document), its columns as
    delivered (a document: `content`, its bytes) plus `_file` (string: name relative to landing) and `_row` (bigint:
    1-based number in the file). A file that cannot be read or whose columns contradict the others', and a row
    whose `key` holds a null, is refused into the quarantine; a refused file counts as one row. `format`: parquet,
    documents, or auto (parquet when any file begins as Parquet does).

    Raises LandingNotFound, UsageError, MissingColumns when no row has the key columns.
    """
    if format not in FORMATS:
        raise UsageError(f"{target}: format {format!r} is unknown; expected one of {', '.join(FORMATS)}")
    found = landing.find(source)
    if format == "auto":
        format = "parquet" if any(_begins(file.path, b"PAR1") for file in found) else "documents"
    delivery = _survey(found, format)
    output = pa.schema([*delivery.schema, *ORIGIN, *_REFUSED])
    read = partial(_read_files, format=format, schema=delivery.schema, output=output)
    rows = lake.engine.map_batches(lake.frame(delivery.files), read, output)
    require_columns(rows, key, target)

    columns = ", ".join(quoted(name) for name in [*delivery.schema.names, "_file", "_row"])
    with_null_key = " or ".join(f"{quoted(name)} is null" for name in key) or "false"
    good = lake.sql(f"select {columns} from rows where _rule is null and not ({with_null_key})", rows=rows)
    refused = lake.engine.stage(
        lake.sql(
            f"select * from files union all select _file, cast(_row as string), cast(null as string), "
            f"coalesce(_rule, 'null key'), coalesce(_reason, :why), cast(null as bigint), cast(null as bigint), "
            f"cast(null as binary) from rows where _rule is not null or {with_null_key}",
            {"why": f"a null in the key {', '.join(key)}"},
            files=pa.Table.from_pylist(delivery.refused, schema=quarantine.SCHEMA),
            rows=rows,
        )
    )
    quarantine.keep(lake, target, refused)
    lake.write(target, good, schema="replace")
    loaded = lake.read(target)
    counts = Counts(
        target,
        rows_in=rows.count() + len(delivery.refused),
        rows_out=loaded.count(),
        refused=refused.count(),
        more={"files": len(found), "files refused": len(delivery.refused)},
    )
    return Loaded(loaded, refused, counts)


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def _survey(files: list[landing.LandingFile], format: str) -> _Delivery:
    """Look at every file before any row is read: can it be opened, and do its columns fit the others'?"""
    schema = pa.schema([("content", pa.binary())]) if format == "documents" else pa.schema([])
    good, refused = [], []
    for file in files:
        try:
            if format == "documents":
                _check_document(file.path)
            else:
                schema = _united(schema, pq.read_schema(file.path))
            good.append({"path": str(file.path), "name": file.name})
        except (pa.ArrowException, OSError, SchemaMismatch, ValueError) as error:
            refused.append(_refusal(file, "unreadable file", str(error)))
    table = pa.Table.from_pylist(good, schema=pa.schema([("path", pa.string()), ("name", pa.string())]))
    return _Delivery(format, table, schema, refused)


def _check_document(path: Path) -> None:
    with path.open("rb") as file:
        if not file.read(1):
            raise ValueError("the file is empty; expected a document")


def _united(known: pa.Schema, found: pa.Schema) -> pa.Schema:
    found = canonical_schema(found)
    for name in found.names:
        if name in ("_file", "_row", "_rule", "_reason"):
            raise SchemaMismatch(f"column {name} is reserved for where a row came from; rename it at the source")
        twins = [other for other in [*known.names, *found.names] if other.lower() == name.lower() and other != name]
        if twins or found.names.count(name) > 1:
            raise SchemaMismatch(f"column {name} stands twice ({[name, *twins]}); names differ in more than case")
        if name in known.names and known.field(name).type != found.field(name).type:
            raise SchemaMismatch(
                f"column {name} is {ddl(found.field(name).type)} here, "
                f"{ddl(known.field(name).type)} in the files before"
            )
    return pa.unify_schemas([known, found])


def _refusal(file: landing.LandingFile, rule: str, reason: str) -> dict[str, object]:
    try:
        content = file.path.read_bytes()
    except OSError:
        content = None
    return {"source": file.name, "rule": rule, "reason": reason, "content": content}


def _read_files(
    batches: Iterator[pa.RecordBatch], *, format: str, schema: pa.Schema, output: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """In: one row per file (path, name). Out: its rows; or one row with _rule and _reason when it breaks midway."""
    for batch in batches:
        for file in batch.to_pylist():
            try:
                # A file counts as a whole: no row of it goes out before the last one was read.
                rows = _document(file["path"]) if format == "documents" else _parquet(file["path"], schema)
            except (pa.ArrowException, OSError, ValueError) as error:
                nothing = {"_file": file["name"], "_row": None, "_rule": "unreadable file", "_reason": str(error)}
                yield pa.RecordBatch.from_pylist([nothing], schema=output)
                continue
            origin = [
                pa.array([file["name"]] * rows.num_rows, pa.string()),
                pa.array(range(1, rows.num_rows + 1), pa.int64()),
                *(pa.nulls(rows.num_rows, pa.string()) for _ in _REFUSED),
            ]
            table = pa.Table.from_arrays([*rows.columns, *origin], schema=output)
            yield from table.to_batches(max_chunksize=_ROWS_PER_BATCH)


def _document(path: str) -> pa.Table:
    return pa.table({"content": pa.array([Path(path).read_bytes()], pa.binary())})


def _parquet(path: str, schema: pa.Schema) -> pa.Table:
    found = pq.ParquetFile(path).read()
    columns = [
        found.column(field.name).cast(field.type)
        if field.name in found.column_names
        else pa.nulls(found.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
