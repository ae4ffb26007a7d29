"""Parquet files: rows with types of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.errors import SchemaMismatch
from thresher.ingest import changes, rescue
from thresher.ingest.columns import Survey
from thresher.landing import LandingFile
from thresher.types import canonical_schema

_ROWS = 10_000
_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Parquet:
    """One row per row of the file; see `Format`."""

    def survey(self, path: Path) -> Survey:
        schema = canonical_schema(pq.read_schema(path))
        lower = [name.lower() for name in schema.names]
        for name in schema.names:
            if lower.count(name.lower()) > 1:
                raise SchemaMismatch(f"column {name} stands twice ({schema.names}); names differ in more than case")
        # A page may be damaged where the footer is not: a file is loaded as a whole or not at all.
        for _ in pq.ParquetFile(path).iter_batches(_ROWS):
            pass
        return Survey(dict(zip(schema.names, schema.types, strict=True)))

    def read(
        self, file: LandingFile, columns: pa.Schema, *, key: Sequence[str] = (), rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        first = 1
        with pq.ParquetFile(file.path) as opened:
            shared = canonical_schema(opened.schema_arrow)
            for batch in opened.iter_batches(_ROWS):
                found = pa.RecordBatch.from_arrays(
                    [column.cast(kind) for column, kind in zip(batch.columns, shared.types, strict=True)],
                    names=shared.names,
                )
                data, rescued = rescue.fitted(found, columns, rescues=rescues)
                told = {"_file": pa.repeat(file.name, len(batch)), "_rescued": rescued}
                told["_row"] = pa.array(range(first, first + len(batch)), pa.int64())
                yield changes.batch(columns, data, told)
                first += len(batch)


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
