"""Functions over the bits of integers, and the text of numbers in other bases."""

from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, arrow_function, construct, function
from thresher.sql.casting.casts import convert
from thresher.sql.expressions import Expressions, Typed

_numbers = partial(function, group="Numbers")

_BITS = {kinds.TINYINT: 8, kinds.SMALLINT: 16, kinds.INT: 32, kinds.BIGINT: 64}

MACROS.update(
    {
        # Java takes the lowest bits of the distance, and drops what is shifted out.
        "spark_shiftleft_32(a, n)": "spark_lowest_32_bits(a::BIGINT * (1::BIGINT << (n & 31)))",
        "spark_shiftleft_64(a, n)": "spark_lowest_64_bits(a::HUGEINT * (1::HUGEINT << (n & 63)))",
        "spark_shiftright_32(a, n)": "a >> (n & 31)",
        "spark_shiftright_64(a, n)": "a >> (n & 63)::BIGINT",
        "spark_shiftrightunsigned_32(a, n)": "spark_lowest_32_bits((a::BIGINT & 4294967295) >> (n & 31)::BIGINT)",
        "spark_shiftrightunsigned_64(a, n)": (
            "spark_lowest_64_bits((a::HUGEINT & 18446744073709551615) >> (n & 63)::HUGEINT)"
        ),
        "spark_bit(a, n, bits)": (
            "CASE WHEN n < 0 OR n >= bits THEN error('bit ' || n || ' of an integer of ' || bits || ' bits') "
            "ELSE CAST((a::BIGINT >> n::BIGINT) & 1 AS TINYINT) END"
        ),
        "spark_unhex(s)": (
            "CASE WHEN regexp_full_match(s, '[0-9A-Fa-f]*') "
            "THEN from_hex(CASE WHEN length(s) % 2 = 1 THEN '0' || s ELSE s END) END"
        ),
    }
)

_SHIFTS = {"<<": "shiftleft", ">>": "shiftright", ">>>": "shiftrightunsigned"}
_TWO = {"&": "({} & {})", "|": "({} | {})", "^": "xor({}, {})"}


@_numbers("& | ^", 2, 2, "a & b, a | b, a ^ b", "SELECT 5 & 3 AS a, 5 ^ 3 AS b", note="Integers, bit by bit.")
def _both(e: Expressions, node: exp.Anonymous) -> Typed:
    values = e.exprs(node.expressions)
    found = [value.kind for value in values]
    others = [kind for kind in found if kind not in (kinds.STRING, kinds.VOID)]
    if not all(kind in kinds.INTEGERS for kind in others) or (kinds.STRING in found and not others):
        words = f" {node.name} ".join(kinds.in_spark(kind) for kind in found)
        e.wrong(node, f"found {words}; expected integers.")
    kind: pa.DataType = (
        kinds.BIGINT if kinds.STRING in found else max(others, key=kinds.INTEGERS.index, default=kinds.INT)
    )
    one, other = (e.cast(value, kind).sql for value in values)
    return Typed(_TWO[node.name].format(one, other), kind, is_window=any(value.is_window for value in values))


@construct(
    exp.BitwiseNot,
    parts="this",
    group="Numbers",
    signature="~a",
    note="All bits the other way.",
    example="SELECT ~5 AS a",
)
def _not(e: Expressions, node: exp.BitwiseNot) -> Typed:
    value = _integer(e, node, node.this, "~")
    return Typed(f"(~ {value.sql})", value.kind, is_window=value.is_window)


def _integer(e: Expressions, node: exp.Expr, argument: exp.Expr, what: str) -> Typed:
    value = e.expr(argument)
    if value.kind == kinds.VOID:
        return e.cast(value, kinds.INT)
    if value.kind not in kinds.INTEGERS:
        e.wrong(node, f"{what} of {kinds.in_spark(value.kind)}; expected an integer.")
    return value


@_numbers(
    "<< >> >>> shiftleft shiftright shiftrightunsigned",
    2,
    2,
    "a << n, a >> n, a >>> n, shiftleft(a, n), shiftright(a, n), shiftrightunsigned(a, n)",
    "SELECT 1 << 3 AS a, shiftright(-8, 1) AS b",
    note="int, or bigint for a bigint; n counts modulo 32 or 64.",
)
def _shift(e: Expressions, node: exp.Anonymous) -> Typed:
    name = _SHIFTS.get(node.name, node.name.lower())
    value, distance = e.exprs(node.expressions)
    kind = kinds.BIGINT if value.kind == kinds.BIGINT else kinds.INT
    value = e.coerce(node, value, kind, f"what {name} moves")
    distance = e.coerce(node, distance, kinds.INT, f"the distance of {name}")
    return Typed(f"spark_{name}_{_BITS[kind]}({value.sql}, {distance.sql})", kind)


@_numbers("bit_count", 1, 1, "bit_count(a) → int", "SELECT bit_count(5) AS a", note="Of the 64 bits; also booleans.")
def _count(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if value.kind != kinds.BOOL:
        value = _integer(e, node, node.expressions[0], "bit_count")
    return Typed(f"CAST(bit_count(CAST({value.sql} AS BIGINT)) AS INTEGER)", kinds.INT)


@_numbers(
    "getbit bit_get",
    2,
    2,
    "getbit(a, n) → tinyint",
    "SELECT getbit(5, 2) AS a",
    note="n counts from the right, from 0.",
)
def _bit(e: Expressions, node: exp.Anonymous) -> Typed:
    value = _integer(e, node, node.expressions[0], node.name)
    place = e.coerce(node, e.expr(node.expressions[1]), kinds.INT, f"the place of {node.name}")
    return Typed(f"spark_bit({value.sql}, {place.sql}, {_BITS[value.kind]})", kinds.TINYINT)


@_numbers(
    "hex", 1, 1, "hex(a)", "SELECT hex(255) AS a, hex('Spark') AS b", note="Of a number (as bigint), text or binary."
)
def _hex(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if kinds.is_number(value.kind) or value.kind == kinds.VOID:
        # DuckDB's hex of a negative BIGINT has 16 digits, as Spark's.
        return Typed(f"hex({e.cast(value, kinds.BIGINT).sql})", kinds.STRING)
    if value.kind != kinds.BINARY:
        value = e.coerce(node, value, kinds.STRING, "the argument of hex")
    return Typed(f"hex({value.sql})", kinds.STRING)


@_numbers(
    "unhex", 1, 1, "unhex(s) → binary", "SELECT unhex('537061') AS a", note="NULL for text that is not hexadecimal."
)
def _unhex(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_unhex({_text(e, node)})", kinds.BINARY)


def _text(e: Expressions, node: exp.Anonymous) -> str:
    value = e.expr(node.expressions[0])
    if value.kind == kinds.BINARY:
        return convert(e, node, value, kinds.STRING, is_try=False).sql
    return e.coerce(node, value, kinds.STRING, f"the argument of {node.name}").sql


@_numbers("bin", 1, 1, "bin(a)", "SELECT bin(13) AS a", note="The 64 bits of a negative number.")
def _bin(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.coerce(node, e.expr(node.expressions[0]), kinds.BIGINT, "the argument of bin")
    return Typed(f"bin({value.sql})", kinds.STRING)


@_numbers(
    "conv",
    3,
    3,
    "conv(s, from, to)",
    "SELECT conv('ff', 16, 10) AS a",
    note="Bases 2 to 36, to a negative base with a sign; digits end at the first other character.",
)
def _conv(e: Expressions, node: exp.Anonymous) -> Typed:
    bases = [e.coerce(node, e.expr(part), kinds.INT, "a base of conv").sql for part in node.expressions[1:]]
    return Typed(f"spark_conv({_text(e, node)}, {', '.join(bases)})", kinds.STRING)


@arrow_function("spark_conv", ["VARCHAR", "INTEGER", "INTEGER"], "VARCHAR")
def _converted(texts: pa.Array, old: pa.Array, new: pa.Array) -> pa.Array:
    rows = zip(texts.to_pylist(), old.to_pylist(), new.to_pylist(), strict=True)
    return pa.array([None if None in row else in_base(*row) for row in rows], pa.string())


_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def in_base(text: str, old: int, new: int) -> str | None:
    """The whole number at the start of a text, in another base; None for a base outside 2 to 36.

    >>> in_base("ff", 16, 10), in_base("-1", 10, 16), in_base("-1", 10, -16), in_base("x", 10, 2)
    ('255', 'FFFFFFFFFFFFFFFF', '-1', '0')
    """
    text = text.strip(" ")
    if not 2 <= old <= 36 or not 2 <= abs(new) <= 36 or not text:
        return None
    value = 0
    for character in text.removeprefix("-").upper():
        digit = _DIGITS.find(character)
        if not 0 <= digit < old:
            break
        value = value * old + digit
    if value >= 2**64:
        raise ValueError(f"conv: {text} in base {old} has more than 64 bits")
    is_negative = text.startswith("-")
    if is_negative and new > 0:
        value = -value & 2**64 - 1 if value < 2**63 else 2**64 - 1
    if new < 0 and value >= 2**63:
        value, is_negative = 2**64 - value, True
    return "-" * (is_negative and new < 0) + _written(value, abs(new))


def _written(value: int, base: int) -> str:
    digits = ""
    while value or not digits:
        value, digit = divmod(value, base)
        digits = _DIGITS[digit] + digits
    return digits
