"""Dates and times as numbers since 1970, which know more years than Python's, and ISO 8601 in text."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

MICROS_A_DAY = 86_400_000_000
# The calendar repeats itself after 400 years.
CYCLE_YEARS, CYCLE_DAYS = 400, 146_097
EPOCH_DAY = date(1970, 1, 1).toordinal()

_EPOCH = datetime(1970, 1, 1)
_CYCLE = CYCLE_DAYS * MICROS_A_DAY
_FIRST, _LAST = ((date(year, 1, 2).toordinal() - EPOCH_DAY) * MICROS_A_DAY for year in (1, 9999))
_PYTHON = range((1 - EPOCH_DAY) * MICROS_A_DAY, (date.max.toordinal() + 1 - EPOCH_DAY) * MICROS_A_DAY)
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)


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


def day_of(day: date) -> int:
    """Days since 1970.

    >>> day_of(date(1970, 1, 31))
    30
    """
    return day.toordinal() - EPOCH_DAY


def micros_of(moment: datetime, distance: timedelta | None, place: tzinfo, *, has_zone: bool) -> int:
    """Microseconds since 1970 of a time with its distance from UTC, or of one in a place; local without a zone.

    Raises ValueError for a distance where the type has no zone.

    >>> micros_of(datetime(1970, 1, 1, 2), timedelta(hours=2), UTC, has_zone=True)
    0
    """
    local = (moment - _EPOCH) // timedelta(microseconds=1)
    if not has_zone:
        if distance is not None:
            raise ValueError("has a time zone; a timestamp_ntz has none")
        return local
    return in_zone(local, place) if distance is None else local - distance // timedelta(microseconds=1)


def in_zone(local: int, place: tzinfo) -> int:
    """The instant of a local time, both in microseconds: in a gap by the rule before it, the first one of two.

    >>> from thresher.zones import zone
    >>> in_zone(3_600_000_000, zone("+01:00"))
    0
    """
    if place is UTC:
        return local
    # After the last rule all goes on as it is; before the first one the zone's own time counts.
    cycles_beyond = -(-max(0, local - _LAST) // _CYCLE)
    known = max(local - cycles_beyond * _CYCLE, _FIRST)
    distance = place.utcoffset(_EPOCH + timedelta(microseconds=known)) or timedelta()
    return local - distance // timedelta(microseconds=1)


def within_python(micros: int) -> int:
    """The number, if it is an instant of the years 1 to 9999; else raises ValueError."""
    if micros not in _PYTHON:
        raise ValueError("is outside the years 1 to 9999")
    return micros
