"""The JSON values of a file, one after the other, each with its place: lines, the elements of an array, or indented."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, NamedTuple

from thresher.ingest.formats.streams import opened

MOST_BYTES = 16 << 20
"""Of one value: what is longer is refused, since the objects of Python take many times the room of their text."""

BLOCK_BYTES = 4 << 20
_SPACE = b" \t\r\n"
_MOST_EXPONENT = 400


class Text(NamedTuple):
    """The text of one value: its number in the file and the line on which it begins, both from 1.

    `is_cut`: it is longer than MOST_BYTES; these are the first of them.
    """

    row: int
    line: int
    content: bytes
    is_cut: bool = False


class Block(NamedTuple):
    """Whole lines in a row, after how many values and lines; the last one may be cut."""

    rows: int
    lines: int
    content: bytes
    is_cut: bool = False

    def texts(self) -> Iterator[Text]:
        """The values on the lines that are not blank."""
        row, contents = self.rows, self.content.split(b"\n")
        for number, content in enumerate(contents, 1):
            if content and not content.isspace():
                row += 1
                yield Text(row, self.lines + number, content, self.is_cut and number == len(contents))


def texts(path: Path) -> Iterator[Text]:
    """All values of a file. Raises OSError where its compression is broken."""
    if not is_lines(path):
        yield from _values(path)
        return
    for block in blocks(path):
        yield from block.texts()


def is_lines(path: Path) -> bool:
    """Whether a file has one value a line: not where it begins with an array, or with a brace alone on its line."""
    with opened(path) as file:
        head = file.read(BLOCK_BYTES).lstrip(_SPACE)
    return not head.startswith(b"[") and head.partition(b"\n")[0].rstrip() != b"{"


def blocks(path: Path) -> Iterator[Block]:
    """The lines of a file in blocks of some megabytes; a line longer than MOST_BYTES ends its block and is cut."""
    rows = lines = 0
    with opened(path) as file:
        content = file.read(BLOCK_BYTES)
        while content:
            if not content.endswith(b"\n"):
                content += file.readline(MOST_BYTES)
            begun = len(content) - content.rfind(b"\n") - 1
            is_cut = begun >= MOST_BYTES
            if is_cut:
                content = content[: len(content) - begun + MOST_BYTES]
                _skip_line(file)
            block = Block(rows, lines, content, is_cut)
            yield block
            rows += sum(1 for line in content.split(b"\n") if line and not line.isspace())
            lines += content.count(b"\n") + is_cut
            content = file.read(BLOCK_BYTES)


def parsed(content: bytes) -> Any:
    """A text as a value: integers as int, other numbers as Decimal. Raises ValueError with the reason.

    >>> parsed(b'{"id": 7, "price": 1.10}')
    {'id': 7, 'price': Decimal('1.10')}
    """
    try:
        text = content.decode()
        value = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False, default=str).encode()  # half of a surrogate pair is no text
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of it is not UTF-8; expected JSON in UTF-8") from None
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair in a text") from None
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {twice!r} stands twice in an object; which value holds is not known")
    return members


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > _MOST_EXPONENT and number:
        raise ValueError(f"number {text[:40]} is out of range")
    return number


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_no_constant, object_pairs_hook=_members)


def _skip_line(file: IO[bytes]) -> None:
    while (more := file.readline(BLOCK_BYTES)) and not more.endswith(b"\n"):
        pass


def _values(path: Path) -> Iterator[Text]:
    """Objects that are the elements of an array, or that stand one after the other."""
    from thresher.ingest.formats.json_loops import ends  # loading numba takes a moment

    rest, row, line, depth = b"", 0, 1, None
    with opened(path) as file:
        while more := file.read(BLOCK_BYTES):
            rest += more
            if depth is None:
                depth = int(rest.lstrip(_SPACE).startswith(b"["))
                if depth:
                    line += rest[: rest.index(b"[")].count(b"\n")
                    rest = rest[rest.index(b"[") + 1 :]
            begin = 0
            for end in ends(rest):
                found = _between(rest[begin:end])
                line += found.lines
                if found.content:
                    row += 1
                    yield Text(row, line, found.content)
                line += rest[begin:end].count(b"\n") - found.lines
                begin = int(end)
            rest = rest[begin:]
            if len(rest) > MOST_BYTES:
                raise ValueError(
                    f"object {row + 1}, from line {line} on, is longer than {MOST_BYTES >> 20} MiB or has no end, so "
                    f"what follows it cannot be told; deliver one object a line, then the rest of the file loads"
                )
    found = _between(rest)
    last = found.content.removesuffix(b"]").rstrip(_SPACE) if depth else found.content
    if last or (depth and not found.content):
        yield Text(row + 1, line + found.lines, last or b"")


class _Between(NamedTuple):
    content: bytes
    lines: int


def _between(content: bytes) -> _Between:
    """A value without what separates it from the one before, and how many lines that takes."""
    bare = content.lstrip(_SPACE + b",")
    return _Between(bare.rstrip(_SPACE), content[: len(content) - len(bare)].count(b"\n"))
