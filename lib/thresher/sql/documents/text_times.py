"""Dates and instants in text, as Spark's readers of JSON and CSV take them where no pattern is given."""

import re
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from thresher.sql.documents.time_patterns import read
from thresher.sql.documents.unproven import Unproven

_EDGES = "".join(map(chr, range(0x21))) + "\x7f"
_DATE = re.compile(r"([+-]?)(\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2})(?:[ T].*)?)?)?", re.ASCII | re.DOTALL)
_DAYS = re.compile(r"[+-]?\d{1,3}", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_INSTANT = re.compile(
    r"([+-]?)(\d{4,6})(?:-(\d{1,2})(?:-(\d{1,2})"
    r"(?:[ T](\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?([^\d:.].*)?)?)?)?)?)?",
    re.ASCII | re.DOTALL,
)
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?(?:([+-])(?:(\d)|(\d\d)(?:(:?)(\d\d)(?:\4(\d\d))?)?))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def date_of(text: str, pattern: str | None, *, or_days: bool = True) -> date:
    """A date; raises ValueError.

    Without a pattern everything that Spark's cast takes, GMT anywhere, and where wanted days since 1970.

    >>> date_of("2024-1", None), date_of("-5", None), date_of("31/01/2024", "dd/MM/yyyy")
    (datetime.date(2024, 1, 1), datetime.date(1969, 12, 27), datetime.date(2024, 1, 31))
    """
    if pattern is not None:
        return read(text, pattern)[0].date()
    found = _DATE.fullmatch(text.strip(_EDGES)) or _DATE.fullmatch(text.replace("GMT", "", 1).strip(_EDGES))
    if found:
        return _day(found[1], int(found[2]), int(found[3] or 1), int(found[4] or 1))
    if or_days and _DAYS.fullmatch(text):
        return date.fromordinal(_EPOCH_DAY + int(text))
    if or_days and _WHOLE.fullmatch(text):
        raise Unproven(f"the date {text!r}")
    raise ValueError("not a date")


def _day(sign: str, year: int, month: int, day: int) -> date:
    _check_year(sign, year)
    return date(year, month, day)


def _check_year(sign: str, year: int) -> None:
    if sign == "-" or not 1 <= year <= 9999:
        raise Unproven("a date outside the years 1 to 9999")


def instant_of(text: str, pattern: str | None, zone: tzinfo | None) -> int:
    """Microseconds since 1970 of a timestamp, which stands in this zone unless the text has one of its own.

    Without a zone, of a timestamp without one. Raises ValueError.

    >>> instant_of("1970-01-01T02:00:00.5+02:00", None, ZoneInfo("UTC"))
    500000
    """
    moment, distance = read(text, pattern) if pattern is not None else _instant(text, with_fallback=zone is not None)
    if zone is None and distance is not None:
        raise ValueError("a zone")
    if zone is not None and distance is None:
        distance = zone.utcoffset(moment)
    return (moment - _EPOCH - (distance or timedelta())) // timedelta(microseconds=1)


def _instant(text: str, *, with_fallback: bool) -> tuple[datetime, timedelta | None]:
    """What Spark's cast takes; GMT anywhere for an instant."""
    try:
        return _cast_instant(text.strip(_EDGES))
    except Unproven:
        raise
    except ValueError:
        if not with_fallback or "GMT" not in text:
            raise
        return _cast_instant(text.replace("GMT", "", 1).strip(_EDGES))


def _cast_instant(text: str) -> tuple[datetime, timedelta | None]:
    found = _INSTANT.fullmatch(text)
    if not found:
        if re.match(r"T?\d{1,2}:", text):
            raise Unproven(f"the timestamp {text!r}, which may be of today")
        raise ValueError("not a timestamp")
    sign, *parts, fraction, zone = found.groups()
    year, month, day, hour, minute, second = (int(part) if part else None for part in parts)
    _check_year(sign, year or 0)
    if fraction and len(fraction) > 9:
        raise Unproven(f"the timestamp {text!r}")
    micros = int((fraction or "")[:6].ljust(6, "0"))
    moment = datetime(
        year or 0, 1 if month is None else month, 1 if day is None else day, hour or 0, minute or 0, second or 0, micros
    )
    return moment, _distance(zone.strip(_EDGES), moment) if zone else None


def _distance(zone: str, moment: datetime) -> timedelta:
    if zone == "Z":
        return timedelta()
    padded = re.sub(r"([+-])(\d):", r"\g<1>0\2:", zone, count=1, flags=re.ASCII)
    found = _OFFSET.fullmatch(re.sub(r"([+-]\d\d:)(\d)\Z", r"\g<1>0\2", padded, flags=re.ASCII))
    if found:
        sign, hour, hours, _, minutes, seconds = found.groups()
        if int(minutes or 0) > 59 or int(seconds or 0) > 59:
            raise ValueError(f"zone {zone}")
        distance = timedelta(hours=int(hour or hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0))
        if distance > timedelta(hours=18):
            raise ValueError(f"zone {zone}")
        return -distance if sign == "-" else distance
    if "/" not in zone and re.fullmatch(r"[A-Za-z]\w{2,}.*", zone, re.DOTALL):
        raise Unproven(f"the time zone {zone!r}")
    try:
        distance = ZoneInfo(zone).utcoffset(moment) or timedelta()
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError(f"zone {zone}") from None
    return distance
