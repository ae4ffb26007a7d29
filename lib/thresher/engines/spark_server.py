"""A local Spark Connect server with Delta: started once per user, kept warm, shared, stopped when idle.

    thresher ──ensure()──► supervisor ──► JVM (Spark Connect on 127.0.0.1, with a token)
                               └── ends the JVM, and itself, when no client has been connected for a while

| variable | meaning | default |
|---|---|---|
| `THRESHER_SPARK_HOME` | folder of the servers' states, logs and spilled data | `~/.cache/thresher/spark-<host>` |
| `THRESHER_SPARK_IDLE_MINUTES` | minutes without a client after which the server ends | 15 |

One folder below it per environment (Spark, Java, Python, settings): a changed environment gets a server of its own.
"""

import ctypes
import json
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import psutil
from filelock import FileLock

from thresher.engines import spark_setup as setup
from thresher.errors import EngineUnavailable, UsageError
from thresher.parameters.references import SECRET_VARIABLE

_START_LIMIT_S = 180
_STOP_LIMIT_S = 10
_STATE, _LOG, _LOCK = "server.json", "server.log", "server.lock"


@dataclass(frozen=True)
class Server:
    """A server that was started, as its state file tells."""

    port: int
    token: str
    supervisor: int
    jvm: int
    started_at: float  # of the JVM, by the system's clock: a process id alone may be another process's by now

    @property
    def url(self) -> str:
        """What `SparkSession.builder.remote` takes. Spark sends a token without TLS only to the name localhost."""
        return f"sc://localhost:{self.port}/;token={self.token}"

    @property
    def alive(self) -> bool:
        """Whether its JVM and the supervisor that ends it both run."""
        return self._process() is not None and psutil.pid_exists(self.supervisor)

    @property
    def answers(self) -> bool:
        """Whether its port takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def _process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.jvm)
            ours = abs(process.create_time() - self.started_at) < 2 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if ours else None

    def clients(self) -> int:
        """How many clients are connected."""
        process = self._process()
        if process is None:
            return 0
        connections = process.net_connections(kind="tcp")
        return sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == self.port for c in connections)

    def end(self) -> None:
        """End the JVM: politely, then by force."""
        process = self._process()
        if process is not None:
            process.terminate()
            if psutil.wait_procs([process], timeout=_STOP_LIMIT_S)[1]:
                process.kill()


def ensure() -> str:
    """The URL of this user's running server, which is started if there is none.

    The first start takes some seconds; of many processes that ask at once, one starts it and all get the same.
    Raises EngineUnavailable with the cause and the remedy.
    """
    java, spark = setup.find_java(), setup.find_spark()
    folder = _folder(java, spark)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(folder / _LOCK):
        server = _known(folder)
        if server is None or not server.alive:
            if server is not None:
                server.end()
            setup.check_java(java)
            _start(folder, java, spark)
        return _answering(folder).url


def status() -> Server | None:
    """The server of this environment, if one runs."""
    server = _known(_folder(setup.find_java(), setup.find_spark()))
    return server if server is not None and server.alive else None


def stop() -> bool:
    """End the server of this environment and wait for its end; whether there was one."""
    folder = _folder(setup.find_java(), setup.find_spark())
    if not folder.is_dir():
        return False
    with FileLock(folder / _LOCK):
        server = _known(folder)
        if server is None:
            return False
        was_alive = server.alive
        server.end()
        (folder / _STATE).unlink(missing_ok=True)
        return was_alive


def _folder(java: Path, spark: Path) -> Path:
    default = setup.cache_folder() / f"spark-{platform.node()}"
    home = Path(os.environ.get("THRESHER_SPARK_HOME") or default).expanduser().absolute()
    chosen = {name: value for name, value in os.environ.items() if name.startswith("THRESHER_SPARK_")}
    parts = [java, spark, setup.DELTA_VERSION, sys.executable, sys.version, setup.PACKAGE_FOLDER]
    parts += [setup.settings(home), sorted(chosen.items())]
    return home / sha256(repr(parts).encode()).hexdigest()[:16]


def _known(folder: Path) -> Server | None:
    try:
        found = Server(**json.loads((folder / _STATE).read_text(encoding="utf-8")))
        # Whoever asks is about to connect: the supervisor counts the idle minutes from here.
        os.utime(folder / _STATE)
    except (OSError, ValueError, TypeError):
        return None
    return found


def _start(folder: Path, java: Path, spark: Path) -> None:
    """Start a supervisor that outlives this process, and wait for its state file."""
    port = _free_port()
    conf = setup.settings(folder) | setup.delta_jars() | {"spark.connect.grpc.binding.port": str(port)}
    (folder / _STATE).unlink(missing_ok=True)
    for left_by_a_killed_server in ("local", "warehouse"):
        shutil.rmtree(folder / left_by_a_killed_server, ignore_errors=True)
    (folder / "spark-defaults.conf").write_text("".join(f"{k} {v}\n" for k, v in conf.items()), encoding="utf-8")
    (folder / "log4j2.properties").write_text(LOG4J, encoding="utf-8")
    foreign = ("SPARK_", "PYSPARK_", "PYTHON", "THRESHER_ENGINE", "THRESHER_KERNEL", SECRET_VARIABLE)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {
        "JAVA_HOME": str(java.parent.parent),
        "SPARK_HOME": str(spark),
        "SPARK_CONF_DIR": str(folder),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": secrets.token_urlsafe(32),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(setup.PACKAGE_FOLDER),
    }
    command = [sys.executable, "-m", __name__, str(folder), str(port)]
    with open(folder / _LOG, "w", encoding="utf-8") as log:
        supervisor = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # It outlives this process; where it does not, this thread leaves no zombie of it.
    threading.Thread(target=supervisor.wait, daemon=True).start()
    while not (folder / _STATE).exists():
        if supervisor.poll() is not None:
            raise _failed(folder)
        time.sleep(0.05)


def _answering(folder: Path) -> Server:
    give_up = time.monotonic() + _START_LIMIT_S
    while (server := _known(folder)) is not None and server.alive:
        if server.answers:
            return server
        if time.monotonic() > give_up:
            server.end()
        time.sleep(0.1)
    raise _failed(folder)


def _failed(folder: Path) -> EngineUnavailable:
    lines = (folder / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    causes = [line for line in lines if "Exception" in line or "rror" in line or "not found" in line]
    cause = "\n".join((lines if len(lines) <= 10 else causes or lines)[-8:])[-1500:] or "it wrote no log"
    if "unresolved dependency" in cause or "download failed" in cause or "not found" in cause:
        remedy = (
            f"Delta's jars could not be fetched. Install Maven (`apt-get install maven`), or put "
            f"{', '.join(setup.DELTA_JARS)} {setup.DELTA_VERSION} into a folder and set THRESHER_SPARK_JARS to it."
        )
    else:
        remedy = "Read the log; THRESHER_SPARK_MEMORY sets the server's memory. THRESHER_ENGINE=duckdb needs no server."
    return EngineUnavailable(
        f"engine spark: the local server did not start. {remedy}\n{folder / _LOG} ends with:\n{cause}"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n%ex
"""

# ---- in the supervisor's process


def supervise(folder: Path, port: int) -> None:
    """Run the JVM until it dies, or has been idle for too long, or this process is asked to end."""
    limit_s = _idle_minutes() * 60
    spark_submit = Path(os.environ["SPARK_HOME"]) / "bin" / "spark-submit"
    main_class = "org.apache.spark.sql.connect.service.SparkConnectServer"
    jvm = subprocess.Popen(
        [str(spark_submit), "--class", main_class, "spark-internal"], preexec_fn=_die_with_parent, cwd=folder
    )
    server = Server(
        port=port,
        token=os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"],
        supervisor=os.getpid(),
        jvm=jvm.pid,
        started_at=psutil.Process(jvm.pid).create_time(),
    )
    signal.signal(signal.SIGTERM, lambda *_: server.end())
    _write_private(folder / _STATE, json.dumps(asdict(server)))
    used_at = time.time()
    while True:
        try:
            jvm.wait(timeout=min(5.0, limit_s / 4))
            return
        except subprocess.TimeoutExpired:
            pass
        if server.clients():
            used_at = time.time()
        elif time.time() - used_at > limit_s:
            _end_if_unasked(folder, server, limit_s)


def _end_if_unasked(folder: Path, server: Server, limit_s: float) -> None:
    # Under the lock: nobody can be given the URL of a server that is about to end.
    with FileLock(folder / _LOCK):
        if time.time() - (folder / _STATE).stat().st_mtime > limit_s:
            (folder / _STATE).unlink()
            server.end()


def _idle_minutes() -> float:
    text = os.environ.get("THRESHER_SPARK_IDLE_MINUTES") or "15"
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0
    if not minutes > 0:
        raise UsageError(f"THRESHER_SPARK_IDLE_MINUTES is {text!r}; expected a number of minutes above 0")
    return minutes


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)


def _die_with_parent() -> None:
    # Linux ends the JVM even when the supervisor is killed outright; elsewhere the next `ensure` does.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


if __name__ == "__main__":
    supervise(Path(sys.argv[1]), int(sys.argv[2]))
