"""From documents to values: one struct per document, what was wrong with it, and what the schema did not know."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyarrow as pa

from thresher.errors import DataError
from thresher.xml.building import Builder, plan_of
from thresher.xml.decoding import Refused, is_blank
from thresher.xml.discovery import Documents, each
from thresher.xml.document import read
from thresher.xml.options import Options
from thresher.xml.schema import Schema

# Python objects exist for this many documents at a time.
CHUNK = 1_000
CORRUPT = "_corrupt_record"
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


class _Row(NamedTuple):
    value: dict[str, Any] | None
    errors: list[dict[str, Any]]
    rescued: str | None


def parse(documents: Documents, schema: Schema, options: Options | None = None) -> Parsed:
    """Read documents by a schema: documents → as many values, with errors and the rescued rest.

    | where | what happens |
    |---|---|
    | null, empty or blank document | null value, no error |
    | document refused | null value, an error with path "" |
    | value that is not of its type | null at that path, an error, the text rescued |
    | attribute, element or text that the schema has no place for | rescued under its path |
    | an element again where the schema has a scalar | the last counts, the earlier ones are rescued |

    Without options the schema's own apply; they also decide the mode. Raises DataError in mode failfast, UsageError
    for a column that holds neither text nor bytes.

    >>> parsed = parse(["<o><p>7</p></o>", "<o><p>x</p><q/></o>", "<o>"], Schema.from_ddl("p int"))
    >>> parsed.values.to_pylist()
    [{'p': 7}, {'p': None}, None]
    >>> parsed.rescued.to_pylist()
    [None, '{"p": "x", "q": ""}', None]
    >>> [(e["row"], e["path"], e["rule"]) for e in parsed.errors.to_pylist()]
    [(1, 'p', 'type'), (2, '', 'truncated')]
    """
    parser = _Parser(schema, options or schema.options)
    values: list[pa.Array] = []
    errors: list[pa.RecordBatch] = []
    rescued: list[str | None] = []
    for first, rows in _chunks(parser.row(document, is_utf8) for document, is_utf8 in each(documents)):
        values.append(pa.array([row.value for row in rows], schema.arrow_type))
        found = [{"row": first + at, **error} for at, row in enumerate(rows) for error in row.errors]
        errors.append(pa.RecordBatch.from_pylist(found, schema=ERRORS))
        rescued += [row.rescued for row in rows]
        if parser.options.mode == "failfast" and found:
            raise _failed(found[0])
    empty = pa.array([], schema.arrow_type)
    return Parsed(
        pa.concat_arrays(values) if values else empty,
        pa.Table.from_batches(errors, schema=ERRORS),
        pa.array(rescued, pa.string()),
    )


def _chunks(rows: Iterator[_Row]) -> Iterator[tuple[int, list[_Row]]]:
    first, chunk = 0, []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield first, chunk
            first, chunk = first + CHUNK, []
    if chunk:
        yield first, chunk


def _failed(error: dict[str, Any]) -> DataError:
    return DataError(
        f"document {error['row']}: {error['path'] or 'refused'}: {error['reason']} (rule {error['rule']}, "
        f"line {error['line']}, column {error['column']}): {error['snippet']!r}. "
        f"Mode failfast stops at the first error; mode permissive keeps it as a row."
    )


class _Parser:
    """Documents → rows of one schema."""

    def __init__(self, schema: Schema, options: Options) -> None:
        # Names are the schema's: its fields were made with its prefix and value tag.
        names = ("attribute_prefix", "value_tag", "ignore_namespace")
        self.options = replace(options, **{name: getattr(schema.options, name) for name in names})
        self.plan = plan_of(schema.shape, self.options)

    def row(self, document: str | bytes | None, is_utf8: bool) -> _Row:
        if document is None or (is_blank(document) and not self.options.is_spark):
            return _Row(None, [], None)
        builder = Builder(self.options)
        value: dict[str, Any] | None = None
        try:
            value = builder.document(read(document, self.options, is_utf8=is_utf8), self.plan)
        except Refused as refused:
            builder.refuse(refused)
        if builder.errors:
            value = self._after_errors(value, document)
        rescued = json.dumps(builder.rescued, ensure_ascii=False) if builder.rescued else None
        return _Row(value, builder.errors, rescued)

    def _after_errors(self, value: dict[str, Any] | None, document: str | bytes) -> dict[str, Any] | None:
        if self.options.mode == "dropmalformed":
            return None
        if not self.options.is_spark:
            return value
        # from_xml never gives null for a text: a record that cannot be read is a struct of nulls.
        value = value or self.plan.nulls()
        if CORRUPT in self.plan.fields:
            value[CORRUPT] = document if isinstance(document, str) else document.decode("utf-8", "replace")
        return value
