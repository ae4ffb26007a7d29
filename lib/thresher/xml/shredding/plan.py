"""From a schema to the tables by which documents are walked and columns filled."""

import pyarrow as pa

from thresher.types import TIMESTAMP, TIMESTAMP_NTZ
from thresher.xml import building
from thresher.xml.options import Options
from thresher.xml.schema import Schema
from thresher.xml.shapes import Shape
from thresher.xml.shredding import filling, tables
from thresher.xml.shredding.growing import Tables
from thresher.xml.shredding.judging import Targets, is_name
from thresher.xml.shredding.naming import add_field
from thresher.xml.shredding.walking import PASSED_OVER
from thresher.xml.structure import fold

ROOT = 0  # the field of the root

_WHOLE = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}
_SIGNED = (pa.int32(), pa.int64())  # Spark takes their sign off first
_TYPES = {
    pa.string(): filling.STRING,
    pa.float64(): filling.DOUBLE,
    pa.float32(): filling.FLOAT,
    pa.bool_(): filling.BOOLEAN,
    pa.date32(): filling.DATE,
    TIMESTAMP: filling.MOMENT,
    TIMESTAMP_NTZ: filling.LOCAL_MOMENT,
}


class Plan:
    """How documents of a schema are walked and filled; each thread takes a copy of its tables.

    `columns` has a row of words for each field (see filling.py); fields stand in the order of Arrow's message. `shapes`
    and `parents` tell what they are and in which field they stand.
    """

    def __init__(self, schema: Schema, options: Options) -> None:
        self.schema = schema
        self.options = options
        self.columns: list[list[int]] = []
        self.forms: list[tuple[int, bool]] = []
        self.shapes: list[Shape] = []
        self.parents: list[int] = []
        self.texts: dict[int, int] = {}
        self._scalars: dict[int, building.Plan] = {}
        self.names: list[tuple[int, int, str, int]] = []
        self.counters = 1
        self._add(schema.shape, parent=-1, rows=0)

    @classmethod
    def of(cls, schema: Schema, options: Options) -> "Plan | None":
        """The plan; None where options or types are the reference's alone."""
        kinds = [shape.item for _, shape in schema.shape.walk() if not pa.types.is_struct(shape.item)]
        if options.unescape or not kinds or not all(_type_of(kind) for kind in kinds):
            return None
        return cls(schema, options)

    def _add(self, shape: Shape, parent: int, rows: int) -> None:
        """Add a field and those below it, in preorder."""
        number = len(self.columns)
        is_struct = pa.types.is_struct(shape.item)
        items = -1
        if shape.is_array:
            items, self.counters = self.counters, self.counters + 1
        self.columns.append(self._column(shape, rows, items))
        self.forms.append((tables.STRUCT if is_struct else tables.SCALAR, shape.is_array))
        self._know(shape, parent)
        if parent < 0:
            self.columns.append([0] * 16)
            self.columns[PASSED_OVER][filling.ITEMS] = -1
            self.forms.append((tables.SKIPPED, False))
            self._know(shape, parent)
        else:
            self._name(shape, parent, number)
        for inner in shape.fields:
            self._add(inner, number, items if items >= 0 else rows)

    def _know(self, shape: Shape, parent: int) -> None:
        self.shapes.append(shape)
        self.parents.append(parent)

    def _column(self, shape: Shape, rows: int, items: int) -> list[int]:
        column = [0] * 16
        kind = shape.item
        column[filling.ROWS], column[filling.ITEMS] = rows, items
        if pa.types.is_struct(kind):
            return column
        column[filling.TYPE] = self._reads(kind)
        column[filling.IS_STRICT] = shape.is_learnt and not self.options.is_spark
        column[filling.WIDTH] = kind.precision if pa.types.is_decimal(kind) else _WHOLE.get(kind, self.options.is_spark)
        column[filling.SCALE] = kind.scale if pa.types.is_decimal(kind) else self.options.is_spark and kind in _SIGNED
        return column

    def _reads(self, kind: pa.DataType) -> int:
        """The type of a column, or FOREIGN where only the reference knows the form of its values."""
        options = self.options
        formats = {
            pa.date32(): options.date_format,
            TIMESTAMP: options.timestamp_format or (options.time_zone != "UTC"),
            TIMESTAMP_NTZ: options.timestamp_format or options.timestamp_ntz_format or options.date_format,
        }
        return filling.FOREIGN if formats.get(kind) else _type_of(kind)

    def _name(self, shape: Shape, parent: int, number: int) -> None:
        options = self.options
        if options.is_spark and parent == ROOT and shape.name == options.corrupt_column:
            return
        if shape.takes_text:
            self.texts[parent] = number
        if not shape.takes_names:
            return
        for name in dict.fromkeys([shape.name, *shape.node.names]):
            if is_name(name):
                self.names.append((parent, tables.ELEMENT, name, number))
            attribute = name.removeprefix(options.attribute_prefix)
            if not options.is_spark and could_be_nil(attribute, options):
                continue
            is_attribute = name.startswith(options.attribute_prefix) and not options.exclude_attribute
            if is_attribute and is_name(attribute):
                self.names.append((parent, tables.ATTRIBUTE, attribute, number))
        self.names.append((parent, tables.FOLDED, fold(shape.name), number))

    def scalar(self, field: int) -> building.Plan:
        """How the reference reads a scalar field."""
        if field not in self._scalars:
            self._scalars[field] = building.plan_of(self.shapes[field], self.options)
        return self._scalars[field]

    @property
    def targets(self) -> Targets:
        """The fields of names, for what the loops do not judge."""
        return {(parent, kind, name): field for parent, kind, name, field in self.names}

    @property
    def has_wildcard(self) -> bool:
        """Whether unknown elements have a place, which only the reference fills."""
        fields = [shape.name for _, shape in self.schema.shape.walk()]
        return self.options.is_spark and self.options.wildcard_column in fields

    def tables(self) -> Tables:
        """The tables that a thread copies for itself."""
        made = Tables(self.options, is_learning=False, names=len(self.names) + 2, fields=len(self.forms))
        made.settings[tables.HAS_WILDCARD] = self.has_wildcard
        made.settings[tables.IS_NOTING] = not self.options.is_spark
        for form, is_array in self.forms:
            add_field(made.address, form, is_array)
        for name in self.names:
            made.add_name(*name)
        for parent, text in self.texts.items():
            made.fields[parent, tables.TEXT_FIELD] = text
        return made


def could_be_nil(attribute: str, options: Options) -> bool:
    """Whether an attribute, as the loops know it, could be xsi:nil under another prefix: only the reference knows."""
    return attribute.endswith(":nil") or (options.ignore_namespace and attribute == "nil")


def _type_of(kind: pa.DataType) -> int:
    """The type of a column as the loops know it; 0 for one that they do not."""
    if kind in _WHOLE:
        return filling.WHOLE
    return filling.DECIMAL if pa.types.is_decimal128(kind) else _TYPES.get(kind, 0)
