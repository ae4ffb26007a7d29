"""CAST and TRY_CAST, written types, and the literals that are one: date'2024-01-31', 1L, 1.5BD.

What Spark turns into what, and how, is in `conversions`.
"""

from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, construct, function
from thresher.sql.casting import literals
from thresher.sql.casting.conversions import Conversion
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.times import interval_casts
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
    exp.DType.NULL: kinds.VOID,
}
_TEMPORAL = (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ)
_BITS = {kinds.TINYINT: 7, kinds.SMALLINT: 15, kinds.INT: 31, kinds.BIGINT: 63}


def written_type(e: Expressions, node: exp.Expr) -> pa.DataType:
    """The Arrow type of a type as written in the text."""
    if not isinstance(node, exp.DataType):
        e.refuse(node, "this type")
    if isinstance(node.this, exp.Interval):
        return interval_casts.written_interval(e, node.this)
    if node.this == exp.DType.DECIMAL:
        return _written_decimal(e, node)
    if node.this == exp.DType.STRUCT:
        return _written_struct(e, node)
    parts = node.expressions
    if node.this in _PLAIN:
        if parts:
            e.wrong(node, f"{kinds.in_spark(_PLAIN[node.this])} takes no number.")
        return _PLAIN[node.this]
    if node.this in (exp.DType.ARRAY, exp.DType.MAP):
        if len(parts) != (1 if node.this == exp.DType.ARRAY else 2):
            e.wrong(node, "an array has one type and a map two: array<int>, map<string,int>.")
        types = [written_type(e, part) for part in parts]
        return kinds.array_of(*types) if node.this == exp.DType.ARRAY else kinds.map_of(*types)
    e.refuse(node, f"type {node.sql('spark')}", "use one of the shared types (docs/sql.md)")


def _written_decimal(e: Expressions, node: exp.DataType) -> pa.DataType:
    if not all(size.name.isdigit() for size in node.expressions) or len(node.expressions) > 2:
        e.wrong(node, "the digits of a decimal are whole numbers: decimal(10,2).")
    sizes = [int(size.name) for size in node.expressions] or [10, 0]
    precision, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
    if precision == 0 and scale == 0:
        e.refuse(node, "decimal(0,0)", "write decimal(1,0)")
    if not 1 <= precision <= kinds.MAX_PRECISION or not 0 <= scale <= precision:
        e.wrong(node, f"decimal({precision},{scale}) is not a type; expected 1 to 38 digits and a scale within.")
    return pa.decimal128(precision, scale)


def _written_struct(e: Expressions, node: exp.DataType) -> pa.DataType:
    fields = []
    for part in node.expressions:
        kind = part.args.get("kind")
        if not isinstance(part, exp.ColumnDef) or kind is None:
            e.wrong(node, "a struct has fields with names and types: struct<a:int,b:string>.")
        e.only(part, {"this", "kind", "constraints"})
        if any(not isinstance(found.kind, exp.CommentColumnConstraint) for found in part.args.get("constraints") or ()):
            e.refuse(part, "a field with NOT NULL", "leave it out")
        fields.append((part.name, written_type(e, kind)))
    if not fields or len({name.lower() for name, _ in fields}) < len(fields) or any(not name for name, _ in fields):
        e.refuse(node, "a struct without fields, or with two of one name", "name each field differently")
    return pa.struct(fields)


@construct(
    exp.Cast,
    parts="this to",
    group="Casts",
    signature="cast(a AS type), a::type, date'2024-01-31', timestamp'…', 1L, 1S, 1Y, 1.5BD, 2D, 1.5F",
    note="Numbers, booleans, text, binary, dates and timestamps to one another, and what is nested of them, as Spark's "
    "ANSI mode does; what it refuses is an error. Types: boolean, tinyint, smallint, int, bigint, float, double, "
    "decimal(p,s), string, binary, date, timestamp, timestamp_ntz, array<…>, map<…>, struct<a:…>.",
    example="SELECT cast('12' AS int) AS a, date'2024-01-31' AS b, cast(1e7D AS string) AS c",
)
def _cast(e: Expressions, node: exp.Cast) -> Typed:
    literal = _typed_literal(e, node)
    if literal is not None:
        return literal
    return convert(e, node, e.expr(node.this), written_type(e, node.to), is_try=False)


@construct(
    exp.TryCast,
    parts="this to safe",
    group="Casts",
    signature="try_cast(a AS type)",
    note="NULL where cast raises; in an array, map or struct NULL for that element.",
    example="SELECT try_cast('x' AS int) AS a",
)
def _try_cast(e: Expressions, node: exp.TryCast) -> Typed:
    return convert(e, node, e.expr(node.this), written_type(e, node.to), is_try=True)


def convert(e: Expressions, node: exp.Expr, value: Typed, kind: pa.DataType, *, is_try: bool) -> Typed:
    """A value in another type, as Spark's ANSI cast does it."""
    if isinstance(value.kind, kinds.Interval) or isinstance(kind, kinds.Interval):
        return interval_casts.convert_interval(e, node, value, kind, is_try=is_try)
    what = f"cast({kinds.in_spark(value.kind)} as {kinds.in_spark(kind)})"
    if _has_interval(value.kind) or _has_interval(kind):
        e.refuse(node, what)
    if value.kind == kinds.STRING and kind in _TEMPORAL:
        value = _without_words(e, node, value, kind)
    sql = Conversion(is_try).of(value.sql, value.kind, kind)
    if sql is None:
        e.wrong(node, f"{what} is no conversion that Spark has.")
    return Typed(sql, kind, is_window=value.is_window)


def _without_words(e: Expressions, node: exp.Expr, value: Typed, kind: pa.DataType) -> Typed:
    """Text that stands in the statement may be a word like 'today' to Spark, in a row it may not."""
    if isinstance(value.literal, str):
        word = literals.special_word(value.literal)
        if word not in (None, "epoch"):
            e.refuse(node, f"the word {word} as {kinds.in_spark(kind)}", "pass the day or instant as a parameter")
        return replace(value, sql="'1970-01-01'") if word else value
    return value if node.find(exp.Column) else replace(value, sql=f"spark_no_word({value.sql})")


MACROS["spark_no_word(s)"] = (
    "CASE WHEN regexp_matches(lower(s), '^\\s*(epoch|now|today|tomorrow|yesterday)') "
    "THEN error('not proven equal to Spark: a word for a day: ' || s) ELSE s END"
)


def _has_interval(kind: pa.DataType) -> bool:
    parts = [kind.field(n).type for n in range(kind.num_fields)] if kinds.is_struct(kind) else []
    if kinds.is_array(kind):
        parts = [kind.value_type]
    elif kinds.is_map(kind):
        parts = [kind.key_type, kind.item_type]
    return isinstance(kind, kinds.Interval) or any(_has_interval(part) for part in parts)


def _typed_literal(e: Expressions, node: exp.Cast) -> Typed | None:
    """date'…', timestamp'…', 1L, 1.5F and 1.5BD, which are literals; None for a cast."""
    if not isinstance(node.this, exp.Literal):
        return None
    if _is_decimal_literal(node):
        return _decimal_literal(e, node, node.this.this)
    text, start = node.this.this, node.this.meta.get("start")
    if not node.this.is_string:
        return _suffixed(e, node, text) if _has_suffix(e, node.this) else None
    before, after = e.source.text[:start].rstrip(), e.source.text[node.this.meta["end"] + 1 :].lstrip()
    if before.endswith("(") or after.startswith("::"):
        return None
    return _dated(e, node, text)


def _is_decimal_literal(node: exp.Cast) -> bool:
    """1.5BD, of which sqlglot makes a cast of text that stands nowhere."""
    return isinstance(node.this, exp.Literal) and bool(node.this.is_string) and node.this.meta.get("start") is None


def _dated(e: Expressions, node: exp.Cast, text: str) -> Typed:
    kind = written_type(e, node.to)
    if kind not in _TEMPORAL:
        e.wrong(node, f"a literal after the type {kinds.in_spark(kind)}. Write cast(… as type).")
    try:
        found = literals.temporal(text, kind)
    except ValueError as error:
        e.refuse(node, str(error), "write the literal in full")
    if found is None:
        e.wrong(node, f"'{text}' is no {kinds.in_spark(kind)}.")
    return Typed(found, kind, found if kind == kinds.DATE else None)


def _has_suffix(e: Expressions, literal: exp.Literal) -> bool:
    end = literal.meta.get("end")
    return end is not None and e.source.text[end].isalpha()


def _decimal_literal(e: Expressions, node: exp.Cast, text: str) -> Typed:
    found = literals.exact_number(text)
    if found is None:
        e.wrong(node, f"the number {text} has more than 38 digits.")
    plain, kind = found
    return Typed(f"CAST('{plain}' AS {kinds.in_duckdb(kind)})", kind, plain)


def _suffixed(e: Expressions, node: exp.Cast, text: str) -> Typed:
    """1L, 1S or 1Y, which keep the digits of a literal beside a decimal; 1.5F and 1.5D."""
    kind = written_type(e, node.to)
    word = f"CAST('{text}' AS {kinds.in_duckdb(kind)})"
    if kind in literals.LARGEST:
        if abs(Decimal(text)) > literals.LARGEST[kind]:
            e.wrong(node, f"{text} is no {kinds.in_spark(kind)}.")
        return Typed(word, kind)
    bits = _BITS[kind]
    if not text.lstrip("-").isdigit() or not -(2**bits) <= int(text) < 2**bits:
        e.wrong(node, f"{text} is no {kinds.in_spark(kind)}.")
    return Typed(word, kind, literal=int(text))


def negative_literal(e: Expressions, node: exp.Cast) -> Typed | None:
    """The value of what stands behind a minus that belongs to a literal (-1L, -1::string); None for anything else."""
    if isinstance(node.this, exp.Cast) and not _is_decimal_literal(node.this):
        inner = negative_literal(e, node.this)
        return convert(e, node, inner, written_type(e, node.to), is_try=False) if inner is not None else None
    if not isinstance(node.this, exp.Literal) or not _follows_minus(e, node.this):
        return None
    text = node.this.this
    if node.this.is_string:
        return _decimal_literal(e, node, f"-{text}") if _is_decimal_literal(node) else None
    if _has_suffix(e, node.this):
        return _suffixed(e, node, f"-{text}")
    number = literals.number(f"-{text}")
    if number is None:
        e.wrong(node, f"the number {text} has more than 38 digits.")
    value = Typed(f"CAST('{number[0]}' AS {kinds.in_duckdb(number[1])})", number[1])
    return convert(e, node, value, written_type(e, node.to), is_try=False)


def _follows_minus(e: Expressions, literal: exp.Literal) -> bool:
    start = literal.meta.get("start")
    return start is None or e.source.text[:start].rstrip().endswith("-")


_NAMES = {
    "boolean": kinds.BOOL,
    "tinyint": kinds.TINYINT,
    "smallint": kinds.SMALLINT,
    "int": kinds.INT,
    "bigint": kinds.BIGINT,
    "float": kinds.FLOAT,
    "double": kinds.DOUBLE,
    "decimal": pa.decimal128(10, 0),
    "string": kinds.STRING,
    "binary": kinds.BINARY,
    "date": kinds.DATE,
    "timestamp": TIMESTAMP,
}


@function(
    " ".join(_NAMES),
    1,
    1,
    "int(a), bigint(a), smallint(a), tinyint(a), float(a), double(a), decimal(a), string(a), boolean(a), binary(a), "
    "date(a), timestamp(a)",
    "SELECT int('12') AS a, string(1.5D) AS b",
    group="Casts",
    note="The same as cast; decimal(a) is decimal(10,0).",
)
def _as_call(e: Expressions, node: exp.Anonymous) -> Typed:
    return convert(e, node, e.expr(node.expressions[0]), _NAMES[node.name.lower()], is_try=False)


@function("typeof", 1, 1, "typeof(a) → string", "SELECT typeof(1.50) AS a", group="Casts")
def _type_of(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(kinds.text_literal(kinds.in_spark(e.expr(node.expressions[0]).kind)), kinds.STRING)
