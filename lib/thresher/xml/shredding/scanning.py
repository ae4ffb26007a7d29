"""What stands between tags: runs of text, comments, references, names; every check that expat makes, or a refusal.

Functions give an address, or 0 where only the reference can tell what is right.
"""

from thresher.compiled import compiled
from thresher.xml.shredding.machine import (
    BLOCK,
    above_mask,
    below_mask,
    equal_mask,
    first_bit,
    last_bit,
    load_byte,
    load_word,
    word,
)

TAB, LINE_FEED, RETURN, SPACE = 9, 10, 13, 32
BANG, QUOTE, SHARP, AMPERSAND, APOSTROPHE = 33, 34, 35, 38, 39
DASH, DOT, SLASH, COLON, SEMICOLON, LESS, EQUALS, GREATER, QUESTION = 45, 46, 47, 58, 59, 60, 61, 62, 63
OPEN_BRACKET, CLOSE_BRACKET = 91, 93
XML_TARGET = int.from_bytes(b"<?xml", "little")
# The words of a declaration; of the longest one its first eight letters.
VERSION = int.from_bytes(b"version", "little")
ENCODING = int.from_bytes(b"encoding", "little")
STANDALO = int.from_bytes(b"standalo", "little")
UTF8 = int.from_bytes(b"utf-8", "little")
YES = int.from_bytes(b"yes", "little")
NO = int.from_bytes(b"no", "little")
CDATA_START = int.from_bytes(b"<![CDATA", "little")
FIVE_BYTES = (1 << 40) - 1

# What a run of text is made of
HAS_MARKUP, HAS_COMMENT = 1, 2
# How a run that must be decoded stands: blank, with content, or only the reference knows
BLANK, FILLED, UNSURE = range(3)


@compiled
def is_blank_byte(byte: int) -> bool:
    """Whether a byte is one of XML's four blanks."""
    return byte == SPACE or byte == LINE_FEED or byte == TAB or byte == RETURN


@compiled
def is_name_byte(byte: int) -> bool:
    """Whether a byte may stand in a name of ASCII characters."""
    lower = byte | 32
    return (97 <= lower <= 122) or (48 <= byte <= 57) or byte == 95 or byte == COLON or byte == DASH or byte == DOT


@compiled
def is_plain_name(address: int, length: int) -> bool:
    """Whether a name has ASCII characters only, and begins as a name does."""
    if length == 0:
        return False
    first = load_byte(address)
    if first == DASH or first == DOT or 48 <= first <= 57:
        return False
    for at in range(length):
        if not is_name_byte(load_byte(address + at)):
            return False
    return True


@compiled
def skip_blanks(address: int, end: int) -> int:
    """The first address that holds no blank, at most `end`."""
    while address < end and is_blank_byte(load_byte(address)):
        address += 1
    return address


@compiled
def name_end(address: int, end: int) -> int:
    """Where a name ends: at a blank, at `/`, `>`, `=`, or at the end."""
    while address < end:
        byte = load_byte(address)
        if byte == GREATER or byte == SLASH or byte == EQUALS or is_blank_byte(byte):
            break
        address += 1
    return address


@compiled
def find_byte(address: int, end: int, byte: int) -> int:
    """Where a byte stands first; 0 where it does not before the end."""
    while address < end:
        found = equal_mask(address, byte)
        if found:
            address += first_bit(found)
            return address if address < end else 0
        address += BLOCK
    return 0


@compiled
def check_characters(address: int, end: int) -> int:
    """What characters a document has: 0 for XML's characters in UTF-8, -1 for anything else."""
    while address < end:
        controls = below_mask(address, SPACE)
        if controls:
            controls &= ~(equal_mask(address, LINE_FEED) | equal_mask(address, RETURN) | equal_mask(address, TAB))
        high = above_mask(address, 127)
        if end - address < BLOCK:
            inside = (1 << (end - address)) - 1
            controls &= inside
            high &= inside
        if controls:
            return -1
        if high:
            address += first_bit(high)
            while address < end and load_byte(address) > 127:
                length = _character_length(address, end)
                if length == 0:
                    return -1
                address += length
        else:
            address += BLOCK
    return 0


@compiled
def _character_length(address: int, end: int) -> int:
    """How many bytes a character of two or more takes; 0 where these bytes are none of XML's (Unicode, table 3-7)."""
    first = load_byte(address)
    length = 2 if 0xC2 <= first <= 0xDF else 3 if 0xE0 <= first <= 0xEF else 4 if 0xF0 <= first <= 0xF4 else 0
    if length == 0 or address + length > end:
        return 0
    second = load_byte(address + 1)
    for at in range(1, length):
        if load_byte(address + at) & 0xC0 != 0x80:
            return 0
    is_overlong = (first == 0xE0 and second < 0xA0) or (first == 0xF0 and second < 0x90)
    is_surrogate = first == 0xED and second > 0x9F
    is_beyond = first == 0xF4 and second > 0x8F
    is_no_character = first == 0xEF and second == 0xBF and load_byte(address + 2) >= 0xBE
    return 0 if is_overlong or is_surrogate or is_beyond or is_no_character else length


@compiled
def reference_end(address: int, end: int) -> int:
    """After the `;` of a reference at `&`; 0 where it is none of the five entities and no allowed character."""
    close = address + 1
    while close < end and close < address + 12 and load_byte(close) != SEMICOLON:
        close += 1
    if close >= end or load_byte(close) != SEMICOLON:
        return 0
    return close + 1 if reference_character(address, close) > 0 else 0


@compiled
def reference_character(address: int, close: int) -> int:
    """The character that a reference from `&` to before `;` stands for; 0 for none."""
    length = close - address - 1
    if load_byte(address + 1) != SHARP:
        name = load_word(address + 1) & ((1 << (8 * length)) - 1) if 0 < length < 8 else 0
        if name == 0x706D61:  # amp
            return AMPERSAND
        if name == 0x746C:  # lt
            return LESS
        if name == 0x7467:  # gt
            return GREATER
        if name == 0x746F7571:  # quot
            return QUOTE
        if name == 0x736F7061:  # apos
            return APOSTROPHE
        return 0
    is_hex = load_byte(address + 2) == 120
    at = address + (3 if is_hex else 2)
    if at >= close:
        return 0
    character = 0
    while at < close:
        byte = load_byte(at)
        lower = byte | 32
        if 48 <= byte <= 57:
            digit = byte - 48
        elif is_hex and 97 <= lower <= 102:
            digit = lower - 87
        else:
            return 0
        character = character * (16 if is_hex else 10) + digit
        at += 1
    is_control = character < SPACE and not is_blank_byte(character)
    is_half = 0xD800 <= character <= 0xDFFF
    return 0 if is_control or is_half or character in (0xFFFE, 0xFFFF) or character > 0x10FFFF else character


@compiled
def comment_end(address: int, end: int) -> int:
    """After a comment at `<!--`."""
    at = address + 4
    while True:
        at = find_byte(at, end, word(DASH))
        if at == 0 or at + 2 >= end:
            return 0
        if load_byte(at + 1) == DASH:
            return at + 3 if load_byte(at + 2) == GREATER else 0
        at += 1


@compiled
def instruction_end(address: int, end: int) -> int:
    """After a processing instruction at `<?`; the target `xml` is left to the reference."""
    target = address + 2
    at = target
    while at < end and is_name_byte(load_byte(at)):
        at += 1
    if not is_plain_name(target, at - target) or at >= end:
        return 0
    if at - target == 3 and (load_word(target) | 0x202020) & 0xFFFFFF == 0x6C6D78:
        return 0
    if not is_blank_byte(load_byte(at)):
        return at + 2 if load_byte(at) == QUESTION and load_byte(at + 1) == GREATER and at + 1 < end else 0
    while True:
        at = find_byte(at, end, word(QUESTION))
        if at == 0 or at + 1 >= end:
            return 0
        if load_byte(at + 1) == GREATER:
            return at + 2
        at += 1


@compiled
def cdata_end(address: int, end: int) -> int:
    """After a CDATA section at `<![CDATA[`."""
    if load_word(address) != CDATA_START or load_byte(address + 8) != OPEN_BRACKET:
        return 0
    at = address + 9
    while True:
        at = find_byte(at, end, word(CLOSE_BRACKET))
        if at == 0 or at + 2 >= end:
            return 0
        if load_byte(at + 1) == CLOSE_BRACKET and load_byte(at + 2) == GREATER:
            return at + 3
        at += 1


@compiled
def misc_end(address: int, end: int) -> int:
    """After blanks, comments and processing instructions outside of the root: at `<` or at the end; 0 for a refusal."""
    while True:
        address = skip_blanks(address, end)
        if address + 1 >= end or load_byte(address) != LESS:
            return address
        second = load_byte(address + 1)
        if second == QUESTION:
            address = instruction_end(address, end)
        elif second == BANG and load_byte(address + 2) == DASH and load_byte(address + 3) == DASH:
            address = comment_end(address, end)
        else:
            return address
        if address == 0:
            return 0


@compiled
def declaration_end(address: int, end: int, is_text: int) -> int:
    """After the XML declaration at `<?xml`; 0 for the reference: where it is not in order, or where documents are bytes
    and it names another encoding than UTF-8."""
    at = skip_blanks(address + 5, end)
    if load_word(at) & ((1 << 56) - 1) != VERSION:
        return 0
    start, close = _declared(at + 7, end)
    if close < start + 3 or load_byte(start) != 49 or load_byte(start + 1) != DOT:
        return 0
    for digit in range(start + 2, close):
        if not 48 <= load_byte(digit) <= 57:
            return 0
    at = skip_blanks(close + 1, end)
    if at > close + 1 and load_word(at) == ENCODING:
        start, close = _declared(at + 8, end)
        is_utf8 = close == start + 5 and (load_word(start) & FIVE_BYTES) | 0x202020 == UTF8
        if close <= start or not (is_text or is_utf8):
            return 0
        at = skip_blanks(close + 1, end)
    if at > close + 1 and load_word(at) == STANDALO and load_byte(at + 8) == 110 and load_byte(at + 9) == 101:  # ne
        start, close = _declared(at + 10, end)
        is_yes = close == start + 3 and load_word(start) & 0xFFFFFF == YES
        is_no = close == start + 2 and load_word(start) & 0xFFFF == NO
        if not (is_yes or is_no):
            return 0
        at = skip_blanks(close + 1, end)
    is_end = at + 1 < end and load_byte(at) == QUESTION and load_byte(at + 1) == GREATER
    return at + 2 if is_end else 0


@compiled
def _declared(address: int, end: int) -> tuple[int, int]:
    """From after a name in the declaration: its value's first place and closing quote; 0 where there is none."""
    at = skip_blanks(address, end)
    if load_byte(at) != EQUALS:
        return 0, 0
    at = skip_blanks(at + 1, end)
    quote = load_byte(at)
    if quote != QUOTE and quote != APOSTROPHE:
        return 0, 0
    close = at + 1
    while close < end and _is_in_value(load_byte(close)):
        close += 1
    return (at + 1, close) if close < end and load_byte(close) == quote else (0, 0)


@compiled
def _is_in_value(byte: int) -> bool:
    """Whether it is a letter, a digit, or one of -._: as values in a declaration have them."""
    return 97 <= byte | 32 <= 122 or 48 <= byte <= 58 or byte == DASH or byte == DOT or byte == 95


@compiled
def prolog_end(address: int, end: int, is_spark: int, is_text: int) -> int:
    """At the `<` of the root element; 0 where there is a DOCTYPE or anything else for the reference."""
    if end - address >= 3 and load_word(address) & 0xFFFFFF == 0xBFBBEF:
        address += 3
    at = skip_blanks(address, end)
    if end - at > 6 and load_word(at) & FIVE_BYTES == XML_TARGET and is_blank_byte(load_byte(at + 5)):
        if is_spark and at != address:
            return 0
        at = declaration_end(at, end, is_text)
        if at == 0:
            return 0
    at = misc_end(at, end)
    return at if at and at + 2 < end and load_byte(at) == LESS else 0


@compiled
def run_end(address: int, end: int) -> tuple[int, int, int]:
    """From an address in content to the next tag: its address (0: for the reference), what it has, how it stands.

    A run may hold references, CDATA sections, comments and processing instructions.
    """
    has = 0
    stands = BLANK
    while address < end:
        less = equal_mask(address, LESS)
        care = equal_mask(address, AMPERSAND) | equal_mask(address, CLOSE_BRACKET)
        filled = above_mask(address, SPACE)
        stop = less | care
        if stop == 0:
            has |= HAS_MARKUP if equal_mask(address, RETURN) else 0
            stands = FILLED if filled else stands
            address += BLOCK
            continue
        at = first_bit(stop)
        below = (1 << at) - 1
        has |= HAS_MARKUP if equal_mask(address, RETURN) & below else 0
        stands = FILLED if filled & below else stands
        address += at
        if address >= end:
            return 0, has, stands
        byte = load_byte(address)
        if byte == LESS:
            second = load_byte(address + 1)
            if second == BANG:
                has |= HAS_MARKUP
                if load_byte(address + 2) == DASH and load_byte(address + 3) == DASH:
                    has |= HAS_COMMENT
                    address = comment_end(address, end)
                else:
                    start = address + 9
                    address = cdata_end(address, end)
                    if address and stands == BLANK and skip_blanks(start, address - 3) < address - 3:
                        stands = FILLED
            elif second == QUESTION:
                has |= HAS_MARKUP | HAS_COMMENT
                address = instruction_end(address, end)
            else:
                return address, has, stands
            if address == 0:
                return 0, has, stands
        elif byte == AMPERSAND:
            has |= HAS_MARKUP
            close = reference_end(address, end)
            if close == 0:
                return 0, has, stands
            if stands == BLANK:
                stands = UNSURE if is_blank_byte(reference_character(address, close - 1)) else FILLED
            address = close
        else:
            if load_byte(address + 1) == CLOSE_BRACKET and load_byte(address + 2) == GREATER:
                return 0, has, stands
            stands = FILLED
            address += 1
    return 0, has, stands


@compiled
def trimmed_end(address: int, end: int) -> int:
    """After the last byte of a run that is no blank."""
    while end > address and is_blank_byte(load_byte(end - 1)):
        end -= 1
    return end


@compiled
def quoted_end(address: int, end: int, quote: int) -> tuple[int, int]:
    """From after an opening quote to its closing one (0: for the reference), and whether the value must be decoded."""
    must_decode = 0
    while address < end:
        closing = equal_mask(address, quote)
        care = equal_mask(address, AMPERSAND) | equal_mask(address, LESS)
        blanks = below_mask(address, SPACE)
        if closing | care == 0:
            must_decode |= 1 if blanks else 0
            address += BLOCK
            continue
        at = first_bit(closing | care)
        must_decode |= 1 if blanks & ((1 << at) - 1) else 0
        address += at
        if address >= end or load_byte(address) == LESS:
            return 0, 0
        if load_byte(address) == quote:
            return address, must_decode
        address = reference_end(address, end)
        must_decode = 1
        if address == 0:
            return 0, 0
    return 0, 0


@compiled
def block_of_text(address: int) -> tuple[int, int, int]:
    """Shortcut for a run that ends within one block and needs no care: its `<`, first and after its last filled byte.

    The address is 0 where it is no such run; first and last are equal where the run is blank.
    """
    less = equal_mask(address, LESS)
    if less == 0:
        return 0, 0, 0
    at = first_bit(less)
    below = (1 << at) - 1
    second = load_byte(address + at + 1)
    if second == BANG or second == QUESTION:
        return 0, 0, 0
    filled = above_mask(address, SPACE) & below
    if filled == 0:
        return address + at, address, address
    first, last = first_bit(filled), last_bit(filled)
    care = equal_mask(address, AMPERSAND) | equal_mask(address, CLOSE_BRACKET)
    returns = equal_mask(address, RETURN)
    if (care | returns) & below:
        return 0, 0, 0
    return address + at, address + first, address + last + 1
