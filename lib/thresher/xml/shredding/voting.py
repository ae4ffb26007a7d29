"""For which type the bytes of one text speak: the rules of `votes.vote`, or UNSURE for what only that can tell."""

from thresher.compiled import compiled
from thresher.xml.shredding.machine import load_byte, word
from thresher.xml.shredding.scanning import DASH, DOT
from thresher.xml.shredding.tables import HAS_FORMATS, IS_SPARK, PREFERS_DATE, PREFERS_DECIMAL, setting
from thresher.xml.shredding.values import (
    EXACT_DIGITS,
    FIRST_DIGITS,
    MOST_DIGITS,
    NO_DATE,
    NO_MOMENT,
    ONLY_ZONE,
    PLUS,
    boolean_value,
    date_value,
    double_value,
    moment_value,
    number_parts,
)

# The votes in the order of their counts.
KINDS = ("integer", "decimal", "double", "boolean", "date", "timestamp", "timestamp_ntz", "text")
INTEGER, DECIMAL, DOUBLE, BOOLEAN, DATE, TIMESTAMP, LOCAL, TEXT, UNSURE = range(9)
_T = 84
_LEAST = -(1 << 63)


@compiled
def vote(settings: int, address: int, length: int) -> tuple[int, int, int, int, float]:
    """The vote of a text that is not empty, its digits before and after the point and overall, and its value."""
    first = load_byte(address)
    if setting(settings, IS_SPARK):
        return _spark_vote(settings, address, length, first)
    is_digit = 48 <= first <= 57
    has_formats = setting(settings, HAS_FORMATS)
    if is_digit and length == 10 and not has_formats and date_value(address, length) != NO_DATE:
        return (DATE if setting(settings, PREFERS_DATE) else LOCAL), 0, 0, 0, 0.0
    if is_digit or first == DASH:
        number, _, count, scale, exponent, negative = number_parts(address, length, word(1))
        if count >= 0:
            value = double_value(address, length, number, count, scale, exponent, negative)
            if value != value:
                return UNSURE, 0, 0, 0, 0.0
            if exponent:
                if count <= EXACT_DIGITS and -285 < exponent >> 1 < 285:
                    return DOUBLE, 0, 0, count, value
                return (UNSURE if has_formats else TEXT), 0, 0, 0, 0.0
            whole = _whole_digits(address, length, negative, scale)
            is_long = scale == 0 and count <= FIRST_DIGITS and (number >= 0 or (negative and number == _LEAST))
            return (INTEGER if is_long else DECIMAL), whole, scale, count, value
        if _is_like_a_number(address, length):
            return UNSURE, 0, 0, 0, 0.0
    if has_formats:
        return UNSURE, 0, 0, 0, 0.0
    if is_digit and length >= 10 and load_byte(address + 4) == DASH:
        kind = _moment_vote(settings, address, length)
        return kind, 0, 0, 0, 0.0
    if boolean_value(address, length, word(1)) >= 0:
        return BOOLEAN, 0, 0, 0, 0.0
    return TEXT, 0, 0, 0, 0.0


@compiled
def _whole_digits(address: int, length: int, negative: int, scale: int) -> int:
    """The digits before the point; a lone zero is none."""
    whole = length - negative - (scale + 1 if scale else 0)
    return 0 if whole == 1 and load_byte(address + negative) == 48 else whole


@compiled
def _is_like_a_number(address: int, length: int) -> bool:
    """Whether a text that is no number for here could be one all the same: long, or with an exponent."""
    has_exponent = False
    for at in range(length):
        byte = load_byte(address + at)
        if byte | 32 == 101:
            has_exponent = True
        elif not (48 <= byte <= 57 or byte == DASH or byte == DOT or byte == PLUS):
            return False
    return has_exponent or length > MOST_DIGITS


@compiled
def _moment_vote(settings: int, address: int, length: int) -> int:
    """Date or timestamp; what looks like one and is none here (year 1, odd offsets) is for the reference."""
    if date_value(address, length) != NO_DATE:
        return DATE if setting(settings, PREFERS_DATE) else LOCAL
    moment, has_zone = moment_value(address, length)
    if moment != NO_MOMENT:
        return TIMESTAMP if has_zone else LOCAL
    return UNSURE


@compiled
def _spark_vote(settings: int, address: int, length: int, first: int) -> tuple[int, int, int, int, float]:
    is_number = 48 <= first <= 57 or first == DASH or first == PLUS or first == DOT
    if is_number and not setting(settings, PREFERS_DECIMAL):
        number, _, count, scale, exponent, negative = number_parts(address, length, word(0))
        if 0 <= count < FIRST_DIGITS:
            value = double_value(address, length, number, count, scale, exponent, negative)
            is_whole = scale == 0 and exponent == 0 and load_byte(address + length - 1) != DOT
            if value == value:
                return (INTEGER if is_whole else DOUBLE), 0, 0, 0, value
    if not setting(settings, HAS_FORMATS) and 48 <= first <= 57 and length >= 10 and load_byte(address + 4) == DASH:
        if date_value(address, length) != NO_DATE:
            return DATE, 0, 0, 0, 0.0
        moment, zone = moment_value(address, length)
        if moment != NO_MOMENT and zone != ONLY_ZONE:
            return TIMESTAMP, 0, 0, 0, 0.0
    lower = first | 32
    is_letter = 97 <= lower <= 122 and first != _T
    if setting(settings, HAS_FORMATS) or not is_letter:
        return UNSURE, 0, 0, 0, 0.0
    if boolean_value(address, length, word(0)) >= 0:
        return BOOLEAN, 0, 0, 0, 0.0
    return TEXT, 0, 0, 0, 0.0
