"""The rules of checks as they are written: `{not_null: order_id}`, `{range: {column: n, min: 1}, severity: warn}`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thresher import sql
from thresher.datasets import parse_name
from thresher.errors import UsageError
from thresher.pipeline_file import did_you_mean, word_for
from thresher.running.step_settings import duration
from thresher.sql.params import literal
from thresher.types import quoted

SEVERITIES = ("fail", "quarantine", "warn")


@dataclass(frozen=True)
class Rule:
    """One rule. A row breaks it where `failing` (Spark SQL over the row) is true; other kinds have no such condition.

    `columns` are those of the dataset that it looks at, `reads` the other datasets; `given` is what else was said.
    """

    kind: str
    text: str
    columns: tuple[str, ...]
    severity: str = "fail"
    failing: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    reads: tuple[str, ...] = ()

    @property
    def is_of_rows(self) -> bool:
        """Whether it tells of each row by itself if it breaks the rule."""
        return bool(self.failing) or self.kind == "relationships"


def read_rule(said: Mapping[str, Any]) -> list[Rule]:
    """The rules of one entry: one for each column of `not_null: [a, b]`, else one.

    >>> [(rule.text, rule.failing) for rule in read_rule({"not_null": ["a", "b"]})]
    [('not_null a', '`a` is null'), ('not_null b', '`b` is null')]

    Raises UsageError that says what was found and expected.
    """
    kinds = [name for name in said if name != "severity"]
    if len(kinds) != 1:
        raise UsageError(f"found {word_for(dict(said))}, expected one rule such as {{not_null: order_id}}")
    (kind,) = kinds
    if kind not in _READERS:
        raise UsageError(f"unknown rule {kind!r}. {did_you_mean(kind, _READERS)}")
    severity = said.get("severity", "fail")
    if severity not in SEVERITIES:
        raise UsageError(f"severity: found {severity!r}, expected {', '.join(SEVERITIES)}")
    rules = _READERS[kind](said[kind])
    if severity == "quarantine" and not all(rule.is_of_rows for rule in rules):
        raise UsageError(f"severity: {kind} tells of no single rows for the quarantine; expected fail or warn")
    return [replace(rule, severity=severity) for rule in rules]


def _names(said: Any, kind: str) -> list[str]:
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise UsageError(f"{kind}: found {word_for(said)}, expected a column or a list of columns")
    return names


def _fields(said: Any, kind: str, required: Sequence[str], optional: Sequence[str] = ()) -> Mapping[str, Any]:
    if not isinstance(said, Mapping):
        raise UsageError(f"{kind}: found {word_for(said)}, expected a mapping with {', '.join((*required, *optional))}")
    for name in said:
        if name not in (*required, *optional):
            raise UsageError(f"{kind}: unknown key {name!r}. {did_you_mean(str(name), (*required, *optional))}")
    if missing := [name for name in required if name not in said]:
        raise UsageError(f"{kind}: {', '.join(missing)} is missing")
    return said


def _not_null(said: Any) -> list[Rule]:
    return [
        Rule("not_null", f"not_null {name}", (name,), failing=f"{quoted(name)} is null")
        for name in _names(said, "not_null")
    ]


def _unique(said: Any) -> list[Rule]:
    names = tuple(_names(said, "unique"))
    return [Rule("unique", f"unique {', '.join(names)}", names)]


def _accepted_values(said: Any) -> list[Rule]:
    given = _fields(said, "accepted_values", ("column", "values"))
    column, values = given["column"], given["values"]
    if not isinstance(values, list) or not values or None in values:
        raise UsageError(f"accepted_values: values: found {word_for(values)}, expected values, none of them null")
    listed = ", ".join(map(literal, values))
    failing = f"{quoted(column)} is not null and {quoted(column)} not in ({listed})"
    return [Rule("accepted_values", f"accepted_values {column}", (column,), failing=failing, given=given)]


def _range(said: Any) -> list[Rule]:
    given = _fields(said, "range", ("column",), ("min", "max"))
    column = given["column"]
    signs = {"min": "<", "max": ">"}
    bounds = [f"{quoted(column)} {sign} {literal(given[end])}" for end, sign in signs.items() if end in given]
    if not bounds:
        raise UsageError("range: found no bound, expected min, max or both")
    said_bounds = " ".join(f"{end} {given[end]}" for end in ("min", "max") if end in given)
    return [Rule("range", f"range {column} {said_bounds}", (column,), failing=" or ".join(bounds), given=given)]


def _pattern(said: Any) -> list[Rule]:
    given = _fields(said, "pattern", ("column", "regex"))
    column, whole = given["column"], literal(f"^(?:{given['regex']})$")
    failing = f"{quoted(column)} is not null and not ({quoted(column)} rlike {whole})"
    return [Rule("pattern", f"pattern {column} {given['regex']}", (column,), failing=failing, given=given)]


def _expression(said: Any) -> list[Rule]:
    if not isinstance(said, str) or not said.strip():
        raise UsageError(f"expression: found {word_for(said)}, expected a condition in Spark SQL")
    # In a query of its own, where a comment ends with its line.
    reads = tuple(sql.parse(f"select {said}\n").tables)
    text = f"expression {' '.join(said.split())}"
    return [Rule("expression", text, (), failing=f"not coalesce(({said}\n), false)", reads=reads)]


def _query(said: Any) -> list[Rule]:
    if not isinstance(said, str) or not said.strip():
        raise UsageError(f"query: found {word_for(said)}, expected Spark SQL that selects the rows that are wrong")
    reads = tuple(name for name in sql.parse(said).tables if name != "rows")
    return [Rule("query", f"query {' '.join(said.split())}", (), given={"query": said}, reads=reads)]


def _relationships(said: Any) -> list[Rule]:
    given = _fields(said, "relationships", ("column", "to"), ("field",))
    column = given["column"]
    target = f"{given['to']}.{given.get('field', column)}"
    reads = (".".join(parse_name(given["to"])),)
    return [Rule("relationships", f"relationships {column} to {target}", (column,), given=given, reads=reads)]


def _row_count(said: Any) -> list[Rule]:
    given = _fields(said, "row_count", (), ("min", "max", "max_change"))
    if not given:
        raise UsageError("row_count: found no bound, expected min, max or max_change")
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            example = "a part of the rows that were there, such as 0.2" if name == "max_change" else "a number of rows"
            raise UsageError(f"row_count: {name}: found {word_for(value)}, expected {example}")
    bounds = " ".join(f"{end} {given[end]}" for end in ("min", "max", "max_change") if end in given)
    return [Rule("row_count", f"row_count {bounds}", (), given=given)]


def _freshness(said: Any) -> list[Rule]:
    given = _fields(said, "freshness", ("column", "max_age"))
    seconds = duration(str(given["max_age"]))
    text = f"freshness {given['column']} max_age {given['max_age']}"
    return [Rule("freshness", text, (given["column"],), given={**given, "seconds": seconds})]


def _sum_equals(said: Any) -> list[Rule]:
    given = _fields(said, "sum_equals", ("column", "to"), ("field", "tolerance"))
    column = given["column"]
    target = f"{given['to']}.{given.get('field', column)}"
    reads = (".".join(parse_name(given["to"])),)
    return [Rule("sum_equals", f"sum_equals {column} to {target}", (column,), given=given, reads=reads)]


_READERS: dict[str, Callable[[Any], list[Rule]]] = {
    "not_null": _not_null,
    "unique": _unique,
    "accepted_values": _accepted_values,
    "range": _range,
    "pattern": _pattern,
    "expression": _expression,
    "relationships": _relationships,
    "query": _query,
    "row_count": _row_count,
    "freshness": _freshness,
    "sum_equals": _sum_equals,
}
