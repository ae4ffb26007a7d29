"""landing → raw: every row of every new file, exactly once, with the file and the row number it came from."""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout

from thresher import landing, quarantine
from thresher.counts import Counts
from thresher.errors import DataError, LandingNotFound, MissingColumns, UsageError, WriteConflict
from thresher.frame import Frame
from thresher.ingest import arrivals, drifting, formats, reading, rescue
from thresher.ingest.applying import MODES, Applied, Load
from thresher.ingest.changes import RESCUED, RESERVED
from thresher.ingest.columns import Survey
from thresher.ingest.file_ledger import Batch, FileLedger, FileState
from thresher.lake import Lake
from thresher.landing import LandingFile, Listed
from thresher.types import quoted

_LOCK_WAIT_S = 600


@dataclass(frozen=True)
class Loaded:
    """What an ingest did: the rows now in the dataset, what this load refused, how columns differ, and the counts."""

    rows: Frame
    refused: Frame
    counts: Counts
    drift: pa.Table = field(default_factory=drifting.DRIFT.empty_table)


def files(
    lake: Lake,
    source: str,
    target: str,
    *,
    format: str = "auto",
    key: Sequence[str] = (),
    order_by: Sequence[str] = (),
    mode: str = "overwrite",
    columns: Sequence[str] = (),
    on_drift: str = "evolve",
    options: Mapping[str, Any] | None = None,
) -> Loaded:
    """Load the files of a landing path or glob into a raw dataset, each of them exactly once.

    In: files of one format (`formats.NAMES`; `auto` looks into them). Out: the dataset, by `mode` (see `applying`), its
    columns as delivered plus `_file` (string: name relative to landing) and `_row` (bigint: 1-based number in the
    file). With `overwrite` all files of landing are loaded; with the other modes those that the file ledger does not
    know as loaded; of those that are tried again, the rows that the dataset lacks. What cannot be read is refused into
    the quarantine: a file, which then counts as one row, or a row; so is a row with a null in its `key`. `order_by` are
    the columns that tell the latest change, before the order in the files; `columns` the names for files without a
    header; `on_drift` see `drifting.settle`.

    A load that was killed is finished or undone by the next one. Raises LandingNotFound, UsageError, MissingColumns
    when no file has the key columns, DataError when no file can be read: the dataset then stays as it is.
    """
    if mode not in MODES:
        raise UsageError(f"{target}: mode {mode!r} is unknown; expected one of {', '.join(MODES)}")
    options = dict(options or {})
    partition_by = tuple(options.pop("partition_by", ()))
    with _alone(lake, target):
        _check_mode(lake, target, mode)
        ledger = FileLedger(lake.path)
        recovered = _recover(lake, ledger, target)
        if landing.is_database(source):
            arrived, chosen = _of_database(lake, source, target, mode, order_by, options)
        else:
            found = _find(lake, source, target, mode)
            arrived = arrivals.arrived(found, None if mode == "overwrite" else ledger, target)
            ledger.finish(target, None, [*arrived.duplicate, *arrived.changed, *arrived.touched])
            if not arrived.new:
                return _nothing_new(lake, target, arrived, recovered)
            chosen = formats.open_format(format, [file for file, _ in arrived.new], columns, options, target)
        return _Job(lake, ledger, target, mode, chosen, tuple(key), tuple(order_by), on_drift, partition_by).run(
            arrived
        )


def _check_mode(lake: Lake, target: str, mode: str) -> None:
    """Refuse to mix the rows of one mode with those of another, which mean something else."""
    names = lake.schema(target).names if lake.exists(target) else []
    told = {"valid_from": "scd2", "_op": "history", "_sequence": "current"}
    there = next((each for name, each in told.items() if name in names), "")
    allowed = (there,) if there else ("append", "current")
    if names and mode not in ("overwrite", *allowed):
        raise UsageError(
            f"{target}: mode {mode!r} cannot go on with a dataset that was loaded in mode "
            f"{there or 'append'!r}; load it in mode {' or '.join(map(repr, allowed))}, or take another target"
        )


def _of_database(
    lake: Lake, url: str, target: str, mode: str, order_by: Sequence[str], options: dict[str, Any]
) -> tuple[arrivals.Arrivals, formats.Format]:
    """A table of a database as the one file that has arrived: all of it, or what comes after the last `order_by`.

    With a key, the rows of the last moment are read again: more of them may have come since.
    """
    from thresher.ingest.formats import mapped
    from thresher.ingest.formats.database import Database, DatabaseOptions

    mapping = mapped.TableMapping.taken_from(options, target)
    table = formats.settings(DatabaseOptions, options).table
    if not table:
        raise UsageError(f"{target}: which table of the database? Name it in options: {{table: public.orders}}")
    after: dict[str, Any] = {}
    if mode != "overwrite" and order_by and lake.exists(target):
        query = f"select max({quoted(order_by[0])}) as last_value from {target}"
        (last,) = lake.sql(query).to_arrow().column("last_value").to_pylist()
        after = {} if last is None else {order_by[0]: last}
    state = FileState(target, table, table, 0, 0, "", "landed")
    found = Database(url, table, after, inclusive=mode in ("current", "scd2"))
    return arrivals.Arrivals([(LandingFile(Path(table), table), state)]), mapping.applied(found) if mapping else found


def _find(lake: Lake, source: str, target: str, mode: str) -> list[Listed]:
    try:
        return landing.listed(source)
    except LandingNotFound:
        if mode == "overwrite" or not lake.exists(target):
            raise
        return []  # what was loaded may be cleared away


@contextmanager
def _alone(lake: Lake, target: str) -> Iterator[None]:
    """One load of a dataset at a time; the lock dies with its process."""
    folder = lake.path / "_locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"load {target}.lock")
    try:
        lock.acquire(timeout=_LOCK_WAIT_S)
    except Timeout:
        raise WriteConflict(
            f"{target}: another process has been loading it for {_LOCK_WAIT_S} s; try again when it has ended"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _recover(lake: Lake, ledger: FileLedger, target: str) -> int:
    """Finish the books of a load that was killed: its files are loaded if its commit is there, else new again."""
    files = 0
    for batch in ledger.unfinished(target):
        mine = [file for file in ledger.files(target, "loading") if file.batch == batch.batch]
        is_there = _is_committed(lake, target, batch)
        # What was read before may have rows in the dataset: it must not become new.
        states = ["loaded" if is_there else "landed" if file.rows is None else "retry" for file in mine]
        ended = [replace(file, state=state) for file, state in zip(mine, states, strict=True)]
        ledger.finish(target, batch.batch, ended)
        files += len(mine) if is_there else 0
    return files


def _is_committed(lake: Lake, target: str, batch: Batch) -> bool:
    if not lake.exists(target):
        return False
    since = -1 if batch.version is None else batch.version
    return any(each["batch"] == batch.batch for each in lake.history(target) if each["version"] > since)


def _nothing_new(lake: Lake, target: str, arrived: arrivals.Arrivals, recovered: int) -> Loaded:
    more = _files_counted(arrived, 0, 0) | ({"files of a killed load": recovered} if recovered else {})
    if not lake.exists(target):
        raise DataError(f"{target}: none of the files in landing is to be loaded, and there is no dataset yet")
    lake.check(target)
    refused = lake.frame(quarantine.SCHEMA.empty_table())
    return Loaded(lake.read(target), refused, Counts(target, rows_in=0, rows_out=0, more=more))


def _files_counted(arrived: arrivals.Arrivals, files: int, refused: int) -> dict[str, int]:
    told = {"files": files, "files refused": refused}
    rest = {
        "files known": arrived.known,
        "files delivered twice": len(arrived.duplicate),
        "files changed after loading": len(arrived.changed),
    }
    return told | {name: count for name, count in rest.items() if count}


@dataclass(frozen=True)
class _Job:
    """One load of new files."""

    lake: Lake
    ledger: FileLedger
    target: str
    mode: str
    format: formats.Format
    key: tuple[str, ...]
    order_by: tuple[str, ...]
    on_drift: str
    partition_by: tuple[str, ...]

    def run(self, arrived: arrivals.Arrivals) -> Loaded:
        files = dict((file.name, (file, state)) for file, state in arrived.new)
        surveys, unreadable = reading.survey(self.lake, self.format, [file for file, _ in files.values()])
        self._check_tables(surveys)
        known = self._known(surveys)
        settled = drifting.settle(known, surveys, self.on_drift, self.target)
        refused = unreadable | dict(settled.refused)
        good = [files[name][0] for name in surveys if name not in refused]
        self._check_any(good, refused, len(files))
        key = self._names(self._key(surveys), settled.columns)
        order_by = self._names(self.order_by, settled.columns)
        is_ordered = self.mode not in ("overwrite", "append") or self._has_changes(surveys)
        rows = self._read(good, settled.columns, key, order_by, is_ordered=is_ordered)
        tally = self._tally(rows)
        refusals = self._refusals(files, refused, rows, tally)
        batch = secrets.token_hex(8)
        note = {"batch": batch}
        states = [replace(state, state="loading", batch=batch) for _, state in files.values()]
        version = self.lake.history(self.target)[0]["version"] if self.lake.exists(self.target) else None
        self.ledger.begin(self.target, batch, version, states)
        if self.mode == "overwrite":
            quarantine.keep(self.lake, self.target, refusals)
        else:
            quarantine.add(self.lake, self.target, refusals, list(files))
        self._widen(settled)
        again = [state.name for state in states if state.rows is not None]
        applied = self._apply(rows, settled.columns, key, surveys, note, again, tally)
        counts = self._counts(tally, applied, arrived, len(refused))
        self.ledger.drifted(self.target, batch, settled.drift)
        self.ledger.finish(self.target, batch, self._ended(states, refused, tally))
        drift = pa.Table.from_pylist(list(settled.drift), schema=drifting.DRIFT)
        return Loaded(self.lake.read(self.target), refusals, counts, drift)

    def _known(self, surveys: Mapping[str, Survey]) -> pa.Schema | None:
        """The columns of the dataset that files may bring; none where all of them are replaced.

        A column of text that has no value yet is of no type where files bring another one.
        """
        if self.mode == "overwrite" or not self.lake.exists(self.target):
            return None
        known = pa.schema([each for each in self.lake.schema(self.target) if each.name not in RESERVED])
        open_ = self._without_values(drifting.retyped(known, surveys)) if self.on_drift == "evolve" else set()
        return pa.schema([(each.name, pa.null() if each.name in open_ else each.type) for each in known])

    def _without_values(self, names: Sequence[str]) -> set[str]:
        """Those of some columns that have no value, neither in the dataset nor beside it."""
        found = set(names)
        for dataset in (self.target, Load(self.lake, self.target, (), (), {}).beside) if names else ():
            there = sorted(found.intersection(self.lake.schema(dataset).names)) if self.lake.exists(dataset) else []
            if there:
                counts = ", ".join(f"count({quoted(name)}) as {quoted(name)}" for name in there)
                (values,) = self.lake.sql(f"select {counts} from {dataset}").to_arrow().to_pylist()
                found -= {name for name, count in values.items() if count}
        return found

    def _check_tables(self, surveys: Mapping[str, Survey]) -> None:
        tables = sorted({table for survey in surveys.values() for table in survey.tables})
        if len(tables) > 1:
            raise UsageError(
                f"{self.target}: the files hold changes of {len(tables)} tables ({', '.join(tables[:20])}); "
                f"choose one of them by options: {{table: {tables[0]}}}"
            )

    def _check_any(self, good: Sequence[LandingFile], refused: Mapping[str, str], count: int) -> None:
        if not good and not self.lake.exists(self.target):
            reasons = "; ".join(f"{name}: {reason}" for name, reason in list(refused.items())[:3])
            raise DataError(f"{self.target}: none of {count} files can be read, so nothing was loaded ({reasons})")
        if not good and self.mode == "overwrite":
            reasons = "; ".join(f"{name}: {reason}" for name, reason in list(refused.items())[:3])
            raise DataError(f"{self.target}: none of {count} files can be read, so nothing was loaded ({reasons})")

    def _key(self, surveys: Mapping[str, Survey]) -> tuple[str, ...]:
        told = next((survey.key for survey in surveys.values() if survey.key), ())
        key = self.key or told
        needs_key = self.mode in ("current", "scd2") or self._has_changes(surveys)
        if needs_key and not key and self.mode != "history":
            raise UsageError(
                f"{self.target}: mode {self.mode!r} of changes needs the columns that identify a row; name them in key"
            )
        return key

    def _has_changes(self, surveys: Mapping[str, Survey]) -> bool:
        has = any(survey.has_changes for survey in surveys.values())
        if has and self.mode == "append":
            raise UsageError(
                f"{self.target}: the files hold changes (inserts, updates, deletes), which mode 'append' would mix "
                f"with rows; choose 'history' to keep every change, 'current' or 'scd2' to apply them"
            )
        return has

    def _names(self, wanted: Sequence[str], columns: pa.Schema) -> tuple[str, ...]:
        """Names as the dataset spells them. Raises MissingColumns."""
        spelled = {name.lower(): name for name in columns.names}
        missing = [name for name in wanted if name.lower() not in spelled]
        if missing:
            raise MissingColumns(f"{self.target}: missing columns {missing}; found {columns.names}")
        return tuple(spelled[name.lower()] for name in wanted)

    def _read(
        self,
        files: Sequence[LandingFile],
        columns: pa.Schema,
        key: Sequence[str],
        order_by: Sequence[str],
        *,
        is_ordered: bool,
    ) -> Frame:
        return reading.read(
            self.lake,
            self.format,
            files,
            columns,
            key=key,
            order_by=order_by,
            rescues=self.on_drift == "rescue",
            is_ordered=is_ordered,
        )

    def _refusals(
        self,
        files: Mapping[str, tuple[LandingFile, FileState]],
        refused: Mapping[str, str],
        rows: Frame,
        tally: "_Tally",
    ) -> Frame:
        whole = [
            {
                "source": name,
                "rule": "unreadable file",
                "reason": reason,
                "content": reading.kept_bytes(files[name][0].path),
            }
            for name, reason in refused.items()
        ]
        if not tally.refused:
            return self.lake.frame(pa.Table.from_pylist(whole, schema=quarantine.SCHEMA))
        return self.lake.engine.stage(
            self.lake.sql(
                "select * from files union all select _file, cast(_row as string), cast(null as string), _rule, "
                "_reason, _line, cast(null as bigint), _content from rows where _rule is not null",
                files=pa.Table.from_pylist(whole, schema=quarantine.SCHEMA),
                rows=rows,
            )
        )

    def _widen(self, settled: drifting.Settled) -> None:
        """Give the dataset, and what is beside it, the types that hold the values to come."""
        load = Load(self.lake, self.target, (), (), {})
        for name in (self.target, load.beside) if settled.wider else ():
            if not self.lake.exists(name):
                continue
            schema = self.lake.schema(name)
            wider = pa.schema([(each.name, settled.wider.get(each.name, each.type)) for each in schema])
            if wider.types != schema.types:
                # SQL has no cast from a struct to one with more members.
                rows = self.lake.engine.map_batches(self.lake.read(name), rescue.Cast(wider), wider)
                self.lake.write(name, rows, schema="replace")

    def _apply(
        self,
        rows: Frame,
        columns: pa.Schema,
        key: Sequence[str],
        surveys: Mapping[str, Survey],
        note: Mapping[str, str],
        again: Sequence[str],
        tally: "_Tally",
    ) -> Applied:
        good = self.lake.sql("select * from rows where _rule is null", rows=rows) if tally.refused else rows
        data = list(columns.names)
        if self.on_drift == "rescue" or self._keeps_rescued():
            data.append(RESCUED.name)
        load = Load(
            self.lake,
            self.target,
            key,
            data,
            note,
            tally.operations,
            has_changes=self._has_changes(surveys),
            partition_by=self.partition_by,
            again=again,
        )
        return load.apply(good, self.mode)

    def _keeps_rescued(self) -> bool:
        exists = self.mode != "overwrite" and self.lake.exists(self.target)
        return exists and RESCUED.name in self.lake.schema(self.target).names

    def _tally(self, rows: Frame) -> "_Tally":
        query = (
            "select _file, _rule is not null as is_refused, _op, count(*) as row_count from rows "
            "group by _file, _rule is not null, _op"
        )
        tally = _Tally()
        for row in self.lake.sql(query, rows=rows).to_arrow().to_pylist():
            tally.files[row["_file"]] += row["row_count"]
            if row["is_refused"]:
                tally.refused += row["row_count"]
            else:
                tally.operations[row["_op"]] += row["row_count"]
        return tally

    def _counts(self, tally: "_Tally", applied: Applied, arrived: arrivals.Arrivals, files_refused: int) -> Counts:
        refused = tally.refused + files_refused
        total = tally.files.total() + files_refused
        return Counts(
            self.target,
            rows_in=total,
            rows_out=total - refused - applied.duplicate,
            refused=refused,
            duplicate=applied.duplicate,
            more=_files_counted(arrived, len(arrived.new), files_refused) | dict(applied.counts),
        )

    def _ended(self, states: Sequence[FileState], refused: Mapping[str, str], tally: "_Tally") -> list[FileState]:
        return [
            replace(state, state="refused", error=refused[state.name], rows=0)
            if state.name in refused
            else replace(state, state="loaded", rows=tally.files[state.name])
            for state in states
        ]


@dataclass
class _Tally:
    """How many rows were read of each file, how many of all are refused, and what the others do."""

    files: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    operations: Counter[str | None] = field(default_factory=Counter)
