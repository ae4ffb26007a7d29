"""Subqueries in expressions: (SELECT …) as a value, EXISTS, IN (SELECT …).

Spark gives EXISTS and IN (SELECT …) no third value: a comparison with NULL counts as "not found" for IN, and as
"perhaps found" for NOT IN, also where such a condition is a column or stands beside OR (seen in Spark 4.2). Only a NULL
that it knows before the query runs gives NULL.
"""

from __future__ import annotations

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.queries.relations import Relations, Result

# Where a condition with IN (SELECT …) may stand: Spark rewrites it to a join, which it does in these places.
_CONDITIONS = (exp.And, exp.Or, exp.Not, exp.Paren, exp.Where, exp.Join, exp.If, exp.Alias, exp.Select, exp.Case)


class Subqueries(Relations):
    """Translates the subqueries of expressions, which may look at the row around them."""

    def scalar(self, node: exp.Expr) -> Result:
        """A subquery that stands for one value."""
        query = self._inner(node)
        if len(query.types) != 1:
            self.e.wrong(node, f"a scalar subquery with {len(query.types)} columns; expected one.")
        return query

    def exists(self, node: exp.Exists) -> Typed:
        return Typed(f"EXISTS ({self._inner(node.this).sql})", kinds.BOOL)

    def is_in(self, node: exp.In, *, negated: bool) -> Typed:
        """a [NOT] IN (SELECT …) as a condition of two values."""
        parent = node.parent
        while isinstance(parent, exp.Paren | exp.Not):
            parent = parent.parent
        if not isinstance(parent, _CONDITIONS):
            self.e.refuse(node, "IN (SELECT …) as an operand", "use it as a condition, or write a join")
        if isinstance(node.this.unnest(), exp.Tuple):
            return self._row_is_in(node, negated)
        value = self.e.expr(node.this)
        folds = value.kind == kinds.VOID or not node.this.find(exp.Column, exp.Query)
        if not folds and not _is_required(node) and _may_fold(node):
            self.e.refuse(node, "IN (SELECT …) behind what may be a constant NULL", "use it in WHERE, joined by AND")
        query = self._inner(node.args["query"])
        left, right = self._pairs(node, [value], query)
        word = "NOT IN" if negated else "IN"
        alias = self.alias()
        sql = f"{left[0]} {word} (SELECT {right[0].format(alias)} FROM ({query.sql}) AS {alias})"
        if folds:
            return Typed(f"CASE WHEN {left[0]} IS NULL THEN {sql} ELSE coalesce({sql}, false) END", kinds.BOOL)
        # In a WHERE that AND alone joins, NULL and false are the same, and DuckDB has a faster join for the plain form.
        return Typed(f"({sql})" if _is_required(node) else f"coalesce({sql}, false)", kinds.BOOL)

    def _row_is_in(self, node: exp.In, negated: bool) -> Typed:
        values = self.e.exprs(node.this.unnest().expressions)
        query = self._inner(node.args["query"])
        left, right = self._pairs(node, values, query)
        alias = self.alias()
        same = " AND ".join(f"{a} = {b.format(alias)}" for a, b in zip(left, right, strict=True))
        found = f"coalesce({same}, {'true' if negated else 'false'})"
        sql = f"EXISTS (SELECT 1 FROM ({query.sql}) AS {alias} WHERE {found})"
        return Typed(f"(NOT {sql})" if negated else sql, kinds.BOOL)

    def _pairs(self, node: exp.In, values: list[Typed], query: Result) -> tuple[list[str], list[str]]:
        """The values and the query's columns (with {} for its alias), each pair in one type."""
        if len(query.types) != len(values):
            self.e.wrong(node, f"IN (SELECT …) with {len(query.types)} columns; expected {len(values)}.")
        left, right = [], []
        for n, (value, kind) in enumerate(zip(values, query.types, strict=True), 1):
            (one, other), common = self.e.common(node, [value, Typed(f"{{}}.c{n}", kind)], "IN (SELECT …)")
            if not kinds.is_orderable(common):
                self.e.refuse(node, f"{kinds.in_spark(common)} IN (SELECT …)", "compare the fields one by one")
            left.append(one.sql)
            right.append(other.sql)
        return left, right

    def _inner(self, node: exp.Expr) -> Result:
        place = node.find_ancestor(exp.Join, exp.Order, exp.Group, exp.Select)
        if isinstance(place, exp.Join) and (place.side or place.kind.upper() not in ("", "INNER", "CROSS")):
            self.e.refuse(node, f"a subquery in the ON of a {place.side} JOIN", "compute it in a subquery in FROM")
        if isinstance(place, exp.Order | exp.Group):
            self.e.refuse(node, f"a subquery in {place.key.upper()} BY", "compute it in a subquery in FROM")
        outer = self.e.scope
        result = self.query(node.unnest(), outer)
        self.e.scope = outer
        return result


def _may_fold(node: exp.In) -> bool:
    """Whether what stands before IN may be a NULL that Spark sees without the rows."""
    if node.this.find(exp.Null):
        return True
    for alias in node.root().find_all(exp.Alias):
        value = alias.this.unnest()
        while isinstance(value, exp.Cast | exp.TryCast):
            value = value.this.unnest()
        if isinstance(value, exp.Null):
            return True
    return False


def _is_required(node: exp.Expr) -> bool:
    """Whether rows on which this condition is not true are dropped: it stands in WHERE, joined by AND alone."""
    parent = node.parent
    while isinstance(parent, exp.And | exp.Paren):
        parent = parent.parent
    if isinstance(parent, exp.Not):  # NOT IN, which `is_in` writes itself
        return _is_required(parent)
    return isinstance(parent, exp.Where)


@construct(exp.Subquery, parts="this")
def _scalar(e: Expressions, node: exp.Subquery) -> Typed:
    query = e.queries.scalar(node)
    return Typed(f"({query.sql})", query.types[0])


@construct(exp.Exists, parts="this")
def _exists(e: Expressions, node: exp.Exists) -> Typed:
    return e.queries.exists(node)
