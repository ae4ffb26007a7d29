"""Which rows of a result a change of its sources touches, so that the others need not be computed again.

Each commit of the result tells, in its note, at which versions of the sources and dimensions it was computed and by
which query.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thresher import sql
from thresher.errors import LakeError, SqlError, UsageError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.project import names_file, text_of
from thresher.types import quoted

_NOTE = "computed from"

Snapshot = tuple[str, int]  # see Lake.snapshot


@dataclass(frozen=True)
class Touched:
    """The keys of the rows that are to be computed again, None for all of them; and the note for the commit.

    `dimensions` are those at which the rows were looked up, each with what it was then and what it is now.
    """

    keys: Frame | None
    note: Mapping[str, str]
    dimensions: Mapping[str, tuple[Snapshot, Snapshot]] = field(default_factory=dict)

    def moved(self, lake: Lake, dimension: str, columns: Sequence[str]) -> Frame | None:
        """The rows of a dimension, as they were and as they are, that differ in some columns since; None for none."""
        (_, before), (_, now) = self.dimensions[dimension]
        if before == now:
            return None
        listed = ", ".join(map(quoted, columns))
        one, other = (lake.sql(f"select {listed} from v", v=each) for each in lake.versions(dimension, before, now))
        gone, come = lake.engine.difference(one, other), lake.engine.difference(other, one)
        return lake.sql(f"select {listed} from gone union all select {listed} from come", gone=gone, come=come)

    def remember(self, lake: Lake, target: str) -> None:
        """Commit the note where the rows gave no reason for a commit: they are the same as before."""
        if lake.note(target, _NOTE) != self.note[_NOTE]:
            lake.write(target, lake.read(target).head(0), mode="append", note=self.note)


def touched(
    lake: Lake,
    target: str,
    query: str,
    *,
    sources: Sequence[str],
    made_by: Sequence[str],
    dimensions: Sequence[str] = (),
) -> Touched:
    """What the changes of the sources since the last commit of `target` touch, by a query for the keys. Ask before
    the rows are queried: what changes in between is then touched the next time.

    In: `query` (Spark SQL, or a `.sql` file in the project) over the sources and, for each source `zone.name`,
    `changed_name`: the rows that were inserted or deleted, an updated one as it was and as it is. Out: the keys to
    compute again, any number of rows per key. What changed in `dimensions` a fact finds out by itself. All are
    touched where the target is new, or was written by other means, where `made_by` (the texts or files that make the
    rows) differ, where a source was made anew or has other columns, or where its old version is gone.

    Raises SqlError when the query reads what is not in `sources`, UsageError when two sources have the same name.
    """
    text = text_of(query, ".sql")
    names = {f"changed_{source.partition('.')[2]}": source for source in sources}
    if len(names) < len(sources):
        raise UsageError(f"{target}: two of the sources {list(sources)} have the same name; changes need names apart")
    if unknown := set(sql.parse(text).tables) - set(names) - set(sources):
        origin = query.strip() if names_file(query, ".sql") else "the query for what is touched"
        raise SqlError(
            f"{origin} reads {', '.join(sorted(unknown))}; expected the sources {', '.join(sources)} and their changes "
            f"{', '.join(names)}"
        )
    makers = hashlib.sha256("\0".join([text, *(_content(each) for each in made_by)]).encode()).hexdigest()
    now = {name: lake.snapshot(name) for name in (*sources, *dimensions)}
    known = {"sources": {name: now[name] for name in sources}, "made by": makers}
    known |= {"dimensions": {name: now[name] for name in dimensions}} if dimensions else {}
    note = {_NOTE: json.dumps(known, sort_keys=True)}
    before = _before(lake, target, now, makers)
    changed = _changed(lake, names, before, now) if before else None
    if before is None or changed is None or not all(_is_kept(lake, name, before, now) for name in dimensions):
        return Touched(None, note)
    looked_up = {name: (before[name], now[name]) for name in dimensions}
    return Touched(lake.engine.stage(lake.sql(text, None, **changed)), note, looked_up)


def _content(text: str) -> str:
    return text_of(text, ".ddl" if names_file(text, ".ddl") else ".sql")


def _before(lake: Lake, target: str, now: Mapping[str, Snapshot], makers: str) -> dict[str, Snapshot] | None:
    """What the sources and dimensions were when the target was last computed; None where it was not so computed."""
    if not lake.exists(target):
        return None
    known = json.loads(lake.note(target, _NOTE) or "{}")
    before = known.get("sources", {}) | known.get("dimensions", {})
    return before if known.get("made by") == makers and set(before) == set(now) else None


def _is_kept(lake: Lake, name: str, before: Mapping[str, Snapshot], now: Mapping[str, Snapshot]) -> bool:
    """Whether a dataset is the same table as before, with the same columns, and its version of that time is there."""
    (table, version), (now_table, now_version) = before[name], now[name]
    if table != now_table or version > now_version:
        return False
    try:
        one, other = lake.versions(name, version, now_version)
    except LakeError:
        return False
    return one.schema == other.schema


def _changed(
    lake: Lake, names: Mapping[str, str], before: Mapping[str, Snapshot], now: Mapping[str, Snapshot]
) -> dict[str, Frame] | None:
    """The changed rows of each source; None where they cannot be told."""
    changed = {}
    for name, source in names.items():
        if not _is_kept(lake, source, before, now):
            return None
        # Each is read for both directions.
        one, other = map(lake.engine.stage, lake.versions(source, before[source][1], now[source][1]))
        columns = ", ".join(map(quoted, one.columns))
        changed[name] = lake.sql(
            f"select {columns} from gone union all select {columns} from come",
            gone=lake.engine.difference(one, other),
            come=lake.engine.difference(other, one),
        )
    return changed
