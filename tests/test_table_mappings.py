"""Table mappings of AWS DMS: what rules say of tables, names, columns and rows; what is refused, by its rule."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from thresher import Lake
from thresher.errors import UsageError
from thresher.table_mappings import Column, TableMappings, of_rules, read


def selection(action: str, schema: str, table: str, **more: Any) -> dict[str, Any]:
    locator = {"schema-name": schema, "table-name": table}
    return {"rule-type": "selection", "rule-action": action, "object-locator": locator, **more}


def transformation(action: str, target: str, column: str | None = None, **more: Any) -> dict[str, Any]:
    locator = {"schema-name": more.pop("schema", "%"), "table-name": more.pop("table", "%")}
    locator |= {"column-name": column} if column else {}
    rule = {"rule-type": "transformation", "rule-action": action, "rule-target": target, "object-locator": locator}
    return rule | {name.replace("_", "-"): value for name, value in more.items()}


def mappings(*rules: dict[str, Any]) -> TableMappings:
    named = [{"rule-id": str(n), "rule-name": f"r{n}"} | rule for n, rule in enumerate(rules, 1)]
    return of_rules({"rules": named}, "dms.json")


ALL = selection("include", "%", "%")


@pytest.mark.parametrize(
    ("rules", "selected"),
    [
        ([selection("include", "sales", "%")], {"orders", "order_lines", "Orders", "tmp_1", "tmpx1"}),
        ([selection("include", "sales", "order%")], {"orders", "order_lines"}),
        ([selection("include", "sales", "[Oo]rders")], {"orders", "Orders"}),
        ([selection("include", "sales", "tmp_1")], {"tmp_1", "tmpx1"}),
        ([selection("include", "sales", "tmp[_]1")], {"tmp_1"}),
        ([selection("explicit", "sales", "tmp_1")], {"tmp_1"}),
        ([selection("include", "hr", "%")], set()),
        ([selection("exclude", "sales", "tmp%"), ALL], {"orders", "order_lines", "Orders"}),
        ([ALL, selection("exclude", "%", "[a-o]%")], {"Orders", "tmp_1", "tmpx1"}),
    ],
)
def test_a_table_is_selected_when_it_is_included_and_not_excluded(
    rules: list[dict[str, Any]], selected: set[str]
) -> None:
    found = mappings(*rules)
    tables = ("orders", "order_lines", "Orders", "tmp_1", "tmpx1")
    assert {table for table in tables if found.selects("sales", table)} == selected


@pytest.mark.parametrize(
    ("action", "more", "name"),
    [
        ("rename", {"value": "sales_orders"}, "sales_orders"),
        ("convert-lowercase", {}, "t_orders_v1"),
        ("convert-uppercase", {}, "T_ORDERS_V1"),
        ("add-prefix", {"value": "x_"}, "x_T_Orders_v1"),
        ("remove-prefix", {"value": "T_"}, "Orders_v1"),
        ("replace-prefix", {"value": "y_", "old_value": "T_"}, "y_Orders_v1"),
        ("replace-prefix", {"value": "y_", "old_value": "z_"}, "T_Orders_v1"),
        ("add-suffix", {"value": "_raw"}, "T_Orders_v1_raw"),
        ("remove-suffix", {"value": "_v1"}, "T_Orders"),
        ("replace-suffix", {"value": "_v2", "old_value": "_v1"}, "T_Orders_v2"),
    ],
)
def test_each_target_is_renamed_on_its_own(action: str, more: dict[str, str], name: str) -> None:
    old = "T_Orders_v1"
    assert mappings(ALL, transformation(action, "table", **more)).table_name("s", old) == name
    assert mappings(ALL, transformation(action, "schema", **more)).schema_name(old) == name
    found = mappings(ALL, transformation(action, "column", "T%", **more))
    assert [column.name for column in found.columns("s", "t", [old, "id"])] == [name, "id"]
    assert (found.table_name("s", old), found.schema_name(old)) == (old, old)


def test_rules_are_matched_by_source_names_and_applied_by_rule_id() -> None:
    found = mappings(
        ALL,
        transformation("convert-lowercase", "table") | {"rule-id": 10},
        transformation("rename", "table", table="ORDERS", value="BESTELLUNGEN"),
    )
    assert (found.table_name("s", "ORDERS"), found.table_name("s", "LINES")) == ("bestellungen", "lines")


def test_columns_are_dropped_chosen_added_and_retyped() -> None:
    length = {"type": "string", "length": 50}
    found = mappings(
        ALL,
        transformation("remove-column", "column", "secret%"),
        transformation("add-column", "column", value="op", expression="$AR_H_OPERATION", data_type=length),
        transformation("add-column", "column", value="origin", expression="'the shop''s'"),
        transformation("change-data-type", "column", "amount", data_type={"type": "int8"}),
        transformation("convert-uppercase", "column", "%"),
    )
    assert found.columns("s", "t", ["id", "secret_name", "amount"]) == [
        Column("ID", source="id"),
        Column("AMOUNT", source="amount", type={"type": "int8"}),
        Column("op", header="AR_H_OPERATION", type=length),
        Column("origin", constant="the shop's"),
    ]
    chosen = mappings(ALL, transformation("include-column", "column", "id", table="t"))
    assert [column.name for column in chosen.columns("s", "t", ["id", "name"])] == ["id"]
    assert [column.name for column in chosen.columns("s", "other", ["id", "name"])] == ["id", "name"]


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="dms.json: s.t: two columns would be called id"):
        mappings(ALL, transformation("convert-lowercase", "column", "%")).columns("s", "t", ["id", "ID"])


def filtered(*filters: tuple[str, list[dict[str, str]]]) -> TableMappings:
    said = [
        {"filter-type": "source", "column-name": column, "filter-conditions": conditions}
        for column, conditions in filters
    ]
    return mappings(selection("include", "s", "t", filters=said))


def condition(operator: str, *values: str) -> dict[str, str]:
    keys = ("value",) if len(values) == 1 else ("start-value", "end-value")
    return {"filter-operator": operator, **dict(zip(keys, values, strict=False))}


@pytest.mark.parametrize(
    ("said", "ids"),
    [
        (condition("eq", "3"), [3]),
        (condition("noteq", "3"), [1, 2, 4]),
        (condition("ste", "2"), [1, 2]),
        (condition("gte", "3"), [3, 4]),
        (condition("between", "2", "3"), [2, 3]),
        (condition("notbetween", "2", "3"), [1, 4]),
        (condition("null"), [None]),
        (condition("notnull"), [1, 2, 3, 4]),
    ],
)
def test_each_operator_takes_its_rows(tmp_path: Path, said: dict[str, str], ids: list[int | None]) -> None:
    lake = Lake(tmp_path)
    lake.write("raw.t", pa.table({"n": [1, 2, 3, 4, None]}))
    rows = lake.sql(f"select n from raw.t where {filtered(('n', [said])).filters('s', 't')} order by n")
    assert rows.to_arrow()["n"].to_pylist() == ids


def test_conditions_are_any_and_filters_all_and_values_stay_values(tmp_path: Path) -> None:
    found = filtered(("n", [condition("eq", "1"), condition("eq", "2")]), ("a `b", [condition("eq", "o'r\\ 1=1")]))
    assert found.filters("s", "t") == r"(`n` = '1' or `n` = '2') and `a ``b` = 'o\'r\\ 1=1'"
    assert found.filters("s", "other") == ""
    lake = Lake(tmp_path)
    lake.write("raw.t", pa.table({"n": [1, 2, 3], "c": ["o'r\\ 1=1", "x", "o'r\\ 1=1"]}))
    text = found.filters("s", "t").replace("`a ``b`", "c")
    assert lake.sql(f"select n from raw.t where {text}").to_arrow()["n"].to_pylist() == [1]


def test_the_rules_of_the_odp_framework_are_read_as_they_are(realdata: Path) -> None:
    found = read(realdata / "cdc/awslabs_odpf_configs/demo/dms_settings/dms_task_mapping_rules.json")
    assert (found.selects("taxi_trips", "table_1"), found.selects("taxi_trips", "other")) == (True, False)
    assert [column.name for column in found.columns("taxi_trips", "table_1", ["pk_id"])] == [
        "PK_ID",
        "CDC_TIMESTAMP_SEQ",
        "CDC_OPERATION",
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"rule-type": "object-mapping"}, "rule-type 'object-mapping' is not supported; expected selection or transf"),
        (selection("include", "s", "t", parallel=1), "parallel is not supported"),
        (selection("take", "s", "t"), "rule-action 'take', expected include, exclude or explicit"),
        (transformation("rename", "table-tablespace", value="x"), "rule-target 'table-tablespace' is not supported"),
        (transformation("data-masking-hash-mask", "column", "%"), "'data-masking-hash-mask' of a column is not supp"),
        (transformation("add-before-image-columns", "column", "%"), "'add-before-image-columns' of a column is not"),
        (transformation("remove-column", "table"), "'remove-column' of a table is not supported"),
        (transformation("rename", "table"), "found the value None, expected a text without variables"),
        (
            transformation("add-column", "column", value="full", expression="$FIRST||$LAST"),
            "the expression '$FIRST||$LAST' is not supported; expected a constant",
        ),
        (transformation("rename", "table", value="x") | {"rule-id": "1"}, "has the rule-id of dms.json: rule 1 (r1)"),
    ],
)
def test_what_is_not_supported_is_refused_by_its_rule(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        mappings(ALL, rule)
    assert message in str(error.value)
    assert str(error.value).startswith("dms.json: rule ")
    assert "(r2)" in str(error.value)


def test_a_filter_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(UsageError, match=r"dms.json: rule 1 \(r1\): filter-operator 'like' is not supported"):
        filtered(("n", [condition("like", "x")]))
    with pytest.raises(UsageError, match=r"between lacks a proper end-value: found None"):
        filtered(("n", [{"filter-operator": "between", "start-value": "1"}]))


def test_a_file_that_holds_no_table_mappings_is_refused(tmp_path: Path) -> None:
    for content, message in (("[", "is no JSON"), (json.dumps([1]), "found no list of rules"), ("{}", "found no list")):
        (tmp_path / "dms.json").write_text(content)
        with pytest.raises(UsageError, match=message):
            read(tmp_path / "dms.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "none.json")
    with pytest.raises(UsageError, match="found no selection rule, expected at least one"):
        mappings(transformation("convert-lowercase", "table"))
