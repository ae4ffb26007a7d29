"""What type the values of one JSON path have, over all rows of a file: the one that loses nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from thresher.ingest.columns import Kind
from thresher.xml.votes import Votes

_MOST_DIGITS = 38
_DOUBLE_DIGITS = 15
_EXACT_DOUBLES = 2**53
_LONG = 2**63


@dataclass
class Shape:
    """The values of one path so far: their kinds, the digits of numbers, elements of arrays, members of objects.

    | values | type |
    |---|---|
    | 1, 2 | bigint |
    | 1, 2.5 | double |
    | 12345678901234567890 | decimal(20,0) |
    | 9007199254740993, 0.1 | decimal, for no double has these digits; string beyond 38 of them |
    | {"a": 1}, {"b": "x"} | struct<a: bigint, b: string> |
    | {"a": 1}, "x" | string: texts as they are, other values as JSON |
    | null, {}, [] | what others say; where nobody does, string (array of it) |
    """

    kinds: set[str] = field(default_factory=set)
    whole: int = 1
    scale: int = 0
    is_fraction: bool = False
    is_lossy: bool = False
    is_long: bool = True
    element: "Shape | None" = None
    members: dict[str, "Shape"] = field(default_factory=dict)

    def add(self, value: Any) -> None:
        """Take in one value."""
        if value is None:
            return
        kind = _KINDS[type(value)]
        self.kinds.add(kind)
        if kind == "number":
            self._add_number(value)
        elif kind == "array":
            self.element = self.element or Shape()
            for each in value:
                self.element.add(each)
        elif kind == "object":
            add_members(self.members, value)

    def add_array(self, values: pa.Array) -> None:
        """Take in a column as Arrow reads it, whose fractions have no more digits than every double keeps."""
        kind = values.type
        if pa.types.is_null(kind):
            return
        if pa.types.is_struct(kind):
            self.kinds.add("object")
            for number, each in enumerate(kind):
                self.members.setdefault(each.name, Shape()).add_array(values.field(number))
        elif pa.types.is_list(kind):
            self.kinds.add("array")
            self.element = self.element or Shape()
            self.element.add_array(values.flatten())
        elif pa.types.is_integer(kind):
            for value in pc.min_max(values).as_py().values():
                self.add(value)
        elif pa.types.is_floating(kind):
            self.kinds.add("number")
            self.is_fraction = True
            self.whole, self.scale = max(self.whole, _DOUBLE_DIGITS), max(self.scale, _DOUBLE_DIGITS)
        else:  # Arrow takes texts that look like timestamps for such
            self.kinds.add("boolean" if pa.types.is_boolean(kind) else "text")

    def type(self) -> pa.DataType:
        """The type; null where no value tells it."""
        if not self.kinds or (self.kinds == {"object"} and not self.members):
            return pa.null()
        if len(self.kinds) > 1:
            return pa.string()
        if self.kinds == {"number"}:
            return self._number()
        if self.kinds == {"array"}:
            return pa.list_(pa.field("element", (self.element or Shape()).type()))
        if self.kinds == {"object"}:
            return pa.struct([(name, shape.type()) for name, shape in self.members.items()])
        return pa.bool_() if self.kinds == {"boolean"} else pa.string()

    def kind(self) -> Kind:
        """The type as a survey tells it: text may stand beside other columns' numbers, null beside everything."""
        kind = self.type()
        if kind == pa.string():
            return Votes(Counter({"text": 1}))
        return Votes() if kind == pa.null() else kind

    def _add_number(self, value: int | Decimal) -> None:
        if isinstance(value, int):
            self.is_long = self.is_long and -_LONG <= value < _LONG
            self.is_lossy = self.is_lossy or abs(value) > _EXACT_DOUBLES
            self.whole = max(self.whole, len(str(abs(value))))
            return
        digits, exponent = value.as_tuple()[1:]
        assert isinstance(exponent, int)
        self.is_fraction = True
        self.whole = max(self.whole, len(digits) + exponent)
        self.scale = max(self.scale, -exponent)
        self.is_lossy = self.is_lossy or not has_double(value)

    def _number(self) -> pa.DataType:
        if not self.is_fraction and self.is_long:
            return pa.int64()
        if self.is_fraction and not self.is_lossy:
            return pa.float64()
        digits = self.whole + self.scale
        return pa.decimal128(digits, self.scale) if digits <= _MOST_DIGITS else pa.string()


def add_members(shapes: dict[str, Shape], values: Mapping[str, Any]) -> None:
    """Take in the members of one object, by their names in order of first appearance."""
    for name, value in values.items():
        shape = shapes.get(name)
        if shape is None:
            shape = shapes[name] = Shape()
        shape.add(value)


def has_double(number: Decimal) -> bool:
    """Whether a double has all digits of a number.

    >>> has_double(Decimal("0.30000000000000004")), has_double(Decimal("0.300000000000000001"))
    (True, False)
    """
    double = float(number)
    return abs(double) != float("inf") and Decimal(repr(double)) == number


_KINDS = {bool: "boolean", int: "number", Decimal: "number", str: "text", list: "array", dict: "object"}
