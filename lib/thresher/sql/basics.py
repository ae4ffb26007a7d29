"""Literals, columns, parameters and calls: what an expression is made of."""

import difflib
from dataclasses import replace
from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import AGGREGATES, FUNCTIONS, NOT_PORTABLE, REMEDIES, construct
from thresher.sql.casting import literals
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.queries import stars

_literals = partial(construct, group="Literals and columns")


@_literals(
    exp.Literal,
    parts="this is_string",
    signature="'text', \"text\", 1, 1.50, 1e3",
    note="Spark's escapes ('it''s', '\\n'); 1 is int, 3000000000 bigint, 1.50 decimal(3,2), 1e3 double.",
    example="SELECT 'it''s' AS a, 1.50 AS b",
)
def _literal(e: Expressions, node: exp.Literal) -> Typed:
    if node.is_string:
        return Typed(kinds.text_literal(node.this), kinds.STRING, literal=node.this)
    return number(e, node, node.this)


def number(e: Expressions, node: exp.Expr, text: str) -> Typed:
    """A plain number as it is written."""
    if not text[-1].isdigit() and text[-1] != ".":
        e.wrong(node, f"{text} is no number.")
    found = literals.number(text)
    if found is None:
        e.wrong(node, f"the number {text} has more than 38 digits.")
    plain, kind = found
    value = int(text) if kind in kinds.INTEGERS else None
    return Typed(f"CAST({kinds.text_literal(plain)} AS {kinds.in_duckdb(kind)})", kind, literal=value)


@construct(exp.RawString, parts="this")
def _raw(e: Expressions, node: exp.RawString) -> Typed:
    return Typed(kinds.text_literal(node.this), kinds.STRING, literal=node.this)


@construct(exp.Concat, parts="expressions")
def _adjacent(e: Expressions, node: exp.Concat) -> Typed:
    parts = e.exprs(node.expressions)
    text = "".join(str(part.literal) for part in parts)
    return Typed(kinds.text_literal(text), kinds.STRING, literal=text)


@_literals(
    exp.Null,
    parts="",
    signature="NULL",
    note="Takes the type of what it meets.",
    example="SELECT coalesce(NULL, 1) AS a",
)
def _null(e: Expressions, node: exp.Null) -> Typed:
    return Typed("NULL", kinds.VOID)


@_literals(exp.Boolean, parts="this", signature="true, false", example="SELECT true AS a")
def _boolean(e: Expressions, node: exp.Boolean) -> Typed:
    return Typed("true" if node.this else "false", kinds.BOOL)


@_literals(
    exp.Column,
    parts="this table db catalog",
    signature="column, table.column, column.field, `odd name`",
    note="Found without regard to case; an ambiguous name is an error.",
    example="SELECT t.a.b AS b FROM (SELECT named_struct('b', 1) AS a) AS t",
)
def _column(e: Expressions, node: exp.Column) -> Typed:
    return e.resolve(node, [part.name for part in node.parts])


@construct(exp.Dot, parts="this expression")
def _dot(e: Expressions, node: exp.Dot) -> Typed:
    if not isinstance(node.expression, exp.Identifier):
        e.refuse(node, "a call behind a dot")
    if isinstance(node.this, exp.Column) and len(node.this.parts) == 4:
        return e.resolve(node, [*(part.name for part in node.this.parts), node.expression.name])
    return e.struct_field(node, e.expr(node.this), node.expression.name)


@construct(exp.Paren, parts="this")
def _paren(e: Expressions, node: exp.Paren) -> Typed:
    value = e.expr(node.this)
    return replace(value, sql=f"({value.sql})")


@_literals(exp.HexString, parts="this", signature="X'00ff'", note="binary.", example="SELECT X'00ff' AS a")
def _bytes(e: Expressions, node: exp.HexString) -> Typed:
    start = node.meta.get("start")
    if start is not None and e.source.text[start] == "0":
        e.wrong(node, f"0x{node.this}, which is no number to Spark. Write X'{node.this}' for bytes.")
    digits = node.this if len(node.this) % 2 == 0 else f"0{node.this}"
    text = "".join(f"\\x{digits[n : n + 2]}" for n in range(0, len(digits), 2))
    return Typed(f"'{text}'::BLOB", kinds.BINARY)


@construct(exp.Placeholder, parts="this")
def _parameter(e: Expressions, node: exp.Placeholder) -> Typed:
    e.wrong(node, f"parameter {':' + node.this if isinstance(node.this, str) else '?'} has no value.")


@construct(exp.Anonymous, parts="this expressions")
def _call(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    found = FUNCTIONS.get(name)
    if found is None:
        if name not in NOT_PORTABLE and name not in REMEDIES:
            close = difflib.get_close_matches(name, FUNCTIONS, 1)
            e.wrong(
                node, f"Spark 4.2 has no function {name} of its own.{f' Did you mean {close[0]}?' if close else ''}"
            )
        e.refuse(node, f"function {name}", REMEDIES.get(name, ""))
    if name not in AGGREGATES:
        node = stars.expanded(e, node)
    count = len(node.expressions)
    if count < found.least or (found.most >= 0 and count > found.most):
        e.wrong(
            node, f"{name} with {count} argument{'s' * (count != 1)}; expected {_counted(found.least, found.most)}."
        )
    for argument in node.expressions:
        if isinstance(argument, exp.Star | exp.Distinct | exp.Alias) and name not in (*AGGREGATES, "struct"):
            e.refuse(argument, f"{argument.key} as an argument of {name}")
    return found.rule(e, node)


def _counted(least: int, most: int) -> str:
    return str(least) if most == least else f"at least {least}" if most < 0 else f"{least} to {most}"
