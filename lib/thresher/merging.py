"""Which of some rows are new to a dataset, which change it, and which it holds already."""

from collections.abc import Sequence
from dataclasses import dataclass

from thresher.columns import require_unique
from thresher.frame import Frame
from thresher.types import quoted, unused


@dataclass(frozen=True)
class Merged:
    """What a merge did with its rows."""

    inserted: int
    updated: int
    unchanged: int


def compare(rows: Frame, current: Frame, keys: Sequence[str], what: str) -> tuple[Frame, Merged]:
    """The rows that a dataset lacks or holds otherwise by their keys, and how many there are of each kind.

    In: rows with unique keys, and the dataset's, of the same columns. Keys and values are compared null-safe. Raises
    DuplicateKeys when the rows of the dataset that they match hold a key twice.
    """
    engine = rows.engine
    on = " and ".join(f"s.{quoted(key)} <=> t.{quoted(key)}" for key in keys)
    met = {"t": current, "s": rows}
    require_unique(engine.sql(f"select t.* from t left semi join s on {on}", met), keys, what)
    there, is_there = unused("_there", rows.columns), unused("_is_there", rows.columns)
    values = [quoted(column) for column in rows.columns if column not in keys]
    same = " and ".join(f"s.{value} <=> t.{value}" for value in values) or "true"
    kept = ", ".join(f"s.{quoted(column)}" for column in rows.columns)
    compared = engine.stage(
        engine.sql(
            f"select {kept}, t.{there} is not null as {is_there} from s "
            f"left join (select *, true as {there} from t) t on {on} where t.{there} is null or not ({same})",
            met,
        )
    )
    changed = compared.count()
    updated = engine.sql(f"select 1 as one from rows where {is_there}", {"rows": compared}).count()
    columns = ", ".join(quoted(column) for column in rows.columns)
    changes = engine.sql(f"select {columns} from rows", {"rows": compared})
    return changes, Merged(inserted=changed - updated, updated=updated, unchanged=rows.count() - changed)
