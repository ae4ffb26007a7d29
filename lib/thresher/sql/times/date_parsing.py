"""Reading text by one of Spark's datetime patterns: a regular expression and the moment that its groups stand for."""

import re

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.times.date_formats import Token, tokens
from thresher.sql.times.intervals import of_micros
from thresher.types import TIMESTAMP

_TWO_DIGITS = {
    "M": "0[1-9]|1[0-2]",
    "d": "0[1-9]|[12][0-9]|3[01]",
    "H": "[01][0-9]|2[0-3]",
    "k": "0[1-9]|1[0-9]|2[0-4]",
    "h": "0[1-9]|1[0-2]",
    "K": "0[0-9]|1[01]",
    "m": "[0-5][0-9]",
    "s": "[0-5][0-9]",
}
_DAY_OF_YEAR = "00[1-9]|0[1-9][0-9]|[12][0-9][0-9]|3[0-5][0-9]|36[0-6]"
_YEARS = {  # a sign, or more than four digits, leads out of the years 1 to 9999: found, then refused
    1: "-?[0-9]{1,19}",
    2: "[0-9]{2}",
    3: "-?[0-9]{3,19}",
    4: "[0-9]{4}|[+][0-9]{5,19}|-[0-9]{4,19}",
    5: "[0-9]{5}|[+][0-9]{6,19}|-[0-9]{5,19}",
    6: "[0-9]{6}|[+][0-9]{7,19}|-[0-9]{6,19}",
}
_MONTHS = "January February March April May June July August September October November December".split()
_HOURS, _MINUTES, _COLON_MINUTES = "[+-](?:0[0-9]|1[0-7])", "[0-5][0-9]", ":[0-5][0-9]"
_OFFSETS = {
    "X": rf"Z|{_HOURS}(?:{_MINUTES})?|[+-]18(?:00)?",
    "XX": rf"Z|{_HOURS}{_MINUTES}|[+-]1800",
    "XXX": rf"Z|{_HOURS}{_COLON_MINUTES}|[+-]18:00",
    "XXXX": rf"Z|{_HOURS}{_MINUTES}(?:{_MINUTES})?|[+-]1800(?:00)?",
    "XXXXX": rf"Z|{_HOURS}{_COLON_MINUTES}(?:{_COLON_MINUTES})?|[+-]18:00(?::00)?",
    "Z": rf"{_HOURS}{_MINUTES}|[+-]1800",
    "ZZZZ": rf"GMT(?:{_HOURS}{_COLON_MINUTES}|[+-]18:00)?",
    "z": rf"UTC|GMT|Z|{_HOURS}{_COLON_MINUTES}|[A-Za-z][A-Za-z0-9_/+ -]*",
}
_OFFSETS.update({"ZZ": _OFFSETS["Z"], "ZZZ": _OFFSETS["Z"], "ZZZZZ": _OFFSETS["XXXXX"]})
_OFFSETS.update({word: _OFFSETS["z"] for word in ("zz", "zzz", "VV")})
_OFFSETS.update({letter.lower(): _OFFSETS[letter].removeprefix("Z|") for letter in ("X", "XX", "XXX", "XXXX", "XXXXX")})

# The short names of zones that the text of a date most often ends with; others are refused where they are met.
_NAMED = {"PST": "America/Los_Angeles", "EST": "America/New_York", "CST": "America/Chicago", "MST": "America/Denver"}
_NAMED |= {f"{name[0]}DT": zone for name, zone in _NAMED.items()} | {"JST": "Asia/Tokyo"}

MACROS.update(
    {
        "spark_offset(z)": (  # seconds, of Z, GMT, +02 and +02:30:10
            "CASE WHEN contains(z, '-') THEN -1 ELSE 1 END * list_dot_product([3600, 60, 1], list_transform([1, 3, 5], "
            "lambda i: coalesce(TRY_CAST(substring(regexp_replace(z, '[^0-9]', '', 'g'), i, 2) AS INTEGER), 0)))"
        ),
        "spark_micros(h, mi, s, f)": (
            "((h::BIGINT * 60 + mi) * 60 + s) * 1000000 + CAST(left(f || '000000', 6) AS INTEGER)"
        ),
        "spark_field(text, other)": "coalesce(TRY_CAST(text AS INTEGER), other)",
    }
)


def parsed(
    e: Expressions, node: exp.Expr, text: Typed, pattern: str, kind: pa.DataType, *, is_try: bool = False
) -> Typed:
    """The timestamp of this kind that the text stands for: an error, or NULL, where it is not as the pattern says."""
    parts = tokens(e, node, pattern, is_parsing=True)
    _check(e, node, pattern, parts)
    names = [_group_name(token) for token in parts if token.letter and token.letter not in "[]"]
    regex = "(?i)^(" + "".join(_regex(token) for token in parts) + ")$"
    fields = {name: f"r['p']['{name}']" for name in names}
    fail = "NULL" if is_try else f"error({kinds.text_literal(f'text unlike the pattern {pattern}: ')} || r['s'])"
    year, month, first_of_month, days = _date(fields)
    micros = f"epoch_us({first_of_month}) + {days} * 86400000000 + {_time(fields)}"
    value = (
        f"CASE WHEN r['s'] IS NULL THEN NULL WHEN r['p']['text'] = '' THEN {fail} "
        f"WHEN {year} NOT BETWEEN 1 AND 9999 THEN error('not proven equal to Spark: the year in ' || r['s']) "
        f"{_doubts(fields)} WHEN {_conflict(fields, year, month, days)} THEN {fail} "
        f"ELSE {_instant(micros, fields, kind)} END"
    )
    groups = ", ".join(f"'{name}'" for name in ("text", *names))
    row = f"{{'s': {text.sql}, 'p': regexp_extract({text.sql}, {kinds.text_literal(regex)}, [{groups}])}}"
    return of_micros(f"list_transform([{row}], lambda r: {value})[1]", kind)


def _group_name(token: Token) -> str:
    if token.letter in "ML":
        return "M" if token.count < 3 else "month"
    if token.letter == "y":
        return "short_year" if token.count == 2 else "year"
    return {"m": "minute", "X": "zone", "x": "zone", "Z": "zone", "z": "zone", "V": "zone", "k": "clock", "K": "half",
            "h": "clock_half", "d": "dd", "s": "second"}.get(token.letter, token.letter)  # fmt: skip


def _regex(token: Token) -> str:
    if not token.letter:
        return re.escape(token.text)
    if token.letter in "[]":
        return "(?:" if token.letter == "[" else ")?"
    letter = "M" if token.letter == "L" else token.letter
    word = letter * token.count
    if letter == "M" and token.count > 2:
        return f"({'|'.join(name[:3] if token.count == 3 else name for name in _MONTHS)})"
    if letter == "y":
        return f"({_YEARS[token.count]})"
    if letter == "D":
        variable = f"0{{0,16}}(?:{_DAY_OF_YEAR}|0?[1-9]|[1-9][0-9])"
        return f"({(variable, f'{_DAY_OF_YEAR}|0[1-9]|[1-9][0-9]', _DAY_OF_YEAR)[token.count - 1]})"
    if letter == "S":
        return f"([0-9]{{1,{token.count}}})"
    if letter in _TWO_DIGITS:
        two = _TWO_DIGITS[letter]
        least = "[0-9]" if "[0-9]" in two and letter not in "dkMh" else "[1-9]"
        return f"({two})" if token.count == 2 else f"(0{{0,17}}(?:{two}|{least}))"
    return {"a": "(AM|PM)", "G": "(AD|BC)"}.get(word[0]) or f"({_OFFSETS[word]})"


def _is_number(token: Token) -> bool:
    return bool(token.letter) and token.letter in "yMLdHhkKmsDS" and not (token.letter in "ML" and token.count > 2)


def _is_fixed(token: Token) -> bool:
    return (token.letter in "yMLdHhkKms" and token.count == 2) or (token.letter == "D" and token.count == 3)


def _check(e: Expressions, node: exp.Expr, pattern: str, parts: list[Token]) -> None:
    """Refuse a pattern whose reading is not proven the same: Java's parser never goes back to try another way."""

    def refuse(what: str) -> None:
        e.refuse(node, f"reading by the pattern {pattern!r} ({what})", "use a pattern with separators")

    letters = [_group_name(token) for token in parts if token.letter and token.letter not in "[]"]
    hours = [name for name in letters if name in ("H", "clock", "half", "clock_half")]
    if (
        any({*pair} <= {*letters} for pair in (("M", "month"), ("year", "short_year")))
        or not letters
        or len(letters) != len(set(letters))
        or len(hours) > 1
    ):
        refuse("no field, or one twice")
    if "D" in letters and {"M", "month", "dd"} & {*letters}:
        refuse("the day of the year and of the month")
    if any(
        token.letter in "OvG" and token.letter * token.count not in ("G", "GG", "GGG")
        for token in parts
        if token.letter
    ):
        refuse("O, v and GGGG")
    if any(token.letter == "z" and token.count == 4 for token in parts):
        refuse("zzzz")
    if "]" in "".join(token.letter or "." for token in parts).rstrip("]"):
        refuse("an optional part before the end")
    flat = [token for token in parts if token.letter not in ("[", "]")]
    for position, token in enumerate(flat):
        following = flat[position + 1 :]
        if token.letter and token.letter in "zVZXx" and following:
            refuse("a zone before the end")
        if not _is_number(token) or _is_fixed(token):
            continue
        fixed = 0
        while fixed < len(following) and _is_fixed(following[fixed]) and token.letter != "S":
            fixed += 1
        after = following[fixed : fixed + 1]
        if after and (_is_number(after[0]) or after[0].text[:1].isdigit()):
            refuse("a number of any length before digits")
        if fixed and any(t.letter in "[]" for t in parts if t.letter):
            refuse("a number of any length before an optional part")


def _date(fields: dict[str, str]) -> tuple[str, str, str, str]:
    """Year, month, the first day of that month (or year) and the days after it, in DuckDB's words."""
    year = "1970"
    if text := fields.get("year"):
        year = f"(CASE WHEN {text} = '' THEN 1970 ELSE spark_field({text}, 0) END)"
    elif text := fields.get("short_year"):
        year = f"(2000 + spark_field({text}, -30))"
    month = f"spark_field({fields['M']}, 1)" if "M" in fields else "1"
    if text := fields.get("month"):
        names = ", ".join(f"'{name[:3].lower()}'" for name in _MONTHS)
        month = f"coalesce(list_position([{names}], lower(left({text}, 3))), 1)"
    days = f"(spark_field({fields.get('D') or fields.get('dd')}, 1) - 1)" if {"D", "dd"} & {*fields} else "0"
    return year, month, f"make_date({year}, {month}, 1)", days


def _time(fields: dict[str, str]) -> str:
    """The microseconds of the day."""
    half = f"(CASE WHEN lower({fields['a']}) = 'pm' THEN 12 ELSE 0 END)" if "a" in fields else "0"
    hour = half
    if "H" in fields:
        hour = f"spark_field({fields['H']}, 0)"
    elif "clock" in fields:
        hour = f"spark_field({fields['clock']}, 0) % 24"
    elif "half" in fields or "clock_half" in fields:
        hour = f"spark_field({fields.get('half') or fields.get('clock_half')}, 0) % 12 + {half}"
    minute, second = (f"spark_field({fields[name]}, 0)" if name in fields else "0" for name in ("minute", "second"))
    return f"spark_micros({hour}, {minute}, {second}, {fields.get('S', repr(''))})"


def _doubts(fields: dict[str, str]) -> str:
    """What Spark may read, but not proven the same: years BC, and zones by name."""
    doubts = ""
    if "G" in fields:
        doubts += f"WHEN lower({fields['G']}) = 'bc' THEN error('not proven equal to Spark: a year BC: ' || r['s']) "
    if "zone" in fields:
        known = f"(?i)|z|utc|gmt(.{{6}})?|[+-].*|{'|'.join(_NAMED)}"
        doubts += (
            f"WHEN NOT regexp_full_match({fields['zone']}, '{known}') "
            "THEN error('not proven equal to Spark: the zone in ' || r['s']) "
        )
    return doubts


def _conflict(fields: dict[str, str], year: str, month: str, days: str) -> str:
    """Whether the fields name no day, or contradict one another."""
    found = []
    if "D" in fields:
        found.append(f"{days} = 365 AND day(last_day(make_date({year}, 2, 1))) = 28")
    if "dd" in fields:
        found.append(f"{days} >= day(last_day(make_date({year}, {month}, 1)))")
    if "a" in fields and ("H" in fields or "clock" in fields):
        hour = f"spark_field({fields.get('H') or fields.get('clock')}, 0) % 24"
        found.append(f"(lower({fields['a']}) = 'pm') <> ({hour} >= 12)")
    return " OR ".join(found) or "false"


def _instant(micros: str, fields: dict[str, str], kind: pa.DataType) -> str:
    if "zone" not in fields or kind != TIMESTAMP:
        return micros
    zone = fields["zone"]
    names = " ".join(f"WHEN '{name}' THEN '{region}'" for name, region in _NAMED.items())
    return (
        f"CASE WHEN upper({zone}) IN ({', '.join(repr(name) for name in _NAMED)}) THEN epoch_us(spark_to_utc("
        f"CASE upper({zone}) {names} END, make_timestamp({micros}))) "
        f"ELSE spark_checked_micros({micros} - spark_offset({zone}) * 1000000) END"
    )
