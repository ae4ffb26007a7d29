"""The columns of a delivery: what each file says of them, and the one type that loses nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeAlias

import pyarrow as pa

from thresher.errors import SchemaMismatch
from thresher.types import TIMESTAMP_NTZ, canonical, ddl
from thresher.xml.options import Options
from thresher.xml.votes import Votes

Kind: TypeAlias = "Votes | pa.DataType"
"""What a file says of a column: the votes of its texts, or the type that it has in the file."""

RULES = Options(prefers_decimal=True)
IMPOSSIBLE = "impossible moment"
"""The vote of a text in the form of a date or timestamp that is none: 2024-02-30."""
_MOMENTS = ("date", "timestamp", "timestamp_ntz")
_INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_DIGITS = {pa.int8(): 3, pa.int16(): 5, pa.int32(): 10, pa.int64(): 19}
_MOST_DIGITS = 38
_PLAIN = (pa.string(), pa.bool_(), pa.date32(), TIMESTAMP_NTZ)


@dataclass(frozen=True)
class Survey:
    """One file, before it is read: the columns it has in their order, and what it says of itself.

    `key` are the columns that the file names as its key. `tables` are the tables it holds changes of, where it names
    them; `has_changes` is whether its rows say what they do (insert, update, delete).
    """

    columns: Mapping[str, Kind]
    key: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    has_changes: bool = False


@dataclass(frozen=True)
class Columns:
    """The columns of several files together; merging is associative."""

    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def merged(self, survey: Survey) -> "Columns":
        """With the columns of one more file; a name that differs in case alone is the name that was there before."""
        spelled = {name.lower(): name for name in self.kinds}
        kinds = dict(self.kinds)
        for name, kind in survey.columns.items():
            known = spelled.get(name.lower(), name)
            kinds[known] = merge(kinds[known], kind, known) if known in kinds else kind
        return Columns(kinds)

    @property
    def schema(self) -> pa.Schema:
        """The columns in the narrowest types that hold all their values; one without any value is text."""
        return pa.schema([(name, without_void(type_of(kind))) for name, kind in self.kinds.items()])


def together(surveys: Iterable[Survey]) -> Columns:
    """The columns of all files, in the order in which they first come.

    >>> one, other = Survey({"id": pa.int32()}), Survey({"ID": pa.int64(), "name": pa.string()})
    >>> together([one, other]).schema.names, together([one, other]).schema.types
    (['id', 'name'], [DataType(int64), DataType(string)])
    """
    return reduce(Columns.merged, surveys, Columns())


def merge(one: Kind, other: Kind, name: str) -> Kind:
    """What two files say of a column together. Raises SchemaMismatch where no type holds the values of both.

    What a file has as text may stay text, if nothing else fits; what has a type of its own contradicts another.
    """
    if isinstance(one, Votes) and isinstance(other, Votes):
        return one.merge(other)
    for ours, theirs in ((one, other), (other, one)):
        if isinstance(ours, Votes) and not ours.kinds:
            return theirs  # only empty values: of any type
    try:
        return wider(type_of(one), type_of(other), name)
    except SchemaMismatch:
        if isinstance(one, Votes) or isinstance(other, Votes):
            return as_text(type_of(one), type_of(other), name)
        raise


def type_of(kind: Kind) -> pa.DataType:
    """The type of a column by what is said of it: never a double for a number written in digits.

    Impossible moments do not make a column of moments text, while they are fewer than half of it.
    """
    if not isinstance(kind, Votes):
        return canonical(kind)
    possible = sum(kind.kinds[each] for each in _MOMENTS)
    if 0 < kind.kinds[IMPOSSIBLE] < possible == kind.kinds.total() - kind.kinds[IMPOSSIBLE]:
        return Votes(Counter({each: kind.kinds[each] for each in _MOMENTS if kind.kinds[each]})).type(RULES)
    return kind.type(RULES)


def without_void(kind: pa.DataType) -> pa.DataType:
    """The type with text in the place of what has no value anywhere.

    >>> str(without_void(pa.list_(pa.field("element", pa.null()))))
    'list<element: string>'
    """
    if kind == pa.null():
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", without_void(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([(each.name, without_void(each.type)) for each in kind])
    return kind


def wider(one: pa.DataType, other: pa.DataType, name: str) -> pa.DataType:
    """The narrowest type that holds every value of both types as it is.

    | | |
    |---|---|
    | int, bigint | bigint |
    | bigint, decimal(5,2) | decimal(21,2) |
    | bigint, double | double, while each bigint has a double that equals it |
    | date, timestamp_ntz | timestamp_ntz |
    | struct<a>, struct<b> | struct<a, b> |

    Raises SchemaMismatch for others.

    >>> str(wider(pa.int64(), pa.decimal128(5, 2), "price"))
    'decimal128(21, 2)'
    """
    if one == other or other == pa.null():
        return one
    if one == pa.null():
        return other
    if one in _INTEGERS and other in _INTEGERS:
        return max(one, other, key=_INTEGERS.index)
    floats = {pa.float32(), pa.float64()}
    if {one, other} <= floats.union(_INTEGERS) and {one, other} & floats:
        return pa.float64()  # a bigint that no double equals is refused where it is cast
    if _is_exact(one) and _is_exact(other):
        whole = max(_digits(one)[0], _digits(other)[0])
        scale = max(_digits(one)[1], _digits(other)[1])
        if whole + scale <= _MOST_DIGITS:
            return pa.decimal128(whole + scale, scale)
    if {one, other} == {pa.date32(), TIMESTAMP_NTZ}:
        return TIMESTAMP_NTZ
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        return _wider_struct(one, other, name)
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(pa.field("element", wider(one.value_type, other.value_type, f"{name}[]")))
    raise _contradiction(one, other, name)


def as_text(one: pa.DataType, other: pa.DataType, name: str) -> pa.DataType:
    """Text, for values that have one form as text. Raises SchemaMismatch where they have none."""
    if all(_is_exact(kind) or kind in _PLAIN for kind in (one, other)):
        return pa.string()
    raise _contradiction(one, other, name)


def _contradiction(one: pa.DataType, other: pa.DataType, name: str) -> SchemaMismatch:
    return SchemaMismatch(f"column {name} is {ddl(other)} here, {ddl(one)} in the files before")


def is_wider(one: pa.DataType, other: pa.DataType, name: str) -> bool:
    """Whether every value of `other` has its like in `one`."""
    try:
        return wider(one, other, name) == one
    except SchemaMismatch:
        return False


def _wider_struct(one: pa.StructType, other: pa.StructType, name: str) -> pa.DataType:
    kinds = {each.name: each.type for each in one}
    for each in other:
        path = f"{name}.{each.name}"
        kinds[each.name] = wider(kinds[each.name], each.type, path) if each.name in kinds else each.type
    return pa.struct(list(kinds.items()))


def _is_exact(kind: pa.DataType) -> bool:
    return kind in _INTEGERS or pa.types.is_decimal(kind)


def _digits(kind: pa.DataType) -> tuple[int, int]:
    """The digits before and after the point that a type of exact numbers holds."""
    return (_DIGITS[kind], 0) if kind in _DIGITS else (kind.precision - kind.scale, kind.scale)
