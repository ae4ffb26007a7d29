"""Kafka Connect's schemas, with the logical types of Connect and Debezium, as column types and values.

| schema | column | example |
|---|---|---|
| int8, int16, int32; int64 | int; bigint | 7 |
| float32, float64 | double | 5.3 |
| bytes | binary | "AQ==" → 01 |
| Decimal(scale 2, precision 10) | decimal(10,2); string beyond 38 digits | "EtaH" → 12345.67 |
| VariableScaleDecimal | string | {"scale": 1, "value": "Ew=="} → 1.9 |
| Date | date | 18460 → 2020-07-17 |
| Timestamp, MicroTimestamp (wall clock) | timestamp_ntz | 1595008822123 → 2020-07-17 18:00:22.123 |
| NanoTimestamp, whose digits no timestamp has | string | 1595008822123456700 → 2020-07-17 18:00:22.123456700 |
| ZonedTimestamp | timestamp | "2020-07-17T18:00:22Z" |
| Time, MicroTime, NanoTime | string | 64822000000 → 18:00:22.000000 |
| others | as the type under them | |

Source: debezium.io, "Data type mappings" of the connectors; Kafka's org.apache.kafka.connect.data.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_DAY = date(1970, 1, 1)
_MOMENT = datetime(1970, 1, 1)
_MOST_DIGITS = 38


class Decoded(NamedTuple):
    """The type of a column, and how its values in JSON become values of it."""

    kind: pa.DataType
    value: Callable[[Any], Any]


def decoded(schema: Mapping[str, Any]) -> Decoded:
    """What a schema of Kafka Connect stands for. A value that is none of it stays as it is, and refuses its row.

    >>> column = decoded({"type": "int32", "name": "io.debezium.time.Date"})
    >>> column.kind, column.value(18460)
    (DataType(date32[day]), datetime.date(2020, 7, 17))
    """
    name = str(schema.get("name") or "")
    logical = name.rpartition(".")[2] if name.startswith(("io.debezium.", "org.apache.kafka.connect.")) else ""
    if logical == "Decimal":
        return _decimal(schema.get("parameters") or {})
    found = _LOGICAL.get(logical) or _plain(schema)
    return Decoded(found.kind, _if_possible(found.value))


def _plain(schema: Mapping[str, Any]) -> Decoded:
    kind = schema.get("type")
    if kind == "array":
        element = decoded(schema.get("items") or {})
        return Decoded(pa.list_(pa.field("element", element.kind)), lambda value: [element.value(v) for v in value])
    if kind == "struct":
        members = {str(each["field"]): decoded(each) for each in schema.get("fields") or ()}
        if not members:
            return _TEXT
        inner = pa.struct([(name, each.kind) for name, each in members.items()])
        return Decoded(inner, lambda value: struct_value(members, value))
    return _TYPES.get(str(kind), _TEXT)


def struct_value(members: Mapping[str, Decoded], value: Mapping[str, Any]) -> dict[str, Any]:
    """An object with each member as its schema says."""
    return {name: members[name].value(each) if name in members else each for name, each in value.items()}


def _if_possible(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def value(found: Any) -> Any:
        if found is None:
            return None
        try:
            return convert(found)
        except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError, binascii.Error):
            return found

    return value


def _decimal(parameters: Mapping[str, Any]) -> Decoded:
    scale = int(parameters.get("scale") or 0)
    precision = int(parameters.get("connect.decimal.precision") or _MOST_DIGITS)
    if precision > _MOST_DIGITS or not 0 <= scale <= precision:
        return Decoded(pa.string(), _if_possible(lambda value: f"{_scaled(value, scale):f}"))
    return Decoded(pa.decimal128(precision, scale), _if_possible(lambda value: _scaled(value, scale)))


def _scaled(value: Any, scale: int) -> Decimal:
    """A number from its bytes; one that a message has as a number or in digits already, as it is."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return Decimal(value)
    number = int.from_bytes(_bytes(value), "big", signed=True)
    return Decimal(f"{number}E-{scale}") if scale >= 0 else Decimal(number).scaleb(-scale)


def _bytes(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("expected a whole number")
    return value


def _wall_clock(unit_us: int) -> Decoded:
    return Decoded(TIMESTAMP_NTZ, lambda value: _MOMENT + timedelta(microseconds=_whole(value) * unit_us))


def _nanoseconds(value: Any) -> str:
    seconds, nanos = divmod(_whole(value), 10**9)
    return f"{_MOMENT + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}.{nanos:09}"


def _time(digits: int) -> Decoded:
    """A time of day or a span: as text with all its digits, since MySQL's may be negative or beyond a day."""

    def text(value: Any) -> str:
        seconds, fraction = divmod(abs(_whole(value)), 10**digits)
        minutes, hours = seconds // 60 % 60, seconds // 3600
        return f"{'-' if value < 0 else ''}{hours:02}:{minutes:02}:{seconds % 60:02}.{fraction:0{digits}}"

    return Decoded(pa.string(), text)


def _same(value: Any) -> Any:
    return value


_TEXT = Decoded(pa.string(), _same)
_DATE = Decoded(pa.date32(), lambda value: _DAY + timedelta(days=_whole(value)))
_TYPES = {
    **dict.fromkeys(("int8", "int16", "int32"), Decoded(pa.int32(), _same)),
    "int64": Decoded(pa.int64(), _same),
    **dict.fromkeys(("float", "double", "float32", "float64"), Decoded(pa.float64(), _same)),
    "boolean": Decoded(pa.bool_(), _same),
    "bytes": Decoded(pa.binary(), _bytes),
}
_LOGICAL = {
    "Date": _DATE,
    "Timestamp": _wall_clock(1000),
    "MicroTimestamp": _wall_clock(1),
    "NanoTimestamp": Decoded(pa.string(), _nanoseconds),
    "ZonedTimestamp": Decoded(TIMESTAMP, datetime.fromisoformat),
    "Time": _time(3),
    "MicroTime": _time(6),
    "NanoTime": _time(9),
    "VariableScaleDecimal": Decoded(pa.string(), lambda value: f"{_scaled(value['value'], value['scale']):f}"),
}
