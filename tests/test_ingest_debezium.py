"""Change events of Debezium, Canal and Maxwell → the rows that the source has, in whatever order they come."""

import json
import random
import tempfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher import ingest
from thresher.errors import UsageError
from thresher.lake import Lake
from thresher.types import ddl

# What these show does not depend on the engine: the messages are read by the same functions.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)

REAL = "cdc/flink_cdc_debezium_canal"
KAFKA = f"{REAL}/flink-cdc-e2e-tests/flink-cdc-pipeline-e2e-tests/src/test/resources/expectedEvents/mysqlToKafka"
MYSQL = f"{REAL}/flink-cdc-connect/flink-cdc-source-connectors/flink-connector-mysql-cdc/src/test/resources/file"


def load(lake, folder, messages, format, name="a.json", **settings):
    (folder / "in").mkdir(exist_ok=True)
    lines = [each if isinstance(each, str) else json.dumps(each) for each in messages]
    (folder / "in" / name).write_text("".join(line + "\n" for line in lines))
    settings = {"mode": "current", "key": ["id"]} | settings
    return ingest.files(lake, str(folder / "in"), "raw.t", format=format, **settings)


def rows(lake, *names):
    found = lake.read("raw.t").to_arrow().to_pylist()
    kept = [{name: row[name] for name in row if (name in names if names else name[0] != "_")} for row in found]
    return sorted(kept, key=lambda row: str(list(row.values())))


def refusals(loaded):
    return sorted((row["key"], row["rule"], row["reason"]) for row in loaded.refused.to_arrow().to_pylist())


def event(op, after=None, before=None, pos=None, **more):
    source = {"connector": "mysql", "db": "shop", "table": "customers", "ts_ms": 1_700_000_000_000, "snapshot": "false"}
    if pos is not None:
        source |= {"file": "mysql-bin.000003", "pos": pos, "row": 0}
    return {"op": op, "before": before, "after": after, "source": source, "ts_ms": 1_700_000_000_001} | more


# Debezium


def test_events_end_in_the_state_of_the_source(lake, tmp_path):
    events = [
        event("r", {"id": 1, "name": "Ä"}, pos=100),
        event("r", {"id": 2, "name": "b"}, pos=100),
        event("u", {"id": 1, "name": "A"}, {"id": 1, "name": "Ä"}, pos=200),
        event("c", {"id": 3, "name": None}, pos=300),
        event("d", None, {"id": 2, "name": "b"}, pos=400),
        "null",
        event("u", {"id": 9, "name": "A"}, {"id": 1, "name": "A"}, pos=500),
    ]
    loaded = load(lake, tmp_path, events, "debezium")
    assert rows(lake) == [{"id": 3, "name": None}, {"id": 9, "name": "A"}]
    assert refusals(loaded) == []
    load(lake, tmp_path, [event("u", {"id": 3, "name": "late"}, pos=250)], "debezium", "b.json")
    load(lake, tmp_path, [event("t", pos=600), event("c", {"id": 4, "name": "new"}, pos=700)], "debezium", "c.json")
    assert rows(lake) == [{"id": 4, "name": "new"}]


@embedded_only
def test_history_has_every_change_once_with_its_time(lake, tmp_path):
    events = [event("c", {"id": 1}, pos=9), event("d", None, {"id": 1}, pos=10), event("c", {"id": 1}, pos=9)]
    loaded = load(lake, tmp_path, events, "debezium", mode="history")
    at = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert rows(lake, "id", "_op", "_at") == [{"id": 1, "_op": "D", "_at": at}, {"id": 1, "_op": "I", "_at": at}]
    assert loaded.counts.duplicate == 1


@embedded_only
@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"file": "bin.000009", "pos": 900, "row": 0}, {"file": "bin.000010", "pos": 4, "row": 0}),
        ({"file": "bin.999999", "pos": 4, "row": 9}, {"file": "bin.1000000", "pos": 4, "row": 0}),
        ({"file": "bin.000009", "pos": 4, "row": 9}, {"file": "bin.000009", "pos": 4, "row": 10}),
        ({"lsn": 99_999, "txId": 9}, {"lsn": 100_000, "txId": 8}),
        (
            {"commit_lsn": "0000002b:00000a10:0005"},
            {"commit_lsn": "0000002b:00000a10:0005", "change_lsn": "0000002b:00000a10:0003"},
        ),
        ({"scn": "999"}, {"scn": "1000"}),
        ({"scn": "5", "rs_id": "0x01", "ssn": 9}, {"scn": "5", "rs_id": "0x01", "ssn": 10}),
        ({"ts_ms": 1000, "ord": 9}, {"ts_ms": 1000, "ord": 10}),
        ({"ts_ms": 999}, {"ts_ms": 1000}),
        ({}, {"lsn": 1}),
    ],
)
def test_positions_of_each_database_tell_the_latest(lake, tmp_path, earlier, later):
    events = [
        {"op": "u", "before": None, "after": {"id": 1, "v": "later"}, "source": later},
        {"op": "u", "before": None, "after": {"id": 1, "v": "earlier"}, "source": earlier},
    ]
    load(lake, tmp_path, events, "debezium")
    assert rows(lake) == [{"id": 1, "v": "later"}]


@embedded_only
def test_rows_of_a_snapshot_come_before_changes_at_its_position(lake, tmp_path):
    events = [event("u", {"id": 1, "v": "changed"}, pos=5), event("r", {"id": 1, "v": "snapshot"}, pos=5)]
    load(lake, tmp_path, events, "debezium")
    assert rows(lake) == [{"id": 1, "v": "changed"}]


@embedded_only
@pytest.mark.parametrize(
    "line",
    [
        '{"key": {"id": 2}, "value": %s}',
        '{"key": {"schema": {}, "payload": {"id": 2}}, "value": {"schema": {}, "payload": %s}}',
        '{"id": 2}\t%s',
        '{"schema": null, "payload": {"id": 2}}\t{"schema": null, "payload": %s}',
    ],
)
def test_the_key_comes_from_the_message(lake, tmp_path, line):
    changes = [event("c", {"id": 1, "v": "a"}), event("c", {"id": 2, "v": "b"}), event("d")]
    lines = [line % json.dumps(each) for each in changes] + ['{"id": 2}\t', '{"key": {"id": 2}, "value": null}']
    load(lake, tmp_path, [lines[0].replace('"id": 2', '"id": 1', 1), *lines[1:]], "debezium", key=[])
    assert rows(lake) == [{"id": 1, "v": "a"}]


def column(name, kind, logical=None, **parameters):
    logical = {"name": logical, "parameters": parameters} if logical else {}
    return {"field": name, "type": kind, "optional": True} | logical


COLUMNS = [
    (column("id", "int32"), "int", 7, 7),
    (column("big", "int64"), "bigint", 2**53 + 1, 2**53 + 1),
    (column("weight", "float"), "double", 5.3, 5.3),
    (column("ok", "boolean"), "boolean", True, True),
    (column("raw", "bytes"), "binary", "AQI=", b"\x01\x02"),
    (
        column(
            "price", "bytes", "org.apache.kafka.connect.data.Decimal", scale="4", **{"connect.decimal.precision": "8"}
        ),
        "decimal(8,4)",
        "EtaH",
        Decimal("123.4567"),
    ),
    (
        column("unsigned", "bytes", "org.apache.kafka.connect.data.Decimal", scale="0"),
        "decimal(38,0)",
        "AP//////////",
        Decimal(2**64 - 1),
    ),
    (
        column(
            "huge", "bytes", "org.apache.kafka.connect.data.Decimal", scale="1", **{"connect.decimal.precision": "65"}
        ),
        "string",
        "/w==",
        "-0.1",
    ),
    (
        column("any_scale", "struct", "io.debezium.data.VariableScaleDecimal"),
        "string",
        {"scale": 1, "value": "Ew=="},
        "1.9",
    ),
    (column("day", "int32", "io.debezium.time.Date"), "date", 18460, date(2020, 7, 17)),
    (column("day2", "int32", "org.apache.kafka.connect.data.Date"), "date", -1, date(1969, 12, 31)),
    (
        column("ms", "int64", "io.debezium.time.Timestamp"),
        "timestamp_ntz",
        1595008822123,
        datetime(2020, 7, 17, 18, 0, 22, 123000),
    ),
    (
        column("us", "int64", "io.debezium.time.MicroTimestamp"),
        "timestamp_ntz",
        1595008822123456,
        datetime(2020, 7, 17, 18, 0, 22, 123456),
    ),
    (
        column("ns", "int64", "io.debezium.time.NanoTimestamp"),
        "string",
        1595008822123456700,
        "2020-07-17 18:00:22.123456700",
    ),
    (
        column("zoned", "string", "io.debezium.time.ZonedTimestamp"),
        "timestamp",
        "2020-07-17T20:00:22+02:00",
        datetime(2020, 7, 17, 18, 0, 22, tzinfo=UTC),
    ),
    (column("time_ms", "int32", "io.debezium.time.Time"), "string", 64822001, "18:00:22.001"),
    (column("time_us", "int64", "io.debezium.time.MicroTime"), "string", -3020399000001, "-838:59:59.000001"),
    (column("year", "int32", "io.debezium.time.Year"), "int", 2024, 2024),
    (column("span", "int64", "io.debezium.time.MicroDuration"), "bigint", 5, 5),
    (column("bits", "bytes", "io.debezium.data.Bits", length="16"), "binary", "AQA=", b"\x01\x00"),
    (column("doc", "string", "io.debezium.data.Json"), "string", '{"a": 1}', '{"a": 1}'),
    (column("kind", "string", "io.debezium.data.Enum", allowed="a,b"), "string", "a", "a"),
    (
        column("place", "struct", "io.debezium.data.geometry.Point")
        | {"fields": [column("x", "double"), column("wkb", "bytes"), column("srid", "int32")]},
        "struct<x: double, wkb: binary, srid: int>",
        {"x": 1.5, "wkb": "AQ==", "srid": None},
        {"x": 1.5, "wkb": b"\x01", "srid": None},
    ),
    (column("tags", "array") | {"items": {"type": "string"}}, "array<string>", ["a", None], ["a", None]),
]


def with_schema(payload, columns):
    fields = [{"field": name, "type": "struct", "fields": columns} for name in ("before", "after")]
    return {"schema": {"type": "struct", "fields": fields}, "payload": payload}


def test_logical_types_by_the_schema(lake, tmp_path):
    columns = [each[0] for each in COLUMNS]
    payload = event("c", {each[0]["field"]: each[2] for each in COLUMNS}, pos=1)
    load(lake, tmp_path, [with_schema(payload, columns)], "debezium")
    kinds = {each.name: ddl(each.type) for each in lake.schema("raw.t") if each.name[0] != "_"}
    assert kinds == {each[0]["field"]: each[1] for each in COLUMNS}
    assert rows(lake) == [{each[0]["field"]: each[3] for each in COLUMNS}]


@embedded_only
def test_values_that_are_none_of_their_type_refuse_their_row(lake, tmp_path):
    columns = [column("id", "int32"), column("day", "int32", "io.debezium.time.Date")]
    days = (18460, "soon", 10**9)
    events = [with_schema(event("c", {"id": n, "day": day}, pos=n), columns) for n, day in enumerate(days)]
    loaded = load(lake, tmp_path, events, "debezium")
    assert rows(lake) == [{"id": 0, "day": date(2020, 7, 17)}]
    assert refusals(loaded) == [
        ("2", "wrong type", 'day: found "soon", expected date'),
        ("3", "wrong type", "day: found 1000000000, expected date"),
    ]


@embedded_only
def test_a_value_that_was_not_sent_is_as_before_or_refuses_its_row(lake, tmp_path):
    absent = "__debezium_unavailable_value"
    events = [
        event("c", {"id": 1, "text": "long"}, pos=1),
        event("u", {"id": 1, "text": absent}, {"id": 1, "text": "long"}, pos=2),
        event("u", {"id": 1, "text": absent}, None, pos=3),
    ]
    loaded = load(lake, tmp_path, events, "debezium")
    assert rows(lake) == [{"id": 1, "text": "long"}]
    assert refusals(loaded) == [
        (
            "3",
            "value not sent",
            "the unchanged value of text was not sent, so the row cannot be told. Set REPLICA IDENTITY FULL on "
            "shop.customers at the source, and take a new snapshot",
        )
    ]


@embedded_only
def test_what_is_no_change_of_a_row_is_reported(lake, tmp_path):
    events = [
        event("c", {"id": 1}, pos=1),
        {"source": {}, "databaseName": "shop", "ddl": "ALTER TABLE customers ADD x INT", "tableChanges": []},
        {"status": "BEGIN", "id": "571", "event_count": None},
        {"ts_ms": 1},
        event("m", message={"prefix": "p", "content": "AQ=="}),
        event("d"),
        event("x", {"id": 2}),
        [1],
        '{"op": "c",',
    ]
    loaded = load(lake, tmp_path, events, "debezium")
    assert rows(lake) == [{"id": 1}]
    expected = "expected an event of Debezium with op, before and after"
    assert refusals(loaded) == [
        ("2", "not applied", "a change of definition, not applied: ALTER TABLE customers ADD x INT"),
        ("3", "not applied", "the begin or end of a transaction is no change of a row"),
        ("4", "not applied", "a heartbeat is no change of a row"),
        ("5", "not applied", "a message (op m) is no change of a row"),
        ("6", "not understood", "op d without the row before it; expected it in before"),
        ("7", "not understood", 'found "x"; expected op to be one of c, u, d, r, t, m'),
        ("8", "not understood", f"found [1]; {expected}"),
        ("9", "broken JSON", "Expecting property name enclosed in double quotes: line 1 column 12 (char 11)"),
    ]


@embedded_only
def test_flattened_rows(lake, tmp_path):
    events = [
        {"id": 1, "v": "a", "__op": "c", "__source_lsn": 5, "__deleted": "false"},
        {"id": 1, "v": "b", "__op": "u", "__source_lsn": 9, "__deleted": "false", "__source_ts_ms": 1_700_000_000_000},
        {"id": 2, "v": "c", "__op": "c", "__source_lsn": 6, "__deleted": "false"},
        {"id": 2, "v": None, "__op": "d", "__source_lsn": 7, "__deleted": "true"},
    ]
    load(lake, tmp_path, events, "debezium")
    assert rows(lake) == [{"id": 1, "v": "b"}]


@embedded_only
def test_one_of_several_tables_is_chosen(lake, tmp_path):
    other = event("c", {"nr": "x"}, pos=2)
    other["source"]["table"] = "orders"
    events = [event("c", {"id": 1}, pos=1), other]
    several = (
        r"the files hold changes of 2 tables \(shop.customers, shop.orders\); choose one .*\{table: shop.customers\}"
    )
    with pytest.raises(UsageError, match=several):
        load(lake, tmp_path, events, "debezium")
    load(lake, tmp_path, events, "debezium", options={"table": "customers"})
    assert rows(lake) == [{"id": 1}]


@embedded_only
def test_documents_of_mongodb_are_json_in_text(lake, tmp_path):
    source = {"connector": "mongodb", "db": "shop", "collection": "items", "ts_ms": 1000}
    events = [
        {"op": "c", "after": '{"_id": {"$oid": "a1"}, "id": 1, "n": 1}', "source": source | {"ord": 1}},
        {"op": "u", "after": '{"_id": {"$oid": "a1"}, "id": 1, "n": 2}', "source": source | {"ord": 2}},
    ]
    load(lake, tmp_path, events, "debezium")
    assert rows(lake, "id", "n", "_id") == [{"_id": {"$oid": "a1"}, "id": 1, "n": 2}]


@embedded_only
@pytest.mark.parametrize(
    ("written", "key", "found"),
    [
        ({"$numberLong": "1004"}, "1004", 1004),
        (7, '{"$numberLong": "7"}', 7),
        ({"$oid": "a1"}, '{"$oid": "a1"}', {"$oid": "a1"}),
        ("a", '"a"', "a"),
    ],
)
def test_a_delete_of_mongodb_names_its_document_by_the_key_alone(lake, tmp_path, written, key, found):
    source = {"connector": "mongodb", "db": "shop", "collection": "items", "ts_ms": 1000}
    created = {"op": "c", "after": json.dumps({"_id": written, "n": 1}), "source": source | {"ord": 1}}
    deleted = {"op": "d", "before": None, "after": None, "source": source | {"ord": 2}}
    load(lake, tmp_path, [{"key": {"id": key}, "value": created}], "debezium", key=[])
    assert rows(lake, "_id", "n") == [{"_id": found, "n": 1}]
    load(lake, tmp_path, [{"key": {"id": key}, "value": deleted}], "debezium", "b.json", key=[])
    assert rows(lake, "_id", "n") == []


# Canal


def canal(kind, data, old=None, es=1_700_000_000_000, **more):
    return {
        "id": 1, "database": "shop", "table": "customers", "pkNames": ["id"], "isDdl": False, "type": kind, "es": es,
        "ts": es + 5, "sql": "", "sqlType": {}, "data": data, "old": old,
        "mysqlType": {
            "id": "bigint(20) unsigned", "price": "decimal(10,2)", "at": "datetime(3)", "day": "date", "n": "int(11)",
            "f": "double", "name": "varchar(20)", "raw": "blob",
        },
    } | more  # fmt: skip


def test_canal_messages_by_the_types_of_mysql(lake, tmp_path):
    full = {
        "id": "18446744073709551615", "price": "1.50", "at": "2024-01-31 10:00:00.125", "day": "2024-01-31", "n": "-7",
        "f": "1e3", "name": "007", "raw": "\x01ÿ",
    }  # fmt: skip
    nothing = dict.fromkeys(full)
    messages = [
        canal(
            "INSERT", [full, nothing | {"id": "2"}, nothing | {"id": "3", "day": "0000-00-00"}, nothing | {"id": "4"}]
        ),
        canal("UPDATE", [nothing | {"id": "5", "name": "x"}], [{"id": "4", "name": None}], es=1_700_000_001_000),
        canal("DELETE", [nothing | {"id": "2"}], es=1_700_000_002_000),
        canal("ALTER", None, isDdl=True, sql="ALTER TABLE customers ADD x INT"),
        canal("INSERT", "none"),
    ]
    loaded = load(lake, tmp_path, messages, "canal", key=[])
    typed = {
        "id": Decimal(2**64 - 1), "price": Decimal("1.50"), "at": datetime(2024, 1, 31, 10, 0, 0, 125000),
        "day": date(2024, 1, 31), "n": -7, "f": 1000.0, "name": "007", "raw": b"\x01\xff",
    }  # fmt: skip
    assert rows(lake) == [typed, nothing | {"id": Decimal(5), "name": "x"}]
    assert refusals(loaded) == [
        ("1", "wrong type", 'day: found "0000-00-00", expected date'),
        ("4", "not applied", "ALTER: no change of a row ALTER TABLE customers ADD x INT"),
        (
            "5",
            "not understood",
            'found {"data": "none", "old": null}; expected a list of objects as data, and as old one as long, or null',
        ),
    ]
    load(lake, tmp_path, [canal("TRUNCATE", None, isDdl=True, es=1_700_000_003_000)], "canal", "b.json", key=[])
    assert rows(lake) == []


@embedded_only
def test_rows_of_one_message_of_canal_have_their_order(lake, tmp_path):
    types = {"mysqlType": {"id": "int", "name": "varchar(20)"}}
    messages = [
        canal("INSERT", [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "5", "name": "e"}], **types),
        # update t set id = id + 1 order by id desc
        canal("UPDATE", [{"id": "3", "name": "b"}, {"id": "2", "name": "a"}], [{"id": "2"}, {"id": "1"}], **types),
        canal("UPDATE", [{"id": "5", "name": "f"}, {"id": "5", "name": "g"}], [{"name": "e"}, {"name": "f"}], **types),
    ]
    load(lake, tmp_path, messages, "canal", key=[])
    assert rows(lake) == [{"id": 2, "name": "a"}, {"id": 3, "name": "b"}, {"id": 5, "name": "g"}]
    history = ingest.files(lake, str(tmp_path / "in"), "raw.h", format="canal", mode="history", key=["id"])
    assert (history.counts.rows_in, history.counts.rows_out) == (9, 9)


# Maxwell


def maxwell(kind, data, old=None, ts=1_700_000_000, **more):
    return {"database": "shop", "table": "t", "type": kind, "ts": ts, "data": data, "old": old} | more


def test_maxwell_messages(lake, tmp_path):
    messages = [
        maxwell("bootstrap-start", {}),
        maxwell("bootstrap-insert", {"id": 1, "v": "a"}),
        maxwell("bootstrap-insert", {"id": 2, "v": "b"}),
        maxwell("bootstrap-complete", {}),
        maxwell("update", {"id": 1, "v": "last"}, {"v": "first"}, 1_700_000_001, xid=7, commit=True),
        maxwell("update", {"id": 1, "v": "first"}, {"v": "a"}, 1_700_000_001, xid=7, xoffset=0),
        maxwell("update", {"id": 9, "v": "b"}, {"id": 2}, 1_700_000_002, xid=8, commit=True),
        maxwell("insert", {"id": 3, "v": "c"}, None, 1_700_000_003, xid=9, commit=True),
        maxwell("delete", {"id": 3, "v": "c"}, None, 1_700_000_004, xid=10, commit=True),
        maxwell("table-alter", None, sql="ALTER TABLE t ADD x INT"),
    ]
    loaded = load(lake, tmp_path, messages, "maxwell")
    assert rows(lake) == [{"id": 1, "v": "last"}, {"id": 9, "v": "b"}]
    assert refusals(loaded) == [("10", "not applied", "table-alter: no change of a row ALTER TABLE t ADD x INT")]


@embedded_only
def test_maxwell_by_position_and_with_its_own_key(lake, tmp_path):
    more = {"primary_key_columns": ["id"], "commit": True}
    messages = [
        maxwell("update", {"id": 1, "v": "later"}, {}, 1, position="bin.000010:4", **more),
        maxwell("insert", {"id": 1, "v": "earlier"}, None, 2, position="bin.000009:900", **more),
        maxwell("bootstrap-insert", {"id": 1, "v": "bootstrap"}, None, 3),
    ]
    load(lake, tmp_path, messages, "maxwell", key=[])
    assert rows(lake) == [{"id": 1, "v": "later"}]


@embedded_only
def test_rows_of_a_transaction_of_maxwell_without_their_numbers_are_in_the_order_of_the_lines(lake, tmp_path):
    messages = [
        maxwell("bootstrap-insert", {"id": 2, "v": "bootstrap"}),
        maxwell("insert", {"id": 1, "v": "a"}, None, xid=7),
        maxwell("update", {"id": 1, "v": "b"}, {"v": "a"}, xid=7),
        maxwell("update", {"id": 1, "v": "c"}, {"v": "b"}, xid=7),
        maxwell("update", {"id": 2, "v": "later"}, {"v": "bootstrap"}, xid=7, commit=True),
    ]
    load(lake, tmp_path, messages, "maxwell")
    assert rows(lake) == [{"id": 1, "v": "c"}, {"id": 2, "v": "later"}]
    history = ingest.files(lake, str(tmp_path / "in"), "raw.h", format="maxwell", mode="history", key=["id"])
    assert history.counts.rows_out == 5


@embedded_only
@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("debezium", event("c", {"id": 1}, pos=1), {"op": ["c"], "after": {"id": 2}}),
        ("debezium", event("c", {"id": 1}, pos=1), {"op": "c", "after": {"id": 2}, "source": "mysql"}),
        ("canal", canal("INSERT", [{"id": "1"}]), canal("INSERT", [{"id": "2"}], mysqlType={"id": None})),
        ("maxwell", maxwell("insert", {"id": 1}), maxwell("insert", {"id": 2}, ts=10**30)),
    ],
)
def test_a_message_with_members_of_other_kinds_is_refused_alone(lake, tmp_path, format, good, bad):
    loaded = load(lake, tmp_path, [good, bad], format)
    assert [int(row["id"]) for row in rows(lake, "id")] == [1]
    reason = f"found {json.dumps(bad)[:200]}; expected members of the kinds that the format gives them"
    assert refusals(loaded) == [("2", "not understood", reason)]


# any order, any files, twice

STEPS = st.lists(st.tuples(st.sampled_from("udkt"), st.integers(1, 4), st.integers(1, 4)), max_size=12)


def played(steps):
    """Steps → the events of a source, by position, and the rows that it has in the end."""
    state, events = {}, []
    for number, (step, one, other) in enumerate(steps):
        before, row = state.get(one), {"id": one, "v": number}
        if step == "t":
            state.clear()
            events.append(event("t", pos=number))
        elif step == "d" and before:
            events.append(event("d", None, state.pop(one), pos=number))
        elif step == "k" and before and other not in state:
            moved = state[other] = state.pop(one) | {"id": other}
            events.append(event("u", moved, before, pos=number))
        elif step == "u":
            state[one] = row
            events.append(event("u" if before else "c", row, before, pos=number))
    return events, state


@settings(max_examples=15, deadline=None)
@given(STEPS, st.randoms(use_true_random=False))
def test_events_in_any_order_and_twice_end_in_the_state_of_the_source(steps, chance: random.Random):
    events, state = played([("u", 1, 1), *steps])
    delivered = events + chance.sample(events, chance.randint(0, len(events)))
    chance.shuffle(delivered)
    with tempfile.TemporaryDirectory() as folder:
        lake, at = Lake(Path(folder) / "lake"), chance.randint(0, len(delivered))
        for name, part in (("b.json", delivered[:at]), ("a.json", delivered[at:])):
            if part:
                load(lake, Path(folder), [events[0], *part], "debezium", name)  # a truncation alone has no columns
        assert rows(lake) == sorted(state.values(), key=lambda row: str(list(row.values())))


# real files


def without_licence(path):
    return path.read_text().partition("*/")[2].strip().splitlines()


@embedded_only
@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("debezium-json.txt", "debezium"),
        ("debezium-json-with-schema.txt", "debezium"),
        ("canal-json.txt", "canal"),
    ],
)
def test_real_events_of_two_tables(lake, tmp_path, realdata, name, format):
    load(lake, tmp_path, without_licence(realdata / KAFKA / name), format, options={"table": "customers"})
    assert rows(lake) == [
        {"id": number, "name": f"user_{number - 100}", "address": "Shanghai", "phone_number": "123567891234"}
        for number in (101, 102, 103, 104)
    ]
    products = ingest.files(
        lake,
        str(tmp_path / "in"),
        "raw.products",
        format=format,
        mode="current",
        key=["id"],
        options={"table": "products"},
    )
    found = {row["id"]: row for row in products.rows.to_arrow().to_pylist()}
    assert products.refused.count() == 0
    assert found[104]["point_c"] == '{"coordinates":[4,4],"type":"Point","srid":0}'
    assert {number: found[number]["weight"] for number in (102, 104, 107)} == {102: 8.1, 104: 0.75, 107: 5.1}


@embedded_only
def test_a_real_event_of_all_types_of_mysql(lake, tmp_path, realdata):
    event = json.loads((realdata / MYSQL / "debezium-data-schema-include.json").read_text())["expected_snapshot"]
    loaded = load(lake, tmp_path, [event], "debezium", "a.json", mode="history")
    assert refusals(loaded) == [("1", "wrong type", 'id: found "AQ==", expected int')]
    event["payload"]["after"] |= {"id": 1, "bit1_c": 0, "big_un_c": 1}  # which contradict the schema of the event
    loaded = load(lake, tmp_path, [event], "debezium", "b.json", mode="history")
    assert refusals(loaded) == []
    (row,) = loaded.rows.to_arrow().to_pylist()
    expected = {
        "id": 1,
        "big_c": 2**63 - 1,
        "tiny_un_z_c": 255,  # of which the schema tells nothing
        "decimal_c": Decimal("123.4567"),
        "numeric_c": Decimal(346),
        "float_c": 123.102,
        "date_c": date(2020, 7, 17),
        "time_c": "18:00:22.000000",
        "datetime3_c": datetime(2020, 7, 17, 18, 0, 22, 123000),
        "datetime6_c": datetime(2020, 7, 17, 18, 0, 22, 123456),
        "timestamp_c": datetime(2020, 7, 17, 18, 0, 22, tzinfo=UTC),
        "blob_c": b"\x10",
        "json_c": '{"key1": "value1"}',
    }
    assert {name: row[name] for name in expected} == expected
