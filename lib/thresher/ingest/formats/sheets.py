"""Delimited text, opened: its names, and its records as columns of text beside those that are refused."""

import codecs
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from pyarrow import csv

from thresher.errors import UsageError
from thresher.ingest.formats import streams
from thresher.ingest.formats.records import BROKEN, GOOD, LONG, LOOSE, MOST_RECORD_BYTES, NO_QUOTE, Records, records
from thresher.threads import in_order

DELIMITERS = (",", ";", "\t", "|")
"""What is looked for where no delimiter is named."""

_SAMPLE_BYTES = 64 << 10

Result = TypeVar("Result")


@dataclass(frozen=True)
class Dialect:
    """How records are written; what is None is found in each file.

    | option | |
    |---|---|
    | delimiter | one character; found among comma, semicolon, tab and bar |
    | quote | one character around fields, doubled within them; `""` for none |
    | encoding | as Python names it (`windows-1252`); a byte order mark goes before it |
    | header | whether the first record names the columns; where names are given, it does if it is these names |
    | nulls | texts without quotes that stand for null, besides an empty field |
    """

    delimiter: str | None = None
    quote: str = '"'
    encoding: str = "utf-8"
    header: bool | None = None
    nulls: tuple[str, ...] = ()

    @contextmanager
    def opened(self, path: Path, names: Sequence[str]) -> Iterator["Sheet"]:
        """A file with the names of its columns; those of its header, where it has one.

        Raises ValueError where there are no names, or names that no table can have.
        """
        with streams.opened(path, self.encoding) as stream:
            head = stream.peek(streams.HEAD_BYTES)
            delimiter = self.delimiter or found_delimiter(head, self.quote)
            first = first_record(head, delimiter, self.quote)
            has_header = self._has_header(first, names)
            named = names if _are_same(first, names) or not has_header else first
            sheet = Sheet(stream, tuple(named), has_header, delimiter, self)
            _check(sheet.names, first)
            yield sheet

    def __post_init__(self) -> None:
        """Raise UsageError for what no file can be read by."""
        for name in ("delimiter", "quote"):
            value = getattr(self, name)
            if not (value is None or name == "quote" and value == "" or _is_one_byte(value)):
                raise UsageError(f"option {name} is {value!r}; expected one ASCII character")
        if not isinstance(self.nulls, tuple):
            raise UsageError(f"option nulls is {self.nulls!r}; expected a list of texts")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise UsageError(f"option encoding is {self.encoding!r}; expected a name that Python knows") from None

    def as_written(self, content: bytes) -> bytes:
        """Bytes of a record as they stand in the file."""
        return streams.as_written(content, self.encoding)

    def _has_header(self, first: Sequence[str], names: Sequence[str]) -> bool:
        if self.header is not None or not names:
            return self.header is not False and bool(first)
        return _are_same(first, names)


@dataclass(frozen=True)
class Refused:
    """A record that is no row, and why."""

    row: int
    line: int
    rule: str
    reason: str
    content: bytes


@dataclass(frozen=True)
class Part:
    """Some records: the texts of the good ones in columns, with the number of each, and the refused ones."""

    columns: Sequence[pa.StringArray]
    rows: np.ndarray
    refused: Sequence[Refused]
    found: Records
    places: np.ndarray

    def refusal(self, number: int, rule: str, reason: str) -> Refused:
        """A good record that is refused after all."""
        return _refusal(self.found, int(self.places[number]), int(self.rows[number]), rule, reason)


class _Block(NamedTuple):
    """Some records, which of them are rows and which are refused, and their numbers."""

    found: Records
    is_good: np.ndarray
    is_bad: np.ndarray
    rows: np.ndarray


@dataclass
class Sheet:
    """An opened file whose columns are known."""

    stream: BinaryIO
    names: Sequence[str]
    has_header: bool
    delimiter: str
    dialect: Dialect

    def each(self, function: Callable[[Part], Iterable[Result]]) -> Iterator[Result]:
        """The results of a function of all records but the header, some MB of them at a time, in order."""
        return in_order(lambda block: function(self._part(block)), self._blocks())

    def _blocks(self) -> Iterator["_Block"]:
        row, is_doubtful = 0 if self.has_header else 1, False
        for found in records(self.stream, ord(self.delimiter), _code(self.dialect.quote)):
            is_record = ~_is_blank(found) if len(self.names) > 1 else np.ones(len(found), bool)
            rows = row + np.cumsum(is_record) - 1
            row += int(is_record.sum())
            is_record &= rows > 0
            is_good, is_doubtful = self._good(found, is_doubtful)
            yield _Block(found, is_record & is_good, is_record & ~is_good, rows)

    def _good(self, found: Records, is_doubtful: bool) -> tuple[np.ndarray, bool]:
        """The records that can be read, and whether the next is doubtful: after a broken one, a record with a quote
        inside of a field is rather the rest of it."""
        is_good = (found.fields == len(self.names)) & np.isin(found.states, (GOOD, LOOSE))
        if not is_doubtful and not (found.states == BROKEN).any():
            return is_good, False
        for number, state in enumerate(found.states.tolist()):
            if state == BROKEN or (is_doubtful and state == LOOSE):
                is_good[number], is_doubtful = False, True
            elif is_good[number]:
                is_doubtful = False
        return is_good, is_doubtful

    def _part(self, block: "_Block") -> Part:
        found, is_good, is_bad, rows = block
        refused = [_refusal(found, n, int(rows[n]), *self._why(found, n)) for n in np.flatnonzero(is_bad).tolist()]
        try:
            columns = self._columns(found, is_good)
        except pa.ArrowInvalid:
            strange = [n for n in np.flatnonzero(is_good).tolist() if not _is_text(found.bytes_of(n))]
            if not strange:
                raise
            is_good = is_good.copy()
            is_good[strange] = False
            refused += [_refusal(found, n, int(rows[n]), "wrong encoding", self._strange()) for n in strange]
            columns = self._columns(found, is_good)
        places = np.flatnonzero(is_good)
        return Part(columns, rows[places], refused, found, places)

    def _columns(self, found: Records, is_good: np.ndarray) -> list[pa.StringArray]:
        nulls = ["", *self.dialect.nulls]
        columns = _parsed(found.of(is_good), len(self.names), self.delimiter, self.dialect.quote, pa.string(), nulls)
        if len(columns[0]) != is_good.sum():
            raise ValueError(f"{is_good.sum()} records were found, and {len(columns[0])} could be read")
        return columns

    def _why(self, found: Records, number: int) -> tuple[str, str]:
        if found.states[number] == LONG:
            return "too long", f"the line has more than {MOST_RECORD_BYTES >> 20} MB; expected a record"
        if found.states[number] == BROKEN or found.fields[number] == len(self.names):
            return "broken quote", "a quote is not closed, or is followed by something else than a delimiter"
        count = int(found.fields[number])
        return "wrong number of fields", f"{count} fields; expected {len(self.names)} ({', '.join(self.names)})"

    def _strange(self) -> str:
        if streams.is_utf8(self.dialect.encoding):
            return "has bytes that are not UTF-8; name the encoding of the file in options, as encoding: windows-1252"
        return f"has bytes that {self.dialect.encoding} does not know; name the encoding of the file in options"


def _refusal(found: Records, number: int, row: int, rule: str, reason: str) -> Refused:
    return Refused(row, int(found.lines[number]), rule, reason, found.bytes_of(number))


def first_fields(path: Path, dialect: Dialect) -> list[str]:
    """The first record of a file; empty where the file is."""
    with streams.opened(path, dialect.encoding) as stream:
        head = stream.peek(streams.HEAD_BYTES)
        return first_record(head, dialect.delimiter or found_delimiter(head, dialect.quote), dialect.quote)


def first_record(head: bytes, delimiter: str, quote: str) -> list[str]:
    """The fields of the first record that is not empty, without blanks around them.

    >>> first_record(b'\\nid, "full name"\\n7,x', ",", '"')
    ['id', '"full name"']
    """
    for found in records(io.BytesIO(head), ord(delimiter), _code(quote)):
        for number in np.flatnonzero(~_is_blank(found)).tolist():
            if found.states[number] in (BROKEN, LONG):
                return [found.bytes_of(number).decode("utf-8", "replace")]
            content, count = found.bytes_of(number), int(found.fields[number])
            columns = _parsed(content, count, delimiter, quote, pa.binary())
            return [column[0].as_py().decode("utf-8", "replace").strip() for column in columns]
    return []


def found_delimiter(head: bytes, quote: str) -> str:
    """The delimiter that gives most records as many fields as the first one; a comma where none gives two.

    >>> found_delimiter(b"a;b,c;d\\n1;2,5;3\\n", '"')
    ';'
    """
    best, most = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        fields = field_counts(head[:_SAMPLE_BYTES], delimiter, quote)
        score = (fields.count(fields[0]) / len(fields), fields[0]) if fields and fields[0] > 1 else (0.0, 0)
        best, most = (delimiter, score) if score > most else (best, most)
    return best


def field_counts(head: bytes, delimiter: str, quote: str) -> list[int]:
    """How many fields each record has in the first bytes of a file, but for one that may be cut off."""
    found = next(records(io.BytesIO(head), ord(delimiter), _code(quote)), None)
    fields = found.fields[~_is_blank(found)].tolist() if found else []
    return fields if head.endswith((b"\n", b"\r")) or len(fields) < 2 else fields[:-1]


def _are_same(names: Sequence[str], others: Sequence[str]) -> bool:
    return [each.lower() for each in names] == [each.lower() for each in others]


def _is_one_byte(text: object) -> bool:
    return isinstance(text, str) and len(text) == 1 and text.isascii()


def _code(quote: str) -> int:
    return ord(quote) if quote else NO_QUOTE


def _is_blank(found: Records) -> np.ndarray:
    """Which records are empty lines."""
    data = np.frombuffer(found.content, np.uint8)
    return (found.ends - found.starts <= 2) & np.isin(data[found.starts], (10, 13))


def _check(names: Sequence[str], first: Sequence[str]) -> None:
    if not names:
        raise ValueError(
            "it has no names of columns: " + ("no header" if first else "it is empty") + "; give them in columns"
        )
    lower = [name.lower() for name in names]
    wrong = next((name for name in names if not name or lower.count(name.lower()) > 1), None)
    if wrong is not None:
        what = f"the name {wrong!r} twice" if wrong else "a column without a name"
        raise ValueError(f"its header has {what} ({', '.join(names)}); have it mended, or name the columns in columns")
    if any("\ufffd" in name for name in names):
        raise ValueError("its header has bytes that are not UTF-8; name the encoding in options")


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parsed(
    content: bytes, fields: int, delimiter: str, quote: str, kind: pa.DataType, nulls: Sequence[str] | None = None
) -> list[pa.Array]:
    """Whole records of so many fields → their columns of texts or bytes; without `nulls` none is null."""
    if not content:
        return [pa.array([], kind) for _ in range(fields)]
    keys = [str(number) for number in range(fields)]
    table = csv.read_csv(
        pa.BufferReader(content),
        # One block, and no threads of its own: the blocks are read in threads already.
        csv.ReadOptions(column_names=keys, use_threads=False, block_size=len(content) + 1),
        csv.ParseOptions(
            delimiter=delimiter, quote_char=quote or False, newlines_in_values=True, ignore_empty_lines=False
        ),
        csv.ConvertOptions(
            column_types=dict.fromkeys(keys, kind),
            null_values=nulls or [],
            strings_can_be_null=nulls is not None,
            quoted_strings_can_be_null=False,
        ),
    )
    return [column.combine_chunks() for column in table.columns]
