"""From documents to their schema: one pass over all of them."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeAlias

import pyarrow as pa

from thresher.errors import MissingColumns, UsageError
from thresher.frame import Frame
from thresher.xml.decoding import Refused, is_blank
from thresher.xml.document import read
from thresher.xml.options import Options
from thresher.xml.schema import Schema, counted_root
from thresher.xml.structure import Node

Documents: TypeAlias = "pa.Array | pa.ChunkedArray | Sequence[str | bytes | None]"

_TEXTS = (pa.string(), pa.large_string(), pa.string_view())
_BLOBS = (pa.binary(), pa.large_binary(), pa.binary_view())


def discover(documents: Documents, options: Options | None = None) -> Schema:
    """Learn the structure of all documents: documents → one schema.

    A document that is refused does not count (`parse` tells why); null, empty and blank ones are no documents.
    Raises UsageError for a column that holds neither text nor bytes.

    >>> schema = discover(["<o id='1'><p>7</p></o>", "<o id='2'><p>7.5</p><p>8</p></o>"])
    >>> schema.ddl
    'struct<_id: bigint, p: array<decimal(2,1)>>'
    """
    options = options or Options()
    root = Node()
    for number, (document, is_utf8) in enumerate(each(documents)):
        if document is None or is_blank(document):
            continue
        try:
            element = read(document, options, is_utf8=is_utf8)
        except Refused:
            continue
        counted_root(root, element.name)
        root.observe(element, number, options)
    return Schema(options, root, documents=root.documents)


def each(documents: Documents) -> Iterator[tuple[str | bytes | None, bool]]:
    """Every document, and whether it comes from a text column: as UTF-8 bytes, whatever its declaration says."""
    if isinstance(documents, str | bytes):
        raise UsageError("expected a list or an Arrow array of XML documents, found a single one; put it in a list")
    if not isinstance(documents, pa.Array | pa.ChunkedArray):
        for document in documents:
            if not isinstance(document, str | bytes | None):
                raise UsageError(f"an XML document is str, bytes or None; found {type(document).__name__}")
            yield document, False
        return
    kind = documents.type
    if kind not in _TEXTS and kind not in _BLOBS:
        raise UsageError(f"XML documents cannot come from {kind} values; expected string or binary")
    chunks = documents.chunks if isinstance(documents, pa.ChunkedArray) else [documents]
    for chunk in chunks:
        # As bytes: an invalid character in one text must not stop the others.
        blobs = chunk.cast(pa.large_binary())
        yield from ((blob.as_py(), kind in _TEXTS) for blob in blobs)


def discover_column(frame: Frame, column: str, options: Options | None = None) -> Schema:
    """Learn the structure of all documents in a column of a frame: rows → one schema, on either engine.

    Each batch gives a partial schema; their merge does not depend on the batches or their order. Raises
    MissingColumns, and UsageError for a column that holds neither text nor bytes.
    """
    options = options or Options()
    require_documents(frame, column)
    function = partial(_discover_batches, column=column, options=options)
    partials = frame.engine.map_batches(frame, function, pa.schema([("schema", pa.string())]))
    schema = Schema(options)
    for batch in partials.batches():
        for text in batch.column(0).to_pylist():
            schema = schema.merge(Schema.from_json(text))
    return schema


def _discover_batches(batches: Iterator[pa.RecordBatch], *, column: str, options: Options) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        text = discover(batch.column(column), options).to_json()
        yield pa.RecordBatch.from_pydict({"schema": pa.array([text], pa.string())})


def require_documents(frame: Frame, column: str) -> None:
    """Raise MissingColumns or UsageError where a frame's column cannot hold documents."""
    if column not in frame.columns:
        raise MissingColumns(f"there is no column {column!r} to read XML from; found {frame.columns}")
    kind = frame.schema.field(column).type
    if kind not in (pa.string(), pa.binary()):
        raise UsageError(f"column {column!r} holds {kind}; XML documents are string or binary. Name another column.")
