"""get_json_object and its kin: parts of a document as text, by Hive's paths as Spark reads them."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from thresher.sql.documents.json_text import copied, tolerant_value
from thresher.sql.documents.json_tokens import BadJson, Tolerance
from thresher.sql.documents.unproven import Unproven, not_too_deep

# These functions read more than JSON for Hive's sake.
TOLERANCE = Tolerance(control_characters=True, special_numbers=False)

_EVERY = "*"
# White space is passed over where Spark's parser does so, and nowhere else.
_STEP = re.compile(r"\[(\*)\]|\[\s*(\d+)\]|\.\s*(?!\s)([^.\[]+)|\s*\['\s*(?!\s)([^']+)'\]", re.ASCII)
_FIELD_WILDCARD = re.compile(r"\s*(?:\.\*|\['\*'\])", re.ASCII)
_SPACES = " \t\n\r\f\v"
_HALF = re.compile("[\ud800-\udfff]")

# How a value is written: a text without quotes, values within an array, or arrays merged into the one around them.
_RAW, _QUOTED, _FLAT = "raw", "quoted", "flat"
Copy = Callable[[Any], str]
_copied_into_text = partial(copied, into_bytes=False)


@lru_cache(maxsize=256)
def parsed_path(text: str) -> tuple[tuple[str, str | int], ...] | None:
    """The steps of a path, None where it is none.

    >>> parsed_path("$.a[0][*]"), parsed_path("a")
    ((('key', 'a'), ('index', 0), ('every', '*')), None)
    """
    if not text.startswith("$"):
        return None
    at = 1
    steps: list[tuple[str, str | int]] = []
    while text[at:].strip(_SPACES):
        if wildcard := _FIELD_WILDCARD.match(text, at):
            steps.append(("field", _EVERY))
            at = wildcard.end()
            continue
        step = _STEP.match(text, at)
        if not step:
            return None
        at = step.end()
        every, index, *names = step.groups()
        steps.append(("key", names[0] or names[1]) if not every and index is None else _step(every or index))
    return tuple(steps)


def _step(index: str) -> tuple[str, str | int]:
    if index == _EVERY:
        return "every", _EVERY
    if int(index) >= 2**63:
        raise ValueError(f"get_json_object: the index {index} of the path is too large")
    return "index", int(index)


@not_too_deep
def at_path(text: str, path: str) -> str | None:
    """What stands at a path, as text; None where nothing does, or where the document or the path is none.

    >>> at_path('{"a":[{"b":1},{"b":"x"}]}', "$.a[*].b"), at_path('{"a":"x"}', "$.a")
    ('[1,"x"]', 'x')
    """
    steps = parsed_path(path)
    if steps is None:
        return None
    try:
        value = tolerant_value(text, TOLERANCE)
    except BadJson:
        return None
    out: list[str] = []
    return "".join(out) if _evaluate(value, steps, _RAW, out, copied) else None


def _evaluate(value: Any, steps: Sequence[tuple[str, Any]], style: str, out: list[str], copy: Copy) -> bool:
    """Append what stands behind the steps; whether anything does."""
    if not steps:
        return _written(value, style, out, copy)
    kind, step = steps[0]
    if kind == "key" and isinstance(value, tuple):
        return any(
            item is not None and _evaluate(item, steps[1:], style, out, copy) for name, item in value if name == step
        )
    if kind == "every" and isinstance(value, list):
        return _every(value, steps, style, out, copy)
    if kind == "index" and isinstance(value, list) and step < len(value):
        inner = _QUOTED if steps[1:2] == (("every", _EVERY),) else style
        return _evaluate(value[step], steps[1:], inner, out, copy)
    return False


def _written(value: Any, style: str, out: list[str], copy: Copy) -> bool:
    if type(value) is str and style == _RAW:
        if not value.isascii() and _HALF.search(value):
            raise Unproven("a text with half a character")
        out.append(value)
    elif isinstance(value, list) and style == _FLAT:
        return any([_evaluate(item, (), style, out, copy) for item in value])
    else:
        out.append(copy(value))
    return True


def _every(items: list[Any], steps: Sequence[tuple[str, Any]], style: str, out: list[str], copy: Copy) -> bool:
    """[*]: one match stands alone, several in an array; [*][*] merges the inner arrays."""
    found: list[str] = []
    if steps[1:2] == (("every", _EVERY),):
        hits = [_evaluate(item, steps[2:], _FLAT, found, copy) for item in items]
        out.append(f"[{','.join(found)}]")
        return any(hits)
    if style == _QUOTED:
        hits = [_evaluate(item, steps[1:], _QUOTED, found, copy) for item in items]
        out.append(f"[{','.join(found)}]")
        return any(hits)
    inner = _QUOTED if style == _RAW else style
    hits = [_evaluate(item, steps[1:], inner, found, _copied_into_text) for item in items]
    if any(hits):
        out.append(",".join(found) if sum(hits) == 1 else f"[{','.join(found)}]")
    return any(hits)


@not_too_deep
def array_length(text: str) -> int | None:
    """How many items the array has; None for anything else."""
    try:
        value = tolerant_value(text, TOLERANCE)
    except BadJson:
        return None
    return len(value) if isinstance(value, list) else None


@not_too_deep
def object_keys(text: str) -> list[str] | None:
    """The names of the object's fields in their order; None for anything else."""
    try:
        value = tolerant_value(text, TOLERANCE)
    except BadJson:
        return None
    return [name for name, _ in value] if isinstance(value, tuple) else None


@not_too_deep
def fields(text: str, names: Sequence[str | None]) -> list[str | None]:
    """json_tuple: the texts of some fields of the object."""
    try:
        value = tolerant_value(text, TOLERANCE)
    except BadJson:
        value = None
    found: dict[str, str] = {}
    if isinstance(value, tuple):
        for name, item in value:
            if item is not None and name in names:
                found[name] = item if type(item) is str else copied(item)
    return [None if name is None else found.get(name) for name in names]
