"""pyproject.toml, the two locks, environment.yml, the Makefile and .gitignore say the same."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Where the name of the import is not that of the package.
BY_IMPORT = {"attr": "attrs", "openlineage": "openlineage-python", "ruamel": "ruamel-yaml", "zmq": "pyzmq"}


@cache
def lock(name: str) -> dict[str, Requirement]:
    """The entries of a lock by package."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    entries = [Requirement(line.removesuffix("\\").strip()) for line in lines if re.match(r"\w", line)]
    return {canonicalize_name(entry.name): entry for entry in entries}


def locked_versions(name: str) -> dict[str, str]:
    return {package: str(entry.specifier) for package, entry in lock(name).items()}


def conda() -> tuple[list[str], list[Requirement]]:
    """environment.yml: what conda installs, and what pip installs."""
    dependencies = YAML(typ="safe").load(ROOT / "environment.yml")["dependencies"]
    by_pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    return (
        [entry for entry in dependencies if isinstance(entry, str)],
        [Requirement(entry) for entry in by_pip if not entry.startswith("--")],
    )


def set_up_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("set_up", ROOT / "tools" / "set_up.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_entry_has_one_version_and_hashes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\w)", text)
    assert [entry for entry in entries if not re.match(r"\S+==\S+ .*?--hash=sha256:[0-9a-f]{64}", entry, re.S)] == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "environment.yml", "pyproject.toml"])
def test_no_address_of_an_index_is_fixed(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(r"\w+://\S+|^--(?:index|extra-index|find-links).*", text, re.M) == []


def test_base_lock_is_part_of_the_dev_lock() -> None:
    base, dev = locked_versions("requirements.lock"), locked_versions("requirements-dev.lock")
    assert {package: version for package, version in base.items() if dev.get(package) != version} == {}


@pytest.mark.parametrize(
    ("name", "requirements"),
    [
        ("requirements.lock", PROJECT["dependencies"]),
        ("requirements-dev.lock", PROJECT["dependencies"] + sum(EXTRAS.values(), [])),
    ],
)
def test_locks_hold_what_pyproject_asks_for(name: str, requirements: list[str]) -> None:
    for requirement in map(Requirement, requirements):
        entry = lock(name).get(canonicalize_name(requirement.name))
        assert entry, f"{requirement} is not in {name}: run `make lock`"
        version = str(entry.specifier).removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement} against {version} in {name}: run `make lock`"


def test_the_demo_needs_neither_spark_nor_jupyterlab() -> None:
    assert {"pyspark", "jupyterlab", "pytest"} & lock("requirements.lock").keys() == set()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_the_slow_optional_part_of_jsonschema_stays_out(name: str) -> None:
    assert "rfc3987-syntax" not in lock(name)


def test_locks_hold_what_the_set_up_itself_needs() -> None:
    assert {"uv", "setuptools"} <= lock("requirements.lock").keys()


def test_environment_yml_has_the_versions_of_the_dev_lock() -> None:
    _, by_pip = conda()
    found = {canonicalize_name(entry.name): str(entry.specifier) for entry in by_pip}
    assert found == locked_versions("requirements-dev.lock"), "run `make lock`"


def test_environment_yml_has_python_and_java_from_conda_forge_alone() -> None:
    by_conda, _ = conda()
    assert {"python=3.11", "openjdk=17"} <= set(by_conda)
    assert YAML(typ="safe").load(ROOT / "environment.yml")["channels"] == ["conda-forge", "nodefaults"]


def test_the_library_imports_only_what_pyproject_lists() -> None:
    extras = ("spark", "notebooks", "keyring", "notices", "lineage", "databases")
    allowed = PROJECT["dependencies"] + [each for extra in extras for each in EXTRAS[extra]]
    listed = {canonicalize_name(Requirement(text).name) for text in allowed}
    foreign = set()
    for path in (ROOT / "lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                foreign |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                foreign.add((node.module or "").partition(".")[0])
    foreign -= set(sys.stdlib_module_names) | {"thresher"}
    assert sorted(name for name in foreign if BY_IMPORT.get(name, canonicalize_name(name)) not in listed) == []


def test_installed_package_is_the_version_of_pyproject() -> None:
    try:
        installed = metadata.version("thresher")
    except metadata.PackageNotFoundError:
        pytest.skip("the package is not installed in this environment; `make test` installs it")
    assert installed == PROJECT["version"]


def test_the_package_knows_its_version() -> None:
    source = (ROOT / "lib" / "thresher" / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{PROJECT["version"]}"' in source


def test_changelog_begins_with_the_version_of_pyproject() -> None:
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert versions[0] == PROJECT["version"]


@pytest.mark.parametrize(
    "path", ["lib/thresher/lake.py", "data/sample/README.md", "notebooks/x.ipynb", "pipelines/x.yml"]
)
def test_git_does_not_ignore_what_belongs_here(path: str) -> None:
    assert ignored(path) is False


@pytest.mark.parametrize("path", [".venv/x", "lake/raw", "site/index.html", "lib/thresher.egg-info/x", "lib/x.pyc"])
def test_git_ignores_what_runs_leave_behind(path: str) -> None:
    assert ignored(path) is True


def ignored(path: str) -> bool:
    if not (ROOT / ".git").exists():
        pytest.skip(f"{ROOT} is no git clone, so git cannot be asked; run the tests in a clone")
    return subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT).returncode == 0


def test_make_alone_lists_the_targets() -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    shown = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, env=plain, check=True).stdout
    targets = re.findall(r"^make (\w+) +\S", shown, re.M)
    assert targets == ["help", "demo", "test", "check", "fix", "lab", "notebooks", "outputs", "bench", "lock", "clean"]


def test_without_a_python_the_message_names_the_remedy(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHON"))}
    made = subprocess.run(["make", "-C", tmp_path, "demo", "PYTHON="], capture_output=True, text=True, env=plain)
    assert made.returncode != 0
    assert "No Python 3.11 or newer was found. Install one, or name it: make PYTHON=/path/to/python3" in made.stderr
    assert not (tmp_path / ".venv").exists()


def test_settings_of_pip_hold_for_uv() -> None:
    tool = set_up_tool()
    pip = tool.pip_settings(
        "global.index-url='https://mirror.example/simple'\n"
        "global.cert='/etc/ca.pem'\n"
        "install.find-links='/wheels\\n/more'\n"
        "freeze.timeout='10'\n"
        ":env:.index-url='https://other.example/simple'\n"
        ":env:.extra-index-url='https://a.example https://b.example'\n"
    )
    assert tool.uv_settings(pip) == {
        "UV_DEFAULT_INDEX": "https://other.example/simple",
        "UV_INDEX": "https://a.example https://b.example",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_first_entries_of_a_lock_come_with_their_hashes() -> None:
    text = (
        "a==1 \\\n    --hash=sha256:aa\n    # via b\nuv==2 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\nz==3 \\\n"
    )
    assert set_up_tool().entries(text, ("uv",)) == "uv==2 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
