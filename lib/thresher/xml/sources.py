"""Where documents come from: rows of files with a column of documents, streamed as often as needed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.errors import DataError, MissingColumns, UsageError
from thresher.xml.cutting import BATCH_BYTES, LONGEST
from thresher.xml.decoding import is_blank
from thresher.xml.formats import FORMATS, files_at, recognised
from thresher.xml.readers import (
    UNREADABLE,
    DeltaRows,
    DocumentFiles,
    ParquetRows,
    Reading,
    Rows,
    name_in,
)
from thresher.xml.text_rows import CsvRows, JsonRows

DOCUMENT = "document"

_TEXTS = (pa.string(), pa.large_string(), pa.string_view())
_BLOBS = (pa.binary(), pa.large_binary(), pa.binary_view())


@dataclass
class Source:
    """Rows with a column of documents, made by `source`.

    `column` holds the documents, `schema` all columns, `size` the bytes of all files, `ignored` the files of a folder
    that are of no known format. `batches()` begins a new pass; `reading` tells how far the latest one is
    (`done_bytes`, `rows`, `documents` in them, and `blank` ones that count as none) and what could not be read
    (`refused`: file or line, and reason; `refused_count`).
    """

    path: Path
    format: str
    column: str
    schema: pa.Schema
    size: int
    ignored: list[str]
    rows: Rows
    files: list[Path]
    unreadable: list[tuple[str, str]]
    reading: Reading = field(default_factory=Reading)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in batches of about 16 MB of documents; what cannot be read is noted and left out."""
        self.reading = Reading()
        for name, reason in self.unreadable:
            self.reading.refuse(name, reason)
        for batch in _merged(self._pieces(), self.column):
            self.reading.rows += batch.num_rows
            documents = batch.column(self.column)
            blank = _count_blank(documents)
            self.reading.blank += blank
            self.reading.documents += batch.num_rows - documents.null_count - blank
            yield batch

    def _pieces(self) -> Iterator[pa.RecordBatch]:
        for path in self.files:
            rows = 0
            try:
                for batch in self.rows.batches(path, self.reading):
                    for piece in _cut(_conformed(batch, self.schema), self.column):
                        yield piece
                        rows += piece.num_rows
            except UNREADABLE as error:
                kept = f" (the {rows:,} rows before are kept)" if rows else ""
                self.reading.refuse(name_in(self.path, path), f"{error}{kept}")


def source(
    path: str | Path,
    column: str | None = None,
    *,
    format: str = "auto",
    row_tag: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    max_bytes: int = LONGEST,
) -> Source:
    r"""Open a file or folder as a stream of rows with documents.

    | format | one row per | columns |
    |---|---|---|
    | parquet, delta | row | as they are |
    | csv | line after the header | text; documents as bytes, or as text where an `encoding` is given |
    | jsonl | line with a JSON object | boolean, bigint, double or string; other values as JSON text |
    | xml | file | `_file` and its bytes, in `document` or the column that is named |
    | xml with a `row_tag` | record (see `records`) | `_file`, `_ordinal`, `_offset` and the record's bytes |

    Files may be gzipped. A folder stands for all files in it whose names begin with neither dot nor underscore; `auto`
    tells their format by content and name. A file or line that cannot be read is noted, and the others are read.

    Raises UsageError where there is no such file, its format cannot be told or has no use for an option; MissingColumns
    where there is no such column; DataError where no file can be read.
    """
    place = Path(path)
    if format not in ("auto", *FORMATS):
        raise UsageError(f"format {format!r} is unknown; expected one of auto, {', '.join(FORMATS)}")
    files, ignored = files_at(place), list[str]()
    if format == "auto":
        format, files, ignored = recognised(place, files)
    if row_tag is not None and format != "xml":
        raise UsageError(f"{place}: a row tag cuts XML files, not the documents in rows of {format}; leave it out")
    if (encoding or delimiter) and format != "csv":
        raise UsageError(f"{place}: encoding and delimiter are of CSV files, found {format}; leave them out")
    if delimiter is not None and len(delimiter) != 1:
        raise UsageError(f"delimiter {delimiter!r}: expected one character (a tab is $'\\t' in a shell)")
    if column is None and format != "xml":
        raise UsageError(f"{place}: the column with the documents is not named; found {_columns(files, format)}")
    named = column or DOCUMENT
    rows = _rows_of(format, place, named, row_tag, encoding, delimiter, max_bytes)
    schema, good, unreadable = _surveyed(place, files, rows, named)
    size = sum(path.stat().st_size for file in good for path in ([file] if file.is_file() else file.rglob("*.parquet")))
    return Source(place, format, named, schema, size, ignored, rows, good, unreadable)


def _columns(files: list[Path], format: str) -> list[str]:
    """What there is to choose from; nothing where the first file cannot be read."""
    try:
        return list(_rows_of(format, files[0], "").schema(files[0]).names)
    except UNREADABLE:
        return []


def _rows_of(
    format: str,
    place: Path,
    column: str,
    row_tag: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    max_bytes: int = LONGEST,
) -> Rows:
    match format:
        case "xml":
            return DocumentFiles(place, column, row_tag, max_bytes)
        case "csv":
            return CsvRows(column, encoding, delimiter)
        case "jsonl":
            return JsonRows(column)
        case "delta":
            return DeltaRows()
    return ParquetRows()


def _surveyed(
    place: Path, files: list[Path], rows: Rows, column: str
) -> tuple[pa.Schema, list[Path], list[tuple[str, str]]]:
    """Look at every file before any row is read: can it be opened, and do its columns fit the others'?"""
    schema = pa.schema([])
    good: list[Path] = []
    refused: list[tuple[str, str]] = []
    errors: list[Exception] = []
    for path in files:
        try:
            found = _with_documents(rows.schema(path), column)
            schema = pa.unify_schemas([schema, found], promote_options="permissive")
            good.append(path)
        except UNREADABLE as error:
            errors.append(error)
            refused.append((name_in(place, path), str(error)))
    if good:
        return schema, good, refused
    name, reason = refused[0]
    others = f" (and so with {len(refused) - 1:,} more)" if len(refused) > 1 else ""
    kind = next((kind for kind in (MissingColumns, UsageError) if isinstance(errors[0], kind)), DataError)
    raise kind(f"{name}: {reason}{others}")


def _with_documents(schema: pa.Schema, column: str) -> pa.Schema:
    """The columns of a file, that of the documents without a dictionary."""
    twice = sorted(name for name, count in Counter(schema.names).items() if count > 1)
    if twice:
        raise DataError(f"columns {twice} stand more than once; expected names that differ")
    if column not in schema.names:
        raise MissingColumns(f"there is no column {column!r} to read XML from; found {schema.names}")
    found = schema.field(column)
    kind = found.type.value_type if pa.types.is_dictionary(found.type) else found.type
    if kind not in (*_TEXTS, *_BLOBS):
        raise UsageError(f"column {column!r} holds {kind}; XML documents are string or binary. Name another column.")
    return schema.set(schema.get_field_index(column), found.with_type(kind))


def _conformed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the columns that all files have together."""
    if batch.schema.equals(schema):
        return batch
    columns = [
        batch.column(each.name).cast(each.type) if each.name in batch.schema.names else pa.nulls(len(batch), each.type)
        for each in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _count_blank(documents: pa.Array) -> int:
    documents = documents.cast(pa.large_string() if documents.type in _TEXTS else pa.large_binary())
    # Most documents begin with a tag; the others are looked at.
    others = documents.filter(pc.invert(pc.starts_with(documents, "<")))
    return sum(is_blank(document.as_py()) for document in others)


def _cut(batch: pa.RecordBatch, column: str) -> Iterator[pa.RecordBatch]:
    """The batch in pieces of at most BATCH_BYTES of documents, as far as single documents allow it."""
    documents = batch.column(column)
    if documents.nbytes <= BATCH_BYTES:
        yield batch
        return
    lengths = pc.fill_null(pc.binary_length(documents.cast(pa.large_binary())), 0).to_numpy()
    ends, start = np.cumsum(lengths), 0
    while start < len(batch):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, "right")))
        yield batch.slice(start, end - start)
        start = end


def _merged(batches: Iterator[pa.RecordBatch], column: str) -> Iterator[pa.RecordBatch]:
    """Small batches together: a folder has one document a file."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        length = batch.column(column).nbytes
        if held and size + length > BATCH_BYTES:
            yield held[0] if len(held) == 1 else pa.concat_batches(held)
            held, size = [], 0
        held.append(batch)
        size += length
    if held:
        yield pa.concat_batches(held)
