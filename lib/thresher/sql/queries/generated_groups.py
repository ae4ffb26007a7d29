"""Generators in the select list of groups: explode(collect_list(a)) with GROUP BY makes rows of each group."""

from typing import TypeGuard

from sqlglot import exp

from thresher.sql.aggregating.aggregates import has_aggregate, has_window
from thresher.sql.expressions import Expressions
from thresher.sql.queries.generators import GENERATORS
from thresher.sql.queries.naming import Words, column_name

_TABLE = "groups"
_OUTSIDE = ("order", "limit", "offset")  # the clauses that see the rows made


def written(item: exp.Expr) -> exp.Expr:
    """An item of the select list without its name or names."""
    return item.this if isinstance(item, exp.Aliases) else item.unalias()


def is_generator(node: exp.Expr) -> TypeGuard[exp.Anonymous]:
    return isinstance(node, exp.Anonymous) and node.name.lower() in GENERATORS


def over_groups(e: Expressions, node: exp.Select) -> exp.Select:
    """The SELECT that makes rows of the results of a subquery with the groups; itself where it has no such thing."""
    generators = [item for item in node.expressions if is_generator(written(item))]
    group = node.args.get("group")
    if not generators or not (group or any(has_aggregate(item) for item in node.expressions)):
        return node
    place = generators[0]
    if group is not None and (group.args.get("all") or any(part.unnest().is_int for part in group.expressions)):
        e.refuse(place, "a generator with GROUP BY ALL or a position", "group in a subquery")
    if any(node.args.get(key) for key in ("having", "qualify", "distinct")) or has_star_or_window(node):
        e.refuse(place, "a generator over groups beside HAVING, QUALIFY, DISTINCT, a star or a window",
                 "group in a subquery")  # fmt: skip
    inner = node.copy()
    for key in (*_OUTSIDE, "with_"):
        inner.set(key, None)
    results: list[exp.Expr] = []
    items = [_outside(e, item, results) for item in inner.expressions]
    inner.set("expressions", results)
    columns = [exp.to_identifier(_name(n), quoted=True) for n in range(1, len(results) + 1)]
    alias = exp.TableAlias(this=exp.to_identifier(_TABLE, quoted=True), columns=columns)
    outer = exp.Select(expressions=items, from_=exp.From(this=exp.Subquery(this=inner, alias=alias)))
    for key in _OUTSIDE:
        if node.args.get(key):
            outer.set(key, node.args[key].copy())
    outer.parent = node.parent
    return outer


def has_star_or_window(node: exp.Select) -> bool:
    return any(
        has_window(item) or isinstance(written(item), exp.Star) or isinstance(written(item).this, exp.Star)
        for item in node.expressions
    )


def _outside(e: Expressions, item: exp.Expr, results: list[exp.Expr]) -> exp.Expr:
    """The item over the results of the groups, to which what it needs is added."""
    inner = written(item)
    if not is_generator(inner):
        name = item.alias or column_name(inner, Words(e.source.text))
        if name is None:
            e.refuse(item, "a column without a name beside a generator", "name it with AS")
        return exp.alias_(_result(item, results), name, quoted=True)
    arguments = [part if isinstance(part, exp.Literal) else _result(part, results) for part in list(inner.expressions)]
    inner.set("expressions", arguments)
    return item


def _result(node: exp.Expr, results: list[exp.Expr]) -> exp.Column:
    results.append(node.copy())
    return exp.column(exp.to_identifier(_name(len(results)), quoted=True), table=exp.to_identifier(_TABLE, quoted=True))


def _name(n: int) -> str:
    return f"result {n}"
