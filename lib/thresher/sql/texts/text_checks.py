"""Functions that compare, mask or check texts: letter case, levenshtein, soundex, luhn_check, mask."""

import json
import re
import unicodedata
from functools import lru_cache, partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.texts.row_functions import row_function
from thresher.sql.texts.strings import argument, whole

_strings = partial(function, group="Strings")


@_strings("upper ucase lower lcase", 1, 1, "upper(s), lower(s)", "SELECT upper('straße') AS a")
def _case(e: Expressions, node: exp.Anonymous) -> Typed:
    name = "upper" if node.name.lower() in ("upper", "ucase") else "lower"
    return Typed(f"spark_{name}({argument(e, node, 0).sql})", kinds.STRING)


# Found by comparing all characters with Spark's. Several: where the other case is more than one character or depends
# on the neighbours, which DuckDB does not know. Young: paired after Unicode 14, so that Python may not know them.
_SEVERAL = {
    "upper": (
        r"\x{DF}\x{149}\x{1F0}\x{390}\x{3B0}\x{587}\x{1E96}-\x{1E9A}\x{1F50}\x{1F52}\x{1F54}\x{1F56}\x{1F80}-\x{1FAF}"
        r"\x{1FB2}-\x{1FB4}\x{1FB6}\x{1FB7}\x{1FBC}\x{1FC2}-\x{1FC4}\x{1FC6}\x{1FC7}\x{1FCC}\x{1FD2}\x{1FD3}"
        r"\x{1FD6}\x{1FD7}\x{1FE2}-\x{1FE4}\x{1FE6}\x{1FE7}\x{1FF2}-\x{1FF4}\x{1FF6}\x{1FF7}\x{1FFC}"
        r"\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}"
    ),
    "lower": r"\x{130}\x{3A3}",
}
_YOUNG = re.compile(
    "[\u019b\u0264\u1c89\u1c8a\ua7cb-\ua7cf\ua7d2-\ua7d5\ua7da-\ua7dc\U00010d50-\U00010d85\U00016ea0-\U00016ed3]"
)
_YOUNG_IN_DUCKDB = r"\x{19B}\x{264}\x{1C89}\x{1C8A}\x{A7CB}-\x{A7DC}\x{10D50}-\x{10D85}\x{16EA0}-\x{16ED3}"

for _name, _characters in _SEVERAL.items():
    MACROS[f"spark_{_name}(s)"] = (
        f"CASE WHEN regexp_matches(s, '[{_characters}{_YOUNG_IN_DUCKDB}]') THEN spark_{_name}_any(s) "
        f"ELSE {_name}(s) END"
    )


def _checked(text: str) -> str:
    if _YOUNG.search(text):
        raise ValueError(f"not proven equal to Spark: the other case of a character in {text!r}")
    return text


row_function("spark_upper_any", ["VARCHAR"], "VARCHAR")(lambda text: _checked(text).upper())
row_function("spark_lower_any", ["VARCHAR"], "VARCHAR")(lambda text: _checked(text).lower())


@row_function("spark_initcap", ["VARCHAR"], "VARCHAR")
def _initcap_of(text: str) -> str:
    if text.isascii():
        return " ".join([word.capitalize() for word in text.split(" ")])
    return " ".join(word[:1].title() + word.lower()[len(word[:1].lower()) :] for word in _checked(text).split(" "))


@_strings("initcap", 1, 1, "initcap(s)", "SELECT initcap('ab cD') AS a", note="Words are what stands between spaces.")
def _initcap(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_initcap({argument(e, node, 0).sql})", kinds.STRING)


@row_function("spark_levenshtein_any", ["VARCHAR", "VARCHAR"], "INTEGER")
def _distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for place, one in enumerate(left, 1):
        corner, row[0] = row[0], place
        for column, other in enumerate(right, 1):
            corner, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, corner + (one != other))
    return row[-1]


MACROS["spark_levenshtein(a, b)"] = (  # DuckDB counts bytes
    "CASE WHEN strlen(a) = length(a) AND strlen(b) = length(b) THEN CAST(levenshtein(a, b) AS INTEGER) "
    "ELSE spark_levenshtein_any(a, b) END"
)
MACROS["spark_levenshtein_within(d, n)"] = (
    "CASE WHEN d IS NULL THEN NULL WHEN n IS NULL THEN error('not proven equal to Spark: levenshtein up to NULL') "
    "WHEN d <= n THEN d ELSE -1 END"
)


@_strings(
    "levenshtein",
    2,
    3,
    "levenshtein(s, t [, most]) → int",
    "SELECT levenshtein('kitten', 'sitting') AS a",
    note="-1 where the distance is larger than most.",
)
def _levenshtein(e: Expressions, node: exp.Anonymous) -> Typed:
    distance = f"spark_levenshtein({argument(e, node, 0).sql}, {argument(e, node, 1).sql})"
    if len(node.expressions) == 2:
        return Typed(distance, kinds.INT)
    most = whole(e, node.expressions[2], "the limit of levenshtein")
    if e.expr(node.expressions[2]).kind == kinds.VOID:
        return Typed("NULL::INTEGER", kinds.INT)
    return Typed(f"spark_levenshtein_within({distance}, {most})", kinds.INT)


_SOUNDS = "01230127022455012623017202"  # of A to Z; 7 for H and W, which do not part two equal sounds


@row_function("spark_soundex", ["VARCHAR"], "VARCHAR")
def _soundex_of(text: str) -> str:
    first = text[:1].upper() if text[:1].isascii() else ""
    if not first.isalpha():
        return text
    code, last = first, _SOUNDS[ord(first) - 65]
    for letter in text[1:]:
        sound = _SOUNDS[ord(letter.upper()) - 65] if letter.isascii() and letter.isalpha() else "0"
        if sound not in "07" and sound != last:
            code += sound
        if sound != "7":
            last = sound
    return code[:4].ljust(4, "0")


def _text_only(e: Expressions, node: exp.Anonymous) -> str:
    value = e.expr(node.expressions[0])
    if value.kind not in (kinds.STRING, kinds.VOID):
        e.wrong(node, f"the argument of {node.name} is {kinds.in_spark(value.kind)}; expected text.")
    return e.coerce(node, value, kinds.STRING, node.name).sql


@_strings("soundex", 1, 1, "soundex(s)", "SELECT soundex('Miller') AS a")
def _soundex(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_soundex({_text_only(e, node)})", kinds.STRING)


@row_function("spark_luhn_check", ["VARCHAR"], "BOOLEAN")
def _luhn_of(text: str) -> bool:
    if not text or not text.isascii() or not text.isdigit():
        return False
    digits = [int(digit) for digit in reversed(text)]
    return sum(digits[::2] + [2 * digit - 9 * (digit > 4) for digit in digits[1::2]]) % 10 == 0


@_strings("luhn_check", 1, 1, "luhn_check(s)", "SELECT luhn_check('79927398713') AS a")
def _luhn_check(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_luhn_check({argument(e, node, 0).sql})", kinds.BOOL)


@row_function("spark_mask", ["VARCHAR", "VARCHAR"], "VARCHAR")
def _masked(text: str, marks: str) -> str:
    return text.translate(_marks(marks))


class _Marks(dict[int, str]):
    """What each character becomes, found out when it first occurs."""

    def __init__(self, marks: list[str | None]) -> None:
        self.marks = marks

    def __missing__(self, code: int) -> str:
        self[code] = _mark(chr(code), self.marks)
        return self[code]


@lru_cache
def _marks(text: str) -> _Marks:
    return _Marks(json.loads(text))


def _mark(letter: str, marks: list[str | None]) -> str:
    group = unicodedata.category(letter)
    if ord(letter) > 0xFFFF:  # for Spark these are two characters of no group
        return letter if marks[3] is None else marks[3] * 2
    mark = marks[{"Lu": 0, "Ll": 1, "Nd": 2}.get(group, 3)]
    return letter if mark is None else mark


_MARKS = {"upperchar": "X", "lowerchar": "x", "digitchar": "n", "otherchar": None}


@_strings(
    "mask",
    1,
    5,
    "mask(s [, upper [, lower [, digit [, other]]]])",
    "SELECT mask('Ab1') AS a",
    note="Marks are literals of one character; NULL keeps what is there. By name too: mask(s, digitChar => '9').",
)
def _mask(e: Expressions, node: exp.Anonymous) -> Typed:
    if any(isinstance(part, exp.Kwarg) for part in node.expressions[:1]):
        e.refuse(node, "mask with its text by name")
    marks, names = dict(_MARKS), list(_MARKS)
    for position, part in enumerate(node.expressions[1:]):
        is_named = isinstance(part, exp.Kwarg)
        name = part.this.name.lower() if is_named else names[position]
        value = e.expr(part.expression if is_named else part)
        if name not in marks or (value.kind != kinds.VOID and not isinstance(value.literal, str)):
            e.wrong(part, f"the mark {name}; expected a literal for one of {', '.join(_MARKS)}.")
        if value.literal is not None and len(value.literal) != 1:
            e.wrong(part, f"the mark {value.literal!r}; expected one character.")
        marks[name] = value.literal
    given = kinds.text_literal(json.dumps(list(marks.values())))
    return Typed(f"spark_mask({_text_only(e, node)}, {given})", kinds.STRING)
