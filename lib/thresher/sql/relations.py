"""Queries: SELECT, joins, CTEs, subqueries and set operations, from Spark's tree to DuckDB's text.

Every table in FROM gets a fresh alias and every derived column a fresh name, so that each reference is written out in
full and DuckDB has no name to resolve in a way of its own. All CTEs stand in one WITH in front.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregates import GENERATORS, generator, is_aggregate
from thresher.sql.allowed import ENTRIES, Entry, construct
from thresher.sql.dialect import Source
from thresher.sql.expressions import Column, Expressions, Scope, Typed
from thresher.types import canonical_schema


@dataclass(frozen=True)
class Result:
    """A complete SELECT for DuckDB and its columns: their names in Spark (None: none that is known) and types."""

    sql: str
    names: tuple[str | None, ...]
    types: tuple[pa.DataType, ...]
    is_correlated: bool = False


@dataclass(frozen=True)
class Translation:
    """DuckDB's SQL and the columns that come out of it, with Spark's names and types."""

    sql: str
    schema: pa.Schema


@dataclass(frozen=True)
class _Relation:
    """What stands in FROM: its text and the columns that it brings into sight."""

    sql: str
    columns: list[Column]


def translate(
    tree: exp.Query, source: Source, tables: Mapping[str, tuple[str, pa.Schema]], values: Mapping[str, Any]
) -> Translation:
    """One query for DuckDB; `tables` gives each table's name there and its columns."""
    return _Translator(source, tables, values).translate(tree)


class _Translator:
    def __init__(self, source: Source, tables: Mapping[str, tuple[str, pa.Schema]], values: Mapping[str, Any]) -> None:
        self.source = source
        self.tables = tables
        self.e = Expressions(source, values, self.scalar)
        self.fresh: Iterator[int] = count(1)
        self.written_ctes: list[str] = []
        self.ctes: dict[str, tuple[str, Result]] = {}

    def translate(self, tree: exp.Query) -> Translation:
        result = self.query(tree, is_top=True)
        seen: dict[str, str] = {}
        for name, kind in zip(result.names, result.types, strict=True):
            assert name is not None
            if name.lower() in seen:
                self.source.wrong(tree, f"two result columns have the name {name}. Give each its own with AS.")
            if kinds.has_void(kind):
                self.source.wrong(tree, f"result column {name} holds a NULL without a type. Write cast(NULL AS type).")
            seen[name.lower()] = name
        with_ = f"WITH {', '.join(self.written_ctes)} " if self.written_ctes else ""
        schema = pa.schema(list(zip([str(name) for name in result.names], result.types, strict=True)))
        return Translation(with_ + result.sql, schema)

    def query(self, node: exp.Expression, outer: Scope | None = None, *, is_top: bool = False) -> Result:
        """Any query, its CTEs in sight only inside it."""
        ctes = self.ctes
        self.ctes = dict(ctes)
        saved = self.e.scope, self.e.windows
        try:
            self._define_ctes(node)
            if isinstance(node, exp.Select):
                return self._select(node, outer, is_top)
            if isinstance(node, exp.SetOperation):
                return self._set_operation(node, outer, is_top)
            if isinstance(node, exp.Values):
                return self._whole(self._values(node), is_top)
            if isinstance(node, exp.Subquery):
                self.e.only(node, {"this", "with_"})
                return self.query(node.this, outer, is_top=is_top)
            self.e.refuse(node, f"{type(node).__name__.upper()} as a query")
        finally:
            self.ctes = ctes
            self.e.scope, self.e.windows = saved

    def _define_ctes(self, node: exp.Expression) -> None:
        with_ = node.args.get("with_")
        if with_ is None:
            return
        if with_.recursive:
            self.e.refuse(with_, "WITH RECURSIVE")
        own: set[str] = set()
        for cte in with_.expressions:
            self.e.only(cte, {"this", "alias"})
            if cte.alias.lower() in own:
                self.e.wrong(cte, f"two CTEs have the name {cte.alias}.")
            own.add(cte.alias.lower())
            result = self._renamed(cte, self.query(cte.this))
            name = f"q{next(self.fresh)}"
            self.written_ctes.append(f"{name} AS ({result.sql})")
            self.ctes[cte.alias.lower()] = (name, result)

    def _renamed(self, node: exp.Expression, result: Result) -> Result:
        alias = node.args.get("alias")
        columns = alias.args.get("columns") if alias else None
        if not columns:
            return result
        if len(columns) != len(result.names):
            self.e.wrong(node, f"{len(columns)} column names for {len(result.names)} columns.")
        return replace(result, names=tuple(column.name for column in columns))

    # SELECT

    def _select(self, node: exp.Select, outer: Scope | None, is_top: bool) -> Result:
        self.e.only(node, {"with_", "kind", "expressions", "from_", "joins", "laterals", "where", "group", "having", "order",
                           "limit", "offset", "distinct", "windows", "hint"})
        relation = self._from(node)
        scope = self.e.scope = Scope(relation.columns, outer)
        self.e.windows = {window.name.lower(): window for window in node.args.get("windows") or []}
        clauses = []
        if where := node.args.get("where"):
            clauses.append(f"WHERE {self._where(where.this, scope)}")
        columns, lateral = self._projection(node)
        from_ = f"{relation.sql or '(SELECT 1) AS one'} {lateral}" if lateral else relation.sql
        clauses.insert(0, f"FROM {from_}" if from_ else "")
        if group := node.args.get("group"):
            clauses.append(f"GROUP BY {self._group(group, columns)}")
        if having := node.args.get("having"):
            clauses.append(f"HAVING {self._having(having.this)}")
        distinct = self._distinct(node, columns)
        if order := node.args.get("order"):
            clauses.append(f"ORDER BY {self._order(order, columns, bool(distinct))}")
        clauses.append(self._limit(node))
        if scope.is_correlated:
            self._check_correlated(node)
        head = self._head(node, columns, is_top)
        sql = " ".join(part for part in (f"SELECT {distinct}{head}", *clauses) if part)
        return Result(sql, tuple(c.name for c in columns), tuple(c.kind for c in columns), scope.is_correlated)

    def _head(self, node: exp.Expression, columns: Sequence[Typed], is_top: bool) -> str:
        """The select list: under the columns' own names at the top, as c1, c2, … inside."""
        parts = []
        for position, column in enumerate(columns, 1):
            if is_top and column.name is None:
                item = node.expressions[position - 1] if position <= len(node.expressions) else node
                self.e.refuse(item, f"result column {position} without a name", "name it with AS")
            name = column.name if is_top and column.name is not None else f"c{position}"
            parts.append(f"{column.sql} AS {kinds.quoted(name)}")
        return ", ".join(parts)

    def _projection(self, node: exp.Select) -> tuple[list[Typed], str]:
        """The columns of the select list, and the join that an explode in it amounts to."""
        columns: list[Typed] = []
        lateral = ""
        for item in node.expressions:
            inner = item.this if isinstance(item, exp.Aliases) else item.unalias()
            if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
                columns += self._star(inner)
                continue
            if isinstance(inner, exp.Anonymous) and inner.name.lower() in GENERATORS:
                if lateral or node.args.get("group") or node.args.get("having"):
                    self.e.refuse(inner, f"{inner.name} beside another one or under GROUP BY", "use LATERAL VIEW")
                relation = self._exploded(inner, None, self._generator_names(item), False)
                lateral = relation.sql
                columns += [column.value for column in relation.columns]
                continue
            value = self.e.expr(inner)
            if isinstance(item, exp.Alias):
                value = replace(value, name=item.alias, literal=None)
                self.e.scope.aliases.setdefault(item.alias.lower(), value)
            columns.append(value)
        if not columns:
            self.e.wrong(node, "SELECT without columns.")
        if lateral and any(column.is_window for column in columns):
            self.e.refuse(node, "explode beside a window function", "use LATERAL VIEW")
        return columns, lateral

    def _generator_names(self, item: exp.Expression) -> list[str]:
        if isinstance(item, exp.Aliases):
            return [alias.name for alias in item.expressions]
        return [item.alias] if isinstance(item, exp.Alias) else []

    def _star(self, node: exp.Expression) -> list[Typed]:
        star = node if isinstance(node, exp.Star) else node.this
        self.e.only(star, {"except_"})
        columns = [c for c in self.e.scope.columns if not c.is_hidden]
        if isinstance(node, exp.Column):
            if len(node.parts) > 2:
                self.e.refuse(node, "a star behind more than one name", "give the table an alias")
            columns = [c for c in self.e.scope.columns if c.table == node.table.lower()]
            if not columns:
                self.e.refuse(node, f"{node.table}.* of something that is not a table", "name the fields")
        for name in star.args.get("except_") or []:
            kept = [c for c in columns if c.name.lower() != name.name.lower()]
            if len(kept) != len(columns) - 1:
                self.e.wrong(name, f"EXCEPT ({name.name}) fits {len(columns) - len(kept)} columns; expected one.")
            columns = kept
        return [replace(c.value, name=c.name) for c in columns]

    def _distinct(self, node: exp.Select, columns: Sequence[Typed]) -> str:
        distinct = node.args.get("distinct")
        if distinct is None:
            return ""
        self.e.only(distinct, set())
        for column in columns:
            self._groupable(node, column, "DISTINCT")
        return "DISTINCT "

    def _groupable(self, node: exp.Expression, value: Typed, what: str) -> None:
        if not kinds.is_groupable(value.kind):
            self.e.refuse(node, f"{what} over {kinds.in_spark(value.kind)}", "use another type for what tells rows apart")

    def _where(self, node: exp.Expression, scope: Scope) -> str:
        """A condition on rows: here, and joined by AND alone, [NOT] EXISTS and [NOT] IN (SELECT …) may stand."""
        node = node.unnest()
        if isinstance(node, exp.And):
            return f"({self._where(node.this, scope)} AND {self._where(node.expression, scope)})"
        inner = node.this.unnest() if isinstance(node, exp.Not) else node
        negation = "NOT " if isinstance(node, exp.Not) else ""
        if isinstance(inner, exp.Exists):
            query = self._subquery(inner.this, scope)
            return f"{negation}EXISTS ({query.sql})"
        if isinstance(inner, exp.In) and inner.args.get("query") is not None:
            self.e.only(inner, {"this", "query"})
            return f"({negation}{self._in_query(inner, scope)})"
        scope.may_correlate = True
        try:
            return self.e.boolean(node, "WHERE").sql
        finally:
            scope.may_correlate = False

    def _subquery(self, node: exp.Expression, scope: Scope) -> Result:
        return self.query(node.unnest(), scope)

    def _in_query(self, node: exp.In, scope: Scope) -> str:
        scope.may_correlate = True
        value = self.e.expr(node.this)
        scope.may_correlate = False
        query = self._subquery(node.args["query"], scope)
        if len(query.types) != 1:
            self.e.wrong(node, f"IN (SELECT …) with {len(query.types)} columns; expected one.")
        kind = kinds.wider(value.kind, query.types[0])
        if kind is None or not kinds.is_orderable(kind):
            self.e.refuse(node, f"{kinds.in_spark(value.kind)} IN (SELECT {kinds.in_spark(query.types[0])})", "cast one side")
        alias = f"t{next(self.fresh)}"
        right = self.e.cast(Typed(f"{alias}.c1", query.types[0]), kind)
        return f"{self.e.cast(value, kind).sql} IN (SELECT {right.sql} FROM ({query.sql}) AS {alias})"

    def _check_correlated(self, node: exp.Select) -> None:
        shape = [part for part in ("group", "having", "distinct", "limit", "offset") if node.args.get(part)]
        if shape or any(is_aggregate(call) for item in node.expressions for call in item.find_all(exp.Anonymous, exp.Window)):
            self.e.refuse(node, "a subquery that uses outer columns and aggregates, groups or limits", "write a join")

    def scalar(self, node: exp.Expression) -> Result:
        """A subquery that stands for one value; it may not look outside."""
        query = self.query(node.unnest(), self.e.scope)
        if query.is_correlated:
            self.e.refuse(node, "a scalar subquery that uses outer columns", "write a join")
        if len(query.types) != 1:
            self.e.wrong(node, f"a scalar subquery with {len(query.types)} columns; expected one.")
        return query

    def _group(self, node: exp.Group, columns: Sequence[Typed]) -> str:
        self.e.only(node, {"expressions"})
        keys = []
        for item in node.expressions:
            if isinstance(item, exp.Literal) and not item.is_string:
                key = columns[self._position(item, columns, "GROUP BY")]
            else:
                key = self.e.expr(item)
            self._groupable(item, key, "GROUP BY")
            keys.append(key.sql)
        return ", ".join(keys)

    def _position(self, node: exp.Literal, columns: Sequence[Typed], clause: str) -> int:
        if not node.this.isdigit() or not 1 <= int(node.this) <= len(columns):
            self.e.wrong(node, f"{clause} {node.this}: there are {len(columns)} columns.")
        return int(node.this) - 1

    def _having(self, node: exp.Expression) -> str:
        self.e.scope.is_having = True
        try:
            return self.e.boolean(node, "HAVING").sql
        finally:
            self.e.scope.is_having = False

    def _order(self, node: exp.Order, columns: Sequence[Typed], is_distinct: bool) -> str:
        """ORDER BY: the result's columns by position or name first, then the columns of FROM."""
        keys = []
        saved = self.e.scope.aliases, self.e.scope.aliases_first
        self.e.scope.aliases = {}
        for column in columns:
            if column.name is not None:
                known = self.e.scope.aliases.setdefault(column.name.lower(), column)
                if known.sql != column.sql:
                    self.e.scope.aliases.pop(column.name.lower())
        self.e.scope.aliases_first = True
        try:
            for item in node.expressions:
                self.e.only(item, {"this", "desc", "nulls_first"})
                if isinstance(item.this, exp.Literal) and not item.this.is_string:
                    position: int | None = self._position(item.this, columns, "ORDER BY")
                    kind = columns[position].kind if position is not None else kinds.VOID
                else:
                    value = self.e.expr(item.this)
                    kind = value.kind
                    position = next((n for n, column in enumerate(columns) if column.sql == value.sql), None)
                    if position is None and is_distinct:
                        self.e.wrong(item, "ORDER BY something that SELECT DISTINCT does not give.")
                if not kinds.is_orderable(kind):
                    self.e.refuse(item, f"ORDER BY a {kinds.in_spark(kind)}", "order by its fields")
                keys.append(ordered(item, str(position + 1) if position is not None else value.sql))
        finally:
            self.e.scope.aliases, self.e.scope.aliases_first = saved
        return ", ".join(keys)

    def _limit(self, node: exp.Expression) -> str:
        parts = []
        for key in ("limit", "offset"):
            clause = node.args.get(key)
            if clause is None:
                continue
            self.e.only(clause, {"expression"})
            size = clause.expression
            if not isinstance(size, exp.Literal) or not size.this.isdigit():
                self.e.refuse(clause, f"{key.upper()} by something that is not a whole number", "write the number")
            parts.append(f"{key.upper()} {size.this}")
        return " ".join(parts)

    # FROM

    def _from(self, node: exp.Select) -> _Relation:
        from_ = node.args.get("from_")
        if from_ is None:
            if node.args.get("joins") or node.args.get("laterals"):
                self.e.refuse(node, "a join without FROM")
            return _Relation("", [])
        relation = self._relation(from_.this)
        for join in node.args.get("joins") or []:
            relation = self._join(relation, join)
        for lateral in node.args.get("laterals") or []:
            self.e.only(lateral, {"this", "view", "outer", "alias"})
            if not lateral.args.get("view") or not isinstance(lateral.this, exp.Anonymous):
                self.e.refuse(lateral, "LATERAL (subquery)", "use LATERAL VIEW or a join")
            self.e.scope = Scope(relation.columns)
            alias = lateral.args["alias"]
            names = [column.name for column in alias.args.get("columns") or []]
            added = self._exploded(lateral.this, alias.name.lower(), names, bool(lateral.args.get("outer")))
            relation = _Relation(f"{relation.sql} {added.sql}", relation.columns + added.columns)
        return relation

    def _exploded(self, call: exp.Anonymous, table: str | None, names: list[str], is_outer: bool) -> _Relation:
        select, outputs = generator(self.e, call, is_outer)
        if names and len(names) != len(outputs):
            self.e.wrong(call, f"{len(names)} column names for {len(outputs)} columns of {call.name}.")
        alias = f"t{next(self.fresh)}"
        columns = [
            Column(name, table, Typed(f"{alias}.c{n}", kind, name))
            for n, (name, (_, kind)) in enumerate(zip(names or [name for name, _ in outputs], outputs, strict=True), 1)
        ]
        return _Relation(f"CROSS JOIN LATERAL ({select}) AS {alias}", columns)

    def _relation(self, node: exp.Expression) -> _Relation:
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            self.e.only(node, {"this", "db", "catalog", "alias"})
            return self._table(node)
        if isinstance(node, exp.Values):
            self.e.only(node, {"expressions", "alias"})
            return self._derived(node, self._whole(self._values(node), False))
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            self.e.only(node, {"this", "alias", "with_"})
            return self._derived(node, self.query(node.this))
        self.e.refuse(node, "this in FROM", "use a table, a subquery or VALUES")

    def _table(self, node: exp.Table) -> _Relation:
        cte = self.ctes.get(node.name.lower()) if not node.db else None
        alias = f"t{next(self.fresh)}"
        if cte is not None:
            name, result = cte
            fields = [(n, f"c{p}", kind) for p, (n, kind) in enumerate(zip(result.names, result.types, strict=True), 1)]
        else:
            name, schema = self.tables[".".join(part.name for part in node.parts)]
            fields = [(f.name, kinds.quoted(f.name), f.type) for f in canonical_schema(schema)]
            if len({f.name.lower() for f in schema}) != len(schema):
                self.e.wrong(node, f"table {node.name} has columns whose names differ only in case.")
        table = (node.alias or node.name).lower()
        names = self._aliased(node, [field[0] for field in fields])
        columns = [
            Column(new or "", table, Typed(f"{alias}.{inner}", kind, new))
            for new, (_, inner, kind) in zip(names, fields, strict=True)
        ]
        return _Relation(f"{name} AS {alias}", columns)

    def _derived(self, node: exp.Expression, result: Result) -> _Relation:
        alias = f"t{next(self.fresh)}"
        table = node.alias.lower() or None
        names = self._aliased(node, result.names)
        columns = [
            Column(name or "", table, Typed(f"{alias}.c{position}", kind, name))
            for position, (name, kind) in enumerate(zip(names, result.types, strict=True), 1)
        ]
        return _Relation(f"({result.sql}) AS {alias}", columns)

    def _aliased(self, node: exp.Expression, names: Sequence[str | None]) -> list[str | None]:
        alias = node.args.get("alias")
        columns = alias.args.get("columns") if alias else None
        if not columns:
            return list(names)
        if len(columns) != len(names):
            self.e.wrong(node, f"{len(columns)} column names for {len(names)} columns.")
        return [column.name for column in columns]

    def _values(self, node: exp.Values) -> Result:
        rows = []
        for row in node.expressions:
            rows.append(self.e.exprs(row.expressions if isinstance(row, exp.Tuple) else [row.unnest()]))
        if len({len(row) for row in rows}) != 1:
            self.e.wrong(node, "rows of VALUES with different numbers of columns.")
        columns = [self.e.common(node, column, "VALUES") for column in zip(*rows, strict=True)]
        lines = [", ".join(values[n].sql for values, _ in columns) for n in range(len(rows))]
        names = tuple(f"col{n}" for n in range(1, len(columns) + 1))
        alias = ", ".join(f"c{n}" for n in range(1, len(columns) + 1))
        sql = f"SELECT * FROM (VALUES {', '.join(f'({line})' for line in lines)}) AS v({alias})"
        return Result(sql, names, tuple(kind for _, kind in columns))

    def _whole(self, result: Result, is_top: bool) -> Result:
        """A result whose columns stand under their own names at the top."""
        if not is_top:
            return result
        head = ", ".join(f"v.c{n} AS {kinds.quoted(str(name))}" for n, name in enumerate(result.names, 1))
        return replace(result, sql=f"SELECT {head} FROM ({result.sql}) AS v")

    # JOIN

    def _join(self, left: _Relation, node: exp.Join) -> _Relation:
        self.e.only(node, {"this", "method", "side", "kind", "on", "using"})
        if node.this.args.get("joins") or node.this.args.get("laterals"):
            self.e.refuse(node, "a join in parentheses", "use a subquery")
        self._check_comma(node)
        right = self._relation(node.this)
        side, kind, method = node.side.upper(), node.kind.upper(), (node.args.get("method") or "").upper()
        if kind not in ("", "INNER", "OUTER", "CROSS", "SEMI", "ANTI") or method not in ("", "NATURAL"):
            self.e.refuse(node, f"{method} {side} {kind} JOIN".strip())
        keys = [key.name for key in node.args.get("using") or []]
        if method == "NATURAL":
            names = {c.name.lower() for c in right.columns if not c.is_hidden}
            keys = [c.name for c in left.columns if not c.is_hidden and c.name.lower() in names]
        condition, merged = self._join_keys(node, left, right, keys, side)
        if node.args.get("on") is not None:
            self.e.scope = Scope(left.columns + right.columns)
            condition = self.e.boolean(node.args["on"], "ON").sql
        if kind in ("SEMI", "ANTI"):
            return _Relation(f"{left.sql} {kind} JOIN {right.sql} ON {condition}", left.columns)
        word = side if side in ("LEFT", "RIGHT", "FULL") else "INNER"
        columns = left.columns + right.columns
        if keys:
            used = {key.lower() for key in keys}
            hidden = [replace(c, is_hidden=c.is_hidden or c.name.lower() in used) for c in columns]
            columns = merged + hidden
        return _Relation(f"{left.sql} {word} JOIN {right.sql} ON {condition}", columns)

    def _check_comma(self, node: exp.Join) -> None:
        """FROM a, b JOIN c ON …: the comma binds last in Spark, so ON does not see a."""
        joins = node.parent.args.get("joins") or [] if node.parent else []
        commas = [join for join in joins if join.kind.upper() == "CROSS" and self._follows_comma(join)]
        if commas and len(commas) != len(joins):
            self.e.refuse(node, "a comma beside JOIN in FROM", "write CROSS JOIN")

    def _follows_comma(self, join: exp.Join) -> bool:
        starts = [part.meta["start"] for part in join.walk() if "start" in part.meta]
        return not starts or "join" not in self.source.text[: min(starts)].rstrip(" (\n\t").lower()[-4:]

    def _join_keys(
        self, node: exp.Join, left: _Relation, right: _Relation, keys: Sequence[str], side: str
    ) -> tuple[str, list[Column]]:
        conditions, merged = [], []
        for key in keys:
            self.e.scope = Scope(left.columns)
            one = self.e.resolve(node, [key])
            self.e.scope = Scope(right.columns)
            other = self.e.resolve(node, [key])
            if one.kind != other.kind or not kinds.is_orderable(one.kind):
                self.e.refuse(node, f"USING ({key}) over {kinds.in_spark(one.kind)} and {kinds.in_spark(other.kind)}",
                              "write ON with a cast")
            conditions.append(f"({one.sql} = {other.sql})")
            sql = {"RIGHT": other.sql, "FULL": f"coalesce({one.sql}, {other.sql})"}.get(side, one.sql)
            merged.append(Column(key, None, Typed(sql, one.kind, key)))
        return " AND ".join(conditions) or "TRUE", merged

    # UNION, EXCEPT, INTERSECT

    def _set_operation(self, node: exp.SetOperation, outer: Scope | None, is_top: bool) -> Result:
        self.e.only(node, {"with_", "this", "expression", "distinct", "order", "limit", "offset"})
        left, right = self.query(node.this, outer), self.query(node.expression, outer)
        word = type(node).__name__.upper()
        if len(left.types) != len(right.types):
            self.e.wrong(node, f"{word} of {len(left.types)} and {len(right.types)} columns.")
        if left.is_correlated or right.is_correlated:
            self.e.refuse(node, f"{word} in a subquery that uses outer columns", "write a join")
        types = []
        for position, (one, other) in enumerate(zip(left.types, right.types, strict=True), 1):
            kind = kinds.wider(one, other)
            if kind is None:
                self.e.refuse(node, f"{word} of {kinds.in_spark(one)} and {kinds.in_spark(other)} (column {position})",
                              f"cast column {position} on one side")
            if word != "UNION" or node.args.get("distinct"):
                self._groupable(node, Typed("", kind), word)
            types.append(kind)
        all_ = "" if node.args.get("distinct") else " ALL"
        sides = [self._side(result, types) for result in (left, right)]
        alias = f"t{next(self.fresh)}"
        columns = [Typed(f"{alias}.c{n}", kind, name) for n, (name, kind) in enumerate(zip(left.names, types, strict=True), 1)]
        self.e.scope = Scope([])
        order = f" ORDER BY {self._order(node.args['order'], columns, True)}" if node.args.get("order") else ""
        sql = f"SELECT {self._head(node, columns, is_top)} FROM (({sides[0]}) {word}{all_} ({sides[1]})) AS {alias}{order}"
        return Result(f"{sql} {self._limit(node)}".rstrip(), left.names, tuple(types))

    def _side(self, result: Result, types: Sequence[pa.DataType]) -> str:
        alias = f"t{next(self.fresh)}"
        parts = [
            f"{self.e.cast(Typed(f'{alias}.c{n}', old), new).sql} AS c{n}"
            for n, (old, new) in enumerate(zip(result.types, types, strict=True), 1)
        ]
        return f"SELECT {', '.join(parts)} FROM ({result.sql}) AS {alias}"


def ordered(item: exp.Ordered, sql: str) -> str:
    """One key of an ORDER BY with its nulls placed as Spark places them."""
    direction = "DESC" if item.args.get("desc") else "ASC"
    return f"{sql} {direction} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"


@construct(exp.Subquery, parts="this")
def _scalar(e: Expressions, node: exp.Subquery) -> Typed:
    query = e.subquery(node)
    return Typed(f"({query.sql})", query.types[0])


_QUERIES = [
    ("SELECT [DISTINCT] … FROM … WHERE … GROUP BY … HAVING … ORDER BY … LIMIT n OFFSET m",
     "Nulls come first in ascending order. GROUP BY and ORDER BY take expressions, names and positions.",
     "SELECT a, count(*) AS n FROM VALUES (1), (1), (2) AS t(a) GROUP BY a ORDER BY n DESC"),
    ("[INNER] | LEFT | RIGHT | FULL | CROSS | LEFT SEMI | LEFT ANTI JOIN … ON … | USING (…), NATURAL JOIN", "",
     "SELECT a, b FROM VALUES (1) AS t(a) LEFT JOIN VALUES (1, 2) AS u(a, b) USING (a)"),
    ("WITH a AS (…), b(x, y) AS (…) SELECT …", "Not recursive.", "WITH a AS (SELECT 1 AS x) SELECT x FROM a"),
    ("UNION [ALL], EXCEPT [ALL], MINUS, INTERSECT [ALL]", "Columns of one type, or widening to one.",
     "SELECT 1 AS a UNION ALL SELECT NULL"),
    ("WHERE [NOT] EXISTS (SELECT …), WHERE a [NOT] IN (SELECT …)",
     "Joined to other conditions by AND alone. The subquery may use outer columns in its WHERE.",
     "SELECT a FROM VALUES (1), (2) AS t(a) WHERE EXISTS (SELECT 1 FROM VALUES (2) AS u(b) WHERE b = a)"),
    ("(SELECT …) as a value", "One column; more than one row is an error. No outer columns.",
     "SELECT (SELECT max(a) FROM VALUES (1), (2) AS t(a)) AS m"),
    ("VALUES (…), (…) AS t(a, b)", "", "SELECT a + b AS c FROM VALUES (1, 2) AS t(a, b)"),
    ("t.*, * EXCEPT (a)", "", "SELECT * EXCEPT (b) FROM VALUES (1, 2) AS t(a, b)"),
]
ENTRIES.extend(Entry("Queries", *line) for line in _QUERIES)
