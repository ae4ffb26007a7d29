"""The name that Spark gives to a column which has no alias: the expression in Spark's own wording.

Source: the names of columns in Spark 4.2, asked for each construct and function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp



@dataclass(frozen=True)
class Words:
    """The text of the query, and the names that stand for tables in it: in front of a column they are left out."""

    text: str
    tables: frozenset[str] = frozenset()

_OPERATORS: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.IntDiv: "div",
    exp.And: "AND",
    exp.Or: "OR",
    exp.EQ: "=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "<=>",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
}

# Functions that Spark names otherwise than they are written.
_RENAMED = {
    **{name: name.upper() for name in "acos asin atan cbrt ceil cos cosh degrees exp expm1 floor log10 log1p".split()},
    **{name: name.upper() for name in "log2 pi radians sin sinh sqrt tan tanh e regexp_like".split()},
    **{name: name.upper() for name in "acosh asinh atan2 atanh cot csc hypot log power sec signum".split()},
    "current_database": "current_schema",
}
# What Spark shows for arguments that were left out: by function and the number of those written.
_DEFAULTS = {
    ("regexp_replace", 3): "1",
    ("split", 2): "-1",
    ("round", 1): "0",
    ("bround", 1): "0",
    ("lpad", 2): " ",
    ("rpad", 2): " ",
    ("locate", 2): "1",
    ("months_between", 2): "true",
    ("unix_timestamp", 1): "yyyy-MM-dd HH:mm:ss",
    ("to_unix_timestamp", 1): "yyyy-MM-dd HH:mm:ss",
    ("from_unixtime", 1): "yyyy-MM-dd HH:mm:ss",
    ("regexp_instr", 2): "0",
    ("sort_array", 1): "true",
    ("str_to_map", 1): ",, :",
    ("str_to_map", 2): ":",
    ("mask", 1): "X, x, n, NULL",
}
# Functions of which only so many arguments are in the name.
_SHOWN_ARGUMENTS = {
    **{name: 1 for name in ("from_xml", "to_xml", "from_json", "to_json", "from_csv", "to_csv")},
    **{name: 1 for name in ("schema_of_json", "schema_of_xml", "schema_of_csv")},
}
# Functions whose name shows something else than what is written, or the names of types: CAST is left out.
_AS_CASTS = "int bigint smallint tinyint string float double decimal boolean binary date timestamp".split()
_UNKNOWN = ("assert_true", "raise_error", "vector_norm", "window_time", "array_sort", "to_char", "to_varchar", "random")


def column_name(node: exp.Expr, words: Words) -> str | None:
    """The name of an expression as a column; None where it is not known.

    >>> from thresher.sql.dialect import Source, read
    >>> query = Source("SELECT a, t.b, 'x', a + 1 > 2, count(*), upper(t.b), cast(1 as int), x IS NULL FROM t")
    >>> [column_name(item, Words(query.text, frozenset("t"))) for item in read(query).expressions]
    ['a', 'b', 'x', '((a + 1) > 2)', 'count(1)', 'upper(b)', 'CAST(1 AS INT)', '(x IS NULL)']
    """
    inner = node.unnest()
    if isinstance(inner, exp.Cast) and isinstance(inner.this.unnest(), exp.Column | exp.Dot) and not _is_literal(inner, words):
        return column_name(inner.this, words)
    if isinstance(inner, exp.Column):
        return inner.name
    if isinstance(inner, exp.Dot) and _is_path(inner):
        return inner.expression.name
    try:
        return _named(node, words)
    except _Unknown:
        return None


class _Unknown(Exception):
    """The wording of this expression is not known."""


def _named(node: exp.Expr, words: Words) -> str:
    if operator := _OPERATORS.get(type(node)):
        return f"({_named(node.this, words)} {operator} {_named(node.expression, words)})"
    rule = _RULES.get(type(node))
    if rule is None:
        raise _Unknown
    return rule(node, words)


def _list(nodes: Iterable[exp.Expr], words: Words) -> str:
    return ", ".join(_named(node, words) for node in nodes)


def _literal(node: exp.Literal, words: Words) -> str:
    if not node.is_string and "e" in node.this.lower():
        return _double(node.this)
    if not node.is_string and node.this[:1] in "0." and node.this not in ("0", "0.0") and node.this[:2] != "0.":
        raise _Unknown  # .5 and 007
    return str(node.this)


def _double(text: str) -> str:
    """Java's text of a double of few digits."""
    value = float(text)
    if value != 0 and not 1e-3 <= abs(value) < 1e7:
        mantissa, _, power = f"{value:e}".partition("e")
        digits = repr(float(f"{mantissa}")) if len(repr(value)) < 16 else None
        if digits is None:
            raise _Unknown
        return f"{digits}E{int(power)}"
    return repr(value)


def _is_literal(node: exp.Cast, words: Words) -> bool:
    """1L, 1.5BD and the like, which the parser gives as casts of literals."""
    literal = node.this
    if not isinstance(literal, exp.Literal):
        return False
    end = literal.meta.get("end")
    return words.text[end].isalpha() if end is not None else not words.text.count(f"'{literal.this}'")


def _cast(node: exp.Cast, words: Words) -> str:
    inner = node.this
    if _is_literal(node, words):
        return _double(inner.this) if node.to.is_type("double", "float") else str(inner.this)
    if isinstance(inner, exp.Literal) and inner.is_string:
        start = inner.meta.get("start")
        before = words.text[:start].rstrip().lower() if start is not None else ""
        kind = node.to.sql("spark").lower()
        if before.endswith(("date", "timestamp", "timestamp_ntz", "timestamp_ltz")):
            return f"{_PREFIXES.get(kind, kind.upper())} '{inner.this}'"
    word = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    return f"{word}({_named(inner, words)} AS {_type(node.to)})"


_PREFIXES = {"timestamp_ntz": "TIMESTAMP_NTZ", "timestamp_ltz": "TIMESTAMP"}
_TYPES = {
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.TINYINT: "TINYINT",
    exp.DType.SMALLINT: "SMALLINT",
    exp.DType.INT: "INT",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.FLOAT: "FLOAT",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.TEXT: "STRING",
    exp.DType.BINARY: "BINARY",
    exp.DType.DATE: "DATE",
    exp.DType.TIMESTAMP: "TIMESTAMP",
    exp.DType.TIMESTAMPTZ: "TIMESTAMP",
    exp.DType.TIMESTAMPLTZ: "TIMESTAMP",
    exp.DType.TIMESTAMPNTZ: "TIMESTAMP_NTZ",
}


def _type(node: exp.Expr) -> str:
    if not isinstance(node, exp.DataType):
        raise _Unknown
    if node.this in _TYPES and not node.expressions:
        return _TYPES[node.this]
    if node.this == exp.DType.DECIMAL:
        sizes = [part.name for part in node.expressions] or ["10", "0"]
        return f"DECIMAL({sizes[0]},{sizes[1] if len(sizes) > 1 else 0})"
    if node.this in (exp.DType.ARRAY, exp.DType.MAP):
        return f"{node.this.value}<{', '.join(_type(part) for part in node.expressions)}>"
    raise _Unknown


def _negative(node: exp.Neg, words: Words) -> str:
    inner = node.this
    if isinstance(inner, exp.Literal) or (isinstance(inner, exp.Cast) and _is_literal(inner, words)):
        text = _named(inner, words)
        if not text.strip("0."):
            raise _Unknown  # -0.0 is 0.0 as a decimal, and -0.0 as a double
        return f"-{text}"
    return f"(- {_named(inner, words)})"


def _is_path(node: exp.Expr) -> bool:
    """Whether this is a column and fields of it: only the last name counts."""
    return isinstance(node, exp.Column) or (isinstance(node, exp.Dot) and _is_path(node.this))


def _column(node: exp.Column, words: Words) -> str:
    names = [part.name for part in node.parts]
    return ".".join(names[1:] if len(names) > 1 and names[0].lower() in words.tables else names)


def _is(node: exp.Is, words: Words) -> str:
    left = _named(node.this, words)
    if isinstance(node.expression, exp.Null):
        return f"({left} IS NULL)"
    return f"({left} <=> {_named(node.expression, words)})"


def _not(node: exp.Not, words: Words) -> str:
    inner = node.this
    if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
        return f"({_named(inner.this, words)} IS NOT NULL)"
    return f"(NOT {_named(inner, words)})"


def _in(node: exp.In, words: Words) -> str:
    if node.args.get("query") is not None:
        raise _Unknown
    return f"({_named(node.this, words)} IN ({_list(node.expressions, words)}))"


def _case(node: exp.Case, words: Words) -> str:
    subject = f"{_named(node.this, words)} = " if node.this else ""
    branches = []
    for branch in node.args["ifs"]:
        test = _named(branch.this, words)
        branches.append(f"WHEN {f'({subject}{test})' if subject else test} THEN {_named(branch.args['true'], words)}")
    default = node.args.get("default")
    return f"CASE {' '.join(branches)}{f' ELSE {_named(default, words)}' if default else ''} END"


def _if(node: exp.If, words: Words) -> str:
    parts = [node.this, node.args["true"], node.args["false"]]
    return f"(IF({_list(parts, words)}))"


def _call(node: exp.Anonymous, words: Words) -> str:
    name = node.name.lower()
    arguments: Sequence[exp.Expr] = node.expressions
    if name in ("&", "|", "^", "<<", ">>", ">>>") and len(arguments) == 2:
        return f"({_named(arguments[0], words)} {name} {_named(arguments[1], words)})"
    if name == "positive" and len(arguments) == 1:
        return f"(+ {_named(arguments[0], words)})"
    if name == "log" and len(arguments) == 1:
        return f"LOG(E(), {_named(arguments[0], words)})"
    if name in ("ceil", "floor") and len(arguments) == 2:
        return f"{name}({_list(arguments, words)})"
    if name in ("rtrim", "ltrim", "trim") and len(arguments) != 1:
        raise _Unknown
    if name in _UNKNOWN or (name in ("dateadd", "date_add", "datediff", "date_diff") and len(arguments) != 2):
        raise _Unknown
    if name == "if":
        return f"(IF({_list(arguments, words)}))"
    if name in ("isnull", "isnotnull") and len(arguments) == 1:
        return f"({_list(arguments, words)} IS {'NOT ' * (name == 'isnotnull')}NULL)"
    if name in _AS_CASTS and len(arguments) == 1:
        return _named(arguments[0], words)
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        return f"{name}(DISTINCT {_list(arguments[0].expressions, words)})"
    if name == "count" and len(arguments) == 1 and isinstance(arguments[0], exp.Star):
        return "count(1)"
    shown = arguments[: _SHOWN_ARGUMENTS.get(name, len(arguments))]
    rest = _DEFAULTS.get((name, len(arguments)))
    return f"{_RENAMED.get(name, name)}({_list(shown, words)}{f', {rest}' if rest is not None else ''})"


def _written(node: exp.Expr, words: Words) -> str:
    """A word as it stands in the text: the parser gives it in capitals."""
    start, end = node.meta.get("start"), node.meta.get("end")
    if start is None or end is None:
        raise _Unknown
    return words.text[start : end + 1]


def _struct_field(node: exp.Alias, words: Words) -> str:
    return f"{_named(node.this, words)} AS {node.alias}"


def _filter(node: exp.Filter, words: Words) -> str:
    return f"{_named(node.this, words)} FILTER (WHERE {_named(node.expression.this, words)})"


def _window(node: exp.Window, words: Words) -> str:
    if node.alias or node.args.get("first") is not None:
        raise _Unknown
    order = node.args.get("order")
    parts = []
    if keys := node.args.get("partition_by"):
        parts.append(f"PARTITION BY {_list(keys, words)}")
    if order:
        parts.append(f"ORDER BY {_list(order.expressions, words)}")
    parts.append(_frame(node, bool(order)))
    return f"{_named(node.this, words)} OVER ({' '.join(parts)})"


_ROW_FRAMES = ("row_number", "rank", "dense_rank", "percent_rank", "ntile", "cume_dist")


def _frame(node: exp.Window, is_ordered: bool) -> str:
    name = node.this.name.lower() if isinstance(node.this, exp.Anonymous) else ""
    if name in ("lag", "lead"):
        raise _Unknown
    spec = node.args.get("spec")
    if spec is not None:
        sides = []
        for side in ("start", "end"):
            value = spec.args.get(side)
            if isinstance(value, exp.Expr):
                raise _Unknown
            sides.append(f"{value or 'CURRENT ROW'} {spec.args.get(f'{side}_side') or ''}".strip())
        return f"{str(spec.args['kind']).upper()} BETWEEN {sides[0]} AND {sides[1]}"
    if name == "cume_dist":
        return "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    if name in _ROW_FRAMES:
        return "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    if is_ordered:
        return "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    return "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"


def _ordered(node: exp.Ordered, words: Words) -> str:
    direction = "DESC" if node.args.get("desc") else "ASC"
    nulls = "FIRST" if node.args.get("nulls_first") else "LAST"
    return f"{_named(node.this, words)} {direction} NULLS {nulls}"


def _substring(node: exp.Substring, words: Words) -> str:
    parts = [node.this, node.args.get("start"), node.args.get("length")]
    text = _list([part for part in parts if part is not None], words)
    written = words.text[: _start(node)].rstrip().lower()
    name = "substr" if written.rstrip(" (").endswith("substr") else "substring"
    return f"{name}({text}{'' if parts[2] is not None else ', 2147483647'})"


def _start(node: exp.Expr) -> int:
    """Where the first part of a call stands in the text: behind its name."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    if not starts:
        raise _Unknown
    return int(min(starts))


def _like(node: exp.Like, words: Words) -> str:
    text = f"{_named(node.this, words)} LIKE {_named(node.expression, words)}"
    return f"(NOT {text})" if node.args.get("negate") else text


_RULES: dict[type[exp.Expr], Callable[..., str]] = {
    exp.Literal: _literal,
    exp.RawString: lambda node, words: str(node.this),
    exp.Null: lambda node, words: "NULL",
    exp.Boolean: lambda node, words: "true" if node.this else "false",
    exp.Column: _column,
    exp.Paren: lambda node, words: _named(node.this, words),
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Neg: _negative,
    exp.BitwiseNot: lambda node, words: f"~{_named(node.this, words)}",
    exp.NEQ: lambda node, words: f"(NOT ({_named(node.this, words)} = {_named(node.expression, words)}))",
    exp.Is: _is,
    exp.Not: _not,
    exp.In: _in,
    exp.Between: lambda node, words: f"between({_list([node.this, node.args['low'], node.args['high']], words)})",
    exp.Like: _like,
    exp.RegexpLike: lambda node, words: f"RLIKE({_named(node.this, words)}, {_named(node.expression, words)})",
    exp.ILike: lambda node, words: f"ilike({_named(node.this, words)}, {_named(node.expression, words)})",
    exp.Case: _case,
    exp.If: _if,
    exp.Anonymous: _call,
    exp.Alias: _struct_field,
    exp.Star: lambda node, words: "*",
    exp.DPipe: lambda node, words: f"concat({_named(node.this, words)}, {_named(node.expression, words)})",
    exp.Substring: _substring,
    exp.NullSafeNEQ: lambda node, words: f"(NOT ({_named(node.this, words)} <=> {_named(node.expression, words)}))",
    exp.Dot: lambda node, words: f"{_named(node.this, words)}.{node.expression.name}",
    exp.Bracket: lambda node, words: f"{_named(node.this, words)}[{_list(node.expressions, words)}]",
    exp.Extract: lambda node, words: f"extract({_written(node.this, words)} FROM {_named(node.expression, words)})",
    exp.Filter: _filter,
    exp.Window: _window,
    exp.Ordered: _ordered,
}
