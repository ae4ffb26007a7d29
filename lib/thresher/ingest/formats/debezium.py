"""Debezium's JSON: events of c(reate), u(pdate), d(elete), r(ead in a snapshot) and t(runcate).

A line is a value, with or without its schema (`{"schema": …, "payload": …}`), or a key and a value: as
`{"key": …, "value": …}`, or with a tab between. Flattened rows (ExtractNewRecordState with `__op` or `__deleted`) are
read too. A tombstone (a null value) is no row. Of one position, rows of a snapshot come before changes.

Source: debezium.io, the connectors' "Data change events" and "New record state extraction".
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from thresher.ingest.changes import DELETE, INSERT, TRUNCATE, UPDATE
from thresher.ingest.formats.debezium_types import Decoded, decoded, struct_value
from thresher.ingest.formats.json_messages import BY_POSITION, BY_TIME, Change, NoRow, Told, moment, sequence, wrong
from thresher.ingest.formats.json_texts import parsed
from thresher.ingest.formats.log_positions import position

_OPERATIONS = {"c": INSERT, "r": INSERT, "u": UPDATE, "d": DELETE, "t": TRUNCATE}
_UNAVAILABLE = (
    "__debezium_unavailable_value",
    "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",  # the same where a column is binary
    ["__debezium_unavailable_value"],
)


def parse(content: bytes) -> Any:
    """A line as a message: a key and a value with a tab between are one with both.

    >>> parse(b'{"id": 1}\\t{"op": "d"}')
    {'key': {'id': 1}, 'value': {'op': 'd'}}
    """
    try:
        return parsed(content)
    except ValueError:
        key, tab, value = content.partition(b"\t")
        if not tab:
            raise
    try:
        parsed_key = parsed(key)
    except ValueError:
        parsed_key = None  # a plain text
    return {"key": parsed_key, "value": parsed(value) if value.strip() else None}


def told(message: Any) -> Iterable[Told]:
    """The change of one message; none of a tombstone.

    >>> [change.op for change in told({"op": "c", "before": None, "after": {"id": 1}})]
    ['I']
    """
    key: Any = None
    if isinstance(message, dict) and "key" in message and ("value" in message or "payload" in message):
        key, message = message["key"], message.get("value", message.get("payload"))
    key, _ = _opened(key)
    value, schema = _opened(message)
    if value is None:
        return []
    if not isinstance(value, dict):
        return [wrong(value, "an event of Debezium with op, before and after")]
    if _is_of_mongodb(value) and isinstance(key, dict) and "id" in key:
        key = {"_id": _opened(key["id"])[0]}  # the key is text that holds JSON, as the documents are
    names = tuple(key) if isinstance(key, dict) else ()
    if "op" in value and ("after" in value or "before" in value or value["op"] in ("t", "m")):
        return [_event(value, schema, key if names else {}, names)]
    if "__op" in value or "__deleted" in value:
        return [_flattened(value, schema, names)]
    return [_without_row(value)]


def _opened(message: Any) -> tuple[Any, Mapping[str, Any]]:
    """A payload and its schema; a message may also be a text that holds JSON."""
    if isinstance(message, str):
        try:
            message = parsed(message.encode())
        except ValueError:
            return message, {}
    if isinstance(message, dict) and "payload" in message and (message.keys() <= {"schema", "payload"}):
        return message["payload"], message.get("schema") or {}
    return message, {}


def _event(value: Mapping[str, Any], schema: Mapping[str, Any], key: Mapping[str, Any], names: tuple[str, ...]) -> Told:
    source = value.get("source") or {}
    table, letter = _table(source), value["op"]
    if letter == "m":
        return NoRow("not applied", "a message (op m) is no change of a row", table)
    if letter not in _OPERATIONS:
        return wrong(letter, "op to be one of c, u, d, r, t, m")
    before, after = (_opened(value.get(name))[0] for name in ("before", "after"))
    if _is_of_mongodb(value):
        key, before, after = (_identified(each) for each in (key, before, after))
    values = (before or key) if letter == "d" else after
    if letter == "t":
        values = {}
    if not isinstance(values, dict) or (letter != "t" and not values):
        missing = "before" if letter == "d" else "after"
        return NoRow("not understood", f"op {letter} without the row {missing} it; expected it in {missing}", table)
    columns = _columns(schema, "after") or _columns(schema, "before")
    if letter == "u":
        values, lacking = _completed(values, before if isinstance(before, dict) else {})
        if lacking:
            return NoRow("value not sent", _not_sent(lacking, table), table)
    change = _change(values, columns, table, names)
    if letter == "u" and isinstance(before, dict):
        change = change._replace(before=struct_value(columns, before))
    return _timed(change, letter, source, _moment(source) or _moment(value))


def _is_of_mongodb(value: Mapping[str, Any]) -> bool:
    return bool((value.get("source") or {}).get("collection"))


def _identified(document: Any) -> Any:
    """A document of MongoDB with a whole number in its `_id` plain: keys and documents write it in different ways.

    >>> _identified({"_id": {"$numberLong": "1004"}}), _identified({"_id": {"$oid": "a1"}})
    ({'_id': 1004}, {'_id': {'$oid': 'a1'}})
    """
    number = document.get("_id") if isinstance(document, dict) else None
    if isinstance(number, dict) and number.keys() in ({"$numberLong"}, {"$numberInt"}):
        return {**document, "_id": int(*number.values())}
    return document


def _flattened(value: Mapping[str, Any], schema: Mapping[str, Any], names: tuple[str, ...]) -> Told:
    source = {name.removeprefix("__").removeprefix("source_"): each for name, each in value.items() if name[:2] == "__"}
    letter = value.get("__op") or "u"
    if str(value.get("__deleted")).lower() == "true":
        letter = "d"
    if letter not in _OPERATIONS:
        return wrong(letter, "__op to be one of c, u, d, r, t")
    fields = {str(each["field"]): decoded(each) for each in schema.get("fields") or () if each["field"][:2] != "__"}
    rest = {name: each for name, each in value.items() if name[:2] != "__"}
    lacking = [name for name, each in rest.items() if each in _UNAVAILABLE]
    table = _table(source)
    if lacking:
        return NoRow("value not sent", _not_sent(lacking, table), table)
    return _timed(_change(rest, fields, table, names), letter, source, _moment(source))


def _change(values: Mapping[str, Any], columns: Mapping[str, Decoded], table: str, names: tuple[str, ...]) -> Change:
    types = {name: each.kind for name, each in columns.items()} or None
    return Change(struct_value(columns, values), table=table, key=names, types=types)


def _timed(change: Change, letter: str, source: Mapping[str, Any], at: datetime | None) -> Change:
    rank = 0 if letter == "r" else 1
    found = position(source)
    if found:
        text, is_unique = sequence(BY_POSITION, *found.parts, rank), found.is_unique
    else:
        micros = None if at is None else int(at.timestamp() * 1000)
        text, is_unique = sequence(BY_TIME, micros, rank), False
    is_known = bool(found) or at is not None
    return change._replace(op=_OPERATIONS[letter], at=at, sequence=text if is_known else None, is_partial=not is_unique)


def _table(source: Mapping[str, Any]) -> str:
    parts = (source.get("db"), source.get("schema"), source.get("table") or source.get("collection"))
    return ".".join(str(part) for part in parts if part) if parts[2] else ""


def _columns(schema: Mapping[str, Any], name: str) -> dict[str, Decoded]:
    """The columns of a row by the schema of an event."""
    for each in schema.get("fields") or ():
        if each.get("field") == name:
            return {str(column["field"]): decoded(column) for column in each.get("fields") or ()}
    return {}


def _completed(after: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A row with values that were not sent, since they are as before; and those that are not known at all."""
    full = {name: before.get(name, each) if each in _UNAVAILABLE else each for name, each in after.items()}
    return full, [name for name, each in full.items() if each in _UNAVAILABLE]


def _not_sent(names: list[str], table: str) -> str:
    return (
        f"the unchanged value of {', '.join(names)} was not sent, so the row cannot be told. "
        f"Set REPLICA IDENTITY FULL on {table or 'the table'} at the source, and take a new snapshot"
    )


def _moment(source: Mapping[str, Any]) -> datetime | None:
    """When it happened at the source, by the finest time that is told; 0 stands for none."""
    for name, per_us in (("ts_ns", 0.001), ("ts_us", 1), ("ts_ms", 1000)):
        value = source.get(name)
        if type(value) is int and value:
            return moment(value // 1000 if name == "ts_ns" else int(value * per_us))
    return None


def _without_row(value: Mapping[str, Any]) -> NoRow:
    if "ddl" in value or "tableChanges" in value:
        return NoRow("not applied", f"a change of definition, not applied: {value.get('ddl') or 'tableChanges'}")
    if value.get("status") in ("BEGIN", "END"):
        return NoRow("not applied", "the begin or end of a transaction is no change of a row")
    if set(value) <= {"ts_ms", "ts_us", "ts_ns"}:
        return NoRow("not applied", "a heartbeat is no change of a row")
    return wrong(value, "an event of Debezium with op, before and after")
