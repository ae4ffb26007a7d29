"""GROUP BY: keys by expression, name or position, ALL, ROLLUP, CUBE and GROUPING SETS, and which set a row is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from thresher.errors import NotPortable, SqlError
from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import is_aggregate, normalised
from thresher.sql.allowed import function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting import nested

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
    return _keys([*group.expressions, *(group.args.get("grouping_sets") or [])])


def _keys(items: Sequence[exp.Expr]) -> list[exp.Expr]:
    found: dict[str, exp.Expr] = {}

    def walk(node: exp.Expr) -> None:
        if isinstance(node, (*_SETS, exp.Tuple)):
            for part in node.expressions:
                walk(part)
        else:
            found.setdefault(node.unnest().sql(), node.unnest())

    for item in items:
        walk(item)
    return list(found.values())


def group_clause(e: Expressions, group: exp.Group, columns: Sequence[Typed], items: Sequence[exp.Expr]) -> str:
    """What stands behind GROUP BY; `columns` are those of the select list, `items` what each was written as.

    Empty for one group of all rows.
    """
    e.only(group, {"expressions", "all", "rollup", "cube", "grouping_sets"})
    if group.args.get("all"):
        keys = [column for item, column in zip(items, columns, strict=True) if not _calls_aggregate(item)]
        if any(column.is_window for column in keys):
            e.wrong(group, "GROUP BY ALL beside a window function that aggregates nothing.")
        return ", ".join(_key(e, group, key) for key in keys)
    if group.args.get("grouping_sets"):  # GROUP BY a, b GROUPING SETS (…): the keys only say what grouping_id counts
        sets = group.args["grouping_sets"]
        if {key.sql() for item in sets for key in _keys([item])} != {key.sql() for key in key_nodes(group)}:
            e.refuse(group, "a key of GROUP BY that is in no set of GROUPING SETS", "leave it away")
        return ", ".join(_element(e, item, columns, items) for item in sets)
    if any(isinstance(item, exp.Tuple) and not item.expressions for item in group.expressions):
        e.wrong(group, "GROUP BY (). Leave GROUP BY away for one group of all rows.")
    if is_one_group(group):
        return ""
    parts = [_element(e, item, columns, items) for item in group.expressions]
    for word in ("rollup", "cube"):
        if group.args.get(word):
            return f"{word.upper()} ({', '.join(parts)})"
    return ", ".join(parts)


def normalise_keys(e: Expressions, group: exp.Group, items: Sequence[exp.Expr]) -> None:
    """Put floating keys into the form in which equal ones look alike (0.0 for -0.0), for all clauses.

    `items` is the select list as written.
    """
    for node in _written_keys(group, items):
        try:
            value = (
                e.resolve(node, [part.name for part in node.parts]) if isinstance(node, exp.Column) else e.expr(node)
            )
        except (SqlError, NotPortable):
            continue  # the alias of a column of the select list, or what is wrong there
        if value.kind in (kinds.FLOAT, kinds.DOUBLE) and value.sql not in e.scope.floating_keys:
            _normalise_key(e, node, value)


def _normalise_key(e: Expressions, node: exp.Expr, value: Typed) -> None:
    if isinstance(node, exp.Column):
        form = normalised(e, value)
        e.scope.columns = [
            replace(c, value=replace(c.value, sql=form)) if c.value.sql == value.sql else c for c in e.scope.columns
        ]
    else:
        word = kinds.in_duckdb(value.kind)
        form = f"CAST({value.sql} + CAST(0 AS {word}) AS {word})"
        e.scope.floating_keys[value.sql] = form
    e.scope.floating_keys[form] = form


def _written_keys(group: exp.Group, items: Sequence[exp.Expr]) -> list[exp.Expr]:
    """The keys, with the columns of the select list for their positions and aliases."""
    if group.args.get("all"):
        return [item.unalias() for item in items if not _calls_aggregate(item)]
    aliases = {item.alias.lower(): item.this.unnest() for item in items if isinstance(item, exp.Alias)}
    found = []
    for node in key_nodes(group):
        found.append(node)
        if isinstance(node, exp.Literal) and node.this.isdigit() and 1 <= int(node.this) <= len(items):
            found[-1] = items[int(node.this) - 1].unalias().unnest()
        elif isinstance(node, exp.Column) and node.name.lower() in aliases:
            found.append(aliases[node.name.lower()])
    return found


def _calls_aggregate(item: exp.Expr) -> bool:
    """Whether an item calls an aggregate, over a window too, other than in a subquery."""
    parts = item.walk(prune=lambda part: isinstance(part, exp.Query | exp.Subquery))
    return any(is_aggregate(part) and not isinstance(part, exp.Window) for part in parts)


def _element(e: Expressions, node: exp.Expr, columns: Sequence[Typed], items: Sequence[exp.Expr]) -> str:
    if isinstance(node, _SETS):
        return f"{_WORDS[type(node)]} ({', '.join(_element(e, part, columns, items) for part in node.expressions)})"
    if isinstance(node, exp.Tuple):
        return f"({', '.join(_element(e, part, columns, items) for part in node.expressions)})"
    at = position(e, node, columns, "GROUP BY")
    if at is not None:
        if _calls_aggregate(items[at]):
            e.wrong(node, f"GROUP BY {at + 1}, which is an aggregate.")
        return _key(e, node, columns[at])
    return _key(e, node, e.expr(node.unnest()))


def _key(e: Expressions, node: exp.Expr, value: Typed) -> str:
    if value.sql not in e.scope.floating_keys:
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


def position(e: Expressions, node: exp.Expr, columns: Sequence[Typed], clause: str) -> int | None:
    """The index of the column that an int in GROUP BY or ORDER BY names; None for any other expression."""
    node = node.unnest()
    literal = node.this if isinstance(node, exp.Neg) else node
    if not isinstance(literal, exp.Literal) or literal.is_string or not literal.this.isdigit():
        return None
    number = -int(literal.this) if isinstance(node, exp.Neg) else int(literal.this)
    if abs(number) >= 2**31:
        return None
    if not 1 <= number <= len(columns):
        e.wrong(node, f"{clause} {number}: there are {len(columns)} columns.")
    return number - 1


def is_one_group(group: exp.Group | None) -> bool:
    """GROUPING SETS (()): all rows are one group, and there is one even where there are no rows."""
    items = group.expressions if group is not None else []
    if len(items) != 1 or not isinstance(items[0], exp.GroupingSets):
        return False
    sets = items[0].expressions
    return len(sets) == 1 and isinstance(sets[0], exp.Tuple) and not sets[0].expressions


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
    counted = _grouped(e, node, keys)
    return Typed(f"CAST({f'grouping({counted})' if counted else '0'} AS BIGINT)", kinds.BIGINT)


def _grouped(e: Expressions, node: exp.Expr, keys: Sequence[exp.Expr]) -> str:
    if e.scope.grouping_keys is None:
        e.wrong(node, f"{node.name} without ROLLUP, CUBE or GROUPING SETS.")
    return ", ".join(e.expr(key).sql for key in keys)
