"""The allow-list as a page: docs/sql.md is this text."""

import pkgutil
from importlib import import_module
from pathlib import Path

from thresher.sql.allowed import ENTRIES

for _module in pkgutil.iter_modules([str(Path(__file__).parent)], f"{__package__}."):
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

Steps are written in Spark's SQL. What stands on this page runs on both engines with the same rows, names and types: on
the embedded engine it is translated for DuckDB, and tests hold each line to what Spark gives. Anything else is refused
there by name (`NotPortable`, with line and column); such a step says `engine: spark`.

The rules behind the list: values are never converted implicitly between text and numbers; result types are Spark's;
overflow, a bad cast and division by zero are errors (Spark's ANSI mode); the zone is UTC; rows have an order only after
ORDER BY; a result column has a name of its own (give a computed column one with AS).

A few casts of text depend on the row: text that Spark reads in a way not proven here (`'1e2'` as a decimal, a named
time zone) stops the step with "not proven equal to Spark" and is never read on trust.

This page is made from the allow-list itself (`thresher.sql.reference()`).
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
    return "\n".join(lines)
