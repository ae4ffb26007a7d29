"""What was refused of files, read again after a fix: by the next load, and only what the dataset lacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from thresher import datasets
from thresher.errors import DatasetNotFound, UsageError
from thresher.ingest.file_ledger import FileLedger, FileState
from thresher.lake import Lake
from thresher.project import resolve


@dataclass(frozen=True)
class Retried:
    """What the next load will read again: files, of which so many were refused as a whole, and single rows of others.

    `gone` are files of which something was refused, and that are no longer in landing: their bytes stay in quarantine.
    """

    files: Sequence[str]
    whole: int
    rows: int
    gone: Sequence[str] = ()


def retry(lake: Lake, dataset: str, sources: Sequence[str] = ()) -> Retried:
    """Have the files of which something was refused read again by the next load of a dataset; all, or some by name.

    The load takes what was refused and can now be read, and leaves what the dataset has as it is, in every mode. A
    step that would be skipped runs for it. `sources` are names, paths, or patterns of them. Raises DatasetNotFound
    where nothing is in quarantine, UsageError where nothing of it is from files that the ledger knows.
    """
    quarantine = datasets.quarantine_of(dataset)
    if not lake.exists(quarantine):
        raise DatasetNotFound(f"{dataset}: nothing of it is in quarantine")
    query = f"select source, count(*) as row_count from {quarantine} group by source"
    refused = {row["source"]: row["row_count"] for row in lake.sql(query).to_arrow().to_pylist()}
    ledger = FileLedger(lake.path)
    asked = [file for file in ledger.files(dataset) if file.name in refused and _is_asked(file, sources)]
    if not asked:
        which = f"of {', '.join(sources)} " if sources else ""
        raise UsageError(
            f"{dataset}: nothing {which}in its quarantine is from files that the ledger knows; it holds "
            f"{sum(refused.values())} refusals of {', '.join(map(str, list(refused)[:5])) or 'nothing'}. What was "
            f"refused of a dataset or a database is read again by running the step with --force."
        )
    there = [file for file in asked if resolve(file.path).is_file()]
    if there:
        ledger.retry(dataset, [file.path for file in there])
        # A commit without rows: the step finds what it wrote changed, and so is not skipped.
        lake.write(quarantine, lake.read(quarantine).head(0), mode="append", note={"retry": f"{len(there)} files"})
    whole = [file for file in there if file.state == "refused"]
    return Retried(
        [file.name for file in there],
        len(whole),
        sum(refused[file.name] for file in there if file.state != "refused"),
        [file.name for file in asked if file not in there],
    )


def _is_asked(file: FileState, sources: Sequence[str]) -> bool:
    return not sources or any(
        name == source or fnmatchcase(name, source) for source in sources for name in (file.name, file.path)
    )
