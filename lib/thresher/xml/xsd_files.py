"""An XSD with all that it includes and imports, as texts that travel: read from local files alone."""

import os
import posixpath
import re
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from lxml import etree

from thresher.errors import UsageError

Files: TypeAlias = tuple[tuple[str, str], ...]
Source: TypeAlias = str | os.PathLike[str] | Files

XS = "{http://www.w3.org/2001/XMLSchema}"
XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"
IMPORT, INCLUDE, REDEFINE = XS + "import", XS + "include", XS + "redefine"

_TEXT_NAME = "the XSD text"
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|[/\\]")
_SCHEME = "xsd-file:"
# Nearly every published XSD imports these four attributes from an address in the network.
_XML_ATTRIBUTES = (
    "xml.xsd",
    f'<xs:schema xmlns:xs="{XS[1:-1]}" targetNamespace="{XML_NAMESPACE}">'
    '<xs:attribute name="lang" type="xs:string"/><xs:attribute name="space" type="xs:NCName"/>'
    '<xs:attribute name="base" type="xs:anyURI"/><xs:attribute name="id" type="xs:ID"/>'
    '<xs:attributeGroup name="specialAttrs"><xs:attribute ref="xml:base"/><xs:attribute ref="xml:lang"/>'
    '<xs:attribute ref="xml:space"/><xs:attribute ref="xml:id"/></xs:attributeGroup></xs:schema>',
)


def xsd_files(source: Source) -> Files:
    """A path or the text of an XSD → names and texts of all its files, the XSD itself first.

    Locations of `include`, `redefine` and `import` are relative to the file in which they stand. An address or an
    absolute path is never opened: a file of the same name beside the XSD stands for it. An import that is not found
    counts as empty. Raises UsageError for a file that is missing or no XSD.

    >>> [name for name, _ in xsd_files('<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"/>')]
    ['the XSD text']
    """
    if not isinstance(source, str | os.PathLike):
        try:
            return tuple((name, text) for name, text in source)  # lists, where they come out of JSON
        except (TypeError, ValueError):
            raise UsageError(f"xsd={source!r}; expected the path or the text of an XSD") from None
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("<"):
        return _collected(_TEXT_NAME, source.lstrip("\ufeff \t\r\n"), None)
    path = Path(source)
    return _collected(path.name, _read(path), path.parent)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the XSD {str(path)!r} cannot be read: {error.strerror}; expected a path, or the text of an XSD"
        ) from None


def _collected(name: str, content: str | bytes, folder: Path | None) -> Files:
    """The main file and, breadth first, whatever it leads to."""
    files = {name: _text(name, content)}
    waiting = [name]
    while waiting:
        current = waiting.pop(0)
        for reference in references(parsed(current, files[current])):
            found = _candidate(current, reference, folder)
            if found in files:
                continue
            if found is not None and folder is not None:
                files[found] = _text(found, _read(folder / found))
                waiting.append(found)
            elif reference.get("namespace") == XML_NAMESPACE:
                files.setdefault(*_XML_ATTRIBUTES)
            elif reference.tag != IMPORT:
                raise UsageError(
                    f"{current}, line {reference.sourceline}: {reference.get('schemaLocation')!r} is not there; "
                    f"expected a file beside the XSD (nothing is fetched from the network"
                    f"{'' if folder else '; give the path of the XSD, not its text'})"
                )
    return tuple(files.items())


def _candidate(current: str, reference: Any, folder: Path | None) -> str | None:
    names = _names(current, reference.get("schemaLocation", ""))
    return next((name for name in names if folder and (folder / name).is_file()), None)


def _names(current: str, location: str) -> list[str]:
    """Under which names the file of a location may be found, the likeliest first."""
    plain = unquote(location.strip()).replace("\\", "/")
    beside = posixpath.join(posixpath.dirname(current), posixpath.basename(plain))
    names = [beside, posixpath.basename(plain)]
    if not _ELSEWHERE.match(plain):
        names.insert(0, posixpath.normpath(posixpath.join(posixpath.dirname(current), plain)))
    return [name for name in names if plain]


def located(current: str, reference: Any, files: dict[str, str]) -> str | None:
    """The name of the file that an include, redefine or import in `current` stands for; None where it is not there."""
    for name in _names(current, reference.get("schemaLocation", "")):
        if name in files:
            return name
    return _XML_ATTRIBUTES[0] if reference.get("namespace") == XML_NAMESPACE and _XML_ATTRIBUTES[0] in files else None


def references(root: Any) -> Iterator[Any]:
    """The include, redefine and import elements of an XSD."""
    return root.iterchildren(INCLUDE, REDEFINE, IMPORT)


def parsed(name: str, text: str | bytes) -> Any:
    """The tree of one XSD; entities that it declares itself are replaced, nothing is fetched. Raises UsageError."""
    encoding = "utf-8" if isinstance(text, str) else None
    parser = etree.XMLParser(encoding=encoding, resolve_entities="internal", no_network=True)
    try:
        root = etree.fromstring(text.encode() if isinstance(text, str) else text, parser)
    except etree.XMLSyntaxError as error:
        raise UsageError(f"{name} is no XML: {error.msg}; expected an XSD") from None
    if root.tag != XS + "schema":
        raise UsageError(f"{name} is no XSD: its root element is {root.tag}; expected {XS}schema")
    return root


def _text(name: str, content: str | bytes) -> str:
    return etree.tostring(parsed(name, content), encoding="unicode", with_tail=False)


def _compile(files: Files) -> Any:
    texts = dict(files)
    trees = {name: _closed(name, text, texts) for name, text in files}
    main = files[0][0]
    parser = etree.XMLParser(no_network=True, huge_tree=True)
    parser.resolvers.add(_FromFiles(trees))
    try:
        return etree.XMLSchema(etree.fromstring(trees[main], parser, base_url=_SCHEME + main))
    except etree.XMLSchemaParseError as error:
        first = error.error_log[0] if len(error.error_log) else None
        place = f", line {first.line}" if first else ""
        raise UsageError(
            f"{main}{place}: the XSD cannot be used: {first.message if first else error}; "
            f"validate it with libxml2's xmllint, or read documents without it"
        ) from None


def _closed(name: str, text: str, texts: dict[str, str]) -> bytes:
    """One file with the locations of the others that are there: libxml2 must have nothing to look for elsewhere."""
    root = parsed(name, text)
    for reference in references(root):
        found = located(name, reference, texts)
        if found is not None:
            reference.set("schemaLocation", _SCHEME + found)
        else:
            reference.attrib.pop("schemaLocation", None)
    return etree.tostring(root)


class _FromFiles(etree.Resolver):
    def __init__(self, trees: dict[str, bytes]) -> None:
        self.trees = trees

    def resolve(self, url: str, public_id: str, context: Any) -> Any:
        text = self.trees.get(url.removeprefix(_SCHEME), b"")
        return self.resolve_string(text, context, base_url=url)


class _OfThread(threading.local):
    """What libxml2 keeps its errors in serves one thread at a time."""

    def __init__(self) -> None:
        self.compiled = lru_cache(maxsize=16)(_compile)


_of_thread = _OfThread()


def compiled(files: Files) -> Any:
    """The `lxml.etree.XMLSchema` of an XSD, made once per thread. Raises UsageError with libxml2's reason."""
    return _of_thread.compiled(files)
