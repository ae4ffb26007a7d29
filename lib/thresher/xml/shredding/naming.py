"""From the bytes of a name to its field: a hash table over (field above, kind, name), that can learn."""

from thresher.compiled import compiled, entry, inlined
from thresher.xml.shredding.machine import (
    copy_bytes,
    load_byte,
    load_word,
    same_bytes,
    store_byte,
    store_word,
    word,
    wrapped_product,
)
from thresher.xml.shredding.scanning import COLON, EQUALS, GREATER, SLASH, is_blank_byte, is_plain_name, name_end
from thresher.xml.shredding.tables import (
    ATTRIBUTE,
    BYTES,
    FIELD_COUNT,
    FIELD_MASK,
    FIELD_ROOM,
    FIELDS,
    FIRST,
    FIRST_ATTRIBUTE,
    FIRST_CHILD,
    FOLDED,
    FORM,
    FULL,
    HARD,
    HASH_MASK,
    HASHES,
    IS_ARRAY,
    IS_LOCAL,
    KIND,
    LAST,
    LENGTH,
    MASK,
    MISS_ADDRESS,
    MISS_KIND,
    MISS_LENGTH,
    MISS_PARENT,
    NAME_COUNT,
    NAME_ROOM,
    NAMES,
    NEXT,
    PARENT,
    PLACE,
    POOL,
    POOL_ROOM,
    POOL_USED,
    PREFIX,
    PREFIX_LENGTH,
    SCOPE,
    SCOPE_SHIFT,
    SCRATCH,
    SCRATCH_ROOM,
    SEEN,
    STAMP,
    STANDS,
    STRUCT,
    TARGET,
    TEXT,
    TEXT_FIELD,
    TEXT_KEY,
    TEXT_KEY_LENGTH,
    UNKNOWN_NAME,
    VALUES,
    get,
    get_name,
    put,
    put_name,
    set_setting,
    setting,
)

LONGEST_NAME = 1000  # bytes; the reference counts characters
_ONE, _TWO, _THREE = -7046029254386353131, -4417276706812531889, 1609587929392839161


@compiled
def word_mask(length: int) -> int:
    """Which bits of a word belong to a name of this length."""
    return -1 if length >= 8 else (1 << (8 * length)) - 1


@compiled
def local_start(address: int, length: int) -> int:
    """Where a name begins after its prefix."""
    for at in range(length - 1, -1, -1):
        if load_byte(address + at) == COLON:
            return address + at + 1
    return address


@compiled
def _slot(first: int, last: int, parent: int, kind: int, length: int) -> int:
    place = wrapped_product((parent << 12) + (kind << 9) + length, _THREE)
    mixed = wrapped_product(first ^ wrapped_product(last, _ONE), _TWO) ^ place
    return wrapped_product(mixed ^ (mixed >> 29), _ONE) >> 32


@compiled
def stands_at(names: int, pool: int, entry: int, address: int) -> bool:
    """Whether the characters of a known name stand at an address (more of a name may follow)."""
    if load_word(address) & get_name(names, entry, MASK) != get_name(names, entry, FIRST):
        return False
    length = get_name(names, entry, LENGTH)
    if length <= 8:
        return True
    if load_word(address + length - 8) != get_name(names, entry, LAST):
        return False
    return length <= 16 or same_bytes(pool + get_name(names, entry, PLACE), address, length)


@compiled
def find_name(settings: int, parent: int, kind: int, address: int, length: int) -> int:
    """The entry of a name below a field; 0 where it is unknown."""
    hashes, mask = setting(settings, HASHES), setting(settings, HASH_MASK)
    names, pool = setting(settings, NAMES), setting(settings, POOL)
    first = load_word(address) & word_mask(length)
    last = load_word(address + length - 8) if length > 8 else 0
    slot = _slot(first, last, parent, kind, length) & mask
    while True:
        entry = load_word(hashes + (slot << 3))
        if entry == 0:
            return 0
        if (
            get_name(names, entry, FIRST) == first
            and get_name(names, entry, LAST) == last
            and get_name(names, entry, LENGTH) == length
            and get_name(names, entry, PARENT) == parent
            and get_name(names, entry, KIND) == kind
            and (length <= 16 or same_bytes(pool + get_name(names, entry, PLACE), address, length))
        ):
            return entry
        slot = (slot + 1) & mask


@inlined
def written_name(settings: int, field: int, kind: int, previous: int, address: int, end: int) -> tuple[int, int]:
    """The entry of the name at an address (0: not known below this field), and its length (-1: for the reference).

    Names mostly follow each other as before: the one after the previous, or the field's first, is tried first.
    """
    names, fields = setting(settings, NAMES), setting(settings, FIELDS)
    expected = get_name(names, previous, NEXT) if previous else get(fields, field, FIRST_CHILD + kind)
    if expected and stands_at(names, setting(settings, POOL), expected, address):
        length = get_name(names, expected, LENGTH)
        is_scoped = get_name(names, expected, PARENT) == field | setting(settings, SCOPE)
        if is_scoped and _ends_name(load_byte(address + length)):
            return expected, length
    length = name_end(address, end) - address
    if length > LONGEST_NAME:
        return 0, -1
    local = local_start(address, length) if setting(settings, IS_LOCAL) else address
    found = find_name(settings, field | setting(settings, SCOPE), kind, local, length - (local - address))
    if found:
        if previous:
            put_name(names, previous, NEXT, found)
        else:
            put(fields, field, FIRST_CHILD + kind, found)
    return found, length


@inlined
def _ends_name(byte: int) -> bool:
    return byte == GREATER or byte == EQUALS or byte == SLASH or is_blank_byte(byte)


@compiled
def new_name(settings: int, field: int, kind: int, address: int, length: int) -> int:
    """The entry of a name as written that is not known below a field: a new one, or a refusal."""
    local = local_start(address, length) if setting(settings, IS_LOCAL) else address
    return learn_name(settings, field | setting(settings, SCOPE), kind, local, length - (local - address))


@compiled
def judged_name(settings: int, field: int, kind: int, address: int, length: int) -> int:
    """Leave a name as written to who judges names outside of the loops; a refusal where its prefix would be lost."""
    if setting(settings, IS_LOCAL):
        return HARD
    return missed(settings, field | setting(settings, SCOPE), kind, address, length)


@compiled
def is_spelt_otherwise(settings: int, field: int, kind: int, address: int, length: int) -> bool:
    """Whether a name as written differs from a known one by case alone, or could."""
    local = local_start(address, length) if setting(settings, IS_LOCAL) else address
    folded = fold(settings, kind, local, length - (local - address))
    return folded < 0 or find_name(settings, field, word(FOLDED), setting(settings, SCRATCH), folded) > 0


@compiled
def _enter(settings: int, slot: int, entry: int) -> None:
    hashes, mask = setting(settings, HASHES), setting(settings, HASH_MASK)
    slot &= mask
    while load_word(hashes + (slot << 3)):
        slot = (slot + 1) & mask
    store_word(hashes + (slot << 3), entry)


@entry
def add_name(settings: int, parent: int, kind: int, address: int, length: int, field: int) -> int:
    """Enter a name for a field that exists; FULL where a table has no room."""
    names, count = setting(settings, NAMES), setting(settings, NAME_COUNT)
    used = setting(settings, POOL_USED)
    if count >= setting(settings, NAME_ROOM) or used + length + 64 > setting(settings, POOL_ROOM):
        return FULL
    copy_bytes(setting(settings, POOL) + used, address, length)
    first = load_word(address) & word_mask(length)
    last = load_word(address + length - 8) if length > 8 else 0
    put_name(names, count, FIRST, first)
    put_name(names, count, LAST, last)
    put_name(names, count, MASK, word_mask(length))
    put_name(names, count, LENGTH, length)
    put_name(names, count, TARGET, field)
    put_name(names, count, NEXT, 0)
    put_name(names, count, STAMP, -1)
    put_name(names, count, PLACE, used)
    put_name(names, count, PARENT, parent)
    put_name(names, count, KIND, kind)
    put_name(names, count, SEEN, 0)
    set_setting(settings, POOL_USED, used + length)
    set_setting(settings, NAME_COUNT, count + 1)
    _enter(settings, _slot(first, last, parent, kind, length), count)
    return count


@entry
def add_field(settings: int, form: int, is_array: int) -> int:
    """A new field without names; FULL where the table has no room."""
    fields, count = setting(settings, FIELDS), setting(settings, FIELD_COUNT)
    if count >= setting(settings, FIELD_ROOM):
        return FULL
    put(fields, count, FORM, form)
    put(fields, count, IS_ARRAY, is_array)
    put(fields, count, TEXT_FIELD, -1)
    put(fields, count, STANDS, -1)
    put(fields, count, FIRST_CHILD, 0)
    put(fields, count, FIRST_ATTRIBUTE, 0)
    put(fields, count, VALUES, 0)
    put(fields, count, BYTES, 0)
    set_setting(settings, FIELD_COUNT, count + 1)
    return count


@compiled
def missed(settings: int, parent: int, kind: int, address: int, length: int) -> int:
    """Note a name that must be judged outside of the loops."""
    set_setting(settings, MISS_PARENT, parent)
    set_setting(settings, MISS_KIND, kind)
    set_setting(settings, MISS_ADDRESS, address)
    set_setting(settings, MISS_LENGTH, length)
    return UNKNOWN_NAME


@compiled
def fold(settings: int, kind: int, address: int, length: int) -> int:
    """Write the name of the field of a name, in lower case, to the scratch; its length, or -1 where it is not plain."""
    scratch = setting(settings, SCRATCH)
    used = 0
    if kind == ATTRIBUTE:
        used = setting(settings, PREFIX_LENGTH)
        copy_bytes(scratch, setting(settings, PREFIX), used)
    if used + length + 64 > setting(settings, SCRATCH_ROOM):
        return -1
    for at in range(length):
        byte = load_byte(address + at)
        if byte > 127:
            return -1
        store_byte(scratch + used + at, byte | 32 if 65 <= byte <= 90 else byte)
    return used + length


@compiled
def learn_name(settings: int, parent: int, kind: int, address: int, length: int) -> int:
    """The entry of a name that is new below a field: plain ones without a scope here, others outside of the loops."""
    if kind == TEXT:
        copy_bytes(setting(settings, SCRATCH), setting(settings, TEXT_KEY), setting(settings, TEXT_KEY_LENGTH))
        folded = setting(settings, TEXT_KEY_LENGTH)
    else:
        is_plain = parent >> SCOPE_SHIFT == 0 and is_plain_name(address, length)
        folded = fold(settings, kind, address, length) if is_plain else -1
    if folded < 0:
        return missed(settings, parent, kind, address, length)
    return learn_folded(settings, parent, kind, address, length, folded)


@entry
def learn_folded(settings: int, parent: int, kind: int, address: int, length: int, folded: int) -> int:
    """Enter a new name whose field's folded name stands in the scratch."""
    if setting(settings, NAME_COUNT) + 2 > setting(settings, NAME_ROOM):
        return FULL
    if setting(settings, POOL_USED) + length + folded + 192 > setting(settings, POOL_ROOM):
        return FULL
    scratch, above = setting(settings, SCRATCH), parent & FIELD_MASK
    known = find_name(settings, above, word(FOLDED), scratch, folded)
    if known > 0:
        field = get_name(setting(settings, NAMES), known, TARGET)
    else:
        field = add_field(settings, word(STRUCT), word(0))
        if field < 0:
            return FULL
        add_name(settings, above, word(FOLDED), scratch, folded, field)
    return add_name(settings, parent, kind, address, length, field)


@entry
def rehash(settings: int) -> None:
    """Enter all names into an empty hash table."""
    names = setting(settings, NAMES)
    for known in range(1, setting(settings, NAME_COUNT)):
        first, last = get_name(names, known, FIRST), get_name(names, known, LAST)
        parent, kind, length = (
            get_name(names, known, PARENT),
            get_name(names, known, KIND),
            get_name(names, known, LENGTH),
        )
        _enter(settings, _slot(first, last, parent, kind, length), known)
