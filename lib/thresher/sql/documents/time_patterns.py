"""Dates and times by Spark's patterns in SQL: what Python has no value for is not proven."""

from datetime import datetime, timedelta

from thresher import time_patterns
from thresher.sql.documents.unproven import Unproven
from thresher.time_patterns import BeyondPython, NoPattern, check_reading, check_writing

__all__ = ["NoPattern", "check_reading", "check_writing", "read", "write"]


def read(text: str, pattern: str) -> tuple[datetime, timedelta | None]:
    """A date and time, and its distance from UTC where the pattern has one. Raises ValueError."""
    try:
        return time_patterns.read(text, pattern)
    except BeyondPython as error:
        raise Unproven(str(error)) from None


def write(moment: datetime, pattern: str) -> str:
    """The text of a date and time; one without a zone is in UTC."""
    try:
        return time_patterns.write(moment, pattern)
    except BeyondPython as error:
        raise Unproven(str(error)) from None
