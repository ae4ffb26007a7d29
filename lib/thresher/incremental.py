"""Which rows of a result a change of its sources touches, so that the others need not be computed again.

Each commit of the result tells, in its note, at which versions of the sources it was computed and by which query.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thresher import sql
from thresher.errors import LakeError, SqlError, UsageError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.project import names_file, text_of
from thresher.types import quoted

_NOTE = "computed from"


@dataclass(frozen=True)
class Touched:
    """The keys of the rows that are to be computed again, None for all of them; and the note for the commit."""

    keys: Frame | None
    note: Mapping[str, str]

    def remember(self, lake: Lake, target: str) -> None:
        """Commit the note where the rows gave no reason for a commit: they are the same as before."""
        if lake.note(target, _NOTE) != self.note[_NOTE]:
            lake.write(target, lake.read(target).head(0), mode="append", note=self.note)


def touched(lake: Lake, target: str, query: str, *, sources: Sequence[str], made_by: Sequence[str]) -> Touched:
    """What the changes of the sources since the last commit of `target` touch, by a query for the keys. Ask before
    the rows are queried: what changes in between is then touched the next time.

    In: `query` (Spark SQL, or a `.sql` file in the project) over the sources and, for each source `zone.name`,
    `changed_name`: the rows that were inserted or deleted, an updated one as it was and as it is. Out: the keys to
    compute again, any number of rows per key. All are touched where the target is new, or was written by other means,
    where `made_by` (the texts or files that make the rows) differ, where a source was made anew or has other columns,
    or where its old version is gone.

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
    now = {source: lake.snapshot(source) for source in sources}
    note = {_NOTE: json.dumps({"sources": now, "made by": makers}, sort_keys=True)}
    changed = _changed(lake, target, names, now, makers)
    return Touched(None if changed is None else lake.engine.stage(lake.sql(text, None, **changed)), note)


def _content(text: str) -> str:
    return text_of(text, ".ddl" if names_file(text, ".ddl") else ".sql")


def _changed(
    lake: Lake, target: str, names: Mapping[str, str], now: Mapping[str, tuple[str, int]], makers: str
) -> dict[str, Frame] | None:
    """The changed rows of each source; None where they cannot be told."""
    if not lake.exists(target):
        return None
    known = json.loads(lake.note(target, _NOTE) or "{}")
    before = known.get("sources", {})
    if known.get("made by") != makers or set(before) != set(now):
        return None
    changed = {}
    for name, source in names.items():
        (table, version), (now_table, now_version) = before[source], now[source]
        if table != now_table or version > now_version:
            return None
        try:
            one, other = lake.versions(source, version, now_version)
        except LakeError:
            return None
        if one.schema != other.schema:
            return None
        columns = ", ".join(map(quoted, one.columns))
        changed[name] = lake.sql(
            f"select {columns} from gone union all select {columns} from come",
            gone=lake.engine.difference(one, other),
            come=lake.engine.difference(other, one),
        )
    return changed
