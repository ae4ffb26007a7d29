"""INSERT, UPDATE, DELETE and MERGE on datasets: the new rows are computed by queries, and committed at once.

Both engines run the same queries, so they agree by construction. Source: Delta Lake's MERGE: the first WHEN whose
condition is true decides about a row; two rows of the source that would change one row of the target are an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from thresher.errors import DuplicateKeys, MissingColumns, SchemaMismatch, SqlError
from thresher.frame import Frame
from thresher.sql.statements import Clause, Delete, Insert, Merge, Update
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ, ddl, quoted, unused

if TYPE_CHECKING:
    from thresher.sql.statements import Statement

Queries = Callable[..., Frame]  # Lake.sql without parameters
# Columns beside those of the user, by names that nobody writes.
_ROW, _SOURCE_ROW = "number of the row", "number of the row of the source"


@dataclass(frozen=True)
class Changed:
    """How many rows a statement inserted, updated and deleted."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class Change:
    """What is to be committed: rows to append, or all rows of the new version (None: nothing changed)."""

    counts: Changed
    rows: Frame | None
    mode: str = "overwrite"


def compute(statement: Statement, target: Frame, query: Queries, frames: Mapping[str, Frame]) -> Change:
    """What a statement makes of the rows of its target; commits nothing.

    `query` runs a query over datasets and the frames that it is given by name; `frames` are those of the user.
    """
    if isinstance(statement, Insert):
        return _insert(statement, target, query, frames)
    return _Rewrite(target, query, frames).run(statement)


def _insert(statement: Insert, target: Frame, query: Queries, frames: Mapping[str, Frame]) -> Change:
    found = query(statement.query, **frames)
    names = [_named_in(target.schema, name) for name in statement.columns] or target.columns
    if len(found.columns) != len(names):
        raise SqlError(f"INSERT of {len(found.columns)} columns into {len(names)} ({', '.join(names)}).")
    if len(set(names)) != len(names):
        raise SqlError(f"INSERT names a column twice: {', '.join(names)}.")
    # By position: columns of the query may share a name.
    numbered = [f"c{n}" for n in range(1, len(names) + 1)]
    found = query(f"select * from ({statement.query}\n) as _inserted({', '.join(numbered)})", **frames)
    written = dict(zip(names, numbered, strict=True))
    rows = target.engine.stage(
        query(f"select {_fitted(found, written, target.schema)} from _inserted", _inserted=found)
    )
    count = rows.count()
    deleted = target.count() if statement.is_overwrite else 0
    if statement.is_overwrite:
        return Change(Changed(inserted=count, deleted=deleted), rows if count or deleted else None)
    return Change(Changed(inserted=count), rows if count else None, "append")


class _Rewrite:
    """UPDATE, DELETE and MERGE: rows get numbers, the statement decides by number, the rest stays as it is."""

    def __init__(self, target: Frame, query: Queries, frames: Mapping[str, Frame]) -> None:
        self.engine = target.engine
        self.query = query
        self.frames = frames
        self.schema = target.schema
        self.row = unused(_ROW, target.columns)
        self.target = self._numbered(target, self.row)

    def run(self, statement: Update | Delete | Merge) -> Change:
        if isinstance(statement, Merge):
            changed, deleted, inserted = self._merge(statement)
        else:
            values = statement.values if isinstance(statement, Update) else ()
            action = "update" if isinstance(statement, Update) else "delete"
            clause = Clause("by source", action, statement.condition, values)
            changed, deleted = self._alone(statement.alias, [clause], self.target)
            inserted = []
        counts = Changed(
            inserted=sum(rows.count() for rows in inserted),
            updated=sum(rows.count() for rows in changed),
            deleted=sum(rows.count() for rows in deleted),
        )
        if counts == Changed():
            return Change(counts, None)
        columns = ", ".join(map(quoted, self.schema.names))
        gone = _named("_gone", [*changed, *deleted])
        numbers = " union all ".join(f"select {quoted(self.row)} from {name}" for name in gone)
        where = f" where {quoted(self.row)} not in ({numbers})" if gone else ""
        # Staged: Spark 4.2 fails to plan a query in which one of these frames stands twice.
        kept = self.engine.stage(self.query(f"select {columns} from _target{where}", _target=self.target, **gone))
        parts = _named("_part", [kept, *changed, *inserted])
        return Change(
            counts, self.query(" union all ".join(f"select {columns} from {name}" for name in parts), **parts)
        )

    def _numbered(self, rows: Frame, name: str) -> Frame:
        return self.engine.stage(
            self.query(f"select row_number() over (order by 1) as {quoted(name)}, * from _rows", _rows=rows)
        )

    def _alone(self, alias: str, clauses: Sequence[Clause], rows: Frame) -> tuple[list[Frame], list[Frame]]:
        """Clauses that see the target alone: the rows that they update, and those that they delete."""
        conditions = _first_true(clauses)
        changed: list[Frame] = []
        deleted: list[Frame] = []
        for clause, condition in zip(clauses, conditions, strict=True):
            head = self._assigned(clause, alias, rows, "")
            found = self.query(
                f"select {quoted(alias)}.{quoted(self.row)}, {head} from _rows as {quoted(alias)} where {condition}",
                _rows=rows,
                **self.frames,
            )
            (deleted if clause.action == "delete" else changed).append(self.engine.stage(self._typed(found)))
        return changed, deleted

    def _merge(self, merge: Merge) -> tuple[list[Frame], list[Frame], list[Frame]]:
        source = self.query(f"select * from {merge.source}", **self.frames)
        self.source_row = unused(_SOURCE_ROW, [*source.columns, *self.schema.names, self.row])
        source = self._numbered(source, self.source_row)
        t, s = quoted(merge.alias), quoted(merge.source_alias)
        if merge.alias.lower() == merge.source_alias.lower():
            raise SqlError(f"MERGE: target and source have one name, {merge.alias}. Give each its own with AS.")
        matched = [clause for clause in merge.clauses if clause.matched == "matched"]
        by_source = [clause for clause in merge.clauses if clause.matched == "by source"]
        by_target = [clause for clause in merge.clauses if clause.matched == "by target"]
        cases = " ".join(f"when {clause.condition} then {n}" for n, clause in enumerate(matched, 1))
        action = f"case {cases} else 0 end" if matched else "0"
        pairs = self.engine.stage(
            self.query(
                f"select {t}.{quoted(self.row)} as target_row, {s}.{quoted(self.source_row)} as source_row, "
                f"{action} as action from _target as {t} join _source as {s} on {merge.condition}",
                _target=self.target,
                _source=source,
                **self.frames,
            )
        )
        self._check_pairs(merge, matched, pairs)
        changed: list[Frame] = []
        deleted: list[Frame] = []
        for n, clause in enumerate(matched, 1):
            head = self._assigned(clause, merge.alias, source, merge.source_alias)
            found = self.query(
                f"select distinct_pairs.target_row as {quoted(self.row)}, {head} from "
                "(select target_row, min(source_row) as source_row from _pairs "
                f"where action = {n} group by target_row) "
                f"as distinct_pairs join _target as {t} on {t}.{quoted(self.row)} = distinct_pairs.target_row "
                f"join _source as {s} on {s}.{quoted(self.source_row)} = distinct_pairs.source_row",
                _pairs=pairs,
                _target=self.target,
                _source=source,
                **self.frames,
            )
            (deleted if clause.action == "delete" else changed).append(self.engine.stage(self._typed(found)))
        if by_source:
            rest = self._without(self.target, self.row, pairs, "target_row")
            more_changed, more_deleted = self._alone(merge.alias, by_source, rest)
            changed, deleted = changed + more_changed, deleted + more_deleted
        inserted = self._inserted(merge, by_target, source, pairs) if by_target else []
        return changed, deleted, inserted

    def _check_pairs(self, merge: Merge, matched: Sequence[Clause], pairs: Frame) -> None:
        if len(matched) == 1 and matched[0].action == "delete" and matched[0].condition == "true":
            return
        twice = self.query(
            "select target_row from _pairs where action > 0 group by target_row having count(*) > 1", _pairs=pairs
        )
        if count := twice.count():
            raise DuplicateKeys(
                f"{merge.target}: {count} rows are matched by several rows of the source, which of them wins is not "
                f"defined. Make the source unique in the columns of ON ({merge.condition})."
            )

    def _without(self, rows: Frame, row: str, pairs: Frame, column: str) -> Frame:
        return self.query(
            f"select * from _rows where {quoted(row)} not in (select {column} from _pairs)", _rows=rows, _pairs=pairs
        )

    def _inserted(self, merge: Merge, clauses: Sequence[Clause], source: Frame, pairs: Frame) -> list[Frame]:
        rest = self._without(source, self.source_row, pairs, "source_row")
        made = []
        for clause, condition in zip(clauses, _first_true(clauses), strict=True):
            s = quoted(merge.source_alias)
            values = self._by_name(clause, source, merge.source_alias)
            head = ", ".join(f"{text} as {quoted(name)}" for name, text in values.items())
            found = self.query(f"select {head} from _rest as {s} where {condition}", _rest=rest, **self.frames)
            made.append(self.engine.stage(self._typed(found, is_insert=True)))
        return made

    def _assigned(self, clause: Clause, alias: str, source: Frame, source_alias: str) -> str:
        """The select list of a changed row: each column's new value, or its old one."""
        values = self._by_name(clause, source, source_alias) if clause.action == "update" else {}
        old = {name: f"{quoted(alias)}.{quoted(name)}" for name in self.schema.names}
        return ", ".join(f"{values.get(name, old[name])} as {quoted(name)}" for name in self.schema.names)

    def _by_name(self, clause: Clause, source: Frame, source_alias: str) -> dict[str, str]:
        if clause.values is not None:
            written = [_named_in(self.schema, name) for name, _ in clause.values]
            if len(set(written)) != len(written):
                raise SqlError(f"a column is set twice: {', '.join(written)}.")
            return dict(zip(written, (f"({text})" for _, text in clause.values), strict=True))
        there = {name.lower(): name for name in source.columns}
        missing = [name for name in self.schema.names if name.lower() not in there]
        if missing:
            raise MissingColumns(f"MERGE … *: the source lacks {missing}; it has {source.columns}.")
        return {name: f"{quoted(source_alias)}.{quoted(there[name.lower()])}" for name in self.schema.names}

    def _typed(self, rows: Frame, *, is_insert: bool = False) -> Frame:
        """The rows with the target's types, by the conversions that storing allows."""
        there = {name: name for name in rows.columns if name != self.row}
        head = _fitted(rows, there, self.schema)
        row = "" if is_insert else f"{quoted(self.row)}, "
        return self.query(f"select {row}{head} from _made", _made=rows)


def _named(prefix: str, frames: Sequence[Frame]) -> dict[str, Frame]:
    return {f"{prefix}_{n}": frame for n, frame in enumerate(frames)}


def _first_true(clauses: Sequence[Clause]) -> list[str]:
    """Each clause's condition, and none of those before it."""
    found: list[str] = []
    for n, clause in enumerate(clauses):
        before = [f"not coalesce(({other.condition}), false)" for other in clauses[:n]]
        found.append(" and ".join([f"({clause.condition})", *before]))
    return found


def _named_in(schema: pa.Schema, name: str) -> str:
    """A column of the target, whatever its case in the statement."""
    for column in schema.names:
        if column.lower() == name.lower():
            return str(column)
    raise MissingColumns(f"no column {name}; the target has {schema.names}.")


def _fitted(rows: Frame, written: Mapping[str, str], target: pa.Schema) -> str:
    """The select list that gives the target's columns; those that are not written are NULL."""
    parts = []
    for field in target:
        source = written.get(field.name)
        if source is None:
            parts.append(f"cast(null as {ddl(field.type)}) as {quoted(field.name)}")
            continue
        found = rows.schema.field(rows.schema.names.index(source)).type
        if not _storable(found, field.type):
            raise SchemaMismatch(
                f"column {field.name}: {ddl(found)} cannot be stored as {ddl(field.type)} without loss being possible. "
                f"Write cast(… as {ddl(field.type)})."
            )
        parts.append(f"cast({quoted(source)} as {ddl(field.type)}) as {quoted(field.name)}")
    return ", ".join(parts)


def _storable(found: pa.DataType, target: pa.DataType) -> bool:
    """Whether a value may be stored in a column: Spark's ANSI store assignment, whose casts raise on overflow."""
    if found == target or found == pa.null():
        return True
    instants = (pa.date32(), TIMESTAMP, TIMESTAMP_NTZ)
    if pa.types.is_string(target):
        return not pa.types.is_nested(found) and not pa.types.is_binary(found)
    if found in instants and target in instants:
        return True
    return _is_number(found) and _is_number(target)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
