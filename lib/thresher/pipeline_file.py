"""The text of a pipeline file, with the line of everything in it; what is wrong is collected, not raised one by one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.scalarbool import ScalarBoolean

from thresher.errors import PipelineError, UsageError
from thresher.running import step_settings
from thresher.running.step_settings import Settings

Given = TypeVar("Given")
Result = TypeVar("Result")

_PIPELINE = {"name": str, "description": str, "params": dict, "schedule": dict, "notify": list, "keep_runs": int}
_PIPELINE |= {"defaults": dict, "steps": dict}
_STEP = {"notebook": str, "with": dict, "reads": dict, "writes": dict, "engine": str, "report": bool}
_STEP |= {"foreach": object, "batch": int, "checks": object}
_STEP |= step_settings.KEYS
_FOREACH = {"file": str, "tables": str, "where": dict}
_MOST_IN_BATCH = 100  # of which the executed notebook is one file
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}
_WORDS |= {dict: "a mapping", type(None): "nothing"}


class Problems:
    """What is wrong with a pipeline and what was asked of it, in the order of the lines."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[tuple[int, str, type[UsageError]]] = []

    def add(self, line: int, text: str, kind: type[UsageError] = PipelineError) -> None:
        """Note one problem; line 0 is for what does not stand in the file."""
        self._found.append((line, f"{self.file}:{line}: {text}" if line else text, kind))

    def catch(self, line: int, what: str, check: Callable[[Given], Result], value: Given) -> Result | None:
        """The result of a check, or None where it raised UsageError, which is noted."""
        try:
            return check(value)
        except UsageError as error:
            self.add(line, f"{what}: {error}", type(error))
            return None

    def raise_any(self) -> None:
        """Raise one error that names all problems, one a line, if there are any."""
        if self._found:
            kinds = {kind for _, _, kind in self._found}
            ordered = dict.fromkeys(text for _, text, _ in sorted(self._found, key=lambda problem: problem[0]))
            raise (kinds.pop() if len(kinds) == 1 else PipelineError)("\n".join(ordered))


@dataclass(frozen=True)
class Argument:
    """One value under `with`, `reads` or `writes` (its `role`), as it stands in the file."""

    value: Any
    line: int
    role: str
    comment: str = ""


@dataclass(frozen=True)
class Foreach:
    """What a step is repeated for: `items`, each with its line, or those of a file; all of it as it stands."""

    line: int
    items: tuple[tuple[Mapping[str, Any], int], ...] | None = None
    file: str | None = None
    tables: str | None = None
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckText:
    """One entry under `checks`, as it stands in the file; `dataset` is None where the step writes only one."""

    said: Mapping[str, Any]
    line: int
    dataset: str | None = None


@dataclass(frozen=True)
class StepText:
    """One step as it stands in the file."""

    name: str
    line: int
    notebook: str | None
    notebook_line: int
    arguments: Mapping[str, Argument]
    engine: tuple[str, int] | None
    report: bool
    settings: Settings = Settings()
    foreach: Foreach | None = None
    batch: int | None = None
    checks: tuple[CheckText, ...] = ()


@dataclass(frozen=True)
class PipelineText:
    """A pipeline file as it stands."""

    name: str
    name_line: int
    description: str
    params: Mapping[str, Argument] = field(default_factory=dict)
    steps: tuple[StepText, ...] = ()
    schedule: Mapping[str, Argument] = field(default_factory=dict)
    schedule_line: int = 0
    keep_runs: int | None = None
    notify: tuple[tuple[int, Mapping[str, Argument]], ...] = ()  # each with its line


def read(file: Path, problems: Problems) -> PipelineText:
    """Read a pipeline file and check its shape. Raises PipelineError where it cannot be read as YAML at all."""
    document = load_yaml(file, problems.file)
    if not isinstance(document, CommentedMap):
        found = word_for(_shown(document))
        raise PipelineError(f"{problems.file}:1: found {found}, expected a mapping with name, params and steps")
    fields = fields_of(document, _PIPELINE, ("name", "steps"), problems, 1)
    params = entries_of(fields.get("params"), "params", problems)
    defaults = _defaults(fields.get("defaults"), problems)
    steps = fields.get("steps", CommentedMap())
    if "steps" in fields and not steps:
        problems.add(line_of(document, "steps"), "steps: found none, expected at least one")
    return PipelineText(
        name=str(fields.get("name", "")),
        name_line=line_of(document, "name"),
        description=str(fields.get("description", "")),
        params={name: argument for name, argument in params},
        steps=tuple(_step(steps, name, defaults, problems) for name in steps),
        schedule=dict(entries_of(fields.get("schedule"), "schedule", problems)),
        schedule_line=line_of(document, "schedule"),
        keep_runs=keep_runs_of(fields, document, problems),
        notify=tuple(notify_entries(fields.get("notify", ()), problems)),
    )


def keep_runs_of(fields: Mapping[str, Any], document: CommentedMap, problems: Problems) -> int | None:
    """How many runs are kept, if the key is there."""
    found = fields.get("keep_runs")
    if found is not None and found < 1:
        problems.add(line_of(document, "keep_runs"), f"keep_runs: found {int(found)}, expected 1 or more")
    return None if found is None else int(found)


def parse_value(text: str) -> Any:
    """A value given as text, typed as in YAML. Raises ValueError with the reason.

    >>> parse_value("[1, two]"), parse_value("no"), parse_value("null")
    ([1, 'two'], 'no', None)
    """
    try:
        return plain_value(_yaml().load(text))
    except YAMLError as error:
        raise ValueError(f"no YAML: {getattr(error, 'problem', None) or error}") from error


def word_for(value: Any) -> str:
    """The words for a value in a message: its kind and itself.

    >>> word_for(7), word_for([]), word_for(None)
    ('a whole number (7)', 'a list ([])', 'nothing')
    """
    word = next((word for kind, word in _WORDS.items() if type(value) is kind), type(value).__name__)
    if value is None:
        return word
    shown = repr(value)
    return f"{word} ({shown if len(shown) <= 60 else shown[:59] + '…'})"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name.

    >>> did_you_mean("sauce", ["source", "key"]), did_you_mean("x", [])
    ('Did you mean source?', 'There are none.')
    """
    known = list(known)
    close = get_close_matches(name, known, 1)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Expected one of: {', '.join(known)}." if known else "There are none."


class _Constructor(RoundTripConstructor):
    """Makes values of YAML's nodes; a day is the text that it is written as, also one that no calendar has."""

    def construct_yaml_timestamp(self, node: ScalarNode, values: Any = None) -> Any:
        """The text of a day, or of an instant that there is not; else YAML's own instant."""
        text = str(node.value)
        if len(text) <= len("2026-11-01"):
            return text
        try:
            return super().construct_yaml_timestamp(node, values)
        except ValueError:
            return text


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_timestamp)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Constructor = _Constructor
    return yaml


def load_yaml(file: Path, shown: str) -> Any:
    """The document of a YAML file, named `shown` in messages. Raises PipelineError with file, line and reason."""
    try:
        return _yaml().load(file.read_bytes().decode("utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(filter(None, (error.problem, error.context)))
        raise PipelineError(f"{shown}:{mark.line + 1 if mark else 1}: no valid YAML: {reason}") from error
    except (YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise PipelineError(f"{shown}:1: no valid YAML: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise PipelineError(f"{shown}: cannot be read: {error.strerror}") from error


def _defaults(node: CommentedMap | None, problems: Problems) -> Settings:
    """The settings of steps that do not say otherwise."""
    if node is None:
        return Settings()
    return _settings(fields_of(node, step_settings.KEYS, (), problems, line_of(node, None)), node, Settings(), problems)


def _settings(fields: Mapping[str, Any], node: CommentedMap, defaults: Settings, problems: Problems) -> Settings:
    found: dict[str, Any] = {}
    for key, read in step_settings.READERS.items():
        if key in fields:
            value = problems.catch(line_of(node, key), key, read, fields[key])
            found |= {} if value is None else {key: value}
    return replace(defaults, **found)


def _step(steps: CommentedMap, name: Any, defaults: Settings, problems: Problems) -> StepText:
    line, node = line_of(steps, name), steps[name]
    fields: dict[str, Any] = {}
    if isinstance(node, CommentedMap):
        fields = fields_of(node, _STEP, ("notebook",), problems, line)
    else:
        problems.add(line, f"step {name}: found {word_for(node)}, expected a mapping with notebook, reads, writes, …")
    arguments: dict[str, Argument] = {}
    for role in ("with", "reads", "writes"):
        for key, argument in entries_of(fields.get(role), role, problems):
            if key in arguments:
                other = arguments[key]
                problems.add(argument.line, f"{key} stands under {role} and under {other.role} (line {other.line})")
            arguments[key] = argument
    return StepText(
        name=str(name),
        line=line,
        notebook=fields.get("notebook"),
        notebook_line=line_of(node, "notebook") if fields else line,
        arguments=arguments,
        engine=(str(fields["engine"]), line_of(node, "engine")) if "engine" in fields else None,
        report=bool(fields.get("report", False)),
        settings=_settings(fields, node, defaults, problems) if fields else defaults,
        foreach=_foreach(node, problems) if "foreach" in fields else None,
        batch=_batch(fields, node, problems),
        checks=tuple(_checks(node, problems)) if fields.get("checks") is not None else (),
    )


def _checks(node: CommentedMap, problems: Problems) -> Iterator[CheckText]:
    """The entries of a list of rules, or of a mapping of datasets to such lists."""
    line, value = line_of(node, "checks"), node["checks"]
    lists: Any = value if isinstance(value, CommentedMap) else {None: value}
    for dataset, entries in lists.items():
        if not isinstance(entries, list):
            expected = "a list of rules such as {not_null: id}, or a mapping of datasets to such lists"
            problems.add(line, f"checks: found {word_for(_shown(entries))}, expected {expected}")
            continue
        lines: Any = entries
        for place, each in enumerate(entries):
            at = int(lines.lc.item(place)[0]) + 1
            if isinstance(each, CommentedMap):
                try:
                    yield CheckText(plain_value(each), at, None if dataset is None else str(dataset))
                except ValueError as error:
                    problems.add(at, f"checks: {error}")
            else:
                problems.add(at, f"checks: found {word_for(_shown(each))}, expected a rule such as {{not_null: id}}")


def _foreach(node: CommentedMap, problems: Problems) -> Foreach | None:
    line, value = line_of(node, "foreach"), node["foreach"]
    if isinstance(value, str):
        return Foreach(line, file=value)
    if isinstance(value, CommentedMap):
        fields = fields_of(value, _FOREACH, ("file",), problems, line)
        where = {name: argument.value for name, argument in entries_of(fields.get("where"), "where", problems)}
        return Foreach(line, file=fields.get("file", ""), tables=fields.get("tables"), where=where)
    if not isinstance(value, list):
        expected = "a list of mappings, or the file of a table configuration"
        problems.add(line, f"foreach: found {word_for(_shown(value))}, expected {expected}")
        return None
    return Foreach(line, items=tuple(_items(value, problems)))


def _items(node: Any, problems: Problems) -> Iterator[tuple[Mapping[str, Any], int]]:
    for place, each in enumerate(node):
        line = int(node.lc.item(place)[0]) + 1
        if isinstance(each, CommentedMap):
            yield {name: argument.value for name, argument in entries_of(each, "foreach", problems)}, line
        else:
            problems.add(line, f"foreach: found {word_for(_shown(each))}, expected a mapping such as {{table: orders}}")


def _batch(fields: Mapping[str, Any], node: Any, problems: Problems) -> int | None:
    found: int | None = fields.get("batch")
    if found is not None and not 1 <= found <= _MOST_IN_BATCH:
        problems.add(line_of(node, "batch"), f"batch: found {found}, expected 1 to {_MOST_IN_BATCH}")
    if found is not None and "foreach" not in fields:
        problems.add(line_of(node, "batch"), "batch: how many items of foreach share a notebook; there is no foreach")
    if found is not None and fields.get("report"):
        problems.add(line_of(node, "report"), "report: items of a batch share a notebook; take batch or report away")
    return None if found is None else int(found)


def notify_entries(node: Any, problems: Problems) -> Iterator[tuple[int, Mapping[str, Argument]]]:
    """The entries of a list `notify`, each with its line."""
    for place, each in enumerate(node):
        line = int(node.lc.item(place)[0]) + 1
        if isinstance(each, CommentedMap):
            yield line, dict(entries_of(each, "notify", problems))
        else:
            problems.add(line, f"notify: found {word_for(_shown(each))}, expected a mapping with to and on")


def entries_of(node: CommentedMap | None, role: str, problems: Problems) -> list[tuple[str, Argument]]:
    """The entries of a mapping whose keys are Python names; the others are noted."""
    found = []
    for key in node or ():
        line = line_of(node, key)
        if not isinstance(key, str) or not key.isidentifier():
            problems.add(line, f"{role}: found the name {key!r}, expected a Python name")
            continue
        try:
            found.append((key, Argument(plain_value(node[key]), line, role, _comment(node, key))))  # type: ignore[index]
        except ValueError as error:
            problems.add(line, f"{key}: {error}")
    return found


def fields_of(
    node: CommentedMap, allowed: Mapping[str, type], required: Iterable[str], problems: Problems, line: int
) -> dict[str, Any]:
    """The fields of a mapping that have the right name and type; the others are noted."""
    found = {}
    for key, value in node.items():
        kind = allowed.get(key)
        if kind is None:
            problems.add(line_of(node, key), f"unknown key {key!r}. {did_you_mean(str(key), allowed)}")
        elif value is None and kind is dict:
            continue  # a heading without entries
        elif not isinstance(value if kind is dict else _shown(value), kind):
            problems.add(line_of(node, key), f"{key}: found {word_for(_shown(value))}, expected {_WORDS[kind]}")
        else:
            found[key] = value
    for key in required:
        if key not in node:
            problems.add(line, f"{key} is missing")
    return found


def line_of(node: Any, key: Any) -> int:
    """The line of a key in a mapping, counted from 1; of the mapping itself where it has no such key."""
    try:
        return int(node.lc.key(key)[0]) + 1
    except (AttributeError, KeyError, TypeError):
        return int(node.lc.line) + 1 if isinstance(node, CommentedMap) else 1


def _comment(node: Any, key: str) -> str:
    """The comment in the line of an entry, and in the lines below it that stand further right."""
    tokens = [each for each in (*node.ca.items.get(key, ()), *_comments_of(node[key])) if hasattr(each, "value")]
    lines = next((each.value for each in tokens), "").split("\n")
    above = [line for line in lines[: lines.index("") if "" in lines else None]]
    return " ".join(line.strip().lstrip("# ") for line in above)


def _comments_of(value: Any) -> tuple[Any, ...]:
    """The comments that a list or mapping in one line carries itself."""
    return tuple(getattr(getattr(value, "ca", None), "comment", None) or ())


def _shown(value: Any) -> Any:
    try:
        return plain_value(value)
    except ValueError:
        return str(value)


def plain_value(value: Any) -> Any:
    """A YAML node as the plain Python value that a notebook gets."""
    if isinstance(value, dict):
        odd = next((key for key in value if not isinstance(key, str)), None)
        if odd is not None:
            raise ValueError(f"found the key {odd}, expected text: put it in quotes")
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_value(item) for item in value]
    if isinstance(value, bool | ScalarBoolean):
        return bool(value)
    if isinstance(value, int):
        if (getattr(value, "_width", None) or 0) > len(str(value)):
            raise ValueError(f"a number with leading zeros would lose them (found {value}); put it in quotes")
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if value is None:
        return None
    kind = type(value).__name__
    raise ValueError(f"found {value} ({kind}), expected text, number, list or mapping: put it in quotes")
