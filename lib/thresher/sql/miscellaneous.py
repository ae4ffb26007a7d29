"""Functions that check or fail, and those that tell where a query runs."""

from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, REMEDIES, function
from thresher.sql.expressions import Expressions, Typed

_checks = partial(function, group="Errors and surroundings")

MACROS["spark_assert(c, message)"] = "CASE WHEN c THEN NULL ELSE error(message) END"

_SURROUNDINGS = {
    "current_database": "default",
    "current_schema": "default",
    "current_catalog": "spark_catalog",
}

REMEDIES["version"] = "note the version of the engine outside the query"
REMEDIES.update(
    dict.fromkeys(
        ("current_user", "user", "session_user"), "pass the name as a parameter, so that a re-run gives the same rows"
    )
)


@_checks("raise_error", 1, 1, "raise_error(message)", "SELECT if(true, 1, raise_error('never')) AS a")
def _raise_error(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"error({_message(e, node.expressions[0], 'raise_error')})", kinds.VOID)


@_checks(
    "assert_true",
    1,
    2,
    "assert_true(condition [, message])",
    "SELECT 1 AS a WHERE assert_true(1 < 2) IS NULL",
    note="NULL, or an error where the condition is false or NULL.",
)
def _assert_true(e: Expressions, node: exp.Anonymous) -> Typed:
    condition = e.expr(node.expressions[0])
    if condition.kind not in (kinds.BOOL, kinds.VOID):
        e.wrong(node, f"assert_true of a {kinds.in_spark(condition.kind)}; expected a boolean.")
    message = "'assert_true: the condition is not true'"
    if len(node.expressions) > 1:
        message = _message(e, node.expressions[1], "assert_true")
    return Typed(f"spark_assert({e.cast(condition, kinds.BOOL).sql}, {message})", kinds.VOID)


def _message(e: Expressions, node: exp.Expr, what: str) -> str:
    # DuckDB's error(NULL) is no error.
    return f"coalesce({e.text(node, f'the message of {what}').sql}, 'null')"


@_checks(
    " ".join(_SURROUNDINGS),
    0,
    0,
    "current_database(), current_schema(), current_catalog()",
    "SELECT current_database() AS a",
    note="What a query of a step finds: default and spark_catalog.",
)
def _surroundings(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(kinds.text_literal(_SURROUNDINGS[node.name.lower()]), kinds.STRING)


@_checks(
    "bitmap_bit_position bitmap_bucket_number",
    1,
    1,
    "bitmap_bit_position(n), bitmap_bucket_number(n) → bigint",
    "SELECT bitmap_bucket_number(32769) AS a",
    note="Where a number stands in bitmaps of 32,768 bits.",
)
def _bitmap(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.coerce(node, e.expr(node.expressions[0]), kinds.BIGINT, node.name)
    return Typed(f"spark_{node.name.lower()}({value.sql})", kinds.BIGINT)


# Through HUGEINT: the smallest bigint has no opposite.
MACROS["spark_bitmap_bit_position(n)"] = (
    "CAST(CASE WHEN n > 0 THEN (CAST(n AS HUGEINT) - 1) % 32768 ELSE (- CAST(n AS HUGEINT)) % 32768 END AS BIGINT)"
)
MACROS["spark_bitmap_bucket_number(n)"] = (
    "CAST(CASE WHEN n > 0 THEN 1 + (CAST(n AS HUGEINT) - 1) // 32768 ELSE CAST(n AS HUGEINT) // 32768 END AS BIGINT)"
)


@_checks("bitmap_count", 1, 1, "bitmap_count(b) → bigint", "SELECT bitmap_count(X'0102ff') AS a", note="The bits set.")
def _bitmap_count(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if value.kind != kinds.BINARY:
        e.wrong(node, f"bitmap_count of a {kinds.in_spark(value.kind)}; expected a binary.")
    return Typed(f"bit_count(CAST({value.sql} AS BIT))", kinds.BIGINT)
