"""GROUP BY: keys by expression, name or position, ALL, ROLLUP, CUBE and GROUPING SETS, and which set a row is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from thresher.errors import SqlError
from thresher.sql import kinds, nested
from thresher.sql.aggregates import is_aggregate, normalised
from thresher.sql.allowed import function
from thresher.sql.expressions import Expressions, Typed

_SETS = (exp.Rollup, exp.Cube, exp.GroupingSets)
_WORDS: dict[type[exp.Expr], str] = {exp.Rollup: "ROLLUP", exp.Cube: "CUBE", exp.GroupingSets: "GROUPING SETS"}


def has_sets(group: exp.Group | None) -> bool:
    """Whether rows are grouped in several ways at once."""
    return (
        group is not None
        and any(group.args.get(key) for key in ("rollup", "cube", "grouping_sets"))
        or (group is not None and any(isinstance(item, _SETS) for item in group.expressions))
    )


def key_nodes(group: exp.Group) -> list[exp.Expr]:
    """The keys as written, each once, in order: those that grouping_id() counts."""
    found: dict[str, exp.Expr] = {}

    def walk(node: exp.Expr) -> None:
        if isinstance(node, (*_SETS, exp.Tuple)):
            for part in node.expressions:
                walk(part)
        else:
            found.setdefault(node.unnest().sql(), node.unnest())

    for item in group.expressions:
        walk(item)
    return list(found.values())


def group_clause(e: Expressions, group: exp.Group, columns: Sequence[Typed], items: Sequence[exp.Expr]) -> str:
    """What stands behind GROUP BY; `columns` are the translated select list `items`. Empty for one group of all rows."""
    e.only(group, {"expressions", "all", "rollup", "cube"})
    if group.args.get("all"):
        if len(items) != len(columns):
            e.refuse(group, "GROUP BY ALL beside a star", "write the columns out")
        keys = [column for item, column in zip(items, columns, strict=True) if not _aggregates(item)]
        return ", ".join(_key(e, group, key) for key in keys)
    parts = [_element(e, item, columns, items) for item in group.expressions]
    for word in ("rollup", "cube"):
        if group.args.get(word):
            return f"{word.upper()} ({', '.join(parts)})"
    return ", ".join(parts)


def normalise_keys(e: Expressions, group: exp.Group) -> None:
    """Put floating columns that are keys into the form in which equal ones look alike (0.0 for -0.0), for all clauses."""
    for node in key_nodes(group):
        if isinstance(node, exp.Column):
            try:
                value = e.resolve(node, [part.name for part in node.parts])
            except SqlError:
                continue  # the alias of a column of the select list
            if value.kind in (kinds.FLOAT, kinds.DOUBLE):
                e.scope.columns = [
                    replace(c, value=replace(c.value, sql=normalised(e, c.value))) if c.value.sql == value.sql else c
                    for c in e.scope.columns
                ]


def _aggregates(item: exp.Expr) -> bool:
    return any(is_aggregate(part) and not isinstance(part, exp.Window) for part in item.walk())


def _element(e: Expressions, node: exp.Expr, columns: Sequence[Typed], items: Sequence[exp.Expr]) -> str:
    if isinstance(node, _SETS):
        return f"{_WORDS[type(node)]} ({', '.join(_element(e, part, columns, items) for part in node.expressions)})"
    if isinstance(node, exp.Tuple):
        return f"({', '.join(_element(e, part, columns, items) for part in node.expressions)})"
    if isinstance(node, exp.Literal) and not node.is_string:
        at = position(e, node, columns, "GROUP BY")
        if at < len(items) and _aggregates(items[at]):
            e.wrong(node, f"GROUP BY {node.this}, which is an aggregate.")
        return _key(e, node, columns[at])
    return _key(e, node, e.expr(node.unnest()))


def _key(e: Expressions, node: exp.Expr, value: Typed) -> str:
    if value.kind not in (kinds.FLOAT, kinds.DOUBLE) or not isinstance(node.unnest(), exp.Column):
        groupable(e, node, value, "GROUP BY")
    return value.sql


def told_apart(e: Expressions, node: exp.Expr, value: Typed, what: str) -> Typed:
    """A value in the form in which equal ones look alike, for DISTINCT and set operations."""
    if value.kind in (kinds.FLOAT, kinds.DOUBLE):
        return replace(value, sql=normalised(e, value))
    groupable(e, node, value, what)
    return value


def groupable(e: Expressions, node: exp.Expr, value: Typed, what: str) -> None:
    """Refuse a value whose equal rows are not proven to be told alike."""
    if nested.has_map(value.kind) and what not in ("GROUP BY", "PIVOT"):
        e.wrong(node, f"{what} over {kinds.in_spark(value.kind)}; maps cannot be compared.")
    if not kinds.is_groupable(value.kind):
        e.refuse(node, f"{what} over {kinds.in_spark(value.kind)}", "use another type for what tells rows apart")


def position(e: Expressions, node: exp.Literal, columns: Sequence[Typed], clause: str) -> int:
    """The index of the column that a number in GROUP BY or ORDER BY names."""
    if not node.this.isdigit() or not 1 <= int(node.this) <= len(columns):
        e.wrong(node, f"{clause} {node.this}: there are {len(columns)} columns.")
    return int(node.this) - 1


@function(
    "grouping",
    1,
    1,
    "grouping(a) → tinyint",
    "SELECT a, grouping(a) AS g FROM VALUES (1) AS t(a) GROUP BY ROLLUP (a)",
    group="Aggregates",
    note="1 where the row sums over a. With ROLLUP, CUBE or GROUPING SETS.",
)
def _grouping(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"CAST(grouping({_grouped(e, node, node.expressions)}) AS TINYINT)", kinds.TINYINT)


@function(
    "grouping_id",
    0,
    -1,
    "grouping_id([a, b, …]) → bigint",
    "SELECT a, grouping_id() AS g FROM VALUES (1) AS t(a) GROUP BY ROLLUP (a)",
    group="Aggregates",
    note="The bits of grouping() of all keys. With ROLLUP, CUBE or GROUPING SETS.",
)
def _grouping_id(e: Expressions, node: exp.Anonymous) -> Typed:
    keys = e.scope.grouping_keys or []
    written = [part.sql() for part in node.expressions]
    if written and written != [key.sql() for key in keys]:
        e.wrong(node, "grouping_id of other columns than the keys of GROUP BY. Write grouping_id().")
    return Typed(f"CAST(grouping({_grouped(e, node, keys)}) AS BIGINT)", kinds.BIGINT)


def _grouped(e: Expressions, node: exp.Expr, keys: Sequence[exp.Expr]) -> str:
    if e.scope.grouping_keys is None:
        e.wrong(node, f"{node.name} without ROLLUP, CUBE or GROUPING SETS.")
    return ", ".join(e.expr(key).sql for key in keys)
