"""Exact division of decimals: whole numbers are divided, and rounded once."""

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.expressions import Expressions, Typed

# A whole number of this many digits can be added to another one of that size in a HUGEINT.
_ROOM = 37


def divide(e: Expressions, node: exp.Div, left: Typed, right: Typed, name: str | None) -> Typed:
    """A quotient of decimals; refused where its digits do not fit.

    Spark: scale max(6, s1 + p2 + 1), precision p1 - s1 + s2 + scale, bounded to 38 digits; rounded half up.
    """
    if not kinds.is_exact(left.kind) or not kinds.is_exact(right.kind):
        e.refuse(node, f"{kinds.in_spark(left.kind)} / {kinds.in_spark(right.kind)}", "cast both to decimals")
    a, b = kinds.as_decimal(left.kind, left.literal), kinds.as_decimal(right.kind, right.literal)
    scale = max(6, a.scale + b.precision + 1)
    precision = a.precision - a.scale + b.scale + scale
    if precision > kinds.MAX_PRECISION:
        scale = max(kinds.MAX_PRECISION - (precision - scale), min(scale, 6))
        precision = kinds.MAX_PRECISION
    shift = scale + b.scale - a.scale
    if shift < 0 or max(a.precision + shift, b.precision, a.precision + a.scale, b.precision + b.scale) > _ROOM:
        e.refuse(
            node,
            f"{kinds.in_spark(a)} / {kinds.in_spark(b)}, whose exact quotient needs more than {_ROOM} digits",
            "cast both to narrower decimals",
        )
    sql = f"spark_divide_whole({unscaled(e.cast(left, a))} * {10**shift}::HUGEINT, {unscaled(e.cast(right, b))})"
    return scaled(sql, pa.decimal128(precision, scale), name)


def unscaled(value: Typed) -> str:
    """All digits of a decimal as a whole number; precision and scale together must not pass 38."""
    if not value.kind.scale:
        return f"CAST({value.sql} AS HUGEINT)"
    unit = roomy(pa.decimal128(value.kind.scale + 1, 0))
    return f"CAST({value.sql} * CAST({10**value.kind.scale} AS {kinds.in_duckdb(unit)}) AS HUGEINT)"


def roomy(kind: pa.DataType) -> pa.DataType:
    """A decimal in 128 bits: two of up to 18 digits are multiplied in 64 bits, and raise where those do not do."""
    return kind if kind.precision > 18 else pa.decimal128(19, kind.scale)


def scaled(sql: str, kind: pa.DataType, name: str | None) -> Typed:
    """A whole number as the digits of a decimal."""
    unit = f"CAST('0.{'0' * (kind.scale - 1)}1' AS DECIMAL({kind.scale},{kind.scale}))"
    return Typed(f"CAST(CAST({sql} AS DECIMAL(38,0)) * {unit} AS {kinds.in_duckdb(kind)})", kind, name)
