"""Checks: each broken rule is counted and named; a rule that is kept says nothing is wrong."""

from decimal import Decimal

import pytest

from thresher.checks import check, read_rule
from thresher.checks.checking import failing_rows
from thresher.errors import MissingColumns, UsageError

# What these show does not depend on the engine: the code above it is the same.
embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)

ROWS = [
    {"id": 1, "state": "new", "code": "A1", "customer": 1, "amount": Decimal("1.50")},
    {"id": 2, "state": "odd", "code": "A12", "customer": 9, "amount": Decimal("-2.00")},
    {"id": 2, "state": None, "code": None, "customer": None, "amount": Decimal("0.50")},
]
RULES = [
    {"not_null": ["id", "state"]},
    {"unique": "id", "severity": "warn"},
    {"accepted_values": {"column": "state", "values": ["new", "paid"]}},
    {"range": {"column": "amount", "min": 0, "max": 1}},
    {"pattern": {"column": "code", "regex": "[A-Z][0-9]"}},
    {"expression": "amount > 0 or state = 'odd'"},
    {"relationships": {"column": "customer", "to": "mart.dim_customer", "field": "id"}},
    {"row_count": {"min": 4}},
    {"sum_equals": {"column": "amount", "to": "raw.orders"}},
]


def test_each_broken_rule_is_counted_by_name(lake):
    lake.write("mart.dim_customer", [{"id": 1}, {"id": 2}])
    lake.write("raw.orders", [{"amount": Decimal("0.01")}])
    rules = [rule for said in RULES for rule in read_rule(said)]
    rows = lake.frame(ROWS)
    checked = check(lake, rows, "mart.fact", rules)
    assert [(each.rule, each.failing) for each in checked.outcomes] == [
        ("not_null id", 0),
        ("not_null state", 1),
        ("unique id", 1),
        ("accepted_values state", 1),
        ("range amount min 0 max 1", 2),
        ("pattern code [A-Z][0-9]", 1),
        ("expression amount > 0 or state = 'odd'", 0),
        ("relationships customer to mart.dim_customer.id", 1),
        ("row_count min 4", 1),
        ("sum_equals amount to raw.orders.amount", 1),
    ]
    assert checked.outcomes[-1].found == "0.00 here, 0.01 in raw.orders, 0.01 apart"
    assert [each.rule for each in checked.broken("warn")] == ["unique id"]
    broken = {rule.text: failing_rows(lake, rows, "mart.fact", rule) for rule in rules[2:8]}
    found = {name: each.to_arrow().column("amount").to_pylist() for name, each in broken.items()}
    assert {name: sorted(amounts) for name, amounts in found.items()} == {
        "unique id": [Decimal("-2.00"), Decimal("0.50")],
        "accepted_values state": [Decimal("-2.00")],
        "range amount min 0 max 1": [Decimal("-2.00"), Decimal("1.50")],
        "pattern code [A-Z][0-9]": [Decimal("-2.00")],
        "expression amount > 0 or state = 'odd'": [],
        "relationships customer to mart.dim_customer.id": [Decimal("-2.00")],
    }


@embedded_only
def test_no_rows_break_no_rule_of_rows(lake):
    rules = [rule for said in RULES[:6] for rule in read_rule(said)]
    checked = check(lake, lake.frame(ROWS).head(0), "mart.fact", rules)
    assert [each.failing for each in checked.outcomes] == [0] * 7
    with pytest.raises(MissingColumns, match=r"checks of mart.fact: missing columns \['x'\]"):
        check(lake, lake.frame(ROWS), "mart.fact", read_rule({"not_null": "x"}))


@embedded_only
@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"notnull": "a"}, "unknown rule 'notnull'. Did you mean not_null?"),
        ({"not_null": "a", "unique": "a"}, "expected one rule"),
        ({"not_null": "a", "severity": "error"}, "severity: found 'error', expected fail, quarantine, warn"),
        ({"unique": "a", "severity": "quarantine"}, "tells of no single rows"),
        ({"not_null": 3}, "found a whole number"),
        ({"range": {"column": "a"}}, "found no bound"),
        ({"range": {"colum": "a"}}, "unknown key 'colum'. Did you mean column?"),
        ({"accepted_values": {"column": "a"}}, "values is missing"),
        ({"accepted_values": {"column": "a", "values": [None]}}, "none of them null"),
    ],
)
def test_what_is_no_rule_is_named(said, message, engine):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        read_rule(said)
