"""The bytes of a file as UTF-8, whether they are packed with gzip or in another encoding; never all at once."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

HEAD_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@contextmanager
def opened(path: Path, encoding: str = "utf-8") -> Iterator[io.BufferedReader]:
    """A file as UTF-8 without its byte order mark, which goes before the encoding that is named.

    Bytes that the encoding does not have become bytes that are no UTF-8; `as_written` gives them back. Raises OSError
    where what is packed is broken, UnicodeDecodeError where the encoding is none of the file's at all.
    """
    with path.open("rb") as plain:
        packing = "gzip" if plain.read(2) == _GZIP else None
        plain.seek(0)
        with pa.input_stream(plain, compression=packing) as unpacked, _buffered(unpacked) as stream:
            head = stream.peek(4)
            mark = next((each for each in _MARKS if head.startswith(each)), b"")
            encoding = _MARKS.get(mark, encoding)
            if is_utf8(encoding):
                stream.read(len(mark))
                yield stream
            else:
                with _buffered(_Recoded(stream, encoding)) as recoded:
                    yield recoded


def is_utf8(encoding: str) -> bool:
    """Whether a name stands for UTF-8.

    >>> is_utf8("UTF8"), is_utf8("latin-1")
    (True, False)
    """
    return codecs.lookup(encoding).name in ("utf-8", "ascii")


def as_written(content: bytes, encoding: str) -> bytes:
    """Bytes of an opened file as they stand in the file itself."""
    if is_utf8(encoding):
        return content
    return content.decode("utf-8", "surrogatepass").encode(encoding, "surrogateescape")


def _buffered(stream: Any) -> io.BufferedReader:
    return io.BufferedReader(stream, HEAD_BYTES)


class _Recoded(io.RawIOBase):
    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; 0 at the end."""
        while not self._rest:
            block = self._stream.read(HEAD_BYTES)
            self._rest = self._decoder.decode(block, final=not block).encode("utf-8", "surrogatepass")
            if not block:
                break
        given = self._rest[: len(buffer)]
        cast(bytearray, buffer)[: len(given)] = given
        self._rest = self._rest[len(given) :]
        return len(given)
