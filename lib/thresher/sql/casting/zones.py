"""Time zones by the names that Java knows them under."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
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

# Java and the zone files of the system do not agree on these.
_UNSURE = ("America/Coyhaique", "Asia/Tehran", "EET", "Factory", "Iran", "ROC", "WET", "localtime")
# Before this they keep different old rules, named regions only.
_AGREED_SINCE = datetime(1970, 1, 2)


def instant(local: datetime, place: tzinfo) -> datetime:
    """The instant in UTC of a local time, as Java finds it: in a gap by the rule before it, the first one of two."""
    if isinstance(place, ZoneInfo) and local < _AGREED_SINCE:
        raise ValueError(f"not proven equal to Spark: local time of {place} before 1970")
    return local.replace(tzinfo=place).astimezone(UTC)


@cache
def zone(name: str) -> tzinfo | None:
    """The zone that Spark takes for a name, an offset or both; None where it knows none.

    >>> zone("UTC-8"), zone("EST"), zone("Europe/Paris"), zone("europe/paris")
    (datetime.timezone(datetime.timedelta(days=-1, seconds=57600)), \
datetime.timezone(datetime.timedelta(days=-1, seconds=68400)), zoneinfo.ZoneInfo(key='Europe/Paris'), None)
    """
    name = _MINUTE.sub(r"\g<1>0\2", _HOUR.sub(r"\g<1>0\2:", name, count=1), count=1)
    name = _SHORT.get(name, name)
    if name == "Z":
        return UTC
    if name[:1] in ("+", "-"):
        return _offset(name)
    if name in _UNSURE or name.startswith("SystemV/"):
        raise ValueError(f"not proven equal to Spark: the time zone {name}")
    for prefix in ("UTC", "GMT", "UT"):
        if name == prefix:
            return UTC
        if name.startswith((f"{prefix}+", f"{prefix}-")):
            return _offset(name[len(prefix) :])
    return ZoneInfo(name) if name in _regions() else None


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
