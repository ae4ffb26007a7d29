"""One step of a pipeline file for many tables: `foreach` makes a step of each item of a list or a configuration."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thresher import table_mappings
from thresher.errors import LandingNotFound, PipelineError, UsageError
from thresher.parameters.params import Params, explained
from thresher.parameters.references import Filled, Unknown, fill
from thresher.pipeline_file import Foreach, Problems, StepText, did_you_mean, load_yaml, plain_value, word_for
from thresher.project import resolve

_NAME = re.compile(r"[\w$](?:[\w .$-]{0,98}[\w.$-])?")
_EACH = re.compile(r"(?<!\$)\$\{(each\.[^{}]*)\}")


@dataclass(frozen=True)
class Item:
    """One item: its name, where it stands, as messages tell, and its values, each with what its references were."""

    name: str
    place: str
    line: int  # in the pipeline file
    values: Mapping[str, Filled]

    def given(self, params: Params) -> Params:
        """The parameters of the pipeline, and the item's values as `${each.…}`."""
        own = {f"each.{name}": value for name, value in self.values.items()}
        places = dict.fromkeys(own, f"{self.name}, {self.place}")
        return replace(params, filled={**params.filled, **own}, given={**params.given, **places})


def expand(step: StepText, params: Params, project: Path, problems: Problems) -> list[tuple[StepText, Params]]:
    """The steps that a step of the file stands for, each with the parameters that its references mean.

    A step without `foreach` is itself alone; one with it is a step for each item, named `step[item]`. What is wrong
    with the items is noted, and there are no steps then.
    """
    if step.foreach is None:
        return [(step, params)]
    try:
        items = _items(step, step.foreach, params, project)
        _check_references(step, items)
    except UsageError as error:
        for line in str(error).splitlines():
            problems.add(step.foreach.line, f"step {step.name}: foreach: {line}", type(error))
        return []
    return [
        (replace(step, name=f"{step.name}[{item.name}]", line=item.line, foreach=None), item.given(params))
        for item in items
    ]


def base_of(step: str) -> str:
    """The name in the file of a step that may be one of many.

    >>> base_of("ingest[orders]"), base_of("report")
    ('ingest', 'report')
    """
    return step.partition("[")[0]


def _items(step: StepText, foreach: Foreach, params: Params, project: Path) -> list[Item]:
    if foreach.items is not None:
        rows = [
            _Row(f"line {line}", line, {name: _filled(value, params) for name, value in values.items()})
            for values, line in foreach.items
        ]
        return _named(rows)
    file, tables = (_text(each, params) for each in (foreach.file, foreach.tables))
    rows = [
        _Row(place, foreach.line, {name: Filled(value) for name, value in values.items()})
        for place, values in _configured(file or "", tables, project)
    ]
    items = _named(rows)
    return _chosen(items, {name: _filled(value, params).value for name, value in foreach.where.items()})


@dataclass(frozen=True)
class _Row:
    place: str
    line: int
    values: Mapping[str, Filled]

    def plain(self, name: str) -> Any:
        return self.values[name].value if name in self.values else None


def _filled(value: Any, params: Params) -> Filled:
    try:
        return fill(value, params.values, params.run)
    except Unknown as error:
        raise PipelineError(explained(error, params.filled)) from error


def _text(value: str | None, params: Params) -> str | None:
    return None if value is None else str(_filled(value, params).value)


def _named(rows: Sequence[_Row]) -> list[Item]:
    """The items with their names: what `name` says, else the first entry in which all items differ."""
    if not rows:
        raise PipelineError("found no items, expected at least one")
    key = "name" if all("name" in row.values for row in rows) else _telling(rows)
    items: dict[str, Item] = {}
    for row in rows:
        name = str(row.plain(key))
        if not _NAME.fullmatch(name):
            wanted = "letters, digits, _ - . $ and blanks within, at most 100. Give each item a name"
            raise PipelineError(f"{row.place}: found {name!r} as {key}, which names the step; expected {wanted}")
        if name in items:
            other = f"the first is {items[name].place}. Give each item a name of its own"
            raise PipelineError(f"{row.place}: a second item with {key} {name!r}; {other}")
        items[name] = Item(name, row.place, row.line, row.values)
    return list(items.values())


def _telling(rows: Sequence[_Row]) -> str:
    """The first entry that differs from item to item, or of all the one that differs most."""
    values = {key: [row.plain(key) for row in rows] for key in rows[0].values}
    different = {
        key: len(set(found)) for key, found in values.items() if all(type(each) in (str, int) for each in found)
    }
    if not different:
        raise PipelineError("no entry tells the items apart; give each of them a name, as in {name: orders, …}")
    return max(different, key=different.__getitem__)


def _chosen(items: Sequence[Item], where: Mapping[str, Any]) -> list[Item]:
    """The items whose values are those of `where`; a list there stands for any of its values."""
    known = dict.fromkeys(name for item in items for name in item.values)
    for name in where:
        if name not in known:
            raise PipelineError(f"where: no item has {name!r}. {did_you_mean(name, known)}")

    # A CSV file has texts alone, and a parameter may be one.
    wanted = {
        name: [str(each) for each in (value if isinstance(value, list) else [value])] for name, value in where.items()
    }

    def fits(item: Item) -> bool:
        return all(name in item.values and str(item.values[name].value) in values for name, values in wanted.items())

    chosen = [item for item in items if fits(item)]
    if not chosen:
        asked = ", ".join(f"{name} {value!r}" for name, value in where.items())
        there = {str(item.values[name].value): None for item in items for name in where if name in item.values}
        raise PipelineError(f"where: no item has {asked}; found {', '.join(list(there)[:10])}")
    return chosen


def _check_references(step: StepText, items: Sequence[Item]) -> None:
    """Each `${each.x}` of the step must be a value of each item. Raises PipelineError."""
    known = dict.fromkeys(name for item in items for name in item.values)
    wrong = []
    texts = [argument.value for argument in step.arguments.values()] + [step.engine[0] if step.engine else ""]
    for name in dict.fromkeys(match for text in texts for match in _EACH.findall(json.dumps(text, default=str))):
        key = name.removeprefix("each.")
        without = [item for item in items if key not in item.values]
        if key not in known:
            wrong.append(f"unknown ${{{name}}}. {did_you_mean(key, known)}")
        elif without:
            more = f", nor have {len(without) - 1} others" if len(without) > 1 else ""
            wrong.append(f"{without[0].place}: item {without[0].name} has no {key}, which ${{{name}}} asks for{more}")
    if wrong:
        raise PipelineError("\n".join(wrong))


def _configured(file: str, tables: str | None, project: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The items of a table configuration: where each stands, and its values. Raises UsageError."""
    path = resolve(file, project)
    if not path.is_file():
        raise PipelineError(f"file {file} is not there; expected a table configuration (.json, .yml, .csv)")
    if path.suffix == ".csv":
        yield from _of_csv(path, file)
        return
    content = _json(path, file) if path.suffix == ".json" else load_yaml(path, file)
    if isinstance(content, dict) and "rules" in content:
        yield from _of_mappings(path, file, tables, project)
        return
    if tables is not None:
        raise PipelineError(f"tables: stands with table mappings of AWS DMS only, and {file} holds none (rules)")
    content = [content] if isinstance(content, dict) else content
    if not isinstance(content, list):
        raise PipelineError(f"{file}: found {word_for(content)}, expected a list of mappings")
    for number, each in enumerate(content, 1):
        place = f"{file}, item {number}"
        if not isinstance(each, dict):
            raise PipelineError(f"{place}: found {word_for(each)}, expected a mapping")
        try:
            yield place, plain_value(each)
        except ValueError as error:
            raise PipelineError(f"{place}: {error}") from error


def _json(path: Path, shown: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise PipelineError(f"{shown} is no JSON: {error}") from error


def _of_csv(path: Path, shown: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                place = f"{shown}:{reader.line_num}"
                if None in row or None in row.values():
                    raise PipelineError(f"{place}: found another number of fields than in the first line")
                yield place, dict(row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise PipelineError(f"{shown} is no CSV in UTF-8: {error}") from error


def _of_mappings(path: Path, file: str, tables: str | None, project: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables that DMS's table mappings select: of folders `…/schema/table`, else those that the rules name."""
    mappings = table_mappings.read(path)
    named = mappings.named_tables() if tables is None else list(_folders(tables, project))
    for schema, table in named:
        if mappings.selects(schema, table):
            target = {"target_schema": mappings.schema_name(schema), "target_table": mappings.table_name(schema, table)}
            yield file, {"name": f"{schema}.{table}", "schema": schema, "table": table, **target}


def _folders(pattern: str, project: Path) -> Iterator[tuple[str, str]]:
    place = resolve(pattern, project)
    found = sorted(each for each in place.parent.parent.glob("/".join(place.parts[-2:])) if each.is_dir())
    if not found:
        raise LandingNotFound(f"tables: no folder matches {pattern}; expected one of each table, …/schema/table")
    yield from ((each.parent.name, each.name) for each in found)
