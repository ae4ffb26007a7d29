"""One SELECT, clause by clause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import has_aggregate, has_window, is_aggregate, kept_apart, ordered
from thresher.sql.expressions import Column, Scope, Typed
from thresher.sql.nesting import nested
from thresher.sql.queries import stars
from thresher.sql.queries.generated_groups import is_generator, over_groups, written
from thresher.sql.queries.grouping import (
    group_clause,
    has_sets,
    is_one_group,
    key_nodes,
    normalise_keys,
    position,
    told_apart,
)
from thresher.sql.queries.naming import Words, column_name
from thresher.sql.queries.pivots import Pivots
from thresher.sql.queries.relations import Relation, Result
from thresher.sql.queries.subqueries import Subqueries
from thresher.sql.times.time_windows import with_windows

_CLAUSES = frozenset(
    "with_ expressions from_ joins laterals where group having qualify order sort distribute cluster limit offset "
    "distinct windows hint".split()
)


class Selects(Subqueries, Pivots):
    """Translates SELECT; every clause in the order in which it sees the others' names."""

    def select(self, node: exp.Select, outer: Scope | None, is_top: bool) -> Result:
        self.e.only(node, _CLAUSES)
        node = over_groups(self.e, with_windows(self.e, node))
        relation = self.from_(node, outer)
        scope = self.e.scope = Scope(relation.columns, outer)
        group = node.args.get("group")
        if group is not None and has_sets(group):
            scope.grouping_keys = key_nodes(group)
        self.e.windows = {window.name.lower(): window for window in node.args.get("windows") or []}
        clauses = []
        if where := node.args.get("where"):
            with _set(scope, may_correlate=True):
                clauses.append(f"WHERE {self.e.condition(where.this, 'WHERE').sql}")
        if group is not None:
            normalise_keys(self.e, group, node.expressions)
        with _set(scope, may_correlate=not _is_aggregated(node)):
            columns, items, lateral = self._projection(node)
        from_ = f"{relation.sql or '(SELECT 1) AS one'} {lateral}" if lateral else relation.sql
        clauses.insert(0, f"FROM {from_}" if from_ else "")
        if group is not None:
            keys = group_clause(self.e, group, columns, items)
            clauses.append(f"GROUP BY {keys}" if keys else "")
        # Over no rows Spark gives no row, not even for the set () of ROLLUP and its like.
        required = ["count(*) > 0"] if scope.grouping_keys is not None and not is_one_group(group) else []
        if having := node.args.get("having"):
            with _set(scope, is_having=True, group_keys=key_nodes(group) if group is not None else []):
                required.append(self.e.condition(having.this, "HAVING").sql)
        clauses.append(f"HAVING {' AND '.join(required)}" if required else "")
        if qualify := node.args.get("qualify"):
            clauses.append(self._qualify(node, qualify))
        tables = tuple(self._table_of(item, column) for item, column in zip(items, columns, strict=True))
        distinct = "DISTINCT " if node.args.get("distinct") else ""
        if distinct:
            self.e.only(node.args["distinct"], set())
            columns = [told_apart(self.e, node, column, "DISTINCT") for column in columns]
        for key in ("sort", "distribute", "cluster"):  # they place rows in files and tasks, and promise no order
            for item in node.args[key].expressions if node.args.get(key) else []:
                inner = item.this if isinstance(item, exp.Ordered) else item
                self.e.expr(exp.Column(this=inner) if isinstance(inner, exp.Identifier) else inner)
        names, types = tuple(c.name for c in columns), tuple(c.kind for c in columns)
        order = node.args.get("order")
        if distinct and order:
            inner = _joined(f"SELECT DISTINCT {self.head(node, columns, False)}", *clauses)
            return self.in_order(node, Result(inner, names, types, tables), is_top)
        if order:
            clauses.append(f"ORDER BY {self.order(order, columns)}")
        clauses.append(self.limit(node))
        sql = _joined(f"SELECT {distinct}{self.head(node, columns, is_top)}", *clauses)
        return Result(sql, names, types, tables)

    def in_order(self, node: exp.Expr, result: Result, is_top: bool) -> Result:
        """A result of DISTINCT or a set operation behind ORDER BY and LIMIT, which see its own columns alone."""
        alias = self.alias()
        columns = [
            Typed(f"{alias}.c{n}", kind, name)
            for n, (name, kind) in enumerate(zip(result.names, result.types, strict=True), 1)
        ]
        tables = result.tables or (None,) * len(columns)
        self.e.scope = Scope([Column(c.name or "", table, c) for c, table in zip(columns, tables, strict=True)])
        clauses = []
        if order := node.args.get("order"):
            if any(has_aggregate(item) or has_window(item) for item in order.expressions):
                self.e.wrong(order, "an aggregate or a window in ORDER BY behind DISTINCT or a set operation.")
            clauses.append(f"ORDER BY {self.order(order, columns)}")
        head = self.head(node, columns, is_top)
        sql = _joined(f"SELECT {head} FROM ({result.sql}) AS {alias}", *clauses, self.limit(node))
        return replace(result, sql=sql)

    def _table_of(self, item: exp.Expr, column: Typed) -> str | None:
        """The table in front of a column of the result that is a column of FROM, under its own name."""
        if not isinstance(item, exp.Column | exp.Star):
            return None
        return next((c.table for c in self.e.scope.columns if c.value.sql == column.sql), None)

    def head(self, node: exp.Expr, columns: Sequence[Typed], is_top: bool) -> str:
        """The select list: under the columns' own names at the top, where each has its own; else as c1, c2, …"""
        names = [column.name for column in columns]
        if is_top and None in names:
            at = names.index(None)
            item = node.expressions[at] if at < len(node.expressions) else node
            self.e.refuse(item, f"result column {at + 1} without a name", "name it with AS")
        is_named = is_top and "" not in names and len({str(name).lower() for name in names}) == len(names)
        return ", ".join(
            f"{column.sql} AS {kinds.quoted(str(column.name) if is_named else f'c{n}')}"
            for n, column in enumerate(columns, 1)
        )

    def _projection(self, node: exp.Select) -> tuple[list[Typed], list[exp.Expr], str]:
        """The columns of the select list, what each was written as, and the joins that its generators amount to."""
        columns: list[Typed] = []
        items: list[exp.Expr] = []
        generated = self._generated_columns(node)
        for item in node.expressions:
            items += [item] * (len(columns) - len(items))
            inner = written(item)
            if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
                columns += self._star(inner)
                items += [exp.Star()] * (len(columns) - len(items))
                continue
            if id(item) in generated:
                columns += [column.value for column in generated[id(item)].columns]
                items += [item] * (len(columns) - len(items))
                continue
            value = self.e.expr(inner)
            self._check_aliases(inner)
            if isinstance(item, exp.Alias):
                value = replace(value, name=item.alias, literal=None)
                known = self.e.scope.aliases.setdefault(item.alias.lower(), value)
                if known is not value:
                    self.e.scope.repeated.add(item.alias.lower())
            else:
                tables = frozenset(column.table for column in self.e.scope.columns if column.table)
                words = Words(self.source.text, tables, lambda part: self.e.expr(part).kind)
                value = replace(value, name=column_name(self._without_stars(inner), words))
            columns.append(value)
            items.append(item)
        if not columns:
            self.e.wrong(node, "SELECT without columns.")
        return columns, items, " ".join(relation.sql for relation in generated.values())

    def _without_stars(self, item: exp.Expr) -> exp.Expr:
        """An item as its name shows it: the columns instead of a star in struct(*) and its like."""
        if not item.find(exp.Star):
            return item

        def spelled(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Anonymous) and not is_aggregate(node):
                return stars.expanded(self.e, node)
            return node

        return item.transform(spelled)

    def _check_aliases(self, item: exp.Expr) -> None:
        """An item may use the names of others, but not inside a window."""
        names = {column.name.lower() for column in self.e.scope.columns}
        tables = {column.table for column in self.e.scope.columns}
        for window in item.find_all(exp.Window):
            for column in window.find_all(exp.Column):
                first = column.parts[0].name.lower()
                if first in self.e.scope.aliases and first not in names and first not in tables:
                    self.e.wrong(column, f"the alias {first} inside a window; expected a column of FROM.")

    def _generated_columns(self, node: exp.Select) -> dict[int, Relation]:
        """The joins and columns of the generators in the select list, by the id of their items.

        All other items see their columns by name, those before them too.
        """
        found: dict[int, Relation] = {}
        for item in node.expressions:
            inner = written(item)
            if is_generator(inner):
                if node.args.get("having"):
                    self.e.refuse(inner, f"{inner.name} beside HAVING", "use LATERAL VIEW")
                relation = self.exploded(inner, None, _generator_names(item), inner.name.lower().endswith("_outer"))
                found[id(item)] = relation
                for column in relation.columns:
                    self.e.scope.aliases.setdefault(column.name.lower(), column.value)
        return found

    def _star(self, node: exp.Expr) -> list[Typed]:
        star = node if isinstance(node, exp.Star) else node.this
        self.e.only(star, {"except_"})
        columns = [replace(c.value, name=c.name) for c in self.e.scope.columns if not c.is_hidden]
        if isinstance(node, exp.Column):
            columns = self._qualified_star(node)
        for name in star.args.get("except_") or []:
            kept = [c for c in columns if str(c.name).lower() != name.name.lower()]
            if len(kept) != len(columns) - 1:
                self.e.wrong(name, f"EXCEPT ({name.name}) fits {len(columns) - len(kept)} columns; expected one.")
            columns = kept
        return columns

    def _qualified_star(self, node: exp.Column) -> list[Typed]:
        """table.*, else the fields of a struct."""
        before = [part.name for part in node.parts[:-1]]
        found = [c for c in self.e.scope.columns if c.table == before[-1].lower()] if len(before) == 1 else []
        if found:
            return [replace(c.value, name=c.name) for c in found]
        struct = self.e.resolve(node, before)
        if not kinds.is_struct(struct.kind):
            self.e.wrong(node, f"{'.'.join(before)}.* of {kinds.in_spark(struct.kind)}; expected a table or a struct.")
        return [self.e.struct_field(node, struct, field.name) for field in struct.kind]

    def _qualify(self, node: exp.Select, qualify: exp.Qualify) -> str:
        with _set(self.e.scope, is_qualify=True):
            condition = self.e.condition(qualify.this, "QUALIFY")
        if any(is_aggregate(part) and not isinstance(part.parent, exp.Window) for part in _calls(qualify)):
            self.e.wrong(qualify, "an aggregate in QUALIFY. Give it a name in the select list.")
        if not condition.is_window and not any(item.find(exp.Window) for item in [qualify, *node.expressions]):
            self.e.wrong(qualify, "QUALIFY without a window function.")
        return f"QUALIFY {condition.sql}"

    def order(self, node: exp.Order, columns: Sequence[Typed]) -> str:
        """ORDER BY: the result's columns by position or name first, then the columns of FROM."""
        if isinstance(node.expressions[0].this, exp.Var) and node.expressions[0].this.name.upper() == "ALL":
            (item,) = node.expressions
            return ", ".join(self._key_of_column(item, columns, n) for n in range(len(columns)))
        scope = self.e.scope
        aliases: dict[str, Typed] = {}
        names = [str(column.name).lower() for column in columns]
        for name, column in zip(names, columns, strict=True):
            if column.name is not None and all(
                other.sql == column.sql and name not in scope.repeated
                for other_name, other in zip(names, columns, strict=True)
                if other_name == name
            ):
                aliases[name] = column
        with _set(scope, aliases=aliases, aliases_first=True):
            return ", ".join(self._order_key(item, columns) for item in node.expressions)

    def _order_key(self, item: exp.Ordered, columns: Sequence[Typed]) -> str:
        self.e.only(item, {"this", "desc", "nulls_first"})
        at = position(self.e, item.this, columns, "ORDER BY")
        if at is not None:
            return self._key_of_column(item, columns, at)
        value = self.e.expr(item.this)
        same = next((n for n, column in enumerate(columns) if column.sql == value.sql), None)
        if same is not None:
            return self._key_of_column(item, columns, same)
        if isinstance(item.this.unnest(), exp.Literal | exp.Null):
            return ordered(item, f"CAST({value.sql} AS VARCHAR)")  # DuckDB refuses a bare constant
        return ordered(item, nested.sort_key(self.e, item, value, "ORDER BY"))

    def _key_of_column(self, item: exp.Ordered, columns: Sequence[Typed], at: int) -> str:
        """A column of the result as a key; arrays and structs by one that puts their NULLs where Spark does."""
        column = columns[at]
        if nested.is_nested(column.kind):
            return ordered(item, nested.sort_key(self.e, item, column, "ORDER BY"))
        if column.kind in (kinds.FLOAT, kinds.DOUBLE) and "SELECT" not in column.sql:
            return ordered(item, kept_apart(column, column.sql))
        return ordered(item, str(at + 1))

    def limit(self, node: exp.Expr) -> str:
        """LIMIT and OFFSET by whole numbers that the text itself gives."""
        parts = []
        saved, self.e.scope = self.e.scope, Scope([])
        for key in ("limit", "offset"):
            clause = node.args.get(key)
            if clause is None or (isinstance(clause.expression, exp.Var) and clause.expression.name.upper() == "ALL"):
                continue
            self.e.only(clause, {"expression"})
            size = self.e.expr(clause.expression)
            if size.kind != kinds.INT or (isinstance(size.literal, int) and size.literal < 0):
                self.e.wrong(clause, f"{key.upper()} is not a whole number from 0 on.")
            if size.literal is None and clause.expression.find(exp.Subquery, exp.Anonymous, exp.Neg, exp.Sub):
                self.e.refuse(clause, f"{key.upper()} by something that is not a whole number", "write the number")
            parts.append(f"{key.upper()} {size.literal if size.literal is not None else f'({size.sql})'}")
        self.e.scope = saved
        return " ".join(parts)


def _calls(node: exp.Expr) -> Iterator[exp.Anonymous]:
    return node.find_all(exp.Anonymous)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _generator_names(item: exp.Expr) -> list[str]:
    if isinstance(item, exp.Aliases):
        return [alias.name for alias in item.expressions]
    return [item.alias] if isinstance(item, exp.Alias) else []


def _is_aggregated(node: exp.Select) -> bool:
    """Whether the rows of a SELECT stand for groups."""
    if node.args.get("group") or node.args.get("having"):
        return True
    return any(
        is_aggregate(part) and not isinstance(part, exp.Window) for item in node.expressions for part in item.walk()
    )


@contextmanager
def _set(scope: Scope, **values: Any) -> Iterator[None]:
    """Attributes of the scope for the time of one clause."""
    saved = {name: getattr(scope, name) for name in values}
    for name, value in values.items():
        setattr(scope, name, value)
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(scope, name, value)
