"""Functions as machine code, kept on disk until any module of their package changes."""

import hashlib
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Timer
from typing import Any

from numba import njit
from numba.core import caching

SILENT_S = 2  # compiling that takes longer is told of


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that other compiled functions call: it becomes part of them."""
    return njit(nogil=True, error_model="numpy")(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function that is to stand within each that calls it."""
    return njit(nogil=True, error_model="numpy", forceinline=True)(function)


def entry(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, without Python's lock; compiled once, and then loaded.

    Where no folder can be written, it is compiled in every process.
    """
    made = compiled(function)
    try:
        made._cache = _Cache(function)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return made
    return made


@lru_cache
def _fingerprint(folder: Path) -> str:
    """The contents of a package's modules: numba itself looks at the one module in which a function stands."""
    contents = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"\0".join([Path(__file__).read_bytes(), *contents])).hexdigest()


class _Stamp:
    _py_file: str

    def get_source_stamp(self) -> str:
        return _fingerprint(Path(self._py_file).parent)


class _GivenFolder(_Stamp, caching.UserProvidedCacheLocator):
    pass


class _BesideSource(_Stamp, caching.InTreeCacheLocator):
    pass


class _UserFolder(_Stamp, caching.UserWideCacheLocator):
    pass


class _Places(caching.CompileResultCacheImpl):
    _locator_classes = [_GivenFolder, _BesideSource, _UserFolder]


@lru_cache
def _tell() -> None:
    """Say why the first use takes long; once in a process."""
    sys.stderr.write("thresher: compiling loops, which takes about 25 seconds once after installation …\n")


class _Cache(caching.FunctionCache):
    _impl_class = _Places
    _telling: Timer | None = None

    def load_overload(self, *signature: Any) -> Any:
        """The function from disk; where it is not there, numba compiles it next."""
        found = super().load_overload(*signature)  # type: ignore[no-untyped-call]
        if found is None:
            self._telling = Timer(SILENT_S, _tell)
            self._telling.daemon = True
            self._telling.start()
        return found

    def save_overload(self, *made: Any) -> None:
        if self._telling:
            self._telling.cancel()
        super().save_overload(*made)  # type: ignore[no-untyped-call]
