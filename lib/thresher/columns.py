"""The columns of rows that go into a dataset: named so that all can tell them apart, of the dataset's types, unique."""

from collections.abc import Sequence

import pyarrow as pa

from thresher.errors import DuplicateKeys, InvalidName, MissingColumns, SchemaMismatch
from thresher.frame import Frame
from thresher.types import canonical_schema, ddl, has_void, quoted


def require_columns(frame: Frame, columns: Sequence[str], what: str) -> None:
    """Raise MissingColumns unless the frame has all of them."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise MissingColumns(f"{what}: missing columns {missing}; found {frame.columns}")


def require_unique(frame: Frame, keys: Sequence[str], what: str) -> None:
    """Raise DuplicateKeys, naming the first of them, unless the keys are unique (null equals null)."""
    columns = ", ".join(quoted(key) for key in keys)
    twice = frame.engine.sql(
        f"select {columns}, count(*) as copies from rows group by {columns} having count(*) > 1", {"rows": frame}
    )
    first = twice.head(3).to_arrow().to_pylist()
    if first:
        raise DuplicateKeys(
            f"{what}: key {list(keys)} is not unique: {twice.count()} keys stand in several rows, "
            f"among them {first}. Deduplicate the rows first, or choose a key that identifies a row."
        )


def check_storable(schema: pa.Schema, what: str) -> None:
    """Raise unless a table can hold these columns: SchemaMismatch for a type, InvalidName for a name."""
    seen: dict[str, str] = {}
    for column, kind in zip(schema.names, canonical_schema(schema).types, strict=True):
        if has_void(kind):
            raise SchemaMismatch(
                f"{what}: column {column!r} is NULL without a type ({ddl(kind)}), which no table can hold. "
                "Write cast(NULL as type) in the query."
            )
        if not column or column.lower() in seen:
            raise InvalidName(
                f"{what}: column {column!r} "
                + (f"has the name of {seen[column.lower()]!r}, case aside" if column else "has no name")
                + "; neither SQL nor Spark could tell them apart. Rename it."
            )
        seen[column.lower()] = column


def fitted(frame: Frame, target: pa.Schema, what: str, *, is_evolving: bool) -> Frame:
    """The frame with the target's columns in its order, widened where that loses nothing.

    With `is_evolving`, missing columns are null and new ones come last; else they raise SchemaMismatch, as does a
    column whose values may not fit.
    """
    new = [column for column in frame.columns if column not in target.names]
    missing = [column for column in target.names if column not in frame.columns]
    if (new or missing) and not is_evolving:
        found = [f"new columns {new}"] * bool(new) + [f"no columns {missing}"] * bool(missing)
        raise SchemaMismatch(
            f"{what}: the rows have {' and '.join(found)}; the dataset has {target.names}. Give the missing columns, "
            f"or write with schema='evolve' (or schema='replace' with an overwrite)."
        )
    if frame.schema == target:
        return frame
    parts = [_cast(frame, field, what) for field in target] + [quoted(column) for column in new]
    return frame.engine.sql(f"select {', '.join(parts)} from rows", {"rows": frame})


def _cast(frame: Frame, field: pa.Field, what: str) -> str:
    """A column of the target, in the select list over the frame's rows."""
    column = quoted(field.name)
    if field.name not in frame.columns:
        return f"cast(null as {ddl(field.type)}) as {column}"
    found = frame.schema.field(field.name).type
    if found == field.type:
        return column
    if _is_wider(field.type, found):
        return f"cast({column} as {ddl(field.type)}) as {column}"
    raise SchemaMismatch(
        f"{what}: column {field.name} is {ddl(found)} in the rows, {ddl(field.type)} in the dataset. "
        f"Cast it in the query, or overwrite with schema='replace'."
    )


def _is_wider(target: pa.DataType, found: pa.DataType) -> bool:
    """Whether every value of `found` has an equal value in `target`."""
    integers = [pa.int8(), pa.int16(), pa.int32(), pa.int64()]
    if found in integers and target in integers:
        return integers.index(found) <= integers.index(target)
    if pa.types.is_decimal(found) and pa.types.is_decimal(target):
        whole = found.precision - found.scale <= target.precision - target.scale
        return bool(whole and found.scale <= target.scale)
    return bool(found == pa.float32() and target == pa.float64())
