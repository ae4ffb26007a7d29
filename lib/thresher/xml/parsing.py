"""From documents to values: one struct per document, what was wrong with it, and what the schema did not know."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from thresher.errors import DataError
from thresher.xml.arrays import Documents, parts
from thresher.xml.options import Options
from thresher.xml.reading import reader_of
from thresher.xml.schema import Schema

ERROR = pa.struct(
    [
        ("path", pa.string()),
        ("line", pa.int64()),
        ("column", pa.int64()),
        ("rule", pa.string()),
        ("reason", pa.string()),
        ("snippet", pa.string()),
    ]
)
ERRORS = pa.schema([("row", pa.int64()), *ERROR])


@dataclass(frozen=True)
class Parsed:
    """What `parse` gives: three views on the same documents.

    `values`: StructArray, one per document, null where there is none or it was refused. `errors`: one row per error
    (row, path, line, column, rule, reason, snippet); path "" is the whole document. `rescued`: string array, per
    document a JSON object of what the schema did not know, null where nothing.
    """

    values: pa.StructArray
    errors: pa.Table
    rescued: pa.StringArray


def parse(
    documents: Documents, schema: Schema, options: Options | None = None, *, threads: int | None = None
) -> Parsed:
    """Read documents by a schema: documents → as many values, with errors and the rescued rest.

    | where | what happens |
    |---|---|
    | null, empty or blank document | null value, no error |
    | document refused | null value, an error with path "" |
    | truncated document, with `salvage` | the value of its complete prefix, and an error with path "" |
    | value that is not of its type | null at that path, an error, the text rescued |
    | attribute, element or text that the schema has no place for | rescued under its path |
    | an element again where the schema has a scalar | the last counts, the earlier ones are rescued |

    Without options the schema's own apply; they also decide the mode. Plain documents are read in compiled loops, by as
    many threads as there are processors or as told, all others by the reference, with the same values. Raises DataError
    in mode failfast, UsageError for a column that holds neither text nor bytes.

    >>> parsed = parse(["<o><p>7</p></o>", "<o><p>x</p><q/></o>", "<o>"], Schema.from_ddl("p int"))
    >>> parsed.values.to_pylist()
    [{'p': 7}, {'p': None}, None]
    >>> parsed.rescued.to_pylist()
    [None, '{"p": "x", "q": ""}', None]
    >>> [(e["row"], e["path"], e["rule"]) for e in parsed.errors.to_pylist()]
    [(1, 'p', 'type'), (2, '', 'truncated')]
    """
    reader = reader_of(schema, options or schema.options)
    values: list[pa.Array] = []
    errors: list[pa.RecordBatch] = []
    rescued: dict[int, str] = {}
    first = 0
    for part in parts(documents):
        for stretch in reader.stretches(part, threads):
            values += stretch.values
            rows = {first + stretch.first + at: stretch.remarks[at] for at in sorted(stretch.remarks)}
            found = [{"row": at, **error} for at, row in rows.items() for error in row.errors]
            errors.append(pa.RecordBatch.from_pylist(found, schema=ERRORS))
            rescued |= {at: row.rescued for at, row in rows.items() if row.rescued is not None}
            if reader.options.mode == "failfast" and found:
                raise _failed(found[0])
        first += len(part)
    empty = pa.array([], schema.arrow_type)
    return Parsed(
        pa.concat_arrays(values) if values else empty,
        pa.Table.from_batches(errors, schema=ERRORS),
        _spread(rescued, first),
    )


def _spread(texts: dict[int, str], count: int) -> pa.StringArray:
    """Texts in their rows, null in all others."""
    if not texts:
        return pa.nulls(count, pa.string())
    places = np.full(count, len(texts))
    places[list(texts)] = np.arange(len(texts))
    return pa.array([*texts.values(), None], pa.string()).take(pa.array(places))


def _failed(error: dict[str, Any]) -> DataError:
    return DataError(
        f"document {error['row']}: {error['path'] or 'refused'}: {error['reason']} (rule {error['rule']}, "
        f"line {error['line']}, column {error['column']}): {error['snippet']!r}. "
        f"Mode failfast stops at the first error; mode permissive keeps it as a row."
    )
