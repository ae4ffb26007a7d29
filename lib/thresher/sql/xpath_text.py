"""Expressions of XPath 1.0: which are portable, and their form for a tree whose document is an element.

The tree that they run on (`xpaths`) has an element in the document's place, since the library gives no document as a
result: `/` becomes that element. Refused is what depends on prefixes, and text made of computed numbers, whose digits
differ between libraries.
"""

import re
from dataclasses import dataclass

from thresher.errors import UsageError

_TOKEN = re.compile(
    r"""\s*(?:(?P<literal>"[^"]*"|'[^']*')|(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<name>[^\W\d][\w.\-]*)"""
    r"""|(?P<sign>//|::|\.\.|!=|<=|>=|[()\[\].@,/|+\-=<>*$:]))"""
)
_COMPARISONS = {"=", "!=", "<", "<=", ">", ">="}
_ARITHMETIC = {"mod", "div", "+", "-", "*"}
_OPERATORS = {"and", "or", "|"} | _COMPARISONS | _ARITHMETIC
_PATH_SIGNS = {"@", "::", "/", "//"}
_BEGINNINGS = {"", "(", "[", ","} | _OPERATORS
_PREFIXED_FUNCTIONS = {"name", "namespace-uri", "id", "lang"}
_TEXT_FUNCTIONS = {
    *("string", "concat", "starts-with", "contains", "substring", "substring-before", "substring-after"),
    *("string-length", "normalize-space", "translate"),
}
_NUMBER_FUNCTIONS = {"number", "sum", "floor", "ceiling", "round"}


@dataclass(frozen=True)
class Expression:
    """An expression for the tree; `numbers`: text may be read as numbers; `literals`: its own numbers.

    `finds_text`: a text node may be its result.
    """

    text: str
    numbers: bool
    literals: tuple[str, ...]
    finds_text: bool


def expression(written: str) -> Expression:
    """The expression for the tree. Raises UsageError with what is not proven equal to Spark's.

    >>> expression("/p/a | b[@n > 1]").text
    '/*/p/a | b[@n > 1]'
    """
    tokens = _tokens(written)
    parts: list[str] = []
    used: set[str] = set()
    before = ""  # the last token, as what it is: an operator named like an element is no operator
    for at, (kind, token) in enumerate(tokens):
        after = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        is_operator = token in _OPERATORS and before not in _BEGINNINGS | _PATH_SIGNS
        _check(tokens, at, is_operator=is_operator)
        if is_operator or kind == "name" and after == "(":
            used.add(token)
        if token in ("/", "//") and before in _BEGINNINGS:
            parts.append("/*" + token if token == "//" or _is_step(tokens, at + 1) else "/*")
        else:
            parts.append(f" {token} " if is_operator else token)
        before = token if kind == "sign" and (is_operator or token not in _OPERATORS) or is_operator else "value"
    numbers = used & (_ARITHMETIC | _NUMBER_FUNCTIONS)
    literals = tuple(token for kind, token in tokens if kind == "number")
    if used & _TEXT_FUNCTIONS and (numbers or any("." in literal for literal in literals)):
        raise UsageError("an XPath with functions of text and of numbers")
    return Expression("".join(parts), bool(numbers or used & _COMPARISONS), literals, bool(used & {"text", "node"}))


def _tokens(written: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while written[at:].strip():
        found = _TOKEN.match(written, at)
        if found is None or found.lastgroup is None:
            raise UsageError(f"an XPath with {written[at:].strip()[:10]!r}")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


def _is_step(tokens: list[tuple[str, str]], at: int) -> bool:
    """Whether a step of a path begins with this token."""
    if at >= len(tokens):
        return False
    kind, token = tokens[at]
    return kind == "name" and token not in ("and", "or", "mod", "div") or token in ("@", ".", "..", "*")


def _check(tokens: list[tuple[str, str]], at: int, *, is_operator: bool) -> None:
    kind, token = tokens[at]
    after = tokens[at + 1][1] if at + 1 < len(tokens) else ""
    if kind == "name" and after == "(" and token in _PREFIXED_FUNCTIONS:
        raise UsageError(f"the XPath function {token}")
    if token in ("$", ":"):
        raise UsageError(f"an XPath with {'a variable' if token == '$' else 'a prefix'}")
    if token == "::" and at and not is_operator:
        axis, test = tokens[at - 1][1], after
        beyond = axis in ("self", "parent", "ancestor", "ancestor-or-self", "descendant-or-self")
        if axis == "namespace" or (test == "*" and beyond):  # the tree's own root is no element of the document
            raise UsageError(f"the XPath step {axis}::{test}")
