"""What became of the rules for a dataset: counted by `checks`, shown in the notebook, kept in the ledger."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from thresher.counts import Counts

if TYPE_CHECKING:
    from thresher.ledger import StepRun

VARIABLE = "THRESHER_CHECKS"
"""Tells the kernel of a step its rules, by dataset, as JSON."""

MIME = "application/vnd.thresher.checks+json"


@dataclass(frozen=True)
class Outcome:
    """What became of one rule: how many rows break it (of rules about all rows, 1 or 0), and what was found."""

    rule: str
    severity: str
    failing: int
    found: str

    @property
    def is_kept(self) -> bool:
        """Whether the rule is kept."""
        return not self.failing


@dataclass(frozen=True)
class Checked:
    """The outcomes of all rules on the rows of one dataset, in the order of the rules; and how many rows they took
    out of what was to be written. Shown in a notebook of a run, it travels in the output into the ledger."""

    dataset: str
    rows: int
    outcomes: tuple[Outcome, ...]
    quarantined: int = 0

    def broken(self, severity: str) -> list[Outcome]:
        """The outcomes of broken rules of a severity."""
        return [each for each in self.outcomes if each.failing and each.severity == severity]

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Checked:
        """What `as_dict` gave."""
        return cls(**{**plain, "outcomes": tuple(Outcome(**each) for each in plain["outcomes"])})

    def as_dict(self) -> dict[str, Any]:
        """The outcomes as plain values, in the form that the ledger keeps."""
        return asdict(self) | {"outcomes": [asdict(each) for each in self.outcomes]}

    def __str__(self) -> str:
        lines = [
            f"{'kept  ' if each.is_kept else each.severity:10}  {each.rule}: {each.found}" for each in self.outcomes
        ]
        return "\n".join([self._headline(), *lines])

    def _headline(self) -> str:
        taken = f", {self.quarantined:,} quarantined" if self.quarantined else ""
        return f"{self.dataset}: {self.rows:,} rows, {len(self.outcomes)} rules{taken}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        cells = (("kept" if each.is_kept else each.severity, each.rule, each.found) for each in self.outcomes)
        rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        table = (
            f"<table><caption>{html.escape(self._headline())}</caption>"
            f"<thead><tr><th></th><th>rule</th><th>found</th></tr></thead><tbody>{rows}</tbody></table>"
        )
        return {"text/plain": str(self), "text/html": table, MIME: self.as_dict()}


def folded(found: Iterable[Checked]) -> list[Checked]:
    """Of several checks of a dataset in one step, the last, with all that was quarantined."""
    last: dict[str, Checked] = {}
    for each in found:
        before = last.get(each.dataset)
        if before:
            taken = {o.rule: o.failing for o in before.outcomes if o.severity == "quarantine"}
            outcomes = tuple(replace(o, failing=o.failing + taken.get(o.rule, 0)) for o in each.outcomes)
            each = replace(each, outcomes=outcomes, quarantined=each.quarantined + before.quarantined)
        last[each.dataset] = each
    return list(last.values())


def after_checks(counts: Iterable[Counts], checks: Iterable[Checked]) -> tuple[Counts, ...]:
    """The counts of a notebook, which knows nothing of rules: what these took out of the rows is refused."""
    taken = {each.dataset: each.quarantined for each in checks}
    found = []
    for each in counts:
        number = min(taken.pop(each.dataset, 0), each.rows_out)
        found.append(replace(each, rows_out=each.rows_out - number, refused=each.refused + number))
    return tuple(found)


def trends(steps: Mapping[str, Sequence[StepRun]]) -> list[dict[str, Any]]:
    """One entry per dataset and rule of the last run: how many rows broke it in each run, oldest first."""
    found = []
    for dataset, history in sorted(steps.items()):
        asked = [next(each for each in step.checks if each.dataset == dataset) for step in history]
        for outcome in asked[0].outcomes:
            all_outcomes = [each for checked in reversed(asked) for each in checked.outcomes]
            failing = [each.failing for each in all_outcomes if each.rule == outcome.rule]
            entry = {"dataset": dataset, "rule": outcome.rule, "severity": outcome.severity, "failing": failing}
            found.append(entry | {"found": outcome.found, "run": history[0].run_id, "rows": asked[0].rows})
    return found
