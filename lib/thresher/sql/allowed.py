"""The allow-list: what is portable, each entry with the rule that writes it for DuckDB.

A construct or function that has no entry here is refused by name. The modules of rules
register themselves, together with the macros and functions that their DuckDB text needs; `reference` prints the list as
docs/sql.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

if TYPE_CHECKING:
    from thresher.sql.expressions import Expressions, Typed

Rule = Callable[["Expressions", Any], "Typed"]


@dataclass(frozen=True)
class Entry:
    """One line of the reference: what may be written, what comes out, and what to know."""

    group: str
    signature: str
    note: str
    example: str


@dataclass(frozen=True)
class Construct:
    """The rule for a node of the syntax tree, and the parts of the node that it takes into account."""

    rule: Rule
    parts: frozenset[str]


@dataclass(frozen=True)
class Function:
    """The rule for a function called by name, and how many arguments it takes."""

    rule: Rule
    least: int
    most: int


@dataclass(frozen=True)
class ArrowFunction:
    """A function in Python that DuckDB calls with Arrow arrays; NULLs are handed to it too.

    `arguments` are DuckDB's types, None for any number of arguments of any type. `run` gives an array of as many
    values, of a type that DuckDB reads as `result`.
    """

    name: str
    arguments: Sequence[str] | None
    result: str
    run: Callable[..., pa.Array]


CONSTRUCTS: dict[type[exp.Expr], Construct] = {}
FUNCTIONS: dict[str, Function] = {}
AGGREGATES: dict[str, Function] = {}
WINDOW_FUNCTIONS: dict[str, Function] = {}
ENTRIES: list[Entry] = []
MACROS: dict[str, str] = {}  # DuckDB's macros with Spark's rules: signature to body
ARROW_FUNCTIONS: dict[str, ArrowFunction] = {}

# Spark has these functions, and they are not portable; any other unknown name is an error on Spark, too (4.2).
NOT_PORTABLE = frozenset(
    """
    identifier aes_decrypt aes_encrypt approx_top_k approx_top_k_accumulate approx_top_k_combine approx_top_k_estimate
    collation collations count_min_sketch current_path current_time current_user from_avro from_protobuf
    hll_sketch_agg hll_sketch_estimate hll_union hll_union_agg input_file_block_length input_file_block_start
    input_file_name is_valid_variant is_variant_null java_method kll_merge_agg_bigint kll_merge_agg_double
    kll_merge_agg_float kll_sketch_agg_bigint kll_sketch_agg_double kll_sketch_agg_float kll_sketch_get_n_bigint
    kll_sketch_get_n_double kll_sketch_get_n_float kll_sketch_get_quantile_bigint kll_sketch_get_quantile_double
    kll_sketch_get_quantile_float kll_sketch_get_rank_bigint kll_sketch_get_rank_double kll_sketch_get_rank_float
    kll_sketch_merge_bigint kll_sketch_merge_double kll_sketch_merge_float kll_sketch_to_string_bigint
    kll_sketch_to_string_double kll_sketch_to_string_float make_interval make_time measure
    monotonically_increasing_id parse_json python_worker_logs rand randn random randstr reflect schema_of_avro
    schema_of_variant schema_of_variant_agg sentences session_user session_window shuffle spark_partition_id
    sql_keywords st_asbinary st_geogfromwkb st_geomfromwkb st_setsrid st_srid theta_difference theta_intersection
    theta_intersection_agg theta_sketch_agg theta_sketch_estimate theta_union theta_union_agg time time_bucket
    time_diff time_from_micros time_from_millis time_from_seconds time_to_micros time_to_millis time_to_seconds
    time_trunc to_avro to_protobuf to_time to_variant_object try_aes_decrypt try_make_interval try_parse_json
    try_reflect try_to_time try_variant_get tuple_difference_double tuple_difference_integer
    tuple_difference_theta_double tuple_difference_theta_integer tuple_intersection_agg_double
    tuple_intersection_agg_integer tuple_intersection_double tuple_intersection_integer
    tuple_intersection_theta_double tuple_intersection_theta_integer tuple_sketch_agg_double
    tuple_sketch_agg_integer tuple_sketch_estimate_double tuple_sketch_estimate_integer tuple_sketch_summary_double
    tuple_sketch_summary_integer tuple_sketch_theta_double tuple_sketch_theta_integer tuple_union_agg_double
    tuple_union_agg_integer tuple_union_double tuple_union_integer tuple_union_theta_double
    tuple_union_theta_integer uniform user uuid variant_explode variant_explode_outer variant_get vector_avg
    vector_cosine_similarity vector_inner_product vector_l2_distance vector_norm vector_normalize vector_sum version
    """.split()
)


def has_function(name: str) -> bool:
    """Whether there is a rule for a call of this name: a function, an aggregate, a window function, a generator."""
    from thresher.sql.queries.generators import GENERATORS

    return name in ("range", *GENERATORS) or any(name in known for known in (FUNCTIONS, AGGREGATES, WINDOW_FUNCTIONS))


# Refused functions whose portable wording is known.
REMEDIES = {
    "hll_sketch_agg": "use count(DISTINCT …)",
    "count_min_sketch": "use count(*) with GROUP BY",
    "approx_top_k": "use count(*) with GROUP BY, ORDER BY and LIMIT",
    "rand": "choose rows by a hash of their key",
    "randstr": "make the text from the row's own key with sha2",
    "uuid": "make the key from the row's own key with sha2",
    "monotonically_increasing_id": "use row_number() with an ORDER BY",
    "shuffle": "sort by a hash of the element",
}


def construct(
    *nodes: type[exp.Expr], parts: str, group: str = "", signature: str = "", note: str = "", example: str = ""
) -> Callable[[Rule], Rule]:
    """Register a rule for nodes of the tree; `parts` are the node's arguments that the rule honours."""

    def register(rule: Rule) -> Rule:
        for node in nodes:
            CONSTRUCTS[node] = Construct(rule, frozenset(parts.split()))
        if signature:
            ENTRIES.append(Entry(group, signature, note, example))
        return rule

    return register


def function(
    names: str,
    least: int,
    most: int,
    signature: str,
    example: str,
    *,
    group: str,
    note: str = "",
    into: dict[str, Function] = FUNCTIONS,
) -> Callable[[Rule], Rule]:
    """Register a rule for a function and its synonyms; `most` is -1 where any number of arguments is fine."""

    def register(rule: Rule) -> Rule:
        for name in names.split():
            into[name] = Function(rule, least, most)
        ENTRIES.append(Entry(group, signature, note, example))
        return rule

    return register


def arrow_function(
    name: str, arguments: Sequence[str] | None, result: str
) -> Callable[[Callable[..., pa.Array]], Callable[..., pa.Array]]:
    """Register a function over Arrow arrays that every connection knows under this name."""

    def register(run: Callable[..., pa.Array]) -> Callable[..., pa.Array]:
        ARROW_FUNCTIONS[name] = ArrowFunction(name, arguments, result, run)
        return run

    return register
