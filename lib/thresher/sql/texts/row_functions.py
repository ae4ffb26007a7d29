"""Functions in Python, value by value, for what DuckDB has no words for."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from thresher.sql.allowed import arrow_function

_RESULTS = {
    "VARCHAR": pa.string(),
    "INTEGER": pa.int32(),
    "BOOLEAN": pa.bool_(),
    "BLOB": pa.binary(),
    "VARCHAR[]": pa.list_(pa.string()),
}


def row_function(
    name: str, arguments: Sequence[str], result: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of one row's values; a NULL among them gives NULL without a call."""

    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        # Handed over by their number: DuckDB counts the parameters.
        def over(*columns: pa.Array) -> pa.Array:
            rows = zip(*(column.to_pylist() for column in columns), strict=True)
            values = [None if any(value is None for value in row) else run(*row) for row in rows]
            return pa.array(values, _RESULTS[result])

        arrow_function(name, arguments, result)(over)
        return run

    return register
