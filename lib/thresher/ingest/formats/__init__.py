"""What a delivery may come in: one module per format, each from one file to the rows of `changes.form`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from thresher.errors import UsageError
from thresher.ingest.columns import Survey
from thresher.landing import LandingFile

NAMES = ("auto", "csv", "dms", "parquet", "json", "debezium", "canal", "maxwell", "documents", "database")

_OF_MANY_TABLES = ("debezium", "canal", "maxwell")

T = TypeVar("T")


class Format(Protocol):
    """Reads files of one format. It travels to where they are read, so it must be picklable.

    What cannot be read as a whole raises OSError, ValueError (with the reason) or an error of Arrow; a row that cannot
    be read is handed on as refused. A file that is read twice gives the same.
    """

    def survey(self, path: Path) -> Survey:
        """Look at all of a file: its columns, and that it can be read to its end."""

    def read(
        self, file: LandingFile, columns: pa.Schema, *, key: Sequence[str] = (), rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a file in `changes.form(columns)`; columns that it lacks are null.

        An update that gives a row another `key` is handed on as a delete and an insert, where that can be told.

        What has no place in the columns goes to `_rescued` where the load `rescues`; else values that are none of
        their column's type refuse their row.
        """


@dataclass(frozen=True)
class NoOptions:
    """What a format takes that has nothing to choose."""


@dataclass(frozen=True)
class MessageOptions:
    """`table`: of which table to read the changes, where the messages tell of several."""

    table: str = ""


def open_format(
    name: str, files: Sequence[LandingFile], columns: Sequence[str], options: Mapping[str, Any], target: str
) -> Format:
    """The format of that name, or the one that the files are in, with the settings that it takes from `options`.

    With the options `mappings` and `table` its rows go through AWS DMS's table mappings. Raises UsageError for an
    unknown name or option.
    """
    from thresher.ingest.formats.mapped import TableMapping
    from thresher.ingest.formats.recognition import recognized

    if name not in NAMES:
        raise UsageError(f"{target}: format {name!r} is unknown; expected one of {', '.join(NAMES)}")
    if name == "database":
        raise UsageError(f"{target}: format 'database' reads from a URL (postgresql://…); found files")
    options = dict(options)
    mapping = TableMapping.taken_from(options, target)
    if name == "auto":
        name = recognized(files, options)
    if mapping and name not in _OF_MANY_TABLES:
        del options["table"]
    opened = {
        "csv": _csv,
        "dms": _dms,
        "parquet": _parquet,
        "json": _json,
        "debezium": _debezium,
        "canal": _canal,
        "maxwell": _maxwell,
        "documents": _documents,
    }[name]
    try:
        return mapping.applied(opened(columns, options)) if mapping else opened(columns, options)
    except UsageError as error:
        raise UsageError(f"{target}: format {name}: {error}") from None


def settings(kind: type[T], options: Mapping[str, Any]) -> T:
    """The options of a format from those that a load was given. Raises UsageError for one that it does not have.

    >>> settings(MessageOptions, {"table": "orders"})
    MessageOptions(table='orders')
    """
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise UsageError(f"unknown options {unknown}; expected {', '.join(known) if known else 'none'}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in options.items()})


def _csv(columns: Sequence[str], options: Mapping[str, Any]) -> Format:
    from thresher.ingest.formats.csv import open_csv
    from thresher.ingest.formats.sheets import Dialect

    return open_csv(columns, settings(Dialect, options))


def _dms(columns: Sequence[str], options: Mapping[str, Any]) -> Format:
    from thresher.ingest.formats.dms import DmsDialect, open_dms

    return open_dms(columns, settings(DmsDialect, options))


def _parquet(columns: Sequence[str], options: Mapping[str, Any]) -> Format:
    from thresher.ingest.formats.parquet import Parquet

    settings(NoOptions, options)
    return Parquet()


def _json(columns: Sequence[str], options: Mapping[str, Any]) -> Format:
    from thresher.ingest.formats.json_lines import JsonLines

    settings(NoOptions, options)
    return JsonLines()


def _debezium(columns: Sequence[str], options: Mapping[str, Any]) -> Format:
    from thresher.ingest.formats import debezium
    from thresher.ingest.formats.json_messages import Messages

    return Messages(debezium.told, parse=debezium.parse, table=settings(MessageOptions, options).table)


def _canal(columns: Sequence[str], options: Mapping[str, Any]) -> Format:
    from thresher.ingest.formats import canal
    from thresher.ingest.formats.json_messages import Messages

    return Messages(canal.told, table=settings(MessageOptions, options).table)


def _maxwell(columns: Sequence[str], options: Mapping[str, Any]) -> Format:
    from thresher.ingest.formats import maxwell
    from thresher.ingest.formats.json_messages import Messages

    return Messages(maxwell.told, table=settings(MessageOptions, options).table)


def _documents(columns: Sequence[str], options: Mapping[str, Any]) -> Format:
    from thresher.ingest.formats.documents import Documents

    settings(NoOptions, options)
    return Documents()
