"""What the file `thresher.yml` says about a pipeline, over or beside the pipeline's own file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thresher.environments import FILE, current, filled_in, project
from thresher.errors import PipelineError
from thresher.notices.recipients import Recipient, read_recipients
from thresher.pipeline_file import Problems, did_you_mean
from thresher.project import project_root


@dataclass(frozen=True)
class Override:
    """A pipeline's parameter as the environment has it, and where that stands: `thresher.yml:7`."""

    value: Any
    place: str


def params_of(pipeline: str, known: Mapping[str, Any], run: Mapping[str, str]) -> dict[str, Override]:
    """What the environment in force says about a pipeline's parameters, by name.

    `known` are the parameters that it has, `run` the facts of the run. Raises PipelineError for a name that no pipeline
    of the project has, and for a reference that stands for nothing.
    """
    environment = current()
    known_facts = {name: value for name, value in run.items() if name != "id"}  # it is not known yet
    found: dict[str, Override] = {}
    entries = environment.text.params.items() if environment else ()
    # What is said of one pipeline comes after what is said of all.
    for name, argument in sorted(entries, key=lambda entry: "." in entry[0]):
        owner, dot, param = name.rpartition(".")
        place = f"{FILE}:{argument.line}"
        if dot and owner != pipeline:
            if not _stands_in_a_pipeline(rf"^name:\s*['\"]?{re.escape(owner)}\b"):
                raise PipelineError(f"{place}: params: no pipeline is named {owner}, as in {name}")
            continue
        if param in known:
            found[param] = Override(filled_in(argument, known_facts, name), place)
        elif dot or not _stands_in_a_pipeline(rf"(?:^|[\s{{,]){re.escape(param)}['\"]?\s*:"):
            where = f"pipeline {pipeline} has" if dot else "no pipeline has"
            raise PipelineError(
                f"{place}: params: {where} {'no ' * bool(dot)}parameter {param}. {did_you_mean(param, known)}"
            )
    return found


def recipients(own: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
    """Who is told of a pipeline's runs: its own recipients and the project's, or those of the environment alone.

    Raises PipelineError for entries that are wrong.
    """
    found, environment = project(), current()
    if found is None:
        return own
    problems = Problems(found.shown)
    told = environment.text.notify if environment else None
    read = read_recipients(found.notify if told is None else told, problems)
    problems.raise_any()
    return read if told is not None else tuple(dict.fromkeys([*own, *read]))


def keep_runs(own: int | None) -> int | None:
    """How many runs of a pipeline are kept: what it says itself, else what the project says."""
    found = project()
    return own if own is not None or found is None else found.keep_runs


def _stands_in_a_pipeline(pattern: str) -> bool:
    """Whether a line of some pipeline file has that; reading all of them as YAML would take long."""
    looked_for = re.compile(pattern, re.MULTILINE)
    files = (project_root() / "pipelines").glob("*.y*ml")
    return any(looked_for.search(file.read_text("utf-8", "replace")) for file in files)
