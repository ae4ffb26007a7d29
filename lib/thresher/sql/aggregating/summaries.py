"""Aggregates that sum up many values in little room: estimated counts, histograms, bitmaps."""

from math import ceil, log2

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.aggregates import Call, aggregate, normalised
from thresher.sql.aggregating.arguments import constant, numeric
from thresher.sql.allowed import MACROS, arrow_function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.nesting.nested import has_map
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

# Up to this estimate, for 2^4, 2^5, … registers, Spark counts the registers that are still empty.
_LINEAR = (10, 20, 40, 80, 220, 400, 900, 1800, 3100, 6500, 11500, 20000, 50000, 120000, 350000)


@aggregate(
    "approx_count_distinct",
    1,
    2,
    "approx_count_distinct(a [, accuracy]) → bigint",
    "SELECT approx_count_distinct(a) AS n FROM VALUES (1), (2), (2) AS t(a)",
    note="Spark's own estimate, while it is small (up to 400 with the usual accuracy); beyond that an error: "
    "use count(DISTINCT a), which is exact.",
)
def _approximate_count(e: Expressions, call: Call) -> Typed:
    value = e.expr(call.nodes[0])
    if has_map(value.kind):
        e.wrong(call.node, f"approx_count_distinct of a {kinds.in_spark(value.kind)}.")
    accuracy = constant(call.nodes[1]) if len(call.nodes) > 1 else 0.05
    if accuracy is None:
        e.refuse(call.nodes[1], "approx_count_distinct with an accuracy that is not a number")
    bits = ceil(2 * log2(1.106 / float(accuracy))) if accuracy > 0 else 0
    if bits < 4:
        e.wrong(call.nodes[1], f"approx_count_distinct with the accuracy {accuracy}; expected more than 0, below 0.4.")
    if bits > len(_LINEAR) + 3:
        e.refuse(call.nodes[1], f"approx_count_distinct with the accuracy {accuracy}", "use count(DISTINCT …)")
    hashed = f"spark_xxhash64({normalised(e, value)}) >> {64 - bits}"
    taken = call.run("count", hashed, where=f"{value.sql} IS NOT NULL", distinct=True)
    return Typed(f"spark_linear_count({taken}, {2**bits}, {_LINEAR[bits - 4]})", kinds.BIGINT)


MACROS["spark_linear_count(taken, m, most)"] = (
    "CASE WHEN taken = m OR m * ln(m / greatest(m - taken, 1)) > most "
    "THEN error('not proven equal to Spark: approx_count_distinct of more than about ' || most || ' values: "
    "use count(DISTINCT …)') ELSE CAST(floor(m * ln(m / greatest(m - taken, 1)) + 0.5) AS BIGINT) END"
)


@aggregate(
    "histogram_numeric",
    2,
    2,
    "histogram_numeric(a, n) → array<struct<x, y>>",
    "SELECT histogram_numeric(a, 5) AS h FROM VALUES (1), (2), (2) AS t(a)",
    note="Of integers and doubles, while they have at most n different values; more are an error.",
)
def _histogram(e: Expressions, call: Call) -> Typed:
    if e.expr(call.nodes[0]).kind in (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ):
        e.refuse(call.node, "histogram_numeric of dates and timestamps", "use unix_date or unix_micros")
    value, count = numeric(e, call), constant(call.nodes[1])
    if call.nodes[1].find(exp.Column, exp.Null):
        e.wrong(call.nodes[1], "histogram_numeric with a number of bins that is NULL or depends on the row.")
    if count is None or kinds.is_decimal(value.kind) or value.kind == kinds.BIGINT:
        e.refuse(call.node, f"histogram_numeric of {kinds.in_spark(value.kind)}", "cast to int or double")
    if count < 2:
        e.wrong(call.nodes[1], f"histogram_numeric with {count} bins; expected two or more.")
    counts = call.run("histogram", value.sql, where=f"{value.sql} IS NOT NULL")
    kind = kinds.array_of(pa.struct([("x", value.kind), ("y", kinds.DOUBLE)]))
    return Typed(f"CAST(spark_few_bins({counts}, {int(count)}) AS {kinds.in_duckdb(kind)})", kind)


MACROS["spark_few_bins(counts, n)"] = (
    "CASE WHEN len(map_keys(counts)) > n THEN error('not proven equal to Spark: histogram_numeric of more different "
    "values than bins: use count(*) with GROUP BY') "
    "ELSE list_transform(map_entries(counts), lambda b: {'x': b['key'], 'y': CAST(b['value'] AS DOUBLE)}) END"
)
_BITMAP_BYTES = 4096


@aggregate(
    "bitmap_construct_agg",
    1,
    1,
    "bitmap_construct_agg(position) → binary",
    "SELECT bitmap_count(bitmap_construct_agg(a)) AS n FROM VALUES (1), (5) AS t(a)",
    note="Positions from 0 to 32767, as bitmap_bit_position gives them.",
)
def _bitmap(e: Expressions, call: Call) -> Typed:
    position = e.coerce(call.node, e.expr(call.nodes[0]), kinds.BIGINT, "the position of bitmap_construct_agg").sql
    positions = call.run("list", position, where=f"{position} IS NOT NULL", distinct=True)
    return Typed(f"spark_bitmap({positions})", kinds.BINARY)


@arrow_function("spark_bitmap", ["BIGINT[]"], "BLOB")
def _bitmap_of(lists: pa.ChunkedArray) -> pa.Array:
    return pa.array([_bits(positions or []) for positions in lists.to_pylist()], pa.binary())


def _bits(positions: list[int]) -> bytes:
    bits = 0
    for position in positions:
        if not 0 <= position < _BITMAP_BYTES * 8:
            raise ValueError(f"bitmap_construct_agg of the position {position}; expected 0 to {_BITMAP_BYTES * 8 - 1}")
        bits |= 1 << position
    return bits.to_bytes(_BITMAP_BYTES, "little")


@aggregate(
    "bitmap_or_agg bitmap_and_agg",
    1,
    1,
    "bitmap_or_agg(bitmap), bitmap_and_agg(bitmap) → binary",
    "SELECT bitmap_count(bitmap_or_agg(a)) AS n FROM VALUES (X'01'), (X'10') AS t(a)",
)
def _merged(e: Expressions, call: Call) -> Typed:
    value = e.expr(call.nodes[0])
    if value.kind != kinds.BINARY:
        e.wrong(call.node, f"{call.name} of a {kinds.in_spark(value.kind)}; expected binary.")
    bitmaps = call.run("list", value.sql, where=f"{value.sql} IS NOT NULL")
    return Typed(f"spark_bitmaps({bitmaps}, {'true' if call.name == 'bitmap_and_agg' else 'false'})", kinds.BINARY)


@arrow_function("spark_bitmaps", ["BLOB[]", "BOOLEAN"], "BLOB")
def _bitmaps(lists: pa.ChunkedArray, is_and: pa.ChunkedArray) -> pa.Array:
    rows = zip(lists.to_pylist(), is_and.to_pylist(), strict=True)
    return pa.array([_merge(bitmaps or [], every) for bitmaps, every in rows], pa.binary())


def _merge(bitmaps: list[bytes], is_and: bool) -> bytes:
    """The bits that are in all bitmaps, or in any; a short bitmap goes on with zeros."""
    merged = (1 << _BITMAP_BYTES * 8) - 1 if is_and else 0
    for bitmap in bitmaps:
        bits = int.from_bytes(bitmap[:_BITMAP_BYTES], "little")
        merged = merged & bits if is_and else merged | bits
    return merged.to_bytes(_BITMAP_BYTES, "little")
