"""Changes to a Delta table by its files: those that hold a changed row are written anew, the others stay.

deltalake's own MERGE joins whole rows and takes several times as long. It still serves tables that ask for more than
rows: constraints, a feed of changes.
"""

import json
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.transaction import AddAction, RemoveAction

NUMBER = "_file_number"
_MORE_THAN_ROWS = ("delta.constraints.", "delta.enableChangeDataFeed")
_STAGING = "_rewriting"  # Delta ignores what begins with _; the next change clears what a killed one left


def is_possible(table: DeltaTable) -> bool:
    """Whether a change to the table is done when its files are replaced."""
    return not any(name.startswith(_MORE_THAN_ROWS) for name in table.metadata().configuration)


def tells_of_files(kind: pa.DataType, is_partition: bool) -> bool:
    """Whether a table knows exactly what its files hold of a column: of texts it may keep the first characters alone.

    >>> tells_of_files(pa.string(), is_partition=True), tells_of_files(pa.string(), is_partition=False)
    (True, False)
    """
    return pa.types.is_integer(kind) or pa.types.is_date(kind) or (is_partition and pa.types.is_string(kind))


@dataclass(frozen=True)
class Files:
    """Some files of a table at one version; `paths` are their names in its log, in the order of `fragments`."""

    schema: pa.Schema
    fragments: Sequence[ds.Fragment]
    paths: Sequence[str]

    def keys(self, names: Sequence[str]) -> pa.RecordBatchReader:
        """Some columns of all rows, and the number of the file that a row is in."""
        kept = pa.schema([*(self.schema.field(name) for name in names), (NUMBER, pa.int32())])

        def batches() -> Iterator[pa.RecordBatch]:
            for number, fragment in enumerate(self.fragments):
                for batch in fragment.to_batches(schema=self.schema, columns=list(names)):
                    numbers = pa.repeat(pa.scalar(number, pa.int32()), len(batch))
                    yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=kept)

        return pa.RecordBatchReader.from_batches(kept, batches())

    def only(self, numbers: Sequence[int]) -> "Files":
        """Those with these numbers."""
        return Files(self.schema, [self.fragments[n] for n in numbers], [self.paths[n] for n in numbers])

    def without(self, paths: Collection[str]) -> "Files":
        """All but those with these names."""
        return self.only([number for number, path in enumerate(self.paths) if path not in paths])

    @property
    def rows(self) -> ds.Dataset:
        """All rows of the files."""
        return ds.FileSystemDataset(self.fragments, self.schema, ds.ParquetFileFormat(), pyarrow.fs.LocalFileSystem())


def files(table: DeltaTable, folder: Path, values: Mapping[str, pa.Array]) -> Files:
    """The files of a table that may hold a row with such values, by what its log tells of each file.

    `values` are per column its values, or where those are many, the least and the greatest of them.
    """
    near: Any = None
    partitions = table.metadata().partition_columns
    for name, array in values.items():
        condition = pc.field(name).isin(array) if name in partitions else _between(pc.field(name), array)
        near = condition if near is None else near & condition
    dataset = table.to_pyarrow_dataset()
    found = list(dataset.get_fragments(filter=near))
    here = pyarrow.fs.LocalFileSystem()  # the dataset's own cannot be used while deltalake writes
    read = [
        dataset.format.make_fragment(_place(folder, each.path), here, _of_partition(each, partitions)) for each in found
    ]
    return Files(dataset.schema, read, [each.path for each in found])


def _of_partition(fragment: ds.Fragment, partitions: Collection[str]) -> pc.Expression | None:
    """What a file's partition says of its rows, without the ends of the other columns.

    Those are wrong where they pass through a float (of decimals from 16 digits on) or leave out NaN: by them a
    condition would pass over a file that holds what it asks for.
    """
    keys = ds.get_partition_keys(fragment.partition_expression) if partitions else {}
    conditions = [
        pc.field(name).is_null() if keys[name] is None else pc.field(name) == keys[name]
        for name in partitions
        if name in keys
    ]
    return reduce(and_, conditions) if conditions else None


def replace(
    table: DeltaTable,
    folder: Path,
    old: Files,
    rows: pa.RecordBatchReader,
    writer: WriterProperties,
    note: Mapping[str, str] | None,
) -> None:
    """Put rows in the place of some files, in one commit on top of the very version that `table` is at.

    Raises CommitFailedError of deltalake where the table moved on.
    """
    staging, partition_by = folder / _STAGING, table.metadata().partition_columns
    shutil.rmtree(staging, ignore_errors=True)
    try:
        write_deltalake(staging, rows, partition_by=partition_by or None, writer_properties=writer)
        added = _moved(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    table.create_write_transaction(
        [*added, *_removed(table, old.paths)],
        "append",
        table.schema(),
        partition_by=partition_by or None,
        commit_properties=CommitProperties(custom_metadata=dict(note) if note else None, max_commit_retries=0),
    )


def _between(column: pc.Expression, found: pa.Array) -> pc.Expression:
    least, greatest = pc.min_max(found).values()
    return (column >= least) & (column <= greatest)


def _place(folder: Path, path: str) -> str:
    there = folder / path
    return str(there if there.exists() else folder / unquote(path))


def _moved(staging: Path, folder: Path) -> list[AddAction]:
    """The files of one table as files of another, with what its log tells of them."""
    log = (staging / "_delta_log" / f"{0:020}.json").read_text(encoding="utf-8")
    added = []
    for action in (json.loads(line).get("add") for line in log.splitlines()):
        if action:
            there = _place(staging, action["path"])
            here = folder / Path(there).relative_to(staging)
            here.parent.mkdir(parents=True, exist_ok=True)
            Path(there).rename(here)
            added.append(
                AddAction(
                    unquote(action["path"]),
                    action["size"],
                    action["partitionValues"],
                    action["modificationTime"],
                    True,
                    action["stats"],
                )
            )
    return added


def _removed(table: DeltaTable, paths: Sequence[str]) -> list[RemoveAction]:
    now = int(time.time() * 1000)
    return [RemoveAction(path, True, now) for path in paths]
