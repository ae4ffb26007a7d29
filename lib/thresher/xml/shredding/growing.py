"""Settings, names and fields as the loops see them; they grow by doubling."""

from copy import copy

import numpy as np

from thresher.xml.options import Options
from thresher.xml.shredding import tables
from thresher.xml.shredding.attributes import UNKNOWN_ROOM
from thresher.xml.shredding.naming import add_name, learn_folded, rehash
from thresher.xml.structure import fold, text_key

DEEPEST = 256
PADDING = 64  # loops read and write whole blocks
SCRATCH = 4096  # bytes, besides those of the options' texts; longer names are left to the reference


class Tables:
    """What one thread knows, in rows of words."""

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
            tables.IS_NAMESPACED: bool(options.namespaces),
            tables.HIDES_DECLARATIONS: bool(options.namespaces) or (options.ignore_namespace and not options.is_spark),
            tables.JUDGES_ROOTS: bool(options.roots or options.namespaces),
            tables.MAX_BYTES: options.max_bytes,
            tables.MAX_DEPTH: options.max_depth,
            tables.MAX_NODES: options.max_nodes,
            tables.MAX_ATTRIBUTES: options.max_attributes,
            tables.NAME_COUNT: 1,  # 0 stands for none
        }
        for word, value in plain.items():
            self.settings[word] = value
        self.texts = {
            tables.PREFIX: _bytes_of(fold(options.attribute_prefix)),
            tables.TEXT_KEY: _bytes_of(text_key(options)),
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
        self.unknown = np.zeros((UNKNOWN_ROOM, 2), np.int64)
        self.scratch = np.zeros(SCRATCH + sum(length for _, length in self.texts.values()), np.uint8)
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
        self.settings[tables.SCRATCH_ROOM] = len(self.scratch)
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

    def learn(self, parent: int, kind: int, name: str, meant: str) -> int:
        """Enter a name that is new below a field, whatever its letters, and the field of the name that is meant."""
        prefix = self.options.attribute_prefix if kind == tables.ATTRIBUTE else ""
        folded, length = _bytes_of(fold(prefix + meant))
        text, size = _bytes_of(name)
        while True:
            self.scratch[: len(folded)] = folded
            entry = learn_folded(self.address, parent, kind, text.ctypes.data, size, length)
            if entry != tables.FULL:
                return int(entry)
            self.grow()

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
