"""curated → mart: dimensions with stable surrogate keys, facts that find them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thresher import dedupe, quarantine
from thresher.columns import require_columns, require_unique
from thresher.counts import Counts
from thresher.errors import DuplicateKeys, UsageError
from thresher.frame import Frame
from thresher.incremental import Touched
from thresher.lake import Lake
from thresher.types import ddl, quoted

UNKNOWN = -1
"""The surrogate key of the member to which a fact belongs whose natural key is not in the dimension."""


@dataclass(frozen=True)
class Dimension:
    """What loading a dimension did: its members now, and the counts."""

    rows: Frame
    counts: Counts


@dataclass(frozen=True)
class Fact:
    """What loading a fact did: its rows now, the rows that belong to an unknown member, and the counts."""

    rows: Frame
    orphans: Frame
    counts: Counts


def surrogate_name(target: str) -> str:
    """The surrogate key column of a dimension.

    >>> surrogate_name("mart.dim_book")
    'book_key'
    """
    return target.partition(".")[2].removeprefix("dim_") + "_key"


def dimension(lake: Lake, rows: Frame, target: str, *, key: Sequence[str], order_by: Sequence[str] = ()) -> Dimension:
    """Bring a dimension up to date, type 1: new members are added, changed attributes overwritten.

    In: any number of rows per natural key. Out: one row per natural key, its surrogate key first (bigint, from 1,
    given in the order of the natural keys and kept for ever after), plus the unknown member (-1, all else null).
    An attribute that is new to the query is added, one that it no longer delivers becomes null. Rows that are equal
    count as duplicates; rows that share a natural key and differ are an error, unless `order_by`
    says which of them is the latest. A row with a null in its natural key is refused. Members that are no longer
    delivered stay: facts may refer to them. Running it again with the same rows changes nothing.

    Raises MissingColumns, DuplicateKeys, SchemaMismatch.
    """
    require_columns(rows, [*key, *order_by], target)
    if not key:
        raise UsageError(f"{target}: a dimension needs a natural key; name its columns in key")
    surrogate = surrogate_name(target)
    if surrogate in rows.columns:
        raise UsageError(f"{target}: column {surrogate} is the surrogate key; call it otherwise in the query")
    rows = lake.engine.stage(rows)
    null_key = " or ".join(f"{quoted(name)} is null" for name in key)
    refused = lake.sql(f"select * from rows where {null_key}", rows=rows)
    members = dedupe.exact(lake.sql(f"select * from rows where not ({null_key})", rows=rows)).kept
    if order_by:
        members = dedupe.latest(members, keys=key, order_by=order_by).kept
    try:
        require_unique(members, key, target)
    except DuplicateKeys as error:
        raise DuplicateKeys(f"{error} Or name the columns that tell the latest row in order_by.") from None
    quarantine.keep(lake, target, quarantine.of_rows(refused, target, "null key", f"a null in {', '.join(key)}"))
    merged = lake.merge(
        target, lambda: _with_surrogates(lake, members, target, surrogate, key), [surrogate], schema="evolve"
    )
    delivered, distinct, null_keys = rows.count(), members.count(), refused.count()
    counts = Counts(
        target,
        rows_in=delivered,
        rows_out=distinct,
        refused=null_keys,
        duplicate=delivered - distinct - null_keys,
        more={"inserted": merged.inserted, "updated": merged.updated},
    )
    return Dimension(lake.read(target), counts)


def _with_surrogates(lake: Lake, members: Frame, target: str, surrogate: str, key: Sequence[str]) -> Frame:
    """The members with the surrogate keys they have, or the next free ones; and the unknown member."""
    columns = ", ".join(f"m.{quoted(name)}" for name in members.columns)
    nulls = ", ".join(f"cast(null as {ddl(field.type)}) as {quoted(field.name)}" for field in members.schema)
    order = ", ".join(f"m.{quoted(name)}" for name in key)
    unknown = f"select cast({UNKNOWN} as bigint) as {surrogate}, {nulls}"
    if not lake.exists(target):
        return lake.sql(
            f"select cast(row_number() over (order by {order}) as bigint) as {surrogate}, {columns} from members m "
            f"union all {unknown}",
            members=members,
        )
    on = " and ".join(f"m.{quoted(name)} = e.{quoted(name)}" for name in key)
    existing = lake.sql(f"select * from {target} where {surrogate} <> {UNKNOWN}")
    return lake.sql(
        f"select e.{surrogate}, {columns} from members m join existing e on {on} "
        f"union all select t.top + cast(row_number() over (order by {order}) as bigint) as {surrogate}, {columns} "
        f"from (select m.* from members m left anti join existing e on {on}) m "
        f"cross join (select coalesce(max({surrogate}), cast(0 as bigint)) as top from existing) t "
        f"union all {unknown}",
        members=members,
        existing=existing,
    )


def fact(
    lake: Lake,
    rows: Frame,
    target: str,
    *,
    dimensions: Mapping[str, str],
    lookups: Mapping[str, Mapping[str, str]],
    grain: Sequence[str],
    touched: Touched | None = None,
) -> Fact:
    """Rebuild a fact: look up its foreign keys, give orphans to the unknown member, replace the table.

    In: one row per `grain`, with natural keys. Out: the same rows; for each entry of `dimensions` (foreign key column →
    dimension dataset) the surrogate key, first, in place of the columns that `lookups` ({foreign key: {natural key of
    the dimension: column of the rows}}) matched it by. A row whose natural key is null or not in the dimension gets
    -1; such orphans are counted per foreign key. Where only some keys of the grain are `touched` (see `incremental`),
    only their rows are computed and replaced, and the orphans and counts are theirs.

    Raises MissingColumns, DuplicateKeys where the grain or a dimension's natural key is not unique, UsageError.
    """
    if set(dimensions) != set(lookups):
        raise UsageError(
            f"{target}: dimensions name {sorted(dimensions)}, lookups name {sorted(lookups)}; "
            f"each foreign key needs both"
        )
    if touched and (dimensions or not grain):
        raise UsageError(f"{target}: touched rows need a grain, and no dimensions: their members change, too")
    matched = [column for columns in lookups.values() for column in columns.values()]
    require_columns(rows, [*matched, *grain], target)
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
        require_unique(members, list(lookups[foreign]), dataset)
        frames[f"dimension_{number}"] = members
        on = " and ".join(f"r.{quoted(ours)} = {alias}.{quoted(theirs)}" for theirs, ours in lookups[foreign].items())
        joins.append(f"left join dimension_{number} {alias} on {on}")
        keys.append(f"coalesce({alias}.{surrogate}, cast({UNKNOWN} as bigint)) as {quoted(foreign)}")
    kept = [f"r.{quoted(name)}" for name in rows.columns if name not in matched]
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


def _same(one: str, other: str, columns: Sequence[str]) -> str:
    return " and ".join(f"{one}.{quoted(name)} <=> {other}.{quoted(name)}" for name in columns)
