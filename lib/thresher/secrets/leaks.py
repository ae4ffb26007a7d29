"""The gate that keeps the secrets of a run out of all that it writes: notebooks, ledger, pages, terminal.

A secret is looked for in all the ways in which it may be written (`forms`). What is found is replaced by
`[secret NAME]`. A secret that a notebook cuts into pieces cannot be found, nor one in the pixels of an image: that
matplotlib draws none is seen to where it is opened (`opened_secrets`).
"""

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from thresher.parameters.references import SECRET_VARIABLE
from thresher.secrets.forms import Forms, fold

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTENT = ("source", "outputs", "attachments")
_TEXT_MIMES = ("text/", "application/json", "application/javascript", "application/xml", "image/svg")


@dataclass(frozen=True)
class Leak:
    """A cell of a notebook that shows secrets, by their names."""

    cell: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        what = " and ".join(f"secret {name}" for name in self.names)
        return f"{self.cell} shows {what}; show nothing that holds one (it is kept as [secret {self.names[0]}])"


class Secrets:
    """The secrets of one run, by name. However it is printed, it shows the names only.

    >>> secrets = Secrets({"DB": "hunter2"})
    >>> secrets, secrets.hide("login hunter2, aHVudGVyMg== failed")
    (Secrets(DB), 'login [secret DB], [secret DB] failed')
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        # The longest first: one secret may be part of another.
        self._values = dict(sorted((values or {}).items(), key=lambda item: -len(item[1])))
        self._forms = {name: Forms(value, self._values) for name, value in self._values.items()}

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._values))})"

    def __bool__(self) -> bool:
        return bool(self._values)

    def values(self) -> dict[str, str]:
        """The secrets themselves, by name: for a process that hides them, too, and gets them by a pipe."""
        return dict(self._values)

    def environment(self, names: Iterable[str]) -> dict[str, str]:
        """The variables by which a kernel gets these secrets; the caller's others are emptied."""
        others = {name: "" for name in os.environ if name.startswith(SECRET_VARIABLE)}
        return others | {SECRET_VARIABLE + name: self._values[name] for name in names}

    def hide(self, text: str) -> str:
        """A text with `[secret NAME]` in place of each secret."""
        hidden = self._replaced(text)
        if self and "\x1b[" in text:
            plain = _COLOUR.sub("", hidden)  # colours may stand between its characters
            if self.found(plain):
                return self._replaced(plain)
        return hidden

    def found(self, text: str) -> list[str]:
        """The names of the secrets in a text."""
        folded = fold(text) if self else b""
        return [name for name, forms in self._forms.items() if forms.are_in(text, folded)]

    def hide_in(self, value: Any) -> Any:
        """A copy of nested lists and mappings with the secrets hidden in their texts and keys."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, list | tuple):
            return [self.hide_in(each) for each in value]
        if isinstance(value, dict):
            return {self.hide_in(key): self.hide_in(each) for key, each in value.items()}
        if isinstance(value, int | float) and self.found(str(value)):
            return self.hide(str(value))
        return value

    def hide_in_notebook(self, notebook: Mapping[str, Any]) -> tuple[dict[str, Any], list[Leak]]:
        """A copy of a notebook (nbformat 4) with the secrets hidden, and the cells that showed some."""
        cells, leaks = [], []
        for number, cell in enumerate(notebook["cells"], 1):
            content = [cell.get(part) for part in _CONTENT]
            shown = {name for text in _texts(content) for name in self.found(_COLOUR.sub("", text))}
            shown |= {name for output in cell.get("outputs", ()) for name in self._drawn(output)}
            if shown:
                label = f"cell [{cell['execution_count']}]" if cell.get("execution_count") else f"cell no. {number}"
                leaks.append(Leak(label, tuple(sorted(shown))))
                cell = self._hidden_cell(cell)
            cells.append(cell)
        rest = {key: value for key, value in notebook.items() if key != "cells"}
        return self.hide_in(rest) | {"cells": cells}, leaks

    def _hidden_cell(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        outputs = []
        for output in cell.get("outputs", ()):
            drawn = self._drawn(output)
            outputs.append(dict(output) | {"data": {"text/plain": f"[secret {drawn[0]}]"}} if drawn else output)
        hidden = dict(cell) | ({"outputs": outputs} if outputs else {})
        return hidden | {part: self.hide_in(hidden[part]) for part in (*_CONTENT, "metadata") if part in hidden}

    def _drawn(self, output: Mapping[str, Any]) -> list[str]:
        """The secrets in the bytes of an output: in what an image or a document says of itself."""
        found = []
        for mime, data in output.get("data", {}).items():
            if isinstance(data, str) and not mime.startswith(_TEXT_MIMES):
                found += self.found(_decoded(data))
        return found

    def _replaced(self, text: str) -> str:
        for name in self.found(text):
            text = self._forms[name].replaced(text, f"[secret {name}]")
        return text


def _decoded(data: str) -> str:
    """Bytes in base64 as text of as many characters; nothing where it is no base64."""
    try:
        return base64.b64decode(data).decode("latin-1")
    except ValueError:
        return ""


def _texts(value: Any) -> Iterator[str]:
    """All texts, keys and numbers in nested lists and mappings."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
