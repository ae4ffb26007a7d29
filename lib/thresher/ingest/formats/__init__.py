"""What a delivery may come in: one module per format, each from one file to the rows of `changes.form`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from thresher.errors import UsageError
from thresher.ingest.columns import Survey
from thresher.landing import LandingFile

NAMES = ("auto", "parquet", "documents", "dms")


class Format(Protocol):
    """Reads files of one format. It travels to where they are read, so it must be picklable.

    What cannot be read as a whole raises OSError, ValueError (with the reason) or an error of Arrow; a row that cannot
    be read is handed on as refused. A file that is read twice gives the same.
    """

    def survey(self, path: Path) -> Survey:
        """Look at all of a file: its columns, and that it can be read to its end."""

    def read(self, file: LandingFile, columns: pa.Schema, *, rescues: bool) -> Iterator[pa.RecordBatch]:
        """The rows of a file in `changes.form(columns)`; columns that it lacks are null.

        What has no place in the columns goes to `_rescued` where the load `rescues`; else values that are none of
        their column's type refuse their row.
        """


def open_format(
    name: str, files: Sequence[LandingFile], columns: Sequence[str], options: Mapping[str, Any], target: str
) -> Format:
    """The format of that name, or the one that the files are in, with the settings that it takes from `options`.

    Raises UsageError for an unknown name or option.
    """
    if name not in NAMES:
        raise UsageError(f"{target}: format {name!r} is unknown; expected one of {', '.join(NAMES)}")
    if name == "auto":
        name = "parquet" if any(_begins(file.path, b"PAR1") for file in files) else "documents"
    kind = {"parquet": _parquet, "documents": _documents, "dms": _dms}[name]
    return kind(columns, dict(options), files)


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def _parquet(columns, options, files):
    from thresher.ingest.formats.parquet import Parquet

    return Parquet()


def _documents(columns, options, files):
    from thresher.ingest.formats.documents import Documents

    return Documents()


def _dms(columns, options, files):
    from thresher.ingest.formats.dms import Dms
    from thresher.ingest.formats.parquet import Parquet

    return Dms(Parquet())
