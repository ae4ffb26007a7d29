"""Queries: WITH, SELECT, VALUES and set operations, from Spark's tree to DuckDB's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import ENTRIES, ArrowFunction, Entry
from thresher.sql.dialect import Source
from thresher.sql.expressions import Scope, Typed
from thresher.sql.nesting import nested
from thresher.sql.queries.grouping import told_apart
from thresher.sql.queries.relations import Result
from thresher.sql.queries.selects import Selects

_OF_THE_WHOLE = ("with_", "order", "sort", "distribute", "cluster", "limit", "offset")
_MOST_LEVELS = 100  # of a recursive query; Spark's spark.sql.cteRecursionLevelLimit


@dataclass(frozen=True)
class Translation:
    """DuckDB's SQL, the columns that come out of it, with Spark's names and types, and the functions it calls.

    Columns come in the order of `schema`, under its names where each has its own. `functions` are those that are made
    for this query; they are added to the connection before it runs.
    """

    sql: str
    schema: pa.Schema
    functions: tuple[ArrowFunction, ...] = ()


def translate(tree: exp.Expr, source: Source, tables: Mapping[str, tuple[str, pa.Schema]]) -> Translation:
    """One query for DuckDB; `tables` gives each table's name there and its columns."""
    return _Translator(source, tables).translate(tree)


class _Translator(Selects):
    def __init__(self, source: Source, tables: Mapping[str, tuple[str, pa.Schema]]) -> None:
        super().__init__(source, tables)
        self.written_ctes: list[str] = []  # of all levels, in one WITH in front: their names are fresh

    def translate(self, tree: exp.Expr) -> Translation:
        result = self.query(tree, is_top=True)
        with_ = f"WITH RECURSIVE {', '.join(self.written_ctes)} " if self.written_ctes else ""
        if any(_has_months(kind) for kind in result.types):
            self.e.refuse(tree, "a result column of type interval year to month", "cast it to int or string")
        for kind in result.types:
            if not nested.is_result(kind):
                self.e.refuse(tree, f"a result column of type {kinds.in_spark(kind)}", "cast it to a type without void")
        schema = pa.schema(list(zip([str(name) for name in result.names], result.types, strict=True)))
        return Translation(with_ + result.sql, schema, tuple(self.e.functions.values()))

    def query(self, node: exp.Expr, outer: Scope | None = None, *, is_top: bool = False) -> Result:
        """Any query, its CTEs in sight only inside it; `outer` is the row that it may refer to."""
        ctes = self.ctes
        self.ctes = dict(ctes)
        saved = self.e.scope, self.e.windows
        try:
            self._define_ctes(node)
            if isinstance(node, exp.Select):
                return self.select(node, outer, is_top)
            if isinstance(node, exp.SetOperation):
                return self._set_operation(node, outer, is_top)
            if isinstance(node, exp.Values):
                return self.whole(self.values(node), is_top)
            if isinstance(node, exp.Subquery):
                self.e.only(node, {"this", "with_", "order", "limit", "offset"})
                if not any(node.args.get(key) for key in ("order", "limit", "offset")):
                    return self.query(node.this, outer, is_top=is_top)
                return self.in_order(node, self.query(node.this, outer), is_top)
            self.e.refuse(node, f"{type(node).__name__.upper()} as a query")
        finally:
            self.ctes = ctes
            self.e.scope, self.e.windows = saved

    # WITH

    def _define_ctes(self, node: exp.Expr) -> None:
        with_ = node.args.get("with_")
        if with_ is None:
            return
        own: set[str] = set()
        for cte in with_.expressions:
            self.e.only(cte, {"this", "alias"})
            if cte.alias.lower() in own:
                self.e.wrong(cte, f"two CTEs have the name {cte.alias}.")
            own.add(cte.alias.lower())
            name = f"q{next(self.fresh)}"
            if with_.recursive and _reads(cte.this, cte.alias):
                self._define_recursive(cte, name)
                continue
            result = self._renamed(cte, self.query(cte.this))
            self.written_ctes.append(f"{name} AS ({result.sql})")
            self.ctes[cte.alias.lower()] = (name, result)

    def _define_recursive(self, cte: exp.CTE, name: str) -> None:
        """A CTE that reads itself; its last column counts the levels, since Spark stops at a limit with an error."""
        union = cte.this
        if not isinstance(union, exp.Union) or union.args.get("distinct") or _reads(union.this, cte.alias):
            self.e.refuse(cte, "a recursive CTE that is not <start> UNION ALL <step>")
        self.e.only(union, {"this", "expression", "distinct"})
        start = self._renamed(cte, self.query(union.this))
        self.ctes[cte.alias.lower()] = (name, start)
        step = self.query(union.expression)
        if len(step.types) != len(start.types):
            self.e.wrong(cte, f"UNION of {len(start.types)} and {len(step.types)} columns.")
        for old, new in zip(start.types, step.types, strict=True):
            if kinds.wider(old, new) != old:
                found = f"{kinds.in_spark(old)} first and {kinds.in_spark(new)} then"
                self.e.wrong(cte, f"a column of the recursive CTE is {found}. Cast it in the first query.")
        level = f"c{len(start.types) + 1}"
        one, other, counted = self.alias(), self.alias(), self.alias()
        heads = [self._side(result, start.types, alias) for result, alias in ((start, one), (step, other))]
        guard = f"error('a recursive query of more than {_MOST_LEVELS} levels')"
        previous = f"(SELECT max({level}) AS n FROM {name}) AS {counted}"
        self.written_ctes.append(
            f"{name} AS ({heads[0][0]}, 1 AS {level} {heads[0][1]} UNION ALL {heads[1][0]}, "
            f"CASE WHEN {counted}.n >= {_MOST_LEVELS} THEN {guard} ELSE {counted}.n + 1 END AS {level} "
            f"{heads[1][1]}, {previous})"
        )

    def _renamed(self, node: exp.Expr, result: Result) -> Result:
        alias = node.args.get("alias")
        columns = alias.args.get("columns") if alias else None
        if not columns:
            return result
        if len(columns) != len(result.names):
            self.e.wrong(node, f"{len(columns)} column names for {len(result.names)} columns.")
        return replace(result, names=tuple(column.name for column in columns))

    # UNION, EXCEPT, INTERSECT

    def _set_operation(self, node: exp.SetOperation, outer: Scope | None, is_top: bool) -> Result:
        self.e.only(node, {"with_", "this", "expression", "distinct", "order", "limit", "offset"})
        left, right = self.query(node.this, outer), self.query(node.expression, outer)
        word = type(node).__name__.upper()
        if len(left.types) != len(right.types):
            self.e.wrong(node, f"{word} of {len(left.types)} and {len(right.types)} columns.")
        types = []
        for position, (one, other) in enumerate(zip(left.types, right.types, strict=True), 1):
            kind = kinds.common(one, other)
            if kind is None:
                found = f"{kinds.in_spark(one)} and {kinds.in_spark(other)}"
                self.e.wrong(node, f"{word} of {found} in column {position}. Cast it on one side.")
            types.append(kind)
        self._check_sides(node)
        all_ = "" if node.args.get("distinct") else " ALL"
        compared = word if word != "UNION" or node.args.get("distinct") else ""
        sides = [" ".join(self._side(result, types, self.alias(), compared)) for result in (left, right)]
        result = Result(f"({sides[0]}) {word}{all_} ({sides[1]})", left.names, tuple(types), left.tables)
        return self.in_order(node, result, is_top)

    def _check_sides(self, node: exp.SetOperation) -> None:
        """The parser lets a side without parentheses have clauses that are those of the whole."""
        for side in (node.this, node.expression):
            if not isinstance(side, exp.Subquery) and any(side.args.get(key) for key in _OF_THE_WHOLE):
                self.e.wrong(side, "WITH, ORDER BY or LIMIT on one side of a set operation. Write the side in (…).")

    def _side(self, result: Result, types: Sequence[pa.DataType], alias: str, compared: str = "") -> tuple[str, str]:
        """A query in these types: its SELECT, and its FROM; `compared` names what tells its rows apart."""
        values = [
            self.e.cast(Typed(f"{alias}.c{n}", old), new)
            for n, (old, new) in enumerate(zip(result.types, types, strict=True), 1)
        ]
        if compared:
            values = [told_apart(self.e, self.e.node, value, compared) for value in values]
        parts = [f"{value.sql} AS c{n}" for n, value in enumerate(values, 1)]
        return f"SELECT {', '.join(parts)}", f"FROM ({result.sql}) AS {alias}"


def _reads(node: exp.Expr, name: str) -> bool:
    return any(not table.db and table.name.lower() == name.lower() for table in node.find_all(exp.Table))


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
    (
        "WITH [RECURSIVE] a AS (…), b(x, y) AS (…) SELECT …",
        "A recursive one is <start> UNION ALL <step>, of at most 100 levels.",
        "WITH a AS (SELECT 1 AS x) SELECT x FROM a",
    ),
    (
        "UNION [ALL], EXCEPT [ALL], MINUS, INTERSECT [ALL]",
        "Columns of one type, or widening to one.",
        "SELECT 1 AS a UNION ALL SELECT NULL",
    ),
    (
        "WHERE [NOT] EXISTS (SELECT …), WHERE a [NOT] IN (SELECT …)",
        "Also beside OR and as a column, always true or false. The subquery may use the columns of the row around it "
        "in WHERE and ON.",
        "SELECT a FROM VALUES (1), (2) AS t(a) WHERE EXISTS (SELECT 1 FROM VALUES (2) AS u(b) WHERE b = a)",
    ),
    (
        "(SELECT …) as a value",
        "One column; more than one row is an error. It may use the columns of the row around it in WHERE.",
        "SELECT (SELECT max(a) FROM VALUES (1), (2) AS t(a)) AS m",
    ),
    ("VALUES (…), (…) AS t(a, b)", "", "SELECT a + b AS c FROM VALUES (1, 2) AS t(a, b)"),
    ("t.*, * EXCEPT (a)", "", "SELECT * EXCEPT (b) FROM VALUES (1, 2) AS t(a, b)"),
]
ENTRIES.extend(Entry("Queries", *line) for line in _QUERIES)


def _has_months(kind: pa.DataType) -> bool:
    if isinstance(kind, kinds.Interval):
        return kind.is_months
    return any(_has_months(kind.field(n).type) for n in range(kind.num_fields))
