"""Ways from a folder of Parquet files to a Delta table, or to nothing (`noop`). Each takes a job and gives a `Task`.

A job names the lake with `raw.documents`, the schema as JSON and as DDL, the repeated element, and the size in bytes.
"""

import atexit
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from sums import Sums, of_arrow
from worker import Task

SOURCE = "raw.documents"


def _source(lake: str) -> str:
    return str(Path(lake, *SOURCE.split(".")))


def _sums_of_files(folder: str | Path, repeated: str) -> Sums:
    column = ds.dataset(folder, format="parquet").to_table(columns=["document"]).column(0)
    return of_arrow(pa.concat_arrays(column.chunks), repeated)


def _by_thresher(engine: str) -> Callable[..., Task]:
    def ready(lake: str, schema: str, ddl: str, repeated: str, size: int) -> Task:
        import thresher as th

        target = f"curated.by_{engine}"
        ours = th.Lake(lake, engine=engine)
        known = th.xml.Schema.from_json(Path(schema).read_text(encoding="utf-8"))

        def run() -> Path:
            shutil.rmtree(Path(lake, *target.split(".")), ignore_errors=True)
            ours.write(target, th.xml.flatten(ours.read(SOURCE), "document", known))
            return Path(lake, *target.split("."))

        return Task(run, lambda folder: _sums_of_files(folder, repeated), size, _jvm() if engine == "spark" else None)

    return ready


def _jvm() -> int:
    from thresher.engines import spark_server

    server = spark_server.status()
    assert server is not None, "the session has started it"
    return server.jvm


def _spark_rows(lake: str) -> Any:
    """A warm Spark's rows of the source."""
    import thresher as th

    return th.spark(th.Lake(lake)).read.parquet(_source(lake))


def _from_xml(rows: Any, ddl: str) -> Any:
    from pyspark.sql import functions as F

    return rows.select("id", F.from_xml("document", ddl).alias("document"))


def _in_arrow(rows: Any, schema: str) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    from thresher import xml

    known = xml.Schema.from_json(Path(schema).read_text(encoding="utf-8"))
    shape = pa.schema([("id", pa.int64()), ("document", known.arrow_type)])

    # A function in a function: it is sent as its code, because the executors do not find this module.
    def parsed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            values = xml.parse(batch.column("document"), known).values
            yield pa.RecordBatch.from_arrays([batch.column("id"), values], ["id", "document"])

    return rows.mapInArrow(parsed, from_arrow_schema(shape, prefer_timestamp_ntz=True))


def _to_delta(rows: Any, name: str, lake: str, repeated: str, size: int, server: int | None) -> Task:
    folder = f"{lake}/curated/{name}"

    def run() -> str:
        shutil.rmtree(folder, ignore_errors=True)
        rows.write.format("delta").save(folder)
        return folder

    def sums(written: str) -> Sums:
        return _sums_of_files(written, repeated)

    return Task(run, sums, size, server)


def _to_nothing(rows: Any, size: int, server: int) -> Task:
    return Task(lambda: rows.write.format("noop").mode("overwrite").save(), lambda _: {}, size, server)


def _spark_to_delta(lake: str, schema: str, ddl: str, repeated: str, size: int) -> Task:
    rows = _from_xml(_spark_rows(lake), ddl)
    return _to_delta(rows, "by_from_xml", lake, repeated, size, _jvm())


def _spark_to_nothing(lake: str, schema: str, ddl: str, repeated: str, size: int) -> Task:
    rows = _from_xml(_spark_rows(lake), ddl)
    return _to_nothing(rows, size, _jvm())


def _spark_with_ours_to_delta(lake: str, schema: str, ddl: str, repeated: str, size: int) -> Task:
    rows = _in_arrow(_spark_rows(lake), schema)
    return _to_delta(rows, "in_arrow", lake, repeated, size, _jvm())


def _spark_with_ours_to_nothing(lake: str, schema: str, ddl: str, repeated: str, size: int) -> Task:
    rows = _in_arrow(_spark_rows(lake), schema)
    return _to_nothing(rows, size, _jvm())


def _sail_to_delta(lake: str, schema: str, ddl: str, repeated: str, size: int) -> Task:
    from pysail.spark import SparkConnectServer
    from pyspark.sql.connect.session import SparkSession

    os.environ.setdefault("RUST_LOG", "error")
    server = SparkConnectServer()
    atexit.register(server.stop)  # which also keeps it: it ends when nobody refers to it
    server.start(background=True)
    host, port = server.listening_address
    spark = SparkSession.Builder().remote(f"sc://{host}:{port}").create()
    rows = _from_xml(spark.read.parquet(_source(lake)), ddl)
    return _to_delta(rows, "by_sail", lake, repeated, size, None)


OURS = "embedded engine, xml.flatten → Delta"
SAIL = "Sail, from_xml → Delta"
WAYS: dict[str, Callable[..., Task]] = {
    OURS: _by_thresher("duckdb"),
    "Spark engine, xml.flatten → Delta": _by_thresher("spark"),
    "Spark, mapInArrow with xml.parse → Delta": _spark_with_ours_to_delta,
    "Spark, mapInArrow with xml.parse → nothing": _spark_with_ours_to_nothing,
    "Spark, from_xml → Delta": _spark_to_delta,
    "Spark, from_xml → nothing": _spark_to_nothing,
    SAIL: _sail_to_delta,
}
# These run on the peers' Python; the others need what the project needs.
PEERS = (SAIL,)
