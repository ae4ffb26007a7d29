"""Dates and timestamps in text as Spark reads them, where no pattern is given in years from -290308 to 294247.

Days and microseconds since 1970, because Python's dates know the years 1 to 9999 alone.
"""

import re
from datetime import UTC, date, datetime, tzinfo

from thresher.time_patterns import read
from thresher.xml.temporal import CYCLE_DAYS, CYCLE_YEARS, MICROS_A_DAY, day_of, in_zone
from thresher.zones import zone

_ISO = "yyyy-MM-dd"
_DATE = re.compile(r"(?P<sign>[+-]?)(?P<year>[0-9]{4,10})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
_DATE_YEAR = re.compile(r"[0-9]{4}|-(?!0000)[0-9]{4,}|\+[0-9]{5,}")
# Source: the comment on stringToTimestamp in Spark's SparkDateTimeUtils; confirmed against Spark 4.2.
_CLOCK = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})"
    r"(?:\.(?P<fraction>\d*))?(?P<zone>[^\d:.].*)?)?)?"
)
_TIMESTAMP = re.compile(
    rf"(?P<sign>[+-]?)(?P<year>\d{{4,6}})(?:-(?P<month>\d{{1,2}})(?:-(?P<day>\d{{1,2}})(?:[T ]{_CLOCK})?)?)?",
    re.ASCII | re.DOTALL,
)
_TIME_OF_TODAY = re.compile(rf"(?:T|(?=\d+:)){_CLOCK}", re.ASCII | re.DOTALL)
_EDGES = "".join(map(chr, range(0x21))) + "\x7f"
_LONG, _INT = 2**63, 2**31


def spark_days(text: str, pattern: str | None = None) -> int:
    """Days since 1970 of a date in a pattern, or as `yyyy-MM-dd`; years of more digits have a sign. Raises ValueError.

    >>> spark_days("1970-01-31"), spark_days("-0001-01-01"), spark_days("+12345-01-01")
    (30, -719893, 3789391)
    """
    if pattern and pattern != _ISO:
        return day_of(read(text, pattern)[0])
    found = _DATE.fullmatch(text)
    if not found or not _DATE_YEAR.fullmatch(found["sign"] + found["year"]):
        raise ValueError("not a date as yyyy-MM-dd")
    days = _days(found)
    if not -_INT <= days < _INT:
        raise ValueError("is beyond the days of a date")
    return days


def spark_micros(text: str, place: tzinfo = UTC, *, has_zone: bool = True, takes_times: bool = True) -> int:
    """Microseconds since 1970 of a timestamp in one of the forms that Spark's cast takes.

    Without a zone in the text it stands in `place`; a time alone, if taken, is today's there. Where the type has no
    zone, a text with one or without a day is refused. Raises ValueError.

    >>> spark_micros("1970-1"), spark_micros("1970-01-01 1:0:0.5+01:00"), spark_micros("0000-01-01")
    (0, 500000, -62167219200000000)
    """
    found = _TIMESTAMP.fullmatch(text.strip(_EDGES))
    alone = None if found else _TIME_OF_TODAY.fullmatch(text.strip(_EDGES))
    if not found and not (alone and has_zone and takes_times):
        raise ValueError("not a timestamp")
    parts = found or alone
    assert parts
    local = _clock(parts)
    written = parts["zone"]
    if written:
        if not has_zone:
            raise ValueError("has a time zone; a timestamp_ntz has none")
        place = _zone(written.strip(_EDGES))
    local += MICROS_A_DAY * (_days(found) if found else day_of(datetime.now(place)))
    micros = in_zone(local, place) if has_zone else local
    if not -_LONG <= micros < _LONG:
        raise ValueError("is beyond the microseconds of a timestamp")
    return micros


def _days(found: re.Match[str]) -> int:
    year = int(found["year"]) * (-1 if found["sign"] == "-" else 1)
    cycles, rest = divmod(year - 2000, CYCLE_YEARS)
    day = date(2000 + rest, int(found["month"] or 1), int(found["day"] or 1))
    return day_of(day) + cycles * CYCLE_DAYS


def _clock(found: re.Match[str]) -> int:
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("not a time of the day")
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + int((found["fraction"] or "")[:6].ljust(6, "0"))


def _zone(name: str) -> tzinfo:
    found = zone(name)
    if found is None:
        raise ValueError(f"unknown time zone {name}")
    return found
