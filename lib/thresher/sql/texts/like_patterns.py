"""LIKE and ILIKE, one pattern or several."""

import re
from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, construct, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.numbers.operators import operands

_conditions = partial(construct, group="Conditions")

# A pattern may come from a column: what stands behind its escape is looked at in each row.
MACROS["spark_like(s, p, c, good)"] = (
    "CASE WHEN s IS NULL OR p IS NULL THEN NULL WHEN NOT regexp_full_match(p, good) "
    "THEN error('LIKE: the escape ' || c || ' before something other than %, _ and itself in ' || p) "
    "ELSE s LIKE p ESCAPE c END"
)


@_conditions(
    exp.Like,
    exp.ILike,
    parts="this expression negate",
    signature="a [NOT] LIKE pattern [ESCAPE '!'], a [NOT] LIKE ANY | SOME | ALL (p, q), ILIKE",
    note="\\ is the escape unless another is named, before %, _ or itself. ILIKE compares both in lower case.",
    example=r"SELECT 'a_c' LIKE 'a\_c' AS a",
)
def _like_rule(e: Expressions, node: exp.Like | exp.ILike) -> Typed:
    return _like(e, node, "\\")


@construct(exp.Escape, parts="this expression")
def _escape(e: Expressions, node: exp.Escape) -> Typed:
    if not isinstance(node.this, exp.Like | exp.ILike):
        e.refuse(node, "this ESCAPE")
    e.only(node.this, {"this", "expression", "negate"})
    return _like(e, node.this, _escape_character(e, node.expression))


def _escape_character(e: Expressions, node: exp.Expr) -> str:
    escape = e.expr(node).literal
    if not isinstance(escape, str) or len(escape) != 1:
        e.wrong(node, "ESCAPE with something else than one character.")
    return escape


def _like(e: Expressions, node: exp.Like | exp.ILike, escape: str) -> Typed:
    if isinstance(node.expression, exp.Any | exp.All):
        value = e.expr(node.this)
        several = node.expression.this
        patterns = e.exprs(several.expressions if isinstance(several, exp.Tuple) else [several.unnest()])
    else:
        value, pattern = operands(e, node)
        patterns = [pattern]
    tests = [_matched(e, node, value, pattern, escape) for pattern in patterns]
    if node.args.get("negate"):
        tests = [f"(NOT {test})" for test in tests]
    word = " AND " if isinstance(node.expression, exp.All) else " OR "
    return Typed(f"({word.join(tests)})", kinds.BOOL, is_window=value.is_window)


def _matched(e: Expressions, node: exp.Expr, value: Typed, pattern: Typed, escape: str) -> str:
    text, words = (e.coerce(node, side, kinds.STRING, "an operand of LIKE") for side in (value, pattern))
    sign = re.escape(escape)
    good = f"(?s)(?:[^{sign}]|{sign}[%_{sign}])*"
    is_literal = isinstance(pattern.literal, str)
    if is_literal and not re.fullmatch(good, pattern.literal):
        e.wrong(node, f"the pattern has {escape!r} before something other than %, _ and itself.")
    one, other = text.sql, words.sql
    is_lowered = isinstance(node, exp.ILike) or (isinstance(node, exp.Anonymous) and node.name.lower() == "ilike")
    if is_lowered:
        if escape != escape.lower():
            e.refuse(node, f"ILIKE with the escape {escape!r}")
        one, other = f"spark_lower({one})", f"spark_lower({other})"
    mark = kinds.text_literal(escape)
    if is_literal:
        return (not is_lowered and _plain(one, pattern.literal, escape)) or f"({one} LIKE {other} ESCAPE {mark})"
    return f"spark_like({one}, {other}, {mark}, {kinds.text_literal(good)})"


def _plain(sql: str, pattern: str, escape: str) -> str | None:
    """A pattern with % at its ends alone, by DuckDB's faster functions; None for any other."""
    core = pattern.strip("%")
    edges = pattern[: len(pattern) - len(pattern.lstrip("%"))], pattern[len(pattern.rstrip("%")) :]
    if not core or escape in pattern or any(c in core for c in "%_") or max(map(len, edges)) > 1:
        return None
    name = {("%", "%"): "contains", ("", "%"): "starts_with", ("%", ""): "suffix"}.get(edges)
    return f"{name}({sql}, {kinds.text_literal(core)})" if name else f"({sql} = {kinds.text_literal(core)})"


@function(
    "like ilike", 2, 3, "like(a, pattern [, escape]), ilike(…)", "SELECT like('ab', 'a%') AS a", group="Conditions"
)
def _like_call(e: Expressions, node: exp.Anonymous) -> Typed:
    value, pattern = e.exprs(node.expressions[:2])
    escape = _escape_character(e, node.expressions[2]) if len(node.expressions) > 2 else "\\"
    return Typed(_matched(e, node, value, pattern, escape), kinds.BOOL)
