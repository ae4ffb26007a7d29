"""The scale-out engine: Apache Spark by Connect, on the local warm server or on a cluster."""

import atexit
import json
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from thresher import disk_space, errors, sql
from thresher.engines import BatchFunction, spark_server, spark_setup
from thresher.errors import (
    DataError,
    EngineUnavailable,
    LakeError,
    SchemaMismatch,
    SqlError,
    ThresherError,
    TransientError,
    UsageError,
    WriteConflict,
)
from thresher.frame import Frame
from thresher.spark_address import TOKEN_VARIABLE, without_token
from thresher.sql.params import literal
from thresher.types import canonical_schema, ddl, quoted

try:
    from pyspark import StorageLevel
    from pyspark.errors import AnalysisException, PySparkException, PySparkValueError
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.functions import expr
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    from pyspark.sql.types import ArrayType, DataType, GeographyType, GeometryType, StructType, VariantType
except ImportError as missing:
    raise EngineUnavailable(
        f"engine spark: PySpark with Spark Connect is not installed ({missing}). Install it with `pip install "
        f'"thresher[spark]"`, or use the embedded engine (THRESHER_ENGINE=duckdb).'
    ) from missing

from thresher.engines.spark_executors import UNFIT, blind_to, shipped  # noqa: E402 - it needs PySpark

# What each session sets, on the local server and on a cluster.
_SETTINGS: dict[str, str] = {
    # The same instants, overflows and bad casts as on the embedded engine.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # Tables that deltalake reads: no deletion vectors; timestamps as in Arrow, not as INT96.
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Documents are large: a batch of 10,000 of them must not have to fit into memory.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(32 * 1024 * 1024),
    # The server's Java frames stand in its log; users read the message.
    "spark.sql.pyspark.jvmStacktrace.enabled": "false",
}
_DELTA_MISSING = (
    f"The server has no Delta Lake: start it with --packages io.delta:{spark_setup.DELTA_JARS[0]}:"
    f"{spark_setup.DELTA_VERSION} and the two settings that docs/scale.md shows."
)
_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


# Each error that this module turns into one of ours would also be printed, as one long line of JSON.
logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)


class SparkFrame(Frame):
    """A Spark DataFrame: a plan, computed by the server at each use unless it was staged.

    `made_of` are the frames that it reads: the server forgets staged rows when the frame that staged them is gone,
    and a plan that came back from the server does not hold that frame.
    """

    def __init__(
        self, engine: "SparkEngine", rows: DataFrame, made_of: Sequence[Frame] = (), *, is_staged: bool = False
    ):
        self.engine: SparkEngine = engine
        self.is_staged = is_staged
        self._rows = rows
        self._made_of = tuple(made_of)
        with _readable():
            kinds = rows.schema
        _refuse_opaque(kinds, "")
        self._schema = canonical_schema(to_arrow_schema(kinds, timezone="UTC"))

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    @property
    def native(self) -> DataFrame:
        return self._rows

    def batches(self) -> pa.RecordBatchReader:
        # What DataFrame.toLocalIterator does, before it turns the batches into rows.
        client, rows = self.engine.spark.client, cast(Any, self._rows)
        plan = rows._plan.to_proto(client)

        def exact() -> Iterator[pa.RecordBatch]:
            with _readable():
                for part in client.to_table_as_iterator(plan, {}):
                    if isinstance(part, pa.Table):
                        yield from part.cast(self._schema).to_batches()

        return pa.RecordBatchReader.from_batches(self._schema, exact())

    def count(self) -> int:
        with _readable():
            return int(self._rows.count())

    def head(self, rows: int = 10) -> "SparkFrame":
        return SparkFrame(self.engine, self._rows.limit(rows), [self])


class SparkEngine:
    """See `thresher.engines.Engine`. `spark` is the SparkSession, this engine's alone; `address` holds the token."""

    def __init__(self, name: str = "spark") -> None:
        self.name = without_token(name)
        self.address = name
        self.spark = _connect(name)
        self._noting = threading.Lock()
        is_elsewhere = name.startswith("sc://")
        # A server of this machine sees what this process sees.
        self._is_seen = not is_elsewhere
        # Executors come and go: what one had staged must not go with it.
        self._kept = StorageLevel.MEMORY_AND_DISK_2 if is_elsewhere else StorageLevel.MEMORY_AND_DISK

    def from_arrow(self, rows: pa.Table) -> SparkFrame:
        schema = canonical_schema(rows.schema)
        with _readable():
            made = self.spark.createDataFrame(rows.cast(schema), from_arrow_schema(schema, prefer_timestamp_ntz=True))
        return SparkFrame(self, made)

    def sql(self, query: str, frames: Mapping[str, Frame]) -> SparkFrame:
        # Frames go with the query's plan: no views to clean up, none that two queries could share by mistake.
        names = {table: f"_thresher_frame_{n}_" for n, table in enumerate(frames)}
        text = sql.parse(query).to_spark(names)
        if names:  # only then spark.sql() reads {name} as one of them
            text = _escaped(text)
        for name in names.values():
            text = text.replace(name, f"{{{name}}}")
        with _readable():
            rows = self.spark.sql(text, **{names[table]: frame.native for table, frame in frames.items()})
        return SparkFrame(self, rows, list(frames.values()))

    def is_same(self, frame: Frame, other: Frame) -> bool:
        if frame.schema != other.schema or frame.count() != other.count():
            return False
        # As many rows in both: those that one lacks, the other has something else for.
        with _readable():
            ours, theirs = (each.native.selectExpr(*_comparable(each.schema)) for each in (frame, other))
            return bool(ours.exceptAll(theirs).isEmpty())

    def difference(self, frame: Frame, other: Frame) -> SparkFrame:
        maps = [field.name for field in frame.schema if pa.types.is_map(field.type)]
        with _readable():
            ours, theirs = (_with_entries(each.native, maps) for each in (frame, other))
            rows = ours.exceptAll(theirs)
            for name in maps:
                rows = rows.withColumn(name, expr(f"map_from_entries({quoted(name)})"))
            return SparkFrame(self, rows, [frame, other])

    def stage(self, frame: Frame) -> SparkFrame:
        if isinstance(frame, SparkFrame) and frame.engine is self and frame.is_staged:
            return frame
        # Not persist(): whether Spark finds those rows again depends on comparing plans. The checkpoint is named by
        # an id, spills to the server's disk, and is given back when the last frame that reads it is gone.
        with _readable(), self._active():
            rows = frame.native.localCheckpoint(eager=True, storageLevel=self._kept)
            return SparkFrame(self, rows, is_staged=True)

    def spool(self, frame: Frame) -> SparkFrame:
        return self.stage(frame)

    @contextmanager
    def _active(self) -> Iterator[None]:
        # PySpark 4.2 gives a checkpoint to the thread's active session, not to the one that made it.
        active = SparkSession._active_session
        before = getattr(active, "session", None)
        active.session = self.spark
        try:
            yield
        finally:
            active.session = before

    def map_batches(
        self, frame: Frame, function: BatchFunction, schema: pa.Schema, *, rows_per_call: int | None = None
    ) -> SparkFrame:
        exact = shipped(function, frame.schema, schema)
        with _readable():
            # A small table is one file, and one file is one task: spread its rows over all cores.
            tasks = int(self.spark.conf.get("spark.sql.shuffle.partitions") or 1)
            spread = frame.native.repartition(tasks)
            mapped = spread.mapInArrow(exact, from_arrow_schema(schema, prefer_timestamp_ntz=True))
            # Connect sends a string with its collation, which Delta would write down and deltalake cannot read; a type
            # that the server itself has parsed goes without.
            plain = [f"cast({quoted(f.name)} as {ddl(f.type)}) as {quoted(f.name)}" for f in schema]
            mapped = mapped.selectExpr(*plain)
            return self.stage(SparkFrame(self, mapped))

    def read(self, table: Path, version: int | None = None) -> SparkFrame:
        try:
            pinned = DeltaTable(table, version=version).version()
        except (DeltaError, OSError) as error:
            raise LakeError(f"{table} cannot be read as a Delta table: {error}") from error
        with _readable(LakeError, table):
            rows = self.spark.read.format("delta").option("versionAsOf", str(pinned)).load(str(table))
        return SparkFrame(self, rows)

    def versions(self, table: Path, one: int, other: int) -> tuple[SparkFrame, SparkFrame]:
        return self.read(table, one), self.read(table, other)

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
        self._require_sight(table)
        writer = frame.native.write.format("delta").mode(mode)
        if partition_by:
            writer = writer.partitionBy(*partition_by)
        if replace_where:
            writer = writer.option("replaceWhere", " and ".join(_equals(*pair) for pair in replace_where.items()))
        if schema_mode:
            writer = writer.option("mergeSchema" if schema_mode == "merge" else "overwriteSchema", "true")
        if note:
            writer = writer.option("userMetadata", _note(note))
        with _readable(SchemaMismatch, table):
            writer.save(str(table))

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
        """See `Engine.upsert`. Delta's MERGE cannot be told its version: a writer elsewhere that commits in the moment
        between this check and Delta's own is seen by Delta if it touched the same rows; others of this machine wait.
        """
        self._require_sight(table)
        found = DeltaTable(table).version()
        if found != version:
            raise WriteConflict(f"{_name(table)}: it is at version {found} by now, these rows were made for {version}")
        on = " and ".join(f"target.{quoted(key)} <=> source.{quoted(key)}" for key in keys)
        actions = "when matched then update set * when not matched then insert *"
        if deleted:
            columns = [_escaped(quoted(column)) for column in frame.columns if column != deleted]
            is_deleted = f"source.{_escaped(quoted(deleted))}"
            values = ", ".join(f"source.{column}" for column in columns)
            actions = (
                f"when matched and {is_deleted} then delete when matched then update set "
                f"{', '.join(f'{column} = source.{column}' for column in columns)} "
                f"when not matched and not {is_deleted} then insert ({', '.join(columns)}) values ({values})"
            )
        with self._noted(note), _readable(SchemaMismatch, table):
            self.spark.sql(
                f"merge into {_path(table)} as target using {{source_rows}} as source on {_escaped(on)} {actions}",
                source_rows=frame.native,
            )

    def _require_sight(self, table: Path) -> None:
        # Whoever does not see the lake would write to a disk of its own, and the commit would name files that are not
        # in the lake.
        if self._is_seen:
            return
        with _readable(LakeError, table):
            blind = blind_to(self.spark, table.absolute().parent)
        if blind:
            raise LakeError(
                f"engine {self.name}: {table.absolute().parent} is not seen by {', '.join(blind)}; nothing was "
                f"written. A lake must be mounted under the same path here, on the server and on every executor."
            )
        self._is_seen = True

    @contextmanager
    def _noted(self, note: Mapping[str, str]) -> Iterator[None]:
        # SQL statements take their note from the session, which the threads of a process share.
        with self._noting:
            if note:
                self.spark.conf.set(_USER_METADATA, _note(note))
            try:
                yield
            finally:
                if note:
                    self.spark.conf.unset(_USER_METADATA)

    def close(self) -> None:
        atexit.unregister(self.spark.stop)
        self.spark.stop()


class HasPath(Protocol):
    """What `session` needs of a lake."""

    path: Path


def session(lake: HasPath) -> SparkSession:
    """A SparkSession in which the lake's datasets are tables by their names: `spark.table("curated.courses")`.

    They can be queried, time-travelled, merged into and written (`df.writeTo("mart.x").createOrReplace()`), always at
    their newest version. Each session sees one lake; sessions do not share temporary views. The local server is
    started unless the lake's engine is a cluster, which must see the lake's folder under the same path. Raises
    EngineUnavailable.
    """
    name = getattr(getattr(lake, "engine", None), "address", "spark")
    spark = _connect(name)
    try:
        spark.addArtifacts(str(spark_setup.lake_catalog_jar()))
        spark.conf.set("spark.sql.catalog.lake", "thresher.LakeCatalog")
        spark.conf.set("spark.sql.catalog.lake.path", str(Path(lake.path).absolute()))
        spark.catalog.setCurrentCatalog("lake")
    except PySparkException as error:
        spark.stop()
        raise EngineUnavailable(
            f"engine {without_token(name)}: the lake cannot be shown as tables: {_message(error)}"
        ) from None
    return spark


def _connect(name: str) -> SparkSession:
    url, shown = (spark_server.ensure() if name == "spark" else name), without_token(name)
    # What getOrCreate() would set: without it pyspark.sql.functions and Window are those of a JVM in this process.
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    try:
        # Not getOrCreate(): frames of two lakes must not share a session.
        spark = SparkSession.Builder().remote(url).create()
    except PySparkValueError as error:
        reason = re.sub(r"token=[^;']*", "token=…", _message(error))
        raise UsageError(f"engine {shown}: {reason}") from None
    # By default ten minutes of retries, also when the interpreter ends, for a server that has gone.
    spark.client.set_retry_policies([DefaultPolicy(max_retries=4, max_backoff=5_000)])
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")  # the error says it, too
            for setting, value in _SETTINGS.items():
                spark.conf.set(setting, value)
    except PySparkException as error:
        spark.release_session_on_close = False  # nobody would answer
        spark.stop()
        remedy = _remedy(str(error))
        raise EngineUnavailable(f"engine {shown}: no session on the server: {_message(error)}{remedy}") from None
    # Before the frames that are left try, one by one, to give back what the server keeps for them.
    atexit.register(spark.stop)
    return spark


def _remedy(text: str) -> str:
    if "StatusCode.UNAUTHENTICATED" in text:
        return f". Set {TOKEN_VARIABLE} to the server's token."
    if "StatusCode.UNAVAILABLE" in text:
        return (
            ". Expected the host and port of a Spark Connect server (its default port is 15002); one with TLS needs "
            "use_ssl=true in its address, and a token is sent by TLS only, but for localhost."
        )
    return ""


@contextmanager
def _readable(unfit: type[ThresherError] = SqlError, table: Path | None = None) -> Iterator[None]:
    """Spark's errors as ours: `unfit` for what Spark refuses to run, DataError for rows that fail."""
    try:
        yield
    except PySparkException as error:
        text = _message(error)
        what = f"{_name(table)}: {text}" if table else text
        raised = _raised_in_worker(text)
        if raised:
            raise raised from None
        if "DATA_SOURCE_NOT_FOUND" in text and "delta" in text:
            raise EngineUnavailable(f"{what}. {_DELTA_MISSING}") from None
        if "DELTA_CONCURRENT" in text or "DELTA_METADATA_CHANGED" in text or "DELTA_PROTOCOL_CHANGED" in text:
            raise WriteConflict(what) from None
        if "CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND" in text:
            lost = "An executor was lost with rows that it kept for this step: run it again, or give it retries."
            raise TransientError(f"{what.rstrip('.')}. {lost}") from None
        if "INVALID_HANDLE" in text or "StatusCode.UNAVAILABLE" in str(error):
            raise EngineUnavailable(
                f"engine spark: the session has ended ({text[:200]}). Frames made before are gone: "
                f"open the lake again, or restart the notebook's kernel."
            ) from None
        if disk_space.is_full(error):
            raise disk_space.full(_name(table) if table else "rows", table or "the Spark server") from None
        raise (unfit if isinstance(error, AnalysisException) else DataError)(what) from None


def _message(error: PySparkException) -> str:
    """Spark's condition and its sentence, without the plan and the names that frames have in it."""
    text = str(error).partition("\n\nJVM stacktrace:")[0].partition("\n== SQL")[0]
    details = re.search(r'^\s*details = "(.*)"$', text, re.MULTILINE)  # what gRPC has to say
    if details:
        return details[1]
    text = re.sub(r"(; line \d+ pos \d+);?\n.*", r"\1", text, flags=re.DOTALL)
    return re.sub(r" SQLSTATE: \w{5}", "", text).strip()[:2000]


def _raised_in_worker(text: str) -> ThresherError | None:
    """What a function raised on purpose inside Spark's Python worker, from the last line of its traceback."""
    unfit = re.search(rf"{UNFIT}: (.*)", text)
    if unfit:
        return EngineUnavailable(
            f"engine spark: an executor cannot run the library: {unfit[1]}. Install it there (docs/scale.md)."
        )
    found = re.search(r"^thresher\.errors\.(\w+): (.*)", text, re.MULTILINE | re.DOTALL)
    kind = getattr(errors, found[1], None) if found else None
    return kind(found[2].strip()) if found and kind else None


def _refuse_opaque(kind: DataType, path: str) -> None:
    # Their Arrow form is a struct of other columns, which would pass for one.
    if isinstance(kind, VariantType | GeometryType | GeographyType):
        raise SchemaMismatch(
            f"column {path}: type {kind.simpleString()} cannot be stored in a table of the lake. Cast the column first."
        )
    if isinstance(kind, ArrayType):
        _refuse_opaque(kind.elementType, f"{path}[]")
    if isinstance(kind, StructType):
        for field in kind.fields:
            _refuse_opaque(field.dataType, f"{path}.{field.name}" if path else field.name)


def _with_entries(rows: DataFrame, maps: Sequence[str]) -> DataFrame:
    """Maps, which Spark does not compare, as their entries in order."""
    for name in maps:
        rows = rows.withColumn(name, expr(f"array_sort(map_entries({quoted(name)}))"))
    return rows


def _comparable(schema: pa.Schema) -> list[str]:
    return [f"{_with_sorted_entries(quoted(field.name), field.type, 0)} as {quoted(field.name)}" for field in schema]


def _with_sorted_entries(value: str, kind: pa.DataType, depth: int) -> str:
    """The value with each map in it, which Spark does not compare, as its entries in order."""
    if "map<" not in ddl(kind):
        return value
    if pa.types.is_map(kind):
        entry = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        return f"array_sort({_with_sorted_entries(f'map_entries({value})', pa.list_(entry), depth)})"
    if pa.types.is_list(kind):
        element = f"e{depth}"
        made = _with_sorted_entries(element, kind.value_type, depth + 1)
        return value if made == element else f"transform({value}, {element} -> {made})"
    parts = ((literal(f.name), _with_sorted_entries(f"{value}.{quoted(f.name)}", f.type, depth)) for f in kind)
    fields = ", ".join(f"{name}, {part}" for name, part in parts)
    return f"if({value} is null, null, named_struct({fields}))"


def _equals(column: str, value: Any) -> str:
    return f"{quoted(column)} is null" if value is None else f"{quoted(column)} = {literal(value)}"


def _path(table: Path) -> str:
    return "delta." + _escaped("`" + str(table.absolute()).replace("`", "``") + "`")


def _escaped(text: str) -> str:
    # spark.sql() with frames reads {name} as one of them.
    return text.replace("{", "{{").replace("}", "}}")


def _name(table: Path) -> str:
    return f"{table.parent.name}.{table.name}"


def _note(note: Mapping[str, str]) -> str:
    return json.dumps(dict(note), sort_keys=True)
