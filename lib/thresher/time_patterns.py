"""Dates and times by Spark's patterns (`dd/MM/yyyy HH:mm`), read and written in Python.

Only letters whose text has one meaning in every language; others are refused. Source: Spark 4 SQL reference, "Datetime
patterns", and Java's DateTimeFormatter, which it builds.
"""

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache

_TOKEN = re.compile(r"([A-Za-z])\1*|'(?:[^']|'')*'|[^A-Za-z'{}#]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FULL_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_READ = {
    "yyyy": r"(?P<year>\d{4})",
    "y": r"(?P<year>\d{1,4})",
    "yy": r"(?P<short>\d{2})",
    "MM": r"(?P<month>\d{2})",
    "M": r"(?P<month>\d{1,19})",
    "MMM": "(?P<word>" + "|".join(_MONTHS) + ")",
    "MMMM": "(?P<word>" + "|".join(_FULL_MONTHS) + ")",
    "DDD": r"(?P<of_year>\d{3})",
    "dd": r"(?P<day>\d{2})",
    "d": r"(?P<day>\d{1,19})",
    "HH": r"(?P<hour>\d{2})",
    "H": r"(?P<hour>\d{1,19})",
    "hh": r"(?P<half>\d{2})",
    "h": r"(?P<half>\d{1,19})",
    "a": "(?P<noon>AM|PM)",
    "mm": r"(?P<minute>\d{2})",
    "m": r"(?P<minute>\d{1,19})",
    "ss": r"(?P<second>\d{2})",
    "s": r"(?P<second>\d{1,19})",
    "XXX": r"(?P<zone>Z|[+-]\d{2}:\d{2})",
    "XX": r"(?P<zone>Z|[+-]\d{4})",
    "X": r"(?P<zone>Z|[+-]\d{2}(?:\d{2})?)",
    "Z": r"(?P<zone>[+-]\d{4})",
    "[": "(?:",
    "]": ")?",
}
_WRITTEN = {
    "yyyy": "{0.year:04}",
    "MM": "{0.month:02}",
    "M": "{0.month}",
    "dd": "{0.day:02}",
    "d": "{0.day}",
    "HH": "{0.hour:02}",
    "H": "{0.hour}",
    "mm": "{0.minute:02}",
    "ss": "{0.second:02}",
    "XXX": "{4}",
}
_LONGEST_FRACTION = {"read": 9, "written": 6}


class NoPattern(ValueError):
    """The pattern has a part that is not read here; the message names it."""


class BeyondPython(ValueError):
    """A date or zone that Spark knows, and Python does not."""


def _tokens(pattern: str) -> list[str]:
    tokens = [found[0] for found in _TOKEN.finditer(pattern)]
    if "".join(tokens) != pattern or not tokens:
        raise NoPattern(f"the pattern {pattern!r}")
    return tokens


def _literal(token: str) -> str | None:
    """The text that a token stands for; None for letters."""
    if token[0] == "'":
        return token[1:-1].replace("''", "'") or "'"
    return None if token[0].isalpha() or token in "[]" else token


@lru_cache(maxsize=64)
def _reader(pattern: str) -> re.Pattern[str]:
    parts, seen = [], set()
    tokens = _tokens(pattern)
    for token, after in zip(tokens, [*tokens[1:], ""], strict=True):
        literal = _literal(token)
        is_open = token in ("y", "M", "d", "H", "h", "m", "s") and after[:1].isalpha()
        if literal is not None:
            parts.append(re.escape(literal))
        elif token[0] == "S" and len(token) <= _LONGEST_FRACTION["read"] and not after.rstrip("X")[:1].isalpha():
            parts.append(rf"(?P<fraction>\d{{1,{len(token)}}})")
        elif token in _READ and not is_open and (token in "[]" or token[0] not in seen):
            parts.append(_READ[token])
            seen.add(token[0])
        else:
            raise NoPattern(f"{token} in the pattern {pattern!r}")
    if "y" not in seen:
        raise NoPattern(f"the pattern {pattern!r} without a year")
    try:
        return re.compile("".join(parts), re.ASCII | re.IGNORECASE)
    except re.error:
        raise NoPattern(f"the brackets in the pattern {pattern!r}") from None


def check_reading(pattern: str) -> None:
    """Raises NoPattern for a pattern that `read` does not know."""
    _reader(pattern)


def read(text: str, pattern: str) -> tuple[datetime, timedelta | None]:
    """A date and time, and its distance from UTC where the pattern has one. Raises ValueError.

    >>> read("31/01/2024 10:05", "dd/MM/yyyy HH:mm")
    (datetime.datetime(2024, 1, 31, 10, 5), None)
    """
    found = _reader(pattern).fullmatch(text)
    if not found:
        if re.search(r"[+-]\d{5}", text):
            raise BeyondPython(f"a year beyond 9999 in {text!r}")
        raise ValueError(f"not in the form {pattern}")
    parts = found.groupdict()
    minute, second = (int(parts.get(name) or 0) for name in ("minute", "second"))
    fraction = int((parts.get("fraction") or "")[:6].ljust(6, "0"))
    moment = datetime.combine(_day(parts), time(_hour(parts), minute, second, fraction))
    return moment, _distance(parts.get("zone"))


def _day(parts: dict[str, str | None]) -> date:
    year = int(parts.get("year") or f"20{parts['short']}")
    if not year:
        raise BeyondPython("the year 0")
    if of_year := parts.get("of_year"):
        found = date(year, 1, 1) + timedelta(days=int(of_year) - 1)
        if found.year != year:
            raise ValueError(f"day {of_year} of the year {year}")
        return found
    word = parts.get("word")
    month = _MONTHS.index(word[:3].title()) + 1 if word else int(parts.get("month") or 1)
    return date(year, month, int(parts.get("day") or 1))


def _hour(parts: dict[str, str | None]) -> int:
    half = parts.get("half")
    if half is None:
        return int(parts.get("hour") or 0)
    if not 1 <= int(half) <= 12:
        raise ValueError(f"hour {half} of half a day")
    return int(half) % 12 + 12 * ((parts.get("noon") or "").upper() == "PM")


def _distance(zone: str | None) -> timedelta | None:
    if not zone:
        return None
    if zone in "zZ":
        return timedelta()
    digits = zone[1:].replace(":", "")
    found = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    if found > timedelta(hours=18) or int(digits[2:] or 0) > 59:
        raise ValueError(f"zone {zone}")
    return -found if zone[0] == "-" else found


@lru_cache(maxsize=64)
def _writer(pattern: str) -> str:
    parts = []
    for token in _tokens(pattern):
        literal = _literal(token)
        if literal is not None:
            parts.append(literal.replace("{", "{{").replace("}", "}}"))
        elif token == "yy":
            parts.append("{1}")
        elif token == "MMM":
            parts.append("{2}")
        elif token[0] == "S" and len(token) <= _LONGEST_FRACTION["written"]:
            parts.append(f"{{3:.{len(token)}}}")
        elif token in _WRITTEN:
            parts.append(_WRITTEN[token])
        else:
            raise NoPattern(f"{token} in the pattern {pattern!r}")
    return "".join(parts)


def check_writing(pattern: str) -> None:
    """Raises NoPattern for a pattern that `write` does not know."""
    _writer(pattern)


def write(moment: datetime, pattern: str) -> str:
    """The text of a date and time; one without a zone is in UTC.

    >>> write(datetime(2024, 3, 5, 1, 2, 3, 400000), "d.M.yy HH:mm:ss.SSS")
    '5.3.24 01:02:03.400'
    """
    year, month = f"{moment.year % 100:02}", _MONTHS[moment.month - 1]
    return _writer(pattern).format(moment, year, month, f"{moment.microsecond:06}", _zone(moment))


def _zone(moment: datetime) -> str:
    distance = moment.utcoffset()
    if not distance:
        return "Z"
    if distance.seconds % 60:
        raise BeyondPython("a distance from UTC with seconds")
    return moment.isoformat()[-6:]
