"""Many documents → one schema."""

import pickle

import pyarrow as pa
import pytest

from thresher import xml
from thresher.engines import open_engine
from thresher.errors import DataError, MissingColumns, UsageError


def learnt(*values: str, **options: object) -> str:
    """The type on which the texts of one attribute agree, each in a document of its own, merged in two ways."""
    documents = [f"<p a='{value}'/>" for value in values]
    opts = xml.Options(**options)  # type: ignore[arg-type]
    schema = xml.discover(documents, opts)
    backwards = xml.discover([], opts)
    for document in reversed(documents):
        backwards = backwards.merge(xml.Schema.from_json(xml.discover([document], opts).to_json()))
    assert backwards == schema
    return schema.ddl.removeprefix("struct<_a: ").removesuffix(">")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["7"], "bigint"),
        (["-7", "0"], "bigint"),
        (["9223372036854775807", "-9223372036854775808"], "bigint"),
        (["9223372036854775808"], "decimal(19,0)"),
        (["9" * 39], "string"),
        (["7", "7.5"], "decimal(2,1)"),
        (["100", "0.05"], "decimal(5,2)"),
        (["7", "7.5", "007"], "string"),
        (["+7"], "string"),
        (["-0"], "string"),
        ([".5"], "string"),
        (["5."], "string"),
        (["1,234"], "string"),
        (["1e5", "7", "7.5"], "double"),
        (["1e5", "1234567890123456"], "string"),
        (["1e400"], "string"),
        (["NaN"], "string"),
        (["true", "false"], "boolean"),
        (["true", "1"], "string"),
        (["True"], "string"),
        (["2024-01-31"], "date"),
        (["2024-02-30"], "string"),
        (["2024-1-31"], "string"),
        (["2024-01-31T10:00:00Z", "2024-01-31 10:00:00.123456+02:00"], "timestamp"),
        (["2024-01-31T10:00:00"], "timestamp_ntz"),
        (["2024-01-31T10:00:00", "2024-01-31"], "timestamp_ntz"),
        (["2024-01-31T10:00:00Z", "2024-01-31"], "string"),
        (["2024-01-31T10:00:00Z", "2024-01-31T10:00:00"], "string"),
        (["2024-01-31T10:00:00.1234567"], "string"),
        (["2024-01-31T10:00:00.1234560"], "timestamp_ntz"),
        (["", " ", "7"], "bigint"),
        (["", " "], "string"),
        ([" 7 "], "bigint"),
        (["٣"], "string"),
    ],
)
def test_types_hold_every_text_without_loss(values: list[str], expected: str) -> None:
    assert learnt(*values) == expected


def test_options_steer_the_types() -> None:
    assert learnt("7.5", "7", prefers_decimal=False) == "double"
    assert learnt("7.5", "12345678901234567", prefers_decimal=False) == "decimal(18,1)"
    assert learnt("31.01.2024", date_format="dd.MM.yyyy") == "date"
    assert learnt("1.1.2024", date_format="dd.MM.yyyy") == "string"
    assert learnt("31.01.2024 10:00", timestamp_format="dd.MM.yyyy HH:mm") == "timestamp_ntz"
    assert learnt("2024-01-31", prefer_date=False) == "timestamp_ntz"
    assert learnt("7", "-", null_value="-") == "bigint"
    assert learnt("7", infer_types=False) == "string"
    assert learnt(" 7", ignore_surrounding_spaces=False) == "string"


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        (["<p><a>1</a></p>", "<p><a>1</a><a>2</a></p>"], "a: array<bigint>"),
        (["<p><a>1</a></p>", "<p><a k='1'>2</a></p>"], "a: struct<_VALUE: bigint, _k: bigint>"),
        (["<p><a>1</a></p>", "<p><a><b/></a></p>"], "a: struct<_VALUE: bigint, b: string>"),
        (["<p><a/></p>", "<p><a><b>1</b></a></p>"], "a: struct<b: bigint>"),
        (["<p>x<a/>y</p>"], "_VALUE: array<string>, a: string"),
        (["<p>5</p>"], "_VALUE: bigint"),
        (["<p><b/><a/></p>"], "a: string, b: string"),
        (["<p><a>1<!-- c -->2</a></p>"], "a: bigint"),
        (["<p><a>1</a><A>2</A></p>"], "a: array<bigint>"),
        (["<p><A>1</A></p>", "<p><A>1</A></p>", "<p><a>1</a></p>"], "A: bigint"),
        (["<p a='1'><_a>2</_a></p>"], "_a: array<bigint>"),
        (["<p><a xsi:nil='true'/></p>", "<p><a>1</a></p>"], "a: bigint"),
        (["<x:p xmlns:x='u'><x:a.b-c/></x:p>"], "`_xmlns:x`: string, `x:a.b-c`: string"),
        (["<s><s><s>1</s></s></s>"], "s: struct<s: bigint>"),
        (["<p><a>1</a></p>", "<q", None, "<q><b>2</b></q>"], "a: bigint, b: bigint"),
    ],
)
def test_structure(documents: list[str | None], expected: str) -> None:
    assert xml.discover(documents).ddl == f"struct<{expected}>"


def test_options_steer_the_structure() -> None:
    document = "<n:p xmlns:n='u' n:k='1'><n:a>1</n:a></n:p>"

    assert xml.discover([document], xml.Options(ignore_namespace=True)).ddl == "struct<_k: bigint, a: bigint>"
    assert xml.discover([document], xml.Options(exclude_attribute=True)).ddl == "struct<`n:a`: bigint>"
    assert xml.discover(["<p k='1'>t</p>"], xml.Options(attribute_prefix="@", value_tag="#text")).ddl == (
        "struct<`#text`: string, `@k`: bigint>"
    )
    assert xml.discover(["<p><a><b>1</b></a></p>"], xml.Options(arrays=["a", "a.b"])).ddl == (
        "struct<a: array<struct<b: array<bigint>>>>"
    )


def test_paths_tell_what_was_seen() -> None:
    schema = xml.discover(
        ["<p><a>7</a></p>", "<p><a>7.5</a><b k='1'>x</b></p>", "<p><a>007</a><b/><c><d>1</d><d>2</d></c></p>", "<p"]
    )

    def votes(**counts: int) -> list[dict[str, object]]:
        return [{"type": name, "count": count} for name, count in counts.items()]

    columns = ["path", "kind", "type", "occurrences", "documents", "max_repeats", "votes", "examples"]
    assert [tuple(row[name] for name in columns) for row in schema.paths.to_pylist()] == [
        ("a", "element", "string", 3, 3, 1, votes(decimal=1, integer=1, text=1), ["007", "7", "7.5"]),
        ("b", "element", "struct", 2, 2, 1, [], []),
        ("b._VALUE", "text", "string", 1, 1, 1, votes(text=1), ["x"]),
        ("b._k", "attribute", "bigint", 1, 1, 1, votes(integer=1), ["1"]),
        ("c", "element", "struct", 1, 1, 1, [], []),
        ("c.d", "element", "array<bigint>", 2, 1, 2, votes(integer=2), ["1", "2"]),
    ]
    shares = dict(zip(schema.paths["path"].to_pylist(), schema.paths["null_share"].to_pylist(), strict=True))
    assert shares == pytest.approx({"a": 0, "b": 2 / 3, "b._VALUE": 1 / 2, "b._k": 1 / 2, "c": 2 / 3, "c.d": 0})


def test_a_text_path_counts_the_documents_with_text() -> None:
    documents = [
        "<p><b>x</b></p>",
        "<p><b><c/></b></p>",
        "<p><b><c/>t<c/>u</b><b>y</b></p>",
        "<p><b k='1'/><b> </b></p>",
    ]
    for pad in ("", " " * 2**21):  # by the reference; long enough for the compiled loops
        found = xml.discover([document + pad for document in documents]).paths.to_pylist()
        assert [(row["path"], row["occurrences"], row["documents"]) for row in found] == [
            ("b", 6, 4),
            ("b._VALUE", 4, 2),
            ("b._k", 1, 1),
            ("b.c", 3, 2),
        ]


def test_a_path_with_dots_in_a_name_stands_in_back_ticks() -> None:
    assert xml.discover(["<p><x.y><z/></x.y></p>"]).paths["path"].to_pylist() == ["`x.y`", "`x.y`.z"]
    assert xml.discover(["<p><x.y/></p>"], xml.Options(arrays=("`x.y`",))).ddl == "struct<`x.y`: array<string>>"


def test_declared_types_win_and_what_was_seen_stays() -> None:
    schema = xml.discover(["<p><a>7</a><b k='1'>5</b><c>1</c><c>2</c><d>t</d><e><f>1</f></e></p>"])

    declared = schema.declare(
        "a string, B int, c int, d array<string>, e string, g array<struct<h: date>>, `x:y` decimal(10, 2)"
    )

    assert declared.ddl == (
        "struct<B: struct<_VALUE: int, _k: bigint>, a: string, c: int, d: array<string>, e: string, "
        "g: array<struct<h: date>>, `x:y`: decimal(10,2)>"
    )
    assert declared.declare("c string, g array<struct<i: int>>").ddl == (
        "struct<B: struct<_VALUE: int, _k: bigint>, a: string, c: string, d: array<string>, e: string, "
        "g: array<struct<h: date, i: int>>, `x:y`: decimal(10,2)>"
    )
    assert schema.declare("d struct<_k: int>").ddl.endswith("d: struct<_VALUE: string, _k: int>, e: struct<f: bigint>>")
    assert [row["path"] for row in declared.paths.to_pylist() if not row["occurrences"]] == ["g", "g.h", "x:y"]
    assert xml.Schema.from_json(declared.to_json()) == declared


def test_a_declared_schema_alone_keeps_its_order() -> None:
    schema = xml.Schema.from_ddl("struct<b: struct<d: int NOT NULL COMMENT 'x, y', c: varchar(3)>, a: decimal>")

    assert schema.ddl == "struct<b: struct<d: int, c: string>, a: decimal(10,0)>"
    assert schema.arrow_type.field("a").type == pa.decimal128(10, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a in", "schema 'a in': at character 3: found 'in'; expected one of boolean, tinyint,"),
        ("a int b int", "schema 'a int b int': at character 7: found 'b int'; expected ','"),
        ("a int, A int", "at character 8: found 'A int'; expected a name that is not there yet"),
        ("a map<int,int>", "at character 7: found 'int,int>'; expected string: the keys of a map are the names of"),
        ("a map<string,array<int>>", "at character 14: found 'array<int>>'; expected a scalar, a struct or a map"),
        ("a variant", "at character 3: found 'variant'; expected one of boolean"),
        ("a array<array<int>>", "expected array of a scalar or a struct; XML has no array of arrays"),
        ("a decimal(40,2)", "at character 3: found 'decimal(40,2)'; expected decimal(p,s) with 1 ≤ p ≤ 38 and s ≤ p"),
        ("struct<a: int", "at character 14: found 'the end'; expected ','"),
        ("a int; drop", "at character 6: found '; drop'; expected a name, a type or one of"),
    ],
)
def test_a_schema_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        xml.Schema.from_ddl(text)
    assert message in str(raised.value)


def test_drift_names_new_vanished_and_changed_paths() -> None:
    before = xml.discover(["<p><a>1</a><b>x</b><c k='1'/></p>"])
    after = xml.discover(["<p><a>1.5</a><c k='1'/><c/><d/></p>"])

    assert before.diff(after).to_pylist() == [
        {"change": "changed", "path": "a", "before": "bigint", "after": "decimal(2,1)"},
        {"change": "vanished", "path": "b", "before": "string", "after": None},
        {"change": "changed", "path": "c", "before": "struct", "after": "array<struct>"},
        {"change": "new", "path": "d", "before": None, "after": "string"},
    ]
    assert before.diff(before).num_rows == 0


def test_only_schemas_of_the_same_rules_merge() -> None:
    with pytest.raises(UsageError, match="cannot be merged; discover both with the same options"):
        xml.discover([]).merge(xml.discover([], xml.Options.spark()))
    with pytest.raises(UsageError, match="schemas with different declarations cannot be merged"):
        xml.Schema.from_ddl("a int").merge(xml.Schema.from_ddl("a string"))

    budgets = xml.discover([], xml.Options(arrays=("b",))).merge(
        xml.discover([], xml.Options(max_depth=5, arrays=("a",)))
    )
    assert budgets.options.arrays == ("a", "b")


def test_text_that_is_no_schema_is_refused() -> None:
    whole = xml.discover(["<p><a>1</a></p>"]).to_json()
    for text, found in (
        ("{}", "no format"),
        ("[]", "no format"),
        ('{"format": 0}', "format 0"),
        ('{"format": 2}', "no options"),
        (whole[:40], "no JSON, or a part of it, up to line 1, column 36"),
        (whole.replace('"documents": 1,', '"documents": "1",', 1), "documents in another form"),
        (whole.replace('"seen": {', '"seen": {"bogus": 1, '), "seen in another form"),
        (whole.replace('"declared": null', '"declared": 7'), "declared in another form"),
    ):
        with pytest.raises(UsageError) as raised:
            xml.Schema.from_json(text)
        assert str(raised.value) == (
            f"not an XML schema in format 2: found {found}; expected what Schema.to_json gave. Discover again."
        )


def test_schemas_and_options_can_be_pickled() -> None:
    schema = xml.discover(["<p><a>1</a></p>"], xml.Options(arrays=("a",))).declare("b int")

    assert pickle.loads(pickle.dumps(schema)) == schema
    assert pickle.loads(pickle.dumps(schema)).ddl == "struct<a: array<bigint>, b: int>"


def test_discovery_over_a_frame_is_discovery_of_all_its_documents() -> None:
    documents = pa.array([f"<p><a>{number}</a></p>" for number in range(25_000)] + [None, "<p", "<p><a/><a>x</a></p>"])
    engine = open_engine("duckdb")
    rows = engine.from_arrow(pa.table({"id": range(len(documents)), "doc": documents}))

    assert xml.discover_column(rows, "doc") == xml.discover(documents)

    with pytest.raises(MissingColumns, match=r"there is no column 'x' to read XML from; found \['id', 'doc'\]"):
        xml.discover_column(rows, "x")
    with pytest.raises(UsageError, match="column 'id' holds int64; XML documents are string or binary"):
        xml.discover_column(rows, "id")


def test_a_sample_is_learnt_only_when_asked() -> None:
    documents = [f"<p><a{row}/></p>" for row in range(10)]

    assert len(xml.discover(documents).arrow_type) == 10
    assert xml.discover(documents, xml.Options(sampling_ratio=0.3)).arrow_type.names == ["a3", "a6", "a9"]
    assert len(xml.discover(documents, xml.Options.spark(samplingRatio="0.5")).arrow_type) == 5


def test_spark_makes_room_for_records_that_it_cannot_read() -> None:
    assert (
        xml.discover(["<p>", "<p><a>1</a></p>"], xml.Options.spark()).ddl
        == "struct<_corrupt_record: string, a: bigint>"
    )
    assert xml.discover(["<p>"], xml.Options.spark(mode="DROPMALFORMED")).ddl == "struct<>"
    with pytest.raises(DataError, match="a document cannot be read: the document ends too early"):
        xml.discover(["<p>"], xml.Options.spark(mode="FAILFAST"))
