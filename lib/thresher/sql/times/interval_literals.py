"""Interval literals: INTERVAL 3 days 2 hours, INTERVAL '1 02:03' DAY TO MINUTE."""

import re

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.kinds import Interval

MONTHS = {"year": 12, "month": 1}
MICROS = {
    "week": 604_800_000_000,
    "day": 86_400_000_000,
    "hour": 3_600_000_000,
    "minute": 60_000_000,
    "second": 1_000_000,
    "millisecond": 1000,
    "microsecond": 1,
}
_FIELD_OF = {"week": "day", "millisecond": "second", "microsecond": "second"}
SPANS = {  # the text between two fields: all but the first have at most two digits
    "day hour": r"(\d+) (\d{1,2})",
    "day minute": r"(\d+) (\d{1,2}):(\d{1,2})",
    "day second": r"(\d+) (\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)",
    "hour minute": r"(\d+):(\d{1,2})",
    "hour second": r"(\d+):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)",
    "minute second": r"(\d+):(\d{1,2}(?:\.\d{1,9})?)",
    "year month": r"(\d+)-(\d{1,2})",
}
FIELDS = ("year", "month", "day", "hour", "minute", "second")
LIMITS = {"month": 12, "hour": 24, "minute": 60, "second": 60}


@construct(
    exp.Interval,
    parts="this unit",
    group="Dates",
    signature="INTERVAL '1' DAY, INTERVAL 3 days 2 hours, INTERVAL '1-2' YEAR TO MONTH",
    note="An interval of months or of days and time, never of both; years cannot be a column of the result.",
    example="SELECT date'2024-01-31' + INTERVAL 1 month AS d, INTERVAL '1 02:03:04.5' DAY TO SECOND AS i",
)
def _literal(e: Expressions, node: exp.Interval) -> Typed:
    value, unit = node.this, node.args.get("unit")
    is_negative = isinstance(value, exp.Neg)
    value = value.this if is_negative else value
    if not isinstance(value, exp.Literal):
        e.wrong(node, "an interval of a column; expected a literal. Multiply an interval: n * INTERVAL 1 day.")
    if isinstance(unit, exp.IntervalSpan):
        found = in_span(value.this, unit.this.name.lower(), unit.expression.name.lower())
    elif unit is not None:
        found = in_units(f"{value.this.strip()} {unit.name}")
    else:
        found = in_units(value.this)
    if found is None:
        e.wrong(
            node, f"{value.this!r} is no such interval; expected INTERVAL '1' DAY or INTERVAL '1 02:03' DAY TO MINUTE."
        )
    amount, kind = found
    return constant(e, node, -amount if is_negative else amount, kind)


def constant(e: Expressions, node: exp.Expr, amount: int, kind: Interval) -> Typed:
    bits = 31 if kind.is_months else 63
    if not -(2**bits) <= amount < 2**bits:
        e.wrong(node, "this interval is too long for its type.")
    return Typed(f"CAST('{amount}' AS {kinds.in_duckdb(kind)})", kind)


def in_units(text: str) -> tuple[int, Interval] | None:
    """`3 days 2 hours`: the amount and the type, None where it is no interval."""
    parts = re.findall(r"([+-]?\d+(?:\.\d{1,9})?)\s+([a-z]+?)s?(?:\s+|$)", text.lower() + " ", re.ASCII)
    if not parts or "".join(text.lower().split()) not in _spellings(parts):
        return None
    total, fields = 0, set()
    for number, unit in parts:
        factor = MONTHS.get(unit) or MICROS.get(unit)
        if factor is None or ("." in number and unit != "second"):
            return None
        total += _scaled(number, factor)
        fields.add(_FIELD_OF.get(unit, unit))
    if fields & {*MONTHS} and fields - {*MONTHS}:
        return None
    return total, Interval(min(fields, key=FIELDS.index), max(fields, key=FIELDS.index))


def _spellings(parts: list[tuple[str, str]]) -> set[str]:
    """The text without spaces, each unit with and without its s: nothing may stand between the parts."""
    texts = {""}
    for number, unit in parts:
        texts = {f"{text}{number}{unit}{s}" for text in texts for s in ("", "s")}
    return texts


def _scaled(number: str, factor: int) -> int:
    """The number times the factor; digits beyond microseconds are cut off."""
    whole, _, fraction = number.lstrip("+-").partition(".")
    amount = int(whole) * factor + int(fraction.ljust(6, "0")[:6] or 0)
    return -amount if number.startswith("-") else amount


def in_span(text: str, first: str, last: str) -> tuple[int, Interval] | None:
    """`1 02:03` from day to minute: the amount and the type, None where it is no interval."""
    if f"{first} {last}" not in SPANS:
        return None
    match = re.fullmatch(rf"([+-]?){SPANS[f'{first} {last}']}", text.strip(), re.ASCII)
    if match is None:
        return None
    amount = 0
    for position, number in enumerate(match.groups()[1:]):
        field = FIELDS[FIELDS.index(first) + position]
        if position and float(number) >= LIMITS[field]:
            return None
        amount += _scaled(number, MONTHS.get(field) or MICROS[field])
    return -amount if match[1] == "-" else amount, Interval(first, last)
