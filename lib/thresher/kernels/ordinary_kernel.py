"""The process of a kernel that could not be forked: an ipykernel that dies with whoever started it."""

import os

from thresher.kernels.forked_kernel import die_with, see_own_modules
from thresher.kernels.orphans import own_what_follows


def main() -> None:
    """Serve until told to stop."""
    die_with(int(os.environ["JPY_PARENT_PID"]))
    own_what_follows()
    from ipykernel import kernelapp

    see_own_modules()
    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
