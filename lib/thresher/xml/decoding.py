"""From what a BLOB or CLOB column holds to text: compression, encodings, escapes; the prolog is blanked out."""

import codecs
import re
import zlib
from dataclasses import dataclass

from thresher.xml import charsets
from thresher.xml.disguises import container_of, unescaped
from thresher.xml.doctypes import silent_end
from thresher.xml.options import Options

SNIPPET = 80

_DECLARATION = re.compile(
    r"""[ \t\r\n]*<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(["'])1\.[0-9]+\1
    (?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(["'])[A-Za-z0-9._:-]+\2)?
    (?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(["'])(?:yes|no)\3)?[ \t\r\n]*\?>""",
    re.VERBOSE,
)
_CUT_SHORT = ("unexpected end of data", "truncated data", "incomplete multibyte sequence")
_NO_DOCUMENT = (b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_GZIP = b"\x1f\x8b"
# zlib's header; MySQL's COMPRESS writes the length before it, whose fourth byte no XML has.
_ZLIB = re.compile(rb"(?:.{3}[\0-\x08])?\x78[\x01\x5e\x9c\xda]", re.DOTALL)
_PIECE = 64 * 1024
_MOST_MEMBERS = 10_000


@dataclass
class Refused(Exception):
    """A document that cannot become a row: a short rule code, and why and where (line and column from 1)."""

    rule: str
    reason: str
    line: int | None = None
    column: int | None = None
    snippet: str = ""


def is_blank(document: str | bytes | None) -> bool:
    """Whether there is no document at all: null, empty, blanks or a byte order mark only.

    >>> is_blank(None), is_blank(b" \\n"), is_blank("<a/>")
    (True, True, False)
    """
    if isinstance(document, str):
        return not document.strip().strip("\ufeff")
    return document is None or document.strip() in _NO_DOCUMENT


def text_of(document: str | bytes, options: Options, *, is_utf8: bool = False) -> str:
    """The characters of a document, XML declaration and silent DOCTYPE blanked out so that positions stay true.

    Bytes are unzipped (gzip, zlib) and decoded (see `charsets.encoding_of`). `is_utf8` says that the bytes come from a
    text column: then the declaration says nothing about them. With `salvage` a cut end is dropped in silence: the XML
    is cut, too. Raises Refused (rules budget, encoding, truncated).

    >>> text_of('<?xml version="1.0" encoding="latin-1"?><a>é</a>'.encode("latin-1"), Options()).strip()
    '<a>é</a>'
    """
    if isinstance(document, str):
        _within_budget(len(document), options)
        text = document
    else:
        content = _unzipped(document, options)
        _within_budget(len(content), options)
        text = _decoded(content, options, is_utf8)
    text = text.lstrip("\ufeff")
    if options.unescape and not text.lstrip().startswith("<"):
        text = unescaped(text) or text
    return _without_prolog(text, options)


def _within_budget(size: int, options: Options) -> None:
    if size > options.max_bytes:
        raise Refused("budget", f"the document has {size:,} bytes, more than {options.max_bytes:,} (max_bytes)")


def _unzipped(content: bytes, options: Options) -> bytes:
    container = container_of(content)
    if container:
        raise Refused("encoding", f"the bytes are {container}; only gzip and zlib are unpacked")
    if content.startswith(_GZIP):
        return _inflated(content, zlib.MAX_WBITS | 16, options)
    if _ZLIB.match(content):
        return _inflated(content[0 if content.startswith(b"\x78") else 4 :], zlib.MAX_WBITS, options)
    return content


def _inflated(content: bytes, bits: int, options: Options) -> bytes:
    """Members one after the other, in pieces: a small BLOB must fill neither the memory nor the hour."""
    plain, at = bytearray(), 0
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(bits)
        while not member.eof and at < len(content):
            piece = content[at : at + _PIECE]
            try:
                plain += member.decompress(piece, options.max_bytes + 1 - len(plain))
            except zlib.error as error:
                raise Refused("encoding", f"the zipped data is damaged: {error}") from None
            at += len(piece) - len(member.unused_data)
            if len(plain) > options.max_bytes:
                raise Refused("budget", f"the unzipped document has more than {options.max_bytes:,} bytes (max_bytes)")
        if not member.eof and not options.salvage:
            raise Refused("truncated", "the zipped data ends before its end mark")
        if not content.startswith(_GZIP, at):
            return bytes(plain)
    raise Refused("budget", f"the zipped data has more than {_MOST_MEMBERS:,} members")


def _decoded(content: bytes, options: Options, is_utf8: bool) -> str:
    try:
        start, encoding = (0, "utf-8") if is_utf8 else charsets.encoding_of(content)
    except LookupError as error:
        if options.fallback_encoding is None:
            raise Refused(
                "encoding", f"the declared encoding {str(error.args[0])!r} is not known; set fallback_encoding", 1, 1
            ) from None
        start, encoding = 0, charsets.codec_of(options.fallback_encoding)
    content = content[start:]
    try:
        return charsets.decoded(content, encoding)
    except UnicodeDecodeError as error:
        return _decoded_otherwise(content, encoding, error, options)


def _decoded_otherwise(content: bytes, encoding: str, error: UnicodeDecodeError, options: Options) -> str:
    """Bytes that are not in their encoding: cut short, in the fallback, or refused."""
    before = content[: error.start].decode(error.encoding, "replace")
    line, column = position(before, len(before))
    where = line, column, snippet(before, len(before))
    if error.end >= len(content) and error.reason in _CUT_SHORT:
        if options.salvage:
            return before
        raise Refused("truncated", f"the document ends inside a character ({encoding})", *where)
    if options.fallback_encoding is not None:
        try:
            return charsets.decoded(content, charsets.codec_of(options.fallback_encoding))
        except UnicodeDecodeError:
            pass
    found = content[error.start : error.start + 8]
    reason = f"bytes {found.hex(' ')} are not {encoding} ({error.reason}); "
    raise Refused("encoding", reason + _advice(content, found, encoding), *where)


def _advice(content: bytes, found: bytes, encoding: str) -> str:
    if charsets.looks_ebcdic(content):
        return "they look like EBCDIC: set fallback_encoding to its code page, such as 'cp037'"
    likely = charsets.likely_encoding(content, encoding)
    if likely is None:
        return "declare the actual encoding"
    shown = found.decode(likely, "replace")
    return f"in {likely} they are {shown!r}: if that is right, set fallback_encoding={likely!r}"


def _without_prolog(text: str, options: Options) -> str:
    """A declaration was for the bytes; expat would obey it again, and refuses blanks before it."""
    if options.is_spark and not text.startswith("<"):
        return text
    found = _DECLARATION.match(text)
    if found:
        text = _blanked(text, found.end())
    end = silent_end(text)
    return _blanked(text, end) if end else text


def _blanked(text: str, end: int) -> str:
    return re.sub(r"[^\r\n]", " ", text[:end]) + text[end:]


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character.

    >>> position("ab\\ncd", 4)
    (2, 2)
    """
    # Counted, not listed: a text can have millions of lines.
    lines = text.count("\n", 0, offset) + text.count("\r", 0, offset) - text.count("\r\n", 0, offset)
    return lines + 1, offset - max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset))


def snippet(text: str, offset: int) -> str:
    """At most 80 characters around a place, on one line."""
    start = max(0, offset - SNIPPET // 2)
    shown = text[start : start + SNIPPET].encode("utf-8", "backslashreplace").decode("utf-8")
    return re.sub(r"\s+", " ", shown)
