"""How documents are read: names, types, tolerance and budgets."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import tzinfo
from functools import cached_property
from typing import Any

from thresher.errors import UsageError
from thresher.time_patterns import NoPattern, check_reading
from thresher.xml.charsets import codec_of
from thresher.xml.spark_options import spark_settings
from thresher.xml.xsd_files import Source, compiled, xsd_files
from thresher.zones import zone

DIALECTS = ("exact", "spark")
MODES = ("permissive", "dropmalformed", "failfast")
# Resolving a schema takes four frames per level; Python stops at 1,000.
DEEPEST = 150

_BUDGETS = ("max_bytes", "max_depth", "max_nodes", "max_attributes")
_PREFIX = re.compile(r"(?:[^\W\d][\w.-]*)?")
# What decides which fields and votes a document gives; schemas merge only where these agree.
_SHAPING = (
    "dialect",
    "attribute_prefix",
    "value_tag",
    "ignore_surrounding_spaces",
    "ignore_namespace",
    "namespaces",
    "exclude_attribute",
    "null_value",
    "date_format",
    "timestamp_format",
    "timestamp_ntz_format",
    "time_zone",
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
    | namespaces | `{prefix: uri}`: names in these namespaces get that prefix ("": none), whatever the document's is |
    | exclude_attribute | do not read attributes |
    | null_value | a text that stands for null |
    | infer_types | False: every value is a string |
    | sampling_ratio | the share of documents from which the structure is learnt, evenly spread; 1: all |
    | prefers_decimal | `7.5` is a decimal, not a double |
    | prefer_date | `2024-01-31` is a date, not a timestamp (Spark 4.2 always says date) |
    | date_format, timestamp_format, timestamp_ntz_format | Spark patterns (`dd.MM.yyyy HH:mm`); None: ISO 8601 |
    | time_zone | where timestamps without a zone stand, as `Europe/Berlin` or `+02:00` |
    | wildcard_column, corrupt_column | fields that take unknown elements and the text of bad records; Spark only |
    | roots | allowed root elements, `Local` or `{uri}Local`; a document with another root is refused; empty: any |
    | xsd | path or text of an XSD, kept with its includes: a document that it does not allow is refused |
    | arrays | paths (`book.author`) that are arrays even where no element repeats |
    | elevate | paths of arrays that stand as columns in the table of their parent: they must never repeat |
    | reuse_shapes | repeated elements of one name and one type share a table |
    | mode | `permissive`: null and an error row; `dropmalformed`: any error nulls the document; `failfast`: raise |
    | fallback_encoding | for bytes that are not what they are declared to be (or UTF-8): `windows-1252`, `cp037` |
    | unescape | read XML that is escaped or quoted as a whole, or is the root's only text |
    | salvage | of a truncated document keep the values up to its last complete element, beside the error |
    | max_bytes, max_depth, max_nodes | budget of a document: bytes unzipped, nesting (≤ 150), elements and attributes |
    | max_attributes | budget of one element |

    Raises UsageError for a value that is not allowed.

    >>> Options(roots=("Course",)).mode
    'permissive'
    """

    dialect: str = "exact"
    attribute_prefix: str = "_"
    value_tag: str = "_VALUE"
    ignore_surrounding_spaces: bool = True
    ignore_namespace: bool = False
    namespaces: Mapping[str, str] | tuple[tuple[str, str], ...] = ()
    exclude_attribute: bool = False
    null_value: str | None = None
    infer_types: bool = True
    sampling_ratio: float = 1.0
    prefers_decimal: bool = True
    prefer_date: bool = True
    date_format: str | None = None
    timestamp_format: str | None = None
    timestamp_ntz_format: str | None = None
    time_zone: str = "UTC"
    wildcard_column: str = "xs_any"
    corrupt_column: str = "_corrupt_record"
    roots: tuple[str, ...] = ()
    xsd: Source | None = field(default=(), repr=False)
    arrays: tuple[str, ...] = ()
    elevate: tuple[str, ...] = ()
    reuse_shapes: bool = False
    mode: str = "permissive"
    fallback_encoding: str | None = None
    unescape: bool = False
    salvage: bool = False
    max_bytes: int = 256 * 1024 * 1024
    max_depth: int = 100
    max_nodes: int = 1_000_000
    max_attributes: int = 10_000

    def __post_init__(self) -> None:
        for name, allowed in (("dialect", DIALECTS), ("mode", MODES)):
            if getattr(self, name) not in allowed:
                raise UsageError(f"xml option {name}={getattr(self, name)!r}; expected one of {', '.join(allowed)}")
        for name in ("roots", "arrays", "elevate"):
            # A list comes out of JSON and YAML; a tuple keeps the options hashable.
            if isinstance(getattr(self, name), str):
                raise UsageError(f"xml option {name}={getattr(self, name)!r}; expected a list of texts")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "namespaces", _pairs(self.namespaces))
        files = xsd_files(self.xsd or ())
        object.__setattr__(self, "xsd", files)
        if files:
            compiled(files)
        if self.namespaces and self.ignore_namespace:
            raise UsageError("xml options namespaces and ignore_namespace exclude each other; choose one")
        if self.fallback_encoding is not None:
            try:
                codec_of(self.fallback_encoding)
            except LookupError:
                raise UsageError(
                    f"xml option fallback_encoding={self.fallback_encoding!r} is not known; "
                    f"expected a character set such as windows-1252"
                ) from None
        if not 0 < self.sampling_ratio <= 1:
            raise UsageError(f"xml option sampling_ratio={self.sampling_ratio}; expected more than 0, at most 1")
        for name in _BUDGETS:
            if getattr(self, name) < 1:
                raise UsageError(f"xml option {name}={getattr(self, name)}; expected at least 1")
        if self.max_depth > DEEPEST:
            raise UsageError(f"xml option max_depth={self.max_depth}; expected at most {DEEPEST}")
        if not self.value_tag or self.value_tag == self.attribute_prefix:
            raise UsageError(f"xml option value_tag={self.value_tag!r}; expected a name that is not the prefix")
        for pattern in (self.date_format, self.timestamp_format, self.timestamp_ntz_format):
            _check_pattern(pattern)
        if zone(self.time_zone) is None:
            raise UsageError(f"xml option time_zone={self.time_zone!r} is not known; expected one as Europe/Berlin")

    @classmethod
    def spark(cls, **options: Any) -> "Options":
        """The preset that gives what Spark's `from_xml` and `schema_of_xml` give by default (see docs/xml.md).

        Options may have their names here or those that Spark gives them. Raises UsageError for unknown names.

        >>> Options.spark(ignore_namespace=True) == Options.spark(ignoreNamespace="true")
        True
        """
        own = {name: value for name, value in options.items() if name in cls.__dataclass_fields__ and name != "mode"}
        by_spark = spark_settings({name: value for name, value in options.items() if name not in own})
        return cls(**{"dialect": "spark", "prefers_decimal": False, **own, **by_spark})

    @cached_property
    def is_spark(self) -> bool:
        """Whether values and types follow Spark to the letter."""
        return self.dialect == "spark"

    @cached_property
    def zone(self) -> tzinfo:
        """Where timestamps without a zone stand."""
        found = zone(self.time_zone)
        assert found
        return found

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
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return lists | ({"namespaces": dict(self.namespaces)} if self.namespaces else {})


def _check_pattern(pattern: str | None) -> None:
    try:
        if pattern is not None:
            check_reading(pattern)
    except NoPattern as error:
        raise UsageError(
            f"{error} is not supported; expected yyyy, MM, MMM, dd, DDD, HH, hh, mm, ss, S…, a, XXX, [optional], 'text'"
        ) from None


def _pairs(namespaces: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Prefixes and URIs, sorted: a tuple keeps the options hashable."""
    pairs = dict(namespaces)
    for prefix, uri in pairs.items():
        if not _PREFIX.fullmatch(prefix) or prefix == "xmlns" or not uri:
            raise UsageError(f"xml option namespaces: {prefix!r}: {uri!r}; expected a prefix (or '') and its URI")
    twice = [uri for uri, times in Counter(pairs.values()).items() if times > 1]
    if twice:
        raise UsageError(f"xml option namespaces: {twice[0]!r} has two prefixes; expected one")
    return tuple(sorted(pairs.items()))


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
