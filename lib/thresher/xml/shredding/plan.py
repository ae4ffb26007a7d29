"""From a schema to the tables by which documents are walked and columns filled."""

import re
from copy import copy
from functools import lru_cache
from xml.parsers import expat

import numpy as np
import pyarrow as pa

from thresher.types import TIMESTAMP, TIMESTAMP_NTZ
from thresher.xml.options import Options
from thresher.xml.schema import Schema, Shape
from thresher.xml.shredding import filling, tables
from thresher.xml.shredding.naming import add_field, add_name, learn_folded, rehash
from thresher.xml.shredding.walking import LONGEST_NAME
from thresher.xml.structure import XSI_NIL, fold

DEEPEST = 256
PADDING = 64  # loops read and write whole blocks
SCRATCH = 4096  # bytes; longer names are left to the reference
ROOT, SKIPPED = 0, 1  # fields that every plan has

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


class Tables:
    """Settings, names and fields as the loops see them; they grow by doubling."""

    def __init__(self, options: Options, *, is_learning: bool, names: int, fields: int) -> None:
        self.options = options
        self.settings = np.zeros(tables.SETTINGS, np.int64)
        plain = {
            tables.IS_SPARK: options.is_spark,
            tables.IS_LEARNING: is_learning,
            tables.PREFERS_DATE: options.prefer_date,
            tables.PREFERS_DECIMAL: options.prefers_decimal,
            tables.HAS_FORMATS: bool(options.date_format or options.timestamp_format or options.timestamp_ntz_format),
            tables.TRIMS: options.ignore_surrounding_spaces,
            tables.IS_LOCAL: options.ignore_namespace,
            tables.NO_ATTRIBUTES: options.exclude_attribute,
            tables.MAX_BYTES: options.max_bytes,
            tables.MAX_DEPTH: options.max_depth,
            tables.MAX_NODES: options.max_nodes,
            tables.MAX_ATTRIBUTES: options.max_attributes,
            tables.SCRATCH_ROOM: SCRATCH,
            tables.NAME_COUNT: 1,  # 0 stands for none
        }
        for word, value in plain.items():
            self.settings[word] = value
        self.texts = {
            tables.PREFIX: _bytes_of(fold(options.attribute_prefix)),
            tables.VALUE_TAG: _bytes_of(fold(options.value_tag)),
            tables.NULL_TEXT: _bytes_of(options.null_value or ""),
        }
        for word, (text, length) in self.texts.items():
            self.settings[word : word + 2] = text.ctypes.data, length
        if options.null_value is None:
            self.settings[tables.NULL_LENGTH] = -1
        self.names = np.zeros((names, 16), np.int64)
        self.fields = np.zeros((fields, 8), np.int64)
        self.pool = np.zeros(names * 32 + PADDING, np.uint8)
        self._place()

    def _place(self) -> None:
        """Tell the loops where everything lies."""
        self.hashes = np.zeros(1 << (2 * len(self.names)).bit_length(), np.int64)
        self.stack = np.zeros((DEEPEST, 8), np.int64)
        self.unknown = np.zeros((64, 2), np.int64)
        self.scratch = np.zeros(SCRATCH, np.uint8)
        places: dict[int, np.ndarray] = {
            tables.NAMES: self.names,
            tables.FIELDS: self.fields,
            tables.POOL: self.pool,
            tables.HASHES: self.hashes,
            tables.STACK: self.stack,
            tables.UNKNOWN: self.unknown,
            tables.SCRATCH: self.scratch,
        }
        for word, table in places.items():
            self.settings[word] = table.ctypes.data
        self.settings[tables.HASH_MASK] = len(self.hashes) - 1
        self.settings[tables.NAME_ROOM] = len(self.names)
        self.settings[tables.FIELD_ROOM] = len(self.fields)
        self.settings[tables.POOL_ROOM] = len(self.pool)
        rehash(self.address)

    @property
    def address(self) -> int:
        return self.settings.ctypes.data

    def copy(self) -> "Tables":
        """The same names and fields, for another thread."""
        made = copy(self)
        made.settings, made.names, made.fields = self.settings.copy(), self.names.copy(), self.fields.copy()
        made.pool = self.pool.copy()
        made._place()
        return made

    def grow(self) -> None:
        """Twice the room."""
        self.names = _doubled(self.names)
        self.fields = _doubled(self.fields)
        self.pool = _doubled(self.pool)
        self._place()

    def learn(self, parent: int, kind: int, name: str) -> None:
        """Enter a name that is new below a field, whatever its letters."""
        prefix = self.options.attribute_prefix if kind == tables.ATTRIBUTE else ""
        folded, length = _bytes_of(fold(prefix + name))
        self.scratch[: len(folded)] = folded
        text, size = _bytes_of(name)
        while learn_folded(self.address, parent, kind, text.ctypes.data, size, length) == tables.FULL:
            self.grow()
            self.scratch[: len(folded)] = folded

    def add_name(self, parent: int, kind: int, name: str, target: int) -> int:
        """Enter a name for a field."""
        text, length = _bytes_of(name)
        while (entry := add_name(self.address, parent, kind, text.ctypes.data, length, target)) == tables.FULL:
            self.grow()
        return int(entry)


def _bytes_of(text: str) -> tuple[np.ndarray, int]:
    """A text as bytes that a loop may read in blocks, and how many they are."""
    content = text.encode()
    return np.frombuffer(content.ljust(len(content) + PADDING, b"\0"), np.uint8), len(content)


def _doubled(table: np.ndarray) -> np.ndarray:
    grown = np.zeros((2 * len(table), *table.shape[1:]), table.dtype)
    grown[: len(table)] = table
    return grown


class Plan:
    """How documents of a schema are walked and filled; each thread takes a copy of its tables.

    `columns` has a row of words for each field (see filling.py); fields stand in the order of Arrow's message.
    """

    def __init__(self, schema: Schema, options: Options) -> None:
        self.schema = schema
        self.options = options
        self.columns: list[list[int]] = []
        self.forms: list[tuple[int, bool]] = []
        self.texts: dict[int, int] = {}
        self.names: list[tuple[int, int, str, int]] = []
        self.counters = 1
        self._add(schema.shape, parent=-1, rows=0)

    @classmethod
    def of(cls, schema: Schema, options: Options) -> "Plan | None":
        """The plan; None where options or types are the reference's alone."""
        needs_reference = options.roots or options.namespaces or options.unescape
        kinds = [shape.item for _, shape in schema.shape.walk() if not pa.types.is_struct(shape.item)]
        if needs_reference or not kinds or not all(_type_of(kind) for kind in kinds):
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
        if parent < 0:
            self.columns.append([0] * 16)
            self.columns[SKIPPED][filling.ITEMS] = -1
            self.forms.append((tables.SKIPPED, False))
        else:
            self._name(shape, parent, number)
        for inner in shape.fields:
            self._add(inner, number, items if items >= 0 else rows)

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
        if shape.name == options.value_tag or (fold(shape.name) == fold(options.value_tag) and not options.is_spark):
            self.texts[parent] = number
        for name in dict.fromkeys([shape.name, *shape.node.names]):
            if is_name(name):
                self.names.append((parent, tables.ELEMENT, name, number))
            attribute = name.removeprefix(options.attribute_prefix)
            if attribute == XSI_NIL and not options.is_spark:
                continue
            if name.startswith(options.attribute_prefix) and is_name(attribute):
                self.names.append((parent, tables.ATTRIBUTE, attribute, number))
        self.names.append((parent, tables.FOLDED, fold(shape.name), number))

    @property
    def has_wildcard(self) -> bool:
        """Whether unknown elements have a place, which only the reference fills."""
        fields = [shape.name for _, shape in self.schema.shape.walk()]
        return self.options.is_spark and self.options.wildcard_column in fields

    def tables(self) -> Tables:
        """The tables that a thread copies for itself."""
        made = Tables(self.options, is_learning=False, names=len(self.names) + 2, fields=len(self.forms))
        made.settings[tables.HAS_WILDCARD] = self.has_wildcard
        for form, is_array in self.forms:
            add_field(made.address, form, is_array)
        for name in self.names:
            made.add_name(*name)
        for parent, text in self.texts.items():
            made.fields[parent, tables.TEXT_FIELD] = text
        return made


def _type_of(kind: pa.DataType) -> int:
    """The type of a column as the loops know it; 0 for one that they do not."""
    if kind in _WHOLE:
        return filling.WHOLE
    return filling.DECIMAL if pa.types.is_decimal128(kind) else _TYPES.get(kind, 0)


_PLAIN = re.compile(r"[A-Za-z_:][A-Za-z0-9._:-]*")


@lru_cache(maxsize=10_000)
def is_name(name: str) -> bool:
    """Whether a text is a name of ordinary length to expat, which knows the characters of XML 1.0, fourth edition.

    >>> is_name("n:straße"), is_name("1a"), is_name("a b")
    (True, False, False)
    """
    if len(name.encode()) > LONGEST_NAME:
        return False
    if _PLAIN.fullmatch(name):
        return True
    if not name or set(name) & set(" \t\r\n<>/='\"&"):
        return False
    try:
        expat.ParserCreate("utf-8").Parse(f"<{name}/>".encode(), True)
    except (expat.ExpatError, UnicodeEncodeError):
        return False
    return True
