"""Functions over numbers, strings and structs."""

from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct, function
from thresher.sql.expressions import Expressions, Typed

_numbers = partial(function, group="Numbers")
_strings = partial(function, group="Strings")
_structs = partial(function, group="Arrays and structs")


@_numbers("abs", 1, 1, "abs(a)", "SELECT abs(-1.5) AS a", note="The smallest integer is an error.")
def _abs(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if not kinds.is_exact(value.kind) and value.kind != kinds.DOUBLE:
        e.refuse(node, f"abs({kinds.in_spark(value.kind)})", "cast to a number")
    return Typed(f"abs({value.sql})", value.kind)


@_numbers(
    "floor ceil",
    1,
    1,
    "floor(a), ceil(a)",
    "SELECT floor(-1.5) AS a",
    note="Integers give bigint, decimals a decimal.",
)
def _floor(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    name = "floor" if node.name.lower() == "floor" else "ceil"
    if value.kind in kinds.INTEGERS:
        return e.cast(value, kinds.BIGINT)
    if kinds.is_decimal(value.kind):
        kind = pa.decimal128(value.kind.precision - value.kind.scale + (1 if value.kind.scale else 0), 0)
        if kind.precision > kinds.MAX_PRECISION:
            e.refuse(node, f"{name}({kinds.in_spark(value.kind)})")
        return Typed(f"CAST({name}({value.sql}) AS {kinds.in_duckdb(kind)})", kind)
    e.refuse(node, f"{name}({kinds.in_spark(value.kind)})", "cast to a decimal")


@_numbers(
    "round",
    1,
    2,
    "round(a [, digits])",
    "SELECT round(2.345, 2) AS a",
    note="Decimals, digits a literal from 0 on; half away from zero.",
)
def _round(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    digits = e.expr(node.expressions[1]).literal if len(node.expressions) > 1 else 0
    if not kinds.is_decimal(value.kind):
        e.refuse(node, f"round({kinds.in_spark(value.kind)})", "cast to a decimal")
    if not isinstance(digits, int) or digits < 0:
        e.refuse(node, "round to something that is not a literal number of digits")
    scale = min(value.kind.scale, digits)
    precision = value.kind.precision - value.kind.scale + 1 + scale
    if precision > kinds.MAX_PRECISION:
        e.refuse(node, f"round({kinds.in_spark(value.kind)})", "cast to a narrower decimal")
    kind = pa.decimal128(precision, scale)
    return Typed(f"CAST({value.sql} AS {kinds.in_duckdb(kind)})", kind)


@_strings(
    "upper ucase lower lcase",
    1,
    1,
    "upper(s), lower(s)",
    "SELECT upper('straße') AS a",
    note="A few characters whose other case is several characters or depends on their neighbours are an error.",
)
def _case(e: Expressions, node: exp.Anonymous) -> Typed:
    name = "upper" if node.name.lower() in ("upper", "ucase") else "lower"
    return Typed(f"spark_{name}({e.text(node.expressions[0], name).sql})", kinds.STRING)


@_strings(
    "length len char_length",
    1,
    1,
    "length(s) → int",
    "SELECT length('😀é') AS a",
    note="Characters (code points).",
)
def _length(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"CAST(length({e.text(node.expressions[0], 'length').sql}) AS INTEGER)", kinds.INT)


def _integer(e: Expressions, node: exp.Expr, what: str) -> str:
    return e.coerce(node, e.expr(node), kinds.INT, what).sql


@construct(
    exp.Substring,
    parts="this start length",
    group="Strings",
    signature="substring(s, position [, length]), substr(…)",
    note="From 1; 0 counts as 1, negative from the end.",
    example="SELECT substring('abc', -2, 1) AS a",
)
def _substring(e: Expressions, node: exp.Substring) -> Typed:
    raw = e.expr(node.this)
    value = e.coerce(node, raw, kinds.STRING, "substring").sql
    if node.args.get("start") is None:
        e.wrong(node, "substring takes a position.")
    start = _integer(e, node.args["start"], "the position of substring")
    length = node.args.get("length")
    size = _integer(e, length, "the length of substring") if length is not None else "2147483647"
    return Typed(f"spark_substring({value}, {start}, {size})", kinds.STRING)


@construct(
    exp.Trim,
    parts="this position expression",
    group="Strings",
    signature="trim(s), trim([BOTH | LEADING | TRAILING] 'xy' FROM s), ltrim(s), rtrim(s)",
    note="Spaces only, unless characters (ASCII) are named.",
    example="SELECT trim('  x ') AS a",
)
def _trim(e: Expressions, node: exp.Trim) -> Typed:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
    characters = " "
    if node.expression:
        literal = e.expr(node.expression).literal
        if not isinstance(literal, str) or not literal.isascii() or not literal:
            e.refuse(node, f"{name} of characters that are not an ASCII literal")
        characters = literal
    return Typed(f"{name}({e.text(node.this, name).sql}, {kinds.text_literal(characters)})", kinds.STRING)


@_strings("ltrim rtrim btrim", 1, 1, "btrim(s)", "SELECT btrim(' x ') AS a")
def _side_trim(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower().replace("btrim", "trim")
    return Typed(f"{name}({e.text(node.expressions[0], name).sql}, ' ')", kinds.STRING)


@_strings(
    "concat", 1, -1, "concat(s, t, …), s || t", "SELECT 'a' || 'b' AS a", note="Strings only; NULL with a NULL in it."
)
def _concat(e: Expressions, node: exp.Anonymous) -> Typed:
    return _joined([e.text(part, "concat").sql for part in node.expressions])


def _joined(parts: list[str]) -> Typed:
    # The cast: DuckDB gives text || NULL no type of its own.
    return Typed(f"CAST(({' || '.join(parts)}) AS VARCHAR)", kinds.STRING)


@construct(exp.DPipe, parts="this expression safe")
def _pipes(e: Expressions, node: exp.DPipe) -> Typed:
    left, right = e.expr(node.this), e.expr(node.expression)
    one, other = e.coerce(node, left, kinds.STRING, "||"), e.coerce(node, right, kinds.STRING, "||")
    return _joined([one.sql, other.sql])


@_strings(
    "concat_ws",
    2,
    -1,
    "concat_ws(separator, s, t, …)",
    "SELECT concat_ws('|', 'a', NULL, 'b') AS a",
    note="Strings only; NULLs are skipped.",
)
def _concat_ws(e: Expressions, node: exp.Anonymous) -> Typed:
    parts = [e.text(part, "concat_ws").sql for part in node.expressions]
    return Typed(f"concat_ws({', '.join(f'CAST({part} AS VARCHAR)' for part in parts)})", kinds.STRING)


@_strings("replace", 3, 3, "replace(s, search, replacement)", "SELECT replace('abc', 'b', '') AS a")
def _replace(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"replace({', '.join(e.text(part, 'replace').sql for part in node.expressions)})", kinds.STRING)


@_strings(
    "lpad rpad",
    2,
    3,
    "lpad(s, length [, pad]), rpad(s, length [, pad])",
    "SELECT lpad('7', 3, '0') AS a",
    note="The pad is a literal, not empty.",
)
def _pad(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    pad = e.expr(node.expressions[2]).literal if len(node.expressions) > 2 else " "
    if not isinstance(pad, str) or not pad:
        e.refuse(node, f"{name} with a pad that is not a literal, or empty")
    value, size = e.text(node.expressions[0], name).sql, _integer(e, node.expressions[1], f"the length of {name}")
    return Typed(f"{name}({value}, greatest({size}, 0) + 0 * {size}, {kinds.text_literal(pad)})", kinds.STRING)


@_strings("left right", 2, 2, "left(s, n), right(s, n)", "SELECT right('abc', 2) AS a")
def _end(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    value, size = e.text(node.expressions[0], name).sql, _integer(e, node.expressions[1], f"the length of {name}")
    return Typed(f"spark_{name}({value}, {size})", kinds.STRING)


@_strings(
    "startswith endswith contains",
    2,
    2,
    "startswith(s, t), endswith(s, t), contains(s, t)",
    "SELECT contains('abc', 'b') AS a",
)
def _contains(e: Expressions, node: exp.Anonymous) -> Typed:
    name = {"startswith": "starts_with", "endswith": "ends_with", "contains": "contains"}[node.name.lower()]
    return Typed(f"{name}({', '.join(e.text(part, node.name).sql for part in node.expressions)})", kinds.BOOL)


@_strings("instr", 2, 2, "instr(s, t) → int", "SELECT instr('abc', 'c') AS a", note="From 1; 0 where it is not found.")
def _instr(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(
        f"CAST(instr({', '.join(e.text(part, 'instr').sql for part in node.expressions)}) AS INTEGER)", kinds.INT
    )


@construct(
    exp.StrPosition,
    parts="this substr",
    group="Strings",
    signature="position(t IN s) → int",
    example="SELECT position('c' IN 'abc') AS a",
)
def _position(e: Expressions, node: exp.StrPosition) -> Typed:
    value, part = e.text(node.this, "position").sql, e.text(node.args["substr"], "position").sql
    return Typed(f"CAST(instr({value}, {part}) AS INTEGER)", kinds.INT)


@_strings(
    "split",
    2,
    2,
    "split(s, ',')",
    "SELECT split('a|b', '\\\\|') AS a",
    note="The separator is a literal: plain characters, or one escaped character ('\\\\|').",
)
def _split(e: Expressions, node: exp.Anonymous) -> Typed:
    pattern = e.expr(node.expressions[1]).literal
    plain = pattern
    if isinstance(pattern, str) and len(pattern) == 2 and pattern[0] == "\\" and not pattern[1].isalnum():
        plain = pattern[1]
    elif not isinstance(pattern, str) or not pattern or any(c in "\\^$.|?*+()[]{}" for c in pattern):
        e.refuse(node, "split by a regular expression", "split by plain characters")
    value = e.text(node.expressions[0], "split").sql
    return Typed(f"string_split({value}, {kinds.text_literal(str(plain))})", kinds.array_of(kinds.STRING))


@_strings("md5 sha sha1 sha2", 1, 2, "md5(s), sha1(s), sha2(s, 256)", "SELECT md5('a') AS a")
def _digest(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    word = {"md5": "md5", "sha": "sha1", "sha1": "sha1", "sha2": "sha256"}[name]
    if (name == "sha2") != (len(node.expressions) == 2):
        e.wrong(node, f"{name} with {len(node.expressions)} arguments.")
    if name == "sha2" and e.expr(node.expressions[1]).literal not in (0, 256):
        e.refuse(node, "sha2 with another length than 256")
    return Typed(f"{word}({e.text(node.expressions[0], name).sql})", kinds.STRING)


@_structs("named_struct", 2, -1, "named_struct('a', x, 'b', y, …)", "SELECT named_struct('a', 1) AS s")
def _named_struct(e: Expressions, node: exp.Anonymous) -> Typed:
    if len(node.expressions) % 2:
        e.wrong(node, "named_struct takes names and values in turn.")
    names = [e.expr(part).literal for part in node.expressions[::2]]
    if not all(isinstance(name, str) for name in names):
        e.refuse(node, "named_struct with a name that is not a literal")
    return _struct_of(e, node, [str(name) for name in names], e.exprs(node.expressions[1::2]))


@_structs("struct", 1, -1, "struct(x AS a, t.b, …)", "SELECT struct(1 AS a, 'x' AS b) AS s")
def _struct(e: Expressions, node: exp.Anonymous) -> Typed:
    names, values = [], []
    for position, part in enumerate(node.expressions, 1):
        if isinstance(part, exp.Star | exp.Distinct):
            e.refuse(part, "struct(*)", "name the fields")
        inner = part.unalias()
        values.append(e.expr(inner))
        plain = isinstance(inner, exp.Column | exp.Dot)
        names.append(part.alias if isinstance(part, exp.Alias) else str(values[-1].name) if plain else f"col{position}")
    return _struct_of(e, node, names, values)


def _struct_of(e: Expressions, node: exp.Expr, names: list[str], values: list[Typed]) -> Typed:
    if len({name.lower() for name in names}) != len(names) or "" in names:
        e.refuse(node, "a struct whose fields have the same name or none", "name each field differently")
    parts = ", ".join(f"{kinds.text_literal(name)}: {value.sql}" for name, value in zip(names, values, strict=True))
    return Typed(f"{{{parts}}}", pa.struct([(name, value.kind) for name, value in zip(names, values, strict=True)]))
