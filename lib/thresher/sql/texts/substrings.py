"""Functions that take strings apart or find places in them."""

from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, construct, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.texts.row_functions import row_function
from thresher.sql.texts.strings import argument, whole

_strings = partial(function, group="Strings")
_FAR = "2147483647"

MACROS["spark_substring(s, p, n)"] = (
    "CASE WHEN s IS NULL OR p IS NULL OR n IS NULL THEN NULL "
    "WHEN p = -2147483648 THEN error('not proven equal to Spark: substring from -2147483648') "
    "ELSE spark_slice(s, CASE WHEN p > 0 THEN p::BIGINT - 1 WHEN p < 0 THEN length(s) + p ELSE 0 END, n) END"
)
MACROS["spark_slice(s, first, n)"] = (
    "substring(s, greatest(first, 0) + 1, greatest(least(first + n, length(s)) - greatest(first, 0), 0))"
)
MACROS["spark_left(s, n)"] = "CASE WHEN s IS NULL OR n IS NULL THEN NULL ELSE substring(s, 1, greatest(n, 0)) END"
MACROS["spark_right(s, n)"] = (
    "CASE WHEN s IS NULL OR n IS NULL THEN NULL WHEN n <= 0 THEN '' "
    "ELSE substring(s, greatest(length(s) - n, 0) + 1, n) END"
)


@row_function("spark_bytes_between", ["BLOB", "INTEGER", "INTEGER"], "BLOB")
def _bytes_between(value: bytes, position: int, size: int) -> bytes:
    if position == -(2**31):
        raise ValueError("not proven equal to Spark: substring from -2147483648")
    start = position - 1 if position > 0 else len(value) + position if position < 0 else 0
    return value[max(start, 0) : max(start + size, 0)] if start + size > max(start, 0) else b""


@construct(
    exp.Substring,
    parts="this start length zero_start",
    group="Strings",
    signature="substring(s, position [, length]), substr(…), substring(s FROM position [FOR length])",
    note="From 1; 0 counts as 1, negative from the end. Text or binary.",
    example="SELECT substring('abc', -2, 1) AS a",
)
def _substring(e: Expressions, node: exp.Substring) -> Typed:
    if node.args.get("start") is None or node.args.get("zero_start") is not None:
        e.wrong(node, "substring takes a text, a position and at most a length.")
    value = e.expr(node.this)
    start = whole(e, node.args["start"], "the position of substring")
    length = node.args.get("length")
    size = whole(e, length, "the length of substring") if length is not None else _FAR
    return _part(e, node, value, start, size)


def _part(e: Expressions, node: exp.Expr, value: Typed, start: str, size: str) -> Typed:
    if value.kind == kinds.BINARY:
        return Typed(f"spark_bytes_between({value.sql}, {start}, {size})", kinds.BINARY)
    text = e.coerce(node, value, kinds.STRING, "the text of substring").sql
    return Typed(f"spark_substring({text}, {start}, {size})", kinds.STRING)


@_strings("left right", 2, 2, "left(s, n), right(s, n)", "SELECT right('abc', 2) AS a")
def _end(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    size = whole(e, node.expressions[1], f"the length of {name}")
    value = e.expr(node.expressions[0])
    if name == "left" and value.kind == kinds.BINARY:
        return _part(e, node, value, "1", size)
    return Typed(f"spark_{name}({argument(e, node, 0).sql}, {size})", kinds.STRING)


@construct(
    exp.Trim,
    parts="this position expression",
    group="Strings",
    signature="trim(s), trim([BOTH | LEADING | TRAILING] ['xy'] FROM s), trim('xy', s)",
    note="Spaces only, unless characters are named.",
    example="SELECT trim('  x ') AS a",
)
def _trim(e: Expressions, node: exp.Trim) -> Typed:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
    characters = e.text(node.expression, f"the characters of {name}").sql if node.expression else "' '"
    return Typed(f"{name}({e.text(node.this, name).sql}, {characters})", kinds.STRING)


@_strings(
    "ltrim rtrim btrim",
    1,
    2,
    "ltrim([characters,] s), rtrim([characters,] s), btrim(s [, characters])",
    "SELECT ltrim('x', 'xa') AS a",
)
def _side_trim(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    parts = [argument(e, node, position).sql for position in range(len(node.expressions))]
    if name != "btrim":
        parts.reverse()
    return Typed(f"{name.replace('btrim', 'trim')}({parts[0]}, {(*parts, chr(39) + ' ' + chr(39))[1]})", kinds.STRING)


# The pad is in CASE's hands: DuckDB's own functions fail where it is empty.
for _name in ("lpad", "rpad"):
    MACROS[f"spark_{_name}(s, n, p)"] = (
        f"CASE WHEN p = '' THEN spark_left(s, n) ELSE {_name}(s, greatest(n, 0) + 0 * n, p) END"
    )


@row_function("spark_bytes_padded", ["BLOB", "INTEGER", "BLOB", "VARCHAR"], "BLOB")
def _bytes_padded(value: bytes, size: int, pad: bytes, name: str) -> bytes:
    if size < 0:
        raise ValueError(f"{name} of a binary to {size} bytes; expected 0 or more")
    if size <= len(value) or not pad:
        return value[:size]
    missing = size - len(value)
    filling = (pad * (missing // len(pad) + 1))[:missing]
    return filling + value if name == "lpad" else value + filling


@_strings("lpad rpad", 2, 3, "lpad(s, length [, pad]), rpad(s, length [, pad])", "SELECT lpad('7', 3, '0') AS a")
def _pad(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    values = [e.expr(part) for part in (node.expressions[0], *node.expressions[2:])]
    size = whole(e, node.expressions[1], f"the length of {name}")
    if all(value.kind == kinds.BINARY for value in values):
        pad = values[1].sql if len(values) > 1 else "'\\x00'::BLOB"
        return Typed(f"spark_bytes_padded({values[0].sql}, {size}, {pad}, '{name}')", kinds.BINARY)
    texts = [e.coerce(node, value, kinds.STRING, f"an argument of {name}").sql for value in values]
    return Typed(f"spark_{name}({texts[0]}, {size}, {(*texts, chr(39) + ' ' + chr(39))[1]})", kinds.STRING)


# From the position on; the rest of the text before it is kept, then what lies behind the replaced part.
MACROS["spark_overlay(s, r, p, n)"] = (
    "CAST(spark_substring(s, 1, p - 1) || r || "
    "spark_substring(s, p + CASE WHEN n >= 0 THEN n ELSE length(r) END, 2147483647) AS VARCHAR)"
)


@row_function("spark_bytes_overlaid", ["BLOB", "BLOB", "INTEGER", "INTEGER"], "BLOB")
def _bytes_overlaid(value: bytes, part: bytes, position: int, size: int) -> bytes:
    rest = position + (size if size >= 0 else len(part))
    return _bytes_between(value, 1, position - 1) + part + _bytes_between(value, rest, 2**31)


@construct(
    exp.Overlay,
    parts="this expression from_ for_",
    group="Strings",
    signature="overlay(s PLACING r FROM position [FOR length]), overlay(s, r, position [, length])",
    note="Text or binary.",
    example="SELECT overlay('abc' PLACING 'X' FROM 2) AS a",
)
def _overlay(e: Expressions, node: exp.Overlay) -> Typed:
    if node.args.get("expression") is None or node.args.get("from_") is None:
        e.wrong(node, "overlay takes a text, another one, a position and at most a length.")
    values = [e.expr(node.this), e.expr(node.expression)]
    start = whole(e, node.args["from_"], "the position of overlay")
    size = whole(e, node.args["for_"], "the length of overlay") if node.args.get("for_") else "-1"
    found = {value.kind for value in values}
    if found == {kinds.BINARY, kinds.STRING}:
        e.wrong(node, "overlay of text and binary together; expected two of the same.")
    if kinds.BINARY in found:
        parts = [e.coerce(node, value, kinds.BINARY, "an argument of overlay").sql for value in values]
        return Typed(f"spark_bytes_overlaid({', '.join(parts)}, {start}, {size})", kinds.BINARY)
    parts = [e.coerce(node, value, kinds.STRING, "an argument of overlay").sql for value in values]
    return Typed(f"spark_overlay({', '.join(parts)}, CAST({start} AS BIGINT), {size})", kinds.STRING)


@_strings("instr", 2, 2, "instr(s, t) → int", "SELECT instr('abc', 'c') AS a", note="From 1; 0 where it is not found.")
def _instr(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"CAST(instr({argument(e, node, 0).sql}, {argument(e, node, 1).sql}) AS INTEGER)", kinds.INT)


MACROS["spark_locate(t, s, p)"] = (
    "CASE WHEN p IS NULL THEN 0 WHEN s IS NULL OR t IS NULL THEN NULL WHEN p < 1 THEN 0 WHEN t = '' THEN 1 "
    "WHEN contains(substring(s, p), t) THEN CAST(instr(substring(s, p), t) AS INTEGER) + p - 1 ELSE 0 END"
)


@construct(
    exp.StrPosition,
    parts="this substr position",
    group="Strings",
    signature="position(t IN s) → int, position(t, s [, from])",
    example="SELECT position('c' IN 'abc') AS a",
)
def _position(e: Expressions, node: exp.StrPosition) -> Typed:
    return _located(e, node.args["substr"], node.this, node.args.get("position"))


@_strings("locate", 2, 3, "locate(t, s [, from]) → int", "SELECT locate('b', 'abcb', 3) AS a")
def _locate(e: Expressions, node: exp.Anonymous) -> Typed:
    return _located(e, *node.expressions)


def _located(e: Expressions, part: exp.Expr, value: exp.Expr, start: exp.Expr | None = None) -> Typed:
    first, second = e.text(part, "the text to find").sql, e.text(value, "the text to search").sql
    place = whole(e, start, "the position to search from") if start is not None else "1"
    return Typed(f"spark_locate({first}, {second}, {place})", kinds.INT)


MACROS["spark_find_in_set(a, b)"] = (
    "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN contains(a, ',') THEN 0 "
    "ELSE coalesce(CAST(list_position(string_split(b, ','), a) AS INTEGER), 0) END"
)


@_strings("find_in_set", 2, 2, "find_in_set(s, 'a,b') → int", "SELECT find_in_set('b', 'a,b') AS a")
def _find_in_set(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_find_in_set({argument(e, node, 0).sql}, {argument(e, node, 1).sql})", kinds.INT)


MACROS["spark_split_part(s, d, n)"] = (
    "CASE WHEN s IS NULL OR d IS NULL OR n IS NULL THEN NULL "
    "WHEN n = 0 THEN error('split_part counts from 1, found 0') "
    "ELSE coalesce(list_extract(CASE WHEN d = '' THEN [s] ELSE string_split(s, d) END, n), '') END"
)


@_strings(
    "split_part",
    3,
    3,
    "split_part(s, separator, n)",
    "SELECT split_part('a.b', '.', 2) AS a",
    note="'' beyond.",
)
def _split_part(e: Expressions, node: exp.Anonymous) -> Typed:
    count = whole(e, node.expressions[2], "the number of split_part")
    return Typed(f"spark_split_part({argument(e, node, 0).sql}, {argument(e, node, 1).sql}, {count})", kinds.STRING)


@row_function("spark_substring_index", ["VARCHAR", "VARCHAR", "INTEGER"], "VARCHAR")
def _substring_index_of(text: str, separator: str, count: int) -> str:
    if not separator or not count:
        return ""
    place = -1 if count > 0 else len(text) - len(separator) + 1
    for _ in range(abs(count)):  # occurrences may overlap
        if count > 0:
            place = text.find(separator, place + 1)
        else:
            place = text.rfind(separator, 0, place - 1 + len(separator)) if place > 0 else -1
        if place < 0:
            return text
    return text[:place] if count > 0 else text[place + len(separator) :]


@_strings(
    "substring_index",
    3,
    3,
    "substring_index(s, separator, n)",
    "SELECT substring_index('a.b.c', '.', 2) AS a",
    note="What stands before the nth separator; for a negative n behind the nth from the end.",
)
def _substring_index(e: Expressions, node: exp.Anonymous) -> Typed:
    count = whole(e, node.expressions[2], "the count of substring_index")
    return Typed(
        f"spark_substring_index({argument(e, node, 0).sql}, {argument(e, node, 1).sql}, {count})", kinds.STRING
    )


@_strings(
    "elt",
    2,
    -1,
    "elt(n, s, t, …)",
    "SELECT elt(2, 'a', 'b') AS a",
    note="The nth text; outside of them an error.",
)
def _elt(e: Expressions, node: exp.Anonymous) -> Typed:
    number = whole(e, node.expressions[0], "the number of elt")
    values = e.exprs(node.expressions[1:])
    is_binary = all(value.kind == kinds.BINARY for value in values)
    texts = values if is_binary else [argument(e, node, position) for position in range(1, len(node.expressions))]
    branches = " ".join(f"WHEN {place} THEN {text.sql}" for place, text in enumerate(texts, 1))
    failed = f"error('elt: a number outside 1 to {len(texts)}')"
    return Typed(
        f"CASE WHEN {number} IS NOT NULL THEN CASE {number} {branches} ELSE {failed} END END",
        kinds.BINARY if is_binary else kinds.STRING,
    )
