"""What Spark's executors must have: this library in their Python, and the lake's folder under the same path.

Nothing of the library is sent to them but references to its functions, with what these were given. So each task looks
first whether it is there, and the same. The inner functions of this module go as a whole, and need PySpark alone.
"""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.errors import AnalysisException
from pyspark.sql.connect.session import SparkSession

import thresher
from thresher.engines import BatchFunction

UNFIT = "executor unfit"
_PROBES = 32


def shipped(function: BatchFunction, given: pa.Schema, wanted: pa.Schema) -> BatchFunction:
    """A batch function for executors: in batches of `given`, out batches of exactly `wanted`.

    Its tasks fail with a sentence that begins with UNFIT where this version of the library, or one that it needs, is
    not installed for the executor's Python.
    """
    packed: bytes = cloudpickle.dumps(function)  # type: ignore[no-untyped-call]
    version = thresher.__version__

    def exact(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # A name of the library outside of this function would be looked up before its first line runs.
        import importlib
        import pickle
        import socket
        import sys

        where = f"{UNFIT}: {socket.gethostname()}, {sys.executable}"
        try:
            found = importlib.import_module("thresher").__version__
            if found != version:
                raise RuntimeError(f"{where}: found thresher {found}, expected {version}")
            ready: BatchFunction = pickle.loads(packed)
        except (ImportError, AttributeError) as error:
            raise RuntimeError(f"{where}: {error}; expected thresher {version} with its libraries") from None
        from thresher.errors import SchemaMismatch

        for batch in ready(one.cast(given) for one in batches):
            if batch.schema != wanted:
                raise SchemaMismatch(f"a batch function gave\n{batch.schema}\nexpected\n{wanted}")
            yield batch

    return exact


def blind_to(spark: SparkSession, folder: Path) -> list[str]:
    """Who of the server and its executors does not see a folder of this machine; a file is made in it to find out.

    Executors are asked by as many tasks as a shuffle has, at most 32; one that gets none of them is not heard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f"seen-{secrets.token_hex(8)}"
    probe.touch()
    try:
        return _blind_executors(spark, str(probe)) if _sees(spark, probe) else ["the server"]
    finally:
        probe.unlink()


def _sees(spark: SparkSession, file: Path) -> bool:
    try:
        return bool(spark.read.text(re.sub(r"([*?\[\]{}\\])", r"\\\1", str(file))).schema)
    except AnalysisException:
        return False


def _blind_executors(spark: SparkSession, file: str) -> list[str]:
    def asked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import socket

        hosts = [] if os.path.exists(file) else [f"executor {socket.gethostname()}"]
        for _ in batches:
            yield pa.RecordBatch.from_pydict({"host": pa.array(hosts, pa.string())})

    tasks = min(_PROBES, int(spark.conf.get("spark.sql.shuffle.partitions") or 1))
    rows = spark.range(0, tasks, 1, tasks).mapInArrow(asked, "host string").toArrow()
    return sorted(set(rows.column("host").to_pylist()))
