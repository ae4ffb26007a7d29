"""What a DuckDB connection needs before it runs translated SQL: settings, and functions with Spark's rules."""

import inspect
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from thresher.sql import allowed
from thresher.sql.queries.translation import Translation

SETTINGS: dict[str, str | bool] = {
    "TimeZone": "UTC",
    "default_null_order": "nulls_first_on_asc_last_on_desc",
    # It merges INTERVAL 1 MONTH with INTERVAL 30 DAY, which compare equal (seen in 1.5.6 and 2.0.0).
    "disabled_optimizers": "common_subexpressions",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Settings, once for a connection and all its cursors."""
    for name, value in SETTINGS.items():
        connection.execute(f"SET GLOBAL {name} = {value!r}")


class Functions:
    """The functions of a connection and its cursors beyond DuckDB's own; each is added when a query first calls it.

    There are some 200, and adding them all takes longer than most notebooks' queries.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._known: set[str] = set()
        self._adding = threading.Lock()

    def provide(self, translated: Translation) -> None:
        """Add what a translated query calls."""
        with self._adding:
            for function in translated.functions:
                self._add(function.name, function)
            self._add_called(translated.sql)

    def _add_called(self, text: str) -> None:
        for name in re.findall(r"\bspark_\w+", text, re.IGNORECASE):
            self._add(name.lower(), allowed.ARROW_FUNCTIONS.get(name.lower()))

    def _add(self, name: str, function: allowed.ArrowFunction | None) -> None:
        if name in self._known:
            return
        if function:
            _add_function(self._connection, function)
        elif name in _macros():
            signature, body = _macros()[name]
            self._add_called(body)  # DuckDB looks for what a macro calls when it is made
            self._connection.execute(f"CREATE OR REPLACE MACRO {signature} AS {body}")
        self._known.add(name)  # only now: whoever interrupts this may ask again


@cache
def _macros() -> dict[str, tuple[str, str]]:
    return {signature.partition("(")[0]: (signature, body) for signature, body in allowed.MACROS.items()}


def _add_function(connection: duckdb.DuckDBPyConnection, function: allowed.ArrowFunction) -> None:
    if _is_flat(function.result):
        _create(connection, function.name, function.arguments, function.result, function.run)
        return
    # COALESCE of DuckDB 1.5.6 keeps pointers into an Arrow array that it has given back: every 2,048th text was
    # other bytes. Elements of lists are copied.
    assert function.arguments is not None, f"{function.name}: a function with a result that is not flat has arguments"
    boxed = f"{function.name}_boxed"
    _create(connection, boxed, function.arguments, f"{function.result}[]", partial(_boxed, function.run))
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


def _create(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    arguments: Sequence[str] | None,
    result: str,
    run: Callable[..., pa.Array],
) -> None:
    with suppress(duckdb.NotImplementedException):  # it is there, of a time that was interrupted
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
