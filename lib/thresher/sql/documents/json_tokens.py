"""JSON read token by token as Jackson's parser reads it, which Spark uses: what it tolerates, and where it stands after
an error.

Spark catches errors within a field and reads on, so that the place behind an error decides what the rest of a broken
document gives. Source: Jackson 2.21, `ReaderBasedJsonParser`.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from thresher.sql.documents.unproven import Unproven

# The tokens.
NAME, TEXT, INTEGER, REAL, TRUE, FALSE, NULL = "name", "text", "integer", "real", "true", "false", "null"
OBJECT, ARRAY, END_OBJECT, END_ARRAY = "{", "[", "}", "]"

DEEPEST, LONGEST_NUMBER = 900, 900  # Jackson's own limits are 1000; near them nothing is proven

_SPACES = " \t\r\n"
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "/": "/", "\\": "\\"}
_WORDS = {"t": ("true", TRUE), "f": ("false", FALSE), "n": ("null", NULL)}
_PLAIN_TEXT = {'"': re.compile(r'[^"\\\x00-\x1f]*'), "'": re.compile(r"[^'\\\x00-\x1f]*")}
_HEX = re.compile(r"[0-9a-fA-F]")
_DIGITS = re.compile(r"[0-9]*")
_NUMBER_TAIL = re.compile(r"(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?")
_LINE_END = re.compile(r"[\r\n]")


class BadJson(ValueError):
    """The text is no JSON, or not of the wanted type."""


class Real(str):
    """A number with a fraction or an exponent, as it is written."""

    __slots__ = ()


@dataclass(frozen=True)
class Tolerance:
    """What a reader lets pass beyond JSON (Spark's options of these names)."""

    comments: bool = False
    unquoted_names: bool = False
    single_quotes: bool = True
    leading_zeros: bool = False
    special_numbers: bool = True
    any_escape: bool = False
    control_characters: bool = False


@dataclass
class _Context:
    kind: str  # OBJECT, ARRAY or "" for the root
    name: str | None = None
    index: int = -1


@dataclass
class Tokens:
    """Reads one document; `next` gives one token after the other, None at the end."""

    text: str
    tolerance: Tolerance
    at: int = 0
    token: str | None = None
    is_open: bool = False  # the token is a text of which only the opening quote is read
    ahead: str | None = None  # the value behind a name is looked at together with the name
    scalar: Any = None
    contexts: list[_Context] = field(default_factory=lambda: [_Context("")])

    def next(self) -> str | None:
        """Go to the next token. Raises BadJson; the next call then goes on behind what was wrong."""
        if self.token == NAME:
            return self._after_name()
        if self.is_open:
            self._finish()
        c = self._skip_space(may_end=len(self.contexts) == 1)
        if not c:
            self.token = None
            return None
        context = self.contexts[-1]
        if c in "]}":
            if context.kind != (ARRAY if c == "]" else OBJECT):
                self._bad("a closing bracket without an opening one")
            self.contexts.pop()
            self.token = c
            return c
        context.index += 1
        if context.kind and context.index > 0:
            if c != ",":
                self._bad("no comma")
            c = self._skip_space()
        if context.kind == OBJECT:
            context.name = self._name(c)
            self.token = NAME
            if self._skip_space() != ":":
                self._bad("no colon")
            self.ahead = self._value(self._skip_space())
            return NAME
        token = self._value(c)
        if token in (OBJECT, ARRAY):
            self._enter(token)
        self.token = token
        return token

    def skip_children(self) -> None:
        """From the beginning of an object or array to its end."""
        depth = 1 if self.token in (OBJECT, ARRAY) else 0
        while depth:
            token = self.next()
            if token is None:
                if len(self.contexts) > 1:
                    self._bad("the end of the text")
                return
            depth += (token in (OBJECT, ARRAY)) - (token in (END_OBJECT, END_ARRAY))

    def name(self) -> str | None:
        """The name of the field that the token belongs to."""
        if self.token in (OBJECT, ARRAY):
            return self.contexts[-2].name
        return self.contexts[-1].name

    def value(self) -> Any:
        """The value of a token that is a scalar: str, int, Real, float (NaN, infinite), bool."""
        if self.is_open:
            self.scalar = self._finish()
        return self.scalar

    def _after_name(self) -> str | None:
        self.token, self.ahead = self.ahead, None
        if self.token in (OBJECT, ARRAY):
            self._enter(self.token)
        return self.token

    def _enter(self, kind: str) -> None:
        if len(self.contexts) > DEEPEST:
            raise Unproven("JSON as deep as this")
        self.contexts.append(_Context(kind))

    def _bad(self, what: str) -> NoReturn:
        raise BadJson(f"no JSON: {what} before character {self.at + 1}")

    def _take(self) -> str:
        """The next character; the end of the text is an error."""
        if self.at >= len(self.text):
            self._bad("the end of the text")
        self.at += 1
        return self.text[self.at - 1]

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _skip_space(self, *, may_end: bool = False) -> str:
        """The first character behind white space and comments; '' at the end where the text may end."""
        while self.at < len(self.text):
            c = self._take()
            if c == "/":
                self._skip_comment()
            elif c > " ":
                return c
            elif c not in _SPACES:
                self._bad("a control character")
        return "" if may_end else self._take()

    def _skip_comment(self) -> None:
        if not self.tolerance.comments:
            self._bad("a comment")
        kind = self._take()
        if kind not in "/*":
            self._bad("a slash")
        if kind == "/":
            found = _LINE_END.search(self.text, self.at)
            self.at = found.end() if found else len(self.text)
            return
        end = self.text.find("*/", self.at)
        self.at = len(self.text) if end < 0 else end + 2
        if end < 0:
            self._bad("the end of the text in a comment")

    def _name(self, c: str) -> str:
        if c == '"' or c == "'" and self.tolerance.single_quotes:
            return self._quoted(c)
        if not self.tolerance.unquoted_names or not _is_name_part(c):
            self._bad("a name without quotes")
        start = self.at - 1
        while _is_name_part(self._peek()):
            self.at += 1
        return self.text[start : self.at]

    def _finish(self) -> str:
        self.is_open = False
        return self._quoted('"')

    def _quoted(self, quote: str) -> str:
        """The text up to the closing quote."""
        parts = []
        while True:
            plain = _PLAIN_TEXT[quote].match(self.text, self.at)
            assert plain
            parts.append(plain[0])
            self.at = plain.end()
            c = self._take()
            if c == quote:
                return _joined(parts)
            if c == "\\":
                parts.append(self._escaped())
            elif self.tolerance.control_characters:
                parts.append(c)
            else:
                self._bad("a control character in a text")

    def _escaped(self) -> str:
        c = self._take()
        if c == "u":
            digits = ""
            for _ in range(4):
                digit = self._take()
                if not _HEX.match(digit):
                    self._bad("an escape without four digits")
                digits += digit
            return chr(int(digits, 16))
        if c in _ESCAPES:
            return _ESCAPES[c]
        if self.tolerance.any_escape or c == "'" and self.tolerance.single_quotes:
            return c
        self._bad("an unknown escape")

    def _value(self, c: str) -> str:
        """The token that a value's first character begins."""
        if c == '"':
            self.is_open = True
            return TEXT
        if c in (OBJECT, ARRAY):
            return c
        if c in _WORDS:
            word, token = _WORDS[c]
            self._match(word, 1)
            self.scalar = {TRUE: True, FALSE: False, NULL: None}[token]
            return token
        if c == "-" or "0" <= c <= "9":
            return self._number(c)
        return self._odd(c)

    def _odd(self, c: str) -> str:
        if c == "'" and self.tolerance.single_quotes:
            self.scalar = self._quoted("'")
            return TEXT
        if c in "NI":
            word = "NaN" if c == "N" else "Infinity"
            self._match(word, 1)
            return self._special(float(word))
        if c == "+":
            return self._signed("+", self._take())
        if c == "_" or c == "$" or c.isidentifier():
            self._bad_word()
        self._bad(f"{c!r} where a value should be")

    def _special(self, number: float) -> str:
        if not self.tolerance.special_numbers:
            self._bad("a number that is none")
        self.scalar = number
        return REAL

    def _signed(self, sign: str, c: str) -> str:
        """What follows a sign and is no digit: -INF or -Infinity."""
        if c == "I":
            second = self._take()
            if second in "Nn":
                self._match(sign + ("INF" if second == "N" else "Infinity"), 3)
                return self._special(float(sign + "inf"))
        self._bad("a sign without a number")

    def _match(self, word: str, done: int) -> None:
        for c in word[done:]:
            if self._peek() != c:
                self._bad_word()
            self.at += 1
        after = self._peek()
        if after >= "0" and after not in "]}" and _is_identifier_part(after):
            self._bad_word()

    def _bad_word(self) -> NoReturn:
        start = self.at
        while self.at - start < 256 and _is_identifier_part(self._peek()):
            self.at += 1
        self._bad("an unknown word")

    def _number(self, c: str) -> str:
        start = self.at - 1
        if c == "-":
            c = self._take()
            if not "0" <= c <= "9":
                return self._signed("-", c)
        end = _DIGITS.match(self.text, self.at).end()  # type: ignore[union-attr]
        is_slow = c == "0" or self._reaches_end(end)
        if c == "0" and end > self.at and not self.tolerance.leading_zeros:
            self._bad("a leading zero")
        token = INTEGER
        mark = self.text[end : end + 1]
        self.at = end
        if mark == ".":
            token = REAL
            end = self._some_digits(end + 1, end + 1, is_slow=is_slow)
            mark = self.text[end : end + 1]
        if mark and mark in "eE":
            first = end + 1 if token == INTEGER else self.at
            token = REAL
            signed = end + 1 + (self.text[end + 1 : end + 2] in ("+", "-"))
            end = self._some_digits(signed, first, is_slow=is_slow)
        self.at = end
        if len(self.contexts) == 1 and self._peek() not in ("", *_SPACES):
            self.at += 1
            self._bad("something behind a number")
        return self._counted(token, self.text[start:end])

    def _counted(self, token: str, digits: str) -> str:
        if len(digits) > LONGEST_NUMBER:
            raise Unproven("a JSON number as long as this")
        self.scalar = int(digits) if token == INTEGER else Real(digits)
        return token

    def _reaches_end(self, end: int) -> bool:
        """Numbers at the very end of the text are read again by Jackson's slow way."""
        found = _NUMBER_TAIL.match(self.text, end)
        return found is not None and found.end() == len(self.text)

    def _some_digits(self, start: int, after_error: int, *, is_slow: bool) -> int:
        """The end of one or more digits; Jackson's fast way stays behind the point or e where there are none."""
        end = _DIGITS.match(self.text, start).end()  # type: ignore[union-attr]
        if end == start:
            self.at = min(start + 1, len(self.text)) if is_slow else after_error
            self._bad("a number without digits")
        self.at = after_error
        return end


def _is_identifier_part(c: str) -> bool:
    """Whether Java takes the character for a part of a name."""
    return bool(c) and (c.isalnum() or c in "_$" or ("a" + c).isidentifier() or "\x00" <= c <= "\x08" or c == "\x7f")


def _is_name_part(c: str) -> bool:
    return bool(c) and (c in "@#*-+" or _is_identifier_part(c))


def _joined(parts: list[str]) -> str:
    """The parts of a text, with halves of a character beyond 16 bits brought together."""
    text = "".join(parts)
    if any("\ud800" <= c <= "\udfff" for part in parts if len(part) == 1 for c in part):
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return text
