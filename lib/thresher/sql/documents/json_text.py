"""Values as JSON text the way Jackson writes them, and JSON's values as Python's."""

import json
import re
from functools import partial
from json.encoder import encode_basestring
from typing import Any

from thresher.sql.casting.number_text import double_text
from thresher.sql.documents.json_tokens import (
    ARRAY,
    END_ARRAY,
    END_OBJECT,
    NAME,
    NULL,
    OBJECT,
    BadJson,
    Real,
    Tokens,
    Tolerance,
)

_HEX_CONTROL = re.compile("[\\x0b\\x0e\\x0f\\x1a-\\x1f]")
_NO_ASCII = re.compile(r"[^\x00-\x7f]")
_BEYOND_16_BITS = re.compile("[\ud800-\udfff\U00010000-\U0010ffff]")


def _no_constant(word: str) -> Any:
    raise ValueError(word)


# Objects become tuples of pairs, arrays lists; numbers with a fraction keep their text.
_STRICT = json.JSONDecoder(object_pairs_hook=tuple, parse_float=Real, parse_constant=_no_constant)
_WITH_CONTROLS = json.JSONDecoder(object_pairs_hook=tuple, parse_float=Real, parse_constant=_no_constant, strict=False)
_LONG_NUMBER = re.compile(r"[0-9]{900}")


def strict_value(text: str, *, with_controls: bool = False) -> Any:
    """The value of a text that is JSON by the letter: tuples of pairs, lists, str, int, Real, bool, None.

    Raises ValueError or RecursionError for any other text.

    >>> strict_value('{"a": [1, 1.50, "x"]}')
    (('a', [1, '1.50', 'x']),)
    """
    if len(text) >= 900 and _LONG_NUMBER.search(text):
        raise ValueError("a long number")
    return (_WITH_CONTROLS if with_controls else _STRICT).decode(text)


def tolerant_value(text: str, tolerance: Tolerance) -> Any:
    """The first value of the text, read as Jackson does; raises BadJson. What follows the value is not looked at."""
    try:
        return strict_value(text, with_controls=tolerance.control_characters)
    except (ValueError, RecursionError):
        tokens = Tokens(text, tolerance)
        if tokens.next() is None:
            raise BadJson("an empty text") from None
        return value_of(tokens)


def value_of(tokens: Tokens) -> Any:
    """The value that begins with the current token."""
    token = tokens.token
    if token == OBJECT:
        pairs = []
        while tokens.next() != END_OBJECT:
            name = tokens.name()
            tokens.next()
            pairs.append((name, value_of(tokens)))
        return tuple(pairs)
    if token == ARRAY:
        items = []
        while tokens.next() != END_ARRAY:
            items.append(value_of(tokens))
        return items
    return tokens.value()


def copied(value: Any, *, into_bytes: bool = True) -> str:
    """A value as the text that Jackson copies it to; into bytes it writes characters beyond 16 bits as escapes.

    >>> copied((("a", [1, Real("1.50"), "é😀", None]),))
    '{"a":[1,1.5,"é\\\\uD83D\\\\uDE00",null]}'
    """
    if isinstance(value, Real):
        return number_text(float(value))
    if isinstance(value, str):
        return _BEYOND_16_BITS.sub(_escape, quoted(value)) if into_bytes else quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, tuple):
        copy = partial(copied, into_bytes=into_bytes)
        return "{" + ",".join(f"{copy(name)}:{copy(item)}" for name, item in value) + "}"
    return "null" if value is None else "[" + ",".join(copied(item, into_bytes=into_bytes) for item in value) + "]"


def copied_tokens(tokens: Tokens) -> str:
    """The value that begins with the current token, as `copied` writes it, read to its end.

    Raises BadJson where the reading stands behind a closing bracket.
    """
    if tokens.token == NAME:
        tokens.next()
    if tokens.token in (END_OBJECT, END_ARRAY, None):
        raise BadJson("no value")
    return "null" if tokens.token == NULL else copied(value_of(tokens))


def quoted(text: str) -> str:
    """A text in quotes, with Jackson's escapes.

    >>> print(quoted('é"/\\x1f'))
    "é\\"/\\u001F"
    """
    if not _HEX_CONTROL.search(text):
        return encode_basestring(text)
    plain = [encode_basestring(part)[1:-1] for part in _HEX_CONTROL.split(text)]
    controls = [f"\\u{ord(c):04X}" for c in _HEX_CONTROL.findall(text)]
    return '"' + "".join(part + c for part, c in zip(plain, [*controls, ""], strict=True)) + '"'


def number_text(number: float) -> str:
    """A floating number; those that JSON has no word for stand in quotes."""
    text = double_text(number)
    return f'"{text}"' if text[-1] in "Ny" else text


def utf8(text: str) -> str:
    """A text as UTF-8 can hold it: a half of a character becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def only_ascii(text: str) -> str:
    """A JSON text with escapes for all other characters.

    >>> print(only_ascii('"é😀"'))
    "\\u00E9\\uD83D\\uDE00"
    """
    return text if text.isascii() else _NO_ASCII.sub(_escape, text)


def pretty(text: str) -> str:
    """A JSON text in lines, as Jackson's default printer sets them.

    >>> print(pretty('{"a":[1,{}],"b":1.50}'))
    {
      "a" : [ 1, { } ],
      "b" : 1.50
    }
    """
    return _pretty(strict_value(text), "")


def _pretty(value: Any, indent: str) -> str:
    if isinstance(value, tuple):
        fields = [f"\n{indent}  {quoted(name)} : {_pretty(item, indent + '  ')}" for name, item in value]
        return "{" + ",".join(fields) + f"\n{indent}}}" if fields else "{ }"
    if isinstance(value, list):
        return "[ " + ", ".join(_pretty(item, indent) for item in value) + " ]" if value else "[ ]"
    return str(value) if isinstance(value, Real) else copied(value, into_bytes=False)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04X}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04X}\\u{0xDC00 + (code & 0x3FF):04X}"
