"""The root's start tag: which roots are allowed, and what their declarations make of all names, is judged outside."""

from thresher.compiled import compiled
from thresher.xml.shredding.attributes import attribute_value, is_declaration
from thresher.xml.shredding.machine import copy_bytes, load_byte, store_byte, word
from thresher.xml.shredding.naming import LONGEST_NAME, add_name, find_name, missed
from thresher.xml.shredding.scanning import GREATER, SLASH, SPACE, is_plain_name, name_end, skip_blanks
from thresher.xml.shredding.tables import (
    ELEMENT,
    HARD,
    IS_LEARNING,
    JUDGES_ROOTS,
    NAMES,
    ROOT,
    ROOT_ENTRY,
    SCOPE,
    SCOPE_SHIFT,
    SCRATCH,
    SCRATCH_ROOM,
    TARGET,
    get_name,
    set_setting,
    setting,
)


@compiled
def walk_root(settings: int, name: int, end: int) -> int:
    """Judge the name of a root, and note its entry where names count: the name's length, or a refusal."""
    length = name_end(name, end) - name
    if length > LONGEST_NAME:
        return HARD
    entry = word(0)
    if setting(settings, JUDGES_ROOTS):
        entry = _judged(settings, name, length, end)
    elif setting(settings, IS_LEARNING) or not is_plain_name(name, length):
        entry = _named(settings, name, length)
    set_setting(settings, ROOT_ENTRY, entry)
    return length if entry >= 0 else entry


@compiled
def _named(settings: int, name: int, length: int) -> int:
    """The entry of a root's name, new where it must be; or a refusal."""
    entry = find_name(settings, word(-1), word(ELEMENT), name, length)
    if entry:
        return entry
    if not is_plain_name(name, length):
        return missed(settings, word(-1), word(ELEMENT), name, length)
    return add_name(settings, word(-1), word(ELEMENT), name, length, word(0))


@compiled
def _judged(settings: int, name: int, length: int, end: int) -> int:
    """The entry of a root that was judged before by its name and declarations, whose scope then holds; or a refusal."""
    size = _written(settings, name, length, end)
    if size == 0:
        return HARD
    scratch = setting(settings, SCRATCH)
    entry = find_name(settings, word(-1), word(ROOT), scratch, size)
    if entry == 0:
        return missed(settings, word(-1), word(ROOT), scratch, size)
    set_setting(settings, SCOPE, get_name(setting(settings, NAMES), entry, TARGET) << SCOPE_SHIFT)
    return entry


@compiled
def _written(settings: int, name: int, length: int, end: int) -> int:
    """Write a root's name and its declarations to the scratch: their length, or 0 for the reference."""
    scratch, room = setting(settings, SCRATCH), setting(settings, SCRATCH_ROOM)
    copy_bytes(scratch, name, length)
    size, address = length, name + length
    while True:
        address = skip_blanks(address, end)
        if address >= end or load_byte(address) == GREATER or load_byte(address) == SLASH:
            return size
        after = name_end(address, end)
        _, close, _ = attribute_value(after, end)
        if close == 0:
            return 0
        if is_declaration(address, after - address):
            more = close + 1 - address
            if size + more + 64 > room:
                return 0
            store_byte(scratch + size, SPACE)
            copy_bytes(scratch + size + 1, address, more)
            size += more + 1
        address = close + 1
