"""How documents are read: names, types, tolerance and budgets."""

import re
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from thresher.errors import UsageError
from thresher.xml.temporal import strptime_format

DIALECTS = ("exact", "spark")
MODES = ("permissive", "dropmalformed", "failfast")
# Resolving a schema takes four frames per level; Python stops at 1,000.
DEEPEST = 150

_BUDGETS = ("max_bytes", "max_depth", "max_nodes")
# What decides which fields and votes a document gives; schemas merge only where these agree.
_SHAPING = (
    "dialect",
    "attribute_prefix",
    "value_tag",
    "ignore_surrounding_spaces",
    "ignore_namespace",
    "exclude_attribute",
    "null_value",
    "date_format",
    "timestamp_format",
)


@dataclass(frozen=True)
class Options:
    """How documents become rows; picklable, and kept inside a `Schema`.

    | option | meaning |
    |---|---|
    | dialect | `exact`: lose nothing; `spark`: what Spark's `from_xml` and `schema_of_xml` do (see `Options.spark`) |
    | attribute_prefix, value_tag | field names of attributes (`_id`) and of text beside attributes or children |
    | ignore_surrounding_spaces | trim values |
    | ignore_namespace | names without their prefix; else the qualified name as written |
    | exclude_attribute | do not read attributes |
    | null_value | a text that stands for null |
    | infer_types | False: every value is a string |
    | prefers_decimal | `7.5` is a decimal, not a double |
    | prefer_date | `2024-01-31` is a date, not a timestamp (Spark 4.2 always says date) |
    | date_format, timestamp_format | Spark patterns of digits, such as `dd.MM.yyyy HH:mm:ss`; None: ISO 8601 |
    | roots | allowed root elements, `Local` or `{uri}Local`; a document with another root is refused; empty: any |
    | arrays | paths (`book.author`) that are arrays even where no element repeats |
    | mode | `permissive`: null and an error row; `dropmalformed`: any error nulls the document; `failfast`: raise |
    | max_bytes, max_depth, max_nodes | budget of a document: bytes unzipped, nesting (≤ 150), elements and attributes |

    Raises UsageError for a value that is not allowed.

    >>> Options(roots=("Course",)).mode
    'permissive'
    """

    dialect: str = "exact"
    attribute_prefix: str = "_"
    value_tag: str = "_VALUE"
    ignore_surrounding_spaces: bool = True
    ignore_namespace: bool = False
    exclude_attribute: bool = False
    null_value: str | None = None
    infer_types: bool = True
    prefers_decimal: bool = True
    prefer_date: bool = True
    date_format: str | None = None
    timestamp_format: str | None = None
    roots: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()
    mode: str = "permissive"
    max_bytes: int = 256 * 1024 * 1024
    max_depth: int = 100
    max_nodes: int = 1_000_000

    def __post_init__(self) -> None:
        for name, allowed in (("dialect", DIALECTS), ("mode", MODES)):
            if getattr(self, name) not in allowed:
                raise UsageError(f"xml option {name}={getattr(self, name)!r}; expected one of {', '.join(allowed)}")
        for name in ("roots", "arrays"):
            # A list comes out of JSON and YAML; a tuple keeps the options hashable.
            if isinstance(getattr(self, name), str):
                raise UsageError(f"xml option {name}={getattr(self, name)!r}; expected a list of texts")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in _BUDGETS:
            if getattr(self, name) < 1:
                raise UsageError(f"xml option {name}={getattr(self, name)}; expected at least 1")
        if self.max_depth > DEEPEST:
            raise UsageError(f"xml option max_depth={self.max_depth}; expected at most {DEEPEST}")
        if not self.value_tag or self.value_tag == self.attribute_prefix:
            raise UsageError(f"xml option value_tag={self.value_tag!r}; expected a name that is not the prefix")
        for pattern in (self.date_format, self.timestamp_format):
            if pattern is not None:
                strptime_format(pattern)

    @classmethod
    def spark(cls, **options: Any) -> "Options":
        """The preset that gives what Spark's `from_xml` and `schema_of_xml` give by default (see docs/xml.md).

        >>> Options.spark(ignore_namespace=True).prefers_decimal
        False
        """
        return cls(**{"dialect": "spark", "prefers_decimal": False, **options})

    @cached_property
    def is_spark(self) -> bool:
        """Whether values and types follow Spark to the letter."""
        return self.dialect == "spark"

    def local(self, name: str) -> str:
        """A qualified name as a field sees it."""
        return name.rpartition(":")[2] if self.ignore_namespace else name

    def trimmed(self, text: str) -> str:
        """A value without surrounding blanks, where these are ignored."""
        return text.strip(" \t\r\n") if self.ignore_surrounding_spaces else text

    def shapes_like(self, other: "Options") -> bool:
        """Whether both give the same fields and votes for the same document."""
        return all(getattr(self, name) == getattr(other, name) for name in _SHAPING)

    def merged(self, other: "Options") -> "Options":
        """These options with the arrays of both: once an array, always an array."""
        return replace(self, arrays=tuple(sorted({*self.arrays, *other.arrays})))

    def as_dict(self) -> dict[str, Any]:
        """What differs from the defaults, as plain values."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def path_parts(path: str) -> tuple[str, ...]:
    """The names in a dotted path; a name with a dot in it stands in back-ticks.

    >>> path_parts("book.`x.y`.author")
    ('book', 'x.y', 'author')
    """
    parts = re.findall(r"`((?:[^`]|``)+)`|([^.`]+)", path)
    return tuple(quoted.replace("``", "`") if quoted else plain for quoted, plain in parts)


def dotted(parts: tuple[str, ...]) -> str:
    """A path as text: the opposite of `path_parts`.

    >>> dotted(("book", "x.y", "author"))
    'book.`x.y`.author'
    """
    return ".".join("`" + part.replace("`", "``") + "`" if "." in part or "`" in part else part for part in parts)
