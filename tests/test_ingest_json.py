"""JSON as services push it → rows with types, and a reason for what is broken."""

import gzip
import json
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher import ingest
from thresher.errors import DataError
from thresher.ingest.formats.json_lines import JsonLines
from thresher.landing import LandingFile
from thresher.types import ddl

# What these show does not depend on the engine: the files are read by the same functions.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)


def load(lake, tmp_path, files, **settings):
    for name, content in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ingest.files(lake, str(tmp_path / "in"), "raw.t", format="json", **settings)


def rows(lake):
    found = lake.read("raw.t").to_arrow().to_pylist()
    found.sort(key=lambda row: (row["_file"], row["_row"]))
    return [{name: value for name, value in row.items() if name not in ("_file", "_row")} for row in found]


def types(lake):
    return {each.name: ddl(each.type) for each in lake.schema("raw.t") if each.name not in ("_file", "_row")}


def refusals(loaded):
    found = loaded.refused.to_arrow().to_pylist()
    return sorted((row["key"], row["line"], row["rule"], row["reason"], row["content"]) for row in found)


ORDERS = (
    '{"id": 1, "note": "a, \\"b\\"\\nc", "paid": true, "total": 10, "lines": [{"sku": "x", "count": 2}]}\n'
    "\n"
    '{"id": 2, "total": 10.25, "lines": [], "customer": {"name": "Ä", "tags": ["vip"]}, "at": "2024-01-31 10:00"}\r\n'
)


def test_lines_become_rows_with_types(lake, tmp_path):
    loaded = load(lake, tmp_path, {"a.jsonl": ORDERS, "b.jsonl.gz": gzip.compress(b'{"id": 3, "paid": null}\n')})
    assert types(lake) == {
        "id": "bigint",
        "note": "string",
        "paid": "boolean",
        "total": "double",
        "lines": "array<struct<sku: string, count: bigint>>",
        "customer": "struct<name: string, tags: array<string>>",
        "at": "string",
    }
    nothing = {"note": None, "paid": None, "total": None, "lines": None, "customer": None, "at": None}
    assert rows(lake) == [
        nothing | {"id": 1, "note": 'a, "b"\nc', "paid": True, "total": 10.0, "lines": [{"sku": "x", "count": 2}]},
        nothing
        | {
            "id": 2,
            "total": 10.25,
            "lines": [],
            "customer": {"name": "Ä", "tags": ["vip"]},
            "at": "2024-01-31 10:00",
        },
        nothing | {"id": 3},
    ]
    numbers = {(row["_file"], row["_row"]) for row in lake.read("raw.t").to_arrow().to_pylist()}
    assert numbers == {("a.jsonl", 1), ("a.jsonl", 2), ("b.jsonl.gz", 1)}
    assert (loaded.counts.rows_in, loaded.counts.rows_out, loaded.counts.refused) == (3, 3, 0)


@embedded_only
@pytest.mark.parametrize(
    "content",
    [
        '[{"id": 1}, {"id": 2, "v": "]}"}]',
        '\ufeff[\n  {"id": 1},\n  {\n    "id": 2,\n    "v": "]}"\n  }\n]\n',
        '{\n  "id": 1\n}\n{\n  "id": 2,\n  "v": "]}"\n}\n',
        '\ufeff{"id": 1}\n{"id": 2, "v": "]}"}',
    ],
)
def test_arrays_and_indented_objects(lake, tmp_path, content):
    load(lake, tmp_path, {"a.json": content})
    assert rows(lake) == [{"id": 1, "v": None}, {"id": 2, "v": "]}"}]


@embedded_only
@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "2.5"], "double", [1.0, 2.5]),
        (["9223372036854775807", "-1"], "bigint", [2**63 - 1, -1]),
        (["9223372036854775808", "1"], "decimal(19,0)", [Decimal(2**63), Decimal(1)]),
        (["9007199254740993", "0.5"], "decimal(17,1)", [Decimal("9007199254740993"), Decimal("0.5")]),
        (["0.1234567890123456789", "1"], "decimal(20,19)", [Decimal("0.1234567890123456789"), Decimal(1)]),
        (["0.30000000000000004", "1"], "double", [0.1 + 0.2, 1.0]),
        (["1e300", "0.1234567890123456789"], "string", ["1E+300", "0.1234567890123456789"]),
        (["1", '"1"', "true"], "string", ["1", "1", "true"]),
        (['{"a": 1.10}', '"text"', "[1, null]"], "string", ['{"a": 1.10}', "text", "[1, null]"]),
        (["null", "null"], "string", [None, None]),
        (["{}", "null"], "string", ["{}", None]),
        (["{}", '{"a": 1}'], "struct<a: bigint>", [{"a": None}, {"a": 1}]),
        (["[]", "[null]"], "array<string>", [[], [None]]),
        (["[]", "[1]", "[2.5]"], "array<double>", [[], [1.0], [2.5]]),
        (
            ['{"a": {}}', '{"b": []}'],
            "struct<a: string, b: array<string>>",
            [{"a": "{}", "b": None}, {"a": None, "b": []}],
        ),
        (['"2024-01-31"', '"2024-02-30"'], "string", ["2024-01-31", "2024-02-30"]),
    ],
)
def test_types_hold_all_values_of_a_file(lake, tmp_path, values, kind, expected):
    load(lake, tmp_path, {"a.jsonl": "".join(f'{{"v": {value}}}\n' for value in values)})
    assert types(lake) == {"v": kind}
    assert [row["v"] for row in rows(lake)] == expected


def test_broken_lines_are_refused_with_their_bytes_and_the_rest_loads(lake, tmp_path):
    deep = b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    content = b"\n".join(
        [b'{"id": 1}', b"null", b'{"id": 2, "id": 3}', b'{"id": NaN}', b'{"id": "\xff"}', deep, b"", b'{"id": 4}x']
        + [b'{"id": "\\ud800"}', b'{"id": 5}', b'{"id": 6, "v": "half']
    )
    loaded = load(lake, tmp_path, {"a.jsonl": content})
    assert rows(lake) == [{"id": 1}, {"id": 5}]
    broken = "broken JSON"
    assert refusals(loaded) == [
        ("10", 11, broken, "Unterminated string starting at: line 1 column 16 (char 15)", b'{"id": 6, "v": "half'),
        ("2", 2, "not understood", "found null; expected a JSON object", b"null"),
        ("3", 3, broken, "key 'id' stands twice in an object; which value holds is not known", b'{"id": 2, "id": 3}'),
        ("4", 4, broken, "NaN is no JSON", b'{"id": NaN}'),
        ("5", 5, broken, "byte 9 of it is not UTF-8; expected JSON in UTF-8", b'{"id": "\xff"}'),
        ("6", 6, broken, "it is nested too deep", deep),
        ("7", 8, broken, "Extra data: line 1 column 10 (char 9)", b'{"id": 4}x'),
        ("8", 9, broken, "half of a surrogate pair in a text", b'{"id": "\\ud800"}'),
    ]


@embedded_only
def test_an_array_that_is_cut_off_keeps_its_whole_elements(lake, tmp_path):
    loaded = load(lake, tmp_path, {"a.json": '[\n{"id": 1},\n{"id": 2},\n{"id'})
    assert rows(lake) == [{"id": 1}, {"id": 2}]
    assert [(row[0], row[1], row[4]) for row in refusals(loaded)] == [("3", 4, b'{"id')]


@embedded_only
def test_a_file_without_any_json_or_with_broken_compression_is_refused_whole(lake, tmp_path):
    packed = gzip.compress(b"".join(b'{"id": %d}\n' % number for number in range(1000)))
    files = {"a.json": '{"id": 1}', "b.json": "no JSON\nat all", "c.json.gz": packed[: len(packed) // 2], "d.json": ""}
    loaded = load(lake, tmp_path, files)
    assert rows(lake) == [{"id": 1}]
    found = {row["source"]: row for row in loaded.refused.to_arrow().to_pylist()}
    assert set(found) == {"b.json", "c.json.gz"}
    assert found["b.json"]["reason"].startswith("line 1: Expecting value")
    with pytest.raises(DataError, match="none of 1 files can be read"):
        ingest.files(lake, str(tmp_path / "in" / "b.json"), "raw.u", format="json")


@embedded_only
def test_a_line_too_long_is_refused_in_bounded_memory(lake, tmp_path):
    (tmp_path / "in").mkdir()
    with (tmp_path / "in" / "a.jsonl").open("wb") as file:
        file.write(b'{"id": 1}\n{"id": [')
        for _ in range(100):
            file.write(b"{},[]," * 100_000)
        file.write(b'0]}\n{"id": 2}\n')
    tracemalloc.start()
    loaded = ingest.files(lake, str(tmp_path / "in"), "raw.t", format="json")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows(lake) == [{"id": 1}, {"id": 2}]
    ((key, line, rule, reason, content),) = refusals(loaded)
    assert (key, line, rule, reason) == ("2", 2, "too long", "it is longer than 16 MiB; its first bytes are kept")
    assert len(content) == 16 << 20 and content.startswith(b'{"id": [{},[],')
    assert peak < 300 << 20


@embedded_only
def test_files_are_joined_and_later_ones_may_bring_more(lake, tmp_path):
    load(lake, tmp_path, {"a.jsonl": '{"id": 1, "s": {"a": 1}, "l": [], "z": null}'}, mode="append")
    later = '{"id": 2.5, "s": {"b": [true]}, "l": [{"c": 1}], "z": {"d": 1}, "new": "x"}'
    load(
        lake,
        tmp_path,
        {"b.jsonl": later.replace("2.5", "2").replace(', "l": [{"c": 1}], "z": {"d": 1}', "")},
        mode="append",
    )
    assert types(lake) == {
        "id": "bigint",
        "s": "struct<a: bigint, b: array<boolean>>",
        "l": "array<string>",
        "z": "string",
        "new": "string",
    }
    assert rows(lake) == [
        {"id": 1, "s": {"a": 1, "b": None}, "l": [], "z": None, "new": None},
        {"id": 2, "s": {"a": None, "b": [True]}, "l": None, "z": None, "new": "x"},
    ]


@embedded_only
def test_what_has_no_place_is_rescued_or_its_row_refused(lake, tmp_path):
    load(lake, tmp_path, {"a.jsonl": '{"id": 1, "v": 1.5}'}, mode="append")
    loaded = load(lake, tmp_path, {"b.jsonl": '{"id": 2, "v": "x"}\n{"id": 3, "v": 2}'}, mode="append")
    assert refusals(loaded) == [("1", 1, "wrong type", 'v: found "x", expected double', b'{"id": 2, "v": "x"}')]
    load(lake, tmp_path, {"c.jsonl": '{"id": 4, "v": {"w": 1.10}, "u": 7}'}, mode="append", on_drift="rescue")
    assert [(row["id"], row["v"], row["_rescued"]) for row in rows(lake)] == [
        (1, 1.5, None),
        (3, 2.0, None),
        (4, None, '{"v": {"w": 1.10}, "u": 7}'),
    ]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


def as_told(value, seen):
    """A value as its column shows it: as it is, or as the JSON text of it."""
    if isinstance(seen, str) and not isinstance(value, str):
        return json.loads(seen) == value
    if isinstance(value, dict):
        return all(as_told(each, seen[name]) for name, each in value.items())
    if isinstance(value, list):
        return len(value) == len(seen) and all(as_told(*pair) for pair in zip(value, seen, strict=True))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(repr(value)) == (seen if isinstance(seen, (int, Decimal)) else Decimal(repr(seen)))
    return seen == value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.dictionaries(st.sampled_from(["x", "y"]), VALUES, max_size=2), min_size=1, max_size=6), st.booleans()
)
def test_every_value_comes_back(tmp_path, objects, is_array):
    path = tmp_path / "a.json"
    lines = [json.dumps(each) for each in objects]
    path.write_text("[" + ",\n".join(lines) + "]" if is_array else "\n".join(lines))
    from thresher.ingest.columns import together

    schema = together([JsonLines().survey(path)]).schema
    batches = list(JsonLines().read(LandingFile(path, "a.json"), schema, rescues=False))
    found = [row for batch in batches for row in batch.to_pylist()]
    assert [row["_row"] for row in found] == list(range(1, len(objects) + 1))
    for value, row in zip(objects, found, strict=True):
        assert row["_rule"] is None
        assert all(as_told(value[name], row[name]) for name in value)
