"""Documents against an XSD, each alone; libxml2 validates, and nothing is fetched."""

import re
from contextlib import suppress
from typing import Any
from xml.parsers import expat

from lxml import etree

from thresher.xml.decoding import Refused, position, snippet
from thresher.xml.xsd_files import Source, compiled, xsd_files

_PREFIXES = re.compile(r"/([^/:\[\]]+):")


def violation(content: bytes, xsd: Source) -> Refused | None:
    """What an XSD says against a document in UTF-8 (whatever its declaration says); None where it is valid.

    The rule is `xsd`, the reason libxml2's first message, line and column those of the element that it is about.
    Raises UsageError for an XSD that cannot be used.

    >>> found = violation(b"<day>yesterday</day>", '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
    ...     '<xs:element name="day" type="xs:date"/></xs:schema>')
    >>> found.rule, found.reason, found.line, found.column
    ('xsd', "Element 'day': 'yesterday' is not a valid value of the atomic type 'xs:date'.", 1, 1)
    """
    schema = compiled(xsd_files(xsd))
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, huge_tree=True)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        # Namespaces count here: a prefix that is not declared cannot be validated.
        line, column = error.position
        return Refused("xsd", f"cannot be validated: {error.msg}", line, column)
    if schema.validate(root):
        return None
    errors = schema.error_log
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return _refused(content, errors[0].message + more, _element(root, errors[0].path))


def _refused(content: bytes, reason: str, ordinal: int) -> Refused:
    text = content.decode("utf-8", "replace")
    offset = len(content[: _byte(content, ordinal)].decode("utf-8", "replace"))
    return Refused("xsd", reason, *position(text, offset), snippet(text, offset))


def _element(root: Any, path: str | None) -> int:
    """Which element in the order of the document a path of libxml2 stands for; the root where it does not say."""
    wanted = set(_PREFIXES.findall(path or ""))
    prefixes: dict[str, str] = {}
    for element in root.iter(etree.Element):
        if element.prefix in wanted and element.prefix not in prefixes:
            prefixes[element.prefix] = element.nsmap[element.prefix]
    try:
        (found,) = root.getroottree().xpath(path or "/*", namespaces=prefixes)
    except (etree.XPathError, ValueError):
        return 0
    return next((at for at, element in enumerate(root.iter(etree.Element)) if element is found), 0)


def _byte(content: bytes, ordinal: int) -> int:
    """Where an element's start tag begins."""
    parser = expat.ParserCreate("utf-8")
    found: list[int] = []
    parser.StartElementHandler = lambda *_: found.append(parser.CurrentByteIndex)
    with suppress(expat.ExpatError):  # what libxml2 read and expat does not is no reason to fail
        parser.Parse(content, True)
    return found[ordinal] if ordinal < len(found) else 0
