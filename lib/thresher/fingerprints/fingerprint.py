"""The fingerprint of a step: all that its result depends on, each part under a name that a person understands."""

import json
import platform
import secrets
from collections.abc import Mapping
from pathlib import Path

from thresher import datasets, environments
from thresher.fingerprints import inputs
from thresher.fingerprints.code import Code
from thresher.landing import is_database
from thresher.parameters.notebook import code_of
from thresher.pipeline import Pipeline, Step
from thresher.project import resolve

_DATASET, _LANDING, _PARAMETER, _FILE = "dataset ", "landing ", "parameter ", "file "
_DATABASE = "database "
_NOTEBOOK, _ENGINE, _PYTHON, _CHECKS = "the code of ", "the engine", "Python", "checks"

Fingerprint = Mapping[str, str]


def of_step(step: Step, pipeline: Pipeline, lake: Path, engine: str, code: Code) -> dict[str, str]:
    """What a step depends on now: one entry per part, its name as it is shown → its state."""
    cells = code_of(pipeline.project / step.notebook)
    parts = {f"{_NOTEBOOK}{step.notebook}": inputs.content("\n".join(cells))}
    parts |= {f"{_FILE}{name}": state for name, state in code.used_by(cells).items()}
    parts |= {f"{_FILE}{name}": state for name, state in inputs.locks(pipeline.project).items()}
    parts |= {_ENGINE: _kind(step.engine or engine), _PYTHON: platform.python_version()}
    for name, value in step.arguments.items():
        if name not in step.volatile:
            parts[f"{_PARAMETER}{name}"] = inputs.content(json.dumps(value, sort_keys=True, default=str))
        for text in inputs.texts(value):
            if is_database(text):
                parts[f"{_DATABASE}{name}"] = secrets.token_hex(8)  # nobody knows what it holds now
            if inputs.is_read_only(text):
                parts[f"{_FILE}{text}"] = inputs.text(resolve(text.strip(), pipeline.project))
    environment = environments.current()
    for name, value in (environment.variables if environment else {}).items():
        parts[f"variable {name}"] = inputs.content(value)
    if step.checks:
        parts[_CHECKS] = inputs.content(json.dumps(step.checks, sort_keys=True, default=str))
    for source in step.landing:
        parts[f"{_LANDING}{source}"] = inputs.landed(source, pipeline.project)
    return parts | {f"{_DATASET}{name}": datasets.state(lake, name) for name in step.reads}


def outputs(step: Step, lake: Path) -> dict[str, str]:
    """The state of the datasets that a step writes, with what is kept beside them: name → state."""
    names = datasets.with_companions(step.writes)
    return {name: state for name in names if (state := datasets.state(lake, name))}


def is_input(part: str) -> bool:
    """Whether a part is data that comes from outside: landing files or a dataset."""
    return part.startswith((_LANDING, _DATASET))


def change(before: Fingerprint, now: Fingerprint) -> str:
    """What changed, in words: the part that says most, and how many others; empty when nothing did.

    >>> change({"file lib/a.py": "1", "dataset raw.x": "3:a"}, {"file lib/a.py": "2", "dataset raw.x": "3:a"})
    'lib/a.py changed'
    >>> change({"dataset raw.x": "3:a", "the engine": "duckdb"}, {"dataset raw.x": "4:b", "the engine": "spark"})
    'the engine is spark, was duckdb; and 1 more'
    """
    changed = changes(before, now)
    if not changed:
        return ""
    more = f"; and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"{changed[0]}{more}"


def changes(before: Fingerprint, now: Fingerprint) -> list[str]:
    """All that changed, in words, first what says most.

    >>> changes({"file lib/a.py": "1", "Python": "3.11.7"}, {"file lib/b.py": "2", "Python": "3.11.7"})
    ['lib/b.py is new', 'lib/a.py is no longer used']
    """
    changed = [part for part in {**now, **before} if before.get(part) != now.get(part)]
    order = (_ENGINE, _NOTEBOOK, _PARAMETER, _FILE, _LANDING, _DATASET)
    changed.sort(key=lambda part: next((i for i, kind in enumerate(order) if part.startswith(kind)), len(order)))
    return [_described(part, before.get(part), now.get(part)) for part in changed]


def _kind(engine: str) -> str:
    """An engine without where it runs: the same cluster may have another address tomorrow."""
    return "spark" if engine.startswith("sc://") else engine


def _described(part: str, before: str | None, now: str | None) -> str:
    shown = part.removeprefix(_FILE)
    if part.startswith(_DATASET):
        versions = [datasets.version(state or "") for state in (now, before)]
        name = part.removeprefix(_DATASET)
        return f"{name} was made anew" if len(set(versions)) == 1 else f"{name} is {versions[0]}, was {versions[1]}"
    if part.startswith(_DATABASE):
        return f"the database in {part.removeprefix(_DATABASE)} is read anew"
    if part.startswith(_LANDING):
        counts = [(state or "0 files").partition(":")[0] for state in (before, now)]
        return f"{shown} changed ({counts[1]}{'' if counts[0] == counts[1] else f', before {counts[0]}'})"
    if part in (_ENGINE, _PYTHON):
        return f"{part} is {now}, was {before}"
    if part == _CHECKS:
        return "its checks changed"
    if before is None or now is None:
        return f"{shown} is {'new' if before is None else 'no longer used'}"
    return f"{shown} changed"
