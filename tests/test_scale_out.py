"""The same pipelines, unchanged, on a real cluster: Spark's master, two workers and a Connect server, on this machine.

Everything is on 127.0.0.1, at ports that were free, and ends with the test run, however that ends.
"""

import ctypes
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from thresher import xml
from thresher.engines import spark_server, spark_setup
from thresher.errors import EngineUnavailable, LakeError
from thresher.lake import Lake
from thresher.parity import compare

ROOT = Path(__file__).resolve().parent.parent

_START_LIMIT_S = 240
_CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
# Small Java processes that live for a minute: the quick compiler alone, and the collector without threads.
_JAVA_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


class Servers:
    """Processes of Spark below one folder, ended together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "log4j2.properties").write_text(spark_server.LOG4J, encoding="utf-8")
        self._running = ExitStack()
        self._java = spark_setup.find_java()
        self._spark = spark_setup.find_spark()

    def start_cluster(self) -> "Cluster":
        """A master, two workers of one core each, and a Connect server with Delta whose two executors they run."""
        master, ui = _free_port(), _free_port()
        url = f"spark://127.0.0.1:{master}"
        self._start("master", "org.apache.spark.deploy.master.Master", "--port", master, "--webui-port", _free_port())
        for name in ("worker-1", "worker-2"):
            work = ["--cores", 1, "--memory", "1g", "--work-dir", self.folder / name, "--webui-port", 0, url]
            self._start(name, "org.apache.spark.deploy.worker.Worker", *work)
        settings = {
            "spark.master": url,
            "spark.ui.port": str(ui),
            "spark.executor.cores": "1",
            "spark.executor.memory": "1g",
            "spark.executor.extraJavaOptions": _JAVA_OPTIONS,
            "spark.scheduler.minRegisteredResourcesRatio": "1",  # no task before both executors are there
            "spark.python.daemon.module": "thresher.spark_daemon",  # a Python for each session is half as dear
        }
        return Cluster(self.start_connect(DELTA | settings | spark_setup.delta_jars()), ui)

    def start_connect(
        self, settings: Mapping[str, str], environment: Mapping[str, str] | None = None, before: tuple[str, ...] = ()
    ) -> str:
        """A Connect server with these settings; its address. `before` is what stands before its command."""
        port = _free_port()
        all_settings = {
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(port),
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.driver.extraJavaOptions": _JAVA_OPTIONS,
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "1",
            # Java would compile the queries of a few rows longer than it then computes.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
            **settings,
        }
        options = [part for name, value in all_settings.items() for part in ("--conf", f"{name}={value}")]
        command = [*before, str(self._spark / "bin" / "spark-submit"), "--class", _CONNECT, *options, "spark-internal"]
        server = self._run(f"connect-{port}", command, environment or {})
        _wait_for(port, server, self.folder / f"connect-{port}.log")
        return f"sc://localhost:{port}"

    def stop(self) -> None:
        """End all of them, and the executors that they started."""
        self._running.close()

    def _start(self, name: str, main_class: str, *arguments: object) -> None:
        # Not spark-class: it starts a Java of its own to find out what this says.
        java = [str(self._java), *_JAVA_OPTIONS.split(), "-cp", f"{self.folder}:{self._spark}/jars/*", main_class]
        command = [*java, "--host", "127.0.0.1", *map(str, arguments)]
        self._run(name, command, {})

    def _run(self, name: str, command: list[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        own = ("SPARK_", "PYSPARK_", "PYTHON", "THRESHER_")
        inherited = {each: value for each, value in os.environ.items() if not each.startswith(own)}
        needed = {
            "JAVA_HOME": str(self._java.parent.parent),
            "SPARK_HOME": str(self._spark),
            "SPARK_CONF_DIR": str(self.folder),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_SCALA_VERSION": "2.13",  # of the executors that a worker starts
            "SPARK_LOCAL_DIRS": str(self.folder / "local"),
            "PYSPARK_PYTHON": sys.executable,
        }
        with open(self.folder / f"{name}.log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=inherited | needed | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_this_process,
            )
        self._running.callback(_end, process)
        return process


class Cluster:
    """A running cluster: its address, and what it tells of itself."""

    def __init__(self, url: str, ui: int) -> None:
        self.url = url
        self._ui = f"http://127.0.0.1:{ui}/api/v1/applications"

    def executors(self) -> dict[str, dict[str, Any]]:
        """What Spark tells of each executor that is alive, by its id."""
        (application,) = _json(self._ui)
        told = _json(f"{self._ui}/{application['id']}/executors")
        return {each["id"]: each for each in told if each["id"] != "driver"}


def executor_process(executor: Mapping[str, Any]) -> psutil.Process:
    """The Java process of an executor on this machine, by the port that it listens at."""
    port = int(str(executor["hostPort"]).rpartition(":")[2])
    pids = {each.pid for each in psutil.net_connections("tcp") if each.laddr.port == port and each.status == "LISTEN"}
    return psutil.Process(pids.pop() or 0)


def _json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < give_up and server.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no Spark server at port {port}: {log.read_text(encoding='utf-8')[-2000:]}")


def _end_with_this_process() -> None:
    # Also where this process is killed. A worker's executors end with it.
    ctypes.CDLL(None).prctl(1, 9)


def _end(process: "subprocess.Popen[bytes]") -> None:
    started = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for each in started:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            pass


@pytest.fixture(scope="module")
def servers(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("spark-servers"))
    yield servers
    servers.stop()
    shutil.rmtree(servers.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(servers: Servers) -> Cluster:
    cluster = servers.start_cluster()
    deadline = time.monotonic() + 120
    while len(cluster.executors()) < 2:
        assert time.monotonic() < deadline, "the workers started no executors"
        time.sleep(0.2)
    return cluster


def thresher(*arguments: str | Path, project: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user has it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("THRESHER_")}
    command = [sys.executable, "-m", "thresher", *map(str, arguments)]
    return subprocess.run(
        command, cwd=project, env=inherited | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("pipeline", "datasets"), [("courses", 11), ("invoices", 13)])
def test_sample_pipelines_give_the_same_tables_on_a_cluster(cluster: Cluster, pipeline: str, datasets: int) -> None:
    before = {name: each["totalTasks"] for name, each in cluster.executors().items()}
    done = thresher("check", "parity", pipeline, "--engine", cluster.url)
    assert done.returncode == 0, done.stdout + done.stderr
    compared = done.stdout.splitlines()[1:-1]  # with what went to quarantine
    assert len(compared) == datasets and all(line.endswith(" rows  equal") for line in compared), done.stdout
    after = cluster.executors()
    assert len(before) == len(after) == 2
    assert all(after[name]["totalTasks"] - tasks > 20 for name, tasks in before.items())


def test_the_library_runs_in_the_python_of_both_executors(cluster: Cluster, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", cluster.url)
    schema = pa.schema({"parent": pa.int64(), "title": pa.string()})

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = xml.parse(batch.column("document"), xml.discover(batch.column("document")))
            titles = [each["title"] for each in found.values.to_pylist()]
            # The worker's parent is a daemon, and its parent is the executor.
            parent = psutil.Process().parent().parent().pid
            yield pa.record_batch([pa.array([parent] * len(titles)), pa.array(titles)], schema)

    documents = lake.frame([{"document": f"<book><title>No. {n}</title></book>"} for n in range(100)])
    read_there = lake.engine.map_batches(documents, read, schema).to_arrow()
    lake.engine.close()
    assert sorted(read_there["title"].to_pylist()) == sorted(f"No. {n}" for n in range(100))
    executors = {executor_process(each).pid for each in cluster.executors().values()}
    assert set(read_there["parent"].to_pylist()) == executors


def test_steps_of_both_engines_share_one_lake(cluster: Cluster, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in ("notebooks", "pipelines", "data/sample/courses"):
        shutil.copytree(ROOT / name, project / name)
    (project / "pyproject.toml").write_text("")
    file = project / "pipelines" / "courses.yml"
    text = file.read_text()
    for step in ("flatten", "fact_course_material"):
        text = re.sub(rf"^  {step}:$", r"\g<0>\n    engine: ${env:HEAVY}", text, flags=re.MULTILINE)
    file.write_text(text)
    planned = thresher("plan", "courses", "--lake", tmp_path / "lake", project=project, HEAVY=cluster.url)
    assert planned.stdout.count(f"engine {cluster.url}") == 2
    done = thresher("run", "courses", "--lake", tmp_path / "lake", project=project, HEAVY=cluster.url)
    assert done.returncode == 0, done.stdout + done.stderr
    alone = thresher("run", "courses", "--lake", tmp_path / "embedded", project=project, HEAVY="duckdb")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    mixed = Lake(tmp_path / "lake", engine="duckdb")
    compared = compare(Lake(tmp_path / "embedded", engine="duckdb"), mixed)
    assert len(compared) == 11 and [each for each in compared if each.difference] == []
    with_spark = [name for name in mixed.names() if _was_written_by_spark(mixed, name)]
    assert with_spark == [
        "curated.courses",
        "curated.courses_book",
        "curated.courses_book_author",
        "mart.fact_course_material",
        "quarantine.curated_courses",
    ]
    again = thresher("plan", "courses", "--lake", tmp_path / "lake", project=project, HEAVY=cluster.url)
    assert again.stdout.count("nothing changed") == 8


def _was_written_by_spark(lake: Lake, name: str) -> bool:
    return "Apache-Spark" in str(DeltaTable(lake.location(name)).history(1)[0].get("engineInfo"))


def test_a_step_ends_right_when_an_executor_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", cluster.url)
    given = lake.frame([{"n": n} for n in range(40)])
    begun = tmp_path / "begun"

    def slow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            begun.touch()
            time.sleep(2)
            yield batch

    with ThreadPoolExecutor() as pool:
        mapped = pool.submit(lake.engine.map_batches, given, slow, given.schema)
        while not begun.exists():
            time.sleep(0.05)
        executor_process(next(iter(cluster.executors().values()))).kill()
        rows = mapped.result(timeout=120)
    lake.write("raw.numbers", rows)
    assert sorted(lake.read("raw.numbers").to_arrow()["n"].to_pylist()) == list(range(40))
    lake.engine.close()


@dataclass(frozen=True)
class BareServer:
    """A server with a token, without Delta, whose Python lacks this library; `hidden` is a folder of another disk."""

    address: str
    hidden: Path


@pytest.fixture(scope="module")
def bare_server(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> BareServer:
    token = secrets.token_urlsafe(16)
    python = tmp_path_factory.mktemp("bare") / "python"
    libraries = Path(pa.__file__).parents[1]
    # Without site, the editable install of the library is not found; what Spark itself needs is.
    python.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{libraries}" exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    environment = {"PYSPARK_PYTHON": str(python), "SPARK_CONNECT_AUTHENTICATE_TOKEN": token}
    hidden = tmp_path_factory.mktemp("hidden")
    elsewhere = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden))
    before = elsewhere if _may_mount() else ()
    url = servers.start_connect({"spark.master": "local[1]"}, environment, before)
    return BareServer(f"{url}/;token={token}", hidden)


def _may_mount() -> bool:
    tried = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    try:
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not _may_mount(), reason="this user may not give a process a view of its own of the disks")
def test_a_lake_that_the_server_does_not_see_is_told(bare_server: BareServer) -> None:
    lake = Lake(bare_server.hidden, bare_server.address)
    with pytest.raises(LakeError) as told:
        lake.write("raw.t", [{"n": 1}])
    lake.engine.close()
    assert str(told.value) == (
        f"engine {lake.engine.name}: {bare_server.hidden / 'raw'} is not seen by the server; nothing was written. "
        f"A lake must be mounted under the same path here, on the server and on every executor."
    )
    assert list((bare_server.hidden / "raw").iterdir()) == []


def test_an_executor_without_the_library_is_told(bare_server: BareServer, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", bare_server.address)
    rows = lake.frame([{"n": 1}])
    with pytest.raises(EngineUnavailable) as told:
        lake.engine.map_batches(rows, lambda batches: batches, rows.schema)
    lake.engine.close()
    assert re.fullmatch(
        r"engine spark: an executor cannot run the library: \S+, \S+python\S*: No module named 'thresher'; "
        r"expected thresher \S+ with its libraries. Install it there \(docs/scale.md\).",
        str(told.value),
    )


def test_a_server_without_delta_is_told(bare_server: BareServer, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", bare_server.address)
    with pytest.raises(EngineUnavailable, match="--packages io.delta:delta-spark_4.2_2.13:4.4.0"):
        lake.write("raw.t", [{"n": 1}])
    lake.engine.close()
    assert not lake.exists("raw.t")


def test_a_token_is_shown_nowhere(tmp_path: Path) -> None:
    address = "sc://localhost:1/;token=hunter22;user_id=etl"
    done = thresher("run", "courses", "--lake", tmp_path / "lake", "--engine", address)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: engine sc://localhost:1/;user_id=etl: no Spark Connect server answers ([Errno 111] Connection refused)"
    )
    with pytest.raises(
        EngineUnavailable, match="^engine sc://localhost:1/;user_id=etl: no session on the server: "
    ) as no:
        Lake(tmp_path / "lake", address)
    shown = [done.stdout, done.stderr, str(no.value)]
    kept = [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in shown + kept if "hunter22" in text]


def test_a_token_in_a_pipeline_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "p.yml").write_text(
        "name: p\n"
        "params: {heavy: duckdb}\n"
        "steps:\n"
        "  a: {notebook: notebooks/01_ingest.ipynb, engine: '${heavy}', writes: {target: raw.a}}\n"
        "  b: {notebook: notebooks/01_ingest.ipynb, engine: '${havy}', writes: {target: raw.b}}\n"
    )
    done = thresher("plan", "p", "--lake", "lake", "-p", "heavy=sc://spark/;token=hunter22", project=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    told = done.stderr.splitlines()
    assert (
        "pipelines/p.yml:4: engine: found a token in the address (not shown), expected it in the variable "
        "SPARK_CONNECT_AUTHENTICATE_TOKEN"
    ) in told
    assert "pipelines/p.yml:5: unknown ${havy}. Did you mean heavy?" in told
    assert "hunter22" not in done.stderr
