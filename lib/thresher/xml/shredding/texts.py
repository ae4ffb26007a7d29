"""From what is written in a document to the text that it stands for: references, CDATA, line ends."""

from thresher.compiled import compiled
from thresher.xml.shredding.machine import load_byte, load_word, same_bytes, store_byte, word
from thresher.xml.shredding.scanning import (
    AMPERSAND,
    CDATA_START,
    LESS,
    LINE_FEED,
    QUESTION,
    RETURN,
    SEMICOLON,
    SPACE,
    cdata_end,
    comment_end,
    instruction_end,
    is_blank_byte,
    reference_character,
    skip_blanks,
    trimmed_end,
)
from thresher.xml.shredding.tables import FROM_ATTRIBUTE, NULL_LENGTH, NULL_TEXT, RAW, TRIMS, setting


@compiled
def text_of(settings: int, scratch: int, address: int, length: int, flags: int) -> tuple[int, int]:
    """The text of a value on the tape: where it stands, in the document or decoded in the scratch, and its length."""
    if not flags & RAW:
        return address, length
    length = decode(scratch, address, length, flags & FROM_ATTRIBUTE)
    if not setting(settings, TRIMS):
        return scratch, length
    start = skip_blanks(scratch, scratch + length)
    return start, trimmed_end(start, scratch + length) - start


@compiled
def is_null_text(settings: int, address: int, length: int) -> bool:
    """Whether a text is the one that stands for null."""
    return length == setting(settings, NULL_LENGTH) and same_bytes(address, setting(settings, NULL_TEXT), length)


@compiled
def decode(target: int, address: int, length: int, is_attribute: int) -> int:
    """Write what a checked run or attribute value stands for: references, CDATA, line ends; its length, never more.

    Comments and processing instructions are as if they were not there. Blanks in attribute values become spaces
    (XML 1.0, 2.11 and 3.3.3).
    """
    end = address + length
    start = target
    while address < end:
        byte = load_byte(address)
        if byte == AMPERSAND:
            close = address + 1
            while load_byte(close) != SEMICOLON:
                close += 1
            target = _encode(target, reference_character(address, close))
            address = close + 1
        elif byte == LESS and not is_attribute:
            if load_byte(address + 1) == QUESTION:
                address = instruction_end(address, end)
            elif load_word(address) == CDATA_START:
                close = cdata_end(address, end)
                target += _copy_lines(target, address + 9, close - 3, word(0))
                address = close
            else:
                address = comment_end(address, end)
        else:
            stop = address + 1
            while stop < end and load_byte(stop) != AMPERSAND and load_byte(stop) != LESS:
                stop += 1
            target += _copy_lines(target, address, stop, is_attribute)
            address = stop
    return target - start


@compiled
def _copy_lines(target: int, address: int, end: int, is_attribute: int) -> int:
    """Copy characters with their line ends as XML reads them: the length of the copy."""
    start = target
    while address < end:
        byte = load_byte(address)
        if byte == RETURN:
            byte = LINE_FEED
            if address + 1 < end and load_byte(address + 1) == LINE_FEED:
                address += 1
        if is_attribute and is_blank_byte(byte):
            byte = SPACE
        store_byte(target, byte)
        target += 1
        address += 1
    return target - start


@compiled
def _encode(target: int, character: int) -> int:
    """Write a character in UTF-8; the address after it."""
    if character < 0x80:
        store_byte(target, character)
        return target + 1
    if character < 0x800:
        store_byte(target, 0xC0 | (character >> 6))
        store_byte(target + 1, 0x80 | (character & 63))
        return target + 2
    if character < 0x10000:
        store_byte(target, 0xE0 | (character >> 12))
        store_byte(target + 1, 0x80 | ((character >> 6) & 63))
        store_byte(target + 2, 0x80 | (character & 63))
        return target + 3
    store_byte(target, 0xF0 | (character >> 18))
    store_byte(target + 1, 0x80 | ((character >> 12) & 63))
    store_byte(target + 2, 0x80 | ((character >> 6) & 63))
    store_byte(target + 3, 0x80 | (character & 63))
    return target + 4
