"""Loops over the bytes of JSON: where its objects end, and whether fast parsers read it as it is."""

import numpy as np

from thresher.compiled import entry

_QUOTE, _BACKSLASH, _LINE_FEED = 34, 92, 10
_OPEN_BRACE, _CLOSE_BRACE, _OPEN_BRACKET, _CLOSE_BRACKET = 123, 125, 91, 93
_MOST_DEPTH = 100
_MOST_DIGITS = 15  # every number of so many comes back from a double as it went in

PLAIN, LONG_NUMBERS, HARD = range(3)
"""What a block of lines is: an object a line; also numbers that a double may change; or what only care reads."""


def ends(content: bytes) -> np.ndarray:
    """Behind which bytes an object ends that is not within another one.

    >>> ends(b'{"a": "}"}, {"b": {}}, {').tolist()
    [10, 21]
    """
    found = np.empty(content.count(b"}"), np.int64)
    return found[: _ends(np.frombuffer(content, np.uint8), found)]


def hardness(content: bytes) -> int:
    """Whether each line that is not empty begins with an object and ends with it, and what its numbers are.

    >>> [hardness(each) for each in (b'{"a": 1}', b'{"a": 12345678901234567890}', b'{"a": 1} null')]
    [0, 1, 2]
    """
    return int(_hardness(np.frombuffer(content, np.uint8)))


@entry
def _ends(data: np.ndarray, found: np.ndarray) -> int:
    count, depth, is_text, at = 0, 0, False, 0
    while at < len(data):
        byte = data[at]
        if is_text:
            if byte == _BACKSLASH:
                at += 1
            elif byte == _QUOTE:
                is_text = False
        elif byte == _QUOTE:
            is_text = True
        elif byte == _OPEN_BRACE:
            depth += 1
        elif byte == _CLOSE_BRACE:
            depth -= 1
            if depth <= 0:
                depth = 0
                found[count] = at + 1
                count += 1
        at += 1
    return count


@entry
def _hardness(data: np.ndarray) -> int:
    depth, digits, objects, at = 0, 0, 0, 0
    is_text, is_long = False, False
    while at < len(data):
        byte = data[at]
        if is_text:
            if byte == _BACKSLASH:
                at += 1
                if at < len(data) and data[at] == 117:  # \u: perhaps half of a surrogate pair
                    if at + 1 < len(data) and (data[at + 1] == 100 or data[at + 1] == 68):
                        return HARD
            elif byte == _QUOTE:
                is_text = False
            elif byte < 32:
                return HARD
        elif byte == _QUOTE:
            if depth == 0:
                return HARD
            is_text, digits = True, 0
        elif byte == _OPEN_BRACE or byte == _OPEN_BRACKET:
            if depth == 0:
                if byte == _OPEN_BRACKET or objects:
                    return HARD
                objects = 1
            depth += 1
            digits = 0
            if depth > _MOST_DEPTH:
                return HARD
        elif byte == _CLOSE_BRACE or byte == _CLOSE_BRACKET:
            depth -= 1
            digits = 0
            if depth < 0:
                return HARD
        elif byte == _LINE_FEED:
            if depth:
                return HARD
            objects, digits = 0, 0
        elif byte == 32 or byte == 9 or byte == 13:
            digits = 0
        elif depth == 0:
            return HARD
        elif 48 <= byte <= 57:
            digits += 1
            if digits > _MOST_DIGITS:
                is_long = True
        elif byte == 44 or byte == 58:
            digits = 0
        elif byte == 78 or byte == 73:  # NaN, Infinity
            return HARD
        elif (byte == 101 or byte == 69) and digits:  # an exponent
            is_long = True
        at += 1
    if depth or is_text:
        return HARD
    return LONG_NUMBERS if is_long else PLAIN
