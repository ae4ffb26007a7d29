"""Table mappings of AWS DMS, read as they are: which tables are taken, how they and their columns are called, and rows.

Selection rules: a table is selected when an `include` or `explicit` rule matches it and no `exclude` rule does. In
`include` and `exclude`, `%` matches any text, `_` one character, `[ab]`, `[a-d]` one of a set, `[_]` an underscore.
Names are case-sensitive. Transformation rules are matched by source names and applied by rule-id, those of schemas,
tables and columns each on their own. `table-settings` only tell DMS how to load, and are not looked at. All else that
would change the result and is not known here is refused by rule-id and rule-name.

Source: AWS Database Migration Service user guide, "Specifying table selection and transformations rules using JSON".
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from thresher.errors import UsageError

HEADERS = (
    *("AR_H_CHANGE_SEQ", "AR_H_COMMIT_TIMESTAMP", "AR_H_OPERATION", "AR_H_STREAM_POSITION", "AR_H_TIMESTAMP"),
    "AR_H_USER",
)
"""What DMS knows of each change, and an added column may hold."""

_COMMON = {"rule-type", "rule-id", "rule-name", "rule-action", "object-locator"}
_KEYS = {
    "selection": _COMMON | {"filters", "load-order"},
    "transformation": _COMMON | {"rule-target", "value", "old-value", "expression", "data-type"},
}
_LOCATOR = {
    "selection": {"schema-name", "table-name", "table-type"},
    "transformation": {"schema-name", "table-name", "column-name"},
}
_NEW_NAMES: Mapping[str, Callable[[str, str, str], str]] = {
    "rename": lambda name, value, old: value,
    "convert-lowercase": lambda name, value, old: name.lower(),
    "convert-uppercase": lambda name, value, old: name.upper(),
    "add-prefix": lambda name, value, old: value + name,
    "remove-prefix": lambda name, value, old: name.removeprefix(value),
    "replace-prefix": lambda name, value, old: value + name.removeprefix(old) if name.startswith(old) else name,
    "add-suffix": lambda name, value, old: name + value,
    "remove-suffix": lambda name, value, old: name.removesuffix(value),
    "replace-suffix": lambda name, value, old: name.removesuffix(old) + value if name.endswith(old) else name,
}
_WITHOUT_VALUE = ("convert-lowercase", "convert-uppercase", "include-column", "remove-column", "change-data-type")
_OF_COLUMNS = ("add-column", "include-column", "remove-column", "change-data-type")
_CONSTANT = re.compile(r"'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?)")
_COMPARED = {"eq": "=", "noteq": "<>", "ste": "<=", "gte": ">="}


@dataclass(frozen=True)
class Column:
    """A column of the result: taken from a `source` column, or added with a `constant` or a `header` of the change.

    `type` is DMS's data type where a rule names one, `{"type": "string", "length": 50}`.
    """

    name: str
    source: str | None = None
    constant: str | None = None
    header: str | None = None
    type: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Rule:
    id: int
    shown: str
    action: str
    target: str
    schema: str
    table: str
    column: str
    value: str = ""
    old_value: str = ""
    condition: str = ""  # of a selection rule, in SQL
    added: Column | None = None
    data_type: Mapping[str, Any] | None = None

    def is_for(self, schema: str, table: str | None = None, column: str | None = None) -> bool:
        """Whether the names are the rule's."""
        given = ((self.schema, schema), (self.table, table), (self.column, column))
        if self.action == "explicit":
            return all(name in (None, pattern) for pattern, name in given)
        return all(name is None or _pattern(pattern).fullmatch(name) for pattern, name in given)


@dataclass(frozen=True)
class TableMappings:
    """The rules of a file, and their answers about tables of a source."""

    file: str
    _selections: Sequence[_Rule] = field(repr=False)
    _transformations: Sequence[_Rule] = field(repr=False)

    def selects(self, schema: str, table: str) -> bool:
        """Whether a table is taken."""
        actions = {rule.action for rule in self._selections if rule.is_for(schema, table)}
        return bool(actions & {"include", "explicit"}) and "exclude" not in actions

    def named_tables(self) -> list[tuple[str, str]]:
        """The schema and table of each rule that includes one by its name. Raises UsageError for wildcards."""
        found = [rule for rule in self._selections if rule.action != "exclude"]
        for rule in found:
            if rule.action == "include" and re.search(r"[%\[]", rule.schema + rule.table):
                raise UsageError(
                    f"{rule.shown} includes tables by wildcards ({rule.schema}.{rule.table}); say which there are: "
                    f"foreach: {{file: …, tables: a glob of folders …/schema/table}}"
                )
        return list(dict.fromkeys((rule.schema, rule.table) for rule in found))

    def schema_name(self, schema: str) -> str:
        """What a schema is called in the result."""
        return _renamed(schema, (rule for rule in self._of("schema") if rule.is_for(schema)))

    def table_name(self, schema: str, table: str) -> str:
        """What a table is called in the result."""
        return _renamed(table, (rule for rule in self._of("table") if rule.is_for(schema, table)))

    def columns(self, schema: str, table: str, names: Iterable[str]) -> list[Column]:
        """The columns of the result, of a table whose columns have these names: kept ones in their order, then added.

        Raises UsageError where two would have the same name.
        """
        rules = [rule for rule in self._of("column") if rule.is_for(schema, table)]
        added = [rule.added for rule in rules if rule.added]
        rules = [rule for rule in rules if not rule.added]
        kept = [_column(name, [rule for rule in rules if rule.is_for(schema, table, name)]) for name in names]
        has_chosen = any(rule.action == "include-column" for rule in rules)
        found = [column for column, actions in kept if _is_kept(actions, has_chosen)] + added
        seen: dict[str, Column] = {}
        for column in found:
            if column.name in seen:
                raise UsageError(f"{self.file}: {schema}.{table}: two columns would be called {column.name}")
            seen[column.name] = column
        return found

    def filters(self, schema: str, table: str) -> str:
        """The condition that rows of a table must meet, as SQL on source columns; empty where all are taken.

        Values are texts, which SQL reads in the column's type. Raises UsageError where two rules disagree.
        """
        rules = [rule for rule in self._selections if rule.action != "exclude" and rule.is_for(schema, table)]
        found = {rule.condition: rule for rule in rules if rule.condition}
        if len(found) > 1:
            first, second, *_ = found.values()
            raise UsageError(f"{first.shown} and {second.shown} both filter {schema}.{table}; expected one of them")
        return next(iter(found), "")

    def _of(self, target: str) -> list[_Rule]:
        return [rule for rule in self._transformations if rule.target == target]


def read(path: Path | str) -> TableMappings:
    """Read a JSON file of table mappings. Raises UsageError, which names the rule that is wrong or not supported."""
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    return of_rules(content, path.name)


def of_rules(content: Any, file: str = "table mappings") -> TableMappings:
    """Table mappings from their JSON as Python values; `file` names them in messages. Raises UsageError.

    >>> locator = {"schema-name": "sales", "table-name": "ORD%"}
    >>> include = {"rule-type": "selection", "rule-id": 1, "rule-name": "a", "rule-action": "include"}
    >>> lower = {"rule-type": "transformation", "rule-id": 2, "rule-name": "b", "rule-action": "convert-lowercase"}
    >>> rules = [include | {"object-locator": locator}, lower | {"rule-target": "table", "object-locator": locator}]
    >>> mappings = of_rules({"rules": rules})
    >>> mappings.selects("sales", "ORDERS"), mappings.selects("sales", "orders"), mappings.table_name("sales", "ORDERS")
    (True, False, 'orders')
    """
    rules = content.get("rules") if isinstance(content, dict) else None
    if not isinstance(rules, list):
        raise UsageError(f'{file}: found no list of rules, expected table mappings of AWS DMS: {{"rules": […]}}')
    known = [_rule(each, file) for each in rules]
    found = [rule for rule in known if rule]
    ids: dict[int, _Rule] = {}
    for rule in found:
        if rule.id in ids:
            raise UsageError(f"{rule.shown} has the rule-id of {ids[rule.id].shown}; expected one of its own")
        ids[rule.id] = rule
    ordered = [ids[number] for number in sorted(ids)]
    selections = [rule for rule in ordered if not rule.target]
    if not selections:
        raise UsageError(f"{file}: found no selection rule, expected at least one")
    return TableMappings(file, selections, [rule for rule in ordered if rule.target])


def _rule(said: Any, file: str) -> _Rule | None:
    """A rule that was checked; None for one that changes nothing of the result."""
    if not isinstance(said, dict):
        raise UsageError(f"{file}: found {said!r} among the rules, expected an object")
    shown = f"{file}: rule {said.get('rule-id')} ({said.get('rule-name')})"
    kind = said.get("rule-type")
    if kind == "table-settings":
        return None
    if kind not in _KEYS:
        raise UsageError(f"{shown}: rule-type {kind!r} is not supported; expected selection or transformation")
    if not str(said.get("rule-id", "")).isdecimal():
        raise UsageError(f"{shown}: expected a number as rule-id")
    locator = said.get("object-locator")
    if not isinstance(locator, dict) or not isinstance(locator.get("schema-name"), str):
        raise UsageError(f"{shown}: expected an object-locator with a schema-name")
    for unknown in (set(said) - _KEYS[kind], set(locator) - _LOCATOR[kind]):
        if unknown:
            raise UsageError(f"{shown}: {', '.join(sorted(unknown))} is not supported")
    return (_selection if kind == "selection" else _transformation)(said, locator, shown)


def _selection(said: Mapping[str, Any], locator: Mapping[str, str], shown: str) -> _Rule:
    action = said.get("rule-action")
    if action not in ("include", "exclude", "explicit"):
        raise UsageError(f"{shown}: rule-action {action!r}, expected include, exclude or explicit")
    if "table-name" not in locator:
        raise UsageError(f"{shown}: expected an object-locator with a table-name")
    filters = said.get("filters") or ()
    if filters and action == "exclude":
        raise UsageError(f"{shown}: filters stand with include or explicit only")
    condition = " and ".join(_filter(each, shown) for each in filters)
    names = (locator["schema-name"], locator["table-name"], "%")
    return _Rule(int(said["rule-id"]), shown, action, "", *names, condition=condition)


def _transformation(said: Mapping[str, Any], locator: Mapping[str, str], shown: str) -> _Rule:
    target, action = str(said.get("rule-target")), str(said.get("rule-action"))
    if target not in ("schema", "table", "column"):
        raise UsageError(f"{shown}: rule-target {target!r} is not supported; expected schema, table or column")
    if action not in (*_NEW_NAMES, *(_OF_COLUMNS if target == "column" else ())):
        raise UsageError(f"{shown}: rule-action {action!r} of a {target} is not supported")
    value, old = said.get("value"), said.get("old-value", "")
    if action not in _WITHOUT_VALUE and (not isinstance(value, str) or not value or "${" in value):
        raise UsageError(f"{shown}: found the value {value!r}, expected a text without variables")
    if action.startswith("replace-") and (not isinstance(old, str) or not old):
        raise UsageError(f"{shown}: expected an old-value, which is replaced")
    data_type = said.get("data-type")
    if action == "change-data-type" and not isinstance(data_type, dict):
        raise UsageError(f'{shown}: expected a data-type, such as {{"type": "string", "length": 50}}')
    return _Rule(
        int(said["rule-id"]),
        shown,
        action,
        target,
        locator["schema-name"],
        locator.get("table-name", "%"),
        locator.get("column-name", "%"),
        value=value or "",
        old_value=old,
        added=_added(said, shown) if action == "add-column" else None,
        data_type=data_type,
    )


def _added(said: Mapping[str, Any], shown: str) -> Column:
    expression = str(said.get("expression", "")).strip()
    name, data_type = said["value"], said.get("data-type")
    if expression.removeprefix("$") in HEADERS:
        return Column(name, header=expression.removeprefix("$"), type=data_type)
    constant = _CONSTANT.fullmatch(expression)
    if not constant:
        wanted = f"expected a constant ('text' or a number) or one of ${', $'.join(HEADERS)}"
        raise UsageError(f"{shown}: the expression {expression!r} is not supported; {wanted}")
    text = constant[2] if constant[1] is None else constant[1].replace("''", "'")
    return Column(name, constant=text, type=data_type)


def _filter(said: Any, shown: str) -> str:
    """One filter as SQL: any of its conditions."""
    if not isinstance(said, dict) or said.get("filter-type", "source") != "source" or "column-name" not in said:
        raise UsageError(f"{shown}: found the filter {said!r}, expected filter-type source, column-name and conditions")
    column = "`" + str(said["column-name"]).replace("`", "``") + "`"
    conditions = [_condition(column, each, shown) for each in said.get("filter-conditions") or ()]
    if not conditions:
        raise UsageError(f"{shown}: the filter of {said['column-name']} has no filter-conditions")
    return conditions[0] if len(conditions) == 1 else f"({' or '.join(conditions)})"


def _condition(column: str, said: Any, shown: str) -> str:
    if not isinstance(said, dict):
        raise UsageError(f"{shown}: found the filter-condition {said!r}, expected an object")
    operator = str(said.get("filter-operator"))
    if operator in ("null", "notnull"):
        return f"{column} is {'not ' if operator == 'notnull' else ''}null"
    if operator in _COMPARED:
        return f"{column} {_COMPARED[operator]} {_literal(said, 'value', shown)}"
    if operator in ("between", "notbetween"):
        ends = f"{_literal(said, 'start-value', shown)} and {_literal(said, 'end-value', shown)}"
        return f"({column} {'not ' if operator == 'notbetween' else ''}between {ends})"
    expected = ", ".join((*_COMPARED, "between", "notbetween", "null", "notnull"))
    raise UsageError(f"{shown}: filter-operator {operator!r} is not supported; expected one of {expected}")


def _literal(said: Mapping[str, Any], key: str, shown: str) -> str:
    value = said.get(key)
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise UsageError(f"{shown}: {said.get('filter-operator')} lacks a proper {key}: found {value!r}")
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _renamed(name: str, rules: Iterable[_Rule]) -> str:
    for rule in rules:
        if rule.action in _NEW_NAMES:
            name = _NEW_NAMES[rule.action](name, rule.value, rule.old_value)
    return name


def _column(name: str, rules: Sequence[_Rule]) -> tuple[Column, set[str]]:
    """A column of the source as it is in the result, and the actions of the rules that are for it."""
    types = [rule.data_type for rule in rules if rule.action == "change-data-type"]
    column = Column(_renamed(name, rules), source=name, type=types[-1] if types else None)
    return column, {rule.action for rule in rules}


def _is_kept(actions: set[str], has_chosen: bool) -> bool:
    return "remove-column" not in actions and ("include-column" in actions or not has_chosen)


@cache
def _pattern(said: str) -> re.Pattern[str]:
    """A name with DMS's wildcards."""
    pieces = re.findall(r"\[[^\]]+\]|.", said, re.S)
    return re.compile("".join(map(_piece, pieces)), re.S)


def _piece(piece: str) -> str:
    if piece in ("%", "_"):
        return ".*" if piece == "%" else "."
    if len(piece) == 1:
        return re.escape(piece)
    return "[" + re.sub(r"[\\^\[]", r"\\\g<0>", piece[1:-1]) + "]"
