"""Where rows go: Parquet, JSON lines or Delta, written as they come and put in place whole or not at all."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.errors import UsageError
from thresher.files import draft_of
from thresher.types import canonical_schema
from thresher.xml.rendering import json_texts

FORMATS = ("parquet", "delta", "jsonl")

# Row groups and lines are written when so many bytes have come together.
_TOGETHER = 16 * 1024 * 1024


@contextmanager
def outputs(
    targets: Mapping[Path, pa.Schema], format: str, placing: AbstractContextManager[None] | None = None
) -> "Iterator[dict[Path, Output]]":
    """Open files (Delta: folders) for writing; they take their places together when the block ends well.

    That happens inside `placing`. Whatever fails before it leaves what was there. Raises UsageError for a place that
    cannot be written to.
    """
    for path in targets:
        require_place(path, format)
    kind = {"parquet": _ParquetDraft, "delta": _DeltaDraft, "jsonl": _JsonDraft}[format]
    drafts: dict[Path, Output] = {}
    new_folders = dict.fromkeys(folder for path in targets for folder in path.parents if not folder.exists())
    try:
        for path, schema in targets.items():
            drafts[path] = kind(path, schema)
            drafts[path].open()
        yield drafts
        for draft in drafts.values():
            draft.finish()
        with placing or nullcontext():
            for draft in drafts.values():
                draft.place()
    except OSError as error:
        raise UsageError(f"{os.path.commonpath(targets)}: cannot be written: {error}") from error
    finally:
        for draft in drafts.values():
            draft.discard()
        with suppress(OSError):  # what stands in one keeps it, and those around it
            for folder in new_folders:
                folder.rmdir()


def require_place(path: Path, format: str) -> None:
    """Raise UsageError where something stands that an output must not replace."""
    if format == "delta":
        if path.is_file() or (path.is_dir() and not (path / "_delta_log").is_dir() and any(path.iterdir())):
            raise UsageError(f"{path}: expected a Delta table, an empty folder or nothing; choose another place")
    elif path.is_dir():
        raise UsageError(f"{path}: found a folder, expected a file or nothing; choose another place")


class Output(ABC):
    """A file that is being written beside its place."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.draft = draft_of(path)
        self.held: list[pa.RecordBatch] = []
        self.held_bytes = 0

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows; their columns are cast to those of the output."""
        for batch in rows.to_batches() if isinstance(rows, pa.Table) else [rows]:
            self.held.append(batch if batch.schema.equals(self.schema) else batch.cast(self.schema))
            self.held_bytes += batch.nbytes
        if self.held_bytes >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        if self.held:
            self.append(pa.Table.from_batches(self.held, self.schema))
        self.held, self.held_bytes = [], 0

    def finish(self) -> None:
        """Write what is held back and close the draft."""
        self.flush()
        self.close()

    def place(self) -> None:
        """Put the draft in its place."""
        os.replace(self.draft, self.path)

    def discard(self) -> None:
        """Remove the draft, if it has not been placed."""
        self.close()
        with suppress(OSError):
            self.draft.unlink()

    def open(self) -> None:
        """Begin the draft; its folder is made where missing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Open the draft."""

    @abstractmethod
    def append(self, rows: pa.Table) -> None:
        """Write rows to the draft."""

    @abstractmethod
    def close(self) -> None:
        """Close the draft, if it is open."""


class _ParquetDraft(Output):
    writer: pq.ParquetWriter | None = None

    def begin(self) -> None:
        self.writer = pq.ParquetWriter(self.draft, self.schema, compression="zstd")

    def append(self, rows: pa.Table) -> None:
        assert self.writer is not None
        self.writer.write_table(rows, row_group_size=max(1, rows.num_rows))

    def close(self) -> None:
        if self.writer:
            self.writer.close()


class _DeltaDraft(_ParquetDraft):
    """Drafted as Parquet: the table's writer pulls its rows, and gets them when all are there."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path, canonical_schema(schema))

    def place(self) -> None:
        from deltalake import write_deltalake

        with pq.ParquetFile(self.draft) as file:
            rows = pa.RecordBatchReader.from_batches(self.schema, file.iter_batches(8 * 1024))
            write_deltalake(self.path, rows, mode="overwrite", schema_mode="overwrite")


class _JsonDraft(Output):
    """A line per row, as Spark's to_json writes it: without nulls, decimals and timestamps in full."""

    file: IO[bytes] | None = None

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path, canonical_schema(schema))

    def begin(self) -> None:
        self.file = self.draft.open("wb")

    def append(self, rows: pa.Table) -> None:
        assert self.file is not None
        for batch in rows.to_batches(max_chunksize=1_000):
            self.file.write("".join(f"{line}\n" for line in json_texts(batch.to_struct_array())).encode("utf-8"))

    def close(self) -> None:
        if self.file:
            self.file.close()
