"""Write environment.yml, for conda users, from requirements-dev.lock: the same versions, checked by the same tests.

python tools/write_environment.py
"""

import os
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# The whole set for conda users:  conda env create -f environment.yml && conda activate thresher
# Written by `make lock` from requirements-dev.lock; Python and Java are the versions that the tests run on.
# pip adds rfc3987-syntax, an optional part of jsonschema that costs seconds at every start of a notebook:
#   pip uninstall --yes rfc3987-syntax lark
name: thresher
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - openjdk=17
  - make
  - pip
  - pip:
      # asked for by pyproject.toml
"""
REST = "      # what they need in turn\n"
TAIL = "      # the library and the `thresher` command, from this folder\n      - --editable .\n"


def normal(name: str) -> str:
    """A package's name in the form that locks use.

    >>> normal("ruamel.yaml")
    'ruamel-yaml'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(pyproject: dict) -> set[str]:
    """The names of the packages that pyproject.toml lists."""
    project = pyproject["project"]
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def pins(lock: str) -> list[str]:
    """The `name==version` entries of a lock, with their conditions, without their hashes."""
    return [line.removesuffix("\\").strip() for line in lock.splitlines() if re.match(r"\S+==", line)]


def environment(lock: str, direct: set[str]) -> str:
    """The text of environment.yml."""

    def lines(wanted: bool) -> str:
        chosen = [pin for pin in pins(lock) if (pin.partition("==")[0] in direct) is wanted]
        return "".join(f'      - "{pin}"\n' if ";" in pin else f"      - {pin}\n" for pin in chosen)

    return HEAD + lines(True) + REST + lines(False) + TAIL


def main() -> None:
    direct = asked_for(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    text = environment((ROOT / "requirements-dev.lock").read_text(), direct)
    new = ROOT / "environment.yml.tmp"
    new.write_text(text)
    os.replace(new, ROOT / "environment.yml")


if __name__ == "__main__":
    main()
