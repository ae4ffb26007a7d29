"""Lets Jupyter use forked kernels: papermill, nbval and JupyterLab start them as they start any other."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from thresher.kernels import orphans, servers

NAME = "thresher-fork"


class ForkProvisioner(LocalProvisioner):
    """Asks a fork server for a kernel: the one that THRESHER_FORK_SERVER names, else the one that all tools share.

    Where none can be forked, an ordinary process is started.
    """

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel whose command ends in ipykernel's arguments, from `-f` on."""
        env = servers.environment(kwargs.get("env") or os.environ)
        cwd = str(kwargs.get("cwd") or Path.cwd())
        try:
            process = _forked(cmd[cmd.index("-f") :], env, cwd, kwargs)
        except (servers.ForkRefused, OSError):
            return await super().launch_kernel(cmd, **kwargs | {"env": {**env, **orphans.mark()}})
        self.process, self.pid = cast(Any, process), process.pid
        # Signals go through the server: a process id may be given to another process meanwhile.
        self.pgid = None
        self.cwd = cwd
        return self.connection_info


def _forked(arguments: list[str], env: dict[str, str], cwd: str, kwargs: Mapping[str, Any]) -> servers.ForkedProcess:
    if not servers.is_supported():
        raise servers.ForkRefused("kernels are forked on Linux only")
    owned = env.pop(servers.SERVER, "") or os.environ.get(servers.SERVER)
    with open(os.devnull, "wb") as nothing:
        stdout = _descriptor(kwargs.get("stdout"), 1, nothing.fileno())
        stderr = _descriptor(kwargs.get("stderr"), 2, nothing.fileno())
        if owned:
            return servers.fork(Path(owned), arguments, env, cwd, (stdout, stderr))
        try:
            return servers.fork(servers.shared(env), arguments, env, cwd, (stdout, stderr))
        except servers.ForkRefused:  # its libraries were changed since, or it has just ended: then there is a new one
            return servers.fork(servers.shared(env), arguments, env, cwd, (stdout, stderr))


def _descriptor(given: Any, default: int, nothing: int) -> int:
    """The descriptor of an output as `subprocess.Popen` takes it."""
    if given is None:
        return default
    if given in (subprocess.DEVNULL, subprocess.PIPE):
        return nothing
    return given if isinstance(given, int) else int(given.fileno())
