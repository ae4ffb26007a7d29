"""Documents → values by the quickest way that gives the right ones: compiled loops, and the reference for the rest."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from thresher.xml.arrays import Effort, Part
from thresher.xml.options import Options
from thresher.xml.reference import Reference, Remarks, Row
from thresher.xml.schema import KEPT, Schema
from thresher.xml.second_look import plain_texts
from thresher.xml.validation import violation

if TYPE_CHECKING:
    from thresher.xml.shredding.shredder import Shred, Shredder

# Python objects exist for this many documents at a time.
CHUNK = 1_000
MANY = 16  # slices of fewer rows are many


@dataclass(frozen=True)
class Stretch:
    """Consecutive documents: the first's row, their values, and by row (from the first) what there is to say."""

    first: int
    values: list[pa.StructArray]
    remarks: dict[int, Remarks]


class Reader:
    """Reads documents by a schema; made once, used for any number of columns."""

    def __init__(self, schema: Schema, options: Options) -> None:
        self.schema = schema
        self.reference = Reference(schema, options)
        self.options = self.reference.options
        self.effort = Effort()

    def stretches(self, part: Part, threads: int | None = None) -> Iterator[Stretch]:
        """The documents of a part, in order, by so many threads (default: one for each processor at hand)."""
        shredder = self.shredder if self.effort.pays(part) and isinstance(part.documents, pa.Array) else None
        if shredder is None:
            for first in range(0, len(part), CHUNK):
                yield self._referred(part, first, min(first + CHUNK, len(part)))
            return
        assert isinstance(part.documents, pa.Array)
        threads = threads or len(os.sched_getaffinity(0))
        for shred in shredder.read(part.documents, is_text=part.is_text, threads=threads):
            yield self._completed(shredder, part, shred)

    def _completed(self, shredder: "Shredder", part: Part, shred: "Shred") -> Stretch:
        """The values of a stretch with those that the loops left: by a second look, and by the reference."""
        invalid = self._invalid(part, shred)
        without_value = {row for row in shred.left.tolist() if row in shred.remarks}.difference(invalid)
        left = sorted({*shred.left.tolist(), *invalid} - without_value)
        # What an XSD refuses must not be read all the same.
        looked_at = [] if self.options.xsd else [shred.first + row for row in left]
        texts, found = plain_texts(part, looked_at, self.options)
        pieces = _Pieces(shred.values)
        done: set[int] = set()
        remarks = dict(shred.remarks)
        for again in shredder.read(texts.documents, is_text=True, threads=1) if found else []:
            skipped = set(again.left.tolist())
            read = [at for at in range(len(again.values)) if at not in skipped]
            rows = [found[again.first + at] - shred.first for at in read]
            pieces.replace(rows, again.values, read)
            done.update(rows)
            remarks |= {found[again.first + at] - shred.first: said for at, said in again.remarks.items()}
        referred = {row: self.reference.row(*part.at(shred.first + row)) for row in left if row not in done}
        values = pa.array([row.value for row in referred.values()], self.schema.arrow_type)
        pieces.replace(list(referred), values, list(range(len(values))))
        nothing = pa.nulls(len(without_value), self.schema.arrow_type)
        pieces.replace(list(without_value), nothing, list(range(len(nothing))))
        return Stretch(shred.first, pieces.values(), remarks | _remarks(referred))

    def _invalid(self, part: Part, shred: "Shred") -> list[int]:
        """The rows that an XSD refuses."""
        if not self.options.xsd:
            return []
        rows = ((row, part.at(shred.first + row)[0]) for row in range(len(shred.values)))
        return [row for row, found in rows if isinstance(found, bytes) and violation(found, self.options.xsd)]

    @cached_property
    def shredder(self) -> "Shredder | None":
        """The compiled loops for this schema, where they can read it."""
        from thresher.xml.shredding.plan import Plan
        from thresher.xml.shredding.shredder import Shredder

        plan = Plan.of(self.schema, self.options)
        return Shredder(plan) if plan else None

    def _referred(self, part: Part, first: int, after: int) -> Stretch:
        rows = {row - first: self.reference.row(*part.at(row)) for row in range(first, after)}
        values = pa.array([row.value for row in rows.values()], self.schema.arrow_type)
        return Stretch(first, [values], _remarks(rows))


def reader_of(schema: Schema, options: Options) -> Reader:
    """The reader of a schema and options; kept with the schema, where a copy for another process leaves it behind."""
    kept: dict[Options, Reader] = schema.__dict__.setdefault(KEPT, {})
    if options not in kept:
        kept[options] = Reader(schema, options)
    return kept[options]


def _remarks(rows: dict[int, Row]) -> dict[int, Remarks]:
    return {at: Remarks(row.errors, row.rescued) for at, row in rows.items() if row.errors or row.rescued is not None}


class _Pieces:
    """The values of consecutive rows, some of them replaced by those of other arrays."""

    def __init__(self, values: pa.StructArray) -> None:
        self.arrays = [values]
        self.array_of = np.zeros(len(values), np.int64)  # by row: which array, and where in it
        self.place_of = np.arange(len(values))

    def replace(self, rows: list[int], values: pa.StructArray, places: list[int]) -> None:
        """Let rows have the values at some places of an array."""
        self.array_of[rows] = len(self.arrays)
        self.place_of[rows] = places
        self.arrays.append(values)

    def values(self) -> list[pa.StructArray]:
        """All rows: as slices where these are few, because copying wide values takes long."""
        is_next = (np.diff(self.array_of) == 0) & (np.diff(self.place_of) == 1)
        begins = np.flatnonzero(np.concatenate([[True], ~is_next])[: len(self.array_of)])
        if len(begins) * MANY <= len(self.array_of) or len(begins) == 1:
            lengths = np.diff(begins, append=len(self.array_of))
            return [
                self.arrays[self.array_of[row]].slice(self.place_of[row], length)
                for row, length in zip(begins, lengths, strict=True)
            ]
        firsts = np.cumsum([0, *map(len, self.arrays[:-1])])
        return [pa.concat_arrays(self.arrays).take(pa.array(firsts[self.array_of] + self.place_of))]
