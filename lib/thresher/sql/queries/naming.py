"""The name that Spark gives to a column which has no alias: the expression in Spark's own wording.

Source: the names of columns in Spark 4.2, asked for each construct and function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
from sqlglot import exp

from thresher.errors import NotPortable, SqlError
from thresher.sql import kinds
from thresher.sql.casting.literals import date_text, timestamp_text
from thresher.sql.queries.call_names import called
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ


@dataclass(frozen=True)
class Words:
    """The text of the query, and the names that stand for tables in it: in front of a column they are left out.

    `kind` tells the type of an expression: dates are added by other words than numbers.
    """

    text: str
    tables: frozenset[str] = frozenset()
    kind: Callable[[exp.Expr], pa.DataType] = lambda node: kinds.VOID


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


def column_name(node: exp.Expr, words: Words) -> str | None:
    """The name of an expression as a column; None where it is not known.

    >>> from thresher.sql.dialect import Source, read
    >>> query = Source("SELECT a, t.b, 'x', a + 1 > 2, count(*), upper(t.b), cast(1 as int), x IS NULL FROM t")
    >>> [column_name(item, Words(query.text, frozenset("t"))) for item in read(query).expressions]
    ['a', 'b', 'x', '((a + 1) > 2)', 'count(1)', 'upper(b)', 'CAST(1 AS INT)', '(x IS NULL)']
    """
    inner = node.unnest()
    if isinstance(inner, exp.Cast) and isinstance(inner.this.unnest(), exp.Column):
        column = inner.this.unnest()
        return column.name if "." not in _column(column, words) else _cast(inner, words)
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
    if isinstance(node, exp.Add | exp.Sub) and (text := _moved_date(node, words)):
        return text
    if operator := _OPERATORS.get(type(node)):
        return f"({_named(node.this, words)} {operator} {_named(node.expression, words)})"
    rule = _RULES.get(type(node))
    if rule is None:
        raise _Unknown
    return rule(node, words)


def _kind(node: exp.Expr, words: Words) -> pa.DataType:
    try:
        return words.kind(node)
    except (NotPortable, SqlError):  # a part of a lambda
        raise _Unknown from None


def _moved_date(node: exp.Add | exp.Sub, words: Words) -> str | None:
    """A date and a number of days; an interval has rules of its own that are not known here."""
    parts = [node.this, node.expression]
    types = [_kind(part, words) for part in parts]
    if any(isinstance(kind, kinds.Interval) for kind in types):
        raise _Unknown
    if isinstance(node, exp.Add) and types[1] == kinds.DATE:
        parts, types = parts[::-1], types[::-1]
    if types[0] != kinds.DATE or types[1] == kinds.DATE:
        return None
    return f"date_{'add' if isinstance(node, exp.Add) else 'sub'}({_list(parts, words)})"


def _list(nodes: Iterable[exp.Expr], words: Words) -> str:
    return ", ".join(_named(node, words) for node in nodes)


def _literal(node: exp.Literal, words: Words) -> str:
    if not node.is_string and re.fullmatch(r"0?\.0{6,}\d*", node.this):
        raise _Unknown  # Java writes such a decimal with an exponent
    text = str(node.this)
    if node.is_string:
        return text
    return _double(text) if "e" in text.lower() else f"{Decimal(text):f}"


def _double(text: str) -> str:
    """Java's text of a double of few digits."""
    value = float(text)
    digits = repr(value)
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return digits
    shortest = Decimal(digits)
    if len(shortest.as_tuple().digits) > 15 or not shortest.is_finite():
        raise _Unknown
    mantissa = shortest.scaleb(-shortest.adjusted()).normalize()
    return f"{mantissa:f}{'' if '.' in f'{mantissa:f}' else '.0'}E{shortest.adjusted()}"


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
            return f"{_PREFIXES.get(kind, kind.upper())} '{_known(_day_or_time(node.to, inner.this))}'"
    if node.to.is_type("array", "map", "struct"):
        return _named(inner, words)
    word = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    return f"{word}({_named(inner, words)} AS {_type(node.to)})"


def _day_or_time(kind: exp.DataType, text: str) -> str | None:
    """The text of a date or timestamp literal as Spark would print its value."""
    if kind.is_type("date"):
        return date_text(text)
    full = timestamp_text(text)
    return full.rstrip("0").rstrip(".") if full and "." in full else full


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
        is_double = isinstance(inner, exp.Cast) and inner.to.is_type("double", "float")
        return text if not text.strip("0.") and not is_double else f"-{text}"  # a decimal has no -0.0
    return f"(- {_named(inner, words)})"


def _is_path(node: exp.Expr) -> bool:
    """Whether this is a column and fields of it: only the last name counts."""
    return isinstance(node, exp.Column) or (isinstance(node, exp.Dot) and _is_path(node.this))


def _column(node: exp.Column, words: Words) -> str:
    names = [part.name for part in node.parts]
    if isinstance(node.this, exp.Star):
        raise _Unknown
    return ".".join(names[1:] if len(names) > 1 and names[0].lower() in words.tables else names)


def _is(node: exp.Is, words: Words) -> str:
    left = _named(node.this, words)
    if isinstance(node.expression, exp.Null):
        return f"({left} IS NULL)"
    return f"({left} <=> {_named(node.expression, words)})"


def _not(node: exp.Not, words: Words) -> str:
    inner = node.this
    if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null) and _is_written_not_null(inner, words):
        return f"({_named(inner.this, words)} IS NOT NULL)"
    return f"(NOT {_named(inner, words)})"


def _is_written_not_null(node: exp.Is, words: Words) -> bool:
    """a IS NOT NULL, which the parser gives as NOT a IS NULL."""
    ends = [part.meta["end"] for part in node.this.walk() if "end" in part.meta]
    found = re.search(r"\bis\s+(not\s+)?(null|unknown)\b", words.text[max(ends, default=0) :], re.IGNORECASE)
    if found is None:
        raise _Unknown
    return found.group(1) is not None


def _in(node: exp.In, words: Words) -> str:
    if node.args.get("query") is not None:
        return f"({_named(node.this, words)} IN (listquery()))"
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
    name, arguments = node.name.lower(), node.expressions
    if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
        shown = [_named(argument, words) for argument in arguments[0].expressions]
        return _known(called(name, [f"DISTINCT {shown[0]}", *shown[1:]]))
    if name == "count" and len(arguments) == 1 and isinstance(arguments[0], exp.Star):
        return "count(1)"
    if name in ("lpad", "rpad", "to_char", "to_varchar"):
        name = _typed_name(name, arguments, words)
    return _known(called(name, [_named(argument, words) for argument in arguments]))


def _typed_name(name: str, arguments: list[exp.Expr], words: Words) -> str:
    """The name of a function that Spark replaces by another one for some types."""
    kind = _kind(arguments[0], words)
    if name in ("lpad", "rpad"):
        return _known(name if kind != kinds.BINARY or len(arguments) == 3 else None)
    is_moment = kind in (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ)
    return _known("to_char" if kinds.is_number(kind) else "date_format" if is_moment else None)


def _known(text: str | None) -> str:
    if text is None:
        raise _Unknown
    return text


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
        return _neighbour(node.this, name)
    spec = node.args.get("spec")
    if spec is not None:
        sides = []
        for side in ("start", "end"):
            value = spec.args.get(side)
            if isinstance(value, exp.Expr):
                value = _known(value.this if isinstance(value, exp.Literal) and not value.is_string else None)
            sides.append(f"{value or 'CURRENT ROW'} {spec.args.get(f'{side}_side') or ''}".strip())
        return f"{str(spec.args['kind']).upper()} BETWEEN {sides[0]} AND {sides[1]}"
    if name == "cume_dist":
        return "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    if name in _ROW_FRAMES:
        return "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    if is_ordered:
        return "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    return "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"


def _neighbour(call: exp.Anonymous, name: str) -> str:
    """The frame of lag and lead: the one row so many rows away."""
    written = call.expressions[1] if len(call.expressions) > 1 else exp.Literal.number(1)
    steps = str(written.this)
    if not isinstance(written, exp.Literal) or not steps.isdigit():
        raise _Unknown
    row = f"{'-' if name == 'lag' else ''}{steps} FOLLOWING"
    return f"ROWS BETWEEN {row} AND {row}"


def _ordered(node: exp.Ordered, words: Words) -> str:
    direction = "DESC" if node.args.get("desc") else "ASC"
    nulls = "FIRST" if node.args.get("nulls_first") else "LAST"
    return f"{_named(node.this, words)} {direction} NULLS {nulls}"


def _substring(node: exp.Substring, words: Words) -> str:
    parts = [node.this, node.args.get("start"), node.args.get("length")]
    text = _list([part for part in parts if part is not None], words)
    spellings = set(re.findall(r"\b(substr|substring)\s*\(", words.text.lower()))
    if len(spellings) > 1:
        before = re.search(r"(substr|substring)\s*\(\s*$", words.text[: _start(node)].lower())
        is_first_part = isinstance(node.this, exp.Column | exp.Literal | exp.Anonymous)
        spellings = {_known(before[1] if before and is_first_part else None)}
    name = spellings.pop()
    return f"{name}({text}{'' if parts[2] is not None else ', 2147483647'})"


def _start(node: exp.Expr) -> int:
    """Where the first part of a call stands in the text: behind its name."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    if not starts:
        raise _Unknown
    return int(min(starts))


def _like(node: exp.Like | exp.ILike, words: Words, escape: str = "") -> str:
    value = _named(node.this, words)
    negated = bool(node.args.get("negate"))
    if isinstance(node.expression, exp.Any | exp.All):
        many = f"{'not' * negated}like{'any' if isinstance(node.expression, exp.Any) else 'all'}"
        return f"{many}({value if isinstance(node, exp.Like) else f'lower({value})'})"
    pattern = _named(node.expression, words)
    text = f"{value} LIKE {pattern}" if isinstance(node, exp.Like) else f"ilike({value}, {pattern})"
    return f"(NOT {text}{escape})" if negated else f"{text}{escape}"


def _escaped(node: exp.Escape, words: Words) -> str:
    if not isinstance(node.this, exp.Like):
        raise _Unknown
    return _like(node.this, words, f" ESCAPE '{_named(node.expression, words)}'")


def _trim(node: exp.Trim, words: Words) -> str:
    value, side = _named(node.this, words), node.args.get("position") or "BOTH"
    if node.expression:
        return f"TRIM({side} {_named(node.expression, words)} FROM {value})"
    return f"{ {'BOTH': 'trim', 'LEADING': 'ltrim', 'TRAILING': 'rtrim'}[side] }({value})"


def _position(node: exp.StrPosition, words: Words) -> str:
    part, value = node.args["substr"], node.this
    ends = [inner.meta["end"] for inner in part.walk() if "end" in inner.meta]
    between = words.text[max(ends, default=0) + 1 : _start(value)].lower()
    name = "locate" if re.search(r"\bin\b", between) else "position"
    at = node.args.get("position")
    return f"{name}({_list([part, value], words)}, {_named(at, words) if at else '1'})"


def _overlay(node: exp.Overlay, words: Words) -> str:
    parts = [node.this, node.expression, node.args["from_"]]
    length = node.args.get("for_")
    return f"overlay({_list(parts, words)}, {_named(length, words) if length else '-1'})"


def _lambda(node: exp.Lambda, words: Words) -> str:
    variables = ["namedlambdavariable()"] * len(node.expressions)
    return f"lambdafunction({', '.join([_named(node.this, words), *variables])})"


def _bracket(node: exp.Bracket, words: Words) -> str:
    value, keys = _named(node.this, words), _list(node.expressions, words)
    is_field = isinstance(node.expressions[0], exp.Literal) and node.expressions[0].is_string
    if is_field and not kinds.is_map(_kind(node.this, words)):
        return f"{value}.{keys}"
    return f"{value}[{keys}]"


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
    exp.ILike: _like,
    exp.Escape: _escaped,
    exp.Trim: _trim,
    exp.StrPosition: _position,
    exp.Overlay: _overlay,
    exp.Decode: lambda node, words: f"decode({_list([node.this, node.args['charset']], words)})",
    exp.DecodeCase: lambda node, words: f"decode({_list(node.expressions, words)})",
    exp.Collate: lambda node, words: f"collate({_named(node.this, words)}, {node.expression.name.upper()})",
    exp.HexString: lambda node, words: f"X'{node.this.upper()}'",
    exp.Lambda: _lambda,
    exp.Identifier: lambda node, words: "namedlambdavariable()",
    exp.Subquery: lambda node, words: "scalarsubquery()",
    exp.Exists: lambda node, words: "exists()",
    exp.Case: _case,
    exp.If: _if,
    exp.Anonymous: _call,
    exp.Alias: _struct_field,
    exp.DPipe: lambda node, words: f"concat({_named(node.this, words)}, {_named(node.expression, words)})",
    exp.Substring: _substring,
    exp.NullSafeNEQ: lambda node, words: f"(NOT ({_named(node.this, words)} <=> {_named(node.expression, words)}))",
    exp.Dot: lambda node, words: f"{_named(node.this, words)}.{node.expression.name}",
    exp.Bracket: _bracket,
    exp.Extract: lambda node, words: f"extract({_written(node.this, words)} FROM {_named(node.expression, words)})",
    exp.Filter: _filter,
    exp.Window: _window,
    exp.Ordered: _ordered,
}
