"""JSON as services push it: an object a line, an array of objects, or indented objects one after the other.

Arrow's reader is fast, but ends the process on some broken texts, and changes long numbers: it gets blocks of lines of
which `json_loops.hardness` has shown that they are plain. All else is read with care, value by value.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json as pj

from thresher.ingest import changes
from thresher.ingest.columns import Survey
from thresher.ingest.formats.json_kinds import Shape
from thresher.ingest.formats.json_messages import Change, Messages, Seen, Told, wrong
from thresher.ingest.formats.json_texts import Block, blocks, is_lines
from thresher.landing import LandingFile
from thresher.threads import in_order

_FAST = (pa.bool_(), pa.int64(), pa.float64(), pa.string())


def told(value: Any) -> Iterable[Told]:
    """The row of one object.

    >>> [change.values for change in told({"id": 7})]
    [{'id': 7}]
    """
    return [Change(value)] if isinstance(value, dict) else [wrong(value, "a JSON object")]


@dataclass(frozen=True)
class JsonLines:
    """One row per object; see `Format`."""

    def survey(self, path: Path) -> Survey:
        if not is_lines(path):
            return _CAREFUL.survey(path)
        seen = Seen()
        for block, found in in_order(lambda block: [(block, _table(block, None))], blocks(path)):
            if found is None:
                _CAREFUL.see(block.texts(), seen)
                continue
            seen.is_any = seen.is_any or len(found) > 0
            for name, values in zip(found.column_names, found.columns, strict=True):
                seen.shapes.setdefault(name, Shape()).add_array(values.chunk(0))
        return seen.survey(has_changes=False)

    def read(
        self, file: LandingFile, columns: pa.Schema, *, key: Sequence[str] = (), rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        if not is_lines(file.path):
            yield from _CAREFUL.read(file, columns, rescues=rescues)
            return
        is_fast = all(_is_fast(kind) for kind in columns.types)

        def rows(block: Block) -> Iterable[pa.RecordBatch]:
            found = _table(block, columns) if is_fast else None
            if found is None:
                return _CAREFUL.rows(block.texts(), file.name, columns, key=key, rescues=rescues)
            if not len(found):
                return []
            numbers = pa.array(range(block.rows + 1, block.rows + len(found) + 1), pa.int64())
            told = {"_file": pa.repeat(file.name, len(found)), "_row": numbers}
            return [changes.batch(columns, [each.chunk(0) for each in found.columns], told)]

        yield from in_order(rows, blocks(file.path))


_CAREFUL = Messages(told, has_changes=False)


def _table(block: Block, columns: pa.Schema | None) -> pa.Table | None:
    """A block as Arrow reads it, with these columns or those that it finds; None where it might not be as written."""
    from thresher.ingest.formats.json_loops import HARD, LONG_NUMBERS, hardness  # loading numba takes a moment

    hard = HARD if block.is_cut or not _is_utf8(block.content) else hardness(block.content)
    if hard == HARD:
        return None
    if not block.content.strip():
        return pa.table({})
    try:
        found = pj.read_json(
            io.BytesIO(block.content),
            pj.ReadOptions(use_threads=False, block_size=len(block.content) + 1),
            pj.ParseOptions(explicit_schema=columns),
        )
    except pa.ArrowException:
        return None
    if hard == LONG_NUMBERS and any(_has_double(kind) for kind in found.schema.types):
        return None
    return found if columns is None or found.schema.equals(columns) else None


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_fast(kind: pa.DataType) -> bool:
    return kind in _FAST or (kind.num_fields > 0 and all(_is_fast(each.type) for each in _inner(kind)))


def _has_double(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or any(_has_double(each.type) for each in _inner(kind))


def _inner(kind: pa.DataType) -> list[pa.Field]:
    return [kind.field(number) for number in range(kind.num_fields)]
