"""DOCTYPEs that change nothing: they declare elements, notations and attributes, but no entity that could be used."""

import re
from functools import lru_cache
from xml.parsers import expat

LONGEST_NAME = 1_000
MOST_DECLARATIONS = 1_000  # of attributes
# With an external DTD expat passes over undefined entities in silence, and their text would be lost.
STANDALONE = b"<?xml version='1.0' standalone='yes'?>\n"

_LONGEST = 64 * 1024  # characters of one that is remembered
_QUOTED = r"""(?>"[^"]*"|'[^']*')"""
_ASIDE = r"(?><!--.*?-->|<\?.*?\?>)"
# Where it ends; whether it is in order, expat decides. Possessive: no text takes more than one way through it.
_DOCTYPE = re.compile(
    rf"""(?:[ \t\r\n]|{_ASIDE})*+<!DOCTYPE(?:[^][<>"']|{_QUOTED})*+
    (?:\[(?:[^]<"']|{_ASIDE}|<![A-Z](?:[^<>"']|{_QUOTED})*+>)*+\][ \t\r\n]*+)?+>""",
    re.DOTALL | re.VERBOSE,
)
_ANOTHER = re.compile(rf"(?:[ \t\r\n]|{_ASIDE})*+<!DOCTYPE", re.DOTALL)
# Attributes' values that are another text where they are declared as names: with blanks that are more than separators.
_LOOSE_VALUE = re.compile(
    r"""=[ \t\r\n]*+(?:"(?:[ \t\r\n]|[^"<]*?(?:[ \t\r\n]{2}|[ \t\r\n]"|&\#))
    |'(?:[ \t\r\n]|[^'<]*?(?:[ \t\r\n]{2}|[ \t\r\n]'|&\#)))""",
    re.VERBOSE,
)


def silent_end(text: str) -> int:
    """Where a DOCTYPE at a text's start ends that says nothing about the values of the document; 0 where none does.

    Its default values count for nothing.

    >>> silent_end("<!DOCTYPE p [<!ELEMENT p (#PCDATA)>]><p/>"), silent_end("<!DOCTYPE p [<!ENTITY e 'x'>]><p/>")
    (37, 0)
    """
    found = _DOCTYPE.match(text)
    if not found or found.end() > _LONGEST or _ANOTHER.match(text, found.end()):
        return 0
    names_values = _names_values(found[0])
    if names_values is None or (names_values and _LOOSE_VALUE.search(text, found.end())):
        return 0
    return found.end()


@lru_cache(maxsize=64)
def _names_values(doctype: str) -> bool | None:
    """Whether a DOCTYPE declares attributes whose values are names, which have no blanks around them; None for what the
    document's reader must see: entities, faults, too many names."""
    types: list[str] = []
    names: list[str] = []
    entities: list[str] = []

    def attribute(element: str, name: str, kind: str, *_: object) -> None:
        types.append(kind)
        names.extend((element, name))

    parser = expat.ParserCreate("utf-8")
    parser.EntityDeclHandler = lambda name, *_: entities.append(name)
    parser.AttlistDeclHandler = attribute
    try:
        parser.Parse(STANDALONE, False)
        parser.Parse(doctype.encode("utf-8") + b"<_/>", True)
    except (expat.ExpatError, UnicodeEncodeError):
        return None
    if entities or len(types) > MOST_DECLARATIONS or any(len(name) > LONGEST_NAME for name in names):
        return None
    return any(kind != "CDATA" for kind in types)
