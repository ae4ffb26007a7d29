"""The reference: one document at a time, over a tree, into Python values."""

import json
from dataclasses import replace
from typing import Any, NamedTuple

import pyarrow as pa

from thresher.errors import UsageError
from thresher.types import ddl
from thresher.xml.building import Builder, plan_of
from thresher.xml.decoding import Refused, is_blank, text_of
from thresher.xml.document import CutShort, read
from thresher.xml.options import Options
from thresher.xml.schema import Schema
from thresher.xml.spark_building import SparkBuilder
from thresher.xml.spark_recovery import recovered

# Faults behind which Spark's reader goes on.
_READ_ON = ("malformed", "truncated", "character", "entities")

_JSON = json.JSONEncoder(ensure_ascii=False)


class Row(NamedTuple):
    """What becomes of one document: its struct, its errors, and JSON of what its schema does not know."""

    value: dict[str, Any] | None
    errors: list[dict[str, Any]]
    rescued: str | None


class Remarks(NamedTuple):
    """What is said about one document besides its values: its errors, and JSON of what its schema does not know."""

    errors: list[dict[str, Any]]
    rescued: str | None

    @classmethod
    def of(cls, builder: Builder) -> "Remarks":
        """What a builder has kept."""
        rescued = _JSON.encode(builder.rescued) if builder.rescued else None
        return cls(builder.errors, rescued)


class Reference:
    """One document → its row by a schema: what every quicker way must give, too."""

    def __init__(self, schema: Schema, options: Options) -> None:
        # Names are the schema's: its fields were made with its prefix and value tag.
        names = ("attribute_prefix", "value_tag", "ignore_namespace", "namespaces")
        self.options = replace(options, **{name: getattr(schema.options, name) for name in names})
        plan = plan_of(schema.shape, self.options)
        self.corrupt_column = self._corrupt_column(schema)
        fields = {key: field for key, field in plan.fields.items() if field.name != self.corrupt_column}
        self.plan = replace(plan, fields=fields)

    def _corrupt_column(self, schema: Schema) -> str | None:
        """The column for the texts of bad records, where the schema has one."""
        name = self.options.corrupt_column
        if not self.options.is_spark or name not in schema.arrow_type.names:
            return None
        found = schema.arrow_type.field(name).type
        if found != pa.string():
            raise UsageError(f"the column {name} for corrupt records is {ddl(found)}; expected string")
        return name

    def row(self, document: str | bytes | None, is_utf8: bool) -> Row:
        if self.options.is_spark:
            return self._spark_row(document, is_utf8)
        if is_blank(document):
            return Row(None, [], None)
        assert document is not None
        builder = Builder(self.options)
        value: dict[str, Any] | None = None
        errors = builder.errors
        try:
            value = builder.document(read(document, self.options, is_utf8=is_utf8), self.plan)
        except CutShort as cut:
            errors.append(_refusal(cut))
            value = builder.document(cut.tree, self.plan)
        except Refused as refused:
            errors.append(_refusal(refused))
        return Row(self._kept(value, errors), *Remarks.of(builder))

    def _spark_row(self, document: str | bytes | None, is_utf8: bool) -> Row:
        """As from_xml: a text is never null, but where nothing can be read a struct of nulls."""
        if document is None:
            return Row(None, [], None)
        builder = SparkBuilder(self.options)
        value: dict[str, Any] | None = None
        try:
            value = builder.document(read(document, self.options, is_utf8=is_utf8), self.plan)
        except Refused as refused:
            value = self._recovered(builder, refused, document, is_utf8)
        value = value or self.plan.nulls()
        if self.corrupt_column and builder.errors:
            value[self.corrupt_column] = _as_text(document)
        return Row(self._kept(value, builder.errors), builder.errors, None)

    def _recovered(
        self, builder: SparkBuilder, refused: Refused, document: str | bytes, is_utf8: bool
    ) -> dict[str, Any] | None:
        """What Spark reads of a document that is not well-formed; no error where it does not come to the fault."""
        can_be_read = refused.rule in _READ_ON and len(document) <= self.options.max_bytes
        # With salvage a cut end is not refused a second time.
        options = replace(self.options, salvage=True)
        text = text_of(document, options, is_utf8=is_utf8) if can_be_read else ""
        # Half a character is a question mark in Java.
        found = recovered(text.encode("utf-8", "replace").decode("utf-8"), self.options)
        value = builder.document(found[0], self.plan, found[1]) if found else None
        if value is None or builder.is_damaged:
            builder.errors.insert(0, _refusal(refused))
        return value

    def _kept(self, value: dict[str, Any] | None, errors: list[dict[str, Any]]) -> dict[str, Any] | None:
        return None if errors and self.options.mode == "dropmalformed" else value


def _refusal(refused: Refused) -> dict[str, Any]:
    """The row of the table of errors about a whole document."""
    return {"path": "", **{name: getattr(refused, name) for name in ("line", "column", "rule", "reason", "snippet")}}


def _as_text(document: str | bytes) -> str:
    content = document.encode("utf-8", "replace") if isinstance(document, str) else document
    return content.decode("utf-8", "replace")
