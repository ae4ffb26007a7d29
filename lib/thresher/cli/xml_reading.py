"""What the options of `thresher xml` say about documents, and the schema that they are read by."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.cli.xml_result import blank, note_unread
from thresher.errors import DataError, MissingColumns, UsageError

if TYPE_CHECKING:
    from thresher.xml import Options, Schema, Source

_LONGEST_SCHEMA = 64 * 1024 * 1024
_SCHEMA_KEYS = {"format", "options", "seen"}
_SCHEMA_START = b'{"declared": '
_EXPECTED = "a schema that `thresher xml schema … --out FILE` wrote, or DDL such as 'id int, title string'"


@dataclass(frozen=True)
class Documents:
    """What the options about documents say."""

    column: str | None
    row_tag: str | None
    format: str
    encoding: str | None
    delimiter: str | None
    dialect: str | None
    settings: Sequence[tuple[str, str]]

    def open(self, file: str) -> "Source":
        from thresher.xml import source

        try:
            return source(
                file,
                self.column,
                format=self.format,
                row_tag=self.row_tag,
                encoding=self.encoding,
                delimiter=self.delimiter,
                max_bytes=self.options().max_bytes,
            )
        except MissingColumns as error:
            raise UsageError(f"{error}. Name another with --column.") from error

    def options(self) -> "Options":
        from thresher.xml import Options

        known = {field.name: field.default for field in fields(Options)}
        # What has another name is Spark's, whose options are texts.
        values: dict[str, Any] = {
            name: _value(name, text, known[name]) if name in known else text for name, text in self.settings
        }
        if self.dialect == "spark":
            return Options.spark(**values)
        unknown = [name for name in values if name not in known]
        if unknown:
            raise UsageError(f"-o {unknown[0]}: there is no such option; expected one of {', '.join(known)}")
        return Options(**values)

    def own_options(self) -> "Options | None":
        """The options, unless there are none: then a schema's own apply."""
        return self.options() if self.settings or self.dialect else None


def _value(name: str, text: str, default: object) -> Any:
    """An option's value of the type of its default. Raises UsageError."""
    from thresher.pipeline_file import parse_value

    if default is None or isinstance(default, str):
        return text
    try:
        value = parse_value(text)
    except ValueError as error:
        raise UsageError(f"-o {name}: {error}") from error
    if isinstance(default, bool | int) and type(value) is not type(default):
        expected = "true or false" if isinstance(default, bool) else "a number"
        raise UsageError(f"-o {name}={text}: expected {expected}")
    return [value] if isinstance(default, tuple) and isinstance(value, str) and name != "xsd" else value


def schema_for(source: "Source", documents: Documents, schema_file: str | None, declare: str | None) -> "Schema":
    """The schema from a file, or else learnt from all documents; what is declared lies over it."""
    from thresher.cli.progress import PassProgress
    from thresher.xml import discover_batches

    if schema_file:
        found = _from_file(schema_file, documents)
    else:
        with PassProgress() as progress:
            found = discover_batches(progress.batches("learning", source), source.column, documents.options())
        if not found.documents:
            raise _nothing_learnt(source, documents)
    return found.declare(declare) if declare else found


def _nothing_learnt(source: "Source", documents: Documents) -> DataError:
    """Why there is no schema: the first errors of the first documents."""
    from thresher.xml import Schema, parse

    unread = [f"{name}: {reason}" for name, reason in source.reading.refused[:3]]
    for batch in source.batches():
        rows = batch.column(source.column).drop_null()[:100]
        errors = parse(rows, Schema.from_ddl("_ string"), documents.options()).errors.to_pylist()
        told = ([e["rule"], e["reason"], e["snippet"] and repr(e["snippet"])] for e in errors[:3])
        unread += dict.fromkeys(": ".join(filter(None, each)) for each in told)
        if errors:
            break
    if not unread:
        found = f"{source.reading.rows:,} rows, {source.reading.documents:,} documents{blank(source.reading)}"
        return DataError(
            f"{source.path}: there are no documents to learn a schema from ({found}); name one by --schema"
        )
    return DataError(f"{source.path}: no document can be read, so there is no schema to learn ({'; '.join(unread)})")


def schema_of(file: str, documents: Documents) -> "Schema":
    """The schema that a file holds, or else that of the documents in it."""
    path = Path(file)
    if path.suffix == ".ddl" or (path.is_file() and _holds_schema(path)):
        return _from_file(file, documents)
    try:
        source = documents.open(file)
    except UsageError as error:
        if not path.is_file() or documents.column:
            raise
        with path.open("rb") as content:
            form = _other_form(content.readline(_LONGEST_SCHEMA)) or "text"
        raise UsageError(f"{error}. Nor is it a schema: found {form}, expected {_EXPECTED}") from error
    found = schema_for(source, documents, None, None)
    note_unread(source)
    return found


def _holds_schema(path: Path) -> bool:
    """Whether a file was written by `schema --out`: one line, and not that of a row with a document.

    One that is damaged or cut short counts: no documents can be read from it.
    """
    with path.open("rb") as file:
        line = file.readline(_LONGEST_SCHEMA)
    try:
        return _SCHEMA_KEYS <= set(json.loads(line))
    except (ValueError, RecursionError):
        return line.startswith(_SCHEMA_START)
    except TypeError:
        return False


def _from_file(file: str, documents: Documents) -> "Schema":
    from thresher.xml import Schema

    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: the schema cannot be read: {error.strerror}; expected {_EXPECTED}") from error
    form = _other_form(content)
    if form:
        raise UsageError(f"{file}: found {form}; expected {_EXPECTED}")
    text = content.decode("utf-8-sig")
    try:
        if text.lstrip().startswith("{"):
            return Schema.from_json(text)
        return Schema.from_ddl(text, documents.options())
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error


def _other_form(content: bytes) -> str:
    """What a file holds that cannot be a schema; empty where it can be one.

    >>> [_other_form(content) for content in (b"", b"[1]", b'{"a": 1}', b"PAR1...", b"id int")]
    ['nothing', 'a JSON array', 'a JSON object with a', 'a Parquet file', '']
    """
    if content.startswith(b"PAR1"):
        return "a Parquet file"
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return "bytes that are no UTF-8 text"
    if not text:
        return "nothing"
    if text.startswith("<"):
        return "XML"
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        if not text.startswith(("{", "[")):
            return ""
        return f"JSON that is damaged, cut short or followed by more (line {error.lineno}, column {error.colno})"
    except RecursionError:
        return "JSON that is nested too deeply"
    if not isinstance(plain, dict):
        return "a JSON array" if isinstance(plain, list) else "a single JSON value"
    return "" if plain.keys() >= _SCHEMA_KEYS else f"a JSON object with {', '.join([*plain][:5]) or 'nothing'}"
