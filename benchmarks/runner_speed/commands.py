"""Programs and their environment."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables of the environment for a while."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def command(*arguments: str | Path, cwd: Path) -> None:
    """Run a program; its output is shown only when it fails."""
    done = subprocess.run(list(map(str, arguments)), cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def module(*arguments: str | Path, cwd: Path) -> None:
    """Run a module of this Python as a program."""
    command(sys.executable, "-m", *arguments, cwd=cwd)
