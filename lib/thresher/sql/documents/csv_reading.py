"""from_csv and schema_of_csv: one record in text into values, as Spark reads it with the univocity parser."""

import re
from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from typing import Any

import pyarrow as pa

from thresher.sql import kinds
from thresher.sql.documents.csv_options import CsvOptions
from thresher.sql.documents.json_scalars import as_single, decimal_of
from thresher.sql.documents.text_times import date_of, instant_of
from thresher.sql.documents.time_patterns import read
from thresher.sql.documents.unproven import Unproven
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_MOST_COLUMNS = 20_000
_LIMITS = {kinds.TINYINT: 8, kinds.SMALLINT: 16, kinds.INT: 32, kinds.BIGINT: 64}
_SPACES = "".join(map(chr, range(0x21)))
_INTEGER = re.compile(r"[+-]?\d+")
_DOUBLE = re.compile(r"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|NaN|Infinity))[dDfF]?")
_HEX_DOUBLE = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+[dDfF]?")


def reader(kind: pa.StructType, options: CsvOptions) -> Callable[[pa.Array], pa.Array]:
    """The function from texts to an array of structs."""
    corrupt = options.corrupt_column if options.corrupt_column in kind.names else None
    converters = {field.name: _converter(field.type, options) for field in kind if field.name != corrupt}

    def run(texts: pa.Array) -> pa.Array:
        rows = [None if text is None else _row(text, converters, corrupt, options) for text in texts.to_pylist()]
        return pa.array(rows, kind)

    return run


def _row(text: str, converters: dict[str, Callable[[str], Any]], corrupt: str | None, options: CsvOptions) -> Any:
    row: dict[str, Any] = dict.fromkeys(converters)
    fields = tokens(text, options) if text else []
    is_bad = len(fields) != len(converters)
    for (name, convert), value in zip(converters.items(), fields, strict=False):
        if value is not None and value != options.null:
            try:
                row[name] = convert(value)
            except Unproven:
                raise
            except ValueError:
                is_bad = True
    if is_bad and options.is_strict:
        raise ValueError("from_csv: a malformed record in mode FAILFAST")
    if corrupt is not None:
        row[corrupt] = re.sub(r"\r?\n\Z", "", text) if is_bad and text else None
    return row


def tokens(text: str, options: CsvOptions) -> list[str | None]:
    """The fields of a record; None for one without any character.

    >>> tokens('a,"b,c",,"d\\\\"e"', CsvOptions())
    ['a', 'b,c', None, 'd"e']
    """
    fields: list[str | None] = []
    at = 0
    while True:
        start = at
        if options.trims_left:
            at = len(text) - len(text[at:].lstrip(_SPACES))
        if options.quote and text.startswith(options.quote, at):
            field, at = _quoted(text, at, options)
            fields.append(field or options.empty or "")
        else:
            at = _end(text, start, options)
            fields.append(_trimmed(text[start:at], options) or None)
        if at >= len(text):
            break
        at += len(options.separator)
    if len(fields) > _MOST_COLUMNS:
        raise Unproven("a record with so many columns")
    return fields


def _end(text: str, at: int, options: CsvOptions) -> int:
    end = text.find(options.separator, at)
    return len(text) if end < 0 else end


def _trimmed(field: str, options: CsvOptions) -> str:
    field = field.lstrip(_SPACES) if options.trims_left else field
    return field.rstrip(_SPACES) if options.trims_right else field


def _quoted(text: str, start: int, options: CsvOptions) -> tuple[str, int]:
    """The field in quotes that begins here, and where it ends.

    A quote within it that is not escaped makes the field what is written up to the next separator, quotes and all.
    """
    quote, escape = options.quote, options.escape
    parts: list[str] = []
    at, with_escapes = start + 1, False
    while at < len(text):
        c = text[at]
        if c == escape and text[at + 1 : at + 2] in (quote, escape) and text[at + 1 : at + 2]:
            parts.append(text[at + 1])
            with_escapes = True
            at += 2
        elif c != quote:
            with_escapes |= c == escape
            parts.append(c)
            at += 1
        elif (end := _closing(text, at + 1, options)) is not None:
            return "".join(parts), end
        elif text.startswith(quote, at + 1):
            parts.append(c)
            at += 1
        else:
            return _with_its_quotes(text, start, at, options)
    if with_escapes and escape != quote:
        raise Unproven(f"the open quote in the CSV record {text!r}")
    return "".join(parts) or quote, at


def _with_its_quotes(text: str, start: int, at: int, options: CsvOptions) -> tuple[str, int]:
    """The field that has a quote within, here, that is neither escaped nor its end."""
    quote, end = options.quote, _end(text, at, options)
    written, after = text[start:end], text[at + 1 : end]
    is_odd = quote * 2 in written or (after[:1] <= " " and quote in after)
    if is_odd or options.escape != quote and options.escape in written:
        raise Unproven(f"the quotes in the CSV record {text!r}")
    return _trimmed(written, options), end


def _closing(text: str, at: int, options: CsvOptions) -> int | None:
    """Where the field ends, if only white space follows its quote."""
    while at < len(text) and not text.startswith(options.separator, at):
        if text[at] > " ":
            return None
        at += 1
    return at


def _converter(kind: pa.DataType, options: CsvOptions) -> Callable[[str], Any]:
    if kind == kinds.STRING:
        return str
    if kind == kinds.BINARY:
        return str.encode
    if kind in _LIMITS:
        return lambda text: _integer(text, _LIMITS[kind])
    if kind == kinds.DOUBLE:
        return lambda text: _double(text, options)[1]
    if kind == kinds.FLOAT:
        return lambda text: as_single(*_double(text, options))
    if kind == kinds.BOOL:
        return _boolean
    if kinds.is_decimal(kind):
        return lambda text: decimal_of(text, kind.precision, kind.scale)
    pattern = options.patterns.get(kinds.in_spark(kind))
    if kind == kinds.DATE:
        return lambda text: date_of(text, pattern, or_days=False)
    assert kind in (TIMESTAMP, TIMESTAMP_NTZ)
    return lambda text: instant_of(text, pattern, options.zone if kind == TIMESTAMP else None)


def _integer(text: str, bits: int) -> int:
    if not _INTEGER.fullmatch(text) or len(text) > 100 or any(c > "\uffff" for c in text):
        raise ValueError("no integer")
    number = int(text)
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise ValueError("an integer too large")
    return number


def _double(text: str, options: CsvOptions) -> tuple[Any, float]:
    """The number as it is written, and its double."""
    special = {options.nan: "nan", options.infinity: "inf", options.minus_infinity: "-inf"}.get(text)
    if special is not None:
        return float(special), float(special)
    trimmed = text.strip(_SPACES)
    if _HEX_DOUBLE.fullmatch(trimmed):
        number = float.fromhex(trimmed.rstrip("dDfF"))
        return number, number
    found = _DOUBLE.fullmatch(trimmed)
    if not found:
        raise ValueError("no number")
    number = float(found[1])
    return (number if found[1][-1] in "Ny" else Decimal(found[1])), number


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("no boolean")
    return text.lower() == "true"


def schema_text(text: str, options: CsvOptions) -> str:
    """The type that Spark learns from one record.

    >>> schema_text("1,x,1.5,2024-01-31", CsvOptions())
    'STRUCT<_c0: INT, _c1: STRING, _c2: DOUBLE, _c3: DATE>'
    """
    fields = [f"_c{n}: {_learnt(field, options)}" for n, field in enumerate(tokens(text, options))]
    return f"STRUCT<{', '.join(fields)}>"


def _learnt(text: str | None, options: CsvOptions) -> str:
    if not text or text == options.null:
        return "STRING"
    for word, bits in (("INT", 32), ("BIGINT", 64)):
        if _fits(_integer, text, bits):
            return word
    if re.fullmatch(r"[+-]?[0-9]+\.?", text):
        digits = len(text.strip("+-.").lstrip("0")) or 1
        return f"DECIMAL({digits},0)" if digits <= kinds.MAX_PRECISION else "DOUBLE"
    if any(c.isdecimal() and not c.isascii() for c in text):
        raise Unproven(f"schema_of_csv of {text!r}")
    if _fits(_double, text, options):
        return "DOUBLE"
    if options.prefers_dates and _fits(read, text, options.patterns.get("date", "yyyy-MM-dd")):
        return "DATE"
    if _is_time(text, options.patterns.get("timestamp")):
        return "TIMESTAMP"
    return "BOOLEAN" if _fits(_boolean, text) else "STRING"


def _fits(convert: Callable[..., Any], *arguments: Any) -> bool:
    try:
        convert(*arguments)
    except Unproven:
        raise
    except ValueError:
        return False
    return True


def _is_time(text: str, pattern: str | None) -> bool:
    """Whether a timestamp can be read; the zone is free, and without a pattern so is the day."""
    is_clock = re.fullmatch(r"T?([01]?\d|2[0-3]):[0-5]?\d(:[0-5]?\d)?", text, re.ASCII)
    return bool(pattern is None and is_clock) or _fits(lambda: instant_of(text, pattern, UTC))
