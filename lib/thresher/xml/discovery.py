"""From documents to their schema: one pass over all of them."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import pyarrow as pa

from thresher.errors import DataError, MissingColumns, UsageError
from thresher.frame import Frame
from thresher.xml.arrays import Documents, Effort, Part, parts
from thresher.xml.decoding import Refused, is_blank
from thresher.xml.document import CutShort, read
from thresher.xml.options import Options
from thresher.xml.schema import Schema, counted_root
from thresher.xml.second_look import plain_texts
from thresher.xml.structure import TEXT, Node, fold

if TYPE_CHECKING:
    from thresher.xml.shredding.learner import Discoverer

# Documents may be large: few of them are in memory at a time.
ROWS_PER_CALL = 2_048


def discover(documents: Documents, options: Options | None = None, *, threads: int | None = None) -> Schema:
    """Learn the structure of all documents: documents → one schema.

    A document that is refused does not count (`parse` tells why); null, empty and blank ones are no documents. Plain
    documents are read in compiled loops, by as many threads as there are processors or as told. Raises UsageError for a
    column that holds neither text nor bytes.

    >>> schema = discover(["<o id='1'><p>7</p></o>", "<o id='2'><p>7.5</p><p>8</p></o>"])
    >>> schema.ddl
    'struct<_id: bigint, p: array<decimal(2,1)>>'
    """
    discovery = Discovery(options or Options())
    for part in parts(documents):
        discovery.learn(part, threads)
    return discovery.schema()


class Discovery:
    """Learns from any number of columns: plain documents in compiled loops, the others by the reference."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.root = Node()  # what the reference has seen
        self.effort = Effort()
        self.documents_seen = 0
        self.rows_seen = 0

    def learn(self, part: Part, threads: int | None = None) -> None:
        """Learn from more documents, by so many threads (default: one for each processor at hand)."""
        part = self._sampled(part)
        is_quick = self.effort.pays(part) and not _needs_reference(self.options)
        if not is_quick or not isinstance(part.documents, pa.Array):
            for row in range(len(part)):
                self.observe(*part.at(row))
            return
        threads = threads or len(os.sched_getaffinity(0))
        for left in self.discoverer.learn(part.documents, is_text=part.is_text, threads=threads):
            texts, found = plain_texts(part, left, self.options)
            again = self.discoverer.learn(texts.documents, is_text=True, threads=1) if found else []
            skipped = {found[at] for rows in again for at in rows}
            for row in left:
                if row in skipped or row not in found:
                    self.observe(*part.at(row))

    def _sampled(self, part: Part) -> Part:
        """The share of the documents that is asked for: every n-th, over all parts."""
        share, first = self.options.sampling_ratio, self.rows_seen
        self.rows_seen += len(part)
        if share == 1:
            return part
        return part.only([at for at in range(len(part)) if int((first + at + 1) * share) > int((first + at) * share)])

    @cached_property
    def discoverer(self) -> "Discoverer":
        """The compiled loops."""
        from thresher.xml.shredding.learner import Discoverer

        return Discoverer(self.options)

    def observe(self, document: str | bytes | None, is_text: bool) -> None:
        """Learn from one document by the reference."""
        if document is None or (is_blank(document) and not self.options.is_spark):
            return
        try:
            root = read(document, self.options, is_utf8=is_text).root
        except CutShort as cut:
            root = cut.tree.root
        except Refused as refused:
            if self.options.is_spark:
                self._corrupt(refused)
            return
        self.documents_seen += 1
        counted_root(self.root, root.tag)
        self.root.observe(root, self.documents_seen, self.options)

    def _corrupt(self, refused: Refused) -> None:
        """Spark makes room for the text of a record that it cannot read, or stops."""
        if self.options.mode == "failfast":
            raise DataError(f"a document cannot be read: {refused.reason} (rule {refused.rule}, line {refused.line})")
        if self.options.mode == "permissive":
            name = self.options.corrupt_column
            node = Node(names=Counter([name]), kinds=Counter([TEXT]), parents=1, repeats=1, bare=1)
            node.votes.kinds["text"] += 1
            self.root = self.root.merge(Node(children={fold(name): node}))

    def schema(self) -> Schema:
        """The schema of all documents so far."""
        seen = self.root.merge(self.discoverer.seen()) if "discoverer" in self.__dict__ else self.root
        return Schema(self.options, seen, documents=seen.documents)


def discover_column(frame: Frame, column: str, options: Options | None = None) -> Schema:
    """Learn the structure of all documents in a column of a frame: rows → one schema, on either engine.

    Each batch gives a partial schema; their merge does not depend on the batches or their order. Raises
    MissingColumns, and UsageError for a column that holds neither text nor bytes.
    """
    options = options or Options()
    require_documents(frame, column)
    function = partial(_discover_batches, column=column, options=options)
    partials = frame.engine.map_batches(
        frame, function, pa.schema([("schema", pa.string())]), rows_per_call=ROWS_PER_CALL
    )
    seen = Node()
    for batch in partials.batches():
        for text in batch.column(0).to_pylist():
            seen = seen.merge(Schema.from_json(text).seen)
    return Schema(options, seen, documents=seen.documents)


def _discover_batches(batches: Iterator[pa.RecordBatch], *, column: str, options: Options) -> Iterator[pa.RecordBatch]:
    discovery = Discovery(options)
    for batch in batches:
        for part in parts(batch.column(column)):
            discovery.learn(part, threads=1)
    # The text of an XSD need not travel back.
    found = replace(discovery.schema(), options=replace(options, xsd=()))
    yield pa.RecordBatch.from_pydict({"schema": pa.array([found.to_json()], pa.string())})


def _needs_reference(options: Options) -> bool:
    """Whether the compiled loops do not know what these options ask for."""
    return bool(options.unescape or options.xsd)


def require_documents(frame: Frame, column: str) -> None:
    """Raise MissingColumns or UsageError where a frame's column cannot hold documents."""
    if column not in frame.columns:
        raise MissingColumns(f"there is no column {column!r} to read XML from; found {frame.columns}")
    kind = frame.schema.field(column).type
    if kind not in (pa.string(), pa.binary()):
        raise UsageError(f"column {column!r} holds {kind}; XML documents are string or binary. Name another column.")
