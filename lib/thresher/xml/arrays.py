"""Documents as they are handed in → Arrow arrays of one kind, and single documents out of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from thresher.errors import UsageError

Documents: TypeAlias = "pa.Array | pa.ChunkedArray | Sequence[str | bytes | None]"

TEXTS = (pa.string(), pa.large_string(), pa.string_view())
BLOBS = (pa.binary(), pa.large_binary(), pa.binary_view())


class Effort:
    """Whether so many documents are to come that loading and preparing the compiled loops pays.

    Loading them takes as long as the reference takes for 2 MiB, preparing them for a schema as for a quarter of that.
    """

    loading, preparing = 2 << 20, 1 << 19
    in_process = 0  # bytes seen by all

    def __init__(self) -> None:
        self.own = 0

    def pays(self, part: "Part") -> bool:
        """Count some documents."""
        self.own += part.nbytes
        Effort.in_process += part.nbytes
        return Effort.in_process >= self.loading and self.own >= self.preparing


@dataclass(frozen=True)
class Part:
    """Some of the documents, in order: as an array, or as they are where no array holds them.

    `is_text`: they are text, whatever a declaration in them says about bytes.
    """

    documents: "pa.Array | Sequence[str | bytes | None]"
    is_text: bool

    def __len__(self) -> int:
        return len(self.documents)

    def only(self, rows: list[int]) -> "Part":
        """Some of the documents."""
        if isinstance(self.documents, pa.Array):
            return Part(self.documents.take(pa.array(rows, pa.int64())), self.is_text)
        return Part([self.documents[row] for row in rows], self.is_text)

    @property
    def nbytes(self) -> int:
        """About how many bytes the documents have."""
        if isinstance(self.documents, pa.Array):
            return int(self.documents.nbytes)
        return sum(len(document) for document in self.documents if document is not None)

    def at(self, row: int) -> tuple[str | bytes | None, bool]:
        """One document, and whether its bytes are known to be UTF-8; as bytes where it comes from an array: an invalid
        character in one text must not stop the others."""
        if not isinstance(self.documents, pa.Array):
            return self.documents[row], False
        found = self.documents[row]
        return found.as_buffer().to_pybytes() if found.is_valid else None, self.is_text


def parts(documents: Documents) -> Iterator[Part]:
    """The chunks of a column, or the stretches of texts and of bytes in a list.

    Raises UsageError for a single document, and for values that are neither text nor bytes.

    >>> [(len(part), part.is_text) for part in parts(["<a/>", None, b"<a/>"])]
    [(2, True), (1, False)]
    """
    if isinstance(documents, str | bytes):
        raise UsageError("expected a list or an Arrow array of XML documents, found a single one; put it in a list")
    if not isinstance(documents, pa.Array | pa.ChunkedArray):
        yield from _listed(documents)
        return
    if pa.types.is_dictionary(documents.type):
        documents = documents.cast(documents.type.value_type)
    kind = documents.type
    if kind not in TEXTS and kind not in BLOBS:
        raise UsageError(f"XML documents cannot come from {kind} values; expected string or binary")
    for chunk in documents.chunks if isinstance(documents, pa.ChunkedArray) else [documents]:
        is_view = pa.types.is_string_view(kind) or pa.types.is_binary_view(kind)
        yield Part(chunk.cast(pa.large_binary()) if is_view else chunk, kind in TEXTS)


def each(documents: Documents) -> Iterator[tuple[str | bytes | None, bool]]:
    """Every document, and whether its bytes are known to be UTF-8."""
    for part in parts(documents):
        yield from (part.at(row) for row in range(len(part)))


def _listed(documents: Sequence[str | bytes | None]) -> Iterator[Part]:
    rows: list[str | bytes | None] = []
    kind: type | None = None
    for document in documents:
        if not isinstance(document, str | bytes | None):
            raise UsageError(f"an XML document is str, bytes or None; found {type(document).__name__}")
        if document is not None and kind is not None and type(document) is not kind:
            yield _of(rows, kind)
            rows = []
        kind = kind if document is None else type(document)
        rows.append(document)
    if rows:
        yield _of(rows, kind)


def _of(rows: list[str | bytes | None], kind: type | None) -> Part:
    try:
        return Part(pa.array(rows, pa.large_binary() if kind is bytes else pa.large_string()), kind is not bytes)
    except UnicodeEncodeError:
        return Part(rows, True)  # half a character in one text
