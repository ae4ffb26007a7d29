"""A step's query gives what the step declares, or an error; the same on both engines."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

import thresher as th
from thresher.errors import DataError, MissingColumns, SchemaMismatch, ThresherError
from thresher.lake import Lake

QUERY = "select k, s, p, d from raw.t order by k"


@pytest.fixture
def rows(lake: Lake) -> Lake:
    """A dataset of two rows, the second with NULLs."""
    made = "select * from values (1, 'a', 1.50, date'2024-01-01'), (2, null, 2.25, null) as t(k, s, p, d)"
    lake.write("raw.t", lake.sql(made))
    return lake


def test_the_result_has_the_declared_columns_order_and_types(rows: Lake) -> None:
    found = th.query(
        rows, QUERY, sources=["raw.t"], declare="p decimal(10,2), k bigint NOT NULL, s string, d timestamp"
    )
    assert [(field.name, str(field.type)) for field in found.schema] == [
        ("p", "decimal128(10, 2)"), ("k", "int64"), ("s", "string"), ("d", "timestamp[us, tz=UTC]"),
    ]  # fmt: skip
    assert found.to_arrow().to_pylist() == [
        {"p": Decimal("1.50"), "k": 1, "s": "a", "d": datetime(2024, 1, 1, tzinfo=UTC)},
        {"p": Decimal("2.25"), "k": 2, "s": None, "d": None},
    ]


def test_a_null_where_none_may_be_is_an_error_on_both_engines(rows: Lake) -> None:
    with pytest.raises(DataError, match="a value of column s is NULL, declared NOT NULL"):
        th.query(rows, QUERY, sources=["raw.t"], declare="k int, s string not null, p double, d date").to_arrow()


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
@pytest.mark.parametrize(
    ("declare", "error", "words"),
    [
        ("k int, s string not null, p decimal(3,2), d date", DataError, "value of column s is NULL, declared NOT NULL"),
        ("k int, s string, p decimal(5,1), d date", DataError, r"a value of column p does not fit decimal\(5,1\)"),
        ("k int, s string, p int, d date", DataError, "a value of column p does not fit int"),
        ("k int, s string", SchemaMismatch, r"columns \['p', 'd'\], which are not declared"),
        ("k int, s string, p double, d date, z int", MissingColumns, r"declared columns \['z'\] are not in the result"),
        ("k int, s string, p double, d array<date>", SchemaMismatch, "column d is date, declared array<date>"),
        ("k int, s int, p double, d date", ThresherError, "a"),
    ],
)  # fmt: skip
def test_a_value_that_would_change_is_an_error(
    rows: Lake, declare: str, error: type[ThresherError], words: str
) -> None:
    with pytest.raises(error, match=words):
        th.query(rows, QUERY, sources=["raw.t"], declare=declare).to_arrow()


def test_values_are_bound_by_name_and_are_never_sql(rows: Lake) -> None:
    def found(**params: object) -> list[object]:
        query = "select k from raw.t where s = :s and d >= cast(:day as date)"
        return th.query(rows, query, sources=["raw.t"], params=params).to_arrow().column("k").to_pylist()

    assert found(s="a", day="2024-01-01") == [1]
    assert found(s="a' or '1' = '1", day="2024-01-01") == []
    with pytest.raises(ThresherError, match="names :s, which got no value"):
        found(day="2024-01-01")
    with pytest.raises(ThresherError, match=r"parameters \['more'\] are not in the query"):
        found(s="a", day="2024-01-01", more=1)
