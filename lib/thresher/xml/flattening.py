"""A column of documents in a frame → a column of values, on either engine, streamed."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from thresher.errors import SchemaMismatch, UsageError
from thresher.frame import Frame
from thresher.types import canonical
from thresher.xml.discovery import ROWS_PER_CALL, require_documents
from thresher.xml.options import Options
from thresher.xml.parsing import ERROR, parse
from thresher.xml.schema import Schema

RESCUED, PROBLEMS = "_rescued", "_errors"


def flatten(frame: Frame, column: str, schema: Schema, options: Options | None = None) -> Frame:
    """Parse a column of a frame: rows → as many rows, the column a struct in the same place under the same name.

    Two columns come last: `_rescued` (string: JSON of what the schema did not know) and `_errors` (array of struct
    path, line, column, rule, reason, snippet), both null where there is nothing. The batches are parsed where the
    engine runs. Raises MissingColumns, SchemaMismatch for a schema without fields, UsageError for a column that holds
    no documents and for a frame that has a `_rescued` or `_errors` already.
    """
    require_documents(frame, column)
    shape = flat_schema(frame.schema, column, schema)
    # The engine has a thread for each processor already.
    function = partial(flatten_batches, column=column, schema=schema, options=options, shape=shape, threads=1)
    return frame.engine.map_batches(frame, function, shape, rows_per_call=ROWS_PER_CALL)


def flat_schema(rows: pa.Schema, column: str, schema: Schema) -> pa.Schema:
    """The columns of rows after flattening one of them. Raises SchemaMismatch and UsageError as `flatten` does."""
    taken = [name for name in (RESCUED, PROBLEMS) if name in rows.names]
    if taken:
        raise UsageError(f"the frame already has {', '.join(taken)}; rename or drop them before flattening {column!r}")
    if not schema.arrow_type.num_fields:
        raise SchemaMismatch(
            f"column {column!r}: the schema has no fields ({schema.documents} documents accepted); "
            f"a column must have some. Declare the fields that documents will have: Schema.declare('id int, …')."
        )
    fields = [pa.field(field.name, canonical(schema.arrow_type)) if field.name == column else field for field in rows]
    return pa.schema([*fields, (RESCUED, pa.string()), (PROBLEMS, pa.list_(pa.field("element", ERROR)))])


def flatten_batches(
    batches: Iterable[pa.RecordBatch],
    *,
    column: str,
    schema: Schema,
    options: Options | None = None,
    shape: pa.Schema | None = None,
    threads: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """`flatten` for a stream of batches, such as `Source.batches()`; `shape` is what `flat_schema` gave, if at hand."""
    for batch in batches:
        shape = shape or flat_schema(batch.schema, column, schema)
        parsed = parse(batch.column(column), schema, options, threads=threads)
        columns = [
            parsed.values if name == column else values
            for name, values in zip(batch.schema.names, batch.columns, strict=True)
        ]
        problems = _by_row(parsed.errors, batch.num_rows)
        yield pa.RecordBatch.from_arrays([*columns, parsed.rescued, problems], schema=shape)


def _by_row(errors: pa.Table, rows: int) -> pa.ListArray:
    """The errors of each row as a list, null where it has none."""
    counts = np.bincount(errors.column("row").to_numpy(), minlength=rows)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    structs = errors.select([field.name for field in ERROR]).to_struct_array().combine_chunks()
    kind = pa.list_(pa.field("element", ERROR))
    return pa.ListArray.from_arrays(pa.array(offsets), structs, type=kind, mask=pa.array(counts == 0))
