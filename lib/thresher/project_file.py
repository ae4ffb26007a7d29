"""The file `thresher.yml` of a project: its environments, whom to tell of runs, and where lineage is sent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from thresher.errors import PipelineError
from thresher.pipeline_file import (
    Argument,
    Problems,
    did_you_mean,
    entries_of,
    fields_of,
    keep_runs_of,
    line_of,
    load_yaml,
    notify_entries,
    plain_value,
    word_for,
)

FILE = "thresher.yml"
_PROJECT = {"environments": dict, "default": str, "notify": list, "keep_runs": int, "lineage": dict}
_ENVIRONMENT: dict[str, type] = {"lake": str, "site": str, "engine": str, "ledger": str, "copy_of": str}
_MAPPINGS: dict[str, type] = {"params": dict, "env": dict, "notify": list}
_TAKEN = {"THRESHER_LAKE": "lake", "THRESHER_ENGINE": "engine", "THRESHER_LEDGER": "ledger", "THRESHER_ENV": "--env"}

Notify = tuple[tuple[int, Mapping[str, Argument]], ...]


@dataclass(frozen=True)
class EnvironmentText:
    """One environment as it stands in the file: the plain keys, each with its line, and its mappings.

    `params` have the names `NAME`, for all pipelines, or `PIPELINE.NAME`; `notify` is None where the key is not there.
    """

    name: str
    line: int
    values: Mapping[str, Argument]
    params: Mapping[str, Argument] = field(default_factory=dict)
    variables: Mapping[str, Argument] = field(default_factory=dict)
    notify: Notify | None = None


@dataclass(frozen=True)
class ProjectText:
    """The file as it stands; `shown` is its name in messages."""

    shown: str = FILE
    environments: Mapping[str, EnvironmentText] = field(default_factory=dict)
    default: str | None = None
    notify: Notify = ()
    keep_runs: int | None = None
    lineage: Mapping[str, Argument] = field(default_factory=dict)


def read_project(file: Path) -> ProjectText:
    """Read a project's file and check its shape.

    Raises PipelineError that names every problem, one a line: file, line, what was found, what was expected.
    """
    problems = Problems(file.name)
    document = load_yaml(file, problems.file)
    if document is None:
        return ProjectText()
    if not isinstance(document, CommentedMap):
        raise PipelineError(f"{problems.file}:1: found {word_for(document)}, expected a mapping with environments")
    fields = fields_of(document, _PROJECT, (), problems, 1)
    environments = fields.get("environments", {})
    found = {each.name: each for each in _environments(environments, problems)}
    default = fields.get("default")
    if default is not None and default not in found:
        problems.add(
            line_of(document, "default"), f"default: no environment {default!r}. {did_you_mean(default, found)}"
        )
    for each in found.values():
        _check_copy(each, found, problems)
    lineage = dict(entries_of(fields.get("lineage"), "lineage", problems))
    _check_lineage(lineage, line_of(document, "lineage"), problems)
    notify = tuple(notify_entries(fields.get("notify", ()), problems))
    keep_runs = keep_runs_of(fields, document, problems)
    problems.raise_any()
    return ProjectText(problems.file, found, default, notify, keep_runs, lineage)


def _environments(node: Mapping[Any, Any], problems: Problems) -> Iterator[EnvironmentText]:
    for name in node:
        line, entry = line_of(node, name), node[name]
        if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
            problems.add(
                line, f"environments: found the name {name!r}, expected letters, digits, _ and -, no digit first"
            )
        elif not isinstance(entry, CommentedMap):
            problems.add(line, f"environment {name}: found {word_for(entry)}, expected a mapping with lake, engine, …")
        else:
            yield _environment(name, line, entry, problems)


def _environment(name: str, line: int, node: CommentedMap, problems: Problems) -> EnvironmentText:
    fields = fields_of(node, _ENVIRONMENT | _MAPPINGS, (), problems, line)
    if "lake" not in node:  # else two environments would share one unawares
        problems.add(line, f"environment {name}: lake is missing, expected a folder of its own, such as lake-{name}")
    return EnvironmentText(
        name=name,
        line=line,
        values={key: Argument(str(fields[key]), line_of(node, key), key) for key in _ENVIRONMENT if key in fields},
        params=dict(_values(fields.get("params"), "params", problems)),
        variables=dict(_variables(fields.get("env"), problems)),
        notify=tuple(notify_entries(fields["notify"], problems)) if "notify" in fields else None,
    )


def _values(node: CommentedMap | None, key: str, problems: Problems) -> Iterator[tuple[str, Argument]]:
    for name in node or ():
        line = line_of(node, name)
        try:
            yield str(name), Argument(plain_value(node[name]), line, key)  # type: ignore[index]
        except ValueError as error:
            problems.add(line, f"{name}: {error}")


def _variables(node: CommentedMap | None, problems: Problems) -> Iterator[tuple[str, Argument]]:
    for name, argument in _values(node, "env", problems):
        value = argument.value
        if name in _TAKEN:
            problems.add(argument.line, f"env: {name} does not belong here; use {_TAKEN[name]}")
        elif "${secret:" in str(value) or name.startswith("THRESHER_SECRET_"):
            where = "give it to a notebook's parameter of type Secret"
            problems.add(argument.line, f"env: {name}: a secret in a variable would be seen by every step; {where}")
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            problems.add(argument.line, f"env: {name}: found {word_for(value)}, expected text")
        else:
            yield name, Argument(str(value), argument.line, "env")


def _check_copy(each: EnvironmentText, found: Mapping[str, EnvironmentText], problems: Problems) -> None:
    source = each.values.get("copy_of")
    if source and source.value == each.name:
        problems.add(source.line, f"copy_of: environment {each.name} cannot be a copy of itself")
    elif source and source.value not in found:
        problems.add(source.line, f"copy_of: no environment {source.value!r}. {did_you_mean(source.value, found)}")


def _check_lineage(lineage: Mapping[str, Argument], line: int, problems: Problems) -> None:
    for name in lineage.keys() - {"to"}:
        problems.add(lineage[name].line, f"lineage: unknown key {name!r}. {did_you_mean(name, ['to'])}")
    to = lineage.get("to")
    if lineage and (to is None or not isinstance(to.value, str) or not to.value):
        problems.add(to.line if to else line, "lineage: expected to: a file's path, or the http address of a service")
    elif to and "${secret:" in to.value:
        wanted = "expected a plain address; OPENLINEAGE_API_KEY takes a key"
        problems.add(to.line, f"lineage: to: found a secret, {wanted}")
