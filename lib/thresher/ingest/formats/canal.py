"""Canal's flat messages: the rows of one statement in MySQL or MariaDB, their values as text.

Types come from `mysqlType`; without it values are as JSON has them. Statements of definition (`isDdl`) are reported,
not applied, but TRUNCATE.

Source: github.com/alibaba/canal, FlatMessage.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeGuard

import pyarrow as pa

from thresher.ingest.changes import DELETE, INSERT, TRUNCATE, UPDATE
from thresher.ingest.formats.json_messages import BY_TIME, Change, NoRow, Told, moment, sequence, wrong
from thresher.types import TIMESTAMP_NTZ

_OPERATIONS = {"INSERT": INSERT, "UPDATE": UPDATE, "DELETE": DELETE}
_TYPE = re.compile(r"(?P<name>[a-z]+(?: precision)?)\s*(?:\((?P<size>[0-9, ]+)\))?(?P<rest>.*)", re.I | re.S)
_MOST_DIGITS = 38
_KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "year"), pa.int32()),
    **dict.fromkeys(("int", "integer", "bigint", "bit"), pa.int64()),
    **dict.fromkeys(("float", "double", "double precision", "real"), pa.float64()),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), pa.binary()),
    **dict.fromkeys(("datetime", "timestamp"), TIMESTAMP_NTZ),
    "date": pa.date32(),
}


def told(message: Any) -> Iterable[Told]:
    """The changes of one message.

    >>> message = {"type": "INSERT", "database": "shop", "table": "t", "data": [{"id": "1"}]}
    >>> [change.values for change in told({**message, "mysqlType": {"id": "bigint(20)"}})]
    [{'id': 1}]
    """
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return [wrong(message, "a message of Canal with type, database, table and data")]
    kind, table = message["type"].upper(), f"{message.get('database')}.{message.get('table')}"
    at = moment(message["es"] * 1000) if isinstance(message.get("es"), int) else None
    # Messages of one batch share their id, so only file, row and place in the message make a position whole.
    position = sequence(BY_TIME, message["es"], message.get("id")) if at else None
    key = tuple(message.get("pkNames") or ())
    if kind == "TRUNCATE":
        return [Change({}, TRUNCATE, at, position, True, table, key)]
    if message.get("isDdl") or kind not in _OPERATIONS:
        return [NoRow("not applied", f"{kind}: no change of a row {message.get('sql') or ''}".rstrip(), table)]
    data, old = message.get("data"), message.get("old")
    if not _are_objects(data) or not (old is None or (_are_objects(old) and len(old) == len(data))):
        return [wrong({"data": data, "old": old}, "a list of objects as data, and as old one as long, or null")]
    changed = _Typed(message.get("mysqlType") or {})
    found: list[Told] = []
    for place, (after, before) in enumerate(zip(data, old or [{} for _ in data], strict=True)):
        full = changed.row({**after, **before}) if kind == "UPDATE" else None
        values = changed.row(after)
        types = changed.types(values)
        found.append(Change(values, _OPERATIONS[kind], at, position, True, table, key, full, types, place))
    return found


def _are_objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


class _Typed:
    """The columns of one message by the types that they have in MySQL."""

    def __init__(self, mysql_types: Mapping[str, str]):
        self._kinds = {name: mysql_kind(kind) for name, kind in mysql_types.items()}

    def types(self, values: Mapping[str, Any]) -> Mapping[str, pa.DataType] | None:
        if not self._kinds:
            return None
        return {name: self._kinds.get(name, pa.string()) for name in values}

    def row(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _value(value, self._kinds.get(name, pa.string())) for name, value in values.items()}


def mysql_kind(kind: str) -> pa.DataType:
    """The type of a column by its type in MySQL.

    >>> mysql_kind("bigint(20) unsigned"), mysql_kind("decimal(10,2)")
    (Decimal128Type(decimal128(20, 0)), Decimal128Type(decimal128(10, 2)))
    """
    found = _TYPE.match(kind.strip())
    if not found:
        return pa.string()
    name, sizes = found["name"].lower(), [int(each) for each in (found["size"] or "").split(",") if each.strip()]
    if name in ("decimal", "numeric", "dec", "fixed"):
        precision, scale = (*sizes, 10, 0)[0], (*sizes[1:], 0)[0]
        return pa.decimal128(precision, scale) if precision <= _MOST_DIGITS else pa.string()
    if "unsigned" in found["rest"].lower() and name in ("bigint", "int", "integer", "mediumint"):
        return pa.decimal128(20, 0) if name == "bigint" else pa.int64()
    if name == "bit" and (*sizes, 1)[0] > 63:
        return pa.decimal128(20, 0)
    return _KINDS.get(name, pa.string())


def _value(value: Any, kind: pa.DataType) -> Any:
    """A text of MySQL as a value of its type; what is none of it stays text, and is refused with its row."""
    if not isinstance(value, str):
        return value
    if pa.types.is_binary(kind):  # each byte is a character of its own
        return value.encode("latin-1", "ignore") if value.isascii() or max(value) <= "\xff" else value
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        try:
            return int(value) if pa.types.is_integer(kind) else Decimal(value)
        except (ValueError, InvalidOperation):
            return value
    return value
