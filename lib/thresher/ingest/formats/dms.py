"""What AWS DMS delivers: CSV or Parquet files of a full load, and of the changes after it with an operation each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from thresher.ingest.changes import INSERT
from thresher.ingest.columns import Survey
from thresher.ingest.formats import Format
from thresher.landing import LandingFile

OPERATION = "Op"


@dataclass(frozen=True)
class Dms:
    """The rows of another format, with the column `Op` as what they do; see `Format`."""

    inner: Format

    def survey(self, path: Path) -> Survey:
        found = self.inner.survey(path)
        columns = {name: kind for name, kind in found.columns.items() if name != OPERATION}
        return replace(found, columns=columns, has_changes=True)

    def read(self, file: LandingFile, columns: pa.Schema, *, rescues: bool) -> Iterator[pa.RecordBatch]:
        wanted = pa.schema([*columns, pa.field(OPERATION, pa.string())])
        for batch in self.inner.read(file, wanted, rescues=rescues):
            rest = batch.drop_columns([OPERATION])
            at = rest.schema.get_field_index("_op")
            # A row of a full load has no operation.
            operations = pc.fill_null(batch.column(OPERATION), INSERT)
            yield rest.set_column(at, rest.schema.field(at), operations)
