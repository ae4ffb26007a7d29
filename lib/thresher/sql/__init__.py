"""Portable SQL: Spark's SQL in, the same rows out of either engine.

One way through the modules: `dialect` reads the text, `query` knows tables and parameters and splices the text for
Spark; for DuckDB `relations` translates the queries and `expressions` their expressions, by the rules of the
allow-list (`allowed`), which `operators`, `casts`, `scalars`, `dates`, `arrays` and `aggregates` fill; `kinds` are
Spark's types; `connection` is what a DuckDB connection needs beforehand.
"""

from thresher.sql.connection import SETTINGS, SETUP, macros
from thresher.sql.query import Query, parse
from thresher.sql.reference import reference

__all__ = ["SETTINGS", "SETUP", "Query", "macros", "parse", "reference"]
