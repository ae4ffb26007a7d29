"""The portable SQL against what Apache Spark 4.2 answered: the same rows, names and types, or an error, or refused.

`sql_answers/` holds its answers to edge values of every entry of the allow-list (session zone UTC, ANSI on), made by
tools/ask_spark.py: one statement a line with `spark` (schema and rows) or `error` (the error condition), values written
as `encoded` does.
Further recorded cases lie outside the repository: THRESHER_PARITY names their folder.
"""

import json
import os
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp

from thresher import sql
from thresher.engines.embedded import EmbeddedEngine
from thresher.errors import NotPortable, SqlError
from thresher.sql import allowed
from thresher.sql.kinds import Interval, array_of, in_spark
from thresher.types import canonical

ANSWERS = sorted(Path(__file__).with_name("sql_answers").glob("*.jsonl"))
FOLDER = Path(os.environ.get("THRESHER_PARITY", Path(__file__).parents[2] / "shared" / "parity"))
FURTHER = FOLDER / "spark42_cases.jsonl"

# Recorded under other settings than ours (another zone, ANSI off): the same text means something else there.
OTHER_SETTINGS = ("ansi_off", "tz_newyork")
# A day of 23 hours: recorded in New York, too.
ZONED = "unix_seconds(timestamp'2024-03-11 00:00:00')-unix_seconds(timestamp'2024-03-10 00:00:00')"


def embedded() -> duckdb.DuckDBPyConnection:
    """A connection as the embedded engine sets it up."""
    return EmbeddedEngine().connection


def encoded(value: Any, kind: pa.DataType) -> Any:
    """A value of this type as the recorded answers write it."""
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [encoded(item, kind.value_type) for item in value]
    if pa.types.is_map(kind):
        return {"M": [[encoded(key, kind.key_type), encoded(item, kind.item_type)] for key, item in value]}
    if pa.types.is_struct(kind):
        return {"R": [[field.name, encoded(value[field.name], field.type)] for field in kind]}
    if isinstance(kind, Interval):
        return f"I:{timedelta(microseconds=value).total_seconds()}"
    if isinstance(value, float):
        text = repr(float(f"{value:.13g}"))
        return "NaN" if value != value else "-0.0" if text == "-0.0" else float(text)
    if isinstance(value, Decimal):
        return f"D:{value:f}"
    if isinstance(value, datetime):
        return f"T:{value.replace(tzinfo=None).isoformat()}"
    if isinstance(value, date):
        return f"d:{value.isoformat()}"
    if isinstance(value, bytes):
        return f"x:{value.hex()}"
    return value


def stored(kind: pa.DataType) -> pa.DataType:
    """The type in which DuckDB hands a value out: an interval is a number there."""
    if isinstance(kind, Interval):
        return kind.storage_type
    if pa.types.is_list(kind):
        return array_of(stored(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, stored(field.type)) for field in kind])
    return kind


def in_order(rows: list[Any], is_ordered: bool) -> list[Any]:
    return rows if is_ordered else sorted(rows, key=json.dumps)


def verdict(connection: duckdb.DuckDBPyConnection, case: dict[str, Any], functions: sql.Functions) -> str:
    """same, both error, refused, refused at run time; else what is wrong, in capitals."""
    try:
        query = sql.parse(case["sql"])
        translated = query.translation({}, {})
    except NotPortable:
        return "refused"
    except SqlError:
        return "both error" if "error" in case else "refused"
    try:
        functions.provide(translated)
        table = connection.execute(translated.sql).to_arrow_table()
    except duckdb.Error as error:
        if "not proven equal to Spark" in str(error):
            return "refused at run time"
        return "both error" if "error" in case else f"ERROR HERE ONLY: {error}"
    if "error" in case:
        return f"ACCEPTED, but Spark says {case['error']}"
    found = [[field.name, in_spark(field.type)] for field in translated.schema]
    if found != case["spark"]["schema"]:
        return f"SCHEMA {found}, Spark {case['spark']['schema']}"
    arrow = [canonical(kind) for kind in table.schema.types]
    wanted = [stored(kind) for kind in translated.schema.types]
    if not all(a.equals(b) or b == pa.null() for a, b in zip(arrow, wanted, strict=True)):
        return f"DECLARED {translated.schema.types}, came {arrow}"
    columns = [
        [encoded(value, kind) for value in column.to_pylist()]
        for column, kind in zip(table.columns, translated.schema.types, strict=True)
    ]
    rows = [list(row) for row in zip(*columns, strict=True)]
    is_ordered = bool(query._tree.args.get("order"))
    if in_order(rows, is_ordered) != in_order(case["spark"]["rows"], is_ordered):
        return f"ROWS {rows}, Spark {case['spark']['rows']}"
    return "same"


def is_recorded_elsewhere(case: dict[str, Any]) -> bool:
    """Recorded under other settings than ours."""
    return case["area"] in OTHER_SETTINGS or ZONED in case["sql"]


def cases(file: Path) -> list[dict[str, Any]]:
    # Not splitlines(): text may hold other line ends, such as U+2028.
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


@cache
def answers() -> list[tuple[dict[str, Any], str]]:
    connection = embedded()
    functions = sql.Functions(connection)
    return [(case, verdict(connection, case, functions)) for file in ANSWERS for case in cases(file)]


def wrong(found: list[tuple[dict[str, Any], str]]) -> str:
    return "\n".join(f"{case['sql']}\n    {words}" for case, words in found if not words.islower())


def test_every_answer_is_sparks_or_an_error_or_refused() -> None:
    assert wrong(answers()) == ""
    tally = Counter(words for _, words in answers())
    assert tally["same"] >= 5500, tally  # what is portable may grow; it does not shrink unseen


@pytest.mark.skipif(not FURTHER.exists(), reason=f"no recorded answers of Spark at {FURTHER} (THRESHER_PARITY)")
def test_no_further_case_differs_silently_from_spark(record_property: Any) -> None:
    connection = embedded()
    functions = sql.Functions(connection)
    recorded = cases(FURTHER)
    found = [(case, verdict(connection, case, functions)) for case in recorded if not is_recorded_elsewhere(case)]
    tally = Counter(words if words.islower() else "wrong" for _, words in found)
    record_property("parity", dict(tally, other_settings=len(recorded) - len(found)))
    assert wrong(found) == ""
    assert tally["same"] >= 860, tally


def test_every_function_and_construct_of_the_allow_list_gave_sparks_rows_somewhere() -> None:
    names: set[str] = set()
    nodes: set[type] = {exp.Placeholder}  # has no value by itself, and is refused by name
    for case, found in answers():
        if found == "same":
            tree = sql.parse(case["sql"])._tree
            nodes |= {type(node) for node in tree.walk()}
            names |= {node.name.lower() for node in tree.find_all(exp.Anonymous)}
    assert {*allowed.FUNCTIONS, *allowed.AGGREGATES, *allowed.WINDOW_FUNCTIONS} - names == set()
    assert set(allowed.CONSTRUCTS) - nodes == set()


@pytest.mark.parametrize("entry", allowed.ENTRIES, ids=lambda entry: entry.signature)
def test_every_example_of_the_reference_runs(entry: allowed.Entry) -> None:
    translated = sql.parse(entry.example).translation({}, {})
    connection = embedded()
    sql.Functions(connection).provide(translated)
    assert connection.execute(translated.sql).fetchall() != []


def test_the_reference_page_is_the_allow_list() -> None:
    page = Path(__file__).parents[1] / "docs" / "sql.md"
    assert page.read_text(encoding="utf-8") == sql.reference(), "write sql.reference() to docs/sql.md"
