"""An XSD over what was seen of documents: its types along their paths."""

import pyarrow as pa

from thresher.types import TIMESTAMP
from thresher.xml.options import Options, dotted
from thresher.xml.structure import ATTRIBUTE, ELEMENT, TEXT_KEY, Node, fold, text_key, text_name
from thresher.xml.xsd import root_of
from thresher.xml.xsd_components import Component, Components, parts_of
from thresher.xml.xsd_contents import Contents, Use, Uses
from thresher.xml.xsd_files import Source, xsd_files
from thresher.xml.xsd_shapes import array

_MOMENTS = (pa.date32(), TIMESTAMP)


def struct_over_seen(
    source: Source, options: Options, root: str | None, seen: Node, deepest: int
) -> tuple[pa.StructType, tuple[str, ...]]:
    """What an XSD says about the paths that were seen: declared types, and the paths that are arrays of learnt types.

    A date or dateTime keeps the type of its texts, because only they tell whether there are time zones.
    """
    components = Components(xsd_files(source))
    contents = Contents(components, options)
    if root is None:
        local = {fold(name.rpartition(":")[2]) for name in seen.names}
        known = [name for name in components.elements if fold(parts_of(name)[1]) in local]
        root = known[0] if len(known) == 1 else None
    held = contents.held_by(root_of(components, options, root))
    overlay = _Overlay(contents, deepest)
    declared = overlay.struct(held, seen, ()) if isinstance(held, Component) else None
    return pa.struct([]) if declared is None else declared, tuple(overlay.arrays)


class _Overlay:
    """An XSD's types along the paths that were seen, however deep its types nest."""

    def __init__(self, contents: Contents, deepest: int) -> None:
        self.contents = contents
        self.options = contents.options
        self.deepest = deepest
        self.arrays: list[str] = []

    def struct(self, held: Component, node: Node, path: tuple[str, ...]) -> pa.StructType | None:
        content = self.contents.of(held)
        uses = content.children | content.attributes
        fields = [
            field
            for key, child in sorted(node.children.items())
            if key != TEXT_KEY
            and (use := self._use(uses, key, child)) is not None
            and (field := self.field(use, child, (*path, child.name))) is not None
        ]
        has_text = node.bare > 0 or text_key(self.options) in node.children
        if has_text and content.text is not None and not _is_moment(content.text):
            fields.insert(0, pa.field(text_name(node.children, self.options), content.text))
        return pa.struct(fields) if fields else None

    def field(self, use: Use, node: Node, path: tuple[str, ...]) -> pa.Field | None:
        # What repeats against the XSD is an array all the same: nothing must be lost.
        is_array = use.most > 1 or node.repeats > 1
        item = self.item(use, node, path)
        if item is not None:
            return pa.field(path[-1], array(item) if is_array else item)
        if is_array:
            self.arrays.append(dotted(path))
        return None

    def item(self, use: Use, node: Node, path: tuple[str, ...]) -> pa.DataType | None:
        """The declared type; None where what was seen decides."""
        if len(use.held) > 1 or len(path) >= self.deepest:
            return None
        held = use.held[0]
        if isinstance(held, Component):
            if node.children:
                return self.struct(held, node, path)
            held = self.contents.of(held).text
        has_children = any(ELEMENT in child.kinds for child in node.children.values())
        if held is None or has_children or (_is_moment(held) and node.votes.kinds):
            return None
        return held

    def _use(self, uses: Uses, key: str, node: Node) -> Use | None:
        """The XSD's word on a field: of the same name, else of the same local name."""
        prefix = self.options.attribute_prefix if ATTRIBUTE in node.kinds else ""
        local = fold(prefix + node.name.removeprefix(prefix).rpartition(":")[2])
        return uses.get(key) or uses.get(local)


def _is_moment(kind: pa.DataType) -> bool:
    return kind in _MOMENTS
