"""Where an event stands in the log of its database, so that the order of two can be told however late they come."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Position(NamedTuple):
    """Parts that order events of one key; `is_unique`: no two events of one key have the same."""

    parts: tuple[Any, ...]
    is_unique: bool = True


def position(source: Mapping[str, Any]) -> Position | None:
    """The position in the `source` of an event of Debezium; None where it tells none.

    >>> position({"connector": "postgresql", "lsn": 24023128, "txId": 555})
    Position(parts=(24023128,), is_unique=True)
    """
    if source.get("file") and source.get("pos") is not None:  # MySQL, MariaDB
        return Position((log_file(str(source["file"])), source["pos"], source.get("row") or 0))
    if source.get("lsn") is not None:  # PostgreSQL: row locks keep the changes of one row in the order of their commits
        return Position((source["lsn"],))
    if source.get("commit_lsn"):  # SQL Server, Db2; of a snapshot there is no change_lsn
        return Position((source["commit_lsn"], source.get("change_lsn"), source.get("event_serial_no") or 0))
    if source.get("scn") and str(source["scn"]).isdigit():  # Oracle: one scn may have several changes of a row
        record = source.get("rs_id")
        return Position((source["scn"], record, source.get("ssn") or 0), record is not None)
    if source.get("ord") is not None and source.get("ts_ms") is not None:  # MongoDB
        return Position((source["ts_ms"], source["ord"]))
    return None


def log_file(name: str) -> str:
    """A file of MySQL's binary log by its number, which may get more digits.

    >>> log_file("mysql-bin.999999") < log_file("mysql-bin.1000000")
    True
    """
    number = name.rpartition(".")[2]
    return number.rjust(20, "0") if number.isdigit() else name
