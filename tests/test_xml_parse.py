"""Documents and a schema → values, errors and the rescued rest."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from thresher import xml
from thresher.engines import open_engine
from thresher.errors import SchemaMismatch, UsageError


def parsed(document: str, ddl: str, **options: Any) -> tuple[Any, dict[str, Any], list[tuple[str, int, int, str]]]:
    """Value, rescued and errors (path, line, column, snippet) of one document."""
    result = xml.parse([document], xml.Schema.from_ddl(ddl, xml.Options(**options)))
    (value,), (rescued,) = result.values.to_pylist(), result.rescued.to_pylist()
    errors = [(e["path"], e["line"], e["column"], e["snippet"]) for e in result.errors.to_pylist()]
    return value, json.loads(rescued or "{}"), errors


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("007", "int", 7),
        ("+5", "tinyint", 5),
        ("-9223372036854775808", "bigint", -(2**63)),
        ("0" * 5000 + "1", "int", 1),
        ("1e3", "double", 1000.0),
        ("-INF", "double", float("-inf")),
        (".5", "float", 0.5),
        ("1.50", "decimal(5,2)", Decimal("1.50")),
        ("1.500", "decimal(5,2)", Decimal("1.50")),
        ("1e2", "decimal(5,2)", Decimal("100.00")),
        ("TRUE", "boolean", True),
        ("0", "boolean", False),
        ("2024-01-31", "date", date(2024, 1, 31)),
        ("2024-01-31T10:00:00+02:00", "timestamp", datetime(2024, 1, 31, 8, tzinfo=UTC)),
        ("2024-01-31 10:00", "timestamp", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00:00.5", "timestamp_ntz", datetime(2024, 1, 31, 10, 0, 0, 500000)),
        (" x ", "string", "x"),
        ("  ", "string", ""),
        ("  ", "int", None),
    ],
)
def test_a_text_becomes_a_value_of_its_type(text: str, kind: str, value: Any) -> None:
    assert parsed(f"<p><a>{text}</a></p>", f"a {kind}") == ({"a": value}, {}, [])


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("x", "int", "'x' is no int: not a whole number"),
        ("1.0", "int", "'1.0' is no int: not a whole number"),
        ("128", "tinyint", "'128' is no tinyint: does not fit 8 bits"),
        ("12abc", "double", "'12abc' is no double: not a number"),
        ("1,5", "decimal(5,2)", "'1,5' is no decimal(5,2): not a decimal number"),
        ("NaN", "decimal(5,2)", "'NaN' is no decimal(5,2): not a decimal number"),
        ("1000", "decimal(5,2)", "'1000' is no decimal(5,2): does not fit decimal(5,2)"),
        (
            "1.005",
            "decimal(5,2)",
            "'1.005' is no decimal(5,2): has more than 2 digits after the point: does not fit decimal(5,2)",
        ),
        ("yes", "boolean", "'yes' is no boolean: not a boolean; expected true, false, 1 or 0"),
        ("31.01.2024", "date", "'31.01.2024' is no date: not a date as yyyy-MM-dd"),
        ("2024-01-31T10:00:00Z", "timestamp_ntz", "has a time zone; a timestamp_ntz has none"),
        ("2024-01-31T10:00:00.1234567Z", "timestamp", "has digits beyond microseconds"),
    ],
)
def test_a_text_that_is_not_of_its_type_nulls_that_path_alone(text: str, kind: str, reason: str) -> None:
    result = xml.parse([f"<p><b>1</b><a>{text}</a><c>2</c></p>"], xml.Schema.from_ddl(f"a {kind}, b int, c int"))

    assert result.values.to_pylist() == [{"a": None, "b": 1, "c": 2}]
    assert json.loads(result.rescued[0].as_py()) == {"a": text}
    (error,) = result.errors.to_pylist()
    assert error.pop("reason").endswith(reason)
    assert error == {"row": 0, "path": "a", "line": 1, "column": 12, "rule": "type", "snippet": text}


def test_errors_and_rescued_values_name_the_place_in_arrays() -> None:
    document = '<c>\n <b n="1"><t>T</t></b>\n <b n="x"><t>U</t><u k="1">V<w/>W</u></b></c>'

    assert parsed(document, "b array<struct<_n: int, t: string>>") == (
        {"b": [{"_n": 1, "t": "T"}, {"_n": None, "t": "U"}]},
        {"b[2]._n": "x", "b[2].u": {"_k": "1", "_VALUE": ["V", "W"], "w": ""}},
        [("b._n", 3, 2, "x")],
    )


@pytest.mark.parametrize(
    ("document", "ddl", "value", "rescued"),
    [
        # what has no place
        ("<p><a>1</a><b>2</b></p>", "a int", {"a": 1}, {"b": "2"}),
        ("<p k='1'>t<a>1</a>u</p>", "a int", {"a": 1}, {"_k": "1", "_VALUE": ["t", "u"]}),
        ("<p><a k='1'>5</a></p>", "a int", {"a": 5}, {"a._k": "1"}),
        ("<p><a>t</a></p>", "a struct<b: int>", {"a": {"b": None}}, {"a._VALUE": "t"}),
        ("<p><x.y>1</x.y><x.y>2</x.y></p>", "a int", {"a": None}, {"`x.y`": ["1", "2"]}),
        # a scalar that repeats: the last counts
        ("<p><a>1</a><a>2</a><a>3</a></p>", "a int", {"a": 3}, {"a": ["1", "2"]}),
        ("<p><a>x</a><a>2</a></p>", "a int", {"a": 2}, {"a": "x"}),
        ("<p><a k='1'>1</a><a>2</a></p>", "a int", {"a": 2}, {"a": {"_k": "1", "_VALUE": "1"}}),
        ("<p><a><c>1</c></a><a><b>2</b></a></p>", "a struct<b: int>", {"a": {"b": 2}}, {"a": {"c": "1"}}),
        ("<p><m><a>x</a><a>2</a></m></p>", "m map<string,int>", {"m": [("a", 2)]}, {"m.a": "x"}),
        ("<p>t<a/>u</p>", "_VALUE string", {"_VALUE": "u"}, {"_VALUE": "t", "a": ""}),
        # a subtree where a scalar was expected: a string is its XML
        ("<p><a>x &lt; y<b k='&quot;'/></a></p>", "a string", {"a": "x &lt; y<b k='\"'></b>"}, {}),
        ("<p><a k='1'><b/></a></p>", "a string", {"a": "<b></b>"}, {"a._k": "1"}),
        # structs
        ("<p><a/></p>", "a struct<b: int>", {"a": {"b": None}}, {}),
        ("<p/>", "a struct<b: int>, c array<int>", {"a": None, "c": None}, {}),
        ("<p><a k='1'/></p>", "a struct<_VALUE: string, _k: int>", {"a": {"_VALUE": None, "_k": 1}}, {}),
        # arrays
        ("<p><a>1</a><a/><a>3</a></p>", "a array<int>", {"a": [1, None, 3]}, {}),
        ("<p><a>1</a><a/></p>", "a array<string>", {"a": ["1", ""]}, {}),
        ("<p>t<a/>u</p>", "_VALUE array<string>, a string", {"_VALUE": ["t", "u"], "a": ""}, {}),
        # names
        ("<p><A>1</A></p>", "a int", {"a": 1}, {}),
        ("<p a='1'><_a>2</_a></p>", "_a array<int>", {"_a": [1, 2]}, {}),
        ("<n:p xmlns:n='u'><n:a>1</n:a><m:a>2</m:a></n:p>", "`n:a` int", {"n:a": 1}, {"_xmlns:n": "u", "m:a": "2"}),
        # xsi:nil
        ("<p><a xsi:nil='true'/></p>", "a string", {"a": None}, {}),
        ("<p><a xsi:nil='1'/><a/></p>", "a array<string>", {"a": [None, ""]}, {}),
        ("<p><a xsi:nil=' true '/><a xsi:nil='\n1'/></p>", "a array<string>", {"a": [None, None]}, {}),
        ("<p><a xsi:nil='false'>x</a></p>", "a string", {"a": "x"}, {}),
        ("<p><a xsi:nil='true' k='1'/></p>", "a struct<_k: int>", {"a": {"_k": 1}}, {}),
        ("<p><b xsi:nil='true'/><b/></p>", "a int", {"a": None}, {"b": [None, ""]}),
        ("<p><b><c xsi:nil='1'/></b></p>", "a int", {"a": None}, {"b": {"c": None}}),
        ("<p><b xsi:nil='true'>x</b></p>", "a int", {"a": None}, {"b": "x"}),
        ("<p><a xsi:nil='true'/><a>2</a></p>", "a int", {"a": 2}, {"a": None}),
    ],
)
def test_shapes(document: str, ddl: str, value: Any, rescued: Any) -> None:
    assert parsed(document, ddl) == (value, rescued, [])


def test_a_replaced_value_is_rescued_once_and_a_bad_last_one_is_an_error() -> None:
    assert parsed("<p><a>1</a><a>x</a></p>", "a int") == ({"a": None}, {"a": ["1", "x"]}, [("a", 1, 12, "x")])


XSI = "http://www.w3.org/2001/XMLSchema-instance"


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (f"<p xmlns:i='{XSI}'><a i:nil='true'/></p>", None),
        (f"<p><a xmlns:i = ' {XSI} ' i:nil='1'/></p>", None),
        (f"<p xmlns:i='{XSI}' xmlns:j='{XSI}'><a j:nil='true'/></p>", None),
        (f"<p xmlns:i='{XSI}'><a i:nil='false'/></p>", {"_VALUE": None, "_i:nil": None}),
        (f"<p xmlns:i='{XSI}'><a xmlns:i='urn:u' i:nil='true'/></p>", {"_VALUE": None, "_i:nil": True}),
        (f"<p xmlns:i='urn:u'><b xmlns:i='{XSI}'/><a i:nil='true'/></p>", {"_VALUE": None, "_i:nil": True}),
        ("<p><a i:nil='true'/></p>", {"_VALUE": None, "_i:nil": True}),
        (f"<p xmlns:i='{XSI}'><a nil='true' i:k='1'/></p>", {"_VALUE": None, "_i:nil": None}),
    ],
)
def test_nil_has_the_prefix_that_the_document_gives_it(document: str, value: Any) -> None:
    schema = xml.Schema.from_ddl("a struct<_VALUE: string, `_i:nil`: boolean>")
    for some in (document, document + f"<!--{' ' * 2**21}-->"):  # by the reference; long enough for the compiled loops
        assert xml.parse([some], schema).values.to_pylist() == [{"a": value}]
        found = xml.discover([some]).ddl
        assert ("i:nil`: boolean" in found, "_VALUE" in found) == (bool(value and value["_i:nil"]), False)


def test_a_subtree_where_a_number_was_expected_is_an_error_and_rescued() -> None:
    assert parsed("<p><a>1<b>2</b></a></p>", "a int") == (
        {"a": None},
        {"a._VALUE": "1", "a.b": "2"},
        [("a", 1, 4, "1<b>2</b>")],
    )


def test_options_steer_the_values() -> None:
    assert parsed("<p><a> 7 </a></p>", "a string", ignore_surrounding_spaces=False)[0] == {"a": " 7 "}
    assert parsed("<p><a>-</a></p>", "a int", null_value="-") == ({"a": None}, {}, [])
    assert parsed("<p><a/></p>", "a string", null_value="") == ({"a": None}, {}, [])
    assert parsed("<p k='1'><a/></p>", "a string", exclude_attribute=True) == ({"a": ""}, {}, [])
    assert parsed("<n:p xmlns:n='u'><n:a>1</n:a></n:p>", "a int", ignore_namespace=True) == ({"a": 1}, {}, [])
    assert parsed("<p><a>31.01.2024</a></p>", "a date", date_format="dd.MM.yyyy")[0] == {"a": date(2024, 1, 31)}


def test_many_documents_keep_their_rows() -> None:
    documents = [None if number % 7 == 3 else f"<p><a>{number}</a></p>" for number in range(2500)] + ["<p><a>x</a></p>"]

    result = xml.parse(documents, xml.Schema.from_ddl("a int"))

    assert [value and value["a"] for value in result.values.to_pylist()] == [
        None if number % 7 == 3 else number for number in range(2500)
    ] + [None]
    assert result.errors["row"].to_pylist() == [2500]
    assert xml.parse([], xml.Schema.from_ddl("a int")).values.type == pa.struct([("a", pa.int32())])


def test_a_column_of_a_frame_is_flattened_in_its_place() -> None:
    rows = pa.table(
        {
            "id": [1, 2, 3, 4],
            "doc": pa.array([b"<p><a>1</a></p>", None, b"<p><a>x</a><b/></p>", b"<p"], pa.binary()),
            "more": ["w", "x", "y", "z"],
        }
    )
    frame = open_engine("duckdb").from_arrow(rows)

    flat = xml.flatten(frame, "doc", xml.Schema.from_ddl("a int"))

    def error(path: str, column: int, rule: str, reason: str, snippet: str) -> list[dict[str, Any]]:
        return [{"path": path, "line": 1, "column": column, "rule": rule, "reason": reason, "snippet": snippet}]

    assert flat.columns == ["id", "doc", "more", "_rescued", "_errors"]
    assert sorted((tuple(row.values()) for row in flat.to_arrow().to_pylist()), key=lambda row: row[0]) == [
        (1, {"a": 1}, "w", None, None),
        (2, None, "x", None, None),
        (3, {"a": None}, "y", '{"a": "x", "b": ""}', error("a", 4, "type", "'x' is no int: not a whole number", "x")),
        (4, None, "z", None, error("", 3, "truncated", "the document ends too early: unclosed token", "<p")),
    ]
    with pytest.raises(UsageError, match="the frame already has _rescued, _errors; rename or drop them"):
        xml.flatten(flat, "more", xml.Schema.from_ddl("a int"))
    with pytest.raises(SchemaMismatch, match=r"column 'doc': the schema has no fields \(0 documents accepted\)"):
        xml.flatten(frame, "doc", xml.discover([]))


@pytest.mark.parametrize(
    ("known", "text"),
    [("7", "007"), ("7", "7.0"), ("7.5", "+7.5"), ("7.5", "7.55"), ("true", "1"), ("1e5", "12345678901234567")],
)
def test_a_learnt_type_takes_no_text_that_it_would_change(known: str, text: str) -> None:
    schema = xml.discover([f"<p><a>{known}</a></p>"])

    parsed = xml.parse([f"<p><a>{text}</a></p>", f"<p><a>{known}</a></p>"], schema)

    assert parsed.values[0].as_py() == {"a": None}
    assert parsed.rescued.to_pylist() == [json.dumps({"a": text}), None]
    assert parsed.errors["path"].to_pylist() == ["a"]


def test_a_learnt_text_takes_no_markup() -> None:
    schema = xml.discover(["<p><a>Ada</a></p>"])

    parsed = xml.parse(["<p><a>Ben <i>B.</i></a></p>"], schema)

    assert parsed.values.to_pylist() == [{"a": None}]
    assert json.loads(parsed.rescued[0].as_py()) == {"a._VALUE": "Ben", "a.i": "B."}
    assert parsed.errors["reason"].to_pylist() == ["<a> has child elements where string was expected"]


def test_what_is_nested_deeper_than_engines_take_is_kept_as_xml() -> None:
    deep = "<a>" * 60 + "<b k='1'/><b/>" + "</a>" * 60
    frame = open_engine("duckdb").from_arrow(pa.table({"doc": [deep]}))

    flat = xml.flatten(frame, "doc", xml.discover_column(frame, "doc")).to_arrow().to_pylist()

    value = flat[0]["doc"]
    for _ in range(30):
        value = value["a"]
    assert value == "<a>" * 29 + '<b k="1"></b><b></b>' + "</a>" * 29
    assert (flat[0]["_rescued"], flat[0]["_errors"]) == (None, None)


def test_dates_and_timestamps_by_pattern_share_a_path() -> None:
    documents = ["<p><a>31.01.2024</a></p>", "<p><a>31.01.2024 10:00</a></p>"]
    options = xml.Options(date_format="dd.MM.yyyy", timestamp_format="dd.MM.yyyy HH:mm")

    values = xml.parse(documents, xml.discover(documents, options)).values

    assert values.to_pylist() == [{"a": datetime(2024, 1, 31)}, {"a": datetime(2024, 1, 31, 10)}]


def test_a_map_takes_attributes_and_children_by_name() -> None:
    schema = xml.Schema.from_ddl("m map<string,int>, n array<map<string,struct<x: int>>>")
    parsed = xml.parse(["<p><m k='1'><a>2</a><a>3</a><b>x</b></m><n><c><x>4</x></c></n></p>", "<p><m/></p>"], schema)

    assert parsed.values.to_pylist() == [
        {"m": [("_k", 1), ("a", 3), ("b", None)], "n": [[("c", {"x": 4})]]},
        {"m": [], "n": None},
    ]
    assert parsed.rescued.to_pylist() == ['{"m.a": "2", "m.b": "x"}', None]
    assert [error["path"] for error in parsed.errors.to_pylist()] == ["m.b"]
