"""Reads a regular expression of Java's and writes it anew for two other engines.

Flags, classes and anchors are spelled out as sets of characters, so that neither engine's own idea of them matters.
"""

import re
from dataclasses import dataclass, field

from thresher.sql.texts import character_sets as sets
from thresher.sql.texts.character_sets import Ranges


class BadPattern(ValueError):
    """Java rejects the pattern."""


class Unproven(ValueError):
    """Not proven to match the same on both engines."""


@dataclass(frozen=True)
class Piece:
    """A part of the pattern for both engines, and the least number of characters that it takes."""

    python: str
    re2: str | None
    least: int
    branches: tuple[str, ...] = ()
    has_group: bool = False
    plain: str | None = None
    is_anchored: bool = False
    is_plain_group: bool = False


@dataclass(frozen=True)
class _Flags:
    ignore_case: bool = False
    dot_all: bool = False
    many_lines: bool = False
    unix_lines: bool = False


_FLAG_NAMES = {"i": "ignore_case", "s": "dot_all", "m": "many_lines", "d": "unix_lines"}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b"}
_CLASSES = {
    "d": sets.DIGITS,
    "w": sets.WORD,
    "s": sets.SPACES,
    "h": sets.HORIZONTAL,
    "v": sets.VERTICAL,
}
ASCII_WORD = "[a-zA-Z0-9_]"  # written so for word boundaries alone
_MOST = 2**31 - 1


def unquoted(pattern: str) -> str:
    r"""The pattern with \Q…\E written as escaped characters."""
    parts: list[str] = []
    place = 0
    while (start := _quote_start(pattern, place)) >= 0:
        end = pattern.find("\\E", start + 2)
        quoted = pattern[start + 2 : end if end >= 0 else len(pattern)]
        parts.append(pattern[place:start])
        parts += [f"\\x{{{ord(letter):x}}}" for letter in quoted]
        place = end + 2 if end >= 0 else len(pattern)
    return "".join(parts) + pattern[place:]


def _quote_start(pattern: str, place: int) -> int:
    while (place := pattern.find("\\", place)) >= 0:
        if pattern[place + 1 : place + 2] == "Q":
            return place
        place += 2
    return -1


@dataclass
class Reader:
    """Goes through the pattern once; its flags and counts hold for what was read so far."""

    text: str
    place: int = 0
    flags: _Flags = field(default_factory=_Flags)
    groups: int = 0
    open_groups: set[int] = field(default_factory=set)
    names: dict[str, int] = field(default_factory=dict)
    has_word_edge: bool = False
    has_end: bool = False
    has_odd_groups: bool = False
    has_place: bool = False
    has_reference: bool = False

    def whole(self) -> Piece:
        piece = self.alternatives()
        if self.place < len(self.text):
            raise BadPattern(f"the regular expression has an unmatched ) at character {self.place + 1}")
        return piece

    def peek(self, size: int = 1) -> str:
        return self.text[self.place : self.place + size]

    def take(self, size: int = 1) -> str:
        taken = self.peek(size)
        if len(taken) < size:
            raise BadPattern("the regular expression ends too early")
        self.place += size
        return taken

    def skip(self, text: str) -> bool:
        if self.text.startswith(text, self.place):
            self.place += len(text)
            return True
        return False

    def alternatives(self) -> Piece:
        branches = [self.sequence()]
        while self.skip("|"):
            branches.append(self.sequence())
        if len(branches) == 1:
            return branches[0]
        re2 = None if any(b.re2 is None for b in branches) else "|".join(str(b.re2) for b in branches)
        python = tuple(branch.python for branch in branches)
        return Piece(
            "|".join(python),
            re2,
            min(b.least for b in branches),
            python,
            has_group=any(b.has_group for b in branches),
            is_anchored=all(b.is_anchored for b in branches),
        )

    def sequence(self) -> Piece:
        pieces: list[Piece] = []
        while self.place < len(self.text) and self.peek() not in "|)":
            start = self.place
            piece = self.atom()
            if piece is not None:
                pieces.append(self.repeated(piece, self.text[start : self.place]))
        re2 = None if any(p.re2 is None for p in pieces) else "".join(str(p.re2) for p in pieces)
        return Piece(
            "".join(p.python for p in pieces),
            re2,
            min(sum(p.least for p in pieces), _MOST),
            has_group=any(p.has_group for p in pieces),
            plain=None if any(p.plain is None for p in pieces) else "".join(str(p.plain) for p in pieces),
            is_anchored=bool(pieces) and pieces[0].is_anchored,
        )

    def atom(self) -> Piece | None:
        """One atom; None for flags, which apply to what follows."""
        sign = self.take()
        if sign in "*+?":
            raise BadPattern(f"the regular expression has a dangling {sign!r}")
        if sign == "{":
            if self.text[: self.place - 1].endswith("}"):
                raise Unproven("counts behind counts in a regular expression")
            raise BadPattern("the regular expression has a { that repeats nothing")
        if sign == "(":
            return self.group()
        if sign == "[":
            return self.written(self.bracket())
        if sign == ".":
            ends = sets.characters("\n") if self.flags.unix_lines else sets.LINE_ENDS
            return self.written(sets.ALL if self.flags.dot_all else sets.others(ends))
        self.has_place |= sign in "^$"
        if sign == "^":
            return self.caret()
        if sign == "$":
            return self.dollar(many=self.flags.many_lines)
        if sign == "\\":
            return self.escape()
        return self.written(((ord(sign), ord(sign)),))

    def written(self, ranges: Ranges) -> Piece:
        """One character out of a set."""
        if self.flags.ignore_case and _is_single(ranges):
            ranges = sets.either_case(ranges)
        plain = chr(ranges[0][0]) if _is_single(ranges) else None
        return Piece(_python_class(ranges), re2_class(ranges), 1, plain=plain)

    def caret(self) -> Piece:
        if not self.flags.many_lines:
            return Piece(r"\A", r"\A", 0, is_anchored=True)
        if self.flags.unix_lines:
            return Piece(r"(?:(?:\A|(?<=\n))(?!\Z))", None, 0)
        return Piece(r"(?:(?:\A|(?<=[\n\x85\u2028\u2029])|(?<=\r)(?!\n))(?!\Z))", None, 0)

    def dollar(self, *, many: bool) -> Piece:
        if self.flags.unix_lines:
            return Piece(r"(?=\n)|\Z".join(("(?:", ")")) if many else r"(?=\n?\Z)", None, 0)
        if many:
            return Piece(r"(?:(?=[\r\x85\u2028\u2029])|(?<!\r)(?=\n)|\Z)", None, 0)
        python = r"(?:(?=(?:\r\n|[\r\x85\u2028\u2029])?\Z)|(?<!\r)(?=\n\Z))"
        self.has_end = True  # RE2 cannot look ahead; its form is for texts without line ends
        return Piece(python, r"\z", 0)

    def escape(self) -> Piece:
        sign = self.take()
        self.has_place |= sign in "bBAzZ"
        if sign in "bB":
            if self.skip("{"):
                raise Unproven(rf"\{sign}{{…}} in a regular expression")
            self.has_word_edge = True
            inside = f"(?:(?<={ASCII_WORD})(?!{ASCII_WORD})|(?<!{ASCII_WORD})(?={ASCII_WORD}))"
            return Piece(inside if sign == "b" else f"(?!{inside})", f"\\{sign}", 0)
        if sign == "A":
            return Piece(r"\A", r"\A", 0, is_anchored=True)
        if sign == "z":
            return Piece(r"\Z", r"\z", 0)
        if sign == "Z":
            return self.dollar(many=False)
        if sign == "R":
            ends = _python_class(sets.VERTICAL)
            return Piece(f"(?:\r\n|{ends})", f"(?:\\r\\n|{re2_class(sets.VERTICAL)})", 1)
        if sign in "123456789":
            return self.reference(sign)
        if sign == "k":
            return self.named_reference()
        if sign in "GXN":
            raise Unproven(rf"\{sign} in a regular expression")
        self.place -= 1
        ranges = self.escaped()
        return self.written(ranges)

    def reference(self, digits: str) -> Piece:
        while self.peek().isdigit() and self.peek().isascii() and int(digits + self.peek()) <= self.groups:
            digits += self.take()
        return self.back_to(int(digits))

    def named_reference(self) -> Piece:
        if not self.skip("<"):
            raise BadPattern("the regular expression has \\k without <name>")
        end = self.text.find(">", self.place)
        name = self.text[self.place : end]
        if end < 0 or name not in self.names:
            raise BadPattern(f"the regular expression has no group {name!r} before \\k")
        self.place = end + 1
        return self.back_to(self.names[name])

    def back_to(self, group: int) -> Piece:
        if group > self.groups or group in self.open_groups:
            raise Unproven(f"\\{group} before the end of its group in a regular expression")
        if self.flags.ignore_case:
            raise Unproven(f"\\{group} with (?i) in a regular expression")
        self.has_reference = True
        return Piece(f"(?:\\{group})", None, 0)

    def escaped(self) -> Ranges:
        """The characters of an escape behind its backslash, outside and inside of brackets."""
        sign = self.take()
        if sign in _CONTROLS:
            return sets.characters(_CONTROLS[sign])
        if sign.lower() in _CLASSES:
            ranges = _CLASSES[sign.lower()]
            return sets.others(ranges) if sign.isupper() else ranges
        if sign in "pP":
            ranges = self.property()
            return sets.others(ranges) if sign == "P" else ranges
        if sign in "0xuc":
            code = {"0": self.octal, "x": self.hexadecimal, "u": self.unit, "c": self.control}[sign]()
            return ((code, code),)
        if sign.isascii() and sign.isalpha():
            raise BadPattern(f"the regular expression has the unknown escape \\{sign}")
        if sign.isascii() and sign.isdigit():
            raise BadPattern(f"the regular expression has \\{sign} within brackets")
        return ((ord(sign), ord(sign)),)

    def octal(self) -> int:
        found = re.compile("[0-3][0-7]{2}|[0-7]{1,2}").match(self.text, self.place)
        if found is None:
            raise BadPattern("the regular expression has \\0 without octal digits")
        self.place = found.end()
        return int(found[0], 8)

    def hexadecimal(self) -> int:
        found = re.compile(r"([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\}").match(self.text, self.place)
        if found is None or int(found[1] or found[2], 16) > sets.LAST:
            raise BadPattern("the regular expression has \\x without a code point")
        self.place = found.end()
        return int(found[1] or found[2], 16)

    def unit(self) -> int:
        found = re.compile("[0-9A-Fa-f]{4}").match(self.text, self.place)
        if found is None:
            raise BadPattern("the regular expression has \\u without four digits")
        self.place = found.end()
        code = int(found[0], 16)
        if 0xD800 <= code < 0xE000:
            raise Unproven("half a character in a regular expression")
        return code

    def control(self) -> int:
        return ord(self.take()) ^ 64

    def property(self) -> Ranges:
        name = self.take()
        if name == "{":
            end = self.text.find("}", self.place)
            if end < 0:
                raise BadPattern("the regular expression has \\p{ without }")
            name, self.place = self.text[self.place : end], end + 1
        plain = name
        if name in sets.POSIX:
            if self.flags.ignore_case and name in ("Lower", "Upper"):
                raise Unproven(f"\\p{{{name}}} with (?i) in a regular expression")
            return sets.POSIX[name]
        for start in ("Is", "general_category=", "gc="):
            plain = plain.removeprefix(start)
        if plain in sets.CATEGORIES:
            if self.flags.ignore_case and plain in ("Lu", "Ll", "Lt"):
                raise Unproven(f"\\p{{{name}}} with (?i) in a regular expression")
            return sets.category(plain)
        raise Unproven(f"\\p{{{name}}} in a regular expression")

    def bracket(self) -> Ranges:
        """A class behind its opening bracket."""
        is_negated = self.skip("^")
        ranges = self.members()
        return sets.others(ranges) if is_negated else ranges

    def members(self) -> Ranges:
        """What stands in a class, up to its closing bracket."""
        found: list[Ranges] = []
        is_first = True
        while True:
            if self.place >= len(self.text):
                raise BadPattern("the regular expression has a [ without ]")
            if self.peek() == "]" and not is_first:
                self.place += 1
                return sets.unite(found)
            if self.skip("&&"):
                return self.intersection(sets.unite(found), is_first)
            if self.skip("["):
                found.append(self.bracket())
            else:
                found.append(self.member())
            is_first = False

    def intersection(self, left: Ranges, is_first: bool) -> Ranges:
        """What a class and those behind && have in common: classes in brackets, or plain members as the last."""
        if is_first or self.peek() in ("]", "&", ""):
            raise Unproven("&& without both sides in a regular expression")
        if not self.skip("["):
            return sets.common(left, self.last_members())
        left = sets.common(left, self.bracket())
        if self.skip("&&"):
            return self.intersection(left, is_first=False)
        if not self.skip("]"):
            raise Unproven("members behind &&[…] in a regular expression")
        return left

    def last_members(self) -> Ranges:
        found: list[Ranges] = []
        while not self.skip("]"):
            if self.peek() == "[" or self.peek(2) == "&&":
                raise Unproven("more than one class behind && in a regular expression")
            found.append(self.member())
        return sets.unite(found)

    def member(self) -> Ranges:
        """A character, a range or an escape within a class."""
        first = self.one()
        if self.peek() != "-" or self.peek(2) in ("-[", "-]") or not _is_single(first):
            return self.cased(first)
        self.place += 1
        last = self.one()
        if not _is_single(last):
            raise BadPattern("the regular expression has a range that ends in a class")
        if last[0][0] < first[0][0]:
            raise BadPattern("the regular expression has a range that runs backwards")
        return self.cased(((first[0][0], last[0][0]),))

    def one(self) -> Ranges:
        sign = self.take()
        if sign == "\\":
            return self.escaped()
        return ((ord(sign), ord(sign)),)

    def cased(self, ranges: Ranges) -> Ranges:
        return sets.either_case(ranges) if self.flags.ignore_case and len(ranges) == 1 else ranges

    def group(self) -> Piece | None:
        before = self.flags
        if not self.skip("?"):
            return self.captured(before)
        if self.skip("<"):
            if self.peek() in ("=", "!"):
                return self.look_behind(before, self.take())
            end = self.text.find(">", self.place)
            name = self.text[self.place : end]
            if end < 0 or not re.fullmatch("[A-Za-z][A-Za-z0-9]*", name) or name in self.names:
                raise BadPattern(f"the regular expression has the group name {name!r}")
            self.place = end + 1
            return self.captured(before, name)
        if self.peek() in ("=", "!", ">"):
            sign = self.take()
            inner = self.closed(before)
            self.has_odd_groups |= sign == "!" and inner.has_group
            return Piece(f"(?{sign}{inner.python})", None, inner.least * (sign == ">"), has_group=inner.has_group)
        if not self.set_flags():
            return None
        inner = self.closed(before)
        re2 = None if inner.re2 is None else f"(?:{inner.re2})"
        return Piece(f"(?:{inner.python})", re2, inner.least, has_group=inner.has_group, is_anchored=inner.is_anchored)

    def captured(self, before: _Flags, name: str = "") -> Piece:
        self.groups += 1
        number = self.groups
        self.open_groups.add(number)
        if name:
            self.names[name] = number
        inner = self.closed(before)
        self.open_groups.discard(number)
        re2 = None if inner.re2 is None else f"({inner.re2})"
        return Piece(
            f"({inner.python})",
            re2,
            inner.least,
            has_group=True,
            is_anchored=inner.is_anchored,
            is_plain_group=not inner.has_group,
        )

    def closed(self, before: _Flags) -> Piece:
        """What stands in a group, up to its closing parenthesis; flags set within it end with it."""
        inner = self.alternatives()
        if not self.skip(")"):
            raise BadPattern("the regular expression has a ( without )")
        self.flags = before
        return inner

    def look_behind(self, before: _Flags, sign: str) -> Piece:
        inner = self.closed(before)
        if inner.has_group:
            raise Unproven("a group within a look-behind of a regular expression")
        branches = inner.branches or (inner.python,)  # Python wants each of one width
        if sign == "!":
            return Piece("".join(f"(?<!{branch})" for branch in branches), None, 0)
        return Piece("(?:" + "|".join(f"(?<={branch})" for branch in branches) + ")", None, 0)

    def set_flags(self) -> bool:
        """Flags behind (?; whether a group follows them."""
        is_on = True
        while True:
            sign = self.take()
            if sign == "-" and is_on:
                is_on = False
            elif sign in _FLAG_NAMES:
                self.flags = _Flags(**{**vars(self.flags), _FLAG_NAMES[sign]: is_on})
            elif sign in ":)":
                return sign == ":"
            elif sign in "xuU":
                raise Unproven(f"(?{sign}) in a regular expression")
            else:
                raise BadPattern(f"the regular expression has the unknown (?{sign}")

    def repeated(self, piece: Piece, written: str) -> Piece:
        sign = self.peek()
        if sign in ("*", "+", "?"):
            self.place += 1
            least, most = {"*": (0, _MOST), "+": (1, _MOST), "?": (0, 1)}[sign]
        elif sign == "{":
            least, most = self.counts()
            sign = f"{{{least}}}" if least == most else f"{{{least},{'' if most == _MOST else most}}}"
        else:
            return piece
        if piece.least == 0 and piece.has_group and most > 1:
            raise Unproven("a repeated group that may be empty in a regular expression")
        if "\\R" in written:
            raise Unproven("a repeated \\R in a regular expression")
        mode = self.take() if self.peek() in ("?", "+") else ""
        if piece.has_group and (mode or (most > 1 and not piece.is_plain_group)):
            self.has_odd_groups = True  # Java does not forget what such groups found on wrong ways
        is_big = most > 1000 and most != _MOST or least > 1000
        re2 = None if mode == "+" or is_big or piece.re2 is None else f"(?:{piece.re2}){sign}{mode}"
        if piece.least == 0 and most > 1:
            re2 = None
        python = f"(?:{piece.python}){sign}{mode}"
        return Piece(python, re2, min(piece.least * least, _MOST), has_group=piece.has_group)

    def counts(self) -> tuple[int, int]:
        found = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}").match(self.text, self.place)
        if found is None or (found[3] and not found[2]):
            raise BadPattern("the regular expression has a { without counts")
        least = int(found[1])
        most = int(found[3]) if found[3] else _MOST if found[2] else least
        if most < least or (most > _MOST or least > _MOST):
            raise BadPattern("the regular expression has counts out of order")
        self.place = found.end()
        return least, most


def _is_single(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def _python_class(ranges: Ranges) -> str:
    return _class_text(ranges, "\\U{:08x}") if ranges else "(?!)"


def re2_class(ranges: Ranges) -> str:
    return _class_text(ranges, "\\x{{{:X}}}") if ranges else "[^\\x{0}-\\x{10FFFF}]"


def _class_text(ranges: Ranges, form: str) -> str:
    def letter(code: int) -> str:
        return chr(code) if code < 128 and chr(code).isalnum() else form.format(code)

    if _is_single(ranges):
        return letter(ranges[0][0])
    parts = [letter(a) if a == b else f"{letter(a)}-{letter(b)}" for a, b in ranges]
    return f"[{''.join(parts)}]"
