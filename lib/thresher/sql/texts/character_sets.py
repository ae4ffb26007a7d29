"""Sets of characters, as sorted ranges of code points, for the classes of regular expressions."""

import unicodedata
from functools import cache, reduce

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
ALL: Ranges = ((0, LAST),)


def characters(text: str) -> Ranges:
    """The set of the characters in a text; two of them with a hyphen between are a range.

    >>> characters("a-c_")
    ((95, 95), (97, 99))
    """
    found, place = [], 0
    while place < len(text):
        is_range = text[place + 1 : place + 2] == "-" and place + 2 < len(text)
        found.append((ord(text[place]), ord(text[place + 2 if is_range else place])))
        place += 3 if is_range else 1
    return merged(found)


def merged(ranges: list[tuple[int, int]]) -> Ranges:
    """The same characters in sorted ranges that do not touch."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return tuple(result)


def union(*sets: Ranges) -> Ranges:
    return merged([part for ranges in sets for part in ranges])


def others(ranges: Ranges) -> Ranges:
    """All characters but these."""
    result, start = [], 0
    for first, last in ranges:
        if first > start:
            result.append((start, first - 1))
        start = last + 1
    return (*result, (start, LAST)) if start <= LAST else tuple(result)


def common(left: Ranges, right: Ranges) -> Ranges:
    return others(union(others(left), others(right)))


def either_case(ranges: Ranges) -> Ranges:
    """These and the other case of the ASCII letters among them."""
    moved = []
    for letters, step in ((characters("a-z"), -32), (characters("A-Z"), 32)):
        moved += [(first + step, last + step) for first, last in common(ranges, letters)]
    return union(ranges, tuple(moved))


@cache
def category(name: str) -> Ranges:
    """The characters of a general category such as Lu, or of a group of them such as L."""
    found: list[tuple[int, int]] = []
    for code in range(LAST + 1):
        if unicodedata.category(chr(code)).startswith(name):
            if found and found[-1][1] == code - 1:
                found[-1] = (found[-1][0], code)
            else:
                found.append((code, code))
    return tuple(found)


LINE_ENDS = characters("\n\r\x85\u2028\u2029")
DIGITS = characters("0-9")
WORD = characters("a-zA-Z0-9_")
SPACES = characters(" \t\n\x0b\f\r")
HORIZONTAL = characters(" \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000")
VERTICAL = characters("\n\x0b\f\r\x85\u2028\u2029")

PUNCTUATION = characters("!-/:-@[-`{-~")
POSIX: dict[str, Ranges] = {
    "Lower": characters("a-z"),
    "Upper": characters("A-Z"),
    "ASCII": characters("\0-\x7f"),
    "Alpha": characters("a-zA-Z"),
    "Digit": DIGITS,
    "Alnum": characters("a-zA-Z0-9"),
    "Punct": PUNCTUATION,
    "Graph": characters("!-~"),
    "Print": characters(" -~"),
    "Blank": characters(" \t"),
    "Cntrl": characters("\0-\x1f\x7f"),
    "XDigit": characters("0-9a-fA-F"),
    "Space": SPACES,
}
# Categories that Java knows; C and Cn are left out: they grow smaller with every edition of Unicode.
CATEGORIES = "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp Cc Cf Co".split()


def unite(sets: list[Ranges]) -> Ranges:
    return reduce(union, sets, ())
