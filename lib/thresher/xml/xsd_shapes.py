"""Types laid together: where an XSD declares one name several times."""

import pyarrow as pa

from thresher.xml.structure import fold


def array(item: pa.DataType) -> pa.DataType:
    """An array of a type, unless it is one."""
    return item if pa.types.is_list(item) else pa.list_(pa.field("element", item))


def union(fields: list[pa.Field]) -> pa.StructType:
    """A struct in which names that are equal but for case stand once, as arrays."""
    found: dict[str, pa.Field] = {}
    for field in fields:
        key = fold(field.name)
        if key in found:
            field = pa.field(found[key].name, array(merged(found[key].type, field.type, "")))
        found[key] = field
    return pa.struct(list(found.values()))


def merged(left: pa.DataType, right: pa.DataType, value_tag: str) -> pa.DataType:
    """One type for two declarations of the same name."""
    if left == right:
        return left
    if pa.types.is_list(left) or pa.types.is_list(right):
        items = [kind.value_type if pa.types.is_list(kind) else kind for kind in (left, right)]
        return array(merged(items[0], items[1], value_tag))
    structs = [kind for kind in (left, right) if pa.types.is_struct(kind)]
    if not structs:
        return pa.string()
    if len(structs) == 1:
        scalar = right if structs[0] is left else left
        structs.append(pa.struct([(value_tag, scalar)]))
    fields = {fold(field.name): field for field in structs[0]}
    for field in structs[1]:
        known = fields.get(fold(field.name))
        kind = field.type if known is None else merged(known.type, field.type, value_tag)
        fields[fold(field.name)] = field.with_type(kind) if known is None else known.with_type(kind)
    return pa.struct(list(fields.values()))
