"""A file of whatever encoding as UTF-8, piece by piece: unzipped and decoded as it is read."""

import codecs
import zlib
from collections.abc import Callable, Iterator
from typing import IO, TypeAlias

from thresher.errors import DataError
from thresher.xml.charsets import encoding_of, stream_decoder

Read: TypeAlias = Callable[[int], bytes]

DAMAGED = (EOFError, zlib.error)
CHUNK = 4 * 1024 * 1024

# A declaration stands at the very beginning.
_HEAD = 4096
_GZIP = b"\x1f\x8b"


def utf8_reader(file: IO[bytes]) -> Read:
    """The function that reads a file's text as UTF-8: unzipped, without its mark, from whatever encoding it is in.

    What cannot be decoded stays as bytes that are not UTF-8, so that the document they stand in is refused. Raises
    DataError for a declared encoding that is not known.
    """
    read: Read = file.read
    head = read(_HEAD)
    if head.startswith(_GZIP):
        read = _piecewise(_unzipped(_Rest(head, file.read).read))
        head = read(_HEAD)
    try:
        mark, encoding = encoding_of(head)
    except LookupError as unknown:
        raise DataError(f"the declared encoding {unknown.args[0]!r} is not known; nothing was read") from None
    rest = _Rest(head[mark:], read)
    return rest.read if encoding == "utf-8" else _transcoded(rest.read, encoding)


class _Rest:
    """A file whose first bytes were read already."""

    def __init__(self, head: bytes, following: Read) -> None:
        self.head = head
        self.following = following

    def read(self, size: int) -> bytes:
        if not self.head:
            return self.following(size)
        given, self.head = self.head[:size], self.head[size:]
        return given


def _unzipped(read: Read) -> Iterator[bytes]:
    """The text of all gzip members. Other than the gzip module it gives all that stands before damage."""
    zipped = read(CHUNK)
    while zipped:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if not zipped:
                raise EOFError("it ends before its end mark")
            plain = member.decompress(zipped, CHUNK)
            if plain:
                yield plain
            zipped = member.unconsumed_tail or member.unused_data or read(CHUNK)
        # Some writers fill the last block with zeros.
        while not (zipped := zipped.lstrip(b"\0")):
            zipped = read(CHUNK)
            if not zipped:
                return


def _piecewise(pieces: Iterator[bytes]) -> Read:
    return lambda size: next(pieces, b"")


def _transcoded(read: Read, encoding: str) -> Read:
    decode = stream_decoder(encoding, "thresher.undecodable")

    def read_utf8(size: int) -> bytes:
        while True:
            chunk = read(size)
            text = decode(chunk)
            if text or not chunk:
                return text.encode("utf-8", "surrogateescape")

    return read_utf8


def _undecodable(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    # Half a surrogate is written as the byte itself; ASCII bytes have none, and any byte that is no UTF-8 will do.
    return "".join(chr(0xDC00 + max(byte, 0x80)) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("thresher.undecodable", _undecodable)
