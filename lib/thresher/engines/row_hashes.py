"""The hash of all rows of a frame, in DuckDB's SQL: two frames have the same rows, or differ in it."""

import pyarrow as pa


def hash_of_rows(table: str, schema: pa.Schema) -> str:
    """A query for two sums over the rows of a table, whatever their order; a row that stands twice counts twice.

    Null equals null, NaN equals NaN, 0.0 equals -0.0, and the order of a map's entries does not matter.

    >>> hash_of_rows("t", pa.schema([("a", pa.int64())])).partition(" from ")[0]
    'select sum(md5_number_lower(hashes)), sum(md5_number_upper(hashes))'
    """
    hashes = _joined([_hash('"' + field.name.replace('"', '""') + '"', field.type, 0) for field in schema])
    row = f"select {hashes} as hashes from {table}"
    return f"select sum(md5_number_lower(hashes)), sum(md5_number_upper(hashes)) from ({row})"


def _hash(value: str, kind: pa.DataType, depth: int) -> str:
    """The hash of one value, never null.

    Hashes are joined as text: DuckDB 1.5.6 itself gives a null, an empty list and a struct of nulls one hash, and a
    list of one null that of a list which is null.
    """
    if pa.types.is_struct(kind):
        fields = [_hash(f"struct_extract({value}, {_text(f.name)})", f.type, depth) for f in kind]
        return f"hash(case when {value} is not null then {_joined(fields)} end)"
    if pa.types.is_map(kind):
        entry = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        return _hash(f"list_sort(map_entries({value}))", pa.list_(entry), depth)
    if pa.types.is_list(kind):
        element = f"e{depth}"
        return f"hash(list_transform({value}, lambda {element}: {_hash(element, kind.value_type, depth + 1)})::varchar)"
    # Of the decimals 0 and -1, both halves are alike, and so are the hashes.
    return f"hash({value}::varchar)" if pa.types.is_decimal(kind) else f"hash({value})"


def _joined(hashes: list[str]) -> str:
    return f"concat_ws(' ', {', '.join(hashes)})"


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
