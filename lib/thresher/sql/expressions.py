"""Expressions: each node of the tree becomes DuckDB text together with Spark's type, by the rules of the allow-list."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import pyarrow as pa
from sqlglot import exp

from thresher.sql import allowed, kinds
from thresher.sql.dialect import Source
from thresher.sql.variables import FRESH, closed
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

if TYPE_CHECKING:
    from thresher.sql.queries.relations import Result


@dataclass(frozen=True)
class Typed:
    """An expression for DuckDB and the type that it has in Spark.

    `name` is that of a column. `literal` is the value of a literal, else None. `is_window` marks what holds a window
    function.
    """

    sql: str
    kind: pa.DataType
    name: str | None = None
    literal: Any = None
    is_window: bool = False


@dataclass(frozen=True)
class Column:
    """A column that is in sight: its name, the table that it may be qualified by, and what it is in DuckDB."""

    name: str
    table: str | None
    value: Typed
    is_hidden: bool = False  # of a USING join: in sight only when qualified


@dataclass
class Scope:
    """The columns in sight, inside out; `aliases` are the select list's names seen so far."""

    columns: list[Column]
    outer: Scope | None = None
    aliases: dict[str, Typed] = field(default_factory=dict)
    aliases_first: bool = False
    repeated: set[str] = field(default_factory=set)  # aliases that several columns of the select list have
    is_having: bool = False
    is_qualify: bool = False
    group_keys: list[exp.Expr] = field(default_factory=list)  # those of GROUP BY, as written
    may_correlate: bool = False  # where the columns of the query around this one may be used, too
    is_lateral: bool = False  # of the row before LATERAL: the subquery may use it anywhere
    grouping_keys: list[exp.Expr] | None = None  # under ROLLUP, CUBE or GROUPING SETS
    floating_keys: dict[str, str] = field(default_factory=dict)  # of GROUP BY: each with its form without -0.0


class Queries(Protocol):
    """What expressions ask for subqueries."""

    def scalar(self, node: exp.Expr) -> Result: ...

    def exists(self, node: exp.Exists) -> Typed: ...

    def is_in(self, node: exp.In, *, negated: bool) -> Typed: ...


class Expressions:
    """Translates the expressions of one query. One instance serves the whole query; `scope` is where it stands."""

    def __init__(self, source: Source, queries: Queries) -> None:
        self.source = source
        self.queries = queries
        self.scope = Scope([])
        self.node: exp.Expr = exp.Null()  # the last one looked at, where an error has no other place
        self.windows: dict[str, exp.Window] = {}
        self.variables: list[dict[str, Typed]] = []  # of the lambdas around, inside out
        self.lambdas = count(1)  # numbers for names in lambdas
        self.functions: dict[str, allowed.ArrowFunction] = {}  # those that only this query needs
        self.refuse = source.refuse
        self.wrong = source.wrong

    def expr(self, node: exp.Expr) -> Typed:
        """One expression. Raises NotPortable for a node without a rule, or with a part that its rule does not know."""
        known = allowed.CONSTRUCTS.get(type(node))
        if known is None:
            self.refuse(node, _described(node), allowed.REMEDIES.get(node.key, ""))
        self.only(node, known.parts)
        self.node = node
        value = known.rule(self, node)
        if FRESH in value.sql:
            value = replace(value, sql=closed(value.sql))
        key = self.scope.floating_keys.get(value.sql)
        return replace(value, sql=key) if key is not None else value

    def only(self, node: exp.Expr, parts: frozenset[str] | set[str]) -> None:
        """Refuse a node that has parts beyond these: nothing that was written may be ignored."""
        for part, value in node.args.items():
            if value and part not in parts:
                self.refuse(node, f"{_described(node)} with {part.strip('_').replace('_', ' ').upper()}")

    def function(self, made: allowed.ArrowFunction) -> str:
        """The name of a function over Arrow arrays that this query needs besides those of every connection."""
        return self.functions.setdefault(made.name, made).name

    def exprs(self, nodes: Sequence[exp.Expr]) -> list[Typed]:
        return [self.expr(node) for node in nodes]

    def cast(self, value: Typed, kind: pa.DataType) -> Typed:
        """The value in a type that Spark converts it to unasked (see `kinds.common`)."""
        from thresher.sql.casting.casts import convert

        if value.kind == kind:
            return value
        return convert(self, self.node, value, kind, is_try=False)

    def coerce(self, node: exp.Expr, value: Typed, kind: pa.DataType, what: str) -> Typed:
        """The value where a function wants this type, by the conversions that Spark makes unasked; else an error."""
        if value.kind != kind and not _is_implicit(value.kind, kind):
            self.wrong(node, f"{what} is {kinds.in_spark(value.kind)}; expected {kinds.in_spark(kind)}.")
        return (as_date_literal(value, kind) or self.cast(value, kind)) if value.kind != kind else value

    def common(
        self, node: exp.Expr, values: Sequence[Typed], what: str, *, with_text: bool = True
    ) -> tuple[list[Typed], pa.DataType]:
        """The values in the one type in which Spark brings them together."""
        kind: pa.DataType | None = kinds.VOID
        for value in values:
            kind = kinds.common(kind, value.kind, with_text=with_text) if kind is not None else None
        if kind is None:
            found = ", ".join(kinds.in_spark(value.kind) for value in values)
            self.wrong(node, f"{what} over different types ({found}). Cast them to one type.")
        return [as_date_literal(value, kind) or self.cast(value, kind) for value in values], kind

    def boolean(self, node: exp.Expr, what: str) -> Typed:
        """An operand of AND, OR or NOT; text is read as a boolean there."""
        value = self.expr(node)
        if value.kind not in (kinds.BOOL, kinds.VOID, kinds.STRING):
            self.wrong(node, f"{what} is {kinds.in_spark(value.kind)}; expected a boolean.")
        return self.cast(value, kinds.BOOL)

    def condition(self, node: exp.Expr, what: str) -> Typed:
        """A boolean that decides (WHERE, ON, WHEN, …)."""
        value = self.expr(node)
        if value.kind != kinds.BOOL:
            self.wrong(node, f"{what} is {kinds.in_spark(value.kind)}; expected a boolean.")
        return value

    def text(self, node: exp.Expr, what: str) -> Typed:
        """A string: the text of any value that is not nested."""
        return self.coerce(node, self.expr(node), kinds.STRING, what)

    def resolve(self, node: exp.Expr, parts: Sequence[str]) -> Typed:
        """A column by its written parts: `column`, `table.column`, and fields of a struct behind either."""
        scope, lower = self.scope, [part.lower() for part in parts]
        for variables in reversed(self.variables):
            if lower[0] in variables:
                return self._fields(node, variables[lower[0]], parts[1:])
        found, fields = self._in_scope(node, scope, lower)
        if found is None and scope.outer is not None:
            found, fields = self._in_scope(node, scope.outer, lower)
            if found is not None and not (scope.may_correlate or scope.outer.is_lateral):
                self.refuse(node, f"the outer column {'.'.join(parts)} here", "use it in the WHERE of the subquery")
            if found is None and scope.outer.outer is not None and self._in_scope(node, scope.outer.outer, lower)[0]:
                self.refuse(node, f"the column {'.'.join(parts)} of a query two levels further out", "write a join")
        if found is None:
            self._no_column(node, parts)
        name, path = parts[len(parts) - fields - 1], parts[len(parts) - fields :]
        return self._fields(node, replace(found, name=name), path)

    def _no_column(self, node: exp.Expr, parts: Sequence[str]) -> NoReturn:
        names = list(dict.fromkeys(c.name for c in self.scope.columns if not c.is_hidden))
        close = difflib.get_close_matches(parts[-1], names, n=3)
        known = f"Did you mean {' or '.join(close)}?" if close else f"There are {', '.join(names[:12]) or 'none'}"
        more = f" and {len(names) - 12} more" if not close and len(names) > 12 else ""
        self.wrong(node, f"no column {'.'.join(parts)}. {known}{more}" + ("" if close else "."))

    def _in_scope(self, node: exp.Expr, scope: Scope, parts: list[str]) -> tuple[Typed | None, int]:
        if scope.aliases_first and parts[0] in scope.aliases:
            return scope.aliases[parts[0]], len(parts) - 1
        if len(parts) > 1:
            hits = [c for c in scope.columns if c.table == parts[0] and c.name.lower() == parts[1]]
            if hits:
                return self._single(node, hits, parts[:2]), len(parts) - 2
        hits = [c for c in scope.columns if c.name.lower() == parts[0] and not c.is_hidden]
        if hits:
            alias = scope.aliases.get(parts[0]) if scope.is_having or scope.is_qualify else None
            if alias is not None and alias.sql != hits[0].value.sql and self._is_alias(node, parts[0]):
                return alias, len(parts) - 1
            return self._single(node, hits, parts[:1]), len(parts) - 1
        if parts[0] in scope.aliases:
            if parts[0] in scope.repeated:
                self.wrong(node, f"{parts[0]} is the alias of several columns. Write the expression itself.")
            return scope.aliases[parts[0]], len(parts) - 1
        return None, 0

    def _is_alias(self, node: exp.Expr, name: str) -> bool:
        """Whether a name in HAVING or QUALIFY that is a column's and an alias of another value means the alias.

        Inside an aggregate or a window and where the column is a key of GROUP BY, it is the column.
        """
        scope, keys = self.scope, {key.sql().lower() for key in self.scope.group_keys}
        if name in (key.name.lower() for key in scope.group_keys if isinstance(key, exp.Column)):
            return False
        around = node.parent
        while around is not None and not isinstance(around, exp.Having | exp.Qualify):
            if isinstance(around, exp.Window) or (
                isinstance(around, exp.Anonymous) and around.name.lower() in allowed.AGGREGATES
            ):
                return False
            if around.sql().lower() in keys:
                break
            around = around.parent
        if scope.is_qualify or scope.grouping_keys is not None or not isinstance(around, exp.Having):
            self.refuse(node, f"{name} here, both a column and an alias of another value", "rename the alias")
        return True

    def _single(self, node: exp.Expr, hits: list[Column], parts: list[str]) -> Typed:
        if len(hits) > 1:
            tables = ", ".join(f"{hit.table}.{hit.name}" for hit in hits)
            self.wrong(node, f"column {'.'.join(parts)} is ambiguous: {tables}. Write the table's alias before it.")
        return hits[0].value

    def _fields(self, node: exp.Expr, value: Typed, names: Sequence[str]) -> Typed:
        for name in names:
            value = self.struct_field(node, value, name)
        return value

    def struct_field(self, node: exp.Expr, value: Typed, name: str) -> Typed:
        """What `.name` gives: a struct's field, that of each struct in an array, or a map's value."""
        from thresher.sql.nesting.structs import field

        return field(self, node, value, name)


def _is_implicit(old: pa.DataType, new: pa.DataType) -> bool:
    """Whether Spark's ANSI mode converts an argument unasked: NULL, numbers, text, and whatever text is wanted for."""
    if old == kinds.VOID or kinds.wider(old, new) == new:
        return True
    if new == kinds.STRING:
        return kinds.is_atomic(old)
    if old == kinds.STRING:
        return kinds.is_atomic(new)
    if kinds.is_number(old) and kinds.is_number(new):
        return True
    instants = (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ)
    return old in instants and new in instants


def as_date_literal(value: Typed, kind: pa.DataType) -> Typed | None:
    """A literal like '2024-01-31' where a date or timestamp is wanted: Spark reads it as one."""
    from thresher.sql.casting.literals import date_text, timestamp_text

    if value.kind != kinds.STRING or value.literal is None:
        return None
    if kind == kinds.DATE and (text := date_text(value.literal)):
        return Typed(f"DATE '{text}'", kind)
    if kind == TIMESTAMP and (text := timestamp_text(value.literal)):
        return Typed(f"TIMESTAMPTZ '{text}+00'", kind)
    return None


def _described(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return f"function {node.name}"
    return _WORDS.get(type(node), type(node).__name__)


_WORDS: dict[type[exp.Expr], str] = {
    exp.RegexpLike: "RLIKE",
    exp.Lambda: "a lambda (->)",
    exp.Array: "an array in brackets (write array(…))",
    exp.Interval: "INTERVAL",
    exp.Select: "SELECT",
    exp.Table: "a table",
    exp.Pivot: "PIVOT",
    exp.BitwiseNot: "~",
    exp.JSONExtract: "the variant path (:)",
    exp.In: "IN",
    exp.Exists: "EXISTS",
    exp.CurrentDate: "current_date",
    exp.CurrentTimestamp: "current_timestamp",
}
