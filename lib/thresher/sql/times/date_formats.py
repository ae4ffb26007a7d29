"""Spark's datetime patterns ('dd.MM.yyyy HH:mm'): which it accepts, and how DuckDB writes and reads by them.

Source: Spark SQL reference, "Datetime Patterns", and java.time.format.DateTimeFormatter, whose strict parser it uses.
"""

from dataclasses import dataclass
from typing import NoReturn

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS
from thresher.sql.expressions import Expressions, Typed

# Each letter's greatest number of repetitions in Spark; 0 where only `_EXACT` ones are known.
_MOST = dict(
    zip("yMLdEahHkKmsSqQDGFXxZz", (6, 4, 4, 2, 4, 1, 2, 2, 2, 2, 2, 2, 9, 4, 4, 3, 4, 1, 5, 5, 5, 4), strict=True)
)
_EXACT = {"O": (1, 4), "V": (2,), "v": (1, 4)}
_NOT_PARSED = "EFqQ"


MACROS["spark_in_calendar(t)"] = (
    "CASE WHEN t BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN true "
    "WHEN t IS NOT NULL THEN error('not proven equal to Spark: the text of a date outside the years 1 to 9999') END"
)


@dataclass(frozen=True)
class Token:
    """A run of one pattern letter, or (letter '') literal text."""

    letter: str
    count: int
    text: str = ""


def tokens(e: Expressions, node: exp.Expr, pattern: str, *, is_parsing: bool) -> list[Token]:
    """The parts of a pattern; an error for what Spark rejects. The brackets of optional parts are letters '[', ']'."""

    def wrong(what: str) -> NoReturn:
        e.wrong(
            node, f"the datetime pattern {pattern!r} has {what}; expected the letters of Spark's datetime patterns."
        )

    found: list[Token] = []
    rest, depth = pattern, 0
    while rest:
        first = rest[0]
        count = len(rest) - len(rest.lstrip(first))
        if first == "'":
            text, rest = _quoted(rest)
            if text is None:
                wrong("a quote that is not closed")
            found.append(Token("", 0, text))
            continue
        if first.isascii() and first.isalpha():
            if not (1 <= count <= _MOST.get(first, 0) or count in _EXACT.get(first, ())):
                wrong(f"the letters {rest[:count]}")
            if is_parsing and first in _NOT_PARSED:
                wrong(f"the letter {first}, which cannot be read")
            found.append(Token(first, count))
            rest = rest[count:]
            continue
        if first in "{}#":
            wrong(f"the character {first}")
        if first in "[]":
            depth += 1 if first == "[" else -1
            if depth < 0:
                wrong("a ] without [")
            found.append(Token(first, 1))
        else:
            found.append(Token("", 0, first))
        rest = rest[1:]
    return found + [Token("]", 1)] * depth  # Java closes what is left open


def _quoted(rest: str) -> tuple[str | None, str]:
    """The text in quotes at the start, and what follows; '' is one quote, inside and outside."""
    if rest.startswith("''"):
        return "'", rest[2:]
    text, position = "", 1
    while position < len(rest):
        if rest[position] != "'":
            text += rest[position]
        elif rest[position + 1 : position + 2] == "'":
            text += "'"
            position += 1
        else:
            return text, rest[position + 1 :]
        position += 1
    return None, ""


_PLAIN = {  # in strftime's words
    "yy": "%y", "yyyy": "%Y", "M": "%-m", "MM": "%m", "MMM": "%b", "MMMM": "%B", "d": "%-d", "dd": "%d",
    "E": "%a", "EE": "%a", "EEE": "%a", "EEEE": "%A", "a": "%p", "h": "%-I", "hh": "%I", "H": "%-H", "HH": "%H",
    "m": "%-M", "mm": "%M", "s": "%-S", "ss": "%S", "SSS": "%g", "SSSSSS": "%f", "D": "%-j", "DDD": "%j",
    "G": "AD", "GG": "AD", "GGG": "AD", "GGGG": "Anno Domini",
    "x": "+00", "xx": "+0000", "xxx": "+00:00", "xxxx": "+0000", "xxxxx": "+00:00",
    "Z": "+0000", "ZZ": "+0000", "ZZZ": "+0000", "ZZZZ": "GMT", "ZZZZZ": "Z", "O": "GMT", "OOOO": "GMT", "VV": "UTC",
    "v": "UTC", "vvvv": "Coordinated Universal Time",
    "z": "UTC", "zz": "UTC", "zzz": "UTC", "zzzz": "Coordinated Universal Time",
    "X": "Z", "XX": "Z", "XXX": "Z", "XXXX": "Z", "XXXXX": "Z", "[": "", "]": "",
}  # fmt: skip
_COMPUTED = {
    "y": "CAST(year({t}) AS VARCHAR)",
    "yyy": "lpad(CAST(year({t}) AS VARCHAR), greatest(3, length(CAST(year({t}) AS VARCHAR)))::INTEGER, '0')",
    "yyyyy": "lpad(CAST(year({t}) AS VARCHAR), 5, '0')",
    "yyyyyy": "lpad(CAST(year({t}) AS VARCHAR), 6, '0')",
    "k": "CAST((hour({t}) + 23) % 24 + 1 AS VARCHAR)",
    "kk": "lpad(CAST((hour({t}) + 23) % 24 + 1 AS VARCHAR), 2, '0')",
    "K": "CAST(hour({t}) % 12 AS VARCHAR)",
    "KK": "lpad(CAST(hour({t}) % 12 AS VARCHAR), 2, '0')",
    "Q": "CAST(quarter({t}) AS VARCHAR)",
    "QQ": "'0' || quarter({t})",
    "QQQ": "'Q' || quarter({t})",
    "QQQQ": "list_extract(['1st', '2nd', '3rd', '4th'], quarter({t})) || ' quarter'",
    "DD": "lpad(strftime({t}, '%-j'), greatest(2, length(strftime({t}, '%-j')))::INTEGER, '0')",
    "F": "CAST((day({t}) - 1) % 7 + 1 AS VARCHAR)",
}


def formatted(e: Expressions, node: exp.Expr, moment: str, pattern: str) -> Typed:
    """The text of a DuckDB TIMESTAMP (in UTC) by a pattern."""
    parts: list[str] = []
    plain = ""
    for token in tokens(e, node, pattern, is_parsing=False):
        word = token.letter.translate(_ALIKE) * token.count
        if not word:
            plain += token.text.replace("%", "%%")
        elif word in _PLAIN:
            plain += _PLAIN[word]
        else:
            parts += [_strftime(plain), _COMPUTED.get(word, f"left(strftime({{t}}, '%f') || '000', {token.count})")]
            plain = ""
    parts.append(_strftime(plain))
    joined = " || ".join(part for part in parts if part) or "''"
    return Typed(f"CASE WHEN spark_in_calendar({moment}) THEN {joined.replace('{t}', moment)} END", kinds.STRING)


def _strftime(plain: str) -> str:
    return f"strftime({{t}}, {kinds.text_literal(plain)})" if plain else ""


_ALIKE = str.maketrans("Lq", "MQ")  # the standalone forms, which are the same in English
