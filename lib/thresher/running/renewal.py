"""Makes a kernel that has run one item of a batch ready for the next; imported in the kernel itself."""

import gc
import os
import sys
from collections.abc import Mapping
from typing import Any

_began_with: dict[str, str] = {}
# What every module has and libraries ask for (PySpark, multiprocessing), though no notebook did put it there.
_OF_ANY_MODULE = ("__doc__", "__loader__", "__package__", "__spec__")


def source(folder: str, env: Mapping[str, str]) -> str:
    """The code that a kernel runs before each item, unseen: `renew` with these arguments."""
    return f"__import__({__name__!r}, fromlist=['renew']).renew({folder!r}, {dict(env)!r})"


def renew(folder: str, env: Mapping[str, str]) -> None:
    """Give the session empty names, its first environment with `env`, the working folder and no open figures.

    What notebooks changed in modules stays. A session that cannot be renewed ends, so that no item sees another's.
    """
    try:
        shell: Any = sys.modules["IPython"].get_ipython()
        names = shell.user_global_ns
        kept = {name: names[name] for name in _OF_ANY_MODULE if name in names}
        shell.reset(new_session=True)
        names.update(kept)
        _began_with.update({} if _began_with else os.environ)
        os.environ.clear()
        os.environ.update({**_began_with, **env})
        os.chdir(folder)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
        gc.collect()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(70)  # EX_SOFTWARE
