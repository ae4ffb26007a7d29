"""From the bytes of one value to its binary form; what is not plainly of its type is left to the reference."""

from thresher.compiled import compiled
from thresher.xml.shredding.machine import load_byte, load_word, read_double, word, wrapped_product, wrapped_sum
from thresher.xml.shredding.scanning import COLON, DASH, DOT, SPACE

PLUS = 43
# A word holds nineteen digits, a decimal of Arrow two times that.
FIRST_DIGITS, MOST_DIGITS = 19, 38
# Every decimal of at most 15 digits and power of ten up to 22 comes out of one division or multiplication as it should.
EXACT_DIGITS, EXACT_POWER = 15, 22
_POWERS = tuple(10.0**power for power in range(EXACT_POWER + 1))
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
NO_DATE = -(1 << 40)
NO_MOMENT = -(1 << 62)
DAY_US = 86_400_000_000
HAS_ZONE, ONLY_ZONE = 1, 2


@compiled
def digits_value(address: int, length: int) -> int:
    """The number that up to 18 digits stand for; -1 where there are other characters."""
    number = 0
    for at in range(length):
        digit = load_byte(address + at) - 48
        if digit < 0 or digit > 9:
            return -1
        number = number * 10 + digit
    return number


@compiled
def number_parts(address: int, length: int, is_strict: int) -> tuple[int, int, int, int, int, int]:
    """The parts of a number: its first nineteen digits, the digits after those, how many digits there are (-1: no
    number for here), how many after the point, the exponent, and whether it is negative.

    Leading zeros do not count. The exponent is doubled and odd where one is written. Strict numbers are written as a
    number would be written back: no plus, no leading zeros, a digit on both sides of a point, no negative zero. More
    than 38 digits are left to the reference.
    """
    end = address + length
    sign = load_byte(address) if length else 0
    negative = 1 if sign == DASH else 0
    if negative or (sign == PLUS and not is_strict):
        address += 1
    number, more, count, scale, exponent = 0, 0, 0, 0, 0
    start, point = address, 0
    while address < end:
        digit = load_byte(address) - 48
        if digit < 0 or digit > 9:
            if digit != DOT - 48 or point:
                break
            point = address
        elif count < FIRST_DIGITS:
            number = wrapped_sum(wrapped_product(number, 10), digit)
            count += 1 if number else 0
        else:
            more = wrapped_sum(wrapped_product(more, 10), digit)
            count += 1
        address += 1
    whole = (point or address) - start
    scale = address - point - 1 if point else 0
    if count > MOST_DIGITS or whole + scale == 0:
        return 0, 0, -1, 0, 0, 0
    if is_strict and (whole == 0 or (whole > 1 and load_byte(start) == 48) or (point and scale == 0)):
        return 0, 0, -1, 0, 0, 0
    if address < end:
        if load_byte(address) | 32 != 101:
            return 0, 0, -1, 0, 0, 0
        address += 1
        mark = load_byte(address) if address < end else 0
        if mark == DASH or mark == PLUS:
            address += 1
        exponent = digits_value(address, end - address) if 0 < end - address <= 3 else -1
        if exponent < 0:
            return 0, 0, -1, 0, 0, 0
        exponent = (-exponent if mark == DASH else exponent) * 2 + 1
    if is_strict and negative and number == 0:
        return 0, 0, -1, 0, 0, 0
    return number, more, count, scale, exponent, negative


@compiled
def double_value(address: int, length: int, number: int, count: int, scale: int, exponent: int, negative: int) -> float:
    """The double next to a number given by its text and parts; NaN where it cannot be told here."""
    power = (exponent >> 1) - scale
    if count <= EXACT_DIGITS and -EXACT_POWER <= power <= EXACT_POWER:
        value = number / _POWERS[-power] if power < 0 else number * _POWERS[power]
        return -value if negative else value
    return read_double(address, length)


@compiled
def _two_digits(address: int) -> int:
    tens, ones = load_byte(address) - 48, load_byte(address + 1) - 48
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else -1


@compiled
def days_of(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the Gregorian calendar; NO_DATE where there is none.

    Source: the count of days from 1 March of a year 0, in eras of 400 years.
    """
    if year < 1 or month < 1 or month > 12 or day < 1:
        return NO_DATE
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _DAYS[month - 1] + (1 if month == 2 and is_leap else 0):
        return NO_DATE
    year -= 1 if month <= 2 else 0
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


@compiled
def date_value(address: int, length: int) -> int:
    """The days of a date written `yyyy-MM-dd`; NO_DATE for anything else."""
    if length != 10 or load_byte(address + 4) != DASH or load_byte(address + 7) != DASH:
        return NO_DATE
    century, year = _two_digits(address), _two_digits(address + 2)
    month, day = _two_digits(address + 5), _two_digits(address + 8)
    if century < 0 or year < 0:
        return NO_DATE
    return days_of(century * 100 + year, month, day)


@compiled
def moment_value(address: int, length: int) -> tuple[int, int]:
    """The microseconds of a timestamp in full ISO 8601 form, and whether it names its zone; NO_MOMENT for none.

    The zone is HAS_ZONE, or ONLY_ZONE where no seconds stand before it.

    With a zone they are UTC's. At the first and last year the zone decides whether there is such a moment: none here.
    """
    days = date_value(address, word(10)) if length >= 16 else NO_DATE
    middle = load_byte(address + 10)
    if days == NO_DATE or (middle != 84 and middle != SPACE) or load_byte(address + 13) != COLON:
        return NO_MOMENT, 0
    hour, minute = _two_digits(address + 11), _two_digits(address + 14)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return NO_MOMENT, 0
    at, end = address + 16, address + length
    second, fraction, zone = 0, 0, ONLY_ZONE
    if at < end and load_byte(at) == COLON:
        second = _two_digits(at + 1) if at + 3 <= end else -1
        if second < 0 or second > 59:
            return NO_MOMENT, 0
        at += 3
        zone = HAS_ZONE
        if at < end and load_byte(at) == DOT:
            at += 1
            start = at
            while at < end and 48 <= load_byte(at) <= 57:
                if at - start < 6:
                    fraction = fraction * 10 + load_byte(at) - 48
                elif load_byte(at) != 48:
                    return NO_MOMENT, 0
                at += 1
            if at == start:
                return NO_MOMENT, 0
            for _ in range(6 - (at - start)):
                fraction *= 10
    moment = days * DAY_US + ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    if at == end:
        return moment, 0
    year = _two_digits(address) * 100 + _two_digits(address + 2)
    if year < 2 or year > 9998:
        return NO_MOMENT, 0
    mark = load_byte(at)
    if mark == 90:
        return (moment if at + 1 == end else NO_MOMENT), zone
    if (mark != PLUS and mark != DASH) or at + 6 != end or load_byte(at + 3) != COLON:
        return NO_MOMENT, 0
    hours, minutes = _two_digits(at + 1), _two_digits(at + 4)
    if hours < 0 or hours > 17 or minutes < 0 or minutes > 59:
        return NO_MOMENT, 0
    offset = (hours * 60 + minutes) * 60_000_000
    return (moment - offset if mark == PLUS else moment + offset), zone


@compiled
def boolean_value(address: int, length: int, is_strict: int) -> int:
    """0 or 1 for a boolean, -1 for anything else; strictly only `true` and `false`, else in any case, `1` and `0`."""
    if length == 1 and not is_strict:
        digit = load_byte(address) - 48
        return digit if digit == 0 or digit == 1 else -1
    if length != 4 and length != 5:
        return -1
    letters = (1 << (8 * length)) - 1
    text = load_word(address) & letters
    if not is_strict:
        text |= 0x2020202020 & letters
    if length == 4:
        return 1 if text == 0x65757274 else -1
    return 0 if text == 0x65736C6166 else -1
