"""The process of a kernel that could not be forked: an ipykernel that dies with whoever started it."""

import os

from thresher.kernels.forked_kernel import die_with, see_working_folder


def main() -> None:
    """Serve until told to stop."""
    die_with(int(os.environ["JPY_PARENT_PID"]))
    from ipykernel import kernelapp

    see_working_folder()
    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
