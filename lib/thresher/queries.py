"""Queries of a step: text, or a `.sql` file beside the pipeline; its result as the step declares it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from thresher import sql
from thresher.errors import MissingColumns, SchemaMismatch, SqlError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.project import names_file, text_of
from thresher.sql.params import bind, literal
from thresher.types import ddl, quoted
from thresher.xml.ddl import table_schema


def query(
    lake: Lake, text: str, *, sources: Sequence[str], declare: str = "", params: Mapping[str, Any] | None = None
) -> Frame:
    """The result of a step's query over exactly the datasets that the step says it reads.

    `text` is the query, or the path of a `.sql` file relative to the project. `declare` gives the columns of the result
    (`id bigint NOT NULL, name string`, or the path of a `.ddl` file); without it they are those that Spark derives. The
    rows take the declared order and types; a value that would change, and a NULL where NOT NULL is declared, is an
    error when the rows are computed. `:name` in the query stands for the value in `params`, never for a piece of SQL.

    Raises ParameterError for a name without a value or the other way round, UsageError when a file is not there,
    SqlError when the query reads a dataset that is not in `sources` (or the other way round): the order of a pipeline
    follows from what its steps say, so it must be true. Raises MissingColumns or SchemaMismatch when the
    result cannot be what is declared.
    """
    origin = text.strip() if names_file(text, ".sql") else "query"
    text = bind(text_of(text, ".sql"), params or {})
    read = set(sql.parse(text, origin).tables)
    for what, names in (
        ("reads {}, which the step does not name in its sources", read - set(sources)),
        ("does not read {}, which the step names in its sources", set(sources) - read),
    ):
        if names:
            raise SqlError(f"{origin} {what.format(', '.join(sorted(names)))}; sources: {', '.join(sources) or 'none'}")
    rows = lake.sql(text)
    return as_declared(lake, rows, table_schema(text_of(declare, ".ddl")), origin) if declare.strip() else rows


def as_declared(lake: Lake, rows: Frame, schema: pa.Schema, origin: str) -> Frame:
    """The rows with these columns, in this order and of these types, or an error: no value changes."""
    missing = [name for name in schema.names if name not in rows.columns]
    if missing:
        raise MissingColumns(f"{origin}: declared columns {missing} are not in the result, which has {rows.columns}")
    if more := [name for name in rows.columns if name not in schema.names]:
        raise SchemaMismatch(f"{origin}: the result has columns {more}, which are not declared: {schema.names}")
    columns = [_column(origin, rows.schema.field(field.name), field) for field in schema]
    return lake.sql(f"select {', '.join(columns)} from rows", rows=rows)


def _column(origin: str, found: pa.Field, declared: pa.Field) -> str:
    name = quoted(found.name)
    value = f"cast({name} as {ddl(declared.type)})"
    tests = []
    if not declared.nullable:
        tests.append((f"{name} is null", "is NULL, declared NOT NULL"))
    if found.type != declared.type:
        if pa.types.is_nested(found.type) or pa.types.is_nested(declared.type):
            raise SchemaMismatch(
                f"{origin}: column {found.name} is {ddl(found.type)}, declared {ddl(declared.type)}. "
                "Cast it in the query."
            )
        tests.append((f"not (cast({value} as {ddl(found.type)}) <=> {name})", f"does not fit {ddl(declared.type)}"))
    branches = " ".join(
        f"when {test} then raise_error({literal(f'{origin}: a value of column {found.name} {what}')})"
        for test, what in tests
    )
    return f"case {branches} else {value} end as {name}" if branches else f"{value} as {name}"
