"""Dates and times in text: ISO 8601, Spark's lenient forms, and simple patterns."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from thresher.errors import UsageError

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)
# Source: the comment on stringToTimestamp in Spark's SparkDateTimeUtils; confirmed against Spark 4.2.
_SPARK_TIMESTAMP = re.compile(
    r"(?:(?P<date>(?P<year>[+-]?[0-9]{4,6})(?:-(?P<month>[0-9]{1,2})(?:-(?P<day>[0-9]{1,2}))?)?)(?:[T ]|$))?"
    r"(?:T?(?P<hour>[0-9]{1,2})(?P<minutes>:(?P<minute>[0-9]{1,2})(?::(?P<second>[0-9]{1,2})"
    r"(?:\.(?P<fraction>[0-9]{0,9}))?)?)?(?P<zone>[^0-9:.].*)?)?"
)
_OFFSET = re.compile(
    r"(?:UTC|GMT|UT)?(?P<sign>[+-])(?P<hours>[0-9]{1,2}):?(?P<minutes>[0-9]{2})?:?(?P<seconds>[0-9]{2})?"
)

_PATTERN = re.compile(r"yyyy|MM|dd|HH|mm|ss|S+|XXX|'[^']*'|[^A-Za-z']")
_DIRECTIVES = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "XXX": "%z"}


def iso_date(text: str) -> date:
    """A date written `yyyy-MM-dd`; raises ValueError for anything else."""
    if not _ISO_DATE.fullmatch(text):
        raise ValueError("not a date as yyyy-MM-dd")
    return date.fromisoformat(text)


def iso_timestamp(text: str) -> datetime:
    """A timestamp in full ISO 8601 form with at most microseconds; naive where no zone is written.

    >>> iso_timestamp("2024-01-31T10:00:00+02:00").isoformat(), iso_timestamp("2024-01-31 10:00").isoformat()
    ('2024-01-31T10:00:00+02:00', '2024-01-31T10:00:00')
    """
    found = _ISO_TIMESTAMP.fullmatch(text)
    if not found:
        raise ValueError("not a timestamp as yyyy-MM-ddTHH:mm:ss with at most six decimals")
    return datetime.fromisoformat(text)


def spark_timestamp(text: str) -> tuple[datetime, str]:
    """A timestamp in one of the forms that Spark's cast takes, with the digits of the second that do not fit.

    Without a zone the result is naive. A time alone is today's (UTC). Raises ValueError.

    >>> spark_timestamp("2024-1"), spark_timestamp("2024-06-05 7:8:9.1234567")[1]
    ((datetime.datetime(2024, 1, 1, 0, 0), ''), '7')
    """
    found = _SPARK_TIMESTAMP.fullmatch(text)
    if not found or not (found["date"] or found["minutes"] and not found["zone"]):
        raise ValueError("not a timestamp")
    day = _spark_day(found) if found["date"] else datetime.now(UTC).date()
    fraction = found["fraction"] or ""
    clock = time(
        int(found["hour"] or 0),
        int(found["minute"] or 0),
        int(found["second"] or 0),
        int(fraction[:6].ljust(6, "0")),
    )
    zone = _zone(found["zone"].strip()) if found["zone"] else None
    return datetime.combine(day, clock, zone), fraction[6:].rstrip("0")


def _spark_day(found: re.Match[str]) -> date:
    return date(int(found["year"]), int(found["month"] or 1), int(found["day"] or 1))


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    if name in ("Z", "UTC", "GMT", "UT"):
        return UTC
    found = _OFFSET.fullmatch(name)
    if found:
        hours, minutes, seconds = (int(found[part] or 0) for part in ("hours", "minutes", "seconds"))
        offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if offset > timedelta(hours=18):
            raise ValueError(f"zone {name} is more than 18 hours from UTC")
        return timezone(offset if found["sign"] == "+" else -offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name}") from None


@lru_cache(maxsize=64)
def strptime_format(pattern: str) -> str:
    """A Spark pattern of digits in Python's directives.

    Raises UsageError for letters that have no fixed number of digits (month names, one-digit days, …).

    >>> strptime_format("dd.MM.yyyy HH:mm:ss")
    '%d.%m.%Y %H:%M:%S'
    """
    tokens = _PATTERN.findall(pattern)
    if "".join(tokens) != pattern or not tokens:
        raise UsageError(
            f"format {pattern!r} is not supported; expected yyyy, MM, dd, HH, mm, ss, S…, XXX, 'text' and punctuation"
        )
    return "".join(_directive(token) for token in tokens)


def _directive(token: str) -> str:
    if token[0] == "S":
        return "%f"
    return _DIRECTIVES.get(token) or token.strip("'").replace("%", "%%")


def by_pattern(text: str, pattern: str) -> datetime:
    """A date or timestamp in a pattern's exact form; naive where the pattern has no zone. Raises ValueError.

    >>> by_pattern("31.01.2024", "dd.MM.yyyy")
    datetime.datetime(2024, 1, 31, 0, 0)
    """
    # strptime takes "1.1.2024" for two digits; the lengths tell.
    literal = pattern.replace("'", "")
    if "XXX" not in pattern and len(literal) != len(text):
        raise ValueError(f"not in the form {pattern}")
    return datetime.strptime(text, strptime_format(pattern))
