"""What a DuckDB connection needs before it runs translated SQL: settings, and macros with Spark's rules for text."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from thresher.sql import allowed

SETTINGS: dict[str, str | bool] = {
    "TimeZone": "UTC",
    "default_null_order": "nulls_first_on_asc_last_on_desc",
    # It merges INTERVAL 1 MONTH with INTERVAL 30 DAY, which compare equal (seen in 1.5.6 and 2.0.0).
    "disabled_optimizers": "common_subexpressions",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

_MACROS = {
    "spark_average(total, size, n)": (
        "CASE WHEN size >= 9007199254740992 THEN error('not proven equal to Spark: avg of integers whose sum "
        "passes 2^53; cast to a decimal') WHEN n > 0 THEN CAST(total AS DOUBLE) / CAST(n AS DOUBLE) END"
    ),
    "spark_date_format(t, f)": (
        "CASE WHEN t BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN strftime(t, f) "
        "WHEN t IS NOT NULL THEN error('date_format outside the years 1 to 9999') END"
    ),
}

allowed.MACROS.update(_MACROS)


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Settings, macros and functions, once for a connection and all its cursors."""
    for name, value in SETTINGS.items():
        connection.execute(f"SET GLOBAL {name} = {value!r}")
    add_functions(connection, allowed.ARROW_FUNCTIONS.values())
    for signature, body in _callees_first(allowed.MACROS):
        connection.execute(f"CREATE OR REPLACE MACRO {signature} AS {body}")


def _callees_first(macros: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The macros in an order in which each finds those that it calls."""
    signatures = {signature.partition("(")[0]: signature for signature in macros}
    done: set[str] = set()

    def visit(name: str) -> Iterator[tuple[str, str]]:
        if name in done or name not in signatures:
            return
        done.add(name)
        body = macros[signatures[name]]
        for callee in re.findall(r"\b(spark_\w+)\(", body):
            yield from visit(callee)
        yield signatures[name], body

    for name in signatures:
        yield from visit(name)


def add_functions(connection: duckdb.DuckDBPyConnection, functions: Iterable[allowed.ArrowFunction]) -> None:
    """Functions over Arrow arrays, for this connection and all its cursors."""
    for function in functions:
        arguments = list(function.arguments) if function.arguments is not None else None
        connection.create_function(
            function.name,
            _with_arity(function.run, arguments),
            arguments,  # type: ignore[arg-type]
            function.result,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )


def _with_arity(run: Callable[..., pa.Array], arguments: Sequence[str] | None) -> Callable[..., pa.Array]:
    """The same function for DuckDB, which counts the parameters of its signature: *args are one for it."""
    if arguments is None:
        return run

    def counted(*columns: pa.Array) -> pa.Array:
        return run(*columns)

    names = [inspect.Parameter(f"a{n}", inspect.Parameter.POSITIONAL_ONLY) for n in range(len(arguments))]
    counted.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
    return counted
