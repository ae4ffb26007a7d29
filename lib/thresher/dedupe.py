"""curated → curated: the same rows without their duplicates, and the duplicates on request."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from thresher.columns import require_columns
from thresher.counts import Counts
from thresher.errors import UsageError
from thresher.frame import Frame
from thresher.types import quoted, unused


@dataclass(frozen=True)
class Deduplicated:
    """The rows kept, the rows removed (same columns), both computed once."""

    kept: Frame
    removed: Frame

    def counts(self, dataset: str) -> Counts:
        """The counts of a step that writes the kept rows to a dataset."""
        kept, removed = self.kept.count(), self.removed.count()
        return Counts(dataset, rows_in=kept + removed, rows_out=kept, duplicate=removed)


def exact(rows: Frame, *, ignore: Sequence[str] = ()) -> Deduplicated:
    """Keep one of the rows that are equal in every column but those to `ignore`.

    In: any rows. Out: distinct rows, same columns. Null equals null; nested values are compared whole. Of equal rows
    the one that is smallest in the ignored columns stays. Raises MissingColumns.

    | title | _file | | title | _file |
    |---|---|---|---|---|
    | Biology | a | → | Biology | a |
    | Biology | b | | | |
    """
    require_columns(rows, ignore, "dedupe.exact")
    compared = [column for column in rows.columns if column not in ignore]
    if not compared:
        raise UsageError(f"dedupe.exact: every column is ignored ({list(ignore)}); leave at least one to compare")
    # Without ignored columns the rows of a set are equal in all of them: any order gives the same.
    order = [f"{quoted(column)} asc nulls last" for column in _orderable(rows, ignore)]
    return _numbered(rows, compared, order or ["cast(1 as int)"])


def latest(rows: Frame, *, keys: Sequence[str], order_by: Sequence[str]) -> Deduplicated:
    """Keep the latest row of each key: the largest in `order_by`.

    In: one row per version. Out: one row per key (null is a key of its own), same columns. A null in `order_by` is
    older than any value. Ties are decided by the remaining plain columns in their order, largest first, so that the
    same rows win on every engine and in every run. Raises MissingColumns.

    | id | name | updated | | id | name | updated |
    |---|---|---|---|---|---|---|
    | 1 | Bio | 1 May | → | 1 | Biology | 2 May |
    | 1 | Biology | 2 May | | | | |
    """
    require_columns(rows, [*keys, *order_by], "dedupe.latest")
    if not keys or not order_by:
        raise UsageError(f"dedupe.latest: keys and order_by name columns; found {list(keys)} and {list(order_by)}")
    rest = [column for column in rows.columns if column not in (*keys, *order_by)]
    order = [*order_by, *_orderable(rows, rest)]
    return _numbered(rows, keys, [f"{quoted(column)} desc nulls last" for column in order])


def _orderable(rows: Frame, columns: Sequence[str]) -> list[str]:
    # Nested values have an order too, but engines differ on where nulls inside them stand.
    return [name for name in columns if not pa.types.is_nested(rows.schema.field(name).type)]


def _numbered(rows: Frame, keys: Sequence[str], order: Sequence[str]) -> Deduplicated:
    columns, number = ", ".join(quoted(column) for column in rows.columns), unused("_n", rows.columns)
    partition = ", ".join(quoted(key) for key in keys)
    window = f"partition by {partition} order by {', '.join(order)}"
    numbered = rows.engine.stage(
        rows.engine.sql(
            f"select {columns}, row_number() over ({window}) as {number} from rows",
            {"rows": rows},
        )
    )
    kept, removed = (
        rows.engine.sql(f"select {columns} from numbered where {number} {condition}", {"numbered": numbered})
        for condition in ("= 1", "> 1")
    )
    return Deduplicated(kept, removed)
