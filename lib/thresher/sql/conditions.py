"""Comparisons, the logic of three values, CASE, and the functions that choose between values."""

from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct, function
from thresher.sql.expressions import Expressions, Typed, as_date_literal
from thresher.sql.operators import named, operands

_conditions = partial(construct, group="Conditions")
_SIGNS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "<=>",
    exp.And: "AND",
    exp.Or: "OR",
}


def comparable(e: Expressions, node: exp.Expr, values: list[Typed], what: str) -> list[Typed]:
    """The values in one type whose order is the same on both engines."""
    other = {value.kind for value in values if not isinstance(value.literal, str)}
    if len(other) == 1:  # a literal like '2024-01-31' beside dates
        values = [as_date_literal(value, next(iter(other))) or value for value in values]
    values, kind = e.common(node, values, what)
    if not kinds.is_orderable(kind):
        e.refuse(node, f"{what} over {kinds.in_spark(kind)}", "compare the fields one by one")
    return values


@_conditions(
    exp.EQ,
    exp.NEQ,
    exp.LT,
    exp.LTE,
    exp.GT,
    exp.GTE,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    parts="this expression",
    signature="a = b, <>, <, <=, >, >=, a <=> b, a IS [NOT] DISTINCT FROM b",
    note="Both sides of one type, or numbers. A date may be compared with a literal like '2024-01-31'. Text and "
    "numbers never: cast.",
    example="SELECT 1 < 2 AS a, NULL <=> NULL AS b",
)
def _comparison(e: Expressions, node: exp.Binary) -> Typed:
    left, right = operands(e, node)
    name = named(left, _SIGNS.get(type(node), ""), right)
    if isinstance(node, exp.NEQ) and name:
        name = f"(NOT {name})"
    if isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
        (left, right), kind = e.common(node, [left, right], "a comparison")
        if not (kinds.is_orderable(kind) or kinds.is_groupable(kind)):
            e.refuse(node, f"a comparison over {kinds.in_spark(kind)}", "compare the fields one by one")
    else:
        left, right = comparable(e, node, [left, right], "a comparison")
    sign = {exp.NEQ: "<>", exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM"}.get(type(node))
    if isinstance(node, exp.NullSafeNEQ):
        name = None
    sql = f"({left.sql} {sign or _SIGNS[type(node)]} {right.sql})"
    return Typed(sql, kinds.BOOL, name, is_window=left.is_window or right.is_window)


@_conditions(
    exp.And,
    exp.Or,
    parts="this expression",
    signature="a AND b, a OR b",
    note="Booleans only.",
    example="SELECT true AND NULL AS a",
)
def _connector(e: Expressions, node: exp.Connector) -> Typed:
    sign = _SIGNS[type(node)]
    left, right = (e.boolean(side, f"an operand of {sign}") for side in (node.this, node.expression))
    return Typed(
        f"({left.sql} {sign} {right.sql})",
        kinds.BOOL,
        named(left, sign, right),
        is_window=left.is_window or right.is_window,
    )


@_conditions(exp.Not, parts="this", signature="NOT a", note="Booleans only.", example="SELECT NOT true AS a")
def _not(e: Expressions, node: exp.Not) -> Typed:
    value = e.boolean(node.this, "the operand of NOT")
    name = f"(NOT {value.name})" if value.name else None
    if name and isinstance(node.this, exp.Is):
        name = str(value.name).replace(" IS NULL)", " IS NOT NULL)")
    return Typed(f"(NOT {value.sql})", kinds.BOOL, name, is_window=value.is_window)


@_conditions(
    exp.Is,
    parts="this expression",
    signature="a IS [NOT] NULL, a IS [NOT] TRUE | FALSE",
    example="SELECT NULL IS NULL AS a",
)
def _is(e: Expressions, node: exp.Is) -> Typed:
    value = e.expr(node.this)
    if isinstance(node.expression, exp.Null):
        name = f"({value.name} IS NULL)" if value.name else None
        return Typed(f"({value.sql} IS NULL)", kinds.BOOL, name, is_window=value.is_window)
    if isinstance(node.expression, exp.Boolean):
        value = e.boolean(node.this, "the operand of IS TRUE")
        return Typed(f"({value.sql} IS {'TRUE' if node.expression.this else 'FALSE'})", kinds.BOOL)
    e.refuse(node, f"IS {node.expression.sql()}")


@_conditions(
    exp.Between,
    parts="this low high",
    signature="a [NOT] BETWEEN low AND high",
    example="SELECT 2 BETWEEN 1 AND 3 AS a",
)
def _between(e: Expressions, node: exp.Between) -> Typed:
    values = e.exprs([node.this, node.args["low"], node.args["high"]])
    names = [value.name for value in values]
    low = comparable(e, node, [values[0], values[1]], "BETWEEN")
    high = comparable(e, node, [values[0], values[2]], "BETWEEN")
    sql = f"({low[0].sql} >= {low[1].sql} AND {high[0].sql} <= {high[1].sql})"
    name = None if None in names else f"between({', '.join(map(str, names))})"
    return Typed(sql, kinds.BOOL, name, is_window=any(value.is_window for value in values))


@_conditions(
    exp.In,
    parts="this expressions",
    signature="a [NOT] IN (b, c)",
    note="IN (SELECT …): see Queries.",
    example="SELECT 2 IN (1, NULL) AS a",
)
def _in(e: Expressions, node: exp.In) -> Typed:
    values = e.exprs([node.this, *node.expressions])
    names = [value.name for value in values]
    one, *others = comparable(e, node, values, "IN")
    name = None if None in names else f"({names[0]} IN ({', '.join(map(str, names[1:]))}))"
    return Typed(
        f"({one.sql} IN ({', '.join(other.sql for other in others)}))",
        kinds.BOOL,
        name,
        is_window=any(value.is_window for value in values),
    )


@_conditions(
    exp.Like,
    parts="this expression negate",
    signature="a [NOT] LIKE 'pattern' [ESCAPE '!']",
    note="The pattern is a literal; \\ is the escape unless another is named, before %, _ or itself.",
    example=r"SELECT 'a_c' LIKE 'a\_c' AS a",
)
def _like_rule(e: Expressions, node: exp.Like) -> Typed:
    return _like(e, node, "\\")


def _like(e: Expressions, node: exp.Like, escape: str) -> Typed:
    value, pattern = operands(e, node)
    value = e.coerce(node, value, kinds.STRING, "LIKE")
    if not isinstance(pattern.literal, str):
        e.refuse(node.expression, "LIKE with a pattern that is not a literal")
    rest = pattern.literal.replace(escape * 2, "").replace(f"{escape}%", "").replace(f"{escape}_", "")
    if escape in rest:
        e.wrong(node.expression, f"the pattern has {escape!r} before something other than %, _ and itself.")
    word = "NOT LIKE" if node.args.get("negate") else "LIKE"
    sql = f"({value.sql} {word} {pattern.sql} ESCAPE {kinds.text_literal(escape)})"
    return Typed(sql, kinds.BOOL, is_window=value.is_window)


@construct(exp.Escape, parts="this expression")
def _escape(e: Expressions, node: exp.Escape) -> Typed:
    escape = e.expr(node.expression).literal
    if not isinstance(node.this, exp.Like) or not isinstance(escape, str) or len(escape) != 1 or escape in "%_":
        e.refuse(node, "this ESCAPE")
    e.only(node.this, {"this", "expression", "negate"})
    return _like(e, node.this, escape)


@construct(
    exp.Case,
    parts="this ifs default",
    group="Conditions",
    signature="CASE WHEN c THEN a … [ELSE z] END, CASE x WHEN v THEN a … END",
    note="All results of one type, or widening to one.",
    example="SELECT CASE WHEN 1 < 2 THEN 'x' ELSE 'y' END AS a",
)
def _case(e: Expressions, node: exp.Case) -> Typed:
    subject = e.expr(node.this) if node.this else None
    conditions = []
    for branch in node.args["ifs"]:
        e.only(branch, {"this", "true"})
        if subject is None:
            conditions.append(e.condition(branch.this, "a WHEN").sql)
        else:
            one, other = comparable(e, branch, [subject, e.expr(branch.this)], "CASE")
            conditions.append(f"({one.sql} = {other.sql})")
    results = [e.expr(branch.args["true"]) for branch in node.args["ifs"]]
    results.append(e.expr(node.args["default"]) if node.args.get("default") else Typed("NULL", kinds.VOID))
    values, kind = e.common(node, results, "CASE")
    branches = " ".join(f"WHEN {c} THEN {v.sql}" for c, v in zip(conditions, values, strict=False))
    return Typed(f"CASE {branches} ELSE {values[-1].sql} END", kind, is_window=any(v.is_window for v in results))


@construct(exp.If, parts="this true false")
def _if_node(e: Expressions, node: exp.If) -> Typed:
    if node.args.get("false") is None:
        e.wrong(node, "if takes three arguments.")
    condition = e.condition(node.this, "the condition of if")
    values, kind = e.common(node, e.exprs([node.args["true"], node.args["false"]]), "if")
    return Typed(
        f"CASE WHEN {condition.sql} THEN {values[0].sql} ELSE {values[1].sql} END",
        kind,
        is_window=any(v.is_window for v in (condition, *values)),
    )


_functions = partial(function, group="Conditions")


@_functions("coalesce nvl ifnull", 1, -1, "coalesce(a, b, …), nvl(a, b), ifnull(a, b)", "SELECT coalesce(NULL, 2) AS a")
def _coalesce(e: Expressions, node: exp.Anonymous) -> Typed:
    raw = e.exprs(node.expressions)
    name = node.name.lower()
    if name != "coalesce" and len(raw) != 2:
        e.wrong(node, f"{name} takes 2 arguments; found {len(raw)}.")
    values, kind = e.common(node, raw, name)
    named = name == "coalesce" and all(value.name is not None for value in raw)
    label = f"coalesce({', '.join(str(value.name) for value in raw)})" if named else None
    return Typed(
        f"coalesce({', '.join(value.sql for value in values)})", kind, label, is_window=any(v.is_window for v in raw)
    )


@_functions("nullif", 2, 2, "nullif(a, b)", "SELECT nullif(1, 1) AS a")
def _nullif(e: Expressions, node: exp.Anonymous) -> Typed:
    value, other = e.exprs(node.expressions)
    left, right = comparable(e, node, [value, other], "nullif")
    sql = f"CASE WHEN {left.sql} = {right.sql} THEN NULL ELSE {value.sql} END"
    return Typed(sql, value.kind, is_window=value.is_window)


@_functions("nvl2", 3, 3, "nvl2(a, if_not_null, if_null)", "SELECT nvl2(NULL, 1, 2) AS a")
def _nvl2(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    (one, other), kind = e.common(node, e.exprs(node.expressions[1:]), "nvl2")
    return Typed(f"CASE WHEN {value.sql} IS NOT NULL THEN {one.sql} ELSE {other.sql} END", kind)


@_functions("isnull isnotnull", 1, 1, "isnull(a), isnotnull(a)", "SELECT isnull(NULL) AS a")
def _isnull(e: Expressions, node: exp.Anonymous) -> Typed:
    sign = "IS NULL" if node.name.lower() == "isnull" else "IS NOT NULL"
    return Typed(f"({e.expr(node.expressions[0]).sql} {sign})", kinds.BOOL)


@_functions(
    "greatest least",
    2,
    -1,
    "greatest(a, b, …), least(a, b, …)",
    "SELECT greatest(1, NULL, 3) AS a",
    note="NULLs are skipped.",
)
def _extreme(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    values = comparable(e, node, e.exprs(node.expressions), name)
    return Typed(f"{name}({', '.join(value.sql for value in values)})", values[0].kind)
