"""Portable SQL: Spark's SQL in, the same rows out of either engine.

One way through: `params` puts values into the text, `dialect` reads it, `query` knows its tables and splices them for
Spark. For DuckDB every node of the tree becomes text and Spark's type by a rule of the allow-list (`allowed`):

- `queries/`: WITH, SELECT, FROM, subqueries, set operations, and the names of columns;
- `expressions`: what stands in them, by the rules of `basics` (literals, columns, calls), `conditions`, `miscellaneous`
  and the packages `numbers/`, `casting/`, `texts/`, `times/`, `nesting/` (arrays, maps, structs, lambdas),
  `aggregating/` (with windows), `documents/` (JSON, CSV, XML) and `hashing/`;
- `kinds`: Spark's types and how they meet; `connection`: what a DuckDB connection needs beforehand.

`statements` takes INSERT, UPDATE, DELETE and MERGE apart; `reference` prints the allow-list as docs/sql.md.
To add a function, see CONTRIBUTING.md.
"""

from thresher.sql.connection import SETTINGS, Functions, prepare
from thresher.sql.queries.translation import Translation
from thresher.sql.query import Query, parse
from thresher.sql.reference import reference

__all__ = ["SETTINGS", "Functions", "Query", "Translation", "parse", "prepare", "reference"]
