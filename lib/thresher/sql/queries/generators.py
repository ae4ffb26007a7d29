"""Generators: functions that make several rows of one, in LATERAL VIEW, in FROM and in the select list."""

from collections.abc import Callable, Sequence
from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import ENTRIES, FUNCTIONS, Entry, Function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.lambdas import each, typed

# The SELECT that makes the rows, with columns c1, c2, …, and the columns' default names and types.
Rows = tuple[str, list[tuple[str, pa.DataType]]]
GENERATORS: dict[str, Callable[[Expressions, exp.Anonymous, bool], Rows]] = {}


def generator(e: Expressions, node: exp.Anonymous, is_outer: bool) -> Rows:
    """The rows of a call; for `is_outer`, as for a name with _outer, one row of NULLs where there is none."""
    name = node.name.lower()
    if name not in GENERATORS:
        e.wrong(node, f"{name} is no function that makes rows; expected {', '.join(sorted(GENERATORS))}.")
    for argument in node.expressions:
        for call in argument.find_all(exp.Anonymous):
            if call.name.lower() in GENERATORS:
                e.wrong(call, f"{call.name} inside {name}; nest them as two LATERAL VIEWs.")
    return GENERATORS[name](e, node, is_outer or name.endswith("_outer"))


def _misplaced(e: Expressions, node: exp.Anonymous) -> Typed:
    e.wrong(node, f"{node.name} inside an expression; expected it alone in SELECT or in LATERAL VIEW.")


def rows_function(
    names: str, signature: str, example: str, *, note: str = ""
) -> Callable[[Callable[[Expressions, exp.Anonymous, bool], Rows]], Callable[[Expressions, exp.Anonymous, bool], Rows]]:
    """Register the rule of a generator."""

    def register(
        rule: Callable[[Expressions, exp.Anonymous, bool], Rows],
    ) -> Callable[[Expressions, exp.Anonymous, bool], Rows]:
        for name in names.split():
            GENERATORS[name] = rule
            FUNCTIONS[name] = Function(_misplaced, 0, -1)
        ENTRIES.append(Entry("Rows", signature, note, example))
        return rule

    return register


def rows_of(columns: Sequence[str]) -> str:
    """The SELECT for arrays of one length, each a column."""
    return "SELECT " + ", ".join(f"unnest({sql}) AS c{n}" for n, sql in enumerate(columns, 1))


def _only(e: Expressions, node: exp.Anonymous) -> Typed:
    if len(node.expressions) != 1:
        e.wrong(node, f"{node.name} with {len(node.expressions)} arguments; expected one.")
    return e.expr(node.expressions[0])


def _or_one(has_rows: str, is_outer: bool, array: str, kind: pa.DataType) -> str:
    """An array of a column's values; for OUTER one NULL instead of none."""
    if not is_outer:
        return array
    return f"CASE WHEN {has_rows} THEN {array} ELSE CAST([NULL] AS {kinds.in_duckdb(kind)}[]) END"


@rows_function(
    "explode explode_outer posexplode posexplode_outer",
    "explode(a), posexplode(a), explode(m), explode_outer(…), posexplode_outer(…)",
    "SELECT explode(map('a', 1)) AS (k, v)",
    note="Also as explode(a) AS x and posexplode(a) AS (p, x) in SELECT, and in LATERAL VIEW [OUTER]. "
    "Columns: [pos,] col or [pos,] key, value.",
)
def _explode(e: Expressions, node: exp.Anonymous, is_outer: bool) -> Rows:
    value = _only(e, node)
    if kinds.is_map(value.kind):
        size = f"cardinality({value.sql})"
        columns = [
            (f"map_keys({value.sql})", "key", value.kind.key_type),
            (f"map_values({value.sql})", "value", value.kind.item_type),
        ]
    elif kinds.is_array(value.kind):
        size = f"len({value.sql})"
        columns = [(value.sql, "col", value.kind.value_type)]
    else:
        e.wrong(node, f"{node.name} of {kinds.in_spark(value.kind)}; expected an array or a map.")
    if node.name.lower().startswith("pos"):
        columns.insert(0, (f"CAST(range(CAST({size} AS BIGINT)) AS INTEGER[])", "pos", kinds.INT))
    arrays = [_or_one(f"{size} > 0", is_outer, sql, kind) for sql, _, kind in columns]
    return rows_of(arrays), [(name, kind) for _, name, kind in columns]


@rows_function(
    "inline inline_outer",
    "inline(a), inline_outer(a)",
    "SELECT inline(array(struct(1 AS x, 'p' AS y)))",
    note="A row for each struct, a column for each field.",
)
def _inline(e: Expressions, node: exp.Anonymous, is_outer: bool) -> Rows:
    value = _only(e, node)
    if not kinds.is_array(value.kind) or not kinds.is_struct(value.kind.value_type):
        e.wrong(node, f"{node.name} of {kinds.in_spark(value.kind)}; expected an array of structs.")
    element = value.kind.value_type

    def extracted(part: pa.Field, x: Typed) -> str:
        return f"struct_extract({x.sql}, {kinds.text_literal(part.name)})"

    arrays = [each(e, value.sql, element, partial(extracted, part)) for part in element]
    kept = [
        _or_one(f"len({value.sql}) > 0", is_outer, sql, part.type) for sql, part in zip(arrays, element, strict=True)
    ]
    return rows_of(kept), [(part.name, part.type) for part in element]


@rows_function(
    "stack",
    "stack(rows, a, b, …)",
    "SELECT stack(2, 'a', 1, 'b', 2) AS (k, v)",
    note="The values in so many rows, the last filled up with NULLs; the number is a literal. Columns: col0, col1, …",
)
def _stack(e: Expressions, node: exp.Anonymous, is_outer: bool) -> Rows:
    if len(node.expressions) < 2:
        e.wrong(node, f"stack with {len(node.expressions)} arguments; expected a number of rows and values.")
    number, *values = e.exprs(node.expressions)
    if number.kind not in kinds.INTEGERS[:3]:
        e.wrong(node, f"the number of rows of stack is {kinds.in_spark(number.kind)}; expected int.")
    if not isinstance(number.literal, int):
        e.refuse(node, "stack by something that is not a whole number", "write the number")
    rows = number.literal
    if rows < 1:
        e.wrong(node, f"stack in {rows} rows; expected at least one.")
    width = -(-len(values) // rows)
    values += [Typed("NULL", kinds.VOID)] * (rows * width - len(values))
    arrays, columns = [], []
    for position in range(width):
        column = values[position::width]
        kind = next((value.kind for value in column if value.kind != kinds.VOID), kinds.VOID)
        if any(value.kind not in (kind, kinds.VOID) for value in column):
            found = ", ".join(kinds.in_spark(value.kind) for value in column)
            e.wrong(node, f"column {position} of stack holds {found}; expected one type.")
        arrays.append(f"[{', '.join(typed(e.cast(value, kind)) for value in column)}]")
        columns.append((f"col{position}", kind))
    return rows_of(arrays), columns
