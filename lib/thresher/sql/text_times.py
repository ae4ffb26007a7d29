"""Dates and instants in text, as Spark's readers of JSON and CSV take them where no pattern is given."""

import re
from datetime import UTC, date, datetime, timedelta

from thresher.sql.json_tokens import Unproven
from thresher.sql.time_patterns import read
from thresher.xml.temporal import spark_timestamp

_EDGES = "".join(map(chr, range(0x21))) + "\x7f"
_DATE = re.compile(r"([+-]?)(\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2})(?:[ T].*)?)?)?", re.ASCII | re.DOTALL)
_DAYS = re.compile(r"[+-]?\d{1,3}", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_ZONE = re.compile(r"(?:Z|UTC|GMT|UT|(?:UTC|GMT|UT)?[+-][0-9:]+|[A-Z][A-Za-z_]+/[A-Za-z_]+)?")
_BEFORE_ZONE = re.compile(
    r"[+-]?\d{4,7}(?:-\d{1,2}(?:-\d{1,2}(?:[ T]\d{1,2}(?::\d{1,2}(?::\d{1,2}(?:\.\d{0,9})?)?)?)?)?)?"
)
_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def date_of(text: str, pattern: str | None) -> date:
    """A date; raises ValueError.

    Without a pattern everything that Spark's cast takes, GMT anywhere, and days since 1970.

    >>> date_of("2024-1", None), date_of("-5", None), date_of("31/01/2024", "dd/MM/yyyy")
    (datetime.date(2024, 1, 1), datetime.date(1969, 12, 27), datetime.date(2024, 1, 31))
    """
    if pattern is not None:
        return read(text, pattern)[0].date()
    found = _DATE.fullmatch(text.strip(_EDGES)) or _DATE.fullmatch(text.replace("GMT", "", 1).strip(_EDGES))
    if found:
        return _day(found[1], int(found[2]), int(found[3] or 1), int(found[4] or 1))
    if _DAYS.fullmatch(text):
        return date.fromordinal(_EPOCH_DAY + int(text))
    if _WHOLE.fullmatch(text):
        raise Unproven(f"the date {text!r}")
    raise ValueError("not a date")


def _day(sign: str, year: int, month: int, day: int) -> date:
    if sign == "-" or not 1 <= year <= 9999:
        raise Unproven("a date outside the years 1 to 9999")
    return date(year, month, day)


def instant_of(text: str, pattern: str | None, *, has_zone: bool) -> int:
    """Microseconds since 1970 of a timestamp in UTC, or of a timestamp without a zone; raises ValueError.

    >>> instant_of("1970-01-01T02:00:00.5+02:00", None, has_zone=True)
    500000
    """
    moment, distance = read(text, pattern) if pattern is not None else _instant(text)
    if distance is not None and not has_zone:
        raise ValueError("a zone")
    return (moment - _EPOCH - (distance or timedelta())) // timedelta(microseconds=1)


def _instant(text: str) -> tuple[datetime, timedelta | None]:
    trimmed = text.strip(_EDGES)
    found = _BEFORE_ZONE.match(trimmed)
    if not found:
        if re.match(r"T?\d{1,2}:", trimmed):
            raise Unproven("a time without a date, which is today's")
        if trimmed[:1] in "+-" and trimmed[1:2].isdigit():
            raise Unproven(f"the timestamp {text!r}")
        raise ValueError("not a timestamp")
    year = int(re.match(r"[+-]?\d+", found[0])[0])  # type: ignore[index]
    zone = trimmed[found.end() :].strip()
    if not 1 <= year <= 9999 or "GMT" in zone and not _ZONE.fullmatch(zone):
        raise Unproven(f"the timestamp {text!r}")
    if zone[:1].isalpha() and ":" in found[0] and not _ZONE.fullmatch(zone):
        raise Unproven(f"the time zone {zone!r}")
    moment, _ = spark_timestamp(trimmed)
    if moment.tzinfo is None:
        return moment, None
    distance = moment.utcoffset()
    assert distance is not None
    return moment.astimezone(UTC).replace(tzinfo=None) + distance, distance
