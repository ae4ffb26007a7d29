"""Memory and vector instructions for the compiled loops: addresses are int64, a block is 32 bytes.

Loads read up to 32 bytes from an address, whatever lies there: whoever calls keeps that many readable.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import extending, types
from numba.core import cgutils

from thresher.compiled import compiled

# numba links functions whose code has been generated into others, and optimizes those again. Code generation would
# write addresses that are numbers as offsets from null, and the second optimization takes such loads for unreachable.
binding.set_option("thresher", "-addr-sink-using-gep=false")

BLOCK = 32

_BYTE, _SHORT, _HALF, _INT, _WIDE = (ir.IntType(bits) for bits in (8, 16, 32, 64, 128))
_FLOAT, _DOUBLE = ir.FloatType(), ir.DoubleType()
_LANES = ir.VectorType(_BYTE, BLOCK)
_WORD, _REAL, _NOTHING = types.int64, types.float64, types.void


def _instruction(result: types.Type, *arguments: types.Type) -> Callable[[Callable[..., Any]], Any]:
    """A function for compiled code, given by what it builds: (builder, *arguments) → its value."""

    def made(code: Callable[..., Any]) -> Any:
        def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = code(builder, *args)
            return context.get_dummy_value() if value is None else value

        typed = (result(*arguments), lower)
        by_count: dict[int, Callable[..., Any]] = {
            1: lambda typingctx, a: typed,
            2: lambda typingctx, a, b: typed,
            3: lambda typingctx, a, b, c: typed,
            4: lambda typingctx, a, b, c, d: typed,
        }
        return extending.intrinsic(by_count[len(arguments)])

    return made


def _at(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _load(builder: Any, address: Any, kind: Any) -> Any:
    return builder.load(_at(builder, address, kind), align=1)


def _store(builder: Any, address: Any, value: Any, kind: Any) -> None:
    builder.store(value, _at(builder, address, kind), align=1)


def _mask(comparison: str) -> Any:
    def mask(builder: Any, address: Any, byte: Any) -> Any:
        nowhere = ir.Constant(_LANES, ir.Undefined)
        one = builder.insert_element(nowhere, builder.trunc(byte, _BYTE), ir.Constant(_HALF, 0))
        everywhere = builder.shuffle_vector(one, nowhere, ir.Constant(ir.VectorType(_HALF, BLOCK), [0] * BLOCK))
        bits = builder.icmp_unsigned(comparison, _load(builder, address, _LANES), everywhere)
        return builder.zext(builder.bitcast(bits, ir.IntType(BLOCK)), _INT)

    return _instruction(_WORD, _WORD, _WORD)(mask)


equal_mask = _mask("==")  # (address, byte) → a bit per byte of the block that equals it
above_mask = _mask(">")
below_mask = _mask("<")


@_instruction(_WORD, _WORD)
def word(builder: Any, value: Any) -> Any:
    """The value itself, as any word: numba compiles a function anew for every constant that it is called with."""
    return value


@_instruction(_WORD, _WORD)
def load_byte(builder: Any, address: Any) -> Any:
    """The byte at an address."""
    return builder.zext(_load(builder, address, _BYTE), _INT)


@_instruction(_WORD, _WORD)
def load_word(builder: Any, address: Any) -> Any:
    """The eight bytes at an address."""
    return _load(builder, address, _INT)


@_instruction(_REAL, _WORD)
def load_double(builder: Any, address: Any) -> Any:
    """The double at an address."""
    return _load(builder, address, _DOUBLE)


def _storing(kind: Any) -> Any:
    def store(builder: Any, address: Any, value: Any) -> None:
        _store(builder, address, value if kind is _INT else builder.trunc(value, kind), kind)

    return _instruction(_NOTHING, _WORD, _WORD)(store)


store_byte, store_short, store_int, store_word = (_storing(kind) for kind in (_BYTE, _SHORT, _HALF, _INT))


@_instruction(_NOTHING, _WORD, _REAL)
def store_double(builder: Any, address: Any, value: Any) -> None:
    """Write a double at an address."""
    _store(builder, address, value, _DOUBLE)


@_instruction(_NOTHING, _WORD, _REAL)
def store_float(builder: Any, address: Any, value: Any) -> None:
    """Write a double at an address, as a float of four bytes."""
    _store(builder, address, builder.fptrunc(value, _FLOAT), _FLOAT)


@_instruction(_NOTHING, _WORD, _WORD)
def copy_block(builder: Any, target: Any, source: Any) -> None:
    """Copy 32 bytes."""
    _store(builder, target, _load(builder, source, _LANES), _LANES)


def row_of_words() -> tuple[Any, Any]:
    """Two functions for a row of words: (address, word) → value, and one that writes it."""

    def place(builder: Any, row: Any, word: Any) -> Any:
        return builder.add(row, builder.shl(word, ir.Constant(_INT, 3)))

    def get(builder: Any, row: Any, word: Any) -> Any:
        return _load(builder, place(builder, row, word), _INT)

    def put(builder: Any, row: Any, word: Any, value: Any) -> None:
        _store(builder, place(builder, row, word), value, _INT)

    return _instruction(_WORD, _WORD, _WORD)(get), _instruction(_NOTHING, _WORD, _WORD, _WORD)(put)


def table(words: int) -> tuple[Any, Any]:
    """Two functions for a table with rows of so many words: (address, row, word) → value, and one that writes it."""

    def place(builder: Any, address: Any, row: Any, word: Any) -> Any:
        at = builder.add(builder.mul(row, ir.Constant(_INT, words)), word)
        return builder.add(address, builder.shl(at, ir.Constant(_INT, 3)))

    def get(builder: Any, address: Any, row: Any, word: Any) -> Any:
        return _load(builder, place(builder, address, row, word), _INT)

    def put(builder: Any, address: Any, row: Any, word: Any, value: Any) -> None:
        _store(builder, place(builder, address, row, word), value, _INT)

    return _instruction(_WORD, _WORD, _WORD, _WORD)(get), _instruction(_NOTHING, _WORD, _WORD, _WORD, _WORD)(put)


@_instruction(_WORD, _WORD)
def first_bit(builder: Any, mask: Any) -> Any:
    """The number of the lowest bit of a mask that is not 0."""
    return builder.cttz(mask, ir.Constant(ir.IntType(1), 1))


@_instruction(_WORD, _WORD)
def last_bit(builder: Any, mask: Any) -> Any:
    """The number of the highest bit of a mask that is not 0."""
    return builder.sub(ir.Constant(_INT, 63), builder.ctlz(mask, ir.Constant(ir.IntType(1), 1)))


@_instruction(_WORD, _WORD)
def ordered(builder: Any, word: Any) -> Any:
    """A number that is less, for the first eight bytes of one text, than for those of another that comes after it."""
    return builder.xor(builder.bswap(word), ir.Constant(_INT, 1 << 63))


# To numba's own `+` and `*` a result of more than 64 bits cannot be: the code around is optimized away by that.
@_instruction(_WORD, _WORD, _WORD)
def wrapped_sum(builder: Any, one: Any, two: Any) -> Any:
    """The lower 64 bits of a sum."""
    return builder.add(one, two)


@_instruction(_WORD, _WORD, _WORD)
def wrapped_product(builder: Any, one: Any, two: Any) -> Any:
    """The lower 64 bits of a product."""
    return builder.mul(one, two)


@_instruction(_WORD, _WORD, _WORD)
def unsigned_product_high(builder: Any, one: Any, two: Any) -> Any:
    """The upper 64 bits of the product of two unsigned words."""
    product = builder.mul(builder.zext(one, _WIDE), builder.zext(two, _WIDE))
    return builder.trunc(builder.lshr(product, ir.Constant(_WIDE, 64)), _INT)


@_instruction(_REAL, _WORD, _WORD)
def read_double(builder: Any, address: Any, length: Any) -> Any:
    """The double next to a number written at an address, by the C library; NaN where it reads less than all of it.

    It stops early where the process has set a locale with another decimal point.
    """
    pointer = _BYTE.as_pointer()
    strtod: Any = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, ir.FunctionType(_DOUBLE, [pointer, pointer.as_pointer()]), "strtod"
    )
    stop: Any = cgutils.alloca_once(builder, pointer)  # type: ignore[no-untyped-call]
    value = builder.call(strtod, [_at(builder, address, _BYTE), stop])
    is_whole = builder.icmp_unsigned("==", builder.ptrtoint(builder.load(stop), _INT), builder.add(address, length))
    return builder.select(is_whole, value, ir.Constant(_DOUBLE, float("nan")))


@compiled
def same_bytes(one: int, two: int, length: int) -> bool:
    """Whether two stretches of memory are equal."""
    at = 0
    while at + 8 <= length:
        if load_word(one + at) != load_word(two + at):
            return False
        at += 8
    while at < length:
        if load_byte(one + at) != load_byte(two + at):
            return False
        at += 1
    return True


@compiled
def same_name(one: int, two: int, length: int) -> bool:
    """Whether two names are equal; faster than `same_bytes` for up to sixteen bytes."""
    differ = load_word(one) ^ load_word(two)
    if length < 8:
        return differ & ((1 << (8 * length)) - 1) == 0
    if differ or load_word(one + length - 8) != load_word(two + length - 8):
        return False
    return length <= 16 or same_bytes(one, two, length)


@compiled
def compare_texts(one: int, length: int, two: int, other_length: int) -> int:
    """Below, at or above 0 where the first text is before, equal to or after the second, by its bytes."""
    shorter = min(length, other_length)
    at = 0
    while at < shorter:
        first, second = load_word(one + at), load_word(two + at)
        if first != second:
            place = at + (first_bit(first ^ second) >> 3)
            if place < shorter:
                return load_byte(one + place) - load_byte(two + place)
            break
        at += 8
    return length - other_length


@compiled
def copy_bytes(target: int, source: int, length: int) -> None:
    """Copy a stretch of memory; up to 31 bytes after the target's end are overwritten, too."""
    at = 0
    while at < length:
        copy_block(target + at, source + at)
        at += BLOCK
