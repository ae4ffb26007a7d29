"""Does what comes out account for what went in? Rows and sums at each hop, and each difference down to its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from thresher.columns import require_columns
from thresher.errors import DatasetNotFound, UsageError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.types import quoted

_KINDS = ("missing", "new", "fewer", "more", "changed")


@dataclass(frozen=True)
class Reconciliation:
    """`hops`: a row per hop; `differences`: a row per key that differs from the hop before; how many have no reason."""

    hops: pa.Table
    differences: Frame
    unexplained: int

    def __str__(self) -> str:
        if not self.differences.count():
            return "every hop holds what the one before it holds"
        ending = f"{self.unexplained:,} without a reason" if self.unexplained else "each for a reason"
        return f"{self.differences.count():,} keys differ between hops, {ending}"


def reconcile(
    lake: Lake,
    hops: Mapping[str, str],
    *,
    key: Sequence[str],
    measures: Sequence[str] = (),
    explained: Mapping[str, str] | None = None,
) -> Reconciliation:
    """Compare each hop of the data with the one before it.

    In: `hops`, in their order, each a query (Spark SQL) for the `key` columns and `measures`, any number of rows per
    key; `explained`, for a hop a query for `key` and `reason` of what is known not to arrive there (refused, filtered).
    Out: per hop its rows, the sum of each measure, and how many keys are missing, new, stand in fewer or in more rows,
    or have other sums; per such key the rows and sums before and after, and the reason. Where several rows of a key
    become one, whose sums are theirs divided by their number, that is a duplicate. Nulls are equal to nulls. A
    quarantine that does not exist explains nothing.

    Raises UsageError for less than two hops, MissingColumns, SqlError.
    """
    explained = explained or {}
    if len(hops) < 2:
        raise UsageError(f"found {len(hops)} hops ({', '.join(hops) or 'none'}), expected two or more to compare")
    if unknown := set(explained) - set(hops):
        raise UsageError(f"explained names {sorted(unknown)}; expected hops of {list(hops)}")
    grouped = {name: _grouped(lake, query, key, measures, name) for name, query in hops.items()}
    names = list(hops)
    differences = [
        _differences(lake, grouped[before], grouped[after], key, measures, after, _reasons(lake, explained, after, key))
        for before, after in zip(names, names[1:], strict=False)
    ]
    frames = {f"d{number}": each for number, each in enumerate(differences)}
    query = " union all ".join(f"select * from {name}" for name in frames)
    everything = lake.engine.stage(lake.sql(query, None, **frames))
    found = "select hop, difference, count(*) as n, count_if(reason is null) as u from d group by hop, difference"
    told = {(row["hop"], row["difference"]): row for row in lake.sql(found, d=everything).to_arrow().to_pylist()}
    rows = []
    for name in names:
        totals = ", ".join(["sum(_rows) as _rows", *(f"sum({quoted(each)}) as {quoted(each)}" for each in measures)])
        (total,) = lake.sql(f"select {totals} from g", g=grouped[name]).to_arrow().to_pylist()
        row = {"hop": name, "rows": total["_rows"] or 0} | {each: total[each] for each in measures}
        row |= {kind: told.get((name, kind), {}).get("n", 0) for kind in _KINDS}
        rows.append(row | {"unexplained": sum(each["u"] for (hop, _), each in told.items() if hop == name)})
    return Reconciliation(pa.Table.from_pylist(rows), everything, sum(int(each["u"]) for each in told.values()))


def _grouped(lake: Lake, query: str, key: Sequence[str], measures: Sequence[str], hop: str) -> Frame:
    rows = lake.sql(query)
    require_columns(rows, [*key, *measures], f"hop {hop}")
    keys = ", ".join(map(quoted, key))
    sums = "".join(f", sum({quoted(each)}) as {quoted(each)}" for each in measures)
    return lake.engine.stage(lake.sql(f"select {keys}, count(*) as _rows{sums} from r group by {keys}", r=rows))


def _reasons(lake: Lake, explained: Mapping[str, str], hop: str, key: Sequence[str]) -> Frame | None:
    """One reason per key that is known not to arrive at a hop."""
    if hop not in explained:
        return None
    try:
        rows = lake.sql(explained[hop])
    except DatasetNotFound:
        if "quarantine." in explained[hop]:
            return None
        raise
    require_columns(rows, [*key, "reason"], f"explained of {hop}")
    keys = ", ".join(map(quoted, key))
    return lake.sql(f"select {keys}, min(reason) as reason from r group by {keys}", r=rows)


def _differences(
    lake: Lake,
    before: Frame,
    after: Frame,
    key: Sequence[str],
    measures: Sequence[str],
    hop: str,
    reasons: Frame | None,
) -> Frame:
    keys = ", ".join(map(quoted, key))
    counted = ["sum(b) as rows_before", "sum(a) as rows_after"]
    counted += [f"max({quoted('b ' + each)}) as {quoted(each + '_before')}" for each in measures]
    counted += [f"max({quoted('a ' + each)}) as {quoted(each + '_after')}" for each in measures]
    ours = "".join(f", {quoted(each)} as {quoted('b ' + each)}, null as {quoted('a ' + each)}" for each in measures)
    theirs = "".join(f", null as {quoted('b ' + each)}, {quoted(each)} as {quoted('a ' + each)}" for each in measures)
    both = lake.sql(
        f"select {keys}, {', '.join(counted)} from ("
        f"select {keys}, _rows as b, cast(0 as bigint) as a{ours} from one union all "
        f"select {keys}, cast(0 as bigint) as b, _rows as a{theirs} from other) group by {keys}",
        one=before,
        other=after,
    )
    same = " and ".join(f"d.{quoted(each + '_before')} <=> d.{quoted(each + '_after')}" for each in measures) or "true"
    kind = (
        "case when d.rows_after = 0 then 'missing' when d.rows_before = 0 then 'new' "
        "when d.rows_after < d.rows_before then 'fewer' when d.rows_after > d.rows_before then 'more' "
        "else 'changed' end"
    )
    once = " and ".join(
        f"d.{quoted(each + '_before')} <=> d.{quoted(each + '_after')} * d.rows_before" for each in measures
    )
    is_duplicate = f"d.rows_after = 1 and d.rows_before > 1 and {once or 'true'}"
    columns = ", ".join(f"d.{quoted(name)}" for name in both.columns)
    on = " and ".join(f"d.{quoted(name)} <=> e.{quoted(name)}" for name in key)
    known = "left join e on " + on if reasons is not None else ""
    reason = "e.reason" if reasons is not None else "cast(null as string)"
    return lake.sql(
        f"select '{_escaped(hop)}' as hop, {kind} as difference, {columns}, "
        f"coalesce({reason}, case when {is_duplicate} then 'duplicate' end) as reason "
        f"from d {known} where d.rows_before <> d.rows_after or not ({same})",
        None,
        **({"d": both} | ({"e": reasons} if reasons is not None else {})),
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
