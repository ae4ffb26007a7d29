"""Keeps opened secrets out of what a step writes past the gate: the pixels of figures and the names of files."""

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from thresher.errors import SecretError
from thresher.secrets.leaks import Secrets

_kept: dict[str, str] = {}


def keep_in(values: Mapping[str, str]) -> None:
    """From now on, raise SecretError in this process where a figure's text or a new file's name holds one of these."""
    if values.keys() <= _kept.keys():
        return
    _kept.update(values)
    _watch_files()
    _watch_figures()(Secrets(_kept))


def _refuse(what: str, name: str) -> None:
    raise SecretError(f"{what} shows secret {name}; show nothing that holds one")


@cache
def _watch_files() -> None:
    """Have Python tell of each file and folder before it is made."""
    for_writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        is_new = event == "os.mkdir" or (event == "open" and bool((arguments[2] or 0) & for_writing))
        path = arguments[1 if event == "os.rename" else 0] if is_new or event == "os.rename" else ""
        last = os.path.basename(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else ""
        for name, value in _kept.items() if last else ():
            if value in last:
                _refuse("the name of a file", name)

    sys.addaudithook(look)


@cache
def _watch_figures() -> Callable[[Secrets], None]:
    """Have matplotlib tell of each text before it is part of a figure; returns how to say what is looked for."""
    from matplotlib.text import Text

    plain = Text.set_text
    known = [Secrets()]

    def set_text(self: Text, s: object) -> None:
        for name in known[0].found(str(s)):
            _refuse("a text in a figure", name)
        plain(self, s)

    def look_for(secrets: Secrets) -> None:
        known[0] = secrets

    Text.set_text = set_text  # type: ignore[method-assign]
    return look_for
