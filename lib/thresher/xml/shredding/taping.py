"""The tape: what stands where in a document, an entry of two words for each start, value and end."""

from thresher.compiled import compiled, inlined
from thresher.xml.shredding.machine import load_word, store_word, word
from thresher.xml.shredding.naming import learn_name
from thresher.xml.shredding.tables import (
    BYTES,
    DOCUMENT,
    EARLIER,
    END,
    FIELDS,
    FORM,
    HARD,
    IS_ARRAY,
    IS_LEARNING,
    IS_NIL,
    IS_NOTING,
    IS_SPARK,
    KIND_MASK,
    RAW,
    SCALAR,
    STANDS,
    START,
    STRAY,
    STRUCT,
    TEXT,
    TEXT_FIELD,
    VALUE,
    VALUES,
    get,
    put,
    setting,
)


@inlined
def note(tape: int, number: int, kind: int, start: int, length: int) -> int:
    """Write an entry; the tape's next place."""
    store_word(tape, (number << 8) | kind)
    store_word(tape + 8, (start << 32) | length)
    return tape + 16


@inlined
def close_stray(entry: int, end: int) -> None:
    """Let a stray reach from the start that it was noted with to its end."""
    start = load_word(entry + 8)
    store_word(entry + 8, start | (end - (start >> 32)))


@inlined
def note_value(settings: int, entry: int, field: int, flags: int, start: int, length: int, tape: int) -> int:
    """Note a value under its name where names are learnt, else under its field, where it is counted."""
    if setting(settings, IS_LEARNING):
        return note(tape, entry, word(VALUE) | flags, start, length)
    fields = setting(settings, FIELDS)
    put(fields, field, VALUES, get(fields, field, VALUES) + 1)
    put(fields, field, BYTES, get(fields, field, BYTES) + length)
    return note(tape, field, word(VALUE) | flags, start, length)


@inlined
def note_start(settings: int, entry: int, field: int, tape: int) -> int:
    """Note the start of an element that is more than a value."""
    fields = setting(settings, FIELDS)
    put(fields, field, VALUES, get(fields, field, VALUES) + 1)
    return note(tape, entry if setting(settings, IS_LEARNING) else field, word(START), word(0), word(0))


@inlined
def note_end(settings: int, entry: int, tape: int) -> int:
    """Note the end of such an element: learning alone asks for it, and not for the root's."""
    if entry and setting(settings, IS_LEARNING):
        return note(tape, entry, word(END), word(0), word(0))
    return tape


@compiled
def note_text(settings: int, base: int, field: int, number: int, flags: int, start: int, length: int, tape: int) -> int:
    """Note a text beside attributes or children, none where it has no place; the tape's next place, or a refusal."""
    fields = setting(settings, FIELDS)
    if get(fields, field, FORM) != STRUCT:
        return tape
    target = get(fields, field, TEXT_FIELD)
    if setting(settings, IS_LEARNING):
        if target < 0:
            target = learn_name(settings, field, word(TEXT), base, word(0))
            if target < 0:
                return target
            put(fields, field, TEXT_FIELD, target)
        return note_value(settings, target, word(0), flags, start - base, length, tape)
    if target < 0:
        if setting(settings, IS_NOTING):
            return note(tape, field, word(STRAY | RAW), start - base, length)
        return tape if setting(settings, IS_SPARK) else HARD
    if get(fields, target, FORM) != SCALAR:
        return HARD
    if stands_twice(fields, target, number) and not gives_way(settings, target, tape):
        return HARD
    return note_value(settings, word(0), target, flags, start - base, length, tape)


@inlined
def stands_twice(fields: int, field: int, parent_number: int) -> bool:
    """Whether a field that is no array has occurred in this parent; remembers that it has now."""
    if get(fields, field, IS_ARRAY):
        return False
    if get(fields, field, STANDS) == parent_number:
        return True
    put(fields, field, STANDS, parent_number)
    return False


@compiled
def gives_way(settings: int, field: int, tape: int) -> bool:
    """Let the latest value of a scalar give way to the next one; False where the reference must rescue it."""
    if not setting(settings, IS_NOTING):
        return False
    while True:
        tape -= 16
        code = load_word(tape)
        if code & KIND_MASK == DOCUMENT:
            return False
        if code >> 8 == field and code & KIND_MASK == VALUE:
            break
    before = load_word(tape - 16)
    has_attributes = before >> 8 == field and before & KIND_MASK == STRAY
    if has_attributes or code & IS_NIL:
        return False
    store_word(tape, code + EARLIER - VALUE)
    return True
