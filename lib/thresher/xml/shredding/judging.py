"""Names that the loops ask about: those of other letters than ASCII, roots, and names that stand for a URI's."""

import re
from functools import lru_cache
from itertools import chain
from xml.parsers import expat

import pyarrow as pa

from thresher.xml.decoding import Refused
from thresher.xml.document import read
from thresher.xml.namespaces import XSI_NIL, Namespaces
from thresher.xml.options import Options
from thresher.xml.shredding import tables
from thresher.xml.shredding.growing import Tables
from thresher.xml.shredding.naming import LONGEST_NAME
from thresher.xml.shredding.walking import PASSED_OVER
from thresher.xml.structure import fold

# Roots with their declarations that are kept, and different declarations: the documents of further ones are left.
MOST_ROOTS, MOST_SCOPES = 1000, 100
MOST_NAMES = 10_000  # that a schema has no place for, or spells otherwise

Targets = dict[tuple[int, int, str], int]
_PLAIN = re.compile(r"[A-Za-z_:][A-Za-z0-9._:-]*")


class Judge:
    """Enters the names that the loops have come to, by the reference's rules, into one thread's tables.

    `targets` tells the fields of names (field above, kind, name); without it every name is learnt.
    """

    def __init__(self, made: Tables, targets: Targets | None) -> None:
        self.tables = made
        self.targets = targets
        self.names: dict[int, str] = {}  # of entries: what the reference calls a root, or a name in a scope
        self._roots = 0
        self._scopes: dict[frozenset[tuple[str, str]], int] = {}
        self._namespaces: list[Namespaces] = []

    def enter(self) -> bool:
        """Enter the name at which the loops have stopped; False where its document is for the reference."""
        settings = self.tables.settings
        address, length = int(settings[tables.MISS_ADDRESS]), int(settings[tables.MISS_LENGTH])
        name = pa.foreign_buffer(address, length).to_pybytes().decode("utf-8")
        parent, kind = int(settings[tables.MISS_PARENT]), int(settings[tables.MISS_KIND])
        if kind == tables.ROOT:
            return self._enter_root(name)
        if not is_name(name):
            return False
        if parent < 0:
            self.tables.add_name(parent, kind, name, 0)
            return True
        return self._enter_below(parent, kind, name)

    def _enter_below(self, parent: int, kind: int, name: str) -> bool:
        scope, field = parent >> tables.SCOPE_SHIFT, parent & tables.FIELD_MASK
        meant = self._meant(scope, kind, name) if scope else name
        if len(meant) > LONGEST_NAME:
            return False
        if self.targets is None:
            entry = self.tables.learn(parent, kind, name, meant)
        else:
            target = self._target(field, kind, meant)
            is_rescued = kind == tables.ATTRIBUTE or scope > 0
            if (target == PASSED_OVER and is_rescued) or len(self.names) >= MOST_NAMES:
                return False
            entry = self.tables.add_name(parent, kind, name, target)
        self.names[entry] = meant
        return True

    def _target(self, field: int, kind: int, name: str) -> int:
        """The field of a name in any spelling."""
        assert self.targets is not None
        if (field, kind, name) in self.targets:
            return self.targets[field, kind, name]
        prefix = self.tables.options.attribute_prefix if kind == tables.ATTRIBUTE else ""
        return self.targets.get((field, tables.FOLDED, fold(prefix + name)), PASSED_OVER)

    def _meant(self, scope: int, kind: int, name: str) -> str:
        names = self._namespaces[scope - 1]
        rename = names.attribute if kind == tables.ATTRIBUTE else names.renamed
        return rename(name, names.scopes[-1])

    def _enter_root(self, tag: str) -> bool:
        """Enter a root, given by its name and declarations as written, if it is allowed."""
        options = self.tables.options
        try:
            root = read(f"<{tag}/>", Options(roots=options.roots, namespaces=options.namespaces)).root
            scope = self._scope(tag) if options.namespaces else 0
        except Refused:
            return False
        if scope is None or self._roots == MOST_ROOTS:
            return False
        self._roots += 1
        self.names[self.tables.add_name(-1, tables.ROOT, tag, scope)] = root.tag
        return True

    def _scope(self, tag: str) -> int | None:
        """The number of a root's declarations, from 1; None where only the reference can hold to them."""
        root = read(f"<{tag}/>", Options()).root
        names = Namespaces(tuple(dict(self.tables.options.namespaces).items()))
        names.enter(root.tag, list(chain.from_iterable(root.items())))
        scope = names.scopes[-1]
        declared = frozenset(scope.bound.items())
        if declared not in self._scopes:
            # The loops know what is nil by its usual name alone.
            if names.attribute(XSI_NIL, scope) != XSI_NIL or len(self._scopes) == MOST_SCOPES:
                return None
            self._namespaces.append(names)
            self._scopes[declared] = len(self._namespaces)
        return self._scopes[declared]


@lru_cache(maxsize=10_000)
def is_name(name: str) -> bool:
    """Whether a text is a name of ordinary length to expat, which knows the characters of XML 1.0, fourth edition.

    >>> is_name("n:straße"), is_name("1a"), is_name("a b")
    (True, False, False)
    """
    if len(name.encode()) > LONGEST_NAME:
        return False
    if _PLAIN.fullmatch(name):
        return True
    if not name or set(name) & set(" \t\r\n<>/='\"&"):
        return False
    try:
        expat.ParserCreate("utf-8").Parse(f"<{name}/>".encode(), True)
    except (expat.ExpatError, UnicodeEncodeError):
        return False
    return True
