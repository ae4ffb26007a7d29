"""Text files as rows with documents: CSV and JSON lines."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from thresher.errors import DataError, UsageError
from thresher.xml.cutting import BATCH_BYTES
from thresher.xml.readers import MOST_ROWS, Reading

# A line that is longer has lost its end.
_LONGEST_LINE = 512 * 1024 * 1024
_EXACT_IN_DOUBLE = 2**53
_DELIMITERS = ",;\t|"


@dataclass
class CsvRows:
    """A CSV file with a header; every column is text, and the documents are bytes in whatever encoding they are.

    Python's reader and not Arrow's: a row may be longer than any block, and bytes that are not UTF-8 survive.
    """

    column: str
    encoding: str | None = None
    delimiter: str | None = None

    def schema(self, path: Path) -> pa.Schema:
        with self._opened(path, Reading()) as file:
            return self._schema(next(self._reader(file, path), []), file.encoding)

    def batches(self, path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
        with self._opened(path, reading) as file:
            lines = self._reader(file, path)
            schema = self._schema(next(lines, []), file.encoding)
            yield from _batches(self._rows(lines, len(schema), path, reading), schema, self.column)

    def _schema(self, names: Sequence[str], encoding: str) -> pa.Schema:
        if not names:
            raise DataError("there is no first line; expected a header with the names of the columns")
        if len(set(names)) < len(names):
            raise DataError(f"the header is {list(names)}; expected names that differ")
        document = pa.binary() if self.encoding is None and encoding == "utf-8-sig" else pa.string()
        return pa.schema([(name, document if name == self.column else pa.string()) for name in names])

    def _opened(self, path: Path, reading: Reading) -> io.TextIOWrapper:
        file = reading.open_unzipped(path)
        is_wide = file.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff")  # type: ignore[attr-defined]
        encoding = self.encoding or ("utf-16" if is_wide else "utf-8-sig")
        try:
            return io.TextIOWrapper(file, encoding, "surrogateescape", newline="")
        except LookupError:
            file.close()
            raise UsageError(f"the encoding {encoding!r} is not known; expected a name such as windows-1252") from None

    def _reader(self, file: io.TextIOWrapper, path: Path) -> Any:
        csv.field_size_limit(_LONGEST_LINE)
        first = file.readline(_LONGEST_LINE)
        delimiter = self.delimiter or max(_DELIMITERS, key=first.count)
        lines = (line for part in ([first], file) for line in part)
        return csv.reader(lines, delimiter=delimiter)

    def _rows(self, lines: Any, width: int, path: Path, reading: Reading) -> Iterator[list[str]]:
        for row in lines:
            if len(row) == width:
                yield row
            elif row:
                where = f"{path.name}, line {lines.line_num}"
                reading.refuse(where, f"{len(row)} values; expected {width}, as in the header")


@dataclass
class JsonRows:
    """A file with a JSON object a line; the types of its columns are learnt from all lines."""

    column: str
    known: dict[Path, pa.Schema] = field(default_factory=dict)

    def schema(self, path: Path) -> pa.Schema:
        if path not in self.known:
            self.known[path] = self._learnt(path)
        return self.known[path]

    def _learnt(self, path: Path) -> pa.Schema:
        kinds: dict[str, set[type]] = {}
        for row in self._objects(path, Reading()):
            for name, value in row.items():
                kinds.setdefault(name, set()).add(_kind(value))
        if not kinds:
            raise DataError("no line holds a JSON object; expected one a line (jq -c '.[]' makes lines of an array)")
        fields = {name: _JSON_TYPES.get(frozenset(kind - {type(None)}), pa.string()) for name, kind in kinds.items()}
        return pa.schema([(name, pa.string() if name == self.column else kind) for name, kind in fields.items()])

    def batches(self, path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
        schema = self.schema(path)
        columns = [(each.name, pa.types.is_string(each.type)) for each in schema]
        rows = (
            [_as_text(row.get(name)) if is_text else row.get(name) for name, is_text in columns]
            for row in self._objects(path, reading)
        )
        yield from _batches(rows, schema, self.column)

    def _objects(self, path: Path, reading: Reading) -> Iterator[dict[str, Any]]:
        with reading.open_unzipped(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
                try:
                    value = json.loads(line.removeprefix(b"\xef\xbb\xbf")) if line.strip() else {}
                    if not isinstance(value, dict):
                        raise ValueError(f"{type(value).__name__} instead of an object")
                except (ValueError, RecursionError) as error:
                    reading.refuse(f"{path.name}, line {number}", f"no JSON object: {error}")
                    continue
                if value:
                    yield value


_JSON_TYPES = {
    frozenset({bool}): pa.bool_(),
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
}


def _kind(value: Any) -> type:
    """The type of a JSON value, text for a number that its column's type could not hold."""
    is_long = type(value) is int and abs(value) > _EXACT_IN_DOUBLE
    return str if is_long else type(value)


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _batches(rows: Iterator[list[Any]], schema: pa.Schema, column: str) -> Iterator[pa.RecordBatch]:
    """Rows as batches of about BATCH_BYTES of documents."""
    at = schema.get_field_index(column)
    size = 0
    held: list[list[Any]] = []
    for row in rows:
        length = len(row[at] or "")
        if held and (size + length > BATCH_BYTES or len(held) == MOST_ROWS):
            yield _batch(held, schema, column)
            size, held = 0, []
        held.append(row)
        size += length
    if held:
        yield _batch(held, schema, column)


def _batch(rows: list[list[Any]], schema: pa.Schema, column: str) -> pa.RecordBatch:
    arrays = []
    for values, field_ in zip(zip(*rows, strict=True), schema, strict=True):
        if field_.name == column:
            arrays.append(_documents(values, field_.type))
            continue
        try:
            arrays.append(pa.array(values, field_.type))
        except UnicodeEncodeError:
            raise DataError(
                f"column {field_.name!r} holds bytes that are not UTF-8; give the file's encoding, such as windows-1252"
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _documents(texts: Sequence[str | None], kind: pa.DataType) -> pa.Array:
    """Texts as they stood in the file; what is no Unicode stays so, for `parse` to refuse that document alone."""
    blobs = [None if text is None else _bytes(text) for text in texts]
    return pa.array(blobs, pa.binary()).view(kind)


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
