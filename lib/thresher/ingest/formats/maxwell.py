"""Maxwell's JSON: one message per row of a change in MySQL or MariaDB.

Rows of a bootstrap are inserted by the time of their messages: they have no position in the log, so they come before
all changes that have one. What a table's definition does (table-create, table-alter, …) is reported, not applied.

Source: maxwells-daemon.io, "Data format" and "Bootstrapping".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from thresher.ingest.changes import DELETE, INSERT, UPDATE
from thresher.ingest.formats.json_messages import BY_POSITION, BY_TIME, Change, NoRow, Told, moment, sequence, wrong
from thresher.ingest.formats.log_positions import log_file

_OPERATIONS = {"insert": INSERT, "update": UPDATE, "delete": DELETE, "bootstrap-insert": INSERT}
_WITHOUT_ROW = ("bootstrap-start", "bootstrap-complete")
_LAST = 10**12  # the last row of a transaction has "commit" in the place of its number


def told(message: Any) -> Iterable[Told]:
    """The change of one message.

    >>> told({"database": "shop", "table": "t", "type": "insert", "ts": 7, "data": {"id": 1}})[0].values
    {'id': 1}
    """
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return [wrong(message, "a message of Maxwell with type, database, table and data")]
    kind, table = message["type"], f"{message.get('database')}.{message.get('table')}"
    if kind in _WITHOUT_ROW:
        return []
    if kind not in _OPERATIONS:
        statement = message.get("sql") or ""
        return [NoRow("not applied", f"{kind}: no change of a row {statement}".rstrip(), table)]
    data, old = message.get("data"), message.get("old") or {}
    if not isinstance(data, dict) or not isinstance(old, dict):
        return [wrong({"data": data, "old": old}, "objects as data and old")]
    before = {**data, **old} if kind == "update" else None
    at = moment(message["ts"] * 1_000_000) if isinstance(message.get("ts"), int) else None
    position, is_partial = _position(message)
    key = tuple(message.get("primary_key_columns") or ())
    return [Change(data, _OPERATIONS[kind], at, position, is_partial, table, key, before)]


def _position(message: Mapping[str, Any]) -> tuple[str | None, bool]:
    """The place of a change among all; partial where file and row must complete it."""
    is_last = bool(message.get("commit"))
    number, is_partial = message.get("xoffset", _LAST if is_last else 0), "xoffset" not in message and not is_last
    file, _, offset = str(message.get("position") or "").rpartition(":")
    if file:
        return sequence(BY_POSITION, log_file(file), offset, number), is_partial
    if "ts" not in message:
        return None, False
    if "xid" in message:
        return sequence(BY_TIME, message["ts"], message["xid"], number), is_partial
    # What a bootstrap read comes before the changes of its second, which may be later.
    first = (None,) if message["type"] == "bootstrap-insert" else ()
    return sequence(BY_TIME, message["ts"], *first), True
