"""Texts and bytes that are no XML document but hold one, or are something else: what they look like, and a way back."""

import json
import re
import sys

_MOST_LAYERS = 3
_SHOWN = 1_000
_ESCAPED = re.compile(r"&(?:amp;)*(?:lt|#60|#x3c);", re.IGNORECASE)
_QUOTED = re.compile(r'"\s*(?:<|\\u003c|\\x3c|&lt;)', re.IGNORECASE)
_LOOKS = (
    (_ESCAPED, "XML escaped as text (&lt;…); Options(unescape=True) reads it"),
    (_QUOTED, "XML quoted as a JSON or CSV text; Options(unescape=True) reads it"),
    (re.compile(r"<(?:!doctype\s+)?html\b", re.IGNORECASE), "HTML, which is not XML"),
    (re.compile(r"[\[{]"), "JSON"),
    (re.compile(r"%3C", re.IGNORECASE), "percent-encoded XML; decode the column first"),
    (re.compile(r"(?:77u/)?P[C-H][A-Za-z0-9+/=\s]{6,}$"), "XML in base64; decode the column first"),
    (re.compile(r"(?:\\x|0x)?(?:efbbbf)?3c(?:[0-9a-f]{2})+\s*$", re.IGNORECASE), "XML in hex; decode the column first"),
    (re.compile("ï»¿|ÿþ|þÿ"), "bytes that were decoded with the wrong encoding (a byte order mark became text)"),
)
_REFERENCE = re.compile("&(?:(lt|gt|amp|quot|apos)|#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6}));")
_PREDEFINED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_CONTAINERS = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"%PDF", "a PDF"),
)


def look_of(text: str) -> str:
    """What a text that is no XML looks like; empty where it is like nothing known.

    >>> look_of("&lt;p/&gt;")
    'XML escaped as text (&lt;…); Options(unescape=True) reads it'
    """
    start = text.lstrip()[:_SHOWN]
    return next((look for pattern, look in _LOOKS if pattern.match(start)), "")


def container_of(content: bytes) -> str:
    """What holds the bytes, where that is no text at all.

    >>> container_of(b"PK\\x03\\x04...")
    'a ZIP archive'
    """
    return next((name for magic, name in _CONTAINERS if content.startswith(magic)), "")


def unescaped(text: str) -> str | None:
    """The XML in a text that was escaped or quoted as a whole, up to three times; None where there is none.

    >>> unescaped('"<p k=\\\\"1\\\\"/>"'), unescaped("&amp;lt;p/&amp;gt;"), unescaped("x &lt; y")
    ('<p k="1"/>', '<p/>', None)
    """
    for _ in range(_MOST_LAYERS):
        text = text.strip()
        if _ESCAPED.match(text):
            text = _without_layer(text)
        elif _QUOTED.match(text):
            text = _unquoted(text)
        else:
            break
    return text if text.startswith("<") else None


def _without_layer(text: str) -> str:
    """One replacement for all references, so that `&amp;lt;` becomes `&lt;` and no more."""
    return _REFERENCE.sub(_character, text)


def _character(reference: re.Match[str]) -> str:
    name, decimal, hexadecimal = reference.groups()
    if name:
        return _PREDEFINED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if code <= sys.maxunicode else reference[0]


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        return text.removeprefix('"').removesuffix('"').replace('""', '"')
