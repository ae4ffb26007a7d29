"""How each format of file becomes rows: Parquet, Delta, CSV, JSON lines, and XML files themselves."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.xml.cutting import BATCH_BYTES, records

UNREADABLE = (OSError, ValueError, EOFError, zlib.error, csv.Error, pa.ArrowException)

MOST_ROWS = 16 * 1024
_MOST_NOTED = 1_000


@dataclass
class Reading:
    """One pass over the files: how far it is, and what could not be read (the first thousand by name).

    `rows` hold `documents`, `blank` texts, which are none, and nulls.
    """

    done_bytes: int = 0
    rows: int = 0
    documents: int = 0
    blank: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    refused_count: int = 0

    def refuse(self, name: str, reason: str) -> None:
        """Note a file or line that cannot be read."""
        self.refused_count += 1
        if len(self.refused) < _MOST_NOTED:
            self.refused.append((name, reason))

    def open(self, path: Path) -> IO[bytes]:
        """A file whose bytes are counted as they are read."""
        return io.BufferedReader(_Counted(path, self), 1024 * 1024)

    def open_unzipped(self, path: Path) -> IO[bytes]:
        """The same, without its compression."""
        file = self.open(path)
        if file.peek(2)[:2] != b"\x1f\x8b":  # type: ignore[attr-defined]
            return file
        unzipped = gzip.GzipFile(fileobj=file)
        unzipped.myfileobj = file  # type: ignore[assignment]  # closed with it
        return io.BufferedReader(unzipped)


class _Counted(io.FileIO):
    def __init__(self, path: Path, reading: Reading) -> None:
        super().__init__(str(path))
        self.reading = reading

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self.reading.done_bytes += count or 0
        return count


def name_in(root: Path, path: Path) -> str:
    """The name of a file, relative to the folder that was asked for; characters that are no Unicode shown as �."""
    name = path.name if path == root else path.relative_to(root).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Rows(Protocol):
    """What each format can do with one of its files; both raise one of UNREADABLE."""

    def schema(self, path: Path) -> pa.Schema:
        """The columns that the file has."""

    def batches(self, path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
        """The rows of the file; those that cannot be read are noted."""


class ParquetRows:
    """A Parquet file as it is."""

    def schema(self, path: Path) -> pa.Schema:
        return pq.read_schema(path).remove_metadata()

    def batches(self, path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            share = path.stat().st_size / max(1, file.metadata.num_rows)
            for group in range(file.num_row_groups):
                about = file.metadata.row_group(group)
                rows = about.num_rows * BATCH_BYTES // max(1, about.total_byte_size)
                for batch in file.iter_batches(max(1, min(rows, MOST_ROWS)), row_groups=[group]):
                    reading.done_bytes += int(batch.num_rows * share)
                    yield batch


class DeltaRows:
    """The latest version of a Delta table."""

    def schema(self, path: Path) -> pa.Schema:
        return self._dataset(path).schema.remove_metadata()

    def batches(self, path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
        # Without reading ahead: several row groups of long documents would fill the memory.
        options = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
        dataset = self._dataset(path)
        for fragment in dataset.get_fragments():
            size = fragment.filesystem.get_file_info(fragment.path).size
            share = size / max(1, fragment.metadata.num_rows)
            groups = [fragment.metadata.row_group(group) for group in range(fragment.metadata.num_row_groups)]
            widest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1)
            rows = int(max(1, min(BATCH_BYTES / max(1, widest), MOST_ROWS)))
            for batch in fragment.to_batches(schema=dataset.schema, batch_size=rows, **options):
                reading.done_bytes += int(batch.num_rows * share)
                yield batch

    def _dataset(self, path: Path) -> Any:
        from deltalake import DeltaTable

        return DeltaTable(path).to_pyarrow_dataset()


@dataclass
class DocumentFiles:
    """An XML file as one document, or as its records."""

    root: Path
    column: str
    row_tag: str | None
    max_bytes: int

    def schema(self, path: Path) -> pa.Schema:
        origin = [("_file", pa.string())]
        place = [] if self.row_tag is None else [("_ordinal", pa.int64()), ("_offset", pa.int64())]
        return pa.schema([*origin, *place, (self.column, pa.binary())])

    def batches(self, path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
        name = name_in(self.root, path)
        with reading.open(path) as file:
            if self.row_tag is None:
                # One byte more than allowed: `parse` then says that the document is too long.
                yield pa.RecordBatch.from_arrays([[name], [file.read(self.max_bytes + 1)]], schema=self.schema(path))
                return
            count = 0
            for batch in records(file, self.row_tag, max_bytes=self.max_bytes):
                names = pa.array([name]).take(pa.array([0] * batch.num_rows))
                columns = [names, batch.column("_ordinal"), batch.column("_offset"), batch.column("document")]
                yield pa.RecordBatch.from_arrays(columns, schema=self.schema(path))
                count += batch.num_rows
        if not count:
            reading.refuse(name, f"it has no element <{self.row_tag}>")
