"""What a pipeline is for and which parameters it takes, told without a lake and without running anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher.errors import ThresherError
from thresher.parameters.notebook import Contract, read_contract
from thresher.parameters.params import Use, uses
from thresher.parameters.types import kind_of, name_of
from thresher.pipeline import find
from thresher.pipeline_file import Argument, Problems, StepText, read
from thresher.project import project_root


@dataclass(frozen=True)
class Param:
    """A parameter of a pipeline: its type as a reader wants it, its default as it stands in the file."""

    name: str
    type: str
    default: Any
    help: str


@dataclass(frozen=True)
class Description:
    """A pipeline as its users need it."""

    name: str
    description: str
    params: tuple[Param, ...]


def describe(pipeline: Path | str) -> Description:
    """Describe a pipeline by its file or bare name.

    The type of a parameter is that of the notebooks' parameters that are given it as it is, else of its default; the
    help is the comment in its line, else the notebook's. Raises PipelineError for a file that cannot be read.
    """
    file = find(pipeline).resolve()
    problems = Problems(file.name)
    text = read(file, problems)
    problems.raise_any()
    project = project_root(file.parent)
    used = uses(text, {step.name: _contract(project, step) for step in text.steps})
    params = tuple(_param(name, argument, used[name]) for name, argument in text.params.items())
    return Description(text.name, text.description, params)


def _contract(project: Path, step: StepText) -> Contract | None:
    """What a step's notebook asks for; a notebook that is missing or wrong is told of when the pipeline is checked."""
    try:
        return read_contract(project / (step.notebook or ""))
    except (ThresherError, OSError):
        return None


def _param(name: str, argument: Argument, used: Sequence[Use]) -> Param:
    whole = [use.parameter for use in used if use.is_whole]
    typed = next((each for each in whole if not each.is_any), None)
    kind = typed.type if typed else name_of(kind_of(argument.value)) or "Any"
    is_shown = typed is None or not typed.is_secret or typed.accepts(argument.value)
    text = argument.comment or next((each.help for each in whole if each.help), "")
    return Param(name, kind, argument.value if is_shown else "…", text)
