"""What a local Spark server needs on this machine: Java, pip's PySpark, Delta's jars, and its settings.

| variable | meaning | default |
|---|---|---|
| `JAVA_HOME` | the Java to use, 17 or newer | the `java` on the PATH |
| `THRESHER_SPARK_MEMORY` | memory of the server, as Java writes it | `2g` |
| `THRESHER_SPARK_JARS` | folder with Delta's jars, where neither Maven nor Ivy can fetch them | fetched once |
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from thresher.errors import EngineUnavailable

SPARK_LINE = "4.2"
DELTA_VERSION = "4.4.0"
# Delta needs no more than these: what else they name comes with Spark, in the version that Spark is tested with.
DELTA_JARS = (
    f"delta-spark_{SPARK_LINE}_2.13",
    "delta-storage",
    "delta-kernel-api",
    "delta-kernel-defaults",
    "delta-kernel-unitycatalog",
)
PACKAGE_FOLDER = Path(__file__).resolve().parents[2]
_JAVA_REMEDY = (
    "Install Java 17 (`apt-get install openjdk-17-jre-headless`, or conda's openjdk by environment.yml) and set "
    "JAVA_HOME to it; or use the embedded engine (THRESHER_ENGINE=duckdb)."
)
_FETCH_LIMIT_S = 300


def cache_folder() -> Path:
    """Where fetched and compiled jars are kept between runs, for this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thresher"


def find_java() -> Path:
    """The `java` of JAVA_HOME, else of the PATH; raises EngineUnavailable."""
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if not os.access(java, os.X_OK):
            raise EngineUnavailable(f"engine spark: JAVA_HOME is {home}, but {java} cannot be run. {_JAVA_REMEDY}")
        return java.resolve()
    found = shutil.which("java")
    if not found:
        raise EngineUnavailable(f"engine spark: no Java found: no JAVA_HOME, no java on the PATH. {_JAVA_REMEDY}")
    return Path(found).resolve()


def check_java(java: Path) -> None:
    """Raise EngineUnavailable unless this Java is 17 or newer."""
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', said.stdout + said.stderr)
    if not version:
        raise EngineUnavailable(f"engine spark: {java} tells no version: {said.stderr[:200]!r}. {_JAVA_REMEDY}")
    if int(version[1]) < 17:
        raise EngineUnavailable(f"engine spark: {java} is Java {version[1]}; expected 17 or newer. {_JAVA_REMEDY}")


def find_spark() -> Path:
    """The folder of pip's PySpark, which serves as SPARK_HOME; raises EngineUnavailable."""
    remedy = 'Install it with `pip install "thresher[spark]"`, or use the embedded engine (THRESHER_ENGINE=duckdb).'
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None or importlib.util.find_spec("grpc") is None:
        raise EngineUnavailable(f"engine spark: PySpark with Spark Connect is not installed. {remedy}")
    version = importlib.metadata.version("pyspark")
    home = Path(spec.origin).parent
    whole = (home / "jars").is_dir()
    if not version.startswith(f"{SPARK_LINE}.") or not whole:
        raise EngineUnavailable(
            f"engine spark: found PySpark {version}{'' if whole else ' without its jars'} in {home}; "
            f"expected {SPARK_LINE}, for which Delta {DELTA_VERSION} is made. {remedy}"
        )
    return home


def delta_jars() -> dict[str, str]:
    """The setting that puts Delta on Spark's class path.

    The folder THRESHER_SPARK_JARS, else the jars fetched by Maven once and kept; without Maven, Spark fetches them
    itself. Raises EngineUnavailable for a folder that lacks one of them.
    """
    chosen = os.environ.get("THRESHER_SPARK_JARS")
    folder = Path(chosen) if chosen else cache_folder() / f"delta-{DELTA_VERSION}-spark-{SPARK_LINE}"
    names = [f"{jar}-{DELTA_VERSION}.jar" for jar in DELTA_JARS]
    missing = [name for name in names if not (folder / name).is_file()]
    if chosen and missing:
        raise EngineUnavailable(f"engine spark: THRESHER_SPARK_JARS is {folder}, which lacks {', '.join(missing)}")
    if missing and not _fetched_by_maven(folder):
        return {
            "spark.jars.packages": ",".join(f"io.delta:{jar}:{DELTA_VERSION}" for jar in DELTA_JARS),
            # Otherwise a second parquet, hadoop and log4j, of other versions, would come with them.
            "spark.jars.excludes": ",".join(f"{group}:*" for group in _DELTA_NEEDS),
            "spark.jars.ivy": str(cache_folder() / "ivy"),
        }
    return {"spark.jars": ",".join(str(folder / name) for name in names)}


_DELTA_NEEDS = (
    "org.scala-lang",
    "io.unitycatalog",
    "org.roaringbitmap",
    "org.slf4j",
    "com.fasterxml.jackson.core",
    "com.fasterxml.jackson.datatype",
    "com.google.code.findbugs",
    "org.apache.hadoop",
    "org.apache.parquet",
    "org.apache.logging.log4j",
)


def _fetched_by_maven(folder: Path) -> bool:
    """Fill the folder with Delta's jars by Maven, which knows the mirrors of this machine; false if it cannot."""
    maven = shutil.which("mvn")
    if not maven:
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as work:
        wanted = "".join(
            f"<dependency><groupId>io.delta</groupId><artifactId>{jar}</artifactId>"
            f"<version>{DELTA_VERSION}</version></dependency>"
            for jar in DELTA_JARS
        )
        pom = Path(work) / "pom.xml"
        pom.write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>thresher</groupId><artifactId>jars</artifactId>"
            f"<version>1</version><dependencies>{wanted}</dependencies></project>",
            encoding="utf-8",
        )
        command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={work}/jars", "-DexcludeTransitive=true"]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_FETCH_LIMIT_S, cwd=work)
        except (OSError, subprocess.TimeoutExpired):
            return False
        if done.returncode or not (Path(work) / "jars").is_dir():
            return False
        folder.mkdir(exist_ok=True)
        for jar in (Path(work) / "jars").iterdir():
            os.replace(jar, folder / jar.name)
    return True


def lake_catalog_jar() -> Path:
    """The jar of `LakeCatalog.scala`, compiled once with the compiler that comes with Spark."""
    spark, java = find_spark(), find_java()
    source = Path(__file__).with_name("LakeCatalog.scala")
    key = sha256(source.read_bytes() + str(spark).encode()).hexdigest()[:16]
    jar = cache_folder() / f"lake-catalog-{key}.jar"
    jar.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(jar.with_suffix(".lock")):
        if not jar.is_file():
            fresh = jar.with_suffix(".new.jar")
            command = [str(java), "-cp", f"{spark}/jars/*", "scala.tools.nsc.Main", "-usejavacp", "-d", str(fresh)]
            done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise EngineUnavailable(f"engine spark: {source.name} cannot be compiled with {java}:\n{done.stdout}")
            os.replace(fresh, jar)
    return jar


def settings(folder: Path) -> dict[str, str]:
    """The server's settings, each with its reason; `folder` takes what Spark leaves on disk."""
    cores = str(os.cpu_count() or 2)
    return {
        "spark.master": "local[*]",
        "spark.driver.memory": os.environ.get("THRESHER_SPARK_MEMORY") or "2g",
        # A server that does small steps compiles more than it computes: the costly second compiler only for what is
        # hot by far (a fifth less processor time in the first minutes, the same speed afterwards).
        "spark.driver.extraJavaOptions": "-XX:+UseParallelGC -XX:Tier4InvocationThreshold=20000 "
        "-XX:Tier4MinInvocationThreshold=5000 -XX:Tier4CompileThreshold=40000",
        # Nothing that the server opens can be reached from another machine, or by another user of this one.
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.authenticate": "true",
        "spark.ui.enabled": "false",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.sources.default": "delta",  # CREATE TABLE without USING
        # Spark's defaults are for a cluster: 200 and 50 tasks for each small shuffle and each table's log.
        "spark.sql.shuffle.partitions": cores,
        "spark.databricks.delta.snapshotPartitions": "1",
        # Without it Spark compiles PySpark anew for each session that runs Python: half of what that Python costs.
        "spark.python.daemon.module": "thresher.spark_daemon",
        # A notebook may rest for a day before its next query.
        "spark.connect.session.manager.defaultSessionTimeout": "24h",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
