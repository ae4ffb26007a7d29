"""format_string: numbers and texts as java.util.Formatter writes them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache, partial
from typing import Any

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import ArrowFunction, function
from thresher.sql.casting.casts import convert
from thresher.sql.casting.number_text import double_text, float_text
from thresher.sql.expressions import Expressions, Typed
from thresher.types import TIMESTAMP

_strings = partial(function, group="Strings")

_DIRECTIVE = re.compile(r"%(?:([0-9]+)\$|(<))?([-#+ 0,(]*)([1-9][0-9]*)?(?:\.([0-9]+))?([a-zA-Z%])")
_BITS = {kinds.TINYINT: 8, kinds.SMALLINT: 16, kinds.INT: 32, kinds.BIGINT: 64}


@dataclass(frozen=True)
class _Directive:
    argument: int  # -1: none
    flags: str
    width: int
    precision: int | None
    letter: str


@lru_cache(maxsize=256)
def _directives(form: str) -> tuple[str | _Directive, ...]:
    """The texts and directives of a format; raises ValueError for what Java rejects."""
    parts: list[str | _Directive] = []
    place, ordinary, last = 0, 0, -1
    while (start := form.find("%", place)) >= 0:
        parts.append(form[place:start])
        found = _DIRECTIVE.match(form, start)
        if found is None:
            raise ValueError(f"the format {form!r} has a lone % at character {start + 1}")
        index, previous, flags, width, precision, letter = found.groups()
        place = found.end()
        if index == "0":
            raise ValueError(f"the format {form!r} has the argument 0")
        if letter in "%n":
            last_used = -1
        elif previous:
            last_used = last
        elif index:
            last_used = last = int(index) - 1
        else:
            last_used = last = ordinary
            ordinary += 1
        made = _Directive(last_used, flags, int(width or 0), None if precision is None else int(precision), letter)
        _check(form, made)
        parts.append(made)
    return (*parts, form[place:])


_FLAGS = {"d": "-+ 0,(", "x": "-#0", "o": "-#0", "f": "-#+ 0,(", "e": "-#+ 0(", "g": "-+ 0,(", "c": "-", "%": "-"}


def _check(form: str, made: _Directive) -> None:
    lower, flags = made.letter.lower(), made.flags
    if lower in "ath" or (lower == "s" and "#" in flags):
        raise ValueError(f"not proven equal to Spark: %{made.letter} in a format")
    is_known = made.letter in "bBsScCdoxXeEfgGn%"
    wrong = not is_known or set(flags) - set(_FLAGS.get(lower, "-")) or len(set(flags)) < len(flags)
    wrong = wrong or (("-" in flags or "0" in flags) and not made.width) or {"-", "0"} <= set(flags)
    wrong = wrong or {"+", " "} <= set(flags) or (made.precision is not None and lower in "doxcn%")
    if wrong or (made.letter == "n" and (made.width or flags)):
        raise ValueError(f"the format {form!r} has the wrong directive %{flags}…{made.letter}")


def formatted(form: str, values: list[Any], types: list[pa.DataType]) -> str:
    """The text of java.util.Formatter."""
    parts: list[str] = []
    for part in _directives(form):
        if isinstance(part, str):
            parts.append(part)
        elif part.letter == "n":
            parts.append("\n")
        elif part.letter == "%":
            parts.append(_padded("%", part))
        elif not 0 <= part.argument < len(values):
            raise ValueError(f"the format {form!r} has more directives than the {len(values)} arguments")
        else:
            parts.append(_one(part, values[part.argument], types[part.argument]))
    return "".join(parts)


def _one(part: _Directive, value: Any, kind: pa.DataType) -> str:
    lower = part.letter.lower()
    if lower == "b":
        text = ("true" if value else "false") if kind == kinds.BOOL else str(value is not None).lower()
        return _padded(_cut(text, part), part)
    if value is None:
        return _padded(_cut("null", part), part)
    if lower == "s":
        return _padded(_cut(value if isinstance(value, str) else _text(value, kind), part), part)
    if lower == "c" and kind in kinds.INTEGERS[:3]:
        if not 0 <= value <= 0x10FFFF:
            raise ValueError(f"the format's %c of {value}, which is no character")
        return _padded(chr(value), part)
    if lower in "dox" and _is_whole(kind):
        return _whole(part, value, kind)
    if lower in "efg" and kind in (kinds.FLOAT, kinds.DOUBLE):
        return _floating(part, value)
    raise ValueError(f"the format's %{part.letter} of a {kinds.in_spark(kind)}")


def _is_whole(kind: pa.DataType) -> bool:
    return kind in (*kinds.INTEGERS, kinds.DATE, TIMESTAMP)


def _text(value: Any, kind: pa.DataType) -> str:
    if kind == kinds.BOOL:
        return "true" if value else "false"
    if kind == kinds.DOUBLE:
        return double_text(value)
    if kind == kinds.FLOAT:
        return float_text(value)
    return str(value)


def _cut(text: str, part: _Directive) -> str:
    return text if part.precision is None else text[: part.precision]


def _padded(text: str, part: _Directive) -> str:
    text = text.upper() if part.letter.isupper() else text
    size = part.width - sum(letter > "\uffff" for letter in text)  # which Java counts twice
    return text.ljust(size) if "-" in part.flags else text.rjust(size)


def _whole(part: _Directive, value: int, kind: pa.DataType) -> str:
    if part.letter == "d":
        return _signed(part, f"{abs(value):,}" if "," in part.flags else str(abs(value)), is_negative=value < 0)
    unsigned = value % 2 ** _BITS.get(kind, 32 if kind == kinds.DATE else 64)
    base = "o" if part.letter == "o" else "x"
    mark = {"x": "0x", "o": "0"}[base] if "#" in part.flags else ""
    text = format(unsigned, base)
    if "0" in part.flags:
        text = text.rjust(part.width - len(mark), "0")
    return _padded(mark + text, part)


def _signed(part: _Directive, digits: str, *, is_negative: bool) -> str:
    flags = part.flags
    is_bracketed = is_negative and "(" in flags
    sign = "(" if is_bracketed else "-" if is_negative else "+" if "+" in flags else " " if " " in flags else ""
    if "0" in flags and digits[0].isdigit():
        digits = digits.rjust(part.width - len(sign) - is_bracketed, "0")
    return _padded(sign + digits + ")" * is_bracketed, part)


def _floating(part: _Directive, value: float) -> str:
    is_negative = value < 0 or str(value) == "-0.0"
    if value != value or value in (float("inf"), float("-inf")):
        return _signed(part, "NaN" if value != value else "Infinity", is_negative=is_negative)
    number = abs(Decimal(double_text(value)))
    precision = 6 if part.precision is None else part.precision
    with localcontext() as context:
        context.prec, context.rounding = 2000, ROUND_HALF_UP
        lower = part.letter.lower()
        if lower == "g":
            digits = _general(number, precision or 1, part)
        else:
            digits = _fixed(number, precision, part) if lower == "f" else _scientific(number, precision)
    if "#" in part.flags and "." not in digits:
        raise ValueError("not proven equal to Spark: the flag # in a format")
    return _signed(part, digits, is_negative=is_negative)


def _fixed(number: Decimal, precision: int, part: _Directive) -> str:
    rounded = number.quantize(Decimal(1).scaleb(-precision))
    return f"{rounded:,f}" if "," in part.flags else f"{rounded:f}"


def _scientific(number: Decimal, precision: int) -> str:
    exponent = number.adjusted() if number else 0
    digits = number.scaleb(-exponent).quantize(Decimal(1).scaleb(-precision))
    if digits >= 10:
        exponent += 1
        digits = number.scaleb(-exponent).quantize(Decimal(1).scaleb(-precision))
    return f"{digits:f}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _general(number: Decimal, precision: int, part: _Directive) -> str:
    if not number:
        return _fixed(number, precision - 1, part)
    rounded = number.quantize(Decimal(1).scaleb(number.adjusted() - precision + 1))
    if Decimal("0.0001") <= rounded < Decimal(10) ** precision:
        return _fixed(number, precision - rounded.adjusted() - 1, part)
    return _scientific(number, precision - 1)


@_strings(
    "format_string printf",
    1,
    -1,
    "format_string(format, a, b, …), printf(…)",
    "SELECT format_string('%s: %,.2f', 'sum', 1234.5e0) AS a",
    note="Java's Formatter: %s %d %x %o %c %b %f %e %g %n %%. Decimals only by %s; not %h, %a, %t.",
)
def _format_string(e: Expressions, node: exp.Anonymous) -> Typed:
    form = e.text(node.expressions[0], "the format of format_string")
    values = [_literal_array(e, part) or _formattable(e, node, e.expr(part)) for part in node.expressions[1:]]
    types = [kind for kind, _ in values]
    if isinstance(form.literal, str):
        _refuse_unproven(e, node, form.literal)
    name = "_".join(["spark_format_string", *(kinds.in_spark(kind) for kind in types)])
    words = ["VARCHAR", *map(_handed_over, types)]
    made = ArrowFunction(re.sub("[^a-z0-9_]", "_", name), words, "VARCHAR", _over(types))
    return Typed(f"{e.function(made)}({', '.join([form.sql, *(sql for _, sql in values)])})", kinds.STRING)


def _literal_array(e: Expressions, node: exp.Expr) -> tuple[pa.DataType, str] | None:
    """An array of literals as Spark hands it to Java; an array of a table has no text of its own there."""
    if not isinstance(node, exp.Anonymous) or node.name.lower() != "array":
        return None
    values = [e.expr(part) for part in node.expressions]
    if any(not isinstance(value.literal, int | str) and value.kind != kinds.VOID for value in values):
        return None
    if len({value.kind for value in values} - {kinds.VOID}) != 1:
        return None
    texts = ("null" if value.literal is None else str(value.literal) for value in values)
    return pa.list_(pa.null()), kinds.text_literal(f"[{','.join(texts)}]")


def _handed_over(kind: pa.DataType) -> str:
    """The type in DuckDB of a value that `_formattable` has prepared."""
    if kind == kinds.DATE:
        return "INTEGER"
    if kind == TIMESTAMP:
        return "BIGINT"
    is_plain = kind == kinds.BOOL or (kinds.is_number(kind) and not kinds.is_decimal(kind))
    return kinds.in_duckdb(kind) if is_plain else "VARCHAR"


def _refuse_unproven(e: Expressions, node: exp.Anonymous, form: str) -> None:
    try:
        _directives(form)
    except ValueError as error:
        if "not proven" in str(error):
            e.refuse(node, f"the format {form!r}")
        e.wrong(node, f"{error}.")


def _formattable(e: Expressions, node: exp.Anonymous, value: Typed) -> tuple[pa.DataType, str]:
    """A value as Spark hands it to Java: dates are days, timestamps microseconds, decimals their text."""
    if value.kind == kinds.DATE:
        return value.kind, f"CAST({value.sql} - DATE '1970-01-01' AS INTEGER)"
    if value.kind == TIMESTAMP:
        return value.kind, f"epoch_us({value.sql})"
    if kinds.is_decimal(value.kind):
        if value.kind.scale > 6:  # Java may write an exponent
            e.refuse(node, f"format_string of {kinds.in_spark(value.kind)}", "cast it to a string")
        return value.kind, convert(e, node, value, kinds.STRING, is_try=False).sql
    if value.kind == kinds.VOID:
        return value.kind, "NULL::VARCHAR"
    known = (*kinds.INTEGERS, kinds.FLOAT, kinds.DOUBLE, kinds.BOOL, kinds.STRING)
    if value.kind not in known:
        e.refuse(node, f"format_string of {kinds.in_spark(value.kind)}", "cast it to a string")
    return value.kind, value.sql


def _over(types: list[pa.DataType]) -> Callable[..., pa.Array]:
    def run(*columns: pa.Array) -> pa.Array:
        forms, *values = (column.to_pylist() for column in columns)
        rows = zip(*values, strict=True) if values else ([] for _ in forms)
        texts = [
            None if form is None else formatted(form, list(row), types) for form, row in zip(forms, rows, strict=True)
        ]
        return pa.array(texts, pa.string())

    return run
