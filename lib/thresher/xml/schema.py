"""The structure of many documents as one type, with what was seen of every path."""

import json
import operator
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from thresher.errors import UsageError
from thresher.types import ddl
from thresher.xml.ddl import struct_type
from thresher.xml.options import Options, dotted
from thresher.xml.shapes import DEEPEST_STRUCT, Resolver, Shape
from thresher.xml.structure import ATTRIBUTE, ELEMENT, TEXT, Node, fold
from thresher.xml.votes import NUMBERS
from thresher.xml.xsd import struct_of_xsd
from thresher.xml.xsd_files import Source
from thresher.xml.xsd_overlay import struct_over_seen

FORMAT = 2
KEPT = "_readers"  # what was made for reading by a schema
CHANGES = pa.schema([(name, pa.string()) for name in ("change", "path", "before", "after")])
PATHS = pa.schema(
    [
        ("path", pa.string()),
        ("kind", pa.string()),
        ("type", pa.string()),
        ("occurrences", pa.int64()),
        ("documents", pa.int64()),
        ("max_repeats", pa.int64()),
        ("null_share", pa.float64()),
        ("votes", pa.list_(pa.field("element", pa.struct([("type", pa.string()), ("count", pa.int64())])))),
        ("examples", pa.list_(pa.field("element", pa.string()))),
        ("min", pa.string()),
        ("max", pa.string()),
        ("longest", pa.int64()),
        ("mixed", pa.int64()),
        ("namespaces", pa.list_(pa.field("element", pa.string()))),
    ]
)


@dataclass(frozen=True)
class Schema:
    """What all documents have in common: one type for their values, learnt or declared.

    `seen` holds the counts by path, `declared` the struct that was declared over them, `documents` how many were
    accepted. Made by `discover`, `from_ddl` or `from_json`.

    >>> Schema.from_ddl("id int, book array<struct<title: string>>").ddl
    'struct<id: int, book: array<struct<title: string>>>'
    """

    options: Options = field(default_factory=Options)
    seen: Node = field(default_factory=Node)
    declared: pa.StructType | None = None
    documents: int = 0

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != KEPT}

    @cached_property
    def shape(self) -> Shape:
        """The resolved tree of fields."""
        return Resolver(self.options).struct((), self.seen, self.declared)

    @property
    def arrow_type(self) -> pa.StructType:
        """The struct of one document: learnt fields sorted by name, as Spark sorts them; shared types only."""
        return self.shape.item

    @property
    def ddl(self) -> str:
        """The type in Spark's words."""
        return ddl(self.arrow_type)

    @property
    def paths(self) -> pa.Table:
        """One row per path, parents first.

        Columns: path; kind (element, attribute, text); type (`struct` for nested ones); occurrences; documents;
        max_repeats within one parent; null_share (share of the parents without a value); votes (how many texts speak
        for which type); examples (the alphabetically first texts); min and max (of numbers the lowest and highest,
        of other texts alphabetically, which is by time for dates); longest (characters); mixed (elements with both
        text and children); namespaces (URIs that are declared for its prefix, there or nearest above).
        """
        rows = [self._path_row(*place) for place in self._places(self.shape, self._declared_above())]
        return pa.Table.from_pylist(rows, schema=PATHS)

    def _declared_above(self) -> dict[str, list[str]]:
        given = {prefix: [uri] for prefix, uri in dict(self.options.namespaces).items()}
        return given or _declarations(self.seen, self.options)

    def _places(
        self, parent: Shape, above: dict[str, list[str]]
    ) -> Iterator[tuple[Shape, Shape, dict[str, list[str]]]]:
        """Every field below a struct with its parent and the namespaces declared for it, parents first."""
        for shape in parent.fields:
            declared = above | _declarations(shape.node, self.options)
            yield parent, shape, declared
            yield from self._places(shape, declared)

    def _path_row(self, parent: Shape, shape: Shape, declared: dict[str, list[str]]) -> dict[str, object]:
        node = shape.node
        parents = self.documents if not parent.path else parent.node.occurrences
        votes = sorted(node.votes.kinds.items(), key=lambda kind: (-kind[1], kind[0]))
        extremes, is_number = node.votes.extremes, bool(node.votes.kinds) and node.votes.kinds.keys() <= NUMBERS
        return {
            "path": dotted(shape.path),
            "kind": "+".join(sorted(node.kinds)) or self._kind(shape),
            "type": shape.short_type,
            "occurrences": node.occurrences,
            "documents": node.documents,
            "max_repeats": node.repeats,
            "null_share": 1 - node.parents / parents if parents else 1.0,
            "votes": [{"type": kind, "count": count} for kind, count in votes],
            "examples": extremes.examples,
            "min": extremes.lowest if is_number else next(iter(extremes.examples), None),
            "max": extremes.highest if is_number else extremes.last,
            "longest": extremes.longest,
            "mixed": node.mixed,
            "namespaces": self._namespaces(shape, declared),
        }

    def _namespaces(self, shape: Shape, declared: dict[str, list[str]]) -> list[str]:
        is_element = ELEMENT in shape.node.kinds
        if not is_element and ATTRIBUTE not in shape.node.kinds:
            return []
        name = shape.name if is_element else shape.name.removeprefix(self.options.attribute_prefix)
        prefix, colon, _ = name.rpartition(":")
        # An attribute without prefix is in no namespace.
        return declared.get(prefix, []) if colon or is_element else []

    def _kind(self, shape: Shape) -> str:
        """What a declared field that no document has yet stands for."""
        if shape.is_text(self.options):
            return TEXT
        prefix = self.options.attribute_prefix
        return ATTRIBUTE if prefix and shape.name.startswith(prefix) else ELEMENT

    def merge(self, other: "Schema") -> "Schema":
        """The schema of the documents of both; associative and commutative.

        Raises UsageError where both were declared differently, or read documents by different rules.
        """
        if not self.options.shapes_like(other.options):
            raise UsageError(
                f"schemas read with {self.options.as_dict()} and {other.options.as_dict()} cannot be merged; "
                f"discover both with the same options"
            )
        if self.declared is not None and other.declared is not None and self.declared != other.declared:
            raise UsageError("schemas with different declarations cannot be merged; declare after merging")
        return Schema(
            self.options.merged(other.options),
            self.seen.merge(other.seen),
            self.declared if self.declared is not None else other.declared,
            self.documents + other.documents,
        )

    def declare(self, text: str) -> "Schema":
        """Lay a declared schema (Spark DDL) over what was seen.

        Declared paths always exist, declared types of leaves win, declared arrays are always arrays, and what is
        declared once stands once: further occurrences are rescued. What else was seen stays. A leaf declared as a
        scalar that has attributes becomes a struct whose value tag has the declared type. Raises UsageError for text
        that is no schema.
        """
        return replace(self, declared=_laid(self.declared, struct_type(text)))

    def declare_xsd(self, source: Source, root: str | None = None) -> "Schema":
        """Lay an XSD (path or text) over what was seen: its types and arrays win, at any depth; the fields stay.

        A date or dateTime keeps the type of its texts, because only they tell whether there are time zones; what
        repeats against the XSD stays an array. Names match with or without their prefix. Raises UsageError for an XSD
        that cannot be read, or where the root element is not certain.
        """
        declared, arrays = struct_over_seen(source, self.options, root, self.seen, DEEPEST_STRUCT)
        options = replace(self.options, arrays=tuple(sorted({*self.options.arrays, *arrays})))
        return replace(self, options=options, declared=_laid(self.declared, declared))

    def diff(self, other: "Schema") -> pa.Table:
        """Drift from this schema to another: one row per path that is new, vanished or changed (before, after)."""
        before, after = self._types(), other._types()
        rows = [
            {"change": change, "path": dotted(path), "before": before.get(path), "after": after.get(path)}
            for path in sorted({*before, *after})
            if before.get(path) != after.get(path)
            for change in ["new" if path not in before else "vanished" if path not in after else "changed"]
        ]
        return pa.Table.from_pylist(rows, schema=CHANGES)

    def _types(self) -> dict[tuple[str, ...], str]:
        return {shape.path: shape.short_type for _, shape in self.shape.walk()}

    def to_json(self) -> str:
        """The schema as text, the same for the same schema; see `from_json`."""
        plain = {
            "format": FORMAT,
            "options": self.options.as_dict(),
            "documents": self.documents,
            "seen": self.seen.as_dict(),
            "declared": None if self.declared is None else ddl(self.declared),
        }
        return json.dumps(plain, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Schema":
        """The opposite of `to_json`. Raises UsageError for text of another form."""
        plain = _loaded(text)
        return cls(**{name: _part(plain, name) for name in _PARTS})

    @classmethod
    def from_ddl(cls, text: str, options: Options | None = None) -> "Schema":
        """A schema that is declared alone: exactly these fields, in this order. Raises UsageError."""
        return cls(options or Options(), declared=struct_type(text))

    @classmethod
    def from_xsd(cls, source: Source, options: Options | None = None, root: str | None = None) -> "Schema":
        """A schema that an XSD (path or text) declares for documents with the root element `root`.

        Without `root` it is the one that `options.roots` allows, or else the only global element that is not part of
        another. In Spark's dialect nobody chooses: without `root` there is one field per global element, as Spark's
        XSDToSchema gives it. Names have the prefixes that `options.namespaces` declares, else none. `merge` adds what
        was seen of documents. Raises UsageError for an XSD that cannot be read, or where the root is not certain.

        >>> Schema.from_xsd('''<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="part">
        ...   <xs:complexType><xs:sequence><xs:element name="size" type="xs:int" maxOccurs="9"/></xs:sequence>
        ...     <xs:attribute name="sold" type="xs:date"/></xs:complexType></xs:element></xs:schema>''').ddl
        'struct<size: array<int>, _sold: date>'
        """
        options = options or Options()
        return cls(options, declared=struct_of_xsd(source, options, root, DEEPEST_STRUCT))


def _declared(text: str | None) -> pa.StructType | None:
    return None if text is None else struct_type(text)


_PARTS: dict[str, Callable[[Any], Any]] = {
    "options": lambda plain: Options(**plain),
    "seen": Node.from_dict,
    "declared": _declared,
    "documents": operator.index,
}


def _loaded(text: str) -> dict[str, Any]:
    """The object of a schema's JSON."""
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise _no_schema(f"no JSON, or a part of it, up to line {error.lineno}, column {error.colno}") from error
    if not isinstance(plain, dict) or "format" not in plain:
        raise _no_schema("no format")
    if plain["format"] != FORMAT:
        raise _no_schema(f"format {plain['format']}")
    return plain


def _part(plain: dict[str, Any], name: str) -> Any:
    if name not in plain:
        raise _no_schema(f"no {name}")
    try:
        return _PARTS[name](plain[name])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_schema(f"{name} in another form") from error


def _no_schema(found: str) -> UsageError:
    return UsageError(
        f"not an XML schema in format {FORMAT}: found {found}; expected what Schema.to_json gave. Discover again."
    )


def _laid(below: pa.StructType | None, above: pa.StructType) -> pa.StructType:
    return above if below is None else _over(below, above)


def _over(below: pa.DataType, above: pa.DataType) -> pa.DataType:
    """Two declarations as one: the later word counts, what it does not name stays, an array stays one."""
    if pa.types.is_list(below) or pa.types.is_list(above):
        lower = below.value_type if pa.types.is_list(below) else below
        upper = above.value_type if pa.types.is_list(above) else above
        return pa.list_(pa.field("element", _over(lower, upper)))
    if not (pa.types.is_struct(below) and pa.types.is_struct(above)):
        return above
    fields = {fold(f.name): f for f in below}
    for f in above:
        known = fields.get(fold(f.name))
        fields[fold(f.name)] = f if known is None else pa.field(f.name, _over(known.type, f.type))
    return pa.struct(list(fields.values()))


def _declarations(node: Node, options: Options) -> dict[str, list[str]]:
    """The namespaces that elements of a path declare, by prefix."""
    xmlns = options.attribute_prefix + "xmlns"
    return {
        child.name.removeprefix(xmlns).removeprefix(":"): child.votes.extremes.examples
        for child in node.children.values()
        if child.name == xmlns or child.name.startswith(xmlns + ":")
    }


def counted_root(root: Node, name: str) -> None:
    """Count one document at the root of what was seen."""
    root.names[name] += 1
    root.kinds += Counter({ELEMENT: 1})
    root.documents += 1
