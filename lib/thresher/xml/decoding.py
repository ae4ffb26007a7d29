"""From what a BLOB or CLOB column holds to text: gzip, byte order marks, declared and actual encodings."""

import codecs
import re
import zlib
from dataclasses import dataclass

from thresher.xml.options import Options

SNIPPET = 80

_DECLARATION = re.compile(r"""<\?xml\s+version\s*=\s*["']1\.[0-9]+["'](?P<rest>[^?<>]*)\?>""")
_ENCODING = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins the same way
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# "<" and one more ASCII character, as two-byte text begins without a mark.
_TWO_BYTES = (
    (re.compile(rb"<\0[^\0]\0", re.DOTALL), "utf-16-le"),
    (re.compile(rb"\0<\0[^\0]", re.DOTALL), "utf-16-be"),
)
# Python codecs that are no character sets, or read ASCII text as something else.
_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
_CUT_SHORT = ("unexpected end of data", "truncated data", "incomplete multibyte sequence")
_LINE_END = re.compile(r"\r\n|\r|\n")
_GZIP = b"\x1f\x8b"


@dataclass
class Refused(Exception):
    """A document that cannot become a row: a short rule code, and why and where (line and column from 1)."""

    rule: str
    reason: str
    line: int | None = None
    column: int | None = None
    snippet: str = ""


def is_blank(document: str | bytes | None) -> bool:
    """Whether there is no document at all: null, empty or blanks only.

    >>> is_blank(None), is_blank(b" \\n"), is_blank("<a/>")
    (True, True, False)
    """
    return document is None or not document.strip()


def text_of(document: str | bytes, options: Options, *, is_utf8: bool = False) -> str:
    """The characters of a document, its XML declaration blanked out so that positions stay true.

    Order of trust: gzip's magic, the byte order mark, the pattern of two-byte text, the declaration, UTF-8.
    `is_utf8` says that the bytes come from a text column: then the declaration says nothing about them.
    Raises Refused (rules budget, encoding, truncated).

    >>> text_of('<?xml version="1.0" encoding="latin-1"?><a>é</a>'.encode("latin-1"), Options()).strip()
    '<a>é</a>'
    """
    if isinstance(document, str):
        text = document.removeprefix("\ufeff")
        _within_budget(len(text), options)
    else:
        content = _unzipped(document, options) if document.startswith(_GZIP) else document
        _within_budget(len(content), options)
        content, encoding = (content.removeprefix(codecs.BOM_UTF8), "utf-8") if is_utf8 else _encoding(content)
        text = _decoded(content, encoding)
    return _without_declaration(text, options)


def _within_budget(size: int, options: Options) -> None:
    if size > options.max_bytes:
        raise Refused("budget", f"the document has {size:,} bytes, more than {options.max_bytes:,} (max_bytes)")


def _unzipped(content: bytes, options: Options) -> bytes:
    plain = bytearray()
    while content.startswith(_GZIP):
        member = zlib.decompressobj(wbits=31)
        try:
            # One byte more than allowed tells that there is more: a small BLOB must not fill the memory.
            plain += member.decompress(content, options.max_bytes + 1 - len(plain))
        except zlib.error as error:
            raise Refused("encoding", f"the gzip data is damaged: {error}") from None
        if len(plain) > options.max_bytes:
            raise Refused("budget", f"the unzipped document has more than {options.max_bytes:,} bytes (max_bytes)")
        if not member.eof:
            raise Refused("truncated", "the gzip data ends before its end mark")
        content = member.unused_data
    return bytes(plain)


def _encoding(content: bytes) -> tuple[bytes, str]:
    """The bytes after a mark, and the encoding they are in."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :], encoding
    for pattern, encoding in _TWO_BYTES:
        if pattern.match(content):
            return content, encoding
    declared = _ENCODING.match(content.lstrip())
    return content, _codec(declared[1].decode("ascii")) if declared else "utf-8"


def _codec(declared: str) -> str:
    for name in (declared, declared.lower().removeprefix("x-"), declared.lower().replace("windows-", "cp")):
        try:
            codec = codecs.lookup(name)
        except LookupError:
            continue
        if codec.name.startswith(("utf-16", "utf-32")):
            # The declaration was read byte by byte, so the text is not in what it declares: a database converted it.
            return "utf-8"
        if codec._is_text_encoding and codec.name.replace("_", "-") not in _NO_CHARSETS:
            return codec.name
    raise Refused("encoding", f"the declared encoding {declared!r} is not known", 1, 1)


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, "replace")
        line, column = position(before, len(before))
        found = content[error.start : error.start + 8].hex(" ")
        rule, reason = "encoding", f"bytes {found} are not {encoding} ({error.reason}); declare the actual encoding"
        if error.end >= len(content) and error.reason in _CUT_SHORT:
            rule, reason = "truncated", f"the document ends inside a character ({encoding})"
        raise Refused(rule, reason, line, column, snippet(before, len(before))) from None


def _without_declaration(text: str, options: Options) -> str:
    """A declaration was for the bytes; expat would obey it again, and refuses blanks before it."""
    start = 0 if options.is_spark else len(text) - len(text.lstrip(" \t\r\n"))
    found = _DECLARATION.match(text, start)
    if not found:
        return text
    return text[:start] + re.sub(r"[^\r\n]", " ", found[0]) + text[found.end() :]


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character.

    >>> position("ab\\ncd", 4)
    (2, 2)
    """
    ends = [found.end() for found in _LINE_END.finditer(text, 0, offset)]
    return len(ends) + 1, offset - (ends[-1] if ends else 0) + 1


def place(text: str, line: int, column: int) -> int:
    """The offset of a line and column, both from 1: the opposite of `position`.

    >>> place("ab\\r\\ncd", 2, 2)
    5
    """
    at = 0
    for _ in range(line - 1):
        found = _LINE_END.search(text, at)
        at = found.end() if found else at
    return at + column - 1


def snippet(text: str, offset: int) -> str:
    """At most 80 characters around a place, on one line."""
    start = max(0, offset - SNIPPET // 2)
    shown = text[start : start + SNIPPET].encode("utf-8", "backslashreplace").decode("utf-8")
    return re.sub(r"\s+", " ", shown)
