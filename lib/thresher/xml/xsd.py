"""An XSD → the struct of its documents."""

import pyarrow as pa

from thresher.errors import UsageError
from thresher.xml.options import Options
from thresher.xml.structure import fold, text_name
from thresher.xml.xsd_components import ELEMENT, Component, Components, parts_of
from thresher.xml.xsd_contents import Content, Contents, Held, Use
from thresher.xml.xsd_files import Source, xsd_files
from thresher.xml.xsd_shapes import array, merged, union

# Recursive vocabularies would give millions of fields; below the level that fits, elements are strings of XML.
MAX_FIELDS = 10_000


def struct_of_xsd(source: Source, options: Options, root: str | None, deepest: int) -> pa.StructType:
    """The struct of documents with the root element `root`, at most `deepest` levels deep.

    In Spark's dialect and without a root: one field per global element. Raises UsageError.

    >>> element = '<xs:element name="day" type="xs:date"/>'
    >>> text = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{element}</xs:schema>'
    >>> struct_of_xsd(text, Options(), None, 30), struct_of_xsd(text, Options.spark(), None, 30)
    (StructType(struct<_VALUE: date32[day]>), StructType(struct<day: date32[day]>))
    """
    components = Components(xsd_files(source))
    contents = Contents(components, options)
    if options.is_spark and root is None and not options.roots:
        own = [name for name in components.elements if components.found[ELEMENT, name].document.name == components.main]
        held = {contents.name(*parts_of(name)): contents.held_by(name) for name in sorted_as_java(own)}
    else:
        held = {"": contents.held_by(root_of(components, options, root))}
    fields = _expanded(contents, held, deepest)
    if "" not in fields:
        return pa.struct(list(fields.items()))
    item = fields[""]
    return item if pa.types.is_struct(item) else pa.struct([(options.value_tag, item)])


def root_of(components: Components, options: Options, root: str | None) -> str:
    """The global element that documents have as their root. Raises UsageError where that is not certain."""
    if root is None and len(options.roots) == 1:
        root = options.roots[0]
    if root is None:
        found = [name for name in components.elements if not _is_abstract(components, name)]
        if len(found) > 1:
            inside = components.references_to_elements()
            found = [name for name in found if name not in inside]
    else:
        declared = [name for kind, name in components.found if kind == ELEMENT]
        found = [name for name in declared if root == name] or [name for name in declared if root == parts_of(name)[1]]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(sorted(found or components.elements)) or "none that is global"
    wanted = "which element is the root is not certain" if root is None else f"there is no one root element {root!r}"
    raise UsageError(f"{components.main}: {wanted}; the XSD declares {listed}. Name one: root='…'.")


def _is_abstract(components: Components, name: str) -> bool:
    return components.found[ELEMENT, name].element.get("abstract") in ("true", "1")


def _expanded(contents: Contents, held: dict[str, Held], deepest: int) -> dict[str, pa.DataType]:
    """The types of some elements, as deep as there is room for."""
    fields: dict[str, pa.DataType] = {}
    for levels in range(1, deepest + 1):
        expansion = _Expansion(contents, levels)
        try:
            fields = {name: expansion.item(kind, ()) for name, kind in held.items()}
        except _TooWide:
            break
        if not expansion.is_cut:
            break
    if not fields:
        raise UsageError(
            f"{contents.components.main}: more than {MAX_FIELDS:,} fields stand directly below the root element; "
            f"expected fewer. Declare those that you need: Schema.from_ddl('id int, …')."
        )
    return fields


class _TooWide(Exception):
    """There would be more than MAX_FIELDS fields."""


class _Expansion:
    """Complex types as structs down to a level; an element inside one of its own type is a string of its XML."""

    def __init__(self, contents: Contents, levels: int) -> None:
        self.contents = contents
        self.options = contents.options
        self.levels = levels
        self.fields = 0
        self.is_cut = False

    def item(self, held: Held, above: tuple[object, ...]) -> pa.DataType:
        if not isinstance(held, Component):
            return held
        if held.element in above:
            return pa.string()
        if len(above) >= self.levels:
            self.is_cut = True
            return pa.string()
        return self.struct(self.contents.of(held), (*above, held.element))

    def struct(self, content: Content, above: tuple[object, ...]) -> pa.DataType:
        fields = [self.field(use, above) for use in (*content.children.values(), *content.attributes.values())]
        text = content.text
        if text is None and content.is_mixed and not self.options.is_spark:
            text = array(pa.string()) if content.children else pa.string()
        if text is not None:
            name = text_name([fold(field.name) for field in fields], self.options)
            fields.insert(0, pa.field(name, text))
        if not self.options.is_spark and (not fields or fields[0].name == self.options.value_tag and len(fields) == 1):
            return pa.string() if text is None else text
        self.fields += len(fields)
        if self.fields > MAX_FIELDS:
            raise _TooWide
        return union(fields)

    def field(self, use: Use, above: tuple[object, ...]) -> pa.Field:
        item = self.item(use.held[0], above)
        for held in use.held[1:]:
            item = merged(item, self.item(held, above), self.options.value_tag)
        return pa.field(use.name, array(item) if use.most > 1 else item)


def sorted_as_java(names: list[str]) -> list[str]:
    """Names in the order of a Java HashMap of qualified names, which is that of Spark's fields.

    >>> sorted_as_java(["foo", "bar"])
    ['bar', 'foo']
    """
    buckets = 16
    while len(names) > buckets * 3 // 4:
        buckets *= 2
    return sorted(names, key=lambda name: _java_spread(name) & (buckets - 1))


def _java_spread(name: str) -> int:
    uri, local = parts_of(name)
    code = _java_hash(uri) ^ _java_hash(local)
    return code ^ code >> 16


def _java_hash(text: str) -> int:
    code = 0
    for character in text:
        code = (31 * code + ord(character)) & 0xFFFFFFFF
    return code
