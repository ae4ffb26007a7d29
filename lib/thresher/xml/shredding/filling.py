"""From the tape to columns: each value is written to its place once, by the rules of its type.

A column of nothing but nulls takes no memory; a value that is not plainly of its type is noted for the
reference (see settling.py).
"""

from thresher.compiled import compiled, entry
from thresher.xml.shredding.machine import (
    BLOCK,
    copy_block,
    copy_bytes,
    load_byte,
    load_word,
    store_byte,
    store_double,
    store_float,
    store_int,
    store_short,
    store_word,
    unsigned_product_high,
    word,
    wrapped_product,
    wrapped_sum,
)
from thresher.xml.shredding.scanning import skip_blanks
from thresher.xml.shredding.tables import (
    DOCUMENT,
    FROM_ATTRIBUTE,
    IS_NIL,
    IS_SPARK,
    KIND_MASK,
    NOTE_WORDS,
    NOTED_CODE,
    NOTED_DOCUMENT,
    NOTED_ROW,
    NOTED_SPAN,
    NULL_LENGTH,
    RAW,
    READ,
    START,
    STRAY,
    VALUES,
    get,
    get_name,
    put_name,
    set_setting,
    setting,
)
from thresher.xml.shredding.texts import is_null_text, text_of
from thresher.xml.shredding.values import (
    EXACT_DIGITS,
    FIRST_DIGITS,
    NO_DATE,
    NO_MOMENT,
    ONLY_ZONE,
    boolean_value,
    date_value,
    double_value,
    moment_value,
    number_parts,
)

# --- columns: sixteen words a field
(
    TYPE,
    IS_STRICT,
    WIDTH,  # bits of a whole number; digits of a decimal; of a timestamp: whether a zone needs seconds before it
    SCALE,  # of a decimal; of a whole number: whether the least one is refused
    ROWS,  # in which counter the field's rows are counted
    ITEMS,  # of an array: in which counter its items are
    VALIDITY,  # addresses of the buffers, 0 where the column has none
    VALUES_AT,  # values, or offsets of texts
    CURSOR,  # where the next text is written
    TEXTS_AT,
    DONE,  # rows that are written: up to the last that is not null
    NULLS,  # rows among them that are null
    LIST_VALIDITY,
    LIST_OFFSETS,
    LIST_DONE,
    LIST_NULLS,
) = range(16)
(
    NESTED,
    STRING,
    WHOLE,
    DOUBLE,
    FLOAT,
    DECIMAL,
    BOOLEAN,
    DATE,
    MOMENT,
    LOCAL_MOMENT,
    FOREIGN,  # a type or a form that only the reference reads
) = range(11)
_TENS = tuple(10**power for power in range(19))
_TOP = -(1 << 63)  # flips the order of signed words into that of unsigned ones


@compiled
def set_bit(bits: int, row: int) -> None:
    """Mark a row as valid."""
    at = bits + (row >> 3)
    store_byte(at, load_byte(at) | (1 << (row & 7)))


@compiled
def clear_bits(bits: int, first: int, last: int) -> None:
    """Mark the rows from first to before last as null."""
    while first < last and first & 7:
        store_byte(bits + (first >> 3), load_byte(bits + (first >> 3)) & ~(1 << (first & 7)))
        first += 1
    while first + 8 <= last:
        store_byte(bits + (first >> 3), 0)
        first += 8
    while first < last:
        store_byte(bits + (first >> 3), load_byte(bits + (first >> 3)) & ~(1 << (first & 7)))
        first += 1


@compiled
def fill_offsets(offsets: int, first: int, last: int, value: int) -> None:
    """Write an offset for the rows from first to before last."""
    for row in range(first, last):
        store_int(offsets + 4 * row, value)


@compiled
def skip_rows(columns: int, field: int, done: int, row: int) -> None:
    """Leave the rows between the last written one and another null."""
    clear_bits(get_name(columns, field, VALIDITY), done, row)
    put_name(columns, field, NULLS, get_name(columns, field, NULLS) + row - done)
    if get_name(columns, field, TYPE) == STRING:
        fill_offsets(get_name(columns, field, VALUES_AT), done, row, get_name(columns, field, CURSOR))


@compiled
def stands(columns: int, field: int, row: int) -> None:
    """A row is not null."""
    done = get_name(columns, field, DONE)
    if done != row:
        skip_rows(columns, field, done, row)
    put_name(columns, field, DONE, row + 1)


@compiled
def skip_lists(columns: int, field: int, done: int, row: int, count: int) -> None:
    """Leave the lists between the last written one and another null; its first item will be number `count`."""
    clear_bits(get_name(columns, field, LIST_VALIDITY), done, row)
    put_name(columns, field, LIST_NULLS, get_name(columns, field, LIST_NULLS) + row - done)
    fill_offsets(get_name(columns, field, LIST_OFFSETS), done, row, count)


@compiled
def next_row(columns: int, field: int, counters: int) -> int:
    """The row in which an occurrence of a field stands; a new item where the field is an array."""
    row = load_word(counters + 8 * get_name(columns, field, ROWS)) - 1
    items = get_name(columns, field, ITEMS)
    if items < 0:
        return row
    count = load_word(counters + 8 * items)
    done = get_name(columns, field, LIST_DONE)
    if row >= done:
        if row > done:
            skip_lists(columns, field, done, row, count)
        store_int(get_name(columns, field, LIST_OFFSETS) + 4 * row, count)
        put_name(columns, field, LIST_DONE, row + 1)
    store_word(counters + 8 * items, count + 1)
    return count


@compiled
def write_text(columns: int, field: int, row: int, address: int, length: int) -> None:
    """Write a text."""
    stands(columns, field, row)
    cursor = get_name(columns, field, CURSOR)
    store_int(get_name(columns, field, VALUES_AT) + 4 * row, cursor)
    target = get_name(columns, field, TEXTS_AT) + cursor
    copy_block(target, address)
    if length > BLOCK:
        copy_bytes(target + BLOCK, address + BLOCK, length - BLOCK)
    put_name(columns, field, CURSOR, cursor + length)


@compiled
def times_ten(high: int, low: int, power: int) -> tuple[int, int]:
    """A number of 128 bits × 10^power."""
    while power > 0:
        step = min(power, 18)
        ten = _TENS[step]
        high = wrapped_sum(wrapped_product(high, ten), unsigned_product_high(low, ten))
        low = wrapped_product(low, ten)
        power -= step
    return high, low


@compiled
def write_decimal(address: int, number: int, more: int, count: int, power: int, negative: int) -> None:
    """Write digits × 10^power as a decimal of 128 bits."""
    high, low = word(0), number
    if count > FIRST_DIGITS:
        high, low = times_ten(high, low, count - FIRST_DIGITS)
        low = wrapped_sum(low, more)
        # Whether the sum of two unsigned words has carried.
        high += 1 if low ^ _TOP < more ^ _TOP else 0
    high, low = times_ten(high, low, power)
    if negative:
        low = wrapped_sum(~low, 1)
        high = ~high + (1 if low == 0 else 0)
    store_word(address, low)
    store_word(address + 8, high)


@compiled
def write_number(columns: int, field: int, kind: int, row: int, address: int, length: int) -> bool:
    """Write a number of any type; False where it is not plainly one, or does not fit."""
    is_strict = get_name(columns, field, IS_STRICT)
    number, more, count, scale, exponent, negative = number_parts(address, length, is_strict)
    if count < 0:
        return False
    place, width = get_name(columns, field, VALUES_AT), get_name(columns, field, WIDTH)
    if kind == WHOLE:
        # A point shows in the text alone: `5.` has no digits after it. Nineteen digits may be more than a word holds.
        if scale or exponent or load_byte(address + length - 1) == 46 or count > FIRST_DIGITS or number < 0:
            return False
        limit = 1 << (width - 1)
        if width < 64 and number >= limit + (0 if get_name(columns, field, SCALE) else negative):
            return False
        number = -number if negative else number
        if width == 64:
            store_word(place + 8 * row, number)
        elif width == 32:
            store_int(place + 4 * row, number)
        elif width == 16:
            store_short(place + 2 * row, number)
        else:
            store_byte(place + row, number)
        return True
    if kind == DECIMAL:
        digits = get_name(columns, field, SCALE)
        while scale > digits and count < FIRST_DIGITS and number % 10 == 0:
            number, scale, count = number // 10, scale - 1, count - (1 if number else 0)
        if exponent or scale > digits or count + digits - scale > width:
            return False
        write_decimal(place + 16 * row, number, more, count, digits - scale, negative)
        return True
    if is_strict and (count > EXACT_DIGITS or abs(exponent >> 1) >= 285):
        return False
    value = double_value(address, length, number, count, scale, exponent, negative)
    if value - value != 0:  # none, or infinite
        return False
    if kind == DOUBLE:
        store_double(place + 8 * row, value)
    else:
        store_float(place + 4 * row, value)
    return True


@compiled
def write_moment(columns: int, field: int, kind: int, row: int, address: int, length: int) -> bool:
    """Write a date or timestamp; False where it is not plainly one."""
    place, is_strict = get_name(columns, field, VALUES_AT), get_name(columns, field, IS_STRICT)
    if kind == DATE:
        days = date_value(address, length)
        if days != NO_DATE:
            store_int(place + 4 * row, days)
        return days != NO_DATE
    moment, has_zone = moment_value(address, length)
    if moment == NO_MOMENT and kind == LOCAL_MOMENT:
        days = date_value(address, length)
        if days == NO_DATE:
            return False
        moment = days * 86_400_000_000
    if has_zone == ONLY_ZONE and get_name(columns, field, WIDTH):
        return False
    if moment == NO_MOMENT or (has_zone and kind == LOCAL_MOMENT) or (is_strict and kind == MOMENT and not has_zone):
        return False
    store_word(place + 8 * row, moment)
    return True


@compiled
def write_scalar(columns: int, field: int, kind: int, row: int, address: int, length: int) -> bool:
    """Write a value that is no text; False where it is not plainly of its type."""
    if kind == WHOLE or kind == DECIMAL or kind == DOUBLE or kind == FLOAT:
        return write_number(columns, field, kind, row, address, length)
    if kind == BOOLEAN:
        truth = boolean_value(address, length, get_name(columns, field, IS_STRICT))
        if truth == 1:
            set_bit(get_name(columns, field, VALUES_AT), row)
        return truth >= 0
    if kind == FOREIGN:
        return False
    return write_moment(columns, field, kind, row, address, length)


@compiled
def write_value(
    settings: int, columns: int, field: int, row: int, flags: int, address: int, length: int, scratch: int
) -> bool:
    """Write one value of a field in its row, or leave it null; False where the reference must judge it."""
    if flags & IS_NIL:
        return True
    address, length = text_of(settings, scratch, address, length, flags)
    if is_null_text(settings, address, length):
        return True
    kind = get_name(columns, field, TYPE)
    if kind == STRING:
        write_text(columns, field, row, address, length)
    else:
        if skip_blanks(address, address + length) == address + length:
            # Blank text is no value; only Spark's attributes are cast even so.
            return not (flags & FROM_ATTRIBUTE and setting(settings, IS_SPARK))
        if not write_scalar(columns, field, kind, row, address, length):
            return False
        stands(columns, field, row)
    return True


@compiled
def stray_row(columns: int, field: int, counters: int) -> int:
    """The row of the field in which a stray stands; a scalar's value comes after its attributes."""
    items = get_name(columns, field, ITEMS)
    if items < 0:
        return load_word(counters + 8 * get_name(columns, field, ROWS)) - 1
    return load_word(counters + 8 * items) - (1 if get_name(columns, field, TYPE) == NESTED else 0)


@compiled
def note_down(notes: int, code: int, span: int, document: int, row: int) -> int:
    """Write a note; where the next one goes."""
    set_setting(notes, NOTED_CODE, code)
    set_setting(notes, NOTED_SPAN, span)
    set_setting(notes, NOTED_DOCUMENT, document)
    set_setting(notes, NOTED_ROW, row)
    return notes + 8 * NOTE_WORDS


@entry
def fill(
    settings: int,
    base: int,
    columns: int,
    counters: int,
    tape: int,
    end: int,
    scratch: int,
    notes: int,
) -> int:
    """The entries of a tape → columns, and notes of what the reference must judge; where these end.

    The row of a value that is noted has room for it, and counts as valid.
    """
    document = 0
    null_length = setting(settings, NULL_LENGTH)
    while tape < end:
        code, span = load_word(tape), load_word(tape + 8)
        kind, field = code & KIND_MASK, code >> 8
        tape += 16
        if kind == DOCUMENT:
            document = load_word(counters)
            store_word(counters, document + 1)
            if span == READ:
                stands(columns, word(0), document)
            continue
        if kind >= STRAY:
            notes = note_down(notes, code, span, document, stray_row(columns, field, counters))
            continue
        row = next_row(columns, field, counters)
        address, length = base + (span >> 32), span & 0xFFFFFFFF
        if kind == START:
            stands(columns, field, row)
        elif get_name(columns, field, TYPE) == STRING and code & (RAW | IS_NIL) == 0 and length != null_length:
            write_text(columns, field, row, address, length)
        elif not write_value(settings, columns, field, row, code, address, length, scratch):
            stands(columns, field, row)
            notes = note_down(notes, code, span, document, row)
    return notes


@entry
def finish(columns: int, fields: int, count: int, counters: int) -> None:
    """Write what comes after the last value of every column that has one."""
    for field in range(count):
        if get(fields, field, VALUES) == 0 and field:
            continue
        rows = load_word(counters + 8 * get_name(columns, field, ROWS))
        items = get_name(columns, field, ITEMS)
        if items >= 0:
            total = load_word(counters + 8 * items)
            skip_lists(columns, field, get_name(columns, field, LIST_DONE), rows, total)
            store_int(get_name(columns, field, LIST_OFFSETS) + 4 * rows, total)
            rows = total
        skip_rows(columns, field, get_name(columns, field, DONE), rows)
        if get_name(columns, field, TYPE) == STRING:
            store_int(get_name(columns, field, VALUES_AT) + 4 * rows, get_name(columns, field, CURSOR))
