"""What stands in FROM: tables, subqueries, VALUES, LATERAL VIEW and joins, and the columns that they bring into sight.

Every one gets a fresh alias and every derived column a fresh name (c1, c2, …), so that each reference is written out in
full and DuckDB has no name to resolve in a way of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregates import generator
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
class Relation:
    """What stands in FROM: its text and the columns that it brings into sight."""

    sql: str
    columns: list[Column]


class Relations(ABC):
    """Translates FROM; `query` translates what stands in it."""

    def __init__(self, source: Source, tables: Mapping[str, tuple[str, pa.Schema]]) -> None:
        self.source = source
        self.tables = tables
        self.e = Expressions(source, self.scalar)
        self.fresh: Iterator[int] = count(1)
        self.ctes: dict[str, tuple[str, Result]] = {}

    @abstractmethod
    def query(self, node: exp.Expr, outer: Scope | None = None, *, is_top: bool = False) -> Result:
        """Any query, its CTEs in sight only inside it."""

    @abstractmethod
    def scalar(self, node: exp.Expr) -> Result:
        """A subquery that stands for one value; it may not look outside."""

    def from_(self, node: exp.Select) -> Relation:
        from_ = node.args.get("from_")
        if from_ is None:
            if node.args.get("joins") or node.args.get("laterals"):
                self.e.refuse(node, "a join without FROM")
            return Relation("", [])
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
            relation = Relation(f"{relation.sql} {added.sql}", relation.columns + added.columns)
        return relation

    def _exploded(self, call: exp.Anonymous, table: str | None, names: list[str], is_outer: bool) -> Relation:
        select, outputs = generator(self.e, call, is_outer)
        if names and len(names) != len(outputs):
            self.e.wrong(call, f"{len(names)} column names for {len(outputs)} columns of {call.name}.")
        alias = f"t{next(self.fresh)}"
        columns = [
            Column(name, table, Typed(f"{alias}.c{n}", kind, name))
            for n, (name, (_, kind)) in enumerate(zip(names or [name for name, _ in outputs], outputs, strict=True), 1)
        ]
        return Relation(f"CROSS JOIN LATERAL ({select}) AS {alias}", columns)

    def _relation(self, node: exp.Expr) -> Relation:
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            self.e.only(node, {"this", "db", "catalog", "alias"})
            return self._table(node)
        if isinstance(node, exp.Values):
            self.e.only(node, {"expressions", "alias"})
            return self._derived(node, self.whole(self.values(node), False))
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            self.e.only(node, {"this", "alias", "with_"})
            return self._derived(node, self.query(node.this))
        self.e.refuse(node, "this in FROM", "use a table, a subquery or VALUES")

    def _table(self, node: exp.Table) -> Relation:
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
        return Relation(f"{name} AS {alias}", columns)

    def _derived(self, node: exp.Expr, result: Result) -> Relation:
        alias = f"t{next(self.fresh)}"
        table = node.alias.lower() or None
        names = self._aliased(node, result.names)
        columns = [
            Column(name or "", table, Typed(f"{alias}.c{position}", kind, name))
            for position, (name, kind) in enumerate(zip(names, result.types, strict=True), 1)
        ]
        return Relation(f"({result.sql}) AS {alias}", columns)

    def _aliased(self, node: exp.Expr, names: Sequence[str | None]) -> list[str | None]:
        alias = node.args.get("alias")
        columns = alias.args.get("columns") if alias else None
        if not columns:
            return list(names)
        if len(columns) != len(names):
            self.e.wrong(node, f"{len(columns)} column names for {len(names)} columns.")
        return [column.name for column in columns]

    def values(self, node: exp.Values) -> Result:
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

    def whole(self, result: Result, is_top: bool) -> Result:
        """A result whose columns stand under their own names at the top."""
        if not is_top:
            return result
        head = ", ".join(f"v.c{n} AS {kinds.quoted(str(name))}" for n, name in enumerate(result.names, 1))
        return replace(result, sql=f"SELECT {head} FROM ({result.sql}) AS v")

    def _join(self, left: Relation, node: exp.Join) -> Relation:
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
            condition = self.e.condition(node.args["on"], "ON").sql
        if kind in ("SEMI", "ANTI"):
            return Relation(f"{left.sql} {kind} JOIN {right.sql} ON {condition}", left.columns)
        word = side if side in ("LEFT", "RIGHT", "FULL") else "INNER"
        columns = left.columns + right.columns
        if keys:
            used = {key.lower() for key in keys}
            hidden = [replace(c, is_hidden=c.is_hidden or c.name.lower() in used) for c in columns]
            columns = merged + hidden
        return Relation(f"{left.sql} {word} JOIN {right.sql} ON {condition}", columns)

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
        self, node: exp.Join, left: Relation, right: Relation, keys: Sequence[str], side: str
    ) -> tuple[str, list[Column]]:
        conditions, merged = [], []
        for key in keys:
            self.e.scope = Scope(left.columns)
            one = self.e.resolve(node, [key])
            self.e.scope = Scope(right.columns)
            other = self.e.resolve(node, [key])
            if one.kind != other.kind or not kinds.is_orderable(one.kind):
                self.e.refuse(
                    node,
                    f"USING ({key}) over {kinds.in_spark(one.kind)} and {kinds.in_spark(other.kind)}",
                    "write ON with a cast",
                )
            conditions.append(f"({one.sql} = {other.sql})")
            sql = {"RIGHT": other.sql, "FULL": f"coalesce({one.sql}, {other.sql})"}.get(side, one.sql)
            side_columns = right.columns if side == "RIGHT" else left.columns
            name = next(c.name for c in side_columns if c.name.lower() == key.lower() and not c.is_hidden)
            merged.append(Column(name, None, Typed(sql, one.kind, name)))
        return " AND ".join(conditions) or "TRUE", merged
