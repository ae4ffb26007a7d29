"""Functions that build and compare strings."""

from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, construct, function
from thresher.sql.casting.casts import convert
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.texts.row_functions import row_function

_strings = partial(function, group="Strings")


def argument(e: Expressions, node: exp.Anonymous, position: int) -> Typed:
    """An argument of a function that takes text, as text."""
    return e.text(node.expressions[position], f"argument {position + 1} of {node.name.lower()}")


def whole(e: Expressions, node: exp.Expr, what: str) -> str:
    """An argument that is an int."""
    return e.coerce(node, e.expr(node), kinds.INT, what).sql


def typed_argument(e: Expressions, node: exp.Anonymous, position: int) -> Typed:
    """Text or bytes; anything else becomes text."""
    value = e.expr(node.expressions[position])
    if value.kind == kinds.BINARY:
        return value
    return e.coerce(node, value, kinds.STRING, f"argument {position + 1} of {node.name.lower()}")


@_strings(
    "length len char_length character_length",
    1,
    1,
    "length(s) → int",
    "SELECT length('😀é') AS a",
    note="Characters (code points); of a binary its bytes.",
)
def _length(e: Expressions, node: exp.Anonymous) -> Typed:
    value = typed_argument(e, node, 0)
    name = "octet_length" if value.kind == kinds.BINARY else "length"
    return Typed(f"CAST({name}({value.sql}) AS INTEGER)", kinds.INT)


@_strings(
    "bit_length octet_length", 1, 1, "bit_length(s) → int, octet_length(s) → int", "SELECT octet_length('é') AS a"
)
def _size(e: Expressions, node: exp.Anonymous) -> Typed:
    value = typed_argument(e, node, 0)
    factor = 8 if node.name.lower() == "bit_length" else 1
    name = "octet_length" if value.kind == kinds.BINARY else "strlen"
    return Typed(f"CAST({name}({value.sql}) * {factor} AS INTEGER)", kinds.INT)


MACROS["spark_ascii(s)"] = "CASE WHEN s = '' THEN 0 ELSE unicode(s) END"
MACROS["spark_chr(n)"] = (
    "CASE WHEN n IS NULL THEN NULL WHEN n < 0 THEN '' ELSE chr(CAST(n & CAST(255 AS BIGINT) AS INTEGER)) END"
)


@_strings("ascii", 1, 1, "ascii(s) → int", "SELECT ascii('é') AS a", note="The first character's code point.")
def _ascii(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_ascii({argument(e, node, 0).sql})", kinds.INT)


@_strings("chr char", 1, 1, "chr(n)", "SELECT chr(65) AS a", note="Of n modulo 256; '' for a negative number.")
def _chr(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.coerce(node, e.expr(node.expressions[0]), kinds.BIGINT, "the number of chr")
    return Typed(f"spark_chr({value.sql})", kinds.STRING)


@_strings(
    "concat",
    0,
    -1,
    "concat(s, t, …), s || t",
    "SELECT concat('a', 1) || 'b' AS a",
    note="Of text, of binaries or of arrays; other values become text. NULL with a NULL in it.",
)
def _concat(e: Expressions, node: exp.Anonymous) -> Typed:
    return _joined(e, node, e.exprs(node.expressions))


@construct(exp.DPipe, parts="this expression safe")
def _pipes(e: Expressions, node: exp.DPipe) -> Typed:
    return _joined(e, node, [e.expr(node.this), e.expr(node.expression)])


def _joined(e: Expressions, node: exp.Expr, values: list[Typed]) -> Typed:
    is_window = any(value.is_window for value in values)
    if not values:
        return Typed("''", kinds.STRING)
    if any(kinds.is_array(value.kind) for value in values):
        for value in values:
            if not kinds.is_array(value.kind):
                e.wrong(node, f"an array joined to {kinds.in_spark(value.kind)}; expected arrays only.")
        if any(value.kind == kinds.VOID for value in values):
            e.wrong(node, "concat of arrays and NULL; expected arrays only.")
        values, kind = e.common(node, values, "concat")
        absent = " OR ".join(f"{value.sql} IS NULL" for value in values)
        sql = f"CASE WHEN {absent} THEN NULL ELSE list_concat({', '.join(value.sql for value in values)}) END"
        return Typed(f"CAST({sql} AS {kinds.in_duckdb(kind)})", kind, is_window=is_window)
    kind = kinds.BINARY if all(value.kind == kinds.BINARY for value in values) else kinds.STRING
    parts = [e.coerce(node, value, kind, "an operand of concat").sql for value in values]
    # The cast: DuckDB gives text || NULL no type of its own.
    return Typed(f"CAST(({' || '.join(parts)}) AS {kinds.in_duckdb(kind)})", kind, is_window=is_window)


@row_function("spark_words_joined", ["VARCHAR", "VARCHAR[]"], "VARCHAR")
def _words_joined(separator: str, words: list[str | None]) -> str:
    return separator.join(word for word in words if word is not None)


@_strings(
    "concat_ws",
    1,
    -1,
    "concat_ws(separator, s, t, …)",
    "SELECT concat_ws('|', 'a', NULL, array('b', 'c')) AS a",
    note="Text and arrays of text; NULLs are skipped.",
)
def _concat_ws(e: Expressions, node: exp.Anonymous) -> Typed:
    separator = argument(e, node, 0).sql
    values = e.exprs(node.expressions[1:])
    if not any(kinds.is_array(value.kind) for value in values):
        parts = [e.coerce(node, value, kinds.STRING, "a part of concat_ws").sql for value in values]
        words = ", ".join(f"CAST({part} AS VARCHAR)" for part in [separator, *parts])
        return Typed(f"concat_ws({words})" if parts else f"substring({words}, 1, 0)", kinds.STRING)
    lists = []
    for value in values:
        if not kinds.is_array(value.kind):
            lists.append(f"[{e.coerce(node, value, kinds.STRING, 'a part of concat_ws').sql}]")
            continue
        if not kinds.is_atomic(value.kind.value_type):
            e.wrong(node, f"a part of concat_ws is {kinds.in_spark(value.kind)}; expected text or an array of text.")
        lists.append(f"coalesce({convert(e, node, value, kinds.array_of(kinds.STRING), is_try=False).sql}, [])")
    return Typed(f"spark_words_joined({separator}, list_concat({', '.join(lists)}))", kinds.STRING)


@row_function("spark_bytes_have", ["BLOB", "BLOB", "VARCHAR"], "BOOLEAN")
def _bytes_have(value: bytes, part: bytes, where: str) -> bool:
    if where == "contains":
        return part in value
    return value.startswith(part) if where == "startswith" else value.endswith(part)


@_strings(
    "startswith endswith contains",
    2,
    2,
    "startswith(s, t), endswith(s, t), contains(s, t)",
    "SELECT contains('abc', 'b') AS a",
)
def _contains(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    values = e.exprs(node.expressions)
    if all(value.kind == kinds.BINARY for value in values):
        return Typed(f"spark_bytes_have({values[0].sql}, {values[1].sql}, '{name}')", kinds.BOOL)
    word = {"startswith": "starts_with", "endswith": "ends_with", "contains": "contains"}[name]
    texts = ", ".join(e.coerce(node, value, kinds.STRING, f"an argument of {name}").sql for value in values)
    return Typed(f"{word}({texts})", kinds.BOOL)


@_strings("replace", 2, 3, "replace(s, search [, replacement])", "SELECT replace('abc', 'b', '') AS a")
def _replace(e: Expressions, node: exp.Anonymous) -> Typed:
    parts = [argument(e, node, position).sql for position in range(len(node.expressions))]
    return Typed(f"replace({', '.join([*parts, chr(39) * 2][:3])})", kinds.STRING)


@_strings("repeat", 2, 2, "repeat(s, n)", "SELECT repeat('ab', 2) AS a", note="'' where n is not positive.")
def _repeat(e: Expressions, node: exp.Anonymous) -> Typed:
    count = whole(e, node.expressions[1], "the count of repeat")
    return Typed(f"repeat({argument(e, node, 0).sql}, {count})", kinds.STRING)


@_strings("space", 1, 1, "space(n)", "SELECT concat(space(2), 'x') AS a")
def _space(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"repeat(' ', {whole(e, node.expressions[0], 'the count of space')})", kinds.STRING)


@row_function("spark_reverse_any", ["VARCHAR"], "VARCHAR")
def _reverse_any(text: str) -> str:
    return text[::-1]


@row_function("spark_reverse_bytes", ["BLOB"], "BLOB")
def _reverse_bytes(value: bytes) -> bytes:
    return value[::-1]


# DuckDB reverses clusters of characters, such as a letter and the accent behind it, as one.
MACROS["spark_reverse(s)"] = "CASE WHEN strlen(s) = length(s) THEN reverse(s) ELSE spark_reverse_any(s) END"


@_strings("reverse", 1, 1, "reverse(s)", "SELECT reverse('añb') AS a", note="Text, binary or an array.")
def _reverse(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if kinds.is_array(value.kind):
        return Typed(f"list_reverse({value.sql})", value.kind)
    if value.kind == kinds.BINARY:
        return Typed(f"spark_reverse_bytes({value.sql})", kinds.BINARY)
    return Typed(f"spark_reverse({argument(e, node, 0).sql})", kinds.STRING)


MACROS["spark_translate(s, a, b)"] = (
    "CASE WHEN contains(b, chr(0)) THEN error('not proven equal to Spark: translate to a NUL character') "
    "ELSE translate(s, a, b) END"
)


@_strings("translate", 3, 3, "translate(s, characters, replacements)", "SELECT translate('abc', 'ab', 'x') AS a")
def _translate(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_translate({', '.join(argument(e, node, n).sql for n in range(3))})", kinds.STRING)


MACROS["spark_quote(s)"] = "CAST('''' || replace(s, '''', chr(92) || '''') || '''' AS VARCHAR)"


@_strings("quote", 1, 1, "quote(s)", 'SELECT quote("it\'s") AS a', note="In single quotes, with \\' for a quote.")
def _quote(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_quote({argument(e, node, 0).sql})", kinds.STRING)


@_strings(
    "collate", 2, 2, "collate(s, 'UTF8_BINARY')", "SELECT collate('a', 'UTF8_BINARY') AS a", note="UTF8_BINARY only."
)
def _collate_call(e: Expressions, node: exp.Anonymous) -> Typed:
    name = e.expr(node.expressions[1]).literal
    return _collated(e, node, e.expr(node.expressions[0]), name)


@construct(exp.Collate, parts="this expression")
def _collate(e: Expressions, node: exp.Collate) -> Typed:
    return _collated(e, node, e.expr(node.this), node.expression.name)


def _collated(e: Expressions, node: exp.Expr, value: Typed, name: object) -> Typed:
    if value.kind not in (kinds.STRING, kinds.VOID):
        e.wrong(node, f"a collation of {kinds.in_spark(value.kind)}; expected text.")
    if not isinstance(name, str) or name.upper() != "UTF8_BINARY":
        e.refuse(node, f"the collation {name}", "use UTF8_BINARY, or lower(…) to compare without regard to case")
    return value
