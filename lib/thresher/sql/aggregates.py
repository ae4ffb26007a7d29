"""Aggregates, window functions and explode."""

from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import AGGREGATES, FUNCTIONS, REMEDIES, WINDOW_FUNCTIONS, construct, function
from thresher.sql.decimals import scaled, unscaled
from thresher.sql.expressions import Expressions, Typed

GENERATORS = ("explode", "posexplode")
_LARGEST = "9" * 38

_aggregates = partial(function, group="Aggregates", into=AGGREGATES)
_windows = partial(function, group="Windows", into=WINDOW_FUNCTIONS)


def is_aggregate(node: exp.Expr) -> bool:
    """A call of an aggregate, or a window."""
    return isinstance(node, exp.Window) or (isinstance(node, exp.Anonymous) and node.name.lower() in AGGREGATES)


class _Call:
    """One aggregate as written: its arguments, DISTINCT, and what follows it (FILTER, OVER)."""

    def __init__(self, e: Expressions, node: exp.Anonymous, tail: str = "") -> None:
        self.e, self.node, self.tail = e, node, tail
        first = node.expressions[0] if node.expressions else None
        self.is_distinct = isinstance(first, exp.Distinct)
        self.nodes = first.expressions if isinstance(first, exp.Distinct) else node.expressions
        self.distinct = "DISTINCT " if self.is_distinct else ""


def _aggregate(e: Expressions, node: exp.Anonymous, tail: str = "") -> Typed:
    name = node.name.lower()
    found = AGGREGATES.get(name)
    if found is None:
        e.refuse(node, f"function {name}", REMEDIES.get(name, ""))
    call = _Call(e, node, tail)
    if len(call.nodes) < found.least or (found.most >= 0 and len(call.nodes) > found.most):
        e.refuse(node, f"{name} with {len(call.nodes)} arguments instead of {found.least}")
    for argument in call.nodes:
        if any(is_aggregate(inner) for inner in argument.walk()):
            e.refuse(node, f"an aggregate or window function inside {name}", "use a subquery")
    return found.rule(e, call)


@_aggregates(
    "count",
    1,
    -1,
    "count(*), count(a), count([DISTINCT] a, b, …) → bigint",
    "SELECT count(DISTINCT a) AS n FROM VALUES (1), (1) AS t(a)",
)
def _count(e: Expressions, call: _Call) -> Typed:
    if isinstance(call.nodes[0], exp.Star):
        e.only(call.nodes[0], set())
        return Typed(f"count(*){call.tail}", kinds.BIGINT, "count(1)")
    values = e.exprs(call.nodes)
    if call.is_distinct and any(
        not kinds.is_orderable(v.kind) or v.kind in (kinds.FLOAT, kinds.DOUBLE) for v in values
    ):
        e.refuse(call.node, f"count(DISTINCT {', '.join(kinds.in_spark(v.kind) for v in values)})")
    label = None
    if all(v.name is not None for v in values):
        label = f"count({call.distinct}{', '.join(str(v.name) for v in values)})"
    if len(values) == 1:
        return Typed(f"count({call.distinct}{values[0].sql}){call.tail}", kinds.BIGINT, label)
    whole = " AND ".join(f"{v.sql} IS NOT NULL" for v in values)
    row = ", ".join(v.sql for v in values)
    return Typed(f"count({call.distinct}CASE WHEN {whole} THEN row({row}) END){call.tail}", kinds.BIGINT, label)


@_aggregates(
    "count_if", 1, 1, "count_if(condition) → bigint", "SELECT count_if(a > 1) AS n FROM VALUES (1), (2) AS t(a)"
)
def _count_if(e: Expressions, call: _Call) -> Typed:
    if call.is_distinct:
        e.refuse(call.node, "count_if(DISTINCT …)")
    condition = e.boolean(call.nodes[0], "the condition of count_if")
    return Typed(f"count(CASE WHEN {condition.sql} THEN 1 END){call.tail}", kinds.BIGINT)


@_aggregates(
    "sum",
    1,
    1,
    "sum([DISTINCT] a) → bigint, decimal(p+10, s)",
    "SELECT sum(a) AS s FROM VALUES (1.50), (2.25) AS t(a)",
    note="Integers and decimals; overflow is an error. Doubles: cast to decimal (a sum depends on the order).",
)
def _sum(e: Expressions, call: _Call) -> Typed:
    value = e.expr(call.nodes[0])
    name = f"sum({call.distinct}{value.name})" if value.name is not None else None
    total = f"sum({call.distinct}{value.sql}){call.tail}"
    if value.kind in kinds.INTEGERS:
        return Typed(f"CAST({total} AS BIGINT)", kinds.BIGINT, name)
    if kinds.is_decimal(value.kind):
        kind = pa.decimal128(min(38, value.kind.precision + 10), value.kind.scale)
        word = kinds.in_duckdb(kind)
        if kind.precision < kinds.MAX_PRECISION:
            return Typed(f"CAST({total} AS {word})", kind, name)
        # DuckDB adds up to 2^127, past the 38 digits of the type: seen in 1.5.6.
        most = f"CAST('{_LARGEST[: 38 - kind.scale]}.{_LARGEST[: kind.scale]}' AS {word})"
        failure = f"error('sum does not fit {kinds.in_spark(kind)}')"
        sql = f"CASE WHEN {total} > {most} OR {total} < - {most} THEN {failure} ELSE {total} END"
        return Typed(sql, kind, name)
    e.refuse(call.node, f"sum({kinds.in_spark(value.kind)})", "cast to a decimal")


@_aggregates(
    "avg mean",
    1,
    1,
    "avg([DISTINCT] a) → double, decimal(p+4, s+4)",
    "SELECT avg(a) AS m FROM VALUES (1.00), (2.01) AS t(a)",
    note="Decimals up to 23 digits exactly, rounded half up; integers while their sum is exact in a double (2^53). "
    "Doubles: cast to decimal.",
)
def _average(e: Expressions, call: _Call) -> Typed:
    value = e.expr(call.nodes[0])
    name = f"{call.node.name.lower()}({call.distinct}{value.name})" if value.name is not None else None
    rows = f"count({call.distinct}{value.sql}){call.tail}"
    if value.kind in kinds.INTEGERS:
        # Spark adds doubles row by row: exact, and so equal in any order, as long as no partial sum can pass 2^53.
        number = f"CAST({value.sql} AS HUGEINT)"
        sums = [f"sum({call.distinct}{part}){call.tail}" for part in (number, f"abs({number})")]
        if call.is_distinct:
            sums[1] = f"sum(abs({number})){call.tail}"
        return Typed(f"spark_average({sums[0]}, {sums[1]}, {rows})", kinds.DOUBLE, name)
    if kinds.is_decimal(value.kind) and value.kind.precision <= 23 and value.kind.precision + value.kind.scale <= 38:
        precision, scale = value.kind.precision + 4, value.kind.scale + 4
        total = f"sum({call.distinct}{unscaled(value)}){call.tail}"
        sql = f"spark_divide_whole({total} * 10000::HUGEINT, CAST(nullif({rows}, 0) AS HUGEINT))"
        return scaled(sql, pa.decimal128(precision, scale), name)
    e.refuse(call.node, f"{call.node.name.lower()}({kinds.in_spark(value.kind)})", "cast to a narrower decimal")


@_aggregates(
    "min max",
    1,
    1,
    "min(a), max(a)",
    "SELECT min(a) AS low FROM VALUES ('b'), ('a') AS t(a)",
    note="Numbers, strings, booleans, dates, timestamps.",
)
def _extreme(e: Expressions, call: _Call) -> Typed:
    value = e.expr(call.nodes[0])
    name = call.node.name.lower()
    if not kinds.is_orderable(value.kind) or value.kind == kinds.VOID:
        e.refuse(call.node, f"{name}({kinds.in_spark(value.kind)})")
    label = f"{name}({call.distinct}{value.name})" if value.name is not None else None
    return Typed(f"{name}({value.sql}){call.tail}", value.kind, label)


@_aggregates(
    "bool_and every bool_or some any",
    1,
    1,
    "bool_and(a), every(a), bool_or(a), some(a), any(a)",
    "SELECT bool_and(a) AS b FROM VALUES (true), (NULL) AS t(a)",
)
def _logical(e: Expressions, call: _Call) -> Typed:
    word = "bool_and" if call.node.name.lower() in ("bool_and", "every") else "bool_or"
    return Typed(f"{word}({e.boolean(call.nodes[0], call.node.name).sql}){call.tail}", kinds.BOOL)


def _plain(e: Expressions, node: exp.Anonymous) -> Typed:
    return _aggregate(e, node)


for _name, _function in AGGREGATES.items():
    FUNCTIONS[_name] = type(_function)(_plain, 0, -1)


@construct(
    exp.Filter,
    parts="this expression",
    group="Aggregates",
    signature="aggregate(…) FILTER (WHERE condition)",
    example="SELECT sum(a) FILTER (WHERE a > 1) AS s FROM VALUES (1), (2) AS t(a)",
)
def _filter(e: Expressions, node: exp.Filter) -> Typed:
    if not is_aggregate(node.this):
        e.refuse(node, "FILTER here")
    condition = e.condition(node.expression.this, "the condition of FILTER")
    value = _aggregate(e, node.this, f" FILTER (WHERE {condition.sql})")
    return Typed(value.sql, value.kind)


@construct(
    exp.Window,
    parts="this partition_by order spec over alias first",
    group="Windows",
    signature="aggregate(…) OVER ([PARTITION BY …] [ORDER BY …] [ROWS | RANGE BETWEEN … AND …]), OVER name",
    note="count, count_if, sum, min, max and the functions below. RANGE only with UNBOUNDED and CURRENT ROW.",
    example="SELECT sum(a) OVER (ORDER BY a) AS s FROM VALUES (1), (2) AS t(a)",
)
def _window(e: Expressions, node: exp.Window) -> Typed:
    spec = node
    if node.alias:
        if node.args.get("partition_by") or node.args.get("order") or node.args.get("spec"):
            e.refuse(node, "a named window with additions", "write the window out")
        if node.alias.lower() not in e.windows:
            e.wrong(node, f"no window {node.alias}.")
        spec = e.windows[node.alias.lower()]
    call = node.this
    if not isinstance(call, exp.Anonymous):
        e.refuse(node, f"{type(call).__name__} over a window")
    name = call.name.lower()
    over = f" OVER ({_over(e, spec, name)})"
    if name in WINDOW_FUNCTIONS:
        found = WINDOW_FUNCTIONS[name]
        if not found.least <= len(call.expressions) <= found.most:
            e.refuse(call, f"{name} with {len(call.expressions)} arguments")
        if not spec.args.get("order"):
            e.refuse(node, f"{name} without ORDER BY in its window", "order the window")
        if spec.args.get("spec"):
            e.refuse(node, f"{name} with a frame", "leave the frame out")
        value = found.rule(e, (call, over))
    else:
        if call.expressions and isinstance(call.expressions[0], exp.Distinct):
            e.refuse(node, "DISTINCT over a window")
        value = _aggregate(e, call, over)
    return Typed(value.sql, value.kind, is_window=True)


def ordered(item: exp.Ordered, sql: str) -> str:
    """One key of an ORDER BY with its nulls placed as Spark places them."""
    direction = "DESC" if item.args.get("desc") else "ASC"
    return f"{sql} {direction} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"


def _over(e: Expressions, node: exp.Expr, name: str) -> str:
    parts = []
    keys = e.exprs(node.args.get("partition_by") or [])
    if keys:
        parts.append(f"PARTITION BY {', '.join(key.sql for key in keys)}")
    if order := node.args.get("order"):
        items = []
        for item in order.expressions:
            e.only(item, {"this", "desc", "nulls_first"})
            value = e.expr(item.this)
            if not kinds.is_orderable(value.kind):
                e.refuse(item, f"ORDER BY a {kinds.in_spark(value.kind)}")
            items.append(ordered(item, value.sql))
        parts.append(f"ORDER BY {', '.join(items)}")
    if frame := node.args.get("spec"):
        parts.append(_frame(e, frame, bool(order)))
    return " ".join(parts)


_FRAME_ORDER = ["UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW", "FOLLOWING", "UNBOUNDED FOLLOWING"]


def _frame(e: Expressions, node: exp.WindowSpec, has_order: bool) -> str:
    e.only(node, {"kind", "start", "start_side", "end", "end_side"})
    kind = str(node.args["kind"]).upper()
    if kind not in ("ROWS", "RANGE") or not has_order:
        e.refuse(
            node,
            "a frame without ORDER BY" if kind in ("ROWS", "RANGE") else f"a {kind} frame",
            "use ROWS with ORDER BY",
        )
    bounds, ranks = [], []
    for side in ("start", "end"):
        value = node.args.get(side)
        direction = str(node.args.get(f"{side}_side") or "").upper()
        if value is None:
            value = "CURRENT ROW"
        if isinstance(value, exp.Expr):
            if kind == "RANGE" or not isinstance(value, exp.Literal) or not value.this.isdigit():
                e.refuse(node, "a frame by values", "use ROWS with whole numbers")
            bounds.append(f"{value.this} {direction}")
            offset = int(value.this) * (-1 if direction == "PRECEDING" else 1)
            ranks.append((_FRAME_ORDER.index(direction), offset))
        else:
            bounds.append(f"{value} {direction}".strip())
            ranks.append((_FRAME_ORDER.index(bounds[-1]), 0))
    if ranks[0] > ranks[1] or bounds[0] == "UNBOUNDED FOLLOWING" or bounds[1] == "UNBOUNDED PRECEDING":
        e.wrong(node, f"the frame ends before it begins: {bounds[0]} to {bounds[1]}.")
    return f"{kind} BETWEEN {bounds[0]} AND {bounds[1]}"


@_windows(
    "row_number rank dense_rank",
    0,
    0,
    "row_number(), rank(), dense_rank() → int",
    "SELECT row_number() OVER (ORDER BY a DESC) AS n FROM VALUES (1), (2) AS t(a)",
    note="With ORDER BY. Rows that are equal in it get their numbers in any order: make it unique.",
)
def _ranking(e: Expressions, call: tuple[exp.Anonymous, str]) -> Typed:
    node, over = call
    return Typed(f"CAST({node.name.lower()}(){over} AS INTEGER)", kinds.INT)


@_windows(
    "lag lead",
    1,
    3,
    "lag(a [, n [, default]]), lead(a [, n [, default]])",
    "SELECT lag(a, 1, 0) OVER (ORDER BY a) AS b FROM VALUES (1), (2) AS t(a)",
    note="n is a whole number.",
)
def _offset(e: Expressions, call: tuple[exp.Anonymous, str]) -> Typed:
    node, over = call
    value, *rest = e.exprs(node.expressions)
    rows = 1
    if rest:
        if rest[0].kind != kinds.INT or not isinstance(rest[0].literal, int):
            e.refuse(node, f"{node.name} by something that is not a whole number")
        rows = rest[0].literal
    default = "NULL"
    if len(rest) > 1:
        default = e.coerce(node, rest[1], value.kind, f"the default of {node.name}").sql
    return Typed(f"{node.name.lower()}({value.sql}, {rows}, {default}){over}", value.kind)


def generator(e: Expressions, node: exp.Anonymous, is_outer: bool) -> tuple[str, list[tuple[str, pa.DataType]]]:
    """The SELECT of an explode, and its columns' default names and types."""
    name = node.name.lower()
    if name not in GENERATORS:
        e.refuse(node, f"function {name} here", REMEDIES.get(name, "use explode or posexplode"))
    if len(node.expressions) != 1:
        e.wrong(node, f"{name} takes one array.")
    value = e.expr(node.expressions[0])
    if not kinds.is_array(value.kind):
        e.refuse(node, f"{name}({kinds.in_spark(value.kind)})", "explode an array")
    element = value.kind.value_type
    array = value.sql
    if is_outer:
        array = f"CASE WHEN len({array}) > 0 THEN {array} ELSE CAST([NULL] AS {kinds.in_duckdb(value.kind)}) END"
    if name == "explode":
        return f"SELECT unnest({array}) AS c1", [("col", element)]
    position = f"range(len({array}))"
    if is_outer:
        position = f"CASE WHEN len({value.sql}) > 0 THEN range(len({value.sql})) ELSE [NULL] END"
    return f"SELECT CAST(unnest({position}) AS INTEGER) AS c1, unnest({array}) AS c2", [
        ("pos", kinds.INT),
        ("col", element),
    ]
