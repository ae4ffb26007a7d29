"""Names by namespace: whatever prefix a document uses, a declared URI gives the declared one."""

import re
from dataclasses import dataclass, field

_XML = "http://www.w3.org/XML/1998/namespace"
XSI_NIL = "xsi:nil"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_BINDS_XSI = re.compile(rf"xmlns:(?!xsi\s*=)[^\s=]+\s*=\s*.\s*{re.escape(_XSI)}")


@dataclass(slots=True)
class _Scope:
    """The prefixes bound by one start tag, those around it, and the names already resolved."""

    bound: dict[str, str]
    outer: "_Scope | None" = None
    elements: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)

    def uri(self, prefix: str) -> str:
        """The URI of a prefix; empty where it is not bound."""
        scope: _Scope | None = self
        while scope is not None:
            if prefix in scope.bound:
                return scope.bound[prefix]
            scope = scope.outer
        return ""


class Namespaces:
    """Renames the elements and attributes of one document while it is read.

    >>> names = Namespaces((("cbc", "urn:c"), ("", "urn:i")))
    >>> names.enter("Invoice", ["xmlns", "urn:i", "xmlns:x", "urn:c", "id", "7"]), names.enter("x:ID", [])
    (('Invoice', ['id', '7']), ('cbc:ID', []))
    """

    def __init__(self, declared: tuple[tuple[str, str], ...]) -> None:
        self.prefixes = {_XML: "xml", _XSI: "xsi"} | {uri: prefix for prefix, uri in declared}
        self.taken = set(self.prefixes.values())
        self.scopes = [_Scope({"xml": _XML})]
        self.root_uri: str | None = None

    def enter(self, name: str, attributes: list[str]) -> tuple[str, list[str]]:
        """A start tag as written (attributes: name, value, name, value, …) → renamed, without declarations."""
        scope = self.scopes[-1]
        if any(attribute.startswith("xmlns") for attribute in attributes[::2]):
            scope, attributes = _declared(scope, attributes)
        self.scopes.append(scope)
        if self.root_uri is None:
            self.root_uri = scope.uri(name.rpartition(":")[0])
        renamed = scope.elements.get(name)
        if renamed is None:
            renamed = scope.elements[name] = self.renamed(name, scope)
        if not attributes:
            return renamed, attributes
        return renamed, [text if at % 2 else self.attribute(text, scope) for at, text in enumerate(attributes)]

    def leave(self) -> None:
        """An end tag."""
        self.scopes.pop()

    def attribute(self, name: str, scope: _Scope) -> str:
        """An attribute's name; without a prefix it is in no namespace."""
        if ":" not in name:
            return name
        renamed = scope.attributes.get(name)
        if renamed is None:
            renamed = scope.attributes[name] = self.renamed(name, scope)
        return renamed

    def renamed(self, name: str, scope: _Scope) -> str:
        """A name as the options want it; as written where its prefix is not bound or its URI not declared."""
        prefix, _, local = name.rpartition(":")
        uri = scope.uri(prefix)
        if not uri:
            return name
        if uri in self.prefixes:
            return f"{self.prefixes[uri]}:{local}" if self.prefixes[uri] else local
        # Another namespace must not pass for a declared one.
        return f"{{{uri}}}{local}" if prefix in self.taken else name


def binds_xsi(document: str) -> bool:
    """Whether a document could have `xsi:nil` under another prefix."""
    return _XSI in document and _BINDS_XSI.search(document) is not None


class NilNames:
    """Calls `nil` of the namespace of XML Schema instances `xsi:nil`, whatever its prefix; other names stay.

    >>> names = NilNames()
    >>> _ = names.enter("a", ["xmlns:i", "http://www.w3.org/2001/XMLSchema-instance"])
    >>> names.enter("b", ["i:nil", "true", "k", "1"])
    ('b', ['xsi:nil', 'true', 'k', '1'])
    """

    def __init__(self) -> None:
        self.scopes: list[frozenset[str]] = [frozenset()]

    def enter(self, name: str, attributes: list[str]) -> tuple[str, list[str]]:
        """A start tag as written (attributes: name, value, name, value, …) → with another name for `nil`."""
        known = self.scopes[-1]
        for text, uri in zip(attributes[::2], attributes[1::2], strict=True):
            if text.startswith("xmlns:"):
                known = known | {f"{text[6:]}:nil"} if uri.strip() == _XSI else known - {f"{text[6:]}:nil"}
        self.scopes.append(known)
        return name, [XSI_NIL if text in known and not at % 2 else text for at, text in enumerate(attributes)]

    def leave(self) -> None:
        """An end tag."""
        self.scopes.pop()


def _declared(outer: _Scope, attributes: list[str]) -> tuple[_Scope, list[str]]:
    """The scope inside a start tag, and its attributes that are no declarations."""
    bound, rest = {}, []
    for name, value in zip(attributes[::2], attributes[1::2], strict=True):
        if name == "xmlns" or name.startswith("xmlns:"):
            bound[name[6:]] = value.strip()
        else:
            rest += [name, value]
    return _Scope(bound, outer), rest
