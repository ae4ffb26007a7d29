"""Documents as JSON text, by the conventions of Spark's to_json and of xmltodict."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import xmltodict

from thresher.errors import UsageError
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ
from thresher.xml.arrays import Documents, each
from thresher.xml.decoding import Refused, is_blank, text_of
from thresher.xml.discovery import discover
from thresher.xml.document import read
from thresher.xml.options import Options
from thresher.xml.parsing import parse
from thresher.xml.schema import Schema
from thresher.xml.temporal import CYCLE_DAYS, CYCLE_YEARS, MICROS_A_DAY, day_of

CONVENTIONS = ("spark", "xmltodict")
_DAYS_TO_2000 = day_of(date(2000, 1, 1))


def to_json(
    documents: Documents, schema: Schema | None = None, options: Options | None = None, convention: str = "spark"
) -> pa.StringArray:
    """Write each document as JSON: documents → as many texts, null where there is none or it was refused.

    `spark`: the parsed struct as Spark's to_json writes it, without nulls; without a schema that of these documents.
    `xmltodict`: what `json.dumps(xmltodict.parse(document))` gives; it needs no schema. Raises UsageError.

    >>> to_json(["<o id='1'><p>7.50</p></o>"]).to_pylist()
    ['{"_id":1,"p":7.50}']
    >>> to_json(["<o id='1'><p>7.50</p></o>"], convention="xmltodict").to_pylist()
    ['{"o": {"@id": "1", "p": "7.50"}}']
    """
    if convention not in CONVENTIONS:
        raise UsageError(f"convention {convention!r}; expected one of {', '.join(CONVENTIONS)}")
    options = options or (schema.options if schema else Options())
    if convention == "xmltodict":
        # Spark reads documents that xmltodict does not.
        exact = replace(options, dialect="exact")
        texts = [_by_xmltodict(document, exact, is_utf8) for document, is_utf8 in each(documents)]
        return pa.array(texts, pa.string())
    schema = schema or discover(documents, options)
    values = parse(documents, schema, options).values
    return pa.array(json_texts(values), pa.string())


def _by_xmltodict(document: str | bytes | None, options: Options, is_utf8: bool) -> str | None:
    if document is None or is_blank(document):
        return None
    try:
        # For its budgets and refusals: xmltodict has none.
        read(document, options, is_utf8=is_utf8)
    except Refused:
        return None
    return json.dumps(xmltodict.parse(text_of(document, options, is_utf8=is_utf8), disable_entities=True))


Writer = Callable[[Any], str]


def json_texts(values: pa.StructArray) -> list[str | None]:
    """Write structs of shared types as Spark's to_json does, bytes in base64: null stays null.

    >>> json_texts(pa.array([{"n": 1, "on": 3_789_391}, None], pa.struct([("n", pa.int64()), ("on", pa.date32())])))
    ['{"n":1,"on":"+12345-01-01"}', None]
    """
    writer = _writer(values.type)
    return [None if value is None else writer(value) for value in values.cast(_counted(values.type)).to_pylist()]


def _counted(kind: pa.DataType) -> pa.DataType:
    """The type with days and microseconds for dates and timestamps: Python's know the years 1 to 9999 alone."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_counted(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_counted(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(kind.key_field, kind.item_field.with_type(_counted(kind.item_type)))
    return {pa.date32(): pa.int32(), TIMESTAMP: pa.int64(), TIMESTAMP_NTZ: pa.int64()}.get(kind, kind)


def _writer(kind: pa.DataType) -> Writer:
    if pa.types.is_struct(kind):
        return _struct_writer(kind)
    if pa.types.is_list(kind):
        item = _writer(kind.value_type)
        return lambda values: "[" + ",".join("null" if value is None else item(value) for value in values) + "]"
    if pa.types.is_string(kind):
        return _text
    if pa.types.is_map(kind):
        value_of = _writer(kind.item_type)
        return lambda pairs: (
            "{" + ",".join(f"{_text(str(key))}:{'null' if v is None else value_of(v)}" for key, v in pairs) + "}"
        )
    if pa.types.is_binary(kind):
        return lambda value: _text(base64.b64encode(value).decode())
    if pa.types.is_boolean(kind):
        return lambda value: "true" if value else "false"
    if kind == pa.float64():
        return lambda value: _java_double(repr(value))
    if kind == pa.float32():
        return lambda value: _java_double(str(np.float32(value)))
    if pa.types.is_decimal(kind):
        return lambda value: format(Decimal(value), "f")
    if kind == pa.date32():
        return lambda days: f'"{_date(days)}"'
    if pa.types.is_timestamp(kind):
        zone = "Z" if kind.tz else ""
        return lambda micros: f'"{_timestamp(micros)}{zone}"'
    return str


def _struct_writer(kind: pa.StructType) -> Writer:
    fields = [(field.name, _text(field.name), _writer(field.type)) for field in kind]

    def write(value: dict[str, Any]) -> str:
        parts = (f"{key}:{writer(value[name])}" for name, key, writer in fields if value[name] is not None)
        return "{" + ",".join(parts) + "}"

    return write


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _date(days: int) -> str:
    """A date as yyyy-MM-dd; other years than 0 to 9999 have a sign."""
    cycles, rest = divmod(days - _DAYS_TO_2000, CYCLE_DAYS)
    day = date(2000, 1, 1) + timedelta(rest)
    year = day.year + cycles * CYCLE_YEARS
    return f"{year:{'04' if 0 <= year <= 9999 else '+05'}}-{day:%m-%d}"


def _timestamp(micros: int) -> str:
    # Spark writes milliseconds; more digits are written only where they would be lost.
    digits = "microseconds" if micros % 1000 else "milliseconds"
    days, rest = divmod(micros, MICROS_A_DAY)
    time = (datetime.min + timedelta(microseconds=rest)).time()
    return f"{_date(days)}T{time.isoformat(timespec=digits)}"


def _java_double(text: str) -> str:
    """A double as Java writes it: 1.0, 1.0E7 from ten millions, 1.0E-4 below a thousandth.

    >>> [_java_double(repr(number)) for number in (1.0, 1e7, 123456789.125, 1e-7, 0.001, -2.5, 1e22)]
    ['1.0', '1.0E7', '1.23456789125E8', '1.0E-7', '0.001', '-2.5', '1.0E22']
    """
    number = Decimal(text)
    if not number.is_finite():
        return {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}[text]
    if number == 0 or -3 <= number.adjusted() < 7:
        plain = format(number, "f")
        return plain if "." in plain else plain + ".0"
    sign, digits, _ = number.normalize().as_tuple()
    fraction = "".join(map(str, digits[1:])) or "0"
    return f"{'-' if sign else ''}{digits[0]}.{fraction}E{number.adjusted()}"
