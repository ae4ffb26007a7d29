"""The types of a notebook's parameters: written as annotations, judged without running the notebook.

`str`, `int`, `float`, `bool`, `list[…]`, `dict[…, …]`, `Literal[…]`, `… | None`, `Any`; `Landing` (files that arrive),
`Date` (ISO text), `Secret` (a reference to one), and `Annotated[…, Ge(1), MaxLen(9)]` with the bounds of
annotated-types.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, NewType

from thresher.parameters.references import secret_names

Date = NewType("Date", str)
"""The type of a notebook parameter that is a day, as ISO text: `2026-11-01`."""

_WORD = re.compile(r"[^\W\d][\w-]*")
_EXAMPLES = {"int": "1", "float": "1.5", "bool": "true", "Date": "2026-11-01", "date": "2026-11-01"}
_EXAMPLES |= {"list": "[a]", "dict": "{a: b}"}
_ISO = re.compile(r"\d{4}-\d\d-\d\d")
_BOUNDS = {
    "Ge": ("ge",),
    "Gt": ("gt",),
    "Le": ("le",),
    "Lt": ("lt",),
    "Interval": ("gt", "ge", "lt", "le"),
    "MinLen": ("min_length",),
    "MaxLen": ("max_length",),
    "Len": ("min_length", "max_length"),
}
_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "ge": lambda value, bound: value >= bound,
    "gt": lambda value, bound: value > bound,
    "le": lambda value, bound: value <= bound,
    "lt": lambda value, bound: value < bound,
    "min_length": lambda value, bound: len(value) >= bound,
    "max_length": lambda value, bound: len(value) <= bound,
}
_SIGNS = {"ge": "≥ ", "gt": "> ", "le": "≤ ", "lt": "< ", "min_length": "length ≥ ", "max_length": "length ≤ "}


@dataclass(frozen=True)
class Bound:
    """One bound of a value or of its length: `ge` 1, `max_length` 9, …"""

    rule: str
    limit: Any

    def holds(self, value: Any) -> bool:
        """Whether a value keeps the bound; what cannot be compared with it does not."""
        try:
            return _HOLDS[self.rule](value, self.limit)
        except TypeError:
            return False

    def __str__(self) -> str:
        return f"{_SIGNS[self.rule]}{self.limit}"


def is_date(value: Any) -> bool:
    """Whether a value is a day of the calendar as ISO text.

    >>> is_date("2024-02-29"), is_date("2026-02-29"), is_date("20260101")
    (True, False, False)
    """
    try:
        return isinstance(value, str) and bool(_ISO.fullmatch(value)) and date.fromisoformat(value) is not None
    except ValueError:
        return False


def is_secret_reference(value: Any) -> bool:
    """Whether a value is text that names a secret, and so does not hold it.

    >>> is_secret_reference("postgresql://etl:${secret:WAREHOUSE}@db/sales"), is_secret_reference("hunter2")
    (True, False)
    """
    return isinstance(value, str) and bool(secret_names(value))


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "Landing": lambda value: isinstance(value, str),
    "Date": is_date,
    "date": is_date,
    "Secret": is_secret_reference,
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list),
    "dict": lambda value: isinstance(value, dict),
    "None": lambda value: value is None,
    "Any": lambda value: True,
}
_SHOWN = ("str", "Landing", "Date", "Secret", "int", "float", "bool", "list", "dict", "None", "Any")


def checked(kind: ast.expr) -> ast.expr:
    """An annotation, one that is written as text parsed. Raises SyntaxError for a type that no YAML value has."""
    if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
        kind = ast.parse(kind.value, mode="eval").body
    try:
        accepts(kind, None)
    except LookupError:
        others = "Literal, Annotated[…, Ge(…)], list[…], dict[…], … | None"
        problem = f"type {ast.unparse(kind)!r} is not one of {', '.join(_SHOWN)}, {others}"
        raise SyntaxError(problem, ("", kind.lineno, 0, "")) from None
    return kind


def kind_of(value: Any) -> ast.expr:
    """The type of a default as an annotation; `Any` where the default tells nothing."""
    name = type(value).__name__
    return ast.Name(name if name in _PLAIN and value is not None else "Any")


def accepts(kind: ast.expr, value: Any) -> bool:
    """Whether a value has a type. Raises LookupError for a type that is none, whatever the value."""
    match kind:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            # Both sides are looked at, so that an unknown type is found whatever the value.
            return any([accepts(left, value), accepts(right, value)])
        case ast.Subscript(value=outer, slice=inner):
            return _accepts_generic(name_of(outer), inner, value)
    return _PLAIN[name_of(kind) or ""](value)


def names(kind: ast.expr, wanted: str) -> bool:
    """Whether a type of that name is part of a type."""
    return any(name_of(node) == wanted for node in ast.walk(kind))


def choices(kind: ast.expr) -> list[Any]:
    """All values of the `Literal` types in a type.

    >>> choices(ast.parse("Literal['full', 'delta'] | None", mode="eval").body)
    ['full', 'delta']
    """
    found = []
    for node in ast.walk(kind):
        if isinstance(node, ast.Subscript) and name_of(node.value) == "Literal":
            found += [literal(member) for member in _members(node.slice)]
    return found


def shown(kind: ast.expr) -> str:
    """A type as a reader wants it: bounds behind the type that they bound, choices as they are given.

    >>> shown(ast.parse("list[Annotated[int, Ge(1), Le(12)]] | None", mode="eval").body)
    'list[int (≥ 1, ≤ 12)] | None'
    >>> shown(ast.parse("Literal['full', 'delta']", mode="eval").body)
    'one of full, delta'
    """
    match kind:
        case ast.BinOp(left=left, right=right):
            return f"{shown(left)} | {shown(right)}"
        case ast.Subscript(value=outer, slice=inner) if name_of(outer) == "Annotated":
            bounds = [str(bound) for each in _members(inner)[1:] for bound in _bounds(each)]
            return f"{shown(_members(inner)[0])} ({', '.join(bounds)})" if bounds else shown(_members(inner)[0])
        case ast.Subscript(value=outer) if name_of(outer) == "Literal":
            return f"one of {', '.join(map(_written, choices(kind)))}"
        case ast.Subscript(value=outer, slice=inner) if name_of(outer):
            return f"{ast.unparse(outer)}[{', '.join(shown(each) for each in _members(inner))}]"
    text = ast.unparse(kind)
    return f"{text} (YYYY-MM-DD)" if name_of(kind) in ("Date", "date") else text


def example(kind: ast.expr) -> str:
    """A value of a type, as it is written in YAML.

    >>> [example(ast.parse(each, mode="eval").body) for each in ("list[int]", "dict[str, Date]", "Literal['b'] | None")]
    ['[1]', '{a: 2026-11-01}', 'b']
    """
    match kind:
        case ast.BinOp(left=left, right=right):
            return example(right if name_of(left) == "None" else left)
        case ast.Subscript(value=outer) if name_of(outer) == "Literal":
            return _written(choices(kind)[0])
        case ast.Subscript(value=outer, slice=inner):
            parts = [example(each) for each in _members(inner)]
            if name_of(outer) == "dict":
                return f"{{{parts[0]}: {parts[1]}}}"
            return f"[{parts[0]}]" if name_of(outer) == "list" else parts[0]
    return _EXAMPLES.get(name_of(kind) or "", "a")


def literal(value: ast.expr | None) -> Any:
    """The value of a literal expression; None where it is none, or not literal."""
    try:
        return None if value is None else ast.literal_eval(value)
    except ValueError:
        return None


def name_of(node: ast.AST) -> str | None:
    """The last part of a dotted name, else None."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Constant(value=None):
            return "None"
    return None


def _written(choice: Any) -> str:
    """A choice as it is given: a text in quotes only where it would not be seen as one."""
    return choice if isinstance(choice, str) and _WORD.fullmatch(choice) else json.dumps(choice, ensure_ascii=False)


def _members(inner: ast.expr) -> list[ast.expr]:
    return inner.elts if isinstance(inner, ast.Tuple) else [inner]


def _accepts_generic(outer: str | None, inner: ast.expr, value: Any) -> bool:
    members = _members(inner)
    match outer:
        case "Literal":
            return any(type(value) is type(choice) and value == choice for choice in map(literal, members))
        case "Annotated" if len(members) > 1:
            bounds = [bound for each in members[1:] for bound in _bounds(each)]
            return accepts(members[0], value) and all(bound.holds(value) for bound in bounds)
        case "Optional":
            return any([value is None, accepts(inner, value)])
        case "list" if len(members) == 1:
            accepts(inner, None)
            return isinstance(value, list) and all(accepts(inner, each) for each in value)
        case "dict" if len(members) == 2:
            key, item = members
            any([accepts(key, None), accepts(item, None)])
            return isinstance(value, dict) and all(accepts(key, k) and accepts(item, v) for k, v in value.items())
    raise LookupError(outer)


def _bounds(node: ast.expr) -> Iterator[Bound]:
    """The bounds that one argument of `Annotated` sets; a text is a remark. Raises LookupError for anything else."""
    match node:
        case ast.Constant(value=str()):
            return
        case ast.Call(func=func, args=args, keywords=keywords) if name_of(func) in _BOUNDS:
            rules = _BOUNDS[name_of(func) or ""]
            # Interval takes keywords only, the others their bounds by place, too.
            by_place = zip(rules if len(rules) <= 2 else (), args, strict=False)
            given = [*by_place, *((each.arg or "", each.value) for each in keywords)]
            if not given or len(given) != len(args) + len(keywords) or any(rule not in rules for rule, _ in given):
                raise LookupError(ast.unparse(node))
            for rule, limit in given:
                if isinstance(limit, ast.Constant) and limit.value is None:
                    continue
                if literal(limit) is None:
                    raise LookupError(ast.unparse(node))
                yield Bound(rule, literal(limit))
        case _:
            raise LookupError(ast.unparse(node))
