"""DOCTYPEs that change nothing: they declare elements, notations and attributes, but no entity that could be used."""

import re
from functools import lru_cache
from typing import NamedTuple
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


class _Declared(NamedTuple):
    """What the attributes' declarations could change: by default values, by types that normalize blanks."""

    has_defaults: bool
    has_names: bool


def silent_end(text: str, *, is_validated: bool = False) -> int:
    """Where a DOCTYPE at a text's start ends that says nothing about the values of the document; 0 where none does.

    Its default values count for nothing but validation.

    >>> silent_end("<!DOCTYPE p [<!ELEMENT p (#PCDATA)>]><p/>"), silent_end("<!DOCTYPE p [<!ENTITY e 'x'>]><p/>")
    (37, 0)
    """
    found = _DOCTYPE.match(text)
    if not found or found.end() > _LONGEST or _ANOTHER.match(text, found.end()):
        return 0
    declared = _declared(found[0])
    if declared is None or (declared.has_defaults and is_validated):
        return 0
    if declared.has_names and _LOOSE_VALUE.search(text, found.end()):
        return 0
    return found.end()


@lru_cache(maxsize=64)
def _declared(doctype: str) -> _Declared | None:
    """What a DOCTYPE declares; None for what the document's reader must see: entities, faults, too many names."""
    types: list[str] = []
    names: list[str] = []
    defaults: list[str] = []
    entities: list[str] = []

    def attribute(element: str, name: str, kind: str, default: str | None, _: bool) -> None:
        types.append(kind)
        names.extend((element, name))
        if default is not None:
            defaults.append(default)

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
    return _Declared(bool(defaults), any(kind != "CDATA" for kind in types))
