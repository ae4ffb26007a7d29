"""One query in Spark's SQL: what it reads, and its text for either engine."""

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import pyarrow as pa
from sqlglot import exp

from thresher.errors import SqlError
from thresher.sql import allowed
from thresher.sql.dialect import Source, read
from thresher.sql.queries.translation import Translation, translate

_DEEPEST = 20_000  # Python calls
_STACK_BYTES = 512 * 2**20
Made = TypeVar("Made")


@dataclass(frozen=True)
class Query:
    """One parsed query; made by `parse`."""

    text: str
    origin: str | None = None

    @cached_property
    def _source(self) -> Source:
        return Source(self.text, self.origin)

    @cached_property
    def _tree(self) -> exp.Expr:
        return _with_room(self._source, lambda: read(self._source))

    @cached_property
    def _references(self) -> list[exp.Table]:
        found: list[exp.Table] = []
        _with_room(self._source, lambda: _collect_tables(self._tree, frozenset(), found))
        return sorted(found, key=lambda table: _start(table.parts[0]))

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The tables that the query reads, as written (`zone.name` or a plain name), CTEs left out.

        >>> parse("with a as (select * from raw.t) select * from a join b using (k)").tables
        ('raw.t', 'b')
        """
        return tuple(dict.fromkeys(_name(table) for table in self._references))

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the `:name` parameters, in order of appearance.

        >>> parse("select * from t where day between :start and :end").parameters
        ('start', 'end')
        """
        marks = self._tree.find_all(exp.Placeholder, bfs=False)
        return tuple(dict.fromkeys(mark.this for mark in marks if isinstance(mark.this, str)))

    def to_spark(self, names: Mapping[str, str]) -> str:
        """The same text for Spark, each table of `names` replaced by its new name; nothing else is touched.

        A table without an alias keeps its name as its alias, so that `courses.title` still works. Raises SqlError for a
        table that `names` lacks, and for a column written with the table's full name (`zone.name.column`).

        >>> parse("select courses.title from curated.courses").to_spark({"curated.courses": "v_1"})
        'select courses.title from v_1 as courses'
        """
        self._check(names)
        text, end = [], 0
        for table in self._references:
            first, last = table.parts[0], table.parts[-1]
            text += [self.text[end : _start(first)], names[_name(table)]]
            end = last.meta["end"] + 1
            if not table.alias:
                if table.args.get("sample") or table.args.get("version") or table.args.get("when"):
                    self._source.wrong(table, f"table {_name(table)} needs an alias here (AS …).")
                text.append(f" as {self.text[_start(last) : end]}")
        return "".join([*text, self.text[end:]])

    def translation(self, names: Mapping[str, str], schemas: Mapping[str, pa.Schema]) -> Translation:
        """DuckDB's SQL with Spark's meaning, over tables of `names` with the columns of `schemas`; see `Translation`.

        Raises NotPortable for what is not proven equal, SqlError for what is wrong on either engine (a parameter that
        has no value yet among it).

        >>> parse("select max(n) as n from t").translation({"t": "v_1"}, {"t": pa.schema([("n", pa.int32())])}).sql
        'SELECT max(t1."n") AS "n" FROM v_1 AS t1'
        """
        self._check(names)
        self._check(schemas)
        tables = {_name(table): (names[_name(table)], schemas[_name(table)]) for table in self._references}
        return _with_room(self._source, lambda: translate(self._tree, self._source, tables))

    def check_names(self) -> None:
        """Check constructs and functions by their names alone, where the types of the columns are not known.

        Raises NotPortable for the first that the allow-list lacks.

        >>> parse("select soundex(name) as s from t").check_names()
        """
        for node in self._tree.walk():
            if isinstance(node, exp.Anonymous):
                if not allowed.has_function(node.name.lower()):
                    self._source.refuse(node, f"function {node.name}", allowed.REMEDIES.get(node.name.lower(), ""))
            elif isinstance(node, exp.Condition) and type(node) not in allowed.CONSTRUCTS:
                self._source.refuse(node, type(node).__name__, allowed.REMEDIES.get(node.key, ""))

    def _check(self, known: Mapping[str, Any]) -> None:
        for table in self._references:
            if _name(table) not in known:
                self._source.wrong(table, f"no table {_name(table)}; there are {', '.join(sorted(known)) or 'none'}.")
        full = {_name(table).lower() for table in self._references if table.db}
        for column in self._tree.find_all(exp.Column):
            parts = [part.name for part in column.parts]
            if len(parts) > 2 and ".".join(parts[:2]).lower() in full:
                self._source.wrong(
                    column,
                    f"column {'.'.join(parts)} is written with its table's full name. "
                    f"Write {'.'.join(parts[1:])}, or give the table an alias.",
                )


def _with_room(source: Source, work: Callable[[], Made]) -> Made:
    """The work done; where Python's stack does not do, in a thread with a larger one, and beyond that an SqlError."""
    try:
        return work()
    except RecursionError:
        pass
    made: list[Made] = []
    failed: list[BaseException] = []

    def deep() -> None:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(_DEEPEST)
        try:
            made.append(work())
        except BaseException as error:
            failed.append(error)
        finally:
            sys.setrecursionlimit(limit)

    before = threading.stack_size(_STACK_BYTES)
    try:
        thread = threading.Thread(target=deep)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if failed and isinstance(failed[0], RecursionError):
        source.wrong(exp.Null(), "the query is nested too deep to be read. Split it, or name parts of it by WITH.")
    if failed:
        raise failed[0]
    return made[0]


@lru_cache(maxsize=256)
def parse(text: str, origin: str | None = None) -> Query:
    """Read exactly one query in Spark's SQL; `origin` (a file's name) stands in the messages.

    Raises SqlError for text that cannot be parsed and for anything but one query.

    >>> parse("select 1 as n; -- done").tables
    ()
    """
    query = Query(text, origin)
    query._tree  # noqa: B018 - parsed now, so that errors come from here
    return query


def _collect_tables(node: exp.Expr, ctes: frozenset[str], found: list[exp.Table]) -> None:
    with_ = node.args.get("with_")
    if with_ is not None:
        for cte in with_.expressions:
            name = cte.alias.lower()
            _collect_tables(cte.this, ctes | {name} if with_.recursive else ctes, found)
            ctes = ctes | {name}
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        if node.db or node.name.lower() not in ctes:
            found.append(node)
    for child in node.iter_expressions():
        if child is not with_:
            _collect_tables(child, ctes, found)


def _name(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)


def _start(part: exp.Expr) -> int:
    start = part.meta.get("start")
    if not isinstance(start, int):
        raise SqlError(f"table {part.sql()} has no place in the text; write its name plainly.")
    return start
