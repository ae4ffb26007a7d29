"""The bytes of delimited text → its records, found by quotes and line ends alone; broken ones are told apart.

A quote that is not closed, or that something else than a delimiter follows, breaks the line in which its record begins;
reading goes on at the next line. So one stray quote does not swallow the rows after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from thresher.compiled import entry

MOST_RECORD_BYTES = 32 << 20
NO_QUOTE = -1
GOOD, BROKEN, LOOSE, LONG = range(4)
"""What a record is; LOOSE has a quote inside of a field that is not quoted."""

_BLOCK_BYTES = 4 << 20
_KEPT_BYTES = 1 << 20  # of a record that is too long
_LINE_FEED, _RETURN = 10, 13
_END, _FIELDS, _STATE, _LINES = range(4)


@dataclass(frozen=True)
class Records:
    """Some records in a row: record n is `content[starts[n]:ends[n]]`, with its line end, and begins on `lines[n]`."""

    content: bytes
    starts: np.ndarray
    ends: np.ndarray
    fields: np.ndarray
    states: np.ndarray
    lines: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def bytes_of(self, number: int) -> bytes:
        """A record as it stands in the file, without its line end."""
        return self.content[self.starts[number] : self.ends[number]].rstrip(b"\r\n")

    def of(self, chosen: np.ndarray) -> bytes:
        """The bytes of the chosen records (a boolean each), one after the other."""
        if chosen.all():
            return self.content[self.starts[0] : self.ends[-1]] if len(self) else b""
        at = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
        return b"".join(
            self.content[self.starts[first] : self.ends[after - 1]]
            for first, after in zip(at[::2], at[1::2], strict=True)
        )


def records(stream: BinaryIO, delimiter: int, quote: int) -> Iterator[Records]:
    """All records of a stream, some MB at a time; an empty line is a record of one empty field.

    A record of more than MOST_RECORD_BYTES is broken where a line of it ends, else LONG, and its first MB is kept.

    >>> import io
    >>> [found] = records(io.BytesIO(b'1,"a'), ord(","), ord('"'))
    >>> found.fields.tolist(), found.states.tolist() == [BROKEN]
    ([2], True)
    """
    line, rest, is_last = 1, b"", False
    while not is_last:
        block = stream.read(_BLOCK_BYTES)
        is_last, rest = not block, rest + block
        while rest:
            table = _split(rest, delimiter, quote, is_last=is_last)
            if not len(table):
                if len(rest) <= MOST_RECORD_BYTES:
                    break
                table, rest = _cut(rest, stream)
            found = _found(rest, table, line)
            yield found
            line += int(table[:, _LINES].sum())
            rest = rest[found.ends[-1] :]


def _split(content: bytes, delimiter: int, quote: int, *, is_last: bool) -> np.ndarray:
    data = np.frombuffer(content, np.uint8)
    table = np.empty((content.count(b"\n") + content.count(b"\r") + 1, 4), np.int64)
    return table[: _records(data, is_last, delimiter, quote, table)]


def _found(content: bytes, table: np.ndarray, line: int) -> Records:
    ends = table[:, _END]
    starts = np.concatenate([[0], ends[:-1]])
    lines = line + np.cumsum(table[:, _LINES]) - table[:, _LINES]
    return Records(content, starts, ends, table[:, _FIELDS], table[:, _STATE], lines)


def _cut(rest: bytes, stream: BinaryIO) -> tuple[np.ndarray, bytes]:
    """The first line of a record that is too long, and the bytes from it on."""
    end = rest.find(b"\n") + 1
    if end:
        return np.array([[end, 0, BROKEN, 1]], np.int64), rest
    kept = rest[:_KEPT_BYTES]
    while block := stream.read(_BLOCK_BYTES):
        end = block.find(b"\n") + 1
        if end:
            return np.array([[len(kept), 0, LONG, 1]], np.int64), kept + block[end:]
    return np.array([[len(kept), 0, LONG, 1]], np.int64), kept


@entry
def _records(data: np.ndarray, is_last: bool, delimiter: int, quote: int, table: np.ndarray) -> int:
    """Fill a row per complete record: where it ends, its fields, state and lines; how many there are."""
    size, at, count = len(data), 0, 0
    while at < size:
        fields, lines, state, first_line = 1, 0, GOOD, -1
        is_open = True
        while is_open:
            if at < size and data[at] == quote:
                at += 1
                while at < size:
                    byte = data[at]
                    if byte == quote:
                        if at + 1 < size and data[at + 1] == quote:
                            at += 1
                        else:
                            break
                    elif byte == _LINE_FEED or (byte == _RETURN and at + 1 < size and data[at + 1] != _LINE_FEED):
                        lines += 1
                        if first_line < 0:
                            first_line = at + 1
                    at += 1
                if at >= size:
                    if not is_last:
                        return count
                    state = BROKEN
                else:
                    at += 1
                    if at < size and data[at] != delimiter and data[at] != _LINE_FEED and data[at] != _RETURN:
                        state = BROKEN
            if state == BROKEN and first_line >= 0:
                at, lines = first_line, 1
                break
            while at < size and data[at] != _LINE_FEED and data[at] != _RETURN:
                if data[at] == delimiter and state != BROKEN:
                    break
                if data[at] == quote and state == GOOD:
                    state = LOOSE
                at += 1
            is_open = at < size and data[at] == delimiter and state != BROKEN
            if is_open:
                fields += 1
                at += 1
            elif at < size:
                if data[at] == _RETURN and at + 1 >= size and not is_last:
                    return count
                at += 2 if data[at] == _RETURN and at + 1 < size and data[at + 1] == _LINE_FEED else 1
                lines += 1
            elif not is_last:
                return count
        table[count, 0], table[count, 1], table[count, 2], table[count, 3] = at, fields, state, lines
        count += 1
    return count
