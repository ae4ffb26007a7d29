"""One long XML file → its records: cut by their tag, streamed, without a tree of the whole."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import IO, TypeAlias

import pyarrow as pa

from thresher.errors import DataError, UsageError
from thresher.xml.text_stream import CHUNK, DAMAGED, Read, utf8_reader

BATCH_BYTES = 16 * 1024 * 1024
LONGEST = 256 * 1024 * 1024
RECORDS = pa.schema([("document", pa.binary()), ("_ordinal", pa.int64()), ("_offset", pa.int64())])

File: TypeAlias = "str | Path | bytes | IO[bytes]"

_ENDS = {b"<!--": b"-->", b"<![CDATA[": b"]]>"}
# Arrow counts the bytes of a batch of documents in 31 bits.
_MOST = 2**31 - 1 - BATCH_BYTES


def records(file: File, row_tag: str, *, max_bytes: int = LONGEST) -> pa.RecordBatchReader:
    """Cut a file into its records: one file (a path, its bytes, or an open binary file) → one row per element.

    | column | meaning |
    |---|---|
    | document | the record's bytes, from `<row_tag` to its end; UTF-8, whatever the file's encoding |
    | _ordinal | its place in the file, from 1 |
    | _offset | the bytes before it, in the unzipped file as UTF-8 |

    The file is scanned as text, as Spark's reader does: the tag is the name as written, elements of the same name in
    a record belong to it, and tags in comments and CDATA do not count. A record without an end is cut before the next
    row tag, one longer than `max_bytes` at that length: `parse` refuses both as truncated, and the others go on. The
    batches hold about 16 MB of documents each, and no more of the file than these and one record is in memory.

    Raises UsageError for a file that is not there and for a tag that is no name; DataError, after the records that
    could be read, where the encoding is unknown or gzip data is damaged.

    >>> table = records(b"<rows><row id='1'>a</row><!-- <row/> --><row id='2'/><row>", "row").read_all()
    >>> [(row["document"], row["_ordinal"], row["_offset"]) for row in table.to_pylist()]
    [(b"<row id='1'>a</row>", 1, 6), (b"<row id='2'/>", 2, 40), (b'<row>', 3, 53)]
    """
    tag = row_tag.strip()
    if not tag or re.search(r"""[<>/&"'=\s]""", tag):
        raise UsageError(f"row tag {row_tag!r}; expected an element's name as it is written, such as book or n:book")
    if not 1 <= max_bytes <= _MOST:
        raise UsageError(f"max_bytes={max_bytes}; expected 1 to {_MOST:,}")
    if isinstance(file, str | Path) and not Path(file).is_file():
        raise UsageError(f"{file}: there is no such file to cut into <{tag}> records")
    return pa.RecordBatchReader.from_batches(RECORDS, _batches(file, tag, max_bytes))


def _batches(file: File, tag: str, max_bytes: int) -> Iterator[pa.RecordBatch]:
    offsets: list[int] = []
    documents: list[bytes] = []
    size = count = 0
    error: DataError | None = None
    with _opened(file) as opened:
        try:
            for offset, document in _Cutter(utf8_reader(opened), tag, max_bytes).records():
                if documents and size + len(document) > BATCH_BYTES:
                    yield _batch(documents, offsets, count)
                    count += len(documents)
                    offsets, documents, size = [], [], 0
                offsets.append(offset)
                documents.append(document)
                size += len(document)
        except DAMAGED as damage:
            error = DataError(f"the gzip data is damaged: {damage}; {count + len(documents):,} records stand before it")
    if documents:
        yield _batch(documents, offsets, count)
    if error:
        raise error


def _batch(documents: list[bytes], offsets: list[int], before: int) -> pa.RecordBatch:
    ordinals = pa.array(range(before + 1, before + len(documents) + 1), pa.int64())
    return pa.RecordBatch.from_arrays([pa.array(documents, pa.binary()), ordinals, pa.array(offsets)], schema=RECORDS)


def _opened(file: File) -> "IO[bytes] | nullcontext[IO[bytes]]":
    if isinstance(file, bytes):
        return BytesIO(file)
    return open(file, "rb") if isinstance(file, str | Path) else nullcontext(file)


class _Cutter:
    """Finds records in a text that comes in pieces."""

    def __init__(self, read: Read, tag: str, max_bytes: int) -> None:
        name = re.escape(tag.encode())
        row = rb"%s(?=[ \t\r\n/>])|/%s[ \t\r\n]*>" % (name, name)
        self.opening = b"<" + tag.encode()
        self.row_mark = re.compile(rb"<(?:%s)" % row)
        self.mark = re.compile(rb"<(?:!--|!\[CDATA\[|%s)" % row)
        # No "<" in a value: a quote that is never closed must not swallow the records after it.
        self.start_tag = re.compile(rb"""<%s(?:[^<>"']++|"[^"<]*"|'[^'<]*')*+>""" % name)
        self.read = read
        self.max_bytes = max_bytes
        self.data = b""
        self.at = 0
        self.dropped = 0
        self.flat_until = 0

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Every record with the bytes before it."""
        while self.find_start():
            end = self.find_end()
            yield self.dropped + self.at, self.data[self.at : min(end, self.at + self.max_bytes)]
            self.at = end

    def more(self, size: int = CHUNK) -> bool:
        """Read on, and forget what stands before this place."""
        piece = self.read(max(size, CHUNK))
        self.data = b"".join((memoryview(self.data)[self.at :], piece))
        self.dropped += self.at
        self.at = 0
        return bool(piece)

    def find_start(self) -> bool:
        """Go to the next row tag outside comments and CDATA; whether there is one."""
        while True:
            mark = self.mark.search(self.data, self.at)
            if mark is None:
                # The beginning of a mark may be the last that was read.
                self.at = max(self.at, len(self.data) - len(self.opening) - len(b"<![CDATA["))
                if not self.more():
                    return False
            elif mark[0] == self.opening:
                self.at = mark.start()
                return True
            else:
                self.at = mark.end()
                if mark[0] in _ENDS:
                    self.skip(_ENDS[mark[0]])

    def skip(self, end: bytes) -> None:
        while (found := self.data.find(end, self.at)) < 0:
            self.at = max(self.at, len(self.data) - len(end) + 1)
            if not self.more():
                self.at = len(self.data)
                return
        self.at = found + len(end)

    def find_end(self) -> int:
        """Where the record that begins here ends."""
        while True:
            is_flat = self.dropped + self.at < self.flat_until
            end = self.flat_end() if is_flat else self.nested_end()
            if end is not None:
                return end
            held = len(self.data) - self.at
            if held > self.max_bytes or not self.more(min(held, self.max_bytes + 1 - held)):
                if is_flat:
                    return min(len(self.data), self.at + self.max_bytes)
                # Cut all that is held without nesting: looking this far for every row tag in it would never end.
                self.flat_until = self.dropped + len(self.data)

    def nested_end(self) -> int | None:
        """The end of the record with all elements of its name in it; None where it is not to be seen yet."""
        depth, at = 0, self.at
        while mark := self.mark.search(self.data, at):
            at = mark.end()
            if mark[0] in _ENDS:
                at = self.data.find(_ENDS[mark[0]], at)
                if at < 0:
                    return None
                continue
            if mark[0] == self.opening:
                tag = self.start_tag.match(self.data, mark.start())
                at = tag.end() if tag else at
                depth += not (tag and tag[0].endswith(b"/>"))
            else:
                depth -= 1
            if depth == 0:
                return at
        return None

    def flat_end(self) -> int | None:
        """The end of the record at the next row tag of either kind."""
        tag = self.start_tag.match(self.data, self.at)
        if tag and tag[0].endswith(b"/>"):
            return tag.end()
        mark = self.row_mark.search(self.data, self.at + 1)
        if mark is None:
            return None
        return mark.start() if mark[0] == self.opening else mark.end()
