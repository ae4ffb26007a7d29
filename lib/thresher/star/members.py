"""Members of dimensions: their surrogate keys, the unknown one, and the rows that can be none."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from thresher import dedupe, quarantine
from thresher.columns import require_columns, require_unique
from thresher.datasets import surrogate_name
from thresher.errors import DuplicateKeys, UsageError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.types import ddl, quoted

UNKNOWN = -1
"""The surrogate key of the member to which a fact belongs whose natural key is not in the dimension."""

NOT_APPLICABLE = -2
"""The surrogate key of the member to which a fact belongs that has none, and may have none."""

IS_INFERRED = "is_inferred"
"""The column that is true of members of which only facts have told so far."""


@dataclass(frozen=True)
class Delivered:
    """The rows delivered that can be members, one per key; how many came, and how many of them were refused."""

    members: Frame
    rows_in: int
    refused: int


def delivered(lake: Lake, rows: Frame, target: str, key: Sequence[str], order_by: Sequence[str]) -> Delivered:
    """Of any number of rows per key, one each: equal rows once, of others the latest; with a null in the key, none.

    The rows with a null become the quarantine of `target`. Raises MissingColumns, UsageError, and DuplicateKeys for
    rows of a key that differ where no `order_by` says which is the latest.
    """
    require_columns(rows, [*key, *order_by], target)
    surrogate = surrogate_name(target)
    if surrogate in rows.columns:
        raise UsageError(f"{target}: column {surrogate} is the surrogate key; call it otherwise in the query")
    rows = lake.engine.stage(rows)
    null_key = " or ".join(f"{quoted(name)} is null" for name in key)
    refused = lake.sql(f"select * from rows where {null_key}", rows=rows)
    members = dedupe.exact(lake.sql(f"select * from rows where not ({null_key})", rows=rows)).kept
    if order_by:
        members = dedupe.latest(members, keys=key, order_by=order_by).kept
    try:
        require_unique(members, key, target)
    except DuplicateKeys as error:
        raise DuplicateKeys(f"{error} Or name the columns that tell the latest row in order_by.") from None
    quarantine.keep(lake, target, quarantine.of_rows(refused, target, "null key", f"a null in {', '.join(key)}"))
    return Delivered(members, rows.count(), refused.count())


def special_members(surrogate: str, schema: pa.Schema, not_applicable: bool) -> str:
    """A query for the unknown member, and the one for facts that have none: surrogate keys, and nulls in the columns
    of a schema."""
    nulls = [f"cast(null as {ddl(field.type)}) as {quoted(field.name)}" for field in schema]
    keys = (UNKNOWN, NOT_APPLICABLE) if not_applicable else (UNKNOWN,)
    return " union all ".join(f"select {', '.join([f'cast({key} as bigint) as {surrogate}', *nulls])}" for key in keys)


def early(lake: Lake, inferred: Frame, key: Sequence[str], members: Frame, known: Frame | None, target: str) -> Frame:
    """The natural keys that facts use and nobody has delivered, each once; those with a null are none.

    In: `inferred`, any number of rows per natural key. Out: one row per key that is neither in `members` nor `known`.
    """
    require_columns(inferred, key, f"{target}: inferred")
    columns = ", ".join(f"i.{quoted(name)}" for name in key)
    without = " ".join(
        f"left anti join {other} on {' and '.join(f'i.{quoted(name)} = {other}.{quoted(name)}' for name in key)}"
        for other in ("members", *(["known"] if known is not None else []))
    )
    there = " and ".join(f"i.{quoted(name)} is not null" for name in key)
    frames = {"inferred": inferred, "members": members} | ({"known": known} if known is not None else {})
    return lake.sql(f"select distinct {columns} from inferred i {without} where {there}", None, **frames)
