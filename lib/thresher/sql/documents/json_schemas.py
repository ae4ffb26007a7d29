"""schema_of_json: the type that Spark learns from one document, as its text."""

import re
from decimal import Decimal
from typing import Any

from thresher.sql import kinds
from thresher.sql.documents.json_options import JsonOptions
from thresher.sql.documents.json_text import tolerant_value
from thresher.sql.documents.json_tokens import Real
from thresher.sql.documents.text_times import instant_of
from thresher.sql.documents.type_texts import quoted_name
from thresher.sql.documents.unproven import Unproven, not_too_deep

# A learnt type: a word of Spark, or one of these with what it holds.
_STRUCT, _ARRAY, _DECIMAL = "struct", "array", "decimal"
_NULL, _TEXT, _LONG, _DOUBLE, _BOOLEAN = ("NULL",), ("STRING",), ("BIGINT",), ("DOUBLE",), ("BOOLEAN",)
_INSTANT = ("TIMESTAMP",)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

Learnt = tuple[Any, ...]


@not_too_deep
def schema_text(text: str, options: JsonOptions) -> str:
    """The type of a document. Raises BadJson for a text that is none.

    >>> schema_text('{"b": [1, 2.5], "a": null}', JsonOptions())
    'STRUCT<a: STRING, b: ARRAY<DOUBLE>>'
    """
    learnt = _learnt(tolerant_value(text, options.tolerance), options) if text.strip(" \t\r\n") else _NULL
    if learnt[0] == _STRUCT:
        return _written(_canonical(learnt, options) or (_STRUCT, ()))
    if learnt[0] == _ARRAY and learnt[1][0] == _STRUCT:
        return _written((_ARRAY, _canonical(learnt[1], options) or (_STRUCT, ())))
    return _written(_canonical(learnt, options) or _TEXT)


def _learnt(value: Any, options: JsonOptions) -> Learnt:
    if isinstance(value, tuple):
        fields = [(name, _learnt(item, options)) for name, item in value]
        return _STRUCT, tuple(sorted(fields, key=lambda field: _order(field[0])))
    if isinstance(value, list):
        element: Learnt = _NULL
        for item in value:
            element = _merged(element, _learnt(item, options))
        return _ARRAY, element
    if value is None or value == "":
        return _NULL
    if isinstance(value, str) and not isinstance(value, Real):
        return _of_text(value, options)
    if options.primitives_as_string:
        return _TEXT
    if isinstance(value, bool):
        return _BOOLEAN
    return _of_number(value, options)


def _order(name: str) -> bytes:
    """Java compares the 16-bit units of texts."""
    return name.encode("utf-16-be", "surrogatepass")


def _of_number(value: int | Real | float, options: JsonOptions) -> Learnt:
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return _LONG
        return (_DECIMAL, len(str(abs(value))), 0) if abs(value) < 10**kinds.MAX_PRECISION else _DOUBLE
    if not options.prefers_decimal:
        return _DOUBLE
    if isinstance(value, float) or "e" in value.lower():
        raise Unproven(f"schema_of_json of {value} with prefersDecimal")
    precision, scale = _digits(value)
    precision = max(precision, scale)
    return (_DECIMAL, precision, scale) if precision <= kinds.MAX_PRECISION else _DOUBLE


def _digits(text: str) -> tuple[int, int]:
    _, digits, exponent = Decimal(text).as_tuple()
    return len(digits), -int(exponent)


def _of_text(text: str, options: JsonOptions) -> Learnt:
    learnt = _decimal_text(text) if options.prefers_decimal else _TEXT
    if learnt == _TEXT and options.infers_timestamps:
        try:
            instant_of(text, options.patterns.get("timestamp"), options.zone)
        except Unproven:
            raise
        except ValueError:
            return _TEXT
        return _INSTANT
    return learnt


def _decimal_text(text: str) -> Learnt:
    found = _NUMBER.fullmatch(text.replace(",", ""))
    if not found:
        return _TEXT
    if found[1] or not text.isascii():
        raise Unproven(f"schema_of_json of {text!r} with prefersDecimal")
    precision, scale = _digits(found[0])
    return (_DECIMAL, precision, scale) if scale <= precision <= kinds.MAX_PRECISION else _TEXT


def _merged(one: Learnt, other: Learnt) -> Learnt:
    """The type for values of both."""
    if one == other or other == _NULL:
        return one
    if one == _NULL:
        return other
    words = {one[0], other[0]}
    if words == {_STRUCT}:
        return _STRUCT, _merged_fields(one[1], other[1])
    if words == {_ARRAY}:
        return _ARRAY, _merged(one[1], other[1])
    if words <= {"BIGINT", "DOUBLE", _DECIMAL}:
        return _DOUBLE if "DOUBLE" in words else _merged_decimals(one, other)
    return _TEXT


def _merged_decimals(one: Learnt, other: Learnt) -> Learnt:
    (_, p1, s1), (_, p2, s2) = ((_DECIMAL, 20, 0) if learnt == _LONG else learnt for learnt in (one, other))
    scale, whole = max(s1, s2), max(p1 - s1, p2 - s2)
    return (_DECIMAL, whole + scale, scale) if whole + scale <= kinds.MAX_PRECISION else _DOUBLE


def _merged_fields(one: Learnt, other: Learnt) -> Learnt:
    fields, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        if one[i][0] == other[j][0]:
            fields.append((one[i][0], _merged(one[i][1], other[j][1])))
            i, j = i + 1, j + 1
        elif _order(one[i][0]) < _order(other[j][0]):
            fields.append(one[i])
            i += 1
        else:
            fields.append(other[j])
            j += 1
    return (*fields, *one[i:], *other[j:])


def _canonical(learnt: Learnt, options: JsonOptions) -> Learnt | None:
    """Without empty structs, and with a type for NULL."""
    if learnt[0] == _ARRAY:
        element = _canonical(learnt[1], options)
        return None if element is None else (_ARRAY, element)
    if learnt[0] == _STRUCT:
        fields = [(name, _canonical(field, options)) for name, field in learnt[1] if name]
        kept = tuple((name, field) for name, field in fields if field is not None)
        return (_STRUCT, kept) if kept else None
    if learnt == _NULL:
        return None if options.drops_nulls else _TEXT
    return learnt


def _written(learnt: Learnt) -> str:
    if learnt[0] == _ARRAY:
        return f"ARRAY<{_written(learnt[1])}>"
    if learnt[0] == _STRUCT:
        return "STRUCT<" + ", ".join(f"{quoted_name(name)}: {_written(field)}" for name, field in learnt[1]) + ">"
    return f"DECIMAL({learnt[1]},{learnt[2]})" if learnt[0] == _DECIMAL else str(learnt[0])
