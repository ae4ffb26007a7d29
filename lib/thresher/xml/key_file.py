"""The keys of any number of documents, in a file beside memory, to find those that stand twice."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.xml.relational import duplicate_keys

_KEYS = pa.schema([("key", pa.string())])
_TWICE = """
    select key, count(*) as times, count(*) over () as keys
    from read_parquet(?) group by key having times > 1 order by key limit 1
"""
_MEMORY = "256MB"  # what is more than that goes to files


@contextmanager
def key_file() -> "Iterator[KeyFile]":
    """Open an empty collection of keys; it is gone after the block."""
    with TemporaryDirectory(prefix="thresher-") as folder, closing(KeyFile(Path(folder))) as keys:
        yield keys


class KeyFile:
    """Keys batch by batch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "keys.parquet"
        self.writer = pq.ParquetWriter(self.path, _KEYS, compression="zstd")
        self.batches = 0

    def add(self, keys: pa.StringArray) -> None:
        """Keep the keys of a batch, which are unique in it."""
        self.writer.write_batch(pa.record_batch([keys], schema=_KEYS))
        self.batches += 1

    def require_unique(self) -> None:
        """Raise DuplicateKeys where batches share keys; nothing can be added afterwards."""
        import duckdb

        self.close()
        if self.batches < 2:
            return
        config: dict[str, Any] = {
            "memory_limit": _MEMORY,
            "temp_directory": str(self.folder),
            "autoinstall_known_extensions": "false",
        }
        with duckdb.connect(config=config) as database:
            found = database.execute(_TWICE, [str(self.path)]).fetchone()
        if found:
            key, times, count = found
            raise duplicate_keys(count, key, times)

    def close(self) -> None:
        """End the file."""
        self.writer.close()
