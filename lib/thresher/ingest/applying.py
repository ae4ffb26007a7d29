"""Changes applied to a dataset, so that the order in which they arrive does not matter.

| mode | the dataset has |
|---|---|
| overwrite | the rows that the files in landing have together; of changes, the state that they lead to |
| append | the rows of all files, each file once |
| current | per key the row of its latest change; none where that is a delete |
| history | every change |
| scd2 | per key each version with the time it was valid: `valid_from`, `valid_to`, `is_current` |

What cannot be told from the dataset itself is kept beside it, in `changes.<zone>_<name>`: deleted keys and emptied
tables for `current`, all changes for `scd2`. So a change that arrives late finds its place, and one that arrives
twice changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from thresher.datasets import changes_of
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.sql.params import literal
from thresher.types import ddl, quoted

MODES = ("overwrite", "append", "current", "history", "scd2")
FROM_THE_BEGINNING = "timestamp '1900-01-01 00:00:00'"
"""When a version became valid whose time nobody tells: before all others."""

_MOST_PARTITIONS = 1_000
_LOG = ("_op", "_at", "_sequence", "_file", "_row")
_ORDERED = ("_sequence", "_file", "_row")
_WORDS = {"I": "inserts", "U": "updates", "D": "deletes", "T": "truncates"}


@dataclass(frozen=True)
class Applied:
    """What a load did: rows by what became of them, and those that were there before, which count as duplicates."""

    counts: Mapping[str, int] = field(default_factory=dict)
    duplicate: int = 0


@dataclass(frozen=True)
class Load:
    """One load of changes into a dataset, whose commits carry the load's `note`.

    `operations` are the numbers of its rows by what they do (null: the row as it is now); `again` the files that were
    read before, of which the dataset may have rows.
    """

    lake: Lake
    target: str
    key: Sequence[str]
    data: Sequence[str]
    note: Mapping[str, str]
    operations: Mapping[str | None, int] = field(default_factory=dict)
    has_changes: bool = False
    partition_by: Sequence[str] = ()
    again: Sequence[str] = ()

    @property
    def beside(self) -> str:
        """The dataset of changes beside the target."""
        return changes_of(self.target)

    def apply(self, rows: Frame, mode: str) -> Applied:
        """Apply rows of `changes.form`, none of them refused, in the way of a mode."""
        return {
            "overwrite": self._overwrite,
            "append": self._append,
            "current": self._current,
            "history": self._history,
            "scd2": self._scd2,
        }[mode](rows)

    @property
    def _row_count(self) -> int:
        return sum(self.operations.values())

    # modes

    def _overwrite(self, rows: Frame) -> Applied:
        if not self.has_changes:
            self._write(self._select(rows, "_file", "_row"), "overwrite", schema="replace")
            return Applied()
        latest = self._latest(rows, self._truncation(rows))
        kept = self.lake.sql("select * from latest where coalesce(_op, 'U') <> 'D'", latest=latest)
        self._write(self._select(kept, *_ORDERED), "overwrite", schema="replace")
        if self.lake.exists(self.beside):  # what was known beside the old rows is not known of these
            self.lake.write(self.beside, self.lake.read(self.beside).head(0), note=self.note)
        deleted = self.lake.sql("select * from latest where _op = 'D'", latest=latest)
        self._remember(deleted, rows)
        return Applied({"superseded": self._row_count - latest.count()})

    def _append(self, rows: Frame) -> Applied:
        new = self._not_there(rows) if self.again else rows
        self._write(self._select(new, "_file", "_row"), "append")
        return Applied(duplicate=self._row_count - new.count() if self.again else 0)

    def _not_there(self, rows: Frame) -> Frame:
        """The rows that the dataset lacks, of files that were read before; each is known by its file and number."""
        there = self._existing(self.target)
        if there is None:
            return rows
        again = pa.table({"_file": pa.array(self.again, pa.string())})
        return self.lake.engine.stage(
            self.lake.sql(
                "select r.* from rows r left anti join (select t._file, t._row from there t "
                "left semi join again a on a._file = t._file) t on r._file = t._file and r._row = t._row",
                rows=rows,
                there=there,
                again=again,
            )
        )

    def _history(self, rows: Frame) -> Applied:
        new = self.lake.engine.stage(self._unknown(rows, self.target))
        self._write(self._select(new, *_LOG), "append")
        return self._by_operation(new)

    def _current(self, rows: Frame) -> Applied:
        truncated = self._truncation(rows)
        latest = self.lake.engine.stage(self._latest(rows, truncated))
        changes = self.lake.engine.stage(self._against_current(latest))
        found = self._outcomes(changes)
        self._remember(self.lake.sql("select * from changes where _op = 'D' and not _is_late", changes=changes), rows)
        applied = self.lake.sql(
            f"select {self._names(*_ORDERED)}, _op = 'D' as _is_deleted from changes "
            "where not _is_late and (_op <> 'D' or _is_there)",
            changes=changes,
        )
        emptied = self._emptied(latest, truncated) if truncated else None
        if emptied is not None:
            applied = self.lake.sql(
                "select * from applied union all select * from emptied", applied=applied, emptied=emptied
            )
        self._apply(applied, self.key)
        found["deleted"] += emptied.count() if emptied is not None else 0
        return Applied(found | {"superseded": self._row_count - found.pop("latest")})

    def _scd2(self, rows: Frame) -> Applied:
        new = self.lake.engine.stage(self._unknown(rows, self.beside))
        known = self._by_operation(new)
        if known.duplicate < self._row_count:
            self._write(self._select(new, *_LOG), "append", name=self.beside)
        affected = self._affected(rows)
        versions = self.lake.engine.stage(self._versions(affected))
        self._apply(self._against_versions(versions, affected), [*self.key, "valid_from"])
        return known

    # the latest of each key

    def _latest(self, rows: Frame, truncated: str) -> Frame:
        """Per key the latest change; of those before the table was emptied, none."""
        return self.lake.sql(
            f"select {self._names(*_LOG)} from (select *, row_number() over "
            f"(partition by {self._keys()} order by _sequence desc) as _n from rows "
            "where coalesce(_op, 'U') <> 'T' and _sequence > :truncated) where _n = 1",
            {"truncated": truncated},
            rows=self._plain(rows),
        )

    def _plain(self, rows: Frame) -> Frame:
        """The rows with an operation for each: a row without one is the row as it is now."""
        return self.lake.sql(
            f"select {self._names(*(each for each in _LOG if each != '_op'))}, coalesce(_op, 'U') as _op from rows",
            rows=rows,
        )

    def _against_current(self, latest: Frame) -> Frame:
        """The changes, each with whether its key is there, and whether something later is known of it."""
        known = "cast(null as string)"
        there = self._near(self._existing(self.target), latest)
        if there is not None and "_sequence" in there.columns:
            known = "_sequence"
        on_target, on_deleted = self._on("l", "t"), self._on("l", "d")
        return self.lake.sql(
            f"select l.*, t._is_there is not null as _is_there, "
            "l._sequence <= coalesce(t._known, '') or l._sequence <= coalesce(d._known, '') as _is_late "
            f"from latest l left join t on {on_target} left join d on {on_deleted}",
            latest=latest,
            t=self._of_keys(there, known, latest),
            d=self._of_keys(self._deleted(), "_sequence", latest),
        )

    def _near(self, there: Frame | None, latest: Frame) -> Frame | None:
        """The rows of the dataset in the partitions of the changes, where the key tells them: the others' files need
        not be opened."""
        columns = [name for name in self.partition_by if name in self.key]
        if there is None or not columns:
            return there
        found = self.lake.sql(f"select distinct {_listed(columns)} from latest", latest=latest).to_arrow()
        values = {name: found.column(name).unique().to_pylist() for name in columns}
        is_told = all(isinstance(value, str | int | date) for some in values.values() for value in some)
        if not 0 < len(found) <= _MOST_PARTITIONS or not is_told:
            return there
        where = " and ".join(f"{quoted(name)} in ({', '.join(map(literal, some))})" for name, some in values.items())
        return self.lake.sql(f"select * from there where {where}", there=there)

    def _of_keys(self, rows: Frame | None, known: str, empty: Frame) -> Frame:
        """The keys of a dataset with the sequence that is known of each; none where there is no dataset."""
        if rows is None:
            rows, known = empty.head(0), "_sequence"
        return self.lake.sql(f"select {self._keys()}, {known} as _known, true as _is_there from rows", rows=rows)

    def _deleted(self) -> Frame | None:
        beside = self._existing(self.beside)
        if beside is None:
            return None
        return self.lake.sql("select * from beside where _op = 'D'", beside=beside)

    def _emptied(self, latest: Frame, truncated: str) -> Frame:
        """The rows that were there before the table was emptied, and that nothing has brought back."""
        there = self._existing(self.target)
        if there is None or "_sequence" not in there.columns:
            return self.lake.sql(
                f"select {self._names(*_ORDERED)}, true as _is_deleted from latest", latest=latest.head(0)
            )
        return self.lake.sql(
            f"select {self._names(*_ORDERED, prefix='t.')}, true as _is_deleted from t left anti join latest l "
            f"on {self._on('l', 't')} where coalesce(t._sequence, '') < :truncated",
            {"truncated": truncated},
            t=self._completed(there, latest),
            latest=latest,
        )

    def _truncation(self, rows: Frame) -> str:
        """When the table was last emptied, as a sequence; empty where it never was."""
        query = "select max(_sequence) as _last from rows where _op = 'T'"
        beside = self._existing(self.beside)
        sources = [rows] if self.operations.get("T") else []
        sources += [beside] if beside is not None else []
        found = [self.lake.sql(query, rows=each).to_arrow().column("_last")[0].as_py() for each in sources]
        return max((each for each in found if each), default="")

    def _remember(self, deletes: Frame, rows: Frame) -> None:
        """Keep the deleted keys and when the table was emptied: what arrives late must not bring them back."""
        if not self.operations.get("D") and not self.operations.get("T"):
            return
        columns = f"{self._keys()}, _op, _at, _sequence, _file, _row"
        kept = self.lake.engine.stage(
            self.lake.sql(
                f"select {columns} from deletes union all select {columns} from (select *, "
                "row_number() over (order by _sequence desc) as _n from rows where _op = 'T') where _n = 1",
                deletes=deletes,
                rows=rows,
            )
        )
        if kept.count():
            self.lake.merge(self.beside, kept, [*self.key, "_op"], schema="evolve", note=self.note)

    def _outcomes(self, changes: Frame) -> dict[str, int]:
        found = self.lake.sql(
            "select count(*) as latest, "
            "count(case when not _is_late and _op <> 'D' and not _is_there then 1 end) as inserted, "
            "count(case when not _is_late and _op <> 'D' and _is_there then 1 end) as updated, "
            "count(case when not _is_late and _op = 'D' and _is_there then 1 end) as deleted, "
            "count(case when not _is_late and _op = 'D' and not _is_there then 1 end) as unknown, "
            "count(case when _is_late then 1 end) as late from changes",
            changes=changes,
        ).to_arrow()
        counts: dict[str, int] = found.to_pylist()[0]
        counts["deletes of unknown keys"] = counts.pop("unknown")
        return counts

    # versions

    def _unknown(self, rows: Frame, dataset: str) -> Frame:
        """The changes that a dataset of changes does not hold yet, each once."""
        there = self._existing(dataset)
        identity = [*self.key, "_sequence"]
        names = ", ".join(quoted(name) for name in identity)
        once = self.lake.sql(
            f"select {self._names(*_LOG)} from (select *, row_number() over "
            f"(partition by {names} order by _file, _row) as _n from rows) where _n = 1",
            rows=self._plain(rows),
        )
        if there is None:
            return once
        on = " and ".join(f"r.{quoted(name)} <=> h.{quoted(name)}" for name in identity)
        return self.lake.sql(f"select r.* from once r left anti join there h on {on}", once=once, there=there)

    def _affected(self, rows: Frame) -> Frame:
        """The keys whose versions may be others now: all of them where the table was emptied."""
        source = self.lake.read(self.beside) if self.operations.get("T") else rows
        return self.lake.engine.stage(
            self.lake.sql(f"select distinct {self._keys()} from source where coalesce(_op, 'U') <> 'T'", source=source)
        )

    def _versions(self, affected: Frame) -> Frame:
        """The versions of some keys, from all their changes."""
        names, keys = self._names(*_LOG), self._keys()
        nulls = ", ".join(
            f"a.{quoted(name)}" if name in self.key else f"cast(null as {kind}) as {quoted(name)}"
            for name, kind in self._kinds().items()
        )
        events = self.lake.sql(
            f"select {self._names(*_LOG, prefix='e.')} from log e left semi join affected a on {self._on('a', 'e')} "
            f"where e._op <> 'T' union all "
            f"select {nulls}, 'D' as _op, t._at, t._sequence, t._file, t._row from affected a "
            f"cross join (select * from log where _op = 'T') t",
            log=self.lake.read(self.beside),
            affected=affected,
        )
        # A clock that goes back must not turn the order of the changes round.
        timed = self.lake.sql(
            f"select {names}, max(coalesce(_at, {FROM_THE_BEGINNING})) over (partition by {keys} order by _sequence "
            f"rows between unbounded preceding and current row) as valid_from from events",
            events=events,
        )
        last = self.lake.sql(
            f"select {names}, valid_from from (select *, row_number() over (partition by {keys}, valid_from "
            f"order by _sequence desc) as _n from timed) where _n = 1",
            timed=timed,
        )
        rest = [name for name in self.data if name not in self.key]
        window = f"over (partition by {keys} order by valid_from)"
        before = "".join(f", lag({quoted(name)}) {window} as _b{number}" for number, name in enumerate(rest))
        same = " and ".join(f"{quoted(name)} <=> _b{number}" for number, name in enumerate(rest)) or "true"
        compared = self.lake.sql(
            f"select {names}, valid_from{before}, lag(_op) {window} as _before from last", last=last
        )
        changed = self.lake.sql(
            f"select {names}, valid_from from compared where case when _before is null then true "
            f"when _op = 'D' or _before = 'D' then _op <> _before else not ({same}) end",
            compared=compared,
        )
        ended = self.lake.sql(
            f"select {names}, valid_from, lead(valid_from) {window} as valid_to from changed", changed=changed
        )
        return self.lake.sql(
            f"select {self._names()}, valid_from, valid_to, valid_to is null as is_current, "
            f"_sequence, _file, _row from ended where _op <> 'D'",
            ended=ended,
        )

    def _against_versions(self, versions: Frame, affected: Frame) -> Frame:
        """What to change in the dataset: versions that it lacks or holds otherwise, and those that are no more."""
        columns = [*self.data, "valid_from", "valid_to", "is_current", *_ORDERED]
        there = self._existing(self.target)
        if there is None:
            return self.lake.sql(f"select {_listed(columns)}, false as _is_deleted from versions", versions=versions)
        of_keys = self.lake.engine.stage(
            self.lake.sql(
                f"select {_listed(columns, 't.')} from there t left semi join affected a on {self._on('a', 't')}",
                there=self._completed(there, versions),
                affected=affected,
            )
        )
        on = self._on("v", "t") + " and v.valid_from <=> t.valid_from"
        same = " and ".join(f"v.{name} <=> t.{name}" for name in ("valid_to", "_sequence"))
        return self.lake.sql(
            f"select {_listed(columns, 'v.')}, false as _is_deleted from versions v left join "
            f"(select *, true as _is_there from of_keys) t on {on} where t._is_there is null or not ({same}) "
            f"union all select {_listed(columns, 't.')}, true as _is_deleted from of_keys t "
            f"left anti join versions v on {on}",
            versions=versions,
            of_keys=of_keys,
        )

    # below

    def _by_operation(self, new: Frame) -> Applied:
        """The changes that are new by what they do; the others were there before."""
        query = "select _op, count(*) as changes from new group by _op"
        counts = {row["_op"]: row["changes"] for row in self.lake.sql(query, new=new).to_arrow().to_pylist()}
        told = {word: counts.get(letter, 0) for letter, word in _WORDS.items() if counts.get(letter) or letter != "T"}
        return Applied(told, self._row_count - sum(counts.values()))

    def _existing(self, name: str) -> Frame | None:
        return self.lake.read(name) if self.lake.exists(name) else None

    def _completed(self, there: Frame, rows: Frame) -> Frame:
        """A dataset with the columns that rows bring, null where it does not have them yet."""
        new = [each for each in rows.schema if each.name in self.data and each.name not in there.columns]
        nulls = "".join(f", cast(null as {ddl(each.type)}) as {quoted(each.name)}" for each in new)
        return self.lake.sql(f"select *{nulls} from there", there=there)

    def _kinds(self) -> dict[str, str]:
        schema = self.lake.schema(self.beside)
        return {name: ddl(schema.field(name).type) for name in self.data}

    def _keys(self) -> str:
        return _listed(self.key)

    def _names(self, *more: str, prefix: str = "") -> str:
        return _listed([*self.data, *more], prefix)

    def _on(self, one: str, other: str) -> str:
        return " and ".join(f"{one}.{quoted(name)} <=> {other}.{quoted(name)}" for name in self.key)

    def _select(self, rows: Frame, *more: str) -> Frame:
        return self.lake.sql(f"select {self._names(*more)} from rows", rows=rows)

    def _write(self, rows: Frame, mode: str, *, schema: str = "evolve", name: str = "") -> None:
        name = name or self.target
        partition_by = self.partition_by if name == self.target else ()
        self.lake.write(name, rows, mode=mode, schema=schema, partition_by=partition_by, note=self.note)

    def _apply(self, rows: Frame, keys: Sequence[str]) -> None:
        self.lake.apply(self.target, rows, keys, deleted="_is_deleted", partition_by=self.partition_by, note=self.note)


def _listed(names: Sequence[str], prefix: str = "") -> str:
    return ", ".join(prefix + quoted(name) for name in names)
