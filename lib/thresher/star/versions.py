"""Type 2 dimensions: versions of members, cut anew from all that was ever delivered of them.

What arrives is kept in the dataset of changes beside the dimension, one row per natural key and moment: a row that
changes nothing today may do so when an earlier one arrives late. So the versions do not depend on the order of arrival,
and a load that was killed between the two tables is made good by the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from thresher.columns import require_columns
from thresher.counts import Counts
from thresher.datasets import changes_of, surrogate_name
from thresher.errors import SchemaMismatch, UsageError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.sql.params import literal
from thresher.star.members import IS_INFERRED, Delivered, delivered, early, special_members
from thresher.types import TIMESTAMP, ddl, quoted

FROM_THE_BEGINNING = "timestamp '1900-01-01 00:00:00'"
_ADDED = ("valid_from", "valid_to", "is_current")
_IS_DELETED = "_is_deleted"


@dataclass(frozen=True)
class History:
    """How the rows of a load tell when they hold: see `dimension`."""

    valid_from: str = ""
    deleted: str = ""
    absent: str = "keep"
    now: datetime | None = None
    not_applicable: bool = False
    inferred: Frame | None = None


def load(
    lake: Lake, rows: Frame, target: str, *, key: Sequence[str], order_by: Sequence[str], history: History
) -> tuple[Frame, Counts]:
    """Keep what is delivered beside the dimension, and cut the versions anew; the rows now, and the counts."""
    _check(rows, target, key, history)
    by = [*key, history.valid_from] if history.valid_from else list(key)
    found = delivered(lake, rows, target, by, order_by)
    known = lake.read(changes_of(target)) if lake.exists(changes_of(target)) else None
    events = _events(lake, found.members, target, key, order_by, known, history)
    events = lake.engine.stage(_with_early(lake, events, found.members, target, key, known, history))
    surrogate = surrogate_name(target)
    lake.merge(
        changes_of(target),
        lambda: _numbered(lake, events, target, surrogate, key, order_by),
        [*key, "valid_from"],
        schema="evolve",
    )
    before = lake.read(target) if lake.exists(target) else None
    versions = lake.engine.stage(_versions(lake, target, surrogate, key, order_by, history.not_applicable))
    lake.write(target, versions, schema="replace")
    return lake.read(target), _counts(lake, target, surrogate, found, versions, before)


def _check(rows: Frame, target: str, key: Sequence[str], history: History) -> None:
    require_columns(rows, [*key, *filter(None, (history.valid_from, history.deleted))], target)
    if history.absent not in ("keep", "close"):
        raise UsageError(f"{target}: found absent={history.absent!r}, expected keep or close")
    if history.absent == "close" and history.valid_from:
        raise UsageError(
            f"{target}: absent: close says that all members are delivered each time; rows with a date of their own "
            f"({history.valid_from}) are changes. Name the column that tells what is deleted in deleted"
        )
    if {history.valid_from, history.deleted} & set(key):
        raise UsageError(f"{target}: valid_from and deleted cannot be columns of the natural key {list(key)}")
    added = (*_ADDED, _IS_DELETED, IS_INFERRED)
    taken = [name for name in added if name in rows.columns and name != history.valid_from]
    if taken:
        raise UsageError(f"{target}: the columns {taken} tell of versions here; call them otherwise in the query")
    if history.valid_from:
        kind = rows.schema.field(history.valid_from).type
        if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
            raise SchemaMismatch(
                f"{target}: valid_from: column {history.valid_from} is {ddl(kind)}, expected a date or timestamp. "
                "Cast it in the query."
            )
    if history.deleted and rows.schema.field(history.deleted).type != pa.bool_():
        kind = ddl(rows.schema.field(history.deleted).type)
        raise SchemaMismatch(f"{target}: deleted: column {history.deleted} is {kind}, expected boolean")


def _events(
    lake: Lake,
    members: Frame,
    target: str,
    key: Sequence[str],
    order_by: Sequence[str],
    known: Frame | None,
    history: History,
) -> Frame:
    """What is delivered, in the columns: natural key, attributes, `valid_from`, `_is_deleted`."""
    attributes = [name for name in members.columns if name not in (*key, history.valid_from, history.deleted)]
    is_deleted = f"coalesce(m.{quoted(history.deleted)}, false)" if history.deleted else "false"
    columns = ", ".join(f"m.{quoted(name)}" for name in (*key, *attributes))
    if history.valid_from:
        moment = f"m.{quoted(history.valid_from)}"
        return lake.sql(f"select {columns}, {moment} as valid_from, {is_deleted} as {_IS_DELETED} from m", m=members)
    now = f"cast({literal((history.now or datetime.now(UTC)).astimezone(UTC))} as timestamp)"
    if known is None:
        return lake.sql(
            f"select {columns}, {FROM_THE_BEGINNING} as valid_from, false as {_IS_DELETED} from m "
            f"where not {is_deleted}",
            m=members,
        )
    if known.schema.field("valid_from").type != TIMESTAMP:
        raise UsageError(f"{target}: its versions have dates of the rows so far; expected valid_from, found none")
    last = lake.engine.stage(_last(lake, known, key))
    is_inferred = f"coalesce({_of(IS_INFERRED, last)}, false)"
    is_new = f"k.{_IS_DELETED} is null or {is_inferred}"
    on = " and ".join(f"m.{quoted(name)} = k.{quoted(name)}" for name in key)
    differs = [f"not (m.{quoted(name)} <=> {_of(name, last)})" for name in attributes if name not in order_by]
    changed = " or ".join([f"k.{_IS_DELETED}", *differs])
    events = lake.sql(
        f"select {columns}, case when {is_new} then {FROM_THE_BEGINNING} else {now} end as valid_from, "
        f"{is_deleted} as {_IS_DELETED} from m left join k on {on} where case when {is_deleted} "
        f"then not coalesce(k.{_IS_DELETED}, true) else {is_new} or {changed} end",
        m=members,
        k=last,
    )
    if history.absent == "keep":
        return events
    there = ", ".join(
        [f"k.{quoted(name)}" for name in key] + [f"{_of(name, last)} as {quoted(name)}" for name in attributes]
    )
    return lake.sql(
        f"select * from events union all select {there}, {now} as valid_from, true as {_IS_DELETED} "
        f"from k left anti join m on {on} where not k.{_IS_DELETED} and not {is_inferred}",
        events=events,
        k=last,
        m=members,
    )


def _with_early(
    lake: Lake,
    events: Frame,
    members: Frame,
    target: str,
    key: Sequence[str],
    known: Frame | None,
    history: History,
) -> Frame:
    """The events, and one from the beginning for each member of which only facts tell."""
    if history.inferred is None:
        if known is None or IS_INFERRED not in known.columns:
            return events
        return lake.sql(f"select *, false as {IS_INFERRED} from e", e=events)
    made = {name: quoted(name) for name in key}
    made |= {"valid_from": f"cast({FROM_THE_BEGINNING} as {ddl(events.schema.field('valid_from').type)})"}
    made |= {_IS_DELETED: "false"}
    columns = ", ".join(
        f"{made.get(field.name, f'cast(null as {ddl(field.type)})')} as {quoted(field.name)}" for field in events.schema
    )
    return lake.sql(
        f"select *, false as {IS_INFERRED} from e union all select {columns}, true as {IS_INFERRED} from early",
        e=events,
        early=early(lake, history.inferred, key, members, known, target),
    )


def _last(lake: Lake, known: Frame, key: Sequence[str]) -> Frame:
    """Per member what is known of it last."""
    keys = ", ".join(map(quoted, key))
    return lake.sql(
        f"select * from (select *, row_number() over (partition by {keys} order by valid_from desc) as _n from known) "
        "where _n = 1",
        known=known,
    )


def _of(name: str, last: Frame) -> str:
    return f"k.{quoted(name)}" if name in last.columns else "null"


def _numbered(
    lake: Lake, events: Frame, target: str, surrogate: str, key: Sequence[str], order_by: Sequence[str]
) -> Frame:
    """The events with the surrogate keys that they have, or the next free ones; without those that are known of the
    same moment and come later by `order_by`."""
    moment = [*key, "valid_from"]
    columns = ", ".join(f"m.{quoted(name)}" for name in events.columns)
    order = ", ".join(f"m.{quoted(name)}" for name in moment)
    name = changes_of(target)
    if not lake.exists(name):
        return lake.sql(
            f"select cast(row_number() over (order by {order}) as bigint) as {surrogate}, {columns} from m", m=events
        )
    known = lake.read(name)
    ours, theirs = (frame.schema.field("valid_from").type for frame in (events, known))
    if ours != theirs:
        raise SchemaMismatch(
            f"{target}: valid_from is {ddl(ours)} in the rows, {ddl(theirs)} in the dimension. Cast it in the query."
        )
    on = " and ".join(f"m.{quoted(each)} = k.{quoted(each)}" for each in moment)
    order_by = [name for name in order_by if name in events.columns and name in known.columns and name not in moment]
    if order_by:
        ours, theirs = (f"struct({', '.join(f'{one}.{quoted(name)}' for name in order_by)})" for one in "mk")
        events = lake.engine.stage(
            lake.sql(f"select m.* from m left anti join k on {on} and {theirs} > {ours}", m=events, k=known)
        )
    new = lake.engine.stage(lake.sql(f"select m.* from m left anti join k on {on}", m=events, k=known))
    return lake.sql(
        f"select k.{surrogate}, {columns} from m join k on {on} "
        f"union all select coalesce(i.{surrogate}, t.top + cast(row_number() over (order by {order}) as bigint)) "
        f"as {surrogate}, {columns} from new m "
        f"left join i on {' and '.join(f'm.{quoted(each)} = i.{quoted(each)}' for each in moment)} "
        f"cross join (select coalesce(max({surrogate}), cast(0 as bigint)) as top from k) t",
        m=events,
        k=known,
        new=new,
        i=_completed(lake, new, known, surrogate, key),
    )


def _completed(lake: Lake, new: Frame, known: Frame, surrogate: str, key: Sequence[str]) -> Frame:
    """Per member that was inferred and is now delivered: its first moment, and the surrogate key that it has."""
    keys = ", ".join(f"n.{quoted(name)}" for name in key)
    on = " and ".join(f"n.{quoted(name)} = k.{quoted(name)}" for name in key)
    found = _delivered_only(lake, known, key) if IS_INFERRED in known.columns else known.head(0)
    inferred = IS_INFERRED if IS_INFERRED in known.columns else "false"
    return lake.sql(
        f"select {keys}, min(n.valid_from) as valid_from, min(k.{surrogate}) as {surrogate} "
        f"from new n join (select * from found where {inferred}) k on {on} group by {keys}",
        new=new,
        found=found,
    )


def _delivered_only(lake: Lake, changes: Frame, key: Sequence[str]) -> Frame:
    """The events without those that were inferred of members that have been delivered since."""
    over = f"over (partition by {', '.join(map(quoted, key))})"
    columns = ", ".join(map(quoted, changes.columns))
    is_told = f"max(case when coalesce({IS_INFERRED}, false) then 0 else 1 end) {over}"
    return lake.sql(
        f"select {columns} from (select *, {is_told} as _told from changes) "
        f"where _told = 0 or not coalesce({IS_INFERRED}, false)",
        changes=changes,
    )


def _versions(
    lake: Lake, target: str, surrogate: str, key: Sequence[str], order_by: Sequence[str], not_applicable: bool
) -> Frame:
    """Per member its versions: from each change of a value to the next; and the members that nobody delivers.

    What tells only which row is later (`order_by`) is no change.
    """
    changes = lake.read(changes_of(target))
    if IS_INFERRED in changes.columns:
        changes = _delivered_only(lake, changes, key)
    attributes = [name for name in changes.columns if name not in (surrogate, *key, "valid_from", _IS_DELETED)]
    over = f"over (partition by {', '.join(map(quoted, key))} order by valid_from)"
    compared = [quoted(name) for name in attributes if name not in order_by]
    same = " and ".join(f"lag({name}) {over} <=> {name}" for name in compared) or "true"
    columns = ", ".join(map(quoted, [surrogate, *key, *attributes]))
    cut = lake.sql(
        f"select *, lead(valid_from) {over} as valid_to from "
        f"(select *, lag({_IS_DELETED}) {over} <=> {_IS_DELETED} and ({_IS_DELETED} or {same}) as _is_same "
        "from changes) where not _is_same",
        changes=changes,
    )
    plain = changes.schema.field("valid_from")
    schema = pa.schema(
        [*(changes.schema.field(name) for name in (*key, *attributes)), plain, plain.with_name("valid_to")]
    )
    return lake.sql(
        f"select {columns}, valid_from, valid_to, valid_to is null as is_current from cut where not {_IS_DELETED} "
        f"union all select *, true as is_current from ({special_members(surrogate, schema, not_applicable)})",
        cut=cut,
    )


def _counts(lake: Lake, target: str, surrogate: str, found: Delivered, versions: Frame, before: Frame | None) -> Counts:
    """The account of a load: rows delivered, and what became of versions."""
    distinct = found.members.count()
    real = lake.sql(f"select * from v where {surrogate} > 0", v=versions)
    if before is None:
        more = {"inserted": real.count(), "closed": 0, "removed": 0}
    else:
        same = f"v.{surrogate} = b.{surrogate}"
        queries = {
            "inserted": f"select 1 as one from v left anti join b on {same}",
            "closed": f"select 1 as one from v join b on {same} where b.is_current and not v.is_current",
            "removed": f"select 1 as one from b left anti join v on {same} where b.{surrogate} > 0",
        }
        more = {what: lake.sql(query, v=real, b=before).count() for what, query in queries.items()}
    return Counts(
        target,
        rows_in=found.rows_in,
        rows_out=distinct,
        refused=found.refused,
        duplicate=found.rows_in - distinct - found.refused,
        more=more,
    )
