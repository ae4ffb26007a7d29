"""Text to numbers and booleans, in the forms that Spark reads.

Macros take the text and whether it is a try_cast, where text in no such form gives NULL instead of an error.
"""

import re
from decimal import Decimal

import pyarrow as pa

from thresher.sql.allowed import MACROS, arrow_function

# Spark trims ASCII white space and control characters before it casts; numbers with a point are left to Java, which
# trims all up to the space.
EDGE = r"[\x00-\x20\x7f]*"
_JAVA_EDGE = r"[\x00-\x20]*"


def failure(message: str) -> str:
    """DuckDB text that raises an error with the text `s` in it."""
    return f"error('{message}: ' || coalesce(s, 'NULL'))"


def _parsed(cases: str, what: str) -> str:
    return f"CASE WHEN s IS NULL THEN NULL {cases} WHEN is_try THEN NULL ELSE {failure(f'text that is no {what}')} END"


_INTEGER = "[+-]?[0-9]+"
_PLAIN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_DOUBLE = rf"{_PLAIN}(?:[eE][+-]?[0-9]+)?"


def _floating(word: str) -> str:
    """Java's forms of a number, and the words for what is none, of which Spark reads more."""
    return _parsed(
        f"WHEN regexp_full_match(s, '{_JAVA_EDGE}{_DOUBLE}[dDfF]?{_JAVA_EDGE}') "
        f"THEN CAST(regexp_extract(s, '{_JAVA_EDGE}({_DOUBLE})', 1) AS {word}) "
        f"WHEN regexp_full_match(s, '{_JAVA_EDGE}(?:(?i:nan)|[+-]NaN){_JAVA_EDGE}') THEN CAST('NaN' AS {word}) "
        f"WHEN regexp_full_match(s, '(?i){_JAVA_EDGE}[+]?inf(?:inity)?{_JAVA_EDGE}') THEN CAST('Infinity' AS {word}) "
        f"WHEN regexp_full_match(s, '(?i){_JAVA_EDGE}-inf(?:inity)?{_JAVA_EDGE}') THEN CAST('-Infinity' AS {word}) "
        f"WHEN regexp_full_match(s, '(?is){_JAVA_EDGE}[+-]?0x.*p.*') "
        f"THEN {failure('not proven equal to Spark: a number in hexadecimal')}",
        "number",
    )


MACROS.update(
    {
        "spark_integer_text(s, is_try)": _parsed(
            f"WHEN regexp_full_match(s, '{EDGE}{_INTEGER}{EDGE}') THEN regexp_extract(s, '{EDGE}({_INTEGER})', 1)",
            "integer",
        ),
        "spark_number_text(s, is_try)": (
            f"CASE WHEN s IS NULL OR regexp_full_match(s, '{_PLAIN}') THEN s ELSE spark_number_text_any(s, is_try) END"
        ),
        "spark_double_of_text(s, is_try)": _floating("DOUBLE"),
        "spark_float_of_text(s, is_try)": _floating("FLOAT"),
        "spark_boolean_of_text(s, is_try)": _parsed(
            f"WHEN regexp_full_match(lower(s), '{EDGE}(?:t|true|y|yes|1){EDGE}') THEN true "
            f"WHEN regexp_full_match(lower(s), '{EDGE}(?:f|false|n|no|0){EDGE}') THEN false",
            "boolean",
        ),
    }
)

# Java's BigDecimal; its digits may be those of any script, in one UTF-16 unit.
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?0*\d{1,10})?")
_LARGEST_EXPONENT = 10_000_000  # beyond, Spark's own arithmetic overflows or takes hours
_LAST_PLACE = 100  # digits behind it are too far from any decimal's last digit to count


@arrow_function("spark_number_text_any", ["VARCHAR", "BOOLEAN"], "VARCHAR")
def _number_texts(texts: pa.Array, are_try: pa.Array) -> pa.Array:
    found = []
    for text, is_try in zip(texts.to_pylist(), are_try.to_pylist(), strict=True):
        number = None if text is None else plain_number(text)
        if number is None and text is not None and not is_try:
            raise ValueError(f"text that is no number with up to 38 digits before the point: {text}")
        found.append(number)
    return pa.array(found, pa.string())


def plain_number(text: str) -> str | None:
    """The number without exponent; None where Spark finds none, or more than 38 digits before the point.

    >>> plain_number(" 1.5e3 "), plain_number("٣.1"), plain_number("1e-200"), plain_number("1e38"), plain_number("1,5")
    ('1500', '3.1', '0', None, None)
    """
    text = text.strip("".join(map(chr, range(33))))
    found = _NUMBER.fullmatch(text)
    if found is None or any(character > "\uffff" for character in text):
        return None
    number = Decimal(text)
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if abs(exponent) > _LARGEST_EXPONENT and (number or exponent > 0):
        if exponent > 0 and exponent < 2**31 - 100 or abs(exponent) > 2**31:
            return None
        raise ValueError(f"not proven equal to Spark: a number with such an exponent: {text}")
    if len(digits) + exponent > 38:
        return None
    return "0" if not number or number.adjusted() < -_LAST_PLACE else f"{number:f}"
