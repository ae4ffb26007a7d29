"""The time zones of which it is proven that Java and the system's files agree."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from thresher import zones

# Java and the zone files of the system do not agree on these.
_UNSURE = ("America/Coyhaique", "Asia/Tehran", "EET", "Factory", "Iran", "ROC", "WET", "localtime")
# Before this they keep different old rules, named regions only.
_AGREED_SINCE = datetime(1970, 1, 2)


def instant(local: datetime, place: tzinfo) -> datetime:
    """The instant in UTC of a local time, as Java finds it: in a gap by the rule before it, the first one of two."""
    if isinstance(place, ZoneInfo) and local < _AGREED_SINCE:
        raise ValueError(f"not proven equal to Spark: local time of {place} before 1970")
    return local.replace(tzinfo=place).astimezone(UTC)


def zone(name: str) -> tzinfo | None:
    """The zone that Spark takes for a name, an offset or both; None where it knows none."""
    name = zones.completed(name)
    if name in _UNSURE or name.startswith("SystemV/"):
        raise ValueError(f"not proven equal to Spark: the time zone {name}")
    return zones.zone(name)
