"""A pipeline: steps in the order that their reads and writes ask for, checked before anything runs."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from thresher import landing
from thresher.errors import ParameterError, PipelineError, UsageError
from thresher.notebook import Contract, Parameter, read_contract
from thresher.pipeline_file import (
    Argument,
    PipelineText,
    Problems,
    StepText,
    did_you_mean,
    parse_value,
    read,
    word_for,
)
from thresher.places import lake_folder
from thresher.project import names_file, project_root, resolve

LAKE_PARAMETER = "lake"
TEXT_FILES = (".sql", ".ddl")  # a parameter that is text may be the path of such a file
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_ENGINE = re.compile(r"duckdb|spark|sc://\S+")
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")


@dataclass(frozen=True)
class Step:
    """One notebook with everything that it is given, and the steps that it must wait for."""

    name: str
    notebook: str
    arguments: Mapping[str, Any]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    after: tuple[str, ...]
    engine: str | None
    is_report: bool
    takes_lake: bool
    code_cells: int


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline; `steps` stand in an order in which they can run, `file` is relative to the project."""

    name: str
    description: str
    file: str
    project: Path
    params: Mapping[str, Any]
    steps: tuple[Step, ...]


def check_engine(name: str) -> str:
    """The name of an engine, if it is one. Raises UsageError.

    >>> check_engine("sc://spark.example:15002")
    'sc://spark.example:15002'
    """
    if not _ENGINE.fullmatch(name):
        raise UsageError(f"found {name!r}, expected duckdb, spark or sc://host:port (--engine, THRESHER_ENGINE)")
    return name


def find(name: str | Path) -> Path:
    """The pipeline file of a path, or of a bare name: `courses` is `pipelines/courses.yml` in the project.

    Raises PipelineError that lists the pipelines there are.
    """
    path = Path(name)
    folder = project_root() / "pipelines"
    candidates = [path, folder / path] if path.suffix in (".yml", ".yaml") else [folder / f"{name}.yml"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    there = sorted(each.stem for each in folder.glob("*.yml"))
    raise PipelineError(f"no pipeline {str(name)!r}: found no file {candidates[-1]}. {did_you_mean(str(name), there)}")


def plan(pipeline: Path | str, params: Mapping[str, Any] | None = None, *, lake: Path | str | None = None) -> Pipeline:
    """Find and check a pipeline against what a lake holds, as before a run; writes nothing. Raises UsageError."""
    from thresher.lake import Lake, check_readable

    folder = lake_folder(lake)
    check_readable(folder)
    return load(find(pipeline), params, exists=lambda name: Lake(folder, "duckdb").exists(name))


def load(file: Path | str, params: Mapping[str, Any] | None = None, *, exists: Callable[[str], bool]) -> Pipeline:
    """Read a pipeline file, put the parameters in, and check everything that can be checked before a run.

    `params` override the file's; a text is read as YAML unless the default is a text. `exists` tells which datasets
    the lake holds already. Raises PipelineError, ParameterError or LandingNotFound, whose message names every problem,
    one a line: file, line, what was found, what was expected.
    """
    path = Path(file).resolve()
    project = project_root(path.parent)
    shown = str(path.relative_to(project)) if path.is_relative_to(project) else str(path)
    problems = Problems(shown)
    text = read(path, problems)
    _check_names(text, problems)
    values = _overridden(text, params or {}, problems)
    steps = [_step(step, values, project, problems) for step in text.steps]
    ordered = _ordered(steps, {step.name: step for step in text.steps}, exists, problems)
    problems.raise_any()
    return Pipeline(text.name, text.description, shown, project, values, ordered)


def _check_names(text: PipelineText, problems: Problems) -> None:
    names = [("name", text.name, text.name_line)] if text.name else []
    for what, name, line in names + [("step", step.name, step.line) for step in text.steps]:
        if not _NAME.fullmatch(name):
            expected = "lower-case letters, digits, _ and -, beginning with a letter, at most 64"
            problems.add(line, f"{what}: found {name!r}, expected {expected}")
    for name, argument in text.params.items():
        if any("${" in each for each in _texts(argument.value)):
            problems.add(argument.line, f"{name}: params cannot refer to each other (found {argument.value!r})")


def _overridden(text: PipelineText, given: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    values = {name: argument.value for name, argument in text.params.items()}
    for name, value in given.items():
        if name not in values:
            hint = did_you_mean(name, values)
            problems.add(0, f"{problems.file}: unknown parameter -p {name}={value}. {hint}", ParameterError)
            continue
        try:
            values[name] = _converted(value, values[name])
        except ValueError as error:
            problems.add(0, f"{problems.file}: -p {name}={value}: {error}", ParameterError)
    return values


def _converted(value: Any, default: Any) -> Any:
    """A given value in the type of the default. Raises ValueError."""
    if isinstance(value, str) and not isinstance(default, str):
        value = parse_value(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if default is not None and type(value) is not type(default):
        raise ValueError(f"found {word_for(value)}, expected {word_for(default).partition(' (')[0]}, as the default is")
    return value


def _step(text: StepText, params: Mapping[str, Any], project: Path, problems: Problems) -> Step:
    arguments = {name: _filled(each, params, problems) for name, each in text.arguments.items()}
    engine, engine_line = text.engine or (None, 0)
    if engine:
        problems.catch(engine_line, "engine", check_engine, engine)
    contract = _contract(text, project, problems)
    if contract:
        _check_arguments(text, arguments, contract, problems)
        _check_landing(text, arguments, contract, project, problems)
        _check_files(text, arguments, project, problems)
    takes_lake = bool(contract and LAKE_PARAMETER in contract.parameters)
    datasets = {role: tuple(dict.fromkeys(_datasets(role, text, arguments, problems))) for role in ("reads", "writes")}
    return Step(
        name=text.name,
        notebook=text.notebook or "",
        arguments=arguments,
        reads=datasets["reads"],
        writes=datasets["writes"],
        after=(),
        engine=engine,
        is_report=text.report,
        takes_lake=takes_lake,
        # papermill writes the values given into a cell of their own.
        code_cells=contract.code_cells + bool(arguments or takes_lake) if contract else 0,
    )


def _filled(argument: Argument, params: Mapping[str, Any], problems: Problems) -> Any:
    """A value with `${name}` replaced; `$${` stands for a literal `${`. What is put in is not looked at again."""

    def reference(name: str) -> Any:
        if name not in params:
            problems.add(argument.line, f"unknown ${{{name}}}. {did_you_mean(name, params)}")
        return params.get(name, f"${{{name}}}")

    def replaced(match: re.Match[str]) -> str:
        return "${" if match[1] is None else str(reference(match[1]))

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(each) for each in value]
        if isinstance(value, dict):
            return {key: fill(each) for key, each in value.items()}
        if not isinstance(value, str):
            return value
        whole = _REFERENCE.fullmatch(value)
        return reference(whole[1]) if whole and whole[1] is not None else _REFERENCE.sub(replaced, value)

    return fill(argument.value)


def _contract(text: StepText, project: Path, problems: Problems) -> Contract | None:
    if text.notebook is None:
        return None
    path = project / text.notebook
    if not path.is_file():
        there = [str(each.relative_to(project)) for each in sorted((project / "notebooks").rglob("*.ipynb"))]
        problems.add(text.notebook_line, f"no notebook {text.notebook}. {did_you_mean(text.notebook, there)}")
        return None
    return problems.catch(text.notebook_line, "notebook", read_contract, path)


def _check_arguments(text: StepText, arguments: Mapping[str, Any], contract: Contract, problems: Problems) -> None:
    known: dict[str, Parameter] = {k: v for k, v in contract.parameters.items() if k != LAKE_PARAMETER}
    for name, value in arguments.items():
        line = text.arguments[name].line
        if name == LAKE_PARAMETER:
            problems.add(line, f"{name} is given by the runner; take it away (thresher run --lake …)", ParameterError)
        elif name not in known:
            hint = did_you_mean(name, known)
            problems.add(line, f"{text.notebook} has no parameter {name!r}. {hint}", ParameterError)
        elif not known[name].accepts(value):
            expected = f"{text.notebook} expects {known[name].type}"
            problems.add(line, f"{name}: found {word_for(value)}, {expected}", ParameterError)
    for name, parameter in known.items():
        if parameter.is_required and name not in arguments:
            expected = f"{name} ({parameter.type}), which {text.notebook} must be given"
            problems.add(text.line, f"step {text.name}: missing {expected}", ParameterError)


def _check_landing(
    text: StepText, arguments: Mapping[str, Any], contract: Contract, project: Path, problems: Problems
) -> None:
    for name, parameter in contract.parameters.items():
        value = arguments.get(name, parameter.default)
        if parameter.is_landing and parameter.accepts(value):
            line = text.arguments[name].line if name in arguments else text.line
            for pattern in [value] if isinstance(value, str) else value or ():
                problems.catch(line, name, partial(landing.find, project=project), pattern)


def _check_files(text: StepText, arguments: Mapping[str, Any], project: Path, problems: Problems) -> None:
    for name, value in arguments.items():
        if isinstance(value, str) and any(names_file(value, suffix) for suffix in TEXT_FILES):
            if not resolve(value.strip(), project).is_file():
                problems.add(text.arguments[name].line, f"{name}: file {value} is not there", ParameterError)


def _datasets(role: str, text: StepText, arguments: Mapping[str, Any], problems: Problems) -> Iterator[str]:
    from thresher.lake import parse_name

    for name, argument in text.arguments.items():
        if argument.role != role:
            continue
        value = arguments[name]
        named = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        for dataset in named:
            if problems.catch(argument.line, name, parse_name, dataset):
                yield dataset


def _ordered(
    steps: list[Step], texts: Mapping[str, StepText], exists: Callable[[str], bool], problems: Problems
) -> tuple[Step, ...]:
    """The steps by depth, so that what can run at once stands together, else in the order of the file."""
    writer: dict[str, str] = {}
    for step in steps:
        for dataset in step.writes:
            other = writer.setdefault(dataset, step.name)
            if other != step.name:
                line = texts[step.name].line
                problems.add(line, f"step {step.name} writes {dataset}, which step {other} writes too; expected one")
    after: dict[str, tuple[str, ...]] = {}
    for step in steps:
        for dataset in step.reads:
            if dataset not in writer and not exists(dataset):
                hint = did_you_mean(dataset, writer)
                what = f"step {step.name} reads {dataset}, which no step writes and the lake does not hold"
                problems.add(texts[step.name].line, f"{what}. {hint}")
        after[step.name] = tuple(dict.fromkeys(writer[dataset] for dataset in step.reads if dataset in writer))
    try:
        names = _by_depth(after)
    except CycleError as error:
        loop = error.args[1][:-1]
        first = loop.index(next(name for name in after if name in loop))
        turned = [*loop[first:], *loop[: first + 1]]
        problems.add(texts[turned[0]].line, f"the steps wait for each other: {' → '.join(turned)}")
        return ()
    by_name = {step.name: step for step in steps}
    return tuple(replace(by_name[name], after=after[name]) for name in names)


def _by_depth(after: Mapping[str, tuple[str, ...]]) -> list[str]:
    place = {name: index for index, name in enumerate(after)}
    graph = TopologicalSorter(after)
    graph.prepare()
    names: list[str] = []
    while graph.is_active():
        ready = sorted(graph.get_ready(), key=place.__getitem__)
        names += ready
        graph.done(*ready)
    return names


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
