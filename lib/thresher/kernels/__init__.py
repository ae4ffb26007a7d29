"""Kernels that start in a fraction of a second: forked from a server that has the heavy libraries loaded.

`fork_server` is the server's process, `forked_kernel` what it becomes; `servers` starts servers and finds them,
`provisioner` lets Jupyter use them, `kernel` is what a run has to do with them, `orphans` ends what they left. Linux
only; elsewhere, and wherever forking is refused, kernels are ordinary processes.
"""
