"""Which encoding the bytes of a document are in."""

import codecs
import re
from collections.abc import Callable

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins the same way
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# How wide text begins without a mark: blanks, "<" and one more character.
_WIDE = (
    (re.compile(rb"(?:[ \t\r\n]\0{3})*<\0{3}"), "utf-32-le"),
    (re.compile(rb"(?:\0{3}[ \t\r\n])*\0{3}<"), "utf-32-be"),
    (re.compile(rb"(?:[ \t\r\n]\0)*<\0(?:[^\0]\0|.*>\0)", re.DOTALL), "utf-16-le"),
    (re.compile(rb"(?:\0[ \t\r\n])*\0<(?:\0[^\0]|.*\0>)", re.DOTALL), "utf-16-be"),
)
_DECLARED = re.compile(rb"""[ \t\r\n]*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")
_START = "<?xml"
_EBCDIC_START = _START.encode("cp037")
_EBCDIC_PREFIX = 200
# Blanks, "<", perhaps "!" or "?", and a letter.
_EBCDIC = re.compile(rb"[\x05\x0d\x15\x25\x40]*\x4c[\x5a\x6f\x81-\xe9]?[\x81-\xe9]")
# z/OS writes code page 1047, which is 037 with three pairs of characters exchanged.
CP1047 = "cp1047"
_EBCDIC_CODECS = {"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"}
_AS_CP037 = bytes.maketrans(b"\x5f\xb0\xad\xba\xbd\xbb", b"\xb0\x5f\xba\xad\xbb\xbd")
# Python codecs that are no character sets, or read ASCII text as something else.
_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
# What writers of the left have always written in truth.
_WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "euc_jp": "euc_jis_2004",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}


def encoding_of(content: bytes) -> tuple[int, str]:
    """How many bytes the byte order mark takes, and the codec of what follows.

    Order of trust: the mark, the pattern of wide or EBCDIC text, the declaration, UTF-8. Raises LookupError with the
    declared name where it is not known.

    >>> encoding_of("<a>é</a>".encode("utf-16-be")), encoding_of(b"<?xml version='1.0' encoding='latin1'?><a/>")
    ((0, 'utf-16-be'), (0, 'iso8859-1'))
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return len(mark), encoding
    for pattern, encoding in _WIDE:
        if pattern.match(content):
            return 0, encoding
    if content.startswith(_EBCDIC_START):
        prefix = content[:_EBCDIC_PREFIX].decode("cp037").encode("ascii", "replace")
        return 0, _declared(prefix, _EBCDIC_START, "cp037")
    return 0, _declared(content, _START.encode("ascii"), "utf-8")


def _declared(content: bytes, start: bytes, otherwise: str) -> str:
    """The declared encoding, unless the bytes cannot be in it: then a database or a transfer has converted them."""
    found = _DECLARED.match(content)
    if not found:
        return otherwise
    encoding = codec_of(found[1].decode("ascii"))
    try:
        return encoding if decoded(start, encoding) == _START else otherwise
    except UnicodeDecodeError:
        return otherwise


def codec_of(name: str) -> str:
    """The codec of an encoding's name, as XML and databases write it.

    >>> codec_of("windows-1252"), codec_of("x-mac-cyrillic"), codec_of("IBM-1047")
    ('cp1252', 'mac-cyrillic', 'cp1047')
    """
    plain = re.sub("^(?:windows|ibm)-?", "cp", name.lower().removeprefix("x-"))
    if plain == CP1047:
        return CP1047
    if plain == "unicode" or plain.startswith(("ucs-", "iso-10646")):
        return "utf-16"
    for candidate in (name, plain, plain.removesuffix("-i").removesuffix("-e")):
        try:
            codec = codecs.lookup(candidate)
        except LookupError:
            continue
        if codec._is_text_encoding and codec.name.replace("_", "-") not in _NO_CHARSETS:
            return codec.name
    raise LookupError(name)


def decoded(content: bytes, encoding: str) -> str:
    """Bytes → text. Raises UnicodeDecodeError.

    >>> decoded(b"\\xad\\xf1\\xbd", "cp1047")
    '[1]'
    """
    if encoding == CP1047:
        content, encoding = content.translate(_AS_CP037), "cp037"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        if encoding not in _WIDER:
            raise
        text = content.decode(_WIDER[encoding])
    # A mainframe's lines end with U+0085.
    return text.replace("\x85", "\n") if encoding in _EBCDIC_CODECS else text


def stream_decoder(encoding: str, errors: str) -> Callable[[bytes], str]:
    """The function that decodes a long text piece by piece, as `decoded` does the whole; no bytes end it.

    >>> read = stream_decoder("utf-16-be", "replace")
    >>> read(b"\\0<\\0"), read(b"a"), read(b"\\0"), read(b"")
    ('<', 'a', '', '\ufffd')
    """
    name = "cp037" if encoding == CP1047 else _WIDER.get(encoding, encoding)
    decoder = codecs.getincrementaldecoder(name)(errors)

    def decode(piece: bytes) -> str:
        text = decoder.decode(piece.translate(_AS_CP037) if encoding == CP1047 else piece, final=not piece)
        return text.replace("\x85", "\n") if name in _EBCDIC_CODECS else text

    return decode


def looks_ebcdic(content: bytes) -> bool:
    """Whether bytes begin like XML in EBCDIC, whatever code page.

    >>> looks_ebcdic("<order>".encode("cp500")), looks_ebcdic(b"Lorem")
    (True, False)
    """
    return bool(_EBCDIC.match(content))


def likely_encoding(content: bytes, encoding: str) -> str | None:
    """Another encoding in which bytes are text that are none in `encoding`.

    >>> likely_encoding("é".encode("cp1252"), "utf-8")
    'windows-1252'
    """
    candidates = {"utf-8": ["windows-1252"], "ascii": ["utf-8", "windows-1252"]}.get(encoding, ["utf-8"])
    for candidate in candidates:
        try:
            content.decode(candidate)
        except UnicodeDecodeError:
            continue
        return None if content.isascii() else candidate
    return None
