"""Literals as Spark reads them."""

import re
from decimal import Decimal

import pyarrow as pa

from thresher.sql import kinds
from thresher.sql.casting.time_reading import read_date, read_timestamp, read_timestamp_ntz
from thresher.types import TIMESTAMP


def temporal(text: str, kind: pa.DataType) -> str | None:
    """DuckDB's literal for the text of a date, timestamp or timestamp_ntz; None where it is none to Spark.

    Raises ValueError where Spark's reading is not proven, or depends on the day.

    >>> temporal("2024-2-1", kinds.DATE), temporal("2024-02-01T10:00:00+01:00", TIMESTAMP)
    ("DATE '2024-02-01'", "TIMESTAMPTZ '2024-02-01 09:00:00+00'")
    """
    word = special_word(text)
    if word not in (None, "epoch"):
        raise ValueError(f"not proven equal to Spark: the word {word} as {kinds.in_spark(kind)}")
    text = "1970-01-01" if word else text
    if kind == kinds.DATE:
        found = read_date(text)
        return f"DATE '{found}'" if found else None
    if kind == TIMESTAMP:
        found = read_timestamp(text)
        return f"TIMESTAMPTZ '{found}+00'" if found else None
    found = read_timestamp_ntz(text)
    return f"TIMESTAMP '{found}'" if found else None


_WORD = re.compile(r"\s*(epoch|now|today|tomorrow|yesterday)\b(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)


def special_word(text: str) -> str | None:
    """A word that Spark takes for a day or an instant where it is written in the statement, with a zone behind it.

    >>> special_word(" EPOCH"), special_word("now UTC"), special_word("2024-01-01")
    ('epoch', 'now utc', None)
    """
    found = _WORD.fullmatch(text)
    return (found[1] + found[2]).strip().lower() if found else None


def date_text(text: str) -> str | None:
    """The text of a date in full form, else None.

    >>> date_text("2024-02-29"), date_text("2023-02-29"), date_text("2024-2-1")
    ('2024-02-29', None, '2024-02-01')
    """
    try:
        return read_date(text)
    except ValueError:
        return None


def timestamp_text(text: str) -> str | None:
    """The text of an instant in UTC in full form, else None.

    >>> timestamp_text("2024-01-31"), timestamp_text("2024-01-31T10:00:00.5"), timestamp_text("10:00")
    ('2024-01-31 00:00:00', '2024-01-31 10:00:00.500000', None)
    """
    try:
        return read_timestamp(text)
    except ValueError:
        return None


def number(text: str) -> tuple[str, pa.DataType] | None:
    """A plain number's text for DuckDB and its type in Spark; None where it fits none.

    >>> number("3000000000"), number("1.50"), number("0.05")[1]
    (('3000000000', DataType(int64)), ('1.50', Decimal128Type(decimal128(3, 2))), Decimal128Type(decimal128(2, 2)))
    """
    if "e" in text.lower():
        return (text, kinds.DOUBLE) if abs(Decimal(text)) <= LARGEST[kinds.DOUBLE] else None
    if "." not in text:
        value = int(text)
        for kind, bits in ((kinds.INT, 31), (kinds.BIGINT, 63)):
            if -(2**bits) <= value < 2**bits:
                return str(value), kind
    return exact_number(text)


LARGEST = {kinds.FLOAT: Decimal("3.4028234663852886E38"), kinds.DOUBLE: Decimal("1.7976931348623157E308")}


def exact_number(text: str) -> tuple[str, pa.DataType] | None:
    """A decimal number's text for DuckDB and its type in Spark; None where it has more than 38 digits.

    >>> exact_number("1.50"), exact_number("1e3")
    (('1.50', Decimal128Type(decimal128(3, 2))), ('1000', Decimal128Type(decimal128(4, 0))))
    """
    _, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    scale = max(0, -exponent)
    precision = max(len(digits) + max(0, exponent), scale)
    return (f"{Decimal(text):f}", pa.decimal128(precision, scale)) if precision <= kinds.MAX_PRECISION else None
