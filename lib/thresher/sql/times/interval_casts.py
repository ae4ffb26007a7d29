"""Casts from and to intervals."""

import re
from dataclasses import replace
from typing import NoReturn

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.kinds import Interval
from thresher.sql.times.interval_literals import FIELDS, LIMITS, MICROS, MONTHS, SPANS, constant, in_span, in_units


def written_interval(e: Expressions, node: exp.Interval) -> Interval:
    """The type INTERVAL DAY TO SECOND as written in a cast."""
    unit = node.args["unit"]
    names = [unit.this.name, unit.expression.name] if isinstance(unit, exp.IntervalSpan) else [unit.name] * 2
    first, last = (name.lower() for name in names)
    if first not in FIELDS or (first != last and f"{first} {last}" not in SPANS):
        e.wrong(node, f"no type interval {first} to {last}.")
    return Interval(first, last)


def convert_interval(e: Expressions, node: exp.Expr, value: Typed, kind: pa.DataType, *, is_try: bool) -> Typed:
    """A cast from or to an interval."""
    if value.kind == kinds.VOID or value.kind == kind:
        return Typed(f"CAST({value.sql} AS {kinds.in_duckdb(kind)})", kind)
    if isinstance(value.kind, Interval) and isinstance(kind, Interval):
        if value.kind.is_months != kind.is_months:
            _no_cast(e, node, value, kind)
        return replace(value, sql=_cut(value, kind), kind=kind)
    if isinstance(value.kind, Interval):
        return _from_interval(e, node, value, kind, is_try=is_try)
    assert isinstance(kind, Interval)
    factor = MONTHS.get(kind.last) or MICROS[kind.last]
    if value.kind in kinds.INTEGERS and not is_try:
        return replace(value, sql=f"(CAST({value.sql} AS {kinds.in_duckdb(kind)}) * {factor})", kind=kind, literal=None)
    if value.kind == kinds.STRING and isinstance(value.literal, str):
        return _from_text(e, node, value.literal, kind, is_try=is_try)
    if value.kind == kinds.STRING or kinds.is_exact(value.kind):
        e.refuse(node, f"cast({kinds.in_spark(value.kind)} as {kinds.in_spark(kind)})", "multiply an interval by it")
    _no_cast(e, node, value, kind)


def _cut(value: Typed, kind: Interval) -> str:
    """The interval without the fields that the type has no place for."""
    factor = MONTHS.get(kind.last) or MICROS[kind.last]
    if FIELDS.index(kind.last) >= FIELDS.index(value.kind.last):
        return value.sql
    return f"({value.sql} // {factor} * {factor})"


def _no_cast(e: Expressions, node: exp.Expr, value: Typed, kind: pa.DataType) -> NoReturn:
    e.wrong(node, f"cast({kinds.in_spark(value.kind)} as {kinds.in_spark(kind)}) is no conversion.")


def _from_interval(e: Expressions, node: exp.Expr, value: Typed, kind: pa.DataType, *, is_try: bool) -> Typed:
    word = "TRY_CAST" if is_try else "CAST"
    factor = MONTHS.get(value.kind.last) or MICROS[value.kind.last]
    if kind == kinds.STRING:
        return Typed(interval_text(value), kind, is_window=value.is_window)
    if kind in kinds.INTEGERS:
        return Typed(f"{word}({value.sql} // {factor} AS {kinds.in_duckdb(kind)})", kind, is_window=value.is_window)
    if kinds.is_decimal(kind):
        number = f"CAST({value.sql} // {factor} AS DECIMAL(19,0))"
        if value.kind.last == "second":
            number = f"(CAST({value.sql} AS DECIMAL(19,0)) * CAST(0.000001 AS DECIMAL(7,6)))"
        return Typed(f"{word}({number} AS {kinds.in_duckdb(kind)})", kind, is_window=value.is_window)
    _no_cast(e, node, value, kind)


def _from_text(e: Expressions, node: exp.Expr, text: str, kind: Interval, *, is_try: bool) -> Typed:
    inner = re.fullmatch(r"(?i)\s*interval\s+([+-]?)'([^']*)'\s+([a-z ]+?)\s*", text)
    if inner is not None and " ".join(inner[3].lower().split()) != kinds.in_spark(kind).removeprefix("interval "):
        e.refuse(node, f"the text {text!r} as {kinds.in_spark(kind)}", "write an interval literal")
    plain = inner[2] if inner is not None else text
    found = (
        in_units(f"{plain.strip()} {kind.first}") if kind.first == kind.last else in_span(plain, kind.first, kind.last)
    )
    if found is None:
        if is_try:
            return Typed(f"CAST(NULL AS {kinds.in_duckdb(kind)})", kind)
        e.wrong(node, f"{text!r} is no {kinds.in_spark(kind)}.")
    amount = -found[0] if inner is not None and inner[1] == "-" else found[0]
    return constant(e, node, amount, kind)


def interval_text(value: Typed) -> str:
    """INTERVAL '1 02:03:04.5' DAY TO SECOND."""
    kind, amount = value.kind, f"abs(CAST({value.sql} AS HUGEINT))"
    fields = FIELDS[FIELDS.index(kind.first) : FIELDS.index(kind.last) + 1]
    text = ""
    for position, field in enumerate(fields):
        factor = MONTHS.get(field) or MICROS[field]
        number = f"{amount} // {factor}" if position == 0 else f"{amount} // {factor} % {LIMITS[field]}"
        digits = f"CAST({number} AS VARCHAR)"
        if field in ("hour", "minute", "second"):
            digits = f"lpad({digits}, CAST(greatest(2, length({digits})) AS INTEGER), '0')"
        text += (f" || '{' ' if field == 'hour' else '-' if field == 'month' else ':'}' || " if text else "") + digits
    if kind.last == "second":
        text += f" || rtrim(rtrim('.' || lpad(CAST({amount} % 1000000 AS VARCHAR), 6, '0'), '0'), '.')"
    words = kinds.in_spark(kind).removeprefix("interval ").upper()
    return f"CAST('INTERVAL ''' || CASE WHEN {value.sql} < 0 THEN '-' ELSE '' END || {text} || ''' {words}' AS VARCHAR)"
