"""The file ledger: each landing file that was seen for a dataset, and what became of it.

| state | |
|---|---|
| landed | seen, and not yet loaded |
| loading | part of a load that is at work, or that was killed |
| loaded | its rows are in the dataset |
| refused | it could not be read: it is in the quarantine |
| duplicate | its bytes came before, under another name |
| changed | its bytes are others than those that were loaded |
| retry | it is to be read again for what was refused of it |
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from thresher.database import AnyText, Utc
from thresher.ledger import Ledger

STATES = ("landed", "loading", "loaded", "refused", "duplicate", "changed", "retry")
_SETTLED = ("loaded", "refused", "duplicate", "changed")
_HERE = ("loaded", "duplicate", "retry")
_AT_ONCE = 1_000

_metadata = sa.MetaData()
_files = sa.Table(
    "thresher_files",
    _metadata,
    sa.Column("lake", sa.String(500), primary_key=True),
    sa.Column("dataset", sa.String(128), primary_key=True),
    sa.Column("path", sa.String(1000), primary_key=True),
    sa.Column("name", AnyText, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified_ns", sa.BigInteger, nullable=False),
    sa.Column("checksum", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("batch", sa.String(64)),
    sa.Column("rows", sa.BigInteger),
    sa.Column("error", AnyText),
    sa.Column("run_id", sa.String(160)),
    sa.Column("seen_at", Utc, nullable=False),
    sa.Column("loaded_at", Utc),
)
_batches = sa.Table(
    "thresher_batches",
    _metadata,
    sa.Column("lake", sa.String(500), primary_key=True),
    sa.Column("dataset", sa.String(128), primary_key=True),
    sa.Column("batch", sa.String(64), primary_key=True),
    sa.Column("version", sa.BigInteger),  # of the dataset, when the batch began; null where there was none
    sa.Column("counts", sa.JSON(none_as_null=True)),
)
_drift = sa.Table(
    "thresher_drift",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("lake", sa.String(500), nullable=False),
    sa.Column("dataset", sa.String(128), nullable=False),
    sa.Column("batch", sa.String(64), nullable=False),
    sa.Column("column", AnyText, nullable=False),
    sa.Column("change", sa.String(16), nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("file", AnyText, nullable=False),
    sa.Column("run_id", sa.String(160)),
    sa.Column("at", Utc, nullable=False),
)


@dataclass(frozen=True)
class FileState:
    """One landing file of one dataset; `path` is relative to the project where it is in it. Times are UTC.

    `rows` is None until a load has read the file; a file that was read may have rows in the dataset.
    """

    dataset: str
    path: str
    name: str
    size: int
    modified_ns: int
    checksum: str
    state: str
    batch: str | None = None
    rows: int | None = None
    error: str | None = None
    run_id: str | None = None
    seen_at: datetime | None = None
    loaded_at: datetime | None = None


@dataclass(frozen=True)
class Batch:
    """One load that has begun: its id, the version that the dataset had, and the counts once they are known."""

    batch: str
    version: int | None
    counts: Mapping[str, Any] | None


class FileLedger:
    """The files of the datasets of one lake, in the lake's ledger."""

    def __init__(self, lake: Path) -> None:
        self._database = Ledger.of_lake(lake).database
        file = self._database.file
        # A ledger that lies in its lake moves with it, and the lake's place says nothing then.
        self._lake = "" if file and file.parent.resolve() == lake.resolve() else str(lake.resolve())

    def files(
        self, dataset: str | None = None, state: str | None = None, *, paths: Sequence[str] | None = None
    ) -> list[FileState]:
        """The files of a dataset, or of all, by dataset and path; of `paths` alone where they are given."""
        if not self._database.has(_files):
            return []
        wanted = {_files.c.dataset: dataset, _files.c.state: state}
        query = (
            sa.select(*(_files.c[name] for name in FileState.__dataclass_fields__))
            .where(_files.c.lake == self._lake, *(column == value for column, value in wanted.items() if value))
            .order_by(_files.c.dataset, _files.c.path)
        )
        parts = [query] if paths is None else [query.where(_files.c.path.in_(some)) for some in _cut(paths)]
        return [FileState(*row.values()) for part in parts for row in self._database.read(part)]

    def stamps(self, dataset: str) -> dict[str, tuple[int, int]]:
        """Size and time of the files of a dataset of which nothing is to be done, by path."""
        if not self._database.has(_files):
            return {}
        query = sa.select(_files.c.path, _files.c.size, _files.c.modified_ns).where(
            self._mine(dataset), _files.c.state.in_(_SETTLED)
        )
        return {path: (size, modified_ns) for path, size, modified_ns in self._database.tuples(query)}

    def latencies(self, run_id: str, written_after: datetime) -> list[float]:
        """The seconds from when files were written to when a run had them in their datasets, of files written since."""
        if not self._database.has(_files):
            return []
        after_ns = int(written_after.timestamp() * 1e9)
        query = sa.select(_files.c.modified_ns, _files.c.loaded_at).where(
            _files.c.lake == self._lake, _files.c.run_id == run_id, _files.c.modified_ns > after_ns
        )
        return [at.timestamp() - written / 1e9 for written, at in self._database.tuples(query) if at]

    def with_bytes(self, dataset: str, checksums: Sequence[str]) -> dict[str, str]:
        """By checksum the path of a file with these bytes that was loaded into a dataset."""
        if not self._database.has(_files):
            return {}
        query = sa.select(_files.c.checksum, _files.c.path).where(self._mine(dataset), _files.c.state.in_(_HERE))
        parts = (query.where(_files.c.checksum.in_(some)) for some in _cut(checksums))
        return {checksum: path for part in parts for checksum, path in self._database.tuples(part)}

    def unfinished(self, dataset: str) -> list[Batch]:
        """The loads of a dataset that began and were not finished."""
        if not self._database.has(_batches):
            return []
        query = sa.select(_batches.c.batch, _batches.c.version, _batches.c.counts)
        rows = self._database.read(query.where(_batches.c.lake == self._lake, _batches.c.dataset == dataset))
        return [Batch(*row.values()) for row in rows]

    def begin(self, dataset: str, batch: str, version: int | None, files: Sequence[FileState]) -> None:
        """Note that a load begins, and the files it is of."""
        row = {"lake": self._lake, "dataset": dataset, "batch": batch, "version": version}
        self._write(dataset, files, _batches.insert().values(row))

    def counted(self, dataset: str, batch: str, counts: Mapping[str, Any]) -> None:
        """Note what a load is about to do, so that it is known even where it is killed right after."""
        self._database.write(_metadata, _batches.update().where(*self._of(dataset, batch)).values(counts=dict(counts)))

    def drifted(self, dataset: str, batch: str, drift: Sequence[Mapping[str, str]]) -> None:
        """Note how the columns of a dataset differed from those of its files."""
        same = {"lake": self._lake, "dataset": dataset, "batch": batch, "at": datetime.now(UTC)}
        rows = [{**row, **same, "run_id": os.environ.get("THRESHER_RUN_ID")} for row in drift]
        if rows:
            earlier = _drift.delete().where(
                _drift.c.lake == self._lake, _drift.c.dataset == dataset, _drift.c.batch == batch
            )
            self._database.write(_metadata, earlier, _drift.insert().values(rows))

    def drift(self, dataset: str | None = None) -> list[dict[str, Any]]:
        """How the columns of a dataset, or of all, differed from those of their files, oldest first."""
        if not self._database.has(_drift):
            return []
        names = ("dataset", "column", "change", "before", "after", "file", "run_id", "at")
        query = sa.select(*(_drift.c[name] for name in names)).where(_drift.c.lake == self._lake).order_by(_drift.c.id)
        return [
            dict(row) for row in self._database.read(query.where(_drift.c.dataset == dataset) if dataset else query)
        ]

    def finish(self, dataset: str, batch: str | None, files: Sequence[FileState]) -> None:
        """Note what became of files, and that their load is over."""
        ended = [_batches.delete().where(*self._of(dataset, batch))] if batch else []
        self._write(dataset, files, *ended)

    def retry(self, dataset: str, paths: Sequence[str]) -> None:
        """Have files read again by the next load, for what was refused of them."""
        for some in _cut(paths):
            again = _files.update().where(self._mine(dataset), _files.c.path.in_(some))
            self._database.write(_metadata, again.values(state="retry", rows=sa.func.coalesce(_files.c.rows, 0)))

    def _mine(self, dataset: str) -> "sa.ColumnElement[bool]":
        return (_files.c.lake == self._lake) & (_files.c.dataset == dataset)

    def _of(self, dataset: str, batch: str) -> tuple[Any, ...]:
        return _batches.c.lake == self._lake, _batches.c.dataset == dataset, _batches.c.batch == batch

    def _write(self, dataset: str, files: Sequence[FileState], *statements: sa.Executable) -> None:
        """All of it in one transaction."""
        now, run = datetime.now(UTC), os.environ.get("THRESHER_RUN_ID")
        with self._database.transaction(_metadata) as connection:
            for some in _cut(files):
                connection.execute(
                    _files.delete().where(self._mine(dataset), _files.c.path.in_([file.path for file in some]))
                )
                rows = [{**vars(file), "lake": self._lake, "seen_at": file.seen_at or now} for file in some]
                for row in rows:
                    row["run_id"] = row["run_id"] or run
                    row["loaded_at"] = row["loaded_at"] or (now if row["state"] == "loaded" else None)
                connection.execute(_files.insert(), rows)
            for statement in statements:
                connection.execute(statement)


def _cut(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[first : first + _AT_ONCE] for first in range(0, len(items), _AT_ONCE))
