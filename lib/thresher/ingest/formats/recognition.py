"""In which format a delivery is, by what its files begin with; the names of files tell only what they hold."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from thresher.ingest import sequences
from thresher.ingest.formats import debezium, sheets, streams
from thresher.ingest.formats.dms import OPERATIONS, DmsDialect
from thresher.ingest.formats.json_messages import Change, understood
from thresher.ingest.formats.parquet import is_parquet
from thresher.landing import LandingFile

_LOOKED_AT = 100
_SAMPLE_BYTES = 64 << 10
_LEAST_ALIKE = 0.9
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".psv")
_TABLES = ("parquet", "csv")


def recognized(files: Sequence[LandingFile], options: Mapping[str, Any]) -> str:
    """The format of most of the first 100 files that can be told, `documents` where none can.

    | a file begins with | format |
    |---|---|
    | `PAR1` | parquet |
    | a JSON object or array | debezium, canal or maxwell by the members of its first messages, else json |
    | `<` | documents |
    | text whose records have as many fields as the first one, or is named .csv, .tsv, .txt | csv |
    | anything else | documents |

    What is packed with gzip is unpacked for that. A table in parquet or csv is dms where a file is named as AWS DMS
    names its files, or where its first column holds nothing but I, U and D; in parquet, where it has a column `Op`.
    """
    found = Counter(kind for file in files[:_LOOKED_AT] if (kind := _kind(file, options)))
    if not found:
        return "documents"
    if found["dms"] and found["dms"] + found["csv"] + found["parquet"] == found.total():
        return "dms"  # a full load has no operations
    return max(sorted(found), key=lambda kind: (found[kind], kind != "documents"))


def _kind(file: LandingFile, options: Mapping[str, Any]) -> str | None:
    """The format of one file; None where it is empty or cannot be read."""
    try:
        if is_parquet(file.path):
            kind, is_dms = "parquet", _operation(options) in _columns(file.path)
        else:
            with streams.opened(file.path, str(options.get("encoding", "utf-8"))) as stream:
                head = stream.peek(streams.HEAD_BYTES)
            if not head:
                return None
            kind = _of_text(head, file.path, options)
            is_dms = kind == "csv" and _has_operations(head[:_SAMPLE_BYTES], options)
    except (OSError, ValueError, LookupError):
        return None
    return "dms" if kind in _TABLES and (is_dms or _is_named_by_dms(file.name)) else kind


def _columns(path: Path) -> list[str]:
    """The columns of a Parquet file; none where its footer is broken."""
    try:
        return list(pq.read_schema(path).names)
    except (OSError, ValueError):
        return []


def _is_named_by_dms(name: str) -> bool:
    return sequences.is_full_load(name) or sequences.is_captured_at(name)


def _operation(options: Mapping[str, Any]) -> str:
    return str(options.get("operation", DmsDialect.operation))


def _of_text(head: bytes, path: Path, options: Mapping[str, Any]) -> str:
    start = head.lstrip().removeprefix(b"null").lstrip()[:1]  # a file of messages may begin with a tombstone
    if start in (b"{", b"["):
        return _of_json(head)
    head = head[:_SAMPLE_BYTES]
    if start == b"<" or b"\0" in head:
        return "documents"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if "delimiter" in options or any(suffix in _TEXT_SUFFIXES for suffix in suffixes):
        return "csv"
    return "csv" if _is_table(head, options) else "documents"


def _of_json(head: bytes) -> str:
    """By the first message of change data among the first ones: it has members of its own."""
    kinds = (_of_message(message) for message in islice(_values(head), _LOOKED_AT))
    return next((kind for kind in kinds if kind), "json")


def _values(head: bytes) -> Iterator[Any]:
    """The JSON values that a file begins with: one after the other, or the elements of an array."""
    text, decoder = head.decode("utf-8", "replace").lstrip().removeprefix("["), json.JSONDecoder()
    while text := text.lstrip(" \t\r\n,"):
        try:
            value, end = decoder.raw_decode(text)
        except (ValueError, RecursionError):
            return
        yield value
        text = text[end:]


def _of_message(message: Any) -> str | None:
    members = set(message) if isinstance(message, dict) else set()
    if any(isinstance(each, Change) for each in understood(debezium.told, message)):
        return "debezium"
    if {"type", "database", "table"} <= members and members & {"isDdl", "mysqlType", "sqlType", "pkNames"}:
        return "canal"
    return "maxwell" if {"type", "database", "table", "ts"} <= members else None


def _is_table(head: bytes, options: Mapping[str, Any]) -> bool:
    quote = str(options.get("quote", '"'))
    fields = sheets.field_counts(head, sheets.found_delimiter(head, quote), quote)
    return len(fields) > 1 and fields[0] > 1 and fields.count(fields[0]) >= _LEAST_ALIKE * len(fields)


def _has_operations(head: bytes, options: Mapping[str, Any]) -> bool:
    """Whether the first column, but for a header, is the operation."""
    quote = str(options.get("quote", '"'))
    delimiter = str(options.get("delimiter") or sheets.found_delimiter(head, quote))
    first = [
        line.split(delimiter.encode())[0].strip(b'"\r ') for line in head.split(b"\n") if delimiter.encode() in line
    ]
    written = [each.decode("utf-8", "replace").upper() for each in first]
    if written and written[0] == _operation(options).upper():
        written = written[1:]
    return bool(written) and set(written) <= set(OPERATIONS)
