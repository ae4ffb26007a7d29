"""Text to dates and timestamps, in the forms that Spark reads.

Text in the usual full form goes to DuckDB as it is; everything else is read here and handed on in that form.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo

import pyarrow as pa

from thresher.sql.allowed import MACROS, arrow_function
from thresher.sql.casting import zones

_BLANKS = "".join(map(chr, range(33)))  # as Java trims
_EDGES = _BLANKS + "\x7f"  # as Spark trims
_DAY = r"([+-]?)(\d{4,7})(?:-(\d{1,2})(?:-(\d{1,2}){rest})?)?"
_CLOCK = r"(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?([^\d.].*)?)?)?"
_DATE = re.compile(_DAY.replace("{rest}", "(?:[ T].*)?"), re.ASCII | re.DOTALL)
_TIMESTAMP = re.compile(_DAY.replace("{4,7}", "{4,6}").replace("{rest}", f"(?:[ T]{_CLOCK})?"), re.ASCII | re.DOTALL)
_TIME_ALONE = re.compile(rf"(?:T|(?=\d+:)){_CLOCK}", re.ASCII | re.DOTALL)

_FULL_DAY = "[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}"
_FULL_CLOCK = r"[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_FULL_ZONE = "(?:Z|[+-](?:0[0-9]|1[0-7]):[0-5][0-9])?"

MACROS.update(
    {
        "spark_date_of_text(s, is_try)": (
            f"CASE WHEN s IS NULL OR regexp_full_match(s, '{_FULL_DAY}') THEN s "
            "ELSE spark_date_of_any_text(s, is_try) END"
        ),
        "spark_timestamp_of_text(s, is_try)": (
            f"CASE WHEN s IS NULL OR regexp_full_match(s, '{_FULL_DAY}(?:{_FULL_CLOCK}{_FULL_ZONE})?') THEN s "
            "ELSE spark_timestamp_of_any_text(s, is_try) END"
        ),
        "spark_timestamp_ntz_of_text(s, is_try)": (
            f"CASE WHEN s IS NULL OR regexp_full_match(s, '{_FULL_DAY}(?:{_FULL_CLOCK})?') THEN s "
            "ELSE spark_timestamp_ntz_of_any_text(s, is_try) END"
        ),
    }
)


@arrow_function("spark_date_of_any_text", ["VARCHAR", "BOOLEAN"], "VARCHAR")
def _dates(texts: pa.Array, are_try: pa.Array) -> pa.Array:
    return _read(texts, are_try, read_date, "date")


@arrow_function("spark_timestamp_of_any_text", ["VARCHAR", "BOOLEAN"], "VARCHAR")
def _timestamps(texts: pa.Array, are_try: pa.Array) -> pa.Array:
    return _read(texts, are_try, lambda text: _with_zone(read_timestamp(text)), "timestamp")


@arrow_function("spark_timestamp_ntz_of_any_text", ["VARCHAR", "BOOLEAN"], "VARCHAR")
def _timestamps_ntz(texts: pa.Array, are_try: pa.Array) -> pa.Array:
    return _read(texts, are_try, read_timestamp_ntz, "timestamp_ntz")


def _with_zone(text: str | None) -> str | None:
    return f"{text}+00" if text else None


def _read(texts: pa.Array, are_try: pa.Array, read: Callable[[str], str | None], what: str) -> pa.Array:
    found = []
    for text, is_try in zip(texts.to_pylist(), are_try.to_pylist(), strict=True):
        value = None if text is None else read(text)
        if value is None and text is not None and not is_try:
            raise ValueError(f"text that is no {what}: {text}")
        found.append(value)
    return pa.array(found, pa.string())


def read_date(text: str) -> str | None:
    """A date in full form, None for text that is none to Spark.

    >>> read_date(" 2024-2-1 "), read_date("2024"), read_date("2024-02-01 x"), read_date("2024-02-30")
    ('2024-02-01', '2024-01-01', '2024-02-01', None)
    """
    found = _DATE.fullmatch(text.strip(_EDGES))
    day = _day(text, *found.groups()) if found else None
    return day.isoformat() if day else None


def read_timestamp(text: str) -> str | None:
    """An instant in full form in UTC, None for text that is none to Spark.

    >>> read_timestamp("2024-01-31 1:2"), read_timestamp("2024-07-01 00:00:00.5 Europe/Paris")
    ('2024-01-31 01:02:00', '2024-06-30 22:00:00.500000')
    """
    local, zone = _local(text)
    if local is None and _is_time_alone(text):
        raise ValueError(f"not proven equal to Spark: a time without a date, which takes the day of the run: {text}")
    if local is None or zone is None:
        return None
    try:
        return zones.instant(local, zone).replace(tzinfo=None).isoformat(" ")
    except OverflowError:
        raise _far(text) from None


def read_timestamp_ntz(text: str) -> str | None:
    """A timestamp without zone in full form; a zone in the text is passed over, if it is one.

    >>> read_timestamp_ntz("2024-01-31T10:00:00+01:00"), read_timestamp_ntz("2024-01-31 10:00:00 Nowhere")
    ('2024-01-31 10:00:00', None)
    """
    local, zone = _local(text)
    return None if local is None or zone is None else local.isoformat(" ")


def _local(text: str) -> tuple[datetime | None, tzinfo | None]:
    found = _TIMESTAMP.fullmatch(text.strip(_EDGES))
    if found is None:
        return None, None
    clock = _clock(*found.groups()[4:8])
    zone = UTC if found[9] is None else zones.zone(found[9].strip(_BLANKS))
    day = _day(text, *found.groups()[:4])
    if clock is None or zone is None or day is None:
        return None, None
    return datetime(day.year, day.month, day.day) + clock, zone


def _is_time_alone(text: str) -> bool:
    found = _TIME_ALONE.fullmatch(text.rstrip(_EDGES) if text[:1] == "T" else text.strip(_EDGES))
    if found is None or _clock(*found.groups()[:4]) is None:
        return False
    return found[5] is None or zones.zone(found[5].strip(_BLANKS)) is not None


def _day(text: str, sign: str, year: str, month: str | None, day: str | None) -> date | None:
    """The day; None where there is no such day. DuckDB and Python count other years than Spark does."""
    number, far = int(year), sign == "-" or not 1 <= int(year) <= 9999
    try:
        found = date(2000 + number % 400 if far else number, int(month or 1), int(day or 1))
    except ValueError:
        return None
    if far:
        raise _far(text)
    return found


def _far(text: str) -> ValueError:
    return ValueError(f"not proven equal to Spark: a day outside the years 1 to 9999: {text}")


def _clock(hour: str | None, minute: str | None, second: str | None, fraction: str | None) -> timedelta | None:
    """The time of the day, cut to microseconds; None where there is no such time."""
    hours, minutes, seconds = (int(part or 0) for part in (hour, minute, second))
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return timedelta(
        hours=hours, minutes=minutes, seconds=seconds, microseconds=int((fraction or "")[:6].ljust(6, "0"))
    )
