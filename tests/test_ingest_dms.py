"""AWS DMS: full loads and changes after them, in CSV and Parquet, lead to the rows of the source."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thresher import ingest
from thresher.errors import DataError, UsageError

embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)

# The classic sample database's customers, as its makers name their columns.
CUSTOMERS = [
    "customerNumber", "customerName", "contactLastName", "contactFirstName", "phone", "addressLine1", "addressLine2",
    "city", "state", "postalCode", "country", "salesRepEmployeeNumber", "creditLimit",
]  # fmt: skip


def put(folder, **files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def rows_of(lake, name, *columns):
    rows = lake.read(name).to_arrow().to_pylist()
    return sorted(tuple(row[column] for column in columns) for row in rows)


def refusals(loaded):
    return sorted(
        (row["source"], row["key"], row["rule"], row["reason"], row["line"], row["content"])
        for row in loaded.refused.to_arrow().to_pylist()
    )


def test_a_full_load_and_the_changes_after_it(lake, tmp_path):
    folder = tmp_path / "in"
    put(
        folder,
        **{
            "shop/items/LOAD00000001.csv": '1,tea,2.50\n2,"pot, blue",19.00\n3,cup,\n',
            "shop/items/2024/08/09/20240809-192717787.csv": "U,1,green tea,2.75\nD,2,,\nI,4,spoon,1.00\n",
            "shop/items/2024/08/10/20240810-010101000.csv": "I,2,pot,21.00\nD,4,spoon,1.00\n",
        },
    )
    ingest.files(
        lake, str(folder), "raw.items", format="dms", key=["id"], mode="current", columns=["id", "name", "price"]
    )
    assert [(a, b, str(c)) for a, b, c in rows_of(lake, "raw.items", "id", "name", "price")] == [
        (1, "green tea", "2.75"),
        (2, "pot", "21.00"),
        (3, "cup", "None"),
    ]


@embedded_only
def test_files_arrive_one_by_one_and_late(lake, tmp_path):
    folder = tmp_path / "in"
    given = {"format": "dms", "key": ["id"], "mode": "current", "columns": ["id", "v"]}
    put(folder, **{"LOAD00000001.csv": "1,a\n2,b\n"})
    ingest.files(lake, str(folder), "raw.t", **given)
    put(folder, **{"20240102-000000000.csv": "U,1,second\nD,2,\n"})
    ingest.files(lake, str(folder), "raw.t", **given)
    put(folder, **{"20240101-000000000.csv": "U,1,first\nU,2,late\nI,3,new\n"})
    ingest.files(lake, str(folder), "raw.t", **given)
    assert rows_of(lake, "raw.t", "id", "v") == [(1, "second"), (3, "new")]


@embedded_only
def test_with_header(lake, tmp_path):
    folder = tmp_path / "in"
    put(
        folder,
        **{
            "LOAD00000001.csv": "id,name\n1,a\n2,b\n",
            "20240101-000000000.csv.gz": gzip.compress(b"Op,id,name\nU,1,c\nD,2,b\n"),
        },
    )
    ingest.files(lake, str(folder), "raw.t", key=["id"], mode="current")
    assert rows_of(lake, "raw.t", "id", "name") == [(1, "c")]


@embedded_only
def test_parquet_and_csv_in_one_delivery(lake, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    load = pa.table({"id": pa.array([1, 2], pa.int32()), "at": pa.array([0, 0], pa.timestamp("us"))})
    pq.write_table(load, folder / "LOAD00000001.parquet")
    changed = pa.table(
        {"Op": ["U", "D"], "id": pa.array([1, 2], pa.int32()), "at": pa.array([1, 1], pa.timestamp("us"))}
    )
    pq.write_table(changed, folder / "20240101-000000000.parquet")
    put(folder, **{"20240102-000000000.csv": "I,3,2024-01-02 00:00:00\n"})
    ingest.files(lake, str(folder), "raw.t", format="dms", key=["id"], mode="current", columns=["id", "at"])
    assert [(key, str(at)) for key, at in rows_of(lake, "raw.t", "id", "at")] == [
        (1, "1970-01-01 00:00:00.000001"),
        (3, "2024-01-02 00:00:00"),
    ]


@embedded_only
def test_an_operation_in_the_full_load_and_the_time_of_commit(lake, tmp_path):
    folder = tmp_path / "in"
    put(
        folder,
        **{
            "LOAD00000001.csv": "I,2024-01-01 00:00:00.000000,1,a\n",
            "20240101-000000000.csv": "U,2024-01-02 10:00:00.000000,1,b\n",
        },
    )
    ingest.files(
        lake, str(folder), "raw.t", format="dms", key=["id"], mode="scd2", columns=["id", "v"],
        options={"timestamp_column": "dms_timestamp"},
    )  # fmt: skip
    assert [(v, str(at)) for v, at in rows_of(lake, "raw.t", "v", "valid_from")] == [
        ("a", "2024-01-01 00:00:00+00:00"),
        ("b", "2024-01-02 10:00:00+00:00"),
    ]


@embedded_only
def test_time_of_commit_in_a_full_load_without_operation(lake, tmp_path):
    put(
        tmp_path / "in",
        **{"LOAD00000001.csv": "2024-01-01 00:00:00,1,a\n", "20240101-000000000.csv": "D,2024-01-02 10:00:00,1,\n"},
    )
    ingest.files(
        lake, str(tmp_path / "in"), "raw.t", format="dms", key=["id"], order_by=["ts"], mode="current",
        columns=["ts", "id", "v"],
    )  # fmt: skip
    assert rows_of(lake, "raw.t", "id") == []


@embedded_only
def test_an_unknown_operation_refuses_its_row(lake, tmp_path):
    put(tmp_path / "in", **{"LOAD1.csv": "1,a\n", "20240101-000000000.csv": "I,2,b\nX,3,c\n,4,d\nI,5\n"})
    loaded = ingest.files(
        lake, str(tmp_path / "in"), "raw.t", format="dms", key=["id"], mode="current", columns=["id", "v"]
    )
    assert rows_of(lake, "raw.t", "id") == [(1,), (2,)]
    file = "20240101-000000000.csv"
    assert refusals(loaded) == [
        (file, "2", "unknown operation", "the operation is 'X'; expected I, U or D", None, b'{"id": 3, "v": "c"}'),
        (file, "3", "unknown operation", "the operation is None; expected I, U or D", None, b'{"id": 4, "v": "d"}'),
        (file, "4", "wrong number of fields", "2 fields; expected 3 (Op, id, v)", 4, b"I,5"),
    ]


@embedded_only
def test_an_update_of_the_key_by_before_images(lake, tmp_path):
    put(
        tmp_path / "in",
        **{"LOAD1.csv": "id,v\n1,a\n2,b\n", "20240101-000000000.csv": "Op,id,v,BI_id,BI_v\nU,9,a,1,a\nU,2,c,2,b\n"},
    )
    ingest.files(lake, str(tmp_path / "in"), "raw.t", format="dms", key=["id"], mode="current")
    assert rows_of(lake, "raw.t", "id", "v") == [(2, "c"), (9, "a")]
    assert lake.read("raw.t").columns[:2] == ["id", "v"]


@embedded_only
def test_operations_in_words_in_a_column_of_another_name(lake, tmp_path):
    put(tmp_path / "in", **{"a.csv": "id,v,CDC_OPERATION\n1,a,INSERT\n2,b,INSERT\n1,c,UPDATE\n2,b,DELETE\n"})
    options = {"operation": "CDC_OPERATION"}
    ingest.files(lake, str(tmp_path / "in"), "raw.t", format="dms", key=["id"], mode="current", options=options)
    assert rows_of(lake, "raw.t", "id", "v") == [(1, "c")]


@embedded_only
def test_null_texts(lake, tmp_path):
    put(tmp_path / "in", **{"LOAD1.csv": '1,NULL,"NULL"\n2,7,x\n'})
    ingest.files(
        lake, str(tmp_path / "in"), "raw.t", format="dms", key=["id"], columns=["id", "n", "t"],
        options={"nulls": ["NULL"]},
    )  # fmt: skip
    assert rows_of(lake, "raw.t", "id", "n", "t") == [(1, None, "NULL"), (2, 7, "x")]


@embedded_only
def test_without_header_and_names_the_error_says_what_to_do(lake, tmp_path):
    put(tmp_path / "in", **{"LOAD00000001.csv": "1,a\n"})
    with pytest.raises(
        DataError, match=r"no header, and the names of its 2 fields are not known; give them in columns"
    ):
        ingest.files(lake, str(tmp_path / "in"), "raw.t", key=["id"])
    with pytest.raises(UsageError, match=r"raw\.t: format dms: unknown options \['header_row'\]; expected delimiter, "):
        ingest.files(lake, str(tmp_path / "in"), "raw.t", format="dms", options={"header_row": 1})


@embedded_only
def test_third_party_customers(lake, realdata):
    folder = realdata / "cdc" / "dms_s3_customers_m55hr"
    loaded = ingest.files(
        lake, f"{folder}/*.csv", "raw.customers", key=["customerNumber"], mode="current", columns=CUSTOMERS
    )
    rows = {row["customerNumber"]: row for row in lake.read("raw.customers").to_arrow().to_pylist()}
    assert loaded.counts.refused == 0
    assert len(rows) == 123
    changed = ("contactLastName", "contactFirstName", "postalCode", "creditLimit")
    assert [str(rows[497][name]) for name in changed] == ["Mitesh", "Ravatka", "51003", "85100.00"]
