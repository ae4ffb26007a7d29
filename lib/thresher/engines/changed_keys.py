"""Which keys each change of a Delta table was of, beside the table: its versions are then compared by these rows alone.

A file per commit, named by its version and the hash of the commit, so that it can be of no other. Where one is missing,
the versions are compared whole: nothing depends on these files but time.
"""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_FOLDER = "_changed_keys"  # Delta ignores what begins with _
_KEPT = 200
"""How many of the newest files are kept."""


def keep(table: Path, version: int, keys: pa.Table) -> None:
    """Note the keys that the commit of a version changed."""
    file = _file(table, version)
    if file:
        file.parent.mkdir(exist_ok=True)
        partial = file.with_suffix(".part")
        pq.write_table(keys, partial)
        partial.replace(file)
        for old in sorted(file.parent.iterdir())[:-_KEPT]:
            old.unlink(missing_ok=True)


def between(table: Path, since: int, until: int) -> pa.Table | None:
    """The keys that the commits after `since` up to `until` changed; None where some did not note them."""
    files = [_file(table, version) for version in range(since + 1, until + 1)]
    found = [pq.read_table(file) for file in files if file and file.is_file()]
    if not found or len(found) < len(files) or any(each.schema != found[0].schema for each in found):
        return None
    return pa.concat_tables(found)


def _file(table: Path, version: int) -> Path | None:
    try:
        commit = (table / "_delta_log" / f"{version:020}.json").read_bytes()
    except FileNotFoundError:
        return None
    return table / _FOLDER / f"{version:020}-{hashlib.sha256(commit).hexdigest()[:16]}.parquet"
