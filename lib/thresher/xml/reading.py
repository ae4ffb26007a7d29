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
from thresher.xml.reference import Reference, Row
from thresher.xml.schema import KEPT, Schema
from thresher.xml.second_look import plain_texts
from thresher.xml.validation import violation

if TYPE_CHECKING:
    from thresher.xml.shredding.shredder import Shred, Shredder

# Python objects exist for this many documents at a time.
CHUNK = 1_000
MANY = 16  # one of so many values replaced is many


@dataclass(frozen=True)
class Stretch:
    """Consecutive documents: the first's row, their values, and by row (from the first) what the reference said."""

    first: int
    values: list[pa.StructArray]
    rows: dict[int, Row]


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
        left = {*shred.left.tolist(), *self._invalid(part, shred)}
        # What an XSD refuses must not be read all the same.
        looked_at = [] if self.options.xsd else [shred.first + row for row in left]
        texts, found = plain_texts(part, looked_at, self.options)
        others: dict[int, pa.StructArray] = {}
        for again in shredder.read(texts.documents, is_text=True, threads=1) if found else []:
            skipped = set(again.left.tolist())
            for at in range(len(again.values)):
                if at not in skipped:
                    others[found[again.first + at] - shred.first] = again.values.slice(at, 1)
        rows = {row: self.reference.row(*part.at(shred.first + row)) for row in sorted(left - others.keys())}
        referred = pa.array([row.value for row in rows.values()], self.schema.arrow_type)
        others |= {row: referred.slice(at, 1) for at, row in enumerate(rows)}
        return Stretch(shred.first, _with_others(shred.values, others), rows)

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
        return Stretch(first, [pa.array([row.value for row in rows.values()], self.schema.arrow_type)], rows)


def reader_of(schema: Schema, options: Options) -> Reader:
    """The reader of a schema and options; kept with the schema, where a copy for another process leaves it behind."""
    kept: dict[Options, Reader] = schema.__dict__.setdefault(KEPT, {})
    if options not in kept:
        kept[options] = Reader(schema, options)
    return kept[options]


def _with_others(values: pa.StructArray, others: dict[int, pa.StructArray]) -> list[pa.StructArray]:
    """The values, some of them replaced: as pieces where these are few, because copying wide values takes long."""
    if len(others) * MANY > len(values):
        places = np.arange(len(values))
        places[list(others)] = len(values) + np.arange(len(others))
        return [pa.concat_arrays([values, *others.values()]).take(pa.array(places))]
    pieces, done = [], 0
    for row in sorted(others):
        pieces += [values.slice(done, row - done), others[row]]
        done = row + 1
    return [*pieces, values.slice(done)]
