"""What a DuckDB connection needs before it runs translated SQL: settings, and macros with Spark's rules for text."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

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
        if _is_flat(function.result):
            _add(connection, function.name, function.arguments, function.result, function.run)
            continue
        # COALESCE of DuckDB 1.5.6 keeps pointers into an Arrow array that it has given back: every 2,048th text was
        # other bytes. Elements of lists are copied.
        assert function.arguments is not None, (
            f"{function.name}: a function with a result that is not flat has arguments"
        )
        boxed = f"{function.name}_boxed"
        _add(connection, boxed, function.arguments, f"{function.result}[]", partial(_boxed, function.run))
        names = ", ".join(f"a{n}" for n in range(len(function.arguments)))
        connection.execute(f"CREATE OR REPLACE MACRO {function.name}({names}) AS list_extract({boxed}({names}), 1)")


def _is_flat(result: str) -> bool:
    """Whether values of a type are held without pointers into other memory; lists are copied by DuckDB."""
    return result.endswith("[]") or not result.startswith(("VARCHAR", "BLOB", "STRUCT", "MAP"))


def _boxed(run: Callable[..., pa.Array], *columns: pa.Array) -> pa.Array:
    values = run(*columns)
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pa.ListArray.from_arrays(pa.array(range(len(whole) + 1), pa.int32()), whole)


# DuckDB keeps pointers to these, and gives them up with the connection: a cursor that lives longer would crash.
_RUNNING: dict[str, Callable[..., pa.Array]] = {}


def _add(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    arguments: Sequence[str] | None,
    result: str,
    run: Callable[..., pa.Array],
) -> None:
    connection.create_function(
        name,
        _RUNNING.setdefault(name, _with_arity(run, arguments)),
        None if arguments is None else list(arguments),
        result,
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def _with_arity(run: Callable[..., pa.Array], arguments: Sequence[str] | None) -> Callable[..., pa.Array]:
    """The same function for DuckDB, which counts the parameters of its signature: *args are one for it."""

    def counted(*columns: pa.ChunkedArray) -> pa.Array:
        return run(*(column.cast(plain(column.type)) for column in columns))

    if arguments is not None:
        names = [inspect.Parameter(f"a{n}", inspect.Parameter.POSITIONAL_ONLY) for n in range(len(arguments))]
        counted.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
    return counted


def plain(kind: pa.DataType) -> pa.DataType:
    """A type with offsets of 32 bits where DuckDB hands over 64: the setting for large results holds here, too.

    >>> plain(pa.large_list(pa.large_string()))
    ListType(list<l: string>)
    """
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(pa.field("l", plain(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(plain(kind.key_type), plain(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain(field.type)) for field in kind])
    return kind
