"""The ways in which a secret may be written, and how they are found in a text and replaced.

Some forms stand in a text as they are: what JSON, Python, HTML, addresses and base64 make of a secret. Others are
looked for in the text's fold, which has no case and nothing that may stand between two characters: so one form, such as
the secret's bytes in hex, is found in `68:75:6E`, `68 75 6e`, `%68%75%6e` and `"68", "75", "6e"` alike.
"""

import base64
import html
import json
import re
import string
from collections.abc import Iterable, Iterator
from functools import cached_property
from urllib.parse import quote, quote_plus

_SHORTEST = 4
_SHORTEST_LINE = 16  # of a secret with many lines, as keys are, each such line is one too
_SHORTEST_BASE64 = 6  # a shorter piece stands by chance in an image
# Of the value of a secret, by what it is made of: a shorter one stands by chance in a text without its spaces.
_SHORTEST_FOLDED, _SHORTEST_WORD, _SHORTEST_NUMBER = 6, 8, 16
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_BETWEEN = " \t\r\n\v\f\0,:;-_.'\"\\&#%+|"
_LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())


def fold(text: str) -> bytes:
    """A text without case, and without what may stand between its characters.

    >>> fold("'H', 'u', 'n'")
    b'hun'
    """
    if not text.isascii():
        text = text.translate(dict.fromkeys(map(ord, _INVISIBLE)))
    return text.encode("utf-8", "replace").translate(_LOWER, _BETWEEN.encode())


class Forms:
    """A secret in all its forms. `names` are those of all secrets: references hold them, and are no leak."""

    def __init__(self, value: str, names: Iterable[str]) -> None:
        whole = {value, value.strip()}
        lines = {line for line in value.splitlines() if len(line) >= _SHORTEST_LINE}
        plain = {
            form for text in whole | lines for form in (*_written(text), *_base64(text.encode("utf-8", "replace")))
        }
        folded = {form for text in whole for form in _folded(text)}
        references = fold(" ".join(f"[secret {name}]" for name in names))
        self._plain = sorted((form for form in plain if len(form) >= _SHORTEST), key=lambda form: (-len(form), form))
        self._folded = sorted(form for form in folded if form not in references)
        # Where one form is part of another, the shorter tells of both.
        self._telling = [
            form for form in self._plain if not any(other in form for other in self._plain if other != form)
        ]

    def are_in(self, text: str, folded: bytes) -> bool:
        """Whether a text, whose fold is given, holds the secret in some form."""
        return any(form in text for form in self._telling) or any(form in folded for form in self._folded)

    def replaced(self, text: str, replacement: str) -> str:
        """A text with a replacement for the secret, in whatever form."""
        text = self._pattern.sub(lambda _: replacement, text)
        folded = fold(text)
        for form in self._folded:
            if form in folded:
                text = _spread(form).sub(lambda _: replacement, text)
        return text

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._plain)))


def _spread(form: bytes) -> re.Pattern[str]:
    """What finds, in a text, a form that is in its fold."""
    between = f"[{re.escape(_BETWEEN + _INVISIBLE)}]*"
    return re.compile(between.join(map(re.escape, form.decode("utf-8", "replace"))), re.IGNORECASE)


def _folded(text: str) -> Iterator[bytes]:
    """The forms of a secret that are looked for in the fold of a text."""
    # The fold has no case of ASCII's letters only.
    for form in map(fold, {text, text.upper(), text.lower(), text.swapcase(), text[::-1]}):
        shortest = _SHORTEST_WORD if form.isalpha() else _SHORTEST_NUMBER if form.isdigit() else _SHORTEST_FOLDED
        if len(form) >= shortest:
            yield form
    if len(text) < _SHORTEST_FOLDED:
        return
    points, data = [ord(character) for character in text], text.encode("utf-8", "replace")
    units = [int.from_bytes(pair) for pair in re.findall(rb"(?s)..", text.encode("utf-16-be", "replace"))]
    yield from (data.hex().encode(), "".join(f"{byte:03o}" for byte in data).encode())
    for values in (points, data):
        yield "".join(map(str, values)).encode()
        yield from ("".join(f"{sign}{value:02x}" for value in values).encode() for sign in ("x", "0x"))
    yield "".join(f"u{unit:04x}" for unit in units).encode()
    yield from (nul.join(map(fold, text)) for nul in (b"x00", b"u0000"))  # as UTF-16 is written


def _written(text: str) -> Iterator[str]:
    yield text
    for is_ascii in (True, False):
        escaped = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        yield escaped
        yield json.dumps(escaped, ensure_ascii=is_ascii)[1:-1]  # JSON in JSON, as a notebook's file holds it
    for quoted in (repr(text), ascii(text)):
        yield quoted[1:-1]
    yield re.escape(text)
    for escaped in (html.escape(text), html.escape(text, quote=False)):
        yield escaped
        yield escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    for quoting in (quote, quote_plus):
        address = quoting(text, safe="", errors="replace")
        yield address
        yield address.replace("%2F", "/")
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), address)
    data = text.encode("utf-8", "replace")
    yield data.hex()
    yield data.hex().upper()


def _base64(data: bytes) -> Iterator[str]:
    """The base64 of the bytes alone, and what is the same of it wherever they stand in longer ones."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(data).decode()
        yield alone
        yield alone.rstrip("=") if len(alone.rstrip("=")) >= _SHORTEST_BASE64 else alone
        for offset in range(3):
            bits = 8 * offset, 8 * (offset + len(data))
            inner = encode(bytes(offset) + data).decode()[-(-bits[0] // 6) : bits[1] // 6]
            if len(inner) >= _SHORTEST_BASE64:
                yield inner
