"""Expressions: each node of the tree becomes DuckDB text together with Spark's type, by the rules of the allow-list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from thresher.sql import allowed, kinds
from thresher.sql.dialect import Source
from thresher.types import TIMESTAMP

if TYPE_CHECKING:
    from thresher.sql.relations import Result


@dataclass(frozen=True)
class Typed:
    """An expression for DuckDB and the type that it has in Spark.

    `name` is the column name that Spark gives it when it has no alias (None: not known). `literal` is the value of a
    literal, else None. `is_window` marks what holds a window function.
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
    is_having: bool = False
    may_correlate: bool = False
    is_correlated: bool = False


class Expressions:
    """Translates the expressions of one query. One instance serves the whole query; `scope` is where it stands."""

    def __init__(self, source: Source, subquery: Callable[[exp.Expr], Result]) -> None:
        self.source = source
        self.subquery = subquery
        self.scope = Scope([])
        self.windows: dict[str, exp.Window] = {}
        self.functions: dict[str, allowed.ArrowFunction] = {}  # those that only this query needs
        self.refuse = source.refuse
        self.wrong = source.wrong

    def expr(self, node: exp.Expr) -> Typed:
        """One expression. Raises NotPortable for a node without a rule, or with a part that its rule does not know."""
        known = allowed.CONSTRUCTS.get(type(node))
        if known is None:
            self.refuse(node, _described(node), allowed.REMEDIES.get(node.key, _REMEDIES.get(type(node), "")))
        self.only(node, known.parts)
        return known.rule(self, node)

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
        """The value in a type that holds it exactly; the caller knows that DuckDB's cast is exact here."""
        if value.kind == kind:
            return value
        return replace(value, sql=f"CAST({value.sql} AS {kinds.in_duckdb(kind)})", kind=kind)

    def coerce(self, node: exp.Expr, value: Typed, kind: pa.DataType, what: str) -> Typed:
        """The value where this type is wanted: itself, NULL, or a type that widens to it; else refused."""
        if kinds.wider(value.kind, kind) != kind:
            self.refuse(
                node,
                f"{what}: {kinds.in_spark(value.kind)} instead of {kinds.in_spark(kind)} (an implicit conversion)",
                f"write cast(… as {kinds.in_spark(kind)})",
            )
        return self.cast(value, kind)

    def common(self, node: exp.Expr, values: Sequence[Typed], what: str) -> tuple[list[Typed], pa.DataType]:
        """The values in the one type that holds them all."""
        kind: pa.DataType | None = kinds.VOID
        for value in values:
            kind = kinds.wider(kind, value.kind) if kind is not None else None
        if kind is None:
            found = ", ".join(kinds.in_spark(value.kind) for value in values)
            self.refuse(node, f"{what} over different types ({found})", "cast them to one type")
        return [self.cast(value, kind) for value in values], kind

    def boolean(self, node: exp.Expr, what: str) -> Typed:
        value = self.expr(node)
        if value.kind not in (kinds.BOOL, kinds.VOID):
            self.wrong(node, f"{what} is a {kinds.in_spark(value.kind)}; expected a boolean.")
        return self.cast(value, kinds.BOOL)

    def condition(self, node: exp.Expr, what: str) -> Typed:
        """A boolean that decides (WHERE, ON, WHEN, …): a bare NULL is an error there."""
        value = self.boolean(node, what)
        if isinstance(node.unnest(), exp.Null):
            self.wrong(node, f"{what} is NULL without a type; expected a boolean.")
        return value

    def text(self, node: exp.Expr, what: str) -> Typed:
        """A string; other types are refused, since their text is an implicit conversion."""
        return self.coerce(node, self.expr(node), kinds.STRING, what)

    def resolve(self, node: exp.Expr, parts: Sequence[str]) -> Typed:
        """A column by its written parts: `column`, `table.column`, and fields of a struct behind either."""
        scope: Scope | None = self.scope
        inner: list[Scope] = []
        while scope is not None:
            found, fields = self._in_scope(node, scope, [part.lower() for part in parts])
            if found is not None:
                for passed in inner:
                    passed.is_correlated = True
                return self._fields(
                    node, replace(found, name=parts[len(parts) - fields - 1]), parts[len(parts) - fields :]
                )
            if scope.outer is not None and not scope.may_correlate:
                outer, _ = self._in_scope(node, scope.outer, [part.lower() for part in parts])
                if outer is not None:
                    self.refuse(
                        node, f"the outer column {'.'.join(parts)} outside the WHERE of a subquery", "write a join"
                    )
            inner.append(scope)
            scope = scope.outer
        seen = ", ".join(dict.fromkeys(c.name for c in self.scope.columns if not c.is_hidden)) or "none"
        self.wrong(node, f"no column {'.'.join(parts)}; there are {seen}.")

    def _in_scope(self, node: exp.Expr, scope: Scope, parts: list[str]) -> tuple[Typed | None, int]:
        if scope.aliases_first and parts[0] in scope.aliases:
            return scope.aliases[parts[0]], len(parts) - 1
        if len(parts) > 1:
            hits = [c for c in scope.columns if c.table == parts[0] and c.name.lower() == parts[1]]
            if hits:
                return self._single(node, hits, parts[:2]), len(parts) - 2
        hits = [c for c in scope.columns if c.name.lower() == parts[0] and not c.is_hidden]
        if hits:
            alias = scope.aliases.get(parts[0]) if scope.is_having else None
            if alias is not None and alias.sql != hits[0].value.sql:
                self.refuse(
                    node, f"{parts[0]} in HAVING, both a column and an alias of another value", "rename the alias"
                )
            return self._single(node, hits, parts[:1]), len(parts) - 1
        if parts[0] in scope.aliases:
            alias = scope.aliases[parts[0]]
            if alias.is_window:
                self.refuse(node, f"the alias {parts[0]} of a window function in the same SELECT", "use a subquery")
            return alias, len(parts) - 1
        return None, 0

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
        """A field of a struct, found without regard to case."""
        if not kinds.is_struct(value.kind):
            self.refuse(node, f"field {name} of a {kinds.in_spark(value.kind)}")
        hits = [part for part in value.kind if part.name.lower() == name.lower()]
        if len(hits) != 1:
            fields = ", ".join(part.name for part in value.kind)
            self.wrong(node, f"{'no' if not hits else 'more than one'} field {name}; the struct has {fields}.")
        sql = f"struct_extract({value.sql}, {kinds.text_literal(hits[0].name)})"
        return Typed(sql, hits[0].type, name, is_window=value.is_window)


def as_date_literal(value: Typed, kind: pa.DataType) -> Typed | None:
    """A literal like '2024-01-31' where a date or timestamp is wanted: Spark reads it as one."""
    from thresher.sql.literals import date_text, timestamp_text

    if value.kind != kinds.STRING or value.literal is None:
        return None
    if kind == kinds.DATE and (text := date_text(value.literal)):
        return Typed(f"DATE '{text}'", kind)
    if kind == TIMESTAMP and (text := timestamp_text(value.literal)):
        return Typed(f"TIMESTAMPTZ '{text}+00'", kind)
    return None


_REMEDIES: dict[type[exp.Expr], str] = {
    exp.RegexpLike: "use LIKE",
    exp.ILike: "use lower(…) LIKE …",
    exp.Array: "write element_at(array(…), n) for array(…)[i]",
    exp.Interval: "use date_add, date_sub or add_months",
}


def _described(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return f"function {node.name}"
    return _WORDS.get(type(node), type(node).__name__)


_WORDS: dict[type[exp.Expr], str] = {
    exp.RegexpLike: "RLIKE",
    exp.Lambda: "a lambda (->)",
    exp.Array: "an array in brackets",
    exp.Interval: "INTERVAL",
    exp.Select: "SELECT",
    exp.Table: "a table",
    exp.Pivot: "PIVOT",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
    exp.BitwiseNot: "~",
    exp.JSONExtract: "the variant path (:)",
    exp.In: "IN",
    exp.Exists: "EXISTS",
    exp.CurrentDate: "current_date",
    exp.CurrentTimestamp: "current_timestamp",
}
