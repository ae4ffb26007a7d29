"""A table of a database, or a query, as if it were one file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from thresher import databases
from thresher.ingest import changes, rescue
from thresher.ingest.columns import Survey
from thresher.landing import LandingFile
from thresher.quarantine import as_json

_ROWS = 10_000


@dataclass(frozen=True)
class DatabaseOptions:
    """`table`: a table (`schema.table`) or a SELECT query."""

    table: str = ""


@dataclass(frozen=True)
class Database:
    """One row per row of the table or query; see `Format`.

    With `after` ({column: value}) only the rows whose column is greater, or at least that where the read is
    `inclusive`. A row that is read later replaces one that is alike in the order. A row with a value that no shared
    type holds (a date of infinity, 0000-00-00) is refused.
    """

    url: str
    table: str
    after: Mapping[str, Any]
    inclusive: bool

    def survey(self, path: Path) -> Survey:
        with databases.opened(self.url) as source:
            schema = source.schema(self.table)
        return Survey(dict(zip(schema.names, schema.types, strict=True)))

    def read(
        self, file: LandingFile, columns: pa.Schema, *, key: Sequence[str] = (), rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        impossible: dict[int, databases.Impossible] = {}

        def note(found: databases.Impossible) -> None:
            impossible.setdefault(found.row, found)

        first, read_at = 1, datetime.now(UTC).isoformat(timespec="microseconds")
        with databases.opened(self.url) as source:
            arriving = source.batches(
                self.table, after=self.after or None, inclusive=self.inclusive, rows=_ROWS, on_impossible=note
            )
            for batch in arriving:
                data, rescued = rescue.fitted(batch, columns, rescues=rescues)
                rows = range(first, first + len(batch))
                told = {"_file": pa.repeat(file.name, len(batch)), "_row": pa.array(rows, pa.int64())}
                told |= {"_rescued": rescued, "_sequence": pa.repeat(read_at, len(batch))}
                told |= _refusals([impossible.pop(row, None) for row in rows])
                yield changes.batch(columns, data, told)
                first += len(batch)


def _refusals(found: Sequence[databases.Impossible | None]) -> dict[str, pa.Array]:
    if not any(found):
        return {}
    reasons = [each and f"column {each.column} is {each.value}, which no column can hold" for each in found]
    return {
        "_rule": pa.array([each and "impossible value" for each in found], pa.string()),
        "_reason": pa.array(reasons, pa.string()),
        "_content": pa.array([each and as_json(each.record) for each in found], pa.binary()),
    }
