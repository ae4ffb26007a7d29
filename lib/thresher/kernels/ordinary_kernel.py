"""The process of a kernel that could not be forked: an ipykernel that dies with whoever started it."""

import os

from thresher.kernels.forked_kernel import die_with, see_own_modules


def main() -> None:
    """Serve until told to stop."""
    die_with(int(os.environ["JPY_PARENT_PID"]))
    from ipykernel import kernelapp

    see_own_modules()
    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
