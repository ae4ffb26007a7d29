"""Keeps opened secrets out of what a step writes past the gate: the pixels of figures and the names of files."""

import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from thresher.errors import SecretError
from thresher.secrets.leaks import Secrets

_kept: dict[str, str] = {}
_secrets = Secrets()


def keep_in(values: Mapping[str, str]) -> None:
    """From now on, raise SecretError in this process where a figure's text or a new file's name holds one of these."""
    global _secrets
    if values.keys() <= _kept.keys():
        return
    _kept.update(values)
    _secrets = Secrets(_kept)
    _watch_files()
    _watch_figures()


def _refuse_in(text: str, what: str) -> None:
    for name in _secrets.found(text):
        raise SecretError(f"{what} shows secret {name}; show nothing that holds one")


@cache
def _watch_files() -> None:
    """Have Python tell of each file and folder before it is made."""
    for_writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        is_new = event == "os.mkdir" or (event == "open" and bool((arguments[2] or 0) & for_writing))
        path = arguments[1 if event == "os.rename" else 0] if is_new or event == "os.rename" else ""
        if isinstance(path, str | bytes | os.PathLike):
            _refuse_in(os.path.basename(os.fsdecode(path)), "the name of a file")

    sys.addaudithook(look)


@cache
def _watch_figures() -> None:
    """Have matplotlib tell of each text before it is part of a figure."""
    from matplotlib.text import Text

    plain = Text.set_text

    def set_text(self: Text, s: object) -> None:
        _refuse_in(str(s), "a text in a figure")
        plain(self, s)

    Text.set_text = set_text  # type: ignore[method-assign]
