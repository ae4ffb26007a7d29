"""Java's regular expressions for RE2 (DuckDB's engine) and for Python's `re`, and the matches that Java finds.

RE2 gets what it can do; look-around, back-references, atomic groups and possessive quantifiers are left to Python,
which tries alternatives in the same order as Java. What Java rejects raises `BadPattern`, what is not proven equal
`Unproven`.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from thresher.sql.texts import character_sets as sets
from thresher.sql.texts.pattern_reader import ASCII_WORD, BadPattern, Reader, Unproven, re2_class, unquoted

__all__ = ["BadPattern", "Pattern", "Unproven", "translate"]


@dataclass(frozen=True)
class Pattern:
    """A pattern for both engines.

    `re2` is None where only Python's engine will do; it holds for texts without a character of the class `doubtful`.
    `plain` is the text that the pattern stands for if it is nothing but characters. With `has_odd_groups` only the
    whole match is the same as Java's, not what its groups found; with `has_place` a match depends on its surroundings.
    """

    python: re.Pattern[str]
    re2: str | None
    doubtful: str
    plain: str | None
    groups: int
    names: dict[str, int]
    may_be_empty: bool
    is_anchored: bool
    has_word_edge: bool
    has_odd_groups: bool
    has_place: bool

    def finds(self, text: str) -> Iterator[re.Match[str]]:
        """The matches one after the other, as Java's Matcher.find gives them."""
        if self.has_word_edge and not text.isascii():
            self._check_words(text)
        return self._finds_with_empty(text) if self.may_be_empty else self.python.finditer(text)

    def _finds_with_empty(self, text: str) -> Iterator[re.Match[str]]:
        if not self.is_anchored and any(letter > "\uffff" for letter in text):
            self._check_halves(text)
        start = 0
        while start <= len(text) and (match := self.python.search(text, start)):
            yield match
            start = match.end() + (match.end() == match.start())

    def _check_words(self, text: str) -> None:
        """Up to Java 18 letters and digits beyond ASCII make words too; both ways must find the same."""
        both = re.compile(self.python.pattern.replace(ASCII_WORD, r"\w"))
        is_known = all(letter <= "\x7f" or unicodedata.category(letter)[0] not in "MN" for letter in text)
        if not is_known or _places(both, text) != _places(self.python, text):
            raise Unproven(f"a word boundary (\\b) in {text!r}, whose meaning depends on the version of Java")

    def _check_halves(self, text: str) -> None:
        """A character beyond the BMP is two for Java, and an empty match may lie between them."""
        for place, letter in enumerate(text):
            if letter > "\uffff" and self.python.match(f"{text[:place]}\ud800\udc00{text[place + 1 :]}", place + 1):
                raise Unproven(f"an empty match within {letter!r}, which Java would cut in two")


def _places(pattern: re.Pattern[str], text: str) -> list[tuple[tuple[int, int], ...]]:
    return [match.regs for match in pattern.finditer(text)]


@lru_cache(maxsize=512)
def translate(pattern: str) -> Pattern:
    """Read a pattern of Java's; raises BadPattern or Unproven."""
    reader = Reader(unquoted(pattern))
    piece = reader.whole()
    if reader.has_reference and reader.has_odd_groups:
        raise Unproven("a reference beside repeated groups in a regular expression")
    try:
        python = re.compile(piece.python)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unproven(f"this regular expression ({error})") from None
    re2 = piece.re2 if len(piece.re2 or "") < 4000 else None
    doubtful = re2_class(sets.LINE_ENDS) if reader.has_end else ""
    if reader.has_word_edge:
        doubtful = "[^\\x{0}-\\x{7F}]" if not doubtful else f"(?:{doubtful}|[^\\x{{0}}-\\x{{7F}}])"
    return Pattern(
        python,
        re2 if (re2 or "").count(r"\z") < 2 else None,  # RE2 finds nothing by \z\z
        doubtful,
        piece.plain,
        reader.groups,
        reader.names,
        may_be_empty=piece.least == 0,
        is_anchored=piece.is_anchored,
        has_word_edge=reader.has_word_edge,
        has_odd_groups=reader.has_odd_groups,
        has_place=reader.has_place,
    )
