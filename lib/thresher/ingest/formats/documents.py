"""Documents: each file is one row, with its bytes as they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from thresher.ingest import changes
from thresher.ingest.columns import Survey
from thresher.landing import LandingFile


@dataclass(frozen=True)
class Documents:
    """One row per file, with the column `content`; see `Format`."""

    def survey(self, path: Path) -> Survey:
        with path.open("rb") as file:
            if not file.read(1):
                raise ValueError("the file is empty; expected a document")
        return Survey({"content": pa.binary()})

    def read(
        self, file: LandingFile, columns: pa.Schema, *, key: Sequence[str] = (), rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        known = {"content": pa.array([file.path.read_bytes()], pa.binary())}
        data = [known.get(each.name, pa.nulls(1, each.type)) for each in columns]
        told = {"_file": pa.array([file.name]), "_row": pa.array([1], pa.int64())}
        yield changes.batch(columns, data, told)
