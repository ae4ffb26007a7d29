"""Install a lock and this package into the environment whose Python runs this file.

    .venv/bin/python tools/set_up.py requirements.lock

uv takes half a minute where pip takes minutes, so pip installs uv first, by the same lock; where uv cannot run or
cannot reach the index, pip does the rest. Every file is checked by its hash. pip's settings (index, mirrors,
certificates) hold for uv too; uv's own settings go before them.
"""

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST = ("setuptools", "uv")  # setuptools builds pyspark and this package: without it each build would fetch its own
# No dependencies beyond the lock (it leaves one out on purpose), and nothing fetched for builds.
EXACTLY = ["--require-hashes", "--no-deps", "--no-build-isolation"]
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}


def pip_settings(listing: str) -> dict[str, str]:
    """The settings in force, from what `pip config list` prints.

    The environment goes before the settings of `pip install`, those before the global ones.
    """
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in found:
            found[section][key] = ast.literal_eval(value)
    return found["global"] | found["install"] | found[":env:"]


def uv_settings(pip: Mapping[str, str]) -> dict[str, str]:
    """pip's settings as the variables that uv reads."""
    settings = {uv: " ".join(pip[key].split()) for key, uv in UV_NAMES.items() if pip.get(key)}
    if "UV_FIND_LINKS" in settings:
        settings["UV_FIND_LINKS"] = settings["UV_FIND_LINKS"].replace(" ", ",")
    # pip takes a version from whichever index has it; uv would stop at the first that knows the name. The hashes
    # make that safe.
    return settings | {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def entries(lock: str, names: tuple[str, ...]) -> str:
    """The entries of a lock for these packages, with their hashes."""
    blocks, wanted = [], False
    for line in lock.splitlines():
        if line and not line[0].isspace():
            wanted = line.partition("==")[0] in names
        if wanted:
            blocks.append(line)
    return "\n".join(blocks) + "\n"


def run(*command: str, settings: Mapping[str, str] | None = None) -> bool:
    """Whether the command succeeded; its messages are shown."""
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=settings).returncode == 0


def install(lock: Path) -> str:
    """Install the lock and the package; the name of the tool that did it. Raises SystemExit where neither could."""
    # A --user or --target installation that someone has made their default would miss the environment.
    plain = {name: value for name, value in os.environ.items() if name not in ("PIP_TARGET", "PIP_PREFIX")}
    plain |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "first.lock"
        first.write_text(entries(lock.read_text(), FIRST))
        if not run("pip", "install", "--quiet", *EXACTLY, "-r", str(first), settings=plain):
            # No uv for this platform, perhaps: setuptools alone is enough for pip.
            first.write_text(entries(lock.read_text(), FIRST[:1]))
            run("pip", "install", "--quiet", *EXACTLY, "-r", str(first), settings=plain)
    # As a program, so that pip reads its settings as it would for the user.
    listing = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, env=plain)
    pip = pip_settings(listing.stdout)
    uv = ["uv", "pip", "install", "--quiet", "--python", sys.executable]
    if pip.get("no-index", "false").lower() in ("1", "true", "yes", "on"):
        uv.append("--no-index")
    for tool, command, settings in (
        ("uv", uv, uv_settings(pip) | plain),
        ("pip", ["pip", "install", "--quiet"], plain),
    ):
        if run(*command, *EXACTLY, "-r", str(lock), settings=settings) and run(
            *command, *EXACTLY[1:], "--editable", ".", settings=settings
        ):
            return tool
        print(f"{tool} could not install {lock.name}: see above." + " Trying pip." * (tool == "uv"), flush=True)
    raise SystemExit(f"{lock.name} is not installed. Is the package index reachable? `python -m pip config list`.")


def main() -> None:
    lock = ROOT / sys.argv[1]
    count = sum("==" in line for line in lock.read_text().splitlines())
    print(f"Installing {lock.name} ({count} packages) into {sys.prefix} …", flush=True)
    print(f"Installed with {install(lock)}.")


if __name__ == "__main__":
    main()
