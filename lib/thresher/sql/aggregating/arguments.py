"""Arguments of aggregates and window functions: numbers, and constants known before the query runs."""

from decimal import Decimal, InvalidOperation

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import Call
from thresher.sql.expressions import Expressions, Typed
from thresher.types import TIMESTAMP


def numeric(e: Expressions, call: Call, position: int = 0, *, is_total: bool = False) -> Typed:
    """An argument that is a number; text and NULL become double, as Spark converts them.

    Of intervals and timestamps there are totals (sum and average) alone.
    """
    node = call.nodes[position]
    value = e.expr(node)
    if value.kind in (kinds.STRING, kinds.VOID):
        return e.cast(value, kinds.DOUBLE)
    if is_total and value.kind == TIMESTAMP:
        return e.cast(value, kinds.DOUBLE)
    if isinstance(value.kind, kinds.Interval):
        if is_total:
            return value
        e.refuse(node, f"{call.name} of an {kinds.in_spark(value.kind)}", "extract its seconds or months")
    if not kinds.is_number(value.kind):
        e.wrong(node, f"{call.name} of a {kinds.in_spark(value.kind)}; expected a number.")
    return value


def as_double(value: Typed) -> str:
    """A number as double."""
    return value.sql if value.kind == kinds.DOUBLE else f"CAST({value.sql} AS DOUBLE)"


def constant(node: exp.Expr) -> Decimal | None:
    """The number that a constant expression is: digits, a sign, a cast of digits, a sum of such. None for others."""
    try:
        match node:
            case exp.Literal():
                return Decimal(str(node.this).strip())
            case exp.Paren() | exp.Cast():
                return constant(node.this)
            case exp.Neg():
                value = constant(node.this)
                return -value if value is not None else None
            case exp.Add() | exp.Sub() | exp.Mul():
                left, right = constant(node.this), constant(node.expression)
                if left is None or right is None:
                    return None
                return (
                    left + right
                    if isinstance(node, exp.Add)
                    else left - right
                    if isinstance(node, exp.Sub)
                    else left * right
                )
    except InvalidOperation:
        return None
    return None
