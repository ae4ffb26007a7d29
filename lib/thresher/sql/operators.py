"""Literals, columns, calls and arithmetic."""

from dataclasses import replace
from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds, literals
from thresher.sql.allowed import AGGREGATES, FUNCTIONS, REMEDIES, construct
from thresher.sql.casts import negative_literal
from thresher.sql.decimals import divide, roomy
from thresher.sql.expressions import Expressions, Typed

PREDICATES = (
    exp.EQ,
    exp.NEQ,
    exp.LT,
    exp.LTE,
    exp.GT,
    exp.GTE,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.In,
    exp.Between,
    exp.Like,
    exp.Escape,
    exp.Is,
    exp.Not,
    exp.And,
    exp.Or,
)

_literals = partial(construct, group="Literals and columns")
_numbers = partial(construct, group="Numbers")


@_literals(
    exp.Literal,
    parts="this is_string",
    signature="'text', \"text\", 1, 1.50, 1e3",
    note="Spark's escapes ('it''s', '\\n'); 1 is int, 3000000000 bigint, 1.50 decimal(3,2), 1e3 double.",
    example="SELECT 'it''s' AS a, 1.50 AS b",
)
def _literal(e: Expressions, node: exp.Literal) -> Typed:
    if node.is_string:
        return Typed(kinds.text_literal(node.this), kinds.STRING, node.this, node.this)
    return _number(e, node, node.this)


def _number(e: Expressions, node: exp.Expr, text: str) -> Typed:
    number = literals.number(text)
    if number is None:
        e.wrong(node, f"the number {text} has more than 38 digits.")
    plain, kind = number
    value = int(text) if kind in kinds.INTEGERS else None
    name = text if value is not None or kinds.is_decimal(kind) else None
    return Typed(f"CAST({kinds.text_literal(plain)} AS {kinds.in_duckdb(kind)})", kind, name, value)


@construct(exp.RawString, parts="this")
def _raw(e: Expressions, node: exp.RawString) -> Typed:
    return Typed(kinds.text_literal(node.this), kinds.STRING, node.this, node.this)


@construct(exp.Concat, parts="expressions")
def _adjacent(e: Expressions, node: exp.Concat) -> Typed:
    parts = e.exprs(node.expressions)
    text = "".join(str(part.literal) for part in parts)
    return Typed(kinds.text_literal(text), kinds.STRING, text, text)


@_literals(
    exp.Null,
    parts="",
    signature="NULL",
    note="Takes the type of what it meets.",
    example="SELECT coalesce(NULL, 1) AS a",
)
def _null(e: Expressions, node: exp.Null) -> Typed:
    return Typed("NULL", kinds.VOID, "NULL")


@_literals(exp.Boolean, parts="this", signature="true, false", example="SELECT true AS a")
def _boolean(e: Expressions, node: exp.Boolean) -> Typed:
    text = "true" if node.this else "false"
    return Typed(text, kinds.BOOL, text)


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
        e.refuse(node, f"function {name}", REMEDIES.get(name, ""))
    count = len(node.expressions)
    if count < found.least or (found.most >= 0 and count > found.most):
        e.refuse(
            node,
            f"function {name} with {count} argument{'s' * (count != 1)} instead of {_counted(found.least, found.most)}",
        )
    for argument in node.expressions:
        if isinstance(argument, exp.Star | exp.Distinct | exp.Alias) and name not in (*AGGREGATES, "struct"):
            e.refuse(argument, f"{argument.key} as an argument of {name}")
    return found.rule(e, node)


def _counted(least: int, most: int) -> str:
    return str(least) if most == least else f"at least {least}" if most < 0 else f"{least} to {most}"


def operands(e: Expressions, node: exp.Binary) -> tuple[Typed, Typed]:
    """Both sides of an operator. A bare condition is refused as one: sqlglot and Spark would group it differently."""
    for side in (node.this, node.expression):
        if isinstance(side, PREDICATES):
            e.refuse(side, "a condition as an operand without parentheses", "put it in parentheses")
    return e.expr(node.this), e.expr(node.expression)


def named(left: Typed, sign: str, right: Typed) -> str | None:
    """The column name that Spark gives to an operator between two named things."""
    return f"({left.name} {sign} {right.name})" if left.name is not None and right.name is not None else None


_SIGNS: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}


@_numbers(
    exp.Add,
    exp.Sub,
    exp.Mul,
    parts="this expression",
    signature="a + b, a - b, a * b",
    note="Spark's result types and overflow errors. Decimals: only where 38 digits hold the exact result. Also "
    "date + int and date - int.",
    example="SELECT 2 * 1.50 AS a",
)
def _arithmetic(e: Expressions, node: exp.Binary) -> Typed:
    sign = _SIGNS[type(node)]
    left, right = operands(e, node)
    name, is_window = named(left, sign, right), left.is_window or right.is_window
    if left.kind == kinds.DATE and right.kind in kinds.INTEGERS[:3] and sign != "*":
        name = f"date_{'add' if sign == '+' else 'sub'}({left.name}, {right.name})" if name else None
        return Typed(f"({left.sql} {sign} CAST({right.sql} AS INTEGER))", kinds.DATE, name, is_window=is_window)
    if left.kind in kinds.INTEGERS and right.kind in kinds.INTEGERS:
        kind = kinds.wider(left.kind, right.kind)
        operand: pa.DataType | None = kind
    elif kinds.is_exact(left.kind) and kinds.is_exact(right.kind):
        kind, operand = _decimal_result(
            sign, kinds.as_decimal(left.kind, left.literal), kinds.as_decimal(right.kind, right.literal)
        )
        if kind is None:
            e.refuse(
                node,
                f"{kinds.in_spark(left.kind)} {sign} {kinds.in_spark(right.kind)}, whose exact result needs "
                "more than 38 digits",
                "cast both to narrower decimals",
            )
    else:
        kind = operand = kinds.wider(left.kind, right.kind)
        if kind != kinds.DOUBLE:
            e.refuse(
                node, f"{kinds.in_spark(left.kind)} {sign} {kinds.in_spark(right.kind)}", "cast both to one number type"
            )
    assert kind is not None
    if operand is not None:
        left, right = e.cast(left, operand), e.cast(right, operand)
    else:  # a product: each side in its own decimal, so that the scales add up
        left = e.cast(left, roomy(kinds.as_decimal(left.kind, left.literal)))
        right = e.cast(right, kinds.as_decimal(right.kind, right.literal))
    sql = f"({left.sql} {sign} {right.sql})"
    return Typed(
        f"CAST({sql} AS {kinds.in_duckdb(kind)})" if kinds.is_decimal(kind) else sql, kind, name, is_window=is_window
    )


def _decimal_result(sign: str, a: pa.DataType, b: pa.DataType) -> tuple[pa.DataType | None, pa.DataType | None]:
    """The result's type and the type for both operands (None: each its own)."""
    if sign == "*":
        return kinds.bounded(a.precision + b.precision + 1, a.scale + b.scale), None
    scale = max(a.scale, b.scale)
    kind = kinds.bounded(max(a.precision - a.scale, b.precision - b.scale) + scale + 1, scale)
    return kind, kind


@_numbers(exp.Neg, parts="this", signature="-a", example="SELECT -1 AS a")
def _negative(e: Expressions, node: exp.Neg) -> Typed:
    if isinstance(node.this, exp.Literal) and not node.this.is_string:
        return _number(e, node, f"-{node.this.this}")
    if isinstance(node.this, exp.Cast):  # -9223372036854775808L, whose digits alone are no bigint
        literal = negative_literal(e, node.this)
        if literal is not None:
            return literal
    value = e.expr(node.this)
    if not kinds.is_exact(value.kind) and value.kind != kinds.DOUBLE:
        e.refuse(node, f"- before a {kinds.in_spark(value.kind)}")
    name = f"(- {value.name})" if value.name else None
    return Typed(f"(- {value.sql})", value.kind, name, is_window=value.is_window)


@construct(
    exp.Div,
    parts="this expression typed safe",
    group="Numbers",
    signature="a / b",
    note="Integers and doubles give double. Decimals are divided exactly, rounded half up as Spark does, where the "
    "digits fit. Division by zero is an error.",
    example="SELECT 10.00 / 3 AS a, 1 / 4 AS b",
)
def _divide(e: Expressions, node: exp.Div) -> Typed:
    left, right = operands(e, node)
    name = named(left, "/", right)
    if kinds.is_decimal(left.kind) or kinds.is_decimal(right.kind):
        return divide(e, node, left, right, name)
    if not all(kind in (*kinds.INTEGERS, kinds.DOUBLE, kinds.VOID) for kind in (left.kind, right.kind)):
        e.refuse(node, f"{kinds.in_spark(left.kind)} / {kinds.in_spark(right.kind)}", "cast both to decimals")
    one, other = e.cast(left, kinds.DOUBLE).sql, e.cast(right, kinds.DOUBLE).sql
    return Typed(f"spark_divide({one}, {other})", kinds.DOUBLE, name)


@construct(
    exp.Mod,
    exp.IntDiv,
    parts="this expression",
    group="Numbers",
    signature="a % b, a div b",
    note="Integers; division by zero is an error.",
    example="SELECT -7 % 3 AS a, -7 div 3 AS b",
)
def _whole(e: Expressions, node: exp.Binary) -> Typed:
    left, right = operands(e, node)
    sign = "%" if isinstance(node, exp.Mod) else "div"
    if left.kind not in kinds.INTEGERS or right.kind not in kinds.INTEGERS:
        e.refuse(node, f"{kinds.in_spark(left.kind)} {sign} {kinds.in_spark(right.kind)}", "cast both to integers")
    kind = kinds.wider(left.kind, right.kind)
    assert kind is not None
    name = named(left, sign, right)
    if sign == "div":
        one, other = e.cast(left, kinds.BIGINT).sql, e.cast(right, kinds.BIGINT).sql
        return Typed(f"spark_div({one}, {other})", kinds.BIGINT, name)
    # Through HUGEINT: the smallest integer % -1 is 0, not an overflow.
    sql = f"spark_remainder(CAST({left.sql} AS HUGEINT), CAST({right.sql} AS HUGEINT))"
    return Typed(f"CAST({sql} AS {kinds.in_duckdb(kind)})", kind, name)
