"""Rows against rules: one scan for all rules that look at single rows, one for each of the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from thresher.check_outcomes import Checked, Outcome
from thresher.checks.rules import Rule
from thresher.columns import require_columns
from thresher.frame import Frame
from thresher.types import quoted

if TYPE_CHECKING:
    from thresher.lake import Lake


def check(lake: Lake, rows: Frame, dataset: str, rules: Sequence[Rule], *, before: int | None = None) -> Checked:
    """Count the rows that break each rule.

    In: the rows of a dataset, as they are or as they are about to be; `before` is how many rows it had. Out: an
    outcome per rule. Raises MissingColumns where a rule names a column that the rows do not have, SqlError for an
    expression that cannot be read.
    """
    require_columns(rows, [name for rule in rules for name in rule.columns], f"checks of {dataset}")
    counted = {f"c{number}": f"count_if({rule.failing})" for number, rule in enumerate(rules) if rule.failing}
    made = {"sum_equals": "sum", "freshness": "max"}
    counted |= {
        f"c{number}": f"{made[rule.kind]}({quoted(rule.columns[0])})"
        for number, rule in enumerate(rules)
        if rule.kind in made
    }
    parts = ", ".join(["count(*) as n", *(f"{value} as {name}" for name, value in counted.items())])
    (figures,) = lake.sql(f"select {parts} from rows", rows=rows).to_arrow().to_pylist()
    total = figures["n"]

    def outcome(number: int, rule: Rule) -> Outcome:
        failing, found = _found(lake, rows, dataset, rule, total, figures.get(f"c{number}"), before)
        return Outcome(rule.text, rule.severity, failing, found)

    return Checked(dataset, total, tuple(outcome(number, rule) for number, rule in enumerate(rules)))


def failing_rows(lake: Lake, rows: Frame, dataset: str, rule: Rule) -> Frame | None:
    """The rows that break a rule which looks at single rows, at the key of others, or at another dataset."""
    if rule.failing:
        return lake.sql(f"select * from rows where {rule.failing}", rows=rows)
    if rule.kind == "relationships":
        return lake.sql(_without_member(rule, dataset, "r.*"), rows=rows)
    if rule.kind == "query":
        return lake.sql(rule.given["query"], rows=rows)
    if rule.kind == "unique":
        keys = ", ".join(map(quoted, rule.columns))
        on = " and ".join(f"r.{quoted(name)} <=> k.{quoted(name)}" for name in rule.columns)
        return lake.sql(
            f"select r.* from rows r left semi join (select {keys} from rows group by {keys} having count(*) > 1) k "
            f"on {on}",
            rows=rows,
        )
    return None


def kept_rows(lake: Lake, rows: Frame, dataset: str, rules: Sequence[Rule], exempt: str) -> Frame:
    """The rows that break none of some rules which tell of each row by itself; and those that are exempt."""
    joins, wrong = [], [f"coalesce({rule.failing}, false)" for rule in rules if rule.failing]
    for number, rule in enumerate(rule for rule in rules if not rule.failing):
        column, field, target = _related(rule, dataset)
        members = f"(select distinct {field} as k{number} from {target}) t{number}"
        joins.append(f"left join {members} on r.{column} = k{number}")
        wrong.append(f"(r.{column} is not null and k{number} is null)")
    columns = ", ".join(f"r.{quoted(name)}" for name in rows.columns)
    where = f"coalesce({exempt}, false) or not ({' or '.join(wrong)})"
    return lake.sql(f"select {columns} from rows r {' '.join(joins)} where {where}", rows=rows)


def _found(
    lake: Lake, rows: Frame, dataset: str, rule: Rule, total: int, figure: Any, before: int | None
) -> tuple[int, str]:
    match rule.kind:
        case "unique":
            keys = ", ".join(map(quoted, rule.columns))
            twice = f"select count(*) - 1 as more from rows group by {keys} having count(*) > 1"
            (found,) = lake.sql(f"select coalesce(sum(more), 0) as n from ({twice})", rows=rows).to_arrow().to_pylist()
            return found["n"], f"{found['n']:,} rows repeat a key"
        case "relationships":
            lost = lake.sql(_without_member(rule, dataset, "1 as one"), rows=rows).count()
            return lost, f"{lost:,} of {total:,} rows have a value that is not there"
        case "query":
            wrong = lake.sql(rule.given["query"], rows=rows).count()
            return wrong, f"{wrong:,} rows are selected"
        case "row_count":
            return _row_count(rule, total, before)
        case "sum_equals":
            return _sum(lake, rows, dataset, rule, figure)
        case "freshness":
            return _freshness(rule, figure)
    return figure, f"{figure:,} of {total:,} rows break it"


def _related(rule: Rule, dataset: str) -> tuple[str, str, str]:
    """Our column, the other's, and the other dataset; where it is this one, as it is about to be."""
    target = "rows" if rule.given["to"] == dataset else rule.given["to"]
    return quoted(rule.columns[0]), quoted(rule.given.get("field", rule.columns[0])), target


def _without_member(rule: Rule, dataset: str, columns: str) -> str:
    column, field, target = _related(rule, dataset)
    return (
        f"select {columns} from rows r left anti join {target} t on r.{column} = t.{field} where r.{column} is not null"
    )


def _row_count(rule: Rule, total: int, before: int | None) -> tuple[int, str]:
    least, most, change = rule.given.get("min", 0), rule.given.get("max"), rule.given.get("max_change")
    is_kept = least <= total and (most is None or total <= most)
    found = f"{total:,} rows"
    if change is not None and before:
        is_kept &= abs(total - before) <= Decimal(str(change)) * before
        found += f", {before:,} before ({(total - before) / before:+.1%})"
    return int(not is_kept), found


def _sum(lake: Lake, rows: Frame, dataset: str, rule: Rule, ours: Any) -> tuple[int, str]:
    _, field, target = _related(rule, dataset)
    (found,) = lake.sql(f"select sum({field}) as total from {target}", rows=rows).to_arrow().to_pylist()
    theirs = found["total"]
    apart = abs(Decimal(str(ours or 0)) - Decimal(str(theirs or 0)))
    is_kept = (ours is None) == (theirs is None) and apart <= Decimal(str(rule.given.get("tolerance", 0)))
    return int(not is_kept), f"{ours} here, {theirs} in {rule.given['to']}, {apart} apart"


def _freshness(rule: Rule, latest: Any) -> tuple[int, str]:
    """The latest moment must not be older; a day is its first moment, a time without a zone is of UTC."""
    if latest is None:
        return 1, "no value"
    if not isinstance(latest, datetime):
        if not isinstance(latest, date):
            return 1, f"the latest is {latest!r}, expected a date or timestamp"
        latest = datetime(latest.year, latest.month, latest.day)
    moment = latest.replace(tzinfo=UTC) if latest.tzinfo is None else latest
    is_kept = datetime.now(UTC) - moment <= timedelta(seconds=rule.given["seconds"])
    return int(not is_kept), f"the latest is {moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
