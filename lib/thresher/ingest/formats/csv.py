"""CSV and its like: one row per record, in types that all values of a column fit."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.ingest import changes, rescue, texts
from thresher.ingest.columns import Survey
from thresher.ingest.formats.sheets import Dialect, Part, Refused
from thresher.landing import LandingFile
from thresher.xml.ddl import table_schema
from thresher.xml.votes import Votes

_TYPED = re.compile(
    r"(?P<name>`.+`|\S+)\s+(?P<type>boolean|tinyint|smallint|int|bigint|float|double|string|date|timestamp(?:_ntz)?"
    r"|decimal\(\d+,\s*\d+\))",
    re.I,
)


@dataclass(frozen=True)
class Csv:
    """One row per record; see `Format`. `names` are for files without a header, `declared` the types of columns."""

    dialect: Dialect = field(default_factory=Dialect)
    names: tuple[str, ...] = ()
    declared: Mapping[str, pa.DataType] = field(default_factory=dict)

    def survey(self, path: Path) -> Survey:
        with self.dialect.opened(path, self.names) as sheet:
            undeclared = [name for name in sheet.names if name not in self.declared]
            found = {name: Votes() for name in undeclared}
            first: Refused | None = None
            rows = 0
            for part in sheet.each(lambda part: [_seen(part, sheet.names, undeclared)]):
                rows += part.rows
                first = first or part.first
                found = {name: votes.merge(part.votes[name]) for name, votes in found.items()}
        if first and not rows:
            raise ValueError(f"none of its records can be read; of the first, on line {first.line}: {first.reason}")
        return Survey({name: found[name] if name in found else self.declared[name] for name in sheet.names})

    def read(
        self, file: LandingFile, columns: pa.Schema, *, key: Sequence[str] = (), rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        with self.dialect.opened(file.path, self.names) as sheet:
            yield from sheet.each(lambda part: self._batches(file, columns, sheet.names, part, rescues=rescues))

    def _batches(
        self, file: LandingFile, columns: pa.Schema, names: Sequence[str], part: Part, *, rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        there = {name.lower(): number for number, name in enumerate(names)}
        data: list[pa.Array] = []
        misfits: dict[int, Mapping[int, str]] = {}
        for each in columns:
            number = there.get(each.name.lower())
            if number is None:
                data.append(pa.nulls(len(part.rows), each.type))
                continue
            is_declared = names[number] in self.declared
            values, misfits[number] = texts.typed(part.columns[number], each.type, is_declared=is_declared)
            data.append(values)
        told = {"_file": pa.repeat(file.name, len(part.rows)), "_row": pa.array(part.rows, pa.int64())}
        wrong: dict[int, str] = {}
        if rescues:
            told["_rescued"] = _rescued(names, part, misfits)
        else:
            for number, reasons in reversed(misfits.items()):
                wrong |= {row: f"column {names[number]}: {reason}" for row, reason in reasons.items()}
        batch = changes.batch(columns, data, told)
        yield batch.filter(pa.array(~np.isin(np.arange(len(batch)), list(wrong)))) if wrong else batch
        refused = [*part.refused, *(part.refusal(row, "wrong type", why) for row, why in sorted(wrong.items()))]
        if refused:
            yield changes.refusal(columns, [self._told(each, file) for each in refused])

    def _told(self, refused: Refused, file: LandingFile) -> dict[str, Any]:
        return {
            "_file": file.name,
            "_row": refused.row,
            "_rule": refused.rule,
            "_reason": refused.reason,
            "_line": refused.line,
            "_content": self.dialect.as_written(refused.content),
        }


def open_csv(columns: Sequence[str], dialect: Dialect) -> Csv:
    """The format with the names of its columns, each of which may carry a type.

    >>> opened = open_csv(["id bigint", "name", "`order date`"], Dialect())
    >>> opened.names, list(opened.declared)
    (('id', 'name', 'order date'), ['id'])
    """
    typed = [_TYPED.fullmatch(each.strip()) for each in columns]
    names = [(found["name"] if found else each).strip() for found, each in zip(typed, columns, strict=True)]
    names = [name[1:-1] if name.startswith("`") and name.endswith("`") else name for name in names]
    declared = {
        name: table_schema(f"c {found['type']}").field(0).type
        for name, found in zip(names, typed, strict=True)
        if found
    }
    return Csv(dialect, tuple(names), declared)


class _Seen(NamedTuple):
    """What some records speak for: how many are rows, the first refused one, and the votes by column."""

    rows: int
    first: Refused | None
    votes: Mapping[str, Votes]


def _seen(part: Part, names: Sequence[str], undeclared: Sequence[str]) -> _Seen:
    votes = {name: texts.votes(part.columns[names.index(name)]) for name in undeclared}
    return _Seen(len(part.rows), next(iter(part.refused), None), votes)


def _rescued(names: Sequence[str], part: Part, misfits: Mapping[int, Mapping[int, str]]) -> pa.Array | None:
    """Per row the JSON of the columns that have no place, and of the values that are none of their column's type."""
    kept = {number: column for number, column in enumerate(part.columns) if number not in misfits}
    for number, reasons in misfits.items():
        if reasons:
            rows = pa.array(np.isin(np.arange(len(part.rows)), list(reasons)))
            kept[number] = pc.if_else(rows, part.columns[number], None)
    if not kept:
        return None
    found = pa.RecordBatch.from_arrays(list(kept.values()), names=[names[number] for number in kept])
    return rescue.rest_of(found, range(len(kept)))
