"""Time zones by the names that Java, and so Spark, knows them under."""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_OFFSET = re.compile(r"([+-])(?:(\d)|(\d\d)(?:(\d\d)(\d\d)?|:(\d\d)(?::(\d\d))?)?)", re.ASCII)
_HOUR = re.compile(r"([+-])(\d):", re.ASCII)
_MINUTE = re.compile(r"([+-]\d\d:)(\d)$", re.ASCII)

# What three letters mean to Java.
_SHORT = {
    "EST": "-05:00",
    "MST": "-07:00",
    "HST": "-10:00",
    "ACT": "Australia/Darwin",
    "AET": "Australia/Sydney",
    "AGT": "America/Argentina/Buenos_Aires",
    "ART": "Africa/Cairo",
    "AST": "America/Anchorage",
    "BET": "America/Sao_Paulo",
    "BST": "Asia/Dhaka",
    "CAT": "Africa/Harare",
    "CNT": "America/St_Johns",
    "CST": "America/Chicago",
    "CTT": "Asia/Shanghai",
    "EAT": "Africa/Addis_Ababa",
    "ECT": "Europe/Paris",
    "IET": "America/Indiana/Indianapolis",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "MIT": "Pacific/Apia",
    "NET": "Asia/Yerevan",
    "NST": "Pacific/Auckland",
    "PLT": "Asia/Karachi",
    "PNT": "America/Phoenix",
    "PRT": "America/Puerto_Rico",
    "PST": "America/Los_Angeles",
    "SST": "Pacific/Guadalcanal",
    "VST": "Asia/Ho_Chi_Minh",
}


@cache
def zone(name: str) -> tzinfo | None:
    """The zone that Spark takes for a name, an offset or both; None where it knows none.

    >>> zone("UTC-8"), zone("EST"), zone("Europe/Paris"), zone("europe/paris")
    (datetime.timezone(datetime.timedelta(days=-1, seconds=57600)), \
datetime.timezone(datetime.timedelta(days=-1, seconds=68400)), zoneinfo.ZoneInfo(key='Europe/Paris'), None)
    """
    name = completed(name)
    if name == "Z":
        return UTC
    if name[:1] in ("+", "-"):
        return _offset(name)
    for prefix in ("UTC", "GMT", "UT"):
        if name == prefix:
            return UTC
        if name.startswith((f"{prefix}+", f"{prefix}-")):
            return _offset(name[len(prefix) :])
    return ZoneInfo(name) if name in _regions() else None


def completed(name: str) -> str:
    """A name with two digits in hours and minutes, and three letters as what they stand for."""
    name = _MINUTE.sub(r"\g<1>0\2", _HOUR.sub(r"\g<1>0\2:", name, count=1), count=1)
    return _SHORT.get(name, name)


@cache
def _regions() -> set[str]:
    return available_timezones()


def _offset(text: str) -> tzinfo | None:
    found = _OFFSET.fullmatch(text)
    if found is None:
        return None
    sign, hour, hours, *rest = found.groups("0")
    minutes, seconds = (max(int(a), int(b)) for a, b in zip(rest[:2], rest[2:], strict=True))
    total = timedelta(hours=max(int(hour), int(hours)), minutes=minutes, seconds=seconds)
    if minutes > 59 or seconds > 59 or total > timedelta(hours=18):
        return None
    return timezone(-total if sign == "-" else total)
