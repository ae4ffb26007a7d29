"""Facts: rows whose natural keys become the surrogate keys of dimensions, written by one of the load strategies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from thresher.columns import require_columns, require_unique
from thresher.counts import Counts
from thresher.datasets import surrogate_name
from thresher.errors import DataError, DuplicateKeys, SchemaMismatch, UsageError
from thresher.frame import Frame
from thresher.incremental import Touched
from thresher.lake import Lake
from thresher.sql.params import literal
from thresher.star.members import NOT_APPLICABLE, UNKNOWN
from thresher.types import ddl, quoted

MODES = ("overwrite", "append", "merge")


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
    not_applicable: Sequence[str] = (),
    measures: Sequence[str] = (),
    mode: str = "overwrite",
    partition: Mapping[str, Any] | None = None,
    partition_by: Sequence[str] = (),
    touched: Touched | None = None,
) -> Fact:
    """Load a fact: look up its foreign keys, give orphans to the unknown member, write the table.

    In: one row per `grain`, with natural keys. Out: the same rows; for each entry of `dimensions` (foreign key column →
    dimension dataset) the surrogate key, first, in place of the columns that `lookups` ({foreign key: {natural key of
    the dimension: column of the rows}}) matched it by; columns of the grain stay. A row whose natural key is null or
    not in the dimension gets -1; such orphans are counted per foreign key. Of the foreign keys in `not_applicable`, a
    null natural key gets -2 instead. Of a type 2 dimension that version is taken that was valid at the moment that
    `as_of` ({foreign key: column of the rows}) names: `valid_from` ≤ moment < `valid_to`; that column stays. `measures`
    are additive columns: numbers, whose nulls are counted, since sums pass over them.

    `mode`: `overwrite` replaces all rows, or those of one `partition` ({column: value}), to which all rows must belong;
    `append` adds rows, without those that are there already; `merge` replaces the rows of the same grain. The dataset
    is made with `partition_by`, or the columns of `partition`. Where only some keys of the grain are `touched` (see
    `incremental`), only the rows of these are computed and replaced, with those that changes of the dimensions
    concern: orphans, and rows of members or versions that moved. The orphans and counts are then theirs.

    Raises MissingColumns, DuplicateKeys where the grain or a dimension's natural key is not unique or an appended row
    is there with other values, DataError for a null in the grain or a row of another partition, UsageError.
    """
    as_of = as_of or {}
    _check_names(target, rows, dimensions, lookups, as_of, not_applicable)
    _check_mode(target, mode, grain, partition, touched)
    matched = [column for columns in lookups.values() for column in columns.values()]
    require_columns(rows, [*matched, *grain, *as_of.values(), *measures], target)
    _check_measures(target, rows, measures)
    again = None
    if touched and touched.keys is not None:
        require_columns(touched.keys, grain, f"{target}: what is touched")
        again = lake.engine.stage(_again(lake, target, touched, touched.keys, dimensions, lookups, grain))
        on = _same("r", "a", grain)
        rows = lake.sql(f"select r.* from rows r left semi join again a on {on}", rows=rows, again=again)
    stays = (*grain, *as_of.values(), *(partition or {}), *partition_by)
    if not grain:
        rows = lake.engine.stage(rows)
    result = lake.engine.stage(_looked_up(lake, target, rows, dimensions, lookups, as_of, not_applicable, stays))
    if grain:
        # A natural key is unique in its dimension: what stands twice here does so in the rows.
        _check_grain(lake, target, result, grain)
    orphans = lake.sql(
        "select * from result where " + (" or ".join(f"{quoted(name)} = {UNKNOWN}" for name in dimensions) or "false"),
        result=result,
    )
    count = result.count()
    counted = Counts(target, rows_in=count if grain else rows.count(), rows_out=count)
    note = touched.note if touched else None
    if again is not None:
        more = {"deleted": _replace_touched(lake, target, result, again, grain, note)}
    elif mode == "append" and lake.exists(target):
        known = _append(lake, target, result, grain)
        counted, more = replace(counted, rows_out=counted.rows_out - known, duplicate=known), {}
    elif mode == "merge" and lake.exists(target):
        merged = lake.merge(target, result, grain, schema="evolve")
        more = {"inserted": merged.inserted, "updated": merged.updated}
    else:
        _overwrite(lake, target, result, partition, partition_by, note)
        more = {}
    if touched:
        touched.remember(lake, target)
    told = _told(lake, result, dimensions, not_applicable, measures)
    return Fact(lake.read(target), orphans, replace(counted, more=told | more))


def _check_names(
    target: str,
    rows: Frame,
    dimensions: Mapping[str, str],
    lookups: Mapping[str, Mapping[str, str]],
    as_of: Mapping[str, str],
    not_applicable: Sequence[str],
) -> None:
    if set(dimensions) != set(lookups):
        raise UsageError(
            f"{target}: dimensions name {sorted(dimensions)}, lookups name {sorted(lookups)}; "
            f"each foreign key needs both"
        )
    for what, names in (("as_of", as_of), ("not_applicable", not_applicable)):
        if unknown := set(names) - set(dimensions):
            raise UsageError(f"{target}: {what} names {sorted(unknown)}; expected foreign keys of {sorted(dimensions)}")
    matched = [column for columns in lookups.values() for column in columns.values()]
    twice = [foreign for foreign in dimensions if foreign in rows.columns and foreign not in matched]
    if twice:
        raise UsageError(f"{target}: {twice} are foreign keys and columns of the query; rename one of them")


def _check_mode(
    target: str, mode: str, grain: Sequence[str], partition: Mapping[str, Any] | None, touched: Touched | None
) -> None:
    if mode not in MODES:
        raise UsageError(f"{target}: mode {mode!r} is unknown; expected one of {', '.join(MODES)}")
    if partition and mode != "overwrite":
        raise UsageError(f"{target}: partition says which rows are replaced; expected mode overwrite, found {mode}")
    if touched and (mode != "overwrite" or partition):
        raise UsageError(f"{target}: what is touched is replaced; expected mode overwrite without partition with it")
    if not grain and (touched or mode != "overwrite"):
        raise UsageError(f"{target}: {'touched' if touched else f'mode {mode}'} needs the columns of the grain")


def _check_measures(target: str, rows: Frame, measures: Sequence[str]) -> None:
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    kinds = {name: rows.schema.field(name).type for name in measures}
    odd = {name: ddl(kind) for name, kind in kinds.items() if not any(is_number(kind) for is_number in numbers)}
    if odd:
        raise SchemaMismatch(f"{target}: the measures {odd} are no numbers, which sums are made of. Cast them.")


def _check_grain(lake: Lake, target: str, rows: Frame, grain: Sequence[str]) -> None:
    require_unique(rows, grain, target)
    without = " or ".join(f"{quoted(name)} is null" for name in grain)
    if count := lake.sql(f"select 1 as one from rows where {without}", rows=rows).count():
        raise DataError(
            f"{target}: {count:,} rows have a null in the grain ({', '.join(grain)}), which must identify a row. "
            "Leave them out in the query, or give them a value there."
        )


def _again(
    lake: Lake,
    target: str,
    touched: Touched,
    keys: Frame,
    dimensions: Mapping[str, str],
    lookups: Mapping[str, Mapping[str, str]],
    grain: Sequence[str],
) -> Frame:
    """The keys that are touched, and those of the rows that changes of the dimensions concern."""
    columns = ", ".join(map(quoted, grain))
    frames: dict[str, Frame] = {"touched": keys}
    parts = [f"select {columns} from touched"]
    if unknown := set(dimensions.values()) - set(touched.dimensions):
        raise UsageError(f"{target}: what is touched knows nothing of {sorted(unknown)}; name them in dimensions there")
    for number, (foreign, dataset) in enumerate(dimensions.items()):
        surrogate = surrogate_name(dataset)
        added = [name for name in ("valid_from", "valid_to") if name in lake.schema(dataset).names]
        moved = touched.moved(lake, dataset, [surrogate, *lookups[foreign], *added])
        if moved is not None:
            # An orphan's natural key is not in the fact: any new member may be its own.
            parts.append(
                f"select {columns} from {target} where {quoted(foreign)} = {UNKNOWN} or {quoted(foreign)} in "
                f"(select {surrogate} from moved_{number})"
            )
            frames[f"moved_{number}"] = moved
    return lake.sql(" union ".join(parts), None, **frames)


def _looked_up(
    lake: Lake,
    target: str,
    rows: Frame,
    dimensions: Mapping[str, str],
    lookups: Mapping[str, Mapping[str, str]],
    as_of: Mapping[str, str],
    not_applicable: Sequence[str],
    stays: Sequence[str],
) -> Frame:
    """The rows with the surrogate keys of their members, in place of the natural keys that do not stay."""
    frames: dict[str, Any] = {"rows": rows}
    joins, keys = [], []
    for number, (foreign, dataset) in enumerate(dimensions.items()):
        surrogate, alias = surrogate_name(dataset), f"d{number}"
        members = lake.sql(f"select * from {dataset} where {surrogate} > 0")
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
        none = f"cast({UNKNOWN} as bigint)"
        if foreign in not_applicable:
            _require_not_applicable(lake, target, foreign, dataset)
            is_null = " and ".join(f"r.{quoted(ours)} is null" for ours in lookups[foreign].values())
            none = f"case when {is_null} then cast({NOT_APPLICABLE} as bigint) else {none} end"
        keys.append(f"coalesce({alias}.{surrogate}, {none}) as {quoted(foreign)}")
    matched = [column for columns in lookups.values() for column in columns.values()]
    kept = [f"r.{quoted(name)}" for name in rows.columns if name not in matched or name in stays]
    return lake.sql(f"select {', '.join([*keys, *kept])} from rows r {' '.join(joins)}", **frames)


def _require_not_applicable(lake: Lake, target: str, foreign: str, dataset: str) -> None:
    surrogate = surrogate_name(dataset)
    if not lake.sql(f"select 1 as one from {dataset} where {surrogate} = {NOT_APPLICABLE}").count():
        raise UsageError(
            f"{target}: not_applicable names {foreign}, but {dataset} has no member {NOT_APPLICABLE} for facts that "
            "have none; load it with not_applicable: true"
        )


def _overwrite(
    lake: Lake,
    target: str,
    rows: Frame,
    partition: Mapping[str, Any] | None,
    partition_by: Sequence[str],
    note: Mapping[str, str] | None,
) -> None:
    if not partition:
        lake.write(target, rows, schema="replace", partition_by=partition_by, note=note)
        return
    require_columns(rows, list(partition), f"{target}: partition")
    other = " or ".join(f"not ({quoted(name)} <=> {literal(value)})" for name, value in partition.items())
    if count := lake.sql(f"select 1 as one from rows where {other}", rows=rows).count():
        raise DataError(
            f"{target}: {count:,} rows are of another partition than {dict(partition)}, which is replaced. "
            "Have the query select that one alone."
        )
    if lake.exists(target):
        lake.write(target, rows, partition=partition, schema="evolve", note=note)
    else:
        lake.write(target, rows, partition_by=partition_by or list(partition), note=note)


def _append(lake: Lake, target: str, rows: Frame, grain: Sequence[str]) -> int:
    """Add the rows whose grain is not there; how many were there already, as they are."""
    on = _same("r", "t", grain)
    there = lake.engine.stage(
        lake.sql(f"select t.* from there t left semi join rows r on {on}", there=lake.read(target), rows=rows)
    )
    known = lake.sql(f"select r.* from rows r left semi join t on {on}", rows=rows, t=there)
    same = ", ".join(quoted(name) for name in there.columns if name in rows.columns)
    one, other = (lake.sql(f"select {same} from f", f=each) for each in (known, there))
    if changed := lake.engine.difference(one, other).count():
        raise DuplicateKeys(
            f"{target}: {changed:,} rows are there already with other values, by the grain {list(grain)}; mode append "
            "only adds rows. To change them, choose mode merge."
        )
    new = lake.sql(f"select r.* from rows r left anti join t on {on}", rows=rows, t=there)
    lake.write(target, new, mode="append", schema="evolve")
    return known.count()


def _told(
    lake: Lake, rows: Frame, dimensions: Mapping[str, str], not_applicable: Sequence[str], measures: Sequence[str]
) -> dict[str, int]:
    """How many rows have no member, by foreign key, and how many no value of a measure."""
    conditions = {f"orphans {name}": f"{quoted(name)} = {UNKNOWN}" for name in dimensions}
    conditions |= {f"not applicable {name}": f"{quoted(name)} = {NOT_APPLICABLE}" for name in not_applicable}
    conditions |= {f"null {name}": f"{quoted(name)} is null" for name in measures}
    if not conditions:
        return {}
    counted = ", ".join(f"count_if({condition}) as {quoted(what)}" for what, condition in conditions.items())
    (found,) = lake.sql(f"select {counted} from rows", rows=rows).to_arrow().to_pylist()
    return {what: count for what, count in found.items() if count or not what.startswith("null ")}


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
