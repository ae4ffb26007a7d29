"""One pass over the bytes of documents: from tags and texts to a tape of what stands where; no trees, no objects.

A document that is not plain (see scanning.py), or whose content has no place in the plan, leaves nothing on the tape:
the reference reads it.
"""

from thresher.compiled import compiled, entry
from thresher.xml.shredding.machine import load_byte, load_word, same_bytes, same_name, store_word, word
from thresher.xml.shredding.naming import add_name, find_folded, find_name, learn_name, local_start, missed, stands_at
from thresher.xml.shredding.scanning import (
    APOSTROPHE,
    BLANK,
    COLON,
    EQUALS,
    FILLED,
    GREATER,
    HAS_COMMENT,
    HAS_MARKUP,
    QUOTE,
    SLASH,
    UNSURE,
    block_of_text,
    check_characters,
    is_blank_byte,
    is_plain_name,
    misc_end,
    name_end,
    prolog_end,
    quoted_end,
    run_end,
    skip_blanks,
    trimmed_end,
)
from thresher.xml.shredding.tables import (
    ATTRIBUTE,
    BYTES,
    DOCUMENT,
    ELEMENT,
    END,
    FIELDS,
    FIRST_ATTRIBUTE,
    FIRST_CHILD,
    FORM,
    FROM_ATTRIBUTE,
    FULL,
    HARD,
    HAS_WILDCARD,
    IS_ARRAY,
    IS_LEARNING,
    IS_LOCAL,
    IS_NIL,
    IS_SPARK,
    IS_TEXT,
    LEFT,
    LENGTH,
    MAX_ATTRIBUTES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    NAMES,
    NEXT,
    NO_ATTRIBUTES,
    NOTHING,
    NUMBER,
    OPEN_ENTRY,
    OPEN_FIELD,
    OPEN_LENGTH,
    OPEN_NAME,
    OPEN_NUMBER,
    POOL,
    RAW,
    READ,
    ROOT_ENTRY,
    SCALAR,
    SKIPPED,
    STACK,
    STAMP,
    STANDS,
    START,
    STRUCT,
    TARGET,
    TEXT,
    TEXT_FIELD,
    TRIMS,
    UNKNOWN,
    UNKNOWN_NAME,
    VALUE,
    VALUES,
    get,
    get_name,
    put,
    put_name,
    set_setting,
    setting,
)

XMLNS = int.from_bytes(b"xmlns", "little")
XSI_NIL = int.from_bytes(b"xsi:nil", "little")
TRUE = int.from_bytes(b"true", "little")
LONGEST_NAME = 1000  # bytes; the reference counts characters
UNKNOWN_ROOM = 64  # attributes without a field in one tag; more are for the reference

# What attributes tell about their tag
IS_CLOSED, IS_NULL, HAS_DATA = 1, 2, 4


@compiled
def _note(tape: int, number: int, kind: int, start: int, length: int) -> int:
    """Write an entry; the tape's next place."""
    store_word(tape, (number << 8) | kind)
    store_word(tape + 8, (start << 32) | length)
    return tape + 16


@compiled
def _note_value(
    fields: int, is_learning: int, tape: int, entry: int, field: int, flags: int, start: int, length: int
) -> int:
    if is_learning:
        return _note(tape, entry, word(VALUE) | flags, start, length)
    put(fields, field, VALUES, get(fields, field, VALUES) + 1)
    put(fields, field, BYTES, get(fields, field, BYTES) + length)
    return _note(tape, field, word(VALUE) | flags, start, length)


@compiled
def _note_start(fields: int, is_learning: int, tape: int, entry: int, field: int) -> int:
    put(fields, field, VALUES, get(fields, field, VALUES) + 1)
    return _note(tape, entry if is_learning else field, word(START), word(0), word(0))


@compiled
def _stands_twice(fields: int, field: int, parent_number: int) -> bool:
    """Whether a field that is no array has occurred in this parent; remembers that it has now."""
    if get(fields, field, IS_ARRAY):
        return False
    if get(fields, field, STANDS) == parent_number:
        return True
    put(fields, field, STANDS, parent_number)
    return False


@compiled
def _is_declaration(address: int, length: int) -> bool:
    """Whether an attribute declares a namespace."""
    if length < 5 or load_word(address) & ((1 << 40) - 1) != XMLNS:
        return False
    return length == 5 or load_byte(address + 5) == COLON


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
def walk_attributes(
    settings: int, base: int, address: int, end: int, entry: int, field: int, number: int, tape: int
) -> tuple[int, int, int, int]:
    """From after a name to after its tag: the address (≤ 0: a refusal), the tape, what it tells, and how many."""
    names, fields, pool = setting(settings, NAMES), setting(settings, FIELDS), setting(settings, POOL)
    is_learning, is_spark = setting(settings, IS_LEARNING), setting(settings, IS_SPARK)
    form = get(fields, field, FORM)
    previous, count, unknown, tells = word(0), word(0), word(0), word(0)
    while True:
        if address >= end:
            return HARD, tape, 0, 0
        byte = load_byte(address)
        if byte == GREATER:
            return address + 1, tape, tells, count
        if byte == SLASH:
            is_end = load_byte(address + 1) == GREATER
            return (address + 2 if is_end else HARD), tape, tells | IS_CLOSED, count
        if not is_blank_byte(byte):
            return HARD, tape, 0, 0
        address = skip_blanks(address, end)
        byte = load_byte(address)
        if byte == GREATER or byte == SLASH:
            continue
        # --- the name
        expected = get_name(names, previous, NEXT) if previous else get(fields, field, FIRST_ATTRIBUTE)
        found, name = 0, address
        if expected:
            length = get_name(names, expected, LENGTH)
            if stands_at(names, pool, expected, address) and load_byte(address + length) == EQUALS:
                found = expected
        if not found:
            length = name_end(address, end) - address
            if length > LONGEST_NAME:
                return HARD, tape, 0, 0
            if not setting(settings, NO_ATTRIBUTES):
                local = local_start(address, length) if setting(settings, IS_LOCAL) else address
                found = find_name(settings, field, word(ATTRIBUTE), local, length - (local - address))
            if found:
                if previous:
                    put_name(names, previous, NEXT, found)
                else:
                    put(fields, field, FIRST_ATTRIBUTE, found)
        at = address + length
        if load_byte(at) != EQUALS:
            at = skip_blanks(at, end)
            if load_byte(at) != EQUALS:
                return HARD, tape, 0, 0
        # --- the value
        at += 1
        quote = load_byte(at)
        if quote != QUOTE and quote != APOSTROPHE:
            at = skip_blanks(at, end)
            quote = load_byte(at)
            if quote != QUOTE and quote != APOSTROPHE:
                return HARD, tape, 0, 0
        start = at + 1
        close, is_raw = quoted_end(start, end, quote)
        if close == 0:
            return HARD, tape, 0, 0
        address = close + 1
        count += 1
        # --- what it is
        if not found:
            is_nil = not is_spark and length == 7 and load_word(name) & ((1 << 56) - 1) == XSI_NIL
            is_hidden = setting(settings, NO_ATTRIBUTES) or is_nil
            if not is_hidden and not is_spark and setting(settings, IS_LOCAL):
                is_hidden = _is_declaration(name, length)
            if is_learning and not is_hidden:
                local = local_start(name, length) if setting(settings, IS_LOCAL) else name
                found = learn_name(settings, field, word(ATTRIBUTE), local, length - (local - name))
                if found < 0:
                    return found, tape, 0, 0
            elif unknown >= UNKNOWN_ROOM or not is_plain_name(name, length):
                return HARD, tape, 0, 0
            elif _is_known_twice(settings, unknown, name, length):
                return HARD, tape, 0, 0
            else:
                unknown += 1
                if is_nil:
                    is_one = close == start + 1 and load_byte(start) == 49
                    is_true = close == start + 4 and load_word(start) & 0xFFFFFFFF == TRUE
                    # A value with references could be written otherwise.
                    if is_raw or setting(settings, NO_ATTRIBUTES):
                        return HARD, tape, 0, 0
                    tells |= IS_NULL if is_one or is_true else 0
                elif not is_hidden and form != SKIPPED:
                    if not is_spark:
                        return HARD, tape, 0, 0
                    if form == STRUCT:
                        local = local_start(name, length) if setting(settings, IS_LOCAL) else name
                        if find_folded(settings, field, word(ATTRIBUTE), local, length - (local - name)) != 0:
                            return HARD, tape, 0, 0
        if found:
            if get_name(names, found, STAMP) == number:
                return HARD, tape, 0, 0
            put_name(names, found, STAMP, number)
            previous = found
            target = get_name(names, found, TARGET)
            if is_learning:
                if entry and not tells & HAS_DATA:
                    tape = _note_start(fields, is_learning, tape, entry, field)
            elif get(fields, target, FORM) != SCALAR or _stands_twice(fields, target, number):
                return HARD, tape, 0, 0
            elif is_spark and get(fields, target, IS_ARRAY):
                return HARD, tape, 0, 0
            tells |= HAS_DATA
            flags = word(FROM_ATTRIBUTE)
            if is_raw:
                flags |= RAW
            elif setting(settings, TRIMS):
                start = skip_blanks(start, close)
                close = trimmed_end(start, close)
            tape = _note_value(fields, is_learning, tape, found, target, flags, start - base, close - start)


@compiled
def _text(settings: int, base: int, field: int, number: int, flags: int, start: int, length: int, tape: int) -> int:
    """Note a text beside attributes or children; the tape, or a refusal."""
    fields, is_learning = setting(settings, FIELDS), setting(settings, IS_LEARNING)
    if is_learning:
        entry = get(fields, field, TEXT_FIELD)
        if entry < 0:
            entry = learn_name(settings, field, word(TEXT), base, word(0))
            if entry < 0:
                return entry
            put(fields, field, TEXT_FIELD, entry)
        return _note_value(fields, is_learning, tape, entry, word(0), flags, start - base, length)
    target = get(fields, field, TEXT_FIELD)
    if target < 0:
        return tape if setting(settings, IS_SPARK) else HARD
    if get(fields, target, FORM) != SCALAR or _stands_twice(fields, target, number):
        return HARD
    return _note_value(fields, is_learning, tape, word(0), target, flags, start - base, length)


@compiled
def _root_entry(settings: int, name: int, length: int) -> int:
    """The entry of a root's name, new where it must be; or a refusal."""
    entry = find_name(settings, word(-1), word(ELEMENT), name, length)
    if entry:
        return entry
    if not is_plain_name(name, length):
        return missed(settings, word(-1), word(ELEMENT), name, length)
    return add_name(settings, word(-1), word(ELEMENT), name, length, word(0))


@compiled
def walk_document(settings: int, base: int, first: int, last: int, tape: int) -> int:
    """One document → entries on the tape; the tape's next place, or HARD, FULL, UNKNOWN_NAME."""
    end = base + last
    is_text, is_spark, is_learning = (
        setting(settings, IS_TEXT),
        setting(settings, IS_SPARK),
        setting(settings, IS_LEARNING),
    )
    trims, is_local = setting(settings, TRIMS), setting(settings, IS_LOCAL)
    names, fields, pool = setting(settings, NAMES), setting(settings, FIELDS), setting(settings, POOL)
    stack = setting(settings, STACK)
    max_depth, nodes = setting(settings, MAX_DEPTH), setting(settings, MAX_NODES)
    max_attributes = setting(settings, MAX_ATTRIBUTES)
    if last - first > setting(settings, MAX_BYTES) or check_characters(base + first, end):
        return HARD
    address = prolog_end(base + first, end, is_spark, is_text)
    if address == 0:
        return HARD

    depth, previous = word(0), word(0)
    above, above_number = word(0), word(-1)  # the innermost open element: its field and number
    number = setting(settings, NUMBER)
    set_setting(settings, NUMBER, number + (last - first))  # an element takes more than a byte
    while True:
        # --- a start tag
        name = address + 1
        entry, field, form, length = word(0), word(0), word(STRUCT), word(0)
        if depth == 0:
            length = name_end(name, end) - name
            if length > LONGEST_NAME:
                return HARD
            if is_learning or not is_plain_name(name, length):
                root = _root_entry(settings, name, length)
                if root < 0:
                    return root
                set_setting(settings, ROOT_ENTRY, root)
        else:
            above_form = get(fields, above, FORM)
            expected = get_name(names, previous, NEXT) if previous else get(fields, above, FIRST_CHILD)
            if expected and stands_at(names, pool, expected, name):
                length = get_name(names, expected, LENGTH)
                byte = load_byte(name + length)
                if byte == GREATER or byte == SLASH or is_blank_byte(byte):
                    entry = expected
            if not entry:
                length = name_end(name, end) - name
                if length > LONGEST_NAME:
                    return HARD
                local = local_start(name, length) if is_local else name
                if above_form == STRUCT:
                    entry = find_name(settings, above, word(ELEMENT), local, length - (local - name))
                    if entry == 0 and is_learning:
                        entry = learn_name(settings, above, word(ELEMENT), local, length - (local - name))
                        if entry < 0:
                            return entry
                if entry == 0:
                    if not is_spark or not is_plain_name(name, length) or setting(settings, HAS_WILDCARD):
                        return HARD
                    if above_form == STRUCT and find_folded(
                        settings, above, word(ELEMENT), local, length - (local - name)
                    ):
                        return HARD
                    field, form = word(1), word(SKIPPED)
                elif previous:
                    put_name(names, previous, NEXT, entry)
                else:
                    put(fields, above, FIRST_CHILD, entry)
            if entry:
                previous = entry
                field = get_name(names, entry, TARGET)
                form = get(fields, field, FORM)
        number += 1
        nodes -= 1
        if nodes < 0 or depth >= max_depth:
            return HARD
        if not is_learning and form != SKIPPED and depth and _stands_twice(fields, field, above_number):
            return HARD
        is_started = 0
        if (not is_learning and form == STRUCT and depth) or depth == 0:
            if depth:
                tape = _note_start(fields, is_learning, tape, entry, field)
            is_started = 1
        # --- its attributes
        address = name + length
        tells = 0
        if load_byte(address) == GREATER:
            address += 1
        else:
            address, tape, tells, count = walk_attributes(settings, base, address, end, entry, field, number, tape)
            nodes -= count
            if address <= 0:
                return address
            if nodes < 0 or count > max_attributes:
                return HARD
            if tells & HAS_DATA:
                is_started = 1
            if tells & IS_NULL and not is_learning and form == STRUCT:
                return HARD
        is_open = True
        if tells & IS_CLOSED:
            is_open = False
            if form == SCALAR or (is_learning and not is_started):
                flags = word(IS_NIL) if tells & IS_NULL else word(0)
                tape = _note_value(fields, is_learning, tape, entry, field, flags, address - base, word(0))
            elif is_learning and is_started and depth:
                tape = _note(tape, entry, word(END), word(0), word(0))
        is_first = True
        while True:
            # --- what follows up to the next start tag
            if is_open:
                start, flags = address, word(0)
                is_filled = False
                if trims:
                    less, left, right = block_of_text(address)
                else:
                    less, left, right = 0, 0, 0
                if less:
                    is_filled = left != right
                    address = less
                else:
                    less, has, stands = run_end(start, end)
                    if less == 0:
                        return HARD
                    if is_spark and has & HAS_COMMENT and stands != BLANK:
                        return HARD
                    left, right = start, less
                    if trims and not has & HAS_MARKUP:
                        left = skip_blanks(left, less)
                        right = trimmed_end(left, less)
                    if has & HAS_MARKUP:
                        flags = word(RAW)
                    is_filled = stands == FILLED
                    if stands == UNSURE and not (is_first and form == SCALAR):
                        return HARD
                    address = less
                if address >= end:
                    return HARD
                is_end = load_byte(address + 1) == SLASH
                if is_first:
                    # --- a tag, a text, and its end tag or a child
                    if is_end:
                        after = address + 2
                        if not same_name(after, name, length):
                            return HARD
                        after += length
                        if load_byte(after) != GREATER:
                            after = skip_blanks(after, end)
                            if load_byte(after) != GREATER:
                                return HARD
                        if form == SCALAR or (is_learning and not is_started):
                            if tells & IS_NULL and flags & RAW:
                                return HARD
                            if tells & IS_NULL and address == start:
                                flags |= IS_NIL
                            tape = _note_value(
                                fields, is_learning, tape, entry, field, flags, left - base, right - left
                            )
                        elif form == STRUCT:
                            if is_filled:
                                tape = _text(settings, base, field, number, flags, left, right - left, tape)
                                if tape < 0:
                                    return tape
                            if is_learning and depth:
                                tape = _note(tape, entry, word(END), word(0), word(0))
                        address = after + 1
                        is_open = False
                    else:
                        if form == SCALAR:
                            return HARD
                        if is_learning and not is_started:
                            tape = _note_start(fields, is_learning, tape, entry, field)
                        put(stack, depth, OPEN_FIELD, field)
                        put(stack, depth, OPEN_NAME, name)
                        put(stack, depth, OPEN_LENGTH, length)
                        put(stack, depth, OPEN_NUMBER, number)
                        put(stack, depth, OPEN_ENTRY, entry)
                        depth += 1
                        above, above_number, previous = field, number, 0
                        is_first = False
                        if is_filled and form == STRUCT:
                            tape = _text(settings, base, field, number, flags, left, right - left, tape)
                            if tape < 0:
                                return tape
                        break
                else:
                    if is_filled and get(fields, above, FORM) == STRUCT:
                        tape = _text(settings, base, above, above_number, flags, left, right - left, tape)
                        if tape < 0:
                            return tape
                    if not is_end:
                        break
                    after = address + 2
                    length = get(stack, depth - 1, OPEN_LENGTH)
                    if not same_name(after, get(stack, depth - 1, OPEN_NAME), length):
                        return HARD
                    after += length
                    if load_byte(after) != GREATER:
                        after = skip_blanks(after, end)
                        if load_byte(after) != GREATER:
                            return HARD
                    address = after + 1
                    depth -= 1
                    previous = get(stack, depth, OPEN_ENTRY)
                    if is_learning and depth:
                        tape = _note(tape, previous, word(END), word(0), word(0))
                    is_open = False
            if not is_open:
                # --- after an element
                if depth == 0:
                    if address > end:
                        return HARD
                    if address != end and misc_end(address, end) != end:
                        return HARD
                    return tape
                above = get(stack, depth - 1, OPEN_FIELD)
                above_number = get(stack, depth - 1, OPEN_NUMBER)
                is_first, is_open = False, True


@entry
def walk(
    settings: int, base: int, starts: int, ends: int, row: int, rows: int, states: int, tape: int
) -> tuple[int, int, int]:
    """Documents from a row on → the tape; the row reached, the tape's next place, and why it stopped there (or 0).

    `starts` and `ends` are tables of words with the places of documents from `base` on; a null ends before it starts.
    `states` has a word for each: READ, NOTHING, or LEFT to the reference, which it may say beforehand.
    """
    while row < rows:
        first, last = load_word(starts + 8 * row), load_word(ends + 8 * row)
        state = load_word(states + 8 * row)
        after = HARD
        if last < first or (first == last and not setting(settings, IS_SPARK)):
            state = NOTHING
        elif state == READ:
            store_word(tape, DOCUMENT)
            store_word(tape + 8, READ)
            after = walk_document(settings, base, first, last, tape + 16)
            if after == FULL or after == UNKNOWN_NAME:
                return row, tape, after
            state = READ if after > 0 else LEFT
            if state == READ and setting(settings, IS_LEARNING):
                store_word(tape, (setting(settings, ROOT_ENTRY) << 8) | DOCUMENT)
        if state == READ:
            tape = after
        else:
            store_word(tape, DOCUMENT)
            store_word(tape + 8, state)
            tape += 16
        store_word(states + 8 * row, state)
        row += 1
    return row, tape, 0
