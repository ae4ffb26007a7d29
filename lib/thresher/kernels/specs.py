"""Tells Jupyter of the kernels that are forked: for one process by JUPYTER_PATH, or installed for an environment."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

NAME = "thresher"
_PATH = "JUPYTER_PATH"
_FOLDER = Path(__file__).parent / "jupyter"


def with_warm_kernels(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for a Jupyter tool in which `python3`, the kernel that most notebooks name, is a forked one.

    >>> with_warm_kernels({"JUPYTER_PATH": "/opt/jupyter"})["JUPYTER_PATH"].endswith("/kernels/jupyter:/opt/jupyter")
    True
    """
    return {**env, _PATH: os.pathsep.join(filter(None, (str(_FOLDER), env.get(_PATH))))}


def install(prefix: Path | str = sys.prefix) -> Path:
    """Install the kernel `thresher` for the Jupyter of an environment, by its prefix; return the kernel's folder.

    It runs the Python that installs it. Raises OSError where the folder cannot be written.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    spec = json.loads((_FOLDER / "kernels" / NAME / "kernel.json").read_text("utf-8"))
    spec["argv"][0] = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kernel.json").write_text(json.dumps(spec, indent=1) + "\n", "utf-8")
        return Path(KernelSpecManager().install_kernel_spec(folder, NAME, prefix=str(prefix)))
