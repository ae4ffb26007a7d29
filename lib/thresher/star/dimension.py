"""Dimensions: one row per member (type 1), or one per version of a member (type 2, `versions.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from thresher.counts import Counts
from thresher.datasets import surrogate_name
from thresher.errors import UsageError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.star import versions
from thresher.star.members import IS_INFERRED, delivered, early, special_members
from thresher.types import ddl, quoted


@dataclass(frozen=True)
class Dimension:
    """What loading a dimension did: its members now, and the counts."""

    rows: Frame
    counts: Counts


def dimension(
    lake: Lake,
    rows: Frame,
    target: str,
    *,
    key: Sequence[str],
    order_by: Sequence[str] = (),
    scd_type: int = 1,
    valid_from: str = "",
    deleted: str = "",
    absent: str = "keep",
    now: datetime | None = None,
    not_applicable: bool = False,
    inferred: Frame | None = None,
) -> Dimension:
    """Bring a dimension up to date: new members are added, changes overwrite (type 1) or begin a new version (type 2).

    Type 1. In: any number of rows per natural key. Out: one row per natural key, its surrogate key first (bigint, from
    1, given in the order of the natural keys and kept for ever after), plus the unknown member (-1, all else null).
    An attribute that is new to the query is added, one that it no longer delivers becomes null. Rows that are equal
    count as duplicates; rows that share a natural key and differ are an error, unless `order_by` says which of them is
    the latest. A row with a null in its natural key is refused. Members that are no longer delivered stay: facts may
    refer to them. Running it again with the same rows changes nothing.

    Type 2. Out: one row per version of a member, with `valid_from`, `valid_to` (null for the last) and `is_current`.
    `valid_from` names the column (date or timestamp) since when a row holds; then any number of rows per natural key,
    in whatever order they arrive over the loads: a late one divides or moves the versions around it. Without it a row
    holds from `now` (by default the moment of the load), the first of a member from 1900-01-01; then rows are unique
    by the natural key. `deleted` names a boolean column: true closes the member; `absent="close"` closes
    members that are not delivered. A change is any difference in an attribute; a null is a value. Each
    row delivered is kept in `changes.<zone>_<name>` with the surrogate key of the version that it begins.

    | id | city | since | | customer_key | id | city | valid_from | valid_to | is_current |
    |---|---|---|---|---|---|---|---|---|---|
    | 1 | Rome | 1 May | → | 1 | 1 | Rome | 1 May | 9 May | false |
    | 1 | Pisa | 9 May | | 2 | 1 | Pisa | 9 May | null | true |

    Both. `not_applicable` adds a member (-2) for facts that may have none. `inferred` has the natural keys that facts
    use: those that nobody has delivered get a member with the key alone and `is_inferred`, until they are delivered;
    that one keeps its surrogate key.

    Raises MissingColumns, DuplicateKeys, SchemaMismatch, UsageError.
    """
    if not key:
        raise UsageError(f"{target}: a dimension needs a natural key; name its columns in key")
    if scd_type not in (1, 2):
        raise UsageError(f"{target}: found scd_type={scd_type!r}, expected 1 (overwrite) or 2 (keep versions)")
    if scd_type == 2:
        history = versions.History(valid_from, deleted, absent, now, not_applicable, inferred)
        return Dimension(*versions.load(lake, rows, target, key=key, order_by=order_by, history=history))
    if valid_from or deleted or absent != "keep":
        raise UsageError(f"{target}: valid_from, deleted and absent tell of versions; expected scd_type=2 with them")
    found = delivered(lake, rows, target, key, order_by)
    members = found.members
    surrogate = surrogate_name(target)

    def all_members() -> Frame:
        known = _known(lake, target, surrogate, members)
        complete = _with_early(lake, members, target, key, known, inferred)
        return _with_surrogates(lake, complete, known, surrogate, key, not_applicable)

    merged = lake.merge(target, all_members, [surrogate], schema="evolve")
    distinct = members.count()
    counts = Counts(
        target,
        rows_in=found.rows_in,
        rows_out=distinct,
        refused=found.refused,
        duplicate=found.rows_in - distinct - found.refused,
        more={"inserted": merged.inserted, "updated": merged.updated},
    )
    return Dimension(lake.read(target), counts)


def _known(lake: Lake, target: str, surrogate: str, members: Frame) -> Frame | None:
    """The members that the dimension has."""
    if not lake.exists(target):
        return None
    if "valid_from" in lake.schema(target).names and "valid_from" not in members.columns:
        raise UsageError(f"{target} has versions of its members; expected scd_type=2, found 1")
    return lake.engine.stage(lake.sql(f"select * from {target} where {surrogate} > 0"))


def _with_early(
    lake: Lake, members: Frame, target: str, key: Sequence[str], known: Frame | None, inferred: Frame | None
) -> Frame:
    """The members, and those of which only facts tell; where there are such, with the column that says which."""
    if IS_INFERRED in members.columns:
        raise UsageError(f"{target}: column {IS_INFERRED} tells of inferred members; call it otherwise in the query")
    if inferred is None:
        if known is None or IS_INFERRED not in known.columns:
            return members
        return lake.sql(f"select *, false as {IS_INFERRED} from m", m=members)
    nulls = ", ".join(
        quoted(field.name) if field.name in key else f"cast(null as {ddl(field.type)}) as {quoted(field.name)}"
        for field in members.schema
    )
    return lake.sql(
        f"select *, false as {IS_INFERRED} from m union all select {nulls}, true as {IS_INFERRED} from early",
        m=members,
        early=early(lake, inferred, key, members, known, target),
    )


def _with_surrogates(
    lake: Lake, members: Frame, known: Frame | None, surrogate: str, key: Sequence[str], not_applicable: bool
) -> Frame:
    """The members with the surrogate keys they have, or the next free ones; and those that nobody delivers."""
    columns = ", ".join(f"m.{quoted(name)}" for name in members.columns)
    order = ", ".join(f"m.{quoted(name)}" for name in key)
    special = special_members(surrogate, members.schema, not_applicable)
    if known is None:
        return lake.sql(
            f"select cast(row_number() over (order by {order}) as bigint) as {surrogate}, {columns} from members m "
            f"union all {special}",
            members=members,
        )
    on = " and ".join(f"m.{quoted(name)} = e.{quoted(name)}" for name in key)
    return lake.sql(
        f"select e.{surrogate}, {columns} from members m join existing e on {on} "
        f"union all select t.top + cast(row_number() over (order by {order}) as bigint) as {surrogate}, {columns} "
        f"from (select m.* from members m left anti join existing e on {on}) m "
        f"cross join (select coalesce(max({surrogate}), cast(0 as bigint)) as top from existing) t "
        f"union all {special}",
        members=members,
        existing=known,
    )
