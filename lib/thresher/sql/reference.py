"""The allow-list as a page: docs/sql.md is this text."""

import pkgutil
from importlib import import_module
from pathlib import Path

from thresher.sql.allowed import ENTRIES

for _module in pkgutil.walk_packages([str(Path(__file__).parent)], f"{__package__}."):
    if ".compiled" not in _module.name:  # needs numba, which is loaded with the first hash
        import_module(_module.name)  # the modules of rules register themselves

_GROUPS = (
    "Queries",
    "Literals and columns",
    "Conditions",
    "Numbers",
    "Strings",
    "Regular expressions",
    "Dates",
    "Hashes",
    "Casts",
    "Arrays",
    "Lambdas",
    "Maps",
    "Structs",
    "Rows",
    "XML",
    "Errors and surroundings",
    "JSON and CSV",
    "Aggregates",
    "Windows",
)

_HEAD = """# Portable SQL

Steps are written in Spark's SQL (4.2, ANSI mode, zone UTC). What stands on this page runs on both engines with the same
rows, names and types: on the embedded engine it is translated for DuckDB, and tests hold each line to what Spark gives.
Anything else is refused there by name (`NotPortable`, with file, line, column and the remedy); such a step says
`engine: spark`. `thresher check portable PIPELINE` tells beforehand, `thresher check parity PIPELINE` proves it.

- Types, precision and scale, rounding, overflow, bad casts and division by zero follow Spark's ANSI rules, and so do
  the implicit conversions, also in function calls and comparisons.
- Rows have an order only after ORDER BY. What depends on the order of rows is refused unless the order is given or does
  not matter: `first`, `last`, `any_value`, `collect_list` and their like stop the step with "not proven equal to Spark"
  where rows of one group differ.
- A few values are decided row by row: text that Spark reads in a way not proven here (dates beyond the years 1 to 9999,
  odd zones) stops the step with "not proven equal to Spark". Nothing is read on trust.
- Sums and statistics of floating numbers depend on the order of the rows, on Spark alone, too: they agree to about 13
  digits. Money belongs in decimals, which are exact to the last digit.
- A condition beside AND or OR that may fail is looked at only where the conditions before it leave the matter open.
- Functions whose answer changes by itself (`current_date`, `rand`, `uuid`) are refused: pass the day as a parameter.

This page is made from the allow-list itself (`thresher.sql.reference()`).
"""

_TAIL = """## Statements

`lake.execute(statement, params, name=rows)` changes a dataset in one commit, on both engines by the same queries, and
returns how many rows were inserted, updated and deleted. Conditions, values and queries in it are portable SQL.

| what | note |
|---|---|
| `INSERT INTO \\| OVERWRITE [TABLE] zone.name [(a, b)] SELECT …` | Columns by position or name; the rest is NULL. |
| `UPDATE zone.name [AS t] SET a = …, b = … [WHERE …]` | Every value is computed from the row as it was. |
| `DELETE FROM zone.name [AS t] [WHERE …]` | Rows for which the condition is true; NULL keeps the row. |
| `MERGE INTO zone.name [AS t] USING name \\| (SELECT …) [AS s] ON … WHEN [NOT] MATCHED [BY SOURCE] [AND …] THEN …` | \
UPDATE SET, DELETE, INSERT, with `*` for all columns by name. The first WHEN that is true decides; two rows of the \
source that would change one row are an error. |

A value goes into a column by Spark's store assignment: numbers into numbers (overflow is an error), dates into
timestamps and back, anything that is not nested into text; the rest needs a cast.
"""


def reference() -> str:
    """The allow-list as Markdown: every construct and function with its signature, note and an example."""
    lines = [_HEAD]
    for group in _GROUPS:
        lines += [f"## {group}", "", "| what | note | example |", "|---|---|---|"]
        for entry in ENTRIES:
            if entry.group == group:
                cells = (f"`{entry.signature}`", entry.note, f"`{entry.example}`")
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join([*lines, _TAIL])
