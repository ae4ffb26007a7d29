"""A run that did not succeed is continued under its id: what it has done stands, the rest is run."""

from thresher.errors import UsageError
from thresher.ledger import Ledger, Run
from thresher.running.decisions import Decisions


def done(run: Run | None) -> set[str]:
    """The steps that a run has done so far."""
    return {step.name for step in run.steps if step.status == "succeeded"} if run else set()


def continued(last: Run | None, decisions: Decisions, ledger: Ledger, *, is_asked: bool) -> Run | None:
    """The last run, if a run with these decisions continues it.

    Raises UsageError, which tells why not, where that is asked for and cannot be.
    """
    reason = _reason_against(last, decisions, ledger)
    if reason and is_asked:
        raise UsageError(
            f"pipeline {decisions.pipeline.name} cannot be resumed: {reason}. "
            f"Begin a new run: thresher run without --resume"
        )
    return None if reason else last


def _reason_against(last: Run | None, decisions: Decisions, ledger: Ledger) -> str:
    """Why the last run is not continued; empty where it is."""
    pipeline = decisions.pipeline
    if last is None:
        return "it has not run on this lake yet"
    if last.status == "succeeded":
        return f"the last run, {last.id}, succeeded"
    if (dict(last.params), last.engine) != (dict(pipeline.params), decisions.engine):
        return f"the last run, {last.id}, had other parameters or another engine: {dict(last.params)}, {last.engine}"
    selected = {step.name for step in pipeline.steps}
    left = [step.name for step in last.steps if step.status not in ("succeeded", "skipped")]
    left = [name for name in left if name not in selected]
    if left:
        return f"the last run, {last.id}, has yet to do {', '.join(left)}, which this one leaves out"
    changed = decisions.changed_inputs(ledger.steps(last.id))
    return f"other data came in since {last.id} began: {'; '.join(changed)}" if changed else ""
