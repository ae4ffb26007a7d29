"""Hashes: the digests md5 and sha, crc32, and Spark's own hash and xxhash64."""

import hashlib
import zlib
from functools import partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds  # noqa: F401 - it registers
from thresher.sql.allowed import MACROS, arrow_function, function
from thresher.sql.expressions import Expressions, Typed

_hashes = partial(function, group="Hashes")

# sha256 is DuckDB's own; NULL for a length that is none of SHA-2's.
MACROS["spark_sha2(s, bits)"] = (
    "CASE WHEN bits IN (0, 256) THEN sha256(s) WHEN bits IN (224, 384, 512) THEN spark_other_sha2(s, bits) END"
)


@_hashes("md5 sha sha1", 1, 1, "md5(s), sha(s), sha1(s)", "SELECT md5('a') AS a", note="Text or binary, as hex digits.")
def _digest(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    return Typed(f"{'md5' if name == 'md5' else 'sha1'}({_bytes(e, node, node.expressions[0])})", kinds.STRING)


@_hashes(
    "sha2",
    2,
    2,
    "sha2(s, bits)",
    "SELECT sha2('a', 256) AS a",
    note="Text or binary; 224, 256 (or 0), 384 or 512 bits, NULL for others.",
)
def _sha2(e: Expressions, node: exp.Anonymous) -> Typed:
    value, length = node.expressions
    bits = e.coerce(node, e.expr(length), kinds.INT, "the length of sha2")
    return Typed(f"spark_sha2({_bytes(e, node, value)}, {bits.sql})", kinds.STRING)


@_hashes("crc32", 1, 1, "crc32(s) → bigint", "SELECT crc32('a') AS a", note="Text or binary.")
def _crc32(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_crc32({_bytes(e, node, node.expressions[0])})", kinds.BIGINT)


def _bytes(e: Expressions, node: exp.Anonymous, argument: exp.Expr) -> str:
    """A text or binary as its bytes; Spark takes nothing else."""
    value = e.expr(argument)
    if value.kind not in (kinds.STRING, kinds.BINARY, kinds.VOID):
        e.wrong(node, f"{node.name} of a {kinds.in_spark(value.kind)}; expected a string or binary.")
    return f"encode({value.sql})" if value.kind == kinds.STRING else e.cast(value, kinds.BINARY).sql


@_hashes(
    "hash xxhash64",
    1,
    -1,
    "hash(a, b, …) → int, xxhash64(a, b, …) → bigint",
    "SELECT xxhash64('a', 1) AS a",
    note="Spark's own hashes of all types but maps; NULLs are skipped.",
)
def _row_hash(e: Expressions, node: exp.Anonymous) -> Typed:
    name = node.name.lower()
    values = e.exprs(node.expressions)
    for value in values:
        if _has_map(value.kind):
            e.wrong(node, f"{name} of a {kinds.in_spark(value.kind)}; a map has no hash, expected another type.")
    arguments = ", ".join(f"CAST({value.sql} AS {kinds.in_duckdb(value.kind)})" for value in values)
    return Typed(f"spark_{name}({arguments})", kinds.INT if name == "hash" else kinds.BIGINT)


def _has_map(kind: pa.DataType) -> bool:
    if kinds.is_array(kind):
        return _has_map(kind.value_type)
    return any(_has_map(field.type) for field in kind) if kinds.is_struct(kind) else kinds.is_map(kind)


@arrow_function("spark_other_sha2", ["BLOB", "INTEGER"], "VARCHAR")
def _other_sha2(values: pa.Array, lengths: pa.Array) -> pa.Array:
    # DuckDB may compute both branches of a CASE: whatever is no length gives NULL here too.
    known = {224: hashlib.sha224, 384: hashlib.sha384, 512: hashlib.sha512}
    return pa.array(
        [
            known[bits.as_py()](value.as_buffer()).hexdigest() if value.is_valid and bits.as_py() in known else None
            for value, bits in zip(values, lengths, strict=True)
        ],
        pa.string(),
    )


@arrow_function("spark_crc32", ["BLOB"], "BIGINT")
def _crc32_of(values: pa.Array) -> pa.Array:
    return pa.array([None if value is None else zlib.crc32(value) for value in values.to_pylist()], pa.int64())
