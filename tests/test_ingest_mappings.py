"""AWS DMS's table mappings on the way into a raw dataset: columns chosen, renamed and added, rows filtered."""

import json

import pytest

from thresher import ingest
from thresher.errors import UsageError

embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)


def rule(number, action, *, column="%", kind="transformation", **more):
    locator = {"schema-name": "sales", "table-name": "customers"}
    if kind == "transformation":
        locator["column-name"] = column
        more |= {"rule-target": "column"}
    return {
        "rule-type": kind,
        "rule-id": number,
        "rule-name": f"rule {number}",
        "rule-action": action,
        "object-locator": locator,
        **more,
    }


@pytest.fixture
def mappings(tmp_path):
    over_ten = {"filter-operator": "gte", "value": "10"}
    limited = {"filter-type": "source", "column-name": "Credit", "filter-conditions": [over_ten]}
    operation = {"value": "OPERATION", "expression": "$AR_H_OPERATION", "data-type": {"type": "string", "length": 10}}
    rules = [
        rule(1, "include", kind="selection", filters=[limited]),
        rule(2, "convert-uppercase"),
        rule(3, "remove-column", column="Phone"),
        rule(4, "add-column", **operation),
    ]
    path = tmp_path / "mappings.json"
    path.write_text(json.dumps({"rules": rules}))
    return {"mappings": str(path), "table": "sales.customers"}


def test_columns_are_chosen_renamed_and_added_and_rows_filtered(lake, mappings, tmp_path):
    landing = tmp_path / "in"
    landing.mkdir()
    (landing / "LOAD00000001.csv").write_text("1,030,10.00\n2,031,9.99\n3,032,11\n")
    (landing / "20240809-100000000.csv").write_text("U,1,030,12.50\nD,3,032,11\n")
    names = ["Id", "Phone", "Credit"]
    loaded = ingest.files(
        lake, str(landing), "raw.c", format="dms", mode="current", key=["ID"], columns=names, options=mappings
    )
    assert loaded.rows.columns == ["ID", "CREDIT", "OPERATION", "_sequence", "_file", "_row"]
    found = [(row["ID"], str(row["CREDIT"]), row["OPERATION"]) for row in loaded.rows.to_arrow().to_pylist()]
    assert found == [(1, "12.50", "UPDATE")]


@embedded_only
def test_a_table_that_is_not_selected_is_refused(lake, mappings, tmp_path):
    (tmp_path / "in.csv").write_text("Id\n1\n")
    with pytest.raises(UsageError, match=r"does not select sales\.orders"):
        ingest.files(lake, str(tmp_path / "in.csv"), "raw.c", options=mappings | {"table": "sales.orders"})
    with pytest.raises(UsageError, match="name them in options: table"):
        ingest.files(lake, str(tmp_path / "in.csv"), "raw.c", options={"mappings": mappings["mappings"]})
