"""Documents as JSON text, by the conventions of Spark's to_json and of xmltodict."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import xmltodict

from thresher.errors import UsageError
from thresher.xml.arrays import Documents, each
from thresher.xml.decoding import Refused, is_blank, text_of
from thresher.xml.discovery import discover
from thresher.xml.document import read
from thresher.xml.options import Options
from thresher.xml.parsing import parse
from thresher.xml.schema import Schema

CONVENTIONS = ("spark", "xmltodict")


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
    writer = json_writer(schema.arrow_type)
    return pa.array([None if value is None else writer(value) for value in values.to_pylist()], pa.string())


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


def json_writer(kind: pa.DataType) -> Writer:
    """The function that writes a value of a shared type, as Spark's to_json does; bytes in base64."""
    if pa.types.is_struct(kind):
        return _struct_writer(kind)
    if pa.types.is_list(kind):
        item = json_writer(kind.value_type)
        return lambda values: "[" + ",".join("null" if value is None else item(value) for value in values) + "]"
    if pa.types.is_string(kind):
        return _text
    if pa.types.is_map(kind):
        value_of = json_writer(kind.item_type)
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
        return lambda value: _text(date.isoformat(value))
    if pa.types.is_timestamp(kind):
        return lambda value: _text(_timestamp(value))
    return str


def _struct_writer(kind: pa.StructType) -> Writer:
    fields = [(field.name, _text(field.name), json_writer(field.type)) for field in kind]

    def write(value: dict[str, Any]) -> str:
        parts = (f"{key}:{writer(value[name])}" for name, key, writer in fields if value[name] is not None)
        return "{" + ",".join(parts) + "}"

    return write


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _timestamp(value: datetime) -> str:
    # Spark writes milliseconds; more digits are written only where they would be lost.
    digits = "microseconds" if value.microsecond % 1000 else "milliseconds"
    return value.isoformat(timespec=digits).replace("+00:00", "Z")


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
