"""Forked kernels: each notebook has a process of its own in all that counts, and nothing outlives its owner."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.manager import KernelManager
from tornado.websocket import websocket_connect

from thresher import private_folders
from thresher.kernels import servers
from thresher.kernels.specs import with_warm_kernels

pytestmark = pytest.mark.skipif(not servers.is_supported(), reason="kernels are forked on Linux only")

SPECS = with_warm_kernels({})["JUPYTER_PATH"]


class Running:
    """A kernel as a Jupyter tool starts it."""

    def __init__(self, *, env: Mapping[str, str] = os.environ, **options: Any) -> None:
        self.manager = KernelManager(kernel_name="python3")
        # ipykernel does not show what C code prints where it takes itself for a test.
        options["env"] = {name: value for name, value in env.items() if name != "PYTEST_CURRENT_TEST"}
        self.manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def process(self) -> Any:
        return self.manager.provisioner.process

    @property
    def is_forked(self) -> bool:
        return isinstance(self.process, servers.ForkedProcess)

    def run(self, code: str) -> str:
        """What a cell shows: its streams and values, or its error."""
        shown: list[str] = []

        def see(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "error":
                shown.append(f"{content['ename']}: {content['evalue']}")
            elif message["msg_type"] == "stream":
                shown.append(content["text"])
            elif "data" in content:
                shown.append(next((kind for kind in content["data"] if "image" in kind), content["data"]["text/plain"]))

        self.client.execute_interactive(code, allow_stdin=False, timeout=60, output_hook=see)
        return "".join(shown).strip()

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def is_gone(pid: int, within_s: float = 10) -> bool:
    end = time.monotonic() + within_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The runtime folder of this module's shared servers; they are ended with it."""
    folder = tmp_path_factory.mktemp("runtime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "jupyter"))
        patch.setenv("JUPYTER_PATH", SPECS)
        yield folder / f"thresher-{os.getuid()}"
        pids = [each.pid for each in servers.stop(kill=True)]
        assert all(is_gone(pid) for pid in pids)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(**options: Any) -> Running:
        started.append(Running(**options))
        return started[-1]

    yield start
    for each in started:
        each.close()


LEAKS = {  # what a notebook does, what another looks at, and what it sees
    "a module's state": (
        "import decimal; decimal.getcontext().prec = 3",
        "import decimal; decimal.getcontext().prec",
        "28",
    ),
    "a patched library": (
        "import pandas; pandas.DataFrame.mine = 1",
        "import pandas; hasattr(pandas.DataFrame, 'mine')",
        "False",
    ),
    "a variable": (
        "mine = 1",
        "'mine' in globals()",
        "False",
    ),
    "the environment": (
        "import os; os.environ['MINE'] = '1'",
        "import os; os.environ.get('MINE', 'none')",
        "'none'",
    ),
    "the folder": (
        "import os; os.chdir('/usr')",
        "import os; os.getcwd() == '/usr'",
        "False",
    ),
    "an open file": (
        "mine = open('/etc/hosts')",
        "import psutil; '/etc/hosts' in [each.path for each in psutil.Process().open_files()]",
        "False",
    ),
    "memory": (
        "mine = bytearray(300_000_000)",
        "import psutil; psutil.Process().memory_info().rss > 600_000_000",
        "False",
    ),
    "a signal's handler": (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "import signal; signal.getsignal(signal.SIGTERM) == signal.SIG_IGN",
        "False",
    ),
    "how figures look": (
        "import matplotlib; matplotlib.rcParams['lines.linewidth'] = 9.0",
        "import matplotlib; matplotlib.rcParams['lines.linewidth']",
        "1.5",
    ),
    "filters of warnings": (
        "import warnings; warnings.simplefilter('error', BytesWarning)",
        "import warnings; warnings.filters[0][0] == 'error'",
        "False",
    ),
    "sys.path": (
        "import sys; sys.path.append('/mine')",
        "import sys; '/mine' in sys.path",
        "False",
    ),
    "duckdb's tables": (
        "import duckdb; duckdb.sql('create table mine as select 1 as n')",
        "import duckdb; duckdb.sql('show tables').fetchall()",
        "[]",
    ),
    "the time zone": (
        "import os, time; os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()",
        "import time; 'JST' in time.tzname",
        "False",
    ),
}
RANDOM = """
import random, uuid, numpy, numba
@numba.njit
def drawn(): return numpy.random.random()
print(random.random(), numpy.random.random(), numpy.random.default_rng().random(), uuid.uuid4(), uuid.uuid1(), drawn())
"""


def test_nothing_leaks_from_a_notebook_to_the_next(start: Callable[..., Running]) -> None:
    first, second = start(), start()
    errors = {what: first.run(dirty) for what, (dirty, *_) in LEAKS.items() if "Error" in first.run(dirty)}
    assert (errors, first.is_forked, second.is_forked) == ({}, True, True)
    third = start()
    second.run("import os")
    third.run("import os")
    expected = {what: shown for what, (*_, shown) in LEAKS.items()}
    for kernel in (second, third):  # forked before and after
        assert {what: kernel.run(look) for what, (_, look, _) in LEAKS.items()} == expected
    numbers = [kernel.run(RANDOM).split() for kernel in (second, third)]
    assert [one for one, other in zip(*numbers, strict=True) if one == other] == []
    assert len(numbers[0]) == 6


def test_a_kernel_has_its_own_environment_folder_and_modules(start: Callable[..., Running], tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 'beside the notebook'")
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7.5")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "path_module.py").write_text("value = 'on the path'")
    env = {**os.environ, "MINE": "yes", "PYTHONPATH": os.path.relpath(tmp_path / "elsewhere")}
    kernel = start(cwd=str(tmp_path), env=env)
    assert kernel.is_forked
    assert kernel.run("import os, beside; print(os.environ['MINE'], os.getcwd(), beside.value)") == (
        f"yes {tmp_path} beside the notebook"
    )
    assert kernel.run("import path_module; path_module.value") == "'on the path'"
    assert kernel.run("import matplotlib.pyplot as plt; plt.rcParams['lines.linewidth']") == "7.5"


CELLS = {
    "figures": ("import matplotlib.pyplot as plt; plt.plot([1, 2]);", "image/png"),
    "%matplotlib": (
        "%matplotlib inline\nplt.plot([1, 2]);",
        "image/png",
    ),
    "outputs of C": (
        "import ctypes, time; c = ctypes.CDLL(None); c.puts(b'from C'); c.fflush(None); time.sleep(0.5)",
        "from C",
    ),
    "processes": ("import subprocess; print(subprocess.check_output(['echo', 'a child'], text=True))", "a child"),
    "fork": (
        "import os\npid = os.fork()\nif not pid: os._exit(3)\nos.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])",
        "3",
    ),
    "threads": (
        "import threading; t = threading.Thread(target=print, args=('a thread',)); t.start(); t.join()",
        "a thread",
    ),
    "multiprocessing": (
        "import multiprocessing as mp\nwith mp.Pool(2) as pool: print(pool.map(abs, [-1, -2]))",
        "[1, 2]",
    ),
    "spawned": (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "with ProcessPoolExecutor(1, mp.get_context('spawn')) as p: print([*p.map(abs, [-3])])",
        "[3]",
    ),
    "threads of numba": (
        "import numba\n"
        "@numba.njit(parallel=True)\n"
        "def f(n):\n"
        "    s = 0\n"
        "    for i in numba.prange(n): s += i\n"
        "    return s\n"
        "f(1000)",
        "499500",
    ),
    "threads of duckdb": (
        "import duckdb; duckdb.sql('select sum(range) from range(3000000)').fetchall()",
        "[(4499998500000,)]",
    ),
    "threads of pyarrow": (
        "import pyarrow as pa, pyarrow.compute as pc; pc.sum(pa.chunked_array([[1], [2]])).as_py()",
        "3",
    ),
    "await": ("import asyncio; await asyncio.sleep(0); print('waited')", "waited"),
    "input": (
        "try: input()\nexcept Exception as error: print(type(error).__name__)",
        "StdinNotImplementedError",
    ),
}


def test_a_forked_kernel_does_what_others_do(start: Callable[..., Running]) -> None:
    kernel = start()
    assert kernel.is_forked
    assert {what: kernel.run(code) for what, (code, _) in CELLS.items()} == {
        what: shown for what, (_, shown) in CELLS.items()
    }


def test_interrupt_and_restart(start: Callable[..., Running]) -> None:
    kernel = start()
    kernel.run("mine = 1")
    # After an error a kernel puts off for a moment what it is asked next, unless it is told not to.
    message = kernel.client.execute("import time; time.sleep(60)", stop_on_error=False)
    time.sleep(0.5)
    kernel.manager.interrupt_kernel()
    while (reply := kernel.client.get_shell_msg(timeout=10))["parent_header"]["msg_id"] != message:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.run("mine") == "1"
    before = kernel.process.pid
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    assert kernel.run("mine") == "NameError: name 'mine' is not defined"
    assert is_gone(before) and kernel.is_forked


def test_the_debugger_of_jupyterlab_starts(start: Callable[..., Running]) -> None:
    client = start().client
    arguments = {
        "clientID": "test",
        "adapterID": "",
        "pathFormat": "path",
        "linesStartAt1": True,
        "columnsStartAt1": True,
    }
    request = {"seq": 1, "type": "request", "command": "initialize", "arguments": arguments}
    client.control_channel.send(client.session.msg("debug_request", request))
    assert client.get_control_msg(timeout=30)["content"]["success"] is True


def test_a_killed_kernel_is_noticed_and_takes_its_children_along(start: Callable[..., Running]) -> None:
    kernel = start()
    child = int(kernel.run("import subprocess; print(subprocess.Popen(['sleep', '1000']).pid)"))
    os.kill(kernel.process.pid, signal.SIGKILL)
    assert kernel.process.wait(5) == -signal.SIGKILL
    assert not kernel.manager.is_alive()
    assert is_gone(child)


def test_kernels_end_with_their_server_and_the_next_start_works(start: Callable[..., Running]) -> None:
    kernel = start()
    server = psutil.Process(kernel.process.pid).ppid()
    os.kill(server, signal.SIGKILL)
    assert kernel.process.wait(5) == -signal.SIGKILL
    assert kernel.process.is_server_gone and is_gone(kernel.process.pid)
    again = start()
    assert again.is_forked and again.run("1 + 1") == "2"


@pytest.mark.parametrize("victim", ["server", "kernel"])
def test_a_session_of_its_own_does_not_outlive_a_killed_kernel(start: Callable[..., Running], victim: str) -> None:
    kernel = start()
    code = "import subprocess; print(subprocess.Popen(['sleep', '1000'], start_new_session=True).pid)"
    child = int(kernel.run(code))
    kernels_server = psutil.Process(kernel.process.pid).ppid()
    os.kill(kernels_server if victim == "server" else kernel.process.pid, signal.SIGKILL)
    assert kernel.process.wait(5) == -signal.SIGKILL
    assert is_gone(child)


def test_the_next_start_ends_what_was_left_when_all_were_killed(start: Callable[..., Running]) -> None:
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    code = CLIENT.replace("while True: pass", DAEMONS)
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stdin=pipe, stderr=nothing, text=True) as client:
        assert client.stdout
        kernel = int(client.stdout.readline())
        while len(left := psutil.Process(kernel).children(recursive=True)) < 2:
            time.sleep(0.02)
        for pid in (psutil.Process(kernel).ppid(), kernel, client.pid):
            os.kill(pid, signal.SIGKILL)
    assert is_gone(kernel) and all(each.is_running() for each in left)
    start()
    assert all(is_gone(each.pid) for each in left)


DAEMONS = "import subprocess; [subprocess.Popen(['sleep', '1000'], start_new_session=True) for _ in range(2)]"
CLIENT = """
from jupyter_client.manager import KernelManager
manager = KernelManager(kernel_name="python3")
manager.start_kernel()
client = manager.client(); client.start_channels(); client.wait_for_ready(60)
print(manager.provisioner.process.pid, flush=True)
client.execute("while True: pass")
input()
"""


def test_kernels_end_with_their_client(folder: Path) -> None:
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen([sys.executable, "-c", CLIENT], stdout=pipe, stdin=pipe, stderr=nothing, text=True) as client:
        assert client.stdout
        kernel = int(client.stdout.readline())
        client.kill()
    assert is_gone(kernel)


def test_a_changed_library_means_a_new_server(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import edited_library")
    library = tmp_path / "edited_library.py"
    library.write_text("value = 1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    first = Running()
    assert first.run("import edited_library; edited_library.value") == "1"
    library.write_text("value = 20")
    second = Running()
    try:
        assert second.is_forked and second.run("import edited_library; edited_library.value") == "20"
        assert first.run("edited_library.value") == "1"  # the old one goes on
    finally:
        first.close()
        second.close()


def test_servers_are_shared_by_tools_with_the_same_settings(start: Callable[..., Running], folder: Path) -> None:
    kernels = [start(), start(env={**os.environ, "MINE": "1"}), start(env={**os.environ, "TZ": "Asia/Tokyo"})]
    parents = [psutil.Process(each.process.pid).ppid() for each in kernels]
    assert parents[0] == parents[1] != parents[2]
    running = {each.pid: each.kernels for each in servers.status()}
    assert {kernels[0].process.pid, kernels[1].process.pid} <= set(running[parents[0]])
    assert kernels[2].run("import time; time.tzname[0]") == "'JST'"


def test_a_stopped_server_lets_its_kernels_go_on(start: Callable[..., Running], folder: Path) -> None:
    kernel = start()
    server = psutil.Process(kernel.process.pid).ppid()
    assert kernel.process.pid in [pid for each in servers.stop() if each.pid == server for pid in each.kernels]
    assert servers.status() == []
    assert [path.name for path in folder.iterdir()] == ["lock"]
    assert kernel.run("1 + 1") == "2"
    kernel.manager.shutdown_kernel(now=True)
    assert is_gone(server)


@pytest.mark.parametrize("trouble", ["no fork here", "large environment", "folder open to others", "no folder"])
def test_where_none_can_be_forked_a_kernel_is_an_ordinary_process(
    trouble: str, start: Callable[..., Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = dict(os.environ)
    if trouble == "no fork here":
        monkeypatch.setattr(servers, "is_supported", lambda: False)
    elif trouble == "large environment":
        env |= {f"LARGE_{number}": "x" * 60_000 for number in range(4)}
    elif trouble == "folder open to others":
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        (tmp_path / f"thresher-{os.getuid()}").mkdir()
        (tmp_path / f"thresher-{os.getuid()}").chmod(0o755)
    else:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    kernel = start(env=env)
    assert isinstance(kernel.process, subprocess.Popen)
    assert kernel.run("1 + 1") == "2"


def test_folders_are_private_and_swept_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from thresher.private_folders import private_folder\nwith private_folder() as f: print(f, flush=True); input()"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # a socket's path has little room
        monkeypatch.setenv("TMPDIR", short)
        monkeypatch.setattr(tempfile, "tempdir", short)
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stdin=pipe, text=True) as process:
            assert process.stdout
            left = Path(process.stdout.readline().strip())
            (left / "k0-1").write_text("a socket")
            assert left.stat().st_mode & 0o777 == 0o700
            with private_folders.private_folder() as mine:
                assert {each.name for each in mine.parent.iterdir()} == {"lock", left.name, mine.name}
            process.kill()
        with private_folders.private_folder() as mine:
            assert {each.name for each in mine.parent.iterdir()} == {"lock", mine.name}


def notebook(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_papermill_and_nbconvert_use_the_installed_kernel(folder: Path, tmp_path: Path) -> None:
    def tool(*command: str) -> None:
        env = {**os.environ, "JUPYTER_PATH": str(tmp_path / "share" / "jupyter")}
        done = subprocess.run(
            [sys.executable, "-m", *command], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr

    tool("thresher", "kernels", "install", "--prefix", str(tmp_path))
    spec = json.loads((tmp_path / "share/jupyter/kernels/thresher/kernel.json").read_text())
    assert (spec["display_name"], spec["argv"][0]) == ("Python 3 (warm)", sys.executable)
    notebook(tmp_path / "a.ipynb", "import os, pathlib; pathlib.Path(f'/proc/{os.getppid()}/cmdline').read_text()")
    tool("papermill", "-k", "thresher", "a.ipynb", "papermill.ipynb")
    tool("nbconvert", "--execute", "--to", "notebook", "a.ipynb", "--output", "nbconvert.ipynb",
         "--ExecutePreprocessor.kernel_name=thresher")  # fmt: skip
    for name in ("papermill", "nbconvert"):
        (output,) = nbformat.read(tmp_path / f"{name}.ipynb", 4).cells[0].outputs
        assert "thresher.kernels.fork_server" in output["data"]["text/plain"], name


def test_random_kills_leave_nothing_behind(start: Callable[..., Running], folder: Path) -> None:
    chosen = random.Random(4)
    seen = []
    for victim in chosen.choices(["kernel", "server", "both"], [6, 2, 1], k=8):
        kernel = start()
        server = psutil.Process(kernel.process.pid).ppid()
        seen += [kernel.process.pid, server]
        kernel.client.execute("while True: pass")
        time.sleep(chosen.random() / 10)
        for pid in {"kernel": [kernel.process.pid], "server": [server], "both": [server, kernel.process.pid]}[victim]:
            os.kill(pid, signal.SIGKILL)
        assert kernel.process.wait(5) == -signal.SIGKILL
    last = start()
    assert last.is_forked and last.run("1 + 1") == "2"
    left = {last.process.pid, psutil.Process(last.process.pid).ppid(), *(each.pid for each in servers.status())}
    assert [pid for pid in seen if pid not in left and not is_gone(pid)] == []


@pytest.fixture
def lab(folder: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A JupyterLab as `thresher lab` starts it: its address and token."""
    pytest.importorskip("jupyterlab")
    for each in ("notebooks", "pipelines", "config"):
        (tmp_path / each).mkdir()
    settings = {"open_browser": False, "allow_root": True, "port": 0}
    config = {"ServerApp": settings, "LabApp": settings, "ExtensionApp": settings}
    (tmp_path / "config" / "jupyter_server_config.json").write_text(json.dumps(config))
    env = {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "r")}
    env.pop("JUPYTER_PATH")
    command = [sys.executable, "-m", "thresher", "lab"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, cwd=tmp_path, env=env, stderr=log) as process:
        end = time.monotonic() + 60
        while not (found := list(tmp_path.glob("r/jpserver-*.json"))):
            assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.1)
        yield json.loads(found[0].read_text())
        process.terminate()


def test_jupyterlab_starts_interrupts_restarts_and_ends_warm_kernels(lab: dict[str, Any], folder: Path) -> None:
    def ask(method: str, path: str, body: object = None) -> Any:
        url = f"{lab['url']}api/kernels{path}?token={lab['token']}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=60) as answer:
            return json.loads(answer.read() or "null")

    async def run(kernel: str, code: str, *, while_running: Callable[[], object] = lambda: None) -> str:
        url = f"{lab['url'].replace('http', 'ws', 1)}api/kernels/{kernel}/channels?token={lab['token']}"
        connection = await websocket_connect(url)
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        header = {"msg_id": code, "msg_type": "execute_request", "session": "s", "username": "", "version": "5.3"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        await connection.write_message(json.dumps(message))
        while True:
            read = json.loads(await connection.read_message() or "null")
            if read["parent_header"].get("msg_id") != code:
                continue
            if read["msg_type"] == "execute_input":
                await asyncio.get_running_loop().run_in_executor(None, while_running)
            elif read["msg_type"] == "execute_reply":
                connection.close()
                while await connection.read_message() is not None:  # closed only when the other side says so, too
                    pass
                return str(read["content"].get("ename") or read["content"]["status"])

    kernel = ask("POST", "", {"name": "python3"})["id"]
    (server,) = [each for each in servers.status() if each.kernels]
    assert asyncio.run(run(kernel, "mine = 1")) == "ok"
    assert asyncio.run(
        run(kernel, "while True: pass", while_running=lambda: ask("POST", f"/{kernel}/interrupt", {}))
    ) == ("KeyboardInterrupt")
    ask("POST", f"/{kernel}/restart", {})
    assert asyncio.run(run(kernel, "mine")) == "NameError"
    ask("DELETE", f"/{kernel}")
    assert all(is_gone(pid) for pid in server.kernels)
    assert [each.kernels for each in servers.status() if each.pid == server.pid] == [()]
