"""A secret reaches the notebook that asks for it, and is found nowhere afterwards."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from thresher.errors import SecretError
from thresher.secrets.leaks import Secrets
from thresher.secrets.store import find, secret

VALUE = "hunter2"
PARAMETERS = """\
from thresher import Secret
lake: str = "lake"
password: Secret = "${secret:DB}"  # of the warehouse
number: int = 0
"""
OPEN = "import thresher as th\nopened = th.secret(password)"
CELLS = {
    "good": [OPEN, "len(opened), opened[0], password"],
    "printed": [OPEN, "print('login', opened)"],
    "two_prints": [OPEN, "print(opened[:3], end='', flush=True)", "print(opened[:3], end='')\nprint(opened[3:])"],
    "raised": [OPEN, "raise ValueError(f'no login with {opened}')"],
    "table": [OPEN, "import pandas\npandas.DataFrame({'password': [opened]})"],
    "html": [
        OPEN,
        "from IPython.display import HTML, SVG, display\ndisplay(HTML(f'<b title=\"{opened}\">x</b>'))",
        "display(SVG(f'<svg xmlns=\"http://www.w3.org/2000/svg\"><text>{opened}</text></svg>'))",
    ],
    "base64": [OPEN, "import base64\nbase64.b64encode(f'etl:{opened}'.encode()).decode()"],
    "image": [
        OPEN,
        "import io\nimport matplotlib.pyplot as plt\nfrom IPython.display import Image\nfile = io.BytesIO()\n"
        "plt.figure().savefig(file, metadata={'Title': opened})\nplt.close()\nImage(file.getvalue())",
    ],
    "title": [OPEN, "import matplotlib.pyplot as plt\nplt.title(f'as {opened}')"],
    "file_name": [
        OPEN,
        "from pathlib import Path\nfile = Path(f'/tmp/{opened}-there-is-none.csv')\nfile",
        "file.read_text()",
    ],
    "new_file": [OPEN, "open(f'as-{opened}.csv', 'w')"],
    "reversed_file": [OPEN, "open(f'as-{opened[::-1].upper()}.csv', 'w')"],
    "new_dataset": [OPEN, "th.Lake(lake).write(f'raw.{opened}', [{'a': 1}], mode='overwrite')"],
    "dies": [OPEN, "import os\nn = os.write(2, opened.encode())\nos._exit(3)"],
    "elsewhere": ["th = __import__('thresher')", "th.secret('${secret:OTHER}')"],
    "environment": ["import os\ndict(os.environ)"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("vault")
    for folder in ("pipelines", "notebooks"):
        (root / folder).mkdir()
    steps = []
    for name, sources in CELLS.items():
        cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")
        steps.append(f'  {name}: {{notebook: notebooks/{name}.ipynb, with: {{password: "${{db}}"}}, report: true}}')
    text = 'params: {db: "${secret:DB}"}\nsteps:\n'
    (root / "pipelines" / "leaky.yml").write_text("name: leaky\n" + text + "\n".join(steps) + "\n")
    (root / "pipelines" / "tight.yml").write_text("name: tight\n" + text + steps[0] + "\n")
    return root


def thresher(project: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "thresher", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, "THRESHER_SECRETS": str(project / "none.yml"), **env},
    )


def holding(folder: Path, value: str) -> list[str]:
    """The files below a folder with a value in name or content, plain or in base64."""
    forms = [value.encode(), base64.b64encode(value.encode()).rstrip(b"=")]
    found = list(folder.rglob("*"))
    shown = [file for file in found if file.is_file() and any(form in file.read_bytes() for form in forms)]
    return [str(file) for file in shown + [file for file in found if value in file.name]]


@pytest.fixture(scope="module")
def leaky(project: Path) -> Iterator[subprocess.CompletedProcess[str]]:
    yield thresher(project, "run", "leaky", "--json", THRESHER_SECRET_DB=VALUE, THRESHER_SECRET_OTHER="swordfish")


def test_a_secret_is_found_nowhere_after_a_run_that_shows_it_in_every_way(
    project: Path, leaky: subprocess.CompletedProcess[str]
) -> None:
    assert leaky.returncode == 1
    assert holding(project, VALUE) == []
    assert [VALUE in text for text in (leaky.stdout, leaky.stderr)] == [False, False]
    assert holding(project, "swordfish") == []
    assert not list((project / "site").glob("reports/*"))


def test_a_step_that_shows_a_secret_fails_and_says_where(leaky: subprocess.CompletedProcess[str]) -> None:
    steps = {step["name"]: (step["status"], step["error"]) for step in json.loads(leaky.stdout)["steps"]}
    shows = "shows secret DB; show nothing that holds one (it is kept as [secret DB])"
    assert steps["good"] == ("succeeded", None)
    assert steps["printed"] == ("failed", f"cell [4] {shows}")
    assert steps["two_prints"] == ("failed", f"cell [5] {shows}")
    assert steps["raised"] == ("failed", f"ValueError: no login with [secret DB]; cell [4] {shows}")
    for name in ("table", "base64", "image"):
        assert steps[name] == ("failed", f"cell [4] {shows}"), name
    assert steps["html"] == ("failed", f"cell [4] {shows}; cell [5] {shows}")
    assert steps["title"] == (
        "failed",
        "SecretError: a text in a figure shows secret DB; show nothing that holds one",
    )
    for name in ("new_file", "reversed_file", "new_dataset"):
        reason = "SecretError: the name of a file shows secret DB; show nothing that holds one"
        assert steps[name] == ("failed", reason), name
    assert steps["dies"][0] == "failed"
    assert steps["file_name"][1].startswith(
        "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/[secret DB]-"
    )
    assert steps["elsewhere"] == (
        "failed",
        "SecretError: secret OTHER was not handed to this step; a step has the secrets that its parameters name: add a "
        "parameter of type Secret, and give it ${secret:OTHER} in the pipeline",
    )
    assert steps["environment"] == ("failed", f"cell [3] {shows}")


def test_a_secret_on_the_command_line_is_taken_and_not_recorded(project: Path) -> None:
    lake = project / "given"
    done = thresher(project, "run", "tight", "-p", "db=correct horse", "--lake", str(lake / "lake"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["params"] == {"db": "${secret:db}"}
    (executed,) = lake.glob("lake/_runs/*/good.ipynb")
    shown = [cell.outputs for cell in nbformat.read(executed, as_version=4).cells if cell.get("outputs")]
    assert shown[0][0].data["text/plain"] == "(13, 'c', '${secret:db}')"
    assert holding(lake, "correct horse") == []


def test_a_missing_secret_stops_before_anything_runs(project: Path) -> None:
    done = thresher(project, "run", "tight", "--lake", str(project / "missing"))
    assert (done.returncode, (project / "missing").exists()) == (2, False)
    assert done.stderr.startswith(
        "error: pipelines/tight.yml:4: step good: secret DB is missing; looked at the environment "
        f"(THRESHER_SECRET_DB), {project}/none.yml (not there), the system's keyring"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "db=abc"], "-p db=…: secret db has 3 characters, expected at least 4"),
        (["-p", "bd=hunter2"], "unknown parameter -p bd=…. Expected one of: db."),
    ],
)
def test_a_wrong_secret_on_the_command_line_is_not_repeated(project: Path, arguments: list[str], message: str) -> None:
    done = thresher(project, "plan", "tight", *arguments, THRESHER_SECRET_DB=VALUE)
    assert done.returncode == 2
    assert message in done.stderr
    assert VALUE not in done.stderr


def test_secrets_are_kept_listed_and_deleted_without_showing_them(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "config" / "secrets.yml"

    def keep(*arguments: str, value: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "thresher", "secrets", *arguments],
            input=value,
            capture_output=True,
            text=True,
            env={**os.environ, "THRESHER_SECRETS": str(file)},
        )

    assert keep("set", "DB", value=VALUE + "\n").stdout == f"DB is kept in {file}\n"
    assert keep("set", "KEY", value="line one\nline two: #\n").returncode == 0
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert keep("list").stdout == f"DB  {file}\nKEY  {file}\n"
    done = thresher(project, "plan", "tight", "--lake", str(tmp_path / "lake"), THRESHER_SECRETS=str(file))
    assert done.returncode == 0, done.stderr
    assert keep("delete", "KEYS").stderr == f"error: no secret KEYS in {file}. Did you mean KEY?\n"
    assert keep("delete", "DB").returncode == 0
    assert keep("list").stdout == f"KEY  {file}\n"
    assert keep("set", "SHORT", value="abc").returncode == 2
    file.write_text("# of the warehouse\n" + file.read_text())
    assert keep("set", "NEW", value="some: #words").returncode == 0
    assert file.read_text().startswith("# of the warehouse\nKEY:")
    assert keep("list").stdout == f"KEY  {file}\nNEW  {file}\n"
    file.chmod(0o644)
    assert keep("list").stderr == (
        f"error: {file} can be read by others (mode 0644, expected 0600). Run: chmod 600 {file}\n"
    )


def test_the_keyring_is_looked_at_last(project: Path, tmp_path: Path) -> None:
    (tmp_path / "ring.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Ring(KeyringBackend):\n"
        "    priority = 1\n"
        "    def get_password(self, service, name):\n"
        "        return 'from the ring' if (service, name) == ('thresher', 'DB') else None\n"
        "    set_password = delete_password = None\n"
    )
    ring = {"PYTHONPATH": str(tmp_path), "PYTHON_KEYRING_BACKEND": "ring.Ring"}
    assert thresher(project, "plan", "tight", **ring).returncode == 0
    locked = {**ring, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    assert "the system's keyring (NoKeyringError)" in thresher(project, "plan", "tight", **locked).stderr


def test_places_are_looked_at_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secrets.yml"
    file.write_text("A: from the file\nB: also from it\n")
    file.chmod(0o600)
    monkeypatch.setenv("THRESHER_SECRETS", str(file))
    monkeypatch.setenv("THRESHER_SECRET_A", "from the environment")
    assert [find("A"), find("B")] == ["from the environment", "also from it"]
    assert secret("u:${secret:A}@${secret:B}") == "u:from the environment@also from it"
    for wrong in ("hunter2", "", "${env:A}", None):
        with pytest.raises(SecretError, match="refers to no secret") as caught:
            secret(wrong)  # type: ignore[arg-type]
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A: 5\n", "the value of A is no text; put it in quotes"),
        ("- hunter2\n", "expected lines NAME: value"),
        ("A: 'hunter2\n", "cannot be read as YAML, expected lines NAME: value"),
    ],
)
def test_a_wrong_file_of_secrets_is_told_without_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    file = tmp_path / "secrets.yml"
    file.write_text(content)
    file.chmod(0o600)
    monkeypatch.setenv("THRESHER_SECRETS", str(file))
    with pytest.raises(SecretError, match=message) as caught:
        find("A")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "pa\"ss<w>'ö 7%",
        json.dumps("pa\"ss<w>'ö 7%"),
        repr("pa\"ss<w>'ö 7%"),
        "pa&quot;ss&lt;w&gt;&#x27;ö 7%",
        "pa&#34;ss&lt;w&gt;&#39;ö 7%",
        "pa\"ss&lt;w&gt;'ö 7%",
        "pa%22ss%3Cw%3E%27%C3%B6%207%25",
        "pa%22ss%3cw%3e%27%c3%b6+7%25",
        base64.b64encode("pa\"ss<w>'ö 7%".encode()).decode(),
        base64.b64encode("user:pa\"ss<w>'ö 7%@host".encode()).decode(),
        base64.urlsafe_b64encode("x:pa\"ss<w>'ö 7%".encode()).decode(),
        "pa\"ss<w>'ö 7%".encode().hex(),
        "pa\x1b[31m\"ss<w>'ö\x1b[0m 7%",
    ],
)
def test_a_secret_is_hidden_however_it_is_written(written: str) -> None:
    hidden = Secrets({"S": "pa\"ss<w>'ö 7%"}).hide(f"before {written} after")
    assert "[secret S]" in hidden
    assert hidden.startswith("before ") and hidden.endswith(" after")


@pytest.mark.parametrize(
    "written",
    [
        "&#104;&#117;&#110;&#116;&#101;&#114;&#50;",
        "&#x68;&#x75;&#x6E;&#x74;&#x65;&#x72;&#x32;",
        r"\u0068\u0075\u006e\u0074\u0065\u0072\u0032",
        r"\x68\x75\x6e\x74\x65\x72\x32",
        r"\150\165\156\164\145\162\062",
        "%68%75%6E%74%65%72%32",
        "68:75:6e:74:65:72:32",
        "68 75 6E 74 65 72 32",
        "0x68, 0x75, 0x6e, 0x74, 0x65, 0x72, 0x32",
        "104, 117, 110, 116, 101, 114, 50",
        "'h', 'u', 'n', 't', 'e', 'r', '2'",
        "h-u-n-t-e-r-2",
        "HUNTER2",
        "hUnTeR2",
        "2retnuh",
        "aHVudGVyMg==",
        "eGh1bnRlcjI=",
        "eHhodW50ZXIy",
        "h\0u\0n\0t\0e\0r\x002\0",
        repr("hunter2".encode("utf-16")),
        json.dumps("hunter2".encode("utf-16-le").decode("latin-1")),
        "h\u200bu\u200bn\u200bt\u200be\u200br\u200b2",
        "hun\u00adter2",
    ],
)
def test_a_secret_is_found_in_disguise(written: str) -> None:
    secrets = Secrets({"S": "hunter2"})
    assert secrets.found(written) == ["S"]
    assert secrets.found(secrets.hide(f"before {written} after")) == []


def test_what_only_looks_like_a_secret_stays() -> None:
    secrets = Secrets({"A": "abcd", "DAY": "20261123", "WAREHOUSE": "warehouse", "WORD": "carpet"})
    text = "ABCD, dcba and 61 62 63 64; on 2026-11-23; the Warehouse of ${secret:WAREHOUSE}; a car, pet or Carpet"
    assert secrets.hide(text) == text
    assert secrets.hide("abcd 20261123 carpet") == "[secret A] [secret DAY] [secret WORD]"


def test_the_lines_of_a_long_key_are_secret_too_and_a_secret_within_a_secret_is_named_rightly() -> None:
    secrets = Secrets(
        {"KEY": "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END KEY-----\n", "A": "abcd", "B": "abcdef"}
    )
    assert secrets.hide("x MIIEvQIBADANBgkqhkiG y") == "x [secret KEY] y"
    assert secrets.hide("abcdef abcd") == "[secret B] [secret A]"
    assert secrets.hide_in({"abcd": [1.5, "x", None, True]}) == {"[secret A]": [1.5, "x", None, True]}
    assert repr(secrets) == "Secrets(A, B, KEY)"
