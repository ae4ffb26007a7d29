"""The portable SQL against what Apache Spark 4.2 answered: same rows, names and types, or an error, or refused.

The recorded cases lie outside the repository: THRESHER_PARITY names their folder.
"""

import json
import os
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from thresher import sql
from thresher.errors import NotPortable, SqlError
from thresher.sql.kinds import in_spark
from thresher.types import canonical

FOLDER = Path(os.environ.get("THRESHER_PARITY", Path(__file__).parents[2] / "shared" / "parity"))
FILE = FOLDER / "spark42_cases.jsonl"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"no recorded answers of Spark at {FILE} (THRESHER_PARITY)")

# Recorded under other settings than ours (another zone, ANSI off): the same text means something else there.
OTHER_SETTINGS = ("ansi_off", "tz_newyork")


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()] if FILE.exists() else []


def encoded(value: Any) -> Any:
    """A value as the recorded answers write it."""
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
    if isinstance(value, list):
        return [encoded(item) for item in value]
    if isinstance(value, dict):
        return {"R": [[name, encoded(item)] for name, item in value.items()]}
    return value


def in_order(rows: list[Any], is_ordered: bool) -> list[Any]:
    return rows if is_ordered else sorted(rows, key=json.dumps)


def verdict(connection: duckdb.DuckDBPyConnection, case: dict[str, Any]) -> str:
    """same, both error, refused, skipped; else what is wrong."""
    if case["area"] in OTHER_SETTINGS:
        return "skipped: other settings"
    try:
        query = sql.parse(case["sql"])
        translated = query.translation({}, {})
    except NotPortable:
        return "refused"
    except SqlError:
        return "both error" if "error" in case else "refused"
    try:
        table = connection.execute(translated.sql).to_arrow_table()
    except duckdb.Error as error:
        if "not proven equal to Spark" in str(error):
            return "refused at run time"
        return "both error" if "error" in case else f"ERROR HERE ONLY: {error}"
    if "error" in case:
        return f"ACCEPTED, but Spark says {case['error']}"
    types = [in_spark(field.type) for field in translated.schema]
    found = [[name, kind] for name, kind in zip(table.column_names, types, strict=True)]
    if found != case["spark"]["schema"]:
        return f"SCHEMA {found}, Spark {case['spark']['schema']}"
    arrow = [canonical(kind) for kind in table.schema.types]
    if not all(a.equals(b) for a, b in zip(arrow, translated.schema.types, strict=True)):
        return f"DECLARED {translated.schema.types}, came {arrow}"
    rows = [
        [encoded(value) for value in row] for row in zip(*(column.to_pylist() for column in table.columns), strict=True)
    ]
    is_ordered = bool(query._tree.args.get("order"))
    if in_order(rows, is_ordered) != in_order(case["spark"]["rows"], is_ordered):
        return f"ROWS {rows}, Spark {case['spark']['rows']}"
    return "same"


def test_no_case_differs_silently_from_spark(capsys: pytest.CaptureFixture[str]) -> None:
    connection = duckdb.connect()
    for statement in sql.SETUP:
        connection.execute(statement)
    tally: Counter[str] = Counter()
    wrong = []
    for case in cases():
        found = verdict(connection, case)
        if found.isupper() or found[0].isupper():
            wrong.append(f"{case['area']}: {case['sql']}\n    {found}")
        else:
            tally[found] += 1
    with capsys.disabled():
        print(f"\n{dict(sorted(tally.items()))}, wrong: {len(wrong)}")
    assert not wrong, "\n".join(wrong)
    assert tally["same"] >= 250


def test_the_encoding_of_values_is_the_recorded_one() -> None:
    row = [Decimal("1.50"), date(2024, 1, 31), datetime(2024, 1, 31, 10), b"\x00\xff", {"a": [1.0, float("nan")]}]
    assert [encoded(value) for value in row] == [
        "D:1.50",
        "d:2024-01-31",
        "T:2024-01-31T10:00:00",
        "x:00ff",
        {"R": [["a", [1.0, "NaN"]]]},
    ]
