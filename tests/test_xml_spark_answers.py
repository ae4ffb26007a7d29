"""What Apache Spark 4.2 answered to from_xml and schema_of_xml, beside what Options.spark() gives.

One JSON object a line: `xml`, `options` by Spark's names, and either `schema` with the `answer` of from_xml, or the
`answer` of schema_of_xml. The session's zone was UTC. Dates stand as d<days>, timestamps as t<microseconds> since 1970,
decimals as D<digits>, doubles as text.
"""

import json
import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from thresher import xml
from thresher.types import ddl

ANSWERS = [
    json.loads(line)
    for line in (Path(__file__).parent / "spark_xml_answers.jsonl").read_text("utf-8").split("\n")
    if line
]


def test_values_are_sparks() -> None:
    cases = defaultdict(list)
    for case in ANSWERS:
        if "schema" in case:
            cases[case["schema"], json.dumps(case.get("options", {}))].append(case)
    assert sum(map(len, cases.values())) > 2_000

    differing = [
        (case["xml"], declared, written, plain(value), case["answer"])
        for (declared, written), group in cases.items()
        for case, value in zip(group, from_xml(group, declared, json.loads(written)), strict=True)
        if plain(value) != case["answer"]
    ]

    assert differing == []


def from_xml(cases: list[dict[str, Any]], declared: str, options: dict[str, str]) -> pa.StructArray:
    schema = xml.Schema.from_ddl(declared, xml.Options.spark(**options))
    return xml.parse([case["xml"] for case in cases], schema).values


def test_schemas_are_sparks() -> None:
    cases = [case for case in ANSWERS if "schema" not in case]
    assert len(cases) > 1_000

    differing = [
        (case["xml"], case.get("options"), found, case["answer"])
        for case in cases
        for found in [xml.discover([case["xml"]], xml.Options.spark(**case.get("options", {}))).arrow_type]
        if in_capitals(found) != case["answer"]
    ]

    assert differing == []


def plain(value: pa.Scalar) -> Any:
    """A value as the answers write it; as_py knows the years 1 to 9999 alone."""
    kind = value.type
    if not value.is_valid:
        return None
    if pa.types.is_map(kind):
        return {"entries": sorted([entry["key"].as_py(), plain(entry["value"])] for entry in value.values)}
    if pa.types.is_struct(kind):
        return {field.name: plain(value[at]) for at, field in enumerate(kind)}
    if pa.types.is_list(kind):
        return [plain(item) for item in value.values]
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return f"{'d' if pa.types.is_date(kind) else 't'}{value.value}"
    found = value.as_py()
    if isinstance(found, float):
        return "NaN" if found != found else repr(float(f"{found:.13g}"))
    return f"D{found}" if isinstance(found, Decimal) else found


def in_capitals(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"ARRAY<{in_capitals(kind.value_type)}>"
    if not pa.types.is_struct(kind):
        return ddl(kind).upper()
    names = [name if re.fullmatch("[A-Za-z_][A-Za-z_0-9]*", name) else f"`{name}`" for name in kind.names]
    return f"STRUCT<{', '.join(f'{name}: {in_capitals(f.type)}' for name, f in zip(names, kind, strict=True))}>"
