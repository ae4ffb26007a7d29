"""landing → raw: every row of every file, with the file and the row number it came from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from thresher import landing, quarantine
from thresher.counts import Counts
from thresher.errors import DataError, MissingColumns, SchemaMismatch, UsageError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.types import canonical_schema, ddl, quoted

FORMATS = ("auto", "parquet", "documents")
ORIGIN = (pa.field("_file", pa.string()), pa.field("_row", pa.int64()))
_REFUSED = (pa.field("_rule", pa.string()), pa.field("_reason", pa.string()), pa.field("_content", pa.binary()))
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

    Raises LandingNotFound, UsageError, MissingColumns when no file has the key columns, DataError when no file can be
    read: the dataset then stays as it is.
    """
    if format not in FORMATS:
        raise UsageError(f"{target}: format {format!r} is unknown; expected one of {', '.join(FORMATS)}")
    found = landing.find(source)
    if format == "auto":
        format = "parquet" if any(_begins(file.path, b"PAR1") for file in found) else "documents"
    delivery = _survey(found, format)
    output = pa.schema([*delivery.schema, *ORIGIN, *_REFUSED])
    read = partial(_read_files, format=format, schema=delivery.schema, output=output, key=tuple(key))
    if not delivery.schema.names:
        reasons = "; ".join(f"{each['source']}: {each['reason']}" for each in delivery.refused[:3])
        raise DataError(f"{target}: none of {len(found)} files can be read, so nothing was loaded ({reasons})")
    missing = [name for name in key if name not in delivery.schema.names]
    if missing:
        raise MissingColumns(f"{target}: missing columns {missing}; found {delivery.schema.names}")
    rows = lake.engine.map_batches(lake.frame(delivery.files), read, output, rows_per_call=1)

    columns = ", ".join(quoted(name) for name in [*delivery.schema.names, "_file", "_row"])
    good = lake.sql(f"select {columns} from rows where _rule is null", rows=rows)
    refused = lake.engine.stage(
        lake.sql(
            "select * from files union all select _file, cast(_row as string), cast(null as string), _rule, _reason, "
            "cast(null as bigint), cast(null as bigint), _content from rows where _rule is not null",
            files=pa.Table.from_pylist(delivery.refused, schema=quarantine.SCHEMA),
            rows=rows,
        )
    )
    counted = Counts(
        target,
        rows_in=rows.count() + len(delivery.refused),
        rows_out=good.count(),
        refused=refused.count(),
        more={"files": len(found), "files refused": len(delivery.refused)},
    )
    quarantine.keep(lake, target, refused)
    lake.write(target, good, schema="replace")
    return Loaded(lake.read(target), refused, counted)


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
        if name.lower() in ("_file", "_row", "_rule", "_reason", "_content"):
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
    return {"source": file.name, "rule": rule, "reason": reason, "content": _bytes(file.path)}


def _read_files(
    batches: Iterator[pa.RecordBatch], *, format: str, schema: pa.Schema, output: pa.Schema, key: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """In: one row per file (path, name). Out: its rows, those refused with _rule, _reason and _content."""
    for batch in batches:
        for file in batch.to_pylist():
            try:
                # A file counts as a whole: no row of it goes out before the last one was read.
                rows = _document(file["path"]) if format == "documents" else _parquet(file["path"], schema)
            except FileNotFoundError:
                # Refusing it would empty the dataset where the executors of a cluster do not see landing at all.
                raise DataError(
                    f"{file['path']} was there when landing was listed, and is not there where it is read. It must "
                    f"stay until it is loaded; on a cluster, every executor must see it under the same path."
                ) from None
            except (pa.ArrowException, OSError, ValueError) as error:
                refused = {"_file": file["name"], "_rule": "unreadable file", "_reason": str(error)}
                refused["_content"] = _bytes(Path(file["path"]))
                yield pa.RecordBatch.from_pylist([refused], schema=output)
                continue
            origin = [
                pa.array([file["name"]] * rows.num_rows, pa.string()),
                pa.array(range(1, rows.num_rows + 1), pa.int64()),
            ]
            table = pa.Table.from_arrays([*rows.columns, *origin, *_null_keys(rows, key)], schema=output)
            yield from table.to_batches(max_chunksize=_ROWS_PER_BATCH)


def _null_keys(rows: pa.Table, key: Sequence[str]) -> list[pa.Array]:
    """The columns _rule, _reason and _content: filled where a row has a null in its key."""
    refused: dict[int, bytes] = {}
    for name in key:
        nulls = pc.indices_nonzero(pc.is_null(rows.column(name)))
        refused |= {number: quarantine.as_json(rows.slice(number, 1).to_pylist()[0]) for number in nulls.to_pylist()}
    content = [refused.get(number) for number in range(rows.num_rows)] if refused else [None] * rows.num_rows
    why = f"a null in the key {', '.join(key)}"
    return [
        pa.array(["null key" if each else None for each in content], pa.string()),
        pa.array([why if each else None for each in content], pa.string()),
        pa.array(content, pa.binary()),
    ]


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


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
