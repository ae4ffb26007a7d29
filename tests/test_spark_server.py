"""One warm Spark server per user: shared, private, ended when idle, never an orphan."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from thresher.engines import spark_server, spark_setup
from thresher.errors import EngineUnavailable

ASK = "from thresher.engines import spark_server; print(spark_server.ensure())"


def until(condition: Callable[[], bool], seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def own_server(spark_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server apart from the other tests', for a test that ends it."""
    monkeypatch.setenv("THRESHER_SPARK_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    spark_server.stop()


@pytest.mark.spark
def test_the_second_to_ask_gets_the_same_server(spark_home: Path) -> None:
    url = spark_server.ensure()
    started_at = time.monotonic()
    assert spark_server.ensure() == url
    assert time.monotonic() - started_at < 2


@pytest.mark.spark
def test_only_this_user_on_this_machine_can_reach_it(spark_home: Path) -> None:
    spark_server.ensure()
    server = spark_server.status()
    assert server is not None
    (state,) = spark_home.glob("*/server.json")
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
    jvm = psutil.Process(server.jvm)
    listening = {c.laddr.ip for c in jvm.net_connections(kind="tcp") if c.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    told = [*jvm.cmdline(), *psutil.Process(server.supervisor).cmdline()]
    assert not any(server.token in part for part in told)


@pytest.mark.spark
@pytest.mark.parametrize("token", ["/;token=guessed", ""], ids=["wrong token", "no token"])
def test_a_client_without_the_token_is_refused(spark_home: Path, token: str) -> None:
    from thresher.engines.spark import SparkEngine

    server = spark_server.ensure().partition("/;")[0]
    with pytest.raises(EngineUnavailable, match="Set SPARK_CONNECT_AUTHENTICATE_TOKEN to the server's token") as told:
        SparkEngine(server + token)
    assert "guessed" not in str(told.value)


@pytest.mark.spark
def test_ten_who_ask_at_once_get_one_server_that_outlives_them_and_ends_when_idle(
    own_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THRESHER_SPARK_IDLE_MINUTES", "0.2")
    environment = os.environ | {"PYTHONPATH": str(spark_setup.PACKAGE_FOLDER)}
    asking = [
        subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(10)
    ]
    urls = {process.communicate(timeout=180)[0].strip() for process in asking}
    assert len(urls) == 1
    server = spark_server.status()
    assert server is not None and urls == {server.url}
    assert len(list(own_server.glob("*/server.json"))) == 1
    assert until(lambda: not psutil.pid_exists(server.jvm) and not psutil.pid_exists(server.supervisor), 60)
    assert list(own_server.glob("*/server.json")) == []
    assert spark_server.status() is None


@pytest.mark.spark
def test_a_killed_server_is_replaced_and_a_killed_supervisor_leaves_no_orphan(own_server: Path) -> None:
    first = spark_server.ensure()
    killed = spark_server.status()
    assert killed is not None
    os.kill(killed.jvm, signal.SIGKILL)
    assert until(lambda: spark_server.status() is None, 10)
    assert spark_server.ensure() != first
    second = spark_server.status()
    assert second is not None and second.answers
    os.kill(second.supervisor, signal.SIGKILL)
    if sys.platform == "linux":
        assert until(lambda: not psutil.pid_exists(second.jvm), 20)
    assert until(lambda: not psutil.pid_exists(killed.supervisor), 10)


@pytest.mark.spark
def test_a_server_that_cannot_start_tells_why(own_server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHER_SPARK_MEMORY", "lots")
    with pytest.raises(EngineUnavailable) as told:
        spark_server.ensure()
    assert "engine spark: the local server did not start. Read the log; THRESHER_SPARK_MEMORY sets" in str(told.value)
    assert "-Xmxlots" in str(told.value)


@pytest.mark.spark
def test_another_environment_gets_a_server_of_its_own(spark_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spark_server.ensure()
    monkeypatch.setenv("THRESHER_SPARK_MEMORY", "1g")
    assert spark_server.status() is None


def test_without_java_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable) as told:
        spark_server.ensure()
    assert str(told.value) == (
        "engine spark: no Java found: no JAVA_HOME, no java on the PATH. Install Java 17 "
        "(`apt-get install openjdk-17-jre-headless`, or conda's openjdk by environment.yml) and set JAVA_HOME to it; "
        "or use the embedded engine (THRESHER_ENGINE=duckdb)."
    )


def test_a_java_home_without_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EngineUnavailable, match=f"JAVA_HOME is {tmp_path}, but {tmp_path}/bin/java cannot be run"):
        spark_server.ensure()


def test_an_old_java_is_named(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    with pytest.raises(EngineUnavailable, match=f"{java} is Java 11; expected 17 or newer. Install Java 17"):
        spark_setup.check_java(java)


def test_without_pyspark_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable) as told:
        spark_setup.find_spark()
    assert str(told.value) == (
        "engine spark: PySpark with Spark Connect is not installed. Install it with "
        '`pip install "thresher[spark]"`, or use the embedded engine (THRESHER_ENGINE=duckdb).'
    )


def test_a_folder_that_lacks_jars_of_delta_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for jar in spark_setup.DELTA_JARS[1:]:
        (tmp_path / f"{jar}-4.4.0.jar").touch()
    monkeypatch.setenv("THRESHER_SPARK_JARS", str(tmp_path))
    with pytest.raises(EngineUnavailable) as told:
        spark_setup.delta_jars()
    expected = f"engine spark: THRESHER_SPARK_JARS is {tmp_path}, which lacks delta-spark_4.2_2.13-4.4.0.jar"
    assert str(told.value) == expected


def test_without_maven_spark_fetches_delta_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = spark_setup.delta_jars()
    assert found["spark.jars.packages"] == (
        "io.delta:delta-spark_4.2_2.13:4.4.0,io.delta:delta-storage:4.4.0,io.delta:delta-kernel-api:4.4.0,"
        "io.delta:delta-kernel-defaults:4.4.0,io.delta:delta-kernel-unitycatalog:4.4.0"
    )
    assert "org.apache.hadoop:*" in found["spark.jars.excludes"]
