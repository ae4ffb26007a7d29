"""Messages in JSON → changes: what Debezium, Canal and Maxwell have in common, and plain objects too."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa

from thresher.errors import SchemaMismatch
from thresher.ingest import changes, sequences
from thresher.ingest.changes import DELETE, INSERT, UPDATE
from thresher.ingest.columns import Columns, Kind, Survey
from thresher.ingest.formats.json_columns import Fit, fit, text_of
from thresher.ingest.formats.json_kinds import Shape, add_members
from thresher.ingest.formats.json_texts import MOST_BYTES, Text, parsed, texts
from thresher.landing import LandingFile

_ROWS = 10_000
_BYTES = 8 << 20
BY_TIME, BY_POSITION = "m", "p"
"""With what a sequence begins: changes whose position is told come after those of which only the moment is."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Change(NamedTuple):
    """What a message does to one row: its columns as they are after it, or before it where it deletes.

    `types` are those of the columns, where the message has a schema; `key` the columns that it names as the key;
    `sequence` is a text of `sequences`, or a prefix that file, row and, in a message of several rows, `place` complete
    where `is_partial`.
    """

    values: Mapping[str, Any]
    op: str | None = None
    at: datetime | None = None
    sequence: str | None = None
    is_partial: bool = False
    table: str = ""
    key: tuple[str, ...] = ()
    before: Mapping[str, Any] | None = None
    types: Mapping[str, pa.DataType] | None = None
    place: int = 0


class NoRow(NamedTuple):
    """Why a message is no change of a row: it is handed on as refused."""

    rule: str
    reason: str
    table: str = ""


Told: TypeAlias = "Change | NoRow"
Reader: TypeAlias = Callable[[Any], Iterable[Told]]


@dataclass(frozen=True)
class Messages:
    """Files of messages, which `told` reads one by one; see `Format`.

    `table` chooses among several tables: its name, also with that of its database and schema before it.
    """

    told: Reader
    table: str = ""
    has_changes: bool = True
    parse: Callable[[bytes], Any] = parsed

    def survey(self, path: Path) -> Survey:
        seen = Seen()
        self.see(texts(path), seen)
        return seen.survey(self.has_changes)

    def see(self, found: Iterable[Text], seen: "Seen") -> None:
        """Take these messages into a survey."""
        for text, each in self._told(found):
            seen.add(text, each)

    def read(
        self, file: LandingFile, columns: pa.Schema, *, key: Sequence[str] = (), rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        return self.rows(texts(file.path), file.name, columns, key=key, rescues=rescues)

    def rows(
        self, found: Iterable[Text], file: str, columns: pa.Schema, *, key: Sequence[str], rescues: bool
    ) -> Iterator[pa.RecordBatch]:
        """The rows of these messages of a file; see `read`."""
        rows = _Rows(columns, file, rescues)
        for text, each in self._told(found):
            if isinstance(each, NoRow):
                rows.refuse(text, each.rule, each.reason)
            else:
                for change in _split(each, key):
                    rows.add(text, change)
            if rows.is_full:
                yield from rows.taken()
        yield from rows.taken()

    def _told(self, found: Iterable[Text]) -> Iterator[tuple[Text, Told]]:
        for text in found:
            for each in self._of(text):
                if self._is_chosen(each.table):
                    yield text, each

    def _of(self, text: Text) -> Iterable[Told]:
        if text.is_cut:
            return [NoRow("too long", f"it is longer than {MOST_BYTES >> 20} MiB; its first bytes are kept")]
        try:
            value = self.parse(text.content)
        except ValueError as error:
            return [NoRow("broken JSON", str(error))]
        return understood(self.told, value)

    def _is_chosen(self, table: str) -> bool:
        return not self.table or not table or f".{table}".endswith(f".{self.table}")


def moment(micros: int) -> datetime:
    """An instant by its microseconds since 1970.

    >>> moment(1_595_008_822_000_000).isoformat()
    '2020-07-17T18:00:22+00:00'
    """
    return _EPOCH + timedelta(microseconds=micros)


def wrong(value: Any, expected: str) -> NoRow:
    """A message of another form than expected."""
    return NoRow("not understood", f"found {text_of(value)[:200]}; expected {expected}")


def understood(told: Reader, message: Any) -> Iterable[Told]:
    """What a message tells; one with members of other kinds than its format gives them is refused.

    >>> understood(lambda message: [Change(message["data"].copy())], {"data": 7})[0].rule
    'not understood'
    """
    try:
        return told(message)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return [wrong(message, "members of the kinds that the format gives them")]


def _split(change: Change, key: Sequence[str]) -> list[Change]:
    """A change; two where an update gives a row another key: the old one is deleted, the new one inserted."""
    if change.op != UPDATE or not change.before:
        return [change]
    before, after = (
        {name.lower(): value for name, value in values.items()} for values in (change.before, change.values)
    )
    names = [name.lower() for name in key]
    if any(name not in before for name in names) or all(before[name] == after.get(name) for name in names):
        return [change]
    return [change._replace(op=DELETE, values=change.before), change._replace(op=INSERT)]


@dataclass
class Seen:
    """What a survey has seen of a file."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    typed: Columns = field(default_factory=Columns)
    last_types: Mapping[str, pa.DataType] | None = None
    key: tuple[str, ...] = ()
    tables: dict[str, None] = field(default_factory=dict)
    is_any: bool = False
    first_broken: str = ""

    def add(self, text: Text, each: Told) -> None:
        """Take in what a message tells."""
        if isinstance(each, NoRow):
            is_broken = each.rule != "not applied"
            self.first_broken = self.first_broken or (f"line {text.line}: {each.reason}" if is_broken else "")
            self.is_any = self.is_any or not is_broken
            return
        self.is_any = True
        self.key = self.key or each.key
        if each.table:
            self.tables[each.table] = None
        types = each.types or {}
        for values in (each.values, each.before or {}):
            add_members(self.shapes, {name: value for name, value in values.items() if name not in types})
        if types and types != self.last_types:
            self.last_types = types
            self.typed = self.typed.merged(Survey(types))

    def survey(self, has_changes: bool) -> Survey:
        """All of the file. Raises ValueError where it holds nothing but what is broken."""
        if self.first_broken and not self.is_any:
            raise ValueError(self.first_broken)
        found = self.typed.merged(Survey({name: shape.kind() for name, shape in self.shapes.items()}))
        return Survey(_once(found.kinds), self.key, tuple(self.tables), has_changes)


def _once(kinds: Mapping[str, Kind]) -> Mapping[str, Kind]:
    if len({name.lower() for name in kinds}) < len(kinds):
        raise SchemaMismatch(f"names in {list(kinds)} differ in case alone")
    return kinds


class _Rows:
    """Rows on their way into batches of `changes.form`."""

    def __init__(self, columns: pa.Schema, file: str, rescues: bool):
        self._schema, self._file, self._rescues = columns, file, rescues
        self._fits: list[Fit] = [fit(each.type) for each in columns]
        self._at = {each.name.lower(): number for number, each in enumerate(columns)}
        self._good: list[list[Any]] = [[] for _ in columns]
        self._told: dict[str, list[Any]] = {}
        self._refused: list[dict[str, Any]] = []
        self._clear()

    def _clear(self) -> None:
        self._good = [[] for _ in self._schema]
        self._told = {name: [] for name in ("_op", "_at", "_sequence", "_file", "_row", "_rescued")}
        self._refused = []
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return len(self._told["_row"]) + len(self._refused) >= _ROWS or self._bytes >= _BYTES

    def refuse(self, text: Text, rule: str, reason: str) -> None:
        self._bytes += len(text.content)
        row = {"_file": self._file, "_rule": rule, "_reason": reason, "_row": text.row, "_line": text.line}
        self._refused.append(row | {"_content": text.content})

    def add(self, text: Text, change: Change) -> None:
        row: list[Any] = [None] * len(self._good)
        rest: dict[str, Any] = {}
        for name, value in change.values.items():
            number = self._at.get(name.lower())
            try:
                if number is None:
                    rest[name] = value
                else:
                    row[number] = self._fits[number](value)
            except ValueError as error:
                if not self._rescues:
                    self.refuse(text, "wrong type", f"{name}: {error}")
                    return
                rest[name] = value
        for column, value in zip(self._good, row, strict=True):
            column.append(value)
        self._tell(text, change, rest)

    def _tell(self, text: Text, change: Change, rest: Mapping[str, Any]) -> None:
        rest = {name: value for name, value in rest.items() if value is not None}
        rescued = text_of(rest) if self._rescues and rest else None
        values = (change.op, change.at, self._sequence(text, change), self._file, text.row, rescued)
        for column, value in zip(self._told.values(), values, strict=True):
            column.append(value)
        self._bytes += len(text.content)

    def _sequence(self, text: Text, change: Change) -> str | None:
        if not change.is_partial or change.sequence is None:
            return change.sequence
        place = (change.place,) if change.place else ()
        return sequence(change.sequence, sequences.of_file(self._file), f"{text.row:012}", *place)

    def taken(self) -> Iterator[pa.RecordBatch]:
        """The rows so far, which leave."""
        kinds = {each.name: each.type for each in changes.form(self._schema)}
        if self._told["_row"]:
            data = [pa.array(column, each.type) for column, each in zip(self._good, self._schema, strict=True)]
            told = {name: pa.array(column, kinds[name]) for name, column in self._told.items()}
            yield changes.batch(self._schema, data, told)
        if self._refused:
            yield changes.refusal(self._schema, self._refused)
        self._clear()


def sequence(*parts: Any) -> str:
    """The parts of a position as a text of their order; whole numbers by their value, null first.

    >>> sequence(9) < sequence(10) < sequence(10, 1)
    True
    """
    return sequences.BETWEEN.join(_part(part) for part in parts)


def _part(part: Any) -> str:
    if part is None:
        return ""
    text = str(part)
    return text.rjust(20, "0") if text.isdigit() else text
