"""The current day and instant: only where the answer does not depend on them, else a parameter is asked for."""

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct, function
from thresher.sql.expressions import Expressions, Typed
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_KINDS: dict[str, pa.DataType] = {
    "current_date": kinds.DATE,
    "curdate": kinds.DATE,
    "current_timestamp": TIMESTAMP,
    "now": TIMESTAMP,
    "localtimestamp": TIMESTAMP_NTZ,
}
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ)


@function(
    " ".join(_KINDS),
    0,
    0,
    "current_date(), current_timestamp(), now(), localtimestamp()",
    "SELECT now() = current_timestamp() AS same",
    group="Dates",
    note="Only compared with one another, in IS NULL and in typeof: a re-run must give the same rows. Elsewhere pass "
    "the day or the instant as a parameter.",
)
def _now(e: Expressions, node: exp.Anonymous) -> Typed:
    return _current(e, node, node.name.lower())


@construct(exp.CurrentDate, exp.CurrentTimestamp, parts="")
def _bare(e: Expressions, node: exp.Expr) -> Typed:
    return _current(e, node, "current_date" if isinstance(node, exp.CurrentDate) else "current_timestamp")


def _current(e: Expressions, node: exp.Expr, name: str) -> Typed:
    kind = _KINDS[name]
    if not _is_told_alike(node, kind):
        what = "day as a parameter (:day)" if kind == kinds.DATE else "instant as a parameter (:now)"
        e.refuse(node, name, f"pass the {what}, so that a re-run gives the same rows")
    return Typed(f"CAST(now() AS {kinds.in_duckdb(kind)})", kind)


def _is_told_alike(node: exp.Expr, kind: pa.DataType) -> bool:
    """Whether the answer around this call is the same at any time."""
    parent = node.parent
    while isinstance(parent, exp.Paren):
        parent = parent.parent
    if isinstance(parent, exp.Is):
        return True
    if isinstance(parent, exp.Anonymous):
        return parent.name.lower() in ("typeof", "isnull", "isnotnull")
    return isinstance(parent, _COMPARISONS) and all(
        _kind(side.unnest()) == kind for side in (parent.this, parent.expression)
    )


def _kind(node: exp.Expr) -> pa.DataType | None:
    if isinstance(node, exp.CurrentDate | exp.CurrentTimestamp):
        return kinds.DATE if isinstance(node, exp.CurrentDate) else TIMESTAMP
    return _KINDS.get(node.name.lower()) if isinstance(node, exp.Anonymous) else None
