"""The attributes of one start tag: which are data, which only tell something, and which the reference must judge."""

from thresher.compiled import compiled, inlined
from thresher.xml.shredding.machine import load_byte, load_word, same_bytes, store_word, word
from thresher.xml.shredding.naming import is_spelt_otherwise, judged_name, new_name, written_name
from thresher.xml.shredding.scanning import (
    APOSTROPHE,
    COLON,
    EQUALS,
    GREATER,
    QUOTE,
    SLASH,
    is_plain_name,
    quoted_end,
    skip_blanks,
    trimmed_end,
)
from thresher.xml.shredding.tables import (
    ATTRIBUTE,
    FIELDS,
    FORM,
    FROM_ATTRIBUTE,
    HARD,
    HIDES_DECLARATIONS,
    IS_ARRAY,
    IS_LEARNING,
    IS_LOCAL,
    IS_NAMESPACED,
    IS_NOTING,
    IS_SPARK,
    NAMES,
    NO_ATTRIBUTES,
    RAW,
    SCALAR,
    SKIPPED,
    STAMP,
    STRAY,
    STRUCT,
    TARGET,
    TRIMS,
    UNKNOWN,
    get,
    get_name,
    put_name,
    setting,
)
from thresher.xml.shredding.taping import note, note_start, note_value, stands_twice

XMLNS = int.from_bytes(b"xmlns", "little")
XSI_NIL = int.from_bytes(b"xsi:nil", "little")
NIL = int.from_bytes(b"nil", "little")
TRUE = int.from_bytes(b"true", "little")
UNKNOWN_ROOM = 64  # attributes without a field in one tag; more are for the reference

# What attributes tell about their tag
IS_CLOSED, IS_NULL, HAS_DATA, HAS_STRAY = 1, 2, 4, 8


@compiled
def walk_attributes(
    settings: int, base: int, address: int, end: int, entry: int, field: int, number: int, tape: int
) -> tuple[int, int, int, int]:
    """From after a name to after its tag: the address (≤ 0: a refusal), the tape, what it tells, and how many."""
    previous, count, unknown, tells = word(0), word(0), word(0), word(0)
    while True:
        name = skip_blanks(address, end)
        if name >= end:
            return HARD, tape, 0, 0
        byte = load_byte(name)
        if byte == GREATER:
            return name + 1, tape, tells, count
        if byte == SLASH:
            is_end = load_byte(name + 1) == GREATER
            return (name + 2 if is_end else HARD), tape, tells | IS_CLOSED, count
        if name == address:
            return HARD, tape, 0, 0
        found, length = written_name(settings, field, word(ATTRIBUTE), previous, name, end)
        start, close, is_raw = attribute_value(name + length, end)
        if length < 0 or close == 0:
            return HARD, tape, 0, 0
        address = close + 1
        count += 1
        if found and setting(settings, HIDES_DECLARATIONS) and is_declaration(name, length):
            found = word(0)  # without prefixes xmlns:n is spelt as the attribute n
        if not found:
            if _could_be_nil(settings, name, length):
                return HARD, tape, 0, 0
            is_hidden = _is_hidden(settings, name, length)
            if setting(settings, IS_NAMESPACED) and is_declaration(name, length):
                if field:
                    return HARD, tape, 0, 0  # it holds for names within this element alone
                count -= 1
            if not is_hidden and (setting(settings, IS_LEARNING) or setting(settings, IS_NAMESPACED)):
                found = new_name(settings, field, word(ATTRIBUTE), name, length)
                if found < 0:
                    return found, tape, 0, 0
        if not found:
            if unknown >= UNKNOWN_ROOM or _is_known_twice(settings, unknown, name, length):
                return HARD, tape, 0, 0
            unknown += 1
            told = _told(settings, field, is_hidden, name, length, start, close, is_raw)
            if told < 0:
                return told, tape, 0, 0
            tells |= told
            if told & HAS_STRAY:
                tape = note(tape, field, word(STRAY | FROM_ATTRIBUTE), name - base, close + 1 - name)
            continue
        previous = found
        if not tells & HAS_DATA and entry and setting(settings, IS_LEARNING):
            tape = note_start(settings, entry, field, tape)
        tells |= HAS_DATA
        tape = _note_data(settings, base, found, number, start, close, is_raw, tape)
        if tape < 0:
            return HARD, tape, 0, 0


@inlined
def attribute_value(address: int, end: int) -> tuple[int, int, int]:
    """From after an attribute's name: its value's first place, its closing quote (0: for the reference), and whether
    the value must be decoded."""
    if load_byte(address) != EQUALS:
        address = skip_blanks(address, end)
        if load_byte(address) != EQUALS:
            return 0, 0, 0
    address += 1
    quote = load_byte(address)
    if quote != QUOTE and quote != APOSTROPHE:
        address = skip_blanks(address, end)
        quote = load_byte(address)
        if quote != QUOTE and quote != APOSTROPHE:
            return 0, 0, 0
    close, is_raw = quoted_end(address + 1, end, quote)
    return address + 1, close, is_raw


@compiled
def is_declaration(address: int, length: int) -> bool:
    """Whether an attribute declares a namespace."""
    if length < 5 or load_word(address) & ((1 << 40) - 1) != XMLNS:
        return False
    return length == 5 or load_byte(address + 5) == COLON


@compiled
def _is_nil(settings: int, name: int, length: int) -> bool:
    return not setting(settings, IS_SPARK) and length == 7 and load_word(name) & ((1 << 56) - 1) == XSI_NIL


@compiled
def _could_be_nil(settings: int, name: int, length: int) -> bool:
    """Whether an attribute could be xsi:nil under another prefix (see plan.could_be_nil)."""
    if length < 3 or load_word(name + length - 3) & 0xFFFFFF != NIL:
        return False
    if setting(settings, IS_SPARK) or _is_nil(settings, name, length):
        return False
    return setting(settings, IS_LOCAL) if length == 3 else load_byte(name + length - 4) == COLON


@compiled
def _is_hidden(settings: int, name: int, length: int) -> bool:
    """Whether an attribute is never data."""
    if setting(settings, NO_ATTRIBUTES) or _is_nil(settings, name, length):
        return True
    return setting(settings, HIDES_DECLARATIONS) and is_declaration(name, length)


@compiled
def _is_known_twice(settings: int, count: int, address: int, length: int) -> bool:
    """Whether an attribute without a field stands in its tag already; remembers it."""
    room = setting(settings, UNKNOWN)
    for at in range(count):
        if load_word(room + 16 * at + 8) == length and same_bytes(load_word(room + 16 * at), address, length):
            return True
    store_word(room + 16 * count, address)
    store_word(room + 16 * count + 8, length)
    return False


@compiled
def _told(
    settings: int, field: int, is_hidden: bool, name: int, length: int, start: int, close: int, is_raw: int
) -> int:
    """What an attribute without a field tells: IS_NULL, HAS_STRAY or nothing; a refusal where it cannot be
    passed over."""
    if not is_plain_name(name, length):
        return HARD
    if _is_nil(settings, name, length):
        # A value with references could be written otherwise.
        if is_raw or setting(settings, NO_ATTRIBUTES):
            return HARD
        start = skip_blanks(start, close)
        close = trimmed_end(start, close)
        is_one = close == start + 1 and load_byte(start) == 49
        is_true = close == start + 4 and load_word(start) & 0xFFFFFFFF == TRUE
        return IS_NULL if is_one or is_true else 0
    form = get(setting(settings, FIELDS), field, FORM)
    if is_hidden or form == SKIPPED:
        return 0
    if not setting(settings, IS_SPARK) and not setting(settings, IS_NOTING):
        return HARD
    if form == STRUCT and is_spelt_otherwise(settings, field, word(ATTRIBUTE), name, length):
        return judged_name(settings, field, word(ATTRIBUTE), name, length)
    return HAS_STRAY if setting(settings, IS_NOTING) else 0


@inlined
def _note_data(
    settings: int, base: int, found: int, number: int, start: int, close: int, is_raw: int, tape: int
) -> int:
    """Note the value of an attribute; the tape's next place, or HARD where it stands twice or has no place."""
    names, fields = setting(settings, NAMES), setting(settings, FIELDS)
    if get_name(names, found, STAMP) == number:
        return HARD
    put_name(names, found, STAMP, number)
    target = get_name(names, found, TARGET)
    if not setting(settings, IS_LEARNING):
        if get(fields, target, FORM) != SCALAR or stands_twice(fields, target, number):
            return HARD
        if setting(settings, IS_SPARK) and get(fields, target, IS_ARRAY):
            return HARD
    flags = word(FROM_ATTRIBUTE)
    if is_raw:
        flags |= RAW
    elif setting(settings, TRIMS):
        start = skip_blanks(start, close)
        close = trimmed_end(start, close)
    return note_value(settings, found, target, flags, start - base, close - start, tape)
