"""What stands in FROM: tables, subqueries, VALUES, table functions and joins, and the columns they bring into sight.

Every one gets a fresh alias and every derived column a fresh name (c1, c2, …), so that each reference is written out in
full and DuckDB has no name to resolve in a way of its own.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.arguments import constant
from thresher.sql.dialect import Source
from thresher.sql.expressions import Column, Expressions, Scope, Typed
from thresher.sql.queries.generators import generator
from thresher.types import canonical_schema

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Result:
    """A complete SELECT for DuckDB and its columns: their names in Spark (None: none that is known) and types."""

    sql: str
    names: tuple[str | None, ...]
    types: tuple[pa.DataType, ...]
    tables: tuple[str | None, ...] = ()  # whose columns they are: ORDER BY may name a table in front of them


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
        self.e = Expressions(source, self)
        self.fresh: Iterator[int] = count(1)
        self.ctes: dict[str, tuple[str, Result]] = {}

    @abstractmethod
    def query(self, node: exp.Expr, outer: Scope | None = None, *, is_top: bool = False) -> Result:
        """Any query, its CTEs in sight only inside it; `outer` is the row that it may refer to."""

    @abstractmethod
    def scalar(self, node: exp.Expr) -> Result:
        """A subquery that stands for one value."""

    @abstractmethod
    def exists(self, node: exp.Exists) -> Typed:
        """EXISTS (SELECT …)."""

    @abstractmethod
    def is_in(self, node: exp.In, *, negated: bool) -> Typed:
        """a [NOT] IN (SELECT …)."""

    @abstractmethod
    def pivoted(self, relation: Relation, pivot: exp.Pivot) -> Relation:
        """A relation behind PIVOT or UNPIVOT."""

    def alias(self) -> str:
        """A name for a table that nothing else has."""
        return f"t{next(self.fresh)}"

    def from_(self, node: exp.Select, outer: Scope | None) -> Relation:
        from_ = node.args.get("from_")
        if from_ is None:
            if node.args.get("joins"):
                self.e.refuse(node, "a join without FROM")
            relation = Relation("", [])
        else:
            relation = self._joined(self._relation(from_.this), node, outer)
        for lateral in node.args.get("laterals") or []:
            self.e.only(lateral, {"this", "view", "outer", "alias"})
            alias = lateral.args.get("alias")
            if not alias or not (alias.this or alias.args.get("columns")):
                self.e.wrong(lateral, "LATERAL VIEW without a name for its table: LATERAL VIEW explode(a) t AS x.")
            for join in node.args.get("joins") or []:
                if _start(join) > _start(lateral):
                    self.e.wrong(join, "a join behind LATERAL VIEW; expected it before, or LATERAL VIEW in a subquery.")
            if not isinstance(lateral.this, exp.Anonymous):
                self.e.refuse(lateral, "LATERAL VIEW without a generator", "use explode")
            relation = self._with_generator(relation, lateral, bool(lateral.args.get("outer")))
        return relation

    def _joined(self, relation: Relation, node: exp.Expr, outer: Scope | None) -> Relation:
        for join in node.args.get("joins") or []:
            relation = self._join(relation, join, outer)
        return relation

    def _with_generator(self, relation: Relation, lateral: exp.Lateral, is_outer: bool) -> Relation:
        self.e.scope = Scope(relation.columns)
        table, names = _alias(lateral)
        added = self.exploded(lateral.this, table, names, is_outer)
        from_ = relation.sql or "(SELECT 1) AS one"
        return Relation(f"{from_} {added.sql}", relation.columns + added.columns)

    def _generated_lateral(self, left: Relation, lateral: exp.Lateral) -> Relation:
        self.e.scope = Scope(left.columns)
        table, names = _alias(lateral)
        select, outputs = generator(self.e, lateral.this, False)
        alias = self.alias()
        return Relation(f"({select}) AS {alias}", self._generated(lateral.this, alias, table, names, outputs))

    def exploded(self, call: exp.Anonymous, table: str | None, names: Sequence[str], is_outer: bool) -> Relation:
        """The join that an explode amounts to; `sql` is what follows the table that it reads."""
        select, outputs = generator(self.e, call, is_outer)
        alias = self.alias()
        columns = self._generated(call, alias, table, names, outputs)
        return Relation(f"CROSS JOIN LATERAL ({select}) AS {alias}", columns)

    def _generated(
        self,
        call: exp.Anonymous,
        alias: str,
        table: str | None,
        names: Sequence[str],
        outputs: Sequence[tuple[str, pa.DataType]],
    ) -> list[Column]:
        if names and len(names) != len(outputs):
            self.e.wrong(call, f"{len(names)} column names for {len(outputs)} columns of {call.name}.")
        return [
            Column(name, table, Typed(f"{alias}.c{n}", kind, name))
            for n, (name, (_, kind)) in enumerate(zip(names or [name for name, _ in outputs], outputs, strict=True), 1)
        ]

    def _relation(self, node: exp.Expr) -> Relation:
        pivots = node.args.get("pivots") or []
        if len(pivots) > 1:
            self.e.refuse(pivots[1], "a second PIVOT", "use a subquery")
        relation = self._plain(node)
        return self.pivoted(relation, pivots[0]) if pivots else relation

    def _plain(self, node: exp.Expr) -> Relation:
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            self.e.only(node, {"this", "db", "catalog", "alias", "pivots"})
            return self._table(node)
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Anonymous):
            self.e.only(node, {"this", "alias"})
            return self._function(node, node.this)
        if isinstance(node, exp.Values):
            self.e.only(node, {"expressions", "alias", "pivots"})
            return self._derived(node, self.whole(self.values(node), False))
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            self.e.only(node, {"this", "alias", "with_", "pivots"})
            return self._derived(node, self.query(node.this))
        if isinstance(node, exp.Subquery):  # a join in parentheses
            self.e.only(node, {"this"})
            return self._parenthesised(node.this)
        self.e.refuse(node, "this in FROM", "use a table, a subquery or VALUES")

    def _parenthesised(self, node: exp.Expr) -> Relation:
        first = node.copy()
        first.set("joins", None)
        first.parent = node.parent
        inner = self._joined(self._relation(first), node, None)
        return Relation(f"({inner.sql})" if node.args.get("joins") else inner.sql, inner.columns)

    def _table(self, node: exp.Table) -> Relation:
        cte = self.ctes.get(node.name.lower()) if not node.db else None
        alias = self.alias()
        if cte is not None:
            name, result = cte
            fields = [(n, f"c{p}", kind) for p, (n, kind) in enumerate(zip(result.names, result.types, strict=True), 1)]
        else:
            name, schema = self.tables[".".join(part.name for part in node.parts)]
            fields = [(f.name, kinds.quoted(f.name), f.type) for f in canonical_schema(schema)]
            if len({f.name.lower() for f in schema}) != len(schema):
                self.e.wrong(node, f"table {node.name} has columns of the same name, or that differ only in case.")
        table = (node.alias or node.name).lower()
        names = self._aliased(node, [field[0] for field in fields])
        columns = [
            Column(new or "", table, Typed(f"{alias}.{inner}", kind, new))
            for new, (_, inner, kind) in zip(names, fields, strict=True)
        ]
        return Relation(f"{name} AS {alias}", columns)

    def _function(self, node: exp.Table, call: exp.Anonymous) -> Relation:
        """A table function: range, or a generator."""
        alias, table = self.alias(), node.alias.lower() or None
        written = node.args["alias"].args.get("columns") if node.args.get("alias") else None
        names = [column.name for column in written or []]
        self.e.scope = Scope([])
        if call.name.lower() == "range":
            select, outputs = self._range(call), [("id", kinds.BIGINT)]
        else:
            select, outputs = generator(self.e, call, False)
        return Relation(f"({select}) AS {alias}", self._generated(call, alias, table, names, outputs))

    def _range(self, call: exp.Anonymous) -> str:
        if not 1 <= len(call.expressions) <= 4:
            self.e.wrong(call, f"range with {len(call.expressions)} arguments; expected 1 to 4.")
        bounds = [constant(argument) for argument in call.expressions]
        if any(bound is None or bound != int(bound) for bound in bounds):
            self.e.refuse(call, "range by something that is not a whole number", "write the numbers")
        if len(bounds) > 2 and bounds[2] == 0:
            self.e.wrong(call, "range with step 0.")
        return f"SELECT range AS c1 FROM range({', '.join(str(int(bound or 0)) for bound in bounds[:3])})"

    def _derived(self, node: exp.Expr, result: Result) -> Relation:
        alias = self.alias()
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
            rows.append(self.e.exprs(_cells(row)))
        if len({len(row) for row in rows}) != 1:
            self.e.wrong(node, "rows of VALUES with different numbers of columns.")
        columns = [self._one_type(node, column) for column in zip(*rows, strict=True)]
        lines = [", ".join(values[n].sql for values, _ in columns) for n in range(len(rows))]
        names = tuple(f"col{n}" for n in range(1, len(columns) + 1))
        alias = ", ".join(f"c{n}" for n in range(1, len(columns) + 1))
        sql = f"SELECT * FROM (VALUES {', '.join(f'({line})' for line in lines)}) AS v({alias})"
        return Result(sql, names, tuple(kind for _, kind in columns))

    def _one_type(self, node: exp.Values, column: Sequence[Typed]) -> tuple[list[Typed], pa.DataType]:
        """A column of VALUES, where text stays apart from other types, and floats with integers stay floats."""
        found = {value.kind for value in column}
        if kinds.FLOAT in found and found <= {kinds.FLOAT, kinds.VOID, *kinds.INTEGERS}:
            return [self.e.cast(value, kinds.FLOAT) for value in column], kinds.FLOAT
        return self.e.common(node, column, "VALUES", with_text=False)

    def whole(self, result: Result, is_top: bool) -> Result:
        """A result whose columns stand under their own names at the top."""
        if not is_top:
            return result
        head = ", ".join(f"v.c{n} AS {kinds.quoted(str(name))}" for n, name in enumerate(result.names, 1))
        return replace(result, sql=f"SELECT {head} FROM ({result.sql}) AS v")

    # Joins

    def _join(self, left: Relation, node: exp.Join, outer: Scope | None) -> Relation:
        self.e.only(node, {"this", "method", "side", "kind", "on", "using"})
        self._check_comma(node)
        if isinstance(node.this, exp.Lateral):
            return self._lateral_join(left, node, node.this)
        if node.this.args.get("joins"):
            self.e.wrong(node, "two conditions behind two joins; expected each ON behind its own JOIN.")
        right = self._relation(node.this)
        side, kind, method = node.side.upper(), node.kind.upper(), (node.args.get("method") or "").upper()
        if kind not in ("", "INNER", "OUTER", "CROSS", "SEMI", "ANTI") or method not in ("", "NATURAL"):
            self.e.refuse(node, f"{method} {side} {kind} JOIN".strip())
        keys = [key.name for key in node.args.get("using") or []]
        if method == "NATURAL":
            if kind in ("SEMI", "ANTI", "CROSS"):
                self.e.wrong(node, f"NATURAL {kind} JOIN. Write USING (…) or ON.")
            names = {c.name.lower() for c in right.columns if not c.is_hidden}
            keys = [c.name for c in left.columns if not c.is_hidden and c.name.lower() in names]
        condition, merged = self._join_keys(node, left, right, keys, side)
        if node.args.get("on") is not None:
            self.e.scope = Scope(left.columns + right.columns, outer, may_correlate=True)
            condition = self.e.condition(node.args["on"], "ON").sql
        if kind in ("SEMI", "ANTI"):
            columns = _in_front(left.columns, keys)
            return Relation(f"{left.sql} {kind} JOIN {right.sql} ON {condition}", columns)
        word = side if side in ("LEFT", "RIGHT", "FULL") else "INNER"
        columns = left.columns + right.columns
        if keys:
            used = {key.lower() for key in keys}
            hidden = [replace(c, is_hidden=c.is_hidden or c.name.lower() in used) for c in columns]
            columns = merged + hidden
        return Relation(f"{left.sql} {word} JOIN {right.sql} ON {condition}", columns)

    def _lateral_join(self, left: Relation, join: exp.Join, node: exp.Lateral) -> Relation:
        """JOIN LATERAL: a subquery, or a generator, for each row of what stands before it."""
        self.e.only(node, {"this", "view", "outer", "alias"})
        side, kind = join.side.upper(), join.kind.upper()
        if side not in ("", "LEFT") or kind not in ("", "INNER", "CROSS", "OUTER") or join.args.get("using"):
            self.e.wrong(join, f"{side} {kind} JOIN LATERAL; expected LEFT or INNER JOIN LATERAL.".replace("  ", " "))
        if isinstance(node.this, exp.Anonymous):
            right = self._generated_lateral(left, node)
        else:
            result = self.query(node.this.this, Scope(left.columns, is_lateral=True))
            right = self._derived(node, result)
        columns = left.columns + right.columns
        if side == "LEFT" and isinstance(node.this, exp.Anonymous) and not self._has_on(join):
            self.e.refuse(join, "LEFT JOIN LATERAL of a generator without ON", "write ON true")
        if side != "LEFT" and join.args.get("on") is None:
            return Relation(f"{left.sql} CROSS JOIN LATERAL {right.sql}", columns)
        condition = "TRUE"
        if join.args.get("on") is not None:
            self.e.scope = Scope(columns)
            condition = self.e.condition(join.args["on"], "ON").sql
        return Relation(f"{left.sql} {side or 'INNER'} JOIN LATERAL {right.sql} ON {condition}", columns)

    def _has_on(self, join: exp.Join) -> bool:
        """Whether ON is written; the parser adds ON true. Spark would take LEFT JOIN LATERAL without it as inner."""
        ends = [part.meta["end"] for part in join.this.walk() if "end" in part.meta]
        return self.source.text[max(ends, default=-1) + 1 :].lstrip(") \n\t").lower().startswith("on")

    def _check_comma(self, node: exp.Join) -> None:
        """FROM a, b JOIN c ON …: the comma binds last in Spark, so ON does not see a."""
        joins = node.parent.args.get("joins") or [] if node.parent else []
        commas = [join for join in joins if join.kind.upper() == "CROSS" and self._follows_comma(join)]
        if commas and len(commas) != len(joins):
            self.e.refuse(node, "a comma beside JOIN in FROM", "write CROSS JOIN")

    def _follows_comma(self, join: exp.Join) -> bool:
        start = min((part.meta["start"] for part in join.walk() if "start" in part.meta), default=0)
        ends = (part.meta["end"] for part in join.parent.walk() if "end" in part.meta) if join.parent else ()
        between = self.source.text[max((end for end in ends if end < start), default=-1) + 1 : start]
        # A query in brackets begins with words of its own.
        return "join" not in _COMMENT.sub(" ", between).partition("(")[0].lower()

    def _join_keys(
        self, node: exp.Join, left: Relation, right: Relation, keys: Sequence[str], side: str
    ) -> tuple[str, list[Column]]:
        conditions, merged = [], []
        for key in keys:
            self.e.scope = Scope(left.columns)
            one = self.e.resolve(node, [key])
            self.e.scope = Scope(right.columns)
            other = self.e.resolve(node, [key])
            (first, second), kind = self.e.common(node, [one, other], f"USING ({key})")
            if not kinds.is_orderable(kind):
                self.e.refuse(node, f"USING ({key}) over {kinds.in_spark(kind)}", "write ON")
            conditions.append(f"({first.sql} = {second.sql})")
            both = Typed(f"coalesce({first.sql}, {second.sql})", kind)
            value = {"RIGHT": other, "FULL": both}.get(side, one)
            side_columns = right.columns if side == "RIGHT" else left.columns
            name = next(c.name for c in side_columns if c.name.lower() == key.lower() and not c.is_hidden)
            merged.append(Column(name, None, Typed(value.sql, value.kind, name)))
        return " AND ".join(conditions) or "TRUE", merged


def _alias(lateral: exp.Lateral) -> tuple[str | None, list[str]]:
    """The name of the table behind a generator, and those of its columns."""
    alias = lateral.args.get("alias")
    if alias is None:
        return None, []
    return alias.name.lower() or None, [column.name for column in alias.args.get("columns") or []]


def _in_front(columns: list[Column], keys: Sequence[str]) -> list[Column]:
    """The columns, those of USING first."""
    first = [c for key in keys for c in columns if c.name.lower() == key.lower() and not c.is_hidden]
    return first + [c for c in columns if not any(c is key for key in first)]


def _cells(row: exp.Expr) -> list[exp.Expr]:
    """The columns of a row of VALUES; a struct(…) alone is a row of its fields."""
    row = row.unnest()
    if isinstance(row, exp.Tuple) and len(row.expressions) > 1:
        return row.expressions
    cell = row.expressions[0].unnest() if isinstance(row, exp.Tuple) else row
    if isinstance(cell, exp.Anonymous) and cell.name.lower() == "struct":
        return [part.unalias() for part in cell.expressions]
    return cell.expressions if isinstance(cell, exp.Tuple) else [cell]


def _start(node: exp.Expr) -> int:
    return min((part.meta["start"] for part in node.walk() if "start" in part.meta), default=0)
