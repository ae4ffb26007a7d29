"""CAST and TRY_CAST: which pairs of types, and how they are said in DuckDB.

The text of numbers, dates and instants is read by macros (`connection`): DuckDB accepts and rounds what Spark refuses.
"""

import re

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds, literals
from thresher.sql.allowed import construct, function
from thresher.sql.expressions import Expressions, Typed
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_PLAIN = {
    exp.DType.BOOLEAN: kinds.BOOL,
    exp.DType.TINYINT: kinds.TINYINT,
    exp.DType.SMALLINT: kinds.SMALLINT,
    exp.DType.INT: kinds.INT,
    exp.DType.BIGINT: kinds.BIGINT,
    exp.DType.FLOAT: kinds.FLOAT,
    exp.DType.DOUBLE: kinds.DOUBLE,
    exp.DType.TEXT: kinds.STRING,
    exp.DType.BINARY: kinds.BINARY,
    exp.DType.DATE: kinds.DATE,
    exp.DType.TIMESTAMPTZ: TIMESTAMP,
    exp.DType.TIMESTAMP: TIMESTAMP,
    exp.DType.TIMESTAMPLTZ: TIMESTAMP,
    exp.DType.TIMESTAMPNTZ: TIMESTAMP_NTZ,
}


def written_type(e: Expressions, node: exp.Expr) -> pa.DataType:
    """The Arrow type of a type as written in the text."""
    if not isinstance(node, exp.DataType):
        e.refuse(node, "this type")
    if node.this in _PLAIN and not node.expressions:
        return _PLAIN[node.this]
    if node.this == exp.DType.DECIMAL:
        if not all(size.name.isdigit() for size in node.expressions):
            e.wrong(node, "the digits of a decimal are whole numbers: decimal(10,2).")
        sizes = [int(size.name) for size in node.expressions] or [10, 0]
        precision, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
        if not 1 <= precision <= kinds.MAX_PRECISION or not 0 <= scale <= precision:
            e.wrong(node, f"decimal({precision},{scale}) is not a type; expected 1 to 38 digits and a scale within.")
        return pa.decimal128(precision, scale)
    if node.this == exp.DType.ARRAY and len(node.expressions) == 1:
        return kinds.array_of(written_type(e, node.expressions[0]))
    if node.this == exp.DType.MAP and len(node.expressions) == 2:
        return kinds.map_of(*(written_type(e, part) for part in node.expressions))
    e.refuse(node, f"type {node.sql('spark')}", "use one of the shared types (docs/sql.md)")


@construct(
    exp.Cast,
    parts="this to",
    group="Casts",
    signature="cast(a AS type), a::type, date'2024-01-31', 1L, 1.5BD, 2D",
    note="Integers, decimals, booleans, dates and timestamps to text and back; numbers to one another (double to int "
    "and bigint only); date to timestamp and back; text to double and binary. What Spark refuses is an error.",
    example="SELECT cast('12' AS int) AS a, date'2024-01-31' AS b",
)
def _cast(e: Expressions, node: exp.Cast) -> Typed:
    kind = written_type(e, node.to)
    literal = _typed_literal(e, node, kind)
    return literal if literal is not None else convert(e, node, e.expr(node.this), kind, is_try=False)


@construct(
    exp.TryCast,
    parts="this to safe",
    group="Casts",
    signature="try_cast(a AS type)",
    note="NULL where cast raises.",
    example="SELECT try_cast('x' AS int) AS a",
)
def _try_cast(e: Expressions, node: exp.TryCast) -> Typed:
    return convert(e, node, e.expr(node.this), written_type(e, node.to), is_try=True)


def _typed_literal(e: Expressions, node: exp.Cast, kind: pa.DataType) -> Typed | None:
    """date'…', timestamp'…', 1L and 1.5BD, which are literals; a cast of a plain literal is only sped up."""
    if not isinstance(node.this, exp.Literal):
        return None
    text = node.this.this
    if not node.this.is_string and kind in kinds.INTEGERS and _has_suffix(e, node.this):
        return integer_literal(e, node, text, kind)
    _check_prefix(e, node, kind)
    if kind == kinds.DATE and literals.date_text(text):
        return Typed(f"DATE '{text}'", kind, f"DATE '{text}'")
    if kind == TIMESTAMP and (instant := literals.timestamp_text(text)):
        return Typed(f"TIMESTAMPTZ '{instant}+00'", kind)
    if kind == TIMESTAMP_NTZ and (instant := literals.timestamp_text(text)):
        return Typed(f"TIMESTAMP '{instant}'", kind)
    if kinds.is_decimal(kind) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        number = literals.number(text)
        if number is not None and kinds.wider(number[1], kind) == kind:
            name = text if "start" not in node.this.meta else None  # 1.5BD; the cast of a literal has a longer name
            return Typed(f"CAST('{text}' AS {kinds.in_duckdb(kind)})", kind, name)
    return None


def _has_suffix(e: Expressions, literal: exp.Literal) -> bool:
    end = literal.meta.get("end")
    return end is not None and e.source.text[end].isalpha()


def integer_literal(e: Expressions, node: exp.Expr, text: str, kind: pa.DataType) -> Typed:
    """1L, 1S or 1Y, which keep the digits of a literal beside a decimal."""
    bits = {kinds.TINYINT: 7, kinds.SMALLINT: 15, kinds.INT: 31, kinds.BIGINT: 63}[kind]
    if not text.lstrip("-").isdigit() or not -(2**bits) <= int(text) < 2**bits:
        e.wrong(node, f"{text} is no {kinds.in_spark(kind)}.")
    return Typed(f"CAST('{text}' AS {kinds.in_duckdb(kind)})", kind, text, int(text))


def negative_literal(e: Expressions, node: exp.Cast) -> Typed | None:
    """The literal -1L for the 1L behind a minus; None for anything else."""
    if not isinstance(node.this, exp.Literal) or node.this.is_string or not _has_suffix(e, node.this):
        return None
    kind = written_type(e, node.to)
    return integer_literal(e, node, f"-{node.this.this}", kind) if kind in kinds.INTEGERS else None


def _check_prefix(e: Expressions, node: exp.Cast, kind: pa.DataType) -> None:
    """Only date'…' and timestamp'…' stand before a literal; sqlglot reads any type there."""
    start = node.this.meta.get("start")
    before = e.source.text[:start].rstrip() if start is not None else "("
    after = e.source.text[node.this.meta["end"] + 1 :].lstrip() if start is not None else ""
    is_prefixed = not (before.endswith("(") or after.startswith("::") or _has_suffix(e, node.this))
    if is_prefixed and (kind not in (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ) or not node.this.is_string):
        e.refuse(node, f"a literal after the type {kinds.in_spark(kind)}", "write cast(… as type)")


def convert(e: Expressions, node: exp.Expr, value: Typed, kind: pa.DataType, *, is_try: bool) -> Typed:
    """A value in another type, as Spark's ANSI cast does it."""
    name = value.name if isinstance(node, exp.Cast) and isinstance(node.this, exp.Column) else None
    sql = _converted(value.sql, value.kind, kind, "TRY_CAST" if is_try else "CAST")
    if sql is None:
        e.refuse(node, f"cast({kinds.in_spark(value.kind)} as {kinds.in_spark(kind)})", _remedy(value.kind, kind))
    return Typed(sql, kind, name, is_window=value.is_window)


def _converted(sql: str, old: pa.DataType, new: pa.DataType, cast: str) -> str | None:
    word = kinds.in_duckdb(new)
    plain = f"{cast}({sql} AS {word})"
    if old == new:
        return sql
    if old == kinds.VOID or kinds.wider(old, new) == new:
        return f"CAST({sql} AS {word})"
    if old == kinds.STRING:
        return _from_text(sql, new, word, cast)
    if kinds.is_exact(old):
        if new in kinds.INTEGERS:
            return plain if old in kinds.INTEGERS else f"{cast}(trunc({sql}) AS {word})"
        if kinds.is_decimal(new) or (new == kinds.BOOL and old in kinds.INTEGERS):
            return plain
        if new == kinds.STRING:
            return _number_text(sql, old)
        if new == kinds.DOUBLE:  # by way of the text: DuckDB's own conversion rounds twice
            return f"CAST(CAST({sql} AS VARCHAR) AS DOUBLE)"
    if old == kinds.BOOL and (new in kinds.INTEGERS or new == kinds.STRING):
        return plain
    if old == kinds.DOUBLE and new in (kinds.INT, kinds.BIGINT):
        return f"{cast}(trunc({sql}) AS {word})"
    if old == kinds.DATE and new == kinds.STRING:
        return f"spark_date_text({sql})"
    if old == TIMESTAMP and new == kinds.STRING:
        return f"spark_timestamp_text({sql})"
    if {old, new} == {kinds.DATE, TIMESTAMP}:
        return plain
    return None


def _number_text(sql: str, old: pa.DataType) -> str | None:
    if not kinds.is_decimal(old) or old.scale < old.precision:
        return f"CAST({sql} AS VARCHAR)"
    if old.precision == kinds.MAX_PRECISION:
        return None
    # DuckDB leaves out the zero before the point where the type has no room for it.
    return f"CAST(CAST({sql} AS DECIMAL({old.precision + 1},{old.scale})) AS VARCHAR)"


def _from_text(sql: str, new: pa.DataType, word: str, cast: str) -> str | None:
    is_try = "true" if cast == "TRY_CAST" else "false"
    if new in kinds.INTEGERS:
        return f"{cast}(spark_integer_text({sql}, {is_try}) AS {word})"
    if kinds.is_decimal(new):
        return f"{cast}(spark_number_text({sql}, {is_try}) AS {word})"
    if new == kinds.DOUBLE:
        return f"spark_double_of_text({sql}, {is_try})"
    if new == kinds.DATE:
        return f"{cast}(spark_date_of_text({sql}, {is_try}) AS DATE)"
    if new == kinds.BOOL:
        return f"spark_boolean_of_text({sql}, {is_try})"
    if new == TIMESTAMP and cast == "CAST":
        return f"CAST(spark_timestamp_of_text({sql}) AS TIMESTAMPTZ)"
    if new == kinds.BINARY:
        return f"encode({sql})"
    return None


def _remedy(old: pa.DataType, new: pa.DataType) -> str:
    if old in (kinds.FLOAT, kinds.DOUBLE):
        return "keep such numbers as decimal from the start"
    return ""


_NAMES = {"double": kinds.DOUBLE, "date": kinds.DATE, "timestamp": TIMESTAMP, "to_date": kinds.DATE}


@function(
    " ".join(_NAMES),
    1,
    1,
    "to_date(a), date(a), timestamp(a), double(a)",
    "SELECT to_date('2024-01-31') AS d",
    group="Casts",
    note="The same as cast.",
)
def _as_call(e: Expressions, node: exp.Anonymous) -> Typed:
    return convert(e, node, e.expr(node.expressions[0]), _NAMES[node.name.lower()], is_try=False)
