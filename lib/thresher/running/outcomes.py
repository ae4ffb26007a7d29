"""What came of executing a notebook."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from thresher.check_outcomes import Checked
from thresher.counts import Counts
from thresher.secrets.leaks import Leak, Secrets


@dataclass(frozen=True)
class Failure:
    """Why a notebook stopped: one line, the cell's source, and the traceback as the kernel coloured it.

    `kind` is the name of the error's class, or of the signal that ended the kernel.
    """

    reason: str
    cell: int | None = None
    source: str = ""
    traceback: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Executed:
    """What came of a notebook: its counts, or the failure; and what its checks found."""

    counts: tuple[Counts, ...] = ()
    checks: tuple[Checked, ...] = ()
    failure: Failure | None = None


def guarded(outcome: Executed, secrets: Secrets, leaks: Sequence[Leak]) -> Executed:
    """An outcome whose texts show no secret; a failure where the notebook showed some."""
    failure = outcome.failure
    if failure:
        failure = replace(
            failure,
            reason=secrets.hide(failure.reason),
            source=secrets.hide(failure.source),
            traceback=secrets.hide(failure.traceback),
        )
        reason = "; ".join([failure.reason, *map(str, leaks)])
        return Executed(failure=replace(failure, reason=reason), checks=() if leaks else outcome.checks)
    return Executed(failure=Failure("; ".join(map(str, leaks)), kind="SecretShown")) if leaks else outcome
