"""From the tape to what was seen of every field: the counts, votes and texts of `structure.Node`."""

from thresher.compiled import compiled, entry
from thresher.xml.shredding.machine import (
    compare_texts,
    copy_bytes,
    load_byte,
    load_double,
    load_word,
    ordered,
    store_byte,
    store_double,
    store_word,
    table,
    word,
)
from thresher.xml.shredding.naming import word_mask
from thresher.xml.shredding.tables import (
    ATTRIBUTE,
    DOCUMENT,
    END,
    FROM_ATTRIBUTE,
    IS_SPARK,
    KIND,
    NAMES,
    READ,
    SEEN,
    START,
    TARGET,
    TEXT,
    get,
    get_name,
    put,
    put_name,
    setting,
)
from thresher.xml.shredding.texts import is_null_text, text_of
from thresher.xml.shredding.voting import DOUBLE, UNSURE, vote

# --- what was seen of a field: 34 words …
(
    DOCUMENTS,
    PARENTS,
    REPEATS,
    BARE,
    STRUCTS,
    MIXED,
    VOTES,  # the first of eight counts, in the order of voting.KINDS
    WHOLE,
    SCALE,
    DIGITS,
    LONGEST,
    SEEN_IN,  # the document counted last
    STANDS_IN,  # the parent counted last, how often there, and the last one with a value
    COUNT_THERE,
    VALUED_IN,
    LOWEST_VALUE,
    HIGHEST_VALUE,
    EXAMPLES,  # the lengths of its texts, -1 for none: three examples, last, lowest, highest
    THIRD_ORDER,  # the first bytes of the third example and of the last text, as they are ordered
    LAST_ORDER,
    TEXT_DOCUMENTS,
    TEXT_IN,  # the document with text counted last
) = (0, 1, 2, 3, 4, 5, 6, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 30, 31, 32, 33)
STATS = 34
LAST, LOWEST, HIGHEST = 3, 4, 5
TEXTS = 6
# … and room for its texts: 60 characters of at most four bytes, and an ellipsis
EXAMPLE_LENGTH = 60
ROOM = 288

# --- open elements
FIELD, NUMBER, PARTS, HAS = range(4)
HAS_TEXT, HAS_CHILD = 1, 2


stat, set_stat = table(STATS)


@compiled
def add_stat(stats: int, field: int, what: int, value: int) -> None:
    """Add to a word of what was seen."""
    set_stat(stats, field, what, stat(stats, field, what) + value)


@compiled
def raise_stat(stats: int, field: int, what: int, value: int) -> None:
    """Keep the larger of a word and a value."""
    if value > stat(stats, field, what):
        set_stat(stats, field, what, value)


@compiled
def has_text(stats: int, field: int, document: int) -> None:
    """Count a document as one in which a field has text."""
    if stat(stats, field, TEXT_IN) != document:
        set_stat(stats, field, TEXT_IN, document)
        add_stat(stats, field, word(TEXT_DOCUMENTS), word(1))


@compiled
def occurs(settings: int, stats: int, stack: int, depth: int, entry: int, document: int) -> int:
    """Count an occurrence below the innermost open element: its field."""
    names = setting(settings, NAMES)
    field = get_name(names, entry, TARGET)
    kind = get_name(names, entry, KIND)
    put_name(names, entry, SEEN, get_name(names, entry, SEEN) + 1)
    parent = get(stack, depth, NUMBER)
    put(stack, depth, PARTS, get(stack, depth, PARTS) + 1)
    if kind != ATTRIBUTE:
        has = HAS_TEXT if kind == TEXT else HAS_CHILD
        put(stack, depth, HAS, get(stack, depth, HAS) | has)
        if kind == TEXT:
            has_text(stats, get(stack, depth, FIELD), document)
    count = stat(stats, field, COUNT_THERE) + 1 if stat(stats, field, STANDS_IN) == parent else 1
    set_stat(stats, field, STANDS_IN, parent)
    set_stat(stats, field, COUNT_THERE, count)
    raise_stat(stats, field, word(REPEATS), count)
    if stat(stats, field, SEEN_IN) != document:
        set_stat(stats, field, SEEN_IN, document)
        add_stat(stats, field, word(DOCUMENTS), word(1))
    return field


@compiled
def has_value(stats: int, stack: int, depth: int, field: int) -> None:
    """Count the innermost open element as one in which the field has a value."""
    parent = get(stack, depth, NUMBER)
    if stat(stats, field, VALUED_IN) != parent:
        set_stat(stats, field, VALUED_IN, parent)
        add_stat(stats, field, word(PARENTS), word(1))


@compiled
def close(stats: int, stack: int, depth: int) -> int:
    """Count the innermost open element as what it held; how many parts."""
    parts, field = get(stack, depth, PARTS), get(stack, depth, FIELD)
    if parts:
        add_stat(stats, field, word(STRUCTS), word(1))
        add_stat(stats, field, word(MIXED), word(1) if get(stack, depth, HAS) == HAS_TEXT | HAS_CHILD else word(0))
    return parts


@compiled
def open_element(stack: int, depth: int, field: int, number: int) -> None:
    """Begin to count what an element holds."""
    put(stack, depth, FIELD, field)
    put(stack, depth, NUMBER, number)
    put(stack, depth, PARTS, 0)
    put(stack, depth, HAS, 0)


@compiled
def shown_length(address: int, length: int) -> tuple[int, int]:
    """How many bytes the first 60 characters take, and how many characters there are."""
    if length <= EXAMPLE_LENGTH:
        shown = length
    else:
        shown = -1
    characters = 0
    for at in range(length):
        if load_byte(address + at) & 0xC0 != 0x80:
            if characters == EXAMPLE_LENGTH:
                shown = at
            characters += 1
    return (length if shown < 0 else shown), characters


@compiled
def keep_text(texts: int, stats: int, field: int, slot: int, address: int, length: int) -> None:
    """Keep a text in one of a field's places."""
    copy_bytes(texts + (field * TEXTS + slot) * ROOM, address, length)
    set_stat(stats, field, EXAMPLES + slot, length)


@compiled
def compare_kept(texts: int, stats: int, field: int, slot: int, address: int, length: int) -> int:
    """Compare a text with a kept one."""
    kept = texts + (field * TEXTS + slot) * ROOM
    return compare_texts(address, length, kept, stat(stats, field, EXAMPLES + slot))


@compiled
def add_example(texts: int, stats: int, field: int, address: int, length: int) -> None:
    """Keep a text if it is among the alphabetically first three, or the last."""
    order = ordered(load_word(address) & word_mask(length))
    if stat(stats, field, THIRD_ORDER) < order < stat(stats, field, LAST_ORDER):
        return
    _add_example(texts, stats, field, address, length)
    if stat(stats, field, EXAMPLES + 2) >= 0:
        set_stat(stats, field, THIRD_ORDER, _kept_order(texts, stats, field, word(2)))
        set_stat(stats, field, LAST_ORDER, _kept_order(texts, stats, field, word(LAST)))


@compiled
def _kept_order(texts: int, stats: int, field: int, slot: int) -> int:
    kept = load_word(texts + (field * TEXTS + slot) * ROOM)
    return ordered(kept & word_mask(stat(stats, field, EXAMPLES + slot)))


@compiled
def _add_example(texts: int, stats: int, field: int, address: int, length: int) -> None:
    has_last = stat(stats, field, EXAMPLES + LAST) >= 0
    if not has_last or compare_kept(texts, stats, field, word(LAST), address, length) > 0:
        keep_text(texts, stats, field, word(LAST), address, length)
    slot = word(0)
    while slot < 3 and stat(stats, field, EXAMPLES + slot) >= 0:
        order = compare_kept(texts, stats, field, slot, address, length)
        if order == 0:
            return
        if order < 0:
            break
        slot += 1
    if slot == 3:
        return
    for later in range(2, slot, -1):
        moved = stat(stats, field, EXAMPLES + later - 1)
        if moved >= 0:
            keep_text(texts, stats, field, later, texts + (field * TEXTS + later - 1) * ROOM, moved)
    keep_text(texts, stats, field, slot, address, length)


@compiled
def add_number(texts: int, stats: int, field: int, value: float, address: int, length: int) -> None:
    """Keep the text of a number if it is the lowest or highest; of equals the alphabetically first."""
    lowest, highest = stats + (field * STATS + LOWEST_VALUE) * 8, stats + (field * STATS + HIGHEST_VALUE) * 8
    if stat(stats, field, EXAMPLES + LOWEST) >= 0 and load_double(lowest) < value < load_double(highest):
        return
    for slot, place, sign in ((LOWEST, lowest, -1.0), (HIGHEST, highest, 1.0)):
        has_one = stat(stats, field, EXAMPLES + slot) >= 0
        further = sign * value - sign * load_double(place) if has_one else 1.0
        if further > 0 or (further == 0 and compare_kept(texts, stats, field, slot, address, length) < 0):
            keep_text(texts, stats, field, slot, address, length)
            store_double(place, value)


@compiled
def add_text(
    settings: int, stats: int, texts: int, field: int, address: int, length: int, scratch: int, unsure: int
) -> int:
    """Count a text that is not empty; the next place for what is unsure: field, length, text."""
    kind, whole, scale, digits, value = vote(settings, address, length)
    if kind == UNSURE:
        store_word(unsure, field)
        store_word(unsure + 8, length)
        copy_bytes(unsure + 16, address, length)
        return unsure + 16 + ((length + 39) & ~7)
    add_stat(stats, field, VOTES + kind, word(1))
    raise_stat(stats, field, word(WHOLE), whole)
    raise_stat(stats, field, word(SCALE), scale)
    raise_stat(stats, field, word(DIGITS), digits)
    shown, characters = length, length
    if length > EXAMPLE_LENGTH or length > stat(stats, field, LONGEST):
        shown, characters = shown_length(address, length)
    if shown < length:
        copy_bytes(scratch, address, shown)
        store_byte(scratch + shown, 0xE2)
        store_byte(scratch + shown + 1, 0x80)
        store_byte(scratch + shown + 2, 0xA6)
        address, shown = scratch, shown + 3
    if length > stat(stats, field, LONGEST):
        raise_stat(stats, field, word(LONGEST), characters)
    add_example(texts, stats, field, address, shown)
    if kind <= DOUBLE:
        add_number(texts, stats, field, value, address, shown)
    return unsure


@entry
def learn(
    settings: int,
    base: int,
    stats: int,
    texts: int,
    stack: int,
    tape: int,
    end: int,
    counts: int,
    scratch: int,
    unsure: int,
) -> int:
    """The entries of a tape → what was seen; after the texts whose vote is unsure.

    `counts` has the number of documents and of elements so far. `scratch` has room for a text after one of 288 bytes.
    """
    document, number = load_word(counts), load_word(counts + 8)
    depth = word(-1)
    names = setting(settings, NAMES)
    while tape < end:
        code, span = load_word(tape), load_word(tape + 8)
        kind, name = code & 15, code >> 8
        tape += 16
        if kind == DOCUMENT:
            if depth >= 0:
                close(stats, stack, word(0))
            depth = word(-1)
            if span == READ:
                document += 1
                number += 1
                depth = word(0)
                put_name(names, name, SEEN, get_name(names, name, SEEN) + 1)
                open_element(stack, word(0), word(0), number)
            continue
        if kind == START:
            field = occurs(settings, stats, stack, depth, name, document)
            depth += 1
            number += 1
            open_element(stack, depth, field, number)
        elif kind == END:
            parts, field = close(stats, stack, depth), get(stack, depth, FIELD)
            depth -= 1
            if parts:
                has_value(stats, stack, depth, field)
        else:
            field = occurs(settings, stats, stack, depth, name, document)
            address, length = text_of(settings, scratch + ROOM, base + (span >> 32), span & 0xFFFFFFFF, code)
            if is_null_text(settings, address, length):
                # Spark lets the null text vote, but in attributes.
                if not setting(settings, IS_SPARK) or code & FROM_ATTRIBUTE:
                    continue
            if length:
                add_stat(stats, field, word(BARE), word(1))
                has_text(stats, field, document)
                has_value(stats, stack, depth, field)
                unsure = add_text(settings, stats, texts, field, address, length, scratch, unsure)
    if depth >= 0:
        close(stats, stack, word(0))
    store_word(counts, document)
    store_word(counts + 8, number)
    return unsure
