"""Between rows and their dataset: the rules of a step are asked before each commit, and what breaks them is kept.

The runner tells the kernel of a step its rules in a variable; by hand there are none. So a dataset whose rules of
severity `fail` are broken is never seen: readers keep the last good version.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from thresher.check_outcomes import VARIABLE, Checked
from thresher.checks.checking import check, failing_rows, kept_rows
from thresher.checks.rules import Rule, read_rule
from thresher.datasets import checks_of, surrogate_name
from thresher.errors import ChecksFailed
from thresher.frame import Frame
from thresher.quarantine import as_json
from thresher.types import quoted

if TYPE_CHECKING:
    from thresher.lake import Lake

KEPT_ROWS = 1_000
"""How many rows are kept of a rule that takes none out: the first by their values."""

_ROWS = pa.schema([("row", pa.string())])


def rules_of(dataset: str) -> Sequence[Rule]:
    """The rules that the running step has for a dataset."""
    return _rules(os.environ.get(VARIABLE, "")).get(dataset, ())


@cache
def _rules(text: str) -> dict[str, list[Rule]]:
    said = json.loads(text) if text else {}
    return {name: [rule for each in entries for rule in read_rule(each)] for name, entries in said.items()}


def passed(lake: Lake, dataset: str, rows: Frame, after: Callable[[Frame], Frame], exempt: str = "false") -> Frame:
    """The rows that may be written: those that the rules of severity `quarantine` leave.

    In: the rows that are to be written, to be read as often as one likes; those of which `exempt` is true are no data.
    `after` makes of rows what the dataset would be with them. Raises ChecksFailed.
    """
    rules = rules_of(dataset)
    taking = [rule for rule in rules if rule.severity == "quarantine"]
    asked = _data(lake, rows, dataset, exempt)
    found = check(lake, asked, dataset, taking)
    quarantined = 0
    if any(each.failing for each in found.outcomes):
        _keep(lake, asked, dataset, taking, found)
        good = lake.engine.spool(kept_rows(lake, rows, dataset, taking, _exempt(rows, dataset, exempt)))
        rows, quarantined = good, rows.count() - good.count()
    whole = _data(lake, after(rows), dataset, "false")
    asking = [rule for rule in rules if rule.severity != "quarantine"]
    before = lake.describe(dataset).rows if lake.exists(dataset) else None
    rest = check(lake, whole, dataset, asking, before=before)
    _keep(lake, whole, dataset, asking, rest)
    outcomes = {each.rule: each for each in (*found.outcomes, *rest.outcomes)}
    checked = replace(rest, outcomes=tuple(outcomes[rule.text] for rule in rules), quarantined=quarantined)
    _show(checked)
    if broken := checked.broken("fail"):
        there = "readers keep what was there" if before is not None else "it was not made"
        said = "; ".join(f"{each.rule}: {each.found}" for each in broken)
        raise ChecksFailed(
            f"{dataset}: {len(broken)} of {len(rules)} rules are broken, so nothing was written and {there} ({said}). "
            f"Rows that break them: thresher checks show {dataset}"
        )
    return rows


def _exempt(rows: Frame, dataset: str, exempt: str) -> str:
    """The condition for rows that nobody delivered: a dimension's unknown member has a negative key."""
    surrogate = surrogate_name(dataset)
    return f"({exempt}) or {quoted(surrogate)} < 0" if surrogate in rows.columns else exempt


def _data(lake: Lake, rows: Frame, dataset: str, exempt: str) -> Frame:
    condition = _exempt(rows, dataset, exempt)
    if condition == "false":
        return rows
    return lake.sql(f"select * from rows where not coalesce({condition}, false)", rows=rows)


def _keep(lake: Lake, rows: Frame, dataset: str, rules: Sequence[Rule], checked: Checked) -> None:
    """Keep the rows that break a rule, once per run and content: a step that is tried again finds its own."""
    parts = {}
    for number, (rule, outcome) in enumerate(zip(rules, checked.outcomes, strict=True)):
        found = failing_rows(lake, rows, dataset, rule) if outcome.failing else None
        if found is None:
            continue
        if rule.severity != "quarantine":
            order = ", ".join(quoted(field.name) for field in found.schema if not pa.types.is_nested(field.type))
            ordered = f"order by {order} " if order else ""
            found = lake.sql(f"select * from found {ordered}limit {KEPT_ROWS}", found=found)
        texts = lake.engine.map_batches(found, _as_text, _ROWS)
        said = {"run": os.environ.get("THRESHER_RUN_ID", "by hand"), "rule": rule.text, "severity": rule.severity}
        parts[f"p{number}"] = lake.sql(
            "select :run as run, :rule as rule, :severity as severity, row, count(*) as number from texts group by row",
            said,
            texts=texts,
        )
    if parts:
        query = " union all ".join(f"select * from {name}" for name in parts)
        lake.merge(checks_of(dataset), lake.sql(query, None, **parts), ["run", "rule", "row"])


def _as_text(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.RecordBatch.from_pydict({"row": [as_json(row).decode() for row in batch.to_pylist()]}, _ROWS)


def _show(checked: Checked) -> None:
    """Into the notebook's output, from where the runner takes it into the ledger."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell:
        shell.display_pub.publish(data=checked._repr_mimebundle_())
