"""A dataset compared with its source: rows, sums, keys, and every value by a hash of its row.

Both sides are streamed into a database on disk that keeps keys and hashes alone; the values of rows that differ are
read in a second pass. So memory does not grow with the tables.
"""

import glob
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from thresher import databases
from thresher.errors import LandingNotFound, MissingColumns, UsageError
from thresher.lake import Lake

_MEMORY = "1GB"
_READERS = {
    ".parquet": "read_parquet({files}, union_by_name = true)",
    ".csv": "read_csv({files}, all_varchar = true, union_by_name = true, header = true)",
    ".json": "read_json_auto({files}, union_by_name = true)",
    ".jsonl": "read_json_auto({files}, union_by_name = true, format = 'newline_delimited')",
    ".ndjson": "read_json_auto({files}, union_by_name = true, format = 'newline_delimited')",
}


@dataclass(frozen=True)
class Difference:
    """A value that differs, or a row that one side lacks (`column` is then None); values as text."""

    key: dict[str, str | None]
    column: str | None
    here: str | None
    there: str | None


@dataclass(frozen=True)
class Side:
    """What one side holds: its rows, the keys that stand twice, and the sums of exact numbers."""

    rows: int
    double_keys: int
    sums: dict[str, str | None]


@dataclass(frozen=True)
class Validation:
    """Whether a dataset (here) and its source (there) hold the same, and the first differences."""

    dataset: str
    here: Side
    there: Side
    only_here: int
    only_there: int
    changed: int
    missing_columns: list[str]
    impossible: dict[str, int]
    """Values of the source that no shared type holds, by column; they count as null."""
    differences: list[Difference]

    @property
    def is_same(self) -> bool:
        """Whether every row and column of the source is in the dataset, with the same values, and no other row."""
        return not (self.only_here or self.only_there or self.changed or self.missing_columns)


def validate(
    lake: Lake, dataset: str, against: str, *, key: Sequence[str], table: str | None = None, limit: int = 20
) -> Validation:
    """Compare a dataset with its source: a database's URL (and a table or query of it), a file, or a glob of files.

    Files are Parquet, CSV with a header or JSON. Columns are compared by name, those of the source as the dataset's
    types; columns that begin with `_` are the lake's own. At most `limit` differences are listed.

    Raises MissingColumns where a side lacks the key, LandingNotFound, and what reading a database raises.
    """
    if not key:
        raise UsageError(f"{dataset}: no key; name the columns that tell rows apart")
    schema = lake.schema(dataset)
    with _there(against, table) as (columns, batches), _database() as connection:
        names = _common(dataset, schema.names, columns, key)
        impossible: Counter[str] = Counter()
        types = _types(connection, schema, names)
        sides = {"here": lambda: lake.read(dataset).batches(), "there": lambda: batches(impossible)}
        read = {name: _keep(connection, name, sides[name](), names, key, types) for name in sides}
        counts = _compare(connection, key)
        return Validation(
            dataset,
            read["here"],
            read["there"],
            *counts,
            missing_columns=[name for name in columns if name not in names and not name.startswith("_")],
            impossible=dict(impossible),
            differences=list(_listed(connection, sides, names, key, types, limit)) if any(counts) else [],
        )


@contextmanager
def _there(against: str, table: str | None) -> Iterator[tuple[list[str], Any]]:
    """The names of the source's columns, and a function that reads its rows anew."""
    if databases.is_database(against):
        if table is None:
            raise UsageError("--table is missing: the table or query of the database to compare with")
        with databases.opened(against) as source:
            yield (
                source.schema(table).names,
                lambda impossible: source.batches(table, on_impossible=lambda found: impossible.update([found.column])),
            )
        return
    with closing(duckdb.connect()) as files:
        text = _reader(against)
        yield (
            files.execute(f"describe select * from {text}").fetchnumpy()["column_name"].tolist(),
            lambda impossible: files.execute(f"select * from {text}").to_arrow_reader(100_000),
        )


def _reader(against: str) -> str:
    found = sorted(glob.glob(against, recursive=True))
    if not found:
        raise LandingNotFound(f"{against}: there is no such file; expected a database's URL, a file or a glob")
    kind = Path(found[0].removesuffix(".gz")).suffix.lower()
    if kind not in _READERS:
        raise UsageError(f"{found[0]}: cannot be compared with; expected one of {', '.join(_READERS)}")
    return _READERS[kind].format(files="[" + ", ".join(_literal(each) for each in found) + "]")


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    with tempfile.TemporaryDirectory(prefix="thresher-validate-") as folder:
        with closing(duckdb.connect(str(Path(folder) / "keys.duckdb"), config={"memory_limit": _MEMORY})) as database:
            database.execute("set timezone = 'UTC'")
            yield database


def _common(dataset: str, here: list[str], there: list[str], key: Sequence[str]) -> list[str]:
    for name in key:
        for side, columns in ((dataset, here), ("the source", there)):
            if name not in columns:
                raise MissingColumns(f"{side} has no key column {name!r}; found {columns}")
    return [name for name in here if name in there and not (name.startswith("_") and name not in key)]


def _types(connection: duckdb.DuckDBPyConnection, schema: pa.Schema, names: list[str]) -> dict[str, str]:
    relation = connection.from_arrow(schema.empty_table())
    types = dict(zip(relation.columns, (str(each) for each in relation.types), strict=True))
    return {name: types[name] for name in names}


def _keep(
    connection: duckdb.DuckDBPyConnection,
    side: str,
    batches: pa.RecordBatchReader,
    names: list[str],
    key: Sequence[str],
    types: dict[str, str],
) -> Side:
    """Keep the key and a hash of each row, and what they add up to."""
    exact = [name for name in names if _is_exact(types[name]) and name not in key]
    texts = _texts(names, types)
    keys = ", ".join(f"{texts[name]} as k{number}" for number, name in enumerate(key))
    sums = ", ".join(
        f"cast(try_cast({_quoted(name)} as {types[name]}) as decimal(38, {_scale(types[name])})) as s{n}"
        for n, name in enumerate(exact)
    )
    row = f"select {keys}, hash({', '.join(texts.values())}) as h{', ' + sums if sums else ''} from batch"
    for number, batch in enumerate(_with_empty(batches)):
        connection.register("batch", batch)
        connection.execute(f"create table {side}_rows as {row}" if not number else f"insert into {side}_rows {row}")
    keys = ", ".join(f"k{number}" for number in range(len(key)))
    connection.execute(
        f"create table {side} as "
        f"select {keys}, count(*) as n, sum(cast(h as hugeint)) as h from {side}_rows group by all"
    )
    added = ", ".join(f"cast(sum(s{number}) as varchar)" for number in range(len(exact)))
    found = connection.execute(f"select count(*){', ' + added if added else ''} from {side}_rows").fetchone() or ()
    double = connection.execute(f"select count(*) from {side} where n > 1").fetchone() or (0,)
    connection.execute(f"drop table {side}_rows")
    return Side(found[0], double[0], dict(zip(exact, found[1:], strict=True)))


def _with_empty(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    yield batches.schema.empty_table()
    for batch in batches:
        yield pa.Table.from_batches([batch])


def _texts(names: list[str], types: dict[str, str]) -> dict[str, str]:
    """Each column as text of the dataset's type; what is no value of it, as it is."""
    return {
        name: f"coalesce(cast(try_cast({_quoted(name)} as {types[name]}) as varchar), cast({_quoted(name)} as varchar))"
        for name in names
    }


def _compare(connection: duckdb.DuckDBPyConnection, key: Sequence[str]) -> tuple[int, int, int]:
    """Keys only here, keys only there, keys whose rows differ; all of them are kept in table `differing`."""
    keys = ", ".join(f"coalesce(a.k{number}, b.k{number}) as k{number}" for number in range(len(key)))
    same = " and ".join(f"a.k{number} is not distinct from b.k{number}" for number in range(len(key)))
    connection.execute(
        f"create table differing as select {keys}, a.n is not null as in_here, b.n is not null as in_there "
        f"from here a full join there b on {same} where a.n is distinct from b.n or a.h is distinct from b.h"
    )
    found = connection.execute(
        "select count(*) filter (not in_there), count(*) filter (not in_here), count(*) filter (in_here and in_there) "
        "from differing"
    ).fetchone()
    return found or (0, 0, 0)


def _listed(
    connection: duckdb.DuckDBPyConnection,
    sides: dict[str, Any],
    names: list[str],
    key: Sequence[str],
    types: dict[str, str],
    limit: int,
) -> Iterator[Difference]:
    keys = ", ".join(f"k{number}" for number in range(len(key)))
    connection.execute(f"create table listed as select * from differing order by all limit {limit}")
    texts = _texts(names, types)
    fields = ", ".join(f"{texts[name]} as v{number}" for number, name in enumerate(names))
    own = " and ".join(f"{texts[name]} is not distinct from k{number}" for number, name in enumerate(key))
    rows: dict[str, dict[tuple[Any, ...], list[tuple[Any, ...]]]] = {"here": {}, "there": {}}
    for side, read in sides.items():
        for batch in _with_empty(read()):
            connection.register("batch", batch)
            found = connection.execute(f"select {keys}, {fields} from batch join listed on {own}").fetchall()
            for row in found:
                rows[side].setdefault(row[: len(key)], []).append(row[len(key) :])
    listed = connection.execute(f"select {keys} from listed order by all").fetchall()
    each_key = (
        _of_key(dict(zip(key, values, strict=True)), names, rows["here"].get(values), rows["there"].get(values))
        for values in listed
    )
    yield from islice(chain.from_iterable(each_key), limit)


def _of_key(
    key: dict[str, str | None],
    names: list[str],
    here: list[tuple[Any, ...]] | None,
    there: list[tuple[Any, ...]] | None,
) -> Iterator[Difference]:
    if not here or not there or len(here) != len(there):
        yield Difference(key, None, _rows(here), _rows(there))
        return
    for ours, theirs in zip(sorted(here, key=repr), sorted(there, key=repr), strict=True):
        for name, one, other in zip(names, ours, theirs, strict=True):
            if one != other:
                yield Difference(key, name, one, other)


def _rows(found: list[tuple[Any, ...]] | None) -> str:
    return f"{len(found or [])} row{'s' * (len(found or []) != 1)}"


def _is_exact(kind: str) -> bool:
    return kind.endswith("INT") or kind == "INTEGER" or (kind.startswith("DECIMAL") and _precision(kind) <= 28)


def _precision(kind: str) -> int:
    return int(kind.partition("(")[2].partition(",")[0])


def _scale(kind: str) -> int:
    return int(kind.partition(",")[2].rstrip(")")) if kind.startswith("DECIMAL") else 0


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
