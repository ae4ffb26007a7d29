"""Functions over CSV in text: from_csv, to_csv, schema_of_csv."""

from collections.abc import Callable
from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import function
from thresher.sql.documents.csv_options import CsvOptions, csv_options
from thresher.sql.documents.csv_reading import reader, schema_text
from thresher.sql.documents.json_functions import literal_text, made_function, plain_text, schema_type, written_options
from thresher.sql.documents.json_options import UnknownOption, WrongOption
from thresher.sql.documents.json_writing import plain_texts
from thresher.sql.documents.unproven import Unproven
from thresher.sql.expressions import Expressions, Typed

_csv = partial(function, group="JSON and CSV")
_SPACES = "".join(map(chr, range(0x21)))


def _options(e: Expressions, node: exp.Anonymous, position: int, *, is_reading: bool = True) -> CsvOptions:
    try:
        return csv_options(written_options(e, node, position), is_reading=is_reading)
    except WrongOption as error:
        e.wrong(node, f"{node.name}: {error}.")
    except UnknownOption as error:
        e.refuse(node, f"{node.name} with {error}")


@_csv(
    "from_csv",
    2,
    3,
    "from_csv(s, 'a INT, b STRING' [, map('option', 'value', …)])",
    "SELECT from_csv('1,x', 'a INT, b STRING').b AS b",
    note="One record. A field of another type is NULL. Options: sep, quote, escape, mode, nullValue, emptyValue, "
    "ignoreLeadingWhiteSpace, ignoreTrailingWhiteSpace, dateFormat, timestampFormat, columnNameOfCorruptRecord, ….",
)
def _from_csv(e: Expressions, node: exp.Anonymous) -> Typed:
    text = plain_text(e, node.expressions[0], "the first argument of from_csv")
    kind = schema_type(e, node.expressions[1], "the schema of from_csv")
    options = _options(e, node, 2)
    if not kinds.is_struct(kind) or not all(kinds.is_atomic(field.type) for field in kind):
        e.wrong(node, f"the schema of from_csv is {kinds.in_spark(kind)}; expected columns that are not nested.")
    corrupt = [field for field in kind if field.name == options.corrupt_column]
    if corrupt and corrupt[0].type != kinds.STRING:
        e.wrong(node, f"the column {corrupt[0].name} is {kinds.in_spark(corrupt[0].type)}; expected string.")
    if len(corrupt) == kind.num_fields:
        e.refuse(node, "from_csv without a column")
    made = made_function("from_csv", [kinds.STRING], kind, options, reader(kind, options))
    return Typed(f"{e.function(made)}({text.sql})", kind)


@_csv(
    "schema_of_csv",
    1,
    2,
    "schema_of_csv('…' [, map('option', 'value', …)])",
    "SELECT schema_of_csv('1,x') AS s",
    note="Of a text in quotes.",
)
def _schema_of_csv(e: Expressions, node: exp.Anonymous) -> Typed:
    text = literal_text(e, node.expressions[0], "the argument of schema_of_csv")
    if not text:
        e.wrong(node, "schema_of_csv of an empty text; expected a record.")
    try:
        found = schema_text(text, _options(e, node, 1))
    except Unproven as error:
        e.refuse(node, str(error))
    return Typed(kinds.text_literal(found), kinds.STRING, literal=found)


@_csv(
    "to_csv",
    1,
    2,
    "to_csv(a [, map('option', 'value', …)])",
    "SELECT to_csv(named_struct('a', 1, 'b', 'x, y')) AS c",
    note="Of a struct whose fields are not nested. Options: sep, quote, escape, quoteAll, nullValue, emptyValue, "
    "ignoreLeadingWhiteSpace, ignoreTrailingWhiteSpace, dateFormat, timestampFormat, timestampNTZFormat.",
)
def _to_csv(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    options = _options(e, node, 1, is_reading=False)
    if value.kind == kinds.VOID:
        return e.cast(value, kinds.STRING)
    if not kinds.is_struct(value.kind):
        e.wrong(node, f"to_csv of {kinds.in_spark(value.kind)}; expected a struct.")
    if not all(_is_written(field.type) for field in value.kind):
        e.refuse(node, f"to_csv of {kinds.in_spark(value.kind)}", "give it fields that are not nested")
    made = made_function("to_csv", [value.kind], kinds.STRING, options, _writer(value.kind, options))
    return Typed(f"{e.function(made)}({value.sql})", kinds.STRING)


def _is_written(kind: pa.DataType) -> bool:
    return kinds.is_atomic(kind) and kind != kinds.BINARY and kinds.in_spark(kind).split()[0] != "interval"


def _writer(kind: pa.StructType, options: CsvOptions) -> Callable[[pa.Array], pa.Array]:
    def run(values: pa.Array | pa.ChunkedArray) -> pa.Array:
        values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        columns = [
            plain_texts(column, field.type, options.patterns, options.zone)
            for field, column in zip(kind, values.flatten(), strict=True)
        ]
        rows = [
            _record([column[row] for column in columns], options) if is_valid else None
            for row, is_valid in enumerate(values.is_valid().to_pylist())
        ]
        return pa.array(rows, pa.string())

    return run


def _record(fields: list[str | None], options: CsvOptions) -> str | None:
    """A line, None where it would be empty."""
    written = [_field(field, options, is_first=position == 0) for position, field in enumerate(fields)]
    return options.separator.join(written) or None


def _field(text: str | None, options: CsvOptions, *, is_first: bool) -> str:
    if text is None:
        return options.null if not options.quotes_all else _in_quotes(options.null, options)
    _check_edges(text, options)
    is_comment = is_first and text.startswith("#")
    if options.trims_left is not False:
        text = text.lstrip(_SPACES)
    marks = (options.separator, options.quote or "\0", "\n", "\r")
    has_quotes = options.quotes_all or is_comment or any(mark in text for mark in marks)
    if options.trims_right is not False:
        text = text.rstrip(_SPACES)
    if not text:
        return '""' if options.empty is None else options.empty
    return _in_quotes(text, options) if has_quotes else text


def _check_edges(text: str, options: CsvOptions) -> None:
    """White space that univocity trims only in part."""
    is_odd = options.trims_left is False and options.trims_right is not False and not text.strip(_SPACES)
    if text and (is_odd or options.separator.isspace() and text != text.strip(_SPACES)):
        raise Unproven(f"to_csv of {text!r} with these options")


def _in_quotes(text: str, options: CsvOptions) -> str:
    escaped = {options.escape, options.quote}
    inner = "".join(options.escape + c if c in escaped else c for c in text)
    return f"{options.quote}{inner}{options.quote}"
