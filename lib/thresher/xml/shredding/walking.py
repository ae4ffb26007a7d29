"""One pass over the bytes of documents: from tags and texts to a tape of what stands where; no trees, no objects.

A document that is not plain (see scanning.py) leaves nothing on the tape: the reference reads it. What has no place in
the plan is passed over; by default it is noted (see noted.py).
"""

from thresher.compiled import compiled, entry, inlined
from thresher.xml.shredding.attributes import HAS_DATA, HAS_STRAY, IS_CLOSED, IS_NULL, walk_attributes
from thresher.xml.shredding.machine import load_byte, load_word, same_name, store_word, word
from thresher.xml.shredding.naming import is_spelt_otherwise, judged_name, new_name, written_name
from thresher.xml.shredding.roots import walk_root
from thresher.xml.shredding.scanning import (
    BLANK,
    FILLED,
    GREATER,
    HAS_COMMENT,
    HAS_MARKUP,
    SLASH,
    UNSURE,
    block_of_text,
    check_characters,
    is_plain_name,
    misc_end,
    prolog_end,
    run_end,
    skip_blanks,
    trimmed_end,
)
from thresher.xml.shredding.tables import (
    DOCUMENT,
    ELEMENT,
    FIELDS,
    FORM,
    FULL,
    HARD,
    HAS_WILDCARD,
    IS_LEARNING,
    IS_NAMESPACED,
    IS_NIL,
    IS_NOTING,
    IS_SPARK,
    IS_TEXT,
    LEFT,
    MAX_ATTRIBUTES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    NAMES,
    NOTHING,
    NUMBER,
    OPEN_ENTRY,
    OPEN_FIELD,
    OPEN_LENGTH,
    OPEN_NAME,
    OPEN_NUMBER,
    OPEN_STRAY,
    RAW,
    READ,
    ROOT_ENTRY,
    SCALAR,
    SKIPPED,
    STACK,
    STRAY,
    STRUCT,
    TARGET,
    TRIMS,
    UNKNOWN_NAME,
    get,
    get_name,
    put,
    set_setting,
    setting,
)
from thresher.xml.shredding.taping import (
    close_stray,
    gives_way,
    note,
    note_end,
    note_start,
    note_text,
    note_value,
    stands_twice,
)

PASSED_OVER = 1  # the field of elements without a place, below which there is none


@inlined
def _child(settings: int, field: int, previous: int, name: int, end: int) -> tuple[int, int]:
    """The entry of a child's name (0: it is passed over) or a refusal, and the name's length."""
    entry, length = written_name(settings, field, word(ELEMENT), previous, name, end)
    if entry:
        return entry, length
    if length < 0:
        return HARD, 0
    is_struct = get(setting(settings, FIELDS), field, FORM) == STRUCT
    if is_struct and (setting(settings, IS_LEARNING) or setting(settings, IS_NAMESPACED)):
        return new_name(settings, field, word(ELEMENT), name, length), length
    is_passed_over = setting(settings, IS_SPARK) and not setting(settings, HAS_WILDCARD)
    if not (is_passed_over or setting(settings, IS_NOTING)):
        return HARD, 0
    is_plain = is_plain_name(name, length)
    if not is_plain or (is_struct and is_spelt_otherwise(settings, field, word(ELEMENT), name, length)):
        return judged_name(settings, field, word(ELEMENT), name, length), length
    return 0, length


@inlined
def _run(settings: int, address: int, end: int) -> tuple[int, int, int, int, int]:
    """From after a tag to the next: its address (0: for the reference), where the text between begins and ends, RAW
    where it must be decoded, and how it stands."""
    if setting(settings, TRIMS):
        less, left, right = block_of_text(address)
        if less:
            return (less if less < end else 0), left, right, 0, (FILLED if left != right else BLANK)
    return _long_run(settings, address, end)


@compiled
def _long_run(settings: int, address: int, end: int) -> tuple[int, int, int, int, int]:
    less, has, stands = run_end(address, end)
    if setting(settings, IS_SPARK) and has & HAS_COMMENT and stands != BLANK:
        return 0, address, less, RAW, stands
    if has & HAS_MARKUP:
        return less, address, less, RAW, stands
    if setting(settings, TRIMS):
        left = skip_blanks(address, less)
        return less, left, trimmed_end(left, less), 0, stands
    return less, address, less, 0, stands


@inlined
def _end_tag(address: int, name: int, length: int, end: int) -> int:
    """After the end tag at `</` of the element with a name; 0 where another stands there."""
    at = address + 2
    if not same_name(at, name, length):
        return 0
    at += length
    if load_byte(at) != GREATER:
        at = skip_blanks(at, end)
        if load_byte(at) != GREATER:
            return 0
    return at + 1


@inlined
def _open(stack: int, depth: int, field: int, name: int, length: int, number: int, entry: int) -> None:
    put(stack, depth, OPEN_FIELD, field)
    put(stack, depth, OPEN_NAME, name)
    put(stack, depth, OPEN_LENGTH, length)
    put(stack, depth, OPEN_NUMBER, number)
    put(stack, depth, OPEN_ENTRY, entry)


@compiled
def walk_document(settings: int, base: int, first: int, last: int, tape: int) -> int:
    """One document → entries on the tape; the tape's next place, or HARD, FULL, UNKNOWN_NAME."""
    end = base + last
    is_learning = setting(settings, IS_LEARNING)
    names, fields, stack = setting(settings, NAMES), setting(settings, FIELDS), setting(settings, STACK)
    max_depth, nodes = setting(settings, MAX_DEPTH), setting(settings, MAX_NODES)
    if last - first > setting(settings, MAX_BYTES) or check_characters(base + first, end):
        return HARD
    address = prolog_end(base + first, end, setting(settings, IS_SPARK), setting(settings, IS_TEXT))
    if address == 0:
        return HARD

    depth, previous = word(0), word(0)
    above, above_number = word(0), word(-1)  # the innermost open element: its field and number
    number = setting(settings, NUMBER)
    set_setting(settings, NUMBER, number + (last - first))  # an element takes more than a byte
    while True:
        # --- a start tag
        name, entry, field, stray = address + 1, word(0), word(0), word(0)
        if depth:
            entry, length = _child(settings, above, previous, name, end)
            if entry < 0:
                return entry
            field = get_name(names, entry, TARGET) if entry else word(PASSED_OVER)
            if field != PASSED_OVER or is_learning:
                previous = entry
            else:
                entry = word(0)
                if setting(settings, IS_NOTING) and above != PASSED_OVER:
                    stray = tape
                    tape = note(tape, above, word(STRAY), address - base, word(0))
        else:
            length = walk_root(settings, name, end)
            if length < 0:
                return length
        form = get(fields, field, FORM)
        number += 1
        nodes -= 1
        if nodes < 0 or depth >= max_depth:
            return HARD
        if not is_learning and depth and form != SKIPPED:
            if stands_twice(fields, field, above_number) and not (form == SCALAR and gives_way(settings, field, tape)):
                return HARD
            if form == STRUCT:
                tape = note_start(settings, entry, field, tape)
        address = name + length
        tells = word(0)
        if load_byte(address) == GREATER:
            address += 1
        else:
            address, tape, tells, count = walk_attributes(settings, base, address, end, entry, field, number, tape)
            nodes -= count
            if address <= 0:
                return address
            if nodes < 0 or count > setting(settings, MAX_ATTRIBUTES):
                return HARD
            if tells & IS_NULL and not is_learning and (form == STRUCT or tells & HAS_STRAY):
                return HARD
        is_value = form == SCALAR or (is_learning and depth and not tells & HAS_DATA)
        # --- its text, and its end tag or first child
        left, right, flags, stands, is_end = address, address, word(0), word(BLANK), True
        if not tells & IS_CLOSED:
            start = address
            address, left, right, flags, stands = _run(settings, start, end)
            if address == 0 or (stands == UNSURE and form != SCALAR):
                return HARD
            is_end = load_byte(address + 1) == SLASH
            # A null element is empty: anything in it, but for a text, is judged by the reference.
            if tells & IS_NULL and (flags or not is_end):
                return HARD
            tells &= ~IS_NULL if address != start else -1
            if is_end:
                address = _end_tag(address, name, length, end)
                if address == 0:
                    return HARD
        if is_end and is_value:
            flags |= IS_NIL if tells & IS_NULL else 0
            tape = note_value(settings, entry, field, flags, left - base, right - left, tape)
        else:
            if form == SCALAR:
                return HARD
            if is_value:
                tape = note_start(settings, entry, field, tape)
            if stands == FILLED:
                tape = note_text(settings, base, field, number, flags, left, right - left, tape)
                if tape < 0:
                    return tape
            if not is_end:
                _open(stack, depth, field, name, length, number, entry)
                put(stack, depth, OPEN_STRAY, stray)
                depth += 1
                above, above_number, previous = field, number, 0
                continue
            tape = note_end(settings, entry, tape)
            if stray:
                close_stray(stray, address - base)
        # --- after an element: texts and end tags up to the next start tag
        while True:
            if depth == 0:
                is_whole = address == end or (address < end and misc_end(address, end) == end)
                return tape if is_whole else HARD
            address, left, right, flags, stands = _run(settings, address, end)
            if address == 0 or stands == UNSURE:
                return HARD
            above, above_number = get(stack, depth - 1, OPEN_FIELD), get(stack, depth - 1, OPEN_NUMBER)
            if stands == FILLED:
                tape = note_text(settings, base, above, above_number, flags, left, right - left, tape)
                if tape < 0:
                    return tape
            if load_byte(address + 1) != SLASH:
                break
            depth -= 1
            address = _end_tag(address, get(stack, depth, OPEN_NAME), get(stack, depth, OPEN_LENGTH), end)
            if address == 0:
                return HARD
            previous = get(stack, depth, OPEN_ENTRY)
            tape = note_end(settings, previous, tape)
            if previous == 0 and get(stack, depth, OPEN_STRAY):
                close_stray(get(stack, depth, OPEN_STRAY), address - base)


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
