"""Rows against rules: one scan for all rules that look at single rows, one for each of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from thresher.checks.rules import Rule
from thresher.columns import require_columns
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.types import quoted


@dataclass(frozen=True)
class Outcome:
    """What became of one rule: how many rows break it (of rules about all rows, 1 or 0), and what was found."""

    rule: Rule
    failing: int
    found: str

    @property
    def is_kept(self) -> bool:
        """Whether the rule is kept."""
        return not self.failing


@dataclass(frozen=True)
class Checked:
    """The outcomes of all rules on the rows of one dataset, in the order of the rules."""

    dataset: str
    rows: int
    outcomes: tuple[Outcome, ...]

    def broken(self, severity: str) -> list[Outcome]:
        """The outcomes of broken rules of a severity."""
        return [each for each in self.outcomes if each.failing and each.rule.severity == severity]

    def __str__(self) -> str:
        lines = [
            f"{'kept  ' if each.is_kept else each.rule.severity:10}  {each.rule.text}: {each.found}"
            for each in self.outcomes
        ]
        return "\n".join([f"{self.dataset}: {self.rows:,} rows, {len(self.outcomes)} rules", *lines])


def check(lake: Lake, rows: Frame, dataset: str, rules: Sequence[Rule]) -> Checked:
    """Count the rows that break each rule.

    In: the rows of a dataset, as they are or as they are about to be. Out: an outcome per rule. Raises MissingColumns
    where a rule names a column that the rows do not have, SqlError for an expression that cannot be read.
    """
    require_columns(rows, [name for rule in rules for name in rule.columns], f"checks of {dataset}")
    counted = {f"c{number}": f"count_if({rule.failing})" for number, rule in enumerate(rules) if rule.failing}
    summed = {number: rule for number, rule in enumerate(rules) if rule.kind == "sum_equals"}
    counted |= {f"c{number}": f"sum({quoted(rule.columns[0])})" for number, rule in summed.items()}
    parts = ", ".join(["count(*) as n", *(f"{value} as {name}" for name, value in counted.items())])
    (figures,) = lake.sql(f"select {parts} from rows", rows=rows).to_arrow().to_pylist()
    total = figures["n"]
    outcomes = tuple(_outcome(lake, rows, rule, total, figures.get(f"c{number}")) for number, rule in enumerate(rules))
    return Checked(dataset, total, outcomes)


def failing_rows(lake: Lake, rows: Frame, rule: Rule) -> Frame:
    """The rows that break a rule which looks at single rows, at the key of others, or at another dataset."""
    if rule.failing:
        return lake.sql(f"select * from rows where {rule.failing}", rows=rows)
    if rule.kind == "relationships":
        return lake.sql(_without_member(rule, "*"), rows=rows)
    keys = ", ".join(map(quoted, rule.columns))
    return lake.sql(
        f"select r.* from rows r left semi join (select {keys} from rows group by {keys} having count(*) > 1) k "
        f"on {' and '.join(f'r.{quoted(name)} <=> k.{quoted(name)}' for name in rule.columns)}",
        rows=rows,
    )


def _outcome(lake: Lake, rows: Frame, rule: Rule, total: int, figure: Any) -> Outcome:
    match rule.kind:
        case "unique":
            keys = ", ".join(map(quoted, rule.columns))
            twice = f"select count(*) - 1 as more from rows group by {keys} having count(*) > 1"
            (found,) = lake.sql(f"select coalesce(sum(more), 0) as n from ({twice})", rows=rows).to_arrow().to_pylist()
            return Outcome(rule, found["n"], f"{found['n']:,} rows repeat a key")
        case "relationships":
            lost = lake.sql(_without_member(rule, "1 as one"), rows=rows).count()
            return Outcome(rule, lost, f"{lost:,} of {total:,} rows have a value that is not there")
        case "row_count":
            least, most = rule.given.get("min", 0), rule.given.get("max")
            is_kept = least <= total and (most is None or total <= most)
            return Outcome(rule, int(not is_kept), f"{total:,} rows")
        case "sum_equals":
            return _sum_outcome(lake, rule, figure)
    return Outcome(rule, figure, f"{figure:,} of {total:,} rows break it")


def _without_member(rule: Rule, columns: str) -> str:
    column, field = quoted(rule.columns[0]), quoted(rule.given.get("field", rule.columns[0]))
    return (
        f"select {columns} from rows r left anti join {rule.given['to']} t on r.{column} = t.{field} "
        f"where r.{column} is not null"
    )


def _sum_outcome(lake: Lake, rule: Rule, ours: Any) -> Outcome:
    field = quoted(rule.given.get("field", rule.columns[0]))
    (found,) = lake.sql(f"select sum({field}) as total from {rule.given['to']}").to_arrow().to_pylist()
    theirs = found["total"]
    apart = abs(Decimal(str(ours or 0)) - Decimal(str(theirs or 0)))
    is_kept = (ours is None) == (theirs is None) and apart <= Decimal(str(rule.given.get("tolerance", 0)))
    return Outcome(rule, int(not is_kept), f"{ours} here, {theirs} in {rule.given['to']}, {apart} apart")
