"""Literals as Spark reads them."""

import re
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa

from thresher.sql import kinds

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?", re.ASCII)


def date_text(text: str) -> str | None:
    """The text of a date in full form, else None.

    >>> date_text("2024-02-29"), date_text("2023-02-29"), date_text("2024-2-1")
    ('2024-02-29', None, None)
    """
    try:
        return date.fromisoformat(text).isoformat() if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def timestamp_text(text: str) -> str | None:
    """The text of an instant in UTC from its full form, else None.

    >>> timestamp_text("2024-01-31"), timestamp_text("2024-01-31T10:00:00.5"), timestamp_text("10:00")
    ('2024-01-31 00:00:00', '2024-01-31 10:00:00.500000', None)
    """
    try:
        return datetime.fromisoformat(_padded(text)).isoformat(" ") if _TIMESTAMP.fullmatch(text) else None
    except ValueError:
        return None


def _padded(text: str) -> str:
    whole, dot, fraction = text.partition(".")
    return whole + dot + fraction.ljust(6, "0") if dot else whole


def number(text: str) -> tuple[str, pa.DataType] | None:
    """A plain number's text for DuckDB and its type in Spark; None where it fits none.

    >>> number("3000000000"), number("1.50"), number("0.05")[1]
    (('3000000000', DataType(int64)), ('1.50', Decimal128Type(decimal128(3, 2))), Decimal128Type(decimal128(2, 2)))
    """
    if "e" in text.lower():
        return text, kinds.DOUBLE
    if "." not in text:
        value = int(text)
        for kind, bits in ((kinds.INT, 31), (kinds.BIGINT, 63)):
            if -(2**bits) <= value < 2**bits:
                return str(value), kind
    _, digits, exponent = Decimal(text).as_tuple()
    scale = -int(exponent)
    precision = max(len(digits), scale)
    return (text, pa.decimal128(precision, scale)) if precision <= kinds.MAX_PRECISION else None
