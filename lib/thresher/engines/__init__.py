"""The small interface behind which rows are computed; nothing above it asks which engine runs.

| THRESHER_ENGINE | engine |
|---|---|
| `duckdb` (default) | DuckDB with deltalake, in this process: `embedded.py` |
| `spark` | Apache Spark by Connect, a local server kept warm and shared: `spark.py`, `spark_server.py` |
| `sc://host:port` | Apache Spark by Connect, a cluster's: `spark.py` |
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from thresher.errors import UsageError
from thresher.frame import Frame
from thresher.spark_address import check_answers

BatchFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class Engine(Protocol):
    """Computes frames and keeps Delta tables. A `table` is the folder of one Delta table."""

    name: str

    def from_arrow(self, rows: pa.Table) -> Frame:
        """A frame of rows that are at hand."""

    def sql(self, query: str, frames: Mapping[str, Frame]) -> Frame:
        """The result of one query in Spark's dialect over frames by name (`zone.name` or a plain name).

        Lazy. Raises SqlError for text that cannot be parsed or names what is not there, NotPortable where the
        embedded engine is not proven to agree with Spark.
        """

    def difference(self, frame: Frame, other: Frame) -> Frame:
        """The rows of a frame that the other lacks, as many copies as it lacks; null equals null, NaN equals NaN."""

    def is_same(self, frame: Frame, other: Frame) -> bool:
        """Whether two frames have the same columns and rows, as many copies of each, in whatever order.

        Null equals null, NaN equals NaN, 0.0 equals -0.0, and the order of a map's entries does not matter.
        """

    def stage(self, frame: Frame) -> Frame:
        """The same rows, computed once and kept (spilling to disk) for as long as the returned frame lives."""

    def spool(self, frame: Frame) -> Frame:
        """As `stage`, for rows that are to be read from first to last: only a few batches are in memory at a time."""

    def map_batches(
        self, frame: Frame, function: BatchFunction, schema: pa.Schema, *, rows_per_call: int | None = None
    ) -> Frame:
        """Each batch of the frame through a function from batches to batches, in parallel, computed once.

        `function` may be called many times, on any part of the rows and in any order; what it needs must be
        picklable. Every batch it yields must have exactly `schema`. `rows_per_call` keeps a batch small where each row
        stands for much work, such as a file.
        """

    def read(self, table: Path, version: int | None = None) -> Frame:
        """The rows of a Delta table, now or at an earlier version; later writes do not change the frame."""

    def versions(self, table: Path, one: int, other: int) -> tuple[Frame, Frame]:
        """The rows of a Delta table at two versions; rows that both have may be missing from both."""

    def write(
        self,
        table: Path,
        frame: Frame,
        *,
        mode: str,
        partition_by: Sequence[str],
        replace_where: Mapping[str, Any] | None,
        schema_mode: str | None,
        note: Mapping[str, str],
    ) -> None:
        """Commit rows to a Delta table: `mode` append or overwrite, all of it or one partition (`replace_where`).

        `schema_mode` is None (the frame has the table's schema), `merge` (add new columns) or `overwrite`.
        `note` is kept with the commit. Raises WriteConflict when other writers were faster.
        """

    def upsert(
        self,
        table: Path,
        frame: Frame,
        keys: Sequence[str],
        version: int,
        note: Mapping[str, str],
        *,
        deleted: str | None = None,
    ) -> None:
        """Update the rows that match on null-safe keys, insert the others, on top of exactly `version`.

        `frame` has the table's schema and unique keys, and where `deleted` names one, a boolean column more: true for
        rows to delete. Raises WriteConflict when the table moved on.
        """

    def close(self) -> None:
        """Give back what the engine holds."""


def check_available(name: str) -> None:
    """Raise EngineUnavailable, with the remedy, where an engine lacks what it needs, or its server does not answer."""
    if name == "duckdb":
        return
    from thresher.engines import spark_setup

    spark_setup.find_spark()
    if name == "spark":
        spark_setup.check_java(spark_setup.find_java())
    else:
        check_answers(name)


def open_engine(name: str | None = None) -> Engine:
    """The engine of that name, else of THRESHER_ENGINE, else the embedded one.

    Raises UsageError for an unknown name, EngineUnavailable where Spark cannot start (the message names the remedy).
    """
    name = name or os.environ.get("THRESHER_ENGINE") or "duckdb"
    if name == "duckdb":
        from thresher.engines.embedded import EmbeddedEngine

        return EmbeddedEngine()
    if name == "spark" or name.startswith("sc://"):
        from thresher.engines.spark import SparkEngine

        return SparkEngine(name)
    raise UsageError(f"unknown engine {name!r}; expected duckdb, spark or sc://host:port (THRESHER_ENGINE or --engine)")
