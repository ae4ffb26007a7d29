"""How a step is run: how long it may take, how much memory, how often it is tried, and whether it may be skipped."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thresher.errors import PipelineError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MB|GB|MiB|GiB)")
_BYTES = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Settings:
    """What a step's keys say; None where there is no limit. `retries` are for errors that pass by themselves."""

    always: bool = field(default=False, metadata={"kind": bool})
    retries: int = field(default=0, metadata={"kind": int})
    timeout: float | None = field(default=None, metadata={"kind": str})  # seconds, of each attempt
    cell_timeout: float | None = field(default=None, metadata={"kind": str})  # seconds
    memory: int | None = field(default=None, metadata={"kind": str})  # bytes, of the notebook's processes together


def duration(text: str) -> float:
    """A duration in seconds. Raises PipelineError.

    >>> duration("90s"), duration("1.5 h")
    (90.0, 5400.0)
    """
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise PipelineError(f"found {text!r}, expected a duration such as 90s, 30m, 2h or 1d")
    return float(found[1]) * _SECONDS[found[2]]


def size(text: str) -> int:
    """A size in bytes. Raises PipelineError.

    >>> size("1.5 GB")
    1500000000
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise PipelineError(f"found {text!r}, expected a size such as 800 MB or 4 GB")
    return int(float(found[1]) * _BYTES[found[2]])


def _times(value: int) -> int:
    if not 0 <= value <= 10:
        raise PipelineError(f"found {value}, expected a number of times from 0 to 10")
    return value


KEYS: Mapping[str, type] = {name: each.metadata["kind"] for name, each in Settings.__dataclass_fields__.items()}
READERS: Mapping[str, Callable[[Any], Any]] = {
    "always": bool,
    "retries": _times,
    "timeout": duration,
    "cell_timeout": duration,
    "memory": size,
}
