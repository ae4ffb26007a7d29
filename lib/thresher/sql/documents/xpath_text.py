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
_COUNTING_FUNCTIONS = {"string-length", "substring", "translate"}
_NUMERIC = _ARITHMETIC | {"number", "sum", "floor", "ceiling", "round"}
_TO_THE_ROOT = {"self", "parent", "ancestor", "ancestor-or-self", "descendant-or-self"}


@dataclass(frozen=True)
class Expression:
    """An expression for the tree.

    `numbers`: text may be read as numbers; `literals`: its own numbers; `finds_text`: a text node may be its result;
    `counts`: it counts characters, which Java does in halves beyond U+FFFF; `far_names`: names behind a // that
    begins a path, where Java may or may not mind their prefix.
    """

    text: str
    numbers: bool
    literals: tuple[str, ...]
    finds_text: bool
    counts: bool
    far_names: frozenset[str]


def expression(written: str) -> Expression:
    """The expression for the tree. Raises UsageError with what is not proven equal to Spark's.

    >>> expression("/p/a | b[@n > 1]").text
    '/*/p/a | b[@n > 1]'
    """
    tokens = _tokens(written)
    operators = _operators(tokens)
    used = {
        token
        for at, (kind, token) in enumerate(tokens)
        if (operators[at] and not _reads_text(tokens, at)) or (kind == "name" and _after(tokens, at) == "(")
    }
    literals = tuple(token for kind, token in tokens if kind == "number")
    _check(written, tokens, operators, used)
    if used & _TEXT_FUNCTIONS and (used & _NUMERIC or any("." in literal for literal in literals)):
        raise UsageError("an XPath with functions of text and of numbers")
    return Expression(
        _from_element(tokens, operators),
        numbers=bool(used & (_NUMERIC | _COMPARISONS)),
        literals=literals,
        finds_text=bool(used & {"text", "node"}),
        counts=bool(used & _COUNTING_FUNCTIONS),
        far_names=_far_names(tokens),
    )


def _after(tokens: list[tuple[str, str]], at: int) -> str:
    return tokens[at + 1][1] if at + 1 < len(tokens) else ""


def _operators(tokens: list[tuple[str, str]]) -> list[bool]:
    """Which tokens are operators: a name or * where a step of a path may begin is none."""
    found: list[bool] = []
    before = ""
    for _, token in tokens:
        found.append(token in _OPERATORS and before not in _BEGINNINGS | _PATH_SIGNS)
        before = token if found[-1] or token not in _OPERATORS else "value"
    return found


def _from_element(tokens: list[tuple[str, str]], operators: list[bool]) -> str:
    """The expression with paths from / starting at the element in the document's place."""
    parts: list[str] = []
    begins = True
    for at, (kind, token) in enumerate(tokens):
        if kind != "sign" and at and tokens[at - 1][0] != "sign":
            parts.append(" ")  # two words side by side stay two
        if token in ("/", "//") and begins:
            parts.append("/*" + token if token == "//" or _is_step(tokens, at + 1) else "/*")
        else:
            parts.append(f" {token} " if operators[at] else token)
        begins = operators[at] or token in ("(", "[", ",")
    return "".join(parts)


def _far_names(tokens: list[tuple[str, str]]) -> frozenset[str]:
    words = ["", "", *(token for _, token in tokens)]
    steps = zip(words, words[1:], words[2:], strict=False)
    return frozenset(name for start, path, name in steps if path == "//" and start in _BEGINNINGS | {"."})


def _reads_text(tokens: list[tuple[str, str]], at: int) -> bool:
    """Whether a comparison is with a text in quotes, so that it reads no numbers."""
    is_equality = tokens[at][1] in ("=", "!=")
    return is_equality and any(kind == "literal" for kind, _ in tokens[at - 1 : at + 2])


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


def _check(written: str, tokens: list[tuple[str, str]], operators: list[bool], used: set[str]) -> None:
    if used & _COUNTING_FUNCTIONS and max(written) > "\uffff":
        raise UsageError("an XPath that counts characters beyond U+FFFF")
    depth = 0
    for at, (kind, token) in enumerate(tokens):
        after = _after(tokens, at)
        depth += (token == "[") - (token == "]")
        if after == "(" and (token in _PREFIXED_FUNCTIONS or (not depth and token in ("position", "last"))):
            raise UsageError(f"the XPath function {token} in this place")
        if token == after == "-" or (kind == "number" and after[:1] in ("e", "E")):
            raise UsageError(f"{token}{after} in an XPath")
        if token in ("$", ":"):
            raise UsageError(f"an XPath with {'a variable' if token == '$' else 'a prefix'}")
        axis = tokens[at - 1][1] if token == "::" and at else ""
        # The tree's own root is no element of the document.
        if axis == "namespace" or (after == "*" and axis in _TO_THE_ROOT):
            raise UsageError(f"the XPath step {axis}::{after}")
