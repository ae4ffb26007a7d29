"""How columns are read: the SQL that asks for them, and what arrives, cast to the shared types."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from thresher.errors import DataError
from thresher.types import ddl


@dataclass(frozen=True)
class Column:
    """A column of a table or query: its shared type, and the SQL that reads it.

    `impossible` is an SQL condition on values that the type cannot hold; `shown` gives such a value as text.
    """

    name: str
    type: pa.DataType
    value: str
    impossible: str | None = None
    shown: str = ""


@dataclass(frozen=True)
class Impossible:
    """A value that its column's shared type cannot hold, as the database prints it; `row` counts from 1 in the read."""

    column: str
    row: int
    value: str
    record: Mapping[str, Any]
    """The other values of the row."""


def selected(columns: Sequence[Column]) -> Iterator[str]:
    """Values as v0, v1, …, and beside what may be impossible the text i0, i1, …, null where all is well."""
    for number, column in enumerate(columns):
        if column.impossible is None:
            yield f"{column.value} as v{number}"
        else:
            yield f"case when {column.impossible} then null else {column.value} end as v{number}"
            yield f"case when {column.impossible} then {column.shown} end as i{number}"


def arrived(
    batches: Iterator[pa.RecordBatch],
    columns: Sequence[Column],
    relation: str,
    rows: int,
    on_impossible: Callable[[Impossible], None] | None,
) -> Iterator[pa.RecordBatch]:
    """Batches as the driver gives them → batches in the shared types."""
    schema = pa.schema([pa.field(each.name, each.type) for each in columns])
    before = 0
    for batch in batches:
        values = [
            _cast(_storage(batch.column(f"v{number}")), column, before, relation)
            for number, column in enumerate(columns)
        ]
        whole = pa.RecordBatch.from_arrays(values, schema=schema)
        for number, column in enumerate(columns):
            if column.impossible is not None:
                _report(batch.column(f"i{number}"), column, whole, before, relation, on_impossible)
        before += batch.num_rows
        for start in range(0, whole.num_rows, rows):
            yield whole.slice(start, rows)


def _storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _cast(array: pa.Array, column: Column, before: int, relation: str) -> pa.Array:
    try:
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            array.validate(full=True)  # drivers take text for UTF-8 without a look
        return _as(array, column.type)
    except pa.ArrowException as error:
        row = next(n for n in range(len(array)) if not _fits(array.slice(n, 1), column.type))
        raise DataError(
            f"{relation}: column {column.name}, row {before + row + 1}: {_shown(array, row)} cannot be read as "
            f"{ddl(column.type)} ({error}). Read a query that leaves it out or turns it into text."
        ) from None


def _as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_binary(array.type) and not pa.types.is_binary(kind):
        array = array.cast(pa.string())  # text whose bytes nobody has looked at
    return array.cast(kind)


def _fits(array: pa.Array, kind: pa.DataType) -> bool:
    try:
        array.validate(full=True)
        _as(array, kind)
    except pa.ArrowException:
        return False
    return True


def _shown(array: pa.Array, row: int) -> str:
    value = array.slice(row, 1)
    return repr((value.cast(pa.binary()) if pa.types.is_string(array.type) else value).to_pylist()[0])


def _report(
    texts: pa.Array,
    column: Column,
    rows: pa.RecordBatch,
    before: int,
    relation: str,
    on_impossible: Callable[[Impossible], None] | None,
) -> None:
    for number in texts.is_valid().to_numpy(zero_copy_only=False).nonzero()[0].tolist():
        record = rows.slice(number, 1).to_pylist()[0]
        text = texts[number].as_py()
        value = text.decode(errors="backslashreplace") if isinstance(text, bytes) else text
        found = Impossible(column.name, before + number + 1, value, record)
        if on_impossible is None:
            first = rows.schema.names[0]
            raise DataError(
                f"{relation}: column {found.column}, row {found.row} ({first} {record[first]!r}): {found.value!r} is "
                f"no value of {ddl(column.type)}. Read a query that leaves it out, replaces it or turns it into text."
            )
        on_impossible(found)
