"""A process that runs notebooks through nbval, one after the other: a request a line in, a result a line out."""

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from thresher.kernels.forked_kernel import die_with
from thresher.notebook_checks.nbval_plugin import Plugin

_LAST_WORDS = 3000


def main() -> None:
    """Answer requests until there are no more. What notebooks and libraries print goes nowhere."""
    die_with(int(sys.argv[1]))
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        for line in sys.stdin:
            answers.write(json.dumps(run(**json.loads(line))) + "\n")
            answers.flush()


def run(notebook: str, folder: str, replaced: tuple[str, str], sanitize: str | None, is_strict: bool) -> dict[str, Any]:
    """Run a notebook where it stands. The cells by number as dicts, and what stopped all of it, if anything did."""
    plugin = Plugin(Path(folder), (replaced[0], replaced[1]), is_strict)
    # No settings and plugins of the project's own tests.
    arguments = [notebook, "-c", os.devnull, "--rootdir", str(Path(notebook).parent), "--noconftest", "--color=no"]
    arguments += ["-p", "no:cacheprovider", "-p", "nbval.plugin", "--tb=short", "-W", "ignore"]
    arguments += ["--nbval-sanitize-with", sanitize] if sanitize else []
    with redirect_stdout(StringIO()) as said, redirect_stderr(said):
        code = pytest.main(arguments, plugins=[plugin])
    failed = any(cell.status == "failed" for cell in plugin.cells)
    if code not in (0, 5) and not failed and not plugin.error:
        plugin.error = said.getvalue()[-_LAST_WORDS:].strip()
    return {"cells": [asdict(cell) for cell in plugin.cells], "error": plugin.error}


if __name__ == "__main__":
    main()
