"""A pipeline: steps in the order that their reads and writes ask for, checked before anything runs."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from thresher import environments, landing, overrides
from thresher.datasets import parse_name
from thresher.errors import LandingNotFound, ParameterError, PipelineError, UsageError
from thresher.many_tables import base_of, expand
from thresher.notices.recipients import Recipient, read_recipients
from thresher.parameters.arguments import LAKE_PARAMETER as LAKE_PARAMETER
from thresher.parameters.arguments import StepArguments, arguments_of, open_secrets
from thresher.parameters.notebook import Contract, read_contract
from thresher.parameters.params import Params, explained, params_of, uses
from thresher.parameters.references import RUN_ID, Unknown, fill, replace_run_id
from thresher.pipeline_file import PipelineText, Problems, StepText, did_you_mean, read
from thresher.places import check_readable, lake_folder
from thresher.project import names_file, project_root, resolve
from thresher.running.step_settings import Settings
from thresher.schedules.schedule import Schedule, read_schedule
from thresher.secrets.leaks import Secrets
from thresher.spark_address import TOKEN_VARIABLE, without_token

TEXT_FILES = (".sql", ".ddl")  # a parameter that is text may be the path of such a file
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_ENGINE = re.compile(r"duckdb|spark|sc://\S+")


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
    landing: tuple[str, ...] = ()  # paths and globs of landing files
    settings: Settings = Settings()
    batch: int | None = None  # how many items of its `foreach` share an executed notebook
    volatile: frozenset[str] = frozenset()  # arguments that are others in each run
    secrets: tuple[str, ...] = ()  # names of those that it is handed
    checks: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)  # dataset: rules as they are said


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline; `steps` stand in an order in which they can run, `file` is relative to the project."""

    name: str
    description: str
    file: str
    project: Path
    params: Mapping[str, Any]
    steps: tuple[Step, ...]
    schedule: Schedule | None = None
    notify: tuple[Recipient, ...] = ()
    run_date: date | None = None  # the day that the run is for
    secrets: Secrets = Secrets()
    keep_runs: int | None = None  # how many runs are kept; None for all


def check_engine(name: str) -> str:
    """The name of an engine, if it is one. Raises UsageError.

    >>> check_engine("sc://spark.example:15002")
    'sc://spark.example:15002'
    """
    if without_token(name) != name:
        raise UsageError(f"found a token in the address (not shown), expected it in the variable {TOKEN_VARIABLE}")
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


def plan(
    pipeline: Path | str,
    params: Mapping[str, Any] | None = None,
    *,
    lake: Path | str | None = None,
    date: date | None = None,
) -> Pipeline:
    """Find and check a pipeline against what a lake holds, as before a run; writes nothing. Raises UsageError."""
    folder = lake_folder(lake)
    check_readable(folder)
    return load(find(pipeline), params, exists=lambda name: environments.is_at_hand(folder, name), date=date)


def load(
    file: Path | str,
    params: Mapping[str, Any] | None = None,
    *,
    exists: Callable[[str], bool],
    date: date | None = None,
) -> Pipeline:
    """Read a pipeline file, put the parameters in, and check everything that can be checked before a run.

    `params` override the file's; a text is read as YAML where no text is expected. `exists` tells which datasets the
    lake holds already. `date` is the day that the run is for, `${run.date}`; by default today's in UTC. Raises
    PipelineError, ParameterError, SecretError or LandingNotFound, whose message names every problem, one a line: file,
    line, what was found, what was expected.
    """
    path = Path(file).resolve()
    project = project_root(path.parent)
    shown = str(path.relative_to(project)) if path.is_relative_to(project) else str(path)
    problems = Problems(shown)
    text = read(path, problems)
    _check_names(text, problems)
    day = date or datetime.now(UTC).date()
    contracts = {step.name: _contract(step, project, problems) for step in text.steps}
    run = {"date": day.isoformat(), "id": RUN_ID, "pipeline": text.name}
    said = overrides.params_of(text.name, text.params, run)
    given = {name: each.value for name, each in said.items()} | dict(params or {})
    places = {name: each.place for name, each in said.items() if name not in (params or {})}
    values = params_of(text, given, uses(text, contracts), run, problems, places)
    expanded: list[tuple[StepText, Params]] = []
    contracts_of: dict[str, Contract | None] = {}
    for each in text.steps:
        found = expand(each, values, project, problems)
        expanded += found
        contracts_of |= {step.name: contracts[each.name] for step, _ in found}
        if not found:
            problems.raise_any()  # or all that reads what they write would be told, too
    arguments = {step.name: arguments_of(step, contracts_of[step.name], own, problems) for step, own in expanded}
    opened = open_secrets([(step, arguments[step.name]) for step, _ in expanded], values, problems)
    steps = [
        _step(step, contracts_of[step.name], arguments[step.name], own, project, problems) for step, own in expanded
    ]
    _check_landing(expanded, arguments, contracts_of, project, problems)
    ordered = _ordered(steps, {step.name: step for step, _ in expanded}, exists, problems)
    schedule = read_schedule(text.schedule, text.schedule_line, problems)
    notify = overrides.recipients(read_recipients(text.notify, problems))
    problems.raise_any()
    # A run for another day is another run, also where the day is no parameter.
    is_dated = any(each.has_run_date for each in arguments.values())
    is_dated = is_dated or any(each.has_run_date for each in values.filled.values())
    dated = {"run.date": run["date"]} if is_dated else {}
    secrets = Secrets(opened)
    return Pipeline(
        name=text.name,
        description=text.description,
        file=shown,
        project=project,
        params=secrets.hide_in(values.values | dated),
        steps=ordered,
        schedule=schedule,
        notify=notify,
        run_date=day,
        secrets=secrets,
        keep_runs=overrides.keep_runs(text.keep_runs),
    )


def begun(pipeline: Pipeline, run_id: str) -> Pipeline:
    """A checked pipeline whose run has an id: `${run.id}` in the steps' arguments is that one."""

    def filled(step: Step) -> Step:
        known = {name: replace_run_id(step.arguments[name], run_id) for name in step.volatile}
        return replace(step, arguments={**step.arguments, **known})

    return replace(pipeline, steps=tuple(map(filled, pipeline.steps)))


def _check_names(text: PipelineText, problems: Problems) -> None:
    names = [("name", text.name, text.name_line)] if text.name else []
    for what, name, line in names + [("step", step.name, step.line) for step in text.steps]:
        if not _NAME.fullmatch(name):
            expected = "lower-case letters, digits, _ and -, beginning with a letter, at most 64"
            problems.add(line, f"{what}: found {name!r}, expected {expected}")


def _step(
    text: StepText,
    contract: Contract | None,
    given: StepArguments,
    params: Params,
    project: Path,
    problems: Problems,
) -> Step:
    arguments = given.values
    if contract:
        _check_files(text, arguments, project, problems)
    takes_lake = bool(contract and LAKE_PARAMETER in contract.parameters)
    datasets = {role: tuple(dict.fromkeys(_datasets(role, text, given, problems))) for role in ("reads", "writes")}
    checks, asked = _checks(text, datasets["writes"], params, problems)
    return Step(
        name=text.name,
        notebook=text.notebook or "",
        arguments=arguments,
        reads=tuple(dict.fromkeys((*datasets["reads"], *asked))),
        writes=datasets["writes"],
        after=(),
        engine=_engine(text, params, problems),
        is_report=text.report,
        takes_lake=takes_lake,
        # papermill writes the values given into a cell of their own.
        code_cells=contract.code_cells + bool(arguments or takes_lake) if contract else 0,
        landing=tuple(pattern for _, pattern in _landing(arguments, contract)) if contract else (),
        settings=text.settings,
        batch=text.batch,
        volatile=given.volatile,
        secrets=given.secrets,
        checks=checks,
    )


def _checks(
    text: StepText, writes: Sequence[str], params: Params, problems: Problems
) -> tuple[Mapping[str, Sequence[Mapping[str, Any]]], Sequence[str]]:
    if not text.checks:
        return {}, ()
    from thresher.checks import step_checks  # reads SQL: a third of a second that other pipelines do not need

    return step_checks.of_step(text, writes, params, problems)


def _engine(text: StepText, params: Params, problems: Problems) -> str | None:
    """The engine that a step asks for, references replaced; None for the run's, also where they come to nothing."""
    if text.engine is None:
        return None
    said, line = text.engine
    try:
        engine = str(fill(said, params.values, params.run).value)
    except Unknown as error:
        problems.add(line, explained(error, params.filled))
        return None
    return problems.catch(line, "engine", check_engine, engine) if engine else None


def _contract(text: StepText, project: Path, problems: Problems) -> Contract | None:
    if text.notebook is None:
        return None
    path = project / text.notebook
    if not path.is_file():
        there = [str(each.relative_to(project)) for each in sorted((project / "notebooks").rglob("*.ipynb"))]
        problems.add(text.notebook_line, f"no notebook {text.notebook}. {did_you_mean(text.notebook, there)}")
        return None
    return problems.catch(text.notebook_line, "notebook", read_contract, path)


def _check_landing(
    steps: Sequence[tuple[StepText, Params]],
    arguments: Mapping[str, StepArguments],
    contracts: Mapping[str, Contract | None],
    project: Path,
    problems: Problems,
) -> None:
    """Files must have arrived for each step; of the items of a step, for one of them, and the others fail alone."""
    missing: dict[str, list[tuple[int, str, UsageError]]] = {}
    arrived = set()
    for text, _ in steps:
        given, contract = arguments[text.name], contracts[text.name]
        for name, pattern in _landing(given.values, contract) if contract else ():
            try:
                landing.find(pattern, project)
                arrived.add(base_of(text.name))
            except LandingNotFound as error:
                line = text.arguments[name].line if name in given.values else text.line
                missing.setdefault(text.name, []).append((line, given.labels.get(name, name), error))
    for step, found in missing.items():
        if base_of(step) == step or base_of(step) not in arrived:
            for line, label, reason in found:
                problems.add(line, f"{label}: {reason}", type(reason))


def _landing(arguments: Mapping[str, Any], contract: Contract) -> Iterator[tuple[str, str]]:
    """The parameters that name landing files, each with its path or glob."""
    for name, parameter in contract.parameters.items():
        value = arguments.get(name, parameter.default)
        if parameter.is_landing and parameter.accepts(value):
            patterns = [value] if isinstance(value, str) else value or ()
            yield from ((name, pattern) for pattern in patterns if not landing.is_database(pattern))


def _check_files(text: StepText, arguments: Mapping[str, Any], project: Path, problems: Problems) -> None:
    for name, value in arguments.items():
        if isinstance(value, str) and any(names_file(value, suffix) for suffix in TEXT_FILES):
            if not resolve(value.strip(), project).is_file():
                problems.add(text.arguments[name].line, f"{name}: file {value} is not there", ParameterError)


def _datasets(role: str, text: StepText, given: StepArguments, problems: Problems) -> Iterator[str]:
    for name, argument in text.arguments.items():
        if argument.role != role:
            continue
        value = given.values[name]
        named = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        for dataset in named:
            if problems.catch(argument.line, given.labels[name], parse_name, dataset):
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
