"""Comparisons, the logic of three values, CASE, and the functions that choose between values."""

import re
from collections.abc import Iterator, Sequence
from functools import cache, partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, construct, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting import nested
from thresher.sql.numbers.operators import operands

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


def comparable(
    e: Expressions, node: exp.Expr, values: list[Typed], what: str, *, with_text: bool = True
) -> list[Typed]:
    """The values in one type whose order is the same on both engines; of arrays and structs, keys with that order."""
    if any(nested.is_nested(value.kind) for value in values):
        return nested.keys(e, node, values, what)
    values, kind = e.common(node, values, what, with_text=with_text)
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
    note="Text takes the type of the other side: a number, a boolean, a date, a timestamp. Also arrays and structs.",
    example="SELECT 1 < 2 AS a, NULL <=> NULL AS b",
)
def _comparison(e: Expressions, node: exp.Binary) -> Typed:
    left, right = operands(e, node)
    left, right = comparable(e, node, [left, right], "a comparison")
    sign = {exp.NEQ: "<>", exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM"}.get(type(node))
    sql = f"({left.sql} {sign or _SIGNS[type(node)]} {right.sql})"
    return Typed(sql, kinds.BOOL, is_window=left.is_window or right.is_window)


@_conditions(
    exp.And,
    exp.Or,
    parts="this expression",
    signature="a AND b, a OR b",
    note="Booleans only.",
    example="SELECT true AND NULL AS a",
)
def _connector(e: Expressions, node: exp.Connector) -> Typed:
    nodes = list(_operands(node, type(node)))
    if isinstance(node, exp.And):
        values = [e.boolean(side, "an operand of AND") for side in nodes]
        sql = _in_turn("AND", nodes, [value.sql for value in values])
    else:
        chains = [list(_operands(side, exp.And)) for side in nodes]
        word = "an operand of OR"
        branches = [
            [e.boolean(side, word if len(chain) == 1 else "an operand of AND") for side in chain] for chain in chains
        ]
        values = [value for branch in branches for value in branch]
        sql = _either(nodes, chains, [[value.sql for value in branch] for branch in branches])
    return Typed(sql, kinds.BOOL, is_window=any(value.is_window for value in values))


def _either(nodes: Sequence[exp.Expr], chains: Sequence[Sequence[exp.Expr]], branches: Sequence[Sequence[str]]) -> str:
    """(a AND b) OR (a AND c) as a AND (b OR c), where DuckDB can see that a is a join."""
    common = [sql for sql in dict.fromkeys(branches[0]) if all(sql in branch for branch in branches)]
    if common and not any(may_raise(sql) for branch in branches for sql in branch):
        rests = [[sql for sql in branch if sql not in common] for branch in branches]
        whole = " AND ".join(common)
        if not all(rests):
            return f"({whole})"
        either = " OR ".join(f"({' AND '.join(rest)})" for rest in rests)
        return f"({whole} AND ({either}))"
    parts = [
        sqls[0] if len(sqls) == 1 else _in_turn("AND", chain, sqls)
        for chain, sqls in zip(chains, branches, strict=True)
    ]
    return _in_turn("OR", nodes, parts)


def _operands(node: exp.Expr, kind: type[exp.Expr]) -> Iterator[exp.Expr]:
    """The operands of a chain of ANDs, or of ORs, from left to right."""
    if type(node.unnest()) is kind:
        yield from _operands(node.unnest().this, kind)
        yield from _operands(node.unnest().expression, kind)
    else:
        yield node


def _in_turn(sign: str, nodes: Sequence[exp.Expr], parts: Sequence[str]) -> str:
    """The chain, with what may raise looked at only where what stands before it leaves the matter open, as in Spark.

    DuckDB looks at all operands in any order. What cannot raise stays outside, where DuckDB finds its joins and
    filters; so does the equality of two columns, which is a join.
    """
    guarded = [
        at > 0 and may_raise(sql) and not (isinstance(node, exp.EQ) and _joins(node))
        for at, (node, sql) in enumerate(zip(nodes, parts, strict=True))
    ]
    plain = f" {sign} ".join(sql for sql, is_guarded in zip(parts, guarded, strict=True) if not is_guarded)
    if not any(guarded):
        return f"({plain})"
    last = max(at for at, is_guarded in enumerate(guarded) if is_guarded)
    settled = "FALSE" if sign == "AND" else "TRUE"
    tests = " ".join(f"WHEN {sql} IS {settled} THEN {settled}" for sql in parts[:last])
    return f"({plain} {sign} CASE {tests} ELSE {f' {sign} '.join(parts[: last + 1])} END)"


def _joins(node: exp.EQ) -> bool:
    return all(side.find(exp.Column) is not None for side in (node.this, node.expression))


@cache
def _sure() -> frozenset[str]:
    """The macros that call neither error() nor a function that may raise."""
    bodies = {signature.partition("(")[0]: body for signature, body in MACROS.items()}
    sure = set(bodies)
    while True:
        unsure = {name for name in sure if any(call not in sure for call in _CALL.findall(bodies[name]))}
        if not unsure:
            return frozenset(sure)
        sure -= unsure


_CALL = re.compile(r"\b(error|spark_\w+)\(")


def may_raise(sql: str) -> bool:
    """Whether an expression may raise for some row (overflow aside); one without columns is the same for all rows."""
    for call in _CALL.finditer(sql):
        if call[1] == "error" or (
            call[1] not in _sure() and _COLUMN.search(sql, call.end(), _closing(sql, call.end()))
        ):
            return True
    return False


_COLUMN = re.compile(r"\bt\d+\.")


def _closing(sql: str, at: int) -> int:
    """Where the parenthesis closes that opened before."""
    depth = 1
    while depth and at < len(sql):
        depth += {"(": 1, ")": -1}.get(sql[at], 0)
        at += 1
    return at


@_conditions(exp.Not, parts="this", signature="NOT a", note="Booleans only.", example="SELECT NOT true AS a")
def _not(e: Expressions, node: exp.Not) -> Typed:
    inner = node.this.unnest()
    if isinstance(inner, exp.In) and inner.args.get("query") is not None:
        return e.queries.is_in(inner, negated=True)
    if isinstance(inner, exp.Connector) and _asks_a_query(inner):
        return e.expr(_pushed_down(node, inner))
    value = e.boolean(node.this, "the operand of NOT")
    return Typed(f"(NOT {value.sql})", kinds.BOOL, is_window=value.is_window)


def _asks_a_query(node: exp.Expr) -> bool:
    return any(part.args.get("query") is not None for part in node.find_all(exp.In))


def _pushed_down(node: exp.Not, inner: exp.Connector) -> exp.Expr:
    """NOT (a AND b) as NOT a OR NOT b: NOT IN (SELECT …) has a meaning of its own."""
    other = exp.Or if isinstance(inner, exp.And) else exp.And
    made = other(this=exp.Not(this=inner.this.copy()), expression=exp.Not(this=inner.expression.copy()))
    made.parent = node.parent
    return made


@_conditions(
    exp.Is,
    parts="this expression",
    signature="a IS [NOT] NULL, a IS [NOT] TRUE | FALSE",
    example="SELECT NULL IS NULL AS a",
)
def _is(e: Expressions, node: exp.Is) -> Typed:
    value = e.expr(node.this)
    if isinstance(node.expression, exp.Null):
        return Typed(f"({value.sql} IS NULL)", kinds.BOOL, is_window=value.is_window)
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
    low = comparable(e, node, [values[0], values[1]], "BETWEEN")
    high = comparable(e, node, [values[0], values[2]], "BETWEEN")
    first, second = f"{low[0].sql} >= {low[1].sql}", f"{high[0].sql} <= {high[1].sql}"
    sql = f"({first} AND {second})"
    if may_raise(high[1].sql) or (high[0].sql != low[0].sql and may_raise(high[0].sql)):  # Spark looks at it last
        sql = f"CASE WHEN ({first}) IS FALSE THEN FALSE ELSE {sql} END"
    return Typed(sql, kinds.BOOL, is_window=any(value.is_window for value in values))


@_conditions(
    exp.In,
    parts="this expressions query",
    signature="a [NOT] IN (b, c)",
    note="IN (SELECT …): see Queries.",
    example="SELECT 2 IN (1, NULL) AS a",
)
def _in(e: Expressions, node: exp.In) -> Typed:
    if node.args.get("query") is not None:
        return e.queries.is_in(node, negated=False)
    values = e.exprs([node.this, *node.expressions])
    one, *others = comparable(e, node, values, "IN")
    sql = f"({one.sql} IN ({', '.join(other.sql for other in others)}))"
    return Typed(sql, kinds.BOOL, is_window=any(value.is_window for value in values))


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
    condition = e.expr(node.this)
    if condition.kind not in (kinds.BOOL, kinds.VOID):
        e.wrong(node, f"the condition of if is {kinds.in_spark(condition.kind)}; expected a boolean.")
    condition = e.cast(condition, kinds.BOOL)
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
    sql = f"coalesce({', '.join(value.sql for value in values)})"
    return Typed(sql, kind, is_window=any(value.is_window for value in raw))


@_functions("nullif", 2, 2, "nullif(a, b)", "SELECT nullif(1, 1) AS a")
def _nullif(e: Expressions, node: exp.Anonymous) -> Typed:
    value, other = e.exprs(node.expressions)
    left, right = comparable(e, node, [value, other], "nullif")
    if value.kind == kinds.VOID:
        return Typed("NULL", kinds.VOID)
    sql = f"CASE WHEN {left.sql} = {right.sql} THEN NULL ELSE {value.sql} END"
    return Typed(sql, value.kind, is_window=value.is_window)


@_functions("nullifzero", 1, 1, "nullifzero(a)", "SELECT nullifzero(0) AS a", note="NULL for zero.")
def _nullifzero(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if value.kind == kinds.VOID:
        return Typed("NULL", kinds.VOID)
    one, zero = comparable(e, node, [value, _zero()], "nullifzero")
    return Typed(f"CASE WHEN {one.sql} = {zero.sql} THEN NULL ELSE {value.sql} END", value.kind)


@_functions("zeroifnull", 1, 1, "zeroifnull(a)", "SELECT zeroifnull(NULL) AS a", note="0 for NULL.")
def _zeroifnull(e: Expressions, node: exp.Anonymous) -> Typed:
    (one, zero), kind = e.common(node, [e.expr(node.expressions[0]), _zero()], "zeroifnull")
    return Typed(f"coalesce({one.sql}, {zero.sql})", kind)


def _zero() -> Typed:
    return Typed("CAST('0' AS INTEGER)", kinds.INT)


@_functions("equal_null", 2, 2, "equal_null(a, b)", "SELECT equal_null(1, NULL) AS a", note="As a <=> b.")
def _equal_null(e: Expressions, node: exp.Anonymous) -> Typed:
    made = exp.NullSafeEQ(this=node.expressions[0].copy(), expression=node.expressions[1].copy())
    made.parent = node.parent
    return e.expr(made)


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
    given = e.exprs(node.expressions)
    if any(nested.is_nested(value.kind) for value in given):
        return nested.extreme(e, node, given, descending=name == "greatest")
    values = comparable(e, node, given, name, with_text=False)
    return Typed(f"{name}({', '.join(value.sql for value in values)})", values[0].kind)
