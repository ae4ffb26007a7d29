"""A document that is not well-formed, as the stream of events in which Spark's reader takes it.

The reader stops at every fault with an error, and goes on behind it when it is asked for the next event. What it has
consumed by then, and which elements it takes for open, decides what Spark reads of the document. DTDs are passed over.
"""

import re
from bisect import bisect_right
from xml.etree.ElementTree import Element

from thresher.xml.elements import Places, Tree
from thresher.xml.options import Options
from thresher.xml.spark_events import END, Damage, Event

_NAME = re.compile(r"(?:[^\W\d]|:)[\w.:·-]*")
_BLANKS = re.compile(r"[ \t\n]*")
_CHARACTERS = re.compile(r"[^<&\]\x00-\x08\x0b\x0c\x0e-\x1f]+")
_IN_VALUE = re.compile(r"[^<&'\"\x00-\x08\x0b\x0c\x0e-\x1f]+")
_REFERENCE = re.compile(r"&(?:#(?P<digits>[0-9]+)|#x(?P<hex>[0-9a-fA-F]+)|(?P<name>amp|lt|gt|quot|apos));")
# As far as a reference goes, with the character that cannot belong to it.
_BAD_REFERENCE = re.compile(r"&(?:#x?[0-9a-fA-F]*|(?:[^\W\d]|:)[\w.:·-]*)?(?:.|$)", re.DOTALL)
_SPACES = re.compile(r"[\t\n]")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_LARGEST = 0x10FFFF
_MISC = re.compile(
    r"(?:[ \t\n]+|<!--(?:(?!--).)*-->|<\?(?!xml[\s?])[^\W\d](?:(?!\?>).)*\?>)*", re.DOTALL | re.IGNORECASE
)
_DECLARATION = re.compile(
    r"<\?xml\s+version\s*=\s*(['\"])1\.[01]\1(?:\s+encoding\s*=\s*(['\"])[^'\"<>]+\2)?"
    r"(?:\s+standalone\s*=\s*(['\"])(?:yes|no)\3)?\s*\?>"
)
_QUOTED = r"(?:\"[^\"]*\"|'[^']*')"
_SUBSET = rf"\[(?:\s|%[\w.:-]+;|<!--(?:(?!-->).)*-->|<\?(?:(?!\?>).)*\?>|<![A-Z](?:{_QUOTED}|[^>\"'])*>)*\]\s*"
_DOCTYPE = re.compile(
    rf"<!DOCTYPE\s+[\w.:-]+(?:\s+SYSTEM\s+{_QUOTED}|\s+PUBLIC\s+{_QUOTED}\s+{_QUOTED})?\s*(?:{_SUBSET})?>", re.DOTALL
)


class _Fault(Exception):
    """The reader stops, having consumed the text up to `at`."""

    def __init__(self, at: int) -> None:
        self.at = at


class _Over(Exception):
    """The text ends too early, or is beyond the budget."""


def recovered(document: str, options: Options) -> tuple[Tree, list[Event]] | None:
    """The root and the events after its start tag, as far as the budget goes; None where not even that can be read.

    >>> tree, events = recovered("<p><a>&nbsp;1</a></p>", Options.spark())
    >>> [event if isinstance(event, str) else type(event).__name__ for event in events]
    ['Element', 'Damage', '1', 'End', 'End']
    """
    reader = _Reader(document.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), options)
    try:
        root = reader.root()
    except (_Fault, _Over):
        return None
    reader.read_on()
    return Tree(root, lambda: reader.places), reader.events


def _after_prolog(text: str) -> int:
    at = _matched(_MISC, text, _matched(_DECLARATION, text, 0))
    return _matched(_MISC, text, _matched(_DOCTYPE, text, at))


def _matched(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


class _Reader:
    """Reads tokens from left to right; `open` are the elements that it takes for open, `last` is the last token."""

    def __init__(self, text: str, options: Options) -> None:
        self.text = text
        self.options = options
        self.nodes_left = options.max_nodes
        self.at = 0
        self.open: list[str] = []
        self.last: object = None
        self.is_skipping = False  # the rest of a text in which a reference could not be read
        self.events: list[Event] = []
        self.places: Places = {}
        self.lines = [found.end() for found in re.finditer("\n", text)]

    def root(self) -> Element:
        self.at = _after_prolog(self.text)
        if self.character(self.at) != "<" or not _NAME.match(self.character(self.at + 1)):
            raise _Fault(self.at)
        self.start_tag()
        root = self.events.pop(0)
        assert isinstance(root, Element)
        return root

    def read_on(self) -> None:
        """Read up to the end of the root, or to where nothing more can be read."""
        while True:
            if self.last is END:
                self.open.pop()  # after a fault once more
            if not self.open:
                return
            try:
                self.token()
            except _Fault as fault:
                self.events.append(Damage())
                self.at = fault.at
            except _Over:
                self.events.append(Damage(is_last=True))
                return

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.last = event

    def character(self, at: int) -> str:
        if at >= len(self.text):
            raise _Over
        return self.text[at]

    def token(self) -> None:
        """One start tag, end tag or text; comments and instructions are none."""
        if self.is_skipping:
            self.is_skipping = False
            self.text_token(is_kept=False)
        if self.character(self.at) != "<" or self.text.startswith("<![CDATA[", self.at):
            self.text_token(is_kept=True)
            return
        mark = self.character(self.at + 1)
        if mark == "/":
            self.end_tag()
        elif mark == "?":
            self.instruction()
        elif mark == "!":
            self.comment()
        elif _NAME.match(mark):
            self.start_tag()
        else:
            raise _Fault(self.at + 2)

    def text_token(self, *, is_kept: bool) -> None:
        parts: list[str] = []
        while self.at < len(self.text):
            if found := _CHARACTERS.match(self.text, self.at):
                parts.append(found[0])
                self.at = found.end()
            elif self.text.startswith("<![CDATA[", self.at):
                parts.append(self.through("]]>", self.at + 9))
            elif self.text[self.at] == "&":
                parts.append(self.reference_in_text(has_begun=bool(parts) or not is_kept))
            elif self.text[self.at] == "]" and not self.text.startswith("]]>", self.at):
                parts.append("]")
                self.at += 1
            else:
                break
        is_mark = self.text.startswith("]]>", self.at)
        if is_kept and (parts or is_mark):
            self.add("".join(parts) + "]]" * is_mark)
        if self.character(self.at) != "<":
            raise _Fault(self.at + (3 if is_mark else 1))

    def through(self, mark: str, start: int) -> str:
        """The text up to a mark, which is consumed with it."""
        end = self.text.find(mark, start)
        if end < 0:
            raise _Over
        self.at = end + len(mark)
        return self.text[start:end]

    def reference_in_text(self, *, has_begun: bool) -> str:
        try:
            value, self.at = self.reference(self.at)
        except _Fault:
            self.is_skipping = has_begun
            raise
        return value

    def reference(self, at: int) -> tuple[str, int]:
        """What a reference stands for, and where it ends."""
        found = _REFERENCE.match(self.text, at)
        if found:
            value = _ENTITIES.get(found["name"] or "") or _character(found["digits"], found["hex"])
            if value:
                return value, found.end()
        bad = _BAD_REFERENCE.match(self.text, at)
        assert bad  # it matches whatever follows "&"
        if bad.end() > len(self.text) - 1:
            raise _Over
        raise _Fault(bad.end())

    def end_tag(self) -> None:
        found = _NAME.match(self.text, self.at + 2)
        end = found.end() if found else self.at + 2
        if not found or found[0] != self.open[-1]:
            self.character(end)
            raise _Fault(end if found else end + 1)
        end = _matched(_BLANKS, self.text, end)
        if self.character(end) != ">":
            raise _Fault(end + 1)
        self.at = end + 1
        self.add(END)

    def instruction(self) -> None:
        found = _NAME.match(self.text, self.at + 2)
        if not found:
            self.character(self.at + 2)
            raise _Fault(self.at + 3)
        if found[0].lower() == "xml":
            raise _Fault(found.end())
        self.through("?>", found.end())
        self.last = None

    def comment(self) -> None:
        if not self.text.startswith("<!--", self.at):
            # One character more than what could have been a comment.
            wrong = self.at + (3 if self.text.startswith("<!-", self.at) else 2)
            self.character(wrong)
            raise _Fault(wrong + 1)
        self.through("--", self.at + 4)
        self.last = None
        if self.character(self.at) == ">":
            self.at += 1
            return
        self.through("-->", self.at - 2)
        self.events.append(Damage())  # the reader stops in the comment, and again when it skips the rest
        raise _Fault(self.at)

    def start_tag(self) -> None:
        start = self.at
        found = _NAME.match(self.text, start + 1)
        assert found
        self.open.append(found[0])
        if len(self.open) > self.options.max_depth or self.nodes_left <= 0:
            raise _Over
        self.at = found.end()
        self.nodes_left -= 1
        attributes: list[tuple[str, str]] = []
        while not self.text.startswith((">", "/"), blank := _matched(_BLANKS, self.text, self.at)):
            if blank == self.at:
                self.character(blank)
                raise _Fault(blank + 1)
            self.at = blank
            attributes.append(self.attribute())
        is_empty = self.text[blank] == "/"
        if is_empty and self.character(blank + 1) != ">":
            raise _Fault(blank + 2)
        self.at = blank + 1 + is_empty
        if len(by_name := dict(attributes)) == len(attributes):
            line = bisect_right(self.lines, start)
            column = start - (self.lines[line - 1] if line else 0)
            element = Element(found[0], by_name)
            self.places[element] = line + 1, column + 1
            self.add(element)
        elif is_empty and isinstance(self.last, Element):
            self.events.append(Damage())
        else:
            raise _Fault(self.at)
        if is_empty:
            self.add(END)

    def attribute(self) -> tuple[str, str]:
        self.nodes_left -= 1
        name = _NAME.match(self.text, self.at)
        if not name:
            self.character(self.at)
            raise _Fault(self.at + 1)
        at = _matched(_BLANKS, self.text, name.end())
        if self.character(at) != "=":
            raise _Fault(at + 1)
        at = _matched(_BLANKS, self.text, at + 1)
        quote = self.character(at)
        if quote not in "'\"":
            raise _Fault(at + 1)
        at += 1
        parts: list[str] = []
        while self.character(at) != quote:
            if found := _IN_VALUE.match(self.text, at):
                parts.append(_SPACES.sub(" ", found[0]))
                at = found.end()
            elif self.text[at] in "'\"":
                parts.append(self.text[at])
                at += 1
            elif self.text[at] == "&":
                value, at = self.reference(at)
                parts.append(value)
            else:
                raise _Fault(at + 1)
        self.at = at + 1
        return name[0], "".join(parts)


def _character(digits: str | None, hexadecimal: str | None) -> str:
    """What a number stands for; nothing where it is no character of XML."""
    code = int((digits or "0").lstrip("0")[:8] or "0") or int((hexadecimal or "0").lstrip("0")[:8] or "0", 16)
    is_known = (
        code in (9, 10, 13) or 32 <= code <= _LARGEST and not (0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF))
    )
    return chr(code) if is_known else ""
