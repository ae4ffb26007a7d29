"""Queries: SELECT, CTEs, subqueries and set operations, from Spark's tree to DuckDB's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregates import GENERATORS, is_aggregate, ordered
from thresher.sql.allowed import ENTRIES, ArrowFunction, Entry, construct
from thresher.sql.dialect import Source
from thresher.sql.expressions import Expressions, Scope, Typed
from thresher.sql.relations import Relations, Result


@dataclass(frozen=True)
class Translation:
    """DuckDB's SQL, the columns that come out of it, with Spark's names and types, and the functions it calls.

    `functions` are those that are made for this query; they are added to the connection before it runs.
    """

    sql: str
    schema: pa.Schema
    functions: tuple[ArrowFunction, ...] = ()


def translate(tree: exp.Expr, source: Source, tables: Mapping[str, tuple[str, pa.Schema]]) -> Translation:
    """One query for DuckDB; `tables` gives each table's name there and its columns."""
    return _Translator(source, tables).translate(tree)


class _Translator(Relations):
    def __init__(self, source: Source, tables: Mapping[str, tuple[str, pa.Schema]]) -> None:
        super().__init__(source, tables)
        self.written_ctes: list[str] = []  # of all levels, in one WITH in front: their names are fresh

    def translate(self, tree: exp.Expr) -> Translation:
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
        return Translation(with_ + result.sql, schema, tuple(self.e.functions.values()))

    def query(self, node: exp.Expr, outer: Scope | None = None, *, is_top: bool = False) -> Result:
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
                return self.whole(self.values(node), is_top)
            if isinstance(node, exp.Subquery):
                self.e.only(node, {"this", "with_"})
                return self.query(node.this, outer, is_top=is_top)
            self.e.refuse(node, f"{type(node).__name__.upper()} as a query")
        finally:
            self.ctes = ctes
            self.e.scope, self.e.windows = saved

    def _define_ctes(self, node: exp.Expr) -> None:
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

    def _renamed(self, node: exp.Expr, result: Result) -> Result:
        alias = node.args.get("alias")
        columns = alias.args.get("columns") if alias else None
        if not columns:
            return result
        if len(columns) != len(result.names):
            self.e.wrong(node, f"{len(columns)} column names for {len(result.names)} columns.")
        return replace(result, names=tuple(column.name for column in columns))

    # SELECT

    def _select(self, node: exp.Select, outer: Scope | None, is_top: bool) -> Result:
        self.e.only(
            node,
            {
                "with_",
                "expressions",
                "from_",
                "joins",
                "laterals",
                "where",
                "group",
                "having",
                "order",
                "limit",
                "offset",
                "distinct",
                "windows",
                "hint",
            },
        )
        relation = self.from_(node)
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

    def _head(self, node: exp.Expr, columns: Sequence[Typed], is_top: bool) -> str:
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

    def _generator_names(self, item: exp.Expr) -> list[str]:
        if isinstance(item, exp.Aliases):
            return [alias.name for alias in item.expressions]
        return [item.alias] if isinstance(item, exp.Alias) else []

    def _star(self, node: exp.Expr) -> list[Typed]:
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

    def _groupable(self, node: exp.Expr, value: Typed, what: str) -> None:
        if not kinds.is_groupable(value.kind):
            self.e.refuse(
                node, f"{what} over {kinds.in_spark(value.kind)}", "use another type for what tells rows apart"
            )

    def _where(self, node: exp.Expr, scope: Scope) -> str:
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
            return self.e.condition(node, "WHERE").sql
        finally:
            scope.may_correlate = False

    def _subquery(self, node: exp.Expr, scope: Scope) -> Result:
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
            self.e.refuse(
                node, f"{kinds.in_spark(value.kind)} IN (SELECT {kinds.in_spark(query.types[0])})", "cast one side"
            )
        alias = f"t{next(self.fresh)}"
        right = self.e.cast(Typed(f"{alias}.c1", query.types[0]), kind)
        return f"{self.e.cast(value, kind).sql} IN (SELECT {right.sql} FROM ({query.sql}) AS {alias})"

    def _check_correlated(self, node: exp.Select) -> None:
        shape = [part for part in ("group", "having", "distinct", "limit", "offset") if node.args.get(part)]
        if shape or any(
            is_aggregate(call) for item in node.expressions for call in item.find_all(exp.Anonymous, exp.Window)
        ):
            self.e.refuse(node, "a subquery that uses outer columns and aggregates, groups or limits", "write a join")

    def scalar(self, node: exp.Expr) -> Result:
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

    def _having(self, node: exp.Expr) -> str:
        self.e.scope.is_having = True
        try:
            return self.e.condition(node, "HAVING").sql
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

    def _limit(self, node: exp.Expr) -> str:
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
                self.e.refuse(
                    node,
                    f"{word} of {kinds.in_spark(one)} and {kinds.in_spark(other)} (column {position})",
                    f"cast column {position} on one side",
                )
            if word != "UNION" or node.args.get("distinct"):
                self._groupable(node, Typed("", kind), word)
            types.append(kind)
        all_ = "" if node.args.get("distinct") else " ALL"
        sides = [self._side(result, types) for result in (left, right)]
        alias = f"t{next(self.fresh)}"
        columns = [
            Typed(f"{alias}.c{n}", kind, name) for n, (name, kind) in enumerate(zip(left.names, types, strict=True), 1)
        ]
        self.e.scope = Scope([])
        order = f" ORDER BY {self._order(node.args['order'], columns, True)}" if node.args.get("order") else ""
        head = self._head(node, columns, is_top)
        sql = f"SELECT {head} FROM (({sides[0]}) {word}{all_} ({sides[1]})) AS {alias}{order} {self._limit(node)}"
        return Result(sql.rstrip(), left.names, tuple(types))

    def _side(self, result: Result, types: Sequence[pa.DataType]) -> str:
        alias = f"t{next(self.fresh)}"
        parts = [
            f"{self.e.cast(Typed(f'{alias}.c{n}', old), new).sql} AS c{n}"
            for n, (old, new) in enumerate(zip(result.types, types, strict=True), 1)
        ]
        return f"SELECT {', '.join(parts)} FROM ({result.sql}) AS {alias}"


@construct(exp.Subquery, parts="this")
def _scalar(e: Expressions, node: exp.Subquery) -> Typed:
    query = e.subquery(node)
    return Typed(f"({query.sql})", query.types[0])


_QUERIES = [
    (
        "SELECT [DISTINCT] … FROM … WHERE … GROUP BY … HAVING … ORDER BY … LIMIT n OFFSET m",
        "Nulls come first in ascending order. GROUP BY and ORDER BY take expressions, names and positions.",
        "SELECT a, count(*) AS n FROM VALUES (1), (1), (2) AS t(a) GROUP BY a ORDER BY n DESC",
    ),
    (
        "[INNER] | LEFT | RIGHT | FULL | CROSS | LEFT SEMI | LEFT ANTI JOIN … ON … | USING (…), NATURAL JOIN",
        "",
        "SELECT a, b FROM VALUES (1) AS t(a) LEFT JOIN VALUES (1, 2) AS u(a, b) USING (a)",
    ),
    ("WITH a AS (…), b(x, y) AS (…) SELECT …", "Not recursive.", "WITH a AS (SELECT 1 AS x) SELECT x FROM a"),
    (
        "UNION [ALL], EXCEPT [ALL], MINUS, INTERSECT [ALL]",
        "Columns of one type, or widening to one.",
        "SELECT 1 AS a UNION ALL SELECT NULL",
    ),
    (
        "WHERE [NOT] EXISTS (SELECT …), WHERE a [NOT] IN (SELECT …)",
        "Joined to other conditions by AND alone. The subquery may use outer columns in its WHERE.",
        "SELECT a FROM VALUES (1), (2) AS t(a) WHERE EXISTS (SELECT 1 FROM VALUES (2) AS u(b) WHERE b = a)",
    ),
    (
        "(SELECT …) as a value",
        "One column; more than one row is an error. No outer columns.",
        "SELECT (SELECT max(a) FROM VALUES (1), (2) AS t(a)) AS m",
    ),
    ("VALUES (…), (…) AS t(a, b)", "", "SELECT a + b AS c FROM VALUES (1, 2) AS t(a, b)"),
    ("t.*, * EXCEPT (a)", "", "SELECT * EXCEPT (b) FROM VALUES (1, 2) AS t(a, b)"),
]
ENTRIES.extend(Entry("Queries", *line) for line in _QUERIES)
