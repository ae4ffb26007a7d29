"""Which fields documents have: what was seen of every path and declared over it, as scalars, structs and arrays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from thresher.types import ddl
from thresher.xml.options import Options, path_parts
from thresher.xml.structure import ELEMENT, TEXT_KEY, Node, fold, text_key, text_name

# Arrow hands over at most 64 levels of types; an array of structs takes two.
DEEPEST_STRUCT = 30
# Each occurrence of an element has a place for every child that one of them has: data as names would fill all memory.
MOST_CHILDREN = 2_000


@dataclass(frozen=True)
class Shape:
    """One field as it will stand in the values: a scalar (learnt or declared) or a struct, or an array of it.

    `takes_text`: the text of the element around it goes there; `takes_names`: attributes and children of its name do.
    """

    path: tuple[str, ...]
    node: Node
    is_array: bool
    item: pa.DataType
    fields: "tuple[Shape, ...]" = ()
    is_learnt: bool = False
    takes_text: bool = False
    takes_names: bool = True

    @property
    def name(self) -> str:
        return self.path[-1] if self.path else ""

    @property
    def type(self) -> pa.DataType:
        return pa.list_(pa.field("element", self.item)) if self.is_array else self.item

    @property
    def short_type(self) -> str:
        item = "struct" if pa.types.is_struct(self.item) else ddl(self.item)
        return f"array<{item}>" if self.is_array else item

    def is_text(self, options: Options) -> bool:
        """Whether it has the name of text."""
        return self.takes_text and self.name.startswith(options.value_tag)

    def walk(self) -> "Iterator[tuple[Shape, Shape]]":
        """Every field below this one with its parent, parents first."""
        for shape in self.fields:
            yield self, shape
            yield from shape.walk()


class Resolver:
    """Decides scalar, struct or array for every path from what was seen and declared."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.value_tag = fold(options.value_tag)
        self.arrays = {tuple(map(fold, path_parts(path))) for path in options.arrays}

    def field(self, path: tuple[str, ...], node: Node, declared: pa.DataType | None) -> Shape:
        is_array = (node.repeats > 1 and declared is None) or tuple(map(fold, path)) in self.arrays
        if declared is not None and pa.types.is_list(declared):
            is_array, declared = True, declared.value_type
        return replace(self.item(path, node, declared), is_array=is_array)

    def item(self, path: tuple[str, ...], node: Node, declared: pa.DataType | None) -> Shape:
        if declared is not None and pa.types.is_struct(declared):
            return self.struct(path, node, declared)
        if declared is not None and pa.types.is_map(declared):
            return Shape(path, node, False, declared)
        if (len(path) >= DEEPEST_STRUCT or len(node.children) > MOST_CHILDREN) and node.children:
            return Shape(path, node, False, pa.string())
        if self.is_scalar(node, declared):
            learnt = pa.string() if node.children else node.votes.type(self.options)
            return Shape(path, node, False, learnt if declared is None else declared, is_learnt=declared is None)
        name = self.text_name(node.fields(self.options), {})
        return self.struct(path, node, None if declared is None else pa.struct([(name, declared)]))

    def is_scalar(self, node: Node, declared: pa.DataType | None) -> bool:
        if not node.children:
            return True
        if declared is not None and pa.types.is_string(declared):
            # A subtree read as a string is its XML; attributes alone are no subtree.
            return any(ELEMENT in child.kinds for child in node.children.values())
        # Spark gives up on a struct that is also a scalar, unless text stands in the struct: then it reads XML text.
        return self.options.is_spark and declared is None and node.bare > 0 and self.value_tag not in node.children

    def struct(self, path: tuple[str, ...], node: Node, declared: pa.StructType | None) -> Shape:
        seen = node.fields(self.options)
        if node.bare and not seen:
            # Declared as a struct, seen as a text alone: the text is the struct's.
            seen = replace(node, children={text_key(self.options): Node()}).fields(self.options)
        wanted = {} if declared is None else {fold(f.name): f for f in declared}
        text = self.text_name(seen, wanted)
        has_text = TEXT_KEY in seen
        named = {key or fold(text): child for key, child in seen.items()}
        fields = []
        for key in dict.fromkeys([*wanted, *named]):
            child = named.get(key) or Node()
            name = wanted[key].name if key in wanted else text if has_text and key == fold(text) else child.name
            shape = self.field((*path, name), child, wanted[key].type if key in wanted else None)
            fields.append(self.placed(shape, text, has_text))
        if seen:
            fields.sort(key=lambda shape: shape.path[-1])
        item = pa.struct([pa.field(shape.path[-1], shape.type) for shape in fields])
        return Shape(path, node, False, item, tuple(fields))

    def text_name(self, seen: Mapping[str, Node], wanted: Mapping[str, pa.Field]) -> str:
        """The name of an element's text beside what was seen and what is declared in it."""
        name = text_name([key for key in seen if key != TEXT_KEY], self.options)
        # Who declares several such names has them from a learnt schema.
        while not self.options.is_spark and {fold(name), fold(f"{name}_")} <= wanted.keys():
            name += "_"
        return name

    def placed(self, shape: Shape, text: str, has_text: bool) -> Shape:
        """The field, and what goes there; one that is declared in another spelling than the text's takes all."""
        if self.options.is_spark:
            return replace(shape, takes_text=shape.name == text)
        takes_text = fold(shape.name) == fold(text)
        return replace(shape, takes_text=takes_text, takes_names=not takes_text or not (has_text or shape.name == text))
