"""Rows with a document in a column → rows with its value, and notes of what was refused; batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from thresher import quarantine, xml
from thresher.counts import Counts
from thresher.engines import BatchFunction
from thresher.frame import Frame
from thresher.types import canonical
from thresher.xml.discovery import ROWS_PER_CALL

# One row per error, in the columns of the quarantine; and per batch one row each for what is only counted.
NOTES = pa.schema([("what", pa.string()), ("rows", pa.int64()), *quarantine.SCHEMA])
READ, ACCEPTED, UNKNOWN, REFUSED, IN_PART, VALUE = "read", "accepted", "unknown", "refused", "in part", "value"


@dataclass(frozen=True)
class DocumentRows:
    """How the rows of a source are read: those with a document in `column`, identified by `key`, by a schema.

    Each method reads the rows anew, so that no more of them than a few batches are in memory at a time.
    """

    source: str
    column: str
    into: str
    key: tuple[str, ...]
    schema: xml.Schema
    options: xml.Options

    def good(self, rows: Frame) -> Frame:
        """The rows that are not refused: `column` as a struct named `into`, then `_key` and `_rescued`."""
        value = pa.field(self.into, canonical(self.schema.arrow_type))
        kept = [value if field.name == self.column else field for field in rows.schema]
        shape = pa.schema([*kept, ("_key", pa.string()), ("_rescued", pa.string())])
        return self._mapped(rows, self._good, shape)

    def noted(self, rows: Frame) -> Frame:
        """What there is to tell of the rows, in the columns of NOTES; see `counts_of` and `refused_of`."""
        return self._mapped(rows, self._notes, NOTES)

    def rescued(self, rows: Frame) -> Frame:
        """`_key` and `_rescued` of the rows that hold what the schema does not know."""
        return self._mapped(rows, self._rescued, pa.schema([("_key", pa.string()), ("_rescued", pa.string())]))

    def _mapped(self, rows: Frame, function: BatchFunction, shape: pa.Schema) -> Frame:
        return rows.engine.map_batches(rows, function, shape, rows_per_call=ROWS_PER_CALL)

    def _parsed(self, batch: pa.RecordBatch) -> xml.Parsed:
        # The engine has a thread for each processor already.
        return xml.parse(batch.column(self.column), self.schema, self.options, threads=1)

    def _keys(self, batch: pa.RecordBatch) -> pa.StringArray:
        return xml.row_keys([batch.column(name) for name in self.key])

    def _good(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            parsed = self._parsed(batch)
            columns = dict(zip(batch.schema.names, batch.columns, strict=True)) | {self.column: parsed.values}
            names = [self.into if name == self.column else name for name in columns]
            made = pa.RecordBatch.from_arrays(
                [*columns.values(), self._keys(batch), parsed.rescued], names=[*names, "_key", "_rescued"]
            )
            refused = _refused(parsed)
            yield made.filter(pa.array(~refused)) if refused.any() else made

    def _notes(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            parsed = self._parsed(batch)
            accepted = _is_valid(parsed.values)
            unknown = accepted & _is_valid(parsed.rescued)
            counted = [(READ, batch.num_rows), (ACCEPTED, int(accepted.sum())), (UNKNOWN, int(unknown.sum()))]
            notes = [{"what": what, "rows": rows} for what, rows in counted if rows]
            yield pa.RecordBatch.from_pylist([*notes, *self._errors(batch, parsed)], schema=NOTES)

    def _errors(self, batch: pa.RecordBatch, parsed: xml.Parsed) -> Iterator[dict[str, Any]]:
        if not parsed.errors.num_rows:
            return
        keys, documents, refused = self._keys(batch), batch.column(self.column), _refused(parsed)
        before = None
        for error in parsed.errors.to_pylist():
            row, snippet = error.pop("row"), error.pop("snippet")
            is_whole, is_first, before = not error["path"], row != before, row
            what = REFUSED if refused[row] and is_first else IN_PART if is_whole and not refused[row] else VALUE
            # A document without a value (mode dropmalformed) is kept once, whatever its errors are.
            content = (
                documents[row].as_buffer().to_pybytes() if is_whole or what == REFUSED else snippet and snippet.encode()
            )
            told = {"source": self.source, "key": keys[row].as_py(), "path": error.pop("path") or None}
            yield {"what": what, "rows": 1, **told, "content": content, **error}

    def _rescued(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rescued = self._parsed(batch).rescued
            made = pa.RecordBatch.from_arrays([self._keys(batch), rescued], names=["_key", "_rescued"])
            yield made.filter(rescued.is_valid())


def refused_of(noted: Frame) -> Frame:
    """The errors among the notes, in the columns of the quarantine."""
    columns = ", ".join(f"`{name}`" for name in quarantine.SCHEMA.names)
    return noted.engine.sql(f"select {columns} from noted where rule is not null", {"noted": noted})


def counts_of(noted: Frame, target: str, rows_in: int) -> tuple[Counts, int]:
    """The counts of the rows read, and how many have a value: a row without a document is good, and has none.

    Rows kept in part (salvaged) are good rows with an error of the whole.
    """
    found = noted.engine.sql(
        "select what, sum(`rows`) as `rows`, count(distinct `key`) as documents, count(path) as paths "
        "from noted group by what",
        {"noted": noted},
    )
    by_what = {row["what"]: row for row in found.to_arrow().to_pylist()}
    rows = {what: row["rows"] for what, row in by_what.items()}
    more = {
        "values refused": sum(row["paths"] for row in by_what.values()),
        "rows with unknown paths": rows.get(UNKNOWN, 0),
    }
    more |= {"rows kept in part": by_what[IN_PART]["documents"]} if IN_PART in by_what else {}
    refused = rows.get(REFUSED, 0)
    return Counts(target, rows_in, rows.get(READ, 0) - refused, refused, more=more), rows.get(ACCEPTED, 0)


def _refused(parsed: xml.Parsed) -> "np.ndarray[Any, Any]":
    """Which rows have an error and no value."""
    refused = np.zeros(len(parsed.values), bool)
    refused[parsed.errors.column("row").to_numpy()] = True
    return refused & ~_is_valid(parsed.values)


def _is_valid(values: pa.Array) -> "np.ndarray[Any, Any]":
    valid: np.ndarray[Any, Any] = values.is_valid().to_numpy(zero_copy_only=False)
    return valid
