"""Portable SQL: Spark's SQL in, the same rows out of either engine.

One way through the modules: `params` puts values into the text, `dialect` reads it, `query` knows its tables and
splices them for Spark. For DuckDB, `translation` (SELECT, set operations) and `relations` (FROM) translate the queries,
and `expressions` what stands in them, by the rules of the allow-list (`allowed`), which `operators`, `conditions`,
`casts`, `scalars`, `dates`, `arrays` and `aggregates` fill. `kinds` are Spark's types, `decimals` and `literals` its
numbers; `connection` is what a DuckDB connection needs beforehand; `reference` prints the list.

To add a function: a rule in the module of its kind, with `@function`; statements with edge values and Spark's answers
to them in `tests/sql_answers/`; then write `reference()` to docs/sql.md.
"""

from thresher.sql.connection import SETTINGS, add_functions, prepare
from thresher.sql.query import Query, parse
from thresher.sql.reference import reference
from thresher.sql.translation import Translation

__all__ = ["SETTINGS", "Query", "Translation", "add_functions", "parse", "prepare", "reference"]
