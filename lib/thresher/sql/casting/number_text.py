"""The text of floating numbers, as Java 17 prints them.

Java's digits are the shortest ones that give the number back, as everywhere, but for a few values: whole numbers beyond
2^53, powers of two, subnormal numbers, and halves between two numbers. For these the digits come from Java's own
method, retold here (Steele & White's, with Java's limits); DuckDB writes the everyday ones itself.
"""

import itertools
import math
from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa

from thresher.sql.allowed import MACROS, arrow_function

# Between these limits Java writes no exponent, and DuckDB's text is Java's, unless the number lies halfway between two
# decimals as short as can be: few digits or a fraction of many bits rule that out.
_EVERYDAY = (
    "abs(x) >= 1e-3 AND abs(x) < 1e7 AND (length(CAST(x AS VARCHAR)) <= {length} OR x * 1048576 <> floor(x * 1048576))"
)
_DOUBLE = _EVERYDAY.format(length=16)

MACROS["spark_double_text(x)"] = f"CASE WHEN {_DOUBLE} THEN CAST(x AS VARCHAR) ELSE spark_double_text_any(x) END"
MACROS["spark_double_digits(x)"] = f"CASE WHEN {_DOUBLE} THEN CAST(x AS VARCHAR) ELSE spark_double_digits_any(x) END"
MACROS["spark_float_text(x)"] = (
    f"CASE WHEN {_EVERYDAY.format(length=7)} THEN CAST(x AS VARCHAR) ELSE spark_float_text_any(x) END"
)


@arrow_function("spark_double_text_any", ["DOUBLE"], "VARCHAR")
def _double_texts(numbers: pa.Array) -> pa.Array:
    return _texts(numbers, double_text)


@arrow_function("spark_double_digits_any", ["DOUBLE"], "VARCHAR")
def _double_digits(numbers: pa.Array) -> pa.Array:
    return _texts(numbers, double_digits)


@arrow_function("spark_float_text_any", ["FLOAT"], "VARCHAR")
def _float_texts(numbers: pa.Array) -> pa.Array:
    return _texts(numbers, float_text)


def _texts(numbers: pa.Array, text: Callable[[float], str | None]) -> pa.Array:
    return pa.array([None if x is None else text(x) for x in numbers.to_pylist()], pa.string())


def double_text(x: float) -> str:
    """The text of a double.

    >>> double_text(1e7), double_text(123456.789), double_text(2e-44), double_text(2.0**-44), double_text(-0.0)
    ('1.0E7', '123456.789', '2.0E-44', '5.6843418860808015E-14', '-0.0')
    """
    if 1e-300 < abs(x) < 2.0**53 and math.frexp(x)[0] not in (0.5, -0.5):
        return _formed(x, *_shortest(repr(abs(x))))
    return _special(x) or _formed(x, *_digits(*_bits(abs(x), 53, -1074)))


def double_digits(x: float) -> str | None:
    """The same digits without an exponent, None for what is no number.

    >>> double_digits(1.5e10), double_digits(1e-8), double_digits(float("nan"))
    ('15000000000', '0.000000010', None)
    """
    return f"{Decimal(double_text(x)):f}" if math.isfinite(x) else None


def float_text(x: float) -> str:
    """The text of a float, which is given as the double of the same value.

    >>> float_text(0.10000000149011612), float_text(16777216.0), float_text(9.000000202358129e18)
    ('0.1', '1.6777216E7', '9.0000002E18')
    """
    return _special(x) or _formed(x, *_digits(*_bits(abs(x), 24, -149)))


def _special(x: float) -> str | None:
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "Infinity" if x > 0 else "-Infinity"
    return None if x else "0.0" if math.copysign(1, x) > 0 else "-0.0"


def _shortest(text: str) -> tuple[str, int]:
    """The digits of Python's text, and the place of the point before or behind the first of them."""
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    place = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return digits.rstrip("0"), place


def _formed(x: float, digits: str, place: int) -> str:
    """The number 0.digits · 10^place in Java's form."""
    sign = "-" if x < 0 else ""
    if 0 < place < 8:
        return f"{sign}{digits[:place].ljust(place, '0')}.{digits[place:] or '0'}"
    if -3 < place <= 0:
        return f"{sign}0.{'0' * -place}{digits}"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{place - 1}"


def _bits(x: float, precision: int, lowest: int) -> tuple[int, int, int]:
    """x as an odd whole number and a power of two, and how many bits of precision a number of this size has."""
    fraction, exponent = math.frexp(x)
    whole = int(math.ldexp(fraction, 53))
    twos = (whole & -whole).bit_length() - 1
    return whole >> twos, exponent - 53 + twos, min(precision, exponent - lowest)


def _digits(odd: int, shift: int, precision: int) -> tuple[str, int]:
    """Java's digits of odd · 2^shift, and the place of the point."""
    exponent = odd.bit_length() - 1 + shift
    if shift >= 0 and exponent < 63:
        return _digits_of_whole(odd << shift, exponent - precision - 1)
    digits, place, is_up = _digits_in_turn(odd, shift, exponent, precision)
    if is_up:
        more = str(int(digits) + 1).rjust(len(digits), "0")
        return (more[: len(digits)], place + len(more) - len(digits))
    return digits, place


def _digits_of_whole(number: int, unknown: int) -> tuple[str, int]:
    """All digits of a whole number but those that lie within the bits that the precision leaves unknown."""
    dropped = len(str(1 << unknown)) - 1 if unknown > 1 else 0
    if dropped:
        number, rest = divmod(number, 10**dropped)
        number += rest >= 10**dropped // 2
    text = str(number)
    return text.rstrip("0"), len(text) + dropped


def _digits_in_turn(odd: int, shift: int, exponent: int, precision: int) -> tuple[str, int, bool]:
    """Digit by digit of b / s, until what is left lies within m, half of what the last bit is worth.

    Returns the digits, the place of the point, and whether the last digit is to be rounded up.
    """
    scale = math.floor((math.frexp(odd)[0] * 2 - 1.5) * 0.289529654 + 0.176091259 + exponent * 0.301029995663981)
    fives_b, fives_s, tiny = max(0, -scale), max(0, scale), max(0, -shift)
    twos_b, twos_s = fives_b + tiny + shift, fives_s + tiny
    twos_m = fives_b + tiny + exponent - precision
    common = min(twos_b, twos_s, twos_m - (odd == 1))
    b, s = odd * 5**fives_b << twos_b - common, 5**fives_s << twos_s - common
    m = 5**fives_b << twos_m - (odd == 1) - common
    bits = max(
        odd.bit_length() + twos_b - common + _bits_of_fives(fives_b),
        twos_s - common + 1 + _bits_of_fives(fives_s + 1),
    )
    size = next((size for size in (32, 64) if bits < size), 0)
    tens, digits = 10 * s, ""
    for turn in itertools.count():
        digit, rest = divmod(b, s)
        b, m = 10 * rest, _wrapped(10 * m, size)
        is_low = b < m or (m <= 0 and turn > 0)
        is_high = _wrapped(b + m, size) > tens - (not size) or (m <= 0 and turn > 0)
        if turn or digit or is_high:
            digits += str(digit)
        else:
            scale -= 1
        if (turn or -3 <= scale < 8) and (is_low or is_high):
            break
    above = _wrapped(2 * b - tens, size)
    is_up = is_high and (not is_low or above > 0 or (above == 0 and digit % 2 == 1))
    return digits, scale + 1, is_up


def _bits_of_fives(power: int) -> int:
    """How many bits Java allots to 5^power: the right number for a small power, an upper bound for others."""
    return 0 if power == 0 else (5**power).bit_length() if power < 27 else 3 * power


def _wrapped(number: int, size: int) -> int:
    """The number as Java's int (32) or long (64) holds it, which computes past its limits; 0: as it is."""
    return (number + (1 << size - 1)) % (1 << size) - (1 << size - 1) if size else number
