"""Facts: rows whose natural keys become the surrogate keys of dimensions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from thresher.columns import require_columns, require_unique
from thresher.counts import Counts
from thresher.errors import SchemaMismatch, UsageError
from thresher.frame import Frame
from thresher.incremental import Touched
from thresher.lake import Lake
from thresher.star.members import UNKNOWN, surrogate_name
from thresher.types import ddl, quoted


@dataclass(frozen=True)
class Fact:
    """What loading a fact did: its rows now, the rows that belong to an unknown member, and the counts."""

    rows: Frame
    orphans: Frame
    counts: Counts


def fact(
    lake: Lake,
    rows: Frame,
    target: str,
    *,
    dimensions: Mapping[str, str],
    lookups: Mapping[str, Mapping[str, str]],
    grain: Sequence[str],
    as_of: Mapping[str, str] | None = None,
    touched: Touched | None = None,
) -> Fact:
    """Rebuild a fact: look up its foreign keys, give orphans to the unknown member, replace the table.

    In: one row per `grain`, with natural keys. Out: the same rows; for each entry of `dimensions` (foreign key column →
    dimension dataset) the surrogate key, first, in place of the columns that `lookups` ({foreign key: {natural key of
    the dimension: column of the rows}}) matched it by; columns of the grain stay. A row whose natural key is null or
    not in the dimension gets -1; such orphans are counted per foreign key. Of a type 2 dimension that version is
    taken that was valid at the moment that `as_of` ({foreign key: column of the rows}) names: `valid_from` ≤
    moment < `valid_to`; that column stays. Where only some keys of the grain are `touched` (see
    `incremental`), only their rows are computed and replaced, and the orphans and counts are theirs.

    Raises MissingColumns, DuplicateKeys where the grain or a dimension's natural key is not unique, UsageError.
    """
    if set(dimensions) != set(lookups):
        raise UsageError(
            f"{target}: dimensions name {sorted(dimensions)}, lookups name {sorted(lookups)}; "
            f"each foreign key needs both"
        )
    if touched and (dimensions or not grain):
        raise UsageError(f"{target}: touched rows need a grain, and no dimensions: their members change, too")
    as_of = as_of or {}
    if unknown := set(as_of) - set(dimensions):
        raise UsageError(f"{target}: as_of names {sorted(unknown)}; expected foreign keys of {sorted(dimensions)}")
    matched = [column for columns in lookups.values() for column in columns.values()]
    require_columns(rows, [*matched, *grain, *as_of.values()], target)
    twice = [foreign for foreign in dimensions if foreign in rows.columns and foreign not in matched]
    if twice:
        raise UsageError(f"{target}: {twice} are foreign keys and columns of the query; rename one of them")
    again = touched.keys if touched else None
    if again is not None:
        require_columns(again, grain, f"{target}: what is touched")
        on = _same("r", "a", grain)
        rows = lake.sql(f"select r.* from rows r left semi join again a on {on}", rows=rows, again=again)
    rows = lake.engine.stage(rows)
    if grain:
        require_unique(rows, grain, target)

    frames: dict[str, Any] = {"rows": rows}
    joins, keys = [], []
    for number, (foreign, dataset) in enumerate(dimensions.items()):
        surrogate, alias = surrogate_name(dataset), f"d{number}"
        members = lake.sql(f"select * from {dataset} where {surrogate} <> {UNKNOWN}")
        require_columns(members, list(lookups[foreign]), dataset)
        on = " and ".join(f"r.{quoted(ours)} = {alias}.{quoted(theirs)}" for theirs, ours in lookups[foreign].items())
        if foreign in as_of:
            on += " and " + _is_valid(rows, as_of[foreign], members, alias, f"{target}: as_of of {foreign}")
            require_unique(members, [*lookups[foreign], "valid_from"], dataset)
        elif "valid_from" in members.columns:
            raise UsageError(
                f"{target}: {foreign} looks up {dataset}, which has several versions of a member; name in as_of the "
                f"column whose moment tells which: as_of: {{{foreign}: …}}"
            )
        else:
            require_unique(members, list(lookups[foreign]), dataset)
        frames[f"dimension_{number}"] = members
        joins.append(f"left join dimension_{number} {alias} on {on}")
        keys.append(f"coalesce({alias}.{surrogate}, cast({UNKNOWN} as bigint)) as {quoted(foreign)}")
    stays = (*grain, *as_of.values())
    kept = [f"r.{quoted(name)}" for name in rows.columns if name not in matched or name in stays]
    result = lake.engine.stage(lake.sql(f"select {', '.join([*keys, *kept])} from rows r {' '.join(joins)}", **frames))
    orphans = lake.sql(
        "select * from result where " + (" or ".join(f"{quoted(name)} = {UNKNOWN}" for name in dimensions) or "false"),
        result=result,
    )
    counted = Counts(target, rows_in=rows.count(), rows_out=result.count())  # a fan-out ends here, before the write
    note = touched.note if touched else None
    deleted = {}
    if again is None:
        lake.write(target, result, schema="replace", note=note)
    else:
        deleted["deleted"] = _replace_touched(lake, target, result, again, grain, note)
    if touched:
        touched.remember(lake, target)
    written = lake.read(target)
    per_key = {
        f"orphans {foreign}": lake.sql(
            f"select 1 as one from result where {quoted(foreign)} = {UNKNOWN}", result=result
        ).count()
        for foreign in dimensions
    }
    return Fact(written, orphans, replace(counted, more=per_key | deleted))


def _replace_touched(
    lake: Lake, target: str, rows: Frame, keys: Frame, grain: Sequence[str], note: Mapping[str, str] | None
) -> int:
    """Put the rows of the touched keys in the place of those that the target holds; how many have none any more."""
    gone = lake.engine.stage(
        lake.sql(
            f"select t.* from there t left semi join keys k on {_same('t', 'k', grain)} "
            f"left anti join rows r on {_same('t', 'r', grain)}",
            there=lake.read(target),
            keys=keys,
            rows=rows,
        )
    )
    columns = ", ".join(map(quoted, rows.columns))
    lake.apply(
        target,
        lake.sql(
            f"select {columns}, false as _is_deleted from rows union all "
            f"select {columns}, true as _is_deleted from gone",
            rows=rows,
            gone=gone,
        ),
        grain,
        deleted="_is_deleted",
        note=note,
    )
    return gone.count()


def _is_valid(rows: Frame, moment: str, members: Frame, alias: str, what: str) -> str:
    """The condition that a version of a member was valid at a moment of the rows."""
    require_columns(members, ["valid_from", "valid_to"], what)
    found, valid = rows.schema.field(moment).type, members.schema.field("valid_from").type
    times = (pa.types.is_date, pa.types.is_timestamp)
    if not any(is_time(found) for is_time in times):
        raise SchemaMismatch(f"{what}: column {moment} is {ddl(found)}, expected a date or timestamp")
    # A day is its first moment, where one side tells days and the other moments.
    kind = ddl(found if found == valid or pa.types.is_timestamp(found) else valid)
    ours, since, until = (
        f"cast({each} as {kind})" for each in (f"r.{quoted(moment)}", f"{alias}.valid_from", f"{alias}.valid_to")
    )
    return f"{ours} >= {since} and ({alias}.valid_to is null or {ours} < {until})"


def _same(one: str, other: str, columns: Sequence[str]) -> str:
    return " and ".join(f"{one}.{quoted(name)} <=> {other}.{quoted(name)}" for name in columns)
