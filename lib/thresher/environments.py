"""Environments: where a project's pipelines run (dev, qa, prod), as its file `thresher.yml` says.

The one in force is named by `--env` or THRESHER_ENV, else it is the file's default. What is given on the command line
wins over it, and it wins over the pipeline file.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.errors import PipelineError, UsageError
from thresher.project import project_root, resolve

if TYPE_CHECKING:
    from thresher.pipeline_file import Argument
    from thresher.project_file import EnvironmentText, ProjectText

FILE = "thresher.yml"
VARIABLE = "THRESHER_ENV"


@dataclass(frozen=True)
class Environment:
    """An environment with its references filled in; paths are absolute.

    `is_named` tells it from the file's default. `site` and `ledger` are of this lake alone, and so is `copy_of`: the
    lake whose datasets are copied into it when they are needed.
    """

    name: str
    is_named: bool
    lake: Path
    site: Path
    engine: str | None
    copy_of: Path | None
    variables: Mapping[str, str]
    root: Path = field(repr=False)
    text: "EnvironmentText" = field(repr=False)

    @property
    def ledger(self) -> str | None:
        """The database or file of the ledger, if one is named; opens a secret. Raises PipelineError, SecretError."""
        from thresher.parameters.references import replace_secrets, secret_names
        from thresher.secrets.store import find

        if "ledger" not in self.text.values:
            return None
        filled = filled_in(self.text.values["ledger"], {}, "ledger", may_be_secret=True)
        url = replace_secrets(filled, {name: find(name) for name in secret_names(filled)})
        return url if "://" in url else str(resolve(url, self.root))


def project() -> "ProjectText | None":
    """The project's file `thresher.yml`, or None where there is none. Raises PipelineError."""
    return _project(project_root())


def current() -> Environment | None:
    """The environment in force, or None. Raises UsageError where it is not there, PipelineError for a wrong file."""
    root, named = project_root(), os.environ.get(VARIABLE)
    found = _project(root)
    if found is None:
        if named:
            raise UsageError(f"environment {named!r}: there is no {root / FILE}, which would say what it is")
        return None
    name = named or found.default
    if name is None:
        return None
    if name not in found.environments:
        from thresher.pipeline_file import did_you_mean

        hint = did_you_mean(name, found.environments)
        raise UsageError(f"no environment {name!r} in {found.shown} (--env, {VARIABLE}). {hint}")
    return _filled(found, found.environments[name], root, is_named=bool(named))


@contextmanager
def entered(name: str | None = None) -> Iterator[Environment | None]:
    """Let an environment be in force for a block, with its variables; without a name the one that is meant anyway.

    Raises as `current` does.
    """
    with _variables({VARIABLE: name} if name else {}):
        environment = current()
        with _variables(environment.variables if environment else {}):
            yield environment


def of_lake(lake: Path) -> Environment | None:
    """The environment in force, if that lake is its own."""
    environment = current()
    return environment if environment and environment.lake == lake.resolve() else None


def is_at_hand(lake: Path, name: str) -> bool:
    """Whether a lake holds a dataset, or a run would copy it there from the lake that its environment is a copy of."""
    from thresher.datasets import state

    if state(lake, name):
        return True
    environment = of_lake(lake)
    return bool(environment and environment.copy_of and state(environment.copy_of, name))


def filled_in(argument: "Argument", run: Mapping[str, str], name: str, *, may_be_secret: bool = False) -> Any:
    """A value of the file with its references replaced. Raises PipelineError with file and line."""
    from thresher.parameters.references import fill

    try:
        filled = fill(argument.value, {}, run)
    except PipelineError as error:
        raise PipelineError(f"{FILE}:{argument.line}: {name}: {error}") from None
    if filled.has_secret and not may_be_secret and argument.role != "params":
        raise PipelineError(f"{FILE}:{argument.line}: {name}: refers to a secret, expected a plain value")
    return filled.value


def lineage_target(project: "ProjectText") -> str:
    """Where a project's file says that lineage goes. Raises PipelineError for a reference that stands for nothing."""
    return str(filled_in(project.lineage["to"], {}, "lineage: to"))


def _project(root: Path) -> "ProjectText | None":
    file = root / FILE
    try:
        return _read(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=8)
def _read(file: Path, changed_at_ns: int) -> "ProjectText":
    from thresher.project_file import read_project

    return read_project(file)


def _filled(text: "ProjectText", found: "EnvironmentText", root: Path, *, is_named: bool) -> Environment:
    def value(key: str, of: "EnvironmentText" = found) -> str | None:
        return filled_in(of.values[key], {}, key) if key in of.values else None

    def path(key: str, of: "EnvironmentText" = found) -> Path | None:
        filled = value(key, of)
        return resolve(filled, root).resolve() if filled else None

    lake = path("lake")
    if lake is None:
        raise PipelineError(f"{text.shown}:{found.line}: environment {found.name}: lake is empty, expected a folder")
    source = found.values.get("copy_of")
    copied = path("lake", text.environments[source.value]) if source else None
    if source and copied and (copied.is_relative_to(lake) or lake.is_relative_to(copied)):
        which = f"{source.value} is {copied}, {found.name} is {lake}"
        raise PipelineError(f"{text.shown}:{source.line}: copy_of: expected two lakes apart from each other; {which}")
    engine = value("engine")
    if engine:
        _check_engine(engine, f"{text.shown}:{found.values['engine'].line}")
    return Environment(
        name=found.name,
        is_named=is_named,
        lake=lake,
        # Beside the lake, but not where that of another environment is.
        site=path("site") or lake.parent / f"site-{found.name}",
        engine=engine,
        copy_of=copied,
        variables={name: filled_in(argument, {}, name) for name, argument in found.variables.items()},
        root=root,
        text=found,
    )


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Variables of this process for a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _check_engine(engine: str, place: str) -> None:
    from thresher.pipeline import check_engine

    try:
        check_engine(engine)
    except UsageError as error:
        raise PipelineError(f"{place}: engine: {error}") from None
