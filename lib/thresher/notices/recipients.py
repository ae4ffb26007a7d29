"""The key `notify` of a pipeline: who is told, and of what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from thresher.errors import PipelineError
from thresher.pipeline_file import Argument, Problems, did_you_mean, word_for
from thresher.running.step_settings import duration

FAILURE, RECOVERY, SLOW = EVENTS = ("failure", "recovery", "slow")
_KEYS = ("to", "on", "slower_than")


@dataclass(frozen=True)
class Recipient:
    """One entry of the key `notify`: an apprise URL, which may refer to a secret, and what is sent there.

    >>> Recipient("mailto://ops:${secret:MAIL}@example.org").service
    'mailto'
    """

    to: str
    on: tuple[str, ...] = (FAILURE, RECOVERY)
    slower_than_s: float | None = None

    @property
    def service(self) -> str:
        """What may be told of it: the URL's scheme, since the rest may hold passwords."""
        scheme, colon, _ = self.to.partition("://")
        return scheme if colon else "secret"


def read_recipients(entries: Iterable[tuple[int, Mapping[str, Argument]]], problems: Problems) -> tuple[Recipient, ...]:
    """The recipients that stand in a pipeline file; what is wrong with them is noted."""
    found = [_recipient(line, fields, problems) for line, fields in entries]
    if found and not find_spec("apprise"):
        problems.add(0, f"{problems.file}: notify needs apprise; run: pip install 'thresher[notices]'")
    return tuple(each for each in found if each)


def _recipient(line: int, fields: Mapping[str, Argument], problems: Problems) -> Recipient | None:
    for name in fields.keys() - set(_KEYS):
        problems.add(fields[name].line, f"notify: unknown key {name!r}. {did_you_mean(name, _KEYS)}")
    if "to" not in fields:
        problems.add(line, "notify: to is missing, expected a URL such as mailto://… or ${secret:NAME}")
        return None
    readers = {"to": _url, "on": _on, "slower_than": _slower_than}
    values: dict[str, Any] = {
        name: problems.catch(fields[name].line, f"notify: {name}", readers[name], fields[name].value)
        for name in _KEYS
        if name in fields
    }
    if None in values.values():
        return None
    slower_than_s = values.get("slower_than")
    on = values.get("on", (FAILURE, RECOVERY) if slower_than_s is None else EVENTS)
    if (SLOW in on) != (slower_than_s is not None):
        problems.add(
            line, "notify: on: slow and slower_than go together, such as on: [failure, slow], slower_than: 10m"
        )
    return Recipient(values["to"], on, slower_than_s)


def _url(value: Any) -> str:
    if not isinstance(value, str) or not ("://" in value or "${" in value):
        raise PipelineError(f"found {word_for(value)}, expected a URL such as mailto://… or ${{secret:NAME}}")
    return value


def _on(value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    if not found or any(each not in EVENTS for each in found):
        raise PipelineError(f"found {word_for(value)}, expected some of: {', '.join(EVENTS)}")
    return tuple(found)


def _slower_than(value: Any) -> float:
    if not isinstance(value, str):
        raise PipelineError(f"found {word_for(value)}, expected a duration such as 90s, 30m, 2h or 1d")
    return duration(value)
